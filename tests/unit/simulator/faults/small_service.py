"""A service in small, around a stack without functions: each event becomes a task on each queue, a start is handed on, a recording fetched.

It never gives up: what fails is tried again, so that each fault finds something to act on and the meeting takes its course.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc.aio
import httpx
from google.api_core.exceptions import GoogleAPICallError
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcAsyncIOTransport
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from tests.unit.simulator.zoom.raw_client import ENTITY_FIELDS

from rtms_simulator.kit.stack import Stack
from rtms_simulator.recall import WebhookEndpoint
from rtms_simulator.serving.http_server import HttpServer

PATIENCE_S = 1.0
"""How long it waits for an answer, in real seconds."""
TRIES = 12
WANTED = {"audio_mixed_raw": {}, "transcript": {"provider": {"meeting_captions": {}}}}


@dataclass(frozen=True, slots=True)
class Tried:
    """One request of the service: what it asked for, what came of it (a status, or the error's name), how much of the fakes' time that took
    in seconds, and how many MDCs there were at Recall afterwards."""

    what: str
    outcome: str
    took_s: float
    mdcs: int


class SmallService:
    """`tried`: every request in order. `came`: the `webhook-id` of each message of Recall's that came."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.tried: list[Tried] = []
        self.came: list[str] = []
        self._handed_on: set[tuple[str, str]] = set()
        self._work: set[asyncio.Task[None]] = set()
        routes = {"/zoom-webhook": self._zoom, "/recall-webhook": self._recall, "/events/{queue}": self._event}
        self._server = HttpServer(Starlette(routes=[Route(path, call, methods=["POST"]) for path, call in routes.items()]))
        transport = CloudTasksGrpcAsyncIOTransport(channel=grpc.aio.insecure_channel(stack.tasks.endpoint))
        self._queues, self._transport = tasks_v2.CloudTasksAsyncClient(transport=transport), transport
        key = {"Authorization": stack.secrets.api_key}
        self._client = httpx.AsyncClient(base_url=stack.recall.base_url, headers=key, trust_env=False, timeout=PATIENCE_S)

    @property
    def url(self) -> str:
        return f"{self._server.url}/zoom-webhook"

    async def start(self) -> None:
        await self._server.start()
        self.stack.recall.webhooks.add(WebhookEndpoint(f"{self._server.url}/recall-webhook"))

    async def idle(self) -> None:
        """Return when it has nothing left to do."""
        while self._work:
            await asyncio.gather(*self._work)

    async def aclose(self) -> None:
        for work in self._work:
            work.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        await self._client.aclose()
        await self._transport.close()
        await self._server.aclose()

    def _begin(self, work: Any) -> JSONResponse:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return JSONResponse({})

    async def _zoom(self, request: Request) -> JSONResponse:
        return self._begin(self._enqueue(await request.body()))

    async def _recall(self, request: Request) -> JSONResponse:
        self.came.append(request.headers["webhook-id"])
        event = json.loads(await request.body())
        return self._begin(self._fetch(event["data"]["recording"]["id"])) if event["event"] == "recording.done" else JSONResponse({})

    async def _event(self, request: Request) -> JSONResponse:
        event = json.loads(await request.body())
        stream = event["payload"].get("rtms_stream_id", ""), str(event["payload"].get("server_urls", ""))
        if not event["event"].endswith("rtms_started") or stream in self._handed_on:
            return JSONResponse({})
        self._handed_on.add(stream)
        return self._begin(self._hand_on(event["payload"]))

    async def _enqueue(self, body: bytes) -> None:
        for queue in self.stack.queues:
            url = f"{self._server.url}/events/{queue.rpartition('/')[2]}"
            task = tasks_v2.Task(http_request=tasks_v2.HttpRequest(url=url, body=body))

            async def create(queue: str = queue, task: tasks_v2.Task = task) -> str:
                await self._queues.create_task(parent=queue, task=task, timeout=PATIENCE_S, retry=None)
                return "made"

            await self._until("task", create, "made")

    async def _hand_on(self, payload: Mapping[str, Any]) -> None:
        entity = next(str(payload[name]) for name in ENTITY_FIELDS.values() if name in payload)
        own, stream = self.stack.secrets, payload["rtms_stream_id"]
        signature = hmac.new(own.client_secret.encode(), f"{own.client_id},{entity},{stream}".encode(), hashlib.sha256).hexdigest()
        asked = {"meeting_uuid": entity, "rtms_stream_id": stream, "server_urls": payload["server_urls"], "signature": signature}
        key = hashlib.sha256(f"{stream} {payload['server_urls']}".encode()).hexdigest()

        async def create() -> str:
            body = {"zoom_rtms": asked, "recording_config": WANTED}
            return str((await self._client.post("/meeting_direct_connect", json=body, headers={"idempotency-key": key})).status_code)

        await self._until("create", create, "201")

    async def _fetch(self, recording: str) -> None:
        """The recording's sound, and that again, as often as it takes."""
        found: dict[str, Any] = {}

        async def retrieve() -> str:
            answer = await self._client.get(f"/recording/{recording}")
            found.update(answer.json() if answer.is_success else {})
            return str(answer.status_code)

        async def download() -> str:
            link = found["media_shortcuts"]["audio_mixed"]["data"]["download_url"]
            async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as stranger:
                return str((await stranger.get(link)).status_code)

        await self._until("retrieve", retrieve, "200")
        await self._until("download", download, "200")

    async def _until(self, what: str, work: Callable[[], Awaitable[str]], wanted: str) -> None:
        clock = self.stack.clock
        for _ in range(TRIES):
            began = clock.now()
            try:
                outcome = await work()
            except (httpx.HTTPError, GoogleAPICallError) as error:
                outcome = type(error).__name__
            self.tried.append(Tried(what, outcome, clock.now() - began, len(self.stack.recall.workspace.mdcs)))
            if outcome == wanted:
                return


@asynccontextmanager
async def small_service(stack: Stack) -> AsyncGenerator[SmallService]:
    service = SmallService(stack)
    await service.start()
    try:
        yield service
    finally:
        await service.aclose()
