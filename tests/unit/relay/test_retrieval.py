"""Retrieving, archiving, forgetting: told as stories."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from tests.unit.relay.fakes import MEETING, NOW, STREAM, WHSEC, A, B, Bench, started, stopped, webhook_headers

from rtms_relay import handoff as states
from rtms_relay import retrieval
from rtms_relay.errors import BadRequest, NotFound, RecallUnavailable
from rtms_relay.handoff import handoff_key, stream_key
from rtms_relay.ports import Answer

KEY = handoff_key(STREAM, A)
HOUR = 3600.0


async def accepted(bench: Bench) -> dict[str, object]:
    await bench.zoom(started())
    await bench.run()
    assert bench.state(KEY) == "accepted"
    return bench.handoffs()[KEY]


async def recorded(bench: Bench) -> dict[str, Any]:
    """Handed on, recorded, announced, and looked at."""
    await accepted(bench)
    bench.recall.record("mdc-1")
    assert (await bench.recall_says("recording.done", "rec-1", KEY))["status"] == "noted"
    await bench.run()
    return bench.handoffs()[KEY]


async def test_a_webhook_of_recalls_brings_the_recording_home() -> None:
    bench = Bench()
    record = await recorded(bench)
    assert record["retrieval"] == "done"
    [recording] = record["recordings"]
    assert recording["artifacts"]["video_mixed"]["status"] == "done"
    assert "http" not in json.dumps(record["recordings"])
    link = await bench.worker.retrieval.link(KEY, None, None)
    assert link.url.startswith("https://bucket.example/rec-1.mp4")


async def test_a_repeated_webhook_is_noted_once() -> None:
    bench = Bench()
    await accepted(bench)
    bench.recall.record("mdc-1")
    for _ in range(3):
        await bench.recall_says("recording.done", "rec-1", KEY)
        await bench.run()
    assert len(bench.handoffs()[KEY]["seen"]) == 1
    assert bench.recall.reads == ["mdc-1"]


async def test_a_webhook_whose_task_was_lost_is_enqueued_again_when_it_comes_again() -> None:
    bench = Bench()
    await accepted(bench)
    await bench.recall_says("recording.done", "rec-1", KEY)
    bench.queue.tasks.clear()
    assert (await bench.recall_says("recording.done", "rec-1", KEY))["status"] == "duplicate"
    assert [task[:2] for task in bench.queue.tasks] == [("retrieve", KEY)]


@pytest.mark.parametrize("name", ["recording.done", "video_mixed.done", "transcript.failed", "zzz.new"])
async def test_any_event_with_our_key_is_worth_a_look(name: str) -> None:
    bench = Bench()
    await accepted(bench)
    await bench.zoom(stopped(NOW + 10))
    bench.recall.record("mdc-1")
    await bench.recall_says(name, "rec-1", KEY)
    await bench.run()
    assert bench.handoffs()[KEY]["retrieval"] == "done"


async def test_webhooks_of_others_are_acknowledged_and_change_nothing() -> None:
    bench = Bench()
    writes = bench.store.writes
    assert (await bench.recall_says("recording.done", "rec-1", None))["status"] == "ignored"
    assert (await bench.recall_says("recording.done", "rec-1", "f" * 64))["status"] == "unknown"
    assert (await bench.recall_says("recording.done", "rec-1", "../../etc"))["status"] == "ignored"
    assert bench.store.writes == writes


async def test_without_any_webhook_the_sweep_finds_the_recording() -> None:
    bench = Bench()
    await accepted(bench)
    await bench.zoom(stopped(NOW + 60_000))
    bench.queue.tasks.clear()
    await bench.live(5 * 60)
    assert bench.handoffs()[KEY]["retrieval"] == "awaiting"
    bench.recall.record("mdc-1")
    await bench.live(HOUR)
    assert bench.handoffs()[KEY]["retrieval"] == "done"
    assert len(bench.recall.reads) < 15


async def test_without_any_stop_and_webhook_the_slow_look_finds_the_recording() -> None:
    bench = Bench()
    await accepted(bench)
    bench.recall.record("mdc-1")
    await bench.live(HOUR)
    assert bench.handoffs()[KEY]["retrieval"] == "done"
    assert bench.recall.reads == ["mdc-1"]


async def test_no_recording_is_an_answer() -> None:
    bench = Bench()
    await accepted(bench)
    await bench.zoom(stopped(NOW + 60_000))
    await bench.live(26 * HOUR)
    record = bench.handoffs()[KEY]
    assert (record["retrieval"], record["due_at"]) == ("none_made", None)
    assert "no recordings were made" in record["retrieval_reason"]
    # A recording that comes after all is taken.
    bench.recall.record("mdc-1")
    await bench.recall_says("recording.done", "rec-1", KEY)
    await bench.run()
    assert bench.handoffs()[KEY]["retrieval"] == "done"


async def test_a_failed_recording_says_why() -> None:
    bench = Bench()
    await accepted(bench)
    bench.recall.record("mdc-1", code="failed")
    await bench.recall_says("recording.failed", "rec-1", KEY)
    await bench.run()
    record = bench.handoffs()[KEY]
    assert (record["retrieval"], record["retrieval_reason"]) == ("failed", "the recording failed: bad_signature")


@pytest.mark.parametrize("answer", [Answer(429, retry_after_s=120), Answer(503), Answer(200, b"<html>"), Answer(0, failure="timeout")])
async def test_a_recall_that_fails_is_asked_again(answer: Answer) -> None:
    bench = Bench()
    await accepted(bench)
    bench.recall.record("mdc-1")
    bench.recall.down = answer
    await bench.recall_says("recording.done", "rec-1", KEY)
    await bench.run()
    record = bench.handoffs()[KEY]
    assert record["retrieval"] == "awaiting"
    assert record["look_at"] >= bench.clock.now + int((answer.retry_after_s or 0) * 1000)
    bench.recall.down = None
    await bench.live(HOUR)
    assert bench.handoffs()[KEY]["retrieval"] == "done"


async def test_a_key_that_recall_refuses_is_an_alert() -> None:
    bench = Bench()
    await accepted(bench)
    bench.recall.down = Answer(401)
    await bench.recall_says("recording.done", "rec-1", KEY)
    await bench.run()
    assert bench.log.of("retrieval")[-1]["severity"] == "ALERT"


async def test_finished_artifacts_are_archived_once() -> None:
    bench = Bench(archive=True, ARCHIVE_URL="file:///unused")
    record = await recorded(bench)
    assert record["retrieval"] == "done"
    assert bench.archive is not None
    assert bench.archive.objects == {f"{KEY}/rec-1/video_mixed.mp4": b"mp4 of rec-1"}
    assert record["archived"][0]["size"] == len(b"mp4 of rec-1")
    await bench.recall_says("transcript.done", "rec-1", KEY, message="msg_2")
    await bench.run()
    assert len(bench.handoffs()[KEY]["archived"]) == 1


async def test_a_copy_that_breaks_off_is_made_again() -> None:
    bench = Bench(archive=True, ARCHIVE_URL="file:///unused")
    await accepted(bench)
    bench.recall.record("mdc-1")
    files, bench.recall.files = bench.recall.files, {}
    await bench.recall_says("recording.done", "rec-1", KEY)
    await bench.run()
    assert bench.handoffs()[KEY]["retrieval"] == "awaiting"
    assert bench.log.of("archive_failed")
    bench.recall.files = files
    await bench.live(HOUR)
    assert bench.handoffs()[KEY]["retrieval"] == "done"
    assert bench.archive is not None
    assert bench.archive.objects


async def test_a_worker_that_died_after_a_copy_is_followed_by_one_that_finds_it() -> None:
    bench = Bench(archive=True, ARCHIVE_URL="file:///unused")
    await accepted(bench)
    bench.recall.record("mdc-1")
    assert bench.archive is not None
    bench.archive.objects[f"{KEY}/rec-1/video_mixed.mp4"] = b"mp4 of rec-1"
    await bench.recall_says("recording.done", "rec-1", KEY)
    await bench.run()
    assert len(bench.handoffs()[KEY]["archived"]) == 1


async def test_a_revoked_stream_leaves_nothing_behind() -> None:
    bench = Bench(archive=True, ARCHIVE_URL="file:///unused")
    await recorded(bench)
    assert bench.archive is not None
    assert bench.archive.objects
    await bench.zoom(stopped(NOW + 1000, 8))
    assert bench.log.of("stream_revoked")
    await bench.run()
    assert bench.recall.recordings == {}
    assert bench.archive.objects == {}
    record = bench.handoffs()[KEY]
    assert record["retrieval"] == "forgotten"
    everything = json.dumps([*bench.handoffs().values(), *bench.store.all("streams").values()])
    for content in (STREAM, MEETING, A, "video_mixed", "http"):
        assert content not in everything
    assert record["key"] == KEY
    assert record["stream_key"] == stream_key(STREAM)
    with pytest.raises(NotFound, match="revoked"):
        await bench.worker.retrieval.link(KEY, None, None)
    await bench.live(40 * HOUR)
    assert bench.handoffs()[KEY]["due_at"] is None
    assert "mdc-1" not in json.dumps(bench.handoffs())


async def test_a_recording_that_appears_after_the_revocation_is_deleted_too() -> None:
    bench = Bench()
    await accepted(bench)
    await bench.zoom(stopped(NOW + 1000, 8))
    await bench.run()
    assert bench.handoffs()[KEY]["retrieval"] == "forgotten"
    bench.recall.record("mdc-1")
    await bench.live(120)
    assert bench.recall.recordings == {}
    await bench.live(40 * HOUR)
    bench.recall.record("mdc-1", "rec-2")
    await bench.recall_says("recording.done", "rec-2", KEY, message="msg_late")
    await bench.run()
    assert bench.recall.recordings == {}
    assert bench.handoffs()[KEY]["retrieval"] == "forgotten"


async def test_a_revocation_holds_though_recall_is_down() -> None:
    bench = Bench()
    await accepted(bench)
    bench.recall.record("mdc-1")
    bench.recall.down = Answer(503)
    await bench.zoom(stopped(NOW + 1000, 8))
    await bench.run()
    assert bench.handoffs()[KEY]["retrieval"] == "forgetting"
    bench.recall.down = None
    await bench.live(180)
    assert bench.handoffs()[KEY]["retrieval"] == "forgotten"
    assert bench.recall.recordings == {}


async def test_a_revocation_during_the_post_still_erases() -> None:
    bench = Bench()

    async def revoke() -> None:
        await bench.zoom(stopped(NOW + 10, 8))

    bench.recall.during_create = revoke
    await bench.zoom(started())
    await bench.run()
    bench.recall.record("mdc-1")
    await bench.live(HOUR)
    record = bench.handoffs()[KEY]
    assert record["retrieval"] == "forgotten"
    assert bench.recall.recordings == {}
    assert STREAM not in json.dumps(record)


@pytest.mark.parametrize("recordings", [["rec-1"], ["rec-1", "rec-2"]])
async def test_a_revocation_during_a_copy_leaves_no_copy(recordings: list[str]) -> None:
    bench = Bench(archive=True, ARCHIVE_URL="file:///unused")
    await accepted(bench)
    for recording in recordings:
        bench.recall.record("mdc-1", recording)

    async def revoke() -> None:
        bench.recall.during_download = None
        await bench.zoom(stopped(NOW + 1000, 8))
        await bench.worker.retrieve(KEY)
        # The copy is still being written, so nobody may call it forgotten yet.
        assert bench.handoffs()[KEY]["retrieval"] == "forgetting"

    bench.recall.during_download = revoke
    await bench.recall_says("recording.done", "rec-1", KEY)
    await bench.run()
    await bench.live(600)
    assert bench.archive is not None
    assert bench.archive.objects == {}
    assert bench.handoffs()[KEY]["retrieval"] == "forgotten"


@pytest.mark.parametrize(("since_lease_ms", "state"), [(59_999, "forgetting"), (60_000, "forgotten")])
async def test_a_revocation_waits_for_a_copy_whose_worker_died_and_a_minute_more(since_lease_ms: int, state: str) -> None:
    """Clocks differ between workers, so a lease that is over by one clock may still be held by another."""
    bench = Bench(archive=True, ARCHIVE_URL="file:///unused")
    await accepted(bench)
    version, fields = bench.store.documents["handoffs", KEY]
    bench.store.documents["handoffs", KEY] = (version, fields | {"archive_until": NOW + 1000})
    await bench.zoom(stopped(NOW + 1, 8))
    bench.clock.now = NOW + 1000 + since_lease_ms
    await bench.worker.retrieve(KEY)
    assert bench.handoffs()[KEY]["retrieval"] == state


async def test_a_revoked_stream_stays_revoked_whatever_comes_later() -> None:
    bench = Bench()
    await bench.zoom(stopped(NOW, 8))
    await bench.zoom(stopped(NOW + 5, 6))
    for urls in (A, B):
        assert (await bench.zoom(started(urls, NOW + 10)))["state"] == "cancelled"
    await bench.run()
    assert not bench.recall.creates
    everything = json.dumps([*bench.handoffs().values(), *bench.store.all("streams").values()])
    assert STREAM not in everything
    assert A not in everything
    assert all(record["retrieval"] == "forgotten" for record in bench.handoffs().values())


async def test_pages_show_every_hand_off_once_though_they_share_a_millisecond() -> None:
    bench = Bench()
    for number in range(23):
        bench.clock.now = NOW + number // 7
        await bench.zoom(started(stream=f"stream-{number}"))
    seen: list[str] = []
    cursor, pages = None, 0
    while True:
        page = await bench.worker.retrieval.page(3, cursor)
        seen += [row["rtms_stream_id"] for row in page["recordings"]]
        pages += 1
        cursor = page["next"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(f"stream-{number}" for number in range(23))
    assert pages == 8
    stamps = [int(name.removeprefix("stream-")) // 7 for name in seen]
    assert stamps == sorted(stamps, reverse=True)
    with pytest.raises(BadRequest):
        await bench.worker.retrieval.page(3, "abc")


async def test_what_is_shown_holds_fresh_links_or_why_there_are_none() -> None:
    bench = Bench()
    await accepted(bench)
    bench.recall.record("mdc-1")
    shown = await bench.worker.retrieval.show(KEY)
    assert shown["state"] == "accepted"
    assert shown["links"]["rec-1"]["video_mixed"].startswith("https://bucket.example/")
    bench.recall.down = Answer(503)
    shown = await bench.worker.retrieval.show(KEY)
    assert shown["links_error"] == "Recall answered 503"
    with pytest.raises(RecallUnavailable):
        await bench.worker.retrieval.link(KEY, None, None)
    bench.recall.down = None
    for artifact, recording in (("transcript", None), ("video_mixed", "rec-9")):
        with pytest.raises(NotFound, match="done"):
            await bench.worker.retrieval.link(KEY, artifact, recording)
    with pytest.raises(BadRequest, match="one of"):
        await bench.worker.retrieval.link(KEY, "everything", None)
    for key in ("f" * 64, "../x", ""):
        with pytest.raises(NotFound):
            await bench.worker.retrieval.show(key)


async def test_a_pending_hand_off_has_no_link_and_says_so() -> None:
    bench = Bench()
    await bench.zoom(started())
    with pytest.raises(NotFound, match="pending"):
        await bench.worker.retrieval.link(KEY, None, None)


async def test_both_header_families_verify_and_rotation_is_seamless() -> None:
    new = "whsec_" + base64.b64encode(b"the new secret!!").decode()
    bench = Bench(RECALL_WEBHOOK_SECRETS=f"{new},{WHSEC}")
    body = b'{"event":"recording.done","data":{}}'
    for secret in (new, WHSEC):
        for family in ("webhook", "svix"):
            headers = webhook_headers(body, NOW, "msg_1", secret, family)
            assert (await bench.intake.observe(headers, body)).body == {"status": "ignored"}


def test_an_archive_lease_outlives_no_recheck() -> None:
    assert states.RECHECKS_MS[-1] > retrieval.ARCHIVE_LEASE_MS + states.ARCHIVE_MARGIN_MS


async def test_two_looks_at_once_end_the_retrieval_for_good() -> None:
    """A doubled task: the look that comes second must not ask for a third."""
    bench = Bench()
    await accepted(bench)
    bench.recall.record("mdc-1")
    await bench.zoom(stopped(NOW + 1))
    bench.clock.now += 60_000
    read = bench.recall.retrieve

    async def slowly(mdc_id: str) -> Answer:
        await asyncio.sleep(0)
        return await read(mdc_id)

    bench.recall.retrieve = slowly
    await asyncio.gather(bench.worker.retrieve(KEY), bench.worker.retrieve(KEY))
    record = bench.handoffs()[KEY]
    assert (record["retrieval"], record["look_at"], record["due_at"]) == ("done", None, None)
