"""The switches of all fakes as one table: what a vendor's documentation leaves open, how it is decided now, and on which evidence."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Generator, Iterator, Mapping
from typing import Any, Literal, get_type_hints

import msgspec

from rtms_simulator.control.answers import SwitchRow
from rtms_simulator.errors import InputError, SwitchError
from rtms_simulator.faults.grammar import did_you_mean
from rtms_simulator.kit.control.fakes import Fakes

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


def all_switches(fakes: Fakes) -> list[SwitchRow]:
    """The switches of every fake, as they are decided now."""
    return [
        *switch_rows("zoom", fakes.zoom.switches),
        *switch_rows("recall", fakes.recall.switches),
        *switch_rows("tasks", fakes.tasks.switches),
    ]


def set_switches(fakes: Fakes, values: Mapping[str, Any]) -> None:
    """Decide some of them otherwise: all or, with a SwitchError, none."""
    owners = {"zoom": fakes.zoom, "recall": fakes.recall, "tasks": fakes.tasks}
    decided = {vendor: changed(vendor, owners[vendor].switches, some) for vendor, some in by_vendor(values)}
    for vendor, switches in decided.items():
        owners[vendor].switches = switches


@contextlib.contextmanager
def switched(fakes: Fakes, values: Mapping[str, Any]) -> Generator[None]:
    """Set them for what follows and ever after; they are as before if that raises InputError. Raises SwitchError."""
    owners = (fakes.zoom, fakes.recall, fakes.tasks)
    before = [owner.switches for owner in owners]
    set_switches(fakes, values)
    try:
        yield
    except InputError:
        for owner, switches in zip(owners, before, strict=True):
            owner.switches = switches  # ty: ignore[invalid-assignment]
        raise


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


def plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else msgspec.to_builtins(value)
