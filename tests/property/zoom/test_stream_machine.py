"""Join, drop, resume, pause, rate and speed in any order, on a clock moved by hand: media is exact to the packet after each step.

The meeting is the real one, at any speed on the clock; sockets, media and the app are values in this process. Nothing here is scripted:
each step happens when the machine chooses it. (`max`, where no clock moves the meeting, is in test_exactness.py, with scripts.)
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.property.zoom.test_exactness import ADA, MSG_TYPES, NUMBERS, STEP_MS, App, FakeSocket, GridMedia, Services
from tests.unit.simulator.zoom.raw_client import CLIENT_ID, CLIENT_SECRET, SECRET_TOKEN

import rtms_simulator.clock
from rtms_simulator.clock import Clock
from rtms_simulator.scenario import Action, Scenario
from rtms_simulator.zoom.app import ZoomApp
from rtms_simulator.zoom.meeting.meeting import Meeting, MeetingPlan
from rtms_simulator.zoom.rtms.enums import StreamState
from rtms_simulator.zoom.switches import ZoomSwitches
from rtms_simulator.zoom.webhooks.events import WebhookEvent
from rtms_simulator.zoom.webhooks.sender import EventSubscription

DURATION_S = 40.0
LONGEST_AWAY_S = 55.0
"""After 60 s without signaling, or 65 s without a media socket, Zoom ends the stream: less than that is what is tried here."""
KINDS = st.sampled_from(sorted(STEP_MS))


class StepClock(Clock):
    """It wakes nobody by itself."""

    __slots__ = ()

    def _arm(self) -> None:
        pass


@dataclass
class ManualApp(App):
    """It comes back when it is told to."""

    event_ts: list[int] = field(default_factory=list)

    def webhook(self, event: WebhookEvent) -> None:
        self.event_ts.append(event.event_ts)
        if event.name.endswith("rtms_started"):
            self.payload = dict(event.payload)

    def heard(self, socket: FakeSocket, message: dict[str, Any]) -> None:
        if message["msg_type"] in MSG_TYPES or message["msg_type"] == 12:
            super().heard(socket, message)

    @property
    def up(self) -> set[str]:
        return {name for name, socket in self.sockets.items() if socket.open}

    def join(self, *kinds: str) -> None:
        live = self.streams[self.payload["rtms_stream_id"]]
        if "signaling" in kinds:
            assert self._greet(live, "signaling", {"msg_type": 1})
        for kind in kinds:
            if kind != "signaling":
                assert self._greet(live, kind, {"msg_type": 3, "media_type": NUMBERS[kind]})
        self._ready(live)


class Stream(RuleBasedStateMachine):
    """One stream of one meeting. The model: pauses, the end, and from when to when each kind had its socket, in ms of the meeting."""

    def __init__(self) -> None:
        super().__init__()
        self.mono = 1000.0
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(rtms_simulator.clock, "time", SimpleNamespace(monotonic=lambda: self.mono, time=lambda: 1_000_000.0))
        self.loop = asyncio.new_event_loop()
        self.clock = StepClock(epoch=1_000_000.0, rate=1.0)
        self.app = ManualApp(self.clock, 0.0, 0.0)
        self.pauses: list[list[float]] = []
        self.stopped_ms: float | None = None
        self.seen: dict[str, list[list[float]]] = {kind: [] for kind in STEP_MS}
        self.away_since: float | None = self.clock.now()
        self.meeting: Meeting | None = None

    @initialize(speed=st.sampled_from([0.5, 1, 1, 4, 20]))
    def begin(self, speed: float) -> None:
        scenario = Scenario("machine", (ADA,), (), DURATION_S)
        plan = MeetingPlan(
            scenario=scenario,
            source=GridMedia(DURATION_S),
            apps=((ZoomApp(CLIENT_ID, CLIENT_SECRET, SECRET_TOKEN), EventSubscription("", SECRET_TOKEN)),),
            speed=speed,
            switches=ZoomSwitches(),
        )
        self.meeting = Meeting(1, plan, Services(self.clock, self.app), Random(1))
        self.spin(self.meeting.start)

    # The world

    def spin(self, act: Any = None) -> None:
        """Do something inside the loop, and let everything happen that is due."""

        async def body() -> None:
            made = act() if act is not None else None
            if made is not None:
                await made
            for _ in range(200_000):
                deadline = self.clock.next_deadline
                if deadline is not None and deadline <= self.clock.now():
                    self.clock.advance(0)
                elif not self.loop._ready:  # ty: ignore[missing-attribute]
                    return
                await asyncio.sleep(0)
            raise AssertionError("it never rests")

        self.loop.run_until_complete(body())

    @property
    def running(self) -> Meeting:
        assert self.meeting is not None
        return self.meeting

    @property
    def position(self) -> int:
        return self.running.timeline.position_ms

    @property
    def joined(self) -> bool:
        return "signaling" in self.app.up

    @property
    def paused(self) -> bool:
        return bool(self.pauses) and self.pauses[-1][1] == float("inf")

    @property
    def over(self) -> bool:
        return self.stopped_ms is not None

    def gone(self, *kinds: str) -> None:
        """The model: these kinds have no socket from here on."""
        for kind in kinds:
            if self.seen[kind] and self.seen[kind][-1][1] == float("inf"):
                self.seen[kind][-1][1] = self.position
        self.away_since = self.away_since or self.clock.now()

    def act(self, kind: str, **data: Any) -> None:
        self.spin(lambda: self.running.act(Action(0.0, kind, data=data)))

    # Steps

    @precondition(lambda self: not self.over and not self.joined)
    @rule()
    def join(self) -> None:
        self.spin(lambda: self.app.join("signaling", *STEP_MS))
        for kind in STEP_MS:
            self.seen[kind].append([self.position, float("inf")])
        self.away_since = None

    @precondition(lambda self: not self.over and self.joined and len(self.app.up) < 4)
    @rule()
    def come_back(self) -> None:
        missing = set(STEP_MS) - self.app.up
        self.spin(lambda: self.app.join(*sorted(missing)))
        for kind in missing:
            self.seen[kind].append([self.position, float("inf")])
        self.away_since = None

    @precondition(lambda self: not self.over and self.joined)
    @rule(kind=KINDS)
    def drop_media(self, kind: str) -> None:
        if kind in self.app.up:
            self.act("drop_media", media=kind)
            self.gone(kind)

    @precondition(lambda self: not self.over and self.joined)
    @rule(kind=KINDS)
    def close_media(self, kind: str) -> None:
        """The app's side lets a socket go."""
        if kind in self.app.up:
            self.spin(lambda: self.lose(kind))
            self.gone(kind)

    @precondition(lambda self: not self.over and self.joined)
    @rule(how=st.sampled_from(["drop_signaling", "fail_over", "app"]))
    def drop_everything(self, how: str) -> None:
        if how == "app":
            self.spin(lambda: self.lose("signaling"))
        else:
            self.act(how)
        assert self.app.up == set()
        self.gone(*STEP_MS)

    def lose(self, name: str) -> None:
        socket = self.app.sockets[name]
        socket.open = False
        self.running.streams[0].live.lost(socket)  # ty: ignore[invalid-argument-type]

    @precondition(lambda self: not self.over and self.joined and not self.paused)
    @rule()
    def pause(self) -> None:
        self.act("pause")
        self.pauses.append([self.position, float("inf")])

    @precondition(lambda self: not self.over and self.joined and self.paused)
    @rule()
    def resume(self) -> None:
        self.act("resume")
        self.pauses[-1][1] = self.position

    @precondition(lambda self: not self.over)
    @rule(rate=st.sampled_from([0, 0.25, 1, 3, 10]))
    def turn_the_clock(self, rate: float) -> None:
        before = self.clock.now(), self.position
        self.spin(lambda: self.clock.set_rate(rate))
        assert self.clock.now() == pytest.approx(before[0], abs=1e-6), "the clock jumped"
        assert abs(self.position - before[1]) <= 1, "the meeting jumped"

    @rule(real_s=st.sampled_from([0.0, 0.013, 0.2, 1.7, 5.0]))
    def let_time_pass(self, real_s: float) -> None:
        if self.away_since is not None and self.clock.rate and not self.over:
            left = self.away_since + LONGEST_AWAY_S - self.clock.now()
            real_s = min(real_s, max(0.0, left) / self.clock.rate)
        self.mono += real_s
        self.spin()
        if self.position >= DURATION_S * 1000 and not self.over:
            self.stopped_ms = DURATION_S * 1000

    @precondition(lambda self: not self.over)
    @rule(seconds=st.sampled_from([0.05, 0.5, 3.0]))
    def advance_by_hand(self, seconds: float) -> None:
        if self.away_since is None or self.clock.now() + seconds < self.away_since + LONGEST_AWAY_S:
            self.clock.advance(seconds)
            self.let_time_pass(0.0)

    @precondition(lambda self: not self.over and self.joined)
    @rule()
    def stop(self) -> None:
        self.stopped_ms = self.position
        self.act("stop", stop_reason=1)
        assert self.app.up == set()

    # What holds

    def due(self, kind: str, until_ms: float) -> list[int]:
        """The moments of a kind up to then that no pause covers."""
        moments = range(0, min(int(until_ms) + 1, int(DURATION_S * 1000)), STEP_MS[kind])
        return [at_ms for at_ms in moments if not any(begin < at_ms <= end for begin, end in self.pauses)]

    @invariant()
    def sound_and_text_have_no_gap_and_nothing_twice(self) -> None:
        if self.meeting is None:
            return
        until_ms = self.position if self.stopped_ms is None else self.stopped_ms
        for kind in ("audio", "transcript"):
            got, due = self.app.got[kind], self.due(kind, until_ms)
            assert got == due[: len(got)], f"{kind}: a gap, twice, out of order, of a pause or after the stop"
            if kind in self.app.up:
                assert got == due, f"{kind}: {len(due) - len(got)} are due and not there"

    @invariant()
    def pictures_are_those_of_the_moments_with_a_socket(self) -> None:
        if self.meeting is None:
            return
        until_ms = self.position if self.stopped_ms is None else self.stopped_ms
        spans = self.seen["video"]
        seen = [at_ms for at_ms in self.due("video", until_ms) if any(begin <= at_ms <= end for begin, end in spans)]
        assert self.app.got["video"] == seen

    @invariant()
    def the_stream_lives_until_it_is_stopped(self) -> None:
        if self.meeting is None:
            return
        assert self.running.streams[0].live.problem is None
        assert (self.running.streams[0].live.protocol.state is StreamState.TERMINATED) == self.over
        assert self.app.event_ts == sorted(set(self.app.event_ts)), "two events have one event_ts"

    def teardown(self) -> None:
        try:
            if self.meeting is not None:
                self.spin(self.meeting.aclose)
        finally:
            self.loop.close()
            self.patch.undo()


Stream.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
TestStream = Stream.TestCase
