"""What the outage of each part costs, by its length: acknowledged starts that were not handed on in time.

`python -m tests.simulation.outages` prints the table of docs/proof.md. Each cell is one run: 60 starts, spread from a minute before the
outage to a minute after it, at the deployed numbers, and nothing else fails.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from tests.simulation.far_side import ZoomEvent
from tests.simulation.promptness import judge_promptness
from tests.simulation.relay_world import Place, judged
from tests.simulation.weather import HOSTILE, Outage, Part
from tests.simulation.world import Chances, World

STARTS = 60
AROUND_MS = 60_000
LENGTHS_S = (1, 10, 60, 600, 3_600)

ROWS: Mapping[str, tuple[tuple[Part, str, str], ...]] = {
    "Firestore answers with errors": (("store", "away", ""),),
    "Firestore does not answer": (("store", "hangs", ""),),
    "Cloud Tasks at home refuses tasks": (("home", "refuses", ""),),
    "Cloud Tasks at home does not answer": (("home", "hangs", ""),),
    "Cloud Tasks at home takes tasks and dispatches none": (("home", "stalls", ""),),
    "the queue `handoffs` is paused": (("home", "paused", "handoffs"),),
    "the queue `handoffs` is asleep": (("home", "asleep", "handoffs"),),
    "the queue `handoffs` ramps up": (("home", "ramps up", "handoffs"),),
    "Cloud Tasks in the second region refuses tasks": (("second", "refuses", ""),),
    "Cloud Tasks in the second region does not answer": (("second", "hangs", ""),),
    "Cloud Tasks in the second region dispatches none": (("second", "stalls", ""),),
    "Cloud Scheduler does not call": (("scheduler", "off", ""),),
    "*two parts:* both regions refuse": (("home", "refuses", ""), ("second", "refuses", "")),
    "*two parts:* both regions dispatch none": (("home", "stalls", ""), ("second", "stalls", "")),
    "*two parts:* home dispatches none, Firestore answers with errors": (("home", "stalls", ""), ("store", "away", "")),
    "*no promise:* Recall cannot be reached": (("recall", "unreachable", ""),),
    "*no promise:* Cloud Run lets nobody through to the worker": (("cloud run", "403", ""),),
}
"""Row -> (part, kind, queue) of what is out at the same time."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of `STARTS` starts: how many were acknowledged, how many of these have no end on record, how many were not handed on in time, and the
    slowest acceptance after its ack, ms."""

    acked: int
    lost: int
    late: int
    slowest_ms: int

    def __str__(self) -> str:
        missed = f"**{self.late} of {self.acked}**" if self.late else f"0 of {self.acked}"
        return f"{missed}, {self.slowest_ms / 1000:.0f} s"


def cost(row: str, length_s: int, seed: int = 0) -> Cost:
    """Play one cell."""
    world = World(seed, Chances(delays=HOSTILE.delays))
    place = Place.build(world, archive=False, warm=(1, 1))
    start, length = world.now_ms, length_s * 1000
    for part, kind, queue in ROWS[row]:
        outage = Outage(part, kind, AROUND_MS, AROUND_MS + length, queue)
        world.at(start + AROUND_MS, lambda outage=outage: place.begin(outage, start + AROUND_MS + length))
    for number in range(STARTS):
        place.zoom.happen(start_event(number, start + number * (2 * AROUND_MS + length) // STARTS))
    place.play(start)
    verdict = judged(place)
    judge_promptness(verdict, world.history)
    acked: dict[str, int] = {}
    for event in world.history:
        if event.what == "answered" and event.facts["status"] == 200:
            acked.setdefault(event.facts["stream"], event.at_ms)
    made = {event.facts["stream"]: event.at_ms for event in world.history if event.what == "made"}
    world.close()
    in_time = verdict.promptness["in time"]
    waits = [made[stream] - at for stream, at in acked.items() if stream in made]
    return Cost(len(acked), verdict.lost, verdict.promptness.total() - in_time, max(waits, default=0))


def start_event(number: int, at: int) -> ZoomEvent:
    """The start of the stream `number` at `at` (ms); its id is the number in 32 hexadecimal digits."""
    stream, urls = f"{number:032x}", f"wss://rtms-{number}.zoom.us/a"
    payload = {"meeting_uuid": "4444AAAiAAAA/AiAi+iiAii==", "rtms_stream_id": stream, "server_urls": urls}
    body = msgspec.json.encode({"event": "meeting.rtms_started", "event_ts": at, "payload": payload})
    return ZoomEvent("meeting.rtms_started", at, stream, body, urls)


def table() -> Iterator[str]:
    """The lines of the page."""
    names = {1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3_600: "1 h"}
    yield f"| what is out | {' | '.join(names[length] for length in LENGTHS_S)} |"
    yield "| --- |" + " --- |" * len(LENGTHS_S)
    for row in ROWS:
        yield f"| {row} | {' | '.join(str(cost(row, length)) for length in LENGTHS_S)} |"


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in table())
