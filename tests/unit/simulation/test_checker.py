"""For each line of the checker that can report a violation, one hand-written history that it alone reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.simulation.checker import Verdict, judge
from tests.simulation.order import judge_order
from tests.simulation.promptness import judge_acks, judge_promptness
from tests.simulation.world import Event

T = 1_700_000_000_000
S, A, B = "stream", "wss://a.zoom.us", "wss://b.zoom.us"
KEY, OTHER = "k" * 64, "o" * 64
MDC, REC = "mdc-1", "rec-mdc-1"


def said(event: str = "started", *, ts: int = T, at: int = T + 1_000, urls: str | None = A, status: int = 200, **facts: Any) -> Event:
    """An answer to a delivery of Zoom's."""
    known = {"event": f"meeting.rtms_{event}", "stream": S, "ts": ts, "urls": urls, "reason": None, "status": status, "authentic": True}
    return Event(at, "zoom", "answered", known | facts)


def stopped(*, ts: int = T + 600_000, reason: int = 6) -> Event:
    return said("stopped", ts=ts, at=ts + 1_000, urls=None, reason=reason)


def made(at: int = T + 2_000, *, mdc: str = MDC, handoff: str = KEY, urls: str = A) -> Event:
    return Event(at, "recall", "made", {"handoff": handoff, "mdc": mdc, "key": "i", "stream": S, "urls": urls})


def tried(began: int, ended: int, status: int) -> Event:
    return Event(ended, "recall", "tried", {"stream": S, "urls": A, "began": began, "status": status, "failure": None})


def outage(part: str, begin: int, until: int) -> Event:
    return Event(begin, "outage", part, {"kind": "stalls", "queue": "", "until": until})


def fault(label: str, at: int) -> Event:
    return Event(at, "fault", label, {})


def record(**fields: Any) -> dict[str, Any]:
    known = {"stream_id": S, "server_urls": A, "epoch": T, "state": "accepted", "reason": "because", "mdc_id": MDC, "unsure": False}
    return {**known, "tries": 1, "recordings": [], "retrieval": "done"} | fields


@dataclass(frozen=True)
class Case:
    """A history and what the store holds after it; one violation, of this promise and with these words."""

    name: str
    promise: str
    words: str
    history: Sequence[Event]
    records: dict[str, dict[str, Any]] = field(default_factory=lambda: {KEY: record()})
    archive: Sequence[str] = ()
    kept: Sequence[str] = ()


GOOD = [said(), made(), stopped()]

CASES = [
    Case("a forgery is accepted", "G5", "a forged", [*GOOD, said(authentic=False, urls=B)]),
    Case("an acked start without a record", "G1", "has no record", [said(), stopped()], {}),
    Case(
        "an acked fail-over without a record",
        "G3",
        "has no record",
        [said(), made(), said(ts=T + 5_000, at=T + 6_000, urls=B), stopped()],
    ),
    Case("a hand-off that never ends", "G1", "came to rest as pending", [said(), stopped()], {KEY: record(state="pending", mdc_id=None)}),
    Case("an end without a reason", "G1", "without a reason", [said(), stopped()], {KEY: record(state="expired", reason="", mdc_id=None)}),
    Case("accepted without an MDC", "G1", "neither an MDC nor a recording", GOOD, {KEY: record(mdc_id=None)}),
    Case("two MDCs, unmarked", "G2", "made 2 MDCs", [*GOOD, made(mdc="mdc-2")]),
    Case("an MDC that no record knows", "G5", "which no record knows", [*GOOD, made(handoff=OTHER, mdc="mdc-2")]),
    Case(
        "a hand-off that nobody asked for",
        "G5",
        "no authentic delivery asked for it",
        GOOD,
        {KEY: record(), OTHER: record(server_urls=B, state="expired", mdc_id=None)},
    ),
    Case("an MDC of one's own invention", "G1", "which Recall never made for it", GOOD, {KEY: record(mdc_id="mdc-9")}),
    Case("cancelled, but nothing stopped", "G1", "nothing stopped its stream", [said()], {KEY: record(state="cancelled", mdc_id=None)}),
    Case("superseded by nothing", "G3", "no newer start", [said(), stopped()], {KEY: record(state="superseded", mdc_id=None)}),
    Case(
        "pending, though the stream moved on",
        "G3",
        "still pending",
        [said(status=500), said(ts=T + 1, urls=B, status=500)],
        {KEY: record(state="pending", mdc_id=None)},
    ),
    Case("failed, but never refused", "G1", "never refused it", [said(), stopped()], {KEY: record(state="failed", mdc_id=None)}),
    Case(
        "revoked, but its recording is kept",
        "G8",
        "is still at Recall",
        [said(), made(), stopped(reason=8)],
        {KEY: record(stream_id="", server_urls="")},
        kept=[REC],
    ),
    Case(
        "revoked, but its copy is kept",
        "G8",
        "is still there",
        [said(), made(), stopped(reason=8)],
        {KEY: record(stream_id="", server_urls="")},
        archive=[f"{KEY}/video.mp4"],
    ),
    Case("another's recording is deleted", "G8", "was deleted", [*GOOD, Event(T, "recall", "deleted foreign", {"recording": "foreign-1"})]),
    Case("another's recording is copied", "G8", "belongs to no hand-off", GOOD, archive=[f"{OTHER}/video.mp4"]),
]


