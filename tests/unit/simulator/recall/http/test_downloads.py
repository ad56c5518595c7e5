"""Download links: fresh on each GET, dead after six hours, never with a key, with ranges, in both forms."""

import hashlib
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.simulator.recall.workbench import EPOCH, KEY, bench

from rtms_simulator.recall import RecallSwitches, Story
from rtms_simulator.recall.http.downloads import EXPIRED, LinkSigner
from rtms_simulator.recall.recorder.values import ArtifactFile, FirstPacket, Joined, Part, Participant, RecordingResult

VIDEO = bytes(range(256)) * 40


async def link(b, made, name="video_mixed", key="download_url"):
    return (await b.mdc(made))["recordings"][0]["media_shortcuts"][name]["data"][key]


async def test_every_get_gives_a_new_link_and_each_lives_six_hours(tmp_path):
    async with bench(tmp_path, Story(contents={"video_mixed": VIDEO})) as b:
        made = await b.create()
        await b.settle()
        old, other = await link(b, made), await link(b, made)
        assert old != other
        assert parse_qs(urlsplit(old).query)["Expires"] == [str(int(EPOCH) + 6 * 3600)]
        for url in (old, other):
            assert (await b.download(url)).content == VIDEO
        await b.pass_time(6 * 3600 - 1)
        assert (await b.download(old)).status_code == 200
        await b.pass_time(1)
        dead = await b.download(old)
        assert (dead.status_code, dead.headers["content-type"]) == (403, "application/xml")
        assert "<Code>AccessDenied</Code><Message>Request has expired</Message>" in dead.text
        assert (await b.download(await link(b, made))).content == VIDEO


async def test_a_link_is_on_the_host_that_was_asked(tmp_path):
    async with bench(tmp_path) as b:
        made = await b.create()
        await b.settle()
        assert (await link(b, made)).startswith("https://us-east-1.recall.ai/_workspace-")


async def test_an_authorization_header_is_refused_as_a_second_mechanism(tmp_path):
    async with bench(tmp_path) as b:
        made = await b.create()
        await b.settle()
        answer = await b.download(await link(b, made), authorization=f"Token {KEY}")
        assert answer.status_code == 400
        assert "Only one auth mechanism allowed" in answer.text


async def test_a_changed_link_does_not_open(tmp_path):
    async with bench(tmp_path) as b:
        made = await b.create()
        await b.settle()
        url = await link(b, made)
        for wrong in (
            url.replace("video_mixed.mp4", "other.mp4"),
            url.replace("Expires=1", "Expires=2"),
            url.replace("x-amz-security-token=", "x-amz-security-token=0"),
        ):
            answer = await b.download(wrong)
            assert (answer.status_code, "SignatureDoesNotMatch" in answer.text) == (403, True)
        for bare in (url.partition("?")[0], url.replace("AWSAccessKeyId=", "AWSAccessKeyId=X")):
            assert "Access Denied" in (await b.download(bare)).text
        async with bench(tmp_path, seed=2) as stranger:
            assert (await stranger.download(url)).status_code == 403


async def test_ranges_resume_a_download_and_the_etag_is_the_md5(tmp_path):
    async with bench(tmp_path, Story(contents={"video_mixed": VIDEO})) as b:
        made = await b.create()
        await b.settle()
        url = await link(b, made)
        whole = await b.download(url)
        etag = whole.headers["etag"]
        assert etag == f'"{hashlib.md5(VIDEO).hexdigest()}"'
        assert (whole.headers["accept-ranges"], whole.headers["content-type"]) == ("bytes", "video/mp4")
        rest = await b.download(url, range="bytes=100-", **{"if-range": etag})
        assert (rest.status_code, rest.content) == (206, VIDEO[100:])
        assert rest.headers["content-range"] == f"bytes 100-{len(VIDEO) - 1}/{len(VIDEO)}"
        assert (await b.download(url, range="bytes=100-", **{"if-range": '"other"'})).content == VIDEO
        assert (await b.download(url, range=f"bytes={len(VIDEO)}-")).status_code == 416


async def test_json_links_can_have_the_apis_own_form(tmp_path):
    async with bench(tmp_path, switches=RecallSwitches(json_links="api")) as b:
        made = await b.create()
        await b.settle()
        url = await link(b, made, "participant_events", "participants_download_url")
        assert url.startswith("https://us-east-1.recall.ai/api/v1/download/participants?token=")
        assert (await b.download(url)).json() == []
        assert (await b.download(url[:-2] + "xx")).status_code == 403
        assert (await b.download("https://us-east-1.recall.ai/api/v1/download/participants?token=é")).status_code == 403
        await b.pass_time(6 * 3600)
        assert (await b.download(url)).status_code == 403


