"""A queue in a file dispatches as Cloud Tasks does: on virtual time, to the millisecond."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace as changed

import httpx
import pytest
from msgspec.structs import replace
from tests.ports.plain import Lines
from tests.ports.time import Time

from rtms_relay.adapters import local_dispatch
from rtms_relay.adapters.local_dispatch import Dispatcher, QueueRules, WorkerPosts
from rtms_relay.adapters.local_queue import Waiting
from rtms_relay.adapters.system import AsyncioJobs
from rtms_relay.errors import QueueUnavailable

NOW = 1_700_000_000_000
RULES = QueueRules(per_second=2, concurrent=3, min_backoff_s=1, max_backoff_s=10, max_doublings=2, deadline_s=90)


class File:
    """`TaskFile` in memory. `away`: what every call raises."""

    def __init__(self) -> None:
        self.tasks: dict[int, Waiting] = {}
        self.reasons: list[tuple[int, str, int]] = []
        self.change = 0
        self.away: QueueUnavailable | None = None
        self.limits: list[int] = []

    def add(self, *due: int) -> None:
        """By another process."""
        for at in due:
            number = len(self.tasks) + 1
            self.tasks[number] = Waiting(number, "facts", "", "/events", b"%d" % number, at, 0)
        self.change += 1

    async def changes(self) -> int:
        self._there()
        return self.change

    async def waiting(self, queue: str, limit: int, without: frozenset[int]) -> list[Waiting]:
        self._there()
        assert queue == "facts"
        self.limits.append(limit)
        ready = [task for task in self.tasks.values() if task.id not in without]
        return sorted(ready, key=lambda task: (task.due_at, task.id))[:limit]

    async def done(self, task: Waiting) -> None:
        self._there()
        del self.tasks[task.id]

    async def failed(self, task: Waiting, why: str, again_at: int) -> None:
        self._there()
        self.reasons.append((task.id, why, again_at - NOW))
        self.tasks[task.id] = changed(task, due_at=again_at, failures=task.failures + 1)

    def _there(self) -> None:
        if self.away is not None:
            raise self.away


class Queue:
    """A dispatcher, its file, and what it sent: (task, ms after the begin). `answer`: what the worker says to a task, and when."""

    def __init__(self, rules: QueueRules = RULES, answer: Callable[[Waiting], tuple[int, float]] = lambda _: (200, 0.0)) -> None:
        self.clock, self.file, self.log, self.jobs = Time(NOW), File(), Lines(), AsyncioJobs()
        self.sent: list[tuple[int, int]] = []
        self.answer = answer
        self.dispatcher = Dispatcher("facts", self.file, rules, self.send, self.clock, self.jobs, self.log)  # ty: ignore[invalid-argument-type]
        self.running = asyncio.ensure_future(self.dispatcher.run())

    async def send(self, task: Waiting) -> int:
        self.sent.append((task.id, self.clock.now - NOW))
        status, after_s = self.answer(task)
        await self.clock.sleep(after_s)
        if status == 0:
            raise OSError("the worker is away")
        return status


@pytest.fixture
async def queues() -> AsyncGenerator[Callable[..., Queue]]:
    made: list[Queue] = []

    def make(*given: object, **named: object) -> Queue:
        made.append(Queue(*given, **named))  # ty: ignore[invalid-argument-type]
        return made[-1]

    yield make
    for queue in made:
        for task in (queue.running, *queue.jobs._running):
            task.cancel()
        await asyncio.gather(queue.running, *queue.jobs._running, return_exceptions=True)


def test_the_deployed_kind_of_pauses() -> None:
    """Cloud Tasks' RetryConfig: doubled `max_doublings` times, then growing by as much each time, up to the maximum."""
    assert [RULES.backoff_s(failures) for failures in range(1, 8)] == [1, 2, 4, 8, 10, 10, 10]
    linear = replace(RULES, max_backoff_s=100)
    assert [linear.backoff_s(failures) for failures in range(1, 7)] == [1, 2, 4, 8, 12, 16]
    assert [replace(RULES, max_doublings=0, min_backoff_s=3).backoff_s(failures) for failures in (1, 2, 3, 4)] == [3, 6, 9, 10]


async def test_it_begins_with_a_burst_of_one_second_and_keeps_its_rate(queues) -> None:
    """Cloud Tasks' bucket holds a second's worth; here 2 at once, then one each half second."""
    queue = queues(replace(RULES, concurrent=100))
    queue.file.add(*[NOW] * 5)
    await queue.clock.run(10_000)
    assert [number for number, _ in queue.sent] == [1, 2, 3, 4, 5]
    times = [at for _, at in queue.sent]
    assert times[:2] == [0, 0]
    assert times[2:] == pytest.approx([500, 1_000, 1_500], abs=51)  # looked at each 50 ms
    assert min(times[2] - times[0], times[3] - times[2], times[4] - times[3]) >= 450
    queue.file.add(NOW, NOW, NOW, NOW)
    await queue.clock.run(100)
    assert len(queue.sent) == 7  # whoever was idle has a second's worth again, and no more


