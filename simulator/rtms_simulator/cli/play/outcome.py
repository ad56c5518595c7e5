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
SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
    # While the loop is made and taken down a signal is noted only: an exception in the middle of that would leave half of it.
    before = {number: signal.signal(number, lambda late, _frame: received.append(signal.Signals(late))) for number in SIGNALS}
    try:
        result = asyncio.run(_supervised(work, received))
    except asyncio.CancelledError:
        raise click.exceptions.Exit(128 + received[0] if received else 1) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:  # while the loop was taken down
        click.echo(f"{received[0].name}: stopping.", err=True)
        raise click.exceptions.Exit(128 + received[0])
    return result


async def _supervised(work: Coroutine[Any, Any, T], received: list[signal.Signals]) -> T:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)

    def stop(number: signal.Signals) -> None:
        if received:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        received.append(number)
        end()

    def end() -> None:
        click.echo(f"{received[0].name}: stopping.", err=True)
        task.cancel()

    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        loop.add_signal_handler(number, stop, number)
    if received:
        end()
    try:
        return await task
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
