"""Ends what a test session started, once the session has ended: also when its time limit or a signal ended it.

The time limit of a test ends its process at once (pyproject.toml), so nothing in that process can clean up. A small process beside it
waits for its end and then kills every process that carries the session's mark in its environment, wherever it was started from.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

MARK = "TEST_SESSION"
POLL_S = 1.0
GIVE_UP_S = 10.0


class Reaper:
    """A pytest plugin. Marks this process, so that what it starts inherits the mark, and starts the process that waits for its end."""

    def __init__(self) -> None:
        unmarked = {name: value for name, value in os.environ.items() if name != MARK}
        os.environ[MARK] = mark = f"{os.getpid()}-{uuid.uuid4()}"
        self._process = subprocess.Popen(
            [sys.executable, "-SE", __file__, mark], stdin=subprocess.PIPE, env=unmarked, start_new_session=True
        )

    def pytest_unconfigure(self) -> None:
        """The session ends in order: end what is left, and wait for that."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(2 * GIVE_UP_S)


def marked(mark: str) -> Iterator[int]:
    """The processes that were started with the mark in their environment."""
    entry = f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if entry in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)


def _wait_for_the_end(parent: int) -> None:
    # A forked child of the session may keep the pipe open: the change of our parent is a second sign.
    while os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin], [], [], POLL_S)
        if readable and not sys.stdin.buffer.read(1):
            return


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _wait_for_the_end(os.getppid())
    give_up_at = time.monotonic() + GIVE_UP_S
    while (left := list(marked(sys.argv[1]))) and time.monotonic() < give_up_at:
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)


if __name__ == "__main__":
    main()
