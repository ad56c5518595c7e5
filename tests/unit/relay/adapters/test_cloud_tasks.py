"""The queue against the simulator's Cloud Tasks, over gRPC."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
from collections.abc import AsyncGenerator

import google.auth
import grpc.aio
import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcAsyncIOTransport
from tests.unit.simulator.cloud_tasks.worker import Worker

from rtms_relay.adapters.cloud_tasks import CloudTasksQueue, Target
from rtms_relay.errors import QueueUnavailable
from rtms_relay.ports import Path
from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import CloudTasks

EPOCH = 1_700_000_000.0
BODY = b'{"v":2}'
TARGET = Target("http://worker.test", {"/events": "events@p.test", "/retrieve": "retrieve@p.test"}, 90.0)


@pytest.fixture
def clock() -> Clock:
    return Clock(epoch=EPOCH, rate=0)


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
async def tasks(clock: Clock, worker: Worker) -> AsyncGenerator[CloudTasks, None]:
    async with CloudTasks(clock, transport=worker.transport) as running:
        yield running


@pytest.fixture
async def queue(tasks: CloudTasks) -> AsyncGenerator[CloudTasksQueue, None]:
    made = CloudTasksQueue(tasks.queue, TARGET, endpoint=tasks.endpoint)
    yield made
    await made.close()


@pytest.mark.parametrize("path", ["/events", "/retrieve"])
async def test_a_task_posts_its_body_to_its_path_with_that_paths_identity(
    queue: CloudTasksQueue, tasks: CloudTasks, worker: Worker, path: Path
) -> None:
    assert await queue.enqueue(path, BODY)
    await tasks.settled()
    (request,) = worker.requests
    assert (request.method, str(request.url), request.content) == ("POST", f"http://worker.test{path}", BODY)
    assert request.headers["content-type"] == "application/json"
    claims = request.headers["authorization"].removeprefix("Bearer ").split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["email"] == f"{path[1:]}@p.test"


async def test_without_an_invoker_no_token_goes_along(tasks: CloudTasks, worker: Worker) -> None:
    queue = CloudTasksQueue(tasks.queue, Target("http://worker.test", {}, 90.0), endpoint=tasks.endpoint)
    await queue.enqueue("/events", BODY)
    await tasks.settled()
    assert "authorization" not in worker.requests[0].headers
    await queue.close()


async def test_tasks_without_a_name_are_all_different(queue: CloudTasksQueue, tasks: CloudTasks, worker: Worker) -> None:
    assert await asyncio.gather(*(queue.enqueue("/events", BODY) for _ in range(5))) == [True] * 5
    await tasks.settled()
    assert len(worker.requests) == 5


async def test_tasks_of_one_name_are_one_also_after_it_is_done(queue: CloudTasksQueue, tasks: CloudTasks, worker: Worker) -> None:
    new = await asyncio.gather(*(queue.enqueue("/retrieve", BODY, name="a" * 64) for _ in range(5)))
    assert sorted(new) == [False] * 4 + [True]
    await tasks.settled()
    assert not await queue.enqueue("/retrieve", BODY, name="a" * 64)
    assert await queue.enqueue("/retrieve", BODY, name="b" * 64)
    await tasks.settled()
    assert len(worker.requests) == 2


async def test_a_task_waits_until_its_moment(clock: Clock, queue: CloudTasksQueue, tasks: CloudTasks, worker: Worker) -> None:
    await queue.enqueue("/events", BODY, not_before_ms=int(EPOCH * 1000) + 30_500)
    await queue.enqueue("/retrieve", BODY, not_before_ms=int(EPOCH * 1000) - 5)
    await tasks.settled()
    assert [request.url.path for request in worker.requests] == ["/retrieve"]
    (waiting,) = tasks.tasks(live=True)
    assert waiting.due_at == EPOCH + 30.5
    clock.advance(30.5)
    await tasks.settled()
    assert [request.url.path for request in worker.requests] == ["/retrieve", "/events"]


async def test_a_queue_that_is_not_there_is_unavailable_and_says_what_to_check(tasks: CloudTasks) -> None:
    queue = CloudTasksQueue("projects/p/locations/l/queues/none", TARGET, endpoint=tasks.endpoint)
    with pytest.raises(QueueUnavailable, match=r"NotFound.*does not exist"):
        await queue.enqueue("/events", BODY)
    await queue.close()


async def test_a_service_that_hangs_is_unavailable_in_time() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(4)
        queue = CloudTasksQueue("projects/p/locations/l/queues/q", TARGET, endpoint=f"127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.4)
        began = time.monotonic()
        with pytest.raises(QueueUnavailable, match=r"within 0\.4 s"):
            await queue.enqueue("/events", BODY)
        assert time.monotonic() - began < 2
        await queue.close()


class Network:
    """Passes connections on to `target`; `drop` loses those that are open without a word, as a firewall does that has forgotten them."""

    def __init__(self, target: str) -> None:
        self._host, _, self._port = target.partition(":")
        self._tasks: set[asyncio.Task[None]] = set()
        self._dropped: set[int] = set()
        self.connections = 0

    async def __aenter__(self) -> Network:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.endpoint = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def drop(self) -> None:
        self._dropped.update(range(1, self.connections + 1))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there, back = await asyncio.open_connection(self._host, int(self._port))
        for source, sink in ((reader, back), (there, writer)):
            self._tasks.add(asyncio.create_task(self._pump(self.connections, source, sink)))

    async def _pump(self, number: int, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(65536):
                if number not in self._dropped:
                    sink.write(piece)
        finally:
            sink.close()


async def test_a_connection_that_the_network_has_dropped_costs_one_call(tasks: CloudTasks) -> None:
    """gRPC keeps it until the kernel gives it up after a quarter of an hour, and every call on it would end so."""
    async with Network(tasks.endpoint) as network:
        queue = CloudTasksQueue(tasks.queue, TARGET, endpoint=network.endpoint, timeout_s=0.5)
        assert await queue.enqueue("/events", BODY)
        network.drop()
        with pytest.raises(QueueUnavailable, match="DeadlineExceeded"):
            await queue.enqueue("/events", BODY)
        assert await queue.enqueue("/events", BODY)
        assert network.connections == 2
        await queue.close()
    await tasks.settled()


async def test_a_refusal_is_an_answer_and_keeps_the_connection(tasks: CloudTasks) -> None:
    async with Network(tasks.endpoint) as network:
        queue = CloudTasksQueue("projects/p/locations/l/queues/none", TARGET, endpoint=network.endpoint)
        for _ in range(2):
            with pytest.raises(QueueUnavailable, match="NotFound"):
                await queue.enqueue("/events", BODY)
        assert network.connections == 1
        await queue.close()


async def test_of_many_calls_that_time_out_together_one_connects_anew(tasks: CloudTasks) -> None:
    async with Network(tasks.endpoint) as network:
        queue = CloudTasksQueue(tasks.queue, TARGET, endpoint=network.endpoint, timeout_s=0.5)
        assert await queue.enqueue("/events", BODY)
        network.drop()
        lost = await asyncio.gather(*(queue.enqueue("/events", BODY) for _ in range(20)), return_exceptions=True)
        assert [type(one) for one in lost] == [QueueUnavailable] * 20
        assert await asyncio.gather(*(queue.enqueue("/events", BODY) for _ in range(20))) == [True] * 20
        assert network.connections == 2
        await queue.close()
    await tasks.settled()


async def test_a_call_that_is_under_way_when_another_times_out_comes_to_its_end(tasks: CloudTasks) -> None:
    both, answered = asyncio.Event(), asyncio.Event()

    class Slow:
        """A client whose first call takes too long. The second one began meanwhile, and is answered later."""

        def __init__(self) -> None:
            self.calls = 0
            self.transport = self
            self.grpc_channel = self
            self.closed_with: list[float | None] = []

        async def create_task(self, **_: object) -> None:
            self.calls += 1
            if self.calls == 1:
                await both.wait()
                raise exceptions.DeadlineExceeded("slow")
            both.set()
            await answered.wait()

        async def close(self, grace: float | None = None) -> None:
            answered.set()
            await asyncio.sleep(0.05)
            self.closed_with.append(grace)

    client = Slow()
    queue = CloudTasksQueue(tasks.queue, TARGET, timeout_s=0.5)
    queue._client = client  # ty: ignore[invalid-assignment]
    under_way = asyncio.gather(*(queue.enqueue("/events", BODY) for _ in range(2)), return_exceptions=True)
    late, other = await asyncio.wait_for(under_way, 5)
    assert isinstance(late, QueueUnavailable)
    assert other is True
    await queue.close()
    assert client.closed_with == [0.5]  # as long as a call may take, and `close` waits for it
    assert not queue._closing


REFUSALS = [
    (exceptions.PermissionDenied("secret"), "PermissionDenied.*cloudtasks.tasks.create on the queue, iam.*actAs on the identity"),
    (exceptions.FailedPrecondition("secret"), "FailedPrecondition.*deleted lately"),
    (exceptions.Unauthenticated("secret"), "Unauthenticated.*no valid credentials"),
    (DefaultCredentialsError("secret"), "DefaultCredentialsError.*set TASKS_ENDPOINT"),
    (exceptions.Aborted("secret"), "Aborted"),
    (exceptions.InvalidArgument("secret"), r"queues/q could not take the task: InvalidArgument within 2 s$"),
]


@pytest.mark.parametrize(("error", "message"), REFUSALS, ids=[type(error).__name__ for error, _ in REFUSALS])
async def test_a_refusal_says_what_to_do_and_repeats_nothing(monkeypatch: pytest.MonkeyPatch, error: Exception, message: str) -> None:
    class Refusing:
        async def create_task(self, **_: object) -> None:
            raise error

    queue = CloudTasksQueue("projects/p/locations/l/queues/q", TARGET)
    monkeypatch.setattr(queue, "_connected", Refusing)
    with pytest.raises(QueueUnavailable, match=message) as raised:
        await queue.enqueue("/events", BODY)
    assert "secret" not in str(raised.value)


async def test_a_call_has_two_seconds_unless_it_is_told_otherwise_and_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, object]] = []

    class Watching:
        async def create_task(self, **given: object) -> None:
            calls.append(given)

    name = "projects/p/locations/l/queues/q"
    for queue in (CloudTasksQueue(name, TARGET), CloudTasksQueue(name, TARGET, timeout_s=0.7)):
        monkeypatch.setattr(queue, "_connected", Watching)
        assert await queue.enqueue("/events", BODY)
    assert [(call["timeout"], call["retry"], call["parent"]) for call in calls] == [(2.0, None, name), (0.7, None, name)]


async def test_both_forms_of_conflict_mean_that_the_task_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Taken:
        async def create_task(self, **_: object) -> None:
            raise exceptions.Conflict("REST")

    queue = CloudTasksQueue("projects/p/locations/l/queues/q", TARGET)
    monkeypatch.setattr(queue, "_connected", Taken)
    assert not await queue.enqueue("/events", BODY, name="n")


async def test_closing_twice_is_harmless_and_further_use_connects_again(queue: CloudTasksQueue, tasks: CloudTasks, worker: Worker) -> None:
    await queue.close()
    await queue.enqueue("/events", BODY)
    await queue.close()
    await queue.close()
    await queue.enqueue("/retrieve", BODY)
    await tasks.settled()
    assert len(worker.requests) == 2


async def test_without_an_endpoint_it_is_googles_client_with_a_connection_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it comes otherwise: Google's address over TLS, the credentials of where it runs, the limits that Google's client sets."""
    own, channels = AnonymousCredentials(), []
    monkeypatch.setattr(google.auth, "default", lambda *_, **__: (own, "p"))
    real = CloudTasksGrpcAsyncIOTransport.create_channel

    def create_channel(*target: object, **named: object) -> grpc.aio.Channel:
        channels.append((target, named))
        return real(*target, **named)  # ty: ignore[invalid-argument-type]

    monkeypatch.setattr(CloudTasksGrpcAsyncIOTransport, "create_channel", create_channel)
    monkeypatch.setattr(tasks_v2.CloudTasksAsyncClient, "create_task", lambda *_, **__: asyncio.sleep(0))
    queue = CloudTasksQueue("projects/p/locations/l/queues/q", TARGET)
    assert await queue.enqueue("/events", BODY)
    assert await queue.enqueue("/events", BODY)
    [(target, named)] = channels  # one for all tasks
    assert target == ("cloudtasks.googleapis.com:443",)
    assert named["credentials"] is own
    assert named["ssl_credentials"] is None  # TLS with the public authorities
    assert named["options"] == [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    await queue.close()


async def test_a_queue_has_a_connection_of_its_own_and_closes_it(
    queue: CloudTasksQueue, tasks: CloudTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gRPC shares one between channels to the same address, unless this option is 1 (gRPC core, `GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL`)."""
    real, channels, closed = grpc.aio.insecure_channel, [], []

    def channel(target: str, options: list[tuple[str, int]]) -> grpc.aio.Channel:
        made = real(target, options=options)
        close = made.close

        async def closing(grace: float | None = None) -> None:
            closed.append(target)
            await close(grace)

        made.close = closing
        channels.append((target, options))
        return made

    monkeypatch.setattr(grpc.aio, "insecure_channel", channel)
    assert await queue.enqueue("/events", BODY)
    assert channels == [(tasks.endpoint, [("grpc.use_local_subchannel_pool", 1)])]
    await queue.close()
    assert closed == [tasks.endpoint]
    await tasks.settled()
