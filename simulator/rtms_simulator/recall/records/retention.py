"""How long a recording is kept (pure). Rule: Recall's page on storage and `recording_config.retention`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULT_HOURS = 168
"""Of a timed retention that names no hours."""

LAST_MOMENT_S = 253_402_300_799.0
"""9999-12-31T23:59:59Z in seconds since the epoch: no later date can be written."""


def expires_at(retention: Mapping[str, Any] | None, default_hours: float | None, since: float) -> float | None:
    """When the media are erased, in seconds since the epoch; None: never. `since`: the moment from which it counts.

    `retention`: the create's; None when it said nothing, so that `default_hours` decides (None: for ever).
    """
    hours = default_hours
    if retention is not None:
        timed = min(retention.get("hours", DEFAULT_HOURS), LAST_MOMENT_S / 3600.0)
        hours = {"timed": timed, "forever": None, "none": 0.0}[retention["type"]]
    return None if hours is None else min(since + hours * 3600.0, LAST_MOMENT_S)
