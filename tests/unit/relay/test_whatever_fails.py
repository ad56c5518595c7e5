"""An acked start is handed on in time, whatever fails: store, queues, workers, one at a time (G9)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.ports.bench import Bench, key_of
from tests.ports.events import MEETING, NOW, STREAM, URLS_A, URLS_B, started, stopped
from tests.ports.plain import Crash, nothing
from tests.unit.relay.handing.playing import away

from rtms_relay import tasks
from rtms_relay.errors import QueueUnavailable, Stopping, StoreUnavailable
from rtms_relay.handoff.keys import idempotency_key
from rtms_relay.ports import Answer

KEY_A = key_of(URLS_A)
START = tasks.Start(event="meeting.rtms_started", product="meeting", stream_id=STREAM, entity_id=MEETING, server_urls=URLS_A, event_ts=NOW)


def outcome_in(body: bytes) -> tasks.OutcomeNote:
    task = tasks.decode(body, "/events")
    assert isinstance(task, tasks.OutcomeNote)
    return task


def hanging(bench: Bench) -> None:
    async def trouble(_: str) -> None:
        await bench.clock.sleep(2)
        raise StoreUnavailable("no answer within 2 s")

    bench.store.trouble = trouble


def losing_answers(bench: Bench, count: int) -> None:
    """The next commits are written, and their answers are lost."""
    left = iter(range(count))

    async def lost(_: str) -> None:
        if next(left, None) is not None:
            raise StoreUnavailable("written, but the answer got lost")

    bench.store.after_commit = lost


def back(bench: Bench) -> None:
    async def fine(_: str) -> None: ...

    bench.store.trouble = fine


# The store


@pytest.mark.parametrize("trouble", [away, hanging])
@pytest.mark.parametrize("seconds", [4, 3600])
async def test_a_store_that_is_away_costs_nothing(trouble: Callable[[Bench], None], seconds: float) -> None:
    bench = Bench()
    trouble(bench)
    await bench.zoom(started())
    await bench.run(3)
    assert bench.posted_keys() == [idempotency_key(KEY_A, 0)]
    await bench.run(seconds)
    back(bench)
    await bench.run(400)
    attempt = bench.handoff(KEY_A).attempt
    assert (attempt.state, attempt.mdc_id, attempt.unsure) == ("accepted", "mdc-1", False)
    assert list(bench.recall.mdcs) == ["mdc-1"]
    assert not any(queue.tasks for queue in bench.queues.values())


@pytest.mark.parametrize("count", [1, 3])
async def test_a_lease_whose_answer_is_lost_is_known_for_ones_own(count: int) -> None:
    """Seed 2625 of the simulated world: three such answers, and the start waited three times for the end of its own lease."""
    bench = Bench()
    losing_answers(bench, count)
    await bench.zoom(started())
    await bench.run(2)
    assert bench.posted_keys() == [idempotency_key(KEY_A, 0)]
    attempt = bench.handoff(KEY_A).attempt
    assert (attempt.state, attempt.tries) == ("accepted", 1)


async def test_a_lease_that_another_took_meanwhile_is_not() -> None:
    bench = Bench()

    async def overtaken(_: str) -> None:
        bench.store.after_commit = nothing
        # Between the lost answer and the next try another worker writes the same record.
        [(place, (version, fields))] = [one for one in bench.store.documents.items() if one[0][0] == "handoffs"]
        bench.store.documents[place] = (version + 1, {**fields, "write": "of another"})
        raise StoreUnavailable("written, but the answer got lost")

    bench.store.after_commit = overtaken
    await bench.zoom(started())
    await bench.run(15)
    assert bench.posted_keys() == [], "the lease may be another's, so it is waited for"
    await bench.run(10)
    assert bench.posted_keys() == [idempotency_key(KEY_A, 0)]


async def test_an_outcome_reaches_the_records_through_the_second_region_if_the_home_region_takes_no_task() -> None:
    """Seed 2629 of the simulated world: records and home region away, and an MDC that no record knew."""
    bench = Bench()
    away(bench)
    bench.home.down = bench.facts_queue.down = bench.retrievals.down = True
    await bench.zoom(started())
    await bench.run(20)
    assert bench.posted_keys() == [idempotency_key(KEY_A, 0)]
    assert [outcome_in(task.body).posts != () for task in bench.second.tasks] == [False, True], "word of it, and what came of it"
    back(bench)
    await bench.run(400)
    attempt = bench.handoff(KEY_A).attempt
    assert (attempt.state, attempt.mdc_id) == ("accepted", "mdc-1")
    assert list(bench.recall.mdcs) == ["mdc-1"]


async def test_word_of_a_post_without_the_store_is_left_before_it() -> None:
    """Seed 247 of the simulated world: the worker crashed between the POST and its outcome, and no record knew what it had made."""
    bench = Bench()
    left: list[bytes] = []

    def looks() -> Answer:
        left.extend(task.body for task in bench.facts_queue.tasks)
        return Answer(503)

    bench.recall.script = [looks]
    bench.facts_queue.stalled = True
    away(bench)
    await bench.zoom(started())
    await bench.run(3)
    assert [(word.start.event_ts, word.posts) for word in map(outcome_in, left)] == [(NOW, ())]


async def test_of_a_worker_that_crashed_at_such_a_post_the_record_says_that_something_may_have_been_made() -> None:
    bench = Bench()
    word = tasks.OutcomeNote(start=START, posts=())
    await bench.worker.receive("/events", tasks.encode(word))
    assert bench.handoff(KEY_A).attempt.keys.doubtful
    await bench.worker.receive("/events", tasks.encode(word))
    bench.recall.script = [Answer(401)] * 100
    await bench.live(400)
    attempt = bench.handoff(KEY_A).attempt
    assert (attempt.state, attempt.unsure) == ("expired", True)
    assert set(bench.posted_keys()) <= {idempotency_key(KEY_A, 0)}


async def test_a_permanent_error_of_the_store_alarms_at_once() -> None:
    bench = Bench()
    away(bench, permanent=True)
    await bench.zoom(started())
    await bench.run(0.1)
    assert len(bench.recall.creates) == 1
    assert bench.log.of("store_away", "ALERT")


async def test_while_the_store_is_away_only_key_0_is_used() -> None:
    bench = Bench()
    bench.recall.script = [Answer(429, retry_after_s=1), Answer(503), Answer(503), Answer(503)]
    away(bench)
    await bench.zoom(started())
    await bench.run(60)
    assert set(bench.posted_keys()) == {idempotency_key(KEY_A, 0)}
    back(bench)
    await bench.run(400)
    assert bench.state(KEY_A) == "accepted"


async def test_a_store_that_goes_away_between_two_tries() -> None:
    bench = Bench()
    bench.recall.script = [Answer(503)]

    async def gone() -> None:
        away(bench)

    bench.recall.during_create = gone
    await bench.zoom(started())
    await bench.run(50)
    assert set(bench.posted_keys()) == {idempotency_key(KEY_A, 0)}
    assert len(bench.recall.creates) >= 2
    bench.recall.during_create = None
    back(bench)
    await bench.run(400)
    assert bench.state(KEY_A) == "accepted"
    assert len(bench.recall.mdcs) == 1


async def test_an_outcome_without_a_store_is_written_down_as_it_was() -> None:
    bench = Bench()
    bench.recall.script = [Answer(0, failure="unreachable")] * 100
    away(bench)
    await bench.zoom(started())
    await bench.run(120)
    assert bench.log.of("handoff_expired", "ALERT")
    back(bench)
    bench.recall.script = []
    await bench.run(600)
    assert bench.state(KEY_A) == "expired"
    assert not bench.recall.mdcs


async def test_a_refusal_without_a_store_is_written_down() -> None:
    bench = Bench()
    bench.recall.script = [Answer(400, b"no")] * 2
    away(bench)
    await bench.zoom(started())
    await bench.run(30)
    back(bench)
    await bench.run(600)
    assert bench.state(KEY_A) == "failed"
    assert "no" in bench.handoff(KEY_A).attempt.reason


async def test_neither_the_record_nor_the_task_can_be_written() -> None:
    bench = Bench()
    away(bench)
    bench.facts_queue.down = bench.second.down = True
    await bench.zoom(started())
    await bench.run(30)
    assert bench.home.tasks[0].attempts > 1
    back(bench)
    await bench.run(60)
    assert (bench.state(KEY_A), list(bench.recall.mdcs)) == ("accepted", ["mdc-1"])
    assert not bench.home.tasks


async def test_facts_wait_for_the_store_for_as_long_as_it_takes() -> None:
    bench = Bench()
    await bench.zoom(started())
    await bench.run(10)
    away(bench)
    await bench.zoom(stopped(NOW + 20_000))
    await bench.run(7200)
    back(bench)
    await bench.run(310)
    assert bench.facts().stopped_ts == NOW + 20_000
    assert bench.handoff(KEY_A).retrieval.ended_at == NOW + 20_000


# The queues


@pytest.mark.parametrize("seconds", [70, 3600])
async def test_a_stalled_home_queue_costs_nothing_and_alarms_within_ten_seconds(seconds: float) -> None:
    bench = Bench()
    bench.home.stalled = True
    await bench.zoom(started())
    await bench.run(10)
    assert bench.state(KEY_A) == "accepted"
    assert bench.log.of("home_stalled", "ALERT")
    await bench.run(seconds)
    bench.home.stalled = False
    await bench.run(10)
    assert len(bench.recall.creates) == 1
    assert not bench.home.tasks


@pytest.mark.parametrize("which", ["home", "second"])
@pytest.mark.parametrize("hangs_s", [0.0, 30.0])
async def test_one_queue_that_takes_nothing_costs_nothing(which: str, hangs_s: float) -> None:
    bench = Bench()
    queue = getattr(bench, which)
    queue.down, queue.hangs_s = True, hangs_s
    await bench.zoom(started())
    assert bench.clock.monotonic_ms() <= 300
    await bench.run(10)
    assert bench.state(KEY_A) == "accepted"


@pytest.mark.parametrize("seconds", [0.3, 1.0, 5.0, 10.0])
async def test_both_queues_down_for_a_while(seconds: float) -> None:
    bench = Bench()
    bench.home.down = bench.second.down = True

    async def heal() -> None:
        await bench.clock.sleep(seconds)
        bench.home.down = bench.second.down = False

    healing = bench.jobs.start(heal(), "heal")
    await bench.zoom(started())
    await bench.run(10)
    assert healing.done()
    assert bench.state(KEY_A) == "accepted"


async def test_what_zoom_repeats_is_refused_in_time() -> None:
    bench = Bench()
    bench.facts_queue.down = True
    with pytest.raises(QueueUnavailable):
        await bench.zoom(stopped(NOW))
    assert bench.clock.monotonic_ms() < 3000


# Workers


async def test_a_worker_that_died_in_its_post_is_replaced_with_the_same_key() -> None:
    bench = Bench()
    deaths = []

    async def die() -> None:
        if not deaths:
            bench.recall.make(*bench.recall.creates[0])
            deaths.append(1)
            raise Crash

    bench.recall.during_create = die
    await bench.zoom(started())
    await bench.run(40)
    assert bench.state(KEY_A) == "accepted"
    assert set(bench.posted_keys()) == {idempotency_key(KEY_A, 0)}
    assert list(bench.recall.mdcs) == ["mdc-1"]


@pytest.mark.parametrize("number", range(1, 9))
async def test_a_crash_at_any_operation_of_the_store(number: int) -> None:
    bench = Bench()
    operations: list[str] = []

    async def trouble(name: str) -> None:
        operations.append(name)
        if len(operations) == number:
            raise Crash

    bench.store.trouble = trouble
    await bench.zoom(started())
    await bench.run(45)
    assert bench.state(KEY_A) == "accepted"
    assert list(bench.recall.mdcs) == ["mdc-1"]


async def test_two_copies_at_the_same_time_post_once() -> None:
    bench = Bench()

    async def slowly() -> None:
        await bench.clock.sleep(8)

    bench.recall.during_create = slowly
    bench.home.copies = 3
    await bench.zoom(started())
    await bench.run(30)
    assert len(bench.recall.creates) == 1
    assert bench.state(KEY_A) == "accepted"


async def test_a_worker_that_is_asked_to_stop_gives_its_task_back() -> None:
    bench = Bench()
    bench.recall.script = [Answer(429)]
    await bench.zoom(started())
    await bench.run(10)
    bench.stopping = True
    with pytest.raises(Stopping):
        await bench.clock.until_done(bench.worker.receive("/events", bench.home.tasks[0].body))
    bench.stopping = False
    await bench.run(40)
    assert bench.state(KEY_A) == "accepted"


async def test_the_sweep_is_the_third_line() -> None:
    bench = Bench()
    bench.home.stalled = bench.second.stalled = True
    await bench.zoom(started())
    await bench.run(1)
    bench.recall.script = [Answer(503)]
    bench.home.stalled = False
    await bench.run(1)
    bench.home.tasks.clear()
    await bench.zoom(started(URLS_B, bench.clock.now))
    bench.home.tasks.clear()
    bench.home.stalled = True
    await bench.live(60)
    assert bench.state(KEY_A) in ("accepted", "superseded")


async def test_a_sweep_hands_on_at_once_and_looks_later() -> None:
    bench = Bench()
    for number in range(30):
        await bench.zoom(started(stream=f"ended-{number}"))
    await bench.run(1)
    bench.home.stalled = bench.second.stalled = bench.retrievals.down = True
    for number in range(30):
        await bench.zoom(stopped(NOW + 1000, stream=f"ended-{number}"))
    await bench.run(40)

    async def die() -> None:
        raise Crash

    bench.recall.during_create = die
    bench.home.stalled = False
    ts = bench.clock.now
    for number in range(15):
        await bench.zoom(started(ts=ts, stream=f"fresh-{number}"))
    await bench.run(0.1)
    bench.home.tasks.clear()

    async def slowly() -> None:
        await bench.clock.sleep(2)

    bench.recall.during_create = slowly
    await bench.run(25)
    began = bench.clock.monotonic_ms()
    await bench.clock.until_done(bench.worker.sweep())
    assert bench.clock.monotonic_ms() - began < 5000
    states = {handoff.stream_id: handoff.attempt.state for handoff in bench.handoffs().values()}
    assert all(states[f"fresh-{number}"] == "accepted" for number in range(15))


async def test_a_worker_that_is_refused_for_ten_minutes_leaves_no_start_without_an_end() -> None:
    bench = Bench()
    deliver = bench.home.deliver
    refused = []

    async def refuse(path: str, body: bytes, due: int) -> None:
        if bench.clock.monotonic_ms() < 600_000:
            refused.append(path)
            raise PermissionError
        await deliver(path, body, due)

    bench.home.deliver = bench.second.deliver = refuse
    await bench.zoom(started())
    await bench.run(700)
    assert refused
    assert bench.state(KEY_A) == "expired"
    assert bench.log.of("handoff_expired", "ALERT")


async def test_a_stream_is_named_in_every_line_about_it() -> None:
    bench = Bench()
    await bench.zoom(started())
    await bench.run(10)
    for event in ("start_acked", "start_seen", "handoff_accepted", "attempt"):
        [line, *_] = bench.log.of(event)
        assert line["rtms_stream_id"] == STREAM
        assert line["entity_id"]
    assert bench.log.of("start_acked")[0]["name"] == "meeting.rtms_started"
