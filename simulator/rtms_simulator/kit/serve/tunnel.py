"""How Zoom reaches a service on this machine: a tunnel that is started and kept here, or an address that somebody else keeps.

Both report what happens to them as `TunnelNote`; neither ends the service.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import httpx

from rtms_simulator.clock import Clock
from rtms_simulator.errors import ChildEndedError, words_of
from rtms_simulator.serving.processes import Child

URL_WITHIN_S = 60.0
LONGEST_PAUSE_S = 30.0
WATCH_EVERY_S = 10.0
"""How often the public address is looked at."""

_LOOK_EVERY_S = 0.05
_ANSWER_S = 8.0


@dataclass(frozen=True, slots=True)
class TunnelNote:
    """What happened. `url`: the public address, without a path, as far as it is known."""

    kind: Literal["up", "down", "moved"]
    url: str
    what: str


Hear = Callable[[TunnelNote], None]


class NgrokTunnel:
    """ngrok, as a child process that is started again when it ends. `domain`: a static one, or "" for whatever ngrok gives."""

    def __init__(
        self, port: int, environment: Mapping[str, str], clock: Clock, *, domain: str = "", on_line: Callable[[str, str], None]
    ) -> None:
        self.url = ""
        self._port = port
        self._domain = domain
        self._environment = {**os.environ, **environment, "PYTHONUNBUFFERED": "1"}
        self._clock = clock
        self._on_line = on_line
        self._child: Child | None = None

    async def start(self) -> None:
        """Returns with `url`. Raises ChildEndedError (code 2: something must be set) or TimeoutError."""
        argv = [sys.executable, "-m", "rtms_simulator.kit.serve.ngrok_tunnel", str(self._port), *([self._domain] if self._domain else [])]
        child = self._child = Child("tunnel", argv, self._environment, self._clock, self._on_line)
        await child.start()
        deadline = self._clock.now() + URL_WITHIN_S
        while not (urls := [line.removeprefix("url ") for line in child.lines if line.startswith("url ")]):
            if not child.alive:
                raise await child.ended()
            if self._clock.now() > deadline:
                await child.stop()
                raise TimeoutError(f"ngrok gave no address within {URL_WITHIN_S:.0f} s")
            await self._clock.sleep(_LOOK_EVERY_S)
        self.url = urls[-1].rstrip("/")

    async def keep(self, hear: Hear) -> None:
        """Start it again whenever it ends. Never returns."""
        while True:
            assert self._child is not None
            end = await self._child.ended()
            before = self.url
            hear(TunnelNote("down", before, f"the tunnel died ({_last(end)}): Zoom cannot reach this service; connecting again"))
            await self._start_again()
            if self.url != before:
                hear(TunnelNote("moved", self.url, f"the tunnel is back at another address: enter {self.url} at Zoom and Recall"))
            else:
                hear(TunnelNote("up", self.url, f"the tunnel is back at {self.url}"))

    async def _start_again(self) -> None:
        pause_s = 1.0
        while True:
            await self._clock.sleep(pause_s)
            try:
                await self.start()
                return
            except (ChildEndedError, TimeoutError):
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def aclose(self) -> None:
        if self._child is not None:
            await self._child.stop()


class WatchedAddress:
    """A public address: whether this service answers there. Reports each change, and nothing else."""

    def __init__(self, url: Callable[[], str], clock: Clock, *, every_s: float = WATCH_EVERY_S) -> None:
        self._url = url
        self._clock = clock
        self._every_s = every_s

    async def watch(self, hear: Hear) -> None:
        """Never returns."""
        was = ""
        async with httpx.AsyncClient(timeout=_ANSWER_S, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)) as client:
            while True:
                await self._clock.sleep(self._every_s)
                url = self._url()
                problem = await _problem(client, url)
                if problem and not was:
                    hear(
                        TunnelNote(
                            "down", url, f"{url} does not lead here ({problem}): is the tunnel running? Zoom cannot reach this service"
                        )
                    )
                elif was and not problem:
                    hear(TunnelNote("up", url, f"{url} leads here again"))
                was = problem


async def _problem(client: httpx.AsyncClient, url: str) -> str:
    """Why this service does not answer at `url`; "" if it does."""
    try:
        answer = await client.get(f"{url}/health", headers={"ngrok-skip-browser-warning": "1"})
    except httpx.HTTPError as error:
        return words_of(error)
    return "" if answer.status_code == httpx.codes.OK and b'"webhook"' in answer.content else f"HTTP {answer.status_code}"


def _last(end: ChildEndedError) -> str:
    return end.lines[-1] if end.lines and not end.lines[-1].startswith("url ") else str(end)
