"""`rtmskit faults`: what can be made to go wrong, what is armed, and arming it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import click

from rtms_simulator.cli.fakes.running import ask, find, of_up
from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import table
from rtms_simulator.cli.play.outcome import Nobody

RECALLS = ("recall.", "webhook.")


@click.group()
def faults() -> None:
    """Make a running `up` misbehave on purpose.

    Zoom's faults are names with settings, such as late:seconds=4,event=*.rtms_stopped. Recall's are scripts, such as
    "recall.create: 503 x2 then ok" or "webhook.recording.done: dup".
    """


@faults.command("list")
@of_up
@as_json_option
def list_(up_file: Path, as_json: bool) -> None:
    """List the faults there are, and those armed in the running `up` (if one runs)."""
    from rtms_simulator.faults.recall import DOWNLOAD_STEPS, REQUEST_STEPS, WEBHOOK_STEPS
    from rtms_simulator.faults.zoom import FAULTS

    armed: list[dict[str, Any]] = []
    with contextlib.suppress(Nobody):
        armed = _armed(find(up_file))
    known: dict[str, dict[str, Any]] = {
        name: {"acts_on": kind.where.value, "says": kind.says, "params": {key: param.says for key, param in kind.params.items()}}
        for name, kind in FAULTS.items()
    }
    scripts = {"recall.<operation>": [*REQUEST_STEPS, *DOWNLOAD_STEPS], "webhook.<event>": list(WEBHOOK_STEPS)}
    if as_json:
        click.echo(json.dumps({"armed": armed, "zoom": known, "recall": scripts}, ensure_ascii=False))
        return
    table(("Zoom's fault", "what happens", "settings"), [(name, row["says"], ", ".join(row["params"])) for name, row in known.items()])
    click.echo()
    table(
        ("Recall's script", "steps, each with xN or x*, joined by `then`"),
        [(target, ", ".join(steps)) for target, steps in scripts.items()],
    )
    click.echo()
    table(("armed", "of", "left"), [(row["fault"], row["of"], str(row["left"])) for row in armed] or [("(nothing)", "", "")])


@faults.command()
@click.argument("fault")
@of_up
@as_json_option
def add(fault: str, up_file: Path, as_json: bool) -> None:
    """Arm FAULT in the running `up`."""
    described = find(up_file)
    if fault.startswith(RECALLS):
        found = ask(f"{described['recall']['control_url']}/faults", "POST", {"script": fault})
        row = {"fault": found["script"], "of": "recall", "left": found["steps_left"]}
    else:
        found = ask(f"{described['zoom']['control_url']}/faults", "POST", {"fault": fault})
        row = {"fault": found["fault"], "of": "zoom", "left": found["left"]}
    click.echo(json.dumps(row) if as_json else f"Armed: {row['fault']}")


@faults.command()
@of_up
@as_json_option
def clear(up_file: Path, as_json: bool) -> None:
    """Disarm every fault in the running `up`."""
    described = find(up_file)
    before = _armed(described)
    for side in ("zoom", "recall"):
        ask(f"{described[side]['control_url']}/faults", "DELETE")
    if as_json:
        click.echo(json.dumps({"cleared": before}, ensure_ascii=False))
    else:
        click.echo(f"Disarmed {len(before)}." if before else "Nothing was armed.")


def _armed(described: dict[str, Any]) -> list[dict[str, Any]]:
    zoom = ask(f"{described['zoom']['control_url']}/faults")["armed"]
    recall = ask(f"{described['recall']['control_url']}/faults")["faults"]
    rows = [{"fault": row["fault"], "of": "zoom", "left": row["left"]} for row in zoom]
    return rows + [{"fault": row["script"], "of": "recall", "left": row["steps_left"]} for row in recall if row["steps_left"]]
