"""The switches of all fakes as one table: what a vendor's documentation leaves open, how it is decided now, and on which evidence."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_type_hints

import msgspec

from rtms_simulator.control.answers import SwitchRow
from rtms_simulator.errors import SwitchError
from rtms_simulator.faults.grammar import did_you_mean

Vendor = Literal["zoom", "recall", "tasks"]
SOURCES: Mapping[Vendor, str] = {
    "zoom": "docs/zoom-coverage.md",
    "recall": "docs/recall-coverage.md",
    "tasks": "docs/cloud-tasks-coverage.md",
}


def switch_rows(vendor: Vendor, switches: Any) -> list[SwitchRow]:
    """One row for each field of a fake's switches."""
    defaults = type(switches)()
    return [
        SwitchRow(
            name=f"{vendor}.{one.name}",
            vendor=vendor,
            value=plain(getattr(switches, one.name)),
            default=plain(getattr(defaults, one.name)),
            says=str(one.metadata.get("doc", "")),
            evidence=str(one.metadata.get("evidence", "inferred")),
            source=str(one.metadata.get("source", SOURCES[vendor])),
        )
        for one in dataclasses.fields(switches)
    ]


def changed(vendor: Vendor, switches: Any, values: Mapping[str, Any]) -> Any:
    """The switches with other values, given as JSON by their names without the vendor. Raises SwitchError."""
    names = [one.name for one in dataclasses.fields(switches)]
    hints = get_type_hints(type(switches))
    decided: dict[str, Any] = {}
    for name, value in values.items():
        if name not in names:
            close = did_you_mean(name, names).replace("did you mean ", f"did you mean {vendor}.")
            raise SwitchError(f"there is no switch {vendor}.{name}; {close}`rtmskit switches list` shows them")
        try:
            decided[name] = msgspec.convert(value, hints[name], strict=True)
        except (msgspec.ValidationError, ValueError, TypeError) as error:
            default = plain(getattr(type(switches)(), name))
            raise SwitchError(f"{vendor}.{name} cannot be {value!r:.100}: {error}; its default is {default!r}") from None
    try:
        return dataclasses.replace(switches, **decided)
    except (ValueError, TypeError) as error:
        raise SwitchError(str(error)) from None


def by_vendor(values: Mapping[str, Any]) -> Iterator[tuple[Vendor, dict[str, Any]]]:
    """`{"zoom.deadline_s": 5}` by vendor. Raises SwitchError for a name without one."""
    parts: dict[Vendor, dict[str, Any]] = {}
    for name, value in values.items():
        vendor, dot, rest = name.partition(".")
        known = next((one for one in SOURCES if one == vendor), None)
        if not dot or known is None:
            raise SwitchError(f"there is no switch {name!r}; a name is {', '.join(f'{one}.NAME' for one in SOURCES)}")
        parts.setdefault(known, {})[rest] = value
    yield from parts.items()


def read_value(text: str) -> Any:
    """A value as a person writes it: JSON, or else text."""
    try:
        return msgspec.json.decode(text.encode())
    except msgspec.DecodeError:
        return text


def plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else msgspec.to_builtins(value)
