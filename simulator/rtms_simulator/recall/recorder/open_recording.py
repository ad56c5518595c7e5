"""A recording whose start is known: every packet goes to the files it belongs to, and each file is completed at the end.

What is written depends on nothing but the packets and the config. Memory does not grow with the meeting, apart from 16 bytes for each
utterance and event, an MP4's list of fragments (video.py), and the lists of people and of separate files.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import av

from rtms_simulator.recall.recorder.audio import SAMPLES_PER_MS, AudioSink, Mixer, Mp3File, RawFile, Tap, Track
from rtms_simulator.recall.recorder.output import AudioOutput, Output
from rtms_simulator.recall.recorder.participants import MIXED, ParticipantEvents, Roster
from rtms_simulator.recall.recorder.timeline import RecordingTime
from rtms_simulator.recall.recorder.transcript import TranscriptWriter
from rtms_simulator.recall.recorder.values import (
    ArtifactFile,
    AudioChunk,
    FirstPacket,
    Part,
    Participant,
    RecorderEvent,
    RecordingConfig,
    StreamRequest,
)
from rtms_simulator.recall.recorder.video.live_pictures import LivePictures
from rtms_simulator.recall.recorder.video.pictures import SIZES, PictureDecoder, View
from rtms_simulator.recall.recorder.video.video import LACKING_MS, Kind, Mp4File, Screen, SeparateVideo
from rtms_simulator.recall.rtms.actions import Caption, Packet, ParticipantNotice

NO_MEDIA = "zoom_rtms_no_media"
# Something further ahead than this of everything before is garbage: there is no end to the silence that it could ask for [inf].
LONGEST_GAP_MS = 3600 * 1000
# Cameras, shares and events come by different sockets; this long, pictures wait for what belongs before them.
REORDER_MS = 1500
GOING_OFF: Mapping[str, Kind] = {"webcam_off": "video", "leave": "video", "screenshare_off": "deskshare"}
KINDS_OF_PICTURE: Mapping[str, Kind] = {"video": "video", "deskshare": "deskshare"}

AUDIO_WRITERS: Mapping[str, Callable[[Path], RawFile | Mp3File]] = {"raw": RawFile, "mp3": Mp3File}


class _Voice:
    """One participant's audio."""

    def __init__(
        self, participant: Participant, origin_ms: int, outputs: Mapping[str, AudioOutput[RawFile | Mp3File]], mix: AudioSink
    ) -> None:
        self.participant = participant
        self.outputs = outputs
        self.track = Track(origin_ms, (*outputs.values(), mix))


