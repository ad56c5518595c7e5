"""Real `rtmskit` processes for the end-to-end tests, and what is left of them afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

RTMSKIT = [sys.executable, "-c", "from rtms_simulator.cli import main; main()"]
OURS = ("RTMSKIT_", "ZOOM_", "RECALL_", "TASKS_", "STATE_URL", "WORKER_URL", "ARCHIVE_URL", "FIRESTORE_EMULATOR_HOST", "RETRIEVAL_")


def environment(**changes: str) -> dict[str, str]:
    """Our own, without anything that would configure what is started."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)} | changes


def rtmskit(*argv: str, cwd: Path, timeout: float = 60, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [*RTMSKIT, *map(str, argv)]
    return subprocess.run(command, cwd=cwd, env=environment(**changes), capture_output=True, text=True, timeout=timeout, check=False)


class Up:
    """A running `rtmskit up --json`, or another `command` that runs on once it has printed a line; `described` is that line."""

    def __init__(self, cwd: Path, *argv: str, command: Sequence[str] = ("up", "--json"), **changes: str) -> None:
        self.cwd = cwd
        command = [*RTMSKIT, *command, *map(str, argv)]
        self.process = subprocess.Popen(
            command, cwd=cwd, env=environment(**changes), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait(10)
            self.close()
            raise AssertionError(f"{command} ended with {code}:\n" + "\n".join(self.log))
        self.described: dict[str, Any] = json.loads(line)

    def end(self, number: signal.Signals = signal.SIGINT, within_s: float = 15) -> int:
        """Send it a signal and return its exit code."""
        self.process.send_signal(number)
        return self.wait(within_s)

    def wait(self, within_s: float = 15) -> int:
        code = self.process.wait(within_s)
        self._reader.join(5)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))


@contextlib.contextmanager
def up(cwd: Path, *argv: str, **changes: str) -> Generator[Up]:
    running = Up(cwd, *argv, **changes)
    try:
        yield running
    finally:
        running.close()


def descendants(pid: int) -> set[int]:
    """Every process below `pid`, by the kernel's own account."""
    parents: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = status.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(status.parent.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found.update(children)
        waiting += children
    return found


def alive(pids: set[int], within_s: float = 5) -> set[int]:
    """Which of them still run when the time is up; a zombie does not."""
    deadline = time.monotonic() + within_s
    while True:
        left = {pid for pid in pids if _runs(pid)}
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False
