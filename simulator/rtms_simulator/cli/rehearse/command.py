"""`rtmskit rehearse`: the Pulumi program on this machine, and drills against it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import log_line
from rtms_simulator.cli.play.outcome import BadInput, Failed, run
from rtms_simulator.cli.starting import writable
from rtms_simulator.packaging import extras

if TYPE_CHECKING:
    from rtms_simulator.cli.rehearse.deployed.with_pulumi import Verb
    from rtms_simulator.cli.rehearse.drill import Drill, DrillResult
    from rtms_simulator.cli.rehearse.rehearsal import Manner
    from rtms_simulator.cli.rehearse.report import Report

PROPAGATION_S, PATIENCE_S = 0.0, 45.0
"""Without a flag."""


@click.command()
@click.argument("stack", metavar="[STACK.yaml]", required=False, type=click.Path(path_type=Path))
@click.option("--stack", "stack_name", metavar="NAME", help="The stack's settings by its name: Pulumi.NAME.yaml of the project here.")
@click.option(
    "--pulumi",
    "verb",
    type=click.Choice(["preview", "up", "destroy"]),
    help="No drills: run this command of your own Pulumi, in a state that is not kept. After `up` the deployment runs until Ctrl-C.",
)
@click.option("--drill", "names", multiple=True, metavar="NAME", help="Only this drill; may be given several times.")
@click.option("--list", "only_list", is_flag=True, help="List the drills, and exit.")
@click.option(
    "--propagation",
    "propagation_s",
    type=click.FloatRange(0, 600),
    default=PROPAGATION_S,
    metavar="SECONDS",
    help="How long a grant takes until it is in force.",
)
@click.option(
    "--patience",
    "patience_s",
    type=click.FloatRange(1, 600),
    default=PATIENCE_S,
    show_default=True,
    metavar="SECONDS",
    help="How long a drill waits for what must happen.",
)
@click.option("--jobs", type=click.IntRange(1, 16), default=3, show_default=True, metavar="N", help="How many drills run side by side.")
@click.option("--html", "html", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write the report as one page.")
@click.option("--logs", is_flag=True, help="Show the functions' log lines.")
@as_json_option
def rehearse(
    stack: Path | None,
    stack_name: str | None,
    verb: Verb | None,
    names: tuple[str, ...],
    *,
    only_list: bool,
    propagation_s: float,
    patience_s: float,
    jobs: int,
    html: Path | None,
    logs: bool,
    as_json: bool,
) -> None:
    """Run the Pulumi program on this machine, and drills against it.

    The program runs unmodified; what it registers is built on loopback. With --pulumi it is your own Pulumi that runs it.

    STACK.yaml is a stack's settings, such as Pulumi.prod.yaml; without it the least configuration is rehearsed. Secrets are made up, and
    nothing outside this machine is called.
    """
    if lacking := extras.missing("infra"):
        raise BadInput(f"not installed: {', '.join(lacking)}", extras.advice("infra"))
    stack = _of_name(stack, stack_name)
    if verb is not None:
        _with_pulumi(verb, stack, propagation_s, logs=logs, as_json=as_json, of_drills=(names, only_list, html))
        return
    from rtms_simulator.cli.rehearse import report
    from rtms_simulator.cli.rehearse.rehearsal import Manner

    chosen = _chosen(names)
    if only_list:
        report.listed(chosen)
        return
    if html is not None:  # before the drills, which take minutes
        writable("--html", html, html.parent)
    with tempfile.TemporaryDirectory(prefix="rtmskit-rehearsal-") as folder:
        tell = (lambda _what: None) if as_json else lambda what: click.echo(what, err=True)
        manner = Manner(propagation_s, patience_s, tell, log_line if logs else None, jobs)
        results, without = run(_rehearse(stack, chosen, Path(folder), manner))
    _answer(
        report.Report(stack=str(stack or ""), drills=results, without=without, flags=_flags(propagation_s, patience_s)),
        html,
        as_json=as_json,
    )


def _flags(propagation_s: float, patience_s: float) -> list[str]:
    """Those that decide how a drill goes, where they are not as without them."""
    options = {"--propagation": (propagation_s, PROPAGATION_S), "--patience": (patience_s, PATIENCE_S)}
    return [f"{flag}={seconds:g}" for flag, (seconds, usual) in options.items() if seconds != usual]


def _answer(outcome: Report, html: Path | None, *, as_json: bool) -> None:
    """Show it, and end with the exit code that says whether a drill failed."""
    from rtms_simulator.cli.rehearse import report

    report.show(outcome, as_json=as_json)
    if html is not None:
        html.write_text(report.page(outcome), encoding="utf-8")
    if failed := [result.name for result in outcome.drills if not result.ok]:
        again = report.again(outcome, failed[0])
        raise Failed(f"{len(failed)} of {len(outcome.drills)} drills failed: {', '.join(failed)}", f"repeat one with: {again}")


def _of_name(stack: Path | None, name: str | None) -> Path | None:
    """The settings file that is meant. Raises BadInput for two of them, and for a stack outside a project."""
    from rtms_simulator.cli.rehearse.program import project_root

    if name is None:
        return stack
    if stack is not None:
        raise BadInput(f"{stack} and --stack {name} both name a stack", "leave one of them out.")
    root = project_root()
    if root is None:
        raise BadInput(f"--stack {name}: there is no Pulumi project in this folder or above it", "go to the project, or name the file.")
    return root / f"Pulumi.{name}.yaml"


def _with_pulumi(verb: Verb, stack: Path | None, propagation_s: float, *, logs: bool, as_json: bool, of_drills: tuple[object, ...]) -> None:
    """`of_drills`: what was given of the options that go with drills."""
    if any(of_drills):
        raise BadInput("--pulumi runs no drill", "leave --drill, --list and --html out.")
    from rtms_infra.rehearsal import stack_file
    from rtms_simulator.cli.rehearse.deployed.with_pulumi import Wish, rehearse_with_pulumi

    name, config, secret_names = _settings(stack, stack_file.written)
    rehearse_with_pulumi(Wish(verb, stack, propagation_s, logs, as_json), name, config, secret_names)


def _settings(stack: Path | None, read: Callable[[Path], dict[str, Any]]) -> tuple[str, dict[str, Any], list[str]]:
    """The stack's name, its settings as `read` gives them, and the keys that the file holds encrypted. Raises BadInput."""
    from rtms_infra.rehearsal import stack_file

    if stack is None:
        return "minimal", dict(stack_file.MINIMAL), []
    try:
        return stack.stem.removeprefix("Pulumi."), read(stack), stack_file.encrypted(stack)
    except stack_file.StackFileError as error:
        raise BadInput(str(error), "name a stack's settings, such as infra/stacks/minimal.yaml.") from None


def _chosen(names: tuple[str, ...]) -> dict[str, Drill]:
    """The drills of these names, all of them without any. Raises BadInput for an unknown name."""
    from rtms_simulator.cli.rehearse.drill import drills

    known = drills()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise BadInput(f"there is no drill {unknown[0]!r}", f"choose from: {', '.join(known)}.")
    return {name: drill for name, drill in known.items() if not names or name in names}


async def _rehearse(stack: Path | None, drills: Mapping[str, Drill], folder: Path, manner: Manner) -> tuple[list[DrillResult], list[str]]:
    from rtms_infra.rehearsal import stack_file
    from rtms_simulator.cli.rehearse.program import Program, ProgramRefused, project_root
    from rtms_simulator.cli.rehearse.rehearsal import rehearse as rehearsed

    name, config, secret_names = _settings(stack, stack_file.read)
    program = Program(project_root(), folder / "project", name, config, secret_names)
    try:
        return await rehearsed(program, drills, folder / "clouds", manner)
    except ProgramRefused as error:
        raise BadInput(f"the program refuses these settings, as `pulumi up` would:\n{error}", "change the settings named above.") from None
    finally:
        program.close()
