"""The recorder: joins a Zoom RTMS stream as Recall would and writes what it receives.

A thin driver: `RtmsClient` decides what to do, `RecordingWriter` writes what comes, and here are the sockets and the clock between them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl as ssl_module
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from rtms_simulator.clock import Clock
from rtms_simulator.recall.recorder.values import (
    Joined,
    Paused,
    RecorderEvent,
    RecordingConfig,
    RecordingEnded,
    RecordingResult,
    Resumed,
    StreamRequest,
)
from rtms_simulator.recall.recorder.writer import RecordingWriter
from rtms_simulator.recall.rtms.actions import (
    Action,
    Caption,
    CloseSocket,
    OpenSocket,
    Packet,
    ParticipantNotice,
    PauseChanged,
    SendText,
    SocketLost,
    StreamFinished,
    StreamReady,
)
from rtms_simulator.recall.rtms.client import RtmsClient
from rtms_simulator.recall.rtms.codes import SIGNALING
from rtms_simulator.recall.rtms.states import Timings

LARGEST_MESSAGE = 16 * 2**20  # bytes; a QHD picture in base64 with room to spare
ABNORMAL_CLOSURE = 1006
LEAD_MS = 500  # how far one media socket may be read ahead of another
TURNS = 50  # of the event loop
UNSENT_MESSAGES = 1000  # for a peer that sends but does not read; then answers are dropped and it will notice


def media_request(config: RecordingConfig) -> dict[str, dict[str, int | bool]]:
    """What to ask of Zoom (docs/evidence/zoom.md C6): audio always as L16, 16 kHz, mono, per participant when separate files are wanted;
    pictures and captions only when something is made of them.
    """
    multi = bool(config.audio_separate) or config.live_audio_separate
    media: dict[str, dict[str, int | bool]] = {
        "audio": {"content_type": 2, "sample_rate": 1, "channel": 1, "codec": 1, "data_opt": 2 if multi else 1, "send_rate": 20}
    }
    if (config.video_mixed and config.layout != "audio_only") or config.video_separate or config.live_video_png:
        video = config.video
        media["video"] = {"content_type": 3, "codec": video.codec, "resolution": video.resolution, "data_opt": 3, "fps": video.fps}
        media["deskshare"] = {"content_type": 3, "codec": 5, "resolution": video.resolution, "fps": 1}
    if config.transcript:
        media["transcript"] = {"content_type": 5}
    return media


class _Connect(connect):
    """Follows no redirects, as Zoom's own client does not: the signature goes where Zoom said and nowhere else."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


