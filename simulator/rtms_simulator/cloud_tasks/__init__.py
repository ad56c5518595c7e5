"""A Google Cloud Tasks that the unmodified google-cloud-tasks client talks to, and a Cloud Scheduler job.

::

    clock = Clock()
    async with CloudTasks(clock) as tasks:
        queue = CloudTasksQueue(tasks.queue, worker_url, endpoint=tasks.endpoint)

Named tasks with de-duplication, schedule times, HTTP dispatch with Cloud Tasks' headers, retries and limits of the queue, all on the
clock; faults on demand; the history of every task. What Google's reference leaves open is a switch (`CloudTasksSwitches`).
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterable, Mapping

import grpc.aio
import httpx
from google.cloud import tasks_v2

from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks.broker import Broker, TaskRecord
from rtms_simulator.cloud_tasks.dispatch import Attempt, HttpSender, identity_token, token_claims
from rtms_simulator.cloud_tasks.rules import CloudTasksSwitches, Limits, QueueNumbers, Retry
from rtms_simulator.cloud_tasks.scheduler import Run, Scheduler
from rtms_simulator.cloud_tasks.server import Service, add_to
from rtms_simulator.faults import FaultBook
from rtms_simulator.faults.cloud_tasks import FAMILIES

__all__ = [
    "DEFAULT_QUEUE",
    "LOCAL_QUEUES",
    "Attempt",
    "CloudTasks",
    "CloudTasksSwitches",
    "Limits",
    "QueueNumbers",
    "Retry",
    "Run",
    "Scheduler",
    "TaskView",
    "identity_token",
    "token_claims",
]

DEFAULT_QUEUE = "projects/rtmskit-local/locations/local/queues/handoffs"
"""The first of the queues that are there from the start unless others are named: starts at home."""

LOCAL_QUEUES = (
    DEFAULT_QUEUE,
    "projects/rtmskit-local/locations/second/queues/handoffs",
    "projects/rtmskit-local/locations/local/queues/facts",
    "projects/rtmskit-local/locations/local/queues/retrievals",
)
"""Starts at home and in a second region, facts, retrievals."""


@dataclasses.dataclass(frozen=True, slots=True)
class TaskView:
    """One task at one moment. Times are seconds since the epoch; `state`: waiting, done, exhausted, expired, deleted, purged or lost."""

    name: str
    url: str
    body: str
    state: str
    created_at: float
    due_at: float
    attempts: tuple[Attempt, ...]


class CloudTasks:
    """The fake service: a gRPC server on `host:port` (0: a free port) and the engine behind it.

    `queues` are made at start: full names, each with its numbers; names alone get Cloud Tasks' defaults (or `retry` and `limits`).
    `kit.deployed.local_queues()` has the deployed ones. `transport` replaces the network to the workers, e.g. by
    `httpx.ASGITransport(app)`. `history` bounds how many finished tasks are remembered. `run_secrets`: see `HttpSender`.
    `on_attempt(full name of the task, attempt)` is called after each attempt. `callers_clock`: that of those who make tasks, if it is
    another; a task is due as long after it was made as they wrote on theirs.
    Everything belongs to the loop of `start`.
    """

    def __init__(
        self,
        clock: Clock,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        queues: Iterable[str] | Mapping[str, QueueNumbers] = LOCAL_QUEUES,
        retry: Retry | None = None,
        limits: Limits | None = None,
        switches: CloudTasksSwitches | None = None,
        seed: int = 0,
        transport: httpx.AsyncBaseTransport | None = None,
        history: int = 10_000,
        faults: FaultBook | None = None,
        run_secrets: Mapping[str, str] | None = None,
        on_attempt: Callable[[str, Attempt], None] = lambda _task, _attempt: None,
        callers_clock: Clock | None = None,
    ) -> None:
        self._clock = clock
        self._callers_clock = callers_clock or clock
        self._host = host
        self._port = port
        alike = QueueNumbers(retry or Retry(), limits or Limits())
        self._initial = dict(queues) if isinstance(queues, Mapping) else dict.fromkeys(queues, alike)
        self.switches = switches or CloudTasksSwitches()
        """Settable; takes effect at the next look."""
        self._run_secrets = run_secrets
        self._on_attempt = on_attempt
        self._seed = seed
        self._transport = transport
        self._history = history
        self.faults = faults if faults is not None else FaultBook(FAMILIES)
        """The faults in force: `faults.add("tasks.dispatch.handoffs: duplicate")`, `faults.clear()`."""
        self._broker: Broker | None = None
        self._server: grpc.aio.Server | None = None
        self._client: httpx.AsyncClient | None = None

    async def start(self) -> None:
        """Serve. Raises OSError if the port is taken."""
        # The queue's own limits decide how many are under way; httpx would stop at a hundred.
        # functions-framework closes an idle connection after 2 s: taken up at that moment, it would fail.
        unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=1.0)
        self._client = httpx.AsyncClient(transport=self._transport, trust_env=False, limits=unlimited)
        self._broker = Broker(
            self._clock,
            HttpSender(self._clock, self._client, self._run_secrets),
            randomness=random.Random(self._seed),  # repeatable, for a simulator
            switches=lambda: self.switches,
            faults=self.faults,
            history=self._history,
            on_attempt=self._on_attempt,
        )
        self._make_initial_queues()
        # Without this option two servers could share one port, and each would get some of the tasks.
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 8 << 20)])
        add_to(server, Service(self._clock, self._broker, self._callers_clock))
        try:
            self._port = server.add_insecure_port(f"{self._host}:{self._port}")
        except RuntimeError as error:
            await self._client.aclose()
            raise OSError(f"Cloud Tasks cannot listen on {self._host}:{self._port}; is the port taken?") from error
        await server.start()
        self._server = server
        self._broker.start()

    async def aclose(self) -> None:
        """Stop: no further attempt begins, and what is under way is cut off. Repeatable."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(grace=None)
        if self._broker is not None:
            await self._broker.aclose()
        if self._client is not None:
            await self._client.aclose()

    async def __aenter__(self) -> CloudTasks:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def endpoint(self) -> str:
        """`host:port` for a client's insecure channel (TASKS_ENDPOINT)."""
        return f"{self._host}:{self._port}"

    @property
    def queue(self) -> str:
        """The full name of the first initial queue."""
        return next(iter(self._initial))

    @property
    def initial_queues(self) -> tuple[str, ...]:
        """The full names of the initial queues."""
        return tuple(self._initial)

    def create_queue(self, name: str, *, retry: Retry | None = None, limits: Limits | None = None) -> None:
        """Make a queue without the API. Raises TaskRefusedError as the API. `retry` is taken as given, fractions included."""
        broker = self._running()
        record = broker.create_queue(tasks_v2.Queue(name=name))
        if retry is not None or limits is not None:
            broker.configure(record, retry=retry, limits=limits)

    def change_queue(self, name: str, *, retry: Retry, limits: Limits) -> None:
        """Give a queue other numbers; its tasks and a pause stay. Raises TaskRefusedError for one that is not there."""
        broker = self._running()
        broker.configure(broker.queue(name), retry=retry, limits=limits)

    def delete_queue(self, name: str) -> None:
        """Delete a queue with its tasks, as the API: its name is refused for days. Raises TaskRefusedError for one that is not there."""
        self._running().delete_queue(name)

    def tasks(self, *, live: bool | None = None) -> list[TaskView]:
        """Every task as it stands, finished ones first, each with the history of its attempts. `live` keeps one half."""
        return [_shown(record) for record in self._running().tasks() if live is None or (record.state == "waiting") == live]

    def run(self, name: str) -> None:
        """Send a task now, as `RunTask` does. Raises TaskRefusedError for one that is not, or no longer, there."""
        self._running().run_task(name)

    def queues(self) -> list[str]:
        """The full names of the queues that there are."""
        return [queue.name for queue in self._running().queues()]

    def depths(self) -> dict[str, int]:
        """Full name of each queue -> how many tasks it holds."""
        return {queue.name: len(queue.tasks) for queue in self._running().queues()}

    async def settled(self) -> None:
        """Wait until no attempt is under way and none is due at the clock's present time."""
        await self._running().settled()

    def reset(self) -> None:
        """Back to the start: no tasks, no taken names, no faults, the initial queues."""
        self._running().reset()
        self._make_initial_queues()

    def _make_initial_queues(self) -> None:
        for name, numbers in self._initial.items():
            self.create_queue(name, retry=numbers.retry, limits=numbers.limits)

    def _running(self) -> Broker:
        if self._broker is None:
            raise RuntimeError("start() first")
        return self._broker


def _shown(record: TaskRecord) -> TaskView:
    request = record.task.http_request
    return TaskView(
        name=record.name,
        url=request.url,
        body=request.body.decode(errors="replace"),
        state=record.state,
        created_at=record.created_at,
        due_at=record.due_at,
        attempts=tuple(dataclasses.replace(attempt) for attempt in record.attempts),
    )
