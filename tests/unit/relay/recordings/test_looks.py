"""One look at Recall, to the letter: what is asked, what each answer comes to, what is logged, and what a deletion takes for done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace
from tests.ports.bench import Bench, key_of
from tests.ports.events import MEETING, STREAM, started, stopped
from tests.ports.recall import MemoryArchive

from rtms_relay.errors import NotFound, RecallUnavailable
from rtms_relay.handoff.keys import stream_key
from rtms_relay.handoff.record import HandOff
from rtms_relay.ports import Answer, Recording
from rtms_relay.recordings import Seen, Unanswered
from rtms_relay.tasks import Stop, encode

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
    looked = await bench.clock.until_done(bench.worker._recordings.look(KEY))
    assert looked is not None
    before, after = looked
    assert (before.key, after.key, bench.recall.reads) == (KEY, KEY, reads)
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


def knows(handoff: HandOff, *recordings: Recording, mdc_id: str | None = "mdc-1") -> HandOff:
    attempt = replace(handoff.attempt, mdc_id=mdc_id)
    return replace(handoff, attempt=attempt, retrieval=replace(handoff.retrieval, recordings=recordings))


async def seen(bench: Bench, handoff: HandOff) -> Seen:
    return await bench.clock.until_done(bench.worker._recordings.seen(handoff))


@pytest.mark.parametrize("read", [True, False])
async def test_one_without_metadata_is_ours_only_if_it_was_ours_when_it_was_read(read: bool) -> None:
    """A webhook only names an id; what our own MDC listed, or what had our metadata, stays ours."""
    bench = Bench()
    handoff = await ended(bench)
    bench.recall.foreign = {"rec-9": {"id": "rec-9", "status": {"code": "done"}, "metadata": {}}}
    result = await seen(bench, knows(handoff, Recording(id="rec-9", status="done", read=read)))
    assert [view.recording.id for view in result.ours] == (["rec-9"] if read else [])
    assert result.foreign == (() if read else ("rec-9",))


async def test_one_that_is_known_to_be_deleted_is_not_read_again() -> None:
    bench = Bench()
    handoff = await ended(bench)
    bench.recall.reads.clear()
    result = await seen(bench, knows(handoff, Recording(id="rec-9", status="deleted", read=True)))
    assert (result.ours, result.foreign, bench.recall.reads) == ((), (), ["mdc-1"])


async def test_one_that_is_known_and_was_shown_is_not_read_again() -> None:
    bench = Bench()
    handoff = await ended(bench)
    bench.recall.record("mdc-1", "rec-9")
    bench.recall.reads.clear()
    result = await seen(bench, knows(handoff, Recording(id="rec-9", status="processing", read=True)))
    assert ([view.recording.id for view in result.ours], bench.recall.reads) == (["rec-9"], ["mdc-1"])


async def test_a_known_one_that_recall_does_not_show_is_no_answer() -> None:
    bench = Bench()
    handoff = await ended(bench)

    async def busy(recording_id: str) -> Answer:
        return Answer(503)

    bench.recall.recording = busy
    with pytest.raises(Unanswered, match=r"^Recall answered 503$") as raised:
        await seen(bench, knows(handoff, Recording(id="rec-9", status="done")))
    assert raised.value.args == (503,)

    async def unreadable(recording_id: str) -> Answer:
        return Answer(200, b"{}")

    bench.recall.recording = unreadable
    with pytest.raises(Unanswered, match=r"^Recall answered 200$"):
        await seen(bench, knows(handoff, Recording(id="rec-9", status="done")))


async def test_without_an_mdc_it_is_looked_for_by_metadata_unless_recordings_are_known() -> None:
    bench = Bench()
    handoff = await ended(bench)
    bench.recall.reads.clear()
    result = await seen(bench, knows(handoff, mdc_id=None))
    assert (result.ours, result.mdc_status, bench.recall.reads) == ((), "", [f"rtmskit_handoff={KEY}"])
    assert Seen(()).mdc_status == ""
    bench.recall.record("mdc-1", "rec-9")
    bench.recall.reads.clear()
    result = await seen(bench, knows(handoff, Recording(id="rec-9", status="done", read=True), mdc_id=None))
    assert ([view.recording.id for view in result.ours], bench.recall.reads) == (["rec-9"], ["rec-9"])


# What a revocation, or another worker, does meanwhile


def meanwhile(bench: Bench, change: Callable[[], Awaitable[None]], answer: Answer | None = None) -> None:
    """Once, while Recall shows the MDC, this happens; then comes `answer`, or Recall's own."""
    real = bench.recall.retrieve

    async def retrieve(mdc_id: str) -> Answer:
        bench.recall.retrieve = real
        shown = await real(mdc_id)
        await change()
        return answer or shown

    bench.recall.retrieve = retrieve


