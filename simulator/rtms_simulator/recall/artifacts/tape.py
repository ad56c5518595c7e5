"""A recording being written: takes what a receiver learns, packet by packet, and leaves the artifacts that were asked for.

What it writes depends on nothing but the packets and the config. Memory does not grow with the meeting, apart from 16 bytes for each
utterance and event and the list of people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from rtms_simulator.recall.artifacts.audio import LONGEST_GAP_MS, SAMPLES_PER_MS, AudioSink, Mixer, Mp3File, RawFile, Tap, Track
from rtms_simulator.recall.artifacts.output import AudioOutput, Output
from rtms_simulator.recall.artifacts.participants import MIXED, ParticipantEvents, Roster
from rtms_simulator.recall.artifacts.timeline import Timeline
from rtms_simulator.recall.artifacts.transcript import Transcript
from rtms_simulator.recall.recording import (
    ArtifactFile,
    AudioChunk,
    FirstPacket,
    Part,
    Participant,
    RecorderEvent,
    RecordingConfig,
    StreamRequest,
)
from rtms_simulator.recall.rtms_actions import Caption, Happening, Packet

NO_MEDIA = "zoom_rtms_no_media"
# Audio from before the join is delivered after the join, and video from before is not (reference B.2), so the first packet to come need
# not be the earliest: wait for audio before deciding when the recording began, but not for ever [inf].
HOLD_MS = 2000
HOLD_PACKETS = 256

AUDIO_WRITERS: Mapping[str, Callable[[Path], RawFile | Mp3File]] = {"raw": RawFile, "mp3": Mp3File}


class _Voice:
    """One participant's audio."""

    def __init__(
        self, participant: Participant, origin_ms: int, outputs: Mapping[str, AudioOutput[RawFile | Mp3File]], mix: AudioSink
    ) -> None:
        self.participant = participant
        self.outputs = outputs
        self.track = Track(origin_ms, (*outputs.values(), mix))


