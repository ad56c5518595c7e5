"""The life of MDCs and recordings: what becomes visible when, what is announced, kept and erased."""

import asyncio
import hashlib
import hmac
import io
import json
from dataclasses import replace

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.simulator.recall.workbench import EPOCH, RTMS, bench, body

from rtms_simulator.recall import Progression, RateLimits, RecallSwitches, Story, scripted
from rtms_simulator.recall.recorder.values import FirstPacket, Joined, Paused, RecordingResult, Resumed
from rtms_simulator.recall.records.lifecycle import stream_signature
from rtms_simulator.recall.records.tables import INVENTED_MDC_CODES
from rtms_simulator.recall.records.times import parse_time

MDC = "/meeting_direct_connect"
TRANSCRIPT = {"transcript": {"provider": {"meeting_captions": {}}}}


async def seen(b, made):
    """(MDC code, recording code or None) as the API tells."""
    shown = await b.mdc(made)
    return shown["status"]["code"], shown["recordings"][0]["status"]["code"] if shown["recordings"] else None


async def test_an_mdc_connects_records_and_is_done(tmp_path):
    async with bench(tmp_path, Story(joins_after=2, lasts=10)) as b:
        made = await b.create()
        assert await seen(b, made) == ("connecting", None)
        await b.pass_time(2)
        assert await seen(b, made) == ("recording", "processing")
        shortcut = (await b.mdc(made))["recordings"][0]["media_shortcuts"]["video_mixed"]
        assert (shortcut["status"]["code"], shortcut["data"]) == ("processing", {"download_url": None})
        await b.pass_time(10)
        assert await seen(b, made) == ("done", "done")
        recording = (await b.mdc(made))["recordings"][0]
        assert recording["started_at"] == "2026-05-28T20:26:42.000000Z"
        assert recording["completed_at"] == "2026-05-28T20:26:52.000000Z"


async def test_events_follow_what_is_visible(tmp_path):
    async with bench(tmp_path, Story(lasts=10)) as b:
        await b.create()
        await b.settle()
        kinds = ["video_mixed", "participant_events", "meeting_metadata"]
        started = ["recording.processing", *(f"{kind}.processing" for kind in kinds)]
        assert b.receiver.events == started
        await b.pass_time(10)
        assert b.receiver.events == [*started, *(f"{kind}.done" for kind in kinds), "recording.done"]
        done = b.receiver.got[-1].json["data"]
        assert done["data"] == {"code": "done", "sub_code": None, "updated_at": "2026-05-28T20:26:50.000000+00:00"}
        assert done["recording"]["metadata"] == {}
        assert set(done) == {"data", "recording"}
        artifact = b.receiver.got[-2].json["data"]
        assert set(artifact) == {"data", "recording", "meeting_metadata"}


@pytest.mark.parametrize(
    ("mode", "at_first", "at_last"), [("at_once", "processing", "done"), ("later", None, "done"), ("never", None, None)]
)
async def test_recordings_gains_its_entry_at_once_later_or_never(tmp_path, mode, at_first, at_last):
    async with bench(tmp_path, Story(joins_after=1), switches=RecallSwitches(recordings=mode)) as b:
        made = await b.create()
        assert await seen(b, made) == ("connecting", at_first)
        if mode == "at_once":
            assert made["recordings"][0]["started_at"] is None
            assert made["recordings"][0]["media_shortcuts"]["video_mixed"]["data"]["download_url"] is None
        await b.pass_time(1)
        assert await seen(b, made) == ("done", at_last)
        if mode == "never":
            assert (await b.get("/recording/"))["results"] == []
            assert list(tmp_path.iterdir()) == []


async def test_under_the_timed_progression_each_step_shows_later_on_the_clock(tmp_path):
    async with bench(tmp_path, switches=RecallSwitches(progression=Progression.timed(60))) as b:
        made = await b.create()
        await b.pass_time(59)
        assert await seen(b, made) == ("connecting", None)
        assert b.receiver.got == []
        await b.pass_time(1)
        assert await seen(b, made) == ("done", "done")
        assert b.receiver.events[-1] == "recording.done"


