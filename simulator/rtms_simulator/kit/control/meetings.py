"""Meetings over the control plane: play one, look at it, do something in it that no scenario said, upload files for one."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable

from rtms_simulator.clock import Clock
from rtms_simulator.control.answers import (
    MeetingList,
    MeetingRow,
    NewAction,
    PlayRequest,
    ProblemList,
    ProblemQuery,
    Traffic,
    TrafficRow,
    Uploaded,
    UploadQuery,
)
from rtms_simulator.control.operations import IMPOSSIBLE, NOT_FOUND, Call, ControlOperation, impossible, missing
from rtms_simulator.errors import ControlRefusedError
from rtms_simulator.kit.control.fakes import Fakes
from rtms_simulator.kit.control.invariants import Problem, judge, judge_deletion, row
from rtms_simulator.kit.control.switches import switched
from rtms_simulator.kit.play import begin, hold, resolve
from rtms_simulator.kit.rows import meeting_row
from rtms_simulator.scenario import Action
from rtms_simulator.serving.background import BackgroundTasks
from rtms_simulator.zoom import MeetingReport
from rtms_simulator.zoom.meeting.actions import ACTIONS
from rtms_simulator.zoom.meeting.app_stream import AppStream
from rtms_simulator.zoom.meeting.meeting import Meeting

MOST_UPLOAD = 2 << 30
_LOOK_EVERY_S = 0.2
_ENDED_WITHIN_S = 10.0
_QUIET_S = 0.6
_QUIET_WITHIN_S = 10.0
_DELETED_WITHIN_S = 60.0


class MeetingResource:
    """The meetings of the fakes; those that were begun without waiting go on beside it until they are over or `aclose`."""

    def __init__(self, fakes: Fakes) -> None:
        self._fakes = fakes
        self._real_time = Clock()
        self._playing = BackgroundTasks()
        self._tasks: dict[int, asyncio.Task[tuple[MeetingReport, ...]]] = {}
        self._uploads = itertools.count(1)

    async def aclose(self) -> None:
        await self._playing.aclose()

    def operations(self) -> list[ControlOperation]:
        return [
            ControlOperation(
                "POST",
                "/meetings",
                "play meetings; answers when they are over, and breaks them off when the caller goes away",
                self._play,
                MeetingList,
                body=PlayRequest,
                refuses=IMPOSSIBLE,
            ),
            ControlOperation("GET", "/meetings", "every meeting's report", self._listed, MeetingList),
            ControlOperation("GET", "/meetings/{id}", "one meeting's report", self._shown, MeetingRow, refuses=NOT_FOUND),
            ControlOperation(
                "GET",
                "/meetings/{id}/problems",
                "what its receiver has broken of the rules for one; answers when nothing is going on any more",
                self._problems,
                ProblemList,
                query=ProblemQuery,
                refuses=NOT_FOUND,
            ),
            *self._of_one_meeting(),
        ]

    def _of_one_meeting(self) -> list[ControlOperation]:
        return [
            ControlOperation(
                "DELETE", "/meetings/{id}", "the host ends it, and those that were begun with it", self._end, MeetingRow, refuses=NOT_FOUND
            ),
            ControlOperation(
                "POST",
                "/meetings/{id}/actions",
                "do something in it that no scenario said",
                self._act,
                MeetingRow,
                body=NewAction,
                refuses={**NOT_FOUND, **IMPOSSIBLE},
            ),
            ControlOperation(
                "GET",
                "/meetings/{id}/traffic",
                "control messages of its streams, media left out",
                self._traffic,
                Traffic,
                refuses=NOT_FOUND,
            ),
            ControlOperation(
                "POST",
                "/uploads",
                "a file for a later play request: a scenario, a recording, a transcript",
                self._upload,
                Uploaded,
                query=UploadQuery,
                upload=True,
            ),
        ]

    async def _play(self, call: Call) -> MeetingList:
        request: PlayRequest = call.body
        url = request.webhook_url or self._fakes.webhook_url()
        if not url:
            raise impossible("no webhook is known here: name one as webhook_url")
        play = resolve(request, self._fakes.uploads)
        with switched(self._fakes, play.scenario.switches):
            running = begin(self._fakes.zoom, play, url)
        playing = self._playing.start(hold(self._fakes.zoom, play, running, url, real_time=self._real_time, life=self._fakes.life))
        if request.wait:
            return await self._ended(playing, call)
        self._tasks |= {meeting.id: playing for meeting in running}
        playing.add_done_callback(lambda _playing: [self._tasks.pop(meeting.id, None) for meeting in running])
        return self._rows([meeting.report() for meeting in running])

    async def _ended(self, playing: asyncio.Task[tuple[MeetingReport, ...]], call: Call) -> MeetingList:
        """The meetings when they are over. They are broken off when the caller goes away."""
        try:
            while not playing.done() and not await call.request.is_disconnected():
                await asyncio.wait({playing}, timeout=_LOOK_EVERY_S)
            return self._rows(list(await playing) if playing.done() else [])
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)

    def _rows(self, reports: list[MeetingReport]) -> MeetingList:
        links = self._fakes.links()
        return MeetingList(meetings=[meeting_row(report, links) for report in reports])

    async def _listed(self, _call: Call) -> MeetingList:
        return self._rows([meeting.report() for meeting in self._fakes.zoom.meetings.values()])

    async def _shown(self, call: Call) -> MeetingRow:
        return meeting_row(self._meeting(call).report(), self._fakes.links())

    async def _problems(self, call: Call) -> ProblemList:
        meeting = self._meeting(call)
        await self._quiet()
        report, space = meeting.report(), self._fakes.recall.workspace
        streams = {stream.stream_id for stream in report.streams}
        mdcs = [mdc for mdc in space.mdcs.values() if mdc.stream_id in streams]
        problems = judge(report.deliveries, [report], mdcs, list(self._fakes.recall.api.history))
        if call.query.expected == "not-joined":
            problems = [one for one in problems if one.name != "unjoined"]
        elif call.query.expected == "deleted":
            problems += await self._kept(lambda: judge_deletion(mdcs, space.recordings.values()))
        return ProblemList(problems=[row(one) for one in problems])

    async def _kept(self, look: Callable[[], list[Problem]]) -> list[Problem]:
        """What is still there after the time that a receiver has to delete it."""
        give_up = self._real_time.now() + _DELETED_WITHIN_S
        while (problems := look()) and self._real_time.now() < give_up:
            await self._real_time.sleep(_LOOK_EVERY_S)
        return problems

    async def _quiet(self) -> None:
        """Return when nothing has happened for a moment: a receiver may hand a stream on after its answer."""
        last, since, give_up = self._fakes.life(), self._real_time.now(), self._real_time.now() + _QUIET_WITHIN_S
        while self._real_time.now() < min(give_up, since + _QUIET_S):
            await self._real_time.sleep(_LOOK_EVERY_S)
            if (life := self._fakes.life()) != last or self._fakes.clock.calls_open:
                last, since = life, self._real_time.now()

    async def _end(self, call: Call) -> MeetingRow:
        meeting = self._meeting(call)
        playing = self._tasks.get(meeting.id)
        together = [one for number, one in self._fakes.zoom.meetings.items() if playing is not None and self._tasks.get(number) is playing]
        going_on = [one for one in together or [meeting] if one.ended_at is None]
        ending = asyncio.gather(*(one.end() for one in going_on))
        with contextlib.suppress(TimeoutError):
            await self._real_time.wait_for(ending, _ENDED_WITHIN_S)
        if playing is not None:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
        for one in going_on:
            await one.aclose()
        return meeting_row(meeting.report(), self._fakes.links())

    async def _act(self, call: Call) -> MeetingRow:
        meeting, new = self._meeting(call), call.body
        kinds = ACTIONS
        if new.kind not in kinds:
            raise impossible(f"there is no action {new.kind!r} (allowed: {', '.join(kinds)})")
        at_s = self._fakes.clock.now() - meeting.started_at
        try:
            await meeting.act(Action(at_s, new.kind, new.who, new.data))
        except (KeyError, ValueError, TypeError, AttributeError, AssertionError) as error:
            raise impossible(f"{new.kind} cannot be done so: {type(error).__name__} {error}") from None
        return meeting_row(meeting.report(), self._fakes.links())

    async def _traffic(self, call: Call) -> Traffic:
        return Traffic(traffic=[row for stream in self._meeting(call).streams for row in _traffic_rows(stream)])

    async def _upload(self, call: Call) -> Uploaded:
        identity = f"{next(self._uploads)}-{call.query.name}"
        self._fakes.uploads.mkdir(parents=True, exist_ok=True)
        target = self._fakes.uploads / identity
        size = 0
        with target.open("wb") as file:
            async for chunk in call.request.stream():
                size += len(chunk)
                if size > MOST_UPLOAD:
                    target.unlink()
                    raise ControlRefusedError(413, "too_large", f"the file is larger than {MOST_UPLOAD:,} bytes")
                file.write(chunk)
        return Uploaded(upload=identity, bytes=size)

    def _meeting(self, call: Call) -> Meeting:
        meetings = self._fakes.zoom.meetings
        for number, meeting in meetings.items():
            if str(number) == call.path["id"]:
                return meeting
        raise missing("meeting", repr(call.path["id"]), f"there are {', '.join(map(str, meetings)) or 'none'}")


def _traffic_rows(stream: AppStream) -> list[TrafficRow]:
    return [
        TrafficRow(stream=stream.ids.stream_id, at_ms=line.at_ms, connection=line.conn, what=line.what, out=line.out, message=line.message)
        for line in stream.live.traffic
    ]
