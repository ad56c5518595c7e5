"""Every key changed on every example stack: Pulumi's own engine plans what the in-process one plans.

In CI the keys are changed ten at a time, and what moves everything is changed alone, because it would hide what the others do: that on two
stacks. `make engine` changes every key alone on every stack.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rtms_infra.keys import KEYS
from rtms_infra.rehearsal.cloud import Cloud
from rtms_infra.rehearsal.pulumi_stack import EngineStack
from tests.infra.change_table import changed
from tests.infra.deployment import EXAMPLES, Runner, example
from tests.pulumi_engine.plans import InProcess, Plan, PulumisOwn

pytestmark = pytest.mark.timeout(600)

PROJECT = "gcp:project"
MOVES = ("name", "region", "secondRegion", "databaseLocation", "recallRegion", PROJECT)
OTHERS = tuple(key.name for key in KEYS if key.name not in MOVES)
MOVED_IN_CI = ("minimal", "production")
"""The two stacks that differ most."""

Group = tuple[str, ...]
"""Keys that are changed at the same time."""
Case = tuple[str, list[Group]]
"""An example stack, and what is changed on it. One stack is deployed for each case, and previews of it are cheap."""


def pieces(keys: Sequence[str], size: int) -> list[Group]:
    return [tuple(keys[start : start + size]) for start in range(0, len(keys), size)]


def in_pieces(name: str, groups: list[Group]) -> list[Case]:
    return [(name, groups[start : start + 16]) for start in range(0, len(groups), 16)]


def grouped(name: str) -> list[Group]:
    return [*(pieces(MOVES, 1) if name in MOVED_IN_CI else []), *pieces(OTHERS, 10)]


TOGETHER = [case for name in EXAMPLES for case in in_pieces(name, grouped(name))]
ALONE = [case for name in EXAMPLES for case in in_pieces(name, pieces((*MOVES, *OTHERS), 1))]


def changed_together(config: dict[str, str], group: Group) -> dict[str, str]:
    for key in group:
        config = {**config, PROJECT: "another-project"} if key == PROJECT else changed(config, key)
    return config


def differing(own: PulumisOwn, ours: InProcess, case: Case) -> dict[Group, tuple[Plan, Plan]]:
    """The changes that the two engines plan differently."""
    name, groups = case
    for engine in (own, ours):
        engine.does("up", example(name))
    plans = {group: (own.does("preview", config), ours.does("preview", config)) for group, config in _configurations(name, groups)}
    return {group: both for group, both in plans.items() if both[0] != both[1]}


def _configurations(name: str, groups: list[Group]) -> list[tuple[Group, dict[str, str]]]:
    return [(group, changed_together(example(name), group)) for group in groups]


def named(case: Case) -> str:
    return f"{case[0]}: {case[1][0][0]}"


@pytest.mark.parametrize("case", TOGETHER, ids=named)
def test_both_engines_plan_the_same_for_changes(stack: EngineStack, cloud: Cloud, runner: Runner, case: Case) -> None:
    assert differing(PulumisOwn(stack, cloud), InProcess(runner), case) == {}


@pytest.mark.long
@pytest.mark.parametrize("case", ALONE, ids=named)
def test_both_engines_plan_the_same_for_each_change_alone(stack: EngineStack, cloud: Cloud, runner: Runner, case: Case) -> None:
    assert differing(PulumisOwn(stack, cloud), InProcess(runner), case) == {}


@pytest.mark.parametrize("cases", [TOGETHER, ALONE], ids=["together", "alone"])
def test_every_key_is_changed_on_every_stack(cases: list[Case]) -> None:
    for name in EXAMPLES:
        keys = {key for of, groups in cases if of == name for group in groups for key in group}
        moved = cases is ALONE or name in MOVED_IN_CI
        assert keys == {*(key.name for key in KEYS), PROJECT} - (set() if moved else set(MOVES))
