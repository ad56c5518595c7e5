"""Hand-offs on a terminal: a list that fits 80 columns, and one hand-off as a story."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from rtms_simulator.cli.output import table
from rtms_simulator.cli.pages import RUNBOOK
from rtms_simulator.cli.records.handoff_words import UNSURE, meaning

if TYPE_CHECKING:
    from rtms_simulator.kit.worker_answers import HandOffRow, HandOffStory

SHORT = 12
_HEADS = ("id", "started", "product", "meeting", "hand-off", "recording", "reason")
_COLUMNS = (SHORT, 14, 14, 10, 10)


def moment(ms: int) -> str:
    """A time in UTC, as the logs have it."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"


def short_id(key: str, keys: Sequence[str]) -> str:
    """The beginning of an id that no other of `keys` has; the commands take it for the whole."""
    size = SHORT
    while size < len(key) and sum(other.startswith(key[:size]) for other in keys) > 1:
        size += 1
    return key[:size]


def show_rows(rows: Sequence[HandOffRow], *, terminal: bool) -> None:
    """On a terminal two or three lines each, none of them wider than it; in a pipe one line each, with whole ids."""
    if not terminal:
        table(_HEADS, [(row.id, moment(row.event_ts), row.product, row.entity_id, row.state, row.retrieval, row.cause) for row in rows])
        return
    click.echo(_aligned(("id", "started (UTC)", "product", "hand-off", "recording")))
    keys = [row.id for row in rows]
    width = max(40, shutil.get_terminal_size().columns)
    for row in rows:
        started = moment(row.event_ts)[5:]
        click.echo(_aligned((short_id(row.id, keys), started, row.product, row.state, row.retrieval)))
        for line in (row.entity_id and f"meeting {row.entity_id}", row.cause):
            if line:
                click.echo(_folded(line, width))


def _aligned(cells: Sequence[str]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, _COLUMNS, strict=True)).rstrip()


def _folded(text: str, width: int) -> str:
    return textwrap.fill(text, width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)


def story(one: HandOffStory) -> Iterator[str]:
    """What came when, each try, what it means, what to do next: lines of text."""
    yield f"hand-off     {one.id}"
    yield f"state        {one.state}" + ("" if one.retrieval == "none" else f", recording {one.retrieval}")
    for name, value in (
        ("product", one.product),
        ("meeting", one.entity_id),
        ("stream", one.rtms_stream_id),
        ("MDC", one.mdc_id or ""),
        ("Recall says", one.mdc_status),
        ("log key", one.stream.key),
    ):
        if value:
            yield f"{name:<13}{value}"
    yield ""
    yield from (f"{'?' * 19 if at is None else moment(at)}  {what}" for at, what in _events(one))
    yield from (f"{moment(at)}  planned: {what}" for at, what in _planned(one))
    yield ""
    known = meaning(one)
    for cause in dict.fromkeys(part for part in (one.reason, one.not_joined, one.retrieval_reason) if part):
        yield f"Reason: {_sentence(cause)}"
    yield f"It means: {known.means}" + (f" {UNSURE}" if one.unsure else "")
    yield f"Next: {known.do.replace('ID', one.id[:SHORT]).replace('STREAM', one.rtms_stream_id)}"
    yield f"More: {RUNBOOK}#{known.section}"


def _sentence(text: str) -> str:
    """The text with a mark at its end."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _events(one: HandOffStory) -> list[tuple[int | None, str]]:
    """In the order in which they happened. A try whose time is not on record stands after the hand-off's beginning."""
    late = ", after its window" if one.late else ""
    before = [*_starts(one), (one.created_at, f"the worker had it, {max(0, one.created_at - one.event_ts) / 1000:.1f} s after that{late}")]
    # What happened at one moment keeps the order of this list.
    events: list[tuple[int, int | None, str]] = [(at, at, what) for at, what in before if at is not None]
    events += [(one.created_at if tried.at is None else tried.at, tried.at, f"try {tried.number}: {tried.answer}") for tried in one.tries]
    events += [(at, at, what) for at, what in _follows(one) if at is not None]
    return [(at, what) for _, at, what in sorted(events, key=lambda event: event[0])]


def _follows(one: HandOffStory) -> Iterator[tuple[int | None, str]]:
    """What came of the tries, and of the stream; a time that is None has not come."""
    yield one.accepted_at, f"Recall accepted it{f' as MDC {one.mdc_id}' if one.mdc_id else ''}"
    yield one.stream.interrupted_ts, "Zoom reported an interruption"
    yield one.stream.stopped_ts, f"the stream ended: {one.stream.stop or 'without a reason'}"
    yield one.erasing_since, "its content began to be deleted: the right to keep it was withdrawn"
    if one.state in _ENDS:
        yield one.state_at, f"{one.state}: {one.reason}" if one.reason else one.state


_ENDS = ("failed", "expired", "cancelled", "superseded")


def _starts(one: HandOffStory) -> Iterator[tuple[int | None, str]]:
    own = [begin for begin in one.stream.starts if begin.id == one.id]
    yield (own[0].event_ts if own else one.event_ts), "Zoom began the stream"
    if own and own[0].latest_ts != own[0].event_ts:
        yield own[0].latest_ts, "Zoom began it again, on the same servers"
    for begin in one.stream.starts:
        if begin.id != one.id:
            yield begin.event_ts, f"Zoom began it on other servers: hand-off {begin.id[:SHORT]}"


def _planned(one: HandOffStory) -> Iterator[tuple[int, str]]:
    if one.trying_until is not None:
        yield one.trying_until, "the try that is under way has ended by then"
    elif one.next_try_at is not None:
        yield one.next_try_at, "the next try"
    if one.state == "pending":
        yield one.window_ends_at, "its window ends"
    if one.next_look_at is not None:
        looks = f" ({one.looks} so far)" if one.looks else ""
        yield one.next_look_at, f"the next look at Recall{looks}"
