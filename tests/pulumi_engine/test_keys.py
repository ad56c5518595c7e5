"""Every key changed on every example stack: Pulumi's own engine plans what the in-process one plans.

On the two stacks that differ most each key is changed alone, on the others ten at a time; what moves everything is always alone, because
it would hide what the others do.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rtms_infra.keys import KEYS
from rtms_infra.rehearsal.cloud import Cloud
from tests.infra.change_table import changed
from tests.infra.deployment import EXAMPLES, Runner, example
from tests.pulumi_engine.plans import InProcess, Plan, PulumisOwn
from tests.pulumi_engine.stacks import EngineStack

pytestmark = pytest.mark.timeout(600)

PROJECT = "gcp:project"
MOVES = ("name", "region", "secondRegion", "databaseLocation", "recallRegion", PROJECT)
OTHERS = tuple(key.name for key in KEYS if key.name not in MOVES)
ALONE = ("minimal", "production")

Group = tuple[str, ...]
"""Keys that are changed at the same time."""


def pieces(keys: Sequence[str], size: int) -> list[Group]:
    return [tuple(keys[start : start + size]) for start in range(0, len(keys), size)]


def groups(name: str) -> list[Group]:
    return [(key,) for key in MOVES] + pieces(OTHERS, 1 if name in ALONE else 10)


def changed_together(config: dict[str, str], group: Group) -> dict[str, str]:
    for key in group:
        config = {**config, PROJECT: "another-project"} if key == PROJECT else changed(config, key)
    return config


CASES = [(name, groups(name)[start : start + 16]) for name in EXAMPLES for start in range(0, len(groups(name)), 16)]
"""One stack is deployed for each, and previews of it are cheap."""


@pytest.mark.parametrize(("name", "cases"), CASES, ids=lambda value: value if isinstance(value, str) else value[0][0])
def test_both_engines_plan_the_same_for_a_change(stack: EngineStack, cloud: Cloud, runner: Runner, name: str, cases: list[Group]) -> None:
    own, ours = PulumisOwn(stack, cloud), InProcess(runner)
    for engine in (own, ours):
        engine.does("up", example(name))
    differing: dict[Group, tuple[Plan, Plan]] = {}
    for group in cases:
        config = changed_together(example(name), group)
        plans = own.does("preview", config), ours.does("preview", config)
        if plans[0] != plans[1]:
            differing[group] = plans
    assert differing == {}


def test_every_key_is_changed_on_every_stack() -> None:
    for name in EXAMPLES:
        keys = {key for of, cases in CASES if of == name for group in cases for key in group}
        assert keys == {*(key.name for key in KEYS), PROJECT}
