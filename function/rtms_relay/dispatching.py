"""The dispatcher of local queues, a process beside the two functions: ``python -m rtms_relay.dispatching``.

`rtmskit serve` starts it with a plan (`RTMSKIT_DISPATCH`, JSON) and the secret of the run (`RUN_SECRET`). It does what Cloud Tasks and
Cloud Scheduler do for a deployment: it delivers the tasks of the file, and asks for the sweep.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import httpx
import msgspec

from rtms_relay import logs
from rtms_relay.adapters.local_dispatch import Dispatcher, QueueRules, WorkerPosts
from rtms_relay.adapters.local_queue import TaskFile
from rtms_relay.adapters.system import AsyncioJobs, SystemClock
from rtms_relay.errors import QueueUnavailable
from rtms_relay.ports import Clock, Log

PLAN = "RTMSKIT_DISPATCH"
RUN_SECRET = "RUN_SECRET"  # noqa: S105 - the variable's name
UNUSABLE = 2
"""How the process ends when its plan or its file cannot be used."""

_KEEP_ALIVE_S = 1.0
"""functions-framework closes an idle connection after 2 s: taken up at that moment, it would fail."""


class DispatchPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`file`: where the queues are. `queues`: by name. `sweep_every_s`, `probe_every_s`: how often the worker is asked to sweep, and to
    send a probe through every queue with it."""

    file: str
    worker_url: str
    queues: dict[str, QueueRules]
    sweep_every_s: float
    probe_every_s: float


def locked(path: str) -> IO[str]:
    """The right to dispatch from this file, while what is returned is open. Raises `QueueUnavailable` if another process has it."""
    lock = Path(f"{path}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock_file = lock.open("a+", encoding="ascii")
    except OSError as error:
        raise QueueUnavailable(f"the queue file {path} cannot be used: {error}") from None
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock_file.close()
        raise QueueUnavailable(
            f"another process delivers the tasks of {path}: end the `rtmskit serve` that runs there, or name another directory"
        ) from None
    return lock_file


class Sweeps:
    """Asks the worker to sweep at an interval, the first time at once, so that nothing that a restart left open has to wait."""

    def __init__(self, posts: WorkerPosts, plan: DispatchPlan, clock: Clock, log: Log) -> None:
        self._posts = posts
        self._plan = plan
        self._clock = clock
        self._log = log

    async def run(self) -> None:
        probe_at = self._clock.monotonic_ms() + self._plan.sweep_every_s * 1000
        while True:
            probing = self._clock.monotonic_ms() >= probe_at
            try:
                body = b'{"probe":true}' if probing else b"{}"
                status = await self._posts.post("/sweep", body, {"Content-Type": "application/json"})
                why = "" if 200 <= status <= 299 else f"the worker answered the sweep with {status}"
            except OSError as error:
                why = str(error)
            if why:
                self._log("WARNING", "dispatch", queue="sweep", what=why)
            elif probing:
                probe_at += self._plan.probe_every_s * 1000
            await self._clock.sleep(self._plan.sweep_every_s)


async def serve(plan: DispatchPlan, run_secret: str, clock: Clock, log: Log, ready: Callable[[], None]) -> None:
    """Deliver until cancelled. `ready` is called once the file could be read. Raises `QueueUnavailable` if it cannot be."""
    files = {name: TaskFile(plan.file, clock) for name in plan.queues}
    try:
        await asyncio.gather(*(file.count() for file in files.values()))
        ready()
        await _deliver(plan, files, run_secret, clock, log)
    finally:
        for file in files.values():
            await file.close()


async def _deliver(plan: DispatchPlan, files: Mapping[str, TaskFile], run_secret: str, clock: Clock, log: Log) -> None:
    jobs = AsyncioJobs()
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=_KEEP_ALIVE_S)
    async with httpx.AsyncClient(trust_env=False, limits=limits) as client:
        posts = WorkerPosts(client, plan.worker_url, run_secret)
        queues = [
            Dispatcher(name, files[name], rules=rules, send=posts, clock=clock, jobs=jobs, log=log) for name, rules in plan.queues.items()
        ]
        await asyncio.gather(Sweeps(posts, plan, clock, log).run(), *(queue.run() for queue in queues))


async def _until_stopped(plan: DispatchPlan, run_secret: str, log: Log) -> None:
    """Until SIGTERM, and then say what is left: ``waiting {"handoffs": 1}``."""
    clock = SystemClock()
    work = asyncio.ensure_future(serve(plan, run_secret, clock, log, lambda: _say("dispatching")))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        file = TaskFile(plan.file, clock, timeout_s=2.0)
        _say(f"waiting {msgspec.json.encode(await file.count()).decode()}")
        await file.close()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    run_secret = os.environ.get(RUN_SECRET, "")
    log = logs.JsonLog((run_secret,) if run_secret else ())
    try:
        plan = msgspec.json.decode(os.environ.get(PLAN, ""), type=DispatchPlan)
        lock = locked(plan.file)
        with lock:
            asyncio.run(_until_stopped(plan, run_secret, log))
    except msgspec.MsgspecError as error:
        sys.stderr.write(f"rtmskit dispatcher: {PLAN} is unusable: {error}\n")
        raise SystemExit(UNUSABLE) from None
    except QueueUnavailable as error:
        sys.stderr.write(f"rtmskit dispatcher: {error}\n")
        raise SystemExit(UNUSABLE) from None


if __name__ == "__main__":
    main()