@dataclass(slots=True, eq=False)
class _Link:
    """One open (or opening) WebSocket."""

    outbox: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(UNSENT_MESSAGES))
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Recorder:
    """One recording of one stream, written into `directory`, which is made if it is missing. `on_event` is called from the loop.

    `ssl` is the context for wss URLs; None trusts the system's certificate authorities.
    """

    clock: Clock
    request: StreamRequest
    config: RecordingConfig
    directory: Path
    on_event: Callable[[RecorderEvent], None]
    ssl: ssl_module.SSLContext | None = None
    timings: Timings = field(default_factory=Timings)
    _client: RtmsClient = field(init=False)
    _writer: RecordingWriter = field(init=False)
    _links: dict[str, _Link] = field(default_factory=dict, init=False)
    _group: asyncio.TaskGroup | None = field(default=None, init=False)
    _rearm: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _finished: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _stopped: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _running: bool = field(default=False, init=False)
    _progress: dict[str, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._client = RtmsClient(self.request, media_request(self.config), self.timings)
        self._writer = RecordingWriter(self.config, self.request, self.directory, self.on_event, self._client.unavailable)

    async def run(self) -> RecordingResult:
        """Join, record until the stream ends, complete the artifacts. Nothing that Zoom sends makes it raise or wait for ever."""
        self._running = True
        try:
            with contextlib.suppress(OSError):  # what cannot be written fails artifact by artifact
                self.directory.mkdir(parents=True, exist_ok=True)
            async with asyncio.TaskGroup() as self._group:
                timer = self._group.create_task(self._keep_time())
                self._do(self._client.start(self.clock.now()))
                await self._finished.wait()
                timer.cancel()
            return self._result()
        except BaseException:
            self._writer.abandon()
            raise
        finally:
            self._stopped.set()

    async def displace(self) -> None:
        """Leave the stream to the client that takes it over, if one does; returns when the sockets are closed and `run` has its result."""
        self._do(self._client.leave("zoom_rtms_displaced"))
        if self._running:
            await self._stopped.wait()

    # Actions

    def _do(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Packet() | Caption() | ParticipantNotice():
                    self._writer.take(action)
                    continue
                case SendText(role, text):
                    self._send(role, text)
                case OpenSocket(role, url):
                    self._open(role, url)
                case CloseSocket(role):
                    self._close(role)
                case StreamReady(first):
                    self._ready(first=first)
                case PauseChanged(paused):
                    self.on_event(Paused(self.clock.now()) if paused else Resumed(self.clock.now()))
                case SocketLost():
                    pass
                case StreamFinished():
                    self._finished.set()
            self._rearm.set()

    def _send(self, role: str, text: str) -> None:
        if role in self._links:
            with contextlib.suppress(asyncio.QueueFull):
                self._links[role].outbox.put_nowait(text)

    def _ready(self, *, first: bool) -> None:
        self._progress = {role: 0 for role in self._links if role != SIGNALING}
        if first:
            self.on_event(Joined(self.clock.now()))

    def _open(self, role: str, url: str) -> None:
        assert self._group is not None
        link = self._links[role] = _Link()
        link.task = self._group.create_task(self._serve(role, url, link))

    def _close(self, role: str) -> None:
        """Forget the link, so that nothing more is heard of it, and let its task close the socket properly."""
        link = self._links.pop(role, None)
        if link is not None and link.task is not None and link.task is not asyncio.current_task():
            link.task.cancel()

    # Sockets and time

    async def _serve(self, role: str, url: str, link: _Link) -> None:
        """Carry one socket from opening to closing."""
        assert self._group is not None
        try:
            secure = (self.ssl or True) if url.lower().startswith("wss:") else None
            connection = await _Connect(
                url,
                ssl=secure,
                max_size=LARGEST_MESSAGE,
                compression=None,
                ping_interval=None,
                open_timeout=None,
                close_timeout=1,
                proxy=None,
            )
        except (OSError, WebSocketException, ValueError, EOFError):
            self._heard(role, link, None)
            return
        writer = self._group.create_task(self._write(connection, link))
        code: int | None = None
        try:
            if self._links.get(role) is link:
                self._do(self._client.opened(role, self.clock.now()))
            while self._links.get(role) is link:
                raw = await connection.recv()
                actions = self._client.message(role, raw, self.clock.now())
                self._do(actions)
                for action in actions:
                    if isinstance(action, Packet):
                        await self._keep_abreast(role, action.timestamp_ms)
        except ConnectionClosed:
            code = connection.close_code or ABNORMAL_CLOSURE
        finally:
            writer.cancel()
            await connection.close()
        self._heard(role, link, code)

    async def _keep_abreast(self, role: str, moment_ms: int) -> None:
        """When Zoom sends faster than real time, the sockets' buffers hold minutes: read first what was sent first.

        A socket that stays behind although the loop has served it many times has nothing to read, and is not waited for.
        """
        self._progress[role] = moment_ms
        patience = TURNS
        while patience and (slowest := min(self._progress.values())) < moment_ms - LEAD_MS:
            await self.clock.sleep(0)
            patience = patience - 1 if min(self._progress.values()) == slowest else TURNS
        if not patience:
            self._progress = {other: moment for other, moment in self._progress.items() if moment >= moment_ms - LEAD_MS}

    def _heard(self, role: str, link: _Link, code: int | None) -> None:
        """The socket is down, and not because we closed it."""
        if self._links.get(role) is link:
            del self._links[role]
            self._do(self._client.closed(role, code, self.clock.now()))

    async def _write(self, connection: ClientConnection, link: _Link) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await connection.send(await link.outbox.get())

    async def _keep_time(self) -> None:
        """Call the receiver at its deadlines, which move with everything that happens."""
        while (deadline := self._client.deadline) is not None:
            self._rearm.clear()
            try:
                await self.clock.wait_for(self._rearm.wait(), deadline - self.clock.now())
            except TimeoutError:
                self._do(self._client.tick(self.clock.now()))

    # The end

    def _result(self) -> RecordingResult:
        finished = self._client.finished
        assert finished is not None
        self._writer.stop()
        self.on_event(RecordingEnded(self.clock.now(), finished.stop_reason, finished.sub_code))
        artifacts = self._writer.finish()
        counts: Mapping[str, int] = dict(self._client.counts + self._writer.counts)
        sub_code = finished.sub_code
        if not self._writer.has_content:
            clean = finished.joined and sub_code is None
            return RecordingResult("empty" if clean else "failed", sub_code or (None if clean else "zoom_rtms_no_media"), counts=counts)
        if sub_code is None and any(counts.get(trouble) for trouble in ("malformed", "impossible_timestamp", "undecodable")):
            sub_code = "zoom_rtms_malformed_media"
        return RecordingResult(
            "done", sub_code, self._writer.started_at, self._writer.completed_at, artifacts, stop_reason=finished.stop_reason, counts=counts
        )
