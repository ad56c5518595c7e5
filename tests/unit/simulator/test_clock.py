"""`rtms_simulator.clock`: what no clock can do is refused by the clock itself, whoever asks, and then nothing has moved."""

import asyncio

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


# Going ahead with stops


async def test_what_a_deadline_sets_next_is_met_on_the_way():
    clock, happened = Clock(0.0, 0), []

    async def retries() -> None:
        for pause in (300, 1200, 3600):
            await clock.sleep(pause)
            happened.append(clock.now())

    task = asyncio.create_task(retries())
    await asyncio.sleep(0)
    assert await clock.run_ahead(86 * 60) == 86 * 60
    assert happened == [300, 1500, 5100]
    await task


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=6))
async def test_the_stops_do_not_depend_on_the_steps(steps):
    clock, happened = Clock(0.0, 0), []

    async def retries() -> None:
        for pause in (300, 1200, 3600):
            await clock.sleep(pause)
            happened.append(clock.now())

    task = asyncio.create_task(retries())
    await asyncio.sleep(0)
    for step in steps:
        await clock.run_ahead(step)
    assert happened == [due for due in (300, 1500, 5100) if due <= sum(steps)]
    task.cancel()


async def test_a_call_under_way_gets_real_time_before_its_deadline_comes():
    clock, outcome = Clock(0.0, 0), []
    answered = asyncio.Event()

    async def call() -> None:
        await clock.answer_of(answered.wait(), 3.0)
        outcome.append(clock.now())
        await clock.sleep(300)
        outcome.append(clock.now())

    task = asyncio.create_task(call())
    asyncio.get_running_loop().call_later(0.05, answered.set)
    await asyncio.sleep(0)
    await clock.run_ahead(1000)
    assert outcome == [0.0, 300.0]
    await task


async def test_a_call_that_is_never_answered_meets_its_deadline(monkeypatch):
    monkeypatch.setattr("rtms_simulator.clock.CALL_PATIENCE_S", 0.05)
    clock = Clock(0.0, 0)
    task = asyncio.create_task(clock.answer_of(asyncio.Event().wait(), 3.0))
    await asyncio.sleep(0)
    await clock.run_ahead(10)
    with pytest.raises(TimeoutError):
        await task


async def test_periodic_work_is_not_stopped_for_and_happens_once():
    clock, happened = Clock(0.0, 0), []

    async def sweeps() -> None:
        while True:
            await clock.sleep_until(clock.now() + 60, periodic=True)
            happened.append(clock.now())

    task = asyncio.create_task(sweeps())
    await asyncio.sleep(0)
    await clock.run_ahead(86_400)
    assert happened == [86_400]
    task.cancel()
