"""Google's messages: what is valid, what the service fills in, and what they mean in seconds. Pure."""

from __future__ import annotations

import urllib.parse
from datetime import UTC, datetime, timedelta

import grpc
from google.cloud import tasks_v2

from rtms_simulator.cloud_tasks.rules import (
    DEADLINE_RANGE_S,
    MAX_CONCURRENT,
    MAX_HEADER_BYTES,
    MAX_RATE,
    MAX_SCHEDULE_S,
    MAX_TASK_BYTES,
    MAX_URL_LENGTH,
    QUEUE_NAME,
    TASK_NAME,
    CloudTasksSwitches,
    Limits,
    Retry,
)
from rtms_simulator.errors import TaskRefusedError

_EPOCH = datetime.fromtimestamp(0, UTC)
_WITH_BODY = frozenset({tasks_v2.HttpMethod.POST, tasks_v2.HttpMethod.PUT, tasks_v2.HttpMethod.PATCH})


def invalid(message: str) -> TaskRefusedError:
    return TaskRefusedError(grpc.StatusCode.INVALID_ARGUMENT, message)


def moment(seconds: float) -> datetime:
    """Seconds since the epoch as the client library wants a timestamp: to the microsecond."""
    return _EPOCH + timedelta(microseconds=round(seconds * 1_000_000))


def seconds_of(timestamp: datetime) -> float:
    return (timestamp - _EPOCH) / timedelta(seconds=1)


def check_queue_name(name: str) -> None:
    if QUEUE_NAME.fullmatch(name) is None:
        raise invalid(f"Queue name must be projects/PROJECT_ID/locations/LOCATION_ID/queues/QUEUE_ID, found {name!r}")


def check_task_name(name: str, queue_name: str | None = None) -> None:
    """Raise unless it is a task's full name, and in that queue if one is given."""
    matched = TASK_NAME.fullmatch(name)
    if matched is None:
        raise invalid(f"Task name must be QUEUE_NAME/tasks/TASK_ID with TASK_ID in [A-Za-z0-9_-], at most 500 characters, found {name!r}")
    if queue_name is not None and matched["queue"] != queue_name:
        raise invalid(f"The queue name from request ({queue_name!r}) must be the same as the queue name in the named task ({name!r})")


def queue_message(queue: tasks_v2.Queue, switches: CloudTasksSwitches) -> tasks_v2.Queue:
    """The queue as the service keeps it: defaults filled in, output fields set. Raises `TaskRefusedError`."""
    check_queue_name(queue.name)
    _check_numbers(queue)
    limits, retry = queue.rate_limits, queue.retry_config
    message = tasks_v2.Queue(queue)
    message.state = tasks_v2.Queue.State.RUNNING
    message.purge_time = None
    default_limits, default_retry = Limits(), Retry()
    message.rate_limits.max_dispatches_per_second = limits.max_dispatches_per_second or default_limits.dispatches_per_s
    message.rate_limits.max_concurrent_dispatches = limits.max_concurrent_dispatches or default_limits.concurrent
    message.rate_limits.max_burst_size = limits_of(message).burst
    message.retry_config.max_attempts = retry.max_attempts or default_retry.max_attempts
    message.retry_config.max_doublings = retry.max_doublings if "max_doublings" in retry else default_retry.max_doublings
    for name, default_s in (
        ("max_retry_duration", default_retry.max_duration_s),
        ("min_backoff", default_retry.min_backoff_s),
        ("max_backoff", default_retry.max_backoff_s),
    ):
        setattr(message.retry_config, name, _duration(retry, name, default_s, switches))
    if message.retry_config.min_backoff > message.retry_config.max_backoff:
        raise invalid("min_backoff must not be longer than max_backoff")
    return message


def _check_numbers(queue: tasks_v2.Queue) -> None:
    limits, retry = queue.rate_limits, queue.retry_config
    if not 0 <= limits.max_dispatches_per_second <= MAX_RATE:
        raise invalid(f"max_dispatches_per_second must be from 0 to 500, found {limits.max_dispatches_per_second:g}")
    if not 0 <= limits.max_concurrent_dispatches <= MAX_CONCURRENT:
        raise invalid(f"max_concurrent_dispatches must be from 0 to 5000, found {limits.max_concurrent_dispatches}")
    if retry.max_attempts < -1:
        raise invalid(f"max_attempts must be at least -1, found {retry.max_attempts}")
    if retry.max_doublings < 0:
        raise invalid(f"max_doublings must not be negative, found {retry.max_doublings}")


