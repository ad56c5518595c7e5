"""Many meetings at once, without their media: Zoom's signed starts and stops, and recorders at Recall that end when their meeting does.

`make bench ARGS=rush` and the drill `flood` of `rtmskit rehearse` hold the promise of the full hour with it: whatever else ends in the same
minute, each start is accepted by Recall within `PROMPT_S` of its acknowledgement.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from rtms_simulator.clock import Clock
from rtms_simulator.recall import Recall
from rtms_simulator.recall.recorder.scripted import ScriptedRecorder, Story
from rtms_simulator.recall.recorder.values import RecorderEvent, RecordingConfig, StreamRequest
from rtms_simulator.zoom.webhooks import events
from rtms_simulator.zoom.webhooks.events import StreamIds, WebhookEvent

PROMPT_S = 10.0
"""From the acknowledgement of a start to its Meeting Direct Connect: a sixth of the time in which a stream can be joined."""

MINUTE_S = 60.0
BEFORE_PER_S, BESIDE, PATIENT = 20.0, 12, 4
"""How the meetings that will end are handed on before: so many a second at most, so many at once; a slow machine has so much longer."""

CONNECTIONS = 100
LOOK_EVERY_S = 0.05
SERVER_URL = "wss://127.0.0.1:9/rtms"
ENDED = 6
"""Zoom's stop reason of a meeting that ended."""


@dataclass(slots=True)
class Recorders:
    """A `recorder_factory` for `Recall` whose recorders record until their meeting is ended here."""

    of_stream: dict[str, ScriptedRecorder] = field(default_factory=dict)

    def __call__(
        self, clock: Clock, request: StreamRequest, config: RecordingConfig, directory: Path, on_event: Callable[[RecorderEvent], None]
    ) -> ScriptedRecorder:
        recorder = ScriptedRecorder(Story(lasts=None), clock, request, config, directory, on_event)
        self.of_stream[request.rtms_stream_id] = recorder
        return recorder

    async def end(self, stream: str) -> None:
        if stream in self.of_stream:
            await self.of_stream[stream].displace()


@dataclass(frozen=True, slots=True)
class Rush:
    """What came of one: how many of the meetings that were to end had been handed on, the seconds from each start's acknowledgement to its
    Meeting Direct Connect (`waits_before_s` of those that end, `waits_s` of those that begin), how many acknowledged starts were never
    accepted, and how many deliveries were not answered 200."""

    before: int
    waits_before_s: list[float]
    waits_s: list[float]
    never: int
    refused: int


