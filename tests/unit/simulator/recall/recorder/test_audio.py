"""Sound on the timeline: gaps are gaps, mixes are sums, files hold the samples that were sent."""

import errno

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtms_simulator.recall.recorder.audio import RATE, SAMPLES_PER_MS, Mixer, Mp3File, RawFile, Tap, Track
from rtms_simulator.recall.recorder.output import AudioOutput, Output

T0 = 1_795_334_284_858
PACKET_MS = 20
PACKET = PACKET_MS * SAMPLES_PER_MS


class Memory:
    """A sink that keeps everything, and the longest it was asked to keep at once."""

    def __init__(self):
        self.data = bytearray()
        self.largest = 0

    def audio(self, data):
        self.data += data
        self.largest = max(self.largest, len(data))

    def silence(self, samples):
        self.data += bytes(2 * samples)

    @property
    def samples(self):
        return np.frombuffer(bytes(self.data), "<i2")


def tone(count, seed=1):
    return np.random.default_rng(seed).integers(-9000, 9000, count).astype("<i2")


class TestTrack:
    def test_packets_in_a_row_are_the_samples_in_a_row(self):
        sink, sent = Memory(), tone(50 * PACKET)
        track = Track(T0, [sink])
        for index in range(50):
            track.add(sent[index * PACKET : (index + 1) * PACKET].tobytes(), T0 + index * PACKET_MS)
        assert np.array_equal(sink.samples, sent)
        assert track.end_ms == T0 + 1000

    @given(st.sets(st.integers(0, 60), min_size=1))
    def test_a_missing_packet_is_silence_of_exactly_its_length(self, present):
        sent = tone(61 * PACKET) | 1  # never zero
        expected = np.zeros((max(present) + 1) * PACKET, "<i2")
        sink = Memory()
        track = Track(T0, [sink])
        for index in sorted(present):
            piece = slice(index * PACKET, (index + 1) * PACKET)
            expected[piece] = sent[piece]
            track.add(sent[piece].tobytes(), T0 + index * PACKET_MS)
        assert np.array_equal(sink.samples, expected)

    @given(st.lists(st.integers(-9, 9), min_size=1, max_size=50))
    def test_jitter_below_10_ms_neither_tears_nor_drifts(self, jitter):
        sink, sent = Memory(), tone(len(jitter) * PACKET)
        track = Track(T0, [sink])
        for index, shift in enumerate(jitter):
            track.add(sent[index * PACKET : (index + 1) * PACKET].tobytes(), T0 + index * PACKET_MS + shift)
        assert np.array_equal(sink.samples, sent)

    def test_what_was_sent_twice_is_written_once(self):
        sink, sent = Memory(), tone(3 * PACKET)
        track = Track(T0, [sink])
        track.add(sent[: 2 * PACKET].tobytes(), T0)
        track.add(sent[:PACKET].tobytes(), T0)
        track.add(sent[PACKET:].tobytes(), T0 + PACKET_MS)
        assert np.array_equal(sink.samples, sent)
        assert track.late == 1

    def test_half_a_sample_is_left_out(self):
        sink = Memory()
        Track(T0, [sink]).add(b"\x01\x02\x03", T0)
        assert sink.data == b"\x01\x02"


class TestMixer:
    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 500), st.integers(0, 800), st.integers(1, 60)), min_size=1, max_size=60),
        st.integers(0, 2**32 - 1),
    )
    def test_the_mix_is_the_clipped_sum(self, pieces, seed):
        """Voices with gaps of their own, arriving up to 0.8 s out of order among each other."""
        random = np.random.default_rng(seed)
        sink = Memory()
        mixer = Mixer([sink])
        inputs = [mixer.track(0) for _ in range(4)]
        ends = [0] * 4
        expected = np.zeros(0, np.int64)
        clock = 0
        for voice, step, lag, milliseconds in pieces:
            clock = max(clock + step * SAMPLES_PER_MS, *ends)
            start = max(ends[voice], clock - lag * SAMPLES_PER_MS)
            samples = random.integers(-30000, 30000, milliseconds * SAMPLES_PER_MS).astype("<i2")
            inputs[voice].silence(start - ends[voice])
            inputs[voice].audio(samples.tobytes())
            ends[voice] = start + len(samples)
            if len(expected) < ends[voice]:
                expected = np.concatenate((expected, np.zeros(ends[voice] - len(expected), np.int64)))
            expected[start : ends[voice]] += samples
        mixer.close()
        assert mixer.late == 0
        assert np.array_equal(sink.samples[: len(expected)], np.clip(expected, -32768, 32767))
        assert not sink.samples[len(expected) :].any()

    def test_what_is_mixed_already_is_passed_on_at_once(self):
        sink = Memory()
        track = Mixer([sink]).track(0, mixed=True)
        track.audio(b"\x01\x02")
        assert sink.data == b"\x01\x02"

    def test_somebody_who_joins_in_is_in_the_mix_from_their_first_sample(self):
        sink = Memory()
        mixer = Mixer([sink])
        mixer.track(0).audio(b"\x01\x00" * 640)
        mixer.track(320).audio(b"\x02\x00" * 320)
        mixer.close()
        assert sink.samples.tolist() == [1] * 320 + [3] * 320

    def test_an_hour_of_silence_is_not_held_in_memory(self):
        class Lengths(Memory):
            gap = 0

            def silence(self, samples):
                self.gap += samples

        sink = Lengths()
        mixer = Mixer([sink])
        one, other = mixer.track(0), mixer.track(0)
        one.audio(tone(RATE).tobytes())
        other.silence(3600 * RATE)
        other.audio(tone(RATE, 2).tobytes())
        mixer.close()
        assert len(mixer._window) <= 8 * RATE
        assert sink.gap + len(sink.samples) == 3601 * RATE
        assert np.array_equal(sink.samples[-RATE:], tone(RATE, 2))

    def test_samples_too_late_for_the_mix_are_counted(self):
        mixer = Mixer([Memory()])
        one, other = mixer.track(0), mixer.track(0)
        one.audio(tone(5 * RATE).tobytes())
        other.audio(tone(10).tobytes())
        assert mixer.late == 10

    def test_a_later_speaker_begins_where_they_began(self):
        sink = Memory()
        mixer = Mixer([sink])
        mixer.track(100).audio(b"\x05\x00")
        mixer.close()
        assert sink.samples.tolist() == [0] * 100 + [5]


