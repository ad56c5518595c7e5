"""One look at Recall, to the letter: what is asked, what each answer comes to, what is logged, and what a deletion takes for done."""

from __future__ import annotations

import json

import pytest
from tests.ports.bench import Bench, key_of
from tests.ports.events import MEETING, STREAM, started, stopped

from rtms_relay.errors import RecallUnavailable
from rtms_relay.handoff.keys import stream_key
from rtms_relay.handoff.record import HandOff
from rtms_relay.ports import Answer
from rtms_relay.recordings import Unanswered

KEY = key_of()
STREAM_KEY = stream_key(STREAM)
IDS = {"handoff": KEY, "stream": STREAM_KEY, "entity_id": MEETING, "rtms_stream_id": STREAM}


async def accepted(bench: Bench) -> HandOff:
    await bench.zoom(started())
    await bench.run(1)
    assert bench.state() == "accepted"
    return bench.handoff()


async def ended(bench: Bench) -> HandOff:
    """Accepted and ended, and no task of a look is left."""
    await accepted(bench)
    bench.retrievals.down = True
    await bench.zoom(stopped(bench.clock.now))
    await bench.run(1)
    return bench.handoff()


async def look(bench: Bench, *, copying: bool = True) -> tuple[HandOff, HandOff]:
    """Look when it is time."""
    at = bench.handoff().look_at
    assert at is not None
    await bench.clock.run(max(0, at - bench.clock.now))
    looked = await bench.clock.until_done(bench.worker._recordings.look(KEY, copying=copying))
    assert looked is not None
    return looked


# When


@pytest.mark.parametrize(("early_ms", "reads"), [(1_000, ["mdc-1"]), (1_001, [])])
async def test_a_look_may_come_a_second_early_and_no_more(early_ms: int, reads: list[str]) -> None:
    bench = Bench()
    at = (await ended(bench)).look_at
    assert at is not None
    await bench.clock.run(at - early_ms - bench.clock.now)
    before, after = await bench.clock.until_done(bench.worker._recordings.look(KEY)) or (None, None)
    assert bench.recall.reads == reads
    assert (before == after) is not bool(reads)


async def test_of_what_nobody_knows_there_is_none() -> None:
    bench = Bench()
    assert await bench.clock.until_done(bench.worker._recordings.look("f" * 64)) is None
    assert bench.recall.reads == []


# What Recall answers


