"""The recording's own time: milliseconds of Zoom's clock, counted from the first packet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rtms_simulator.recall.recorder.values import timestamp_json


@dataclass(frozen=True, slots=True)
class RecordingTime:
    """Begins at `origin_ms`, milliseconds since the epoch as Zoom's packets carry them."""

    origin_ms: int

    def within(self, moment_ms: int) -> int:
        """The moment, or the start for what happened before it (people already there), so that absolute and relative times agree [inf]."""
        return max(self.origin_ms, moment_ms)

    def relative(self, moment_ms: int) -> float:
        """Seconds since the start, 0 for what happened before it."""
        return (self.within(moment_ms) - self.origin_ms) / 1000

    def json(self, moment_ms: int) -> dict[str, Any]:
        """`{absolute, relative}` of the downloaded files (docs/evidence/recall.md B7)."""
        return timestamp_json(self.within(moment_ms) / 1000, self.relative(moment_ms))
