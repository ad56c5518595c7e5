"""The WebSocket servers of Zoom's side: a thin asyncio driver over `websockets`' sans-I/O protocol (no origin, host or path checks).

It owns bytes, limits and time-outs; what messages mean is `protocol`'s business. Limits: a message of at most 64 KiB, at most
`max_messages_per_s` of them, a write buffer that is bounded because a reader who stalls is cut off. Those guards run on real time.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from rtms_simulator.zoom.rtms.handshake import MAX_MESSAGE_BYTES

_SLICE_BYTES = 4096
_BATCH_BYTES = 32 * 1024
SUBPROTOCOL = Subprotocol("websocket")  # what Zoom's own client offers
_QUIET = logging.getLogger("rtms_simulator.zoom.rtms.server.frames")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may take. Seconds are real ones."""

    message_bytes: int = MAX_MESSAGE_BYTES
    max_messages_per_s: int = 500
    write_buffer_bytes: int = 8 * 1024 * 1024
    close_s: float = 2.0
    half_open_s: float = 15.0
    """[?] How long a connection may stay without a handshake."""


DEFAULT_LIMITS = ConnectionLimits()


class MessageRate:
    """A bucket that is refilled at `per_s` and holds two seconds' worth: what counts is the rate, not how many there ever were."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._left = 2.0 * per_s
        self._at: float | None = None

    def allows(self, now: float) -> bool:
        """Whether one more message may come at `now` (seconds, monotonic)."""
        if self._at is not None:
            self._left = min(2.0 * self._per_s, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class ConnectionHandler(Protocol):
    """Who gives the connections a meaning."""

    def refuse(self, path: str) -> int | None:
        """An HTTP status to answer instead of 101, or None. Only called for well-formed upgrades."""
        ...

    def opened(self, socket: RtmsSocket) -> None:
        """The upgrade was answered with 101; `socket.path` is known."""
        ...

    def received(self, socket: RtmsSocket, raw: bytes) -> None: ...

    def lost(self, socket: RtmsSocket) -> None: ...


def _offered(_protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return SUBPROTOCOL if SUBPROTOCOL in offered else None


def encode_frame(payload: bytes, *, binary: bool = False) -> bytes:
    """A whole server frame. Servers do not mask, so one encoded frame serves every connection."""
    return Frame(Opcode.BINARY if binary else Opcode.TEXT, payload).serialize(mask=False)


class RtmsSocket(asyncio.Protocol):
    """One WebSocket connection of a client."""

    def __init__(self, hub: ConnectionHandler, number: int, limits: ConnectionLimits, *, binary: bool) -> None:
        self.number = number
        self.path = ""
        self.bound = False
        """Whether the RTMS handshake passed; until then the connection may be half open only for a while."""
        self._hub = hub
        self._limits = limits
        self._binary = binary
        self._ws = ServerProtocol(subprotocols=[SUBPROTOCOL], select_subprotocol=_offered, max_size=limits.message_bytes, logger=_QUIET)
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes | bytearray | memoryview] = []
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = asyncio.Event()
        self._timers: list[asyncio.TimerHandle] = []
        self._deaf = False
        """Set by a flood: nothing more is read, so the close is not waited for beyond `close_s`."""
        self._rate = MessageRate(limits.max_messages_per_s)
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self._pongs: list[asyncio.Future[None]] = []

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._later(self._limits.half_open_s, self._give_up_half_open)

    def data_received(self, data: bytes) -> None:
        # In slices, so that a flood is noticed before all of it has been parsed.
        for start in range(0, len(data), _SLICE_BYTES):
            if self._ws.state is State.CLOSED or self._deaf or self._gone.is_set():
                return
            self._ws.receive_data(data[start : start + _SLICE_BYTES])
            self._after_reading()

    def eof_received(self) -> bool:
        self._ws.receive_eof()
        self._after_reading()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # What the RTMS side uses

    @property
    def open(self) -> bool:
        return self._ws.state is State.OPEN and not self._gone.is_set()

    @property
    def congested(self) -> bool:
        """Whether the reader is behind, so that `drain` would wait."""
        return not self._writable.is_set()

    def send(self, payload: bytes) -> None:
        """One message."""
        self.send_frame(encode_frame(payload, binary=self._binary))

    def send_frame(self, frame: bytes) -> None:
        """One message that `encode_frame` made. Nothing happens on a closed connection; a reader who lets the buffer fill is cut off."""
        if self._transport is None or self._ws.state is not State.OPEN:
            return
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._write_out)
        self._outgoing.append(frame)
        self._outgoing_bytes += len(frame)
        if self._outgoing_bytes > _BATCH_BYTES:
            self._write_out()

    def _write_out(self) -> None:
        """Frames of one turn of the loop go out in one piece: most of a frame's cost is the system call."""
        if not self._outgoing:
            return
        frames, self._outgoing, self._outgoing_bytes = self._outgoing, [], 0
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(frames[0] if len(frames) == 1 else b"".join(frames))
        if self._transport.get_write_buffer_size() > self._limits.write_buffer_bytes:
            self.abort()

    async def drain(self) -> None:
        """Return when the reader has caught up or is gone."""
        await self._writable.wait()

    async def answered(self) -> None:
        """Return when the client has answered a ping, that is has read everything sent so far, or is gone."""
        if not self.open:
            return
        future = asyncio.get_running_loop().create_future()
        self._pongs.append(future)
        self._ws.send_ping(b"")
        self._flush()
        await future

    async def wait_closed(self) -> None:
        await self._gone.wait()

    def close(self, code: int) -> None:
        """Close with a frame; a client that does not close too within `close_s` is cut off."""
        if self._ws.state is State.OPEN:
            self._ws.send_close(code)
            self._flush()
            self._later(self._limits.close_s, self.abort)
        elif self._ws.state is State.CONNECTING:
            self.abort()

    def abort(self) -> None:
        """Break the connection without a close frame."""
        if self._transport is not None:
            self._transport.abort()
        self._end()

    # Reading

    def _after_reading(self) -> None:
        for event in self._ws.events_received():
            if isinstance(event, Request):
                self._upgrade(event)
            elif isinstance(event, Frame):
                self._guarded_frame(event)
        self._flush()
        if self._ws.handshake_exc is not None or self._ws.close_expected():
            self._later(self._limits.close_s, self.abort)

    def _upgrade(self, request: Request) -> None:
        self.path = request.path
        response = self._ws.accept(request)
        if response.status_code == 101:
            status = self._hub.refuse(request.path)
            if status is not None:
                response = self._ws.reject(status, "")
        self._ws.send_response(response)
        if response.status_code == 101:
            self._flush()  # messages must not overtake the answer
            self._hub.opened(self)

    def _guarded_frame(self, frame: Frame) -> None:
        """Every frame counts, control frames as well: a flood of pings is one, too."""
        if self._deaf or not self._rate.allows(asyncio.get_running_loop().time()):
            if not self._deaf:
                self._deaf = True
                self.close(CloseCode.POLICY_VIOLATION)
            return
        self._frame(frame)

    def _frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PONG:
            self._release_pongs()
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT) or not self.open:
            return
        if not frame.fin or self._parts:
            self._parts.append(frame.data)
            if not frame.fin:
                return
            message = b"".join(self._parts)
            self._parts.clear()
        else:
            message = bytes(frame.data)
        if self._deaf:
            return
        self._hub.received(self, message)

    # Time-outs and the end

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, act))

    def _give_up_half_open(self) -> None:
        if not self.bound:
            self.close(CloseCode.POLICY_VIOLATION)

    def _flush(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._write_out()
        for data in self._ws.data_to_send():
            if data is not SEND_EOF:
                self._transport.write(data)
            elif self._transport.can_write_eof():
                self._transport.write_eof()
            else:  # TLS has no half-close
                self._transport.close()

    def _release_pongs(self) -> None:
        for future in self._pongs:
            if not future.done():
                future.set_result(None)
        self._pongs.clear()

    def _end(self) -> None:
        if self._gone.is_set():
            return
        self._gone.set()
        self._writable.set()
        self._release_pongs()
        for timer in self._timers:
            timer.cancel()
        self._hub.lost(self)


class RtmsServer:
    """Accepts RTMS connections on one port. `host` is also the name in its URLs, which must be a DNS name for wss.

    Zoom's own client never accepts a certificate for an IP address, so wss URLs say `localhost`.
    """

    def __init__(
        self,
        hub: ConnectionHandler,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        binary: bool = False,
        limits: ConnectionLimits = DEFAULT_LIMITS,
    ) -> None:
        self._hub = hub
        self._host = host
        self._port = port
        self._tls = tls
        self._binary = binary
        self._limits = limits
        self._numbers = itertools.count(1)
        self._server: asyncio.Server | None = None
        self.sockets: set[RtmsSocket] = set()

    async def start(self) -> None:
        """Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, self._host, self._port, ssl=self._tls, backlog=1024)
        self._port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for socket in list(self.sockets):
            socket.abort()
        await self._server.wait_closed()
        self._server = None

    @property
    def base_url(self) -> str:
        """`ws://127.0.0.1:PORT` or `wss://localhost:PORT`."""
        return f"wss://localhost:{self._port}" if self._tls else f"ws://{self._host}:{self._port}"

    def _accept(self) -> RtmsSocket:
        socket = RtmsSocket(_TrackingHandler(self, self._hub), next(self._numbers), self._limits, binary=self._binary)
        self.sockets.add(socket)
        return socket


@dataclass(frozen=True, slots=True)
class _TrackingHandler:
    """The hub, with the server's own book of connections kept."""

    server: RtmsServer
    hub: ConnectionHandler

    def refuse(self, path: str) -> int | None:
        return self.hub.refuse(path)

    def opened(self, socket: RtmsSocket) -> None:
        self.hub.opened(socket)

    def received(self, socket: RtmsSocket, raw: bytes) -> None:
        self.hub.received(socket, raw)

    def lost(self, socket: RtmsSocket) -> None:
        self.server.sockets.discard(socket)
        self.hub.lost(socket)
