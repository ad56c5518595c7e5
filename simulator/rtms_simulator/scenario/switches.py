"""The switches that a scenario sets: values of the fakes' switches by name, `{"zoom.close_code": 1001}`.

What switches there are is known to the fakes, which read scenarios; so their names and values are checked by the code that plays one
(`rtms_simulator.kit.scenarios`), and only the form here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtms_simulator.errors import ScenarioError
from rtms_simulator.scenario.mistakes import Mistakes
from rtms_simulator.scenario.toml_lines import Path

VENDORS = ("zoom", "recall", "tasks")


def by_name(table: Mapping[str, Any]) -> dict[str, Any]:
    """`zoom.close_code = 1001` of a TOML file, a table in a table, as one name. What has another form stays as it is."""
    named: dict[str, Any] = {}
    for name, value in table.items():
        if name in VENDORS and isinstance(value, Mapping):
            named |= {f"{name}.{inner}": one for inner, one in value.items()}
        else:
            named[name] = value
    return named


def path_of(name: str, paths: Mapping[Path, int]) -> Path:
    """Where a switch stands in a file that has these paths: under its vendor's table, or by its name in quotes."""
    vendor, _, rest = name.partition(".")
    nested: Path = ("switches", vendor, rest)
    return nested if nested in paths else ("switches", name)


def check_switches(switches: Mapping[str, Any], mistakes: Mistakes) -> None:
    """Put a mistake for every name without a vendor into `mistakes`."""
    for name in switches:
        with mistakes.kept():
            vendor, dot, rest = name.partition(".")
            if vendor not in VENDORS or not dot or not rest:
                allowed = ", ".join(f"{one}.NAME" for one in VENDORS)
                raise ScenarioError("not a switch", path=("switches", name), allowed=allowed)
