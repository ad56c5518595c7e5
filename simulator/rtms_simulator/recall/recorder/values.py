"""What is asked of a recorder, what it reports while it works, and what it leaves behind.

Plain values, shared by the API (which asks and serves) and the recorder (which joins and writes). Times are seconds since
the epoch, taken from Zoom's own timestamps wherever a message carries one; `relative` counts from the recording's start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

LAYOUTS = ("speaker_view", "gallery_view", "gallery_view_v2", "audio_only")
SHARE_LAYOUTS = ("hide", "beside", "overlap")


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """The `zoom_rtms` object of a create: where to go and how to prove who one is. `server_urls` is used verbatim as one URL."""

    meeting_uuid: str
    rtms_stream_id: str
    server_urls: str
    signature: str

    @classmethod
    def of_space(cls, space_name: str) -> StreamRequest:
        """A Google Meet has no stream to join: its recorder is a labelled stub (meet.py), whatever the space."""
        return cls(space_name, "", "", "")

    @property
    def is_space(self) -> bool:
        return not self.server_urls


@dataclass(frozen=True, slots=True)
class VideoRequest:
    """The video asked of Zoom (codec 5 JPG, 6 PNG or 7 H264; resolution 1 SD, 2 HD, 3 FHD, 4 QHD; fps at most 5, for H264 30).

    What Recall really asks for is not published [inf]. The default is Zoom's own default codec and rate at SD, the cheapest.
    Raises ValueError for what Zoom would refuse.
    """

    codec: int = 5
    resolution: int = 1
    fps: int = 5

    def __post_init__(self) -> None:
        most = {5: 5, 6: 5, 7: 30}.get(self.codec)
        if most is None:
            raise ValueError(f"codec must be 5 (JPG), 6 (PNG) or 7 (H264), found {self.codec}")
        if self.resolution not in (1, 2, 3, 4):
            raise ValueError(f"resolution must be 1 (SD), 2 (HD), 3 (FHD) or 4 (QHD), found {self.resolution}")
        if not 1 <= self.fps <= most:
            raise ValueError(f"fps must be 1 to {most} for codec {self.codec}, found {self.fps}")


@dataclass(frozen=True, slots=True)
class RecordingConfig:
    """What to write, in terms of the artifacts; `from_json` reads Recall's `recording_config`."""

    video_mixed: bool = True
    layout: str = "speaker_view"
    share_layout: str = "overlap"
    audio_mixed: tuple[str, ...] = ()  # any of "mp3", "raw"
    audio_separate: tuple[str, ...] = ()  # any of "mp3", "raw"
    video_separate: bool = False
    transcript: bool = False
    participant_events: bool = True
    meeting_metadata: bool = True
    live_audio_mixed: bool = False  # report AudioChunk events of the mix
    live_audio_separate: bool = False  # report AudioChunk events of each participant
    live_video_png: bool = False  # report VideoImage events
    video: VideoRequest = VideoRequest()

    @classmethod
    def from_json(cls, config: Mapping[str, Any] | None, *, defaults: bool = True, video: VideoRequest | None = None) -> RecordingConfig:
        """Read a validated `recording_config`. With `defaults`, a missing key means what it means to Create Bot (mp4,
        participant events and metadata on); without, only what was asked for is recorded [inf: MDC's defaults are unpublished].
        """
        entries = config or {}

        def is_on(key: str) -> bool:
            return entries.get(key) is not None if key in entries else defaults

        def formats(name: str) -> tuple[str, ...]:
            return tuple(form for form in ("mp3", "raw") if entries.get(f"{name}_{form}") is not None)

        live = {event for endpoint in entries.get("realtime_endpoints") or () for event in endpoint.get("events") or ()}
        transcribed = entries.get("transcript") is not None
        return cls(
            video_mixed=is_on("video_mixed_mp4"),
            layout=entries.get("video_mixed_layout") or "speaker_view",
            share_layout=entries.get("video_mixed_participant_video_when_screenshare") or "overlap",
            audio_mixed=formats("audio_mixed"),
            audio_separate=formats("audio_separate"),
            video_separate=entries.get("video_separate_mp4") is not None,
            transcript=transcribed,
            participant_events=is_on("participant_events"),
            meeting_metadata=is_on("meeting_metadata"),
            live_audio_mixed="audio_mixed_raw.data" in live,
            live_audio_separate="audio_separate_raw.data" in live,
            live_video_png="video_separate_png.data" in live,
            video=video or VideoRequest(),
        )


