"""Cloud Tasks' faults as Google documents them, seen by Google's own client and by the worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import grpc.aio
import pytest
from google.api_core import exceptions
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcAsyncIOTransport
from tests.unit.simulator.cloud_tasks.worker import Worker

from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import CloudTasks, Limits, Retry
from rtms_simulator.faults import FaultError

QUEUES = ("projects/p/locations/eu/queues/handoffs", "projects/p/locations/us/queues/handoffs", "projects/p/locations/eu/queues/facts")
EU, US, FACTS = QUEUES


@dataclass
class Rig:
    """A fake on a frozen clock, a client of it, and the worker its tasks go to."""

    clock: Clock
    fake: CloudTasks
    client: tasks_v2.CloudTasksAsyncClient
    worker: Worker

    async def post(self, path: str, queue: str = EU, *, timeout: float = 5.0) -> tasks_v2.Task:
        task = tasks_v2.Task(http_request=tasks_v2.HttpRequest(url=f"http://worker.test{path}", body=b"{}"))
        return await self.client.create_task(parent=queue, task=task, timeout=timeout, retry=None)

    async def step(self, seconds: float = 0.0) -> list[str]:
        """Let time pass; the paths the worker has seen by then."""
        self.clock.advance(seconds)
        await self.fake.settled()
        return list(self.worker.paths)


@pytest.fixture
async def rig() -> AsyncGenerator[Rig]:
    clock, worker = Clock(epoch=1_700_000_000.0, rate=0), Worker()
    retry = Retry(max_attempts=5, min_backoff_s=10, max_backoff_s=300)
    async with CloudTasks(clock, transport=worker.transport, queues=QUEUES, retry=retry, limits=Limits(dispatches_per_s=10)) as fake:
        transport = CloudTasksGrpcAsyncIOTransport(channel=grpc.aio.insecure_channel(fake.endpoint))
        yield Rig(clock, fake, tasks_v2.CloudTasksAsyncClient(transport=transport), worker)
        await transport.close()


# The creation of a task


async def test_refuse_makes_no_task_and_has_the_status_that_it_names(rig: Rig) -> None:
    rig.fake.faults.add("tasks.create.handoffs@eu: refuse then refuse not-found then refuse resource-exhausted")
    for kind in (exceptions.ServiceUnavailable, exceptions.NotFound, exceptions.ResourceExhausted):
        with pytest.raises(kind):
            await rig.post("/a")
    await rig.post("/other region", US)
    await rig.post("/after")
    assert await rig.step() == ["/other region", "/after"]
    assert len(rig.fake.tasks()) == 2


async def test_a_creation_whose_answer_is_lost_has_made_the_task(rig: Rig) -> None:
    rig.fake.faults.add("tasks.create.*: cut")
    with pytest.raises(exceptions.ServiceUnavailable):
        await rig.post("/made")
    assert await rig.step() == ["/made"]


async def test_a_creation_that_hangs_makes_none_and_a_slow_one_makes_it_later(rig: Rig) -> None:
    rig.fake.faults.add("tasks.create.handoffs: hang then slow 30s")
    with pytest.raises(exceptions.DeadlineExceeded):
        await rig.post("/hangs", timeout=0.2)
    slow = asyncio.ensure_future(rig.post("/slow"))
    for _ in range(200):
        if rig.clock.next_deadline is not None:
            break
        await asyncio.sleep(0.01)
    assert rig.fake.tasks() == []
    rig.clock.advance(30)
    await slow
    assert await rig.step() == ["/slow"]


# The dispatch of one task


async def test_duplicate_delivers_twice_at_once_or_later(rig: Rig) -> None:
    rig.fake.faults.add("tasks.dispatch.*: duplicate then duplicate after=20s")
    await rig.post("/a")
    assert await rig.step() == ["/a", "/a"]
    names = {request.headers["x-cloudtasks-taskname"] for request in rig.worker.requests}
    assert len(names) == 1
    await rig.post("/b")
    assert await rig.step() == ["/a", "/a", "/b"]
    assert await rig.step() == ["/a", "/a", "/b"]
    assert await rig.step(19) == ["/a", "/a", "/b"]
    assert await rig.step(1) == ["/a", "/a", "/b", "/b"]
    assert [attempt.duplicate for attempt in rig.fake.tasks()[1].attempts] == [False, True]


async def test_late_keeps_one_task_back_and_no_other(rig: Rig) -> None:
    rig.fake.faults.add("tasks.dispatch.handoffs: late 30s")
    await rig.post("/late")
    await rig.post("/prompt")
    assert await rig.step() == ["/prompt"]
    assert await rig.step(29) == ["/prompt"]
    assert await rig.step(1) == ["/prompt", "/late"]


async def test_late_twice_is_two_tasks_and_not_one_task_twice(rig: Rig) -> None:
    rig.fake.faults.add("tasks.dispatch.handoffs: late 30s x2")
    await rig.post("/1")
    await rig.post("/2")
    assert await rig.step() == []
    assert await rig.step(30) == ["/1", "/2"]


async def test_reorder_lets_the_next_one_pass_and_waits_no_longer_than_it_says(rig: Rig) -> None:
    rig.fake.faults.add("tasks.dispatch.handoffs@eu: reorder 60s x2")
    await rig.post("/1")
    assert await rig.step(1) == []
    await rig.post("/other queue", FACTS)
    assert await rig.step() == ["/other queue"]
    rig.fake.faults.clear()
    await rig.post("/2")
    assert await rig.step() == ["/other queue", "/2", "/1"]
    rig.fake.faults.add("tasks.dispatch.handoffs@eu: reorder 5s")
    await rig.post("/alone")
    await rig.step()
    assert (await rig.step(4))[3:] == []
    assert (await rig.step(1))[3:] == ["/alone"]


async def test_lost_never_calls_the_worker(rig: Rig) -> None:
    rig.fake.faults.add("tasks.dispatch.*: lost")
    await rig.post("/lost")
    assert await rig.step(86_400) == []
    assert [task.state for task in rig.fake.tasks()] == ["lost"]


async def test_cut_calls_the_worker_and_loses_its_answer(rig: Rig) -> None:
    rig.fake.faults.add("tasks.dispatch.*: cut")
    await rig.post("/a")
    await rig.step()
    assert await rig.step(10) == ["/a", "/a"]
    assert rig.fake.tasks()[0].attempts[0].failure == "the answer was lost (fault)"


async def test_an_answer_of_the_platform_never_reaches_the_worker_and_slows_the_queue_down(rig: Rig) -> None:
    rig.fake.faults.add("tasks.dispatch.handoffs@eu: 429 x3")
    for number in range(3):
        await rig.post(f"/{number}")
    assert await rig.step() == []
    assert [task.attempts[0].status for task in rig.fake.tasks()] == [429, 429, 429]
    for number in range(3, 20):
        await rig.post(f"/{number}")
    sent = len(await rig.step(1))
    assert 1 <= sent <= 3, "10 a second, halved three times"


# A queue as a whole


async def test_a_stalled_queue_takes_tasks_sends_none_and_shows_nothing(rig: Rig) -> None:
    rig.fake.faults.add("tasks.queue.handoffs@eu: stall 300s")
    await rig.post("/stalled")
    await rig.post("/other region", US)
    assert await rig.step(299) == ["/other region"]
    assert (await rig.client.get_queue(name=EU)).state == tasks_v2.Queue.State.RUNNING
    assert await rig.step(1) == ["/other region", "/stalled"]
    assert rig.fake.faults.listed() == ()


async def test_a_paused_queue_says_so_until_the_fault_is_cleared(rig: Rig) -> None:
    rig.fake.faults.add("tasks.queue.handoffs@eu: pause")
    await rig.post("/paused")
    assert await rig.step(86_400) == []
    assert (await rig.client.get_queue(name=EU)).state == tasks_v2.Queue.State.PAUSED
    states = {queue.name: queue.state async for queue in await rig.client.list_queues(parent="projects/p/locations/eu")}
    assert states == {EU: tasks_v2.Queue.State.PAUSED, FACTS: tasks_v2.Queue.State.RUNNING}
    rig.fake.faults.clear()
    assert await rig.step() == ["/paused"]
    assert (await rig.client.get_queue(name=EU)).state == tasks_v2.Queue.State.RUNNING


async def test_a_sleeping_queue_answers_not_found_until_it_has_woken(rig: Rig) -> None:
    await rig.post("/before", FACTS)
    rig.fake.faults.add("tasks.queue.handoffs@eu: sleep 120s")
    await rig.step(1000)
    with pytest.raises(exceptions.NotFound):
        await rig.post("/first")
    await rig.step(119)
    with pytest.raises(exceptions.NotFound):
        await rig.post("/second")
    await rig.step(1)
    await rig.post("/third")
    assert await rig.step() == ["/before", "/third"]
    assert rig.fake.faults.listed() == ()


async def test_a_ramp_begins_slowly_and_reaches_the_full_rate(rig: Rig) -> None:
    rig.fake.faults.add("tasks.queue.handoffs@eu: ramp 20s start=1")
    for number in range(200):
        await rig.post(f"/{number}")
    counts = []
    for _ in range(240):
        counts.append(len(await rig.step(0.1)))
    first, second, last = counts[19], counts[119] - counts[99], counts[239] - counts[219]
    assert 2 <= first <= 5, "1 a second at first"
    assert 8 <= second <= 15, "about half way"
    assert 19 <= last <= 21, "10 a second in the end"


async def test_a_slowed_queue_keeps_its_share_of_the_rate(rig: Rig) -> None:
    rig.fake.faults.add("tasks.queue.handoffs@eu: slow 0.1 seconds=60s")
    for number in range(80):
        await rig.post(f"/{number}")
    await rig.step()
    counts = [len(await rig.step(1)) for _ in range(60)]
    assert counts[19] - counts[9] == 10
    for _ in range(4):
        await rig.step(1)
    assert len(rig.worker.paths) - counts[59] >= 18


async def test_a_queue_that_is_not_there_is_refused_with_those_that_are(rig: Rig) -> None:
    with pytest.raises(FaultError, match=r"did you mean handoffs\? allowed: facts, facts@eu, handoffs, handoffs@eu, handoffs@us"):
        rig.fake.faults.add("tasks.queue.handoff: stall")