async def test_under_the_polls_progression_time_is_counted_in_retrievals(tmp_path):
    async with bench(tmp_path, switches=RecallSwitches(progression=Progression.after_polls(3))) as b:
        made = await b.create()
        await b.pass_time(86_400)
        codes = [(await seen(b, made)) for _ in range(9)]
        waiting, going, done = ("connecting", None), ("recording", "processing"), ("done", "done")
        assert codes == [waiting, waiting, going, going, going, going, going, going, done]


async def test_a_run_with_invented_codes_changes_nothing_but_the_codes_of_the_mdc(tmp_path):
    async with bench(tmp_path, switches=RecallSwitches(mdc_codes=INVENTED_MDC_CODES, status_changes=True)) as b:
        made = await b.create()
        assert made["status"]["code"] == "zzz_warming_up"
        await b.settle()
        assert await seen(b, made) == ("zzz_put_away", "done")
        assert [change["code"] for change in (await b.mdc(made))["status_changes"]] == ["zzz_warming_up", "zzz_unknown", "zzz_put_away"]


async def test_a_stream_that_cannot_be_joined_fails_after_its_201_without_a_recording(tmp_path):
    async with bench(tmp_path, Story(joins_after=None, sub_code="zoom_rtms_stream_not_found")) as b:
        made = await b.create()
        await b.settle()
        shown = await b.mdc(made)
        assert (shown["status"]["code"], shown["status"]["sub_code"], shown["recordings"]) == ("failed", "zoom_rtms_stream_not_found", [])
        assert b.receiver.got == []


async def test_a_failure_while_recording_fails_the_recording_with_its_reason(tmp_path):
    async with bench(tmp_path, Story(status="failed", sub_code="zoom_rtms_connection_lost")) as b:
        made = await b.create()
        await b.settle()
        recording = (await b.mdc(made))["recordings"][0]
        assert (recording["status"]["code"], recording["status"]["sub_code"]) == ("failed", "zoom_rtms_connection_lost")
        assert b.receiver.events[-1] == "recording.failed"


async def test_a_silent_stream_ends_in_a_failed_recording(tmp_path):
    async with bench(tmp_path, Story(status="empty")) as b:
        made = await b.create()
        await b.settle()
        assert await seen(b, made) == ("done", "failed")
        recording = (await b.mdc(made))["recordings"][0]
        assert recording["status"]["sub_code"] == "zoom_rtms_no_media"
        assert {s["status"]["code"] for s in recording["media_shortcuts"].values() if s} == {"failed"}


async def test_a_paused_stream_is_a_paused_recording_until_it_goes_on(tmp_path):
    async with bench(tmp_path, Story(events=[Paused(EPOCH + 1), Resumed(EPOCH + 2)], spacing=1, lasts=1)) as b:
        made = await b.create()
        await b.settle()
        codes = []
        for _ in range(4):
            codes.append((await seen(b, made))[1])
            await b.pass_time(1)
        assert codes == ["processing", "paused", "processing", "done"]
        assert [event for event in b.receiver.events if event.startswith("recording.")] == [
            "recording.processing",
            "recording.paused",
            "recording.processing",
            "recording.done",
        ]


async def test_one_artifact_fails_alone(tmp_path):
    async with bench(tmp_path, Story(broken=frozenset({"video_mixed"}))) as b:
        made = await b.create(recording_config={"audio_mixed_raw": {}})
        await b.settle()
        recording = (await b.mdc(made))["recordings"][0]
        assert recording["status"]["code"] == "done"
        video, audio = recording["media_shortcuts"]["video_mixed"], recording["media_shortcuts"]["audio_mixed"]
        assert (video["status"]["code"], video["status"]["sub_code"]) == ("failed", "artifact_write_failed")
        assert video["data"]["download_url"] is None
        assert (audio["status"]["code"], audio["format"]) == ("done", "raw")
        assert "video_mixed.failed" in b.receiver.events


