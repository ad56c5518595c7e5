"""What took place in a meeting, for tests and for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rtms_simulator.zoom.meeting.timeline import Speed
from rtms_simulator.zoom.webhooks.sender import Delivery


@dataclass(frozen=True, slots=True)
class StreamReport:
    """One stream after (or during) a meeting. Times are milliseconds since the meeting's start; None means it did not happen."""

    stream_id: str
    client_id: str
    server_urls: tuple[str, ...]
    state: str
    joined_ms: int | None
    ended_ms: int | None
    stop_reason: int | None
    keep_alives: int
    complaints: int
    """Messages for which Zoom documents no answer."""
    sent: Mapping[str, Mapping[str, Any]]
    """By kind: `packets`, `bytes` (before base64) and `sha256` over those bytes in the order sent."""
    problem: str | None = None
    """Why the simulator itself gave the stream up (reason 10), if it did."""


@dataclass(frozen=True, slots=True)
class MeetingReport:
    """What took place. `timeline` is `(ms since the start on the clock, what)`."""

    id: int
    scenario: str
    product: str
    entity_id: str
    meeting_id: str
    seed: int
    speed: Speed
    started_ms: int
    ended_ms: int | None
    streams: tuple[StreamReport, ...]
    deliveries: tuple[Delivery, ...]
    timeline: tuple[tuple[int, str], ...]
    idle_faults: tuple[str, ...] = ()
    """Of the faults that it was given or that its script has, those that never acted or changed nothing; empty until it is over."""

    @property
    def joined(self) -> bool:
        """Whether media flowed to anybody."""
        return any(stream.joined_ms is not None for stream in self.streams)
