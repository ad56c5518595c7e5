"""An ASGI app on a port of ours, inside the event loop that is running already."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl as ssl_module
from collections.abc import Generator
from typing import Any

import uvicorn

from rtms_simulator.serving.processes import Port


class _Guest(uvicorn.Server):
    """uvicorn takes SIGINT and SIGTERM for itself; here they belong to the owner of the loop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


class HttpServer:
    """Serve `app` on `host`:`port` (0: any free port) until `aclose`.

    `protocol` is another uvicorn protocol class than its own; `ssl` makes it https.
    """

    def __init__(
        self,
        app: Any,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        purpose: str = "the HTTP server",
        protocol: type[asyncio.Protocol] | None = None,
        ssl: ssl_module.SSLContext | None = None,
    ) -> None:
        self._app, self._host, self._number, self._purpose, self._protocol = app, host, port, purpose, protocol
        self._ssl = ssl
        self._server: _Guest | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """`http://host:port` (https with `ssl`), without a slash at the end; the port is known after `start`."""
        return f"{'https' if self._ssl else 'http'}://{self._host}:{self._number}"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port; the port is known after `start`."""
        return self._host, self._number

    async def start(self) -> None:
        """Raises PortTakenError."""
        port = Port(self._purpose, self._host, self._number)
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self._host, port.number))
        port.release()
        self._number = port.number
        config = uvicorn.Config(
            self._app,
            http=self._protocol or "auto",
            ws="none",
            lifespan="off",
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        config.load()
        config.ssl = self._ssl
        self._server = _Guest(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait({self._serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._serving.done():
            self._serving.result()

    async def aclose(self) -> None:
        """Stop listening, and cut what is still open after a second. Repeatable."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        await self._serving
        self._server = self._serving = None
