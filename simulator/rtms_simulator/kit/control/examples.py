"""For each switch a value that is not its default, and how it is given on each surface: docs/switches.md is made from this."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from rtms_simulator.cloud_tasks.rules import CloudTasksSwitches
from rtms_simulator.control.answers import SwitchRow
from rtms_simulator.kit.control.defaults import default_switches
from rtms_simulator.recall.switches import RecallSwitches
from rtms_simulator.zoom.switches import ZoomSwitches

SURFACES = ("command line", "scenario", "control plane", "sandbox")
_CLASSES = {"zoom": ZoomSwitches, "recall": RecallSwitches, "tasks": CloudTasksSwitches}
_CHOSEN: Mapping[str, Any] = {
    "zoom.sd_size": [854, 480],
    "zoom.phone_event_codes": {"CALL_HOLD": 7, "CALL_RESUME": 8, "CALL_TRANSFER": 9},
    "zoom.retry_after_s": [1.0, 2.0],
    "zoom.mail_after_failures": [1],
    "zoom.custom_fields_key": "sip_fields",
    "zoom.buffered": 1,
    "recall.mdc_codes": {"done": "finished"},
    "recall.progression": {"kind": "polls", "seconds": 0.0, "polls": 2},
    "recall.limits": {"create": 5, "listing": 60, "single": 300, "create_transcript": 5},
    "recall.retention_hours": 168.0,
}
"""Values of those that are more than a number, a choice or yes and no."""


def another_value(row: SwitchRow) -> Any:
    """A value, as JSON has it, that the switch can have and that is not its default."""
    if row.name in _CHOSEN:
        return _CHOSEN[row.name]
    hint = get_type_hints(_CLASSES[row.vendor])[row.name.partition(".")[2]]
    if get_origin(hint) is Literal:
        return next(value for value in get_args(hint) if value != row.default)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return next(member.value for member in hint if member.value != row.default)
    return not row.default if isinstance(row.default, bool) else row.default + 1


def surfaces(row: SwitchRow) -> tuple[str, str, str, str]:
    """How the switch is given that value, in the order of `SURFACES`."""
    value = another_value(row)
    plain = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    argument = f"'{row.name}={plain}'" if isinstance(value, (dict, list)) else f"{row.name}={plain}"
    return (
        argument,
        f"{row.name} = {toml_value(value)}",
        msgspec.json.format(msgspec.json.encode({row.name: value}), indent=0).decode(),
        f"switch({row.name.replace('.', '_', 1)}={value!r})",
    )


def toml_value(value: Any) -> str:
    """As a TOML file writes it."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {toml_value(one)}' for key, one in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    return msgspec.json.encode(value).decode()


def surfaces_markdown() -> str:
    """Where each switch can be set, with a value that is not its default."""
    lines = [f"| switch | {' | '.join(SURFACES)} |", "| --- | --- | --- | --- | --- |"]
    for row in default_switches():
        lines.append(f"| `{row.name}` | {' | '.join(f'`{cell}`' for cell in surfaces(row))} |")
    return "\n".join(lines)
