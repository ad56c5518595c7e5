"""The labelled stub of Google Meet: a recorder that joins nothing and records a made-up call, so that a create yields media.

Google turns the Meet Media API off on 2027-01-15 (docs/evidence/recall.md E2), so no Meet is simulated. What is made up: two people who are
there from the beginning, a tone, a grey picture that changes each second. There are no captions, as Recall documents for this variant.
"""

from __future__ import annotations

import asyncio
import io
import math
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from rtms_simulator.clock import Clock
from rtms_simulator.recall.recorder.values import (
    Joined,
    RecorderEvent,
    RecordingConfig,
    RecordingEnded,
    RecordingResult,
    StreamRequest,
)
from rtms_simulator.recall.recorder.writer import RecordingWriter
from rtms_simulator.recall.rtms.actions import Packet, ParticipantNotice
from rtms_simulator.serving.background import first_of

LASTS_S = 4.0
STEP_MS = 100
RATE = 16_000
TONE_HZ = 220
PEOPLE = ((1, "Scripted guest 1"), (2, "Scripted guest 2"))


@dataclass(slots=True)
class MeetRecorder:
    """One made-up call of `LASTS_S` seconds of the clock; writes the same artifacts as the recorder of Zoom's streams."""

    clock: Clock
    request: StreamRequest
    config: RecordingConfig
    directory: Path
    on_event: Callable[[RecorderEvent], None]
    _left: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def run(self) -> RecordingResult:
        self.directory.mkdir(parents=True, exist_ok=True)
        writer = RecordingWriter(self.config, self.request, self.directory, self.on_event, {})
        began_ms = self.clock.now_ms()
        self.on_event(Joined(began_ms / 1000))
        for number in range(round(LASTS_S * 1000) // STEP_MS):
            for item in _moment(number, began_ms + number * STEP_MS, self.config):
                writer.take(item)
            await first_of(self.clock.sleep(STEP_MS / 1000), self._left.wait())
            if self._left.is_set():
                break
        writer.stop()
        self.on_event(RecordingEnded(self.clock.now()))
        artifacts = writer.finish()
        return RecordingResult("done", None, writer.started_at, writer.completed_at, artifacts, counts=dict(writer.counts))

    async def displace(self) -> None:
        """End the call."""
        self._left.set()


def _moment(number: int, at_ms: int, config: RecordingConfig) -> Iterator[Packet | ParticipantNotice]:
    """What is recorded of one step of the call."""
    if number == 0:
        for identity, name in PEOPLE:
            yield ParticipantNotice("join", identity, name, at_ms)
    speaker, name = PEOPLE[number * STEP_MS // 2000 % len(PEOPLE)]
    if number * STEP_MS % 2000 == 0:
        yield ParticipantNotice("active_speaker", speaker, name, at_ms)
    separate = bool(config.audio_separate) or config.live_audio_separate
    yield Packet("audio", speaker if separate else 0, name if separate else None, _tone(number), at_ms)
    if config.layout != "audio_only" or config.video_separate or config.live_video_png:
        yield Packet("video", speaker, name, _picture(number * STEP_MS // 1000), at_ms)


def _tone(number: int) -> bytes:
    """One step of a quiet tone, signed 16 bit little-endian."""
    first = number * RATE * STEP_MS // 1000
    samples = (round(3000 * math.sin(2 * math.pi * TONE_HZ * place / RATE)) for place in range(first, first + RATE * STEP_MS // 1000))
    return array("h", samples).tobytes()


def _picture(second: int) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (640, 360), (60 + 30 * (second % 5),) * 3).save(target, "JPEG")
    return target.getvalue()
