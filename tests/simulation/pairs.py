"""Which two kinds of trouble met in a run: both within one connect window, so that one start may have had to bear them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations

from tests.simulation.checker import CONNECT_WINDOW_MS
from tests.simulation.weather import HOSTILE, KINDS
from tests.simulation.world import Event

Pair = tuple[str, str]

TROUBLES = (*HOSTILE.faults, "webhook crash", "worker crash", *(f"outage of {part}: {kind}" for part in KINDS for kind in KINDS[part]))
"""Every kind there is: faults, crashes, and outages by their part."""

POSSIBLE = frozenset(combinations(sorted(TROUBLES), 2))


def pairs_in(history: Iterable[Event]) -> Counter[Pair]:
    """Each pair that met in this run, once. An outage meets what comes from a window before its begin to a window after its end."""
    troubles = sorted(span for event in history if (span := _span(event)) is not None)
    return Counter(set(_meetings(troubles)))


def _span(event: Event) -> tuple[int, int, str] | None:
    """(begin, end, kind) of a trouble, ms."""
    if event.who == "fault":
        return event.at_ms, event.at_ms, event.what
    if event.who == "outage":
        return event.at_ms, event.facts["until"], f"outage of {event.what}: {event.facts['kind']}"
    if event.what == "crash":
        return event.at_ms, event.at_ms, f"{event.who.partition('-')[0]} crash"
    return None


def _meetings(troubles: Sequence[tuple[int, int, str]]) -> Iterable[Pair]:
    """Of troubles in the order of their begin. `recent`: until when each kind is near enough to meet what comes."""
    recent: dict[str, int] = {}
    for begin, end, kind in troubles:
        for other, until in recent.items():
            if other != kind and until >= begin:
                yield (kind, other) if kind < other else (other, kind)
        recent[kind] = max(recent.get(kind, 0), end + CONNECT_WINDOW_MS)


def told(pairs: Counter[Pair], seeds: int) -> str:
    """One line: how many of the possible pairs met, in how many seeds the rarest and the middle one did, and which never met."""
    never = sorted(pair for pair in POSSIBLE if not pairs[pair])
    middle = sorted(pairs[pair] for pair in POSSIBLE)[len(POSSIBLE) // 2]
    rarest = min((pair for pair in POSSIBLE if pairs[pair]), key=lambda pair: (pairs[pair], pair), default=None)
    line = f"{len(POSSIBLE) - len(never):,} of {len(POSSIBLE):,} met within a minute; in the middle in {middle:,} of {seeds:,} seeds"
    if rarest is not None:
        line += f", the rarest ({' + '.join(rarest)}) in {pairs[rarest]:,}"
    return line + (f"; never: {', '.join(' + '.join(pair) for pair in never[:10])}" if never else "")
