"""The rules of a Cloud Tasks queue as values: limits, retries, names. Pure.

Sources: the google-cloud-tasks 2.26 API reference (messages Queue, RateLimits, RetryConfig, Task, HttpRequest) and the guide "Create
HTTP target tasks". What they leave open is a switch of `CloudTasksSwitches`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

LOCATION_NAME = re.compile(r"projects/[A-Za-z0-9:.-]+/locations/[A-Za-z0-9-]+")
QUEUE_NAME = re.compile(LOCATION_NAME.pattern + r"/queues/[A-Za-z0-9-]{1,100}")
TASK_NAME = re.compile(r"(?P<queue>" + QUEUE_NAME.pattern + r")/tasks/[A-Za-z0-9_-]{1,500}")

DAY_S = 86_400.0
MAX_SCHEDULE_S = 30 * DAY_S
RETENTION_S = 31 * DAY_S
MAX_TASK_BYTES = 1_048_576
MAX_HEADER_BYTES = 80 * 1024
MAX_URL_LENGTH = 2083
DEFAULT_DEADLINE_S = 600.0
DEADLINE_RANGE_S = (15.0, 1800.0)
MAX_RATE = 500.0
MAX_CONCURRENT = 5000

THROTTLING_STATUSES = frozenset({429, 503})
"""HttpRequest: "a higher backoff rate" follows these."""


def _switch(default: Any, evidence: str, doc: str, source: str) -> Any:
    """A field of `CloudTasksSwitches`."""
    return field(default=default, metadata={"evidence": evidence, "doc": doc, "source": source})


@dataclass(frozen=True, slots=True)
class CloudTasksSwitches:
    """Where the documentation leaves room, or contradicts itself. Times in seconds."""

    dedup_s: float = _switch(
        DAY_S, "documented", "how long the name of a finished or deleted task stays taken; older pages say one hour", "CreateTask"
    )
    queue_tombstone_s: float = _switch(
        3 * DAY_S, "documented", "how long the name of a deleted queue stays taken: up to 3 days; here all of it", "DeleteQueue"
    )
    truncate_backoff: bool = _switch(
        True, "documented", "whole seconds only for a queue's own durations; the default min_backoff stays 0.1 s", "RetryConfig"
    )
    attempts_end_unlimited_duration: bool = _switch(
        True,
        "inferred",
        "with max_retry_duration 0, max_attempts alone ends a task; to the letter both must be met",
        "RetryConfig",
    )
    system_throttling: bool = _switch(
        True, "inferred", "after a 429 or 503 the queue's rate is halved, down to 1/64; each success doubles it again", "HttpRequest"
    )
    heed_retry_after: bool = _switch(True, "inferred", "a Retry-After in seconds puts off the next attempt at least so long", "HttpRequest")


@dataclass(frozen=True, slots=True)
class Limits:
    """RateLimits; the defaults are those of a queue made without any."""

    dispatches_per_s: float = 500.0
    concurrent: int = 1000

    @property
    def burst(self) -> int:
        """`max_burst_size`, output only: "generally at least equal to max_dispatches_per_second". [inf]: equal, rounded up."""
        return max(1, math.ceil(self.dispatches_per_s))


@dataclass(frozen=True, slots=True)
class Retry:
    """RetryConfig; the defaults are those of a queue made without any. `max_attempts` -1 and `max_duration_s` 0 are unlimited."""

    max_attempts: int = 100
    max_duration_s: float = 0.0
    min_backoff_s: float = 0.1
    max_backoff_s: float = 3600.0
    max_doublings: int = 16

    def backoff_s(self, failures: int) -> float:
        """Wait after the n-th failure (n from 1): doubled `max_doublings` times, then growing by as much each time, to the maximum."""
        doubled = min(failures - 1, self.max_doublings)
        further = failures - 1 - doubled
        return min(self.min_backoff_s * 2**doubled * (1 + further), self.max_backoff_s)

    def exhausted(self, attempts: int, since_first_s: float, switches: CloudTasksSwitches) -> bool:
        """Whether no further attempt is made: only when **both** limits are reached."""
        attempts_over = self.max_attempts != -1 and attempts >= self.max_attempts
        duration_over = 0 < self.max_duration_s <= since_first_s
        if self.max_attempts == -1:
            return duration_over
        if self.max_duration_s == 0:
            return attempts_over and switches.attempts_end_unlimited_duration
        return attempts_over and duration_over


@dataclass(frozen=True, slots=True)
class QueueNumbers:
    """What one queue is configured with; the defaults are those of a queue made without any."""

    retry: Retry = Retry()
    limits: Limits = Limits()


@dataclass(slots=True)
class Bucket:
    """A token bucket: one token for each dispatch, refilled at the queue's rate times `share` (system throttling)."""

    limits: Limits
    tokens: float
    at: float
    share: float = 1.0
    scale: float = 1.0
    """A fault's part in the rate: 1 is none."""

    @property
    def rate(self) -> float:
        """Dispatches a second at present."""
        return self.limits.dispatches_per_s * self.share * self.scale

    def set_scale(self, scale: float, now: float) -> None:
        self._refill(now)
        self.scale = scale
        self.tokens = min(self.tokens, self._capacity())

    def ready_at(self, now: float) -> float:
        """The moment at which a token is there; `now` if one is there already."""
        self._refill(now)
        return now if self.tokens >= 1 else now + (1 - self.tokens) / self.rate

    def take(self, now: float) -> None:
        self._refill(now)
        self.tokens -= 1

    def slow_down(self, now: float) -> None:
        self._refill(now)
        self.share = max(self.share / 2, 1 / 64)
        self.tokens = min(self.tokens, self._capacity())

    def speed_up(self, now: float) -> None:
        self._refill(now)
        self.share = min(self.share * 2, 1.0)

    def _refill(self, now: float) -> None:
        # A billionth is forgiven: a sleep that ends on the very moment must find its token. The clock can be put back (`rtmskit reset`).
        grown = self.tokens + max(0.0, now - self.at) * self.rate + 1e-9
        self.tokens, self.at = min(self._capacity(), grown), now

    def _capacity(self) -> float:
        return max(1.0, self.limits.burst * self.share * self.scale)
