"""Retrieving, archiving, erasing: what is ours is found, copied and deleted, and nothing else is touched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.ports.bench import Bench, key_of
from tests.ports.events import MEETING, NOW, STREAM, URLS_B, started, stopped

from rtms_relay.errors import BadRequest, NotFound, RecallUnavailable, StoreUnavailable
from rtms_relay.handoff.record import HandOff
from rtms_relay.listing import Query
from rtms_relay.ports import Answer

KEY = key_of()
HOUR = 3600.0


async def accepted(bench: Bench) -> HandOff:
    await bench.zoom(started())
    await bench.run(10)
    assert bench.state() == "accepted"
    return bench.handoff()


async def recorded(bench: Bench) -> HandOff:
    """Handed on, recorded, announced, and looked at."""
    await accepted(bench)
    bench.recall.record("mdc-1")
    await bench.recall_says("recording.done", "rec-1", KEY)
    await bench.run(60)
    return bench.handoff()


async def revoked(bench: Bench, seconds: float = 60) -> HandOff:
    await bench.zoom(stopped(bench.clock.now, 8))
    await bench.live(seconds)
    return bench.handoff()


def foreign(count: int, metadata: dict[str, str] | None = None) -> dict[str, dict[str, Any]]:
    return {
        f"theirs-{number}": {"id": f"theirs-{number}", "status": {"code": "done"}, "metadata": metadata or {"somebody": "else"}}
        for number in range(count)
    }


async def test_a_webhook_of_recalls_brings_the_recording() -> None:
    bench = Bench()
    handoff = await recorded(bench)
    assert handoff.retrieval.state == "done"
    [recording] = handoff.retrieval.recordings
    assert recording.artifacts["video_mixed"].status == "done"
    assert "http" not in json.dumps(bench.store.all("handoffs")[KEY]["retrieval"])
    link = await bench.worker.inquiries.link(KEY, None, None)
    assert link.url.startswith("https://bucket.example/rec-1.mp4")


async def test_a_repeated_webhook_is_read_once() -> None:
    bench = Bench()
    await accepted(bench)
    bench.recall.record("mdc-1")
    for _ in range(3):
        await bench.recall_says("recording.done", "rec-1", KEY)
        await bench.run(60)
    assert bench.recall.reads == ["mdc-1"]


async def test_without_any_webhook_the_sweep_finds_the_recording() -> None:
    bench = Bench()
    await accepted(bench)
    await bench.zoom(stopped(NOW + 60_000))
    await bench.live(5 * 60)
    assert bench.handoff().retrieval.state == "awaiting"
    bench.recall.record("mdc-1")
    await bench.live(HOUR)
    assert bench.handoff().retrieval.state == "done"
    assert len(bench.recall.reads) < 15


async def test_without_any_stop_and_webhook_the_slow_look_finds_the_recording() -> None:
    bench = Bench()
    await accepted(bench)
    bench.recall.record("mdc-1")
    await bench.live(HOUR)
    assert bench.handoff().retrieval.state == "done"
    assert bench.recall.reads == ["mdc-1"]


async def test_no_recording_is_an_error_with_its_cause() -> None:
    bench = Bench()
    await accepted(bench)
    await bench.zoom(stopped(NOW + 60_000))
    await bench.live(26 * HOUR)
    handoff = bench.handoff()
    assert (handoff.retrieval.state, handoff.due_at) == ("none_made", None)
    assert "no recordings were made" in handoff.retrieval.reason
    assert handoff.retrieval.mdc_status == "zzz"
    assert len(bench.log.of("retrieval", "ERROR")) == 1
    # A recording that comes after all is taken.
    bench.recall.record("mdc-1")
    await bench.recall_says("recording.done", "rec-1", KEY)
    await bench.run(60)
    assert bench.handoff().retrieval.state == "done"


@pytest.mark.parametrize(("reason", "word"), [(11, "nobody joined"), (18, "ZOOM_CLIENT_SECRET"), (19, "interruption")])
async def test_a_stop_that_says_nobody_joined_alarms_at_once(reason: int, word: str) -> None:
    bench = Bench()
    await accepted(bench)
    await bench.zoom(stopped(NOW + 60_000, reason))
    await bench.run(1)
    [line] = bench.log.of("not_joined", "ALERT")
    assert word in line["reason"]
    assert line["mdc_id"] == "mdc-1"
    await bench.live(26 * HOUR)
    assert word in bench.handoff().retrieval.reason
    assert len(bench.log.of("not_joined")) == 1


async def test_an_ordinary_stop_alarms_nobody() -> None:
    bench = Bench()
    await accepted(bench)
    await bench.zoom(stopped(NOW + 60_000, 6))
    await bench.run(10)
    assert not bench.log.of("not_joined")


async def test_a_failed_recording_is_an_error_and_names_recalls_sub_code() -> None:
    bench = Bench()
    await accepted(bench)
    bench.recall.record("mdc-1", code="failed")
    await bench.recall_says("recording.failed", "rec-1", KEY)
    await bench.run(60)
    assert bench.handoff().retrieval.state == "failed"
    assert "bad_signature" in bench.log.of("retrieval", "ERROR")[0]["reason"]


async def test_recall_away_is_asked_again_and_a_wrong_key_alarms() -> None:
    bench = Bench()
    await accepted(bench)
    await bench.zoom(stopped(NOW + 20_000))
    bench.recall.down = Answer(503)
    await bench.live(300)
    bench.recall.down = Answer(401)
    await bench.live(300)
    assert bench.log.of("retrieval", "ALERT")
    bench.recall.down = None
    bench.recall.record("mdc-1")
    await bench.live(HOUR)
    assert bench.handoff().retrieval.state == "done"


# An MDC whose id never came


async def unsure(bench: Bench) -> None:
    bench.recall.script = [lambda: Answer(0, failure="timeout")] * 50
    await bench.zoom(started())
    await bench.run(61)
    bench.recall.script = []
    assert bench.state() == "expired"
    assert bench.handoff().attempt.unsure
    assert "looked for" in bench.handoff().attempt.reason


async def test_it_is_found_by_its_metadata() -> None:
    bench = Bench()
    await unsure(bench)
    bench.recall.record("mdc-1")
    await bench.live(600)
    handoff = bench.handoff()
    assert (handoff.attempt.state, handoff.retrieval.state) == ("accepted", "done")
    [line] = bench.log.of("handoff_accepted", "NOTICE")
    assert line["reason"] == "a recording of it was seen"


async def test_recordings_of_others_are_never_adopted_whatever_the_filter_returns() -> None:
    bench = Bench()
    bench.recall.ignores_filter = True
    bench.recall.foreign = foreign(120)
    await unsure(bench)
    await bench.live(600)
    assert bench.handoff().retrieval.recordings == ()
    assert bench.state() == "expired"
    assert bench.log.of("foreign_recordings", "ALERT")
    bench.recall.record("mdc-1")
    await bench.live(HOUR)
    assert [recording.id for recording in bench.handoff().retrieval.recordings] == ["rec-1"]


async def test_a_webhook_that_names_somebody_elses_recording_adopts_nothing() -> None:
    bench = Bench()
    await accepted(bench)
    bench.recall.foreign = foreign(1, {"rtmskit_handoff": "f" * 64})
    await bench.recall_says("recording.done", "theirs-0", KEY)
    await bench.run(60)
    assert bench.handoff().retrieval.recordings == ()
    await revoked(bench, 600)
    assert bench.recall.foreign
    assert not bench.recall.deleted


async def test_what_our_own_mdc_lists_is_ours_even_without_metadata() -> None:
    bench = Bench()
    bench.recall.copies_metadata = False
    await accepted(bench)
    bench.recall.record("mdc-1")
    await bench.zoom(stopped(NOW + 20_000))
    await bench.live(HOUR)
    assert bench.handoff().retrieval.state == "done"
    await revoked(bench)
    assert bench.recall.deleted == ["rec-1"]


# Erasure


async def test_one_revocation_deletes_what_is_ours_and_nothing_else() -> None:
    bench = Bench(archive=True)
    bench.recall.ignores_filter = True
    bench.recall.foreign = foreign(120)
    await recorded(bench)
    assert bench.archive is not None
    assert bench.archive.objects
    handoff = await revoked(bench)
    assert bench.recall.deleted == ["rec-1"]
    assert len(bench.recall.foreign) == 120
    assert not bench.archive.objects
    assert handoff.erasure.state == "forgotten"
    assert bench.log.of("forgotten")
    await bench.live(40 * HOUR)
    text = json.dumps([bench.store.all("handoffs"), bench.store.all("streams")])
    assert not [piece for piece in (STREAM, MEETING, "rec-1", "mdc-1", "rtms-a.zoom.us") if piece in text]


async def test_a_revocation_that_recall_refuses_alarms_after_an_hour_and_daily() -> None:
    bench = Bench()
    await recorded(bench)
    bench.recall.down = Answer(403)
    handoff = await revoked(bench, 50 * HOUR)
    assert handoff.erasure.state == "forgetting"
    assert len(bench.log.of("not_forgotten", "ALERT")) == 3
    bench.recall.down = None
    await bench.live(120)
    assert bench.recall.deleted == ["rec-1"]


async def test_an_accepted_mdc_of_which_nothing_was_ever_seen_is_never_forgotten() -> None:
    bench = Bench()
    await accepted(bench)
    handoff = await revoked(bench, 75 * HOUR)
    assert handoff.erasure.state == "forgetting"
    assert len(bench.log.of("not_forgotten", "ALERT")) in (2, 3)
    bench.recall.record("mdc-1")
    await bench.recall_says("recording.done", "rec-1", KEY)
    await bench.run(120)
    assert bench.recall.deleted == ["rec-1"]


async def test_a_revoked_start_is_never_posted() -> None:
    bench = Bench()
    await bench.zoom(stopped(NOW, 8))
    await bench.run(1)
    await bench.zoom(started())
    await bench.zoom(started(URLS_B, NOW + 5))
    await bench.run(10)
    assert not bench.recall.creates
    assert {handoff.attempt.state for handoff in bench.handoffs().values()} <= {"cancelled", "superseded"}
    assert STREAM not in json.dumps([bench.store.all("handoffs"), bench.store.all("streams")])


async def test_a_recording_made_by_a_post_that_a_revocation_overtook_is_deleted() -> None:
    bench = Bench()

    async def slowly() -> None:
        await bench.clock.sleep(2)

    bench.recall.during_create = slowly
    await bench.zoom(started())
    await bench.run(1)
    await bench.zoom(stopped(NOW + 500, 8))
    await bench.run(5)
    bench.recall.record("mdc-1")
    await bench.live(3 * HOUR)
    assert bench.recall.deleted == ["rec-1"]


async def test_a_start_handed_on_without_the_store_is_erased_although_its_stream_was_revoked_meanwhile() -> None:
    bench = Bench()

    async def away(_: str) -> None:
        raise StoreUnavailable("away")

    async def fine(_: str) -> None: ...

    bench.store.trouble = away
    bench.facts_queue.stalled = True
    await bench.zoom(stopped(NOW + 1, 8))
    await bench.zoom(started())
    await bench.run(3)  # POSTed without the store; what came of it and the revocation wait on facts
    assert len(bench.recall.creates) == 1
    bench.store.trouble = fine
    word, outcome, stop = sorted((task.body for task in bench.facts_queue.tasks), key=lambda body: b'"outcome"' not in body)
    await bench.worker.receive("/events", stop)
    await bench.run(5)  # the copy in the second region finds the stream revoked, and nothing made
    assert bench.handoff().erasure.state == "forgotten"
    await bench.worker.receive("/events", outcome)
    await bench.worker.receive("/events", word)  # left before the POST, and late
    bench.recall.record("mdc-1")
    await bench.live(120)
    assert bench.recall.deleted == ["rec-1"]


# Archive


async def test_finished_artifacts_are_archived_once() -> None:
    bench = Bench(archive=True)
    handoff = await recorded(bench)
    assert bench.archive is not None
    assert list(bench.archive.objects) == [f"{KEY}/rec-1/video_mixed.mp4"]
    assert [item.name for item in handoff.retrieval.archived] == list(bench.archive.objects)


async def test_the_sweep_copies_nothing() -> None:
    bench = Bench(archive=True)
    await accepted(bench)
    bench.recall.record("mdc-1")
    await bench.zoom(stopped(NOW + 12_000))
    bench.retrievals.down = True
    await bench.live(300)
    assert bench.archive is not None
    assert not bench.archive.objects
    bench.retrievals.down = False
    await bench.live(HOUR)
    assert bench.archive.objects
    assert bench.handoff().retrieval.state == "done"


async def test_a_download_that_breaks_is_tried_again() -> None:
    bench = Bench(archive=True)
    await accepted(bench)
    bench.recall.record("mdc-1")
    files, bench.recall.files = bench.recall.files, {}
    await bench.recall_says("recording.done", "rec-1", KEY)
    await bench.run(60)
    assert bench.log.of("archive_failed", "ERROR")
    assert bench.handoff().retrieval.state == "awaiting"
    bench.recall.files = files
    await bench.live(2 * HOUR)
    assert bench.handoff().retrieval.state == "done"


async def test_a_copy_that_never_ends_within_its_lease_is_given_up_after_five_tries_with_an_error() -> None:
    bench = Bench(archive=True)

    async def drips() -> None:
        await bench.clock.sleep(25 * 60)

    bench.recall.during_download = drips
    await recorded(bench)
    await bench.live(12 * HOUR)
    retrieval = bench.handoff().retrieval
    assert (retrieval.state, retrieval.look_at, retrieval.archive_until) == ("partial", None, None)
    assert "5 copies took longer than 25 minutes" in retrieval.reason
    assert retrieval.slow_copies == 5
    assert len(bench.log.of("archive_failed", "ERROR")) == retrieval.slow_copies
    assert {line["state"] for line in bench.log.of("retrieval", "ERROR")} == {"partial"}


async def test_a_copy_that_ends_just_within_its_time_is_kept() -> None:
    bench = Bench(archive=True)

    async def drips() -> None:
        await bench.clock.sleep(25 * 60 - 0.001)

    bench.recall.during_download = drips
    await recorded(bench)
    await bench.live(HOUR)
    retrieval = bench.handoff().retrieval
    assert (retrieval.state, retrieval.slow_copies, len(retrieval.archived)) == ("done", 0, 1)


async def test_artifacts_that_together_take_longer_than_one_task_lasts_are_copied_by_several() -> None:
    """Cloud Tasks and Cloud Run end a request after 30 minutes: what was copied until then is not copied again, and none counts as slow."""
    bench = Bench(archive=True)
    began: list[float] = []

    async def drips() -> None:
        began.append(bench.clock.now)
        await bench.clock.sleep(10 * 60)

    bench.recall.during_download = drips
    await accepted(bench)
    for number in range(1, 5):
        bench.recall.record("mdc-1", f"rec-{number}")
    for number in range(1, 5):
        await bench.recall_says("recording.done", f"rec-{number}", KEY)
    await bench.live(3 * HOUR)
    retrieval = bench.handoff().retrieval
    assert (retrieval.state, retrieval.slow_copies, len(retrieval.archived)) == ("done", 0, 4)
    # The third was begun in the first task, and once more in the second: that is no failure, and wakes nobody.
    assert len(began) == 5
    assert bench.log.of("archive_failed") == []


async def test_a_copy_that_fails_soon_is_tried_for_as_long_as_it_takes() -> None:
    bench = Bench(archive=True)
    await accepted(bench)
    bench.recall.record("mdc-1")
    files, bench.recall.files = bench.recall.files, {}
    await bench.recall_says("recording.done", "rec-1", KEY)
    await bench.live(8 * HOUR)
    assert len(bench.log.of("archive_failed", "ERROR")) > 5
    assert bench.handoff().retrieval.slow_copies == 0
    bench.recall.files = files
    await bench.live(2 * HOUR)
    assert bench.handoff().retrieval.state == "done"


async def test_a_revocation_during_a_copy_leaves_no_byte() -> None:
    bench = Bench(archive=True)

    async def revoke() -> None:
        bench.recall.during_download = None
        await bench.worker.receive(
            "/events",
            b'{"kind":"stop","v":2,"event":"meeting.rtms_stopped","product":"meeting","stream_id":"%b","entity_id":"","event_ts":%d,"stop_reason":8}'
            % (STREAM.encode(), NOW + 9),
        )

    bench.recall.during_download = revoke
    await recorded(bench)
    await bench.live(3 * HOUR)
    assert bench.archive is not None
    assert not bench.archive.objects
    assert bench.recall.deleted == ["rec-1"]


# What a person asks for


async def test_what_there_is_none_of_says_why() -> None:
    bench = Bench()
    with pytest.raises(NotFound):
        await bench.worker.inquiries.show("f" * 64)
    await bench.zoom(started("wss://evil.example"))
    await bench.run(10)
    [key] = bench.handoffs()
    with pytest.raises(NotFound, match="failed"):
        await bench.worker.inquiries.link(key, None, None)
    with pytest.raises(BadRequest):
        await bench.worker.inquiries.link(key, "zzz", None)
    shown = await bench.worker.inquiries.show(key)
    assert (shown.state, shown.links) == ("failed", {})


async def test_recall_away_is_said_and_the_record_still_shown() -> None:
    bench = Bench()
    await recorded(bench)
    bench.recall.down = Answer(0, failure="unreachable")
    assert "unreachable" in (await bench.worker.inquiries.show(KEY)).links_error
    with pytest.raises(RecallUnavailable):
        await bench.worker.inquiries.link(KEY, None, None)


async def test_pages_show_every_hand_off_once_also_within_one_millisecond() -> None:
    bench = Bench()
    for number in range(7):
        await bench.zoom(started(stream=f"s{number}"))
    await bench.run(1)
    ids, cursor = [], None
    while True:
        page = await bench.worker.inquiries.recordings(Query(limit=3, cursor=cursor))
        ids += [row.id for row in page.recordings]
        cursor = page.next
        if cursor is None:
            break
    assert sorted(ids) == sorted(bench.handoffs())


# Looks and their tasks


async def test_two_thousand_ends_make_no_more_looks_than_two_each() -> None:
    bench = Bench()
    for number in range(200):
        await bench.zoom(started(stream=f"s{number}"))
    await bench.run(10)
    before = bench.retrievals.dispatched
    for number in range(200):
        key = key_of(stream=f"s{number}")
        bench.recall.record(bench.handoff(key).attempt.mdc_id or "", f"rec-{number}")
        for name in ("video_mixed.done", "audio_mixed.done", "transcript.done", "recording.done"):
            await bench.recall_says(name, f"rec-{number}", key, message=f"{name}-{number}".replace(".", "-"))
    await bench.run(90)
    assert bench.retrievals.dispatched - before <= 400
    assert {handoff.retrieval.state for handoff in bench.handoffs().values()} == {"done"}


async def test_a_sweep_does_not_feed_a_jam() -> None:
    bench = Bench()
    for number in range(50):
        await bench.zoom(started(stream=f"s{number}"))
    await bench.run(10)
    bench.retrievals.stalled = True
    for number in range(50):
        await bench.zoom(stopped(NOW + 12_000, stream=f"s{number}"))
    await bench.live(9 * 60)
    assert len(bench.retrievals.tasks) <= 100
    bench.retrievals.tasks.clear()  # lost
    bench.retrievals.stalled = False
    await bench.live(12 * 60)
    assert all(handoff.retrieval.looks > 1 for handoff in bench.handoffs().values())
