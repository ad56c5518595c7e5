"""The media of a scripted meeting, by time: what Zoom would send on its audio, video, share, transcript and chat sockets.

`MediaSource` is pure and lazy: each call starts a fresh, deterministic run of packets from any moment of the meeting, in bounded memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rtms_simulator.errors import MediaFileError
from rtms_simulator.scenario import Scenario, Span
from rtms_simulator.zoom.media import captions
from rtms_simulator.zoom.media.casting import cast
from rtms_simulator.zoom.media.chat import chat
from rtms_simulator.zoom.media.packet import MediaPacket, MediaSwitches
from rtms_simulator.zoom.media.pictures import video
from rtms_simulator.zoom.media.pictures.file_pictures import FilePictures
from rtms_simulator.zoom.media.recording import read_recording
from rtms_simulator.zoom.media.sound import audio
from rtms_simulator.zoom.media.sound.file_sound import FileSound
from rtms_simulator.zoom.media.sound.speech import Samples
from rtms_simulator.zoom.media.time_code import NoTimeCode, read_time_code
from rtms_simulator.zoom.media.transcripts import read_transcript
from rtms_simulator.zoom.rtms.enums import DataOption, MediaType

__all__ = ["MediaFileError", "MediaPacket", "MediaSource", "MediaSwitches", "NoTimeCode", "read_time_code"]


class MediaSource:
    """The media of one scenario, or of a person's own files in its place (`scenario` is then the adapted one: use it for everything else).

    Raises MediaFileError; with `strict` also for files of which something is lost or had to be repaired. `params` are Zoom's confirmed
    media_params (the integers of RTMS data types, C.6); absent ones take Zoom's defaults.

    Every method starts a new run at `start_ms`: audio with the packet interval that holds it, pictures with a keyframe.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        media_file: Path | None = None,
        transcript_file: Path | None = None,
        switches: MediaSwitches | None = None,
        strict: bool = False,
    ) -> None:
        self._recording = read_recording(media_file, strict=strict) if media_file else None
        transcript = read_transcript(transcript_file, [one.name for one in scenario.people], strict=strict) if transcript_file else None
        if media_file or transcript_file:
            scenario = cast(scenario, self._recording, transcript.cues if transcript else ())
        self.scenario = scenario
        self.switches = switches or MediaSwitches()
        self._utterances = scenario.utterances()
        self._sound: audio.Sound = audio.Script(self._utterances, scenario.seed, scenario.duration_ms)
        if self._recording and self._recording.has_audio:
            self._sound = FileSound(self._recording, self._utterances, scenario.duration_ms)

    def packets(
        self, media_type: int, params: Mapping[str, Any], *, start_ms: int = 0, user_id: int | None = None
    ) -> Iterator[MediaPacket]:
        """The packets of one of Zoom's media types, as its method below. Raises ValueError for a type that is not a single kind."""
        if media_type == MediaType.AUDIO:
            multi = params.get("data_opt") == DataOption.AUDIO_MULTI_STREAMS
            return (self.audio_multi if multi else self.audio_mixed)(params, start_ms=start_ms)
        if media_type == MediaType.VIDEO:
            return self.video(params, start_ms=start_ms, user_id=user_id)
        if media_type == MediaType.DESKSHARE:
            return self.deskshare(params, start_ms=start_ms)
        if media_type == MediaType.TRANSCRIPT:
            return self.transcript(params, start_ms=start_ms)
        if media_type == MediaType.CHAT:
            return self.chat(start_ms=start_ms)
        raise ValueError(f"media type {media_type} is not a single kind: 1, 2, 4, 8 or 16")

    def audio_mixed(self, params: Mapping[str, Any], *, start_ms: int = 0) -> Iterator[MediaPacket]:
        """Everybody in one stream: a packet every send_rate, also in silence."""
        return audio.mixed(self._sound, params, start_ms, self.scenario.duration_ms)

    def audio_multi(self, params: Mapping[str, Any], *, start_ms: int = 0) -> Iterator[MediaPacket]:
        """A stream per participant: a packet every send_rate from each who speaks, none from the others."""
        return audio.multi(self._sound, params, start_ms, self._utterances, self.scenario.people, self.scenario.duration_ms)

    def video(self, params: Mapping[str, Any], *, start_ms: int = 0, user_id: int | None = None) -> Iterator[MediaPacket]:
        """Pictures of the active speaker (data_opt 3), or with data_opt 4 of `user_id` alone: none until somebody is subscribed to."""
        spans: tuple[Span, ...] = ()
        if params.get("data_opt") != DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM:
            spans = video.active_speaker(self.scenario)
        elif user_id is not None:
            spans = tuple(span for span in self.scenario.cameras() if span.who.user_id == user_id)
        video_params = video.VideoParams.of(params, MediaType.VIDEO, self.switches)
        painter: video.Painter = video.Camera(self.scenario, video_params.size)
        if self._recording and self._recording.has_video:
            painter = FilePictures(self._recording, video_params.size)
        return video.packets(spans, painter, video_params, MediaType.VIDEO, start_ms)

    def deskshare(self, params: Mapping[str, Any], *, start_ms: int = 0) -> Iterator[MediaPacket]:
        """Pictures of the shared screen while somebody shares."""
        video_params = video.VideoParams.of(params, MediaType.DESKSHARE, self.switches)
        return video.packets(self.scenario.shares(), video.Slides(video_params.size), video_params, MediaType.DESKSHARE, start_ms)

    def transcript(self, params: Mapping[str, Any], *, start_ms: int = 0) -> Iterator[MediaPacket]:
        """A packet per utterance that ends at `start_ms` or later."""
        return captions.transcript(self._utterances, params, self.switches, start_ms)

    def chat(self, *, start_ms: int = 0) -> Iterator[MediaPacket]:
        """A packet per chat action from `start_ms` on."""
        return chat(self.scenario, self.switches, start_ms)

    def mixed_samples(self, sample_rate: int = 16_000) -> Iterator[Samples]:
        """The truth about the sound: the mixed 16-bit samples of the whole meeting, exactly its length, a second at a time."""
        return audio.truth(self._sound, sample_rate, self.scenario.duration_ms)
