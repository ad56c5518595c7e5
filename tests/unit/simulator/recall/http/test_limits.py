"""Sliding windows: never more than the limit in any 60 s, and Retry-After is the first moment that works."""

from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.recall.http.limits import WINDOW_S, SlidingWindows


@given(limit=st.integers(1, 5), steps=st.lists(st.integers(0, 40), max_size=40))
def test_no_sixty_seconds_hold_more_than_the_limit_and_retry_after_is_exact(limit, steps):
    windows, now, passed = SlidingWindows(), 1000.0, []
    for step in steps:
        now += step
        wait = windows.admit("k", limit, now)
        if wait is None:
            passed.append(now)
        else:
            recent = [moment for moment in passed if moment > now - WINDOW_S]
            assert len(recent) == limit
            assert now + wait >= recent[0] + WINDOW_S > now + wait - 1
    for moment in passed:
        assert len([other for other in passed if moment <= other < moment + WINDOW_S]) <= limit


def test_keys_are_apart_none_is_no_limit_and_zero_lets_nothing_through():
    windows = SlidingWindows()
    assert windows.admit("a", 1, 0.0) is None
    assert windows.admit("b", 1, 0.0) is None
    assert windows.admit("a", 1, 0.0) == 60
    assert [windows.admit("c", None, 0.0) for _ in range(1000)] == [None] * 1000
    assert windows.admit("d", 0, 0.0) == 60
    windows.clear()
    assert windows.admit("a", 1, 0.0) is None
