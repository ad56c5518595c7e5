"""`rtmskit recordings`: what was recorded, and its bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rtms_simulator.cli import completion
from rtms_simulator.cli.output import as_json, as_text, on_terminal, progress, say_json
from rtms_simulator.cli.play.outcome import BadInput
from rtms_simulator.cli.records.filters import filtered, filters, resolved
from rtms_simulator.cli.records.handoff_rows import show_rows
from rtms_simulator.cli.records.worker import AskedWorker, ask, of_worker, target

if TYPE_CHECKING:
    from rtms_simulator.kit.worker_client import Downloaded, Recordings

T = TypeVar("T")

HINT = "`rtmskit recordings list` shows what there is."


@click.group()
def recordings() -> None:
    """List, show and download recordings."""


@recordings.command("list")
@filtered
@of_worker
@as_json
def list_(worker: str | None, token: str, up_file: Path, *, as_json: bool, **options: Any) -> None:
    """List the hand-offs and their recordings, newest first."""
    wished = filters(**options)
    rows = _asked(target(worker, token, up_file), lambda client: wished.first(client.every(wished.query)))
    if as_json:
        say_json({"recordings": rows})
        return
    show_rows(rows, terminal=on_terminal())


@recordings.command()
@click.argument("id")
@of_worker
@as_json
def show(id: str, worker: str | None, token: str, up_file: Path, *, as_json: bool) -> None:  # noqa: A002  # click names the argument after it
    """Show one hand-off: its states, reasons, artifacts and fresh links."""
    asked_worker = target(worker, token, up_file)
    key = _key(asked_worker, id)
    handoff = _asked(asked_worker, lambda client: client.one(key))
    if as_json:
        say_json(handoff)
    else:
        click.echo(as_text(handoff, indent=2))


@recordings.command()
@click.argument("id")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to; default: ID and a fitting suffix.")
@click.option(
    "--artifact",
    shell_complete=completion.artifacts,
    help="What, such as video_mixed, audio_mixed or transcript; default: the video, or else the audio.",
)
@of_worker
@as_json
def download(
    id: str,  # noqa: A002  # click names the argument after it
    output: Path | None,
    artifact: str | None,
    worker: str | None,
    token: str,
    up_file: Path,
    *,
    as_json: bool,
) -> None:
    """Download one artifact. An interrupted download is continued; the file appears when it is complete."""
    if output is not None and not output.name:
        raise BadInput(f"--output {str(output)!r} names no file", "name one, or leave it out.")
    asked_worker = target(worker, token, up_file)
    key = _key(asked_worker, id)
    path = output or Path(f"{key}{'' if artifact is None else f'.{artifact}'}")

    async def work(client: Recordings) -> Downloaded:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=progress(), transient=True) as bar:
            task = bar.add_task(path.name[:24])

            def moved(have: int, total: int | None) -> None:
                bar.update(task, completed=have, total=total)

            return await client.download(key, artifact, path, moved, named=output is not None)

    try:
        done = _asked(asked_worker, work)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}", "name another place with --output.") from None
    if as_json:
        say_json(asdict(done) | {"path": str(done.path)})
        return
    resumed = f", resumed at {done.resumed_at:,}" if done.resumed_at else ""
    click.echo(f"{done.path}: {done.size:,} bytes{resumed}, {done.content_type or 'no content type'}\nsha256 {done.sha256}")


def _key(worker: AskedWorker, text: str) -> str:
    """The id of the hand-off that `text` means: as `rtmskit handoffs show` takes it."""
    from rtms_simulator.kit.worker.handoffs import HandOffs

    async def whole() -> str:
        client = HandOffs(worker.url, worker.token)
        try:
            return await resolved(client, text)
        finally:
            await client.aclose()

    return ask(worker, whole, hint=HINT)


def _asked(worker: AskedWorker, work: Callable[[Recordings], Awaitable[T]]) -> T:
    from rtms_simulator.kit.worker_client import Recordings

    async def whole() -> T:
        client = Recordings(worker.url, worker.token)
        try:
            return await work(client)
        finally:
            await client.aclose()

    return ask(worker, whole, hint=HINT)