def test_a_tap_hands_on_samples_with_their_position():
    taken = []
    tap = Tap(lambda position, data: taken.append((position, data)))
    tap.silence(7)
    tap.audio(b"abcd")
    tap.audio(b"ef")
    assert taken == [(7, b"abcd"), (9, b"ef")]


class TestFiles:
    def test_raw_is_the_samples_and_silence_takes_no_space(self, tmp_path):
        path = tmp_path / "a.raw"
        raw = RawFile(path)
        raw.audio(b"\x01\x02")
        raw.silence(50_000_000)
        raw.audio(b"\x03\x04")
        raw.silence(1)
        raw.close()
        assert path.stat().st_size == 2 + 100_000_000 + 2 + 2
        assert path.stat().st_blocks * 512 < 1_000_000
        with path.open("rb") as file:
            assert file.read(3) == b"\x01\x02\x00"
            file.seek(-5, 2)
            assert file.read() == b"\x00\x03\x04\x00\x00"

    def test_mp3_plays_what_was_written(self, tmp_path):
        path = tmp_path / "a.mp3"
        sent = (np.sin(np.arange(3 * RATE) / 20) * 9000).astype("<i2")
        mp3 = Mp3File(path)
        mp3.audio(sent[:RATE].tobytes())
        mp3.silence(RATE)
        mp3.audio(sent[RATE:].tobytes())
        mp3.close()
        with av.open(str(path)) as container:
            stream = container.streams.audio[0]
            assert (stream.codec_context.name, stream.codec_context.sample_rate, stream.codec_context.channels) == ("mp3float", RATE, 1)
            heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)]) * 32768
        assert len(heard) == pytest.approx(4 * RATE, abs=RATE // 10)
        energy = [np.abs(heard[int(at * RATE) : int((at + 0.5) * RATE)]).mean() for at in (0.2, 1.25, 2.2, 3.2)]
        assert energy[1] < 50
        assert min(energy[0], energy[2], energy[3]) > 3000


class TestOutput:
    def test_a_full_disk_fails_the_artifact_and_nothing_else(self, tmp_path):
        class Full(RawFile):
            def audio(self, data):
                raise OSError(errno.ENOSPC, "No space left on device")

        output, other = AudioOutput(tmp_path / "full.raw", Full), AudioOutput(tmp_path / "fine.raw", RawFile)
        track = Track(T0, [output, other])
        track.add(b"\x01\x02", T0)
        track.add(b"\x03\x04", T0 + 20)
        output.close()
        other.close()
        assert (output.sub_code, other.sub_code) == ("storage_full", None)
        assert not (tmp_path / "full.raw").exists()
        assert (tmp_path / "fine.raw").stat().st_size == 2 * (PACKET + 1)

    def test_a_file_that_cannot_be_made_fails_the_artifact(self, tmp_path):
        (tmp_path / "a").write_text("a file where a directory is wanted")
        for make in (RawFile, Mp3File):
            output = AudioOutput(tmp_path / "a" / "b", make)
            output.audio(b"\x01\x02")
            output.close()
            assert output.sub_code == "artifact_write_failed"

    def test_the_encoders_own_errors_count_as_well(self, tmp_path):
        class Broken(RawFile):
            def close(self):
                raise av.error.InvalidDataError(1, "broken")

        output = Output(tmp_path / "a", Broken)
        output.close()
        assert output.sub_code == "artifact_write_failed"