async def test_a_rate_below_one_a_second_still_begins_with_one(queues) -> None:
    queue = queues(replace(RULES, per_second=0.1))
    queue.file.add(NOW, NOW, NOW)
    await queue.clock.run(21_000)
    assert [(number, round(at / 1000)) for number, at in queue.sent] == [(1, 0), (2, 10), (3, 20)]


async def test_a_fraction_is_rounded_up_in_the_burst(queues) -> None:
    queue = queues(replace(RULES, per_second=1.5))
    queue.file.add(NOW, NOW, NOW)
    await queue.clock.run(60)
    assert len(queue.sent) == 2


async def test_a_token_comes_after_a_second_at_one_a_second(queues) -> None:
    queue = queues(replace(RULES, per_second=1))
    take = queue.dispatcher._take
    assert [take(), take()] == [0, 1_000]
    await queue.clock.run(999)
    assert take() == 1
    await queue.clock.run(1)
    assert [take(), take()] == [0, 1_000]


async def test_the_burst_is_a_second_s_worth_and_not_one_more(queues) -> None:
    queue = queues(replace(RULES, per_second=1_000, concurrent=2_000))
    queue.file.add(*[NOW] * 1_001)
    await queue.clock.run()
    assert len(queue.sent) == 1_000


async def test_no_more_than_so_many_are_under_way(queues) -> None:
    queue = queues(replace(RULES, per_second=100), lambda _: (200, 7.0))
    queue.file.add(*[NOW] * 7)
    await queue.clock.run(6_900)
    assert [number for number, _ in queue.sent] == [1, 2, 3]
    assert queue.file.limits[-1] == 3  # asked for no more than may begin, and not at all while none may
    await queue.clock.run(400)
    assert [number for number, _ in queue.sent] == [1, 2, 3, 4, 5, 6]
    assert set(queue.file.tasks) == {4, 5, 6, 7}


async def test_what_comes_while_every_place_is_taken_waits_and_is_not_even_asked_for(queues) -> None:
    queue = queues(replace(RULES, per_second=100), lambda _: (200, 7.0))
    queue.file.add(NOW, NOW)
    await queue.clock.run(1_000)
    queue.file.add(NOW, NOW)
    await queue.clock.run(1_000)
    assert [number for number, _ in queue.sent] == [1, 2, 3]
    queue.file.add(NOW)
    await queue.clock.run(1_000)
    assert [number for number, _ in queue.sent] == [1, 2, 3]
    assert queue.file.limits == [3, 1]
    await queue.clock.run(5_000)
    assert [number for number, _ in queue.sent] == [1, 2, 3, 4, 5]


async def test_a_task_begins_at_its_moment_and_the_next_due_first(queues) -> None:
    queue = queues(replace(RULES, per_second=100))
    queue.file.add(NOW + 5_000, NOW + 1_000, NOW - 3_000)
    await queue.clock.run(6_000)
    assert [number for number, _ in queue.sent] == [3, 2, 1]
    assert [at for _, at in queue.sent] == [0, 1_000, 5_000]  # to the millisecond, where a look falls on it


async def test_what_comes_while_it_rests_begins_at_the_next_look(queues) -> None:
    queue = queues()
    queue.file.add(NOW + 60_000)
    await queue.clock.run(10_000)
    queue.file.add(NOW)
    await queue.clock.run(50)
    assert queue.sent == [(2, 10_050)]


@pytest.mark.parametrize(("status", "why"), [(199, "the worker answered 199"), (200, ""), (299, ""), (300, "the worker answered 300")])
async def test_only_2xx_ends_a_task(queues, status: int, why: str) -> None:
    queue = queues(RULES, lambda _: (status, 0.0))
    queue.file.add(NOW)
    await queue.clock.run(500)
    assert [reason for _, reason, _ in queue.file.reasons] == ([why] if why else [])
    assert bool(queue.file.tasks) is bool(why)


