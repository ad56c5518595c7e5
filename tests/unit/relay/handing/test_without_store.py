"""A start that is handed on while the store is away, from the beginning or on the way: pauses, words and lines."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.ports.bench import Bench
from tests.ports.events import MEETING, NOW, STREAM, URLS_A, started
from tests.ports.plain import nothing
from tests.unit.relay.handing.playing import (
    IDS,
    KEY_A,
    away,
    going_away,
    stored,
    taken,
    timed,
)

from rtms_relay import tasks
from rtms_relay.handoff.keys import idempotency_key, stream_key
from rtms_relay.ports import Answer


@pytest.mark.parametrize(("permanent", "severity"), [(False, "ERROR"), (True, "ALERT")])
async def test_a_store_that_is_away_is_said_with_the_stream(permanent: bool, severity: str) -> None:
    bench = Bench()

    away(bench, permanent=permanent)
    await bench.zoom(started())
    await bench.run(4)
    line = {"severity": severity, "event": "store_away", "what": "the store is away", "stream": stream_key(STREAM)}
    assert bench.log.of("store_away")[0] == line
    assert bench.posted_keys() == [idempotency_key(KEY_A, 0)]


async def test_the_record_of_a_start_is_waited_for_two_seconds() -> None:
    bench, moments = Bench(), []

    async def hang(_: str) -> None:
        await bench.clock.sleep(60)

    log = bench.log

    class Timed:
        def __call__(self, severity: str, event: str, /, **fields: object) -> None:
            moments.append((event, bench.clock.monotonic_ms(), fields.get("what")))
            log(severity, event, **fields)

    bench.store.trouble = hang
    bench.log = Timed()  # ty: ignore[invalid-assignment]
    bench.worker = bench.new_worker()
    await bench.zoom(started())
    await bench.run(4)
    away = [(moment, what) for event, moment, what in moments if event == "store_away"]
    assert away[0] == (2_000, "note the start took longer than 2 s")


@pytest.mark.parametrize("when", ["during the try", "before the next one"])
async def test_a_store_that_goes_away_on_the_way_is_said_with_the_hand_off_and_the_answer_is_its_state(when: str) -> None:
    bench = Bench()
    bench.home.stalled = bench.second.stalled = True
    await bench.zoom(started())
    body = bench.home.tasks[0].body
    bench.recall.script = [Answer(503)]

    async def go() -> None:
        away(bench)

    async def go_before_the_second_try() -> None:
        await bench.clock.sleep(0.2)
        away(bench)

    moments = timed(bench, go if when == "during the try" else None)
    if when == "before the next one":
        bench.jobs.start(go_before_the_second_try(), "the store goes away")
    reply = await bench.clock.until_done(bench.worker.receive("/events", body))
    assert (reply.body, bench.posted_keys()) == ({"status": "accepted"}, [idempotency_key(KEY_A, 0)] * 2)
    line = {"severity": "ERROR", "event": "store_away", "what": "the store is away", **IDS}
    assert bench.log.of("store_away") == [line]
    assert moments == ([0, 1_000] if when == "during the try" else [0, 1_500])  # the store is asked for a second


async def test_pauses_are_the_same_without_the_store() -> None:
    bench = Bench()
    bench.second.stalled = True
    moments = timed(bench)

    away(bench, permanent=True)
    bench.recall.script = [Answer(503), Answer(500)]
    await bench.zoom(started())
    await bench.run(10)
    assert moments == [0, 500, 1_500]


async def test_word_of_a_post_without_the_store_that_nobody_takes_is_said_and_the_start_is_worth_more() -> None:
    bench = Bench()
    away(bench, permanent=True)
    await bench.zoom(started())
    bench.facts_queue.down = bench.second.down = True
    bench.second.tasks.clear()
    moments = timed(bench)
    await bench.run(30)
    stream = stream_key(STREAM)
    errors = [line for line in bench.log.of("error") if line["where"] in ("announce", "outcome")]
    said = {"what": "handoffs-second is down", "stream": stream}
    assert errors[0] == {"severity": "WARNING", "event": "error", "where": "announce", **said}
    assert errors[1] == {"severity": "ERROR", "event": "error", "where": "outcome", **said}
    assert moments[0] == 3_000  # a second and a half for each of the queues


async def test_word_of_a_post_without_the_store_is_a_task_of_events_in_either_region() -> None:
    for down in (False, True):
        bench = Bench()
        away(bench, permanent=True)
        await bench.zoom(started())
        bench.second.tasks.clear()
        bench.facts_queue.down = down
        bench.facts_queue.stalled = bench.second.stalled = True
        await bench.run(10)
        queue = bench.second if down else bench.facts_queue
        assert [task.path for task in queue.tasks] == ["/events"] * 2
        before, after = (tasks.decode(task.body, task.path) for task in queue.tasks)
        assert isinstance(before, tasks.OutcomeNote)
        assert isinstance(after, tasks.OutcomeNote)
        assert (before.posts, [post.mdc_id for post in after.posts]) == ((), ["mdc-1"])
        assert before.start.received_ms == after.start.received_ms == NOW


async def test_with_one_region_a_start_without_store_and_facts_is_posted_all_the_same() -> None:
    bench = Bench(HANDOFF_QUEUES="projects/p/locations/l/queues/q")
    del bench.queues["handoffs-second"]
    bench.worker = bench.new_worker()
    away(bench, permanent=True)
    await bench.zoom(started())
    bench.facts_queue.down = True
    await bench.run(3)
    assert len(bench.recall.creates) == 1
    assert [line["what"] for line in bench.log.of("error") if line["where"] == "announce"] == ["facts is down"]


async def test_of_many_posts_without_the_store_the_last_twenty_are_told() -> None:
    bench = Bench()
    away(bench, permanent=True)
    await bench.zoom(started())
    bench.second.tasks.clear()
    bench.facts_queue.stalled = True
    bench.recall.script = [Answer(409)] * 100
    await bench.run(70)
    word = tasks.decode(bench.facts_queue.tasks[-1].body, "/events")
    assert isinstance(word, tasks.OutcomeNote)
    assert len(bench.recall.creates) > 40
    assert (len(word.posts), word.posts[-1].at) == (20, max(post.at for post in word.posts))


async def test_an_outcome_that_is_written_down_later_is_no_double() -> None:
    bench = Bench()
    away(bench, permanent=True)
    await bench.zoom(started())
    bench.facts_queue.stalled = True
    await bench.run(5)
    bench.store.trouble = nothing
    for task in bench.facts_queue.tasks:
        await bench.clock.until_done(bench.worker.receive("/events", task.body))
    assert (bench.state(), bench.log.of("handoff_doubled")) == ("accepted", [])


@pytest.mark.parametrize("resumed", [False, True])
async def test_word_of_a_try_says_which_start_it_answers(resumed: bool) -> None:
    bench = Bench()
    bench.home.stalled = bench.second.stalled = bench.facts_queue.stalled = True
    await bench.zoom(started())
    body = bench.home.tasks[0].body
    await bench.run(2)
    if resumed:
        _, handoff = await taken(bench)
        untried = replace(handoff.attempt, lease_until=None, tries=0, next_at=bench.clock.now)
        await stored(bench, replace(handoff, attempt=untried))
        body = tasks.encode(tasks.Resume(handoff=KEY_A))

    bench.recall.during_create = going_away(bench)
    await bench.clock.until_done(bench.worker.receive("/events", body))
    [word] = [tasks.decode(task.body, "/events") for task in bench.facts_queue.tasks]
    assert isinstance(word, tasks.OutcomeNote)
    at = NOW + 2_000 if resumed else NOW  # of the one that is resumed only the record is known
    assert (word.start.event, word.start.received_ms, word.received_ms) == ("" if resumed else "meeting.rtms_started", at, at)
    assert (word.start.entity_id, word.start.server_urls, word.start.event_ts) == (MEETING, URLS_A, NOW)


@pytest.mark.parametrize(
    ("answers", "event", "severity"),
    [([], "handoff_accepted", "NOTICE"), ([Answer(400)], "handoff_failed", "ALERT"), ([Answer(422)], "handoff_failed", "ALERT")],
)
async def test_what_a_try_came_to_while_the_store_went_away_is_said_once(answers: list[Answer], event: str, severity: str) -> None:
    """Without a record nothing else would say it; it was said only if the store was away from the beginning."""
    bench = Bench()

    bench.recall.during_create = going_away(bench)
    bench.recall.script = list(answers)
    bench.second.stalled = True
    await bench.zoom(started())
    await bench.run(5)
    said = [line for line in bench.log.lines if line["event"] in ("handoff_accepted", "handoff_failed", "handoff_expired")]
    assert [(line["event"], line["severity"], line["handoff"]) for line in said] == [(event, severity, KEY_A)]


async def test_another_host_fails_without_a_signature_also_without_the_store() -> None:
    bench = Bench()
    away(bench, permanent=True)
    await bench.zoom(started("wss://evil.example"))
    bench.second.tasks.clear()
    await bench.run(5)
    assert [line["severity"] for line in bench.log.of("handoff_failed")] == ["ALERT"]
    assert bench.recall.creates == []
