"""G1-G4, G6, G8 on the real use cases: any order, any duplication, any crash, any of Recall's answers."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ports.bench import Bench
from tests.ports.events import ENVIRON, MEETING, NOW, STREAM, URLS_A, URLS_B, URLS_C, interrupted, started, stopped
from tests.ports.plain import Crash

from rtms_relay import tasks
from rtms_relay.errors import QueueUnavailable, RelayError, StoreUnavailable
from rtms_relay.ports import Answer

URLS = [URLS_A, URLS_B, URLS_C]
TIMES = st.integers(-7, 1).map(lambda step: NOW + step * 10_000)
EVENTS = st.one_of(
    st.builds(started, st.sampled_from(URLS), TIMES),
    st.builds(stopped, TIMES, st.sampled_from([6, 6, 10, None])),
    st.builds(interrupted, TIMES, st.sampled_from([None, *URLS])),
)
FINAL = {"accepted", "cancelled", "superseded", "failed", "expired"}


def task(event: dict[str, Any]) -> tasks.Start | tasks.Stop | tasks.Interruption:
    """What the webhook makes of an event."""
    payload = event["payload"]
    common: dict[str, Any] = {"event": event["event"], "product": "meeting", "stream_id": STREAM, "entity_id": MEETING}
    if event["event"].endswith("stopped"):
        return tasks.Stop(**common, event_ts=event["event_ts"], stop_reason=payload["stop_reason"])
    if payload.get("server_urls") is None:
        return tasks.Interruption(**common, event_ts=event["event_ts"])
    return tasks.Start(**common, event_ts=event["event_ts"], server_urls=payload["server_urls"])


async def noted(events: list[dict[str, Any]]) -> Bench:
    """The records after these events, before anything is POSTed."""
    bench = Bench()
    for event in events:
        message = task(event)
        if isinstance(message, tasks.Start):
            await bench.clock.until_done(_note(bench, message))
        else:
            await bench.clock.until_done(bench.worker.receive("/events", tasks.encode(message)))
    return bench


async def _note(bench: Bench, start: tasks.Start) -> None:
    await bench.worker._new_handing().note(start)


def expected(events: list[dict[str, Any]]) -> tuple[str, str] | None:
    """An own reading of the design's table: where the stream is, and the state of that hand-off, at the time NOW."""
    starts = [(event["event_ts"], event["payload"]["server_urls"]) for event in events if event["payload"].get("server_urls")]
    if not starts:
        return None
    stop = max((event["event_ts"] for event in events if event["event"].endswith("stopped")), default=0)
    begun, urls = max(starts)
    return urls, "cancelled" if begun < stop else "pending"  # 70 s late at most: still tried once


@settings(max_examples=200)
@given(events=st.lists(EVENTS, min_size=1, max_size=7), data=st.data())
async def test_any_order_and_any_duplication_end_alike(events: list[dict[str, Any]], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(events), max_size=4))
    for order in (events, data.draw(st.permutations(events + again))):
        bench = await noted(order)
        facts = bench.facts()
        stops = [(e["event_ts"], -1 if (r := e["payload"]["stop_reason"]) is None else r) for e in events if e["event"].endswith("stopped")]
        assert (facts.stopped_ts, facts.stop_reason) == max(stops, default=(0, -1))
        newest = facts.newest
        if newest is None:
            assert expected(events) is None
            continue
        assert (newest.server_urls, bench.state(newest.key)) == expected(events)
        others = {handoff.attempt.state for key, handoff in bench.handoffs().items() if key != newest.key}
        assert others <= {"superseded"}


ANSWERS = st.sampled_from(
    [
        Answer(201),
        Answer(409),
        Answer(429, retry_after_s=3),
        Answer(401),
        Answer(503),
        Answer(507),
        Answer(400),
        Answer(0, failure="timeout"),
    ]
)
LOST = st.just("lost")  # made, but the answer never came


class Trouble:
    """Lets some operations of the store, the queues or Recall fail, as drawn: number of the operation -> crash or refusal."""

    def __init__(self, bench: Bench, plan: dict[int, type[BaseException]]) -> None:
        self.count = 0
        self.plan = plan
        bench.store.trouble = lambda _: self.step(StoreUnavailable("injected"))
        bench.recall.during_create = lambda: self.step(Crash())
        for queue in bench.queues.values():
            queue.trouble = lambda _: self.step(QueueUnavailable("injected"))

    async def step(self, refusal: BaseException) -> None:
        self.count += 1
        trouble = self.plan.get(self.count)
        if trouble is not None:
            raise Crash if trouble is Crash else refusal


PLANS = st.dictionaries(st.integers(1, 60), st.sampled_from([Crash, StoreUnavailable]), max_size=6)


async def zoomed(bench: Bench, event: dict[str, Any]) -> bool:
    """Deliver an event, with Zoom's retries close together; whether it was acknowledged."""
    for _ in range(8):
        try:
            await bench.zoom(event)
        except (RelayError, Crash):
            continue
        return True
    return False


@settings(max_examples=120)
@given(
    events=st.lists(EVENTS, min_size=1, max_size=6),
    script=st.lists(st.one_of(ANSWERS, LOST), max_size=8),
    plan=PLANS,
    pauses=st.lists(st.sampled_from([0, 0, 1, 5, 30]), min_size=6, max_size=6),
)
async def test_nothing_is_lost_and_nothing_doubled(events: list[Any], script: list[Any], plan: dict[int, Any], pauses: list[int]) -> None:
    bench = Bench()
    bench.recall.script = [(lambda: Answer(0, failure="reset")) if step == "lost" else step for step in script]
    trouble = Trouble(bench, plan)
    acked: list[dict[str, Any]] = []
    for event, pause in zip(events, pauses, strict=False):
        if await zoomed(bench, event):
            acked.append(event)
        await bench.run(pause)
    await bench.run(20)
    trouble.plan.clear()
    bench.recall.script.clear()
    await bench.live(1200)
    await bench.live(60 * 3600)
    check(bench, acked)


