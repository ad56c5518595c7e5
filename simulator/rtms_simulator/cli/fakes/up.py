"""`rtmskit up`: everything, kept running."""

from __future__ import annotations

import contextlib
import os
import secrets  # noqa: TID251  # the control plane's token must be unknown to everybody, also to who knows the seed
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtms_simulator.cli.fakes import running
from rtms_simulator.cli.fakes.given import of_fakes
from rtms_simulator.cli.fakes.switches import parsed
from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import log_line, say_json
from rtms_simulator.cli.pages import PAGES
from rtms_simulator.cli.play.outcome import BadInput, Nobody, run
from rtms_simulator.cli.receiver import is_url
from rtms_simulator.cli.starting import StartLines, checked_state, explained, of_options, state_option, writable

if TYPE_CHECKING:
    from rtms_simulator.control.descriptions import UpDescription
    from rtms_simulator.kit.stack import Plan, Ports

PORTS = {
    "webhook": "the webhook",
    "worker": "the worker",
    "zoom": "Zoom's RTMS servers",
    "recall": "Recall's API",
    "tasks": "Cloud Tasks",
    "control": "the control plane",
}
RECEIVERS = {"webhook_url": "--webhook", "recall_webhook_url": "--recall-webhook", "worker_url": "--worker"}


def _ports(command: Any) -> Any:
    for name, whose in reversed(PORTS.items()):
        text = f"Port of {whose}. Default: a free one."
        command = click.option(f"--{name}-port", type=click.IntRange(0, 65535), default=0, help=text)(command)
    return command


@click.command()
@state_option
@click.option("--no-function", is_flag=True, help="Start the fakes only, to test a receiver of your own.")
@click.option("--webhook", "webhook_url", metavar="URL", default="", help="With --no-function: your receiver of Zoom's events.")
@click.option(
    "--recall-webhook", "recall_webhook_url", metavar="URL", default="", help="With --no-function: your receiver of Recall's events."
)
@click.option("--worker", "worker_url", metavar="URL", default="", help="With --no-function: your own worker, for `rtmskit recordings`.")
@click.option("--tls", is_flag=True, help="Serve RTMS over wss, with this folder's authority (`rtmskit ca`).")
@click.option(
    "--local-endpoints", is_flag=True, help="Let Recall send real-time events to this machine; the real Recall refuses such addresses."
)
@click.option("--seed", type=int, help="Makes ids and secrets; one seed, one run. Default: another at each start, which is shown.")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".rtmskit"),
    show_default=True,
    help="For files and records.",
)
@click.option("--quiet", "-q", is_flag=True, help="Do not show the functions' log lines.")
@_ports
@of_fakes
@running.of_up
@as_json_option
def up(up_file: Path, *, as_json: bool, quiet: bool, no_function: bool, seed: int | None, settings: Sequence[str], **options: Any) -> None:
    """Start every fake and both functions, and keep them running.

    Zoom's RTMS servers, Recall's API, Cloud Tasks with a scheduler, and the functions under the real functions-framework, all on
    loopback. Addresses and secrets are printed, and left in .rtmskit/up.json where the other commands find them. Ctrl-C stops everything.

    The environment's settings of the service reach the functions (RECALL_RECORDING_CONFIG, ARCHIVE_URL, time limits), except addresses and
    credentials, which are the fakes'.

    --fault and --set take effect once everything answers, and again after `rtmskit reset`.
    """
    from rtms_simulator.clock import Clock
    from rtms_simulator.kit.stack import Plan, Ports, drawn_seed

    ports = Ports(**{name: options.pop(f"{name}_port") for name in PORTS})
    if not no_function and any(options[name] for name in RECEIVERS):
        raise BadInput(f"{', '.join(RECEIVERS.values())} name receivers of your own", "add --no-function, or leave them out.")
    for option, url in ((RECEIVERS[name], options[name]) for name in RECEIVERS):
        if url and not is_url(url):
            raise BadInput(f"{option} {url!r} is not a URL", "write it with http:// or https://.")
    _differ(ports)
    if up_file.is_dir():
        raise BadInput(f"--up {up_file} is a directory", "name a file.")
    writable("--up", up_file, up_file.parent)
    _only_one(up_file)
    writable("--directory", options["directory"], options["directory"])
    if recording_config := os.environ.get("RECALL_RECORDING_CONFIG"):
        options["recording_config"] = recording_config
    checked_state(options["state_url"])
    token = secrets.token_urlsafe(24)
    drawn = drawn_seed(Clock()) if seed is None else seed
    plan = Plan(function=not no_function, ports=ports, seed=drawn, control_token=token, switches=parsed(settings), **options)
    with explained(of_options(plan.state_url)):
        run(_serve(plan, up_file, as_json=as_json, quiet=quiet))


def _only_one(up_file: Path) -> None:
    with contextlib.suppress(Nobody):
        other = running.find(up_file)
        where = f"{other.control_url}, process {other.pid}"
        if running.listens(other.control_url):
            raise BadInput(f"an `rtmskit up` already runs here: {where} ({up_file})", "end it, or give this one another --up FILE.")


def _differ(ports: Ports) -> None:
    by_number: dict[int, str] = {}
    for name in PORTS:
        number = getattr(ports, name)
        if number and number in by_number:
            raise BadInput(
                f"--{by_number[number]}-port and --{name}-port are both {number}", "name two ports, or leave one out for a free one."
            )
        by_number[number] = name


async def _serve(plan: Plan, up_file: Path, *, as_json: bool, quiet: bool) -> None:
    from rtms_simulator.kit.stack import Stack

    lines = StartLines(log_line)
    stack = Stack(plan, on_line=None if quiet else lines, on_wait=lambda what: click.echo(what, err=True))
    try:
        with lines.until_started():
            await stack.start()
        described = stack.described()
        running.write(up_file, described)
        if plan.local_endpoints:
            click.echo("Real-time endpoints on this machine are accepted; the real Recall refuses them (403 request_blocked).", err=True)
        if as_json:
            say_json(described)
        else:
            _show(described, up_file)
        raise await stack.broken()
    finally:
        running.remove(up_file)
        await stack.aclose()


def _show(described: UpDescription, up_file: Path) -> None:
    import msgspec

    from rtms_simulator.recall.reach import shell_lines

    flat: list[tuple[str, str]] = []
    for name, value in msgspec.to_builtins(described).items():
        if isinstance(value, dict):
            flat += [(f"{name}.{inner}", str(item)) for inner, item in value.items() if item and not isinstance(item, dict)]
        elif value:
            flat.append((name, str(value)))
    width = max(len(name) for name, _ in flat)
    for name, value in flat:
        click.echo(f"{name:<{width}}  {value}")
    click.echo(f"\nFor a program with a hard-coded Recall host ({PAGES}/reach-the-fake.md):")
    for line in shell_lines(described.recall.proxy_environment):
        click.echo(f"  {line}")
    click.echo(f"\nAll of it is in {up_file}. Try `rtmskit meeting play` in another terminal. Ctrl-C ends everything.", err=True)
