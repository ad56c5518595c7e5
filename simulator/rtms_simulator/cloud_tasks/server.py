"""The gRPC face: google.cloud.tasks.v2.CloudTasks, as the unmodified google-cloud-tasks clients call it.

Methods that are not in `RPCS` (IAM, BufferTask, batches) answer UNIMPLEMENTED.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.cloud import tasks_v2
from google.rpc import status_pb2

from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks.broker import Broker, QueueRecord, TaskRecord
from rtms_simulator.cloud_tasks.dispatch import Attempt, succeeded
from rtms_simulator.cloud_tasks.messages import check_queue_name, check_task_name, invalid, moment, task_message
from rtms_simulator.cloud_tasks.rules import LOCATION_NAME
from rtms_simulator.errors import TaskRefusedError

R = TypeVar("R")

_SERVICE = "google.cloud.tasks.v2.CloudTasks"
_MAX_PAGE = 1000


class Service:
    """One method for each RPC: takes the request message, returns the answer, raises `TaskRefusedError`."""

    def __init__(self, clock: Clock, broker: Broker, callers_clock: Clock) -> None:
        self._clock = clock
        self._callers_clock = callers_clock
        self._broker = broker

    def list_queues(self, request: tasks_v2.ListQueuesRequest) -> tasks_v2.ListQueuesResponse:
        if LOCATION_NAME.fullmatch(request.parent) is None:
            raise invalid(f"parent must be projects/PROJECT_ID/locations/LOCATION_ID, found {request.parent!r}")
        if request.filter:
            raise TaskRefusedError(grpc.StatusCode.UNIMPLEMENTED, "this fake lists queues without a filter")
        queues = [queue for queue in self._broker.queues() if queue.name.startswith(f"{request.parent}/")]
        page, token = _page(queues, _queue_name, request.page_size, request.page_token)
        return tasks_v2.ListQueuesResponse(queues=[self._broker.shown(queue) for queue in page], next_page_token=token)

    def get_queue(self, request: tasks_v2.GetQueueRequest) -> tasks_v2.Queue:
        return self._broker.shown(self._queue(request.name))

    def create_queue(self, request: tasks_v2.CreateQueueRequest) -> tasks_v2.Queue:
        check_queue_name(request.queue.name)
        if not request.queue.name.startswith(f"{request.parent}/queues/"):
            raise invalid(f"queue {request.queue.name!r} is not in {request.parent!r}")
        return self._broker.create_queue(request.queue).message

    def update_queue(self, request: tasks_v2.UpdateQueueRequest) -> tasks_v2.Queue:
        """Creates the queue if there is none (UpdateQueue: "creates the queue if it does not exist")."""
        check_queue_name(request.queue.name)
        existing = {queue.name: queue for queue in self._broker.queues()}.get(request.queue.name)
        if existing is None:
            return self._broker.create_queue(request.queue).message
        new_queue = tasks_v2.Queue(request.queue)
        if request.update_mask.paths:
            new_queue = tasks_v2.Queue(existing.message)
            mask = type(request.update_mask)(paths=[path for path in request.update_mask.paths if path != "name"])
            if not mask.IsValidForDescriptor(tasks_v2.Queue.pb(new_queue).DESCRIPTOR):
                raise invalid(f"update_mask names fields that a queue does not have: {', '.join(request.update_mask.paths)}")
            mask.MergeMessage(tasks_v2.Queue.pb(request.queue), tasks_v2.Queue.pb(new_queue), replace_message_field=True)
        return self._broker.change_queue(new_queue).message

    def delete_queue(self, request: tasks_v2.DeleteQueueRequest) -> None:
        self._queue(request.name)
        self._broker.delete_queue(request.name)

    def purge_queue(self, request: tasks_v2.PurgeQueueRequest) -> tasks_v2.Queue:
        self._queue(request.name)
        return self._broker.purge_queue(request.name).message

    def pause_queue(self, request: tasks_v2.PauseQueueRequest) -> tasks_v2.Queue:
        self._queue(request.name)
        return self._broker.set_paused(request.name, paused=True).message

    def resume_queue(self, request: tasks_v2.ResumeQueueRequest) -> tasks_v2.Queue:
        self._queue(request.name)
        return self._broker.set_paused(request.name, paused=False).message

    def list_tasks(self, request: tasks_v2.ListTasksRequest) -> tasks_v2.ListTasksResponse:
        tasks = sorted(self._queue(request.parent).tasks.values(), key=_task_name)
        page, token = _page(tasks, _task_name, request.page_size, request.page_token)
        return tasks_v2.ListTasksResponse(tasks=[task_view(task, request.response_view) for task in page], next_page_token=token)

    def get_task(self, request: tasks_v2.GetTaskRequest) -> tasks_v2.Task:
        return task_view(self._task(request.name), request.response_view)

    async def create_task(self, request: tasks_v2.CreateTaskRequest) -> tasks_v2.Task:
        self._queue(request.parent)
        fault = self._broker.creation_fault(request.parent)
        if fault.word == "hang":
            await asyncio.get_running_loop().create_future()
        if fault.word == "slow":
            await self._clock.sleep(fault.number("seconds"))
        now = self._clock.now()
        task, due_at = task_message(request.parent, request.task, now, ahead_s=round(now - self._callers_clock.now(), 3))
        record = self._broker.create_task(request.parent, task, due_at)
        if fault.word == "cut":
            raise TaskRefusedError(grpc.StatusCode.UNAVAILABLE, "the connection was closed before the answer (fault)")
        return task_view(record, request.response_view)

    def delete_task(self, request: tasks_v2.DeleteTaskRequest) -> None:
        self._task(request.name)
        self._broker.delete_task(request.name)

    def run_task(self, request: tasks_v2.RunTaskRequest) -> tasks_v2.Task:
        self._task(request.name)
        return task_view(self._broker.run_task(request.name), request.response_view)

    def _queue(self, name: str) -> QueueRecord:
        check_queue_name(name)
        return self._broker.queue(name)

    def _task(self, name: str) -> TaskRecord:
        check_task_name(name)
        return self._broker.task(name)


RPCS: dict[str, tuple[str, Any, Any]] = {
    "ListQueues": ("list_queues", tasks_v2.ListQueuesRequest, tasks_v2.ListQueuesResponse),
    "GetQueue": ("get_queue", tasks_v2.GetQueueRequest, tasks_v2.Queue),
    "CreateQueue": ("create_queue", tasks_v2.CreateQueueRequest, tasks_v2.Queue),
    "UpdateQueue": ("update_queue", tasks_v2.UpdateQueueRequest, tasks_v2.Queue),
    "DeleteQueue": ("delete_queue", tasks_v2.DeleteQueueRequest, None),
    "PurgeQueue": ("purge_queue", tasks_v2.PurgeQueueRequest, tasks_v2.Queue),
    "PauseQueue": ("pause_queue", tasks_v2.PauseQueueRequest, tasks_v2.Queue),
    "ResumeQueue": ("resume_queue", tasks_v2.ResumeQueueRequest, tasks_v2.Queue),
    "ListTasks": ("list_tasks", tasks_v2.ListTasksRequest, tasks_v2.ListTasksResponse),
    "GetTask": ("get_task", tasks_v2.GetTaskRequest, tasks_v2.Task),
    "CreateTask": ("create_task", tasks_v2.CreateTaskRequest, tasks_v2.Task),
    "DeleteTask": ("delete_task", tasks_v2.DeleteTaskRequest, None),
    "RunTask": ("run_task", tasks_v2.RunTaskRequest, tasks_v2.Task),
}
"""Each RPC: our method, its request, its answer (None: google.protobuf.Empty)."""


def add_to(server: grpc.aio.Server, service: Service) -> None:
    """Register the service with a gRPC server of the running loop."""
    handlers = {}
    for rpc, (method, request, answer) in RPCS.items():
        handlers[rpc] = grpc.unary_unary_rpc_method_handler(
            _answering(getattr(service, method)),
            request_deserializer=request.deserialize,
            response_serializer=_nothing if answer is None else answer.serialize,
        )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))


def task_view(record: TaskRecord, view: tasks_v2.Task.View) -> tasks_v2.Task:
    """The task as an answer shows it: with its counts, and with its body only in the FULL view."""
    task = tasks_v2.Task(record.task)
    task.schedule_time = moment(record.due_at)
    first_hand = [attempt for attempt in record.attempts if not attempt.duplicate]
    task.dispatch_count = len(first_hand)
    task.response_count = record.responses
    if first_hand:
        # "Only dispatch_time will be set", of the first attempt.
        task.first_attempt = tasks_v2.Attempt(dispatch_time=moment(first_hand[0].dispatched_at))
        task.last_attempt = _attempt_view(first_hand[-1])
    task.view = tasks_v2.Task.View.FULL if view == tasks_v2.Task.View.FULL else tasks_v2.Task.View.BASIC
    if task.view == tasks_v2.Task.View.BASIC:
        task.http_request.body = b""
    return task


def _attempt_view(attempt: Attempt) -> tasks_v2.Attempt:
    view = tasks_v2.Attempt(schedule_time=moment(attempt.scheduled_at), dispatch_time=moment(attempt.dispatched_at))
    if attempt.responded_at is not None:
        view.response_time = moment(attempt.responded_at)
        code = 0 if succeeded(attempt.status) else grpc.StatusCode.UNKNOWN.value[0]
        view.response_status = status_pb2.Status(code=code, message=attempt.failure or f"HTTP status code {attempt.status}")
    return view


def _answering(method: Callable[[Any], R | Awaitable[R]]) -> Callable[[Any, grpc.aio.ServicerContext[Any, Any]], Any]:
    async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> R:
        try:
            answer = method(request)
            return await answer if inspect.isawaitable(answer) else answer
        except TaskRefusedError as refused:
            await context.abort(refused.status, refused.message)
            raise AssertionError("abort always raises") from refused

    return answer


def _nothing(_: None) -> bytes:
    """google.protobuf.Empty on the wire."""
    return b""


def _page(rows: Sequence[R], name: Callable[[R], str], size: int, token: str) -> tuple[Sequence[R], str]:
    """One page of what is sorted by name. The token is the last name of the page before, so that deletions move nothing."""
    if size < 0:
        raise invalid(f"page_size must not be negative, found {size}")
    rest = [one for one in rows if name(one) > token] if token else rows
    limit = min(size or _MAX_PAGE, _MAX_PAGE)
    page = rest[:limit]
    return page, name(page[-1]) if len(rest) > limit else ""


def _queue_name(queue: QueueRecord) -> str:
    return queue.name


def _task_name(task: TaskRecord) -> str:
    return task.name
