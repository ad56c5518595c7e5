"""What each command of Pulumi does to each example stack, asked of both engines in the same words.

docs/plans.md prints what the in-process engine says; test_plans.py and test_keys.py hold Pulumi's own engine against it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pulumi.automation.errors import CommandError

from rtms_infra.keys import BY_NAME
from rtms_infra.rehearsal.cloud import Cloud
from rtms_infra.rehearsal.pulumi_stack import EngineStack, changes, summed
from tests.infra.deployment import EMPTY, Runner, Step, World, example

Verb = Literal["preview", "up", "refresh", "destroy"]
WEEKS_S = 40 * 86_400
"""Longer than Google blocks any name."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`changes`: name -> what is done with it, in the words of `pulumi_stack.changes`. `refused`: what protection holds, then nothing else.

    `named`: the keys that the program names when it refuses the configuration."""

    changes: Mapping[str, str] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()

    def __str__(self) -> str:
        if self.refused:
            return "refused: " + ", ".join(f"`{name}`" for name in sorted(self.refused))
        return summed(self.changes)


BAD_CONFIGURATION = "; nothing was changed."


def _named(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"rtmskit:(\w+)", text)) & BY_NAME.keys()


class Engine(Protocol):
    """One stack in one engine."""

    def does(self, verb: Verb, config: Mapping[str, str]) -> Plan: ...

    def waits(self, seconds: float) -> None: ...


class PulumisOwn:
    """The real engine."""

    def __init__(self, stack: EngineStack, cloud: Cloud) -> None:
        self._stack, self._cloud = stack, cloud

    def does(self, verb: Verb, config: Mapping[str, str]) -> Plan:
        self._stack.set(config)
        try:
            return Plan(changes(getattr(self._stack, verb)()))
        except CommandError as error:
            if BAD_CONFIGURATION in str(error):
                return Plan(named=_named(str(error)))
            if not self._stack.refused:
                raise
            return Plan(refused=self._stack.refused)

    def waits(self, seconds: float) -> None:
        self._cloud.pass_time(seconds)


class InProcess:
    """The engine of tests/infra. `world` is what was done so far."""

    def __init__(self, runner: Runner, world: World = EMPTY) -> None:
        self._runner, self.world = runner, world
        self._waited_s = 0.0

    def does(self, verb: Verb, config: Mapping[str, str]) -> Plan:
        after = self._runner.act(self.world, config, verb, pass_time=self._waited_s)
        if refused := frozenset(after.of("refuse")):
            return Plan(refused=refused)
        if any(BAD_CONFIGURATION in error for error in after.errors):
            return Plan(named=_named(" ".join(after.errors)))
        if verb == "refresh":
            return Plan(dict.fromkeys(after.errors, "update"))
        assert after.errors == (), after.errors
        if verb != "preview":
            self.world, self._waited_s = after, 0.0
        done = [step for step in after.steps if step.type.startswith("gcp:") and step.verb != "same"]
        return Plan(_in_pulumis_words(done))

    def waits(self, seconds: float) -> None:
        self._waited_s += seconds


def _in_pulumis_words(steps: Sequence[Step]) -> dict[str, str]:
    """What is only forgotten is a deletion to Pulumi: what Google keeps of it is the provider's business."""
    words = {step.name: "delete" if step.verb == "forget" else step.verb for step in steps}
    # The old one of a replacement that is kept at Google is forgotten, too.
    return words | {step.name: f"replace, {step.how}" for step in steps if step.verb == "replace"}


def first(engine: Engine, name: str) -> Iterator[tuple[str, Plan]]:
    """The commands of a first day: each with what it plans or does."""
    config = example(name)
    yield "`preview`", engine.does("preview", config)
    yield "`up`", engine.does("up", config)
    yield "`preview` again", engine.does("preview", config)
    yield "`up` again", engine.does("up", config)
    yield "`refresh`", engine.does("refresh", config)


def last(engine: Engine, name: str) -> Iterator[tuple[str, Plan]]:
    """The commands of the last one, and of another beginning."""
    config = example(name)
    if config.get("rtmskit:protect") != "false":
        yield "`destroy`", engine.does("destroy", config)
    unprotected = {**config, "rtmskit:protect": "false"}
    yield "`up` with `protect: false`", engine.does("up", unprotected)
    yield "`destroy` after it", engine.does("destroy", unprotected)
    engine.waits(WEEKS_S)
    # The Workload Identity pool is never deleted, so it stands in the way of its id: docs/tear-down.md names this key as the way back.
    yield "`up` 40 days later", engine.does("up", {**config, "rtmskit:githubPool": "github-2"})


def table(runner: Runner, names: tuple[str, ...]) -> str:
    """Markdown: a row for each command, a column for each stack."""
    columns: dict[str, dict[str, Plan]] = {}
    for name in names:
        engine = InProcess(runner)
        columns[name] = {**dict(first(engine, name)), **dict(last(engine, name))}
    labels = list(max(columns.values(), key=len))
    rows = [f"| {label} | " + " | ".join(str(columns[name].get(label, "")) for name in names) + " |" for label in labels]
    head = "| command | " + " | ".join(f"`{name}`" for name in names) + " |"
    return "\n".join([head, "| --- |" + " --- |" * len(names), *rows])
