"""What `up` and `demo` share: the options that say what to start, and how failures at the start are explained."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from rtms_simulator.cli.fakes.given import ALLOWED
from rtms_simulator.cli.play.outcome import BadInput, Failed

if TYPE_CHECKING:
    from rtms_simulator.errors import ChildEndedError

C = TypeVar("C", bound=Callable)
SETTINGS_REFUSED = 2
_STORE = re.compile(r"sqlite://(/.+)?|firestore://[^/]+/[^/]+")


def state_option(command: C) -> C:
    return click.option(
        "--state",
        "state_url",
        metavar="URL",
        default="",
        help="Where the functions keep their records: sqlite:///path or firestore://project/database (an emulator's, with "
        "FIRESTORE_EMULATOR_HOST). Default: an SQLite file of its own, new at each start.",
    )(command)


def checked_state(url: str) -> None:
    """Raises BadInput for a store that is not on this machine: all records here are invented."""
    if url and not _STORE.fullmatch(url):
        raise BadInput(f"--state {url!r} is not a store", "write sqlite:///path or firestore://project/database.")
    if url.startswith("firestore://") and not os.environ.get("FIRESTORE_EMULATOR_HOST"):
        raise BadInput(
            f"--state {url}: FIRESTORE_EMULATOR_HOST is not set, and records of made-up meetings do not go to Google",
            "start an emulator and set FIRESTORE_EMULATOR_HOST=127.0.0.1:PORT, or use sqlite:///path.",
        )


def of_options(state_url: str) -> dict[str, str]:
    """The variables that came of an option, each with the option's name."""
    return {"STATE_URL": "--state"} if state_url else {}


def writable(option: str, named: Path, directory: Path) -> None:
    """Make the directory in which `option`'s path lies, and try it. Raises BadInput."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise BadInput(f"{option} {named} cannot be written: {error.strerror}", "name a place of your own.") from None


class StartLines:
    """Takes the lines that the functions write. They are held until all has started: a failure to start shows them itself."""

    def __init__(self, show: Callable[[str, str], None]) -> None:
        """`show(who, line)` gets each of them."""
        self._show = show
        self._held: list[tuple[str, str]] | None = []

    def __call__(self, who: str, line: str) -> None:
        if self._held is None:
            self._show(who, line)
        else:
            self._held.append((who, line))

    @contextlib.contextmanager
    def until_started(self) -> Generator[None]:
        """Hold them in this block. They are shown at its end, unless a process has ended: then the error has its lines."""
        from rtms_simulator.errors import ChildEndedError

        try:
            yield
        except ChildEndedError:
            raise
        except BaseException:
            self._release()
            raise
        self._release()

    def _release(self) -> None:
        lines, self._held = self._held or [], None
        for who, line in lines:
            self._show(who, line)


@contextlib.contextmanager
def explained(options: Mapping[str, str] | None = None) -> Generator[None]:
    """Turn what can go wrong while starting and running into what a person can do about it.

    `options`: of variables that came of an option, the option's name.
    """
    from rtms_simulator.errors import ChildEndedError, FaultError, FunctionSourceError, PortTakenError, StateUnusableError, SwitchError

    try:
        yield
    except (FaultError, SwitchError) as error:
        raise BadInput(str(error), ALLOWED) from None
    except PortTakenError as error:
        raise BadInput(str(error), "leave the port out for a free one, name another, or end the program that listens there.") from None
    except ChildEndedError as error:
        raise _ended(error, options or {}) from None
    except StateUnusableError as error:
        raise BadInput(str(error), "name a store that can be written with --state, or leave it out.") from None
    except FunctionSourceError as error:
        raise Failed(str(error), "install rtmskit again, or run it in a checkout.") from None
    except TimeoutError as error:
        raise Failed(str(error), "is the machine very busy? Try again.") from None


def _ended(error: ChildEndedError, options: Mapping[str, str]) -> BadInput | Failed:
    """What functions that have ended said last: that settings cannot be used, or anything else."""
    ends = (error, *error.also)
    text = "\n".join(_merged([(end.name, line) for end in ends for line in end.lines[-20:]]))
    if error.exit_code != SETTINGS_REFUSED:
        return Failed(f"{error}. Its last lines:\n{text or '  (none)'}", "everything else was stopped.")
    for variable, option in options.items():
        text = text.replace(f"- {variable} is", f"- {option} is")
    return BadInput(f"the functions refuse their settings:\n{text}", "change the variables or options named above.")


def _merged(lines: list[tuple[str, str]]) -> list[str]:
    """Lines of several processes; what both say stands there once."""
    by_line: dict[str, list[str]] = {}
    for name, line in lines:
        by_line.setdefault(line, []).append(name)
    return [f"  {', '.join(dict.fromkeys(names))}: {line}" for line, names in by_line.items()]