class Tape:
    """One recording, written into `directory`, which must exist. `unavailable` (kind of media to sub_code) may fill while it runs."""

    def __init__(
        self,
        config: RecordingConfig,
        request: StreamRequest,
        directory: Path,
        report: Callable[[RecorderEvent], None],
        unavailable: Mapping[str, str],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._config = config
        self._request = request
        self._directory = directory
        self._report = report
        self._unavailable = unavailable
        self._held: list[Packet | Caption | Happening] = []
        self._held_packets = 0
        self._timeline: Timeline | None = None
        self._began = False
        self._content = False
        self._end_ms = 0
        self._roster = Roster()
        self._voices: dict[int, _Voice] = {}

    @property
    def has_content(self) -> bool:
        """Whether anything came that a recording consists of: sound, pictures or captions."""
        return self._content

    @property
    def started_at(self) -> float | None:
        """When the first packet was sent, in seconds since the epoch; None if nothing came."""
        return self._timeline.origin_ms / 1000 if self._timeline and self._content else None

    @property
    def completed_at(self) -> float | None:
        """When the last packet ended, in seconds since the epoch."""
        return self._end_ms / 1000 if self.started_at is not None else None

    def take(self, item: Packet | Caption | Happening) -> None:
        """Write one thing the receiver learnt."""
        if self._timeline is None:
            self._held.append(item)
            if isinstance(item, Packet):
                self._held_packets += 1
                self._begin(certain=item.kind == "audio" or "audio" in self._unavailable)
            return
        self._write(item)

    def finish(self) -> dict[str, ArtifactFile]:
        """No more will come: complete the files."""
        if self._timeline is None:
            self._start(min((_moment(item) for item in self._held), default=0))
        timeline = self._started()
        self._mixer.close()
        end_ms = max(self._end_ms, timeline.origin_ms)
        artifacts: dict[str, ArtifactFile] = {}
        artifacts |= self._finish_audio()
        artifacts |= self._finish_texts(end_ms)
        return artifacts

    # -------------------------------------------------------------------------------------------- the beginning

    def _begin(self, *, certain: bool) -> None:
        moments = [item.timestamp_ms for item in self._held if isinstance(item, Packet)]
        if certain or len(moments) >= HOLD_PACKETS or max(moments) - min(moments) >= HOLD_MS:
            self._start(min(moments))

    def _start(self, origin_ms: int) -> None:
        config, directory = self._config, self._directory
        self._timeline = timeline = Timeline(origin_ms)
        self._end_ms = origin_ms
        self._mix_outputs = {
            form: AudioOutput(directory / f"audio_mixed.{form}", AUDIO_WRITERS[form]) for form in sorted(config.audio_mixed)
        }
        sinks: list[AudioSink] = list(self._mix_outputs.values())
        if config.live_audio_mixed:
            sinks.append(Tap(lambda position, data: self._chunk(None, origin_ms + position // SAMPLES_PER_MS, data)))
        self._mixer = Mixer(sinks)
        self._transcript = Transcript(directory / "transcript.json" if config.transcript else None, timeline, self._report)
        self._events = ParticipantEvents(directory if config.participant_events else None, timeline, self._roster, self._report)
        held, self._held = self._held, []
        for item in held:
            self._write(item)

    def _started(self) -> Timeline:
        assert self._timeline is not None
        return self._timeline

    # -------------------------------------------------------------------------------------------- while it runs

    def _write(self, item: Packet | Caption | Happening) -> None:
        timeline = self._started()
        if _moment(item) - max(self._end_ms, timeline.origin_ms) > LONGEST_GAP_MS:
            self.counts["impossible_timestamp"] += 1
        elif isinstance(item, Packet):
            if not self._began:
                self._began = self._content = True
                self._report(FirstPacket(timeline.origin_ms / 1000))
            if item.kind == "audio":
                self._audio(item)
        elif isinstance(item, Caption):
            self._content = True
            self._end_ms = max(self._end_ms, item.end_ms)
            who = self._roster.meet(item.user_id, item.user_name)
            self._transcript.add(who, item)
        else:
            self._events.add(item)

    def _audio(self, packet: Packet) -> None:
        voice = self._voices.get(packet.user_id) or self._voice(packet)
        voice.track.add(packet.data, packet.timestamp_ms)
        self._end_ms = max(self._end_ms, voice.track.end_ms)
        if packet.user_id != MIXED:
            voice.participant = self._roster.meet(packet.user_id, packet.user_name)
            if self._config.live_audio_separate:
                self._chunk(voice.participant, packet.timestamp_ms, packet.data)

    def _voice(self, packet: Packet) -> _Voice:
        """A participant is heard for the first time; their files begin here, and the mix's track at the same moment."""
        timeline = self._started()
        origin_ms = max(packet.timestamp_ms, timeline.origin_ms)
        outputs = {}
        if packet.user_id != MIXED:
            directory = self._directory / "audio_separate"
            formats = self._config.audio_separate
            outputs = {form: AudioOutput(directory / f"{packet.user_id}.{form}", AUDIO_WRITERS[form]) for form in formats}
        mix = self._mixer.track((origin_ms - timeline.origin_ms) * SAMPLES_PER_MS)
        voice = self._voices[packet.user_id] = _Voice(Participant(packet.user_id, packet.user_name), origin_ms, outputs, mix)
        return voice

    def _chunk(self, who: Participant | None, moment_ms: int, data: bytes) -> None:
        self._report(AudioChunk(data, who, moment_ms / 1000, self._started().relative(moment_ms)))

    # -------------------------------------------------------------------------------------------- the end

    def _finish_audio(self) -> dict[str, ArtifactFile]:
        lacking = self._unavailable.get("audio", NO_MEDIA) if not self._voices else None
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
            start = self._started().relative(start_ms)
            parts.append(Part(voice.participant, output.path, start_ms / 1000, start, (end_ms - start_ms) / 1000))
        if failure:
            return ArtifactFile("audio_separate", None, form, status="failed", sub_code=failure)
        return ArtifactFile("audio_separate", None, form, parts=tuple(parts))

    def _finish_texts(self, end_ms: int) -> dict[str, ArtifactFile]:
        artifacts = {}
        self._transcript.close()
        if self._transcript.output:
            artifacts["transcript"] = _artifact("transcript", "json", self._transcript.output, self._unavailable.get("transcript"))
        self._events.close(end_ms)
        for kind, output in self._events.outputs.items():
            artifacts[kind] = _artifact(kind, "json", output, self._events.sub_code)
        if self._config.meeting_metadata:
            # RTMS says no title. Which product's uuid it is cannot be told from a stream, so it is reported as the meeting's.
            meta = {"title": None, "zoom": {"meeting_uuid": self._request.meeting_uuid}}
            artifacts["meeting_metadata"] = ArtifactFile("meeting_metadata", None, "json", meta=meta)
        return artifacts


def _moment(item: Packet | Caption | Happening) -> int:
    return item.start_ms if isinstance(item, Caption) else item.timestamp_ms


def _artifact(kind: str, form: str, output: Output, lacking: str | None) -> ArtifactFile:
    failure = output.sub_code or lacking
    if failure:
        return ArtifactFile(kind, None, form, status="failed", sub_code=failure)
    return ArtifactFile(kind, output.path, form)