async def test_a_recorder_that_crashes_is_a_failed_mdc_and_the_server_lives(tmp_path, caplog):
    class Crashing:
        async def run(self):
            raise OSError(28, "No space left on device")

        async def displace(self):
            pass

    async with bench(tmp_path, recorder_factory=lambda *_: Crashing()) as b:
        made = await b.create()
        await b.settle()
        shown = await b.mdc(made)
        assert (shown["status"]["code"], shown["status"]["sub_code"]) == ("failed", "internal_error")
        assert "No space left" in caplog.text


async def test_both_audio_formats_are_two_artifacts_and_the_shortcut_is_the_mp3(tmp_path):
    async with bench(tmp_path) as b:
        made = await b.create(recording_config={"audio_mixed_raw": {}, "audio_mixed_mp3": {"metadata": {"a": "b"}}})
        await b.settle()
        shortcut = (await b.mdc(made))["recordings"][0]["media_shortcuts"]["audio_mixed"]
        assert (shortcut["format"], shortcut["metadata"]) == ("mp3", {"a": "b"})
        listed = (await b.get("/audio_mixed/"))["results"]
        contents = {one["format"]: (await b.download(one["data"]["download_url"])).content for one in listed}
        assert contents == {"mp3": b"audio_mixed mp3", "raw": b"audio_mixed_raw raw"}


async def test_only_what_was_asked_for_is_recorded_when_the_switch_says_so(tmp_path):
    async with bench(tmp_path, switches=RecallSwitches(defaults="only_asked")) as b:
        made = await b.create()
        await b.settle()
        assert set((await b.mdc(made))["recordings"][0]["media_shortcuts"].values()) == {None}


@pytest.mark.parametrize(("captions", "provider"), [(True, {"zoom_rtms": {}}), (False, {"meeting_captions": {}})])
async def test_the_transcripts_provider_is_reported_as_the_switch_says(tmp_path, captions, provider):
    async with bench(tmp_path, switches=RecallSwitches(captions_provider=captions)) as b:
        made = await b.create(recording_config=TRANSCRIPT)
        await b.settle()
        assert (await b.mdc(made))["recordings"][0]["media_shortcuts"]["transcript"]["provider"] == provider


@pytest.mark.parametrize(
    ("how", "extra"),
    [
        ("absent", {}),
        ("null", {"bot": None}),
        ("object", {"bot": {"metadata": {"a": "b"}}}),
        ("meeting_direct_connect", {"meeting_direct_connect": {"metadata": {"a": "b"}}}),
    ],
)
async def test_the_bot_key_of_events_is_absent_null_or_replaced(tmp_path, how, extra):
    async with bench(tmp_path, switches=RecallSwitches(bot_key=how)) as b:
        made = await b.create(metadata={"a": "b"})
        await b.settle()
        for named in filter(None, extra.values()):
            named["id"] = made["id"]
        for received in b.receiver.got:
            data = received.json["data"]
            assert {key: data[key] for key in data.keys() & {"bot", "meeting_direct_connect"}} == extra


async def test_recording_done_can_come_before_its_artifacts(tmp_path):
    async with bench(tmp_path, switches=RecallSwitches(swap_done=True)) as b:
        await b.create()
        await b.settle()
        done = [event for event in b.receiver.events if event.endswith(".done")]
        assert done[0] == "recording.done"
        assert len(done) == 4


# ------------------------------------------------------------------------------------------------ signatures and displacement


def test_the_stream_signature_is_the_documented_hmac():
    expected = hmac.new(b"secret", b"client,uuid/+==,stream", hashlib.sha256).hexdigest()
    assert stream_signature("client", "secret", "uuid/+==", "stream") == expected


