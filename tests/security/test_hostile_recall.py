"""A Recall, or a bucket, that means harm or is broken, over real sockets: no answer costs more time or memory than the limits say."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import time
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest

from rtms_relay import recall
from rtms_relay.adapters import recall_http
from rtms_relay.adapters.recall_http import HttpRecall
from rtms_relay.adapters.system import SystemClock
from rtms_relay.errors import RecallUnavailable
from rtms_relay.ports import Answer

Talk = Callable[[asyncio.StreamWriter], Awaitable[None]]
TIMEOUT_S = 1.0
LATE_S = 1.0  # what a busy machine may add
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class Server:
    """Answers each request with `talk`, on a loopback port. `heads` are the requests' first lines and headers."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.heads: list[bytes] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._talks: set[asyncio.Task[None]] = set()
        self._connections: set[asyncio.Task[None]] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        self._open.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            # A task of its own: asyncio logs a connection's task that was cancelled.
            talk = asyncio.ensure_future(self._answer(writer))
            self._talks.add(talk)
            await asyncio.wait({talk})
            if not talk.cancelled():
                talk.result()
        writer.close()

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        """Close right after the last piece, or the client sends its next request on this connection."""
        await self._talk(writer)
        writer.close()

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._open:
            writer.close()
        for talk in self._talks:
            talk.cancel()
        if self._connections:
            await asyncio.wait(self._connections)


@contextlib.asynccontextmanager
async def against(talk: Talk, **limits: float) -> AsyncGenerator[tuple[HttpRecall, Server]]:
    async with Server(talk) as server:
        api = HttpRecall(server.url + "/api/v1", "the-key", SystemClock(), timeout_s=TIMEOUT_S, **limits)  # ty: ignore[invalid-argument-type]
        try:
            yield api, server
        finally:
            await api.close()


