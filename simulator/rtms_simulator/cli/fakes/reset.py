"""`rtmskit reset`: a running `up` as it was when it began."""

from __future__ import annotations

import json
from pathlib import Path

import click

from rtms_simulator.cli.fakes.running import ask, find, of_up
from rtms_simulator.cli.output import as_json as as_json_option


@click.command()
@of_up
@as_json_option
def reset(up_file: Path, as_json: bool) -> None:
    """Forget all meetings, recordings, tasks and faults of a running `up`.

    The clock shows real time again. The SQLite records of its own go too, for which both functions are restarted.
    Records in a store given with --state are kept.
    """
    found = ask(f"{find(up_file)['control_url']}/reset", "POST", timeout_s=60)
    if as_json:
        click.echo(json.dumps(found))
    else:
        click.echo("Reset." if found["records"] == "forgotten" else "Reset; the records in the store you gave with --state are kept.")
