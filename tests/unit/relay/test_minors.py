"""Small things that a review found, each with its right outcome: clocks that step, links that are no links, what an ack costs."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from functions_framework import aio
from tests.ports.bench import Bench, key_of
from tests.ports.events import NOW, started

from rtms_relay.errors import StoreUnavailable
from rtms_relay.routes.worker import WorkerRoutes

KEY = key_of()


@pytest.mark.parametrize("step_ms", [-600_000, 600_000])
async def test_patience_with_a_store_that_is_away_is_measured_on_a_clock_that_nobody_steps(step_ms: int) -> None:
    """The first edition asked 154 times in 8 s after the clock was set back ten minutes, and would have gone on."""
    bench, calls = Bench(), []

    async def away(name: str) -> None:
        calls.append(name)
        if len(calls) == 2:
            bench.clock.now += step_ms
        raise StoreUnavailable("away")

    bench.store.trouble = away
    began = bench.clock.monotonic_ms()
    with pytest.raises(StoreUnavailable):
        await bench.clock.until_done(bench.worker._records.handoff(KEY))
    assert 1_000 <= bench.clock.monotonic_ms() - began <= 1_100
    assert len(calls) <= 22


async def test_an_ack_costs_the_same_after_a_hundred_fail_overs() -> None:
    """The first edition settled all of a stream's hand-offs in the ack."""
    bench = Bench()
    bench.home.stalled = bench.second.stalled = True
    operations: list[str] = []

    async def note(name: str) -> None:
        operations.append(name)

    bench.store.trouble = bench.home.trouble = bench.second.trouble = note
    for number in range(100):
        operations.clear()
        await bench.zoom(started(f"wss://rtms-{number}.zoom.us", ts=NOW + number))
        assert operations == ["enqueue", "enqueue"]


@pytest.mark.parametrize(
    "link", ["https://x.example/日本?a=1", "https://x.example/a\r\nSet-Cookie: b=c", "https://x.example/\x00", "https://x.example/\ud83e"]
)
async def test_a_link_that_no_header_can_carry_breaks_no_answer(link: str) -> None:
    """The first edition answered 500, or passed a line break on."""
    bench = Bench()
    await bench.zoom(started())
    await bench.run(1)
    bench.recall.record("mdc-1")
    await bench.recall_says("recording.done", "rec-1", KEY)
    await bench.run(60)
    bench.recall.recordings["rec-1"]["media_shortcuts"]["video_mixed"]["data"]["download_url"] = link
    routes = WorkerRoutes(bench.worker, bench.clock, bench.log)

    async def function(request: Any) -> Any:
        return await routes.surface(request)

    app = aio._create_asgi_app_with_function(function, "http", enable_id_logging=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://worker") as http:
        answer = await http.get(f"/recordings/{KEY}/download?artifact=video_mixed")
    assert answer.status_code < 500
    assert answer.headers.get("location", "").isascii()
    assert "set-cookie" not in answer.headers
