"""Recall's answers: the table is whole, and each row is what the design says."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import to_builtins

from rtms_relay import budgets
from rtms_relay.handoff.answers import ANSWERS, NO_ANSWER, RULES, Outcome, outcome, pause_ms


def expected(status: int) -> str:
    """An own reading of the design's table."""
    if 200 <= status < 300:
        return "accepted"
    if status in (401, 403, 404, 405, 429, 507) or 300 <= status < 400:
        return "made_nothing"
    if status in (408, 409, 425) or status >= 500 or status < 200:
        return "in_doubt"
    return "refused"


def test_every_status_has_a_row() -> None:
    assert sorted(ANSWERS) == list(range(100, 600))
    assert {status: row.kind for status, row in ANSWERS.items()} == {status: expected(status) for status in ANSWERS}


def test_what_every_other_hand_off_will_meet_is_an_alert() -> None:
    assert {status for status, row in ANSWERS.items() if row.alert} == {s for s in ANSWERS if 300 <= s < 500} - {408, 409, 425, 429}


@pytest.mark.parametrize("failure", ["unreachable", "timeout", "reset"])
def test_no_answer_has_a_row(failure: str) -> None:
    assert outcome(0, failure, None).kind == ("made_nothing" if failure == "unreachable" else "in_doubt")
    assert failure in NO_ANSWER


def test_what_is_no_status_counts_as_a_failure_of_recalls() -> None:
    for status in (1, 99, 600, 999):
        assert outcome(status, None, None).kind == "in_doubt"


def test_a_2xx_needs_an_id() -> None:
    assert outcome(201, None, "mdc").mdc_id == "mdc"
    assert outcome(201, None, None).kind == "in_doubt"


def test_a_reason_names_status_cause_and_recalls_words() -> None:
    said = outcome(401, None, None, "Invalid API token")
    assert said.reason == "Recall answered 401: wrong RECALL_API_KEY, or a key of another region than RECALL_REGION (Invalid API token)"


@pytest.mark.parametrize(
    ("status", "retry_after", "low", "high"),
    [
        (401, None, 5000, 5000),
        (302, 60.0, 5000, 5000),
        (429, None, 30_000, 30_000),
        (507, None, 30_000, 30_000),
        (429, 7.0, 7000, 8000),
        (409, None, 1000, 1000),
        (503, None, 375, 625),
        (503, 7.0, 7000, 7000),
    ],
)
def test_the_pause_before_the_second_try(status: int, retry_after: float | None, low: int, high: int) -> None:
    for jitter in (0.0, 0.999):
        assert low <= pause_ms(outcome(status, None, None, retry_after_s=retry_after), 1, jitter) <= high


def test_the_backoff_doubles_to_a_cap() -> None:
    pauses = [pause_ms(outcome(503, None, None), tries, 0.5) for tries in range(1, 12)]
    assert pauses[:5] == [budgets.BACKOFF_MS * 2**n for n in range(5)]
    assert set(pauses[5:]) == {8000}


ALERT, CREATE = "alert", "from_create"
DESIGN = [
    (100, 199, "in_doubt", "backoff", "an answer that is not final"),
    (200, 299, "accepted", "none", ""),
    (300, 399, "made_nothing", "refused", "a redirect; is RECALL_BASE_URL right?", ALERT),
    (400, 499, "refused", "none", "the request cannot succeed; is RECALL_RECORDING_CONFIG right?", ALERT),
    (401, 401, "made_nothing", "refused", "wrong RECALL_API_KEY, or a key of another region than RECALL_REGION", ALERT),
    (402, 402, "refused", "none", "the Recall account is out of credit", ALERT),
    (403, 403, "made_nothing", "refused", "blocked by Recall; is there a localhost or IP URL in RECALL_RECORDING_CONFIG?", ALERT),
    (404, 405, "made_nothing", "refused", "no such API; is RECALL_BASE_URL right?", ALERT),
    (408, 408, "in_doubt", "backoff", "Recall took too long"),
    (409, 409, "in_doubt", "in_flight", "the same key is in flight"),
    (425, 425, "in_doubt", "backoff", "too early"),
    (429, 429, "made_nothing", "busy", "too many requests", CREATE),
    (500, 599, "in_doubt", "backoff", "Recall failed"),
    (507, 507, "made_nothing", "busy", "no capacity", CREATE),
]
"""The table of docs/handoff.md: of two rows that cover a status the later one holds."""


