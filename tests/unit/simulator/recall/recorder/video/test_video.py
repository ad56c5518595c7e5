"""Pictures: every change at its moment, gaps black, the view put together as configured."""

import contextlib
import io
import resource
import signal
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from rtms_simulator.recall.recorder.audio import RATE
from rtms_simulator.recall.recorder.values import Participant
from rtms_simulator.recall.recorder.video.pictures import LIVE_SIZE, PictureDecoder, View, black, place, png
from rtms_simulator.recall.recorder.video.video import AGAIN_MS, FRAGMENT_MS, HOLD_MS, Mp4File, Screen, SeparateVideo

SIZE = (320, 180)


def grey(level, size=SIZE):
    width, height = size
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    planes[:height] = level
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def still(level, form, size=SIZE):
    target = io.BytesIO()
    Image.new("RGB", size, (level, level, level)).save(target, form)
    return target.getvalue()


class TestDecoder:
    @pytest.mark.parametrize("form", ["JPEG", "PNG"])
    def test_stills_come_out_at_once_with_their_moment(self, form):
        decoder = PictureDecoder()
        for moment, level in ((5000, 50), (5200, 200)):
            [(frame, shown)] = decoder.decode(still(level, form), moment)
            assert (shown, frame.width, frame.height) == (moment, *SIZE)
            assert frame.to_ndarray(format="gray").mean() == pytest.approx(level, abs=3)

    def test_h264_comes_out_at_once_with_its_moment(self):
        encoder = av.CodecContext.create("libx264", "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height = SIZE
        encoder.pix_fmt = "yuv420p"
        encoder.time_base = Fraction(1, 1000)
        encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
        decoder = PictureDecoder()
        for moment in range(0, 1000, 40):
            frame = grey(moment // 5)
            frame.pts, frame.time_base = moment, Fraction(1, 1000)
            for packet in encoder.encode(frame):
                [(out, shown)] = decoder.decode(bytes(packet), moment)
                assert shown == moment
                assert out.to_ndarray()[: SIZE[1]].mean() == pytest.approx(moment // 5, abs=4)

    @pytest.mark.parametrize("data", [b"", b"\xff\xd8 no picture", b"\x89PNG\r\n\x1a\n", b"\x00\x00\x00\x01\x67\x00garbage", b"hello"])
    def test_garbage_is_an_error_or_nothing(self, data):
        decoder = PictureDecoder()
        for _ in range(3):
            with contextlib.suppress(av.FFmpegError):
                assert decoder.decode(data, 0) == []

    def test_a_picture_that_claims_gigabytes_is_refused(self):
        bomb = still(0, "PNG", (4200, 2400))
        assert len(bomb) < 100_000
        with pytest.raises(av.FFmpegError):
            PictureDecoder().decode(bomb, 0)


class TestView:
    @pytest.mark.parametrize("size", [(320, 180), (180, 320), (321, 241), (2, 2), (1920, 1080)])
    def test_a_picture_is_fitted_and_centred(self, size):
        canvas = black(SIZE)
        place(canvas, grey(200, (size[0] // 2 * 2, size[1] // 2 * 2)), (0, 0, *SIZE))
        luma = canvas[: SIZE[1]]
        assert luma[SIZE[1] // 2, SIZE[0] // 2] == pytest.approx(200, abs=2)
        columns = np.flatnonzero((luma > 150).any(axis=0))
        assert abs((columns[0] + columns[-1] + 1) - SIZE[0]) <= 4

    @pytest.mark.parametrize(("layout", "corner", "side"), [("hide", 200, 200), ("overlap", 60, 200), ("beside", 16, 60)])
    def test_speaker_and_share_are_put_together_as_configured(self, layout, corner, side):
        view = View(SIZE, layout)
        view.show("video", grey(60))
        view.show("deskshare", grey(200))
        luma = view.picture()[: SIZE[1]]
        assert luma[-3, -3] == pytest.approx(corner, abs=2)
        assert luma[SIZE[1] // 2, -20] == pytest.approx(side, abs=2)
        assert luma[SIZE[1] // 2, 40] == pytest.approx(200, abs=2)
        view.show("deskshare", None)
        assert view.picture()[SIZE[1] // 2, SIZE[0] // 2] == pytest.approx(60, abs=2)

    def test_a_live_picture_is_a_png_of_the_documented_size(self):
        image = Image.open(io.BytesIO(png(grey(100))))
        assert (image.format, image.size) == ("PNG", LIVE_SIZE)


class TestScreen:
    def film(self):
        shown = []
        screen = Screen(View(SIZE, "hide"), 200, lambda planes, moment: shown.append((moment, int(planes[SIZE[1] // 2, SIZE[0] // 2]))))
        return screen, shown

    def test_each_picture_is_shown_at_its_moment_and_the_last_until_the_end(self):
        screen, shown = self.film()
        for moment in (0, 200, 400):
            assert screen.renew("video", 7, grey(moment // 4 + 20), moment)
        screen.finish(1000)
        assert shown == [(0, 20), (200, 70), (400, 120), (800, 120)]

    def test_nothing_before_the_first_picture_is_black(self):
        screen, shown = self.film()
        screen.renew("video", 7, grey(99), 5000)
        screen.finish(5100)
        assert shown == [(0, 16), (5000, 99)]

    def test_a_gap_is_black_from_the_hold_on(self):
        screen, shown = self.film()
        screen.renew("video", 7, grey(50), 0)
        screen.renew("video", 7, grey(60), HOLD_MS["video"] + 1000)
        screen.finish(HOLD_MS["video"] + 1200)
        assert shown == [(0, 50), (HOLD_MS["video"], 16), (HOLD_MS["video"] + 1000, 60)]

    def test_a_camera_that_goes_off_leaves_black_at_once(self):
        screen, shown = self.film()
        screen.renew("video", 7, grey(50), 0)
        screen.remove("video", 8, 300)
        screen.remove("video", 7, 500)
        screen.finish(600)
        assert shown == [(0, 50), (500, 16)]

    def test_changes_of_one_moment_are_one_picture(self):
        screen, shown = self.film()
        screen.renew("video", 7, grey(50), 0)
        screen.renew("deskshare", 7, grey(90), 0)
        screen.finish(100)
        assert shown == [(0, 90)]

    def test_a_late_picture_is_not_shown(self):
        screen, shown = self.film()
        screen.renew("video", 7, grey(50), 1000)
        screen.renew("video", 7, grey(60), 1200)
        assert not screen.renew("video", 7, grey(70), 900)
        screen.finish(1300)
        assert [moment for moment, _ in shown] == [0, 1000, 1200]

    def test_what_stays_is_passed_on_again(self):
        screen, shown = self.film()
        screen.renew("deskshare", 7, grey(50), 1000)
        screen.renew("deskshare", 7, grey(60), 5900)
        screen.finish(18_000)
        black_from = 5900 + HOLD_MS["deskshare"]
        assert shown == [(0, 16), (1000, 50), (5900, 60), (black_from, 16), (black_from + AGAIN_MS, 16), (17_800, 16)]

    def test_time_that_passes_is_filled_but_nothing_is_held_to_be_late_before_it_has_to_be(self):
        screen, shown = self.film()
        screen.renew("video", 7, grey(50), 0)
        screen.settle(AGAIN_MS - 1)
        assert screen.renew("video", 7, grey(60), 100)
        assert shown == [(0, 50)]
        for moment in range(0, 12_000, 100):
            screen.settle(moment)
        assert shown == [(0, 50), (100, 60), (100 + HOLD_MS["video"], 16), (100 + HOLD_MS["video"] + AGAIN_MS, 16)]
        assert not screen.renew("video", 7, grey(70), 7000)
        assert screen.renew("video", 7, grey(70), 8000)
        screen.finish(8100)
        assert shown[-1] == (8000, 70)

    def test_without_any_picture_it_is_black_throughout(self):
        screen, shown = self.film()
        screen.finish(1000)
        assert shown == [(0, 16), (800, 16)]


def facts(path):
    with av.open(str(path)) as container:
        return {
            stream.type: (stream.codec_context.name, float((stream.duration or 0) * (stream.time_base or 0)))
            for stream in container.streams
        }


def boxes(data):
    """The names of an MP4's outermost boxes."""
    names = []
    while data:
        size, name = struct.unpack(">I4s", data[:8])
        names.append(name.decode())
        data = data[size:]
    return names


class TestMp4:
    def test_pictures_and_sound_keep_their_moments(self, tmp_path):
        path = tmp_path / "a.mp4"
        mp4 = Mp4File(path, SIZE, 5)
        moments = [0, 200, 390, 1000, 4000, 4040]
        for moment in moments:
            mp4.show(np.asarray(grey(moment // 20).to_ndarray()), moment)
        sound = np.zeros(5 * RATE, "<i2")
        sound[3 * RATE : 3 * RATE + 800] = 20_000
        mp4.audio(sound.tobytes())
        mp4.close()
        assert {kind: name for kind, (name, _) in facts(path).items()} == {"video": "h264", "audio": "aac"}
        assert facts(path)["audio"][1] == pytest.approx(5.0, abs=0.07)
        with av.open(str(path)) as container:
            shown = [(round(frame.time * 1000), frame.to_ndarray()[: SIZE[1]].mean()) for frame in container.decode(video=0)]
        assert [moment for moment, _ in shown] == moments
        assert all(level == pytest.approx(moment // 20, abs=6) for moment, level in shown)
        with av.open(str(path)) as container:
            heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
        assert np.argmax(np.abs(heard) > 0.2) == pytest.approx(3 * RATE, abs=RATE // 100)

    def write(self, mp4, seconds):
        for second in range(seconds):
            mp4.show(np.full((SIZE[1] * 3 // 2, SIZE[0]), 20 + second, np.uint8), 1000 * second)
            mp4.silence(RATE)

    def test_a_long_one_tells_its_length_and_where_everything_is_at_its_beginning(self, tmp_path):
        path = tmp_path / "a.mp4"
        mp4 = Mp4File(path, SIZE, 1)
        self.write(mp4, 95)
        mp4.close()
        kinds = boxes(path.read_bytes())
        assert kinds[:4] == ["ftyp", "moov", "sidx", "sidx"]
        assert set(kinds[4:]) == {"moof", "mdat"}
        assert facts(path) == {"video": ("h264", 95.0), "audio": ("aac", pytest.approx(95, abs=0.07))}
        with av.open(str(path)) as container:
            assert container.duration == pytest.approx(95_000_000, abs=70_000)
            for wanted in (70, 9.9, 33.3, 0, 94):
                container.seek(round(wanted * 1_000_000))
                found = next(container.decode(video=0))
                assert wanted - 2 * FRAGMENT_MS / 1000 <= found.time <= wanted
                assert found.to_ndarray()[: SIZE[1]].mean() == pytest.approx(20 + found.time, abs=3)

    def test_what_a_recorder_has_written_when_it_dies_can_be_played(self, tmp_path):
        mp4 = Mp4File(tmp_path / "a.mp4", SIZE, 1)
        self.write(mp4, 45)
        found = tmp_path / "found.mp4"
        found.write_bytes((tmp_path / "a.mp4").read_bytes())
        mp4.abandon()
        with av.open(str(found)) as container:
            moments = [round(frame.time) for frame in container.decode(video=0)]
        assert moments == list(range(len(moments)))
        assert len(moments) >= 45 - 2 * FRAGMENT_MS // 1000

    @pytest.mark.parametrize("missing", [1, 300, 6000])
    def test_a_disk_that_is_full_at_the_very_end_is_an_error(self, tmp_path, missing):
        """FFmpeg forgets errors of its last writes when it writes an `mfra`."""

        def write(path):
            mp4 = Mp4File(path, SIZE, 5)
            for moment in range(0, 12_000, 200):
                mp4.show(np.random.default_rng(moment).integers(16, 235, (SIZE[1] * 3 // 2, SIZE[0]), np.uint8), moment)
            mp4.silence(12 * RATE)
            mp4.close()

        write(tmp_path / "whole.mp4")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "whole.mp4").stat().st_size - missing, limits[1]))
            with pytest.raises(OSError, match="too large"):
                write(tmp_path / "cut.mp4")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)

    def test_sound_alone(self, tmp_path):
        mp4 = Mp4File(tmp_path / "a.mp4", None, 5)
        mp4.silence(2 * RATE)
        mp4.close()
        assert list(facts(tmp_path / "a.mp4")) == ["audio"]

    def test_pictures_without_any_sound(self, tmp_path):
        mp4 = Mp4File(tmp_path / "a.mp4", SIZE, 5)
        mp4.show(black(SIZE), 0)
        mp4.show(black(SIZE), 800)
        mp4.close()
        assert facts(tmp_path / "a.mp4")["video"][0] == "h264"


class TestSeparateVideo:
    def test_a_stretch_ends_where_pictures_are_missing_for_long(self, tmp_path):
        separate = SeparateVideo(tmp_path, SIZE, 5)
        ada = Participant(7, "Ada")
        for moment in (1000, 1200, 1400, 20_000, 20_200):
            separate.add("video", ada, grey(80), moment)
        separate.add("deskshare", ada, grey(80), 1300)
        parts = separate.close(500)
        assert [(part.kind, part.start_relative, round(part.duration, 3)) for part in parts] == [
            ("webcam", 0.5, 0.6),
            ("screenshare", 0.8, 0.2),
            ("webcam", 19.5, 0.4),
        ]
        assert [list(facts(part.path)) for part in parts] == [["video"]] * 3
        assert separate.sub_code is None

    def test_few_encoders_are_open_at_once_however_many_people(self, tmp_path):
        separate = SeparateVideo(tmp_path, SIZE, 5)
        for index in range(12):
            separate.add("video", Participant(index + 1), grey(80), 1000 + index)
            assert len(separate._open) <= 4
        assert len(separate.close(0)) == 12
