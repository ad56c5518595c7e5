"""`Idempotency-Key`: one hour per user and path, 409 while the first is in flight, the body is not compared (pure).

Source: docs/evidence/recall.md B5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

KEPT_S = 3_600.0


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """A completed request's answer, as it was sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Verdict(Enum):
    """What to do with a request that carries a key, when there is no stored answer."""

    PERFORM = "perform"
    IN_FLIGHT = "in_flight"


Scope = tuple[str, str, str]


def scope(user: str, path: str, key: str) -> Scope:
    """Where a key counts. `/x` and `/x/` share a scope (inferred)."""
    return user, path.rstrip("/"), key


@dataclass(slots=True)
class IdempotencyKeys:
    """Answers by scope. `begin` and then either `complete` or `abandon`."""

    _answers: dict[Scope, tuple[float, StoredAnswer]] = field(default_factory=dict)
    _in_flight: set[Scope] = field(default_factory=set)

    def begin(self, where: Scope, now: float) -> StoredAnswer | Verdict:
        """The stored answer, or that another request is still being performed, or that this one is to be performed now."""
        if where in self._in_flight:
            return Verdict.IN_FLIGHT
        self._forget_old(now)
        entry = self._answers.get(where)
        if entry is not None:
            return entry[1]
        self._in_flight.add(where)
        return Verdict.PERFORM

    def complete(self, where: Scope, answer: StoredAnswer, now: float) -> None:
        self._in_flight.discard(where)
        # Insertion order is age order: a key completes again only after its old answer was forgotten.
        self._answers[where] = (now, answer)

    def abandon(self, where: Scope) -> None:
        """The request ended without an answer worth keeping: the next one with this key is performed."""
        self._in_flight.discard(where)

    def clear(self) -> None:
        self._answers.clear()
        self._in_flight.clear()

    def _forget_old(self, now: float) -> None:
        for where, (completed_at, _) in list(self._answers.items()):
            if completed_at + KEPT_S > now:
                break
            del self._answers[where]