@dataclass(frozen=True, slots=True)
class Participant:
    """One person, as far as the stream names them. `id` is Zoom's user_id."""

    id: int
    name: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The participant object of every downloaded file (docs/evidence/recall.md B7). RTMS says nothing of the rest."""
        return {"id": self.id, "name": self.name, "is_host": None, "platform": None, "extra_data": None, "email": None}


def iso(at: float) -> str:
    """Seconds since the epoch as Recall's API objects write them: UTC, microseconds, `Z`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def timestamp_json(at: float, relative: float) -> dict[str, Any]:
    """`{absolute, relative}`: ISO time and seconds since the recording's start (docs/evidence/recall.md B7)."""
    return {"absolute": iso(at), "relative": round(relative, 6)}


@dataclass(frozen=True, slots=True)
class Word:
    """One word of an utterance; times in seconds since the epoch and since the recording's start."""

    text: str
    start: float
    end: float
    start_relative: float
    end_relative: float


# Reported while recording


@dataclass(frozen=True, slots=True)
class Joined:
    """Signaling and the media sockets are up and Zoom knows that the client is ready."""

    at: float


@dataclass(frozen=True, slots=True)
class FirstPacket:
    """The first audio, video or share packet: the recording has begun at `at`."""

    at: float


@dataclass(frozen=True, slots=True)
class Paused:
    """The stream was paused."""

    at: float


@dataclass(frozen=True, slots=True)
class Resumed:
    """A paused stream goes on."""

    at: float


@dataclass(frozen=True, slots=True)
class ParticipantEvent:
    """`action` is one of join, leave, speech_on, speech_off, webcam_on, webcam_off, screenshare_on, screenshare_off."""

    action: str
    participant: Participant
    at: float
    relative: float


@dataclass(frozen=True, slots=True)
class TranscriptUtterance:
    """What was said in one go. Zoom's captions are whole utterances."""

    participant: Participant
    words: tuple[Word, ...]
    language_code: str | None


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Raw audio, signed 16 bit little-endian, 16 kHz, mono; `participant` None is the mix."""

    data: bytes
    participant: Participant | None
    at: float
    relative: float


@dataclass(frozen=True, slots=True)
class VideoImage:
    """A PNG of 640x360, at most two a second per participant and kind. `kind` is "webcam" or "screenshare"."""

    png: bytes
    participant: Participant
    kind: Literal["webcam", "screenshare"]
    at: float
    relative: float


@dataclass(frozen=True, slots=True)
class RecordingEnded:
    """Nothing more will be reported; the artifacts are being completed. `stop_reason`: Zoom's number (docs/evidence/zoom.md C9), if any."""

    at: float
    stop_reason: int | None = None
    sub_code: str | None = None


RecorderEvent = Joined | FirstPacket | Paused | Resumed | ParticipantEvent | TranscriptUtterance | AudioChunk | VideoImage | RecordingEnded


# Left behind


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a separate artifact: one participant's audio, or one stretch of one participant's video or share."""

    participant: Participant
    path: Path
    start: float
    start_relative: float
    duration: float
    kind: Literal["webcam", "screenshare"] | None = None  # None for audio


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """One artifact. `path` is None when it failed, has no file of its own (meeting_metadata) or consists of `parts`."""

    kind: str
    path: Path | None
    format: str
    meta: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    status: Literal["done", "failed"] = "done"
    sub_code: str | None = None


@dataclass(frozen=True, slots=True)
class RecordingResult:
    """How it ended. "empty": the stream ended properly, but no media ever came. "done" with a `sub_code`: shorter than the meeting.

    `artifacts` is keyed by kind: video_mixed, audio_mixed, audio_separate, video_separate, transcript, provider_data (of the
    transcript), participant_events, participants, speaker_timeline, meeting_metadata. When both formats of an audio artifact were
    asked for, the plain key is the mp3 and `audio_mixed_raw` / `audio_separate_raw` the other.
    """

    status: Literal["done", "failed", "empty"]
    sub_code: str | None = None
    started_at: float | None = None
    completed_at: float | None = None
    artifacts: Mapping[str, ArtifactFile] = field(default_factory=dict)
    stop_reason: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)  # packets by kind, malformed, unknown, reconnects
