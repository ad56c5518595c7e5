"""The control plane and the switches as Markdown: docs/control-plane.md and docs/switches.md are made from this."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec

from rtms_simulator.control.operations import PREFIX, ControlOperation
from rtms_simulator.kit.control.all import operations
from rtms_simulator.kit.control.defaults import default_switches
from rtms_simulator.kit.control.meetings import MeetingResource


def all_operations() -> list[ControlOperation]:
    """Every operation, to be read and not to be called."""
    nothing: Any = SimpleNamespace(faults=None)
    return operations(nothing, MeetingResource(nothing))


def operations_markdown() -> str:
    """One row for each operation: what it takes and what it answers."""
    lines = ["| operation | does | takes | answers |", "| --- | --- | --- | --- |"]
    for one in all_operations():
        takes = _fields(one.body) or _fields(one.query) or ("a file" if one.upload else "")
        answers = "server-sent events" if one.stream else _fields(one.answer)
        lines.append(f"| `{one.method} {PREFIX}{one.path}` | {one.says} | {takes} | {answers} |")
    return "\n".join(lines)


def switches_markdown() -> str:
    """One row for each switch of each vendor."""
    lines = ["| switch | default | evidence | meaning | source |", "| --- | --- | --- | --- | --- |"]
    for row in default_switches():
        default = msgspec.json.format(msgspec.json.encode(row.default), indent=0).decode()
        lines.append(f"| `{row.name}` | `{default}` | {row.evidence} | {row.says} | {row.source} |".replace("||", "|\\|"))
    return "\n".join(lines)


def _fields(type_: Any) -> str:
    if type_ is None:
        return ""
    return ", ".join(f"`{one.encode_name}`" for one in msgspec.structs.fields(type_))
