"""Cloud Tasks as the simulated world knows it: queues with the deployed rates, in two regions, with what Google documents of their ways."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from zlib import crc32

from rtms_relay.errors import QueueUnavailable
from rtms_relay.ports import Path
from rtms_simulator.kit.deployed import DeployedQueue
from tests.simulation.fleet import Fleet
from tests.simulation.world import Crashed, Ground, Instance, outcome_of, pause, sleep

CREATE_MS = 2_000.0
"""How long a CreateTask that hangs keeps its caller, whose own limit it is."""

SLOWED_MS = 60_000
"""How long a queue is slowed after errors (Cloud Tasks docs, "Common pitfalls": 429 and 503 slow the whole queue)."""

LEAST_FACTOR = 0.05
RAMP_FACTOR = 0.02
"""Of its rate, what a queue keeps when it is slowed, and what it begins with after an idle time (the "500/50/5" rule)."""

BUSY_MS = 200.0
NEAR = 8


@dataclass(slots=True)
class Region:
    """What holds for all queues of one region: until when it refuses, keeps callers waiting, or dispatches nothing (ms)."""

    name: str = "home"
    refuses_until: int = 0
    hangs_until: int = 0
    stalls_until: int = 0


@dataclass(slots=True)
class TaskQueue:
    """At least once, unordered; tasks of one name are one. `numbers`: rate, back-offs and limits as deployed; None: no rate, for scenes.

    Only looks get lost (`label` "retrievals"): Cloud Tasks keeps what it has taken. `deadline_ms`: how long an answer is waited for.
    """

    ground: Ground
    fleet: Fleet
    outside: Instance
    label: str = "handoffs"
    numbers: DeployedQueue | None = None
    region: Region = field(default_factory=Region)
    deadline_ms: float = 600_000
    max_attempts: int = -1
    paused_until: int = 0
    asleep_until: int = 0
    ramps_until: int = 0
    slowed_until: int = 0
    factor: float = 1.0
    next_at: float = 0.0
    tickets: int = 0
    admitted: int = 0
    in_flight: int = 0
    names: set[str] = field(default_factory=set)
    unnamed: Counter[str] = field(default_factory=Counter)

    async def enqueue(self, path: Path, body: bytes, *, not_before_ms: int | None = None, name: str = "") -> bool:
        await pause("queue.enqueue")
        await self._refused()
        new = not name or name not in self.names
        if new:
            if name:
                self.names.add(name)
            if self.label == "retrievals" and self.ground.fault("task lost"):
                self.ground.note("queue", "task lost", path=path, task=f"{crc32(body):08x}")
            else:
                self._start(path, body, not_before_ms)
                if self.ground.fault("task duplicated"):
                    self._start(path, body, not_before_ms)
        if self.ground.fault(f"{self.region.name} queue answer lost"):
            raise QueueUnavailable("enqueued, but the answer got lost")
        return new

    async def _refused(self) -> None:
        now, region = self.ground.now_ms, self.region
        if now < region.hangs_until:
            await sleep(CREATE_MS, "queue hangs")
            raise QueueUnavailable("no answer within 2 s")
        if now < region.refuses_until or self.ground.fault(f"{region.name} queue unavailable"):
            self.ground.heard("no queue")
            raise QueueUnavailable("injected")
        if now < self.asleep_until:
            raise QueueUnavailable("NOT_FOUND: the queue has been idle")

    async def close(self) -> None:
        return None

    def _start(self, path: str, body: bytes, not_before_ms: int | None) -> None:
        name = f"{self.label}:{crc32(body):08x}"
        self.unnamed[name] += 1
        name = f"{name}#{self.unnamed[name]}"
        self.ground.spawn(f"task {name}", self._dispatch(name, path, body, not_before_ms), self.outside)

    async def _dispatch(self, name: str, path: str, body: bytes, not_before_ms: int | None) -> None:
        if not_before_ms is not None and not_before_ms > self.ground.now_ms:
            await sleep(not_before_ms - self.ground.now_ms, "task schedule")
        if self.ground.fault(f"{self.region.name} task late"):
            await sleep(self.ground.delay(5_000, 120_000), "task late")
        attempt = 0
        while attempt != self.max_attempts:
            if self.numbers is not None:
                await self._turn(self.numbers)
            self.in_flight += 1
            try:
                status = await outcome_of(self.fleet.worker(f"{name}.{attempt}", path, body), self.deadline_ms)
            except (Crashed, TimeoutError):
                status = 599
            self.in_flight -= 1
            self.ground.heard(status)
            if 200 <= status < 300:
                self.factor = min(1.0, self.factor * 1.1)
                return
            self._slow(status)
            attempt += 1
            if attempt != self.max_attempts:
                await sleep(self._back_off_ms(attempt), "task backoff")
        self.ground.note("queue", "task dropped", path=path, task=f"{crc32(body):08x}")

    async def _turn(self, numbers: DeployedQueue) -> None:
        """Wait until this task may be dispatched: the queue runs, its rate allows it, and not too many of its tasks are under way.

        First come, first served. Each that waits sleeps until its turn is to be expected, or half of that time if it is far away.
        """
        ticket = self.tickets
        self.tickets += 1
        while True:
            now = self.ground.now_ms
            held = max(self.region.stalls_until, self.paused_until, self.asleep_until)
            if held > now:
                await sleep(held - now, "task held")
                continue
            if self.in_flight >= numbers.concurrent:
                await sleep(BUSY_MS, "queue busy")
                continue
            ahead, gap = ticket - self.admitted, 1000 / (numbers.per_second * self._speed(now))
            if ahead == 0 and self.next_at - now < 1:
                self.admitted += 1
                self.next_at = max(float(now), self.next_at) + gap
                return
            turn = max(0.0, self.next_at - now) + ahead * gap
            await sleep(max(1.0, turn if ahead < NEAR else turn / 2), "queue rate")

    def _speed(self, now: int) -> float:
        factor = self.factor if now < self.slowed_until else 1.0
        return min(factor, RAMP_FACTOR) if now < self.ramps_until else factor

    def _slow(self, status: int) -> None:
        if status in (429, 503):
            self.factor = max(LEAST_FACTOR, (self.factor if self.ground.now_ms < self.slowed_until else 1.0) / 2)
            self.slowed_until = self.ground.now_ms + SLOWED_MS

    def _back_off_ms(self, attempt: int) -> float:
        """Cloud Tasks: the least back-off, doubled `max_doublings` times, then growing by the same step, up to the most."""
        if self.numbers is None:
            return min(1_000 * 2 ** (attempt - 1), 60_000)
        least, doublings = self.numbers.min_backoff_s, self.numbers.max_doublings
        doubled = least * 2 ** min(attempt - 1, doublings)
        return 1_000 * min(doubled + max(0, attempt - 1 - doublings) * least * 2**doublings, self.numbers.max_backoff_s)
