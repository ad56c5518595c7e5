"""TLS in front of a server of this machine that speaks plain HTTP only."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

from rtms_simulator.serving.background import BackgroundTasks
from rtms_simulator.serving.processes import Port

_PIECE = 64 * 1024


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass everything on, and the end of it."""
    while data := await reader.read(_PIECE):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError, NotImplementedError):
        writer.write_eof()  # TLS has no end of one direction


class TlsFront:
    """Listens on `port` with `context`, and carries what comes to the plain port `inner` and back."""

    def __init__(self, port: Port, inner: Port, context: ssl.SSLContext) -> None:
        self._port, self._inner, self._context = port, inner, context
        self._tasks = BackgroundTasks()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, self._port.host, self._port.number, ssl=self._context)

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._tasks.aclose()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.start(self._carry(reader, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_writer: asyncio.StreamWriter | None = None
        try:
            inner_reader, inner_writer = await asyncio.open_connection(self._inner.host, self._inner.number)
            async with asyncio.TaskGroup() as both:
                upwards = both.create_task(pump(reader, inner_writer))
                await pump(inner_reader, writer)
                upwards.cancel()
        except* OSError:
            writer.transport.abort()  # nobody answers behind it, or one side left
        finally:
            for side in (inner_writer, writer):
                if side is not None:
                    side.close()
