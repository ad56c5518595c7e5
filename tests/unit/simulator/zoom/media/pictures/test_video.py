"""Cameras and shared screens: the right person at the right moment, decodable by anybody, readable down to the millisecond."""

import io
import itertools
from dataclasses import replace

import av
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from rtms_simulator.scenario import Action, Person, Scenario, load
from rtms_simulator.zoom.media import MediaPacket, MediaSource, MediaSwitches, read_time_code
from rtms_simulator.zoom.media.pictures.video import active_speaker
from rtms_simulator.zoom.rtms.enums import Codec, DataOption, MediaType, Resolution

STAND_UP = load("stand-up")
SMALL = {"resolution": Resolution.SD}
H264 = SMALL | {"codec": Codec.H264}
ADA, BOB = Person(1, "Ada"), Person(2, "Bob")


def frames(packets: list[MediaPacket]) -> list[av.VideoFrame]:
    context = av.CodecContext.create("h264", "r")
    assert isinstance(context, av.VideoCodecContext)
    return [frame for packet in packets for frame in context.decode(av.Packet(packet.data))] + context.decode(None)


def stills(packets: list[MediaPacket]) -> list[Image.Image]:
    return [Image.open(io.BytesIO(packet.data)) for packet in packets]


def has_keyframe(packet: MediaPacket) -> bool:
    """A SPS, a PPS and an IDR slice behind Annex B start codes."""
    kinds = {unit.lstrip(b"\x00")[0] & 31 for unit in packet.data.split(b"\x00\x00\x01") if unit.strip(b"\x00")}
    return {7, 8, 5} <= kinds


@pytest.mark.parametrize("media_type", [MediaType.VIDEO, MediaType.DESKSHARE])
@pytest.mark.parametrize(("codec", "kind"), [(Codec.JPG, "JPEG"), (Codec.PNG, "PNG")])
def test_stills_are_what_they_are_called_and_say_when_they_are(media_type, codec, kind):
    packets = list(MediaSource(STAND_UP).packets(media_type, SMALL | {"codec": codec, "fps": 2}))
    images = stills(packets)
    assert {image.format for image in images} == {kind}
    assert {image.size for image in images} == {(640, 360)}
    assert [read_time_code(image) for image in images] == [packet.at_ms for packet in packets]


@pytest.mark.parametrize("media_type", [MediaType.VIDEO, MediaType.DESKSHARE])
@pytest.mark.parametrize("fps", [10, 30])
def test_h264_is_decodable_and_every_frame_says_when_it_is(media_type, fps):
    packets = list(MediaSource(STAND_UP).packets(media_type, H264 | {"fps": fps}))
    assert [read_time_code(frame) for frame in frames(packets)] == [packet.at_ms for packet in packets]
    assert all(packet.data.startswith(b"\x00\x00\x00\x01") for packet in packets)


@pytest.mark.parametrize(
    ("media_type", "codec", "size", "every_ms"),
    [(MediaType.VIDEO, "JPEG", (1280, 720), 200), (MediaType.DESKSHARE, "JPEG", (1920, 1080), 1000)],
)
def test_nothing_asked_for_is_zooms_default(media_type, codec, size, every_ms):
    packets = list(MediaSource(STAND_UP).packets(media_type, {}))
    assert (stills(packets[:1])[0].format, stills(packets[:1])[0].size) == (codec, size)
    assert packets[1].at_ms - packets[0].at_ms == packets[0].duration_ms == every_ms


@pytest.mark.parametrize(("resolution", "size"), [(1, (640, 360)), (2, (1280, 720)), (3, (1920, 1080)), (4, (2560, 1440))])
def test_each_resolution_has_its_size(resolution, size):
    packet = next(MediaSource(STAND_UP).video({"resolution": resolution}))
    assert stills([packet])[0].size == size


def test_the_other_documented_sd_size_is_a_switch():
    source = MediaSource(STAND_UP, switches=MediaSwitches(sd_size=(854, 480)))
    packets = list(source.video(H264 | {"fps": 10}))[:5]
    assert {(frame.width, frame.height) for frame in frames(packets)} == {(854, 480)}
    assert stills([next(source.video(SMALL))])[0].size == (854, 480)


def test_what_is_no_picture_codec_is_refused():
    with pytest.raises(ValueError, match="video codec 4 is none of"):
        next(MediaSource(STAND_UP).video({"codec": Codec.OPUS}))


