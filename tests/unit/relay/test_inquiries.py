"""One hand-off with its links, one link to download: which one it is, and to the letter why there is none."""

from __future__ import annotations

import pytest
from tests.ports.bench import Bench, key_of
from tests.ports.events import NOW, STREAM, started, stopped

from rtms_relay.errors import BadRequest, NotFound, RecallUnavailable
from rtms_relay.handoff.keys import stream_key
from rtms_relay.listing import Query
from rtms_relay.ports import Answer

KEY = key_of()
NEITHER = "no video_mixed or audio_mixed to download; recordings: "


async def handed_on(bench: Bench, *recordings: str, code: str = "done") -> Bench:
    """One hand-off, accepted; Recall has these recordings for it."""
    await bench.zoom(started())
    await bench.run(1)
    for recording_id in recordings:
        bench.recall.record("mdc-1", recording_id, code)
    return bench


def with_audio(bench: Bench, recording_id: str, *, video: bool) -> None:
    shortcuts = bench.recall.recordings[recording_id]["media_shortcuts"]
    link = f"https://bucket.example/{recording_id}.mp3"
    shortcuts["audio_mixed"] = {"id": "a", "status": {"code": "done"}, "format": "mp3", "data": {"download_url": link}}
    if not video:
        shortcuts["video_mixed"] = None


async def linked(bench: Bench, artifact: str | None = None, recording_id: str | None = None, key: str = KEY) -> str:
    return (await bench.clock.until_done(bench.worker.inquiries.link(key, artifact, recording_id))).url.partition("?")[0]


async def refusal(bench: Bench, kind: type[Exception], artifact: str | None = None, recording_id: str | None = None, key: str = KEY) -> str:
    with pytest.raises(kind) as refused:
        await linked(bench, artifact, recording_id, key)
    return str(refused.value)


async def test_video_comes_before_audio_and_any_recording_will_do_unless_one_is_named() -> None:
    bench = await handed_on(Bench(), "rec-1", "rec-2")
    with_audio(bench, "rec-1", video=False)
    with_audio(bench, "rec-2", video=True)
    assert await linked(bench) == "https://bucket.example/rec-2.mp4"
    assert await linked(bench, "audio_mixed") == "https://bucket.example/rec-1.mp3"
    assert await linked(bench, "audio_mixed", "rec-2") == "https://bucket.example/rec-2.mp3"
    assert await linked(bench, None, "rec-1") == "https://bucket.example/rec-1.mp3"
    assert await refusal(bench, NotFound, "video_mixed", "rec-1") == "no video_mixed to download; recordings: done"
    assert await refusal(bench, NotFound, None, "rec-3") == NEITHER + "done"


async def test_without_a_file_the_statuses_of_the_recordings_are_said_once_each() -> None:
    bench = await handed_on(Bench(), "rec-1", "rec-2", code="processing")
    bench.recall.record("mdc-1", "rec-3", "failed")
    assert await refusal(bench, NotFound) == NEITHER + "failed, processing"
    assert await refusal(bench, NotFound, "transcript") == "no transcript to download; recordings: failed, processing"


async def test_without_a_recording_it_is_said_why_or_that_there_is_none_yet() -> None:
    bench = await handed_on(Bench(RETRIEVAL_GIVE_UP_S="60"))
    assert await refusal(bench, NotFound) == NEITHER + "none were made yet"
    await bench.zoom(stopped(NOW + 10_000))
    await bench.live(600)
    reason = bench.handoff().retrieval.reason
    assert "no recordings were made" in reason
    assert await refusal(bench, NotFound) == NEITHER + reason


async def test_what_was_never_handed_on_has_no_recording_and_its_state_says_why() -> None:
    bench = Bench()
    bench.recall.script = [Answer(402, b"{}")]
    await bench.zoom(started())
    await bench.run(1)
    reason = bench.handoff().attempt.reason
    assert "out of credit" in reason
    assert await refusal(bench, NotFound) == f"no recording: the hand-off is failed ({reason})"
    shown = await bench.worker.inquiries.show(KEY)
    assert (shown.links, shown.links_error, bench.recall.reads) == ({}, "", [])


async def test_what_is_still_being_tried_has_no_recording_either() -> None:
    bench = Bench()
    bench.recall.script = [Answer(429)]
    await bench.zoom(started())
    assert await refusal(bench, NotFound) == "no hand-off has this key"
    await bench.run(1)
    assert bench.handoff().attempt.reason == ""
    assert await refusal(bench, NotFound) == "no recording: the hand-off is pending"


