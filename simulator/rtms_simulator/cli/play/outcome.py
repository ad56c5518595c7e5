"""How a command ends: what happened, what to do about it, and the exit code that says so."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
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

    A signal cancels the work, so that its `finally` blocks stop what it started; the exit code is 128 + the signal, also if the work
    was done before it could be cancelled. A second signal ends the process at once (children go with it: they are tied to our life,
    see `rtms_simulator.serving.processes`).
    """
    stopping = _Stopping()
    before = {number: signal.signal(number, stopping.signalled) for number in SIGNALS}
    try:
        result = asyncio.run(stopping.supervised(work))
    except asyncio.CancelledError:
        raise click.exceptions.Exit(1 if stopping.reason is None else stopping.exit_code) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stopping.reason is not None:
        stopping.say()
        raise click.exceptions.Exit(stopping.exit_code)
    return result


class _Stopping:
    """What a signal does to work on an event loop.

    It is noted in the signal handler itself. A loop's own handlers (`add_signal_handler`) are called in a later turn, and a turn that
    ends the work is followed by none: the signal would be lost, and the next piece of work begun.
    """

    def __init__(self) -> None:
        self.reason: signal.Signals | None = None
        self._told = False
        self._wake: Callable[[], object] | None = None

    @property
    def exit_code(self) -> int:
        return 128 + (self.reason or 0)

    def signalled(self, number: int, _frame: object) -> None:
        """The signal handler. It only notes and wakes: an exception here would leave half of what is being made or taken down."""
        if self.reason is not None:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.reason = signal.Signals(number)
        if self._wake is not None:
            self._wake()

    async def supervised(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work returns. A signal that came before it, or comes meanwhile, cancels it."""
        task, loop = asyncio.ensure_future(work), asyncio.get_running_loop()

        def end() -> None:
            if not self._told:  # a second cancellation would break off what the first one lets it tidy up
                self.say()
                task.cancel()

        self._wake = lambda: loop.call_soon_threadsafe(end)
        if self.reason is not None:
            end()
        try:
            return await task
        finally:
            self._wake = None

    def say(self) -> None:
        """Once, however often it is called."""
        if not self._told and self.reason is not None:
            self._told = True
            click.echo(f"{self.reason.name}: stopping.", err=True)
