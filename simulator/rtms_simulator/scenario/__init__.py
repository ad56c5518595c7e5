"""Scenarios: scripted meetings as plain data, read from TOML and checked. `library/` holds those that are shipped, `load` reads one."""

from rtms_simulator.errors import ScenarioError
from rtms_simulator.scenario.actions import KINDS, LONGEST_S, MAX_USER_ID, PRODUCTS, Action, ActionKind, Person, ScenarioField
from rtms_simulator.scenario.model import Scenario, Span, Utterance, to_ms
from rtms_simulator.scenario.toml import FIRST_USER_ID, PERSON_KEYS, SCENARIO_KEYS, load, names, parse

load_scenario = load
"""The name of `load` in the public face."""

__all__ = [
    "FIRST_USER_ID",
    "KINDS",
    "LONGEST_S",
    "MAX_USER_ID",
    "PERSON_KEYS",
    "PRODUCTS",
    "SCENARIO_KEYS",
    "Action",
    "ActionKind",
    "Person",
    "Scenario",
    "ScenarioError",
    "ScenarioField",
    "Span",
    "Utterance",
    "load",
    "load_scenario",
    "names",
    "parse",
    "to_ms",
]