@pytest.mark.parametrize(
    ("answer", "severity", "reason"),
    [
        (Answer(401), "ALERT", "Recall answered 401"),
        (Answer(402), "ALERT", "Recall answered 402"),
        (Answer(403), "ALERT", "Recall answered 403"),
        (Answer(400), "WARNING", "Recall answered 400"),
        (Answer(429), "WARNING", "Recall answered 429"),
        (Answer(503), "WARNING", "Recall answered 503"),
        (Answer(0, failure="timeout"), "WARNING", "no answer from Recall (timeout)"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else None,
)
async def test_an_answer_that_is_none_is_one_line_and_another_look(answer: Answer, severity: str, reason: str) -> None:
    bench = Bench()
    await ended(bench)
    bench.recall.down = answer
    _, after = await look(bench)
    line = {"severity": severity, "event": "retrieval", "state": "awaiting", "reason": reason, "status": answer.status, **IDS}
    assert bench.log.of("retrieval") == [line]
    assert (after.retrieval.state, after.look_at) == ("awaiting", bench.clock.now + 20_000)


@pytest.mark.parametrize(("retry_after_s", "pause_ms"), [(19.0, 20_000), (21.5, 21_500), (3_600.0, 3_600_000)])
async def test_recalls_retry_after_is_waited_for_if_it_is_longer(retry_after_s: float, pause_ms: int) -> None:
    bench = Bench()
    await ended(bench)
    bench.recall.down = Answer(429, retry_after_s=retry_after_s)
    _, after = await look(bench)
    assert after.look_at == bench.clock.now + pause_ms


async def test_an_mdc_that_is_gone_is_an_answer_and_no_failure() -> None:
    bench = Bench()
    await ended(bench)
    bench.recall.mdcs.clear()
    _, after = await look(bench)
    assert (after.retrieval.state, after.retrieval.recordings) == ("awaiting", ())
    assert [line["severity"] for line in bench.log.of("retrieval")] == ["INFO"]


async def test_a_look_that_ends_says_the_state_the_recordings_and_the_mdcs_own_status() -> None:
    bench = Bench()
    await ended(bench)
    bench.recall.record("mdc-1")
    await look(bench)
    line = {"severity": "INFO", "event": "retrieval", "state": "done", "reason": "", "recordings": {"rec-1": "done"}}
    assert bench.log.of("retrieval") == [{**line, "mdc_status": "zzz", "next_look_s": None, **IDS}]


async def test_what_is_anothers_is_counted_and_left_alone() -> None:
    bench = Bench()
    bench.recall.ignores_filter = True
    await ended(bench)
    bench.recall.record("mdc-1")
    theirs = {"id": "theirs", "status": {"code": "done"}, "metadata": {"rtmskit_handoff": "f" * 64}}
    bench.recall.recordings["theirs"], bench.recall.owner["theirs"] = theirs, "mdc-1"
    _, after = await look(bench)
    what = "Recall showed recordings that are not ours; they are left alone"
    assert bench.log.of("foreign_recordings") == [{"severity": "ALERT", "event": "foreign_recordings", "count": 1, "what": what, **IDS}]
    assert [recording.id for recording in after.retrieval.recordings] == ["rec-1"]


async def test_a_list_without_an_end_is_not_read_for_ever() -> None:
    bench = Bench()
    await ended(bench)
    pages = 0

    async def endless(key: str, value: str, cursor: str | None = None) -> Answer:
        nonlocal pages
        pages += 1
        following = f"https://us-east-1.recall.ai/api/v1/recording/?cursor={pages}"
        return Answer(200, json.dumps({"next": following, "previous": None, "results": []}).encode())

    bench.recall.recordings_with_metadata = endless
    with pytest.raises(RecallUnavailable, match=r"^Recall's list of recordings does not end$"):
        await bench.clock.until_done(bench.worker._recordings.seen(bench.handoff(), everywhere=True))
    assert pages == 100


async def test_a_list_that_names_the_same_page_again_is_at_its_end() -> None:
    bench = Bench()
    await ended(bench)
    cursors: list[str | None] = []

    async def circle(key: str, value: str, cursor: str | None = None) -> Answer:
        cursors.append(cursor)
        following = "https://us-east-1.recall.ai/api/v1/recording/?cursor=again"
        return Answer(200, json.dumps({"next": following, "previous": None, "results": []}).encode())

    bench.recall.recordings_with_metadata = circle
    with pytest.raises(RecallUnavailable, match="does not end"):
        await bench.clock.until_done(bench.worker._recordings.seen(bench.handoff(), everywhere=True))
    assert cursors == [None, "again"]


async def test_a_list_that_is_refused_is_no_answer() -> None:
    bench = Bench()
    await ended(bench)

    async def refused(key: str, value: str, cursor: str | None = None) -> Answer:
        return Answer(503)

    bench.recall.recordings_with_metadata = refused
    with pytest.raises(Unanswered, match="Recall answered 503"):
        await bench.clock.until_done(bench.worker._recordings.seen(bench.handoff(), everywhere=True))


async def test_one_that_was_read_and_is_gone_was_deleted_and_one_that_is_only_announced_is_still_to_come() -> None:
    bench = Bench()
    await ended(bench)
    bench.retrievals.down = False
    await bench.recall_says("recording.processing", "rec-9", KEY)
    await bench.run(30)
    [announced] = bench.handoff().retrieval.recordings
    assert (announced.id, announced.read, announced.status) == ("rec-9", False, "processing")
    bench.recall.record("mdc-1", "rec-9", code="processing")
    await look(bench)
    bench.recall.recordings.clear()
    await look(bench)
    [gone] = bench.handoff().retrieval.recordings
    assert (gone.id, gone.status) == ("rec-9", "deleted")


# Whether it still records


@pytest.mark.parametrize(("after_ms", "runs"), [(59_999, True), (60_000, False)])
async def test_an_mdc_without_a_recording_counts_as_running_for_one_window(after_ms: int, *, runs: bool) -> None:
    bench = Bench()
    handoff = await accepted(bench)
    assert handoff.attempt.accepted_at is not None
    await bench.clock.run(handoff.attempt.accepted_at + after_ms - bench.clock.now)
    assert await bench.clock.until_done(bench.worker._recordings.runs(handoff)) is runs


@pytest.mark.parametrize(
    ("code", "runs"), [("processing", True), ("paused", True), ("zzz", True), ("done", False), ("failed", False), ("deleted", False)]
)
async def test_a_recording_runs_until_its_status_is_final(code: str, *, runs: bool) -> None:
    bench = Bench()
    handoff = await accepted(bench)
    bench.recall.record("mdc-1", code=code)
    assert await bench.clock.until_done(bench.worker._recordings.runs(handoff)) is runs


async def test_whether_it_records_is_not_known_while_recall_does_not_say() -> None:
    bench = Bench()
    handoff = await accepted(bench)
    bench.recall.down = Answer(0, failure="reset")
    assert await bench.clock.until_done(bench.worker._recordings.runs(handoff)) is None
    line = {"severity": "WARNING", "event": "retrieval", "reason": "no answer from Recall (reset)", "state": handoff.retrieval.state}
    assert bench.log.of("retrieval") == [{**line, **IDS}]


# The archive


async def test_a_copy_is_logged_with_its_name_its_size_and_its_sha256() -> None:
    bench = Bench(archive=True)
    await ended(bench)
    bench.recall.record("mdc-1")
    await look(bench)
    [copied] = bench.handoff().retrieval.archived
    assert copied.name == f"{KEY}/rec-1/video_mixed.mp4"
    line = {"severity": "INFO", "event": "archived", "handoff": KEY, "name": copied.name, "size": 12, "sha256": copied.sha256}
    assert bench.log.of("archived") == [line]
    assert bench.handoff().retrieval.archive_until is None


async def test_a_copy_that_fails_is_logged_with_its_reason_and_gives_its_lease_back() -> None:
    bench = Bench(archive=True)
    await ended(bench)
    bench.recall.record("mdc-1")
    bench.recall.files.clear()
    _, after = await look(bench)
    name = f"{KEY}/rec-1/video_mixed.mp4"
    line = {"severity": "ERROR", "event": "archive_failed", "handoff": KEY, "name": name, "what": "the download answered 403"}
    assert bench.log.of("archive_failed") == [line]
    assert (after.retrieval.archive_until, after.retrieval.slow_copies, after.retrieval.state) == (None, 0, "awaiting")


async def test_while_another_worker_copies_nothing_is_copied_here() -> None:
    bench = Bench(archive=True)
    await ended(bench)
    bench.recall.record("mdc-1")
    until = bench.clock.now + 60_000
    version, fields = bench.store.documents["handoffs", KEY]
    bench.store.documents["handoffs", KEY] = (version, {**fields, "retrieval": {**fields["retrieval"], "archive_until": until}})
    _, after = await look(bench)
    assert bench.archive is not None
    assert bench.archive.objects == {}
    assert (after.retrieval.archive_until, after.retrieval.state) == (until, "awaiting")


# Erasure


async def revoke(bench: Bench) -> None:
    await bench.zoom(stopped(bench.clock.now, 8))
    await bench.run(1)


@pytest.mark.parametrize(
    ("status", "deleted"), [(200, True), (202, True), (204, True), (404, True), (201, False), (400, False), (409, False), (503, False)]
)
async def test_a_deletion_is_done_by_these_answers_only(status: int, *, deleted: bool) -> None:
    bench = Bench()
    await accepted(bench)
    bench.recall.record("mdc-1")

    async def answered(recording_id: str) -> Answer:
        return Answer(status)

    bench.recall.delete_recording = answered
    bench.retrievals.down = True
    await revoke(bench)
    _, after = await look(bench)
    assert ("rec-1" in after.erasure.deleted) is deleted
    lines = [line for line in bench.log.of("error") if line["where"] == "forget"]
    line = {"severity": "ERROR", "event": "error", "where": "forget", "what": f"Recall answered {status}", "handoff": KEY}
    assert lines == ([] if deleted else [line])


async def test_what_recall_says_is_deleted_is_not_deleted_again() -> None:
    bench = Bench()
    await accepted(bench)
    bench.recall.record("mdc-1", code="deleted")
    bench.retrievals.down = True
    await revoke(bench)
    _, after = await look(bench)
    assert bench.recall.deleted == []
    assert after.erasure.deleted == ("rec-1",)


@pytest.mark.parametrize(("after_ms", "clean"), [(59_999, False), (60_000, True)])
async def test_an_erasure_is_clean_a_minute_after_the_last_copy_may_have_ended(after_ms: int, *, clean: bool) -> None:
    bench = Bench(archive=True)
    await accepted(bench)
    bench.recall.record("mdc-1")
    bench.retrievals.down = True
    await revoke(bench)
    version, fields = bench.store.documents["handoffs", KEY]
    at = bench.handoff().look_at or bench.clock.now
    until = max(at, bench.clock.now) - after_ms
    bench.store.documents["handoffs", KEY] = (version, {**fields, "retrieval": {**fields["retrieval"], "archive_until": until}})
    _, after = await look(bench)
    assert bench.clock.now == until + after_ms
    assert after.erasure.rounds == int(clean)


async def test_an_alarm_names_what_is_needed_to_find_it_at_recall() -> None:
    bench = Bench()
    await accepted(bench)
    bench.recall.record("mdc-1")
    bench.recall.down = Answer(403)
    await bench.zoom(stopped(bench.clock.now, 8))
    await bench.live(3_700)
    [alarm] = bench.log.of("not_forgotten")
    reason = alarm.pop("reason")
    assert alarm == {"severity": "ALERT", "event": "not_forgotten", "handoff": KEY, "stream": STREAM_KEY, "mdc_id": "mdc-1"}
    assert reason
    assert bench.handoff().erasure.alerted_at is not None


def test_the_words_for_no_answer() -> None:
    assert str(Unanswered(Answer(503))) == "Recall answered 503"
    assert str(Unanswered(Answer(0, failure="timeout"))) == "no answer from Recall (timeout)"
    assert Unanswered(Answer(401)).answer == Answer(401)
