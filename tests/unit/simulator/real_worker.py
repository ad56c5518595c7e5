"""The real worker's HTTP surface on virtual time, served from a thread: for commands that run an event loop of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from tests.ports.bench import Bench

from rtms_relay.routes.worker import WorkerRoutes
from rtms_simulator.serving.http_server import HttpServer


class RealWorker:
    """`bench`: the service behind it. `instead`: (status, content type, body) that every request is answered with, as Google's front end
    would. `asked`: every request's method, path and Authorization."""

    def __init__(self) -> None:
        self.instead: tuple[int, str, str] | None = None
        self.asked: list[tuple[str, str, str]] = []
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.bench: Bench = self.do(self._begin())

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run it beside the worker, and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def play(self, *events: dict[str, Any], seconds: float = 1.0) -> None:
        """Deliver Zoom's events, and let so much time pass after each."""
        for event in events:
            self.do(self.bench.zoom(event))
            self.do(self.bench.run(seconds))

    def close(self) -> None:
        self.do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _begin(self) -> Bench:
        bench = Bench()
        surface = WorkerRoutes(bench.worker, bench.clock, bench.log).surface

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope, receive)
            self.asked.append((request.method, request.url.path, request.headers.get("authorization", "")))
            answer = await surface(request) if self.instead is None else self._page(*self.instead)
            await answer(scope, receive, send)

        self._server = HttpServer(app)
        await self._server.start()
        self.url = self._server.url
        return bench

    def _page(self, status: int, content_type: str, body: str) -> Response:
        return Response(body, status, media_type=content_type)

    async def _end(self) -> None:
        await self._server.aclose()
        await self.bench.close()
