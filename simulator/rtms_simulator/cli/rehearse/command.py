"""`rtmskit rehearse`: the Pulumi program on this machine, and drills against it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import log_line
from rtms_simulator.cli.play.outcome import BadInput, Failed, run
from rtms_simulator.packaging import extras

if TYPE_CHECKING:
    from rtms_simulator.cli.rehearse.drill import Drill, DrillResult
    from rtms_simulator.cli.rehearse.rehearsal import Manner


@click.command()
@click.argument("stack", metavar="[STACK.yaml]", required=False, type=click.Path(path_type=Path))
@click.option("--drill", "names", multiple=True, metavar="NAME", help="Only this drill; may be given several times.")
@click.option("--list", "only_list", is_flag=True, help="Say which drills there are, and end.")
@click.option(
    "--propagation",
    "propagation_s",
    type=click.FloatRange(0, 600),
    default=0.0,
    metavar="SECONDS",
    help="How long a grant takes until it is in force.",
)
@click.option(
    "--patience",
    "patience_s",
    type=click.FloatRange(1, 600),
    default=45.0,
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
    names: tuple[str, ...],
    only_list: bool,
    propagation_s: float,
    patience_s: float,
    jobs: int,
    html: Path | None,
    logs: bool,
    as_json: bool,
) -> None:
    """Run the Pulumi program on this machine, and drills against it.

    The program runs unmodified; what it registers is built on loopback.

    STACK.yaml is a stack's settings, such as Pulumi.prod.yaml; without it the least configuration is rehearsed. Secrets are made up, and
    nothing outside this machine is called.
    """
    if lacking := extras.missing("infra"):
        raise BadInput(f"not installed: {', '.join(lacking)}", extras.advice("infra"))
    from rtms_simulator.cli.rehearse import report
    from rtms_simulator.cli.rehearse.rehearsal import Manner

    chosen = _chosen(names)
    if only_list:
        report.listed(chosen)
        return
    with tempfile.TemporaryDirectory(prefix="rtmskit-rehearsal-") as folder:
        manner = Manner(
            propagation_s,
            patience_s,
            (lambda _what: None) if as_json else lambda what: click.echo(what, err=True),
            log_line if logs else None,
            jobs,
        )
        results, without = run(_rehearse(stack, chosen, Path(folder), manner))
    flags = [f"--propagation={propagation_s:g}"] if propagation_s else []
    outcome = report.Report(stack=str(stack or ""), drills=results, without=without, flags=flags)
    report.show(outcome, as_json=as_json)
    if html is not None:
        html.write_text(report.page(outcome), encoding="utf-8")
    if failed := [result.name for result in results if not result.ok]:
        again = report.again(outcome, failed[0])
        raise Failed(f"{len(failed)} of {len(results)} drills failed: {', '.join(failed)}", f"repeat one with: {again}")


def _chosen(names: tuple[str, ...]) -> dict[str, Drill]:
    """The drills of these names, all of them without any. Raises BadInput for an unknown name."""
    from rtms_simulator.cli.rehearse.drill import drills

    known = drills()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise BadInput(f"there is no drill {unknown[0]!r}", f"choose of: {', '.join(known)}.")
    return {name: drill for name, drill in known.items() if not names or name in names}


async def _rehearse(stack: Path | None, drills: Mapping[str, Drill], folder: Path, manner: Manner) -> tuple[list[DrillResult], list[str]]:
    from rtms_infra.rehearsal import stack_file
    from rtms_simulator.cli.rehearse.program import Program, ProgramRefused, project_root
    from rtms_simulator.cli.rehearse.rehearsal import rehearse as rehearsed

    try:
        config = stack_file.read(stack) if stack else dict(stack_file.MINIMAL)
        held = stack_file.encrypted(stack) if stack else []
    except stack_file.StackFileError as error:
        raise BadInput(str(error), "name a stack's settings, such as infra/stacks/minimal.yaml.") from None
    name = stack.stem.removeprefix("Pulumi.") if stack else "minimal"
    program = Program(project_root(), folder / "project", name, config, held)
    try:
        return await rehearsed(program, drills, folder / "clouds", manner)
    except ProgramRefused as error:
        raise BadInput(f"the program refuses these settings, as `pulumi up` would:\n{error}", "change the settings named above.") from None
    finally:
        program.close()
