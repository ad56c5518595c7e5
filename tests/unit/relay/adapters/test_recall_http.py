"""Recall over real HTTP: what is sent, and what each kind of failure becomes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ports.events import NOW
from tests.ports.time import Time

from rtms_relay.adapters import recall_http
from rtms_relay.adapters.recall_http import HttpRecall
from rtms_relay.errors import RecallUnavailable
from rtms_relay.ports import Answer

BASE = "https://us-east-1.recall.ai/api/v1"
Handler = Callable[[httpx.Request], httpx.Response]


class Answering(httpx.AsyncBaseTransport):
    """Answers as `handler` says, with a body that is still to be read, as it comes from a socket."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.closed = 0

    async def aclose(self) -> None:
        self.closed += 1

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._handler(request)
        stream = answer.stream if not answer.is_stream_consumed else httpx.ByteStream(answer.content)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=stream)


def recall(handler: Handler) -> HttpRecall:
    return HttpRecall(BASE, "the-key", Time(NOW), transport=Answering(handler))


async def test_a_create_carries_the_key_and_the_idempotency_key() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json={"id": "m"})

    api = recall(answer)
    result = await api.create(b'{"a":1}', "idem")
    await api.close()
    assert (result.status, json.loads(result.body)) == (201, {"id": "m"})
    [request] = seen
    assert str(request.url) == f"{BASE}/meeting_direct_connect/"
    assert request.content == b'{"a":1}'
    assert request.headers["authorization"] == "Token the-key"
    assert request.headers["accept"] == "application/json"
    assert request.headers["idempotency-key"] == "idem"
    assert request.headers["content-type"] == "application/json"


