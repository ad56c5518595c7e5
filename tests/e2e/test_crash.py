"""SIGKILL between the ack and the hand-off: the acked start is handed on exactly once, by real processes on SQLite."""

import asyncio
import contextlib

import grpc.aio
import pytest
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcAsyncIOTransport

from rtms_simulator.control.answers import PlayRequest
from rtms_simulator.kit.play import resolve
from rtms_simulator.kit.stack import Plan, Stack
from rtms_simulator.kit.worker_answers import HandOffRow
from rtms_simulator.kit.worker_client import Recordings
from rtms_simulator.zoom import MeetingReport
from rtms_simulator.zoom.webhooks.sender import Delivery


@pytest.fixture
async def stack(tmp_path):
    one = Stack(Plan(tmp_path))
    await one.start()
    yield one
    await one.aclose()


async def eventually(look, within_s: float = 40):
    """The first true answer of `look`."""
    for _ in range(int(within_s * 10)):
        if found := await look():
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"not within {within_s} s")


async def row_of(stack: Stack, stream_id: str) -> HandOffRow | None:
    client = Recordings(stack.worker_url, stack.run_secret)
    try:
        return next(iter([row async for row in client.every() if row.rtms_stream_id == stream_id]), None)
    finally:
        await client.aclose()


async def acked(meeting) -> Delivery | None:
    return next(iter(meeting.deliveries), None)


def creates(stack: Stack) -> list:
    return [one for one in stack.recall.api.history if one.method == "POST" and one.path.startswith("/api/v1/meeting_direct_connect")]


@pytest.fixture
async def queue(stack):
    """Google's own client, to hold the queue and let it go."""
    async with grpc.aio.insecure_channel(stack.tasks.endpoint) as channel:
        yield tasks_v2.CloudTasksAsyncClient(transport=CloudTasksGrpcAsyncIOTransport(channel=channel))


@contextlib.asynccontextmanager
async def taking_place(stack: Stack):
    """A meeting that goes on as fast as it is read, and is broken off if the test fails."""
    [(scenario, source)] = resolve(PlayRequest()).meetings()
    meeting = stack.zoom.begin(scenario, stack.webhook_url, speed="max", source=source)
    try:
        yield meeting
    finally:
        await meeting.aclose()


async def kill(stack: Stack, role: str) -> None:
    assert stack.function is not None
    stack.function.children[role].kill()
    assert str(await stack.function.ended()) == f"the {role} process was killed by SIGKILL"


async def home(stack: Stack, report: MeetingReport) -> HandOffRow:
    """The row of the meeting's one stream, once its recording is done."""
    [stream] = report.streams
    assert stream.joined_ms is not None

    async def done():
        row = await row_of(stack, stream.stream_id)
        return row if row and row.retrieval == "done" else None

    return await eventually(done)


async def test_the_webhook_process_dies_after_its_ack_and_the_hand_off_is_accepted_exactly_once(stack, queue):
    """The queue is held until the webhook is dead, so the ack is all that has happened when it dies."""
    for name in stack.tasks.initial_queues[:2]:
        await queue.pause_queue(name=name)
    async with taking_place(stack) as meeting:
        delivery = await eventually(lambda: acked(meeting))
        assert delivery.status == 200
        await kill(stack, "webhook")
        assert creates(stack) == []
        await stack.function.start_one("webhook")
        for name in stack.tasks.initial_queues[:2]:
            await queue.resume_queue(name=name)
        row = await home(stack, await meeting.finished())
    assert row.state == "accepted"
    assert [exchange.status for exchange in creates(stack)] == [201]
    assert len(stack.recall.workspace.mdcs) == 1


async def test_the_worker_dies_in_the_middle_of_its_post_and_there_is_still_one_recording(stack):
    """Recall does what it was asked, but the worker is dead before the answer: the same Idempotency-Key makes the next POST harmless."""
    stack.recall.faults.add("recall.create: slow 2s then ok")

    async def posted():
        return creates(stack)

    async with taking_place(stack) as meeting:
        await eventually(posted)
        await kill(stack, "worker")
        await stack.function.start_one("worker")
        row = await home(stack, await meeting.finished())
    # Accepted by the second POST's answer, or by Recall's webhook about the recording, whichever came first.
    assert row.state == "accepted"
    assert len(stack.recall.workspace.mdcs) == len(stack.recall.workspace.recordings) == len(row.recordings) == 1
    assert len({exchange.idempotency_key for exchange in creates(stack)}) == 1