@dataclass(slots=True)
class Crowd:
    """Zoom's side of many meetings of one webhook: when each start was acknowledged (seconds on Recall's clock), which streams have ended.

    `recorders` is the `recorder_factory` of `recall`. A delivery that is refused is counted and not sent again: nothing may hide behind
    Zoom's retries.
    """

    webhook_url: str
    secret_token: str
    recall: Recall
    recorders: Recorders
    client: httpx.AsyncClient
    acked: dict[str, float] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    refused: int = 0

    @property
    def _clock(self) -> Clock:
        return self.recall.clock

    async def deliver(self, event: WebhookEvent) -> bool:
        """One delivery; whether it was answered 200."""
        body, headers = signed(event, self.secret_token, self._clock.now())
        try:
            answer = await self.client.post(self.webhook_url, content=body, headers=headers)
        except httpx.HTTPError:
            self.refused += 1
            return False
        self.refused += answer.status_code != httpx.codes.OK
        return answer.status_code == httpx.codes.OK

    async def begin(self, ids: StreamIds) -> None:
        """Zoom's start of one meeting."""
        if await self.deliver(events.started("meeting", ids, SERVER_URL, self._clock.now_ms())):
            self.acked[ids.stream_id] = self._clock.now()

    async def end(self, ids: StreamIds) -> None:
        """Zoom's stop of one meeting, and the end of its recording at Recall."""
        self.ended.add(ids.stream_id)
        await asyncio.gather(self.deliver(events.stopped("meeting", ids, ENDED, self._clock.now_ms())), self.recorders.end(ids.stream_id))

    def accepted(self) -> dict[str, float]:
        """Stream -> when Recall made its Meeting Direct Connect, seconds on Recall's clock."""
        return {mdc.stream_id: mdc.created_at for mdc in self.recall.workspace.mdcs.values() if mdc.stream_id}

    async def rush(
        self,
        ending: int,
        beginning: int,
        *,
        seed: int = 0,
        before_per_s: float = BEFORE_PER_S,
        go_by: Callable[[], None] = lambda: None,
    ) -> Rush:
        """Hand on `ending` meetings, `before_per_s` a second at most; then end all in one minute, in which `beginning` others begin.

        `go_by` is called about once a second while the former are handed on: what in real life is over before the minute may end there.
        """
        randomness = random.Random(f"rush {seed}")
        old, new = _streams(randomness, ending), _streams(randomness, beginning)
        await self._begin_before(old, before_per_s, go_by)
        before = len(self.recall.workspace.mdcs)
        ends = [(randomness.random() * MINUTE_S, lambda ids=ids: self.end(ids)) for ids in old]
        starts = [(randomness.random() * MINUTE_S, lambda ids=ids: self.begin(ids)) for ids in new]
        await self._on_time(ends + starts)
        await self._all_accepted(before + beginning, 2 * MINUTE_S)
        accepted = self.accepted()
        never = sum(stream not in accepted for stream in self.acked)
        return Rush(before, self._waits(old, accepted), self._waits(new, accepted), never, self.refused)

    async def _begin_before(self, streams: Sequence[StreamIds], per_s: float, go_by: Callable[[], None]) -> None:
        """Hand on these, none of them before some room is left. Ends early if nothing is accepted any more, or it takes far too long."""
        began = self._clock.now()
        async with asyncio.TaskGroup() as running:
            for number, ids in enumerate(streams):
                await self._clock.sleep_until(began + number / per_s)
                room = await self._all_accepted(number - self.refused - BESIDE, MINUTE_S)
                if not room or self._clock.now() - began > MINUTE_S + PATIENT * len(streams) / per_s:
                    return
                running.create_task(self.begin(ids))
                if number % math.ceil(per_s) == 0:
                    go_by()
        await self._all_accepted(len(streams), MINUTE_S)
        go_by()

    def _waits(self, streams: Sequence[StreamIds], accepted: dict[str, float]) -> list[float]:
        both = [ids.stream_id for ids in streams if ids.stream_id in accepted and ids.stream_id in self.acked]
        return [accepted[stream] - self.acked[stream] for stream in both]

    async def _on_time(self, due_s: Sequence[tuple[float, Callable[[], Coroutine[Any, Any, None]]]]) -> None:
        """Begin each at its time, seconds from now, whatever becomes of those before; returns when all have ended."""
        began = self._clock.now()
        async with asyncio.TaskGroup() as running:
            for at, begin in sorted(due_s, key=lambda one: one[0]):
                await self._clock.sleep_until(began + at)
                running.create_task(begin())

    async def _all_accepted(self, count: int, patience_s: float) -> bool:
        """Return when so many are accepted, or the time is over; whether they are."""
        end = self._clock.now() + patience_s
        while len(self.recall.workspace.mdcs) < count and self._clock.now() < end:
            await self._clock.sleep(LOOK_EVERY_S)
        return len(self.recall.workspace.mdcs) >= count


def signed(event: WebhookEvent, secret_token: str, at: float) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of one delivery that Zoom signed at `at`, seconds since the epoch."""
    body, stamp = events.body(event), str(int(at))
    signature = events.sign(secret_token, stamp, body)
    return body, {"content-type": "application/json", "x-zm-request-timestamp": stamp, "x-zm-signature": signature}


def _streams(randomness: random.Random, count: int) -> list[StreamIds]:
    return [StreamIds(f"{randomness.getrandbits(96):x}", f"{randomness.getrandbits(128):032x}") for _ in range(count)]
