"""One queue: Google Cloud Tasks, over google-cloud-tasks' async client, on a channel of its own.

A call that gets no answer in time is the last one on its channel. A connection that the network has dropped without a word (an instance
that was frozen, a firewall that has forgotten it) would stay open here until the kernel gives it up after a quarter of an hour, and every
call on it would end so. Google's Firestore client has keep-alives against that, the one of Cloud Tasks has none.

A task without a name is always a new one. A task's name stays taken after the task is done or deleted, for up to 24 hours (CreateTask
reference): what has the same name is one task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rtms_relay import budgets
from rtms_relay.adapters import needs
from rtms_relay.errors import QueueUnavailable
from rtms_relay.ports import Path

if TYPE_CHECKING:
    from google.cloud.tasks_v2 import CloudTasksAsyncClient
    from grpc.aio import Channel

_ADVICE = {
    "PermissionDenied": needs.hint("cloud_tasks"),
    "NotFound": "the queue does not exist, or sleeps after 30 days without a task",
    "Unauthenticated": "the service account has no valid credentials",
    "DefaultCredentialsError": "no Google credentials were found; for a fake set TASKS_ENDPOINT",
    "FailedPrecondition": "the queue was deleted lately, or is disabled",
}


@dataclass(frozen=True, slots=True)
class Target:
    """Where the tasks of a queue go. `invokers`: path -> the service account whose OIDC token (audience: `worker_url`) goes with a task;
    without one it carries none. `deadline_s`: how long the queue waits for the worker's answer (15 s to 30 min)."""

    worker_url: str
    invokers: Mapping[str, str]
    deadline_s: float


class CloudTasksQueue:
    """`Queue` on one Cloud Tasks queue, `projects/P/locations/L/queues/Q`.

    `endpoint` (`host:port`) talks plain gRPC to a fake, without credentials; empty is Google. The client is made on first use, inside the
    running loop, and made anew after a call without an answer. Every call ends within `timeout_s` (seconds).
    """

    def __init__(self, queue: str, target: Target, *, endpoint: str = "", timeout_s: float = budgets.ENQUEUE_MS / 1000) -> None:
        self._queue = queue
        self._target = target
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._client: CloudTasksAsyncClient | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def enqueue(self, path: Path, body: bytes, *, not_before_ms: int | None = None, name: str = "") -> bool:
        from google.api_core.exceptions import Aborted, Conflict, DeadlineExceeded, GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
        from google.cloud import tasks_v2

        request = tasks_v2.HttpRequest(
            http_method=tasks_v2.HttpMethod.POST,
            url=f"{self._target.worker_url}{path}",
            headers={"Content-Type": "application/json"},
            body=body,
        )
        if invoker := self._target.invokers.get(path):
            request.oidc_token = tasks_v2.OidcToken(service_account_email=invoker, audience=self._target.worker_url)
        task = tasks_v2.Task(http_request=request, dispatch_deadline=timedelta(seconds=self._target.deadline_s))
        if name:
            task.name = f"{self._queue}/tasks/{name}"
        if not_before_ms is not None:
            task.schedule_time = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=not_before_ms)
        try:
            client = self._connected()
            try:
                await client.create_task(parent=self._queue, task=task, retry=None, timeout=self._timeout_s)
            except DeadlineExceeded:
                self._leave(client)
                raise
        except Conflict as error:  # gRPC raises its subclass AlreadyExists, REST this itself
            if isinstance(error, Aborted):
                raise QueueUnavailable("Cloud Tasks could not take the task: Aborted") from error
            return False
        except (GoogleAPIError, GoogleAuthError) as error:
            kind = type(error).__name__
            advice = f"; {_ADVICE[kind]}" if kind in _ADVICE else ""
            raise QueueUnavailable(f"{self._queue} could not take the task: {kind} within {self._timeout_s:g} s{advice}") from error
        return True

    async def close(self) -> None:
        """Close the channel. Repeatable; further use connects again."""
        client, self._client = self._client, None
        if client is not None:
            await client.transport.close()
        await asyncio.gather(*self._closing)

    def _leave(self, client: CloudTasksAsyncClient) -> None:
        """Have the next call connect anew; other calls on this client have their time. Of many that fail together the first does it."""
        if self._client is client:
            self._client = None
            transport: Any = client.transport  # that of `_connected`, which has a channel
            closing = asyncio.ensure_future(transport.grpc_channel.close(self._timeout_s))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _connected(self) -> CloudTasksAsyncClient:
        if self._client is None:
            from google.cloud.tasks_v2 import CloudTasksAsyncClient
            from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcAsyncIOTransport

            if self._endpoint:
                import grpc.aio

                channel: Any = grpc.aio.insecure_channel(self._endpoint, options=_OWN_CONNECTION)
            else:
                channel = _to_google
            self._client = CloudTasksAsyncClient(transport=CloudTasksGrpcAsyncIOTransport(channel=channel))
        return self._client


_OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
"""gRPC shares connections between channels to the same address, unless it is asked not to: a channel that is made anew would get the old
connection, and the two queues of a start would hang on one."""


def _to_google(*target: Any, options: Iterable[tuple[str, Any]] = (), **credentials: Any) -> Channel:
    """The channel that Google's client makes, with a connection of its own."""
    from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcAsyncIOTransport

    return CloudTasksGrpcAsyncIOTransport.create_channel(*target, options=[*options, *_OWN_CONNECTION], **credentials)
