"""The fake as Google's own, unmodified clients see it, on a clock that only moves when told to."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from google.api_core import exceptions
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcAsyncIOTransport, CloudTasksGrpcTransport
from tests.unit.simulator.cloud_tasks.worker import Worker

from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import DEFAULT_QUEUE, CloudTasks, CloudTasksSwitches, Limits, Retry
from rtms_simulator.errors import TaskRefusedError

PARENT = "projects/p/locations/l"
EPOCH = 1_700_000_000.0
RETRY = Retry(max_attempts=4, min_backoff_s=10, max_backoff_s=300, max_doublings=3)


@pytest.fixture
def clock() -> Clock:
    return Clock(epoch=EPOCH, rate=0)


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
async def fake(clock: Clock, worker: Worker) -> AsyncGenerator[CloudTasks, None]:
    async with CloudTasks(clock, transport=worker.transport, retry=RETRY) as running:
        yield running


@pytest.fixture
async def client(fake: CloudTasks) -> AsyncGenerator[tasks_v2.CloudTasksAsyncClient, None]:
    async with connected(fake) as made:
        yield made


@asynccontextmanager
async def connected(fake: CloudTasks) -> AsyncGenerator[tasks_v2.CloudTasksAsyncClient, None]:
    made = tasks_v2.CloudTasksAsyncClient(transport=CloudTasksGrpcAsyncIOTransport(channel=grpc.aio.insecure_channel(fake.endpoint)))
    yield made
    await made.transport.close()


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(EPOCH + seconds, UTC)


def post(path: str = "/handoff", name: str = "", **more: Any) -> tasks_v2.Task:
    request = tasks_v2.HttpRequest(url=f"http://worker.test{path}", body=b'{"id":"1"}', headers={"Content-Type": "application/json"})
    return tasks_v2.Task(name=f"{DEFAULT_QUEUE}/tasks/{name}" if name else "", http_request=request, **more)


async def step(clock: Clock, fake: CloudTasks, seconds: float) -> None:
    clock.advance(seconds)
    await fake.settled()


async def test_a_task_is_posted_with_cloud_tasks_headers_and_then_gone(
    fake: CloudTasks, client: tasks_v2.CloudTasksAsyncClient, worker: Worker
) -> None:
    created = await client.create_task(parent=fake.queue, task=post(name="abc"))
    assert created.name == f"{DEFAULT_QUEUE}/tasks/abc"
    assert created.schedule_time == at(0)
    await fake.settled()
    (request,) = worker.requests
    assert (request.method, str(request.url), request.content) == ("POST", "http://worker.test/handoff", b'{"id":"1"}')
    sent = {name: value for name, value in request.headers.items() if name.startswith(("x-cloudtasks", "user-agent", "content-type"))}
    assert sent == {
        "content-type": "application/json",
        "user-agent": "Google-Cloud-Tasks",
        "x-cloudtasks-queuename": "handoffs",
        "x-cloudtasks-taskname": "abc",
        "x-cloudtasks-taskretrycount": "0",
        "x-cloudtasks-taskexecutioncount": "0",
        "x-cloudtasks-tasketa": f"{EPOCH:.6f}",
    }
    with pytest.raises(exceptions.NotFound):
        await client.get_task(name=created.name)
    (shown,) = fake.tasks()
    assert shown.state == "done"
    assert [(attempt.status, attempt.number) for attempt in shown.attempts] == [(200, 1)]


def test_the_synchronous_client_talks_to_it_too() -> None:
    async def serve() -> None:
        async with CloudTasks(Clock(epoch=EPOCH, rate=0), transport=Worker().transport) as fake:
            client = tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=grpc.insecure_channel(fake.endpoint)))
            created = await asyncio.to_thread(client.create_task, parent=fake.queue, task=post())
            assert created.name.startswith(f"{DEFAULT_QUEUE}/tasks/")
            assert await asyncio.to_thread(client.get_queue, name=fake.queue) is not None
            client.transport.close()

    asyncio.run(serve())


async def test_a_name_is_taken_while_the_task_lives_and_a_day_after_it(
    clock: Clock, fake: CloudTasks, client: tasks_v2.CloudTasksAsyncClient
) -> None:
    await client.create_task(parent=fake.queue, task=post(name="abc", schedule_time=at(60)))
    with pytest.raises(exceptions.AlreadyExists):
        await client.create_task(parent=fake.queue, task=post(name="abc"))
    await step(clock, fake, 60)
    with pytest.raises(exceptions.AlreadyExists):
        await client.create_task(parent=fake.queue, task=post(name="abc"))
    await step(clock, fake, 86_399)
    with pytest.raises(exceptions.AlreadyExists):
        await client.create_task(parent=fake.queue, task=post(name="abc"))
    await step(clock, fake, 1)
    await client.create_task(parent=fake.queue, task=post(name="abc"))


async def test_how_long_a_name_stays_taken_is_a_switch(clock: Clock, worker: Worker) -> None:
    async with CloudTasks(clock, transport=worker.transport, switches=CloudTasksSwitches(dedup_s=3600)) as fake, connected(fake) as client:
        created = await client.create_task(parent=fake.queue, task=post(name="abc", schedule_time=at(60)))
        await client.delete_task(name=created.name)
        await step(clock, fake, 3599)
        with pytest.raises(exceptions.AlreadyExists):
            await client.create_task(parent=fake.queue, task=post(name="abc"))
        await step(clock, fake, 1)
        await client.create_task(parent=fake.queue, task=post(name="abc"))


async def test_scheduled_tasks_go_out_at_their_time_and_in_order(clock: Clock, worker: Worker) -> None:
    async with CloudTasks(clock, transport=worker.transport, limits=Limits(concurrent=1)) as fake, connected(fake) as client:
        for path, seconds in [("/third", 30), ("/first", 10), ("/fourth", 30.5), ("/second", 20), ("/last", 99)]:
            await client.create_task(parent=fake.queue, task=post(path, schedule_time=at(seconds)))
        await step(clock, fake, 9.9)
        assert worker.paths == []
        await step(clock, fake, 0.1)
        assert worker.paths == ["/first"]
        await step(clock, fake, 50)
        assert worker.paths == ["/first", "/second", "/third", "/fourth"]


async def test_a_task_is_due_as_long_after_it_was_made_as_its_maker_wrote_whose_clock_is_behind(clock: Clock, worker: Worker) -> None:
    makers = Clock(epoch=EPOCH, rate=0)
    async with CloudTasks(clock, transport=worker.transport, callers_clock=makers) as fake, connected(fake) as client:
        clock.advance(1800)
        made = await client.create_task(parent=fake.queue, task=post("/late", schedule_time=at(5)))
        await client.create_task(parent=fake.queue, task=post("/now"))
        assert made.schedule_time == at(1805)
        await step(clock, fake, 4.9)
        assert worker.paths == ["/now"]
        await step(clock, fake, 0.1)
        assert worker.paths == ["/now", "/late"]


async def test_failures_are_retried_with_the_queue_s_backoff_until_its_attempts_are_over(
    clock: Clock, fake: CloudTasks, client: tasks_v2.CloudTasksAsyncClient, worker: Worker
) -> None:
    worker.answers = [500, 404, 302, 500, 500]
    created = await client.create_task(parent=fake.queue, task=post())
    await fake.settled()
    task = await client.get_task(name=created.name)
    assert (task.dispatch_count, task.response_count, task.schedule_time) == (1, 1, at(10))
    assert task.last_attempt.response_status.message == "HTTP status code 500"
    for seconds, sent in [(9.9, 1), (0.1, 2), (19.9, 2), (0.1, 3), (40, 4), (10_000, 4)]:
        await step(clock, fake, seconds)
        assert len(worker.requests) == sent
    counts = [
        (request.headers["x-cloudtasks-taskretrycount"], request.headers["x-cloudtasks-taskexecutioncount"]) for request in worker.requests
    ]
    assert counts == [("0", "0"), ("1", "0"), ("2", "1"), ("3", "2")]  # a 5xx is no execution
    assert [request.headers.get("x-cloudtasks-taskpreviousresponse") for request in worker.requests] == [None, "500", "404", "302"]
    assert worker.requests[1].headers["x-cloudtasks-taskretryreason"] == "HTTP status code 500"
    assert fake.tasks()[0].state == "exhausted"


async def test_a_worker_that_cannot_be_reached_is_tried_again(
    clock: Clock, fake: CloudTasks, client: tasks_v2.CloudTasksAsyncClient, worker: Worker
) -> None:
    worker.answers = [httpx.ConnectError("refused")]
    created = await client.create_task(parent=fake.queue, task=post())
    await fake.settled()
    task = await client.get_task(name=created.name)
    assert (task.dispatch_count, task.response_count) == (1, 0)
    await step(clock, fake, 10)
    assert worker.requests[1].headers["x-cloudtasks-taskretryreason"].startswith("UNAVAILABLE: ConnectError")
    assert "x-cloudtasks-taskpreviousresponse" not in worker.requests[1].headers
    assert fake.tasks()[0].state == "done"


async def test_a_worker_that_misses_the_deadline_is_cut_off_and_tried_again(
    clock: Clock, fake: CloudTasks, client: tasks_v2.CloudTasksAsyncClient, worker: Worker
) -> None:
    worker.hold = asyncio.Event()
    await client.create_task(parent=fake.queue, task=post(dispatch_deadline=timedelta(seconds=15)))
    await worker.called.wait()
    clock.advance(14.9)
    await asyncio.sleep(0.01)
    assert fake.tasks()[0].attempts[0].failure is None
    await step(clock, fake, 0.1)
    assert fake.tasks()[0].attempts[0].failure == "DEADLINE_EXCEEDED: no answer within 15 s"
    worker.hold.set()
    await step(clock, fake, 10)
    assert fake.tasks()[0].state == "done"


async def test_retry_after_puts_the_next_attempt_off(
    clock: Clock, fake: CloudTasks, client: tasks_v2.CloudTasksAsyncClient, worker: Worker
) -> None:
    worker.answers, worker.headers = [429], {"Retry-After": "25"}
    await client.create_task(parent=fake.queue, task=post())
    await fake.settled()
    await step(clock, fake, 24)
    assert len(worker.requests) == 1
    await step(clock, fake, 1)
    assert len(worker.requests) == 2


async def test_429_and_503_slow_the_whole_queue_down(clock: Clock, worker: Worker) -> None:
    worker.answers = [503]
    async with (
        CloudTasks(clock, transport=worker.transport, retry=Retry(min_backoff_s=1000), limits=Limits(dispatches_per_s=1)) as fake,
        connected(fake) as client,
    ):
        await client.create_task(parent=fake.queue, task=post("/poisoned"))
        await fake.settled()
        await client.create_task(parent=fake.queue, task=post("/other"))
        await step(clock, fake, 1.5)
        assert worker.paths == ["/poisoned"]
        await step(clock, fake, 0.5)
        assert worker.paths == ["/poisoned", "/other"]


async def test_the_rate_and_the_number_at_once_are_limited(clock: Clock) -> None:
    worker = Worker(hold=asyncio.Event())
    async with (
        CloudTasks(clock, transport=worker.transport, limits=Limits(dispatches_per_s=2, concurrent=5)) as fake,
        connected(fake) as client,
    ):
        for _ in range(8):
            await client.create_task(parent=fake.queue, task=post())
        for seconds, sent in [(0, 2), (0.5, 3), (0.5, 4), (0.5, 5), (60, 5)]:
            clock.advance(seconds)
            await asyncio.sleep(0.02)
            assert len(worker.requests) == sent
        assert worker.hold is not None
        worker.hold.set()
        await asyncio.sleep(0.02)
        await step(clock, fake, 60)
        await step(clock, fake, 60)
        assert len(worker.requests) == 8


async def test_a_paused_queue_holds_its_tasks_and_run_task_does_not_care(
    clock: Clock, fake: CloudTasks, client: tasks_v2.CloudTasksAsyncClient, worker: Worker
) -> None:
    assert (await client.pause_queue(name=fake.queue)).state == tasks_v2.Queue.State.PAUSED
    first = await client.create_task(parent=fake.queue, task=post("/forced"))
    await client.create_task(parent=fake.queue, task=post("/held"))
    await step(clock, fake, 60)
    assert worker.paths == []
    await client.run_task(name=first.name)
    await fake.settled()
    assert worker.paths == ["/forced"]
    assert (await client.resume_queue(name=fake.queue)).state == tasks_v2.Queue.State.RUNNING
    await asyncio.sleep(0)
    await fake.settled()
    assert worker.paths == ["/forced", "/held"]


async def test_a_test_runs_a_task_at_once_as_run_task_does(
    fake: CloudTasks, client: tasks_v2.CloudTasksAsyncClient, worker: Worker
) -> None:
    created = await client.create_task(parent=fake.queue, task=post("/later", schedule_time=at(3600)))
    fake.run(created.name)
    await fake.settled()
    assert worker.paths == ["/later"]
    with pytest.raises(TaskRefusedError):
        fake.run(created.name)


async def test_a_forced_run_that_fails_is_scheduled_again(
    clock: Clock, fake: CloudTasks, client: tasks_v2.CloudTasksAsyncClient, worker: Worker
) -> None:
    worker.answers = [500]
    created = await client.create_task(parent=fake.queue, task=post(schedule_time=at(3600)))
    await client.run_task(name=created.name)
    await fake.settled()
    assert (await client.get_task(name=created.name)).schedule_time == at(10)
    await step(clock, fake, 10)
    await step(clock, fake, 3600)
    assert len(worker.requests) == 2


async def test_two_forced_runs_that_fail_at_one_moment_are_one_retry(clock: Clock) -> None:
    worker = Worker(answers=[500, 500])
    flat = Retry(min_backoff_s=10, max_backoff_s=10)
    async with CloudTasks(clock, transport=worker.transport, retry=flat) as fake, connected(fake) as client:
        created = await client.create_task(parent=fake.queue, task=post(schedule_time=at(3600)))
        await asyncio.gather(client.run_task(name=created.name), client.run_task(name=created.name))
        await fake.settled()
        assert len(worker.requests) == 2
        await step(clock, fake, 10)
        await step(clock, fake, 3600)
        assert len(worker.requests) == 3


async def test_deleted_and_purged_tasks_never_go_out(
    clock: Clock, fake: CloudTasks, client: tasks_v2.CloudTasksAsyncClient, worker: Worker
) -> None:
    created = await client.create_task(parent=fake.queue, task=post(schedule_time=at(10)))
    await client.delete_task(name=created.name)
    with pytest.raises(exceptions.NotFound):
        await client.delete_task(name=created.name)
    await client.create_task(parent=fake.queue, task=post(schedule_time=at(10)))
    assert (await client.purge_queue(name=fake.queue)).purge_time == at(0)
    await step(clock, fake, 60)
    assert worker.paths == []
    assert [task.state for task in fake.tasks()] == ["deleted", "purged"]


async def test_the_body_is_shown_in_the_full_view_only(fake: CloudTasks, client: tasks_v2.CloudTasksAsyncClient) -> None:
    created = await client.create_task(parent=fake.queue, task=post(schedule_time=at(60)))
    assert (created.view, created.http_request.body) == (tasks_v2.Task.View.BASIC, b"")
    full = await client.get_task(request={"name": created.name, "response_view": tasks_v2.Task.View.FULL})
    assert (full.view, full.http_request.body) == (tasks_v2.Task.View.FULL, b'{"id":"1"}')
    assert full.create_time == at(0)


async def test_tasks_and_queues_are_listed_in_pages(fake: CloudTasks, client: tasks_v2.CloudTasksAsyncClient) -> None:
    for number in range(5):
        await client.create_task(parent=fake.queue, task=post(name=f"t{number}", schedule_time=at(60)))
        await client.create_queue(parent=PARENT, queue=tasks_v2.Queue(name=f"{PARENT}/queues/q{number}"))
    tasks = [task.name async for task in await client.list_tasks(request={"parent": fake.queue, "page_size": 2})]
    assert [name.rpartition("/")[2] for name in tasks] == ["t0", "t1", "t2", "t3", "t4"]
    queues = [queue.name async for queue in await client.list_queues(request={"parent": PARENT, "page_size": 2})]
    assert queues == [f"{PARENT}/queues/q{number}" for number in range(5)]
    page = await client.list_tasks(request={"parent": fake.queue, "page_size": 2})
    assert len(page.tasks) == 2


async def test_a_queue_s_settings_are_filled_in_truncated_and_changed_by_mask(client: tasks_v2.CloudTasksAsyncClient) -> None:
    name = f"{PARENT}/queues/q"
    created = await client.create_queue(parent=PARENT, queue=tasks_v2.Queue(name=name))
    assert created.rate_limits.max_dispatches_per_second == 500
    assert created.rate_limits.max_concurrent_dispatches == 1000
    assert created.retry_config.max_attempts == 100
    assert created.retry_config.min_backoff == timedelta(seconds=0.1)
    assert created.retry_config.max_backoff == timedelta(hours=1)
    assert created.retry_config.max_doublings == 16
    wanted = tasks_v2.Queue(
        name=name,
        retry_config=tasks_v2.RetryConfig(min_backoff=timedelta(seconds=2.9), max_attempts=7),
        rate_limits=tasks_v2.RateLimits(max_dispatches_per_second=1),
    )
    changed = await client.update_queue(queue=wanted, update_mask={"paths": ["retry_config.min_backoff"]})
    assert changed.retry_config.min_backoff == timedelta(seconds=2)
    assert (changed.retry_config.max_attempts, changed.rate_limits.max_dispatches_per_second) == (100, 500)
    changed = await client.update_queue(queue=wanted)
    assert (changed.retry_config.max_attempts, changed.rate_limits.max_dispatches_per_second) == (7, 1)
    assert await client.get_queue(name=name) == changed
    made = await client.update_queue(queue=tasks_v2.Queue(name=f"{PARENT}/queues/new"))
    assert made.state == tasks_v2.Queue.State.RUNNING


async def test_a_deleted_queue_s_name_stays_taken_for_three_days(clock: Clock, client: tasks_v2.CloudTasksAsyncClient) -> None:
    queue = tasks_v2.Queue(name=f"{PARENT}/queues/q")
    await client.create_queue(parent=PARENT, queue=queue)
    with pytest.raises(exceptions.AlreadyExists):
        await client.create_queue(parent=PARENT, queue=queue)
    await client.delete_queue(name=queue.name)
    with pytest.raises(exceptions.NotFound):
        await client.get_queue(name=queue.name)
    with pytest.raises(exceptions.FailedPrecondition):
        await client.create_queue(parent=PARENT, queue=queue)
    clock.advance(3 * 86_400)
    await client.create_queue(parent=PARENT, queue=queue)


LONG = "x" * 101
WRONG_TASKS: dict[str, Callable[[], tasks_v2.Task]] = {
    "no target": tasks_v2.Task,
    "no scheme": lambda: tasks_v2.Task(http_request=tasks_v2.HttpRequest(url="worker.test/handoff")),
    "other scheme": lambda: tasks_v2.Task(http_request=tasks_v2.HttpRequest(url="ftp://worker.test")),
    "no host": lambda: tasks_v2.Task(http_request=tasks_v2.HttpRequest(url="http:///handoff")),
    "long url": lambda: tasks_v2.Task(http_request=tasks_v2.HttpRequest(url=f"http://w.test/{'x' * 2083}")),
    "body of a GET": lambda: tasks_v2.Task(http_request=tasks_v2.HttpRequest(url="http://w.test", http_method="GET", body=b"x")),
    "large": lambda: tasks_v2.Task(http_request=tasks_v2.HttpRequest(url="http://w.test", body=bytes(1_048_576))),
    "large headers": lambda: tasks_v2.Task(http_request=tasks_v2.HttpRequest(url="http://w.test", headers={"X": "x" * 81_920})),
    "short deadline": lambda: post(dispatch_deadline=timedelta(seconds=14)),
    "long deadline": lambda: post(dispatch_deadline=timedelta(seconds=1801)),
    "far schedule": lambda: post(schedule_time=at(30 * 86_400 + 1)),
    "odd name": lambda: post(name="a/b"),
    "odd letter": lambda: post(name="ä"),
    "long name": lambda: post(name="x" * 501),
    "another queue": lambda: tasks_v2.Task(name=f"{PARENT}/queues/q/tasks/t", http_request=tasks_v2.HttpRequest(url="http://w.test")),
}


@pytest.mark.parametrize("wrong", WRONG_TASKS)
async def test_a_wrong_task_is_an_invalid_argument(
    fake: CloudTasks, client: tasks_v2.CloudTasksAsyncClient, worker: Worker, wrong: str
) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        await client.create_task(parent=fake.queue, task=WRONG_TASKS[wrong]())
    await fake.settled()
    assert fake.tasks() == []
    assert worker.requests == []


@pytest.mark.parametrize(
    "queue",
    [
        tasks_v2.Queue(name=f"{PARENT}/queues/{LONG}"),
        tasks_v2.Queue(name=f"{PARENT}/queues/under_score"),
        tasks_v2.Queue(name="projects/other/locations/l/queues/q"),
        tasks_v2.Queue(name=f"{PARENT}/queues/q", rate_limits={"max_dispatches_per_second": 501}),
        tasks_v2.Queue(name=f"{PARENT}/queues/q", rate_limits={"max_concurrent_dispatches": 5001}),
        tasks_v2.Queue(name=f"{PARENT}/queues/q", retry_config={"max_attempts": -2}),
        tasks_v2.Queue(name=f"{PARENT}/queues/q", retry_config={"max_doublings": -1}),
        tasks_v2.Queue(name=f"{PARENT}/queues/q", retry_config={"min_backoff": timedelta(seconds=-1)}),
        tasks_v2.Queue(name=f"{PARENT}/queues/q", retry_config={"min_backoff": timedelta(hours=2)}),
    ],
)
async def test_a_wrong_queue_is_an_invalid_argument(client: tasks_v2.CloudTasksAsyncClient, queue: tasks_v2.Queue) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        await client.create_queue(parent=PARENT, queue=queue)


async def test_what_is_not_there_is_not_found(fake: CloudTasks, client: tasks_v2.CloudTasksAsyncClient) -> None:
    with pytest.raises(exceptions.NotFound, match="Queue does not exist"):
        await client.create_task(parent=f"{PARENT}/queues/none", task=post())
    with pytest.raises(exceptions.NotFound):
        await client.run_task(name=f"{fake.queue}/tasks/none")
    with pytest.raises(exceptions.InvalidArgument):
        await client.get_task(name="nonsense")


async def test_what_the_fake_does_not_offer_is_unimplemented(fake: CloudTasks, client: tasks_v2.CloudTasksAsyncClient) -> None:
    with pytest.raises(exceptions.MethodNotImplemented):
        await client.get_iam_policy(request={"resource": fake.queue})
    with pytest.raises(exceptions.MethodNotImplemented):
        await client.create_task(
            parent=fake.queue, task=tasks_v2.Task(app_engine_http_request=tasks_v2.AppEngineHttpRequest(relative_uri="/x"))
        )


def claims(request: httpx.Request) -> dict[str, Any]:
    scheme, _, token = request.headers["authorization"].partition(" ")
    assert scheme == "Bearer"
    middle = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))


async def test_an_oidc_token_names_account_and_audience_and_says_that_it_is_a_fake(
    fake: CloudTasks, client: tasks_v2.CloudTasksAsyncClient, worker: Worker
) -> None:
    task = post()
    task.http_request.oidc_token = tasks_v2.OidcToken(
        service_account_email="invoker@p.iam.gserviceaccount.com", audience="https://worker.run.app"
    )
    task.http_request.headers["Authorization"] = "Basic of-the-task"
    await client.create_task(parent=fake.queue, task=task)
    await fake.settled()
    found = claims(worker.requests[0])
    assert found["email"] == "invoker@p.iam.gserviceaccount.com"
    assert found["aud"] == "https://worker.run.app"
    assert found["rtmskit_fake"] is True
    assert (found["iat"], found["exp"]) == (EPOCH, EPOCH + 3600)
    task = post()
    task.http_request.oidc_token = tasks_v2.OidcToken(service_account_email="a@b")
    await client.create_task(parent=fake.queue, task=task)
    await fake.settled()
    assert claims(worker.requests[1])["aud"] == "http://worker.test/handoff"


async def test_headers_that_are_google_s_cannot_be_set_by_a_task(
    fake: CloudTasks, client: tasks_v2.CloudTasksAsyncClient, worker: Worker
) -> None:
    task = post()
    task.http_request.headers.update(
        {"x-cloudtasks-taskretrycount": "99", "user-agent": "me", "host": "evil.test", "X-Google-Foo": "1", "X-Own": "2"}
    )
    await client.create_task(parent=fake.queue, task=task)
    await fake.settled()
    headers = worker.requests[0].headers
    assert headers["x-cloudtasks-taskretrycount"] == "0"
    assert headers["user-agent"] == "Google-Cloud-Tasks"
    assert headers["host"] == "worker.test"
    assert "x-google-foo" not in headers
    assert headers["x-own"] == "2"


async def test_reset_forgets_everything_and_keeps_the_initial_queue(
    clock: Clock, fake: CloudTasks, client: tasks_v2.CloudTasksAsyncClient, worker: Worker
) -> None:
    await client.create_queue(parent=PARENT, queue=tasks_v2.Queue(name=f"{PARENT}/queues/q"))
    await client.create_task(parent=fake.queue, task=post(name="done"))
    await fake.settled()
    await client.create_task(parent=fake.queue, task=post("/waiting", schedule_time=at(60)))
    fake.faults.add("tasks.dispatch.*: lost x*")
    fake.reset()
    assert fake.tasks() == []
    with pytest.raises(exceptions.NotFound):
        await client.get_queue(name=f"{PARENT}/queues/q")
    await step(clock, fake, 60)
    assert worker.paths == ["/handoff"]
    await client.create_task(parent=fake.queue, task=post("/again", name="done"))
    await fake.settled()
    assert worker.paths == ["/handoff", "/again"]


async def test_closing_with_an_answer_outstanding_does_not_hang(clock: Clock) -> None:
    worker = Worker(hold=asyncio.Event())
    async with CloudTasks(clock, transport=worker.transport) as fake, connected(fake) as client:
        await client.create_task(parent=fake.queue, task=post())
        await worker.called.wait()
    await fake.aclose()


async def test_a_taken_port_is_an_oserror_that_says_so(clock: Clock, fake: CloudTasks) -> None:
    port = int(fake.endpoint.rpartition(":")[2])
    with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
        await CloudTasks(clock, port=port).start()


async def test_on_a_running_clock_retries_come_by_themselves(worker: Worker) -> None:
    worker.answers = [500, 500]
    async with CloudTasks(Clock(rate=1000), transport=worker.transport, retry=RETRY) as fake, connected(fake) as client:
        await client.create_task(parent=fake.queue, task=post())
        for _ in range(200):
            if len(worker.requests) == 3:
                break
            await asyncio.sleep(0.01)
        assert len(worker.requests) == 3
