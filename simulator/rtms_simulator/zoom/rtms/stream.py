"""One live RTMS stream: the protocol's effects carried out on sockets, webhooks and media (docs/evidence/zoom.md C4).

The protocol decides, this moves bytes. What went over each socket is kept in a traffic log; what media was sent is counted and hashed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import msgspec

from rtms_simulator.clock import Clock
from rtms_simulator.faults import FaultBook
from rtms_simulator.serving.background import BackgroundTasks
from rtms_simulator.zoom.media import MediaPacket
from rtms_simulator.zoom.meeting.pauses import Pauses
from rtms_simulator.zoom.meeting.timeline import MediaFlow, MeetingTimeline
from rtms_simulator.zoom.rtms.enums import MEDIA_KEYS, SINGLE_MEDIA_TYPES, MediaType, MessageType, SessionState, StopReason, StreamState
from rtms_simulator.zoom.rtms.handshake import HandshakeRequest
from rtms_simulator.zoom.rtms.messages import media_message
from rtms_simulator.zoom.rtms.protocol import StreamProtocol
from rtms_simulator.zoom.rtms.server import RtmsSocket
from rtms_simulator.zoom.rtms.states import (
    CloseConnection,
    EventsSubscribed,
    ProtocolEffect,
    ProtocolViolation,
    SelectVideo,
    SendMessage,
    SendWebhook,
    StartMedia,
)

_LOG_KEPT = 10_000
READ_SO_FAR_S = 10.0
"""How long a meeting that waits for its reader waits for it to have read what was sent so far."""


class MediaPackets(Protocol):
    """Where media comes from; `rtms_simulator.zoom.media.MediaSource` is one."""

    def packets(
        self, media_type: int, params: Mapping[str, Any], *, start_ms: int = 0, user_id: int | None = None
    ) -> Iterator[MediaPacket]: ...


@dataclass(slots=True)
class SentMedia:
    """What was sent of one kind of media: packets, bytes (`size`, before base64) and the SHA-256 over them in order."""

    packets: int = 0
    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256, repr=False)

    @property
    def sha256(self) -> str:
        return self.digest.hexdigest()

    def count(self, data: bytes) -> None:
        self.packets += 1
        self.size += len(data)
        self.digest.update(data)


@dataclass(frozen=True, slots=True)
class TrafficLine:
    """One line of the traffic log: a control message, media excluded. `out` is from Zoom to the app."""

    at_ms: int
    conn: int
    what: str
    out: bool
    message: str


@dataclass(slots=True, kw_only=True)
class MeetingContext:
    """What all streams of one meeting have in common."""

    clock: Clock
    timeline: MeetingTimeline
    source: MediaPackets
    epoch_ms: int
    changed: Callable[[], None]
    """Something happened on a stream."""
    subscribed: Callable[[LiveStream, tuple[int, ...]], None]
    """An app asked for these events and may get the present state."""


class LiveStream:
    """Drives one `StreamProtocol`. `announce` sends a webhook; it is called in order and must not block."""

    def __init__(
        self, protocol: StreamProtocol, context: MeetingContext, announce: Callable[[SendWebhook], None], faults: FaultBook
    ) -> None:
        self.protocol = protocol
        self.faults = faults
        """What is to go wrong with its handshakes."""
        self.slow_close_s = 0.0
        self.closed_slowly = False
        """A fault: how long the sockets stay open after the end."""
        self.sent: dict[str, SentMedia] = {}
        self.traffic: list[TrafficLine] = []
        self.violations: list[ProtocolViolation] = []
        self.problem: str | None = None
        """Why the simulator itself gave the stream up."""
        self.joined_at: float | None = None
        self.ended_at: float | None = None
        self.keep_alives = 0
        self._context = context
        self._announce = announce
        self._sockets: dict[int, RtmsSocket] = {}
        self._resume_ms: dict[tuple[MediaType, int | None], int] = {}
        """Per kind, and participant of individual video: the first moment that has not been sent."""
        self._flows: dict[int, dict[MediaType, asyncio.Task[None]]] = {}
        self._video_params: dict[int, Mapping[str, Any]] = {}
        self._timer: asyncio.Task[None] | None = None
        self._armed_for: float | None = None
        self._broken_off = False
        self._pauses = Pauses()
        self._tasks = BackgroundTasks()
        self._arm()

    # From the sockets

    def greet(self, socket: RtmsSocket, hello: HandshakeRequest, raw: bytes) -> bool:
        """A handshake. Returns whether the connection is part of this stream now."""
        self._sockets[socket.number] = socket
        self._log(socket.number, raw, out=False)
        self._apply(self.protocol.greet(socket.number, hello, self._context.clock.now()))
        accepted = socket.number in self.protocol.connections
        if not accepted:
            self._sockets.pop(socket.number, None)
        return accepted

    def received(self, socket: RtmsSocket, raw: bytes) -> None:
        if self._broken_off:
            return
        self._log(socket.number, raw, out=False)
        self._apply(self.protocol.receive(socket.number, raw, self._context.clock.now()))

    def lost(self, socket: RtmsSocket) -> None:
        self._sockets.pop(socket.number, None)
        self._stop_flows(socket.number)
        if self._broken_off:
            return
        self._apply(self.protocol.lost(socket.number, self._context.clock.now()))

    # From the meeting

    def act(self, effects: list[ProtocolEffect]) -> None:
        """Carry out what a host's action or a fault gave (`protocol.stop(...)` and the like)."""
        self._apply(effects)

    def pause(self, at_ms: int) -> None:
        """The host pauses at that moment of the meeting: what is of later moments is never sent, whenever its turn comes."""
        self._apply(self.protocol.pause(self._context.clock.now()))
        if self.protocol.session_state is SessionState.PAUSED:
            self._pauses.begin(at_ms)

    def resume(self, at_ms: int) -> None:
        """The host resumes."""
        self._apply(self.protocol.resume(self._context.clock.now()))
        if self.protocol.session_state is not SessionState.PAUSED:
            self._pauses.end(at_ms)

    @property
    def attended(self) -> bool:
        """Whether a reader is there for everything: media flows, or the stream is over."""
        if self.protocol.state in (StreamState.TERMINATING, StreamState.TERMINATED):
            return True
        return self.protocol.state not in (StreamState.INACTIVE, StreamState.INTERRUPTED) and not self.protocol.awaits_media

    async def caught_up(self, patience_s: float) -> None:
        """Return when every reader has read what was sent so far, or is gone, or the patience is over."""
        answers = [socket.answered() for socket in self._sockets.values()]
        with contextlib.suppress(TimeoutError):
            await self._context.clock.wait_for(asyncio.gather(*answers), patience_s)

    async def aclose(self) -> None:
        """Stop every task and break what is still connected, without a word to the app."""
        self._broken_off = True
        tasks = [task for flows in self._flows.values() for task in flows.values()]
        if self._timer is not None:
            tasks.append(self._timer)
        for task in tasks:
            task.cancel()
        for socket in list(self._sockets.values()):
            socket.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._tasks.aclose()

    # Effects

    def _apply(self, effects: list[ProtocolEffect]) -> None:
        for effect in effects:
            match effect:
                case SendMessage(conn, message):
                    self._send(conn, message)
                case CloseConnection(conn, code):
                    self._close(conn, code)
                case StartMedia() as start:
                    self._start_flows(start)
                case SendWebhook() as announcement:
                    if announcement.what == "stopped":
                        self.ended_at = self._context.clock.now()
                    self._announce(announcement)
                case ProtocolViolation() as violation:
                    if len(self.violations) < _LOG_KEPT:
                        self.violations.append(violation)
                case SelectVideo(conn, user_id):
                    self._select_video(conn, user_id)
                case EventsSubscribed(event_types):
                    self._context.subscribed(self, event_types)
        self._arm()
        if effects:
            self._context.changed()

    def _send(self, conn: int, message: dict[str, Any]) -> None:
        socket = self._sockets.get(conn)
        if socket is None:
            return
        self.keep_alives += message["msg_type"] == MessageType.KEEP_ALIVE_REQ
        raw = msgspec.json.encode(message)
        self._log(conn, raw, out=True)
        socket.send(raw)

    def _close(self, conn: int, code: int | None) -> None:
        self._stop_flows(conn)
        socket = self._sockets.pop(conn, None)
        if socket is None:
            return
        self._log(conn, b"" if code is None else str(code).encode(), out=True, what="close")
        if code is None:
            socket.abort()
        elif self.slow_close_s and self.protocol.state is StreamState.TERMINATED:
            self.closed_slowly = True
            self._tasks.start(self._close_slowly(socket, code))
        else:
            socket.close(code)

    async def _close_slowly(self, socket: RtmsSocket, code: int) -> None:
        await self._context.clock.sleep(self.slow_close_s)
        socket.close(code)

    # Media

    def _start_flows(self, start: StartMedia) -> None:
        if self.joined_at is None:
            self.joined_at = self._context.clock.now()
        for kind in SINGLE_MEDIA_TYPES:
            if kind not in start.kinds:
                continue
            params = start.params[MEDIA_KEYS[kind]]
            if kind is MediaType.VIDEO:
                self._video_params[start.conn] = params
            self._start_flow(start.conn, kind, params, self._first_ms(kind, start.buffered_from), start.user_id)
        self._tasks.start(self._begin())

    def _first_ms(self, kind: MediaType, buffered_from: float) -> int:
        """Where a run of packets begins: what is buffered goes back to the app's start, and never further than the buffer holds."""
        timeline, switches = self._context.timeline, self.protocol.switches
        if kind not in switches.buffered:
            return timeline.position_ms
        return max(timeline.at_clock(buffered_from), timeline.position_ms - round(switches.audio_buffer_s * 1000))

    def _start_flow(self, conn: int, kind: MediaType, params: Mapping[str, Any], first_ms: int, user_id: int | None) -> None:
        """Nothing that was sent before is sent again. Individual video counts for each participant."""
        user_id = user_id if kind is MediaType.VIDEO else None
        start_ms = max(first_ms, self._resume_ms.get((kind, user_id), 0))
        flow = self._context.timeline.join(start_ms)
        packets = self._context.source.packets(int(kind), params, start_ms=start_ms, user_id=user_id)
        task = asyncio.create_task(self._flow(self._sockets[conn], (kind, user_id), packets, flow))
        task.add_done_callback(partial(self._flow_over, flow))
        self._flows.setdefault(conn, {})[kind] = task

    def _select_video(self, conn: int, user_id: int | None) -> None:
        """Individual video: one participant on a connection, each subscription a fresh run of pictures."""
        running = self._flows.get(conn, {}).pop(MediaType.VIDEO, None)
        if running is not None:
            running.cancel()
        if user_id is not None:
            self._start_flow(conn, MediaType.VIDEO, self._video_params[conn], self._context.timeline.position_ms, user_id)

    async def _flow(self, socket: RtmsSocket, key: tuple[MediaType, int | None], packets: Iterator[MediaPacket], flow: MediaFlow) -> None:
        """Send packets until they end; closing the socket cancels this."""
        epoch_ms, kind = self._context.epoch_ms, key[0]
        chat_metadata = self.protocol.switches.chat_metadata
        sent = self.sent.setdefault(MEDIA_KEYS[kind], SentMedia())
        for packet in packets:
            await flow.reach(packet.at_ms)
            # A run begins with the packet that holds its first moment, so sound must not be asked for twice.
            self._resume_ms[key] = packet.at_ms + (packet.duration_ms if kind is MediaType.AUDIO else 1)
            if self._pauses.cover(packet.at_ms):
                continue
            socket.send(media_message(packet, epoch_ms, chat_metadata))
            sent.count(packet.data)
            if socket.congested:
                flow.stalled = True
                await socket.drain()
                flow.stalled = False

    def _flow_over(self, flow: MediaFlow, task: asyncio.Task[None]) -> None:
        """However it ended, and even if it was cancelled before it began.

        Media that cannot be made (a broken file, an encoder that fails) ends the stream, and the report says why.
        """
        flow.end()
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.problem = f"{type(error).__name__}: {error}"
            self._apply(self.protocol.stop(StopReason.STOP_BC_INTERNAL_EXCEPTION, self._context.clock.now()))

    async def _begin(self) -> None:
        """A meeting that waits for its reader starts when that one has read all so far, so that it can subscribe to events first."""
        await self.caught_up(READ_SO_FAR_S)
        self._context.timeline.begin()

    def _stop_flows(self, conn: int) -> None:
        for task in self._flows.pop(conn, {}).values():
            task.cancel()

    # Time

    def _arm(self) -> None:
        """Have `tick` called at the protocol's deadline. A deadline that moved later is met early and armed again."""
        deadline = self.protocol.deadline
        if deadline is None or (self._armed_for is not None and self._armed_for <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = deadline
        self._timer = asyncio.create_task(self._wake(deadline))

    async def _wake(self, deadline: float) -> None:
        await self._context.clock.sleep_until(deadline)
        self._armed_for = self._timer = None
        self._apply(self.protocol.tick(self._context.clock.now()))

    def _log(self, conn: int, raw: bytes, *, out: bool, what: str = "message") -> None:
        if len(self.traffic) < _LOG_KEPT:
            text = raw[:4096].decode("utf-8", "replace")
            self.traffic.append(TrafficLine(self._context.clock.now_ms(), conn, what, out, text))
