"""Whether a meeting ended as it should: the verdict of `rtmskit meeting play`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import click

from rtms_simulator.cli.fakes.clock import why_refused
from rtms_simulator.cli.play.outcome import Failed

if TYPE_CHECKING:
    from rtms_simulator.control.answers import DeliveryAttempt, MeetingRow, ProblemRow, StreamRow

OUTCOMES = ("recorded", "deleted", "not-joined")
"""Those of `scenario.actions.OUTCOMES`, which would make `--help` slow; a test compares the two."""

DO = {
    "forged": "verify x-zm-signature over the raw body, and refuse old time stamps: anybody can send this.",
    "doubled": "remember which (rtms_stream_id, server_urls) was handed on, or send the same Idempotency-Key.",
    "slow": "answer before doing the work: Zoom counts an answer after 3 s as none, and sends the event again.",
    "failed": "answer 200 or 204 once the event is safe.",
    "refused": "answer 200 or 204 to every event that is rightly signed, known or not.",
    "lost": "look at what the receiver sends to Recall (`rtmskit requests list`).",
    "unjoined": "compare the Client ID and Client Secret that the receiver signs with.",
    "kept": "delete the recordings of a stream that ends with stop_reason 8.",
}
"""What to do about a broken rule (`kit.control.invariants.RULES`)."""


def judge(meetings: Sequence[MeetingRow], problems: Sequence[ProblemRow], expected: str, why: Callable[[MeetingRow], str]) -> None:
    """Raises Failed for a fault that changed nothing, for an end that is not the expected one, and for what no receiver may do.

    `why(meeting)`: what to do when nobody joined it, although its start was taken.
    """
    _without_effect(meetings)
    idle = [f"the fault {fault!r} never acted, or changed nothing" for row in meetings for fault in row.idle_faults]
    _right_end(meetings, expected, why, idle)
    if idle:
        raise Failed(idle[0], "look at its target and moment (`rtmskit faults list`).")
    if problems:
        for one in problems[1:]:
            click.echo(f"Also {one.name}: {one.what}", err=True)
        raise Failed(f"{problems[0].name}: {problems[0].what} ({problems[0].rule})", DO[problems[0].name])


def _right_end(meetings: Sequence[MeetingRow], expected: str, why: Callable[[MeetingRow], str], idle: Iterable[str]) -> None:
    """Raises Failed for a stream that was joined, or not, against what is expected. `idle`: what is said beside that."""
    streams = [(row, stream) for row in meetings for stream in row.streams]
    wrong = [(row, stream) for row, stream in streams if (stream.joined_ms is None) != (expected == "not-joined")]
    if wrong:
        for one in idle:
            click.echo(f"Also: {one}", err=True)
        (_somebody if expected == "not-joined" else _nobody)(*wrong[0], why)


def tried(attempt: DeliveryAttempt) -> str:
    """How one request was answered. Without an answer the status is the number that Zoom's delivery log has for that."""
    within = f"in {attempt.latency_ms or 0:.0f} ms"
    if (attempt.status or 0) > 0:
        return f"{attempt.status} {within}"
    return f"no answer {within} ({attempt.status}: {attempt.problem})"


def _without_effect(meetings: Iterable[MeetingRow]) -> None:
    idle = [(one.event, fault) for row in meetings for one in row.deliveries for fault in one.without_effect]
    if idle:
        event, fault = idle[0]
        raise Failed(f"the fault {fault!r} changed nothing of {event}", "choose another style (`rtmskit faults list`).")


def _somebody(_row: MeetingRow, stream: StreamRow, _why: Callable[[MeetingRow], str]) -> None:
    what = f"stream {stream.stream_id} was joined after {stream.joined_ms} ms, but in this meeting nobody should join"
    raise Failed(what, "did you mean another scenario? --expect says how it should end.")


def _nobody(row: MeetingRow, stream: StreamRow, why: Callable[[MeetingRow], str]) -> None:
    nobody = f"nobody joined stream {stream.stream_id}"
    started = [one for one in row.deliveries if one.event.endswith("rtms_started") and one.attempts]
    refused = next((one for one in started if one.outcome != "delivered"), None)
    if refused is None:
        raise Failed(nobody, why(row))
    last = refused.attempts[-1]
    hint = why_refused(last.status or 0) or "look at the receiver's log."
    raise Failed(f"{nobody}: rtms_started ended {refused.outcome}, {tried(last)}", hint)
