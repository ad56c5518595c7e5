"""The fake as an HTTPS proxy: `CONNECT` to a host of Recall ends at a TLS listener of ours, everything else is plain HTTP as before.

A connection is looked at until it is clear whether it begins with CONNECT; then uvicorn's protocol has it, or the tunnel.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Any

import msgspec

from rtms_simulator.clock import Clock
from rtms_simulator.recall.http.front.proxy import ProxyRefusal, connect_refusal
from rtms_simulator.serving.background import BackgroundTasks
from rtms_simulator.serving.tls_front import pump

_METHOD = b"CONNECT "
_LONGEST_HEAD = 16 * 1024
_HEAD_TIMEOUT_S = 10.0
_PIECE = 64 * 1024
_TLS_HANDSHAKE = 0x16  # the first byte of a TLS record that begins a handshake (RFC 8446, 5.1)
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_NOT_TLS = ProxyRefusal(400, "proxy_not_tls", "inside this tunnel Recall speaks TLS; plain HTTP goes to the proxy's own address")
_BAD_HEAD = ProxyRefusal(400, "proxy_request", "a CONNECT request is `CONNECT host:port HTTP/1.1`, header lines and an empty line")
_TEXTS = {400: "Bad Request", 403: "Forbidden", 502: "Bad Gateway"}


class Tunnels:
    """The tunnels of one server. `tls_address` gives host and port of the TLS listener. They run on real time."""

    def __init__(self, clock: Clock, tls_address: Callable[[], tuple[str, int]]) -> None:
        self._clock = clock
        self._tls_address = tls_address
        self._tasks = BackgroundTasks()
        self.undecided: set[asyncio.Transport] = set()  # connections that have not said yet what they are

    def protocol(self, plain: type[asyncio.Protocol]) -> type[asyncio.Protocol]:
        """A protocol class for uvicorn: `plain`, unless the connection begins with CONNECT."""
        tunnels = self

        class ConnectOrPlain(_ConnectOrPlain):
            def __init__(self, *args: Any, **keywords: Any) -> None:
                super().__init__(tunnels, lambda: plain(*args, **keywords))

        return ConnectOrPlain

    async def aclose(self) -> None:
        """Cut every tunnel, and every connection that has not said yet what it is."""
        for transport in list(self.undecided):
            transport.abort()
        await self._tasks.aclose()

    def begin(self, transport: asyncio.Transport, received: bytes) -> None:
        """Take a connection that begins with CONNECT; `received` came already."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_LONGEST_HEAD, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        reader.feed_data(received)
        self._tasks.start(self._serve(reader, asyncio.StreamWriter(transport, protocol, reader, loop)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            refusal = await self._clock.wait_for(_read_head(reader), _HEAD_TIMEOUT_S)
            if refusal is None:
                writer.write(ESTABLISHED)
                await writer.drain()
                refusal = await self._connect(reader, writer)
            if refusal is not None:
                writer.write(_answer(refusal))
                await writer.drain()
        except (OSError, TimeoutError):
            pass  # the client left, or says nothing
        finally:
            writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> ProxyRefusal | None:
        first = await reader.read(_PIECE)
        if not first:
            return None
        if first[0] != _TLS_HANDSHAKE:
            return _NOT_TLS
        inner_reader, inner_writer = await asyncio.open_connection(*self._tls_address())
        try:
            inner_writer.write(first)
            async with asyncio.TaskGroup() as both:
                upwards = both.create_task(pump(reader, inner_writer))
                await pump(inner_reader, writer)
                upwards.cancel()
        except* OSError:
            # What a fault script did to the inner connection happens to the client's too.
            _reset(writer)
        finally:
            inner_writer.close()
        return None


class _ConnectOrPlain(asyncio.Protocol):
    """One connection, until its first bytes say what it is."""

    def __init__(self, tunnels: Tunnels, plain: Callable[[], asyncio.Protocol]) -> None:
        self._tunnels = tunnels
        self._plain = plain
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._tunnels.undecided.add(transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        if self._received.startswith(_METHOD):
            self._tunnels.undecided.discard(self._transport)
            self._tunnels.begin(self._transport, self._received)
        elif not _METHOD.startswith(self._received):
            self._hand_over(self._transport).data_received(self._received)

    def eof_received(self) -> bool | None:
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._tunnels.undecided.discard(self._transport)

    def _hand_over(self, transport: asyncio.Transport) -> asyncio.Protocol:
        self._tunnels.undecided.discard(transport)
        plain = self._plain()
        transport.set_protocol(plain)
        plain.connection_made(transport)
        return plain


async def _read_head(reader: asyncio.StreamReader) -> ProxyRefusal | None:
    """Read a CONNECT request to its empty line, and judge it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return _BAD_HEAD
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        return _BAD_HEAD
    return connect_refusal(words[1])


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _answer(refusal: ProxyRefusal) -> bytes:
    body = msgspec.json.encode({"error": refusal.error, "reason": refusal.reason})
    head = f"HTTP/1.1 {refusal.status} {_TEXTS[refusal.status]}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"connection: close\r\n\r\n" + body
