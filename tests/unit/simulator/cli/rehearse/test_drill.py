"""How a drill is judged and shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.simulator.cli.rehearse.registrations import registered, service

from rtms_infra.rehearsal.registered import NotRegistered
from rtms_simulator.cli.rehearse import drills as package
from rtms_simulator.cli.rehearse.drill import Drill, DrillResult, Promise, Scene, drills, judged
from rtms_simulator.cli.rehearse.local_cloud import LocalCloud, Surroundings
from rtms_simulator.cli.rehearse.program import Loaded, Program
from rtms_simulator.cli.rehearse.report import Report, failure, page
from rtms_simulator.errors import WorkerRefusedError


async def result_of(run, tmp_path: Path) -> DrillResult:
    program = Program(None, tmp_path / "project", "test", {}, [])
    return await judged("a-drill", Drill("Something happens.", run, deployed=False), Scene(None, program))


async def test_a_promise_that_does_not_hold_fails_the_drill(tmp_path: Path) -> None:
    async def run(scene: Scene) -> None:
        scene.holds("it is so", True)
        scene.holds("that is so, too", False, "it is <not>")

    result = await result_of(run, tmp_path)
    assert not result.ok
    assert not result.busy
    assert result.promises[1] == Promise("that is so, too", False, "it is <not>")


async def test_a_drill_whose_promises_hold_is_good(tmp_path: Path) -> None:
    async def run(scene: Scene) -> None:
        scene.holds("it is so", True)

    assert (await result_of(run, tmp_path)).ok


async def test_a_worker_that_cannot_answer_is_a_promise_that_does_not_hold(tmp_path: Path) -> None:
    async def run(scene: Scene) -> None:
        raise WorkerRefusedError(500, "store_unavailable")

    result = await result_of(run, tmp_path)
    assert not result.ok
    assert "store_unavailable" in result.promises[0].found


def scene_with(tmp_path: Path, **variables: str) -> Scene:
    """A scene whose cloud has one function, the worker, with these variables."""
    entries = registered(service(environmentVariables=variables))
    return Scene(LocalCloud(Loaded(entries, {}, {}), Surroundings(tmp_path)), Program(None, tmp_path / "project", "test", {}, []))


def test_what_a_drill_needs_and_is_not_registered_is_named(tmp_path: Path) -> None:
    scene = scene_with(tmp_path, CODE_HASH="abc")
    assert scene.code_hash() == "abc"
    with pytest.raises(NotRegistered, match="no function `webhook` is registered"):
        scene.handoff_queues()
    with pytest.raises(NotRegistered, match="the function `worker` has no variable `STATE_URL`"):
        scene.cloud.variable("worker", "STATE_URL")
    with pytest.raises(NotRegistered, match="no grant `worker-called-events` is registered"):
        scene.take("worker-called-events")
    with pytest.raises(NotRegistered, match="no output `zoomEventUrl`"):
        _ = scene.cloud.webhook_url


@pytest.mark.parametrize("named", ["projects/p/locations/us-east4/queues/home", "", "home,second"])
def test_a_start_with_one_queue_only_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    scene = scene_with(tmp_path, HANDOFF_QUEUES=named)
    monkeypatch.setattr(scene.cloud, "functions", {"webhook": scene.cloud.role("worker")})
    with pytest.raises(NotRegistered, match="the webhook's HANDOFF_QUEUES is"):
        scene.handoff_queues()


def test_a_failure_says_the_promise_what_was_refused_the_lines_and_the_command() -> None:
    result = DrillResult(
        name="a-drill",
        happens="Something happens.",
        ok=False,
        promises=[Promise("it is so", True), Promise("that is so, too", False, "it is <not>")],
        expected={},
        fired={},
        pages=[],
        refused=["somebody lacks something"],
        lines=["rtms-worker ERROR error"],
        took_s=1.0,
        dashboard=["Dashboard rtms", "  Hand-offs <1>"],
    )
    report = Report(stack="Pulumi.prod.yaml", drills=[result], without=["nothing costs anything"], flags=["--propagation=60"])
    told = "\n".join(failure(report, result))
    for part in ("that is so, too", "it is <not>", "somebody lacks something", "rtms-worker ERROR error"):
        assert part in told
    assert "rtmskit rehearse Pulumi.prod.yaml --propagation=60 --drill a-drill" in told
    assert "promised: it is so" not in told
    shown = page(report)
    assert "it is &lt;not&gt;" in shown
    assert "<not>" not in shown
    assert "Hand-offs &lt;1&gt;" in shown
    assert "src=" not in shown
    assert "href=" not in shown, "the page needs nothing else"
    assert "nothing costs anything" in shown


def test_every_file_of_a_drill_is_in_the_order() -> None:
    [folder] = package.__path__
    files = {f"{path.parent.name}.{path.stem}" for path in Path(folder).glob("*/*.py") if path.stem != "__init__"}
    assert files == set(package.ORDER)
    assert len(drills()) == len(package.ORDER)
