"""`preview` in a world: it says what `up` would do, and does nothing. tests/pulumi_engine holds both against Pulumi's own engine."""

from __future__ import annotations

import pytest

from tests.infra.deployment import EMPTY, Runner, World, configured, example

pytestmark = pytest.mark.xdist_group("infra-worlds")


def done(world: World) -> set[tuple[str, str, str]]:
    return {(step.verb, step.name, step.how) for step in world.steps if step.verb != "same"}


def test_a_first_preview_is_the_first_up_and_creates_nothing(runner: Runner) -> None:
    planned = runner.act(EMPTY, example("production"), "preview")
    assert planned.errors == ()
    assert done(planned) == done(runner.act(EMPTY, example("production")))
    assert (planned.resources, planned.grants) == (frozenset(), frozenset())


@pytest.mark.parametrize("changes", [{}, {"webhookMinInstances": 3}, {"zoomSecretToken": "another-token-0"}, {"archive": True}])
def test_a_preview_of_a_change_is_what_the_up_does(runner: Runner, changes: dict[str, object]) -> None:
    world = runner.act(EMPTY, configured())
    planned = runner.act(world, configured(**changes), "preview")
    assert done(planned) == done(runner.act(world, configured(**changes)))
    assert (planned.resources, planned.grants) == (world.resources, world.grants)


def test_a_preview_refuses_what_protection_forbids(runner: Runner) -> None:
    world = runner.act(EMPTY, configured())
    planned = runner.act(world, configured(databaseLocation="nam5"), "preview")
    assert planned.of("refuse") == {"database"}
    assert "protected" in " ".join(planned.errors)


def test_a_preview_shows_everything_that_protection_forbids(runner: Runner) -> None:
    world = runner.act(EMPTY, configured())
    planned = runner.act(world, {**configured(), "gcp:project": "another-project"}, "preview")
    assert planned.of("refuse") == {"database", "archive", "queue-handoffs", "queue-handoffs-second", "queue-facts", "queue-retrievals"}
