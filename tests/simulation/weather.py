"""What goes wrong in one run, drawn from its seed: which faults, how often, which part is out when and for how long.

A seed is calm, or has trouble with one part only (G9 is judged on those), or with any of them at once (swarm: of each kind none, some, or
much). Every run heals: after `heal_ms` nothing fails any more, and all must settle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from tests.simulation.world import Chances

Part = Literal["store", "home", "second", "scheduler", "worker", "webhook", "recall", "cloud run"]
"""home, second: Cloud Tasks in one region. worker, webhook: their instances. cloud run: it lets nobody through to the worker."""

MINUTE_MS, HOUR_MS = 60_000, 3_600_000

HOSTILE = Chances(
    faults={
        "store slow": 0.004,
        "store outage": 0.0003,
        "store unavailable": 0.01,
        "store answer lost": 0.01,
        "home queue unavailable": 0.01,
        "home queue answer lost": 0.01,
        "home task late": 0.03,
        "second queue unavailable": 0.01,
        "second queue answer lost": 0.01,
        "second task late": 0.03,
        "task lost": 0.02,
        "task duplicated": 0.05,
        "recall unreachable": 0.02,
        "recall answer lost": 0.03,
        "recall hangs": 0.03,
        "recall works long": 0.03,
        "recall 503": 0.05,
        "recall 429": 0.03,
        "recall 507": 0.03,
        "recall 400": 0.003,
        "recall 401": 0.003,
        "recall webhook lost": 0.05,
        "recall webhook doubled": 0.05,
        "filter ignored": 0.1,
        "nothing recorded": 0.05,
        "download cut": 0.02,
        "ack lost": 0.02,
        "retry re-stamped": 0.5,
    },
    delays={"recall.works": (20.0, 3_000.0), "zoom sends": (5.0, 2_000.0), "recall.webhook": (50.0, 5_000.0)},
    crash_rate=0.002,
)
"""What a bad month looks like, all at once."""

HARMLESS = (
    "task lost",
    "task duplicated",
    "recall webhook lost",
    "recall webhook doubled",
    "filter ignored",
    "nothing recorded",
    "download cut",
    "ack lost",
    "retry re-stamped",
)
"""Faults that are no excuse for a start: they go on beside the trouble with one part, too."""

KINDS: Mapping[Part, tuple[str, ...]] = {
    "store": ("away", "hangs"),
    "home": ("refuses", "hangs", "stalls", "paused", "asleep", "ramps up"),
    "second": ("refuses", "hangs", "stalls", "paused", "asleep", "ramps up"),
    "scheduler": ("off",),
    "worker": ("gone",),
    "webhook": ("gone",),
    "recall": ("unreachable", "503", "429"),
    "cloud run": ("403", "503"),
}
"""How each part can be out for a while. paused: tasks are taken and not dispatched, as in a stall, but for one queue.
asleep: one queue has been idle for long; it answers NOT_FOUND, and what it has taken waits.
ramps up: a few dispatches a second at first. gone: every instance crashes, and none can be started; requests are answered 503."""

CRASH_GAP_MS = 120_000
"""Between two crashes in some of the seeds with trouble at one function: longer than a connect window, so that no start may be late for a
second crash in it."""


@dataclass(frozen=True, slots=True)
class Outage:
    """One part is out, from `begin_ms` to `end_ms` after the run's first moment. `queue`: of a region, the one that is concerned."""

    part: Part
    kind: str
    begin_ms: int
    end_ms: int
    queue: str = ""


@dataclass(frozen=True, slots=True)
class Weather:
    """`kind`: calm, swarm, or the one part that has trouble."""

    kind: str
    chances: Chances
    outages: tuple[Outage, ...] = ()
    heal_ms: int = 8 * HOUR_MS


CALM = Weather("calm", Chances())
"""Nothing goes wrong; only the order of things is drawn."""


def part_of(label: str) -> Part | None:
    """The part that a fault of this name belongs to; None if it is no excuse for a start."""
    if label in HARMLESS:
        return None
    first = label.partition(" ")[0]
    return first if first in KINDS else None  # ty: ignore[invalid-explicit-return]


def draw(seed: int) -> Weather:
    """The weather of a seed."""
    random = Random(f"weather {seed}")
    roll = random.random()
    heal = random.choice((2, 8, 48)) * HOUR_MS
    if roll < 0.05:
        return replace(CALM, heal_ms=heal)
    if roll < 0.5:
        part = random.choice([part for part in KINDS if part != "cloud run"])
        return only(part, random, heal)
    return _swarm(random, heal)


def only(part: Part, random: Random, heal_ms: int) -> Weather:
    """Much trouble with one part, none with the others but what must do no harm to a start."""
    faults = {
        label: HOSTILE.faults[label] if label in HARMLESS else min(0.2, HOSTILE.faults[label] * random.choice((1, 4, 16)))
        for label in HOSTILE.faults
        if label in HARMLESS or part_of(label) == part
    }
    single, outages = random.random() < 0.5, random.randint(1, 3)
    crashes = random.choice((0.001, 0.002, 0.006)) if part in ("worker", "webhook") else 0.0
    chances = replace(HOSTILE, faults=faults, crash_rate=crashes, crash_of=(part,), crash_gap_ms=CRASH_GAP_MS if single else 0)
    if crashes and single:
        outages = 0
    return Weather(part, chances, _outages(part, random, heal_ms, outages), heal_ms)


def _swarm(random: Random, heal_ms: int) -> Weather:
    def rate(most: float) -> float:
        return 0.0 if random.random() < 0.3 else min(0.5, most * random.choice((0.5, 1, 1, 3)))

    faults = {label: rate(most) for label, most in HOSTILE.faults.items()}
    chances = replace(HOSTILE, faults={label: chance for label, chance in faults.items() if chance}, crash_rate=rate(HOSTILE.crash_rate))
    outages = [outage for part in KINDS if random.random() < 0.15 for outage in _outages(part, random, heal_ms, 1)]
    return Weather("swarm", chances, tuple(outages), heal_ms)


def _outages(part: Part, random: Random, heal_ms: int, most: int) -> tuple[Outage, ...]:
    """Of a second to three hours; most begin while the streams do."""
    outages = []
    for _ in range(most):
        begin = int(random.random() * (90_000 if random.random() < 0.8 else heal_ms / 2))
        end = begin + int(1_000 * 10_800 ** random.random())
        queues = ("handoffs", "facts", "retrievals") if part == "home" else ("handoffs-second",)
        kind = random.choice(KINDS[part])
        queue = random.choice(queues) if kind in ("paused", "asleep", "ramps up") else ""
        outages.append(Outage(part, kind, begin, min(end, heal_ms), queue))
    return tuple(outages)


At = Callable[[float, Callable[[], object]], None]


def schedule(weather: Weather, start_ms: int, at: At, begin: Callable[[Outage, int], object]) -> None:
    """Have `begin(outage, its end in ms)` called when each outage begins. `at(moment, action)` has something done then."""
    for outage in weather.outages:
        at(start_ms + outage.begin_ms, lambda outage=outage: begin(outage, start_ms + outage.end_ms))
