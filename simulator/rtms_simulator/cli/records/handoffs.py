"""`rtmskit handoffs`: which streams were handed to Recall, what became of one, and one more try."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rtms_simulator.cli.output import as_json, on_terminal, say_json
from rtms_simulator.cli.play.outcome import BadInput, Failed
from rtms_simulator.cli.records import not_there
from rtms_simulator.cli.records.filters import filtered, filters, resolved
from rtms_simulator.cli.records.handoff_rows import show_rows
from rtms_simulator.cli.records.handoff_rows import story as story_lines
from rtms_simulator.cli.records.worker import AskedWorker, ask, of_worker, target

if TYPE_CHECKING:
    from rtms_simulator.kit.worker.handoffs import HandOffs
    from rtms_simulator.kit.worker_answers import HandOffRow, HandOffStory, RetryDone, StreamFacts

T = TypeVar("T")

HINT = "`rtmskit handoffs list` shows what there is."


@click.group()
def handoffs() -> None:
    """List, explain, find and retry hand-offs: of `up`, `serve` or a deployed worker."""


@handoffs.command("list")
@filtered
@of_worker
@as_json
def list_(worker: str | None, token: str, up_file: Path, *, as_json: bool, **options: Any) -> None:
    """List hand-offs, newest first: time, product, state, recording, reason.

    On a terminal ids are shortened as far as they stay unique, and every command takes them so. In a pipe they are complete, with
    one row a line.
    """
    wished = filters(**options)
    rows = _asked(target(worker, token, up_file), lambda client: wished.first(client.every(wished.query)))
    if as_json:
        say_json({"handoffs": rows})
    elif rows:
        show_rows(rows, terminal=on_terminal())
    else:
        click.echo("No hand-off is like that.")


@handoffs.command()
@click.argument("id")
@of_worker
@as_json
def show(id: str, worker: str | None, token: str, up_file: Path, *, as_json: bool) -> None:  # noqa: A002  # click names the argument after it
    """Show one hand-off as a story: what came when, each try, what Recall said, what it means, what to do next.

    ID is the beginning of its id, or the id of a meeting, stream or MDC that has one hand-off. --json shows the record.
    """

    async def work(client: HandOffs) -> HandOffStory:
        return await client.story(await resolved(client, id))

    _shown(_asked(target(worker, token, up_file), work), as_json=as_json)


def _shown(one: HandOffStory, *, as_json: bool) -> None:
    if as_json:
        say_json(one)
    else:
        click.echo("\n".join(story_lines(one)))


@handoffs.command(context_settings={"ignore_unknown_options": True})
@click.argument("id")
@of_worker
@as_json
def find(id: str, worker: str | None, token: str, up_file: Path, *, as_json: bool) -> None:  # noqa: A002  # click names the argument after it
    """Find out what happened to a meeting, a stream, an MDC or a hand-off.

    One hand-off is shown as a story, several as a list. If there is none, it says what may have become of it (exit code 1): acked and
    still in a queue, refused, or never sent by Zoom.
    """
    if not id.strip():
        raise BadInput("the id is empty", "give a meeting UUID, a stream id, an MDC id, or the beginning of a hand-off's id.")
    asked_worker = target(worker, token, up_file)

    async def work(client: HandOffs) -> tuple[list[HandOffRow], HandOffStory | None, StreamFacts | None]:
        rows = await client.matching(id)
        one = await client.story(rows[0].id) if len(rows) == 1 else None
        return rows, one, await client.stream(id) if not rows else None

    rows, one, stream = _asked(asked_worker, work)
    tasks = not_there.waiting(asked_worker, id) if not rows else []
    if as_json:
        say_json({"handoffs": rows, "stream": stream, "waiting": None if tasks is None else [task._asdict() for task in tasks]})
    elif one is not None:
        click.echo("\n".join(story_lines(one)))
    elif rows:
        show_rows(rows, terminal=on_terminal())
    else:
        click.echo("\n".join(not_there.explained(asked_worker, id, stream, tasks)))
    if not rows:
        raise click.exceptions.Exit(1)


@handoffs.command()
@click.argument("id")
@of_worker
@as_json
def retry(id: str, worker: str | None, token: str, up_file: Path, *, as_json: bool) -> None:  # noqa: A002  # click names the argument after it
    """Try one hand-off once more now, or look for its recording again.

    While its stream can be joined it is POSTed at once, with the next Idempotency-Key. After that it says why not, and what
    remains (exit code 1). A hand-off that Recall has accepted is never POSTed again: its recording is looked for.
    """

    async def work(client: HandOffs) -> RetryDone:
        return await client.retry(await resolved(client, id))

    done = _asked(target(worker, token, up_file), work)
    if as_json:
        say_json(done)
        raise click.exceptions.Exit(0 if _went_well(done) else 1)
    stands = done.state + ("" if done.retrieval == "none" else f", recording {done.retrieval}")
    reason = " ".join(part for part in dict.fromkeys((done.reason, done.retrieval_reason)) if part)
    if not _went_well(done):
        raise Failed(f"{_DID[done.did]}: {done.why}. It is now {stands}{f' ({reason})' if reason else ''}", done.remains)
    click.echo(f"{_DID[done.did]}: {done.why}.\nNow {stands}{f': {reason}' if reason else ''}.")


_DID = {"tried": "tried once more", "looked": "looked again", "nothing": "not tried"}


def _went_well(done: RetryDone) -> bool:
    """Whether something was done, and did not end in a loss."""
    lost = done.state in ("failed", "expired") if done.did == "tried" else done.retrieval in ("none_made", "failed")
    return done.did != "nothing" and not lost


def _asked(worker: AskedWorker, work: Callable[[HandOffs], Awaitable[T]]) -> T:
    from rtms_simulator.kit.worker.handoffs import HandOffs

    async def whole() -> T:
        client = HandOffs(worker.url, worker.token)
        try:
            return await work(client)
        finally:
            await client.aclose()

    return ask(worker, whole, hint=HINT)
