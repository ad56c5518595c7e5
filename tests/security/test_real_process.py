"""Attacks over real sockets on the real webhook process: its server's parsing counts, its memory is measured, and it goes on serving."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from pathlib import Path

import httpx
import pytest

from rtms_relay.adapters.sqlite import SqliteStore
from rtms_simulator.clock import Clock
from rtms_simulator.kit.functions import Function, Wiring
from rtms_simulator.serving.processes import Port
from rtms_simulator.zoom.webhooks import events
from rtms_simulator.zoom.webhooks.events import StreamIds
from tests.e2e.processes import descendants
from tests.security.leaks import leaks

WIRING = {
    "client_id": "client",
    "client_secret": "nB7rT4mC9qX1dK6hF8jU5wE2zA0gV3yS",
    "secret_token": "Zk3vQ8_pL0sW2xYt",
    "recall_base_url": "http://127.0.0.1:1/api/v1",
    "recall_api_key": "7b1e09c4d2f85a6630918ecb4d7fa25c8e1d3b90",
    "recall_webhook_secret": "whsec_YSB3ZWJob29rIHNlY3JldA==",
    "tasks_endpoint": "127.0.0.1:1",
    "tasks_queue": "projects/p/locations/l/queues/q",
}
GROWTH_MB = 48


class Webhook:
    """The process, its port, its lines and its store."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state.sqlite"
        self.ports = [Port("the webhook"), Port("the worker")]
        self.lines: list[str] = []
        self.clock = Clock()
        self.function = Function(
            Wiring(**WIRING, state_url=f"sqlite://{self.path}"), *self.ports, self.clock, lambda role, line: self.lines.append(line)
        )

    def signed(self, body: bytes) -> dict[str, str]:
        stamp = str(int(self.clock.now()))
        return {"x-zm-request-timestamp": stamp, "x-zm-signature": events.sign(WIRING["secret_token"], stamp, body)}

    def memory_mb(self) -> float:
        """Resident memory of the process and of those below it."""
        pids = {self.function.children["webhook"].pid} | descendants(self.function.children["webhook"].pid)
        return sum(int((Path("/proc") / str(pid) / "statm").read_text().split()[1]) * 4096 for pid in pids) / 1e6

    async def send(self, raw: bytes, within_s: float = 15.0) -> bytes:
        """One connection: the bytes as they are, and what comes back until it is closed or answered."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[0].number)
        try:
            with contextlib.suppress(ConnectionError):
                writer.write(raw)
                await writer.drain()
            with contextlib.suppress(ConnectionError):
                return await asyncio.wait_for(reader.read(65_536), within_s)
            return b""
        finally:
            writer.close()

    def request(self, headers: list[tuple[str, str]] | list[tuple[bytes, bytes]], body: bytes) -> bytes:
        lines = [b"POST /zoom-webhook HTTP/1.1", b"Host: x", b"Content-Type: application/json", b"Connection: close"]
        lines += [_bytes(name) + b": " + _bytes(value) for name, value in headers]
        return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body])

    async def answers(self) -> float:
        """Seconds to a URL validation's answer, which must be right."""
        body = events.body(events.url_validation("qgg8vlvZRS6UYooatFL8Aw", 1))
        began = time.monotonic()
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(
                f"{self.function.webhook_url}/zoom-webhook", content=body, headers={"content-type": "application/json"}
            )
        assert events.judge_validation(WIRING["secret_token"], "qgg8vlvZRS6UYooatFL8Aw", answer.status_code, answer.content).ok
        return time.monotonic() - began

    async def records(self) -> int:
        store = SqliteStore(str(self.path))
        try:
            return len(await store.newest("handoffs", 10)) + len(await store.newest("streams", 10))
        finally:
            await store.close()


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8") if isinstance(text, str) else text


def start() -> bytes:
    return events.body(events.started("meeting", StreamIds("m==", "s" * 32), "wss://127.0.0.1:1/x", int(Clock().now() * 1000)))


@pytest.fixture
async def webhook(tmp_path):
    one = Webhook(tmp_path)
    try:
        await one.function.start_one("webhook")
        await one.answers()
        yield one
        assert await one.answers() < 3
        assert await one.records() == 0
        assert leaks(one.lines, [WIRING[name].removeprefix("whsec_") for name in WIRING if "secret" in name or "key" in name]) == []
        assert [json.loads(line)["severity"] for line in one.lines]
    finally:
        await one.function.aclose()
        for port in one.ports:
            port.release()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


