"""`rtmskit reset`: a running `up` as it was when it began."""

from __future__ import annotations

from pathlib import Path

import click

from rtms_simulator.cli.fakes.running import ask, find, of_up
from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import say_json


@click.command()
@of_up
@as_json_option
def reset(up_file: Path, *, as_json: bool) -> None:
    """Forget all meetings, recordings, tasks and faults of a running `up`.

    The clock shows real time again. Its own SQLite records are deleted, too; both functions are restarted for that.
    Records in a store given with --state are kept.
    """
    from rtms_simulator.control.answers import ResetDone

    done = ask(find(up_file), "/reset", ResetDone, "POST", {}, timeout_s=60)
    if as_json:
        say_json(done)
    else:
        click.echo("Reset." if done.records == "forgotten" else "Reset; the records in the store you gave with --state are kept.")
