"""How a command ends: what happened, what to do about it, and the exit code that says so."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import click

if TYPE_CHECKING:
    from rtms_simulator.errors import ScenarioError

T = TypeVar("T")


class Ended(click.ClickException):
    """A command that cannot go on. `do` is what the person can do next."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, do: str = "") -> None:
        self.do = do
        super().__init__(message)

    def show(self, file: Any = None) -> None:
        click.echo(f"Error: {self.message}", err=True)
        if self.do:
            click.echo(f"Do: {self.do}", err=True)


class Failed(Ended):
    """What was asked for did not come out."""

    exit_code = 1


class BadInput(Ended):
    """The caller must change something."""

    exit_code = 2


class Nobody(Ended):
    """There is nobody to talk to."""

    exit_code = 3


def lines_of(error: ScenarioError) -> str:
    """Every mistake of a scenario on a line of its own, under the first."""
    return "\n       ".join(error.lines())


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run the work on an event loop until it is done, or SIGINT or SIGTERM asks for an orderly end.

    A signal cancels the work, so that its `finally` blocks stop what it started; the exit code is 128 + the signal. A second
    signal ends the process at once (children go with it: they are tied to our life, see `rtms_simulator.serving.processes`).
    """
    received: list[signal.Signals] = []

    async def supervised() -> T:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work)

        def stop(number: signal.Signals) -> None:
            if received:
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            received.append(number)
            click.echo(f"{number.name}: stopping.", err=True)
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop, number)
        try:
            return await task
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    try:
        return asyncio.run(supervised())
    except asyncio.CancelledError:
        raise click.exceptions.Exit(128 + received[0] if received else 1) from None
