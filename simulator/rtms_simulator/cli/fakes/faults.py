"""`rtmskit faults`: what can be made to go wrong, what is armed, and arming it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtms_simulator.cli import completion
from rtms_simulator.cli.fakes.running import ask, find, of_up
from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import say_json, table
from rtms_simulator.cli.play.outcome import BadInput, Nobody

if TYPE_CHECKING:
    from rtms_simulator.control.answers import ArmedFaultRow
    from rtms_simulator.control.descriptions import UpDescription


@click.group()
def faults() -> None:
    """Make a running `up` misbehave on purpose.

    A fault is written TARGET: STEP, such as "zoom.webhook.*.rtms_stopped: late 4s", "recall.create: 503 x2 then ok" or
    "tasks.dispatch.handoffs: duplicate". `xN` repeats a step and `x*` repeats it until the fault is cleared; `then` begins the next step.
    """


@faults.command("list")
@of_up
@as_json_option
def list_(up_file: Path, *, as_json: bool) -> None:
    """List the faults there are, and those armed in the running `up` (if one runs)."""
    from rtms_simulator.faults.reference import rows

    armed: list[ArmedFaultRow] = []
    with contextlib.suppress(Nobody):
        armed = _armed(find(up_file))
    if as_json:
        say_json({"armed": armed, "faults": [row._asdict() for row in rows()]})
        return
    table(("target", "step", "what happens", "settings"), [(row.target, row.step, row.says, row.settings) for row in rows()])
    click.echo()
    armed_rows = [(str(row.id), row.fault, "*" if row.left is None else str(row.left), str(row.used)) for row in armed]
    table(("armed", "fault", "left", "used"), armed_rows or [("(none)", "", "", "")])


@faults.command()
@click.argument("fault", shell_complete=completion.faults)
@of_up
@as_json_option
def add(fault: str, up_file: Path, *, as_json: bool) -> None:
    """Arm FAULT in the running `up`."""
    from rtms_simulator.control.answers import ArmedFaultRow
    from rtms_simulator.faults import FaultError, parse_fault

    try:
        parse_fault(fault)
    except FaultError as error:
        raise BadInput(str(error), "`rtmskit faults list` shows every target and step.") from None
    row = ask(find(up_file), "/faults", ArmedFaultRow, "POST", {"fault": fault})
    if as_json:
        say_json(row)
    else:
        click.echo(f"Armed {row.id}: {row.fault}")


@faults.command()
@click.argument("id", type=click.IntRange(1), required=False)
@of_up
@as_json_option
def clear(id: int | None, up_file: Path, *, as_json: bool) -> None:  # noqa: A002  # click names the argument after it
    """Disarm the fault with this ID, or every fault."""
    from rtms_simulator.control.answers import Cleared

    described = find(up_file)
    before = [row for row in _armed(described) if id is None or row.id == id]
    if id is not None and not before:
        raise BadInput(f"no fault {id} is armed", "`rtmskit faults list` shows those that are.")
    ask(described, f"/faults{'' if id is None else f'/{id}'}", Cleared, "DELETE")
    if as_json:
        say_json({"cleared": before})
    else:
        click.echo(f"Disarmed {len(before)}." if before else "Nothing was armed.")


def _armed(described: UpDescription) -> list[ArmedFaultRow]:
    from rtms_simulator.control.answers import FaultList

    return ask(described, "/faults", FaultList).armed
