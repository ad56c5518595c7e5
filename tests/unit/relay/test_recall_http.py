"""Recall over real HTTP: what is sent, and what each kind of failure becomes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import formatdate

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ports.events import NOW
from tests.ports.time import Time

from rtms_relay.adapters import recall_http
from rtms_relay.adapters.recall_http import HttpRecall
from rtms_relay.errors import RecallUnavailable

BASE = "https://us-east-1.recall.ai/api/v1"
Handler = Callable[[httpx.Request], httpx.Response]


class Answering(httpx.AsyncBaseTransport):
    """Answers as `handler` says, with a body that is still to be read, as it comes from a socket."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

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
        ("7", 7.0),
        ("999999", 3600.0),
        (formatdate(NOW / 1000 + 30, usegmt=True), 30.0),
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
