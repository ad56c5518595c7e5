"""`rtmskit serve`: the real service on this machine, for the real Zoom and the real Recall."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtms_simulator.cli.fakes import running
from rtms_simulator.cli.fakes.running import SERVE_FILE
from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import from_text, log_line
from rtms_simulator.cli.play.outcome import BadInput, Nobody, run
from rtms_simulator.cli.receiver import is_local
from rtms_simulator.cli.service.env_template import write_template
from rtms_simulator.cli.service.variables import ENV_FILE, variables
from rtms_simulator.cli.starting import explained, writable

if TYPE_CHECKING:
    from rtms_simulator.errors import ChildEndedError
    from rtms_simulator.kit.serve.local_service import LocalService
    from rtms_simulator.kit.serve.tunnel import NgrokTunnel
    from rtms_simulator.serving.authority import CertificateAuthority

DOCTOR_CHALLENGES = 3


@click.command()
@click.option("--init", is_flag=True, help="Write a template of the file of variables, and exit.")
@click.option(
    "--env-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file of variables. A variable of the environment counts more. Default: .env, if it exists.",
)
@click.option(
    "--tunnel", metavar="ngrok|URL", default="", help="How Zoom reaches this machine: ngrok, or the https address of your own tunnel."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    envvar="RTMSKIT_SERVE_PORT",
    show_default=True,
    show_envvar=True,
    help="The webhook's port, for the tunnel. 0: a free one.",
)
@click.option("--tls", is_flag=True, help="Speak https on that port, with this folder's authority (`rtmskit ca`). Not for a tunnel.")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".rtmskit/serve"),
    show_default=True,
    help="For records and queues. The next start with the same directory continues with them.",
)
@click.option("--verbose", "-v", is_flag=True, help="Show every log line of the functions, not only NOTICE and above.")
@running.of_up
@as_json_option
def serve(
    *,
    init: bool,
    env_file: Path | None,
    tunnel: str,
    port: int,
    tls: bool,
    directory: Path,
    verbose: bool,
    up_file: Path,
    as_json: bool,
) -> None:
    """Run the real service on this machine, for the real Zoom and Recall.

    Webhook and worker run as in the cloud, with a file of records and a durable queue in place of Google's. Only the webhook's port is
    for the tunnel; the worker takes calls from this machine with the secret of the run. Credentials come from the environment or a file
    of variables (--init writes one; with a running `up --no-function` it is filled in for that). Ctrl-C says what is unfinished, and
    the next start goes on with it.

    There are no fakes in it, and so no control plane: `handoffs`, `recordings` and --json show what happens, faults and the clock are
    for `up`.
    """
    if init:
        write_template(env_file or ENV_FILE, up_file)
        return
    from rtms_simulator.kit.serve.local_service import LocalService, ServicePlan

    environment = variables(env_file)
    public = _public(tunnel)
    if tls and public:
        raise BadInput("--tls and --tunnel do not go together: a tunnel has a certificate of its own", "leave one of them out.")
    writable("--directory", directory, directory)
    file = up_file.with_name(SERVE_FILE.name)
    with contextlib.suppress(Nobody):
        other = running.find_serve(file)
        if running.listens(other.worker_url):
            raise BadInput(f"an `rtmskit serve` already runs here (process {other.pid}, {file})", "end it first.")
    plan = ServicePlan(directory, environment, port, _authority(up_file.parent) if tls else None)
    output = ServeOutput(as_json=as_json, verbose=verbose)
    service = LocalService(plan, on_line=output.line)
    try:
        with explained():
            run(_serve(service, public, file, output))
    finally:
        output.left(service)


def _authority(folder: Path) -> CertificateAuthority:
    """That of the folder, as for `up --tls`."""
    from rtms_simulator.serving.authority import CertificateAuthority

    return CertificateAuthority.of_folder(folder)


def _public(tunnel: str) -> str:
    """ "ngrok", or the address of a tunnel without a path, or "". Raises BadInput."""
    from rtms_simulator.cli.service.zoom_app import base_url

    if tunnel == "ngrok":
        from rtms_simulator.packaging import extras

        if lacking := extras.missing("tunnel"):
            raise BadInput(f"--tunnel ngrok needs the extra `tunnel` (not installed: {', '.join(lacking)})", extras.advice("tunnel"))
        return tunnel
    if not tunnel or is_local(tunnel):
        return tunnel.rstrip("/")
    return base_url(tunnel, option="--tunnel")


def _is_routine(line: str) -> bool:
    """Whether a log line is of a severity below NOTICE. What is no line of the log is shown."""
    try:
        return from_text(line).get("severity") in ("DEBUG", "INFO")
    except (ValueError, AttributeError):
        return False


class ServeOutput:
    """What the person, or the program with --json, gets to see."""

    def __init__(self, *, as_json: bool, verbose: bool) -> None:
        self.as_json = as_json
        self._verbose = verbose
        self.unfinished: dict[str, str] | None = None

    def line(self, who: str, line: str) -> None:
        if self._verbose or (self.unfinished is not None and not _is_routine(line)):
            log_line(who, line)

    def event(self, kind: str, what: str, **fields: Any) -> None:
        """One thing that happened: a line of JSON on stdout, or words on stderr."""
        from rtms_simulator.cli.output import say_json
        from rtms_simulator.cli.service.serve_lines import ServeEvent

        if self.as_json:
            say_json(ServeEvent(event=kind, what=what, **fields))
        else:
            click.echo(what, err=True)

    def ended(self, end: ChildEndedError) -> None:
        last = f": {end.lines[-1]}" if end.lines else ""
        self.event("child_ended", f"{end}; starting it again{last}", name=end.name)

    def left(self, service: LocalService) -> None:
        """What the next start goes on with."""
        if self.unfinished is None:
            return
        tasks = {name: count for name, count in service.left.items() if count}
        if not self.unfinished and not tasks:
            self.event("stopped", "Nothing is unfinished.", handoffs=[], tasks={})
            return
        lines = [f"  {id_[:12]}  {what}" for id_, what in self.unfinished.items()]
        lines += [f"  {count} waiting in the queue {name}" for name, count in tasks.items()]
        what = "\n".join(["Unfinished; the next `rtmskit serve` here goes on with it:", *lines])
        self.event("stopped", what, handoffs=list(self.unfinished), tasks=tasks)


async def _serve(service: LocalService, public: str, file: Path, output: ServeOutput) -> None:
    from rtms_simulator.cli.service.live_view import LiveView
    from rtms_simulator.clock import Clock
    from rtms_simulator.kit.serve.tunnel import WatchedAddress

    clock, tunnel = Clock(), None
    view = LiveView(service, output.event)
    try:
        await service.start()
        running.write(file, service.described())
        if public == "ngrok":
            tunnel = await _ngrok(service, clock, output)
        url = tunnel.url if tunnel else public
        await _introduce(service, url, output)
        output.unfinished = {}
        watched = WatchedAddress(lambda: tunnel.url if tunnel else public, clock)
        report = lambda note: output.event(f"tunnel_{note.kind}", note.what, url=note.url)  # noqa: E731
        async with asyncio.TaskGroup() as together:
            together.create_task(service.keep(output.ended))
            together.create_task(view.follow(output.unfinished))
            if url:
                together.create_task(watched.watch(report))
            if tunnel:
                together.create_task(tunnel.keep(report))
    finally:
        running.remove(file)
        if tunnel:
            await tunnel.aclose()
        await service.aclose()


async def _ngrok(service: LocalService, clock: Any, output: ServeOutput) -> NgrokTunnel:
    from rtms_simulator.errors import ChildEndedError
    from rtms_simulator.kit.serve.tunnel import NgrokTunnel

    environment = {name: value for name, value in service.plan.environment.items() if name == "NGROK_AUTHTOKEN" and value}
    domain = service.plan.environment.get("NGROK_DOMAIN", "")
    tunnel = NgrokTunnel(service.port, environment, clock, domain=domain, on_line=lambda who, line: output.line(who, line))
    try:
        await tunnel.start()
    except ChildEndedError as error:
        last = error.lines[-1] if error.lines else str(error)
        raise BadInput(f"the tunnel cannot be opened: {last}", "set NGROK_AUTHTOKEN (and NGROK_DOMAIN for a static domain).") from None
    return tunnel


async def _introduce(service: LocalService, url: str, output: ServeOutput) -> None:
    """Addresses, the doctor's findings, and what to enter at Zoom."""
    import msgspec

    from rtms_simulator.cli.output import say_json
    from rtms_simulator.cli.service import doctor, zoom_app
    from rtms_simulator.cli.service.serve_lines import ServeStarted

    described, endpoint = service.described(), f"{url or service.webhook_url}/zoom-webhook"
    secret_token, ca_file = service.plan.environment.get("ZOOM_SECRET_TOKEN", ""), described.ca_file
    findings = await doctor.findings(endpoint, secret_token, DOCTOR_CHALLENGES, ca_file)
    if output.as_json:
        say_json(ServeStarted(**msgspec.structs.asdict(described), endpoint=endpoint, checks=findings))
        return
    click.echo(f"Zoom's events go to    {endpoint}")
    click.echo(f"Recall's events go to  {url or service.webhook_url}/recall-webhook")
    click.echo(f"Records and queues     {service.plan.directory}\n")
    doctor.show(findings)
    if url.startswith("https://"):
        click.echo("\nAt Zoom:")
        zoom_app.show(zoom_app.described(url, list(zoom_app.FAMILIES)))
    elif ca_file:
        click.echo(f"\nWhoever calls it must trust {ca_file} (`rtmskit ca help` says how).", err=True)
    elif not url:
        click.echo("\nZoom cannot reach this machine without a tunnel: start again with --tunnel ngrok, or --tunnel https://...", err=True)
    click.echo("\nHold a meeting. `rtmskit recordings list` in another terminal shows what was recorded. Ctrl-C ends it.", err=True)
