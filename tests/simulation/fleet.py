"""The service's instances, as Cloud Run runs them, and how a request reaches one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from zlib import crc32

from rtms_simulator.kit.deployed import DeployedFunction
from tests.simulation.world import Ground, Instance, Process, pause, sleep

COLD_START_MS = (1_000.0, 4_000.0)
"""From a request that needs another instance to its first line of code."""


class Service(Protocol):
    """The service under test, as the far side reaches it: a status for each request, from a given instance."""

    def webhook(self, instance: Instance, path: str, headers: Mapping[str, str], body: bytes) -> Awaitable[int]: ...

    def worker(self, instance: Instance, path: str, body: bytes) -> Awaitable[int]: ...


@dataclass(slots=True)
class Pool:
    """The instances of one function. A request's name decides which of those with a free place takes it; if none has one, another instance
    is started, up to `most`; beyond that the platform answers 429.

    `concurrency` 0: as many at once as come, and never another instance. `skew`: how far a new instance's clock is off, ms.
    """

    ground: Ground
    role: str
    instances: list[Instance]
    concurrency: int = 0
    most: int = 0
    skew: Callable[[], int] = lambda: 0
    ready_at: dict[str, float] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)

    @classmethod
    def deployed(cls, ground: Ground, role: str, numbers: DeployedFunction, warm: int, skew: Callable[[], int]) -> Pool:
        """As deployed: `warm` instances (at least the deployed least) from the beginning."""
        pool = cls(ground, role, [], numbers.concurrency, numbers.max_instances, skew)
        for _ in range(max(warm, numbers.min_instances)):
            pool._add()
        return pool

    def serve(self, name: str, work: Callable[[Instance], Awaitable[int]]) -> Process:
        """Run a request on one of them; its outcome is a status."""
        if not self.concurrency:
            return self._spawn(name, work, self.instances[crc32(name.encode()) % len(self.instances)])
        free = [instance for instance in self.instances if self.taken[instance.name] < self.concurrency]
        ready = [instance for instance in free if self.ready_at[instance.name] <= self.ground.now_ms] or free
        if not ready and len(self.instances) >= self.most:
            return self.ground.spawn(name, _no_instance(), Instance("world"))
        # By name, not in turn: an explorer then meets the same state whatever was asked before.
        instance = ready[crc32(name.encode()) % len(ready)] if ready else self._add(self.ground.delay(*COLD_START_MS))
        self.taken[instance.name] += 1
        process = self._spawn(name, work, instance)
        process.waiters.append(lambda: self._left(instance))
        return process

    def _left(self, instance: Instance) -> None:
        self.taken[instance.name] -= 1

    def _add(self, starts_in_ms: float = 0.0) -> Instance:
        instance = Instance(f"{self.role}-{len(self.instances) + 1}", self.skew())
        self.instances.append(instance)
        self.ready_at[instance.name] = self.ground.now_ms + starts_in_ms
        self.taken[instance.name] = 0
        return instance

    def _spawn(self, name: str, work: Callable[[Instance], Awaitable[int]], instance: Instance) -> Process:
        return self.ground.spawn(name, self._answer(work, instance), instance)

    async def _answer(self, work: Callable[[Instance], Awaitable[int]], instance: Instance) -> int:
        wait = self.ready_at.get(instance.name, 0.0) - self.ground.now_ms
        if wait > 0:
            await sleep(wait, "cold start")
        status = await work(instance)
        await pause("answer")  # the work is done, the answer is not out yet: the worst moment to crash
        return status


async def _no_instance() -> int:
    await pause("answer")
    return 429


async def _refusal(status: int) -> int:
    await pause("answer")
    return status


@dataclass(slots=True)
class Fleet:
    """Both functions. `refused_until`, `refusal`: until when the platform lets nobody through to the worker, and what it answers.

    `gone_until`: until when no instance of a function (`webhook`, `worker`) can be started, and requests are answered 503.
    """

    ground: Ground
    service: Service
    webhooks: Pool
    workers: Pool
    refused_until: int = 0
    refusal: int = 403
    gone_until: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of_two(cls, ground: Ground, service: Service) -> Fleet:
        """Two instances of each, without limits: for small worlds."""
        webhooks, workers = (Pool(ground, role, [Instance(f"{role}-1"), Instance(f"{role}-2")]) for role in ("webhook", "worker"))
        return cls(ground, service, webhooks, workers)

    def webhook(self, name: str, path: str, headers: Mapping[str, str], body: bytes) -> Process:
        if self.ground.now_ms < self.gone_until.get("webhook", 0):
            return self.ground.spawn(f"{path} {name}", _refusal(503), Instance("world"))
        return self.webhooks.serve(f"{path} {name}", lambda instance: self.service.webhook(instance, path, headers, body))

    def worker(self, name: str, path: str, body: bytes) -> Process:
        if self.ground.now_ms < self.refused_until:
            return self.ground.spawn(f"{path} {name}", _refusal(self.refusal), Instance("world"))
        if self.ground.now_ms < self.gone_until.get("worker", 0):
            return self.ground.spawn(f"{path} {name}", _refusal(503), Instance("world"))
        return self.workers.serve(f"{path} {name}", lambda instance: self.service.worker(instance, path, body))
