from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.cloud_tasks.rules import Bucket, CloudTasksSwitches, Limits, Retry

SWITCHES = CloudTasksSwitches()


def test_backoff_is_the_reference_s_own_example() -> None:
    """RetryConfig.max_doublings: "the requests will retry at 10s, 20s, 40s, 80s, 160s, 240s, 300s, 300s"."""
    retry = Retry(min_backoff_s=10, max_backoff_s=300, max_doublings=3)
    assert [retry.backoff_s(failures) for failures in range(1, 9)] == [10, 20, 40, 80, 160, 240, 300, 300]


def test_no_doublings_grow_linearly() -> None:
    retry = Retry(min_backoff_s=10, max_backoff_s=35, max_doublings=0)
    assert [retry.backoff_s(failures) for failures in range(1, 5)] == [10, 20, 30, 35]


@given(
    st.builds(Retry, min_backoff_s=st.floats(0.1, 100), max_backoff_s=st.floats(100, 5000), max_doublings=st.integers(0, 30)),
    st.integers(1, 500),
)
def test_backoff_never_shrinks_and_stays_within_its_bounds(retry: Retry, failures: int) -> None:
    assert retry.min_backoff_s <= retry.backoff_s(failures) <= retry.backoff_s(failures + 1) <= retry.max_backoff_s


@pytest.mark.parametrize(
    ("max_attempts", "max_duration_s", "attempts", "since_s", "over"),
    [
        (3, 60, 3, 59, False),
        (3, 60, 2, 60, False),
        (3, 60, 3, 60, True),
        (3, 0, 2, 1e6, False),
        (3, 0, 3, 0, True),
        (-1, 60, 1000, 59, False),
        (-1, 60, 1, 60, True),
        (-1, 0, 10_000, 1e9, False),
    ],
)
def test_retries_end_only_when_both_limits_are_reached(
    max_attempts: int, max_duration_s: float, attempts: int, since_s: float, over: bool
) -> None:
    retry = Retry(max_attempts=max_attempts, max_duration_s=max_duration_s)
    assert retry.exhausted(attempts, since_s, SWITCHES) is over


def test_read_to_the_letter_an_unlimited_duration_never_ends() -> None:
    assert not Retry(max_attempts=3).exhausted(100, 1e6, CloudTasksSwitches(attempts_end_unlimited_duration=False))


@given(st.floats(0.1, 500), st.lists(st.floats(0, 5), max_size=60))
def test_a_bucket_never_gives_more_than_its_burst_and_rate(rate: float, pauses: list[float]) -> None:
    limits = Limits(dispatches_per_s=rate)
    bucket = Bucket(limits, limits.burst, 0.0)
    now = taken = 0.0
    for pause in pauses:
        now += pause
        while bucket.ready_at(now) <= now:
            bucket.take(now)
            taken += 1
    assert taken <= limits.burst + rate * now + 1


def test_a_clock_that_was_put_back_does_not_hold_the_queue() -> None:
    """`rtmskit reset` brings the clock back from where `clock advance` put it: a bucket of that time must still fill."""
    bucket = Bucket(Limits(dispatches_per_s=10), 0.0, 90_000.0)
    assert bucket.ready_at(0) == pytest.approx(0.1)
    assert bucket.ready_at(0.1) == pytest.approx(0.1)


def test_throttling_halves_the_rate_and_successes_restore_it() -> None:
    limits = Limits(dispatches_per_s=10)
    bucket = Bucket(limits, 0.0, 0.0)
    assert bucket.ready_at(0) == pytest.approx(0.1)
    bucket.slow_down(0)
    bucket.slow_down(0)
    assert bucket.ready_at(0) == pytest.approx(0.4)
    for _ in range(20):
        bucket.slow_down(0)
    assert bucket.share == 1 / 64
    for _ in range(20):
        bucket.speed_up(0)
    assert bucket.share == 1
