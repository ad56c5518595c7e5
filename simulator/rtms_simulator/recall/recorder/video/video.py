"""MP4: H.264 pictures at the moments their packets carry, and AAC sound, written as they come.

The pictures have no fixed rate: each is shown from its own timestamp until the next one, and a picture that was not renewed for
a while gives way to black, so that a gap in the packets is a gap in the recording.

The files are fragmented MP4: a muxer that writes an ordinary one holds the place of every picture and every piece of sound in memory
until the end, some 5 MiB for each hour of a meeting. The table of the fragments at the file's beginning (`sidx`) makes up for what is
lacking in its header: players and FFmpeg learn the duration from it, and where to seek.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av

from rtms_simulator.recall.recorder.audio import RATE, PcmFeed
from rtms_simulator.recall.recorder.output import AudioOutput
from rtms_simulator.recall.recorder.values import Part, Participant
from rtms_simulator.recall.recorder.video.pictures import Planes, View, black, place

# How long a picture stays without another one, per kind: cameras send at least every 200 ms, shares every second [inf].
HOLD_MS = {"video": 2_000, "deskshare": 5_000}
# A participant's separate video is one file as long as nothing is missing for longer than this, and this many are open at once.
PART_GAP_MS = 10_000
OPEN_PARTS = 4
# What is held in memory is a fragment. The header waits for the first one (delay_moov), because only then it can say that AAC begins
# with 64 ms of padding; without, the pictures would come that much too late. Without the second index at the end (skip_trailer),
# FFmpeg would not tell that the disk was full when it wrote the last fragment. Each fragment is on the disk as soon as it is complete.
FRAGMENT_MS = 10_000
# Sound waits in memory for the pictures that belong beside it in the file, and pictures for sound, but not for ever: what is lacking for
# so long is written as black pictures, or as silence while nobody was heard yet, and is late when it comes after all [inf]. A lost socket
# has 65 s to come back, and when Zoom sends faster than real time, sockets' buffers hold some minutes.
LACKING_MS = 300_000
FRAGMENTED = {
    "movflags": "+frag_keyframe+empty_moov+delay_moov+default_base_moof+global_sidx+skip_trailer",
    "frag_duration": str(FRAGMENT_MS * 1000),
    "flush_packets": "1",
    "max_interleave_delta": str((LACKING_MS + 30_000) * 1000),
}
# A picture that stays for long is written again after this, so that every fragment has pictures and lasts as long as its sound.
AGAIN_MS = 5_000
MILLISECOND = Fraction(1, 1000)
Kind = Literal["video", "deskshare"]
ENDPOINT_KINDS: dict[str, Literal["webcam", "screenshare"]] = {"video": "webcam", "deskshare": "screenshare"}


class Mp4File:
    """One MP4. `size` None makes it sound only, `sound` False pictures only. Raises OSError and av.FFmpegError."""

    def __init__(self, path: Path, size: tuple[int, int] | None, fps: int, *, sound: bool = True) -> None:
        self._container = av.open(str(path), "w", format="mp4", container_options=FRAGMENTED)
        self._video: av.VideoStream | None = None
        self._audio: av.AudioStream | None = None
        if size is not None:
            self._video = self._container.add_stream(
                "libx264", rate=fps, options={"preset": "ultrafast", "tune": "zerolatency", "crf": "28"}
            )
            self._video.width, self._video.height = size
            self._video.pix_fmt = "yuv420p"
            self._video.codec_context.time_base = MILLISECOND
            self._video.codec_context.gop_size = 10 * fps
            self._video.codec_context.thread_count = 1
        self._feed: PcmFeed | None = None
        if sound:
            self._audio = self._container.add_stream("aac", rate=RATE, layout="mono", bit_rate=48_000)
            self._feed = PcmFeed(self._container, self._audio)

    def audio(self, data: bytes) -> None:
        """Append samples (see artifacts.audio)."""
        assert self._feed is not None
        self._feed.audio(data)

    def silence(self, samples: int) -> None:
        """Append that many zero samples."""
        assert self._feed is not None
        self._feed.silence(samples)

    def show(self, picture: Planes, moment_ms: int) -> None:
        """From this moment on (ms from the start, later than the one before) show this."""
        assert self._video is not None
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts, frame.time_base = moment_ms, MILLISECOND
        self._container.mux(self._video.encode(frame))

    def close(self) -> None:
        """Complete the file."""
        if self._feed is not None:
            self._feed.flush()
        for stream in (self._video, self._audio):
            if stream is not None:
                self._container.mux(stream.encode(None))
        self._container.close()

    def abandon(self) -> None:
        """Let go of the file after a failure."""
        self._container.close()


class Screen:
    """What a recording shows over time: passes each change on to `show(picture, moment)`, and fills gaps with black.

    Must be called in the order of time; moments are ms from the start. Changes of one moment make one picture, so the last one waits
    until a later change, or `settle`, or `finish`. What stays is passed on again every AGAIN_MS.
    """

    def __init__(self, view: View, interval_ms: int, show: Callable[[Planes, int], None]) -> None:
        self._view = view
        self._interval_ms = interval_ms
        self._show = show
        self._shown_ms = -1  # of the last picture passed on
        self._waiting_ms: int | None = None  # of a change not passed on yet
        self._until: dict[Kind, int] = {}  # when what is up goes down, unless renewed
        self._shown_by: dict[Kind, int] = {}

    def renew(self, kind: Kind, user_id: int, frame: av.VideoFrame, moment_ms: int) -> bool:
        """Show a picture of somebody's camera or screen from `moment_ms` on. False if something later is shown already."""
        if moment_ms <= self._shown_ms:
            return False
        self._advance(moment_ms)
        self._view.show(kind, frame)
        self._until[kind] = moment_ms + HOLD_MS[kind]
        self._shown_by[kind] = user_id
        self._waiting_ms = moment_ms
        return True

    def remove(self, kind: Kind, user_id: int | None, moment_ms: int) -> None:
        """Somebody's camera or share went off: if theirs is shown, or nobody is named, it ends here."""
        self._advance(moment_ms)
        if kind in self._until and user_id in (None, self._shown_by[kind]):
            self._take_down(kind, moment_ms)

    def settle(self, moment_ms: int) -> None:
        """Time has passed: hardly anything from before `moment_ms` will come. Something later than what is shown still may."""
        if moment_ms - self._shown_ms > AGAIN_MS:
            self._advance(moment_ms)

    def finish(self, end_ms: int) -> None:
        """Show what there is until `end_ms`, the end of the recording."""
        self._advance(end_ms)
        if self._shown_ms < 0 or end_ms - self._shown_ms > self._interval_ms:
            self._waiting_ms = end_ms - self._interval_ms
            self._pass_on()

    def _advance(self, moment_ms: int) -> None:
        """Pass on what waits from before `moment_ms`, taking down on the way what was not renewed."""
        while self._until:
            kind = min(self._until, key=self._until.__getitem__)
            until = self._until[kind]
            if until >= moment_ms:
                break
            self._pass_on_before(until)
            self._take_down(kind, until)
        self._pass_on_before(moment_ms)

    def _take_down(self, kind: Kind, moment_ms: int) -> None:
        del self._until[kind]
        self._view.show(kind, None)
        self._waiting_ms = moment_ms

    def _pass_on_before(self, moment_ms: int) -> None:
        """Pass on what waits, and again what stays; nothing changes before `moment_ms`."""
        if self._waiting_ms is not None and self._waiting_ms < moment_ms:
            self._pass_on()
        while moment_ms - max(self._shown_ms, 0) > AGAIN_MS:
            waiting, self._waiting_ms = self._waiting_ms, max(self._shown_ms, 0) + AGAIN_MS
            self._pass_on()
            self._waiting_ms = waiting

    def _pass_on(self) -> None:
        assert self._waiting_ms is not None
        moment_ms, self._waiting_ms = max(self._waiting_ms, self._shown_ms + 1), None
        if self._shown_ms < 0 < moment_ms:
            self._show(black(self._view.size), 0)
        self._show(self._view.picture(), moment_ms)
        self._shown_ms = moment_ms


