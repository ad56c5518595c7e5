"""The worker that a command asks: of the running `up` or `serve`, or a deployed one; and what its refusals mean for a person."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

from rtms_simulator.cli.fakes.running import find, find_serve, of_up
from rtms_simulator.cli.pages import RUNBOOK
from rtms_simulator.cli.pasted import checked_secret
from rtms_simulator.cli.play.outcome import BadInput, Failed, Nobody, run
from rtms_simulator.cli.receiver import is_url
from rtms_simulator.cli.records import gcloud

if TYPE_CHECKING:
    from rtms_simulator.control.descriptions import ServeDescription, UpDescription

C = TypeVar("C", bound=Callable)
T = TypeVar("T")

NOT_FOUND = 404
_ENDPOINTS = ("/recordings", "/handoffs", "/events", "/retrieve", "/sweep", "/health")

ADVICE = {
    401: "sign in with `gcloud auth login`; a token lasts an hour. A service account's must name this worker: "
    "`gcloud auth print-identity-token --audiences=URL`.",
    403: "have yourself added: `pulumi config set --path 'rtmskit:workerCallers[0]' user:YOU@example.com`, then `pulumi up`. "
    "Who is signed in shows `gcloud auth list`.",
    404: "compare the address with `pulumi stack output workerUrl`. As long as `workerCallers` is empty, the worker takes internal traffic "
    "only: name yourself there, or call from a machine in the project's network.",
}
"""What to do about a page of Google's, by its status."""

LATER = f"try again in a minute; if it stays so, {RUNBOOK}#worker-full and #worker-errors say what to look at."


@dataclass(frozen=True, slots=True)
class AskedWorker:
    """The worker that is asked: of an `up` or of a `serve` that runs here, or, without either, one given by its URL."""

    url: str
    token: str
    up: UpDescription | None = None
    serve: ServeDescription | None = None

    @property
    def kind(self) -> str:
        return "up" if self.up else "serve" if self.serve else "deployed"


def of_worker(command: C) -> C:
    """The options that say whose worker is asked."""
    for option in (
        click.option(
            "--token",
            envvar="RTMSKIT_TOKEN",
            default="",
            help="Identity token of a deployed worker. Default: that of `gcloud`, if it is installed.",
            show_envvar=True,
        ),
        click.option(
            "--worker",
            metavar="URL",
            envvar="RTMSKIT_WORKER",
            help="A worker's URL; default: the running `up`'s or `serve`'s.",
            show_envvar=True,
        ),
        of_up,
    ):
        command = option(command)
    return command


def target(worker: str | None, token: str, up_file: Path) -> AskedWorker:
    """Raises BadInput or Nobody."""
    token = checked_secret("--token", token)
    if not worker:
        return running_here(up_file, token)
    if not is_url(worker):
        raise BadInput(f"--worker {worker!r} is not a URL", "write it with http:// or https://.")
    if endpoint := next((name for name in _ENDPOINTS if urlsplit(worker).path.rstrip("/").endswith(name)), ""):
        raise BadInput(f"--worker {worker!r} names an endpoint ({endpoint})", "give only the worker's address, without a path.")
    if not token and not _is_loopback(worker):
        token = gcloud.identity_token()
    return AskedWorker(worker, token)


def ask(worker: AskedWorker, work: Callable[[], Coroutine[Any, Any, T]], *, hint: str) -> T:
    """What `work` returns. `hint`: what to do when the worker knows no such record. Raises BadInput, Failed or Nobody."""
    import httpx

    from rtms_simulator.errors import LinkRefusedError, PlatformRefusedError, WorkerRefusedError, WorkerUnreachableError

    try:
        return run(work())
    except httpx.InvalidURL as error:
        raise BadInput(f"--worker {worker.url!r} is not a URL: {error}", "look at its host name.") from None
    except WorkerUnreachableError as error:
        raise Nobody(str(error), "is it running, and is --worker right? Repeat the command to continue where it stopped.") from None
    except LinkRefusedError as error:
        do = "a fresh link was asked for, too: is this machine's clock right, and is the recording still kept at Recall?"
        raise Failed(str(error), do) from None
    except PlatformRefusedError as error:
        raise Failed(f"{error}: {worker.url}", ADVICE.get(error.status, LATER)) from None
    except WorkerRefusedError as error:
        if error.status == NOT_FOUND:
            raise BadInput(str(error), hint) from None
        if error.status in (400, 405):
            raise BadInput(str(error), "change what is named; is the worker of another release?") from None
        do = "pass an identity token with --token." if error.status in (401, 403) else "look at the worker's log."
        raise Failed(str(error), do) from None


def running_here(up_file: Path, token: str) -> AskedWorker:
    """The worker of the `up` that runs here, or of the `serve` if that has none. Raises Nobody."""
    from rtms_simulator.cli.fakes.running import SERVE_FILE

    absent: Nobody | None = None
    try:
        up = find(up_file)
        if up.worker_url:
            return AskedWorker(up.worker_url, up.worker_token or token, up=up)
    except Nobody as error:
        absent = error
    with contextlib.suppress(Nobody):
        serve = find_serve(up_file.with_name(SERVE_FILE.name))
        return AskedWorker(serve.worker_url, serve.worker_token or token, serve=serve)
    raise absent or Nobody("this `up` runs no worker (--no-function)", "name one with --worker, or start `rtmskit serve` beside it.")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
