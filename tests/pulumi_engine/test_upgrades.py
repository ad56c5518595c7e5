"""Upgrades from each release in Pulumi's own engine: a program registers what the release registered, then the program of today runs."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from rtms_infra.rehearsal.cloud import Cloud
from rtms_infra.rehearsal.pulumi_stack import EngineStack
from tests.infra.conftest import Plant, plant  # noqa: F401  # a fixture
from tests.infra.deployment import PROGRAM, Runner, World
from tests.infra.releases import Release, archive_text, kept, read
from tests.infra.upgrades import HOLDS, SOURCES
from tests.pulumi_engine.plans import InProcess, Plan, PulumisOwn
from tests.pulumi_engine.stacks import use

pytestmark = pytest.mark.timeout(600)


def replayed(release: Release, folder: Path) -> Path:
    """A program that registers what the release registered."""
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("replayed.py"), folder / "__main__.py")
    rows = [{**asdict(resource), "archive": archive_text(resource.inputs)} for resource in release.resources]
    lines = [{"provider": release.provider}, *rows]
    (folder / "registered.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def deployed(stack: EngineStack, runner: Runner, release: Release, folder: Path) -> World:
    """The release in both engines: in Pulumi's own by its program, in the in-process one from the fixture."""
    use(stack, replayed(release, folder / "replayed"))
    stack.set(release.config)
    stack.up()
    return runner.replay(release.resources, release.config)


@pytest.mark.parametrize(("version", "name"), kept())
def test_an_upgrade_from_a_release_is_what_the_in_process_engine_says(
    stack: EngineStack, cloud: Cloud, runner: Runner, tmp_path: Path, version: str, name: str
) -> None:
    release = read(version, name)
    ours = InProcess(runner, deployed(stack, runner, release, tmp_path))
    given = set(cloud.grants)
    use(stack, PROGRAM)
    own = PulumisOwn(stack, cloud)
    planned = own.does("preview", release.config)
    assert planned == ours.does("preview", release.config)
    held = {one.name for one in release.resources if one.kind in HOLDS and one.name != SOURCES}
    assert {one: how for one, how in planned.changes.items() if one in held and how != "update"} == {}
    assert own.does("up", release.config) == planned
    assert given <= cloud.grants
    assert cloud.gaps == []
    assert own.does("preview", release.config) == Plan()


def test_a_planted_change_of_a_grants_name_loses_it_in_both(
    stack: EngineStack,
    cloud: Cloud,
    runner: Runner,
    plant: Plant,  # noqa: F811
    tmp_path: Path,
) -> None:
    release = read("0.1.0", "minimal")
    world = deployed(stack, runner, release, tmp_path)
    given = set(cloud.grants)
    program = plant("identity.py", 'f"records-{role}"', 'f"record-{role}"')
    use(stack, program)
    stack.up()
    lost = {(grant.on, grant.role, grant.member) for grant in given - cloud.grants}
    after = runner.act(world, release.config, program=program)
    assert {role.rpartition("/")[2] for _, role, _ in lost} == {"rtmskit_prod_worker_records"}
    assert lost == world.grants - after.grants


def test_an_alias_is_the_way_to_another_name_in_both(
    stack: EngineStack,
    cloud: Cloud,
    runner: Runner,
    plant: Plant,  # noqa: F811
    tmp_path: Path,
) -> None:
    release = read("0.1.0", "minimal")
    world = deployed(stack, runner, release, tmp_path)
    component = '__init__("rtmskit:infra:State", "state")'
    aliased = '__init__("rtmskit:infra:Records", "state", opts=pulumi.ResourceOptions(aliases=[pulumi.Alias(type_="rtmskit:infra:State")]))'
    program = plant("state.py", component, aliased)
    before = set(cloud.resources)
    use(stack, program)
    stack.up()
    after = runner.act(world, release.config, program=program)
    assert after.errors == ()
    assert {name for name in before if "/databases/" in name} == {name for name in cloud.resources if "/databases/" in name}
    assert not after.of("create", "replace", "delete", "forget") & {"database", "index-state", "backups"}
