"""G1-G4, G6, G8 on the real use cases: any order, any duplication, any crash, any of Recall's answers."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.relay.fakes import ENVIRON, NOW, STREAM, A, B, Bench, C, interrupted, started, stopped

from rtms_relay.errors import QueueUnavailable, RelayError, StoreUnavailable
from rtms_relay.handoff import handoff_key
from rtms_relay.ports import Answer

URLS = [A, B, C]
TIMES = st.integers(-70_000, 10_000).map(lambda offset: NOW + offset // 10_000 * 10_000)
EVENTS = st.one_of(
    st.builds(started, st.sampled_from(URLS), TIMES),
    st.builds(stopped, TIMES, st.sampled_from([6, 6, 10, None])),
    st.builds(interrupted, TIMES, st.sampled_from([None, *URLS])),
)
FINAL = {"accepted", "cancelled", "superseded", "failed", "expired"}


def facts(bench: Bench) -> Any:
    """Everything but the moments at which it was noted, and the words, which tell what was seen first."""
    noted = {"reason", "created_at", "state_at", "attempt_at", "due_at", "look_at", "account_id"}
    records = [*bench.handoffs().values(), *bench.store.all("streams").values()]
    return sorted(json.dumps({k: v for k, v in record.items() if k not in noted}, sort_keys=True) for record in records)


def expected_states(events: list[dict[str, Any]]) -> dict[str, str]:
    """An own reading of the design's table, for deliveries that all came before any task, at the time NOW."""
    starts: dict[str, int] = {}
    stop = 0
    for event in events:
        urls = event["payload"].get("server_urls")
        if urls is not None:
            key = handoff_key(STREAM, urls)
            starts[key] = max(starts.get(key, 0), event["event_ts"])
        if event["event"].endswith("stopped"):
            stop = max(stop, event["event_ts"])
    newest = max(starts, key=lambda key: (starts[key], key), default="")
    found = dict.fromkeys(starts, "superseded")
    if newest:
        begun, end = starts[newest], starts[newest] + 60_000
        late = end <= NOW
        found[newest] = "cancelled" if begun < stop and (stop <= end or not late) else "expired" if late else "pending"
    return found


@settings(max_examples=200)
@given(events=st.lists(EVENTS, min_size=1, max_size=7), data=st.data())
async def test_any_order_and_any_duplication_end_alike(events: list[dict[str, Any]], data: st.DataObject) -> None:
    straight, mixed = Bench(), Bench()
    for event in events:
        await straight.zoom(event)
    again = data.draw(st.lists(st.sampled_from(events), max_size=4))
    for event in data.draw(st.permutations(events + again)):
        await mixed.zoom(event)
    assert facts(mixed) == facts(straight)
    assert {key: record["state"] for key, record in mixed.handoffs().items()} == expected_states(events)


ANSWERS = st.sampled_from(
    [Answer(201), Answer(409), Answer(429, retry_after_s=3), Answer(503), Answer(507), Answer(400), Answer(0, failure="timeout")]
)
LOST = st.just("lost")  # made, but the answer never came


class Trouble:
    """Lets some operations of the store, the queue or Recall fail, as drawn: number of the operation -> crash or refusal."""

    def __init__(self, bench: Bench, plan: dict[int, type[BaseException]]) -> None:
        self.count = 0
        self.plan = plan
        self.bench = bench
        self.enqueue = bench.queue.enqueue
        bench.store.failing = lambda _: self.step()
        bench.queue.enqueue = self.enqueue_or_fail
        bench.recall.during_create = self.step_later

    def step(self, exchange: type[BaseException] | None = None) -> None:
        self.count += 1
        trouble = self.plan.get(self.count)
        if trouble is not None:
            raise exchange if exchange is not None and trouble is StoreUnavailable else trouble

    async def step_later(self) -> None:
        self.step(Crash)

    async def enqueue_or_fail(self, *args: Any, **kwargs: Any) -> None:
        self.step(QueueUnavailable)
        await self.enqueue(*args, **kwargs)


class Crash(BaseException):
    """The process is gone between two awaits."""


PLANS = st.dictionaries(st.integers(1, 60), st.sampled_from([Crash, StoreUnavailable]), max_size=6)


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
        for _ in range(6):  # Zoom's retries, close together
            try:
                await bench.zoom(event)
            except (RelayError, Crash):
                continue
            acked.append(event)
            break
        end = bench.clock.now + pause * 1000
        for _ in range(40):
            try:
                await bench.run(end)
                break
            except (RelayError, Crash):
                bench.clock.now += 10
    trouble.plan.clear()
    bench.recall.script.clear()
    await bench.live(60 * 3600)
    check(bench, acked)


