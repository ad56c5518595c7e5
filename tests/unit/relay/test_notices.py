"""What the worker logs of a hand-off: whole lines, at the severity they deserve, and nothing twice."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.ports.events import NOW
from tests.ports.plain import Lines
from tests.ports.time import Time
from tests.ports.values import FACTS, HANDOFF, KEY, STREAM_KEY

from rtms_relay.handoff.record import HandOff
from rtms_relay.handoff.retrieval import Recording
from rtms_relay.notices import Notices, fact_ids, ids

IDS = {"handoff": KEY, "stream": STREAM_KEY, "entity_id": "e", "rtms_stream_id": "s"}
SINCE_MS = 1_500


@pytest.fixture
def log() -> Lines:
    return Lines()


@pytest.fixture
def notices(log: Lines) -> Notices:
    return Notices(Time(NOW + SINCE_MS), log)


def attempt(**changes: Any) -> HandOff:
    return replace(HANDOFF, attempt=replace(HANDOFF.attempt, **changes))


def retrieval(**changes: Any) -> HandOff:
    return replace(HANDOFF, retrieval=replace(HANDOFF.retrieval, **changes))


def line(severity: str, event: str, state: str, **more: Any) -> dict[str, Any]:
    shown = {"severity": severity, "event": event, **IDS, "product": "meeting", "state": state, "reason": "", "since_event_ms": SINCE_MS}
    return {**shown, **more}


STATES = {
    "new": (None, attempt(), False, line("NOTICE", "handoff_created", "pending")),
    "new, and superseded at once": (
        None,
        attempt(state="superseded", reason="moved on"),
        False,
        line("NOTICE", "handoff_created", "superseded", reason="moved on"),
    ),
    "accepted": (
        attempt(),
        attempt(state="accepted", mdc_id="mdc-1"),
        False,
        line("NOTICE", "handoff_accepted", "accepted", mdc_id="mdc-1"),
    ),
    "accepted at once": (None, attempt(state="accepted", mdc_id="m"), False, line("NOTICE", "handoff_accepted", "accepted", mdc_id="m")),
    "expired": (attempt(), attempt(state="expired", reason="r"), False, line("ALERT", "handoff_expired", "expired", reason="r")),
    "expired, late and in doubt": (
        attempt(),
        attempt(state="expired", late=True, unsure=True),
        False,
        line("ALERT", "handoff_expired", "expired", late=True, unsure=True),
    ),
    "failed, this one only": (attempt(), attempt(state="failed", tries=1), False, line("ERROR", "handoff_failed", "failed")),
    "failed, as every other will": (attempt(), attempt(state="failed", tries=1), True, line("ALERT", "handoff_failed", "failed")),
    "failed before it was tried": (attempt(), attempt(state="failed", tries=0), False, line("ALERT", "handoff_failed", "failed")),
    "cancelled": (attempt(), attempt(state="cancelled"), False, line("NOTICE", "handoff_changed", "cancelled", before="pending")),
    "pending again": (
        attempt(state="cancelled"),
        attempt(unsure=True),
        False,
        line("NOTICE", "handoff_changed", "pending", before="cancelled", unsure=True),
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_a_change_of_state_is_one_line(notices: Notices, log: Lines, name: str) -> None:
    before, after, alert, expected = STATES[name]
    notices.changed([(before, after)], alert=alert)
    assert log.lines == [expected]


def test_a_failure_concerns_only_its_hand_off_unless_it_is_said_otherwise(notices: Notices, log: Lines) -> None:
    before, after = attempt(), attempt(state="failed", tries=1)
    notices.changed([(before, after)])
    notices.state(before, after)
    assert [shown["severity"] for shown in log.lines] == ["ERROR", "ERROR"]


def test_one_change_may_be_several_lines(notices: Notices, log: Lines) -> None:
    after = replace(attempt(state="accepted", mdc_id="m"), retrieval=replace(HANDOFF.retrieval, not_joined="why"), erasure=_forgotten())
    notices.changed([(attempt(), after), (attempt(), attempt(state="expired"))])
    assert [shown["event"] for shown in log.lines] == ["handoff_accepted", "not_joined", "forgotten", "handoff_expired"]


def test_what_stays_as_it_is_makes_no_line(notices: Notices, log: Lines) -> None:
    for one in (attempt(), attempt(state="expired"), retrieval(not_joined="why"), replace(HANDOFF, erasure=_forgotten())):
        notices.changed([(one, one)])
    assert log.lines == []


def _forgotten() -> Any:
    return replace(HANDOFF.erasure, state="forgotten")


def test_nobody_joined_wakes_somebody_for_each_cause_once(notices: Notices, log: Lines) -> None:
    first, second = retrieval(not_joined="the key"), retrieval(not_joined="the servers")
    for before, after in ((None, first), (first, first), (first, second), (second, retrieval())):
        notices.not_joined(before, after)
    shown = {"severity": "ALERT", "event": "not_joined", "mdc_id": None, **IDS}
    assert log.lines == [{**shown, "reason": "the key"}, {**shown, "reason": "the servers"}]


def test_what_is_forgotten_is_said_once_and_without_an_id_of_zooms(notices: Notices, log: Lines) -> None:
    tombstone = replace(HANDOFF, stream_id="", entity_id="", erasure=_forgotten())
    for before in (None, HANDOFF, tombstone):
        notices.erased(before, tombstone)
    assert log.lines == [{"severity": "NOTICE", "event": "forgotten", "handoff": KEY, "stream": STREAM_KEY}] * 2


@pytest.mark.parametrize(
    ("before", "after", "severity"),
    [
        ("awaiting", "awaiting", "INFO"),
        ("awaiting", "done", "INFO"),
        ("awaiting", "none_made", "ERROR"),
        ("awaiting", "failed", "ERROR"),
        ("done", "partial", "ERROR"),
        ("failed", "failed", "INFO"),
    ],
)
def test_a_look_that_ends_in_a_loss_is_an_error_once(notices: Notices, log: Lines, before: Any, after: Any, severity: str) -> None:
    recordings = (Recording(id="r-1", status="done"), Recording(id="r-2", status="failed"))
    looked = retrieval(state=after, reason="why", recordings=recordings, mdc_status="done", look_at=NOW + SINCE_MS + 20_500)
    notices.retrieved(retrieval(state=before), looked)
    expected = {"severity": severity, "event": "retrieval", "state": after, "reason": "why", "mdc_status": "done", **IDS}
    assert log.lines == [{**expected, "recordings": {"r-1": "done", "r-2": "failed"}, "next_look_s": looked_in(looked)}]


def looked_in(one: HandOff) -> float | None:
    return 20.5 if one.look_at is not None else None


def test_without_another_look_there_is_no_time_of_one(notices: Notices, log: Lines) -> None:
    notices.retrieved(HANDOFF, retrieval(state="done"))
    assert [shown["next_look_s"] for shown in log.lines] == [None]


def test_a_revoked_streams_ids_are_on_no_line() -> None:
    assert ids(HANDOFF) == IDS
    assert ids(replace(HANDOFF, stream_id="", entity_id="")) == {"handoff": KEY, "stream": STREAM_KEY}
    assert fact_ids(FACTS) == {
        "stream": STREAM_KEY,
        "entity_id": "e",
        "rtms_stream_id": "s",
    }
    assert fact_ids(replace(FACTS, stream_id="", entity_id="")) == {"stream": STREAM_KEY}