async def test_with_zooms_secret_known_a_wrong_signature_fails_after_the_201_and_nothing_is_joined(tmp_path):
    joined = []
    tell = scripted(lambda request: joined.append(request) or Story())
    async with bench(tmp_path, recorder_factory=tell, zoom_client=("client", "secret"), switches=RecallSwitches(signature_check_s=3)) as b:
        made = await b.create()
        await b.pass_time(2)
        assert await seen(b, made) == ("connecting", None)
        await b.pass_time(1)
        shown = await b.mdc(made)
        assert (shown["status"]["code"], shown["status"]["sub_code"]) == ("failed", "zoom_rtms_invalid_signature")
        assert joined == []
        right = {**RTMS, "signature": stream_signature("client", "secret", RTMS["meeting_uuid"], RTMS["rtms_stream_id"])}
        answer = await b.client.post(MDC, json={"zoom_rtms": right})
        await b.settle()
        assert await seen(b, answer.json()) == ("done", "done")
        assert [request.signature for request in joined] == [right["signature"]]


@pytest.mark.parametrize("ends", ["done", "failed"])
async def test_a_second_create_takes_a_live_stream_over(tmp_path, ends):
    async with bench(tmp_path, Story(lasts=None), switches=RecallSwitches(displaced=ends)) as b:
        first = await b.create()
        other = await b.create("another stream")
        await b.settle()
        second = await b.create()
        assert second["id"] != first["id"]
        await b.settle()
        assert await seen(b, first) == (ends, ends)
        assert (await b.mdc(first))["status"]["sub_code"] == "zoom_rtms_stream_taken_over"
        assert await seen(b, second) == ("recording", "processing")
        assert await seen(b, other) == ("recording", "processing")


async def test_a_google_meet_is_a_stub_that_echoes_its_body_and_yields_a_made_up_recording(tmp_path):
    """With the recorder that users get, not one of a test's."""
    config = {"metadata": {"mine": "1"}, "video_separate_mp4": {}, "video_mixed_layout": "gallery_view_v2", "audio_mixed_mp3": {}}
    meet = {"google_meet_media_api": {"space_name": "spaces/a", "access_token": "a secret"}, "recording_config": config}
    async with bench(tmp_path, recorder_factory=None) as b:
        answers = [await b.client.post(MDC, json=meet) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 201]
        for answer in answers:
            shown = answer.json()
            assert (shown["google_meet_media_api"], shown["recording_config"], shown["zoom_rtms"]) == (
                {"space_name": "spaces/a"},
                config,
                None,
            )
            assert "a secret" not in answer.text
        await b.pass_time(5.0)
        for answer in answers:
            # A second space does not take the first one's place: there is no stream that they could share.
            assert await seen(b, answer.json()) == ("done", "done")
        recording = (await b.mdc(answers[0].json()))["recordings"][0]
        shortcuts = recording["media_shortcuts"]
        assert recording["metadata"] == {"mine": "1"}
        assert shortcuts["meeting_metadata"]["data"] == {"title": None, "zoom": None}
        video = (await b.download(shortcuts["video_mixed"]["data"]["download_url"])).content
        with av.open(io.BytesIO(video), "r") as file:
            assert len(list(file.decode(video=0))) >= 4
            assert file.duration == pytest.approx(4_000_000, abs=400_000)
        people = (await b.download(shortcuts["participant_events"]["data"]["participants_download_url"])).json()
        assert [person["name"] for person in people] == ["Scripted guest 1", "Scripted guest 2"]


async def test_a_google_meet_has_no_captions(tmp_path):
    captions = {"transcript": {"provider": {"meeting_captions": {}}}}
    meet = {"google_meet_media_api": {"space_name": "spaces/a", "access_token": "t"}}
    async with bench(tmp_path) as b:
        refused = await b.client.post(MDC, json={**meet, "recording_config": captions})
        assert refused.status_code == 400
        (text,) = refused.json()["recording_config"]["transcript"]["provider"]["meeting_captions"]
        assert "google_meet_media_api" in text
        others = {"transcript": {"provider": {"recallai_streaming": {}}}}
        assert (await b.client.post(MDC, json={**meet, "recording_config": others})).status_code == 201
        assert (await b.client.post(MDC, json=body(recording_config=captions))).status_code == 201


