"""Many seeds, added up: what was played, what went wrong on purpose, and whether anything was lost or doubled."""

from __future__ import annotations

import itertools
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.simulation.coverage import SOMETIMES, met
from tests.simulation.pairs import Pair, pairs_in, told
from tests.simulation.relay_world import run, secrets_in

STREAMS = 24
CHUNK = 8
_SUMS = ("seeds", "deliveries", "simulated_ms", "steps", "starts", "lost", "late", "doubled", "foreign", "leaks")
YEAR_MS = 365.25 * 86_400_000


@dataclass(slots=True)
class Figures:
    """The sum over the seeds played so far. `broken`: (seed, promise and how) for each violation."""

    seeds: int = 0
    deliveries: int = 0
    simulated_ms: int = 0
    steps: int = 0
    starts: int = 0
    lost: int = 0
    late: int = 0
    doubled: int = 0
    foreign: int = 0
    leaks: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    promptness: Counter[str] = field(default_factory=Counter)
    weathers: Counter[str] = field(default_factory=Counter)
    outages: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    pairs: Counter[Pair] = field(default_factory=Counter)
    broken: list[tuple[int, str]] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: Figures) -> None:
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.outcomes += other.outcomes
        self.promptness += other.promptness
        self.weathers += other.weathers
        self.outages += other.outages
        self.faults += other.faults
        self.met += other.met
        self.pairs += other.pairs
        self.broken += other.broken

    @property
    def unmet(self) -> list[str]:
        """Rare states that no seed came to: a campaign that is silent about them proves nothing of them."""
        return [name for name in SOMETIMES if not self.met[name]]

    def report(self) -> str:
        crashes = sum(count for name, count in self.faults.items() if name.startswith("crash:"))
        lines = [
            f"seeds            {self.seeds:,}",
            f"deliveries       {self.deliveries:,} ({self.deliveries / max(self.seconds, 1e-9):,.0f} per second)",
            f"awaits           {self.steps:,}",
            f"simulated years  {self.simulated_ms / YEAR_MS:,.1f}",
            "weather          " + ", ".join(f"{name} {count:,}" for name, count in sorted(self.weathers.items())),
            "outages          " + ", ".join(f"{name} {count:,}" for name, count in sorted(self.outages.items())),
            "faults injected  "
            + ", ".join(f"{name} {count:,}" for name, count in sorted(self.faults.items()) if not name.startswith("crash:")),
            f"pairs of faults  {told(self.pairs, self.seeds)}",
            f"crashes          {crashes:,} at {sum(name.startswith('crash:') for name in self.faults)} kinds of await",
            "hand-offs        " + ", ".join(f"{name} {count:,}" for name, count in self.outcomes.most_common()),
            "acked starts     " + ", ".join(f"{name} {count:,}" for name, count in self.promptness.most_common()),
            f"rare states      {len(SOMETIMES) - len(self.unmet)} of {len(SOMETIMES)} met"
            + "".join(f"; never: {name}" for name in self.unmet),
            f"secrets leaked   {self.leaks}",
            f"broken promises  {len(self.broken)}",
            f"lost {self.lost}, late without excuse {self.late}, doubled unmarked {self.doubled}, foreign touched {self.foreign}",
        ]
        return "\n".join(lines)


def play(seeds: Iterable[int]) -> Figures:
    """Play these seeds in this process."""
    figures = Figures()
    for seed in seeds:
        finished = run(seed, streams=STREAMS)
        figures.seeds += 1
        figures.deliveries += finished.deliveries
        figures.simulated_ms += finished.simulated_ms
        figures.steps += finished.world.steps
        figures.starts += finished.verdict.starts
        figures.lost += finished.verdict.lost
        figures.late += finished.verdict.late
        figures.doubled += finished.verdict.doubled
        figures.foreign += finished.verdict.foreign
        figures.promptness += finished.verdict.promptness
        figures.weathers[finished.weather.kind] += 1
        figures.outages.update(f"{outage.part} {outage.kind}" for outage in finished.weather.outages)
        figures.outcomes += finished.verdict.outcomes
        figures.faults.update(finished.world.injected)
        figures.met += met(finished)
        figures.pairs += pairs_in(finished.world.history)
        figures.broken += [(seed, line) for line in finished.verdict.broken]
        leaked = secrets_in(finished)
        figures.leaks += len(leaked)
        figures.broken += [(seed, f"G6: {text[:300]}") for text in leaked]
    return figures


def campaign(first: int, seeds: int, *, jobs: int = 2, deliveries: int | None = None) -> Iterator[Figures]:
    """Play seeds `first`, `first + 1`, ... over `jobs` processes; yields the sum after each chunk.

    Ends after `seeds` seeds, or earlier once `deliveries` were made.
    """
    total = Figures()
    begun = time.monotonic()
    chunks = _chunks(first, seeds)
    # Not forked: the tests that ran before in this process may have left threads (gRPC's) whose locks a fork would hold for ever.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        pending = [pool.submit(play, chunk) for chunk in itertools.islice(chunks, jobs * 2)]
        while pending:
            total.add(pending.pop(0).result())
            total.seconds = time.monotonic() - begun
            yield total
            if deliveries is not None and total.deliveries >= deliveries:
                for future in pending:
                    future.cancel()
                return
            pending += [pool.submit(play, chunk) for chunk in itertools.islice(chunks, 1)]


def _chunks(first: int, seeds: int) -> Iterator[range]:
    for start in range(first, first + seeds, CHUNK):
        yield range(start, min(start + CHUNK, first + seeds))
