"""A TCP proxy that misbehaves by spells, in the manner of Toxiproxy: whatever passes during a spell suffers it, in any protocol."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter
from collections.abc import Mapping

SPELLS: Mapping[str, str] = {
    "latency": "every piece that passes is held for 20 to 300 ms",
    "reset": "open connections are reset, and new ones at once",
    "cut": "requests arrive, but at the first byte of an answer the client is reset: done, and nobody knows",
    "black hole": "nothing arrives on either side; at the end of the spell what was waiting is reset",
}
"""What can happen to a link, and how."""

CALM_S = (0.5, 4.0)
SPELL_S = (0.05, 0.8)


class Proxy:
    """Listens on a free loopback port and passes everything on to `target`. `acted` counts what each spell really hit."""

    def __init__(self, name: str, target: tuple[str, int], chance: random.Random) -> None:
        self.name = name
        self.spell: str | None = None
        self.acted: Counter[str] = Counter()
        self._target = target
        self._chance = chance
        self._over = asyncio.Event()
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._weather: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        return self._server.sockets[0].getsockname()[1]

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    def misbehave(self) -> None:
        """Begin with spells at random; `calm` ends them."""
        self._weather = asyncio.create_task(self._spells())

    async def calm(self) -> None:
        weather, self._weather = self._weather, None
        if weather is not None:
            weather.cancel()
            await asyncio.gather(weather, return_exceptions=True)
        self.end()

    async def aclose(self) -> None:
        await self.calm()
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def begin(self, spell: str) -> None:
        self.spell = spell
        if spell == "reset":
            for link in list(self._links):
                self.acted[spell] += 1
                link.break_off()

    def end(self) -> None:
        self.spell = None
        self._over.set()
        self._over = asyncio.Event()

    async def _spells(self) -> None:
        while True:
            await asyncio.sleep(self._chance.uniform(*CALM_S))
            self.begin(self._chance.choice(list(SPELLS)))
            await asyncio.sleep(self._chance.uniform(*SPELL_S))
            self.end()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task that is cancelled before its first step, or while it connects, never comes to the end that closes its client.
        task.add_done_callback(lambda _: writer.is_closing() or writer.transport.abort())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.spell == "reset":
            self.acted["reset"] += 1
            _reset(writer)
            return
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._target)
        except OSError:
            _reset(writer)  # nobody is at home, as after a kill
            return
        link = _Link(writer, up_writer)
        self._links.add(link)
        ways = [asyncio.ensure_future(self._pass(link, reader, up_writer, answer=False))]
        ways.append(asyncio.ensure_future(self._pass(link, up_reader, writer, answer=True)))
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.discard(link)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            link.close()

    async def _pass(self, link: _Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answer: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                match self.spell:
                    case "latency":
                        self.acted["latency"] += 1
                        await asyncio.sleep(self._chance.uniform(0.02, 0.3))
                    case "black hole":
                        self.acted["black hole"] += 1
                        await self._over.wait()
                        link.break_off()
                        return
                    case "cut" if answer:
                        self.acted["cut"] += 1
                        link.break_off()
                        return
                sink.write(data)
                await sink.drain()


class _Link:
    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._ends = (client, server)

    def break_off(self) -> None:
        for end in self._ends:
            _reset(end)

    def close(self) -> None:
        for end in self._ends:
            end.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close it with an RST."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() != -1:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