def verdict(case: Case) -> Verdict:
    return judge(case.history, case.records, archive=case.archive, kept=case.kept)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_violation_is_reported_by_its_own_line(case: Case) -> None:
    [line] = verdict(case).broken
    assert line.startswith(f"{case.promise}: ")
    assert case.words in line


def test_a_good_history_breaks_nothing() -> None:
    assert verdict(Case("", "", "", GOOD, kept=[REC], archive=[f"{KEY}/video.mp4"])).broken == []
    unsure = {KEY: record(unsure=True)}
    assert verdict(Case("", "", "", [*GOOD, made(mdc="mdc-2")], unsure)).broken == []


NO_VIOLATION = {
    "what was revoked has no ids any more": ([said(), made(), stopped(reason=8)], {KEY: record(stream_id="", server_urls="")}),
    "the revocation was heard, and its ack got lost": (
        [said(), made(), said("stopped", ts=T + 600_000, urls=None, reason=8, status=597)],
        {KEY: record(stream_id="", server_urls="")},
    ),
    "it moved on, and that it came back was never heard": (
        [said(), made(), said(ts=T + 5_000, urls=B), made(handoff=OTHER, mdc="mdc-2", urls=B), said(ts=T + 9_000, status=503)],
        {KEY: record(state="superseded"), OTHER: record(server_urls=B, mdc_id="mdc-2")},
    ),
    "it was stopped, and that it began once more was never heard": (
        [said(), stopped(ts=T + 500), said(ts=T + 9_000, status=503)],
        {KEY: record(state="cancelled", mdc_id=None)},
    ),
}


@pytest.mark.parametrize("name", NO_VIOLATION)
def test_what_was_never_heard_for_certain_proves_nothing(name: str) -> None:
    history, records = NO_VIOLATION[name]
    assert verdict(Case("", "", "", history, records)).broken == []


STILL_ONE = {
    "it came back, which was acknowledged": (
        "G3",
        [said(), made(), said(ts=T + 5_000, urls=B), made(handoff=OTHER, mdc="mdc-2", urls=B), said(ts=T + 9_000)],
        {KEY: record(state="superseded"), OTHER: record(server_urls=B, mdc_id="mdc-2")},
    ),
    "it began once more, which was acknowledged": (
        "G1",
        [said(), stopped(ts=T + 500), said(ts=T + 9_000)],
        {KEY: record(state="cancelled", mdc_id=None)},
    ),
    "another stop, but no revocation": ("G1", [said(), made(), stopped()], {KEY: record(stream_id="", server_urls="")}),
}


@pytest.mark.parametrize("name", STILL_ONE)
def test_what_was_acknowledged_does(name: str) -> None:
    promise, history, records = STILL_ONE[name]
    [line] = verdict(Case("", "", "", history, records)).broken
    assert line.startswith(f"{promise}: ")


def test_another_s_recording_is_adopted() -> None:
    """The hand-off claims what Recall never made for it, and it is another's: two promises, two lines."""
    adopted = verdict(Case("", "", "", GOOD, {KEY: record(recordings=[{"id": "foreign-1"}])}))
    assert [line[:2] for line in adopted.broken] == ["G1", "G8"]
    assert adopted.foreign == 1


