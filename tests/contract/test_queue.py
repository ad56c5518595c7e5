"""What every queue promises (ports.Queue), on the simulator's Cloud Tasks and on the local queue, each with the deployed numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
from tests.contract.queue_harness import DEADLINE_S, EPOCH, FakeCloudTasks, LocalQueues, QueueHarness, eventually, quiet

from rtms_relay.errors import QueueUnavailable
from rtms_relay.ports import Path as WorkerPath
from rtms_relay.ports import QueueName
from rtms_simulator.kit.deployed import deployed

BODY = b'{"v":2,"text":"\xc3\xbc"}'
NOW_MS = int(EPOCH * 1000)


@pytest.fixture(params=[FakeCloudTasks, LocalQueues])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[QueueHarness, None]:
    made: QueueHarness = request.param(tmp_path)
    await made.start()
    yield made
    await made.close()


async def arrived(rig: QueueHarness, count: int) -> None:
    """Exactly so many requests, and no more for a while."""
    await eventually(lambda: len(rig.worker.requests) >= count)
    await quiet()
    assert len(rig.worker.requests) == count


@pytest.mark.parametrize("path", ["/events", "/retrieve"])
async def test_a_task_posts_its_body_to_its_path_once(rig: QueueHarness, path: WorkerPath) -> None:
    assert await rig.open().enqueue(path, BODY)
    await arrived(rig, 1)
    (request,) = rig.worker.requests
    assert (request.method, str(request.url), request.content) == ("POST", f"http://worker.test{path}", BODY)
    assert request.headers["content-type"] == "application/json"


async def test_the_worker_can_read_when_a_task_was_due_from_which_queue_and_how_often_it_came(rig: QueueHarness) -> None:
    rig.worker.answers = [500]
    await rig.open("facts").enqueue("/events", BODY, not_before_ms=NOW_MS - 5_000)
    await arrived(rig, 1)
    rig.clock.advance(deployed().queues["facts"].min_backoff_s)
    await arrived(rig, 2)
    first, second = rig.worker.requests
    assert [request.headers["x-cloudtasks-taskretrycount"] for request in (first, second)] == ["0", "1"]
    assert first.headers["x-cloudtasks-queuename"] == "facts"
    assert first.headers["x-cloudtasks-taskname"] == second.headers["x-cloudtasks-taskname"] != ""
    assert float(second.headers["x-cloudtasks-tasketa"]) == pytest.approx(EPOCH + 1.0, abs=0.01)


async def test_tasks_without_a_name_are_all_different(rig: QueueHarness) -> None:
    queue = rig.open()
    assert await asyncio.gather(*(queue.enqueue("/events", BODY) for _ in range(5))) == [True] * 5
    await arrived(rig, 5)


async def test_of_tasks_of_one_name_from_many_clients_exactly_one_is_new(rig: QueueHarness) -> None:
    clients = [rig.open("retrievals") for _ in range(4)]
    new = await asyncio.gather(*(client.enqueue("/retrieve", BODY, name="a" * 64) for client in clients for _ in range(4)))
    assert sorted(new) == [False] * 15 + [True]
    await arrived(rig, 1)


async def test_a_name_stays_taken_after_its_task_is_done_for_a_day(rig: QueueHarness) -> None:
    queue = rig.open("retrievals")
    await queue.enqueue("/retrieve", BODY, name="a" * 64)
    await arrived(rig, 1)
    rig.clock.advance(86_000)
    assert not await queue.enqueue("/retrieve", BODY, name="a" * 64)
    assert await queue.enqueue("/retrieve", BODY, name="b" * 64)
    await arrived(rig, 2)
    rig.clock.advance(500)
    assert await queue.enqueue("/retrieve", BODY, name="a" * 64)
    await arrived(rig, 3)


async def test_one_name_in_two_queues_is_two_tasks(rig: QueueHarness) -> None:
    assert await rig.open("retrievals").enqueue("/retrieve", BODY, name="a" * 64)
    assert await rig.open("facts").enqueue("/events", BODY, name="a" * 64)
    await arrived(rig, 2)


async def test_a_task_waits_until_its_moment_and_a_past_one_waits_for_nothing(rig: QueueHarness) -> None:
    queue = rig.open()
    await queue.enqueue("/events", BODY, not_before_ms=NOW_MS + 30_500)
    await queue.enqueue("/retrieve", BODY, not_before_ms=NOW_MS - 5)
    await arrived(rig, 1)
    rig.clock.advance(30.4)
    await arrived(rig, 1)
    rig.clock.advance(0.1)
    await arrived(rig, 2)
    assert rig.worker.paths == ["/retrieve", "/events"]


@pytest.mark.parametrize("answer", [199, 302, 401, 404, 429, 500, 503, httpx.ConnectError("refused"), httpx.ReadError("cut")], ids=str)
async def test_what_is_not_answered_2xx_comes_again(rig: QueueHarness, answer: int | Exception) -> None:
    rig.worker.answers = [answer]
    await rig.open().enqueue("/events", BODY)
    await arrived(rig, 1)
    rig.clock.advance(1.0)
    await arrived(rig, 2)
    rig.clock.advance(3_600)
    await arrived(rig, 2)
    assert rig.worker.requests[1].content == BODY


@pytest.mark.parametrize("answer", [200, 201, 204, 299])
async def test_every_2xx_ends_a_task(rig: QueueHarness, answer: int) -> None:
    rig.worker.answers = [answer]
    await rig.open().enqueue("/events", BODY)
    await arrived(rig, 1)
    rig.clock.advance(3_600)
    await arrived(rig, 1)


@pytest.mark.parametrize(
    ("name", "pauses"), [("handoffs", [1, 2, 4, 8, 10, 10, 10]), ("facts", [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300])]
)
async def test_pauses_grow_as_deployed_and_no_task_is_given_up(rig: QueueHarness, name: QueueName, pauses: list[float]) -> None:
    rig.worker.answers = [500] * len(pauses)
    await rig.open(name).enqueue("/events", BODY)
    await eventually(lambda: len(rig.worker.requests) == 1)
    for number, pause_s in enumerate(pauses, start=1):
        await quiet()
        rig.clock.advance(pause_s - 0.1)
        await quiet()
        assert len(rig.worker.requests) == number
        rig.clock.advance(0.1)
        await eventually(lambda number=number: len(rig.worker.requests) == number + 1)


async def test_no_more_are_under_way_than_allowed_and_the_rest_follows(rig: QueueHarness) -> None:
    rig.worker.hold = asyncio.Event()
    queue = rig.open("facts")
    await asyncio.gather(*(queue.enqueue("/events", BODY) for _ in range(70)))
    await arrived(rig, deployed().queues["facts"].concurrent)
    rig.worker.hold.set()
    await arrived(rig, 70)


async def test_the_rate_is_the_deployed_one(rig: QueueHarness) -> None:
    queue = rig.open("retrievals")
    await asyncio.gather(*(queue.enqueue("/retrieve", BODY) for _ in range(11)))
    await arrived(rig, 4)
    rig.clock.advance(0.24)
    await arrived(rig, 4)
    rig.clock.advance(0.76)
    await arrived(rig, 8)
    rig.clock.advance(60)
    await arrived(rig, 11)


async def test_an_answer_that_does_not_come_is_waited_for_until_the_deadline(rig: QueueHarness) -> None:
    rig.worker.hold = asyncio.Event()
    await rig.open().enqueue("/events", BODY)
    await arrived(rig, 1)
    rig.clock.advance(DEADLINE_S - 1)
    await arrived(rig, 1)
    rig.clock.advance(1)
    await quiet()
    rig.worker.hold.set()
    rig.clock.advance(1.0)
    await arrived(rig, 2)


async def test_one_queue_that_hangs_holds_up_no_other(rig: QueueHarness) -> None:
    rig.worker.hold = asyncio.Event()
    stuck = rig.open("facts")
    await asyncio.gather(*(stuck.enqueue("/events", BODY) for _ in range(70)))
    await arrived(rig, 60)
    await rig.open("handoffs").enqueue("/events", b'{"start":1}')
    await eventually(lambda: rig.worker.requests[-1].content == b'{"start":1}')
    rig.worker.hold.set()


async def test_a_queue_that_cannot_be_used_says_so(rig: QueueHarness) -> None:
    with pytest.raises(QueueUnavailable):
        await rig.broken().enqueue("/events", BODY)


async def test_closing_twice_is_harmless_and_further_use_connects_again(rig: QueueHarness) -> None:
    queue = rig.open()
    await queue.enqueue("/events", BODY)
    await queue.close()
    await queue.close()
    await queue.enqueue("/events", BODY)
    await arrived(rig, 2)