@example(fps=9, start_ms=6_667)  # the sixtieth picture is at 6,666.7 ms, which rounds to this very moment
@given(st.integers(1, 30), st.integers(0, 12_000))
@settings(max_examples=20)
def test_pictures_stay_on_the_grid_of_the_meeting_from_any_moment_on(fps, start_ms):
    packets = list(MediaSource(STAND_UP).deskshare(H264 | {"fps": fps}, start_ms=start_ms))
    grid = [round(n * 1000 / fps) for n in range(12 * fps + 1)]
    share = STAND_UP.shares()[0]
    assert [packet.at_ms for packet in packets] == [at for at in grid if max(share.start_ms, start_ms) <= at < share.end_ms]
    assert all(a.at_ms + a.duration_ms == b.at_ms for a, b in itertools.pairwise(packets))


@pytest.mark.parametrize("start_ms", [0, 5_050])
def test_a_run_and_a_new_speaker_begin_with_a_keyframe_and_two_seconds_never_pass_without_one(start_ms):
    packets = list(MediaSource(STAND_UP).video(H264 | {"fps": 10}, start_ms=start_ms))
    keys = [packet for packet in packets if has_keyframe(packet)]
    assert keys[0] is packets[0]
    assert all(has_keyframe(now) for last, now in itertools.pairwise(packets) if last.user_id != now.user_id)
    assert all(b.at_ms - a.at_ms <= 2_000 for a, b in itertools.pairwise(keys))
    assert len(keys) < len(packets) / 5


def test_the_active_speaker_is_the_last_to_begin_among_those_on_camera():
    scenario = Scenario(
        "x",
        (ADA, BOB),
        (
            Action(1.0, "speak", 1, {"until_s": 2.0}),
            Action(2.0, "video_on", 2),
            Action(3.0, "video_on", 1),
            Action(4.0, "speak", 2, {"until_s": 6.0}),
            Action(5.0, "speak", 1, {"until_s": 6.0}),
            Action(7.0, "video_off", 1),
            Action(8.0, "video_off", 2),
            Action(8.5, "video_on", 2),
        ),
        10.0,
    )
    shown = [(span.start_ms, span.end_ms, span.who.name) for span in active_speaker(scenario)]
    assert shown == [
        (2000, 3000, "Bob"),
        (3000, 4000, "Ada"),
        (4000, 5000, "Bob"),
        (5000, 7000, "Ada"),
        (7000, 8000, "Bob"),
        (8500, 10_000, "Bob"),
    ]
    packets = list(MediaSource(scenario).video(SMALL | {"fps": 1}))
    assert [packet.at_ms // 1000 for packet in packets] == [2, 3, 4, 5, 6, 7, 9]
    assert [packet.user_name for packet in packets] == ["Bob", "Ada", "Bob", "Ada", "Ada", "Bob", "Bob"]


def test_nobody_on_camera_sends_no_picture():
    assert list(MediaSource(replace(STAND_UP, timeline=())).video({})) == []


INDIVIDUAL = H264 | {"fps": 10, "data_opt": DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM}


def test_individual_video_shows_nobody_until_somebody_is_asked_for():
    assert list(MediaSource(STAND_UP).packets(MediaType.VIDEO, INDIVIDUAL)) == []


def test_individual_video_shows_the_one_who_was_asked_for_while_their_camera_is_on():
    grace = STAND_UP.people[1].user_id
    packets = list(MediaSource(STAND_UP).packets(MediaType.VIDEO, INDIVIDUAL, user_id=grace, start_ms=1_000))
    assert {packet.user_id for packet in packets} == {grace}
    assert (packets[0].at_ms, packets[-1].at_ms) == (1_000, 11_900)
    assert has_keyframe(packets[0])


def test_individual_video_of_a_stranger_is_nothing():
    assert list(MediaSource(STAND_UP).packets(MediaType.VIDEO, INDIVIDUAL, user_id=5)) == []


def test_people_look_different_and_slides_turn():
    def middle(packet: MediaPacket) -> bytes:
        image = stills([packet])[0]
        return image.crop((0, 80, 640, 320)).tobytes()

    source = MediaSource(STAND_UP)
    cameras = {packet.user_id: middle(packet) for packet in source.video(SMALL | {"fps": 1})}
    assert len(cameras) == len(set(cameras.values())) == 2
    shares = [middle(packet) for packet in MediaSource(load("all-hands-webinar")).deskshare(SMALL)]
    assert len(set(shares)) >= 6