# In time


def promptness(history: Sequence[Event], **options: Any) -> tuple[list[str], str]:
    judged = Verdict()
    judge_promptness(judged, sorted(history, key=lambda event: event.at_ms), **options)
    [excuse] = judged.promptness
    return judged.broken, excuse


REFUSED = [tried(T + 1_500 + step * 5_000, T + 2_000 + step * 5_000, 503) for step in range(12)]
"""Tried every 5 s until the end of the window."""

EXCUSED = {
    "an MDC within the window": ([said(), made(T + 60_000), stopped()], "in time"),
    "the stream ended after 30 s": ([said(), stopped(ts=T + 30_000)], "the stream ended or moved on"),
    "the stream moved on after 30 s": ([said(), said(ts=T + 30_000, urls=B, at=T + 31_000, status=500)], "the stream ended or moved on"),
    "the stream was revoked before": ([stopped(ts=T - 5_000, reason=8), said()], "the stream ended or moved on"),
    "Recall failed all along, and before in another hand-off": (
        [said(), *REFUSED, tried(T - 90_000, T - 89_000, 503)],
        "Recall refused or was unreachable",
    ),
    "acknowledged 25 s after it began": ([said(at=T + 25_000)], "no time was left"),
    "Recall failed all along": ([said(), *REFUSED], "Recall refused or was unreachable"),
    "Recall refused it for good": ([said(), tried(T + 1_500, T + 2_000, 400)], "Recall refused or was unreachable"),
    "Recall was busy": (
        [said(), *(tried(T + at, T + at + 500, 429) for at in (1_500, 32_000, 57_000))],
        "Recall refused or was unreachable",
    ),
    "the store and the home region were out": (
        [said(), outage("store", T, T + 9_000), fault("home task late", T + 1_500)],
        "two parts failed",
    ),
    "two crashes": ([said(), Event(T + 2_000, "worker-1", "crash", {}), Event(T + 3_000, "worker-1", "crash", {})], "two parts failed"),
    "Cloud Run let nobody through": ([said(), outage("cloud run", T - 5_000, T + 90_000)], "Cloud Run let nobody through"),
    "Cloud Run let nobody through until too late": (
        [said(), outage("cloud run", T - 5_000, T + 20_001)],
        "Cloud Run let nobody through",
    ),
    "no worker could be started": ([said(), outage("worker", T + 2_000, T + 50_000)], "Cloud Run let nobody through"),
}


@pytest.mark.parametrize("name", EXCUSED)
def test_an_excuse_counts(name: str) -> None:
    history, excuse = EXCUSED[name]
    assert promptness(history) == ([], excuse)


LATE: dict[str, tuple[str, Sequence[Event]]] = {
    "nothing failed": ("G1'", [said(), stopped()]),
    "an MDC after the window": ("G1'", [said(), made(T + 60_001)]),
    "an MDC on the servers of before": ("G1'", [said(), made(urls=B)]),
    "the stream ended, but after 50 s": ("G1'", [said(), stopped(ts=T + 50_000)]),
    "acknowledged with 40 s left": ("G1'", [said(at=T + 20_000)]),
    "only the store was out": ("G9", [said(), outage("store", T - 3_600_000, T + 3_600_000), fault("store slow", T + 1_000)]),
    "only the home region was out": ("G9", [said(), outage("home", T, T + 90_000), fault("home queue unavailable", T)]),
    "the scheduler was out": ("G1'", [said(), outage("scheduler", T, T + 90_000)]),
    "stopped before it began": ("G1'", [stopped(ts=T - 5_000), said()]),
    "one crash": ("G9", [said(), Event(T + 2_000, "worker-1", "crash", {})]),
    "only webhooks crashed": ("G1'", [said(), *(Event(T + at, "webhook-1", "crash", {}) for at in (2_000, 3_000))]),
    "no webhook could be started": ("G1'", [said(), outage("webhook", T + 2_000, T + 90_000)]),
    "Cloud Run let nobody through, but not for long": ("G9", [said(), outage("cloud run", T - 5_000, T + 20_000)]),
    "no worker could be started, before it": ("G1'", [said(), outage("worker", T - 50_000, T - 20_000)]),
    "an outage of before and one of after": (
        "G1'",
        [said(), outage("store", T - 90_000, T - 20_000), outage("home", T + 61_000, T + 90_000)],
    ),
    "what does no harm": ("G1'", [said(), fault("task duplicated", T + 1_000), fault("recall webhook lost", T + 2_000)]),
    "Recall failed once and was not tried again": ("G9", [said(), tried(T + 1_500, T + 2_000, 503)]),
    "Recall was tried late": ("G9", [said(), *(one for one in REFUSED if one.facts["began"] > T + 15_000)]),
    "Recall was not tried at the end": ("G9", [said(), *(one for one in REFUSED if one.facts["began"] < T + 40_000)]),
    "Recall was left alone for half a minute after a 503": ("G9", [said(), *REFUSED[:2], *REFUSED[7:]]),
}


