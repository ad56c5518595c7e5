"""Which drills run side by side, and which alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.simulator.cli.rehearse.registrations import registered

from rtms_infra.rehearsal.registered import NotRegistered
from rtms_simulator.cli.rehearse import drill, rehearsal
from rtms_simulator.cli.rehearse.command import PATIENCE_S, _flags
from rtms_simulator.cli.rehearse.drill import Drill, DrillResult, Promise, Scene
from rtms_simulator.cli.rehearse.local_cloud import Surroundings
from rtms_simulator.cli.rehearse.program import Program, ProgramRefused
from rtms_simulator.cli.rehearse.rehearsal import Manner, rehearse
from rtms_simulator.serving import firestore_emulator

NOTHING: dict[str, Any] = {"promises": [], "expected": {}, "fired": {}, "pages": [], "refused": [], "lines": [], "took_s": 0.0}


class Stub(Program):
    """A program that registers nothing; `copies` counts those that were made of it."""

    def __init__(self, copies: list[Path]) -> None:
        self.copies = copies

    async def load(self, **changes: object) -> Any:
        if changes:
            raise ProgramRefused("rtmskit:region: nowhere")
        return type("Loaded", (), {"registered": registered()})()

    def beside(self, folder: Path) -> Program:
        self.copies.append(folder)
        return Stub(self.copies)

    def close(self) -> None:
        pass


class Running:
    """Counts how many drills run at once."""

    def __init__(self) -> None:
        self.now, self.most, self.order = 0, 0, []

    def drill(self, name: str, *, alone: bool = False) -> Drill:
        async def run(scene: Scene) -> None:
            self.now += 1
            self.most = max(self.most, self.now)
            self.order.append((name, self.now))
            await asyncio.sleep(0.05)
            self.now -= 1
            scene.holds("it is so", True)

        return Drill("Something happens.", run, deployed=False, alone=alone)


@pytest.fixture(autouse=True)
def without_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firestore_emulator, "unavailable", lambda: "no Java on PATH")


async def test_so_many_run_side_by_side_as_are_asked_for_and_their_results_keep_the_order(tmp_path: Path) -> None:
    running, copies = Running(), []
    drills = {name: running.drill(name) for name in "abcdef"}
    results, without = await rehearse(Stub(copies), drills, tmp_path, Manner(jobs=3))
    assert running.most == 3
    assert [result.name for result in results] == list("abcdef")
    assert all(result.ok for result in results)
    assert len(copies) == 2, "the first has the program itself, each other one a copy"
    assert without == ["The records are in SQLite, and no right or index of theirs is checked: no Java on PATH."]


async def test_a_drill_that_measures_runs_alone_and_last(tmp_path: Path) -> None:
    running = Running()
    drills = {"flood": running.drill("flood", alone=True), "a": running.drill("a"), "b": running.drill("b")}
    results, _ = await rehearse(Stub([]), drills, tmp_path, Manner(jobs=3))
    assert running.order[-1] == ("flood", 1)
    assert [result.name for result in results] == ["flood", "a", "b"]


async def test_one_job_is_one_after_the_other(tmp_path: Path) -> None:
    running = Running()
    await rehearse(Stub([]), {name: running.drill(name) for name in "abc"}, tmp_path, Manner(jobs=1))
    assert running.most == 1


async def test_a_drill_whose_settings_the_program_refuses_fails_and_the_others_run(tmp_path: Path) -> None:
    running = Running()
    refused = Drill("Something happens.", running.drill("a").run, keys={"region": "nowhere"})
    results, _ = await rehearse(Stub([]), {"refused": refused, "b": running.drill("b")}, tmp_path, Manner(jobs=2))
    assert [result.ok for result in results] == [False, True]
    assert "rtmskit:region" in results[0].promises[0].found


async def test_a_drill_that_ends_in_an_error_fails_with_its_name_and_keeps_what_held_and_the_others_run(tmp_path: Path) -> None:
    running = Running()

    async def run(scene: Scene) -> None:
        scene.holds("it is so", True)
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
            raise KeyError("recallWebhookUrl")

    drills = {"odd": Drill("Something happens.", run, deployed=False), "b": running.drill("b")}
    results, _ = await rehearse(Stub([]), drills, tmp_path, Manner(jobs=2))
    assert [result.ok for result in results] == [False, True]
    assert results[0].promises == [
        Promise("it is so", True),
        Promise("the drill comes to its end", False, "KeyError: 'recallWebhookUrl'"),
    ]


async def test_a_drill_that_misses_a_resource_names_it(tmp_path: Path) -> None:
    async def run(scene: Scene) -> None:
        raise NotRegistered("no grant `worker-called-events` is registered")

    results, _ = await rehearse(Stub([]), {"odd": Drill("Something happens.", run, deployed=False)}, tmp_path, Manner())
    assert results[0].promises == [Promise("all that this needs is registered", False, "no grant `worker-called-events` is registered")]


async def test_a_deployment_without_what_it_needs_is_named_by_its_drill(tmp_path: Path) -> None:
    drills = {"meeting": Drill("Something happens.", Running().drill("a").run), "b": Running().drill("b")}
    results, _ = await rehearse(Stub([]), drills, tmp_path, Manner(jobs=2))
    assert [result.ok for result in results] == [False, True]
    assert results[0].promises[0].found == "no function `webhook` is registered"


async def test_a_drill_has_the_same_seed_alone_and_among_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[tuple[str, int]] = []

    async def one(name: str, _drill: Drill, _program: Program, _loaded: Any, around: Surroundings, _manner: Manner) -> DrillResult:
        seeds.append((name, around.seed))
        return msgspec.convert({**dict.fromkeys(("name", "happens"), name), "ok": True, **NOTHING}, DrillResult)

    monkeypatch.setattr(rehearsal, "_one", one)
    for names in ("abc", "ca", "a"):
        await rehearse(Stub([]), {name: Running().drill(name) for name in names}, tmp_path, Manner())
    assert len(set(seeds)) == 3
    assert len({seed for _, seed in seeds}) == 3
    assert all(0 <= seed < rehearsal.SEEDS for _, seed in seeds)


def test_the_command_that_repeats_a_drill_has_the_flags_that_decide_how_it_goes() -> None:
    assert _flags(0.0, PATIENCE_S) == []
    assert _flags(60.0, 10.0) == ["--propagation=60", "--patience=10"]
    assert PATIENCE_S == drill.PATIENCE_S


async def test_a_drill_about_the_emulator_is_left_out_without_one_and_that_is_said(tmp_path: Path) -> None:
    drill = Drill("Something happens.", Running().drill("a").run, deployed=False, emulator=True)
    results, without = await rehearse(Stub([]), {"store-down": drill}, tmp_path, Manner())
    assert results == []
    assert "The drill store-down: there is no Firestore emulator." in without
