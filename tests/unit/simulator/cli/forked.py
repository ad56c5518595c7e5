"""Runs commands as real processes, each a fork of one that has imported everything: with a closed pipe, a terminal, or Ctrl-C.

`Forks` starts it; it reads one `Wish` a line and answers with one `Ending`.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

WITHIN_S = 60.0


@dataclass
class Wish:
    """`stdout`: a file, a pipe that nobody reads, or a terminal `columns` wide. `interrupt_after_s`: Ctrl-C so long after it began."""

    argv: list[str]
    cwd: str
    environment: dict[str, str] = field(default_factory=dict)
    stdout: Literal["file", "closed", "terminal"] = "file"
    columns: int = 80
    interrupt_after_s: float | None = None


@dataclass
class Ending:
    """How the process ended; on a terminal `stdout` has both streams. `code` is negative for a signal, None if it had to be killed."""

    code: int | None
    stdout: str
    stderr: str


class Forks:
    """The process that forks; `run` blocks until a command has ended."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.unit.simulator.cli.forked"]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[4]), *sys.path])}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def run(self, wish: Wish) -> Ending:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(wish)) + "\n")
        self._process.stdin.flush()
        return Ending(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


def main() -> None:
    import av  # noqa: F401  # what takes longest is imported once
    import click
    import rich.live
    import rich.table  # noqa: F401
    from tests.unit.simulator.cli import every_command  # noqa: F401

    import rtms_simulator.kit.serve.local_service
    import rtms_simulator.kit.stack
    import rtms_simulator.kit.worker.handoffs  # noqa: F401

    begun_reading, begun_writing = os.pipe()
    whole = click.Command.invoke

    def invoke(self: click.Command, context: click.Context) -> object:
        if not isinstance(self, click.Group):
            os.write(begun_writing, b"!")
        return whole(self, context)

    click.Command.invoke = invoke  # ty: ignore[invalid-assignment]
    for line in sys.stdin:
        wish = Wish(**json.loads(line))
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            terminal = pty.openpty() if wish.stdout == "terminal" else None
            while select.select([begun_reading], [], [], 0)[0]:
                os.read(begun_reading, 64)  # of a command that ended before it was seen to begin
            pid = os.fork()
            if pid == 0:
                _exit(_become(wish, out, err, terminal))
            ending = _watched(pid, wish, out, err, terminal, begun_reading)
        print(json.dumps(asdict(ending)), flush=True)


def _become(wish: Wish, out: io.IOBase, err: io.IOBase, terminal: tuple[int, int] | None) -> int:
    """Run the command as this process; its exit code."""
    from rtms_simulator.cli import main as rtmskit

    os.setsid()
    os.chdir(wish.cwd)
    for name in [name for name in os.environ if name.startswith(("RTMSKIT_", "ZOOM_", "RECALL_", "COLUMNS", "LINES", "NO_COLOR", "TERM"))]:
        del os.environ[name]
    os.environ.update(wish.environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if terminal is not None:
        fcntl.ioctl(terminal[1], termios.TIOCSWINSZ, struct.pack("HHHH", 24, wish.columns, 0, 0))
        fcntl.ioctl(terminal[1], termios.TIOCSCTTY, 0)
        streams = (terminal[1],) * 3
    elif wish.stdout == "closed":
        reading, writing = os.pipe()
        os.close(reading)
        streams = (os.open(os.devnull, os.O_RDONLY), writing, err.fileno())
    else:
        streams = (os.open(os.devnull, os.O_RDONLY), out.fileno(), err.fileno())
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    sys.stdin, sys.stdout, sys.stderr = (io.TextIOWrapper(os.fdopen(os.dup(n), "rb" if n == 0 else "wb"), "utf-8") for n in (0, 1, 2))
    try:
        rtmskit(wish.argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException as error:  # noqa: BLE001  # as Python itself would
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    return 0


def _exit(code: int) -> None:
    """As Python ends a process, without the second that it takes to give back all that was imported."""
    try:
        sys.stdout.flush()
    except OSError as error:
        sys.stderr.write(f"Exception ignored: {error}\n")
        code = 120
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


def _watched(pid: int, wish: Wish, out: io.IOBase, err: io.IOBase, terminal: tuple[int, int] | None, begun: int) -> Ending:
    seen = bytearray()
    if terminal is not None:
        os.close(terminal[1])
    watched = [begun] if terminal is None else [begun, terminal[0]]
    deadline, interrupt_at, code = time.monotonic() + WITHIN_S, None, None
    while time.monotonic() < deadline:
        for ready in select.select(watched, [], [], 0.01)[0]:
            if ready == begun:
                os.read(begun, 1)
                interrupt_at = time.monotonic() + (wish.interrupt_after_s or 0.0)
            else:
                seen += _read(ready, watched)
        if wish.interrupt_after_s is not None and interrupt_at is not None and time.monotonic() >= interrupt_at:
            interrupt_at = None
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
        gone, status = os.waitpid(pid, os.WNOHANG)
        if gone:
            code = os.waitstatus_to_exitcode(status)
            break
    else:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    if terminal is not None:
        while terminal[0] in watched and select.select([terminal[0]], [], [], 0.1)[0]:
            seen += _read(terminal[0], watched)
        os.close(terminal[0])
        return Ending(code, seen.decode("utf-8", "replace").replace("\r\n", "\n"), "")
    texts = []
    for file in (out, err):
        file.seek(0)
        texts.append(file.read().decode("utf-8", "replace"))
    return Ending(code, *texts)


def _read(terminal: int, watched: list[int]) -> bytes:
    try:
        read = os.read(terminal, 65536)
    except OSError:  # the other side is closed
        read = b""
    if not read:
        watched.remove(terminal)
    return read


if __name__ == "__main__":
    main()
