"""The ordinary shape of a working day, at the rates that `pulumi up` deploys: meetings end on the hour, and others begin."""

from __future__ import annotations

import pytest
from tests.ports.bench import Bench, key_of
from tests.ports.events import NOW, started, stopped

from rtms_infra.numbers import QUEUES, RETRIEVALS_PER_SECOND
from rtms_relay import tasks
from rtms_relay.handoff.record import HandOff


def deployed() -> Bench:
    bench = Bench()
    for name, queue in bench.queues.items():
        numbers = QUEUES["handoffs" if name == "handoffs-second" else name]
        queue.per_second = numbers.per_second or RETRIEVALS_PER_SECOND
        queue.back_off_s = (numbers.min_backoff_s, numbers.max_backoff_s)
    return bench


@pytest.mark.parametrize("ended", [400, 800])
async def test_starts_overtake_what_ended_meetings_leave_to_do(ended: int) -> None:
    """The first edition, at one queue with 6 a second: 87 of 120 starts expired after 400 ends, 30 and more after 800."""
    bench = deployed()
    for number in range(ended):
        await bench.zoom(started(stream=f"ended-{number}"))
    await bench.run(60)
    for number in range(ended):
        stream = f"ended-{number}"
        await bench.zoom(stopped(bench.clock.now, stream=stream))
        for name in ("video_mixed.done", "audio_mixed.done", "transcript.done", "participant_events.done", "recording.done"):
            await bench.recall_says(name, f"rec-{number}", key_of(stream=stream), message=f"{name}-{number}".replace(".", "-"))
    for number in range(120):
        await bench.zoom(started(stream=f"fresh-{number}", ts=bench.clock.now))
        await bench.live(10)
    waits = [handoff.attempt.accepted_at - handoff.epoch for handoff in fresh(bench) if handoff.attempt.accepted_at is not None]
    assert {handoff.attempt.state for handoff in fresh(bench)} == {"accepted"}
    assert len(waits) == 120
    assert max(waits) < 1000


async def test_fifty_starts_among_two_thousand_ends_are_accepted_within_ten_seconds() -> None:
    """G10, but for the network and the processor."""
    bench = deployed()
    for number in range(2000):
        await bench.facts_queue.enqueue("/events", stop(number))
    for number in range(50):
        await bench.zoom(started(stream=f"fresh-{number}"))
    await bench.run(60)
    assert max((handoff.attempt.accepted_at or 10**15) - NOW for handoff in fresh(bench)) < 10_000
    assert len(bench.store.all("streams")) == 2050


def stop(number: int) -> bytes:

    return tasks.encode(
        tasks.Stop(event="meeting.rtms_stopped", product="meeting", stream_id=f"ended-{number}", entity_id="", event_ts=NOW, stop_reason=6)
    )


def fresh(bench: Bench) -> list[HandOff]:
    return [handoff for handoff in bench.handoffs().values() if handoff.stream_id.startswith("fresh-")]
