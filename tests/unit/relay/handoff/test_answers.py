"""Recall's answers: the table is whole, and each row is what the design says."""

from __future__ import annotations

import pytest

from rtms_relay import budgets
from rtms_relay.handoff.answers import ANSWERS, NO_ANSWER, outcome, pause_ms


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
