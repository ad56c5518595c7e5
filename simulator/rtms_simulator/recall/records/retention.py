"""How long a recording is kept (pure). Source: Recall's page "Storage and Data Retention" and `recording_config.retention`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULT_HOURS = 168
"""Of a timed retention that names no hours."""

LAST_MOMENT_S = 253_402_300_799.0
"""9999-12-31T23:59:59Z in seconds since the epoch: no later date can be written."""


def expires_at(retention: Mapping[str, Any] | None, default_hours: float | None, *, since: float, ended: float) -> float | None:
    """When the media are erased, in seconds since the epoch; None: never. It may be over before the recording ends.

    `retention`: the create's; None when it said nothing, so that `default_hours` decides (None: for ever). `since`: the moment from
    which the hours count. `ended`: when the recording did; where nothing is to be kept, that is the moment.
    """
    kind = "default" if retention is None else retention["type"]
    if kind == "none":
        return ended
    hours = {"default": default_hours, "forever": None, "timed": (retention or {}).get("hours", DEFAULT_HOURS)}[kind]
    return None if hours is None else min(since + min(hours, LAST_MOMENT_S / 3600.0) * 3600.0, LAST_MOMENT_S)