def revoking(bench: Bench) -> Callable[[], Awaitable[None]]:
    async def revoke() -> None:
        stop = Stop(
            event="meeting.rtms_stopped", product="meeting", stream_id=STREAM, entity_id=MEETING, event_ts=bench.clock.now, stop_reason=8
        )
        await bench.worker.receive("/events", encode(stop))

    return revoke


async def test_a_look_that_a_revocation_overtakes_erases() -> None:
    bench = Bench()
    await ended(bench)
    bench.recall.record("mdc-1")
    meanwhile(bench, revoking(bench))
    _, after = await look(bench)
    assert (after.erasure.on, after.retrieval.state, bench.recall.deleted) == (True, "awaiting", ["rec-1"])


async def test_a_look_without_an_answer_that_a_revocation_overtakes_changes_nothing() -> None:
    bench, revoked = Bench(), []
    await ended(bench)

    async def revoke() -> None:
        await revoking(bench)()
        revoked.append(bench.handoff())

    meanwhile(bench, revoke, Answer(503))
    _, after = await look(bench)
    assert [after, bench.handoff()] == revoked * 2
    assert (after.key, after.erasure.on) == (KEY, True)


async def test_a_look_without_an_answer_that_another_look_ended_changes_nothing() -> None:
    bench, final = Bench(), []
    await ended(bench)
    bench.recall.record("mdc-1")

    async def finish() -> None:
        looked = await bench.new_worker()._recordings.look(KEY)
        final.append(looked[1] if looked else None)

    meanwhile(bench, finish, Answer(503))
    _, after = await look(bench)
    assert (after.retrieval.state, after.look_at) == ("done", None)
    assert [after, bench.handoff()] == final * 2


async def test_a_record_that_is_gone_is_not_made_again() -> None:
    bench = Bench()
    await ended(bench)

    async def lose() -> None:
        del bench.store.documents["handoffs", KEY]

    meanwhile(bench, lose)
    with pytest.raises(NotFound, match=f"^the record {KEY} is gone$"):
        await look(bench)
    assert bench.handoffs() == {}


async def test_while_recall_does_not_answer_what_webhooks_said_is_the_end_once_it_was_waited_for_long_enough() -> None:
    """A day after the hand-off (RETRIEVAL_GIVE_UP_S)."""
    bench = Bench()
    await ended(bench)
    bench.retrievals.down = False
    bench.recall.down = Answer(503)
    await bench.recall_says("recording.done", "rec-1", KEY)
    await bench.live(25 * 3_600)
    retrieval = bench.handoff().retrieval
    assert (retrieval.state, retrieval.look_at) != ("awaiting", None)
    assert retrieval.reason.endswith("(Recall answered 503)")
    final = [line for line in bench.log.of("retrieval") if line["state"] == retrieval.state]
    assert len(final) == 1


async def test_a_list_that_does_not_end_is_told_without_a_status() -> None:
    bench = Bench()
    await ended(bench)

    async def endless(key: str, value: str, cursor: str | None = None) -> Answer:
        following = f"https://x.recall.ai/api/v1/recording/?cursor={int(cursor or 0) + 1}"
        return Answer(200, json.dumps({"next": following, "previous": None, "results": []}).encode())

    bench.recall.recordings_with_metadata = endless
    version, fields = bench.store.documents["handoffs", KEY]
    bench.store.documents["handoffs", KEY] = (version, {**fields, "attempt": {**fields["attempt"], "mdc_id": None}})
    await look(bench)
    [line] = [line for line in bench.log.of("retrieval") if line["severity"] == "WARNING"]
    assert (line["status"], line["reason"]) == (0, "Recall's list of recordings does not end")


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


async def test_of_several_recordings_one_that_runs_is_enough() -> None:
    bench = Bench()
    handoff = await accepted(bench)
    bench.recall.record("mdc-1", "rec-1", code="done")
    bench.recall.record("mdc-1", "rec-2", code="processing")
    assert await bench.clock.until_done(bench.worker._recordings.runs(handoff)) is True


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


@pytest.mark.parametrize("code", ["done", "failed"])
async def test_what_the_sweep_may_not_copy_stays_open(code: str) -> None:
    """A verdict ends a retrieval only when what it left behind is in the archive."""
    bench = Bench(archive=True)
    await ended(bench)
    bench.recall.record("mdc-1", "rec-1")
    bench.recall.record("mdc-1", "rec-2", code=code)
    before, after = await look(bench, copying=False)
    assert (before.retrieval.state, after.retrieval.state) == ("awaiting", "awaiting")
    _, copied = await look(bench)
    assert copied.retrieval.state != "awaiting"
    assert bench.archive is not None
    assert f"{KEY}/rec-1/video_mixed.mp4" in bench.archive.objects


