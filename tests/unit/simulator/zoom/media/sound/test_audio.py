"""The meeting's sound: exact, deterministic, the same from any moment on, in every codec and rate Zoom offers."""

import itertools
import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.scenario import Action, Person, Scenario, load
from rtms_simulator.zoom.media import MediaPacket, MediaSource
from rtms_simulator.zoom.media.sound.audio import HERTZ
from rtms_simulator.zoom.media.sound.speech import voice
from rtms_simulator.zoom.rtms.enums import Channel, Codec, DataOption, MediaType, SampleRate

STAND_UP = load("stand-up")
MIXED = {"data_opt": DataOption.AUDIO_MIXED_STREAM}
MULTI = {"data_opt": DataOption.AUDIO_MULTI_STREAMS}
PEOPLE = tuple(Person(100 + n, name) for n, name in enumerate(("Ada", "Bob", "Cy")))


@st.composite
def conversations(draw) -> Scenario:
    """Short meetings of up to three people who may talk at once."""
    actions: list[Action] = []
    for person in PEOPLE:
        edges = sorted(draw(st.lists(st.integers(0, 3_000), max_size=6, unique=True)))
        for begin, end in zip(edges[::2], edges[1::2], strict=False):
            actions.append(
                Action(
                    begin / 1000,
                    "speak",
                    person.user_id,
                    {"until_s": end / 1000, "text": draw(st.sampled_from(["a", "some words here", "东京", ""]))},
                )
            )
    return Scenario("talk", PEOPLE, tuple(actions), draw(st.integers(3_000, 3_500)) / 1000, seed=draw(st.integers(0, 3)))


SEND_RATES = st.sampled_from([20, 40, 100, 140, 500, 1000])


def samples_of(packets: list[MediaPacket]) -> np.ndarray:
    return np.frombuffer(b"".join(packet.data for packet in packets), dtype="<i2")


def truth_of(source: MediaSource, sample_rate: int = 16_000) -> np.ndarray:
    return np.concatenate(list(source.mixed_samples(sample_rate)))


# --- exactness


@given(conversations(), SEND_RATES)
def test_mixed_l16_is_the_truth_to_the_sample(scenario, send_rate):
    source = MediaSource(scenario)
    packets = list(source.audio_mixed({"send_rate": send_rate}))
    got, truth = samples_of(packets), truth_of(source)
    assert len(truth) == scenario.duration_ms * 16
    assert np.array_equal(got[: len(truth)], truth)
    assert not got[len(truth) :].any()
    assert [packet.at_ms for packet in packets] == list(range(0, scenario.duration_ms, send_rate))
    assert {(packet.user_id, packet.user_name, packet.duration_ms, len(packet.data)) for packet in packets} == {
        (0, None, send_rate, 32 * send_rate)
    }


@given(conversations(), SEND_RATES)
def test_the_participants_sound_adds_up_to_the_mixed_sound(scenario, send_rate):
    source = MediaSource(scenario)
    mixed = samples_of(list(source.audio_mixed({"send_rate": send_rate}))).astype(np.int32)
    total = np.zeros_like(mixed)
    for packet in source.audio_multi({"send_rate": send_rate}):
        total[packet.at_ms * 16 : (packet.at_ms + send_rate) * 16] += np.frombuffer(packet.data, "<i2")
    assert np.array_equal(np.clip(total, -32_768, 32_767), mixed)


@given(conversations(), SEND_RATES)
def test_a_participant_has_a_packet_in_exactly_the_intervals_in_which_they_speak(scenario, send_rate):
    expected = sorted(
        {
            (at_ms, said.who.user_id)
            for said in scenario.utterances()
            for at_ms in range(said.start_ms - said.start_ms % send_rate, said.end_ms, send_rate)
        }
    )
    assert [(packet.at_ms, packet.user_id) for packet in MediaSource(scenario).audio_multi({"send_rate": send_rate})] == expected


@given(conversations(), SEND_RATES, st.integers(0, 3_400), st.sampled_from([MIXED, MULTI]), st.sampled_from([Codec.L16, Codec.G711]))
def test_a_run_from_any_moment_is_the_rest_of_the_whole_run(scenario, send_rate, start_ms, option, codec):
    source = MediaSource(scenario)
    params = {"codec": codec, "send_rate": send_rate} | option
    whole = list(source.packets(MediaType.AUDIO, params))
    late = list(source.packets(MediaType.AUDIO, params, start_ms=start_ms))
    assert late == [packet for packet in whole if packet.at_ms > start_ms - send_rate]


def test_speech_is_loud_and_silence_is_silent():
    source = MediaSource(STAND_UP)
    truth = truth_of(source)
    spoken = np.zeros(len(truth), bool)
    for said in STAND_UP.utterances():
        part = truth[said.start_ms * 16 : said.end_ms * 16]
        assert np.abs(part.astype(int)).max() > 3_000
        spoken[said.start_ms * 16 : said.end_ms * 16] = True
    assert not truth[~spoken].any()


