"""What `up` and `demo` share: the options that say what to start, and how failures at the start are explained."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

import click

from rtms_simulator.cli.fakes.given import ALLOWED
from rtms_simulator.cli.play.outcome import BadInput, Failed

C = TypeVar("C", bound=Callable)
SETTINGS_REFUSED = 2


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
    if url and not url.startswith(("sqlite://", "firestore://")):
        raise BadInput(f"--state {url!r} is not a store", "write sqlite:///path or firestore://project/database.")
    if url.startswith("firestore://") and not os.environ.get("FIRESTORE_EMULATOR_HOST"):
        raise BadInput(
            f"--state {url}: FIRESTORE_EMULATOR_HOST is not set, and records of made-up meetings do not go to Google",
            "start an emulator and set FIRESTORE_EMULATOR_HOST=127.0.0.1:PORT, or use sqlite:///path.",
        )


def writable(option: str, named: Path, directory: Path) -> None:
    """Make the directory in which `option`'s path lies, and try it. Raises BadInput."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise BadInput(f"{option} {named} cannot be written: {error.strerror}", "name a place of your own.") from None


@contextlib.contextmanager
def explained() -> Generator[None]:
    """Turn what can go wrong while starting and running into what a person can do about it."""
    from rtms_simulator.errors import ChildEndedError, FaultError, FunctionSourceError, PortTakenError, StateUnusableError, SwitchError

    try:
        yield
    except (FaultError, SwitchError) as error:
        raise BadInput(str(error), ALLOWED) from None
    except PortTakenError as error:
        raise BadInput(str(error), "leave the port out for a free one, name another, or end the program that listens there.") from None
    except ChildEndedError as error:
        ends = (error, *error.also)
        said = "\n".join(_merged([(end.name, line) for end in ends for line in end.lines[-20:]]))
        if error.exit_code == SETTINGS_REFUSED:
            raise BadInput(f"the functions refuse their settings:\n{said}", "change the variables named above.") from None
        raise Failed(f"{error}. Its last lines:\n{said or '  (none)'}", "everything else was stopped.") from None
    except StateUnusableError as error:
        raise BadInput(str(error), "name a store that can be written with --state, or leave it out.") from None
    except FunctionSourceError as error:
        raise Failed(str(error), "install rtmskit again, or run it in a checkout.") from None
    except TimeoutError as error:
        raise Failed(str(error), "is the machine very busy? Try again.") from None


def _merged(lines: list[tuple[str, str]]) -> list[str]:
    """Lines of several processes; what both say stands there once."""
    said: dict[str, list[str]] = {}
    for name, line in lines:
        said.setdefault(line, []).append(name)
    return [f"  {', '.join(dict.fromkeys(names))}: {line}" for line, names in said.items()]