# ------------------------------------------------------------------------------------------------ keep and erase


@pytest.mark.parametrize(
    ("retention", "hours"),
    [({"type": "timed", "hours": 2}, 2), ({"type": "timed"}, 168), ({"type": "forever"}, None), (None, 0)],
)
async def test_a_recording_is_kept_as_long_as_was_asked(tmp_path, retention, hours):
    async with bench(tmp_path) as b:
        made = await b.create(recording_config={"retention": retention, "metadata": {"mine": "1"}})
        await b.settle()
        recording = (await b.mdc(made))["recordings"][0]
        if hours is None:
            assert recording["expires_at"] is None
            await b.pass_time(366 * 86_400)
            assert (await seen(b, made))[1] == "done"
            return
        if hours:
            link = recording["media_shortcuts"]["video_mixed"]["data"]["download_url"]
            await b.pass_time(hours * 3600 - 1)
            assert (await seen(b, made))[1] == "done"
            await b.pass_time(1)
            assert (await b.download(link)).status_code in (403, 404)
        shown = (await b.mdc(made))["recordings"][0]
        assert shown["status"]["code"] == "deleted"
        assert shown["metadata"] == {"mine": "1"}
        assert set(shown["media_shortcuts"].values()) == {None}
        assert b.receiver.events[-1] == "recording.deleted"
        assert shown["id"] not in [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize(("moment", "hours_after_the_end"), [("created", 1), ("completed", 2)])
async def test_the_hours_of_a_retention_count_from_the_creation_or_the_end(tmp_path, moment, hours_after_the_end):
    async with bench(tmp_path, Story(lasts=3600), switches=RecallSwitches(retention_from=moment)) as b:
        made = await b.create(recording_config={"retention": {"type": "timed", "hours": 2}})
        await b.settle()
        first = (await b.mdc(made))["recordings"][0]["expires_at"]
        assert first == ("2026-05-28T22:26:40.000000Z" if moment == "created" else None)
        await b.pass_time(3600 + hours_after_the_end * 3600 - 1)
        assert (await seen(b, made))[1] == "done"
        await b.pass_time(1)
        assert (await seen(b, made))[1] == "deleted"


async def test_a_retention_that_is_over_before_the_meeting_is_erases_it_at_its_end(tmp_path):
    async with bench(tmp_path, Story(lasts=3 * 3600)) as b:
        made = await b.create(recording_config={"retention": {"type": "timed", "hours": 1}})
        await b.pass_time(3 * 3600 - 1)
        assert (await seen(b, made))[1] == "processing"
        await b.pass_time(1)
        assert (await seen(b, made))[1] == "deleted"
        assert b.receiver.events[-5:] == [
            *("recording.done", "video_mixed.deleted", "participant_events.deleted", "meeting_metadata.deleted", "recording.deleted")
        ]


@settings(max_examples=25, deadline=None)
@given(first=st.floats(-90, 90), last=st.floats(-90, 90), lasts=st.integers(0, 60), at_once=st.booleans())
def test_nothing_starts_before_its_creation_or_ends_in_the_future_whatever_zoom_says(tmp_path_factory, first, last, lasts, at_once):
    """Zoom hands out sound from before the join, and at full speed its timestamps run ahead of the clock."""

    class Skewed:
        def __init__(self, clock, request, config, directory, on_event):
            self.clock, self.on_event = clock, on_event

        async def run(self):
            self.on_event(Joined(self.clock.now()))
            self.on_event(FirstPacket(EPOCH + first))
            await self.clock.sleep(lasts)
            return RecordingResult("done", None, EPOCH + first, EPOCH + last)

        async def displace(self):
            raise NotImplementedError

    async def play():
        switches = RecallSwitches(recordings="at_once" if at_once else "later")
        async with bench(tmp_path_factory.mktemp("skewed"), recorder_factory=Skewed, switches=switches) as b:
            made = await b.create()
            await b.settle()
            for _ in range(2):
                recording = (await b.mdc(made))["recordings"][0]
                moments = [recording[name] for name in ("created_at", "started_at", "completed_at") if recording[name]]
                assert moments == sorted(moments)
                assert parse_time(moments[-1]) <= b.clock.now()
                await b.pass_time(lasts)
            assert len(moments) == 3

    asyncio.run(play())


async def test_old_accounts_keep_recordings_for_a_week_when_nothing_is_asked(tmp_path):
    async with bench(tmp_path, switches=RecallSwitches(retention_hours=168)) as b:
        made = await b.create()
        await b.settle()
        assert (await b.mdc(made))["recordings"][0]["expires_at"] == "2026-06-04T20:26:40.000000Z"
        assert b.clock.now() == EPOCH


async def test_deleting_a_recording_erases_its_media_and_says_so_once(tmp_path):
    async with bench(tmp_path) as b:
        made = await b.create()
        await b.settle()
        recording = (await b.mdc(made))["recordings"][0]
        link = recording["media_shortcuts"]["video_mixed"]["data"]["download_url"]
        assert (await b.download(link)).status_code == 200
        for _ in range(2):
            answer = await b.client.delete(f"/recording/{recording['id']}/")
            assert (answer.status_code, answer.content) == (204, b"")
        await b.settle()
        assert (await b.download(link)).status_code == 404
        assert (await b.get(f"/recording/{recording['id']}/"))["status"]["code"] == "deleted"
        assert [event for event in b.receiver.events if event.endswith("deleted")] == [
            "video_mixed.deleted",
            "participant_events.deleted",
            "meeting_metadata.deleted",
            "recording.deleted",
        ]
        assert list(tmp_path.rglob("*")) == []
        assert (
            await b.client.post(f"/recording/{recording['id']}/create_transcript/", json={"provider": {"rev_async": {}}})
        ).status_code == 400


async def test_what_was_deleted_can_also_be_gone(tmp_path):
    """The other side of the switch `deleted`."""
    async with bench(tmp_path, switches=RecallSwitches(deleted="gone")) as b:
        made = await b.create()
        await b.settle()
        recording = (await b.mdc(made))["recordings"][0]
        artifact = recording["media_shortcuts"]["video_mixed"]["id"]
        one, other = f"/recording/{recording['id']}/", f"/video_mixed/{artifact}/"
        assert (await b.client.delete(other)).status_code == 204
        assert (await b.client.get(other)).status_code == 404
        assert (await b.get("/video_mixed/"))["results"] == []
        assert (await b.get(one))["status"]["code"] == "done"
        assert (await b.client.delete(one)).status_code == 204
        for method, path in (("GET", one), ("PATCH", one), ("DELETE", one), ("POST", f"{one}create_transcript/")):
            assert (await b.client.request(method, path, json={} if method in ("PATCH", "POST") else None)).status_code == 404
        assert (await b.get("/recording/"))["results"] == []
        assert (await b.mdc(made))["recordings"] == []
        await b.settle()
        assert b.receiver.events[-1] == "recording.deleted"


async def test_deleting_one_artifact_leaves_the_others(tmp_path):
    async with bench(tmp_path) as b:
        made = await b.create()
        await b.settle()
        video = (await b.get("/video_mixed/"))["results"][0]
        assert (await b.client.delete(f"/video_mixed/{video['id']}/")).status_code == 204
        assert (await b.client.delete(f"/video_mixed/{video['id']}/")).status_code == 204
        shortcuts = (await b.mdc(made))["recordings"][0]["media_shortcuts"]
        assert shortcuts["video_mixed"] is None
        assert shortcuts["participant_events"]["status"]["code"] == "done"
        assert (await b.get(f"/video_mixed/{video['id']}/"))["data"] == {"download_url": None}
        assert (await b.download(video["data"]["download_url"])).status_code == 404
        await b.settle()
        assert b.receiver.events.count("video_mixed.deleted") == 1
        assert not list(tmp_path.rglob("video_mixed*"))


@pytest.mark.parametrize(("how", "status"), [("stop", 204), ("refuse", 400)])
async def test_deleting_a_recording_that_is_being_made_stops_it_or_is_refused(tmp_path, how, status):
    async with bench(tmp_path, Story(lasts=None), switches=RecallSwitches(delete_while_processing=how)) as b:
        made = await b.create()
        await b.settle()
        recording = (await b.mdc(made))["recordings"][0]["id"]
        assert (await b.client.delete(f"/recording/{recording}/")).status_code == status
        await b.settle()
        assert await seen(b, made) == (("done", "deleted") if how == "stop" else ("recording", "processing"))
        if how == "stop":
            assert list(tmp_path.iterdir()) == []


async def test_the_mdc_of_a_recording_deleted_while_it_was_made_says_so(tmp_path):
    async with bench(tmp_path, Story(lasts=None, sub_code="zoom_rtms_displaced")) as b:
        made = await b.create()
        await b.settle()
        assert (await b.client.delete(f"/recording/{(await b.mdc(made))['recordings'][0]['id']}/")).status_code == 204
        await b.settle()
        status = (await b.mdc(made))["status"]
        assert (status["code"], status["sub_code"]) == ("done", "recording_deleted")


async def test_an_artifact_deleted_while_it_is_made_leaves_no_file(tmp_path):
    async with bench(tmp_path, Story(lasts=5)) as b:
        await b.create()
        await b.settle()
        video = (await b.get("/video_mixed/"))["results"][0]["id"]
        assert (await b.client.delete(f"/video_mixed/{video}/")).status_code == 204
        await b.pass_time(5)
        assert (await b.get(f"/video_mixed/{video}/"))["status"]["code"] == "deleted"
        assert not list(tmp_path.rglob("video_mixed*"))
        assert b.receiver.events.count("video_mixed.deleted") == 1
        assert "video_mixed.done" not in b.receiver.events


# ------------------------------------------------------------------------------------------------ create_transcript


async def test_a_transcript_can_be_made_after_the_fact_from_what_was_said(tmp_path):
    spoken = json.dumps([{"participant": {"id": 1, "name": "Ada"}, "words": []}]).encode()
    async with bench(tmp_path, Story(contents={"transcript": spoken}), switches=RecallSwitches(progression=Progression.timed(5))) as b:
        made = await b.create()
        await b.pass_time(5)
        recording = (await b.mdc(made))["recordings"][0]
        assert recording["media_shortcuts"]["transcript"] is None
        answer = await b.client.post(
            f"/recording/{recording['id']}/create_transcript", json={"provider": {"recallai_async": {}}, "metadata": {"a": "b"}}
        )
        assert answer.status_code == 200
        transcript = answer.json()
        assert (transcript["status"]["code"], transcript["provider"]) == ("processing", {"recallai_async": {}})
        assert transcript["metadata"] == {"a": "b"}
        await b.pass_time(5)
        shown = await b.get(f"/transcript/{transcript['id']}/")
        assert (await b.download(shown["data"]["download_url"])).content == spoken
        assert b.receiver.events[-2:] == ["transcript.processing", "transcript.done"]
        wrong = await b.client.post(f"/recording/{recording['id']}/create_transcript/", json={"provider": {"meeting_captions": {}}})
        assert wrong.status_code == 400


async def test_the_words_stay_for_the_next_transcript_when_one_is_deleted(tmp_path):
    ask = {"provider": {"recallai_async": {}}}
    captions = {"transcript": {"provider": {"meeting_captions": {}}}}
    async with bench(tmp_path, Story(contents={"transcript": b"[]"})) as b:
        made = await b.create(recording_config=captions)
        await b.settle()
        recording = (await b.mdc(made))["recordings"][0]
        first = recording["media_shortcuts"]["transcript"]["id"]
        assert (await b.client.delete(f"/transcript/{first}/")).status_code == 204
        second = (await b.client.post(f"/recording/{recording['id']}/create_transcript/", json=ask)).json()["id"]
        await b.settle()
        link = (await b.get(f"/transcript/{second}/"))["data"]["download_url"]
        assert (await b.download(link)).content == b"[]"
        assert (await b.client.delete(f"/recording/{recording['id']}/")).status_code == 204
        await b.settle()
        assert b.receiver.events.count("transcript.deleted") == 2
        assert (await b.download(link)).status_code == 404


async def test_a_transcript_can_only_be_asked_for_when_the_meeting_is_over(tmp_path):
    async with bench(tmp_path, Story(lasts=60)) as b:
        made = await b.create()
        await b.settle()
        recording = (await b.mdc(made))["recordings"][0]["id"]
        for seconds, status in ((59, 400), (1, 200)):
            await b.pass_time(seconds)
            answer = await b.client.post(f"/recording/{recording}/create_transcript/", json={"provider": {"recallai_async": {}}})
            assert answer.status_code == status, answer.text


async def test_without_speech_the_transcript_fails(tmp_path):
    async with bench(tmp_path, Story(broken=frozenset({"transcript"}))) as b:
        made = await b.create()
        await b.settle()
        recording = (await b.mdc(made))["recordings"][0]["id"]
        answer = await b.client.post(f"/recording/{recording}/create_transcript/", json={"provider": {"recallai_async": {}}})
        await b.settle()
        assert (await b.get(f"/transcript/{answer.json()['id']}/"))["status"]["sub_code"] == "no_speech_recorded"


async def test_create_transcript_is_limited_to_five_a_minute_per_recording(tmp_path):
    async with bench(tmp_path) as b:
        await b.create("a")
        await b.create("b")
        await b.settle()
        one, two = (recording["id"] for recording in (await b.get("/recording/"))["results"])
        ask = {"provider": {"recallai_async": {}}}
        statuses = [(await b.client.post(f"/recording/{one}/create_transcript/", json=ask)).status_code for _ in range(6)]
        assert statuses == [200] * 5 + [429]
        assert (await b.client.post(f"/recording/{two}/create_transcript/", json=ask)).status_code == 200


async def test_a_switch_can_be_turned_in_the_middle_of_a_life(tmp_path):
    async with bench(tmp_path, switches=RecallSwitches(progression=Progression.after_polls(100))) as b:
        made = await b.create()
        await b.settle()
        assert await seen(b, made) == ("connecting", None)
        b.recall.switches = replace(b.recall.switches, progression=Progression())
        assert await seen(b, made) == ("done", "done")


async def test_reset_stops_recorders_forgets_everything_and_starts_the_ids_anew(tmp_path):
    async with bench(tmp_path, Story(lasts=None)) as b:
        first = await b.create(key="k")
        await b.settle()
        b.recall.faults.add("recall.list: 503")
        await b.recall.reset()
        assert b.recall.lifecycle.recording_now == 0
        assert (await b.get(MDC))["results"] == []
        assert list(tmp_path.iterdir()) == []
        again = await b.client.post(MDC, json=body(), headers={"idempotency-key": "k"})
        assert again.json()["id"] == first["id"]


async def test_reset_opens_the_rate_windows_anew(tmp_path):
    async with bench(tmp_path, switches=RecallSwitches(limits=RateLimits(create=1))) as b:
        await b.create()
        assert (await b.client.post(MDC, json=body())).status_code == 429
        await b.recall.reset()
        await b.create()