def test_sound_begins_and_ends_without_a_click():
    steps = np.abs(np.diff(truth_of(MediaSource(STAND_UP)).astype(int)))[8_000 - 5 : 8_000 + 5]
    assert len(steps) == 10
    assert steps.max() < 200


@pytest.mark.parametrize("rate", HERTZ.values())
def test_syllables_join_without_a_click(rate):
    table = voice(0, 1, rate)
    assert not table[:, [0, -1]].any()
    assert np.abs(np.diff(table.reshape(-1)[: table.shape[1] * 16].astype(int))).max() < 6_000


def test_five_people_at_once_are_not_distorted():
    crowd = tuple(Person(n + 1, f"P{n}") for n in range(5))
    scenario = Scenario(
        "crowd", crowd, tuple(Action(0, "speak", p.user_id, {"until_s": 2.0, "text": "all of us together"}) for p in crowd), 2.0
    )
    assert np.abs(truth_of(MediaSource(scenario)).astype(int)).max() < 32_767


def test_everybody_has_a_voice_of_their_own():
    scenario = Scenario(
        "voices", PEOPLE, tuple(Action(n, "speak", p.user_id, {"until_s": n + 1, "text": "same"}) for n, p in enumerate(PEOPLE)), 3.0
    )
    truth = truth_of(MediaSource(scenario)).astype(float)
    seconds = truth.reshape(3, 16_000)
    for one, other in itertools.combinations(seconds, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.5


def test_other_words_sound_different():
    def spoken(text: str) -> np.ndarray:
        return truth_of(MediaSource(Scenario("x", PEOPLE[:1], (Action(0, "speak", 100, {"until_s": 1.0, "text": text}),), 1.0)))

    assert not np.array_equal(spoken("good morning"), spoken("see you tomorrow"))


def test_a_voice_is_the_same_at_every_rate():
    source = MediaSource(STAND_UP)
    low = truth_of(source, 16_000)[8_000:40_000].astype(float)
    high = truth_of(source, 48_000)[24_000:120_000:3].astype(float)
    assert np.corrcoef(low, high)[0, 1] > 0.9


# --- determinism

DIGEST = """
import hashlib
from rtms_simulator.scenario import load
from rtms_simulator.zoom.media import MediaSource
source, digest = MediaSource(load("stand-up")), hashlib.sha256()
audio = [(1, {"data_opt": 1}), (1, {"data_opt": 2, "codec": 4})]
runs = [*audio, (2, {"codec": 7, "fps": 10, "resolution": 1}), (2, {"resolution": 1, "fps": 1}), (8, {}), (16, {})]
for media_type, params in runs:
    for packet in source.packets(media_type, params):
        digest.update(repr(packet).encode())
print(digest.hexdigest())
"""


def test_one_seed_and_scenario_give_the_same_bytes_in_every_process():
    digests = [
        subprocess.run(
            [sys.executable, "-c", DIGEST], env=os.environ | {"PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True
        ).stdout
        for seed in ("0", "4242")
    ]
    assert digests[0] == digests[1] != ""


def test_another_seed_gives_other_voices():
    one, other = (truth_of(MediaSource(replace(STAND_UP, seed=seed))) for seed in (0, 1))
    assert not np.array_equal(one, other)


# --- codecs and rates


def decoded(codec: str, packets: list[MediaPacket], sample_rate: int, channels: int = 1) -> np.ndarray:
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate = sample_rate
    context.layout = "stereo" if channels == 2 else "mono"
    resampler = av.AudioResampler("s16", context.layout, sample_rate)
    pieces: list[np.ndarray] = []
    for number, packet in enumerate(packets):
        raw = av.Packet(packet.data)
        raw.pts = number
        raw.time_base = Fraction(packet.duration_ms, 1000)
        for frame in context.decode(raw):
            pieces += [piece.to_ndarray().reshape(-1, channels) for piece in resampler.resample(frame)]
    pieces += [piece.to_ndarray().reshape(-1, channels) for piece in resampler.resample(None)]
    return np.concatenate(pieces)


def likeness(got: np.ndarray, truth: np.ndarray, most_lag: int) -> float:
    """The best correlation of a second of speech over all delays up to `most_lag` samples."""
    size = len(truth) // 12
    part = truth[size : 2 * size].astype(float)
    return max(np.corrcoef(part, got[size + lag : 2 * size + lag].astype(float))[0, 1] for lag in range(most_lag))


@pytest.mark.parametrize("rate", list(SampleRate))
def test_l16_has_the_rate_that_was_asked_for(rate):
    packets = list(MediaSource(STAND_UP).audio_mixed({"sample_rate": rate}))
    assert {len(packet.data) for packet in packets} == {HERTZ[rate] // 50 * 2}
    assert np.array_equal(samples_of(packets), truth_of(MediaSource(STAND_UP), HERTZ[rate]))


@pytest.mark.parametrize("rate", [SampleRate.SR_8K, SampleRate.SR_16K])
def test_g711_is_a_law_of_the_truth(rate):
    source = MediaSource(STAND_UP)
    packets = list(source.audio_mixed({"codec": Codec.G711, "sample_rate": rate}))
    assert {len(packet.data) for packet in packets} == {HERTZ[rate] // 50}
    got = decoded("pcm_alaw", packets, HERTZ[rate])[:, 0].astype(int)
    truth = truth_of(source, HERTZ[rate]).astype(int)
    # A-law has 13 bits and steps that grow with the loudness.
    assert (np.abs(got - truth) <= np.maximum(16, np.abs(truth) // 24)).all()


@pytest.mark.parametrize("send_rate", [20, 100])
def test_g722_sounds_like_the_truth(send_rate):
    source = MediaSource(STAND_UP)
    packets = list(source.audio_mixed({"codec": Codec.G722, "send_rate": send_rate}))
    assert {len(packet.data) for packet in packets} == {send_rate * 8}
    assert likeness(decoded("g722", packets, 16_000)[:, 0], truth_of(source), 60) > 0.95


@pytest.mark.parametrize("channel", list(Channel))
@pytest.mark.parametrize("rate", list(SampleRate))
def test_opus_sounds_like_the_truth(rate, channel):
    source = MediaSource(STAND_UP)
    packets = list(source.audio_mixed({"codec": Codec.OPUS, "sample_rate": rate, "channel": channel}))
    assert len(packets) == 600
    got = decoded("libopus", packets, 48_000, channel)
    assert len(got) >= 12 * 48_000 - 1_920
    for side in range(channel):
        # Opus codes by ear, not by wave: voices made of noise and tones stay alike, not equal.
        assert likeness(got[::3, side], truth_of(source), 420) > 0.8


@pytest.mark.parametrize(
    ("send_rate", "expected_ms"), [(20, 20), (40, 40), (60, 60), (80, 80), (100, 100), (120, 120), (140, 20), (500, 100), (1000, 100)]
)
def test_an_opus_packet_is_never_longer_than_opus_allows(send_rate, expected_ms):
    packets = list(itertools.islice(MediaSource(STAND_UP).audio_mixed({"codec": Codec.OPUS, "send_rate": send_rate}), 30))
    assert [packet.at_ms for packet in packets] == [expected_ms * n for n in range(30)]
    assert len(decoded("libopus", packets, 48_000)) == 30 * expected_ms * 48


@pytest.mark.parametrize("codec", [Codec.G722, Codec.OPUS])
def test_each_participant_has_a_coder_of_their_own(codec):
    source = MediaSource(STAND_UP)
    alone = replace(STAND_UP, timeline=tuple(a for a in STAND_UP.timeline if a.kind != "speak" or a.who == STAND_UP.people[1].user_id))
    theirs = [p for p in source.packets(MediaType.AUDIO, MULTI | {"codec": codec}) if p.user_id == STAND_UP.people[1].user_id]
    assert theirs == list(MediaSource(alone).packets(MediaType.AUDIO, MULTI | {"codec": codec}))


def test_a_send_rate_above_a_second_is_a_second():
    assert {packet.duration_ms for packet in MediaSource(STAND_UP).audio_mixed({"send_rate": 5000})} == {1000}


@pytest.mark.parametrize(("media_type", "params"), [(3, {}), (32, {}), (MediaType.AUDIO, {"codec": Codec.JPG})])
def test_what_is_no_audio_is_refused(media_type, params):
    with pytest.raises(ValueError, match=r"^(media type|audio codec) "):
        next(MediaSource(STAND_UP).packets(media_type, params))


def test_a_contact_center_party_has_its_channel():
    source = MediaSource(load("contact-center-call"))
    assert {packet.extra["channel_id"] for packet in source.audio_multi({})} == {"channel-consumer", "channel-agent"}


# --- four hours


def test_a_meeting_of_four_hours_costs_no_more_memory_than_a_short_one():
    said = tuple(
        Action(n * 2.0, "speak", PEOPLE[n % 3].user_id, {"until_s": n * 2.0 + 1.8, "text": f"sentence number {n} of a long afternoon"})
        for n in range(7_200)
    )
    source = MediaSource(Scenario("long", PEOPLE, said, 4 * 3600.0))
    next(source.audio_mixed({}))  # the voices are made once
    tracemalloc.start()
    sent = 0
    for packet in source.audio_mixed({}):
        sent += len(packet.data)
        if packet.at_ms > 600_000:
            break
    late = list(itertools.islice(source.audio_multi({}, start_ms=3 * 3_600_000), 1_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sent > 19_000_000
    assert late[0].at_ms >= 3 * 3_600_000
    assert peak < 4_000_000