async def test_headers_that_are_doubled_bent_or_foreign_authenticate_nothing(webhook):
    body = start()
    good = webhook.signed(body)
    stamp, signature = good["x-zm-request-timestamp"], good["x-zm-signature"]
    wide = "".join(chr(0xFF10 + int(digit)) for digit in stamp)
    attempts = [
        [("x-zm-request-timestamp", stamp), ("x-zm-signature", signature), ("X-ZM-SIGNATURE", signature)],
        [("x-zm-request-timestamp", stamp), ("X-Zm-Request-Timestamp", "1"), ("x-zm-signature", signature)],
        [("x-zm-signature", signature)],
        [("x-zm-request-timestamp", stamp)],
        [("x-zm-request-timestamp", wide), ("x-zm-signature", events.sign(WIRING["secret_token"], wide, body))],
        [("x-zm-request-timestamp", f"+{stamp}"), ("x-zm-signature", events.sign(WIRING["secret_token"], f"+{stamp}", body))],
        [("x-zm-request-timestamp", f"{stamp}.0"), ("x-zm-signature", events.sign(WIRING["secret_token"], f"{stamp}.0", body))],
        [("x_zm_request_timestamp", stamp), ("x_zm_signature", signature)],
        [("x-zm-request-timestamp", stamp), ("x-zm-signature", f"{signature}, {signature}")],
        [("x-zm-request-timestamp", stamp), ("x-zm-signature\t", signature)],
        [("x-zm-request-timestamp", stamp), ("x-zm-signature", signature[:10] + "\r\n " + signature[10:])],
        [(b"x-zm-request-timestamp", stamp.encode()), (b"x-zm-signature", b"v0=\xff\xfe")],
    ]
    for headers in attempts:
        assert status(await webhook.send(webhook.request(headers, body))) in (400, 401), headers


async def test_flipped_bits_do_not_pass_the_real_server(webhook):
    """Exhaustive in process; here a sample of each part, through the socket and the server's own parser."""
    chance, body = random.Random(11), start()
    good = webhook.signed(body)
    parts = {"body": body, **{name: value.encode() for name, value in good.items()}}
    for part, value in parts.items():
        for bit in chance.sample(range(len(value) * 8), 25):
            changed = bytearray(value)
            changed[bit // 8] ^= 1 << bit % 8
            bent = parts | {part: bytes(changed)}
            headers = [(name.encode(), bent[name]) for name in good]
            assert status(await webhook.send(webhook.request(headers, bent["body"]))) in (400, 401), (part, bit)


async def test_bodies_and_headers_without_end_are_refused_within_bounded_memory(webhook):
    before = webhook.memory_mb()
    head = b"POST /zoom-webhook HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    endless = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 160
    declared = head + b"Content-Length: 10000000000\r\n\r\n" + b"x" * 1000
    huge_header = head + b"X-Zm-Signature: v0=" + b"a" * 10_000_000 + b"\r\n\r\n"
    many_headers = head + b"".join(b"X-%d: y\r\n" % number for number in range(200_000)) + b"\r\n"
    bad_chunk = head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"
    both = head + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
    for attack, answered in ((endless, {413}), (declared, {413}), (huge_header, {0, 400, 431}), (many_headers, {0, 400, 431, 401})):
        for answer in await asyncio.gather(*(webhook.send(attack) for _ in range(4))):
            # The server may reset what still comes after its refusal; then the answer is lost, and the refusal is not.
            assert status(answer) in answered | {0}
    for attack in (bad_chunk, both):
        assert status(await webhook.send(attack)) in (0, 400, 401)
    assert webhook.memory_mb() - before < GROWTH_MB


async def test_slow_lorises_hold_neither_the_service_nor_its_memory(webhook):
    """150 connections that drip: half of them their headers, half their bodies. Others are answered meanwhile."""
    before = webhook.memory_mb()
    head = b"POST /zoom-webhook HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    opened = [await asyncio.open_connection("127.0.0.1", webhook.ports[0].number) for _ in range(150)]
    closed = []

    async def drip(number, reader, writer):
        with contextlib.suppress(ConnectionError):
            writer.write(head if number % 2 else head + b"Content-Length: 1000\r\n\r\n")
            for _ in range(26):
                await asyncio.sleep(0.5)
                writer.write(b"x")
                await writer.drain()
                if reader.at_eof():
                    break
        closed.append(number)

    drips = [asyncio.create_task(drip(number, *pair)) for number, pair in enumerate(opened)]
    waits = []
    for _ in range(12):
        waits.append(await webhook.answers())
        await asyncio.sleep(1.0)
    answers = [reader.read(65_536) for number, (reader, _) in enumerate(opened) if number % 2 == 0]
    refused = [status(answer) for answer in await asyncio.wait_for(asyncio.gather(*answers, return_exceptions=False), 15)]
    for task in drips:
        task.cancel()
    await asyncio.gather(*drips, return_exceptions=True)
    for _, writer in opened:
        writer.close()
    assert max(waits) < 3
    assert webhook.memory_mb() - before < GROWTH_MB
    # Whoever drips a body is told 408 when its time is over.
    assert set(refused) == {408}


async def test_nothing_that_is_sent_begins_a_line_of_the_log(webhook):
    forged = '{"severity":"ALERT","event":"forged"}'
    for name, value in (("x-cloud-trace-context", forged), ("traceparent", "\x85" + forged), ("x-zm-signature", forged)):
        await webhook.send(webhook.request([(name, value)], forged.encode()))
    await webhook.send(b"POST /%0a" + forged.encode() + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    body = json.dumps({"event": f"x\n{forged}\r\n\u2028{forged}"}).encode()
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            f"{webhook.function.webhook_url}/zoom-webhook",
            content=body,
            headers={"content-type": "application/json", **webhook.signed(body)},
        )
    assert answer.status_code == 200
    await asyncio.sleep(0.3)
    parsed = [json.loads(line) for line in webhook.lines]
    assert len(parsed) >= 5
    assert not any(line["event"] == "forged" or line["severity"] == "ALERT" for line in parsed)