async def test_reads_have_no_body_and_ids_stay_in_their_place() -> None:
    """Recall's firewall refuses any body on a GET."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    api = recall(answer)
    calls: list[Awaitable[object]] = [
        api.retrieve("a/../b?c"),
        api.recording("r"),
        api.recordings_with_metadata("k", "v w"),
        api.recordings_with_metadata("k", "v", "cur="),
        api.delete_recording("r"),
    ]
    for call in calls:
        await call
    await api.close()
    assert all(request.content == b"" for request in seen)
    assert [(request.method, request.url.raw_path.decode()) for request in seen] == [
        ("GET", "/api/v1/meeting_direct_connect/a%2F..%2Fb%3Fc/"),
        ("GET", "/api/v1/recording/r/"),
        ("GET", "/api/v1/recording/?metadata__k=v+w"),
        ("GET", "/api/v1/recording/?metadata__k=v&cursor=cur%3D"),
        ("DELETE", "/api/v1/recording/r/"),
    ]


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (httpx.ConnectError("x"), "unreachable"),
        (httpx.ConnectTimeout("x"), "unreachable"),
        (httpx.ReadTimeout("x"), "timeout"),
        (httpx.WriteTimeout("x"), "timeout"),
        (httpx.ReadError("x"), "reset"),
        (httpx.RemoteProtocolError("x"), "reset"),
    ],
)
async def test_a_failure_is_an_answer(error: Exception, failure: str) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    api = recall(fail)
    answer = await api.create(b"{}", "k")
    await api.close()
    assert (answer.status, answer.failure) == (0, failure)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        ("3600", 3600.0),
        ("3601", 3600.0),
        ("9" * 400, 3600.0),
        (formatdate(NOW / 1000 + 30, usegmt=True), 30.0),
        (formatdate(NOW / 1000 + 30), 30.0),
        (datetime.fromtimestamp(NOW / 1000 + 30, UTC).strftime("%a %b %d %H:%M:%S %Y"), 30.0),
        (datetime.fromtimestamp(NOW / 1000 + 30 + 7200, UTC).strftime("%a, %d %b %Y %H:%M:%S +0200"), 30.0),
        (formatdate(NOW / 1000 + 3601, usegmt=True), 3600.0),
        (formatdate(NOW / 1000 - 30, usegmt=True), 0.0),
        ("soon", None),
        ("-1", None),
        ("\u0667", None),
    ],
)
async def test_retry_after(header: str, seconds: float | None) -> None:
    api = recall(lambda _: httpx.Response(429, headers=[(b"retry-after", header.encode())]))
    assert (await api.retrieve("m")).retry_after_s == seconds
    await api.close()


@given(
    header=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
    | st.dates().map(lambda d: d.strftime("%a, %d %b %Y 25:00:00 +9999"))
)
def test_retry_after_is_some_seconds_or_nothing_whatever_it_says(header: str) -> None:
    seconds = HttpRecall(BASE, "k", Time(NOW))._retry_after(header)
    assert seconds is None or 0 <= seconds <= 3600


async def test_a_redirect_is_not_followed() -> None:
    api = recall(lambda _: httpx.Response(301, headers={"location": "https://evil.example/"}))
    assert (await api.create(b"{}", "k")).status == 301
    await api.close()


async def test_a_body_without_end_is_cut_off() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1_000_000

    api = recall(lambda _: httpx.Response(200, content=endless()))
    assert len((await api.retrieve("m")).body) == 10_000_000
    await api.close()


async def test_four_large_answers_are_read_at_once_and_small_ones_do_not_wait() -> None:
    """40 of ten megabytes would not fit the memory of a function that handles 40 requests at once."""
    go, reading, most = asyncio.Event(), 0, 0

    async def large() -> AsyncIterator[bytes]:
        nonlocal reading, most
        yield b"x" * 250_000
        yield b"x"
        reading, most = reading + 1, max(most, reading + 1)
        await go.wait()
        reading -= 1

    async def small() -> AsyncIterator[bytes]:
        yield b"x" * 250_000

    api = recall(lambda request: httpx.Response(200, content=small() if request.url.path.endswith("/small/") else large()))
    calls = [asyncio.ensure_future(api.retrieve("large")) for _ in range(12)]
    await asyncio.wait(calls, timeout=0.2)
    assert (reading, sum(call.done() for call in calls)) == (4, 0)
    assert len((await api.retrieve("small")).body) == 250_000
    go.set()
    assert {len((await call).body) for call in calls} == {250_001}
    assert most == 4
    await api.close()


async def test_a_large_answer_that_never_ends_holds_its_place_no_longer_than_its_call() -> None:
    async def large() -> AsyncIterator[bytes]:
        yield b"x" * 250_000
        yield b"x"
        await asyncio.sleep(60)

    api = HttpRecall(BASE, "the-key", Time(NOW), timeout_s=0.05, transport=Answering(lambda _: httpx.Response(201, content=large())))
    answers = [await api.create(b"{}", "k") for _ in range(6)]
    assert [(answer.status, len(answer.body)) for answer in answers] == [(201, 250_001)] * 6
    await api.close()


async def test_a_download_takes_no_key_along() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200 if request.url.path == "/ok" else 403, content=b"bytes")

    api = recall(answer)
    assert b"".join([chunk async for chunk in api.download("https://bucket.example/ok?Signature=x")]) == b"bytes"
    with pytest.raises(RecallUnavailable, match="403"):
        [chunk async for chunk in api.download("https://bucket.example/gone")]
    await api.close()
    assert all("authorization" not in request.headers for request in seen)


def test_the_limits_of_a_download_and_of_a_connection() -> None:
    """50 GB are 30 hours at 3.7 Mbit/s; a minute that brings less than 64 KiB is a stall."""
    assert (recall_http.MAX_BODY, recall_http.MAX_DOWNLOAD) == (10_000_000, 50_000_000_000)
    assert (recall_http.STALL_S, recall_http.STALL_BYTES, recall_http._CONNECT_S) == (60.0, 65_536, 5.0)
    assert (recall_http.SMALL_BODY, recall_http.LARGE_AT_ONCE) == (250_000, 4)
    assert HttpRecall(BASE, "the-key", Time(NOW))._timeout_s == 15.0


async def test_each_call_has_its_method_and_its_path_below_the_root() -> None:
    requests: list[tuple[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append((request.method, str(request.url)))
        return httpx.Response(200, content=b"{}")

    api = HttpRecall("https://proxy.example/X/", "the-key", Time(NOW), transport=Answering(answer))
    await api.create(b"{}", "k")
    await api.retrieve("m")
    await api.recording("r")
    await api.recordings_with_metadata("k", "v", "c")
    await api.delete_recording("r")
    assert [chunk async for chunk in api.download("https://bucket.example/a")] == [b"{}"]
    await api.close()
    root = "https://proxy.example/X"
    assert requests == [
        ("POST", f"{root}/meeting_direct_connect/"),
        ("GET", f"{root}/meeting_direct_connect/m/"),
        ("GET", f"{root}/recording/r/"),
        ("GET", f"{root}/recording/?metadata__k=v&cursor=c"),
        ("DELETE", f"{root}/recording/r/"),
        ("GET", "https://bucket.example/a"),
    ]


@pytest.mark.parametrize(
    ("encoding", "read"),
    [("", True), ("identity", True), ("Identity, ,identity", True), ("gzip, identity", False), ("identity,gzip", False), ("br", False)],
)
async def test_only_a_body_that_is_not_packed_is_read(encoding: str, read: bool) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        packed = httpx.Response(200, stream=httpx.ByteStream(b"{}"))
        packed.headers["content-encoding"] = encoding
        return packed

    api = HttpRecall(BASE, "the-key", Time(NOW), transport=httpx.MockTransport(answer))
    assert await api.retrieve("m") == Answer(200, b"{}" if read else b"")
    await api.close()


# Limits of the client


async def test_every_wait_of_a_call_has_its_limit() -> None:
    """Five seconds to connect, and less where the whole call has less: the rest is for the answer."""
    waits: list[dict[str, float | None]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        waits.append(request.extensions["timeout"])
        return httpx.Response(200, content=b"{}")

    for limit in (15.0, 2.0):
        api = HttpRecall(BASE, "the-key", Time(NOW), timeout_s=limit, transport=Answering(answer))
        await api.retrieve("m")
        assert [chunk async for chunk in api.download("https://bucket.example/a")] == [b"{}"]
        await api.close()
    fifteen, minute, two, again = waits
    assert fifteen == {"connect": 5.0, "read": 15.0, "write": 15.0, "pool": 15.0}
    assert two == {"connect": 1.6, "read": 2.0, "write": 2.0, "pool": 2.0}
    assert minute == again == {"connect": 5.0, "read": 60.0, "write": 60.0, "pool": 60.0}


def test_the_client_follows_nothing_and_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    clients: list[dict[str, Any]] = []
    monkeypatch.setattr(recall_http.httpx, "AsyncClient", lambda **given: clients.append(given) or given)
    api = HttpRecall(BASE, "the-key", Time(NOW))
    assert api._http() is api._http()
    [given] = clients
    assert (given["follow_redirects"], given["trust_env"]) == (False, False)
    assert given["limits"] == httpx.Limits(max_connections=100, max_keepalive_connections=20)


async def test_a_close_closes_the_connections_and_further_use_connects_again() -> None:
    transport = Answering(lambda _: httpx.Response(200, content=b"{}"))
    api = HttpRecall(BASE, "the-key", Time(NOW), transport=transport)
    await api.close()
    assert transport.closed == 0
    for closed in (1, 2):
        assert (await api.retrieve("m")).status == 200
        await api.close()
        assert transport.closed == closed


@pytest.mark.parametrize(
    ("name", "part"), [(".", "%2E"), ("..", "%2E%2E"), ("...", "%2E%2E%2E"), (".a", ".a"), ("a/b c", "a%2Fb%20c"), ("", "")]
)
async def test_a_name_of_dots_is_no_folder_above(name: str, part: str) -> None:
    paths: list[bytes] = []
    api = recall(lambda request: paths.append(request.url.raw_path) or httpx.Response(200, content=b"{}"))
    await api.recording(name)
    await api.close()
    assert paths == [f"/api/v1/recording/{part}/".encode()]


@pytest.mark.parametrize(("port", "why"), [(0, "InvalidURL"), (1, None), (65_535, None), (65_536, "InvalidURL"), (99_999, "InvalidURL")])
async def test_a_link_has_a_port_that_a_socket_can_have(port: int, why: str | None) -> None:
    api = recall(lambda _: httpx.Response(200, content=b"bytes"))
    download = api.download(f"https://bucket.example:{port}/x")
    if why is None:
        assert [chunk async for chunk in download] == [b"bytes"]
    else:
        with pytest.raises(RecallUnavailable, match=f"^the download broke off: {why}$"):
            await anext(download)
    await api.close()


# A download that is slow

PIECES: list[tuple[list[tuple[float, int]], bool]] = [
    ([(59.9, 65_536), (59.9, 65_536)], True),
    ([(1.0, 65_536), (59.9, 65_536)], True),
    ([(30.0, 65_535), (29.9, 1), (59.9, 65_536)], True),
    ([(30.0, 65_536), (30.1, 1)], True),
    ([(10.0, 1)] * 5, True),
    ([(60.1, 65_536)], False),
    ([(30.0, 65_535), (30.1, 1)], False),
    ([(30.0, 65_536), (30.0, 65_535), (30.1, 1)], False),
    ([(10.0, 1)] * 7, False),
]
"""Seconds before each piece and its bytes; whether the download is whole."""


@pytest.mark.parametrize(("pieces", "whole"), PIECES)
async def test_a_minute_that_brings_less_than_64_kib_is_a_stall(
    monkeypatch: pytest.MonkeyPatch, pieces: list[tuple[float, int]], whole: bool
) -> None:
    loop, passed = asyncio.get_running_loop(), 1000.0
    monkeypatch.setattr(loop, "time", lambda: passed)

    async def body() -> AsyncIterator[bytes]:
        nonlocal passed
        for seconds, size in pieces:
            passed += seconds
            for _ in range(3):  # a time limit that is over now is told first
                await asyncio.sleep(0)
            yield b"x" * size

    api = recall(lambda _: httpx.Response(200, content=body()))
    sizes: list[int] = []
    download = api.download("https://bucket.example/a")
    if whole:
        sizes.extend([len(chunk) async for chunk in download])
        assert sizes == [size for _, size in pieces]
    else:
        with pytest.raises(RecallUnavailable, match=r"^the download stalled$"):
            sizes.extend([len(chunk) async for chunk in download])
    await api.close()
