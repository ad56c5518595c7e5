"""A recorder that joins nothing: it reports a given story and leaves given files. For tests that need Recall without a Zoom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from rtms_simulator.clock import Clock
from rtms_simulator.recall.recorder.values import (
    ArtifactFile,
    FirstPacket,
    Joined,
    RecorderEvent,
    RecordingConfig,
    RecordingEnded,
    RecordingResult,
    StreamRequest,
)
from rtms_simulator.recall.records.lifecycle import RecorderFactory
from rtms_simulator.serving.background import first_of

_FORMATS = {"video_mixed": "mp4", "audio_mixed": "mp3", "audio_separate": "mp3", "video_separate": "mp4"}


@dataclass(frozen=True, slots=True)
class Story:
    """What a scripted recorder does: joins after `joins_after` clock seconds, then records for `lasts` (None: until displaced).

    `status`, `sub_code`: how it ends; "failed" with `joins_after` None never joins. `broken`: artifact kinds that fail alone.
    `events`: reported after the first packet, `spacing` clock seconds apart. `contents`: bytes of an artifact by kind; a few bytes
    are made up for the others.
    """

    joins_after: float | None = 0.0
    lasts: float | None = 0.0
    status: str = "done"
    sub_code: str | None = None
    broken: frozenset[str] = frozenset()
    events: Sequence[RecorderEvent] = ()
    spacing: float = 0.0
    contents: Mapping[str, bytes] = field(default_factory=dict)


class ScriptedRecorder:
    """One telling of a `Story`."""

    def __init__(
        self,
        story: Story,
        clock: Clock,
        request: StreamRequest,
        config: RecordingConfig,
        directory: Path,
        on_event: Callable[[RecorderEvent], None],
    ) -> None:
        self.request, self.config = request, config
        self._story, self._clock, self._directory, self._on_event = story, clock, directory, on_event
        self._displaced = asyncio.Event()

    async def run(self) -> RecordingResult:
        story = self._story
        await self._pause(story.joins_after or 0.0)
        if story.joins_after is None:
            return RecordingResult("failed", story.sub_code or "zoom_rtms_not_joined")
        started = self._clock.now()
        self._on_event(Joined(started))
        if story.status != "empty":
            self._on_event(FirstPacket(started))
            for event in story.events:
                await self._pause(story.spacing)
                self._on_event(event)
        await self._pause(story.lasts)
        ended = self._clock.now()
        self._on_event(RecordingEnded(ended))
        if story.status == "empty":
            return RecordingResult("empty", story.sub_code)
        artifacts = {kind: self._write(kind) for kind in self._kinds()}
        return RecordingResult("failed" if story.status == "failed" else "done", story.sub_code, started, ended, artifacts)

    async def displace(self) -> None:
        self._displaced.set()

    async def _pause(self, seconds: float | None) -> None:
        if seconds is None:
            await self._displaced.wait()
        elif seconds > 0:
            await first_of(self._clock.sleep(seconds), self._displaced.wait())

    def _kinds(self) -> list[str]:
        config = self.config
        kinds = ["video_mixed"] if config.video_mixed else []
        for kind, formats in (("audio_mixed", config.audio_mixed), ("audio_separate", config.audio_separate)):
            if formats:
                kinds.append(kind)
            if len(formats) == 2:
                kinds.append(f"{kind}_raw")
        kinds += ["video_separate"] if config.video_separate else []
        kinds += ["transcript", "provider_data"] if config.transcript else []
        kinds += ["participant_events", "speaker_timeline", "participants"] if config.participant_events else []
        return [*kinds, "meeting_metadata"] if config.meeting_metadata else kinds

    def _write(self, kind: str) -> ArtifactFile:
        plain = kind.removesuffix("_raw")
        form = _FORMATS.get(plain, "json")
        formats = {"audio_mixed": self.config.audio_mixed, "audio_separate": self.config.audio_separate}.get(plain, ())
        if kind.endswith("_raw") or formats == ("raw",):
            form = "raw"
        if kind in self._story.broken:
            return ArtifactFile(kind, None, form, status="failed", sub_code="artifact_write_failed")
        if kind in ("meeting_metadata", "audio_separate", "video_separate"):
            return ArtifactFile(kind, None, form)
        made_up: Any = [] if form == "json" else None
        path = self._directory / f"{kind}.{form}"
        path.write_bytes(self._story.contents.get(kind, msgspec.json.encode(made_up) if form == "json" else f"{kind} {form}".encode()))
        return ArtifactFile(kind, path, form)


def scripted(story: Story | Callable[[StreamRequest], Story]) -> RecorderFactory:
    """A `recorder_factory` for `Recall`: every stream gets this story, or the one chosen for its request."""

    def make(
        clock: Clock, request: StreamRequest, config: RecordingConfig, directory: Path, on_event: Callable[[RecorderEvent], None]
    ) -> ScriptedRecorder:
        return ScriptedRecorder(story if isinstance(story, Story) else story(request), clock, request, config, directory, on_event)

    return make
