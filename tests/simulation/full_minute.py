"""More starts in a minute than Recall takes creates: what becomes of the 61st (docs/limits.md). Deployed numbers, virtual clock.

`python -m tests.simulation.full_minute` prints the table.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from tests.simulation.outages import start_event
from tests.simulation.relay_world import Place, judged, records
from tests.simulation.weather import HOSTILE
from tests.simulation.world import Chances, World

CREATES_A_MINUTE = 60
"""Recall docs, limits (docs/evidence/recall.md B4)."""

CELLS = ((60, 1), (61, 1), (61, 10), (90, 60), (120, 60), (120, 10))
"""(starts, the seconds within which they come)."""

MEETING_MS = 1_800_000


@dataclass(frozen=True, slots=True)
class Minute:
    """`waits_ms`: from a start to its acceptance. `lost`: how many expired; `alerts`: how many of these are an ALERT in the log."""

    starts: int
    within_s: int
    waits_ms: list[int]
    lost: int
    alerts: int
    broken: list[str]

    def row(self) -> str:
        slowest = f"{max(self.waits_ms) / 1000:.0f} s"
        return f"| {self.starts} | {self.within_s} s | {len(self.waits_ms)} | {self.lost} | {slowest} |"


def minute(starts: int, within_s: int, *, seed: int = 0) -> Minute:
    """One run in which nothing fails."""
    world = World(seed, Chances(delays=HOSTILE.delays))
    place = Place.build(world, archive=False, warm=(1, 1))
    place.recall.creates_a_minute = CREATES_A_MINUTE
    begin = world.now_ms + 1_000
    events = [start_event(number, begin + number * within_s * 1000 // starts) for number in range(starts)]
    begins = {event.stream: event.event_ts for event in events}
    for event in events:
        place.recall.ends[event.stream] = event.event_ts + MEETING_MS
        place.zoom.happen(event)
    place.play(begin)
    verdict = judged(place)
    made = {event.facts["stream"]: event.at_ms for event in world.history if event.what == "made"}
    states = [record["state"] for record in records(place.store).values()]
    alerts = place.lines.counts["ALERT handoff_expired"]
    world.close()
    waits = [made[stream] - begins[stream] for stream in made]
    return Minute(starts, within_s, waits, states.count("expired"), alerts, verdict.broken)


def table() -> str:
    """The table of docs/limits.md."""
    head = "| starts | within | accepted | lost | slowest acceptance |\n| --- | --- | --- | --- | --- |"
    return "\n".join([head, *(minute(*cell).row() for cell in CELLS)])


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
