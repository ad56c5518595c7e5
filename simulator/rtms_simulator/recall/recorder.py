"""The recorder: joins a Zoom RTMS stream as Recall would and writes what it receives."""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rtms_simulator.clock import Clock
from rtms_simulator.recall.recording import RecorderEvent, RecordingConfig, RecordingResult, StreamRequest


@dataclass(slots=True)
class Recorder:
    """One recording of one stream, written into `directory`."""

    clock: Clock
    request: StreamRequest
    config: RecordingConfig
    directory: Path
    on_event: Callable[[RecorderEvent], None]
    ssl: ssl_module.SSLContext | None = None
    _displaced: bool = field(default=False, init=False)

    async def run(self) -> RecordingResult:
        """Join, record until the stream ends, close the artifacts. Never raises for what Zoom sends."""
        return RecordingResult(status="failed", sub_code="zoom_rtms_not_joined")

    async def displace(self) -> None:
        """Leave the stream because another recorder takes it over; `run` then returns what was recorded so far."""
        self._displaced = True