def sending(*pieces: bytes, pause_s: float = 0.0, forever: bytes = b"") -> Talk:
    async def talk(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        while forever:
            writer.write(forever)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return talk


SLOW = {
    "nothing": sending(b"", pause_s=60),
    "a status line that drips": sending(*[bytes([c]) for c in HEAD * 20], pause_s=0.1),
    "headers that drip": sending(b"HTTP/1.1 200 OK\r\n", pause_s=0.1, forever=b"X-A: b\r\n"),
    "informational answers without end": sending(pause_s=0.02, forever=b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body that drips": sending(HEAD + b"Content-Length: 1000\r\n\r\n", pause_s=0.1, forever=b" "),
    "chunks that drip": sending(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", pause_s=0.1, forever=b"1\r\nx\r\n"),
}


@pytest.mark.parametrize("kind", SLOW)
async def test_a_call_ends_in_time_whatever_drips(kind: str) -> None:
    async with against(SLOW[kind]) as (api, _):
        began = time.monotonic()
        answer = await asyncio.wait_for(api.create(b"{}", "k"), 10)
        took = time.monotonic() - began
    assert TIMEOUT_S * 0.9 <= took < TIMEOUT_S + LATE_S
    assert answer.failure == ("timeout" if "bod" not in kind and "chunks" not in kind else None)


async def test_a_created_answer_whose_body_never_ends_is_still_a_created_one() -> None:
    async with against(sending(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n", pause_s=0.2, forever=b"{")) as (api, _):
        answer = await api.create(b"{}", "k")
    assert answer.status == 201


async def test_no_content_encoding_is_asked_for_or_unpacked() -> None:
    bomb = gzip.compress(gzip.compress(b"\0" * 100_000_000))
    packed = HEAD + b"Content-Encoding: gzip, gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    async with against(sending(packed + bomb)) as (api, server):
        tracemalloc.start()
        answer = await api.retrieve("m")
        with pytest.raises(RecallUnavailable, match="content-encoding"):
            [chunk async for chunk in api.download(server.url + "/x")]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (answer.status, answer.body) == (200, b"")
    assert peak < 2_000_000
    assert all(b"accept-encoding: identity\r\n" in head.lower() for head in server.heads)
    assert len(server.heads) == 2


async def test_identity_is_no_encoding() -> None:
    async with against(sending(HEAD + b"Content-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}")) as (api, _):
        assert (await api.retrieve("m")).body == b"{}"


async def test_a_body_without_end_is_cut_off_at_ten_megabytes() -> None:
    chunk = b"fffff\r\n" + b"x" * 0xFFFFF + b"\r\n"
    async with against(sending(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", forever=chunk)) as (api, _):
        api._timeout_s = 20.0
        tracemalloc.start()
        answer = await api.retrieve("m")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert len(answer.body) == 10_000_000
    assert peak < 40_000_000


async def test_headers_without_end_are_refused() -> None:
    async with against(sending(b"HTTP/1.1 200 OK\r\n", forever=b"X-A: " + b"b" * 8000 + b"\r\n")) as (api, _):
        tracemalloc.start()
        answer = await api.create(b"{}", "k")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert answer == Answer(0, failure="reset")
    assert peak < 10_000_000


@pytest.mark.parametrize("cut", [b"", b"HTTP/1.1 2", HEAD, HEAD + b"Content-Length: 9\r\n\r\n{", b"\0\0\0", b"HTTP/1.1 abc\r\n\r\n"])
async def test_an_answer_that_is_cut_is_no_answer(cut: bytes) -> None:
    async with against(sending(cut)) as (api, _):
        assert (await api.create(b"{}", "k")).failure == "reset"


async def test_nobody_there_is_unreachable() -> None:
    async with Server(sending()) as server:
        url = server.url
    api = HttpRecall(url, "the-key", SystemClock(), timeout_s=TIMEOUT_S)
    assert await api.create(b"{}", "k") == Answer(0, failure="unreachable")
    await api.close()


# Downloads


async def test_a_download_has_a_size_cap_declared_or_not() -> None:
    for head in (b"Content-Length: 1000000\r\n\r\n", b"\r\n"):
        async with against(sending(b"HTTP/1.1 200 OK\r\n" + head, forever=b"x" * 1000), max_download=100_000) as (api, server):
            sizes: list[int] = []
            with pytest.raises(RecallUnavailable, match="over 100000 bytes"):
                [sizes.append(len(chunk)) async for chunk in api.download(server.url + "/x")]
            assert 0 < sum(sizes) <= 100_000


async def test_a_download_of_just_the_cap_is_whole() -> None:
    async with against(sending(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000), max_download=1000) as (api, server):
        assert len(b"".join([chunk async for chunk in api.download(server.url + "/x")])) == 1000


@pytest.mark.parametrize("forever", [b"x", b""])
async def test_a_download_that_drips_or_stops_has_stalled(forever: bytes) -> None:
    talk = sending(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhalf", pause_s=0.1 if forever else 30.0, forever=forever)
    async with against(talk, stall_s=0.5) as (api, server):
        began = time.monotonic()
        with pytest.raises(RecallUnavailable, match=r"stalled|broke off"):
            async with asyncio.timeout(10):
                [chunk async for chunk in api.download(server.url + "/x")]
        assert 0.4 < time.monotonic() - began < 0.5 + LATE_S


@pytest.mark.parametrize("kind", SLOW)
async def test_a_download_ends_in_time_whatever_drips(kind: str) -> None:
    async with against(SLOW[kind], stall_s=0.5) as (api, server):
        began = time.monotonic()
        with pytest.raises(RecallUnavailable, match=r"stalled|broke off"):
            async with asyncio.timeout(10):
                [chunk async for chunk in api.download(server.url + "/x")]
        assert 0.4 < time.monotonic() - began < 2 * 0.5 + LATE_S


async def test_a_slow_reader_stalls_no_download() -> None:
    body = b"x" * (3 * recall_http.STALL_BYTES)
    async with against(sending(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body), stall_s=0.5) as (api, server):
        read = b""
        async for chunk in api.download(server.url + "/x"):
            read += chunk
            await asyncio.sleep(0.2)
    assert read == body


async def test_a_download_that_breaks_off_is_no_finished_one() -> None:
    async with against(sending(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")) as (api, server):
        with pytest.raises(RecallUnavailable, match="broke off"):
            [chunk async for chunk in api.download(server.url + "/x")]


@pytest.mark.parametrize("url", ["http://[::1", "http://x\x00y/", "ftp://127.0.0.1/x", "/etc/passwd", "", "http://127.0.0.1:99999/"])
async def test_a_link_that_is_none_is_an_error_of_ours(url: str) -> None:
    api = HttpRecall("http://127.0.0.1:1", "the-key", SystemClock(), timeout_s=TIMEOUT_S)
    with pytest.raises(RecallUnavailable):
        [chunk async for chunk in api.download(url)]
    await api.close()


# The environment


async def test_proxies_and_netrc_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with (
        Server(sending(HEAD + b"Content-Length: 2\r\n\r\n{}")) as proxy,
        against(sending(HEAD + b"Content-Length: 2\r\n\r\n{}")) as (api, server),
    ):
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        assert (await api.retrieve("m")).status == 200
        assert [chunk async for chunk in api.download(server.url + "/x")] == [b"{}"]
    assert proxy.heads == []
    called, downloaded = server.heads
    assert b"authorization: token the-key\r\n" in called.lower()
    assert b"authorization" not in downloaded.lower()


@pytest.mark.parametrize("odd", ["../admin", "a/b", "a?b=c", "a#b", "a%2fb", "..", "a\r\nX: y", "a b", "\u65e5"])
async def test_an_id_stays_one_part_of_the_path(odd: str) -> None:
    async with against(sending(HEAD + b"Content-Length: 2\r\n\r\n{}")) as (api, server):
        for call in (api.retrieve(odd), api.recording(odd), api.delete_recording(odd)):
            assert (await call).status == 200
    paths = [head.split(b" ")[1] for head in server.heads]
    assert [path.count(b"/") for path in paths] == [5, 5, 5]
    assert not any(mark in path for path in paths for mark in (b"?", b"#"))
    assert all(path.startswith((b"/api/v1/meeting_direct_connect/", b"/api/v1/recording/")) for path in paths)


# Error bodies

KILOBYTES_64 = {
    "<": b"<" * 65_536,
    "<style": b"<style" * 10_922,
    "<style>": b"<style>" * 9_362,
    "<script></scr": b"<script></scr" * 5_041,
    "letters": b"x" * 65_535 + b" ",
    "letters, over the limit": b"x" * 70_000 + b" y",
    "short words": b"x" * 23 + b" ",
    "marks": b"?" * 65_536,
    "hexadecimal": (b"a" * 31 + b"-") * 2048,
    "links": b"https://" * 8192,
}


@pytest.mark.parametrize("kind", KILOBYTES_64)
def test_an_excerpt_of_a_hostile_error_body_takes_no_time(kind: str) -> None:
    began = time.process_time()
    recall.excerpt(KILOBYTES_64[kind])
    recall.excerpt(b"<p>" + KILOBYTES_64[kind])
    assert time.process_time() - began < 0.3
