"""A request to play meetings, resolved and checked: the same for the command line, for a running `up` and for tests."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from rtms_simulator.clock import Clock
from rtms_simulator.control.answers import Note, PlayRequest
from rtms_simulator.errors import FaultError, MediaFileError, NoReceiverError, PlayRequestError
from rtms_simulator.faults import Fault, parse_fault
from rtms_simulator.kit.rows import NO_LINKS, meeting_row, notes
from rtms_simulator.kit.scenarios import DEFAULT, around_own_files, load_playable
from rtms_simulator.scenario import Scenario, ScenarioError
from rtms_simulator.zoom import MeetingReport, Zoom
from rtms_simulator.zoom.media import MediaSource, MediaSwitches
from rtms_simulator.zoom.meeting.meeting import Meeting
from rtms_simulator.zoom.meeting.timeline import Speed
from rtms_simulator.zoom.unattended import PATIENCE_S, Life, Unattended
from rtms_simulator.zoom.webhooks.sender import INTERNAL_ERRORS

CONNECTION_REFUSED = INTERNAL_ERRORS[httpx.ConnectError]
UPLOAD = "upload:"
_LOOK_EVERY_S = 0.1
SENT_WITHIN_S = 10.0
"""How long, in real seconds, a meeting that is over waits for webhooks that a fault holds back or sends twice."""


@dataclass(frozen=True, slots=True)
class ResolvedPlay:
    """Meetings that can be played: one scenario (of one or several meetings), with a person's own files in its place if there are any."""

    scenario: Scenario
    media: Path | None = None
    transcript: Path | None = None
    speed: Speed = 1.0
    faults: tuple[Fault, ...] = ()
    patience_s: float = PATIENCE_S
    """In real seconds: nobody has joined, and nothing has happened for so long."""

    def meetings(self, switches: MediaSwitches | None = None) -> list[tuple[Scenario, MediaSource]]:
        """Each meeting with its media. Raises PlayRequestError for files that cannot be used."""
        try:
            sources = [
                MediaSource(one, media_file=self.media, transcript_file=self.transcript, switches=switches) for one in self.scenario.each()
            ]
        except (MediaFileError, ScenarioError, OSError) as error:
            raise PlayRequestError(str(error)) from None
        return [(source.scenario, source) for source in sources]


def resolve(request: PlayRequest, uploads: Path | None = None) -> ResolvedPlay:
    """Load and check everything that a request names. `uploads`: where `upload:ID` is found. Raises PlayRequestError."""
    try:
        scenario = scenario_of(request, uploads)
        faults = tuple(parse_fault(text) for text in request.faults)
    except (ScenarioError, FaultError) as error:
        raise PlayRequestError(str(error)) from None
    if request.seed is not None:
        scenario = replace(scenario, seed=request.seed)
    media, transcript = (Path(_file(name, uploads)) if name else None for name in (request.media, request.transcript))
    return ResolvedPlay(scenario, media, transcript, read_speed(request.speed), faults, request.patience_s)


def scenario_of(request: PlayRequest, uploads: Path | None = None) -> Scenario:
    """The one that is asked for, or around a person's own files one of their name in which nothing else happens. Raises ScenarioError."""
    if request.scenario is not None:
        return load_playable(_file(request.scenario, uploads))
    own = request.media or request.transcript
    return load_playable(DEFAULT) if own is None else around_own_files(_shown_name(own))


def _shown_name(file: str) -> str:
    """Of an upload the name that it was given: `upload:3-talk.mp4` is talk.mp4."""
    return file.removeprefix(UPLOAD).partition("-")[2] if file.startswith(UPLOAD) else Path(file).name


def _file(name: str, uploads: Path | None) -> str:
    """A scenario's name or a file's path; of `upload:ID` the path of the file that was uploaded."""
    if not name.startswith(UPLOAD):
        return name
    identity = name.removeprefix(UPLOAD)
    if uploads is None or "/" in identity or not (uploads / identity).is_file():
        raise PlayRequestError(f"there is no upload {identity!r} (allowed: what POST /uploads answered)")
    return str(uploads / identity)


