"""The engine in a process of its own, kept warm between programs: one JSON request a line, one answer a line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec


class EngineDied(Exception):
    """The engine's process ended; its traceback is on stderr."""


class EngineSession:
    """`start` (or the first `ask`) begins the process, `close` ends it. `folder`: where it runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        if self._process is None:
            command = [sys.executable, "-m", "rtms_infra.rehearsal.engine"]
            # Each program's server goes away under its client, on purpose; and an edit within a second must not meet old bytecode.
            quiet = {**os.environ, "GRPC_VERBOSITY": "ERROR", "PYTHONDONTWRITEBYTECODE": "1"}
            self._process = subprocess.Popen(  # noqa: S603  # this interpreter, a module of ours
                command, cwd=self._folder, env=quiet, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request of `engine.Servers.run`. Raises `EngineDied`."""
        self.start()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(request).decode() + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise EngineDied("the engine has died; its traceback is above")
        answer: dict[str, Any] = msgspec.json.decode(line)
        return answer

    def close(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)  # it ends as soon as its input does; a busy machine takes its time
        self._process.stdout.close()
        self._process = None