async def test_a_try_in_doubt_may_have_a_recording() -> None:
    bench = Bench()
    bench.recall.script = [Answer(503), Answer(503), Answer(400, b"{}")]
    await bench.zoom(started())
    await bench.run(70)
    assert (bench.handoff().attempt.posted, bench.handoff().attempt.unsure) == (False, True)
    assert await refusal(bench, NotFound) == NEITHER + "none were made yet"


async def test_of_a_revoked_stream_there_is_nothing_to_download_and_recall_is_not_asked() -> None:
    bench = await handed_on(Bench(), "rec-1")
    await bench.zoom(stopped(NOW + 10_000, 8))
    await bench.run(1)
    bench.recall.reads.clear()
    assert await refusal(bench, NotFound) == "the stream was revoked and its recording deleted"
    shown = await bench.worker.inquiries.show(KEY)
    assert (shown.links, shown.links_error, bench.recall.reads) == ({}, "", [])


async def test_when_recall_does_not_answer_that_is_said_and_the_rest_is_shown() -> None:
    bench = await handed_on(Bench(), "rec-1")
    shown = await bench.worker.inquiries.show(KEY)
    video = bench.recall.recordings["rec-1"]["media_shortcuts"]["video_mixed"]["data"]["download_url"]
    assert (shown.id, shown.state, shown.links, shown.links_error) == (KEY, "accepted", {"rec-1": {"video_mixed": video}}, "")
    bench.recall.down = Answer(503)
    assert await refusal(bench, RecallUnavailable) == "Recall answered 503"
    shown = await bench.worker.inquiries.show(KEY)
    assert (shown.id, shown.state, shown.links, shown.links_error) == (KEY, "accepted", {}, "Recall answered 503")


@pytest.mark.parametrize("key", ["f" * 64, "x", KEY.upper(), KEY + "\n", "../" + KEY])
async def test_a_key_that_is_nobodys_finds_nothing(key: str) -> None:
    bench = await handed_on(Bench(), "rec-1")
    assert await refusal(bench, NotFound, key=key) == "no hand-off has this key"
    with pytest.raises(NotFound, match=r"^no hand-off has this key$"):
        await bench.worker.inquiries.show(key)


async def test_an_artifact_that_recall_does_not_make_is_refused_with_those_that_it_does() -> None:
    says = "artifact must be one of video_mixed, audio_mixed, transcript, transcript_provider_data, participant_events, speaker_timeline,"
    assert await refusal(await handed_on(Bench(), "rec-1"), BadRequest, "zzz") == f"{says} participants"


async def test_a_list_says_what_is_known_of_the_stream_that_was_named_and_of_no_other() -> None:
    bench = await handed_on(Bench())
    inquiries, key = bench.worker.inquiries, stream_key(STREAM)
    found = await inquiries.handoffs(Query(stream=key, where={"stream": key}, limit=1))
    assert ([row.id for row in found.handoffs], found.next) == ([KEY], None)
    assert found.stream is not None
    assert (found.stream.key, found.stream.known) == (key, True)
    assert (await inquiries.handoffs(Query())).stream is None
    other = (await inquiries.handoffs(Query(stream="0" * 64))).stream
    assert other is not None
    assert (other.key, other.known) == ("0" * 64, False)
    assert [row.id for row in (await inquiries.recordings(Query())).recordings] == [KEY]


async def test_a_story_is_of_a_hand_off_its_stream_and_this_moment() -> None:
    bench = await handed_on(Bench())
    bench.recall.reads.clear()
    story = await bench.worker.inquiries.story(KEY)
    assert (story.id, story.stream.key, story.stream.known, story.now) == (KEY, stream_key(STREAM), True, bench.clock.now)
    assert story.window_ends_at == NOW + 60_000
    assert bench.recall.reads == [], "Recall is not asked"
    with pytest.raises(BadRequest, match=r"^the id of a hand-off has 64 hex digits"):
        await bench.worker.inquiries.story("x")
    with pytest.raises(NotFound, match=r"^no hand-off has this key$"):
        await bench.worker.inquiries.story("f" * 64)


async def test_pages_of_recordings_follow_each_other() -> None:
    bench = Bench()
    for number in range(3):
        bench.clock.now += 1_000
        await bench.zoom(started(stream=f"s-{number}", ts=bench.clock.now))
        await bench.run(1)
    for ask in (bench.worker.inquiries.recordings, bench.worker.inquiries.handoffs):
        first = await ask(Query(limit=2))
        assert first.next is not None
        assert (await ask(Query(limit=2, cursor=first.next))).next is None
