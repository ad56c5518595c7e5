from __future__ import annotations

import asyncio

import httpx
import pytest
from tests.unit.simulator.cloud_tasks.worker import Worker

from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import Scheduler

EPOCH = 1_700_000_000.0


async def run(clock: Clock, seconds: float) -> None:
    clock.advance(seconds)
    await asyncio.sleep(0.01)


async def test_it_posts_each_interval_with_cloud_scheduler_s_headers() -> None:
    clock, worker = Clock(epoch=EPOCH, rate=0), Worker(answers=[200, 500, httpx.ConnectError("refused")])
    scheduler = Scheduler(clock, "http://worker.test/sweep", 60, transport=worker.transport, invoker="invoker@p.test")
    await scheduler.start()
    await run(clock, 59)
    assert worker.requests == []
    await run(clock, 1)
    (request,) = worker.requests
    assert (request.method, request.url.path, request.content) == ("POST", "/sweep", b"")
    assert request.headers["user-agent"] == "Google-Cloud-Scheduler"
    assert request.headers["x-cloudscheduler"] == "true"
    assert request.headers["x-cloudscheduler-jobname"] == "sweep"
    assert request.headers["x-cloudscheduler-scheduletime"] == "2023-11-14T22:14:20Z"
    assert request.headers["authorization"].startswith("Bearer ")
    await run(clock, 60)
    await run(clock, 60)
    assert [(made.scheduled_at - EPOCH, made.status) for made in scheduler.runs] == [(60, 200), (120, 500), (180, None)]
    assert scheduler.runs[2].failure == "ConnectError: refused"
    await scheduler.aclose()
    await scheduler.aclose()
    await run(clock, 600)
    assert len(worker.requests) == 3


async def test_a_run_that_hangs_swallows_the_next_ones_and_is_given_up() -> None:
    clock, worker = Clock(epoch=EPOCH, rate=0), Worker(hold=asyncio.Event())
    scheduler = Scheduler(clock, "http://worker.test/sweep", 60, transport=worker.transport)
    await scheduler.start()
    await run(clock, 60)
    await run(clock, 60)
    assert len(worker.requests) == 1
    await run(clock, 120)
    assert scheduler.runs[0].failure == "no answer within 180 s"
    await scheduler.aclose()


async def test_its_history_is_bounded() -> None:
    clock, worker = Clock(epoch=EPOCH, rate=0), Worker()
    scheduler = Scheduler(clock, "http://worker.test/sweep", 60, transport=worker.transport, history=2)
    await scheduler.start()
    for _ in range(4):
        await run(clock, 60)
    assert [made.scheduled_at - EPOCH for made in scheduler.runs] == [180, 240]
    await scheduler.aclose()


def test_an_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        Scheduler(Clock(epoch=EPOCH, rate=0), "http://worker.test/sweep", 0)
