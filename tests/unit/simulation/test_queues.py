"""The simulated Cloud Tasks and Cloud Run: the deployed numbers, and each kind of outage where it bites."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from itertools import pairwise

import pytest
from tests.simulation.fleet import Fleet, Pool
from tests.simulation.queues import Region, TaskQueue
from tests.simulation.world import Chances, Instance, World, sleep

from rtms_relay.errors import QueueUnavailable
from rtms_simulator.kit.deployed import deployed

OUTSIDE = Instance("world")


class Counting:
    """A service that notes when each task came and takes its time over it."""

    def __init__(self, world: World, takes_ms: float = 10.0, status: Callable[[int], int] = lambda number: 200) -> None:
        self.world, self.takes_ms, self.status = world, takes_ms, status
        self.came: list[int] = []
        self.at_once, self.most = 0, 0
        self.by: list[str] = []

    async def webhook(self, instance: Instance, path: str, headers: Mapping[str, str], body: bytes) -> int:
        return 200

    def worker(self, instance: Instance, path: str, body: bytes) -> Awaitable[int]:
        return self._work(instance)

    async def _work(self, instance: Instance) -> int:
        self.came.append(self.world.now_ms)
        self.by.append(instance.name)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await sleep(self.takes_ms)
        self.at_once -= 1
        return self.status(len(self.came))


class Place:
    def __init__(self, name: str = "handoffs", **service: object) -> None:
        self.world = World(0, Chances(default_delay=(0.0, 0.0)))
        self.start = self.world.now_ms
        self.service = Counting(self.world, **service)  # ty: ignore[invalid-argument-type]
        numbers = deployed()
        webhooks, workers = (Pool.deployed(self.world, role, numbers.functions[role], 1, lambda: 0) for role in ("webhook", "worker"))
        self.fleet = Fleet(self.world, self.service, webhooks, workers)
        self.queue = TaskQueue(self.world, self.fleet, OUTSIDE, name, numbers.queues[name], Region())
        self.refused = 0

    def put(self, tasks: int = 1) -> None:
        async def enqueue(number: int) -> None:
            try:
                await self.queue.enqueue("/events", b"%d" % number)
            except QueueUnavailable:
                self.refused += 1

        for number in range(tasks):
            self.world.spawn(f"put {number}", enqueue(number), OUTSIDE)

    def came(self, until_s: float = 36_000) -> list[float]:
        """When each task came, in seconds after the start."""
        self.world.run(until_ms=self.start + int(until_s * 1000))
        return [(at - self.start) / 1000 for at in self.service.came]


@pytest.mark.parametrize(("name", "a_second"), [("handoffs", 100), ("facts", 100), ("retrievals", 4)])
def test_a_queue_keeps_its_deployed_rate(name: str, a_second: int) -> None:
    place = Place(name)
    place.put(40 * a_second)
    came = place.came()
    assert len(came) == 40 * a_second
    assert 39 <= came[-1] <= 41


@pytest.mark.parametrize(("name", "at_once"), [("handoffs", 80), ("facts", 60), ("retrievals", 120)])
def test_a_queue_keeps_its_deployed_number_of_dispatches_at_once(name: str, at_once: int) -> None:
    place = Place(name, takes_ms=60_000.0)
    place.put(500)
    place.world.run(until_ms=place.start + 50_000)
    assert place.service.most == at_once


def test_failures_are_repeated_with_the_deployed_back_off_for_ever() -> None:
    place = Place("handoffs", status=lambda number: 500)
    place.put()
    came = place.came(600)
    pauses = [round(after - before) for before, after in pairwise(came)]
    assert pauses[:6] == [1, 2, 4, 8, 10, 10]
    assert set(pauses[6:]) == {10}


@pytest.mark.parametrize("status", [429, 503])
def test_429_and_503_slow_the_whole_queue(status: int) -> None:
    place = Place("facts", status=lambda number: status if number <= 50 else 200)
    place.put(1_000)
    assert place.came()[-1] > 30


def test_other_errors_do_not_slow_it() -> None:
    place = Place("facts", status=lambda number: 500 if number <= 50 else 200)
    place.put(1_000)
    assert place.came()[-1] < 15


@pytest.mark.parametrize("field", ["paused_until", "asleep_until"])
def test_a_queue_that_is_held_dispatches_what_it_has_afterwards(field: str) -> None:
    place = Place()
    place.put()
    place.world.at(place.start - 1, lambda: setattr(place.queue, field, place.start + 70_000))
    place.world.run(until_ms=place.start + 1)
    held = place.came()
    assert held == ([] if place.refused else [70.0])
    assert place.refused == (field == "asleep_until")


def test_a_region_that_stalls_takes_tasks_and_dispatches_none() -> None:
    place = Place()
    place.queue.region.stalls_until = place.start + 3_600_000
    place.put(3)
    assert place.came()[0] == 3_600
    assert place.refused == 0


@pytest.mark.parametrize(("field", "after_s"), [("refuses_until", 0), ("hangs_until", 2)])
def test_a_region_that_refuses_takes_none(field: str, after_s: int) -> None:
    place = Place()
    setattr(place.queue.region, field, place.start + 60_000)
    place.put(3)
    assert place.came() == []
    assert place.refused == 3
    assert place.world.now_ms == place.start + after_s * 1000


def test_a_queue_ramps_up() -> None:
    place = Place()
    place.queue.ramps_until = place.start + 10_000
    place.put(50)
    came = place.came()
    assert 15 <= len([at for at in came if at < 10]) <= 25


def test_another_instance_starts_when_all_places_are_taken_up_to_the_deployed_most() -> None:
    place = Place("handoffs", takes_ms=60_000.0)
    numbers = deployed().functions["worker"]
    for number in range(numbers.slots + 5):
        place.fleet.worker(f"r{number}", "/events", b"")
    place.world.run()
    assert len(set(place.service.by)) == numbers.max_instances
    assert place.service.most == numbers.slots
    assert max(place.service.by.count(name) for name in set(place.service.by)) == numbers.concurrency
    assert place.service.came[numbers.concurrency] >= place.start + 1_000  # a cold start


def test_beyond_the_most_the_platform_answers_429_and_when_it_refuses_what_it_says() -> None:
    place = Place("handoffs", takes_ms=1_000.0)
    worker = replace(place.fleet.workers, concurrency=1, most=1)
    place.fleet.workers = worker
    outcomes = [place.fleet.worker(f"r{number}", "/events", b"") for number in range(2)]
    place.world.run()
    assert [one.outcome for one in outcomes] == [("returned", 200), ("returned", 429)]
    place.fleet.refused_until, place.fleet.refusal = place.world.now_ms + 1, 403
    refused = place.fleet.worker("r3", "/events", b"")
    place.world.run()
    assert refused.outcome == ("returned", 403)