def _duration(retry: tasks_v2.RetryConfig, name: str, default_s: float, switches: CloudTasksSwitches) -> timedelta:
    if name not in retry:
        return timedelta(seconds=default_s)
    duration: timedelta = getattr(retry, name)
    if duration < timedelta(0):
        raise invalid(f"{name} must not be negative, found {duration.total_seconds():g} s")
    return timedelta(seconds=int(duration.total_seconds())) if switches.truncate_backoff else duration


def limits_of(queue: tasks_v2.Queue) -> Limits:
    return Limits(queue.rate_limits.max_dispatches_per_second, queue.rate_limits.max_concurrent_dispatches)


def retry_of(queue: tasks_v2.Queue) -> Retry:
    config = queue.retry_config
    return Retry(
        max_attempts=config.max_attempts,
        max_duration_s=config.max_retry_duration.total_seconds(),
        min_backoff_s=config.min_backoff.total_seconds(),
        max_backoff_s=config.max_backoff.total_seconds(),
        max_doublings=config.max_doublings,
    )


def retry_message(retry: Retry) -> tasks_v2.RetryConfig:
    return tasks_v2.RetryConfig(
        max_attempts=retry.max_attempts,
        max_retry_duration=timedelta(seconds=retry.max_duration_s),
        min_backoff=timedelta(seconds=retry.min_backoff_s),
        max_backoff=timedelta(seconds=retry.max_backoff_s),
        max_doublings=retry.max_doublings,
    )


def task_message(queue_name: str, task: tasks_v2.Task, now: float, ahead_s: float = 0.0) -> tuple[tasks_v2.Task, float]:
    """The task as the service keeps it, and when it is due. `ahead_s`: by how much `now` is later than the clock of who made the task.

    Raises `TaskRefusedError` for what Cloud Tasks would not take.
    """
    if task.name:
        check_task_name(task.name, queue_name)
    if "app_engine_http_request" in task:
        raise TaskRefusedError(grpc.StatusCode.UNIMPLEMENTED, "this fake sends HTTP tasks; App Engine tasks have no worker here")
    if "http_request" not in task:
        raise invalid("Task must have http_request or app_engine_http_request")
    _check_request(task.http_request)
    size = len(tasks_v2.Task.serialize(task))
    if size > MAX_TASK_BYTES:
        raise invalid(f"Task size too large: {size} bytes, allowed are {MAX_TASK_BYTES}")
    low, high = DEADLINE_RANGE_S
    if "dispatch_deadline" in task and not low <= task.dispatch_deadline.total_seconds() <= high:
        raise invalid(f"dispatch_deadline must be from {low:g} s to {high:g} s, found {task.dispatch_deadline.total_seconds():g} s")
    due_at = seconds_of(task.schedule_time) + ahead_s if "schedule_time" in task else now
    if due_at > now + MAX_SCHEDULE_S:
        raise invalid(f"schedule_time must be within 30 days, found {(due_at - now) / 86_400:.1f} days ahead")
    message = tasks_v2.Task(
        name=task.name,
        http_request=task.http_request,
        create_time=moment(int(now)),
        dispatch_deadline=task.dispatch_deadline if "dispatch_deadline" in task else None,
    )
    if not message.http_request.http_method:
        message.http_request.http_method = tasks_v2.HttpMethod.POST
    return message, max(due_at, now)


def _check_request(request: tasks_v2.HttpRequest) -> None:
    parts = urllib.parse.urlsplit(request.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise invalid(f"HttpRequest.url must begin with http:// or https:// and name a host, found {request.url!r}")
    if len(request.url) > MAX_URL_LENGTH:
        raise invalid(f"HttpRequest.url must have at most {MAX_URL_LENGTH} characters, found {len(request.url)}")
    if request.body and request.http_method and request.http_method not in _WITH_BODY:
        raise invalid(f"HttpRequest.body is allowed for POST, PUT and PATCH only, found {tasks_v2.HttpMethod(request.http_method).name}")
    if sum(len(name.encode()) + len(value.encode()) for name, value in request.headers.items()) > MAX_HEADER_BYTES:
        raise invalid("HttpRequest.headers must be under 80 KiB")