def whole(kind: str, pause: str, reason: str, answer: str, status: int = 0, *flags: str, **more: Any) -> dict[str, Any]:
    found = {"kind": kind, "answer": answer, "reason": reason, "status": status, "mdc_id": None, "pause": pause, "retry_after_ms": None}
    return {**found, "alert": ALERT in flags, "from_create": CREATE in flags, **more}


def by_the_page(status: int) -> dict[str, Any]:
    *_, (_, _, kind, pause, cause, *flags) = [row for row in DESIGN if row[0] <= status <= row[1]]
    if kind == "accepted":
        return whole(kind, "none", "", str(status), status, mdc_id="mdc-1")
    return whole(kind, pause, f"Recall answered {status}: {cause}", str(status), status, *flags, retry_after_ms=1_500)


def test_what_each_status_comes_to_is_what_its_row_says() -> None:
    said = {status: to_builtins(outcome(status, None, "mdc-1", retry_after_s=1.5)) for status in range(100, 600)}
    assert said == {status: by_the_page(status) for status in range(100, 600)}
    rows = [(first, last, row.kind, row.pause, row.cause) for first, last, row in RULES]
    assert rows == [row[:5] for row in DESIGN], "of which the page's table is made"


@pytest.mark.parametrize(
    ("failure", "kind", "cause"),
    [
        ("unreachable", "made_nothing", "no connection"),
        ("timeout", "in_doubt", "no answer in time"),
        ("reset", "in_doubt", "the connection was lost"),
        ("of another kind", "in_doubt", "the connection was lost"),
    ],
)
def test_what_no_answer_comes_to(failure: str, kind: str, cause: str) -> None:
    assert to_builtins(outcome(0, failure, "mdc-1")) == whole(kind, "backoff", cause, failure)
    assert outcome(0, failure, None, "[Errno 111]").reason == f"{cause} ([Errno 111])"


def test_without_a_status_there_was_no_answer() -> None:
    assert to_builtins(Outcome(kind="in_doubt", answer="lost")) == whole("in_doubt", "none", "", "lost")


def test_what_an_answer_without_an_id_and_one_that_is_no_status_come_to() -> None:
    reason = "Recall answered 201: an answer without an id"
    assert to_builtins(outcome(201, None, None)) == whole("in_doubt", "backoff", reason, "201", 201)
    assert to_builtins(outcome(999, None, None)) == whole("in_doubt", "backoff", "Recall answered 999: Recall failed", "999", 999)
    assert to_builtins(outcome(0, None, None)) == whole("in_doubt", "backoff", "the connection was lost", "None")


@pytest.mark.parametrize(
    ("status", "retry_after_s", "tries", "jitter", "ms"),
    [
        (429, 7.0, 1, 0.9999, 7_999),
        (402, 60.0, 1, 0.5, 0),
        (401, 60.0, 3, 0.5, 5_000),
        (429, None, 3, 0.5, 30_000),
        (429, 7.0, 3, 0.5, 7_500),
        (507, 0.0, 1, 0.25, 250),
        (409, None, 9, 0.5, 1_000),
        (409, 2.0, 9, 0.25, 2_250),
        (503, None, 0, 0.5, 500),
        (503, None, 1, 0.0, 375),
        (503, None, 1, 0.5, 500),
        (503, None, 2, 0.75, 1_125),
        (503, None, 5, 0.5, 8_000),
        (503, None, 6, 0.5, 8_000),
        (503, 0.499, 1, 0.5, 500),
        (503, 0.501, 1, 0.5, 501),
    ],
)
def test_each_pause_to_the_millisecond(status: int, retry_after_s: float | None, tries: int, jitter: float, ms: int) -> None:
    assert pause_ms(outcome(status, None, None, retry_after_s=retry_after_s), tries, jitter) == ms