def check(bench: Bench, acked: list[dict[str, Any]]) -> None:
    records = bench.handoffs()
    runs = {run.server_urls for run in bench.facts().runs} if bench.store.all("streams") else set()
    for event in acked:
        urls = event["payload"].get("server_urls")
        if urls is not None:
            assert urls in runs  # G1
    for record in records.values():
        assert record.attempt.state in FINAL
        assert record.attempt.state == "accepted" or record.attempt.reason
        assert record.due_at is None, record  # nothing is still to be done days later
    made: dict[str, set[str]] = {}
    for mdc_id, body in bench.recall.mdcs.items():
        made.setdefault(body["metadata"]["rtmskit_handoff"], set()).add(mdc_id)
    for key, ids in made.items():
        assert len(ids) == 1 or records[key].attempt.unsure, (key, ids)  # G2
        assert records[key].attempt.mdc_id is None or records[key].attempt.mdc_id in ids
    if records and (newest := bench.facts().newest) is not None:  # G3
        assert all(record.attempt.state in ("superseded", "failed") for key, record in records.items() if key != newest.key)
    everything = json.dumps([bench.store.all("handoffs"), bench.log.lines])  # G6
    for name in ("ZOOM_SECRET_TOKEN", "ZOOM_CLIENT_SECRET", "RECALL_API_KEY", "RECALL_WEBHOOK_SECRETS"):
        assert ENVIRON[name] not in everything


SAYINGS = st.lists(
    st.tuples(
        st.sampled_from(["recording.processing", "recording.done", "video_mixed.done", "transcript.done"]),
        st.sampled_from(["rec-1", "rec-2"]),
        st.integers(0, 1),
    ),
    max_size=8,
)


@settings(max_examples=60)
@given(sayings=SAYINGS, at=st.integers(0, 8), archive=st.booleans(), down=st.integers(0, 3), stop=st.booleans())
async def test_whatever_recalls_webhooks_do_the_right_recordings_end_on_the_record(
    sayings: list[Any], at: int, archive: bool, down: int, stop: bool
) -> None:
    bench = Bench(archive=archive)
    await bench.zoom(started())
    await bench.run(6)
    if stop:
        await bench.zoom(stopped(NOW + 1000))
    [key] = bench.handoffs()
    for number, (name, recording, message) in enumerate(sayings):
        if number == at:
            bench.recall.record("mdc-1", "rec-1")
            bench.recall.record("mdc-1", "rec-2")
        bench.recall.down = Answer(503) if number < down else None
        known = recording if recording in bench.recall.recordings else "rec-1"
        await bench.recall_says(name, known, key, message=f"msg_{name.replace('.', '_')}_{known}_{message}")
        await bench.run(5)
    bench.recall.down = None
    if at >= len(sayings):
        bench.recall.record("mdc-1", "rec-1")
        bench.recall.record("mdc-1", "rec-2")
        await bench.recall_says("recording.done", "rec-2", key, message="msg_last")
    await bench.live(3 * 3600)
    retrieval = bench.handoff(key).retrieval
    assert retrieval.state == "done"
    assert [(r.id, r.status) for r in retrieval.recordings] == [("rec-1", "done"), ("rec-2", "done")]
    assert (await bench.worker.inquiries.link(key, None, "rec-2")).url in bench.recall.files
    if bench.archive is not None:
        assert sorted(bench.archive.objects) == [f"{key}/rec-{n}/video_mixed.mp4" for n in (1, 2)]


@settings(max_examples=80)
@given(
    events=st.lists(EVENTS, max_size=4),
    script=st.lists(st.one_of(st.sampled_from([Answer(201), Answer(503)]), LOST), max_size=4),
    plan=PLANS,
    when=st.integers(0, 4),
    late=st.sampled_from([0, 30, 4000]),
    archive=st.booleans(),
    foreign=st.booleans(),
)
async def test_after_a_revocation_no_content_remains_and_nothing_else_is_touched(
    events: list[Any], script: list[Any], plan: dict[int, Any], when: int, late: int, archive: bool, foreign: bool
) -> None:
    bench = Bench(archive=archive)
    bench.recall.ignores_filter = foreign
    bench.recall.foreign = {f"theirs-{n}": {"id": f"theirs-{n}", "status": {"code": "done"}, "metadata": {}} for n in range(3)}
    bench.recall.script = [(lambda: Answer(0, failure="reset")) if step == "lost" else step for step in script]
    trouble = Trouble(bench, plan)
    for event in [*events[:when], stopped(NOW, 8), *events[when:]]:
        await zoomed(bench, event)
        await bench.run(2)
        for mdc_id in bench.recall.mdcs:
            bench.recall.record(mdc_id, f"rec-{mdc_id}")
    await bench.run(70)
    trouble.plan.clear()
    bench.recall.script.clear()
    await bench.live(1200)
    await bench.live(late)
    for mdc_id in bench.recall.mdcs:  # Recall finishes writing after it was told to delete
        bench.recall.record(mdc_id, f"late-{mdc_id}")
    await bench.live(40 * 3600)
    assert bench.recall.recordings == {}
    assert len(bench.recall.foreign) == 3
    assert bench.archive is None or bench.archive.objects == {}
    everything = json.dumps([*bench.store.all("handoffs").values(), *bench.store.all("streams").values()])
    for content in (STREAM, "4444AAAi", "wss://", "rec-", "late-", "mdc-"):
        assert content not in everything
    assert all(handoff.erasure.state == "forgotten" for handoff in bench.handoffs().values())
