"""Sliding windows: never more than the limit in any 60 s, and Retry-After is the first moment that works."""

import math

from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.recall.http.limits import WINDOW_S, SlidingWindows


@given(limit=st.integers(1, 5), steps=st.lists(st.integers(0, 40), max_size=40))
def test_no_sixty_seconds_hold_more_than_the_limit_and_retry_after_is_exact(limit, steps):
    windows, now, passed, waits, expected = SlidingWindows(), 1000.0, [], [], []
    for step in steps:
        now += step
        recent = [moment for moment in passed if moment > now - WINDOW_S]
        waits.append(windows.admit("k", limit, now))
        expected.append(math.ceil(recent[-limit] + WINDOW_S - now) if len(recent) >= limit else None)
        if waits[-1] is None:
            passed.append(now)
    assert waits == expected
    windows_held = [sum(moment <= other < moment + WINDOW_S for other in passed) for moment in passed]
    assert max(windows_held, default=0) <= limit


def test_keys_are_apart_none_is_no_limit_and_zero_lets_nothing_through():
    windows = SlidingWindows()
    assert windows.admit("a", 1, 0.0) is None
    assert windows.admit("b", 1, 0.0) is None
    assert windows.admit("a", 1, 0.0) == 60
    assert [windows.admit("c", None, 0.0) for _ in range(1000)] == [None] * 1000
    assert windows.admit("d", 0, 0.0) == 60
    windows.clear()
    assert windows.admit("a", 1, 0.0) is None
