"""`rtms_simulator.serving.background`: tasks of an owner, and the first of several."""

import asyncio
import gc

import pytest

from rtms_simulator.serving.background import BackgroundTasks, first_of


async def never():
    await asyncio.Event().wait()


async def test_idle_waits_for_tasks_that_tasks_start():
    tasks, order = BackgroundTasks(), []

    async def second():
        await asyncio.sleep(0)
        order.append("second")

    async def first():
        await asyncio.sleep(0)
        tasks.start(second())
        order.append("first")

    tasks.start(first())
    assert len(tasks) == 1
    await tasks.idle()
    assert order == ["first", "second"]
    assert not tasks


async def test_closing_ends_every_task_and_those_that_are_started_meanwhile():
    tasks, ended = BackgroundTasks(), []

    async def late():
        try:
            await never()
        finally:
            ended.append("late")

    async def stubborn():
        try:
            await never()
        finally:
            tasks.start(late())
            await asyncio.sleep(0)
            ended.append("stubborn")

    tasks.start(stubborn())
    await asyncio.sleep(0)
    await tasks.aclose()
    assert ended == ["stubborn", "late"]
    assert not tasks
    await tasks.aclose()


@pytest.mark.timeout(10)
async def test_closing_right_after_a_task_has_ended_and_before_its_callbacks_ran_ends_too():
    """From Python 3.12 on, `asyncio.gather` of futures that are all done does not yield: a loop around it never let the callbacks run."""
    tasks = BackgroundTasks()

    async def nothing():
        pass

    tasks.start(nothing())
    await asyncio.create_task(tasks.aclose())  # its first step follows the end of `nothing` in the same turn of the loop
    assert len(tasks) == 0


async def test_a_task_gives_its_result_to_the_one_who_awaits_it():
    tasks = BackgroundTasks()

    async def answer():
        return 42

    async def fail():
        raise LookupError("no")

    assert await tasks.start(answer()) == 42
    with pytest.raises(LookupError):
        await tasks.start(fail())
    assert not tasks


async def test_an_exception_that_nobody_awaits_is_reported():
    tasks, reported = BackgroundTasks(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))

    async def fail():
        raise LookupError("no")

    tasks.start(fail())
    await tasks.idle()
    gc.collect()
    assert [str(error) for error in reported] == ["no"]


async def test_the_first_that_is_done_comes_back_and_the_others_are_cancelled():
    async def answer():
        return 42

    slow = asyncio.ensure_future(never())
    done = await first_of(slow, answer())
    assert done.result() == 42
    assert slow.cancelled()


async def test_of_two_that_are_done_at_once_the_first_given_comes_back():
    one, two = asyncio.get_running_loop().create_future(), asyncio.get_running_loop().create_future()
    two.set_result(2)
    one.set_result(1)
    assert (await first_of(one, two)).result() == 1


async def test_the_exception_of_the_first_is_its_result():
    async def fail():
        raise LookupError("no")

    done = await first_of(never(), fail())
    with pytest.raises(LookupError):
        done.result()


async def test_what_is_shielded_goes_on():
    going = asyncio.ensure_future(never())
    await first_of(asyncio.shield(going), asyncio.sleep(0))
    assert not going.done()
    going.cancel()


async def test_a_cancelled_wait_leaves_nothing_running():
    inner = asyncio.ensure_future(never())
    waiting = asyncio.ensure_future(first_of(inner, never()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert inner.cancelled()
