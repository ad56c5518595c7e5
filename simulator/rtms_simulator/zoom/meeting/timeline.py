"""When things of a meeting happen: in real time, N times as fast, or as fast as the reader reads.

`position_ms` counts milliseconds of the meeting. Flows (one kind of media on one socket) and the meeting's own actions share one timeline:
an action at T happens after every packet up to T and before every later one.

At every speed this holds to the packet, however busy the machine is: no later packet is sent before the action is done, and the action
waits for flows that are late. Only readers that stall are not waited for longer than `STALLED_S`.

At real time the meeting runs whether or not anybody has joined. At any other speed it waits at 0 for the first reader, and at `max` also
whenever a stream has lost its reader, because there nothing but the reader moves time; until `go_on_alone` says that nobody comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from rtms_simulator.clock import Clock

Speed = float | Literal["max"]
LEAD_MS = 2000
"""At `max` no flow runs further ahead of the slowest one, so that who records a long meeting needs little memory."""
STALLED_S = 2.0
"""How long an action waits when every flow that is late waits for its reader, in real seconds."""
_BURST = 64


class MediaFlow:
    """One run of packets. `next_ms` is the moment of the packet it will send next, None when it has ended."""

    __slots__ = ("_burst", "_stalled", "_timeline", "next_ms")

    def __init__(self, timeline: MeetingTimeline, start_ms: int) -> None:
        self._timeline = timeline
        self._burst = 0
        self._stalled = False
        self.next_ms: int | None = start_ms

    async def reach(self, at_ms: int) -> None:
        """Return when the packet at `at_ms` is due."""
        timeline = self._timeline
        self.next_ms = at_ms
        timeline.flow_moved(at_ms)
        if not timeline.may_send(at_ms):
            self._burst = 0
            await timeline.until_due(at_ms)
            return
        self._burst += 1
        if self._burst >= _BURST:
            # A backlog must not keep the other streams waiting.
            self._burst = 0
            await timeline.breathe()

    @property
    def stalled(self) -> bool:
        """Whether the reader is behind, so that nothing more can be sent now."""
        return self._stalled

    @stalled.setter
    def stalled(self, stalled: bool) -> None:
        self._stalled = stalled
        self._timeline.moved()

    def end(self) -> None:
        """No more packets come."""
        self.next_ms = None
        self._timeline.leave(self)


class MeetingTimeline:
    """The time of one meeting. `attended` says whether every stream that lives has its reader. Raises ValueError for a bad speed."""

    def __init__(self, clock: Clock, speed: Speed, *, attended: Callable[[], bool]) -> None:
        if speed != "max" and not 0 < speed <= 1000:
            raise ValueError(f"speed is {speed!r}: a number above 0, at most 1000, or 'max'")
        self._clock = clock
        self._speed = speed
        self._attended = attended
        self._began = clock.now()
        self._origin: float | None = self._began if speed == 1 else None
        self._action_ms = -1
        self._acted_ms = 0
        self._gate_ms: int | None = None
        """The moment of the action that comes next or is being done: later packets wait for it."""
        self._granted_ms = -1
        """Up to where any flow may send without asking again: it only grows, until a flow joins further back."""
        self._past_ms: int | None = None
        self._flows: set[MediaFlow] = set()
        self._blocked: list[tuple[int, asyncio.Future[None]]] = []
        self._changed = asyncio.Event()

    @property
    def position_ms(self) -> int:
        """How far the meeting is."""
        if self._speed == "max":
            return self._acted_ms
        return 0 if self._origin is None else self.at_clock(self._clock.now())

    def at_clock(self, when: float) -> int:
        """The meeting's milliseconds at a moment of the clock, at least 0. At `max`, where the clock means nothing, 0."""
        if self._speed == "max" or self._origin is None:
            return 0
        return max(0, round((when - self._origin) * 1000 * self._speed))

    def begin(self) -> None:
        """The first reader is there."""
        if self._origin is None:
            self._origin = self._clock.now()
        self.moved()

    def go_on_alone(self) -> None:
        """Nobody reads, and nobody will: from now on the clock alone moves the meeting, as at real time. Repeatable."""
        if self._speed != 1:
            began = self._began if self._origin is None else self._clock.now() - self.position_ms / 1000
            self._speed, self._origin = 1, began
        self.moved()

    def join(self, start_ms: int) -> MediaFlow:
        flow = MediaFlow(self, start_ms)
        self._flows.add(flow)
        self._granted_ms = -1
        return flow

    def leave(self, flow: MediaFlow) -> None:
        self._flows.discard(flow)
        self.moved()

    def moved(self) -> None:
        """A reader came or went, a stream ended: all waiting tasks look again."""
        self._changed.set()
        self._release()

    # For flows

    def flow_moved(self, at_ms: int) -> None:
        """A flow will send the packet of `at_ms` next."""
        if self._past_ms is not None and at_ms > self._past_ms and self._all_past(self._past_ms):
            self._changed.set()
        if self._blocked:
            self._release()

    def may_send(self, at_ms: int) -> bool:
        """Whether a packet of that moment is due."""
        if self._origin is None:
            return False
        if self._speed == "max":
            if at_ms > self._granted_ms:
                self._granted_ms = self._limit()
            return at_ms <= self._granted_ms
        if self._gate_ms is not None and at_ms > self._gate_ms:
            return False
        return self._clock.now() >= self._due(at_ms)

    async def until_due(self, at_ms: int) -> None:
        """Return when a packet of that moment is due."""
        while not self.may_send(at_ms):
            if self._speed != "max" and self._origin is not None and self._clock.now() < self._due(at_ms):
                await self._clock.sleep_until(self._due(at_ms))
                continue
            future = asyncio.get_running_loop().create_future()
            self._blocked.append((at_ms, future))
            await future

    async def breathe(self) -> None:
        """Let the others run."""
        await self._clock.sleep(0)

    def _due(self, at_ms: int) -> float:
        """When that moment of the meeting is, on the clock. Not at `max`, where readers alone decide."""
        assert self._origin is not None
        assert self._speed != "max"
        return self._origin + at_ms / 1000 / self._speed

    def _limit(self) -> int:
        slowest = min((flow.next_ms for flow in self._flows if flow.next_ms is not None), default=self._action_ms)
        return min(self._action_ms, slowest + LEAD_MS)

    def _release(self) -> None:
        still: list[tuple[int, asyncio.Future[None]]] = []
        for at_ms, future in self._blocked:
            if future.done():
                continue
            if self.may_send(at_ms) or self._must_sleep(at_ms):
                future.set_result(None)
            else:
                still.append((at_ms, future))
        self._blocked = still

    def _must_sleep(self, at_ms: int) -> bool:
        """Whether only the clock keeps that packet back, so that its flow must wait on the clock."""
        gate_open = self._gate_ms is None or at_ms <= self._gate_ms
        return self._speed != "max" and self._origin is not None and gate_open

    # For the meeting's actions

    def open_gate(self) -> None:
        """No action is to come: packets wait for none."""
        self._gate_ms = None
        self._release()

    async def act_at(self, at_ms: int, *, over: Callable[[], bool]) -> bool:
        """Return True when it is time for an action at `at_ms`, False as soon as `over()` says that nothing is left to act on."""
        self._past_ms = self._gate_ms = at_ms
        self._release()
        try:
            if self._speed == "max" and await self._act_at_max(at_ms, over):
                return True
            return not over() and await self._act_on_clock(at_ms, over)
        finally:
            self._past_ms = None

    async def _act_at_max(self, at_ms: int, over: Callable[[], bool]) -> bool:
        while self._speed == "max" and not over():
            if self._origin is not None and self._attended():
                self._action_ms = max(self._action_ms, at_ms)
                self._release()
                if self._all_past(at_ms):
                    self._acted_ms = max(self._acted_ms, at_ms)
                    return True
            await self._change(None)
        return False

    async def _act_on_clock(self, at_ms: int, over: Callable[[], bool]) -> bool:
        while self._origin is None and not over():
            await self._change(None)
        if self._origin is None:
            return False
        while not over() and self._clock.now() < self._due(at_ms):
            await self._change(self._due(at_ms))
        await self._wait_for_flows(at_ms, over)
        return not over()

    async def _wait_for_flows(self, at_ms: int, over: Callable[[], bool]) -> None:
        """Return when every flow is past that moment, or all that are not have waited for their readers for `STALLED_S`."""
        give_up_at: float | None = None
        while not over() and not self._all_past(at_ms):
            if not self._all_late_are_stalled(at_ms):
                give_up_at = None
            elif give_up_at is None:
                give_up_at = self._clock.now() + STALLED_S * max(1.0, self._clock.rate)
            elif self._clock.now() >= give_up_at:
                return
            await self._change(give_up_at)

    def _all_late_are_stalled(self, at_ms: int) -> bool:
        return all(flow.stalled for flow in self._flows if flow.next_ms is not None and flow.next_ms <= at_ms)

    def _all_past(self, at_ms: int) -> bool:
        return all(flow.next_ms is None or flow.next_ms > at_ms for flow in self._flows)

    async def _change(self, deadline: float | None) -> None:
        """Return when something has changed since the last call, or at the deadline."""
        try:
            if deadline is None:
                await self._changed.wait()
            else:
                await self._clock.wait_for(self._changed.wait(), max(0.0, deadline - self._clock.now()))
        except TimeoutError:
            return
        self._changed.clear()
