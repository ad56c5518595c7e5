"""Judges that what is on record of a stream does not depend on the order in which it was heard (G4), by the history of a finished run.

The newest stop and the newest start that were acknowledged must be on record, whatever came after them, twice or late. What was not
acknowledged may be on record too: its answer may have got lost. Of a stream that was revoked nothing is left to judge.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.checker import Verdict
from tests.simulation.world import Event

NO_STOP = (0, -1)


@dataclass(slots=True)
class _Heard:
    """Of one stream: (event_ts, reason) of stops and (event_ts, servers) of starts, all that came and those that were acknowledged."""

    stops: set[tuple[int, int]] = field(default_factory=set)
    starts: set[tuple[int, str]] = field(default_factory=set)
    acked_stops: set[tuple[int, int]] = field(default_factory=set)
    acked_starts: set[tuple[int, str]] = field(default_factory=set)


def judge_order(verdict: Verdict, history: Sequence[Event], streams: Mapping[str, Mapping[str, Any]]) -> None:
    """Add to the verdict. `streams`: key -> fields of each stream's record."""
    heard = _read(history)
    for fields in streams.values():
        stream = fields["stream_id"]
        if not stream:
            continue
        known, stop = heard[stream], (fields["stopped_ts"], fields["stop_reason"])
        newest = max(((run["newest_ts"], run["server_urls"]) for run in fields["runs"]), default=(0, ""))
        if stop not in known.stops | {NO_STOP} or stop < max(known.acked_stops, default=NO_STOP):
            verdict.breaks("G4", f"of {stream[:8]} the stop {stop} is on record, of {sorted(known.stops)} that came")
        if newest < max(known.acked_starts, default=(0, "")):
            verdict.breaks("G4", f"of {stream[:8]} the newest start on record is {newest}, of {sorted(known.starts)} that came")


def _read(history: Sequence[Event]) -> Mapping[str, _Heard]:
    heard: dict[str, _Heard] = defaultdict(_Heard)
    for event in history:
        if event.who != "zoom" or event.what != "answered" or not event.facts["authentic"]:
            continue
        facts, one = event.facts, heard[event.facts["stream"]]
        acked = 200 <= facts["status"] < 300
        if facts["event"].endswith("rtms_stopped"):
            stop = (facts["ts"], -1 if facts["reason"] is None else facts["reason"])
            one.stops.add(stop)
            one.acked_stops |= {stop} if acked else set()
        elif facts["urls"] is not None:
            one.starts.add((facts["ts"], facts["urls"]))
            one.acked_starts |= {(facts["ts"], facts["urls"])} if acked else set()
    return heard
