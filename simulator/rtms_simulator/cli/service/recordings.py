"""`rtmskit recordings`: what came home, and its bytes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

from rtms_simulator.cli import completion
from rtms_simulator.cli.fakes.running import find, of_up
from rtms_simulator.cli.output import as_json, progress, say_json, table
from rtms_simulator.cli.pasted import checked_secret
from rtms_simulator.cli.play.outcome import BadInput, Failed, Nobody, run
from rtms_simulator.cli.receiver import is_url

if TYPE_CHECKING:
    from rtms_simulator.kit.worker_answers import HandOffDetail, HandOffRow
    from rtms_simulator.kit.worker_client import Downloaded, Recordings

NOT_FOUND = 404
_ENDPOINTS = ("/recordings", "/handoffs", "/events", "/retrieve", "/sweep", "/health")

C = TypeVar("C", bound=Callable)


def of_worker(command: C) -> C:
    """The options that say whose worker is asked."""
    for option in (
        click.option("--token", envvar="RTMSKIT_TOKEN", default="", help="Identity token of a deployed worker.", show_envvar=True),
        click.option(
            "--worker", metavar="URL", envvar="RTMSKIT_WORKER", help="A worker's URL; default: the running `up`'s.", show_envvar=True
        ),
        of_up,
    ):
        command = option(command)
    return command


@click.group()
def recordings() -> None:
    """List, show and download recordings."""


@recordings.command("list")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many, newest first.")
@of_worker
@as_json
def list_(limit: int, worker: str | None, token: str, up_file: Path, as_json: bool) -> None:
    """List the hand-offs and what was recorded of them, newest first."""
    rows: list[HandOffRow] = []

    async def work(client: Recordings) -> None:
        async for row in client.every():
            rows.append(row)
            if len(rows) == limit:
                return

    _with_worker(worker, token, up_file, work)
    if as_json:
        say_json({"recordings": rows})
        return
    table(("id", "started", "product", "meeting", "hand-off", "recording", "reason"), [_shown(row) for row in rows])


def _shown(row: HandOffRow) -> tuple[str, ...]:
    started = datetime.fromtimestamp(row.event_ts / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return (row.id, started, row.product, row.entity_id, row.state, row.retrieval, row.cause)


@recordings.command()
@click.argument("id")
@of_worker
@as_json
def show(id: str, worker: str | None, token: str, up_file: Path, as_json: bool) -> None:  # noqa: A002  # click names the argument after it
    """Show one hand-off: its states, reasons, artifacts and fresh links."""
    import msgspec

    found: list[HandOffDetail] = []

    async def work(client: Recordings) -> None:
        found.append(await client.one(id))

    _with_worker(worker, token, up_file, work)
    if as_json:
        say_json(found[0])
    else:
        click.echo(json.dumps(msgspec.to_builtins(found[0]), ensure_ascii=False, indent=2))


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
    as_json: bool,
) -> None:
    """Download one artifact. A download that broke off goes on where it was; the file appears when it is whole."""
    if output is not None and not output.name:
        raise BadInput(f"--output {str(output)!r} names no file", "name one, or leave it out.")
    got: list[Downloaded] = []
    target = output or Path(f"{id}{'' if artifact is None else f'.{artifact}'}")

    async def work(client: Recordings) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=progress(), transient=True) as bar:
            task = bar.add_task(target.name[:24])

            def moved(have: int, total: int | None) -> None:
                bar.update(task, completed=have, total=total)

            got.append(await client.download(id, artifact, target, moved, named=output is not None))

    try:
        _with_worker(worker, token, up_file, work)
    except OSError as error:
        raise BadInput(f"{target} cannot be written: {error.strerror}", "name another place with --output.") from None
    done = got[0]
    if as_json:
        click.echo(json.dumps(asdict(done) | {"path": str(done.path)}))
        return
    resumed = f", resumed at {done.resumed_at:,}" if done.resumed_at else ""
    click.echo(f"{done.path}: {done.size:,} bytes{resumed}, {done.content_type or 'no content type'}\nsha256 {done.sha256}")


def _running_here(up_file: Path) -> dict[str, Any]:
    """The `up` that runs here, or the `serve` if that has no worker. Raises Nobody."""
    from rtms_simulator.cli.service.serve import SERVE_FILE

    try:
        described = find(up_file)
    except Nobody as nobody:
        with contextlib.suppress(Nobody):
            return find(up_file.with_name(SERVE_FILE.name))
        raise nobody from None
    if described["worker_url"]:
        return described
    with contextlib.suppress(Nobody):
        return find(up_file.with_name(SERVE_FILE.name))
    raise Nobody("this `up` runs no worker (--no-function)", "name one with --worker, or start `rtmskit serve` beside it.")


def _with_worker(worker: str | None, token: str, up_file: Path, work: Callable[[Recordings], Any]) -> None:
    from rtms_simulator.errors import LinkRefusedError, WorkerRefusedError, WorkerUnreachableError
    from rtms_simulator.kit.worker_client import Recordings

    token = checked_secret("--token", token)
    if worker and not is_url(worker):
        raise BadInput(f"--worker {worker!r} is not a URL", "write it with http:// or https://.")
    if worker and (endpoint := next((name for name in _ENDPOINTS if urlsplit(worker).path.rstrip("/").endswith(name)), "")):
        raise BadInput(f"--worker {worker!r} names an endpoint ({endpoint})", "give the worker's address alone, without a path.")
    url = worker
    if not url:
        described = _running_here(up_file)
        url, token = described["worker_url"], described.get("worker_token") or token

    async def whole() -> None:
        import httpx

        client = Recordings(url, token)
        try:
            await work(client)
        except httpx.InvalidURL as error:
            raise BadInput(f"--worker {url!r} is not a URL: {error}", "look at its host name.") from None
        finally:
            await client.aclose()

    try:
        run(whole())
    except WorkerUnreachableError as error:
        raise Nobody(str(error), "is it running, and is --worker right? Repeat the command to go on where it broke off.") from None
    except LinkRefusedError as error:
        do = "a fresh link was asked for, too: is this machine's clock right, and is the recording still kept at Recall?"
        raise Failed(str(error), do) from None
    except WorkerRefusedError as error:
        if error.status == NOT_FOUND:
            raise BadInput(str(error), "`rtmskit recordings list` shows what there is.") from None
        do = "pass an identity token with --token." if error.status in (401, 403) else "look at the worker's log."
        raise Failed(str(error), do) from None
