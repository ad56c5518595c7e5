"""What Zoom sends in a chaos run: many short streams, with duplicates, fail-overs, early stops, revocations and forgeries among them."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, replace

from rtms_simulator.clock import Clock
from rtms_simulator.recall import Story
from rtms_simulator.recall.recorder.values import StreamRequest
from rtms_simulator.zoom.switches import ZoomSwitches
from rtms_simulator.zoom.webhooks import events
from rtms_simulator.zoom.webhooks.events import StreamIds, WebhookEvent
from rtms_simulator.zoom.webhooks.sender import Delivery, EventSubscription, WebhookSender

RETRIES_S = (1.0, 3.0, 8.0)
"""Zoom tries again after 5, 25 and 85 minutes; here as often, but within seconds."""

ENDED, REVOKED = 6, 8


@dataclass(slots=True)
class Sent:
    """A delivery, and whether Zoom itself sent it."""

    delivery: Delivery
    authentic: bool


@dataclass(slots=True)
class Zoom:
    """Holds streams. `ends` tells when each stream is over, for the recorders; `sent` is everything that was delivered, or tried."""

    clock: Clock
    seed: int
    endpoint: EventSubscription
    ends: dict[str, float] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    _sender: WebhookSender = field(init=False)
    _forger: EventSubscription = field(init=False)

    def __post_init__(self) -> None:
        switches = ZoomSwitches(retry_after_s=RETRIES_S)
        self._sender = WebhookSender(self.clock, random.Random(f"courier {self.seed}"), switches=switches, kept=1)
        self._forger = replace(self.endpoint, secret_token="not the secret token")

    async def aclose(self) -> None:
        await self._sender.aclose()

    async def settled(self) -> None:
        """Return when every retry has been made or was not needed."""
        await self._sender.settled()

    def story(self, request: StreamRequest) -> Story:
        """What a recorder of this stream does: it records until the stream is over, and writes who it was."""
        left = max(0.05, self.ends.get(request.rtms_stream_id, 0.0) - self.clock.now())
        return Story(lasts=left, contents={"video_mixed": content(request.rtms_stream_id)})

    async def meet(self, number: int) -> None:
        """One stream from its start to its stop."""
        chance = random.Random(f"meeting {self.seed} {number}")
        ids = StreamIds(f"{chance.getrandbits(96):024x}/+==", f"{chance.getrandbits(128):032x}")
        lasts = chance.uniform(0.5, 10.0)
        self.ends[ids.stream_id] = self.clock.now() + lasts
        start = events.started("meeting", ids, _server(chance), self._now_ms())
        stop = events.stopped("meeting", ids, REVOKED if chance.random() < 0.06 else ENDED, self._now_ms() + int(lasts * 1000))
        if chance.random() < 0.05:
            await self._send(replace(stop, event_ts=start.event_ts - 1))  # a stop of before: it must not stop this stream
        await self._send(start)
        if chance.random() < 0.2:
            await self._send(start)
        if chance.random() < 0.1:
            await self._forge(chance)
        if chance.random() < 0.25:
            await asyncio.sleep(lasts * chance.uniform(0.2, 0.8))
            if chance.random() < 0.5:
                await self._send(events.interrupted("meeting", ids, self._now_ms()))
            await self._send(events.started("meeting", ids, _server(chance), self._now_ms()))
        await asyncio.sleep(max(0.0, self.ends[ids.stream_id] - self.clock.now()))
        await self._send(replace(stop, event_ts=max(stop.event_ts, self._now_ms())))
        if chance.random() < 0.1:
            await self._send(stop)

    async def _send(self, event: WebhookEvent) -> None:
        self.sent.append(Sent(await self._sender.deliver(event, self.endpoint), authentic=True))

    async def _forge(self, chance: random.Random) -> None:
        ids = StreamIds(f"{chance.getrandbits(96):024x}", f"forged-{chance.getrandbits(96):024x}")
        event = events.started("meeting", ids, _server(chance), self._now_ms())
        self.sent.append(Sent(await self._sender.deliver(event, self._forger), authentic=False))

    def _now_ms(self) -> int:
        return int(self.clock.now() * 1000)


def content(stream_id: str) -> bytes:
    """The film of a stream: nobody else's is the same."""
    return f"the film of {stream_id}".encode()


def _server(chance: random.Random) -> str:
    return f"wss://127.0.0.1:{chance.randrange(20_000, 60_000)}/rtms"
