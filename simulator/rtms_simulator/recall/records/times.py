"""The two forms in which Recall writes a moment (docs/evidence/recall.md A4): `…Z` in API objects, `…+00:00` in webhook bodies."""

from __future__ import annotations

from datetime import UTC, datetime

from rtms_simulator.recall.recorder.values import iso


def api_time(seconds: float | None) -> str | None:
    """`2024-12-27T00:07:47.409813Z`, or None for None. `seconds` since the epoch."""
    return None if seconds is None else iso(seconds)


def webhook_time(seconds: float) -> str:
    """`2025-04-27T01:36:37.056337+00:00`."""
    return iso(seconds).removesuffix("Z") + "+00:00"


def parse_time(text: str) -> float:
    """Seconds since the epoch of an ISO 8601 date-time, with UTC assumed when it names no zone. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
