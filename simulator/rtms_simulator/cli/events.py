"""`rtmskit events`: every delivery of the running `up`, both vendors', and sending one again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from rtms_simulator.cli.outcome import BadInput, Failed
from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import table
from rtms_simulator.cli.running import ask, find, of_up


@click.group()
def events() -> None:
    """Look at the deliveries of a running `up`, and replay them.

    Zoom's have numbers, Recall's ids like msg_2Lk….
    """


@events.command("list")
@of_up
@as_json_option
def list_(up_file: Path, as_json: bool) -> None:
    """List every delivery with its answers, oldest first."""
    described = find(up_file)
    rows = sorted([*_zooms(described), *_recalls(described)], key=lambda row: row["at"])
    if as_json:
        click.echo(json.dumps({"events": rows}, ensure_ascii=False))
        return
    shown = [
        (_time(row["at"]), row["of"], str(row["id"]), row["event"], row["outcome"], ", ".join(map(str, row["statuses"]))) for row in rows
    ]
    table(("at", "of", "id", "event", "outcome", "answers"), shown)


@events.command()
@click.argument("id")
@of_up
@as_json_option
def show(id: str, up_file: Path, as_json: bool) -> None:  # noqa: A002  # click names the argument after it
    """Show one delivery: headers, body and answers."""
    described = find(up_file)
    if id.isdigit():
        found = ask(f"{described['zoom']['control_url']}/deliveries/{id}")
    else:
        found = next((row for row in ask(f"{described['recall']['control_url']}/deliveries")["deliveries"] if row["id"] == id), None)
        if found is None:
            raise BadInput(f"there is no delivery {id!r}", "`rtmskit events list` shows them.")
    click.echo(json.dumps(found, ensure_ascii=False, indent=None if as_json else 2))


@events.command()
@click.argument("id")
@of_up
@as_json_option
def replay(id: str, up_file: Path, as_json: bool) -> None:  # noqa: A002  # click names the argument after it
    """Send a delivery again: the same body, signed anew. Recall's keep their id, as a retry does."""
    described = find(up_file)
    if id.isdigit():
        found = ask(f"{described['zoom']['control_url']}/deliveries/{id}/replay", "POST", {})
        row = {"id": found["id"], "event": found["event"], "outcome": found["outcome"], "statuses": _statuses(found)}
    else:
        found = ask(f"{described['recall']['control_url']}/deliveries/{id}/resend", "POST", {})
        row = {"id": found["id"], "event": found["event"], "outcome": found["state"], "statuses": _statuses(found)}
    if as_json:
        click.echo(json.dumps(row, ensure_ascii=False))
    else:
        click.echo(f"{row['event']}: {row['outcome']} {', '.join(map(str, row['statuses']))}".rstrip())
    if row["outcome"] == "refused":
        raise Failed(f"the receiver refused it with {row['statuses'][-1]}", f"`rtmskit events show {row['id']}` shows its answer.")


def _zooms(described: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "of": "zoom",
            "id": row["id"],
            "event": row["event"],
            "at": row["attempts"][0]["at_ms"] / 1000 if row["attempts"] else row["event_ts"] / 1000,
            "outcome": row["outcome"],
            "statuses": _statuses(row),
        }
        for row in ask(f"{described['zoom']['control_url']}/deliveries")["deliveries"]
    ]


def _recalls(described: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "of": "recall",
            "id": row["id"],
            "event": row["event"],
            "at": row["created_at"],
            "outcome": row["state"],
            "statuses": _statuses(row),
        }
        for row in ask(f"{described['recall']['control_url']}/deliveries")["deliveries"]
    ]


def _statuses(row: dict[str, Any]) -> list[int | None]:
    return [attempt["status"] for attempt in row["attempts"]]


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]