async def test_a_lease_is_half_an_hour_from_the_begin_of_each_copy() -> None:
    bench, leases = Bench(archive=True), []

    async def note() -> None:
        leases.append(bench.handoff().retrieval.archive_until or 0)
        leases[-1] -= bench.clock.now
        await bench.clock.sleep(60)

    bench.recall.during_download = note
    await ended(bench)
    bench.recall.record("mdc-1", "rec-1")
    bench.recall.record("mdc-1", "rec-2")
    await look(bench)
    assert leases == [1_800_000, 1_800_000]


async def test_a_copy_that_a_revocation_overtakes_gives_its_lease_back_and_erases() -> None:
    bench = Bench(archive=True)
    await ended(bench)
    bench.recall.record("mdc-1", "rec-1")
    bench.recall.during_download = revoking(bench)
    _, after = await look(bench)
    assert (after.erasure.on, after.retrieval.state, after.retrieval.archive_until) == (True, "awaiting", None)
    assert bench.archive is not None
    assert (bench.archive.objects, bench.recall.deleted) == ({}, ["rec-1"])
    assert after.erasure.state == "forgotten"  # nobody copies any more, so the round was a clean one


async def test_a_copy_that_fails_while_a_revocation_comes_gives_its_lease_back() -> None:
    bench = Bench(archive=True)
    await ended(bench)
    bench.recall.record("mdc-1", "rec-1")

    async def revoked_and_broken() -> None:
        await revoking(bench)()
        raise RecallUnavailable("the download broke off")

    bench.recall.during_download = revoked_and_broken
    _, after = await look(bench)
    assert (after.erasure.on, after.retrieval.archive_until) == (True, None)
    assert [line["what"] for line in bench.log.of("archive_failed")] == ["the download broke off"]


async def test_a_revocation_between_two_copies_ends_them_and_erases() -> None:
    bench, copies = Bench(archive=True), []
    await ended(bench)
    bench.recall.record("mdc-1", "rec-1")
    bench.recall.record("mdc-1", "rec-2")

    async def revoke_once() -> None:
        copies.append(bench.clock.now)
        if len(copies) == 1:
            await revoking(bench)()

    bench.recall.during_download = revoke_once
    _, after = await look(bench)
    assert (after.key, after.erasure.state, len(copies)) == (KEY, "forgotten", 1)
    assert bench.archive is not None
    assert (bench.archive.objects, sorted(bench.recall.deleted)) == ({}, ["rec-1", "rec-2"])


async def test_an_erasure_looks_everywhere_though_the_mdc_is_known() -> None:
    """A POST that was lost may have made another one, which only the metadata names."""
    bench = Bench()
    await ended(bench)
    await bench.zoom(stopped(bench.clock.now, 8))
    await bench.run(1)
    bench.recall.reads.clear()
    await look(bench)
    assert bench.recall.reads == ["mdc-1", f"rtmskit_handoff={KEY}"]


@pytest.mark.parametrize(("left_ms", "copies"), [(0, 1), (1, 0)])
async def test_a_lease_ends_at_its_moment(left_ms: int, copies: int) -> None:
    bench = Bench(archive=True)
    at = (await ended(bench)).look_at
    assert at is not None
    bench.recall.record("mdc-1", "rec-1")
    version, fields = bench.store.documents["handoffs", KEY]
    lease = {**fields["retrieval"], "archive_until": at + left_ms}
    bench.store.documents["handoffs", KEY] = (version, {**fields, "retrieval": lease})
    await look(bench)
    assert bench.clock.now == at
    assert bench.archive is not None
    assert len(bench.archive.objects) == copies


VIDEO = f"{KEY}/rec-1/video_mixed.mp4"


async def archived_before_a_crash() -> tuple[Bench, MemoryArchive]:
    """Recorded; its video is in the archive, and the record does not say so."""
    bench = Bench(archive=True)
    await ended(bench)
    bench.recall.record("mdc-1", "rec-1")
    assert bench.archive is not None
    bench.archive.objects[VIDEO] = b"12 bytes too"
    return bench, bench.archive


async def test_what_a_crash_left_in_the_archive_is_taken_as_it_is() -> None:
    bench, _ = await archived_before_a_crash()
    _, after = await look(bench)
    [copied] = after.retrieval.archived
    assert (copied.name, copied.size, copied.sha256) == (VIDEO, 12, hashlib.sha256(b"12 bytes too").hexdigest())
    assert (after.retrieval.state, bench.log.of("archive_failed")) == ("done", [])


async def test_what_is_there_and_cannot_be_found_is_a_failure() -> None:
    bench, archive = await archived_before_a_crash()

    async def nothing(_: str) -> None: ...

    archive.find = nothing  # ty: ignore[invalid-assignment]
    _, after = await look(bench)
    assert (after.retrieval.state, after.retrieval.archived) == ("awaiting", ())
    assert [line["what"] for line in bench.log.of("archive_failed", "ERROR")] == [VIDEO]


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
