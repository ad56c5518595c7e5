"""The queue against the simulator's Cloud Tasks, over gRPC."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
from collections.abc import AsyncGenerator

import grpc.aio
import pytest
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import tasks_v2
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


async def test_without_an_endpoint_it_is_googles_client_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[tuple[object, ...], dict[str, object]]] = []

    class Client:
        def __init__(self, *given: object, **named: object) -> None:
            made.append((given, named))

        async def create_task(self, **_: object) -> None: ...

    monkeypatch.setattr(tasks_v2, "CloudTasksAsyncClient", Client)
    queue = CloudTasksQueue("projects/p/locations/l/queues/q", TARGET)
    assert await queue.enqueue("/events", BODY)
    assert await queue.enqueue("/events", BODY)
    assert made == [((), {})]  # one for all tasks, with the credentials of where it runs


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
