"""Connections that can be cut: what clients fear most (done, but the answer never came), and ASGI has no word for it."""

from __future__ import annotations

import asyncio
import socket
import struct

from uvicorn.protocols.http.h11_impl import H11Protocol

Address = tuple[str, int]


class CutError(ConnectionResetError):
    """The scripted end of an in-process request that would have been a cut connection on a port."""


class Connections:
    """The open connections of a server by the client's address, which is what an ASGI scope names as `client`."""

    def __init__(self) -> None:
        self._open: dict[Address, asyncio.Transport] = {}

    def cut(self, client: Address | None, *, reset: bool) -> None:
        """Close a client's connection without an answer; with `reset` by RST. Raises CutError where there is no connection to close."""
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
                # asyncio leaves Nagle's algorithm on for sockets that do not call themselves TCP; each answer would take 40 ms.
                transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._address = transport.get_extra_info("peername")
                register[self._address] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                register.pop(self._address, None)
                super().connection_lost(exc)

        return Tracked
