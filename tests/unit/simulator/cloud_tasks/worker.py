"""A worker for the tests: answers as told, and remembers what it was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx


@dataclass
class Worker:
    """An httpx transport. `answers` are statuses (or exceptions) for the first requests, then 200; `hold` makes it hang until set."""

    answers: Sequence[int | Exception] = ()
    headers: dict[str, str] = field(default_factory=dict)
    hold: asyncio.Event | None = None
    requests: list[httpx.Request] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)
    transport: httpx.MockTransport = field(init=False)

    def __post_init__(self) -> None:
        self.transport = httpx.MockTransport(self._answer)

    @property
    def paths(self) -> list[str]:
        return [request.url.path for request in self.requests]

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        number = len(self.requests)
        self.requests.append(request)
        self.called.set()
        if self.hold is not None:
            await self.hold.wait()
        answer = self.answers[number] if number < len(self.answers) else 200
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, headers=self.headers)
