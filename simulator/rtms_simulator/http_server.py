"""An ASGI app on a port of ours, inside the event loop that is running already."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator
from typing import Any

import uvicorn

from rtms_simulator.clock import Clock
from rtms_simulator.processes import Port


class _Guest(uvicorn.Server):
    """uvicorn takes SIGINT and SIGTERM for itself; here they belong to whoever runs the loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class HttpServer:
    """Serve `app` on `host`:`port` (0: any free port) until `aclose`. `clock` must run in real time."""

    def __init__(self, app: Any, clock: Clock, *, host: str = "127.0.0.1", port: int = 0, purpose: str = "the HTTP server") -> None:
        self._app, self._clock = app, clock
        self._host, self._number, self._purpose = host, port, purpose
        self._server: _Guest | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """`http://host:port`, without a slash at the end; the port is known after `start`."""
        return f"http://{self._host}:{self._number}"

    async def start(self) -> None:
        """Raises `PortTaken`."""
        held = Port(self._purpose, self._host, self._number)
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self._host, held.number))
        held.release()
        self._number = held.number
        config = uvicorn.Config(self._app, log_level="error", access_log=False, lifespan="off", timeout_graceful_shutdown=1)
        self._server = _Guest(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started:
            if self._serving.done():
                return self._serving.result()
            await self._clock.sleep(0.002)
        return None

    async def aclose(self) -> None:
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        await self._serving
        self._server = self._serving = None
