"""What Google has after an `up`, also after one that failed: the rehearsal's cloud is made of it."""

from __future__ import annotations

import msgspec
import pytest

from rtms_infra.rehearsal.registered import Entry, Function, Object, Registered
from tests.infra.conftest import Plant
from tests.infra.deployment import EMPTY, Runner, World, configured
from tests.infra.rehearsed import registered

pytestmark = pytest.mark.xdist_group("infra")


def has(world: World) -> Registered:
    assert not world.errors, world.errors
    return standing(world)


def standing(world: World) -> Registered:
    return Registered(msgspec.convert(world.standing["resources"], list[Entry]), world.standing["outputs"], "acme-rtms")


def test_after_an_up_it_is_what_the_program_registered(runner: Runner) -> None:
    found, wanted = has(runner.act(EMPTY, configured())), registered(runner)
    assert found.given() == wanted.given()
    assert found.outputs == wanted.outputs


def test_after_a_failed_build_the_former_function_is_there_and_all_else_is_new(runner: Runner, plant: Plant) -> None:
    program = plant("source.py", "", "")
    before = runner.act(EMPTY, configured(), program=program)
    main = program.parent / "function" / "main.py"
    main.write_text(main.read_text() + "\n# changed\n")
    failure = {"verb": "build", "what": "*-worker"}
    failed = runner.act(before, configured(), program=program, failures=[failure])
    assert "the build failed" in " ".join(failed.errors)
    old, new = has(before), standing(failed)
    assert new.of(Function)["worker"] == old.of(Function)["worker"]
    assert new.of(Function)["webhook"] != old.of(Function)["webhook"]
    assert new.of(Object)["source-object (replaced)"] == old.of(Object)["source-object"], "the old one stays until an `up` succeeds"
    assert new.of(Object)["source-object"] != old.of(Object)["source-object"]
    assert new.outputs == old.outputs
    assert new.created(), "what depends on something is listed with it"


def test_a_function_whose_first_build_failed_serves_nothing(runner: Runner) -> None:
    failed = runner.act(EMPTY, configured(), failures=[{"verb": "build", "what": "*-worker"}])
    assert set(standing(failed).of(Function)) == {"webhook"}


def test_a_grant_that_is_no_longer_registered_is_not_there(runner: Runner) -> None:
    caller = ["user:b@x.org"]
    world = runner.act(EMPTY, configured(workerCallers=caller))
    assert caller[0] in {member.member for _, member in has(world).members().values()}
    world = runner.act(world, configured(workerCallers=[]))
    assert caller[0] not in {member.member for _, member in has(world).members().values()}
