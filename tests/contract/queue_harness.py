"""One face for every queue with its dispatcher, on a frozen clock that the tests move. The suite does not know which one it runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import httpx
from tests.unit.simulator.cloud_tasks.worker import Worker

from rtms_relay.adapters.cloud_tasks import CloudTasksQueue, Target
from rtms_relay.adapters.local_dispatch import Dispatcher, QueueRules, WorkerPosts
from rtms_relay.adapters.local_queue import LocalQueue, TaskFile
from rtms_relay.adapters.system import AsyncioJobs
from rtms_relay.ports import Queue, QueueName
from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import CloudTasks
from rtms_simulator.kit.deployed import DeployedQueue, deployed

EPOCH = 1_700_000_000.0
DEADLINE_S = 90.0
WORKER = "http://worker.test"
LOOK_S = 0.01


async def eventually(holds: Callable[[], bool], within_s: float = 20.0) -> None:
    """Until it holds, in real time: SQLite and gRPC have threads of their own. Fails after `within_s`."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not holds():
        assert asyncio.get_running_loop().time() < deadline, "it did not come to be"
        await asyncio.sleep(LOOK_S)


async def quiet() -> None:
    """Long enough for what must not happen to have happened."""
    await asyncio.sleep(20 * LOOK_S)


class RelayClock:
    """The relay's `Clock` over the simulator's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now_ms(self) -> int:
        return round(self._clock.now() * 1000)

    def monotonic_ms(self) -> float:
        return self._clock.now() * 1000

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


class QueueHarness(Protocol):
    """`open`: one more client of the queue of this name. `broken`: one whose queue cannot be used. `worker`: where its tasks arrive."""

    clock: Clock
    worker: Worker

    def open(self, name: QueueName = "handoffs") -> Queue: ...
    def broken(self) -> Queue: ...
    async def start(self) -> None: ...
    async def close(self) -> None: ...


def _numbers(name: QueueName) -> DeployedQueue:
    return deployed().queues[name]


class FakeCloudTasks:
    """Google's own client, over gRPC, against the simulator's Cloud Tasks with the deployed numbers."""

    def __init__(self, _: Path) -> None:
        self.clock = Clock(epoch=EPOCH, rate=0)
        self.worker = Worker()
        self._opened: list[Queue] = []
        self._tasks = CloudTasks(self.clock, transport=self.worker.transport, queues=())

    async def start(self) -> None:
        await self._tasks.start()
        for name in deployed().queues:
            numbers = deployed().queues[name].numbers
            self._tasks.create_queue(_full(name), retry=numbers.retry, limits=numbers.limits)

    def open(self, name: QueueName = "handoffs") -> Queue:
        return self._client(_full(name))

    def broken(self) -> Queue:
        return self._client(_full("not-there"))

    def _client(self, queue: str) -> Queue:
        self._opened.append(CloudTasksQueue(queue, Target(WORKER, {}, DEADLINE_S), endpoint=self._tasks.endpoint, timeout_s=20))
        return self._opened[-1]

    async def close(self) -> None:
        await asyncio.gather(*(queue.close() for queue in self._opened))
        await self._tasks.aclose()


class LocalQueues:
    """The file of `rtmskit serve` and its dispatcher, with the deployed numbers."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock(epoch=EPOCH, rate=0)
        self.worker = Worker()
        self.path = str(directory / "queue.sqlite")
        self._directory = directory
        self._opened: list[LocalQueue] = []
        self._files: list[TaskFile] = []
        self._running: list[asyncio.Task[None]] = []
        self._jobs = AsyncioJobs()
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    async def start(self) -> None:
        self._client = httpx.AsyncClient(transport=self.worker.transport)
        posts = WorkerPosts(self._client, WORKER, "secret-of-the-run")
        for name in ("handoffs", "facts", "retrievals"):
            numbers = _numbers(name)
            rules = QueueRules(
                per_second=numbers.per_second,
                concurrent=numbers.concurrent,
                min_backoff_s=numbers.min_backoff_s,
                max_backoff_s=numbers.max_backoff_s,
                max_doublings=numbers.max_doublings,
                deadline_s=DEADLINE_S,
            )
            file = TaskFile(self.path, RelayClock(self.clock), timeout_s=20)
            self._files.append(file)
            dispatcher = Dispatcher(name, file, rules, posts, RelayClock(self.clock), self._jobs, self._log, lambda: asyncio.sleep(LOOK_S))
            self._running.append(asyncio.create_task(dispatcher.run()))

    def _log(self, severity: str, event: str, /, **fields: object) -> None:
        self.lines.append((severity, event, fields))

    def open(self, name: QueueName = "handoffs") -> Queue:
        self._opened.append(LocalQueue(self.path, name, RelayClock(self.clock), timeout_s=20))
        return self._opened[-1]

    def broken(self) -> Queue:
        self._opened.append(LocalQueue(str(self._directory), "handoffs", RelayClock(self.clock)))
        return self._opened[-1]

    async def close(self) -> None:
        running = [*self._running, *self._jobs._running]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.gather(*(file.close() for file in (*self._files, *self._opened)))
        await self._client.aclose()


def _full(name: str) -> str:
    return f"projects/p/locations/l/queues/{name}"
