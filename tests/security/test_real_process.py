"""Attacks over real sockets on the real webhook process: its server's parsing counts, its memory is measured, and it goes on serving."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import threading
import time
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from msgspec.structs import replace

from rtms_relay.adapters.sqlite import SqliteStore
from rtms_relay.tasks import Start, encode
from rtms_simulator.clock import Clock
from rtms_simulator.kit.deployed import deployed
from rtms_simulator.kit.functions import Function, Wiring
from rtms_simulator.serving.processes import Port
from rtms_simulator.zoom.webhooks import events
from rtms_simulator.zoom.webhooks.events import StreamIds
from tests.e2e.processes import descendants
from tests.security.leaks import leaks
from tests.security.test_hostile_recall import Server, sending

WIRING: dict[str, str] = {
    "client_id": "client",
    "client_secret": "nB7rT4mC9qX1dK6hF8jU5wE2zA0gV3yS",
    "secret_token": "Zk3vQ8_pL0sW2xYt",
    "recall_base_url": "http://127.0.0.1:1/api/v1",
    "recall_api_key": "7b1e09c4d2f85a6630918ecb4d7fa25c8e1d3b90",
    "recall_webhook_secret": "whsec_YSB3ZWJob29rIHNlY3JldA==",
    "tasks_endpoint": "127.0.0.1:1",
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
        pids = processes(self.function, "webhook")
        return sum(int((Path("/proc") / str(pid) / "statm").read_text().split()[1]) * 4096 for pid in pids) / 1e6

    async def send(self, raw: bytes, within_s: float = 15.0) -> bytes:
        """One connection: the bytes as they are, and what comes back until it is closed or answered.

        In threads with plain sockets: what the server answered while it is still being sent to can be read although the sending fails.
        """
        return await asyncio.to_thread(_talk, self.ports[0].number, raw, within_s)

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


def processes(function: Function, role: str) -> set[int]:
    pid = function.children[role].pid
    return {pid} | descendants(pid)


def _talk(port: int, raw: bytes, within_s: float) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=within_s) as connection:

        def write() -> None:
            with contextlib.suppress(OSError):
                connection.sendall(raw)

        writer = threading.Thread(target=write)
        writer.start()
        answer = b""
        try:
            while b"\r\n\r\n" not in answer and (piece := connection.recv(65_536)):
                answer += piece
        except ConnectionError:
            pass
        finally:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            writer.join()
        return answer


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
    """Of an answer that came: an attack that nobody answered has shown nothing."""
    assert answer.startswith(b"HTTP/1.1 "), answer[:100]
    return int(answer.split(b" ", 2)[1])


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
    for attack, answered in ((endless, {413}), (declared, {413}), (huge_header, {400, 431}), (many_headers, {400, 431, 401})):
        for answer in await asyncio.gather(*(webhook.send(attack) for _ in range(4))):
            assert status(answer) in answered
    for attack in (bad_chunk, both):
        assert status(await webhook.send(attack)) in (400, 401)
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
        assert status(await webhook.send(webhook.request([(name, value)], forged.encode()))) in (400, 401)
    path = b"POST /%0a" + forged.encode() + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert status(await webhook.send(path)) in (400, 404)
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


# Every secret in every place

ODD = WIRING | {
    "secret_token": "Zk3vQ8/pL0sW2x+Yt9Lm4=",
    "client_secret": "nB7rT4mC9qX1d%K6hF8jU5wE2zA0gV3yS",
    "recall_webhook_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}
HELD = {
    "webhook": (ODD["secret_token"], ODD["recall_webhook_secret"].removeprefix("whsec_")),
    "worker": (ODD["client_secret"], ODD["recall_api_key"]),
}
HEADERS = (
    "Authorization",
    "X-Serverless-Authorization",
    "X-Zm-Signature",
    "X-Zm-Request-Timestamp",
    "Webhook-Id",
    "Webhook-Signature",
    "User-Agent",
    "Function-Execution-Id",
    "X-Cloud-Trace-Context",
    "Traceparent",
    "X-Request-Id",
    "X-CloudTasks-TaskName",
    "X-CloudTasks-TaskRetryCount",
    "Cookie",
    "Host",
    "Content-Type",
)


def carrying(secret: str, secret_token: str, now: int) -> list[tuple[str, str, dict[str, str], bytes]]:
    """Requests that carry a secret: method, path, headers, body. Good ones, bad ones and broken ones."""
    json_type = {"Content-Type": "application/json"}
    quoted = [secret.replace("%", "%25"), quote(secret, safe=""), quote(secret, safe="").lower()]
    paths = [
        f"{root}/{text}{tail}"
        for text in quoted
        for root in ("", "/recordings", "/handoffs", "/zoom-webhook")
        for tail in ("", "/download")
    ]
    paths += [f"/{'x' * (200 - size)}{secret.replace('%', '%25')}" for size in (7, 12, 20)]
    paths += [
        f"{root}?{name}={text}"
        for text in quoted
        for root in ("/health", "/recordings", "/oauth-callback/zoom", "/nowhere")
        for name in ("cursor", "code")
    ]
    requests: list[tuple[str, str, dict[str, str], bytes]] = [("GET", path, {}, b"") for path in paths]
    requests += [(method, "/zoom-webhook", json_type, secret.encode()) for method in ("POST", "PUT", "BREW")]
    for place in ("/zoom-webhook", "/recall-webhook", "/handoff", "/events", "/retrieve", "/sweep"):
        requests += [("POST", place, {**json_type, name: f"{prefix}{secret}"}, b"{}") for name in HEADERS for prefix in ("", "Bearer ")]
        requests += [("POST", place, json_type, body) for body in (secret.encode(), json.dumps({"id": secret, secret: 1}).encode())]
    for event in (
        {"event": secret},
        {"event": "x" * 88 + secret},
        {"event": "meeting.rtms_started", "event_ts": now * 1000, "payload": {"rtms_stream_id": secret, "server_urls": ""}},
        {"event": "meeting.rtms_stopped", "event_ts": now * 1000, "payload": {"rtms_stream_id": secret, "meeting_uuid": secret}},
        {"event": "app_deauthorized", "payload": {"account_id": secret, "user_id": secret, "client_id": "y" * 190 + secret}},
        {"event": "meeting.rtms_started", "event_ts": now * 1000, "payload": {secret: 1, "operator_id": secret}},
    ):
        body = json.dumps(event).encode()
        signed = {"X-Zm-Request-Timestamp": str(now), "X-Zm-Signature": events.sign(secret_token, str(now), body)}
        requests.append(("POST", "/zoom-webhook", {**json_type, **signed}, body))
        requests.append(("POST", "/zoom-webhook", {**json_type, **signed, "X-Zm-Signature": "v0=" + "0" * 64}, body))
    return requests


@pytest.mark.parametrize("role", ["webhook", "worker"])
@pytest.mark.parametrize("execution_ids", [True, False])
async def test_a_real_process_that_is_sent_every_secret_in_every_place_writes_none(tmp_path, monkeypatch, role, execution_ids):
    if execution_ids:
        monkeypatch.setenv("LOG_EXECUTION_ID", "true")
    ports, lines, clock = [Port("the webhook"), Port("the worker")], [], Clock()
    wiring = Wiring(**ODD, state_url=f"sqlite://{tmp_path / 'state.sqlite'}")
    function = Function(wiring, *ports, clock, lambda _, line: lines.append(line))
    port = ports[("webhook", "worker").index(role)].number
    try:
        await function.start_one(role)
        answered: dict[int, int] = {}
        for secret in HELD[role]:
            for method, path, headers, body in carrying(secret, ODD["secret_token"], int(clock.now())):
                given = {"Host": "x", "Connection": "close", "Content-Length": str(len(body)), **headers}
                head = "".join([f"{method} {path} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in given.items()), "\r\n"])
                code = status(await webhook_answer(port, head.encode() + body))
                answered[code] = answered.get(code, 0) + 1
        await asyncio.sleep(0.3)
    finally:
        await function.aclose()
        for one in ports:
            one.release()
    assert sum(answered.values()) > 300
    assert {200, 404, 405} <= set(answered), answered
    assert len(lines) > 200
    assert leaks(lines, HELD[role]) == []
    assert [line for line in lines if json.loads(line)["severity"] not in ("INFO", "NOTICE", "WARNING", "ERROR", "ALERT")] == []


async def webhook_answer(port: int, raw: bytes) -> bytes:
    return await asyncio.to_thread(_talk, port, raw, 15.0)


# The worker, to which Recall's answers are foreign bytes

START = Start(
    received_ms=0,
    event="meeting.rtms_started",
    product="meeting",
    stream_id="",
    entity_id="m==",
    server_urls="wss://127.0.0.1:1/x",
    event_ts=0,
)
LEFT_S = 8
"""How much of the connect window is left for the starts: so long they are tried."""


async def test_as_many_answers_without_end_as_are_read_at_once_fit_the_workers_memory(tmp_path):
    """What is deployed handles so many requests at once in 512 MiB. Each answer says 201, and its body never ends."""
    together = deployed().functions["worker"].concurrency
    assert together == 40
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    talk = sending(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n", forever=chunk)
    ports, secret, clock = [Port("the webhook"), Port("the worker")], "Zk3vQ8_pL0sW2xYt9", Clock()
    begun_ms = int((clock.now() - 60 + LEFT_S) * 1000)
    async with Server(talk) as recall, httpx.AsyncClient(trust_env=False, timeout=90) as client:
        wiring = WIRING | {"recall_base_url": f"{recall.url}/api/v1"}
        function = Function(
            Wiring(**wiring, state_url=f"sqlite://{tmp_path / 'state.sqlite'}", run_secret=secret), ports[0], ports[1], clock
        )
        try:
            await function.start_one("worker")

            async def hand_on(number: int) -> dict[str, str]:
                task = replace(START, stream_id=f"stream-{number}", received_ms=begun_ms, event_ts=begun_ms)
                headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
                return (await client.post(f"{function.worker_url}/events", content=encode(task), headers=headers)).json()

            answers = await asyncio.gather(*map(hand_on, range(together)))
            highest_mb = sum(_peak_mb(pid) for pid in processes(function, "worker"))
        finally:
            await function.aclose()
            for port in ports:
                port.release()
    assert answers == [{"status": "expired"}] * together  # no id was read, so nobody knows an MDC
    assert len(recall.heads) > together  # and each was tried more than once
    assert 60 < highest_mb < 400


def _peak_mb(pid: int) -> float:
    [line] = [line for line in (Path("/proc") / str(pid) / "status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1e3
