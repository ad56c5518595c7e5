"""The tables of faults for people: `rtmskit faults list` and docs/faults.md are made from them."""

from __future__ import annotations

from typing import NamedTuple

from rtms_simulator.faults.families import FAMILIES, parse_fault
from rtms_simulator.faults.grammar import STATUS, Family, FaultWord, Occasion, Setting, SettingType


class FaultRow(NamedTuple):
    """One step that a target can make. `example` is a whole fault with every default."""

    vendor: str
    target: str
    step: str
    says: str
    settings: str
    example: str


def rows() -> list[FaultRow]:
    """One row for each step of each family."""
    return [_row(family, name, word) for family in FAMILIES for name, word in family.words.items()]


def _row(family: Family, name: str, word: FaultWord) -> FaultRow:
    settings = "; ".join(_setting(key, setting) for key, setting in word.settings.items() if (name, key) != (STATUS, "status"))
    target = word.only or family.form
    example = f"{word.only or '.'.join(filter(None, (family.prefix, '*' if family.name else '')))}: {'503' if name == STATUS else name}"
    return FaultRow(family.vendor, target, name, word.says, settings, example)


def _setting(key: str, setting: Setting) -> str:
    if setting.type is SettingType.FLAG:
        return f"{key}: {setting.says}"
    allowed = f" ({', '.join(setting.allowed)})" if setting.allowed else ""
    default = "" if setting.default is None else f", default {setting.write(setting.default)}"
    return f"{key}=: {setting.says}{allowed}{default}"


def markdown() -> str:
    """The tables of docs/faults.md, one for each family."""
    parts: list[str] = []
    for family in FAMILIES:
        parts += [f"## `{family.form}`: {family.says}", "", "| step | what happens | settings |", "| --- | --- | --- |"]
        for name, word in family.words.items():
            row = _row(family, name, word)
            only = f" (only `{word.only}`)" if word.only else ""
            parts.append(f"| `{row.step}` | {row.says}{only} | {row.settings} |")
        parts.append("")
    return "\n".join(parts)


SURFACES = ("command line", "scenario", "control plane", "sandbox")


def surfaces(row: FaultRow) -> tuple[str, str, str, str]:
    """How the fault of this row is given, in the order of `SURFACES`."""
    scripted = 'kind = "fault"'
    if parse_fault(row.example).family.occasion is Occasion.MOMENT:
        return "meeting play --fault", scripted, "POST /meetings", "play(url, faults=[...])"
    return "faults add; up --fault; meeting play --fault", scripted, "POST /faults", "fault(text)"


def surfaces_markdown() -> str:
    """Where each fault can be given."""
    lines = [f"| fault | vendor | {' | '.join(SURFACES)} |", "| --- | --- | --- | --- | --- | --- |"]
    for row in rows():
        cells = " | ".join(f"`{cell}`" for cell in surfaces(row))
        lines.append(f"| `{row.example}` | {row.vendor} | {cells} |")
    return "\n".join(lines)
