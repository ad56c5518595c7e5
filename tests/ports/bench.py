"""The whole service in memory, on virtual time: webhook, four queues that deliver, worker, sweep each minute."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from rtms_relay import settings as configuration
from rtms_relay.adapters.system import AsyncioJobs
from rtms_relay.handoff import documents
from rtms_relay.handoff.facts import Facts
from rtms_relay.handoff.keys import handoff_key
from rtms_relay.handoff.record import HandOff
from rtms_relay.intake import Intake
from rtms_relay.ports import QueueName
from rtms_relay.worker import Worker
from tests.ports.events import ENVIRON, NOW, STREAM, URLS_A, signed, webhook_headers
from tests.ports.plain import Lines, Middle
from tests.ports.queues import MemoryQueue
from tests.ports.recall import MemoryArchive, ScriptedRecall
from tests.ports.stores import MemoryStore
from tests.ports.time import Time


def key_of(server_urls: str = URLS_A, epoch: int = NOW, stream: str = STREAM) -> str:
    """The key of a hand-off of this bench's deployment."""
    return handoff_key("rtmskit", stream, server_urls, epoch)


OPENED: list[Bench] = []
"""Every bench of the running test."""


class Bench:
    """`stopping`: whether the worker was asked to stop."""

    def __init__(self, *, archive: bool = False, **environ: str) -> None:
        self.clock, self.jobs, self.randomness, self.log = Time(NOW), AsyncioJobs(), Middle(), Lines()
        self.store, self.recall = MemoryStore(), ScriptedRecall()
        self.archive = MemoryArchive() if archive else None
        self.stopping = False
        OPENED.append(self)
        self.environ = ENVIRON | environ
        pauses: dict[QueueName, tuple[float, float]] = {
            "handoffs": (1.0, 10.0),
            "handoffs-second": (1.0, 10.0),
            "facts": (1.0, 300.0),
            "retrievals": (1.0, 300.0),
        }
        self.queues = {name: MemoryQueue(name, self.clock, self._deliver, back_off) for name, back_off in pauses.items()}
        self.home, self.second = self.queues["handoffs"], self.queues["handoffs-second"]
        self.facts_queue, self.retrievals = self.queues["facts"], self.queues["retrievals"]
        self.intake = self.new_intake()
        self.worker = self.new_worker()

    def new_intake(self) -> Intake:
        return Intake(configuration.load(self.environ, "webhook"), self.queues, self.clock, self.jobs, self.log)

    def new_worker(self) -> Worker:
        """Another instance, on the same records."""
        settings = configuration.load(self.environ, "worker")
        seams = (self.clock, self.jobs, self.randomness, self.log)
        return Worker(settings, self.store, self.queues, *seams, self.recall, self.archive, lambda: self.stopping)

    async def _deliver(self, path: str, body: bytes, due_ms: int) -> None:
        await self.worker.receive(path, body, due_ms)

    async def zoom(self, body: bytes | Mapping[str, Any]) -> dict[str, Any]:
        """Deliver an event, signed, and let as much time pass as the answer takes."""
        body = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
        reply = await self.clock.until_done(self.intake.receive(signed(body, self.clock.now_ms()), body))
        return reply.body

    async def recall_says(
        self, name: str, recording_id: str, handoff: str | None, *, code: str = "", message: str = "msg_1"
    ) -> dict[str, Any]:
        metadata = {} if handoff is None else {"rtmskit_handoff": handoff}
        whole = {
            "event": name,
            "data": {
                "data": {"code": code or name.split(".")[1], "sub_code": None, "updated_at": "2026-11-22T09:00:00+00:00"},
                "recording": {"id": recording_id, "metadata": metadata},
            },
        }
        body = json.dumps(whole).encode()
        reply = await self.clock.until_done(self.intake.observe(webhook_headers(body, self.clock.now_ms(), message), body))
        return reply.body

    async def run(self, seconds: float = 0.0) -> None:
        """Let time pass, without the sweep."""
        await self.clock.run(seconds * 1000)

    async def live(self, seconds: float) -> None:
        """Let time pass, with a sweep on every minute."""
        end = self.clock.monotonic_ms() + seconds * 1000
        while (left := end - self.clock.monotonic_ms()) > 0:
            await self.clock.run(min(left, 60_000 - self.clock.monotonic_ms() % 60_000))
            await self.clock.until_done(self.worker.sweep())
        await self.clock.run()

    @property
    def untouched(self) -> bool:
        """Nothing was written, nothing enqueued, nothing POSTed."""
        return (
            self.store.writes == 0
            and not any(queue.tasks or queue.dispatched for queue in self.queues.values())
            and not self.recall.creates
        )

    async def close(self) -> None:
        """End what still runs. The fixture `benches_closed` does it for each bench of a test."""
        for queue in self.queues.values():
            await queue.close()
        running = list(self.jobs._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def handoffs(self) -> dict[str, HandOff]:
        return {key: documents.read_handoff(fields) for key, fields in self.store.all("handoffs").items()}

    def handoff(self, key: str | None = None) -> HandOff:
        """The hand-off of this key, or the only one."""
        every = self.handoffs()
        return every[key] if key is not None else next(iter(every.values()))

    def state(self, key: str | None = None) -> str:
        return self.handoff(key).attempt.state

    def facts(self) -> Facts:
        [fields] = self.store.all("streams").values()
        return documents.read_facts(fields)

    def posted_urls(self) -> list[str]:
        return [body["zoom_rtms"]["server_urls"] for body, _ in self.recall.creates]

    def posted_keys(self) -> list[str]:
        return [key for _, key in self.recall.creates]
