"""The switches of the fakes as they are before anybody has set one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rtms_simulator.cloud_tasks.rules import CloudTasksSwitches
from rtms_simulator.control.answers import SwitchRow
from rtms_simulator.kit.control.switches import Vendor, by_vendor, changed, switch_rows
from rtms_simulator.recall.switches import RecallSwitches
from rtms_simulator.zoom.switches import ZoomSwitches

_DEFAULTS: Mapping[Vendor, Any] = {"zoom": ZoomSwitches(), "recall": RecallSwitches(), "tasks": CloudTasksSwitches()}


def default_switches() -> list[SwitchRow]:
    """One row for each switch of each vendor."""
    return [row for vendor, switches in _DEFAULTS.items() for row in switch_rows(vendor, switches)]


def check_switches(values: Mapping[str, Any]) -> None:
    """Raises SwitchError for a name that there is not, and for a value that its switch cannot have."""
    for vendor, some in by_vendor(values):
        changed(vendor, _DEFAULTS[vendor], some)


def read_value(name: str, text: str) -> Any:
    """The value of a switch as a person writes it: JSON, or else text; 2025 is a text for a switch that holds texts."""
    try:
        value = msgspec.json.decode(text.encode("utf-8", "surrogateescape"))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return text
    holds_text = any(row.name == name and isinstance(row.default, str) for row in default_switches())
    return text if holds_text and not isinstance(value, str) else value
