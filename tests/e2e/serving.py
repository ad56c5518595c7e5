"""A running `rtmskit serve --json`, and what it said."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import msgspec
from tests.e2e.processes import RTMSKIT, alive, descendants, environment

from rtms_simulator.cli.service.serve_lines import ServeEvent, ServeStarted

WITHIN_S = 90.0
"""Generous: the machine may be very busy."""


def until(look: Callable[[], Any], what: str, within_s: float = WITHIN_S) -> Any:
    """The first true answer of `look`."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.1)
    return found


class Serve:
    """`events`: what it said on stdout; `log`: the lines on stderr."""

    def __init__(self, cwd: Path, *argv: str, **changes: str) -> None:
        command = [*RTMSKIT, "serve", "--json", *argv]
        self.process = subprocess.Popen(
            command, cwd=cwd, env=environment(**changes), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self.events: list[dict[str, Any]] = []
        self.log: list[str] = []
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read_events, self._read_log)]
        for reader in self._readers:
            reader.start()

    @property
    def started(self) -> dict[str, Any]:
        """What it said when everything answered."""

        def look() -> dict[str, Any] | None:
            assert self.process.poll() is None, f"serve ended with {self.process.poll()}:\n" + "\n".join(self.log)
            return self.said("started")

        return until(look, "serve starts")

    def said(self, kind: str) -> dict[str, Any] | None:
        """The latest event of this kind, which is what its type says."""
        found = next((event for event in reversed(self.events) if event["event"] == kind), None)
        if found is not None:
            msgspec.convert(found, ServeStarted if kind == "started" else ServeEvent)
        return found

    def kill(self) -> None:
        """SIGKILL to it and to all of its processes at once, as a power cut would.

        They are stopped first: a server whose process of requests is killed a moment earlier starts another, which nobody would kill.
        """
        everybody: set[int] = set()
        while born := ({self.process.pid} | descendants(self.process.pid)) - everybody:
            _signal(born, signal.SIGSTOP)
            everybody |= born
        _signal(everybody, signal.SIGKILL)
        self.process.wait(20)
        assert not alive(everybody)

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        code = self.process.wait(60)
        for reader in self._readers:
            reader.join(10)
        return code

    def close(self) -> None:
        below = descendants(self.process.pid)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(30)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in alive(below):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for reader in self._readers:
            reader.join(10)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def _read_events(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))


def _signal(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@contextlib.contextmanager
def serving(cwd: Path, *argv: str, **changes: str) -> Generator[Serve]:
    one = Serve(cwd, *argv, **changes)
    try:
        yield one
    finally:
        one.close()
