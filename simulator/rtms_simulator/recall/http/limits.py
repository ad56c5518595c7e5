"""Sliding-window rate limits (docs/evidence/recall.md B4): so many requests of one kind within the last 60 s (pure)."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from dataclasses import dataclass, field

WINDOW_S = 60.0


@dataclass(slots=True)
class SlidingWindows:
    """Remembers when requests of each key were let through."""

    _passed: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def admit(self, key: str, limit: int | None, now: float) -> int | None:
        """None when the request may pass (and is counted), else the whole seconds after which one more may (Retry-After)."""
        if limit is None:
            return None
        passed = self._passed[key]
        while passed and passed[0] <= now - WINDOW_S:
            passed.popleft()
        if len(passed) < limit:
            passed.append(now)
            return None
        frees_at = passed[-limit] + WINDOW_S if limit else now + WINDOW_S
        return max(1, math.ceil(frees_at - now))

    def clear(self) -> None:
        self._passed.clear()
