"""The numbers of the deployment that decide whether a start is handed on in time: one table, pure data.

`pulumi up` deploys these numbers. Tests, chaos runs, the simulation and the benchmarks read them from what the program registers
(`tests.infra.deployment.deployed_numbers`), so that nobody proves a system that is not the deployed one. `check` states how they fit
together; tests/infra/test_numbers.py adds them up together with the budgets of the function's code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

QueueKind = Literal["handoffs", "facts", "retrievals"]

UNLIMITED = -1
"""Cloud Tasks: `max_attempts` -1 tries for as long as the task can live (31 days)."""

NO_DURATION = "0s"
"""Cloud Tasks: `max_retry_duration` 0 sets no limit."""

TASK_DEADLINE_MAX_S = 1800
"""Cloud Tasks waits at most 30 minutes for an answer (Cloud Tasks docs, "dispatchDeadline")."""


@dataclass(frozen=True, slots=True)
class QueueNumbers:
    """One kind of queue.

    `per_second`: dispatches a second; 0 takes the configured `retrievalsPerSecond`. `share`: the part of all requests that the workers
    can handle at once which this queue may occupy, in each of its regions. Back-offs are seconds; Cloud Tasks truncates them to
    whole ones.
    """

    kind: QueueKind
    regions: Literal[1, 2]
    per_second: int
    share: float
    min_backoff_s: int
    max_backoff_s: int
    doublings: int


QUEUES: dict[QueueKind, QueueNumbers] = {
    # A start can be joined for 60 seconds: nothing here may wait. Recall's limit of creates is kept by its own 429 and Retry-After,
    # inside the request; a rate of 1 a second here would hold 50 simultaneous starts for 50 seconds.
    "handoffs": QueueNumbers("handoffs", 2, per_second=100, share=0.2, min_backoff_s=1, max_backoff_s=10, doublings=4),
    # Ends, interruptions and outcomes of hand-offs: short requests that write one or two documents.
    "facts": QueueNumbers("facts", 1, per_second=100, share=0.15, min_backoff_s=1, max_backoff_s=300, doublings=8),
    # Looks at Recall: below its documented 300 retrievals a minute.
    "retrievals": QueueNumbers("retrievals", 1, per_second=0, share=0.3, min_backoff_s=1, max_backoff_s=300, doublings=8),
}
"""Kind -> its numbers. What is left of 1.0 after every share and region is for the sweep and for people."""

RETRIEVALS_PER_SECOND = 4
"""Default of `retrievalsPerSecond`. Recall's documented limit is 300 a minute for each workspace: 5 a second."""

SECOND_REGION_DELAY_S = 5
"""The copy of a start in the second region is due this much later: the first region has normally finished by then."""

DISPATCH_GRACE_S = 30
"""A hand-off's task may be answered until the connect window and this much more have passed."""

SWEEP_CRON = "* * * * *"
PROBE_CRON = "17 3 * * *"
"""Once a day one harmless task goes through every queue; an idle queue of Cloud Tasks sleeps."""

SWEEP_DEADLINE_S = 60
"""Cloud Scheduler waits this long for the answer of one sweep; the next sweep begins then."""

WEBHOOK_GRACE_S = 30
"""The webhook goes on trying to enqueue a start until the connect window ends; this is for the answer."""

WORKER_TIMEOUT_S = 1800
"""A retrieval may copy a long recording: as long as Cloud Tasks waits at most."""

WORKER_MIN_INSTANCES = 1
WORKER_MAX_INSTANCES = 10
WORKER_CONCURRENCY = 40
WEBHOOK_MIN_INSTANCES = 1
WEBHOOK_MAX_INSTANCES = 20
WEBHOOK_CONCURRENCY = 80
"""Requests that one webhook instance handles at once. While both regions of Cloud Tasks refuse, each start occupies one of these
until its window ends: 20 x 80 starts a minute fit."""

SLOTS_MIN = 10
"""`workerMaxInstances` x `workerConcurrency` at least: every queue and region needs one request at a time, and some must be left."""


def webhook_timeout_s(connect_window_s: int) -> int:
    return min(3600, connect_window_s + WEBHOOK_GRACE_S)


def concurrent(kind: QueueKind, slots: int) -> int:
    """How many tasks of a queue, in one region, may be with the workers at once. `slots`: instances x concurrency of the worker."""
    return max(1, min(5000, int(slots * QUEUES[kind].share)))


def check(slots: int) -> Iterator[str]:
    """What does not fit together, one sentence each, for workers that handle `slots` requests at once."""
    taken = {kind: concurrent(kind, slots) * queue.regions for kind, queue in QUEUES.items()}
    if taken["retrievals"] * 2 > slots:
        yield f"retrievals may take {taken['retrievals']} of {slots} requests: more than half"
    if taken["handoffs"] > slots - taken["retrievals"] - taken["facts"]:
        yield f"hand-offs do not fit beside retrievals and facts: {taken} of {slots}"
    if sum(taken.values()) >= slots:
        yield f"nothing is left for the sweep: {taken} of {slots}"
