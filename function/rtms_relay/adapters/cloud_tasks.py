"""The queue: Google Cloud Tasks, over google-cloud-tasks' async client.

A task is named by a hash of its kind, key and dedupe, so that Cloud Tasks merges what is enqueued twice. A name stays taken after
the task is done or deleted, for up to 24 hours (CreateTask reference): to have something done **again**, give another `dedupe`.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rtms_relay.errors import QueueUnavailable
from rtms_relay.ports import TaskKind

if TYPE_CHECKING:
    from google.cloud.tasks_v2 import CloudTasksAsyncClient

DISPATCH_DEADLINE_S: dict[TaskKind, int] = {"handoff": 60, "retrieve": 1800}
"""How long Cloud Tasks waits for the worker's answer (15 s to 30 min are allowed): a retrieval may copy a long recording."""

_ADVICE = {
    "PermissionDenied": "grant roles/cloudtasks.enqueuer on the queue, and roles/iam.serviceAccountUser on TASKS_INVOKER",
    "NotFound": "the queue does not exist; check TASKS_QUEUE",
    "Unauthenticated": "the service account has no valid credentials",
    "DefaultCredentialsError": "no Google credentials were found; for a fake set TASKS_ENDPOINT",
    "FailedPrecondition": "the queue was deleted lately, or is disabled",
}


class CloudTasksQueue:
    """`Queue` on one Cloud Tasks queue, `projects/P/locations/L/queues/Q`.

    Tasks are `POST {worker_url}/{kind}` with ``{"id": key}``. `endpoint` (`host:port`) talks plain gRPC to a fake, without credentials;
    empty is Google. `invoker` is the service account whose OIDC token (audience: `worker_url`) goes with each task; empty sends none.
    The client is made on first use, inside the running loop. Every call ends within `timeout_s` (seconds).
    """

    def __init__(self, queue: str, worker_url: str, *, endpoint: str = "", invoker: str = "", timeout_s: float = 2.0) -> None:
        self._queue = queue
        self._worker_url = worker_url.rstrip("/")
        self._endpoint = endpoint
        self._invoker = invoker
        self._timeout_s = timeout_s
        self._client: CloudTasksAsyncClient | None = None

    async def enqueue(self, kind: TaskKind, key: str, *, not_before_ms: int | None = None, dedupe: str = "") -> None:
        from google.api_core.exceptions import Aborted, Conflict, GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
        from google.cloud import tasks_v2

        request = tasks_v2.HttpRequest(
            http_method=tasks_v2.HttpMethod.POST,
            url=f"{self._worker_url}/{kind}",
            headers={"Content-Type": "application/json"},
            body=json.dumps({"id": key}).encode(),
        )
        if self._invoker:
            request.oidc_token = tasks_v2.OidcToken(service_account_email=self._invoker, audience=self._worker_url)
        task = tasks_v2.Task(
            name=f"{self._queue}/tasks/{task_id(kind, key, dedupe)}",
            http_request=request,
            dispatch_deadline=timedelta(seconds=DISPATCH_DEADLINE_S[kind]),
        )
        if not_before_ms is not None:
            task.schedule_time = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=not_before_ms)
        try:
            await self._connected().create_task(parent=self._queue, task=task, retry=None, timeout=self._timeout_s)
        except Conflict as error:  # gRPC raises its subclass AlreadyExists, REST this itself
            if isinstance(error, Aborted):
                raise QueueUnavailable("Cloud Tasks could not take the task: Aborted") from error
        except (GoogleAPIError, GoogleAuthError) as error:
            name = type(error).__name__
            advice = f"; {_ADVICE[name]}" if name in _ADVICE else ""
            raise QueueUnavailable(f"Cloud Tasks could not take the task: {name} within {self._timeout_s:g} s{advice}") from error

    async def close(self) -> None:
        """Close the channel. Repeatable; further use connects again."""
        client, self._client = self._client, None
        if client is not None:
            await client.transport.close()

    def _connected(self) -> CloudTasksAsyncClient:
        if self._client is None:
            from google.cloud.tasks_v2 import CloudTasksAsyncClient

            if self._endpoint:
                import grpc.aio
                from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcAsyncIOTransport

                channel = grpc.aio.insecure_channel(self._endpoint)
                self._client = CloudTasksAsyncClient(transport=CloudTasksGrpcAsyncIOTransport(channel=channel))
            else:
                self._client = CloudTasksAsyncClient()
        return self._client


def task_id(kind: TaskKind, key: str, dedupe: str) -> str:
    """64 hex digits. Hashed, because Cloud Tasks spreads tasks by their ids and slows down on sequential ones."""
    return hashlib.sha256(json.dumps([kind, key, dedupe]).encode()).hexdigest()