class OpenRecording:
    """One recording from `origin_ms` on, written into `directory`, which must exist.

    `unavailable` (kind of media to sub_code) may fill while it runs. `report` gets what real-time endpoints are sent.
    """

    def __init__(
        self,
        config: RecordingConfig,
        request: StreamRequest,
        directory: Path,
        *,
        report: Callable[[RecorderEvent], None],
        unavailable: Mapping[str, str],
        origin_ms: int,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.has_content = False
        self.end_ms = origin_ms
        self._config = config
        self._request = request
        self._directory = directory
        self._report = report
        self._unavailable = unavailable
        self._time = RecordingTime(origin_ms)
        self._began = False
        self._roster = Roster()
        self._voices: dict[int, _Voice] = {}
        self._decoders: dict[str, PictureDecoder] = {}
        self._size = SIZES.get(config.video.resolution, SIZES[1])
        self._live_pictures = LivePictures(self._time, report)
        self._waiting: list[tuple[int, int, Packet | ParticipantNotice]] = []  # a heap: pictures and what takes them down, by moment
        self._waited = 0
        self._newest_ms = 0
        self._mix_outputs = {
            form: AudioOutput(directory / f"audio_mixed.{form}", AUDIO_WRITERS[form]) for form in sorted(config.audio_mixed)
        }
        self._screen: Screen | None = None
        self._mp4 = self._open_mp4(directory / "video_mixed.mp4") if config.video_mixed else None
        self._separate_video = SeparateVideo(directory / "video_separate", self._size, config.video.fps) if config.video_separate else None
        self._mixer = Mixer(self._mix_sinks())
        self._transcript = TranscriptWriter(directory if config.transcript else None, self._time, report)
        self._events = ParticipantEvents(directory if config.participant_events else None, self._time, self._roster, report)

    @property
    def origin_ms(self) -> int:
        """The start, in milliseconds of Zoom's clock."""
        return self._time.origin_ms

    def _mix_sinks(self) -> list[AudioSink]:
        sinks: list[AudioSink] = list(self._mix_outputs.values())
        if self._config.live_audio_mixed:
            sinks.append(Tap(lambda position, data: self._chunk(None, self.origin_ms + position // SAMPLES_PER_MS, data)))
        return sinks if self._mp4 is None else [*sinks, self._mp4]

    def stop(self) -> None:
        """No more will come: write, and report, what waited for its order."""
        self._show_until(None)
        self._mixer.close()

    def finish(self) -> dict[str, ArtifactFile]:
        """Complete the files. Reports nothing more if `stop` was called before."""
        self.stop()
        end_ms = max(self.end_ms, self.origin_ms)
        return self._finish_video(end_ms) | self._finish_audio() | self._finish_texts(end_ms)

    def _open_mp4(self, path: Path) -> AudioOutput[Mp4File]:
        pictures = self._config.layout != "audio_only"
        output = AudioOutput(path, lambda path: Mp4File(path, self._size if pictures else None, self._config.video.fps))
        if pictures:
            view = View(self._size, self._config.share_layout)
            interval = 1000 // self._config.video.fps
            self._screen = Screen(view, interval, lambda planes, moment: output.attempt(lambda writer: writer.show(planes, moment)))
        return output

    # While it runs

    def write(self, item: Packet | Caption | ParticipantNotice) -> None:
        timeline = self._time
        if moment_ms(item) - max(self.end_ms, timeline.origin_ms) > LONGEST_GAP_MS:
            self.counts["impossible_timestamp"] += 1
        elif isinstance(item, Packet):
            if not self._began:
                self._began = self.has_content = True
                self._report(FirstPacket(timeline.origin_ms / 1000))
            if item.kind == "audio":
                self._audio(item)
            else:
                self._wait(item)
            self._newest_ms = max(self._newest_ms, item.timestamp_ms)
            self._show_until(self._newest_ms - REORDER_MS)
            lacking_ms = self._newest_ms - LACKING_MS - timeline.origin_ms
            if self._screen:
                self._screen.settle(lacking_ms)
            if not self._voices:
                self._mixer.settle(lacking_ms * SAMPLES_PER_MS)
        elif isinstance(item, Caption):
            self.has_content = True
            self.end_ms = max(self.end_ms, item.end_ms)
            who = self._roster.meet(item.user_id, item.user_name)
            self._transcript.add(who, item)
        else:
            if item.what in GOING_OFF and (self._screen or self._config.live_video_png):
                self._wait(item)
            self._events.add(item)

    def _audio(self, packet: Packet) -> None:
        voice = self._voices.get(packet.user_id) or self._voice(packet)
        voice.track.add(packet.data, packet.timestamp_ms)
        self.end_ms = max(self.end_ms, voice.track.end_ms)
        if packet.user_id != MIXED:
            voice.participant = self._roster.meet(packet.user_id, packet.user_name)
            if self._config.live_audio_separate:
                self._chunk(voice.participant, packet.timestamp_ms, packet.data)

    def _voice(self, packet: Packet) -> _Voice:
        """A participant is heard for the first time; their files begin here, and the mix's track at the same moment."""
        timeline = self._time
        origin_ms = max(packet.timestamp_ms, timeline.origin_ms)
        outputs = {}
        if packet.user_id != MIXED:
            directory = self._directory / "audio_separate"
            formats = self._config.audio_separate
            outputs = {form: AudioOutput(directory / f"{packet.user_id}.{form}", AUDIO_WRITERS[form]) for form in formats}
        mix = self._mixer.track((origin_ms - timeline.origin_ms) * SAMPLES_PER_MS, mixed=packet.user_id == MIXED)
        voice = self._voices[packet.user_id] = _Voice(Participant(packet.user_id, packet.user_name), origin_ms, outputs, mix)
        return voice

    def _wait(self, item: Packet | ParticipantNotice) -> None:
        heapq.heappush(self._waiting, (item.timestamp_ms, self._waited, item))
        self._waited += 1

    def _show_until(self, moment_ms: int | None) -> None:
        while self._waiting and (moment_ms is None or self._waiting[0][0] <= moment_ms):
            item = heapq.heappop(self._waiting)[2]
            if isinstance(item, Packet):
                self._picture(item)
            else:
                self._take_down(item)

    def _take_down(self, notice: ParticipantNotice) -> None:
        kind = GOING_OFF[notice.what]
        self._live_pictures.remove(kind, notice.user_id, notice.timestamp_ms)
        if self._screen:
            self._screen.remove(kind, notice.user_id, notice.timestamp_ms - self.origin_ms)

    def _picture(self, packet: Packet) -> None:
        timeline, kind = self._time, KINDS_OF_PICTURE[packet.kind]
        who = self._roster.meet(packet.user_id, packet.user_name) if packet.user_id else Participant(0)
        decoder = self._decoders.setdefault(packet.kind, PictureDecoder())
        try:
            frames = decoder.decode(packet.data, packet.timestamp_ms)
        except (av.FFmpegError, ValueError):
            self.counts["undecodable"] += 1
            return
        for frame, moment in frames:
            relative = moment - timeline.origin_ms
            if relative < 0 or (self._screen and not self._screen.renew(kind, packet.user_id, frame, relative)):
                self.counts["late"] += 1
                continue
            self.end_ms = max(self.end_ms, moment + 1000 // (self._config.video.fps if kind == "video" else 1))
            if self._separate_video:
                self._separate_video.add(kind, who, frame, moment)
            if self._config.live_video_png:
                self._live_pictures.add(kind, who, frame, moment)

    def _chunk(self, who: Participant | None, moment_ms: int, data: bytes) -> None:
        self._report(AudioChunk(data, who, moment_ms / 1000, self._time.relative(moment_ms)))

    # The end

    def _finish_video(self, end_ms: int) -> dict[str, ArtifactFile]:
        artifacts = {}
        origin_ms = self._time.origin_ms
        if self._mp4:
            if self._screen and self._began:
                self._screen.finish(end_ms - origin_ms)
            self._mp4.close()
            lacking = None if self._began else self._unavailable.get("video", NO_MEDIA)
            artifacts["video_mixed"] = _artifact("video_mixed", "mp4", self._mp4, lacking)
        if self._separate_video:
            parts = self._separate_video.close(origin_ms)
            failure = self._separate_video.sub_code or (self._unavailable.get("video", NO_MEDIA) if not parts else None)
            if failure:
                artifacts["video_separate"] = ArtifactFile("video_separate", None, "mp4", status="failed", sub_code=failure)
            else:
                artifacts["video_separate"] = ArtifactFile("video_separate", None, "mp4", parts=parts)
        return artifacts

    def _finish_audio(self) -> dict[str, ArtifactFile]:
        lacking = self._unavailable.get("audio", NO_MEDIA) if not self._voices else None
        self.counts["late"] += sum(voice.track.late for voice in self._voices.values())
        artifacts = {}
        for form, output in self._mix_outputs.items():
            output.close()
            key = "audio_mixed" if "audio_mixed" not in artifacts else f"audio_mixed_{form}"
            artifacts[key] = _artifact("audio_mixed", form, output, lacking)
        for form in sorted(self._config.audio_separate):
            key = "audio_separate" if "audio_separate" not in artifacts else f"audio_separate_{form}"
            artifacts[key] = self._finish_separate(form, lacking)
        return artifacts

    def _finish_separate(self, form: str, lacking: str | None) -> ArtifactFile:
        parts = []
        failure = lacking
        for voice in self._voices.values():
            if form not in voice.outputs:
                continue
            output = voice.outputs[form]
            output.close()
            failure = failure or output.sub_code
            start_ms, end_ms = voice.track.origin_ms, voice.track.end_ms
            start = self._time.relative(start_ms)
            parts.append(Part(voice.participant, output.path, start_ms / 1000, start, (end_ms - start_ms) / 1000))
        if failure:
            return ArtifactFile("audio_separate", None, form, status="failed", sub_code=failure)
        return ArtifactFile("audio_separate", None, form, parts=tuple(parts))

    def _finish_texts(self, end_ms: int) -> dict[str, ArtifactFile]:
        artifacts = {}
        self._transcript.close()
        lacking = None if self._transcript.utterances else self._unavailable.get("transcript")
        for kind, output in (("transcript", self._transcript.output), ("provider_data", self._transcript.provider_data)):
            if output:
                artifacts[kind] = _artifact(kind, "json", output, lacking)
        self._events.close(end_ms)
        for kind, output in self._events.outputs.items():
            artifacts[kind] = _artifact(kind, "json", output, self._events.sub_code)
        if self._config.meeting_metadata:
            # RTMS says no title. A stream does not say which product's uuid it is, so it is reported as the meeting's.
            meta = {"title": None, "zoom": {"meeting_uuid": self._request.meeting_uuid}}
            artifacts["meeting_metadata"] = ArtifactFile("meeting_metadata", None, "json", meta=meta)
        return artifacts


def moment_ms(item: Packet | Caption | ParticipantNotice) -> int:
    """When it was sent, or began, in milliseconds of Zoom's clock."""
    return item.start_ms if isinstance(item, Caption) else item.timestamp_ms


def _artifact(kind: str, form: str, output: Output, lacking: str | None) -> ArtifactFile:
    failure = output.sub_code or lacking
    if failure:
        return ArtifactFile(kind, None, form, status="failed", sub_code=failure)
    return ArtifactFile(kind, output.path, form)
