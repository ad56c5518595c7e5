"""The command line: one table, one file per command, and nothing imported before it is used.

`rtmskit --help` reads only this file, so each row carries its summary; a test holds the rows equal to the commands' own help.

Exit codes, everywhere:

    0    it worked
    1    it did not: what was asked for did not come out, or a child process crashed
    2    the caller must change something: usage, settings, an unreadable file, a port that is taken
    3    there is nobody to talk to: `rtmskit up` is not running, or the address given does not answer
    130  Ctrl-C (143 for SIGTERM)
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
import types
import warnings
from typing import Any, NamedTuple

import click

from rtms_simulator.cli.usage import BadUsage, explained
from rtms_simulator.packaging import extras
from rtms_simulator.packaging.version import __version__


class Row(NamedTuple):
    """Where a command is (`module:attribute`), what `--help` says of it, and the extra without which it cannot run ("" for none)."""

    target: str
    summary: str
    extra: str = "simulator"


COMMANDS: dict[str, Row] = {
    "demo": Row("rtms_simulator.cli.play.demo:demo", "Play one whole meeting on local fakes and download its recording."),
    "up": Row("rtms_simulator.cli.fakes.up:up", "Start every fake and both functions, and keep them running."),
    "meeting": Row("rtms_simulator.cli.play.meeting:meeting", "Play a meeting against any webhook."),
    "media": Row("rtms_simulator.cli.play.media:media", "Look at your own recordings and transcripts before they are played."),
    "scenarios": Row("rtms_simulator.cli.play.scenarios:scenarios", "List and show the scripted meetings."),
    "send": Row("rtms_simulator.cli.play.send:send", "Send one signed Zoom event to any webhook.", extra=""),
    "events": Row("rtms_simulator.cli.fakes.events:events", "Look at the deliveries of a running `up`, and replay them."),
    "faults": Row("rtms_simulator.cli.fakes.faults:faults", "Make a running `up` misbehave on purpose."),
    "requests": Row("rtms_simulator.cli.fakes.requests:requests", "Look at the requests to Recall in a running `up`, and the answers."),
    "switches": Row("rtms_simulator.cli.fakes.switches:switches", "Look at the switches of the fakes, and set them in a running `up`."),
    "clock": Row("rtms_simulator.cli.fakes.clock:clock", "Read, advance or freeze the clock of a running `up`."),
    "reset": Row("rtms_simulator.cli.fakes.reset:reset", "Forget all meetings, recordings, tasks and faults of a running `up`."),
    "serve": Row("rtms_simulator.cli.service.serve:serve", "Run the real service on this machine, for the real Zoom and Recall."),
    "zoom-app": Row("rtms_simulator.cli.service.zoom_app:zoom_app", "Show what to enter at Zoom, step by step.", extra=""),
    "ca": Row("rtms_simulator.cli.service.ca:ca", "Show the certificate authority of this folder, and how to trust it."),
    "doctor": Row("rtms_simulator.cli.service.doctor:doctor", "Check an endpoint, deployed or local, and say what to fix.", extra=""),
    "handoffs": Row(
        "rtms_simulator.cli.records.handoffs:handoffs",
        "List, explain, find and retry hand-offs: of `up`, `serve` or a deployed worker.",
        extra="",
    ),
    "recordings": Row("rtms_simulator.cli.records.recordings:recordings", "List, show and download recordings.", extra=""),
    "completion": Row(
        "rtms_simulator.cli.completion:completion", "Print the script that completes commands and values in a shell.", extra=""
    ),
    "rehearse": Row("rtms_simulator.cli.rehearse.command:rehearse", "Run the Pulumi program on this machine, and drills against it."),
    "infra": Row("rtms_simulator.cli.service.infra:infra", "Write the Pulumi project that deploys the functions.", extra=""),
}


class MissingExtra(BadUsage):
    """A command whose extra is not installed."""

    def __init__(self, command: str, extra: str, modules: tuple[str, ...]) -> None:
        super().__init__(f"`rtmskit {command}` needs the extra `{extra}` (not installed: {', '.join(modules)}).", extras.advice(extra))


class Lazy(click.Group):
    """A group that imports a command when it is called, not when it is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        row = COMMANDS.get(cmd_name)
        if row is None:
            return None
        if row.extra and (lacking := extras.missing(row.extra)):
            raise MissingExtra(cmd_name, row.extra, lacking)
        module, _, attribute = row.target.partition(":")
        return getattr(importlib.import_module(module), attribute)

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        try:
            return super().make_context(*args, **more)
        except click.UsageError as error:
            raise explained(error) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise explained(error) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.summary) for name, row in COMMANDS.items()])


@click.command(cls=Lazy, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rtmskit")
@click.pass_context
def cli(context: click.Context) -> None:
    """Hand Zoom RTMS streams to Recall.ai once and in time, and prove it without either vendor.

    Start with `rtmskit demo`. Every command takes --help, and those that answer something take --json.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    if not os.environ.get("RTMSKIT_DEBUG"):
        sys.excepthook = _one_line
    # gRPC notes each connection that is closed on standard error, in the middle of what is written for people.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Half an emoji in an answer, or a file name that is not UTF-8, comes out as an escape, which JSON knows too.
        sys.stdout.reconfigure(errors="backslashreplace")
    if "_RTMSKIT_COMPLETE" in os.environ:
        importlib.import_module("rtms_simulator.cli.completion")  # makes our bash known to click
    try:
        code = cli.main(args=argv, prog_name="rtmskit", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        warnings.simplefilter("ignore", RuntimeWarning)  # of work that was about to be begun, "was never awaited"
        click.echo("Interrupted.", err=True)
        code = 130
    except OSError as error:
        if error.errno != errno.EPIPE:
            raise
        # The reader of our output has gone (`| head`): nothing is left to say, and Python must not say it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _one_line(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
    where = ""
    while trace is not None:
        where = f"{trace.tb_frame.f_code.co_filename.rpartition(os.sep)[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    click.echo(f"Error: this is a bug in rtmskit ({kind.__name__} at {where}: {error}).", err=True)
    click.echo("Do: run it again with RTMSKIT_DEBUG=1 to see where, and report that.", err=True)
