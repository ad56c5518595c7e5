"""Exact to the packet, whatever the machine does: join, drop, resume, pause, speed and stop in any order, on a clock that wakes late.

The meeting is the real one; sockets, media and the app are values in this process, and time moves by hand in steps of any size, which is
what a busy machine does to timers.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.simulator.zoom.raw_client import CLIENT_ID, CLIENT_SECRET, SECRET_TOKEN, signature

from rtms_simulator.clock import Clock
from rtms_simulator.faults import FaultBook
from rtms_simulator.faults.zoom import FAMILIES
from rtms_simulator.scenario import Action, Person, Scenario, to_ms
from rtms_simulator.zoom.app import ZoomApp
from rtms_simulator.zoom.media import MediaPacket
from rtms_simulator.zoom.meeting.meeting import Meeting, MeetingPlan
from rtms_simulator.zoom.rtms.handshake import read_hello
from rtms_simulator.zoom.rtms.stream import LiveStream
from rtms_simulator.zoom.switches import ZoomSwitches
from rtms_simulator.zoom.webhooks.events import WebhookEvent
from rtms_simulator.zoom.webhooks.sender import EventSubscription

STEP_MS = {"audio": 20, "video": 200, "transcript": 500}
NUMBERS = {"audio": 1, "video": 2, "transcript": 8}
MSG_TYPES = {14: "audio", 15: "video", 17: "transcript"}
ADA = Person(1, "Ada", "host")
DURATION_S = 12.0


@dataclass(frozen=True)
class GridMedia:
    """A packet each step of its kind; its data says when it is."""

    duration_s: float = DURATION_S

    def packets(
        self, media_type: int, params: Mapping[str, Any], *, start_ms: int = 0, user_id: int | None = None
    ) -> Iterator[MediaPacket]:
        kind = {1: "audio", 2: "video", 8: "transcript"}[int(media_type)]
        step = STEP_MS[kind]
        first = start_ms // step if kind == "audio" else -(-start_ms // step)
        for number in range(first, int(self.duration_s * 1000) // step):
            at_ms = number * step
            extra = {"start_time": at_ms, "end_time": at_ms, "language": 9, "attribute": 1}
            yield MediaPacket(at_ms, media_type, 1, "Ada", str(at_ms).encode(), step, extra)


@dataclass
class FakeSocket:
    """What the stream needs of a socket; what it sends goes to the app at once."""

    number: int
    app: App
    kind: str
    open: bool = True
    congested: bool = False

    def send(self, raw: bytes) -> None:
        if self.open:
            self.app.heard(self, json.loads(raw))

    async def answered(self) -> None:
        await asyncio.sleep(0)

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def close(self, code: int) -> None:
        self.open = False
        self.app.closed(self)

    def abort(self) -> None:
        self.open = False
        self.app.closed(self)


@dataclass
class App:
    """An app that joins and comes back after a delay, as Zoom's documentation tells it to."""

    clock: Clock
    first_s: float
    back_s: float
    streams: dict[str, LiveStream] = field(default_factory=dict)
    payload: dict[str, Any] = field(default_factory=dict)
    got: dict[str, list[int]] = field(default_factory=lambda: {kind: [] for kind in STEP_MS})
    sockets: dict[str, FakeSocket] = field(default_factory=dict)
    numbers: int = 0
    attending: bool = False
    at_the_end: bool = False
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def webhook(self, event: WebhookEvent) -> None:
        if event.name.endswith("rtms_started"):
            self.payload = dict(event.payload)
        if event.name.endswith(("rtms_started", "rtms_interrupted")):
            self.tasks.append(asyncio.create_task(self._join(self.back_s if self.sockets else self.first_s)))

    async def _join(self, delay_s: float) -> None:
        await self.clock.sleep(delay_s)
        live = self.streams[self.payload["rtms_stream_id"]]
        if live.protocol.signaling is None and self._greet(live, "signaling", {"msg_type": 1}):
            for kind in STEP_MS:
                self._greet(live, kind, {"msg_type": 3, "media_type": NUMBERS[kind]})
            self._ready(live)

    async def _again(self, kind: str) -> None:
        await self.clock.sleep(self.back_s)
        live = self.streams[self.payload["rtms_stream_id"]]
        if live.protocol.signaling is not None and self._greet(live, kind, {"msg_type": 3, "media_type": NUMBERS[kind]}):
            self._ready(live)

    def _greet(self, live: LiveStream, kind: str, message: dict[str, Any]) -> bool:
        self.numbers += 1
        socket = FakeSocket(self.numbers, self, kind)
        stream_id, entity = self.payload["rtms_stream_id"], self.payload["meeting_uuid"]
        message |= {"rtms_stream_id": stream_id, "meeting_uuid": entity, "signature": signature(entity, stream_id)}
        hello = read_hello(message)
        assert not isinstance(hello, int)
        self.sockets[kind] = socket
        return live.greet(socket, hello, b"")  # ty: ignore[invalid-argument-type]

    def _ready(self, live: LiveStream) -> None:
        live.received(self.sockets["signaling"], b'{"msg_type":7}')  # ty: ignore[invalid-argument-type]
        self.attending = all(self.sockets[kind].open for kind in self.sockets)

    def heard(self, socket: FakeSocket, message: dict[str, Any]) -> None:
        kind = MSG_TYPES.get(message["msg_type"])
        if kind is not None:
            data = message["content"]["data"]
            at_ms = int(data) if kind == "transcript" else int(base64.b64decode(data))
            self.got[kind].append(at_ms)
        elif message["msg_type"] == 8 and message["state"] == 3:
            self.at_the_end = self.attending
        elif message["msg_type"] == 6 and message["event"]["event_type"] == 7:
            lost = [name for name, other in self.sockets.items() if not other.open]
            self.tasks += [asyncio.create_task(self._again(name)) for name in lost]
        elif message["msg_type"] == 12:
            live = self.streams[self.payload["rtms_stream_id"]]
            asyncio.get_running_loop().call_soon(live.received, socket, b'{"msg_type":13}')

    def closed(self, socket: FakeSocket) -> None:
        self.attending = False


