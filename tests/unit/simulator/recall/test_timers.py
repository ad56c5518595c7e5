"""Due things: in the order of their moments, once, and never late for whoever asks."""

from tests.unit.simulator.recall.workbench import until

from rtms_simulator.clock import Clock
from rtms_simulator.recall.timers import Timers


async def test_things_happen_in_the_order_of_their_moments_however_far_the_clock_jumps():
    clock, done = Clock(100.0, 0), []
    agenda = Timers(clock)
    for moment in (105, 103, 104, 103):
        agenda.at(moment, lambda moment=moment: done.append(moment))
    agenda.settle()
    assert done == []
    clock.advance(4)
    agenda.settle()
    assert done == [103, 103, 104]
    clock.advance(100)
    await until(lambda: len(done) == 4)
    agenda.settle()
    assert done == [103, 103, 104, 105]


async def test_what_is_due_now_still_waits_until_the_caller_is_done():
    clock, done = Clock(100.0, 0), []
    agenda = Timers(clock)
    agenda.at(100.0, lambda: done.append(1))
    assert done == []
    assert agenda.imminent
    await until(lambda: done)
    assert not agenda.imminent


async def test_cleared_things_do_not_happen():
    clock, done = Clock(100.0, 0), []
    agenda = Timers(clock)
    agenda.at(101, lambda: done.append(1))
    agenda.clear()
    clock.advance(10)
    agenda.settle()
    assert done == []
