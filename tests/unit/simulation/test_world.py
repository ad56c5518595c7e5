"""The world owns every await: one seed is one run, a crash ends an instance between two awaits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simulation.world import Chances, Crashed, Instance, World, outcome_of, pause, sleep


async def steps(world: World, name: str, count: int) -> int:
    for number in range(count):
        await pause(f"{name}.{number}")
        world.note(name, "step", number=number)
    return count


def play(seed: int, crash_rate: float = 0.0) -> list[str]:
    world = World(seed, Chances(crash_rate=crash_rate, crash_of=("a", "b", "c")))
    for name in ("a", "b", "c"):
        world.spawn(name, steps(world, name, 5), Instance(name))
    world.run()
    world.close()
    return [str(event) for event in world.history]


@given(seed=st.integers(0, 2**64), crash_rate=st.sampled_from([0.0, 0.2]))
def test_one_seed_is_one_run(seed: int, crash_rate: float) -> None:
    assert play(seed, crash_rate) == play(seed, crash_rate)


def test_seeds_differ_in_the_order_of_steps() -> None:
    assert len({tuple(play(seed)) for seed in range(20)}) > 10


def test_a_crash_runs_no_cleanup_and_is_seen_by_who_waits() -> None:
    world = World(1, Chances())
    server, client = Instance("server"), Instance("world")
    cleaned: list[str] = []

    async def serve() -> None:
        try:
            await sleep(100)
        finally:
            cleaned.append("finally")

    serving = world.spawn("serve", serve(), server)

    async def call() -> str:
        try:
            await outcome_of(serving)
        except Crashed:
            assert cleaned == []
            return "saw the crash"
        return "no crash"

    async def kill() -> None:
        await sleep(50)
        world.crash(server)

    calling = world.spawn("call", call(), client)
    world.spawn("kill", kill(), client)
    world.run()
    assert calling.outcome == ("returned", "saw the crash")
    world.close()


@pytest.mark.parametrize(
    ("work_ms", "patience_ms", "expected"), [(10.0, 50.0, ("returned", "done")), (50.0, 10.0, ("raised", TimeoutError))]
)
def test_waiting_ends_with_the_process_or_with_the_time(work_ms: float, patience_ms: float, expected: tuple[str, object]) -> None:
    world = World(1, Chances())

    async def work() -> str:
        await sleep(work_ms)
        return "done"

    async def wait() -> object:
        return await outcome_of(working, patience_ms)

    working = world.spawn("work", work(), Instance("w"))
    waiting = world.spawn("wait", wait(), Instance("x"))
    start = world.now_ms
    world.run()
    assert waiting.outcome is not None
    kind, value = waiting.outcome
    assert (kind, value if kind == "returned" else type(value)) == expected
    assert world.now_ms - start == 50
    world.close()
