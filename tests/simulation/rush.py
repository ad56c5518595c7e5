"""The full hour, at deployed rates, instances and concurrency: 2,000 meetings end in the minute in which 50 others begin (G10).

`python -m tests.simulation.rush` plays it and prints the figures.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from random import Random

import msgspec

from tests.simulation.checker import Verdict
from tests.simulation.far_side import ZoomEvent
from tests.simulation.promptness import PROMPT_MS, judge_promptness
from tests.simulation.relay_world import Place, judged
from tests.simulation.weather import HOSTILE
from tests.simulation.world import Chances, World

ENDING, BEGINNING = 2_000, 50
RUSH_MS = 900_000
"""When the minute begins, ms after the first start: the meetings that end in it began in the twelve minutes before."""
SPREAD_MS = 720_000


@dataclass(frozen=True, slots=True)
class Rushed:
    """`waits_ms`: from each of the new starts' acks to its acceptance."""

    verdict: Verdict
    waits_ms: list[int]
    deliveries: int
    instances: int


def rush(seed: int = 0, *, ending: int = ENDING, beginning: int = BEGINNING) -> Rushed:
    """One run without failures."""
    random = Random(f"rush {seed}")
    world = World(seed, Chances(delays=HOSTILE.delays))
    place = Place.build(world, archive=False, warm=(1, 1))
    start = world.now_ms
    for number in range(ending):
        stream = f"{number:032x}"
        end = start + RUSH_MS + int(random.random() * 60_000)
        place.recall.ends[stream] = end
        place.zoom.happen(_event("started", start + int(random.random() * SPREAD_MS), stream))
        place.zoom.happen(_event("stopped", end, stream))
    fresh = {f"{ending + number:032x}": start + RUSH_MS + int(random.random() * 60_000) for number in range(beginning)}
    for stream, begin in fresh.items():
        place.recall.ends[stream] = begin + 1_800_000
        place.zoom.happen(_event("started", begin, stream))
        place.zoom.happen(_event("stopped", begin + 1_800_000, stream))
    place.play(start)
    verdict = judged(place)
    judge_promptness(verdict, world.history, every_within_ms=PROMPT_MS)
    acked = {e.facts["stream"]: e.at_ms for e in world.history if e.what == "answered" and e.facts["event"].endswith("started")}
    made = {event.facts["stream"]: event.at_ms for event in world.history if event.what == "made"}
    world.close()
    waits = sorted(made[stream] - acked[stream] for stream in fresh if stream in made and stream in acked)
    return Rushed(verdict, waits, place.zoom.deliveries, len(place.fleet.workers.instances))


def _event(name: str, at: int, stream: str) -> ZoomEvent:
    urls = f"wss://rtms-{stream}.zoom.us/a" if name == "started" else None
    payload = {"meeting_uuid": "4444AAAiAAAA/AiAi+iiAii==", "rtms_stream_id": stream}
    extra = {"server_urls": urls} if urls else {"stop_reason": 6}
    body = msgspec.json.encode({"event": f"meeting.rtms_{name}", "event_ts": at, "payload": {**payload, **extra}})
    return ZoomEvent(f"meeting.rtms_{name}", at, stream, body, urls, None if urls else 6)


def main() -> int:
    rushed = rush()
    waits = rushed.waits_ms
    sys.stdout.write(
        f"{ENDING:,} meetings end in the minute in which {BEGINNING} begin, {rushed.deliveries:,} deliveries, {rushed.instances} workers: "
        f"accepted after {waits[len(waits) // 2]} ms (median), {waits[-1]} ms (slowest); broken promises {len(rushed.verdict.broken)}\n"
    )
    return 1 if rushed.verdict.broken else 0


if __name__ == "__main__":
    sys.exit(main())
