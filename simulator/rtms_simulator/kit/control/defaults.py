"""The switches of the fakes as they are before anybody has set one."""

from __future__ import annotations

from rtms_simulator.cloud_tasks.rules import CloudTasksSwitches
from rtms_simulator.control.answers import SwitchRow
from rtms_simulator.kit.control.switches import switch_rows
from rtms_simulator.recall.switches import RecallSwitches
from rtms_simulator.zoom.switches import ZoomSwitches


def default_switches() -> list[SwitchRow]:
    """One row for each switch of each vendor."""
    return [*switch_rows("zoom", ZoomSwitches()), *switch_rows("recall", RecallSwitches()), *switch_rows("tasks", CloudTasksSwitches())]
