"""The fake's port: uvicorn inside the running loop, with one thing more than rtms_simulator.http_server has: connections can be cut.

A cut is what clients fear most (done, but the answer never came), and ASGI has no word for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Generator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from rtms_simulator.processes import Port

Address = tuple[str, int]


class CutError(ConnectionResetError):
    """The scripted end of an in-process request that would have been a cut connection on a port."""


class Connections:
    """The open connections of a server by the client's address, which is what an ASGI scope names as `client`."""

    def __init__(self) -> None:
        self._open: dict[Address, asyncio.Transport] = {}

    def cut(self, client: Address | None, *, reset: bool) -> None:
        """Close a client's connection without an answer; with `reset` by RST. Raises CutError, which ends the request's task."""
        transport = self._open.get(client) if client is not None else None
        if transport is None:
            raise CutError("the connection was cut by a fault script")
        if reset:
            linger = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()

    def protocol(self) -> type[asyncio.Protocol]:
        """A uvicorn protocol class that keeps this register."""
        register = self._open

        class Tracked(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                self._address = transport.get_extra_info("peername")
                register[self._address] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                register.pop(self._address, None)
                super().connection_lost(exc)

        return Tracked


class _Guest(uvicorn.Server):
    """Signals belong to whoever runs the loop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


class Service:
    """Serve `app` on `host`:`port` (0: any free one) until `aclose`, whatever the fakes' clock does."""

    def __init__(self, app: Any, connections: Connections, *, host: str, port: int) -> None:
        self._app, self._connections = app, connections
        self._host, self._port = host, port
        self._server: _Guest | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def origin(self) -> str:
        """`http://host:port`; the port is known after `start`."""
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Raises rtms_simulator.processes.PortTaken."""
        held = Port("the fake Recall", self._host, self._port)
        # Named as TCP, because asyncio switches Nagle's algorithm off only for sockets that say so; without that each answer takes 40 ms.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self._host, held.number))
        held.release()
        self._port = held.number
        config = uvicorn.Config(
            self._app,
            http=self._connections.protocol(),
            interface="asgi3",
            proxy_headers=False,
            ws="none",
            lifespan="off",
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = _Guest(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait({self._serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        if self._serving.done():
            ready.cancel()
            self._serving.result()

    async def aclose(self) -> None:
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        await self._serving
        self._server = self._serving = None
