"""When failures disable an endpoint (pure).

Sources: Recall's page on webhooks (all deliveries fail for five days) and Svix's "Retry Schedule", which says when the five days begin.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

DAY_S = 86_400.0
DISABLED_AFTER_S = 5 * DAY_S
SPAN_S = DAY_S
"""Failures further apart than this do not belong together."""
APART_S = DAY_S / 2
"""So far apart must two failures within `SPAN_S` be for the five days to begin."""


@dataclass(slots=True)
class FailureRun:
    """The failures since the last success, by the moments at which they ended. `since`: when the five days began, None before."""

    since: float | None = None
    _recent: deque[float] = field(default_factory=deque)

    def failed(self, at: float) -> bool:
        """Note a failure that ended at `at`, no earlier than the one before. True when the endpoint is disabled by it."""
        while self._recent and at - self._recent[0] > SPAN_S:
            self._recent.popleft()
        if self.since is not None:
            return at - self.since >= DISABLED_AFTER_S
        if self._recent and at - self._recent[0] >= APART_S:
            self.since = at
        self._recent.append(at)
        return False

    def ended(self) -> None:
        """A success, or somebody enabled the endpoint again: the run is over."""
        self.since = None
        self._recent.clear()
