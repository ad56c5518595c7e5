"""The switches of the fakes as they are before anybody has set one."""

from __future__ import annotations

from typing import Any

import msgspec

from rtms_simulator.cloud_tasks.rules import CloudTasksSwitches
from rtms_simulator.control.answers import SwitchRow
from rtms_simulator.kit.control.switches import switch_rows
from rtms_simulator.recall.switches import RecallSwitches
from rtms_simulator.zoom.switches import ZoomSwitches


def default_switches() -> list[SwitchRow]:
    """One row for each switch of each vendor."""
    return [*switch_rows("zoom", ZoomSwitches()), *switch_rows("recall", RecallSwitches()), *switch_rows("tasks", CloudTasksSwitches())]


def read_value(name: str, text: str) -> Any:
    """The value of a switch as a person writes it: JSON, or else text; 2025 is a text for a switch that holds texts."""
    try:
        value = msgspec.json.decode(text.encode("utf-8", "surrogateescape"))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return text
    holds_text = any(row.name == name and isinstance(row.default, str) for row in default_switches())
    return text if holds_text and not isinstance(value, str) else value
