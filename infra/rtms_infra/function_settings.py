"""The functions' own table of settings, from the same checkout: what `pulumi up` takes is what the functions start with.

This is the one place where the program reads the functions' code. It imports nothing but their table and the checks in it.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("rtms_relay") is None:  # beside infra/ in every checkout; installed only where the tests run
    sys.path.append(str(Path(__file__).resolve().parents[2] / "function"))

from rtms_relay.settings import VARIABLES, Variable

BY_VARIABLE: dict[str, Variable] = {variable.name: variable for variable in VARIABLES}

NOT_DEPLOYED = {
    "TASKS_ENDPOINT": "Another Cloud Tasks than Google's: for the fakes on one's own machine.",
    "RUN_SECRET": "Opens a worker on loopback to its own queue. In the cloud the platform says who calls.",
}
"""Variables that no key sets and no resource fills -> why."""


def refusal(name: str, text: str) -> str | None:
    """Why this variable cannot have this value, without the value; empty if its `allowed` says all. None if it can."""
    try:
        BY_VARIABLE[name].parse(text)
    except ValueError as error:
        return str(error)
    return None