@dataclass
class Services:
    """The Zoom around the meeting."""

    clock: Clock
    app: App
    faults: FaultBook = field(default_factory=lambda: FaultBook(FAMILIES))
    last: int = 0

    def open_stream(self, stream: LiveStream, paths: str) -> None:
        self.app.streams[stream.protocol.identity.stream_id] = stream

    def close_path(self, paths: str) -> None: ...

    def over(self, meeting: Meeting) -> None: ...

    def url(self, paths: str) -> str:
        return f"ws://zoom{paths}"

    def next_event_ts(self, at_ms: int) -> int:
        self.last = max(at_ms, self.last + 1)
        return self.last

    async def deliver(self, event: WebhookEvent, endpoint: EventSubscription, faults: FaultBook) -> Any:
        self.app.webhook(event)


async def played(timeline: tuple[Action, ...], stop_s: float, speed: Any, first_s: float, back_s: float, jumps: list[float]) -> App:
    """Hold a meeting; the clock wakes `jumps` seconds late, in turn."""
    clock = Clock(epoch=1_000_000.0, rate=0)
    app = App(clock, first_s, back_s)
    scenario = Scenario("exact", (ADA,), (*timeline, Action(stop_s, "stop", data={"stop_reason": 1})), DURATION_S)
    zoom_app = ZoomApp(CLIENT_ID, CLIENT_SECRET, SECRET_TOKEN)
    plan = MeetingPlan(
        scenario=scenario, source=GridMedia(), apps=((zoom_app, EventSubscription("", SECRET_TOKEN)),), speed=speed, switches=ZoomSwitches()
    )
    meeting = Meeting(1, plan, Services(clock, app), Random(1))
    meeting.start()
    loop = asyncio.get_running_loop()
    for turn in range(20_000):
        while loop._ready:  # noqa: ASYNC110  # ty: ignore[missing-attribute]
            await asyncio.sleep(0)
        if meeting.ended_at is not None:
            break
        deadline = clock.next_deadline
        assert deadline is not None, "nothing is left to wait for"
        clock.advance(max(0.0, deadline - clock.now()) + jumps[turn % len(jumps)])
    assert meeting.ended_at is not None
    assert meeting.streams[0].live.problem is None
    for task in app.tasks:
        task.cancel()
    await asyncio.gather(*app.tasks, return_exceptions=True)
    await meeting.aclose()
    return app


def paused(timeline: tuple[Action, ...], at_ms: int) -> bool:
    since: int | None = None
    for action in timeline:
        if action.kind == "pause" and since is None:
            since = to_ms(action.at_s)
        elif action.kind == "resume" and since is not None:
            if since < at_ms <= to_ms(action.at_s):
                return True
            since = None
    return since is not None and at_ms > since


KINDS = st.sampled_from(["pause", "resume", "drop_signaling", "drop_media", "fail_over"])
MEDIA = st.sampled_from(["audio", "video", "transcript"])
STEPS = st.lists(st.tuples(st.integers(0, 59), KINDS, MEDIA), max_size=6, unique_by=lambda step: step[0])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=STEPS,
    stop=st.integers(61, 118),
    speed=st.sampled_from([1, 1, 4, "max"]),
    first_s=st.sampled_from([0.0, 0.7, 2.0]),
    back_s=st.sampled_from([0.0, 0.03, 0.6]),
    jumps=st.lists(st.sampled_from([0.0, 0.0, 0.013, 0.2, 1.7, 7.0]), min_size=1, max_size=5),
)
def test_media_is_exact_to_the_packet(
    steps: list[tuple[int, str, str]], stop: int, speed: Any, first_s: float, back_s: float, jumps: list[float]
) -> None:
    timeline = tuple(
        Action(3.0 + number * 0.05 + 0.01, kind, data={"media": media} if kind == "drop_media" else {})
        for number, kind, media in sorted(steps)
    )
    stop_s = stop / 10 + 0.005
    app = asyncio.run(played(timeline, stop_s, speed, first_s, back_s, jumps))
    for kind, step in STEP_MS.items():
        got = app.got[kind]
        due = [at_ms for at_ms in range(0, to_ms(stop_s) + 1, step) if not paused(timeline, at_ms)]
        assert got == sorted(set(got)), f"{kind}: a packet came twice or out of order"
        assert set(got) <= set(due), f"{kind}: after the stop or of a pause: {sorted(set(got) - set(due))[:5]}"
        if kind != "video":
            assert got == due[: len(got)], f"{kind}: a gap"
            if app.at_the_end:
                assert got == due, f"{kind}: not to the last packet"
