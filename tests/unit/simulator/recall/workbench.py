"""A fake Recall in process on a frozen clock, and a receiver of its webhooks that remembers everything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from rtms_simulator.clock import Clock
from rtms_simulator.recall import Recall, Story, WebhookEndpoint, scripted

KEY = "0123456789abcdef0123456789abcdef01234567"
EPOCH = 1_780_000_000.0
HOOK = "https://receiver.test/recall-webhook?from=recall"
RTMS = {
    "meeting_uuid": "4444AAAiAAAAAiAiAiiAii==",
    "rtms_stream_id": "609340fb2a7946909659956c8aa9250c",
    "server_urls": "wss://rtms.zoom.us:443",
    "signature": "ab" * 32,
}


def body(stream: str = RTMS["rtms_stream_id"], server_urls: str = RTMS["server_urls"], **more: Any) -> dict[str, Any]:
    """A valid create body."""
    return {"zoom_rtms": {**RTMS, "rtms_stream_id": stream, "server_urls": server_urls}, **more}


async def until(condition: Callable[[], object]) -> None:
    """Wait in real time, for what happens on sockets."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came")


@dataclass
class Received:
    """One webhook request."""

    url: str
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.raw)

    @property
    def event(self) -> str:
        return self.json["event"]


@dataclass
class Receiver(httpx.AsyncBaseTransport):
    """Answers each request as `answer` says: a status, an exception to raise, or None to never answer."""

    answer: Callable[[Received], int | Exception | None] = lambda _received: 200
    got: list[Received] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        received = Received(str(request.url), dict(request.headers), await request.aread())
        self.got.append(received)
        found = self.answer(received)
        if found is None:
            await asyncio.get_running_loop().create_future()
        if isinstance(found, Exception):
            raise found
        assert found is not None
        return httpx.Response(found)

    @property
    def events(self) -> list[str]:
        return [received.event for received in self.got]


class Bench:
    """A Recall, an authorised client of it, its clock and its receiver."""

    def __init__(self, data_dir: Path, story: Any = None, **options: Any) -> None:
        self.clock = options.pop("clock", None) or Clock(EPOCH, 0)
        self.receiver = Receiver()
        options.setdefault("webhooks", [WebhookEndpoint(HOOK)])
        options.setdefault("recorder_factory", scripted(story or Story()))
        self.recall = Recall(self.clock, api_key=KEY, data_dir=data_dir, http_transport=self.receiver, **options)
        self.client = httpx.AsyncClient(
            transport=self.recall.transport(), base_url="https://us-east-1.recall.ai/api/v1", headers={"authorization": f"Token {KEY}"}
        )

    async def create(self, stream: str = RTMS["rtms_stream_id"], *, key: str | None = None, **more: Any) -> dict[str, Any]:
        headers = {} if key is None else {"idempotency-key": key}
        answer = await self.client.post("/meeting_direct_connect", json=body(stream, **more), headers=headers)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def get(self, path: str, **parameters: Any) -> Any:
        answer = await self.client.get(path, params=parameters or None)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def mdc(self, mdc: Mapping[str, Any]) -> dict[str, Any]:
        return await self.get(f"/meeting_direct_connect/{mdc['id']}")

    async def download(self, url: str, **headers: str) -> httpx.Response:
        """As a stranger to the API: no key goes along."""
        async with httpx.AsyncClient(transport=self.recall.transport()) as stranger:
            return await stranger.get(url, headers=headers)

    async def settle(self) -> None:
        """Let everything happen that needs no further time."""
        for _ in range(60):
            await asyncio.sleep(0)
        self.recall.lifecycle.timers.settle()
        for _ in range(60):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float) -> None:
        """Go forward, stopping at every moment somebody waits for, as real time does."""
        until = self.clock.now() + seconds
        await self.settle()
        while (next_moment := self.clock.next_deadline) is not None and next_moment <= until:
            self.clock.advance(max(0.0, next_moment - self.clock.now()))
            await self.settle()
        self.clock.advance(max(0.0, until - self.clock.now()))
        await self.settle()


@asynccontextmanager
async def bench(data_dir: Path, story: Any = None, **options: Any) -> AsyncGenerator[Bench, None]:
    made = Bench(data_dir, story, **options)
    try:
        yield made
    finally:
        await made.client.aclose()
        await made.recall.aclose()
