"""The pictures that real-time endpoints get: two a second of each camera and each share (Recall's page on separate videos in real time)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import av

from rtms_simulator.recall.recorder.timeline import RecordingTime
from rtms_simulator.recall.recorder.values import Participant, VideoImage
from rtms_simulator.recall.recorder.video.pictures import png
from rtms_simulator.recall.recorder.video.video import ENDPOINT_KINDS, HOLD_MS, Kind

INTERVAL_MS = 500


@dataclass(slots=True)
class _Source:
    """One participant's camera or share. `due_ms`: the moment of its next picture."""

    participant: Participant
    frame: av.VideoFrame
    since_ms: int
    due_ms: int
    encoded: bytes | None = None


class LivePictures:
    """Reports a picture for every half second in which a source is up, whatever rate Zoom sends at.

    Each is the newest frame of its moment; a frame that was not renewed for as long as the recording shows it is not repeated (inferred).
    Frames come in the order of their moments, as ms since the epoch.
    """

    def __init__(self, time: RecordingTime, report: Callable[[VideoImage], None]) -> None:
        self._time = time
        self._report = report
        self._sources: dict[tuple[Kind, int], _Source] = {}
        # Of those that went off: before this moment a picture would be one too many.
        self._not_before: dict[tuple[Kind, int], int] = {}

    def add(self, kind: Kind, participant: Participant, frame: av.VideoFrame, moment_ms: int) -> None:
        """Take a frame. A second one of the same moment replaces the first, unless that was reported already."""
        key = kind, participant.id
        source = self._sources.get(key)
        if source is not None:
            # Up to this moment it was the frame before that was seen.
            self._report_until(kind, source, min(moment_ms - 1, source.since_ms + HOLD_MS[kind]))
        due = source.due_ms if source is not None else self._not_before.pop(key, moment_ms)
        if source is None or moment_ms > source.since_ms + HOLD_MS[kind]:
            due = max(due, moment_ms)
        source = self._sources[key] = _Source(participant, frame, moment_ms, due)
        self._report_until(kind, source, moment_ms)

    def remove(self, kind: Kind, user_id: int | None, moment_ms: int) -> None:
        """A camera or share went off; None: the person who shared."""
        for key in [key for key in self._sources if key[0] == kind and user_id in (None, key[1])]:
            source = self._sources.pop(key)
            self._report_until(kind, source, min(moment_ms - 1, source.since_ms + HOLD_MS[kind]))
            self._not_before[key] = source.due_ms

    def _report_until(self, kind: Kind, source: _Source, moment_ms: int) -> None:
        while source.due_ms <= moment_ms:
            source.encoded = source.encoded or png(source.frame)
            at = source.due_ms
            self._report(VideoImage(source.encoded, source.participant, ENDPOINT_KINDS[kind], at / 1000, self._time.relative(at)))
            source.due_ms += INTERVAL_MS
