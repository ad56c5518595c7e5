"""`rtmskit rehearse --pulumi`: one command of the person's own Pulumi, over their program and settings, against the local cloud.

State, Pulumi home and a copy of the project are in a folder that is removed at the end; nothing else is read or written. After `up` what
it has deployed runs on this machine until Ctrl-C, and meetings can be played in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets  # noqa: TID251  # the control plane's token must be unknown to everybody, also to who knows the seed
import tempfile
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import click
import msgspec
from pulumi.automation.errors import CommandError

from rtms_infra.rehearsal import pulumi_binary, stack_file
from rtms_infra.rehearsal.cloud import Cloud
from rtms_infra.rehearsal.provider import NOT_IN_FORCE
from rtms_infra.rehearsal.pulumi_stack import EngineStack, changes, engine_stack, summed
from rtms_simulator.cli.fakes import running
from rtms_simulator.cli.output import log_line, say_json
from rtms_simulator.cli.play.outcome import BadInput, Ended, Failed, run
from rtms_simulator.cli.rehearse.deployed.hosted import hosted
from rtms_simulator.cli.rehearse.program import MADE_UP, Loaded, Program, project_root
from rtms_simulator.cli.starting import explained
from rtms_simulator.clock import Clock
from rtms_simulator.kit.control.fakes import described
from rtms_simulator.kit.stack import drawn_seed

Verb = Literal["preview", "up", "destroy"]
T = TypeVar("T")

BAD_SETTINGS = "; nothing was changed."
"""What the program's own refusal of its settings contains."""

TIMES, MINUTE_S = 4, 60.0
"""docs/traps.md: "`pulumi up` again, up to four times"."""


class PulumiReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one command planned or did: `changes`: resource -> `create`, `update`, `replace, old first`, `replace, new first`, `delete`.

    `up_file`: where the addresses and secrets of what runs now are (`up` alone); the other commands take it with `--up`."""

    command: Verb
    stack: str
    changes: dict[str, str]
    webhook_url: str = ""
    up_file: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. `stack`: its settings, None for the least configuration; `propagation_s`: how long a new API takes, and a grant
    after `up`."""

    verb: Verb
    stack: Path | None
    propagation_s: float
    logs: bool
    as_json: bool


def rehearse_with_pulumi(wish: Wish, name: str, config: Mapping[str, Any], secret_names: list[str]) -> None:
    """Run the command. `config`: full key -> value as it stands in the settings; `secret_names`: keys whose value is encrypted there.

    Raises `BadInput` without an engine or with settings that the program refuses, and `Failed` for what else Pulumi refuses.
    """
    try:
        engine = pulumi_binary.root()
    except pulumi_binary.EngineMissing as error:
        raise BadInput(str(error), "install Pulumi (https://www.pulumi.com/docs/install/), or rehearse without --pulumi.") from None
    with tempfile.TemporaryDirectory(prefix="rtmskit-rehearsal-") as folder, explained():
        work = Path(folder) / "pulumi" / "work"
        Program(project_root(), work, name, {}, []).close()
        complete, secret = stack_file.complete(config, secret_names, MADE_UP)
        run(_carried(wish, name, engine, work, complete, secret))


async def _carried(wish: Wish, name: str, engine: Path | None, work: Path, config: Mapping[str, Any], secret: list[str]) -> None:
    with _refusals(name) as refusals:
        # A thread of its own for each command: Pulumi's client blocks, and what the engine asks for is answered by this process.
        cloud = Cloud(api_delay_s=wish.propagation_s)
        with engine_stack(cloud, work, name, engine, None if wish.as_json else _tell) as stack:
            refusals.append(stack)
            await _to_its_end(lambda: stack.set(config, secret))
            report, loaded = await _to_its_end(lambda: _command(wish, name, stack, cloud))
        if loaded is None:
            _show(report, as_json=wish.as_json)
            return
    await _kept_running(wish, report, loaded, work.parents[1])


def _command(wish: Wish, name: str, stack: EngineStack, cloud: Cloud) -> tuple[PulumiReport, Loaded | None]:
    """Blocks until Pulumi has ended. What is deployed is read from the state before the folder's stack is let go."""
    if wish.verb == "preview":
        return PulumiReport(command="preview", stack=name, changes=changes(stack.preview())), None
    made = in_the_end(stack, cloud)
    if wish.verb == "up":
        registered, files = stack.registered()
        return PulumiReport(command="up", stack=name, changes=made), Loaded(registered, files, {})
    # There is nothing to destroy in a state that has just begun, so it comes after an `up`.
    return PulumiReport(command="destroy", stack=name, changes=changes(stack.destroy())), None


def in_the_end(stack: EngineStack, cloud: Cloud) -> dict[str, str]:
    """What `up` changed, repeated as docs/traps.md says while an API that was just enabled refuses: a minute or more later each time, on
    the cloud's clock. Raises CommandError."""
    made: dict[str, str] = {}
    for time in range(TIMES):
        try:
            return made | changes(stack.up())
        except CommandError:
            if time == TIMES - 1 or not any(NOT_IN_FORCE in error for error in stack.errors):
                raise
            made |= changes(stack.steps)
            _tell("An API was just enabled and is not in force yet: `up` once more, a while later ...")
            cloud.pass_time(max(cloud.api_delay_s / (TIMES - 2), MINUTE_S))
    raise AssertionError("the last time returns or raises")


@contextlib.contextmanager
def _refusals(name: str) -> Generator[list[EngineStack]]:
    """What Pulumi refuses, in its own words: those of the last command of the stack that is put into the list."""
    stacks: list[EngineStack] = []
    try:
        yield stacks
    except CommandError as error:
        message = "\n".join(stacks[0].errors) if stacks and stacks[0].errors else str(error)
        kind: type[Ended] = BadInput if BAD_SETTINGS in message else Failed
        raise kind(f"Pulumi refuses the stack {name}:\n{message}", "change what is named above; your own stack was not touched.") from None


async def _to_its_end(call: Callable[[], T]) -> T:
    """In a thread. When we are interrupted it is waited for, because its engine still writes into the folder."""
    thread = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        await asyncio.wait([thread])
        raise


async def _kept_running(wish: Wish, report: PulumiReport, loaded: Loaded, folder: Path) -> None:
    _tell(f"Deployed: {summed(report.changes)}. Starting what was deployed ...")
    up_file = folder / "up.json"
    seed, token, on_line = drawn_seed(Clock()), secrets.token_urlsafe(24), log_line if wish.logs else None
    async with hosted(
        loaded, folder / "cloud", _tell, propagation_s=wish.propagation_s, seed=seed, on_line=on_line, control_token=token
    ) as place:
        running.write(up_file, described(place))
        _show(msgspec.structs.replace(report, webhook_url=place.webhook_url, up_file=str(up_file)), as_json=wish.as_json)
        raise await place.broken(_tell)


def _show(report: PulumiReport, *, as_json: bool) -> None:
    if as_json:
        say_json(report)
        return
    click.echo(f"{report.command} of {report.stack}: {summed(report.changes)}")
    if report.up_file:
        click.echo(f"webhook  {report.webhook_url}\n\nIt runs until Ctrl-C. In another terminal:")
        click.echo(f"  export RTMSKIT_UP={report.up_file}\n  rtmskit meeting play\n  rtmskit handoffs list")


def _tell(what: str) -> None:
    click.echo(what, err=True)