class _Stretch:
    """One file of one participant's separate video."""

    def __init__(self, output: AudioOutput[Mp4File], participant: Participant, start_ms: int) -> None:
        self.output = output
        self.participant = participant
        self.start_ms = start_ms
        self.last_ms = start_ms - 1


class SeparateVideo:
    """`video_separate`: each participant's pictures as they are the active speaker, and each share, in files of their own.

    RTMS sends one camera at a time (data_opt 3), so these are stretches, not the whole meeting [inf].
    """

    def __init__(self, directory: Path, size: tuple[int, int], fps: int) -> None:
        self.sub_code: str | None = None
        self._directory = directory
        self._size = size
        self._fps = fps
        self._open: OrderedDict[tuple[Kind, int], _Stretch] = OrderedDict()
        self._done: list[tuple[Kind, _Stretch]] = []

    def add(self, kind: Kind, participant: Participant, frame: av.VideoFrame, moment_ms: int) -> None:
        """Write one picture; `moment_ms` in ms since the epoch."""
        key = kind, participant.id
        stretch = self._open.get(key)
        if stretch is not None and moment_ms - stretch.last_ms > PART_GAP_MS:
            self._finish(key)
            stretch = None
        if stretch is None:
            if len(self._open) >= OPEN_PARTS:
                self._finish(next(iter(self._open)))
            path = self._directory / f"{participant.id}-{ENDPOINT_KINDS[kind]}-{len(self._done) + len(self._open)}.mp4"
            output = AudioOutput(path, lambda path: Mp4File(path, self._size, self._fps, sound=False))
            stretch = self._open[key] = _Stretch(output, participant, moment_ms)
        self._open.move_to_end(key)
        stretch.participant = participant
        if moment_ms > stretch.last_ms:
            picture = black(self._size)
            place(picture, frame, (0, 0, *self._size))
            stretch.output.attempt(lambda writer: writer.show(picture, moment_ms - stretch.start_ms))
            stretch.last_ms = moment_ms

    def close(self, origin_ms: int) -> tuple[Part, ...]:
        """Complete all files; `sub_code` tells whether one failed."""
        for key in list(self._open):
            self._finish(key)
        interval = 1 / self._fps
        return tuple(
            Part(
                stretch.participant,
                stretch.output.path,
                stretch.start_ms / 1000,
                max(0, stretch.start_ms - origin_ms) / 1000,
                (stretch.last_ms - stretch.start_ms) / 1000 + interval,
                ENDPOINT_KINDS[kind],
            )
            for kind, stretch in sorted(self._done, key=lambda item: item[1].start_ms)
        )

    def _finish(self, key: tuple[Kind, int]) -> None:
        stretch = self._open.pop(key)
        stretch.output.close()
        self.sub_code = self.sub_code or stretch.output.sub_code
        self._done.append((key[0], stretch))
