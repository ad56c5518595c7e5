"""`rtms_simulator.clock`: what no clock can do is refused by the clock itself, whoever asks, and then nothing has moved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.clock import FASTEST, LONGEST_STEP_S, Clock

NO_NUMBER = st.none() | st.booleans() | st.text(max_size=3) | st.just(float("nan"))


def beyond(most):
    return NO_NUMBER | st.floats(max_value=-1e-9) | st.floats(min_value=most, exclude_min=True) | st.just(10**400)


@given(rate=beyond(FASTEST), step=beyond(LONGEST_STEP_S))
def test_what_no_clock_can_do_is_refused_and_nothing_moves(rate, step):
    clock = Clock(1_795_000_000.0, 0)
    for act in (
        lambda: clock.set_rate(rate),
        lambda: clock.advance(step),
        lambda: clock.turn(rate=rate),
        lambda: clock.turn(rate=1, advance=step),
        lambda: clock.turn(rate=rate, advance=1),
        lambda: clock.turn(speed=1),
        lambda: clock.turn(),
        lambda: Clock(0.0, rate),
    ):
        with pytest.raises(ValueError, match="a number from 0 to"):
            act()
    assert (clock.now(), clock.rate) == (1_795_000_000.0, 0)


async def test_it_can_be_turned_as_far_as_is_said():
    clock = Clock(1_795_000_000.0, 0)
    clock.turn(advance=LONGEST_STEP_S)
    assert clock.now() == 1_795_000_000.0 + LONGEST_STEP_S
    clock.turn(rate=FASTEST)
    assert clock.rate == FASTEST


def test_it_stays_in_years_that_can_be_written():
    clock = Clock(1_795_000_000.0, 0)
    with pytest.raises(ValueError, match="beyond the year 9998, and it is at 9"):  # noqa: PT012  # a century at a time
        while True:
            clock.advance(LONGEST_STEP_S)


async def test_a_change_of_rate_does_not_jump(monkeypatch) -> None:
    """Each reading of the machine's clock is a second after the last; none may be lost or counted twice."""
    readings: list[float] = []

    def monotonic() -> float:
        readings.append(float(len(readings)))
        return readings[-1]

    monkeypatch.setattr("rtms_simulator.clock.time.monotonic", monotonic)
    clock = Clock(epoch=100.0, rate=2.0)
    before, began = clock.now(), readings[-1]
    clock.set_rate(5.0)
    after = clock.now()
    assert after - before == 2.0 * 1 + 5.0 * (readings[-1] - began - 1)