@pytest.mark.parametrize("name", LATE)
def test_without_an_excuse_it_is_late(name: str) -> None:
    promise, history = LATE[name]
    [line], excuse = promptness(history)
    assert line.startswith(f"{promise}: start of {S}")
    assert excuse == "late"


def test_g10_is_ten_seconds_from_the_ack() -> None:
    assert promptness([said(), made(T + 11_000)], every_within_ms=10_000) == ([], "in time")
    [line], _ = promptness([said(), made(T + 11_001)], every_within_ms=10_000)
    assert line.startswith("G10: ")


@pytest.mark.parametrize(("status", "broken"), [(200, 0), (401, 0), (597, 0), (500, 1), (598, 1), (599, 1)])
def test_an_ack_that_does_not_come_in_three_seconds_breaks_g7(status: int, broken: int) -> None:
    judged = Verdict()
    judge_acks(judged, [said(status=status), said(status=status, authentic=False), stopped()])
    assert [line[:2] for line in judged.broken] == ["G7"] * broken


# Order


def facts(**fields: Any) -> dict[str, Any]:
    run = {"newest_ts": T, "server_urls": A}
    return {"stream_id": S, "stopped_ts": T + 600_000, "stop_reason": 6, "runs": [run]} | fields


EARLIER, LATER = stopped(ts=T + 500_000, reason=10), stopped(ts=T + 700_000, reason=10)
ON_RECORD: dict[str, tuple[Sequence[Event], dict[str, Any], int]] = {
    "what came": (GOOD, facts(), 0),
    "nothing came": ([], facts(stopped_ts=0, stop_reason=-1, runs=[]), 0),
    "the newest of two stops": ([*GOOD, EARLIER], facts(), 0),
    "a stop without an ack": ([said(), said("stopped", ts=T + 9, urls=None, reason=6, status=500)], facts(stopped_ts=T + 9), 0),
    "of a revoked stream nothing": ([*GOOD, LATER], facts(stream_id="", stopped_ts=1), 0),
    "a forgery": ([*GOOD, said(ts=T + 1, urls=B, authentic=False)], facts(), 0),
    "an earlier stop": ([*GOOD, LATER], facts(), 1),
    "a stop that never came": (GOOD, facts(stopped_ts=T + 600_001), 1),
    "no stop": (GOOD, facts(stopped_ts=0, stop_reason=-1), 1),
    "an earlier start": ([*GOOD, said(ts=T + 1, urls=B)], facts(), 1),
    "the time of an earlier start on the same servers": ([*GOOD, said(ts=T + 1)], facts(), 1),
}


@pytest.mark.parametrize("name", ON_RECORD)
def test_what_is_on_record_is_the_newest_that_was_acknowledged(name: str) -> None:
    history, fields, broken = ON_RECORD[name]
    judged = Verdict()
    judge_order(judged, history, {"key": fields})
    assert [line[:2] for line in judged.broken] == ["G4"] * broken


def _lines(check: Callable[..., object]) -> int:
    import inspect

    return inspect.getsource(check).count("breaks(")


def test_no_line_is_without_a_case() -> None:
    """Who adds a line adds a history."""
    from tests.simulation import checker

    parts = (checker._nothing_lost, checker._is_justified, checker._nothing_left, checker._nothing_foreign)
    lines = sum(_lines(check) for check in (checker.judge, *parts))
    seen = {case.words for case in CASES} | {"has taken"}
    assert len(seen) == lines
