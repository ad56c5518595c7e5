"""The queue against the simulator's Cloud Tasks, over gRPC."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.simulator.cloud_tasks.worker import Worker

from rtms_relay.adapters.cloud_tasks import DISPATCH_DEADLINE_S, CloudTasksQueue, task_id
from rtms_relay.errors import QueueUnavailable
from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import CloudTasks

EPOCH = 1_700_000_000.0
KEY = "ab" * 32


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
    made = CloudTasksQueue(tasks.queue, "http://worker.test/", endpoint=tasks.endpoint, invoker="invoker@p.test")
    yield made
    await made.close()


@pytest.mark.parametrize("kind", ["handoff", "retrieve"])
async def test_a_task_posts_the_key_to_the_worker(queue: CloudTasksQueue, tasks: CloudTasks, worker: Worker, kind: Any) -> None:
    await queue.enqueue(kind, KEY)
    await tasks.settled()
    (request,) = worker.requests
    assert (request.method, str(request.url)) == ("POST", f"http://worker.test/{kind}")
    assert json.loads(request.content) == {"id": KEY}
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"].startswith("Bearer ")


async def test_without_an_invoker_no_token_goes_along(tasks: CloudTasks, worker: Worker) -> None:
    queue = CloudTasksQueue(tasks.queue, "http://worker.test", endpoint=tasks.endpoint)
    await queue.enqueue("handoff", KEY)
    await tasks.settled()
    assert "authorization" not in worker.requests[0].headers
    await queue.close()


async def test_the_same_task_twice_is_one_task_also_after_it_is_done(queue: CloudTasksQueue, tasks: CloudTasks, worker: Worker) -> None:
    await asyncio.gather(*(queue.enqueue("handoff", KEY) for _ in range(5)))
    await tasks.settled()
    await queue.enqueue("handoff", KEY)
    await tasks.settled()
    assert len(worker.requests) == 1


async def test_another_kind_key_or_dedupe_is_another_task(queue: CloudTasksQueue, tasks: CloudTasks, worker: Worker) -> None:
    await queue.enqueue("handoff", KEY)
    await queue.enqueue("retrieve", KEY)
    await queue.enqueue("handoff", "cd" * 32)
    await queue.enqueue("handoff", KEY, dedupe="sweep-1")
    await queue.enqueue("handoff", KEY, dedupe="sweep-2")
    await tasks.settled()
    assert len(worker.requests) == 5


async def test_a_task_waits_until_its_moment(clock: Clock, queue: CloudTasksQueue, tasks: CloudTasks, worker: Worker) -> None:
    await queue.enqueue("handoff", KEY, not_before_ms=int(EPOCH * 1000) + 30_500)
    await queue.enqueue("retrieve", KEY, not_before_ms=int(EPOCH * 1000) - 5)
    await tasks.settled()
    assert [request.url.path for request in worker.requests] == ["/retrieve"]
    (waiting,) = tasks.tasks(live=True)
    assert waiting["due_at"] == EPOCH + 30.5
    clock.advance(30.5)
    await tasks.settled()
    assert [request.url.path for request in worker.requests] == ["/retrieve", "/handoff"]


def test_deadlines_are_ones_that_cloud_tasks_takes() -> None:
    assert all(15 <= seconds <= 1800 for seconds in DISPATCH_DEADLINE_S.values())


@given(st.sampled_from(["handoff", "retrieve"]), st.text(), st.text())
def test_task_ids_are_hashes(kind: Any, key: str, dedupe: str) -> None:
    assert re.fullmatch("[0-9a-f]{64}", task_id(kind, key, dedupe))


def test_task_ids_do_not_run_together() -> None:
    assert task_id("handoff", "a", "bc") != task_id("handoff", "ab", "c")
    assert task_id("handoff", "a", "") != task_id("retrieve", "a", "")


async def test_a_queue_that_is_not_there_is_unavailable_and_says_what_to_check(tasks: CloudTasks) -> None:
    queue = CloudTasksQueue("projects/p/locations/l/queues/none", "http://worker.test", endpoint=tasks.endpoint)
    with pytest.raises(QueueUnavailable, match=r"NotFound.*check TASKS_QUEUE"):
        await queue.enqueue("handoff", KEY)
    await queue.close()


async def test_a_service_that_hangs_is_unavailable_in_time() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(4)
        queue = CloudTasksQueue(
            "projects/p/locations/l/queues/q", "http://w", endpoint=f"127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.4
        )
        began = time.monotonic()
        with pytest.raises(QueueUnavailable, match=r"within 0\.4 s"):
            await queue.enqueue("handoff", KEY)
        assert time.monotonic() - began < 2
        await queue.close()


REFUSALS = [
    (exceptions.PermissionDenied("secret"), "PermissionDenied.*roles/cloudtasks.enqueuer"),
    (exceptions.FailedPrecondition("secret"), "FailedPrecondition.*deleted lately"),
    (exceptions.Unauthenticated("secret"), "Unauthenticated.*no valid credentials"),
    (DefaultCredentialsError("secret"), "DefaultCredentialsError.*set TASKS_ENDPOINT"),
    (exceptions.Aborted("secret"), "Aborted"),
    (exceptions.InvalidArgument("secret"), "InvalidArgument within"),
]


@pytest.mark.parametrize(("error", "message"), REFUSALS, ids=[type(error).__name__ for error, _ in REFUSALS])
async def test_a_refusal_says_what_to_do_and_repeats_nothing(monkeypatch: pytest.MonkeyPatch, error: Exception, message: str) -> None:
    class Refusing:
        async def create_task(self, **_: object) -> None:
            raise error

    queue = CloudTasksQueue("projects/p/locations/l/queues/q", "http://worker.test")
    monkeypatch.setattr(queue, "_connected", Refusing)
    with pytest.raises(QueueUnavailable, match=message) as raised:
        await queue.enqueue("handoff", KEY)
    assert "secret" not in str(raised.value)


async def test_both_forms_of_conflict_mean_that_the_task_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Taken:
        async def create_task(self, **_: object) -> None:
            raise exceptions.Conflict("REST")

    queue = CloudTasksQueue("projects/p/locations/l/queues/q", "http://worker.test")
    monkeypatch.setattr(queue, "_connected", Taken)
    await queue.enqueue("handoff", KEY)


async def test_closing_twice_is_harmless_and_further_use_connects_again(queue: CloudTasksQueue, tasks: CloudTasks, worker: Worker) -> None:
    await queue.close()
    await queue.enqueue("handoff", KEY)
    await queue.close()
    await queue.close()
    await queue.enqueue("retrieve", KEY)
    await tasks.settled()
    assert len(worker.requests) == 2
