"""What a person asks to be played, resolved and checked: the same for the command line, for a running `up` and for tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from rtms_simulator.clock import Clock
from rtms_simulator.faults import Fault, FaultError, parse_fault
from rtms_simulator.scenario import Scenario, ScenarioError, load
from rtms_simulator.zoom import MeetingReport, Zoom
from rtms_simulator.zoom.media import MediaFileError, MediaSource
from rtms_simulator.zoom.meeting.timeline import Speed
from rtms_simulator.zoom.webhooks.sender import INTERNAL_ERRORS

KEYS = {"scenario", "media", "transcript", "speed", "seed", "faults", "webhook_url"}
CONNECTION_REFUSED = INTERNAL_ERRORS[httpx.ConnectError]
_LOOK_EVERY_S = 0.1


class Unplayable(ValueError):
    """A request that cannot be played: says what was asked and what is possible."""


class NoReceiver(Exception):
    """Nobody listens where the events go: no start of a meeting found a connection."""


@dataclass(frozen=True, slots=True)
class Playbill:
    """One scenario (of one or several meetings), with a person's own files in its place if there are any."""

    scenario: Scenario
    media: Path | None = None
    transcript: Path | None = None
    speed: Speed = 1.0
    faults: tuple[Fault, ...] = ()

    def meetings(self) -> list[tuple[Scenario, MediaSource]]:
        """Each meeting with its media. Raises `Unplayable` for files that cannot be used."""
        try:
            sources = [MediaSource(one, media_file=self.media, transcript_file=self.transcript) for one in self.scenario.each()]
        except (MediaFileError, ScenarioError, OSError) as error:
            raise Unplayable(str(error)) from None
        return [(source.scenario, source) for source in sources]


def read(asked: Mapping[str, Any]) -> Playbill:
    """`{scenario, media, transcript, speed, seed, faults}`, all optional, to a `Playbill`. Raises `Unplayable`."""
    unknown = set(asked) - KEYS
    if unknown:
        raise Unplayable(f"unknown key {min(unknown)!r} (allowed: {', '.join(sorted(KEYS))})")
    seed, texts = asked.get("seed"), asked.get("faults") or []
    if seed is not None and type(seed) is not int:
        raise Unplayable(f"seed is {seed!r}, a whole number was expected")
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise Unplayable(f"faults is {texts!r}, a list of texts was expected")
    try:
        scenario = load(str(asked.get("scenario") or "stand-up"))
        faults = tuple(parse_fault(text) for text in texts)
    except (ScenarioError, FaultError) as error:
        raise Unplayable(str(error)) from None
    if seed is not None:
        scenario = replace(scenario, seed=seed)
    media, transcript = (Path(found) if (found := asked.get(key)) else None for key in ("media", "transcript"))
    return Playbill(scenario, media, transcript, read_speed(asked.get("speed", 1.0)), faults)


def read_speed(found: Any) -> Speed:
    """`max`, or how many times as fast as real time (above 0, at most 1000). Raises `Unplayable`."""
    if found == "max":
        return "max"
    try:
        speed = float(found)
    except (TypeError, ValueError):
        speed = math.nan
    if not 0 < speed <= 1000:
        raise Unplayable(f"speed is {found!r} (allowed: a number above 0, at most 1000, or max)")
    return speed


async def perform(
    zoom: Zoom,
    playbill: Playbill,
    webhook_url: str,
    *,
    real_time: Clock,
    on_note: Callable[[int, int, str], None] = lambda _meeting, _ms, _what: None,
    patient: bool = True,
) -> tuple[MeetingReport, ...]:
    """Hold every meeting of the playbill at once, to their ends. `on_note(meeting, ms since its start, what)` hears of each as it goes on.

    Raises `Unplayable`, and `NoReceiver` unless it is `patient`: Zoom would try again after 5 minutes, a person would not. Cancelled, it
    breaks the meetings off.
    """
    running = [
        zoom.begin(scenario, webhook_url, speed=playbill.speed, faults=playbill.faults, source=source)
        for scenario, source in playbill.meetings()
    ]
    heard: set[tuple[int, int, str]] = set()

    def tell(reports: Sequence[MeetingReport]) -> None:
        notes = {(report.id, *note) for report in reports for note in _notes(report)}
        for number, ms, what in sorted(notes - heard, key=lambda note: note[1]):
            on_note(number, ms, what)
        heard.update(notes)

    try:
        while any(meeting.ended_at is None for meeting in running):
            await real_time.sleep(_LOOK_EVERY_S)
            reports = [meeting.report() for meeting in running]
            tell(reports)
            if not patient and (problems := _unconnected(reports)):
                raise NoReceiver(f"{webhook_url} cannot be reached: {problems[0]}")
        finished = tuple([await meeting.finished() for meeting in running])
        tell(finished)
        return finished
    finally:
        for meeting in running:
            if meeting.ended_at is None:
                await meeting.aclose()


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


def _notes(report: MeetingReport) -> list[tuple[int, str]]:
    """What has happened, in the words of a log: the meeting's own notes, who joined, how each delivery was answered."""
    notes = list(report.timeline)
    notes += [(stream.joined_ms, f"stream {stream.stream_id} joined") for stream in report.streams if stream.joined_ms is not None]
    for delivery in report.deliveries:
        for attempt in delivery.attempts:
            answered = round((attempt.at + attempt.latency_s) * 1000) - report.started_ms
            how = f"answered {attempt.status}" if (attempt.status or 0) > 0 else f"not answered: {attempt.problem}"
            notes.append((answered, f"{delivery.event.name} {how} after {attempt.latency_s * 1000:.0f} ms"))
    return notes
