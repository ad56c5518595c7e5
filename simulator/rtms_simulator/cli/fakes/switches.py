"""`rtmskit switches`: what the vendors' documentation leaves open, how it is decided, and deciding it otherwise."""

from __future__ import annotations

import contextlib
import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtms_simulator.cli import completion
from rtms_simulator.cli.fakes.running import ask, find, of_up
from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import as_text, on_terminal, say_json, table
from rtms_simulator.cli.play.outcome import BadInput, Nobody

if TYPE_CHECKING:
    from rtms_simulator.control.answers import SwitchRow
    from rtms_simulator.control.descriptions import UpDescription


@click.group()
def switches() -> None:
    """Look at the switches of the fakes, and set them in a running `up`.

    A switch is a decision that a vendor's documentation leaves open, or one of its numbers. `reset` brings back those that `up` began with.
    """


@switches.command("list")
@click.argument("vendor", type=click.Choice(["zoom", "recall", "tasks"]), required=False)
@of_up
@as_json_option
def list_(vendor: str | None, up_file: Path, *, as_json: bool) -> None:
    """List the switches with default, evidence and source, and their values in the running `up` (if one runs)."""
    from rtms_simulator.kit.control.defaults import default_switches

    rows: list[SwitchRow] = default_switches()
    with contextlib.suppress(Nobody):
        rows = _of_up(find(up_file))
    rows = [row for row in rows if vendor in (None, row.vendor)]
    if as_json:
        say_json({"switches": rows})
        return
    if on_terminal():
        width = max(40, shutil.get_terminal_size().columns)
        click.echo("\n".join(line for row in rows for line in _lines(row, width)))
        return
    cells = [(row.name, _plain(row.value), _plain(row.default), row.evidence, row.source, row.says) for row in rows]
    table(("switch", "value", "default", "evidence", "source", "meaning"), cells)


def _lines(row: SwitchRow, width: int) -> list[str]:
    """A switch on a terminal, where six columns would be too narrow to read."""
    wrapped = textwrap.TextWrapper(width, subsequent_indent="    ", break_on_hyphens=False)
    indented = textwrap.TextWrapper(width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    rests_on = f"default {_plain(row.default)}; {row.evidence}, {row.source}"
    return [*wrapped.wrap(f"{row.name} = {_plain(row.value)}"), *indented.wrap(rests_on), *indented.wrap(row.says)]


@switches.command("set")
@click.argument("settings", nargs=-1, required=True, metavar="SWITCH=VALUE...", shell_complete=completion.switches)
@of_up
@as_json_option
def set_(settings: Sequence[str], up_file: Path, *, as_json: bool) -> None:
    """Set switches of the running `up`; VALUE is JSON or else text. All are set, or none."""
    from rtms_simulator.control.answers import SwitchList

    values = parsed(settings)
    listed = ask(find(up_file), "/switches", SwitchList, "PATCH", {"set": values})
    rows = [row for row in listed.switches if row.name in values]
    if as_json:
        say_json({"switches": rows})
    else:
        click.echo("\n".join(f"{row.name} = {_plain(row.value)}" for row in rows))


def parsed(settings: Sequence[str]) -> dict[str, Any]:
    """`SWITCH=VALUE` texts as values by name. Raises BadInput."""
    from rtms_simulator.kit.control.defaults import read_value

    values: dict[str, Any] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise BadInput(f"{text!r} has no value", "write SWITCH=VALUE, as zoom.deadline_s=5; `rtmskit switches list` shows them.")
        values[name.strip()] = read_value(name.strip(), value)
    return values


def _of_up(described: UpDescription) -> list[SwitchRow]:
    from rtms_simulator.control.answers import SwitchList

    return ask(described, "/switches", SwitchList).switches


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else as_text(value)
