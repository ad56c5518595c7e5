"""Scenarios as they are played: loaded, their switches checked against those of the fakes, and set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rtms_simulator.errors import SwitchError
from rtms_simulator.kit.control.defaults import check_switches
from rtms_simulator.scenario import FIRST_USER_ID, Person, Scenario, load
from rtms_simulator.scenario.switches import VENDORS

DEFAULT = "stand-up"
OWN_SPEAKER = "Speaker"
_PLACEHOLDER_S = 1.0


def around_own_files(name: str) -> Scenario:
    """An empty scenario of that name. Its length and people come from the files; who says what names nobody is `OWN_SPEAKER`."""
    speaker = Person(FIRST_USER_ID, OWN_SPEAKER, role="host")
    return Scenario(name=name, people=(speaker,), timeline=(), duration_s=_PLACEHOLDER_S)


def load_playable(name_or_path: str | Path) -> Scenario:
    """As `scenario.load`, and its switches are some that the fakes have. Raises ScenarioError with every mistake."""
    return load(name_or_path, unusable=unusable_switches)


def unusable_switches(values: Mapping[str, Any]) -> dict[str, str]:
    """Of switches by name those that there are not, or that cannot have their value, each with the reason."""
    problems: dict[str, str] = {}
    for name, value in values.items():
        if name.partition(".")[0] not in VENDORS or not name.partition(".")[2]:
            continue  # the scenario's own check says so
        try:
            check_switches({name: value})
        except SwitchError as error:
            problems[name] = str(error)
    return problems