async def test_what_lies_beside_an_artifact_is_served_as_part_of_it(tmp_path):
    contents = {"provider_data": b'{"parts":[]}', "speaker_timeline": b"[1]", "participants": b"[2]"}
    async with bench(tmp_path, Story(contents=contents)) as b:
        made = await b.create(recording_config={"transcript": {"provider": {"meeting_captions": {}}}})
        await b.settle()
        for name, kind in (
            ("transcript", "provider_data"),
            ("participant_events", "speaker_timeline"),
            ("participant_events", "participants"),
        ):
            url = await link(b, made, name, f"{kind}_download_url")
            assert (await b.download(url)).content == contents[kind]


@pytest.mark.parametrize(("script", "status"), [("expired", 403), ("503 html", 503), ("slow 2s", 200), ("403", 403)])
async def test_downloads_misbehave_by_script(tmp_path, script, status):
    async with bench(tmp_path, faults=[f"recall.download: {script}"]) as b:
        made = await b.create()
        await b.settle()
        url = await link(b, made)
        if script.startswith("slow"):
            b.clock.set_rate(1000)
        assert (await b.download(url)).status_code == status
        assert (await b.download(url)).status_code == 200


async def test_a_separate_artifact_lists_each_participants_part_with_a_link_of_its_own(tmp_path):
    ada = Participant(16778240, "Ada")

    class Separate:
        def __init__(self, clock, request, config, directory, on_event):
            self.clock, self.directory, self.on_event = clock, directory, on_event

        async def run(self):
            now = self.clock.now()
            self.on_event(Joined(now))
            self.on_event(FirstPacket(now))
            path = self.directory / "ada.mp3"
            path.write_bytes(b"ada")
            part = Part(ada, path, now + 1, 1.0, 2.5)
            return RecordingResult(
                "done", None, now, now + 5, {"audio_separate": ArtifactFile("audio_separate", None, "mp3", parts=(part,))}
            )

        async def displace(self):
            pass

    async with bench(tmp_path, recorder_factory=Separate) as b:
        await b.create(recording_config={"audio_separate_mp3": {}})
        await b.settle()
        (artifact,) = (await b.get("/audio_separate/"))["results"]
        listing = (await b.download(artifact["data"]["download_url"])).json()
        (entry,) = listing
        assert (entry["participant"]["name"], entry["duration"]) == ("Ada", 2.5)
        assert entry["start_timestamp"] == {"absolute": "2026-05-28T20:26:41.000000Z", "relative": 1.0}
        assert (await b.download(entry["download_url"])).content == b"ada"
        recording = (await b.get("/recording/"))["results"][0]
        assert "audio_separate" not in recording["media_shortcuts"]
        # Kinds that the recorder did not leave have failed.
        assert recording["media_shortcuts"]["video_mixed"]["status"] == {
            "code": "failed",
            "sub_code": "artifact_not_written",
            "updated_at": recording["media_shortcuts"]["video_mixed"]["status"]["updated_at"],
        }


async def test_a_file_that_vanished_from_the_disk_is_no_such_key(tmp_path):
    async with bench(tmp_path) as b:
        made = await b.create()
        await b.settle()
        url = await link(b, made)
        next(tmp_path.rglob("video_mixed.mp4")).unlink()
        answer = await b.download(url)
        assert (answer.status_code, "NoSuchKey" in answer.text) == (404, True)


async def test_the_life_of_links_is_a_switch(tmp_path):
    async with bench(tmp_path) as b:
        made = await b.create()
        await b.settle()
        b.recall.switches = replace(b.recall.switches, link_s=10)
        url = await link(b, made)
        await b.pass_time(10)
        assert (await b.download(url)).status_code == 403


@given(path=st.text(min_size=1).map(lambda t: "/" + t), token=st.text("0123456789abcdef", min_size=1), expires=st.integers(1, 2**40))
def test_what_was_signed_opens_until_it_expires_and_nothing_else_does(path, token, expires):
    signer = LinkSigner(b"key")
    query = {name: values[0] for name, values in parse_qs(signer.query(path, expires=expires, token=token)).items()}
    assert signer.judge("GET", path, query, authorization=None, now=expires - 0.001) is None
    assert signer.judge("GET", path, query, authorization=None, now=expires) is EXPIRED
    for refused in (
        signer.judge("HEAD", path, query, authorization=None, now=0),
        signer.judge("GET", path + "x", query, authorization=None, now=0),
        signer.judge("GET", path, {**query, "Expires": str(expires + 1)}, authorization=None, now=0),
        LinkSigner(b"other").judge("GET", path, query, authorization=None, now=0),
    ):
        assert refused is not None
        assert refused.status == 403
