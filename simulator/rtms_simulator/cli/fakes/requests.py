"""`rtmskit requests`: what a receiver asked of Recall in the running `up`, and what it got."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtms_simulator.cli.fakes.clock import seconds
from rtms_simulator.cli.fakes.running import ask, find, of_up
from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import say_json, table

if TYPE_CHECKING:
    from rtms_simulator.control.answers import RequestRow
    from rtms_simulator.control.descriptions import UpDescription


@click.group()
def requests() -> None:
    """Look at the requests to Recall in a running `up`, and the answers."""


@requests.command("list")
@click.option("--operation", metavar="NAME", help="Such as create, retrieve, list, download or an operationId.")
@click.option("--status", metavar="N|refused", help="An HTTP status; refused is everything but 2xx.")
@click.option("--meeting", metavar="N|STREAM", help="The number of a meeting, or a stream's id.")
@click.option("--since", metavar="AGO", help="Not older than this: 90s, 5m or 2h.")
@of_up
@as_json_option
def list_(operation: str | None, status: str | None, meeting: str | None, since: str | None, up_file: Path, *, as_json: bool) -> None:
    """List the requests with their answers, oldest first."""
    from rtms_simulator.control.answers import RequestList

    described = find(up_file)
    query = {"operation": operation, "status": status, "meeting": meeting, "since": since and ago(described, since)}
    listed = ask(described, "/requests", RequestList, query=query)
    if as_json:
        say_json(listed)
        return
    table(("id", "at", "operation", "answer", "fault", "meeting", "Meeting Direct Connect"), [_shown(row) for row in listed.requests])


@requests.command()
@click.argument("id")
@of_up
@as_json_option
def show(id: str, up_file: Path, *, as_json: bool) -> None:  # noqa: A002  # click names the argument after it
    """Show one request with its body and the answer's text."""
    from rtms_simulator.control.answers import RequestDetail

    detail = ask(find(up_file), f"/requests/{id}", RequestDetail)
    if as_json:
        say_json(detail)
        return
    row = detail.request
    click.echo(f"{row.method} {row.path}{'?' if detail.query else ''}{detail.query}")
    click.echo(f"{detail.body}\n\nHTTP {row.status if row.status is not None else '(connection cut)'}\n{detail.answer}")


def ago(described: UpDescription, text: str) -> float:
    """The moment so long ago on the fakes' clock."""
    from rtms_simulator.control.answers import ClockReading

    return ask(described, "/clock", ClockReading).now - seconds(text)


def _shown(row: RequestRow) -> tuple[str, ...]:
    at = datetime.fromtimestamp(row.at, UTC).strftime("%H:%M:%S.%f")[:-3]
    status = "cut" if row.status is None else f"{row.status}{' (replayed)' if row.replayed else ''}"
    operation = row.operation or f"{row.method} {row.path}"
    return (str(row.id), at, operation, status, row.fault or "", "" if row.meeting is None else str(row.meeting), row.mdc or "")