def read_speed(value: float | str) -> Speed:
    """`max`, or how many times as fast as real time (above 0, at most 1000). Raises PlayRequestError."""
    if value == "max":
        return "max"
    try:
        speed = float(value)
    except ValueError:
        speed = math.nan
    if not 0 < speed <= 1000:
        raise PlayRequestError(f"speed is {value!r} (allowed: a number above 0, at most 1000, or max)")
    return speed


async def perform(
    zoom: Zoom,
    play: ResolvedPlay,
    webhook_url: str,
    *,
    real_time: Clock,
    on_note: Callable[[int, int, str], None] = lambda _meeting, _ms, _what: None,
    patient: bool = True,
    life: Life = lambda: None,
) -> tuple[MeetingReport, ...]:
    """Begin and hold every meeting of a play. Raises as both."""
    running = begin(zoom, play, webhook_url)
    return await hold(zoom, play, running, webhook_url, real_time=real_time, on_note=on_note, patient=patient, life=life)


def begin(zoom: Zoom, play: ResolvedPlay, webhook_url: str) -> tuple[Meeting, ...]:
    """Have every meeting begin now. Each is to be held, or ended. Raises PlayRequestError."""
    return tuple(
        zoom.begin(scenario, webhook_url, speed=play.speed, faults=play.faults, source=source)
        for scenario, source in play.meetings(zoom.switches)
    )


async def hold(
    zoom: Zoom,
    play: ResolvedPlay,
    running: Sequence[Meeting],
    webhook_url: str,
    *,
    real_time: Clock,
    on_note: Callable[[int, int, str], None] = lambda _meeting, _ms, _what: None,
    patient: bool = True,
    life: Life = lambda: None,
) -> tuple[MeetingReport, ...]:
    """Hold meetings that have begun to their ends. `on_note(meeting, ms since its start, what)` hears of each as it goes on.

    When nobody joins and nothing has happened for `play.patience_s` (`life` says what counts beside Zoom itself), the fakes' clock runs
    ahead; then the meetings end as they would in real time, at every speed. What is late or sent twice is waited for.

    Raises NoReceiverError unless it is `patient`: Zoom would try again after 5 minutes, a person would not. Cancelled, it breaks the
    meetings off.
    """
    known_notes: set[tuple[int, Note]] = set()
    unattended = Unattended(zoom, real_time, life, play.patience_s)

    def tell(reports: Sequence[MeetingReport]) -> None:
        now = {(report.id, note) for report in reports for note in notes(meeting_row(report, NO_LINKS))}
        for number, note in sorted(now - known_notes, key=lambda one: one[1].ms):
            on_note(number, note.ms, note.what)
        known_notes.update(now)

    try:
        while any(meeting.ended_at is None for meeting in running):
            await real_time.sleep(_LOOK_EVERY_S)
            reports = [meeting.report() for meeting in running]
            tell(reports)
            if not patient and (problems := _unconnected(reports)):
                raise NoReceiverError(f"{webhook_url} cannot be reached: {problems[0]}")
            await unattended.look()
        finished = await _finished(zoom, running, real_time)
        tell(finished)
        return finished
    finally:
        for meeting in running:
            if meeting.ended_at is None:
                await meeting.aclose()


async def _finished(zoom: Zoom, running: Sequence[Meeting], real_time: Clock) -> tuple[MeetingReport, ...]:
    """The reports once all is sent that a fault has not put off for long."""
    for meeting in running:
        await meeting.finished()
    with contextlib.suppress(TimeoutError):
        await real_time.wait_for(zoom.webhooks.first_sent(), SENT_WITHIN_S)
    return tuple(meeting.report() for meeting in running)


def _unconnected(reports: Sequence[MeetingReport]) -> list[str]:
    """Why no start could be delivered; empty as long as one could, or may yet."""
    problems: list[str] = []
    for report in reports:
        starts = [delivery for delivery in report.deliveries if delivery.event.name.endswith("rtms_started")]
        tried = [attempt for delivery in starts for attempt in delivery.attempts]
        if not tried or any(attempt.status != CONNECTION_REFUSED for attempt in tried):
            return []
        problems += [attempt.problem for attempt in tried]
    return problems
