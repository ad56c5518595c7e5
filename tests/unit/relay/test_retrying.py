"""One more try that a person asks for: what is done, and for how long. Which try is possible is in handoff/test_retry.py."""

from __future__ import annotations

import pytest
from tests.ports.bench import Bench, key_of
from tests.ports.events import NOW, started, stopped

from rtms_relay.errors import NotFound
from rtms_relay.ports import Answer
from rtms_relay.retrying import Retry

KEY = key_of()


async def refused(bench: Bench) -> None:
    bench.recall.script = [Answer(400, b'{"detail":"no"}')]
    await bench.zoom(started())
    await bench.run(1)
    assert bench.state() == "failed"


async def retry(bench: Bench, key: str = KEY) -> Retry:
    return await bench.clock.until_done(bench.worker.retrying.retry(key))


async def test_what_nobody_knows_cannot_be_tried_again() -> None:
    with pytest.raises(NotFound, match=r"^no hand-off has this id$"):
        await retry(Bench(), "f" * 64)


async def test_a_retry_is_tried_on_for_twenty_seconds() -> None:
    bench = Bench()
    await refused(bench)
    bench.recall.script = [Answer(503), Answer(503)]
    answer = await retry(bench)
    assert (answer.id, answer.did, answer.state) == (KEY, "tried", "accepted")
    assert len(bench.recall.creates) == 4
    busy = Bench()
    await refused(busy)
    busy.recall.script = [Answer(503)] * 100
    before = busy.clock.now
    assert (await retry(busy)).state != "accepted"
    assert 10_000 < busy.clock.now - before <= 20_000


async def test_a_retry_that_looks_copies_nothing_itself() -> None:
    """Whoever asked waits for the answer: a copy takes minutes, and is a task's."""
    bench = Bench(archive=True)
    await bench.zoom(started())
    await bench.run(1)
    bench.recall.record("mdc-1")
    bench.retrievals.down = True
    await bench.zoom(stopped(NOW + 12_000))
    await bench.run(30)
    answer = await retry(bench)
    assert (answer.did, answer.retrieval) == ("looked", "awaiting")
    assert bench.archive is not None
    assert bench.archive.objects == {}