async def test_a_failure_is_told_and_tried_again_after_its_pause(queues) -> None:
    queue = queues(RULES, lambda task: (503 if task.failures < 3 else 200, 0.0))
    queue.file.add(NOW)
    await queue.clock.run(20_000)
    first = queue.sent[0][1]
    pauses = [later - earlier for (_, earlier), (_, later) in zip(queue.sent, queue.sent[1:], strict=False)]
    assert pauses == pytest.approx([1_000, 2_000, 4_000], abs=60)
    assert all(pause >= least for pause, least in zip(pauses, (1_000, 2_000, 4_000), strict=True))
    line = {"severity": "WARNING", "event": "dispatch", "queue": "facts", "what": "the worker answered 503"}
    assert queue.log.lines == [{**line, "failures": number, "again_s": again} for number, again in ((1, 1.0), (2, 2.0), (3, 4.0))]
    assert queue.file.reasons[0] == (1, "the worker answered 503", first + 1_000)
    assert queue.file.tasks == {}


@pytest.mark.parametrize(
    ("answer", "why", "after_ms"),
    [((0, 1.0), "the worker is away", 1_000), ((200, 91.0), "the worker's answer to task 1 took longer than 90 s", 90_000)],
)
async def test_no_answer_is_a_failure_like_any_other(queues, answer: tuple[int, float], why: str, after_ms: int) -> None:
    queue = queues(RULES, lambda _: answer)
    queue.file.add(NOW)
    await queue.clock.run(90_500)
    assert queue.file.reasons[0] == (1, why, after_ms + 1_000)


async def test_a_file_that_cannot_be_used_is_left_alone_for_a_second(queues) -> None:
    queue = queues()
    queue.file.away = QueueUnavailable("the disk is full")
    await queue.clock.run(2_500)
    line = {"severity": "ERROR", "event": "dispatch", "queue": "facts", "what": "the disk is full"}
    assert queue.log.lines == [line, line, line]
    queue.file.away = None
    queue.file.add(NOW)
    await queue.clock.run(600)
    assert queue.sent == [(1, 3_000)]


async def test_a_result_that_cannot_be_kept_is_told_and_the_task_sent_again(queues) -> None:
    queue = queues(replace(RULES, concurrent=1), lambda _: (200, 0.5))
    queue.file.add(NOW)
    await queue.clock.run(400)
    real, tries = queue.file.done, []

    async def failing(task: Waiting) -> None:
        tries.append(queue.clock.now - NOW)
        if len(tries) == 1:
            raise QueueUnavailable("locked")
        await real(task)

    queue.file.done = failing
    await queue.clock.run(5_000)
    assert tries == [500, tries[1]]
    assert tries[1] >= 500 + 1_000 + 500  # a second's rest, and the next POST
    assert queue.log.lines == [{"severity": "ERROR", "event": "dispatch", "queue": "facts", "what": "locked"}]
    assert queue.file.tasks == {}


def test_how_often_files_are_looked_at() -> None:
    assert (local_dispatch.POLL_S, local_dispatch.FILE_PAUSE_S) == (0.05, 1.0)


# The POST


async def posted(task: Waiting, secret: str, answer: httpx.Response | Exception) -> tuple[int, httpx.Request]:
    requests: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle), timeout=1.0) as client:
        status = await WorkerPosts(client, "http://127.0.0.1:9", secret)(task)
    return status, requests[-1]


TASK = Waiting(7, "facts", "", "/events", b"{}", 1_700_000_000_123, 2)


@pytest.mark.parametrize(("task", "name"), [(TASK, "7"), (changed(TASK, name="probe-1"), "probe-1")])
async def test_a_task_comes_with_cloud_tasks_headers(task: Waiting, name: str) -> None:
    status, request = await posted(task, "s3cret", httpx.Response(302, headers={"Location": "http://127.0.0.1:1/"}))
    assert (status, request.method, str(request.url), request.content) == (302, "POST", "http://127.0.0.1:9/events", b"{}")
    expected = {
        "content-type": "application/json",
        "authorization": "Bearer s3cret",
        "x-cloudtasks-queuename": "facts",
        "x-cloudtasks-taskname": name,
        "x-cloudtasks-taskretrycount": "2",
        "x-cloudtasks-tasketa": "1700000000.123000",
    }
    assert {header: request.headers[header] for header in expected} == expected
    assert set(request.extensions["timeout"].values()) == {None}  # the queue's deadline holds, not the client's


async def test_without_a_secret_there_is_no_authorization() -> None:
    _, request = await posted(TASK, "", httpx.Response(200))
    assert "authorization" not in request.headers


@pytest.mark.parametrize(("text", "why"), [("refused", "refused"), ("", "ConnectError")])
async def test_a_worker_that_does_not_answer_is_an_error_of_the_system(text: str, why: str) -> None:
    with pytest.raises(OSError, match=f"^the worker does not answer: {why}$"):
        await posted(TASK, "", httpx.ConnectError(text))
