"""Child processes that start, report and end together with us: no orphans, no silent deaths, no ports lost in between."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx

from rtms_simulator.clock import Clock
from rtms_simulator.errors import ChildEndedError, PortTakenError

LIFELINE = Path(__file__).with_name("die_with_parent.py")
KEPT_LINES = 200
"""How much of a child's output is remembered for the report on its death."""

_LOOK_EVERY_S = 0.05


class Port:
    """A port that is ours from now on, before the child that will listen on it exists.

    The socket is bound and never listens. On Linux a second socket may then bind and listen there if both set SO_REUSEADDR (as
    gunicorn and uvicorn do), while the kernel hands the port to nobody who asks for any free one. Elsewhere it is let go at once.
    """

    def __init__(self, purpose: str, host: str = "127.0.0.1", number: int = 0) -> None:
        """Take `number`, or a free one for 0. Raises `PortTakenError`."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, number))
        except OSError as error:
            self._socket.close()
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise PortTakenError(host, number, purpose) from None
            raise
        self.host: str = host
        self.number: int = self._socket.getsockname()[1]
        if sys.platform != "linux":
            self._socket.close()

    def release(self) -> None:
        self._socket.close()


class Child:
    """One program in a process group of its own, with its output line by line."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        environment: Mapping[str, str],
        clock: Clock,
        on_line: Callable[[str, str], None] | None = None,
    ) -> None:
        """`on_line(name, line)` is called for each line of stdout or stderr. `clock` must run in real time: it bounds waiting."""
        self.name = name
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._argv, self._environment, self._clock, self._on_line = list(argv), dict(environment), clock, on_line
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The process id, which is also the id of the group. Raises RuntimeError before `start`."""
        return self._running().pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(LIFELINE), str(os.getpid()), *self._argv),
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = asyncio.create_task(self._read(self._process))

    async def ended(self) -> ChildEndedError:
        """Wait for the end, and all that was said before it. Whatever is left of the group then goes too."""
        code = await self._exit_code()
        self.kill()
        if self._reader is not None:
            await asyncio.wait({self._reader}, timeout=1.0)
        return ChildEndedError(self.name, code, list(self.lines))

    async def answers(self, url: str, within_s: float = 30.0) -> None:
        """Wait until a GET of `url` is answered 200. Raises `ChildEndedError`, or TimeoutError."""
        async with httpx.AsyncClient(trust_env=False) as client:
            deadline = self._clock.now() + within_s
            while self._clock.now() < deadline:
                if not self.alive:
                    raise await self.ended()
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(url, timeout=2.0)).status_code == httpx.codes.OK:
                        return
                await self._clock.sleep(_LOOK_EVERY_S)
        raise TimeoutError(f"the {self.name} process did not answer {url} within {within_s:.0f} s")

    def kill(self) -> None:
        """SIGKILL to the whole group, now."""
        if self._process is not None:
            # The group outlives its leader as long as anyone is in it; when all have gone there is nothing to do.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def stop(self, grace_s: float = 5.0) -> None:
        """SIGTERM, then SIGKILL to whatever of the group is left; returns when it has gone. May be called at any time, repeatedly."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            with contextlib.suppress(TimeoutError):
                await self._clock.wait_for(self._exit_code(), grace_s)
        self.kill()
        await self._exit_code()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError(f"the {self.name} process has not been started")
        return self._process

    async def _exit_code(self) -> int:
        """The leader's. (asyncio's own `wait` goes on for as long as a grandchild holds the pipe open.)"""
        process = self._running()
        while process.returncode is None:
            await self._clock.sleep(_LOOK_EVERY_S)
        return process.returncode

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        stream = process.stdout
        assert stream is not None
        while True:
            try:
                raw = await stream.readline()
            except ValueError:
                # Longer than the reader's limit (64 KiB): the reader has dropped it, and there may be more.
                raw = b"[a line too long to show]\n"
            if not raw:
                return
            line = raw.decode(errors="replace").rstrip("\n")
            self.lines.append(line)
            if self._on_line is not None:
                self._on_line(self.name, line)