def check(bench: Bench, acked: list[dict[str, Any]]) -> None:
    records = bench.handoffs()
    for event in acked:
        if event["event"].endswith("started"):
            record = records[handoff_key(STREAM, event["payload"]["server_urls"])]
            assert record["state"] in FINAL  # G1
            assert record["state"] == "accepted" or record["reason"]
    made: dict[str, set[str]] = {}
    for mdc_id, body in bench.recall.mdcs.items():
        made.setdefault(body["metadata"]["rtmskit_handoff"], set()).add(mdc_id)
    assert all(len(ids) == 1 for ids in made.values()), made  # G2
    for key, record in records.items():
        assert record["due_at"] is None, record  # nothing is still to be done days later
        if record["mdc_id"] is not None and record["mdc_id"] in bench.recall.mdcs:
            assert made[key] == {record["mdc_id"]}
    [stream] = bench.store.all("streams").values()
    if stream["starts"]:
        newest = max(stream["starts"], key=lambda key: (stream["starts"][key], key))
        assert all((record["state"] == "superseded") == (key != newest) for key, record in records.items() if record["state"] != "failed")
    everything = json.dumps([records, bench.log.lines])  # G6
    for name in ("ZOOM_SECRET_TOKEN", "ZOOM_CLIENT_SECRET", "RECALL_API_KEY", "RECALL_WEBHOOK_SECRETS"):
        assert ENVIRON[name] not in everything


SAYINGS = st.lists(
    st.tuples(
        st.sampled_from(["recording.processing", "recording.done", "video_mixed.done", "transcript.done", "recording.failed"]),
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
    bench = Bench(archive=archive, ARCHIVE_URL="file:///unused")
    await bench.zoom(started())
    await bench.run()
    if stop:
        await bench.zoom(stopped(NOW + 1000))
    key = handoff_key(STREAM, A)
    for number, (name, recording, message) in enumerate(sayings):
        if number == at:
            bench.recall.record("mdc-1", "rec-1")
            bench.recall.record("mdc-1", "rec-2")
        bench.recall.down = Answer(503) if number < down else None
        known = recording if recording in bench.recall.recordings else "rec-1"
        if name.endswith("failed"):
            continue
        await bench.recall_says(name, known, key, message=f"msg_{name.replace('.', '_')}_{known}_{message}")
        await bench.run(bench.clock.now + 5000)
    bench.recall.down = None
    if at >= len(sayings):
        bench.recall.record("mdc-1", "rec-1")
        bench.recall.record("mdc-1", "rec-2")
        await bench.recall_says("recording.done", "rec-2", key, message="msg_last")
    await bench.live(3 * 3600)
    record = bench.handoffs()[key]
    assert record["retrieval"] == "done"
    assert [(r["id"], r["status"]) for r in record["recordings"]] == [("rec-1", "done"), ("rec-2", "done")]
    assert (await bench.worker.retrieval.link(key, None, "rec-2")).url in bench.recall.files
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
)
async def test_after_a_revocation_no_content_remains(
    events: list[Any], script: list[Any], plan: dict[int, Any], when: int, late: int, archive: bool
) -> None:
    bench = Bench(archive=archive, ARCHIVE_URL="file:///unused")
    bench.recall.script = [(lambda: Answer(0, failure="reset")) if step == "lost" else step for step in script]
    trouble = Trouble(bench, plan)
    steps = [*events[:when], stopped(NOW, 8), *events[when:]]
    for event in steps:
        for _ in range(8):
            try:
                await bench.zoom(event)
                break
            except (RelayError, Crash):
                continue
        for mdc_id in bench.recall.mdcs:
            bench.recall.record(mdc_id, f"rec-{mdc_id}")
        for _ in range(40):
            try:
                await bench.run(bench.clock.now + 2000)
                break
            except (RelayError, Crash):
                bench.clock.now += 10
    trouble.plan.clear()
    bench.recall.script.clear()
    await bench.live(late)
    for mdc_id in bench.recall.mdcs:  # Recall finishes writing after it was told to delete
        bench.recall.record(mdc_id, f"late-{mdc_id}")
    await bench.live(40 * 3600)
    assert bench.recall.recordings == {}
    assert bench.archive is None or bench.archive.objects == {}
    everything = json.dumps([*bench.handoffs().values(), *bench.store.all("streams").values()])
    for content in (STREAM, "4444AAAi", "wss://", "rec-", "late-", "mdc-"):
        assert content not in everything
    assert all(record["retrieval"] == "forgotten" for record in bench.handoffs().values())
