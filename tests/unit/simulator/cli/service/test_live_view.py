"""What `rtmskit serve` shows: each change of a hand-off, and what is unfinished, also of hand-offs that are not among the newest."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tests.ports.bench import key_of
from tests.ports.events import NOW, started
from tests.unit.simulator.real_worker import RealWorker

from rtms_simulator.cli.service.live_view import ROWS, LiveView


@pytest.fixture
def worker():
    real = RealWorker()
    yield real
    real.close()


async def record(worker: RealWorker, mdc_id: str, key: str) -> None:
    worker.bench.recall.record(mdc_id)
    await worker.bench.recall_says("recording.done", "rec-1", key)
    await worker.bench.run(30)


async def test_a_hand_off_is_followed_to_its_end_though_many_newer_ones_came(worker: RealWorker):
    told: list[tuple[str, str]] = []

    def tell(kind: str, what: str, *, row: Any) -> None:
        told.append((row.id, f"{row.state} {row.retrieval}"))

    view, left = LiveView(SimpleNamespace(worker_url=worker.url, run_secret=""), tell), {}  # ty: ignore[invalid-argument-type]
    first = key_of(stream="first")
    worker.play(started(stream="first"))
    await view.look(left)
    assert (told, left) == ([(first, "accepted awaiting")], {first: "its recording is awaited"})

    worker.play(*(started(ts=NOW + number, stream=f"s{number}") for number in range(1, ROWS + 2)), seconds=0.1)
    rows = await view.look(left)
    assert rows is not None
    assert len(rows) == ROWS
    assert first not in {row.id for row in rows}
    assert len(left) == ROWS + 2  # all, also the one that was never among the newest

    worker.do(record(worker, "mdc-1", first))
    await view.look(left)
    assert (first, "accepted done") in told
    assert first not in left
