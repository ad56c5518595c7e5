"""Every rate, limit, lease and time budget of the service, in one table. `tests/unit/relay/test_budgets.py` adds them up.

Times are milliseconds unless a name says otherwise. What a setting decides is in `Rules`; what Google's and Recall's documents
decide is named with its source. Infrastructure takes its numbers from its own program; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass

ACK_MS = 3_000
"""How long Zoom waits for an answer (Zoom docs, "Using webhooks")."""

ACK_SLACK_MS = 300
"""How much longer an ack waits for the second queue once the first has the task."""

ENQUEUE_MS = 2_000
"""How long one CreateTask may take: with `ACK_SLACK_MS` it fits into `ACK_MS`."""

ENQUEUE_PAUSE_MS = 100
"""Between two tries of a CreateTask."""

REPEATED_ACK_MS = 2_500
"""Until when a webhook that its vendor repeats (all but starts) is tried once more before it is answered 500."""

SECOND_REGION_DELAY_MS = 5_000
"""How much later than the first the copy of a start in the second region is due."""

STORE_MS = 2_000
"""How long the store has, in all, before the POST of a start. After that it counts as away."""

LAST_TRY_MS = 3_000
"""No try is planned in the last seconds of a connect window: Recall needs them to join."""

LATE_MS = 300_000
"""A start first seen this long after its event_ts is still tried, once."""

LEASE_MARGIN_MS = 5_000
"""How much longer than one call to Recall a worker holds a hand-off."""

DISPATCH_MARGIN_MS = 30_000
"""How much longer than the connect window a dispatch of `handoffs` may last."""

REFUSED_PAUSE_MS = 5_000
"""Between two tries when a key, a firewall or an address seems wrong (401 to 405, 3xx): keys are rotated, firewalls blink."""

BUSY_PAUSE_MS = 30_000
"""Between two tries after 429 or 507 without Retry-After (Recall docs, "Errors")."""

IN_FLIGHT_PAUSE_MS = 1_000
"""Between two tries after 409: the first POST of this key is still at work."""

IN_FLIGHT_LIMIT_MS = 20_000
"""How long a key may answer 409 before the next one is used."""

BACKOFF_MS = 500
BACKOFF_DOUBLINGS = 4

KEY_LIFE_MS = 3_000_000
"""An Idempotency-Key is not used after 50 minutes: Recall forgets it after an hour (Recall docs, "Idempotency")."""

MAX_WINDOW_MS = 1_800_000
"""The longest connect window that may be set: Cloud Tasks waits 30 minutes for an answer at most (Cloud Tasks docs, dispatchDeadline)."""

LOOK_SLOT_MS = 30_000
"""Looks for one hand-off that fall into the same half minute are one task."""

LOOK_DELAY_MS = 2_000
"""From a webhook of Recall's to the look that it causes: what comes together is read together."""

FIRST_LOOK_MS = 20_000
"""From the end of a stream to the first look for its recording, and the unit of the backoff between looks."""

LONGEST_STREAM_MS = 86_400_000
"""Inferred: when no stop is heard of, a stream counts as ended a day after it began."""

ARCHIVE_LEASE_MS = 1_800_000
"""How long a worker may copy a hand-off's artifacts: the task's deadline. Erasure waits it out, so that no copy can appear after it."""

COPY_MS = 1_500_000
"""How long the copies of one task may take together: less than its deadline, so that the end of a slow one is recorded and counted."""

COPY_TRIES = 5
"""After so many tasks that could not even copy one artifact in their time, a hand-off's archive is given up."""

ARCHIVE_MARGIN_MS = 60_000

ERASE_AGAIN_MS = 60_000
RECHECKS_MS = (60_000, 600_000, 3_600_000, 21_600_000, 86_400_000)
"""After everything was erased, when to look again whether something appeared."""

ERASE_REFUSED_MS = 3_600_000
"""A deletion that was refused for this long is an ALERT, and again each day."""

ERASE_UNSEEN_MS = 86_400_000
"""A revoked hand-off that Recall accepted, and of which no recording was ever seen, is an ALERT after this time, and again each day."""

DAY_MS = 86_400_000

SWEEP_MS = 60_000
SWEEP_LIMIT = 1_000
"""Records that one sweep reads."""

SWEEP_BUDGET_MS = 45_000
"""How long a sweep continues with looks. Hand-offs come first, and have no such limit."""

SWEEP_LOOKS = 60
"""Looks that a sweep does itself when the queue takes none: Recall lets 300 reads a minute through (Recall docs, limits)."""

OVERDUE_MS = 600_000
"""A look whose task seems lost is enqueued under another name after this time."""

RETRY_MS = 20_000
"""How long a retry that a person asks for waits for what comes of it; together with one call to Recall it fits into the caller's minute."""

PROBE_ARRIVES_MS = 60_000
"""A probe that does not arrive within this time is an ALERT."""

CHECKUPS_KEPT = 8
"""How many of the latest check-ups are on record."""

UNUSABLE_BYTES = 16_384
UNUSABLE_DAYS = 30
"""How much of an event that cannot be used is kept, and for how long."""

TASK_BYTES = 65_536
"""More than any task of this service; Cloud Tasks takes 1 MB."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The durations that settings decide."""

    connect_window_ms: int = 60_000
    recall_timeout_ms: int = 15_000
    poll_ms: int = 1_800_000
    give_up_ms: int = 86_400_000

    @property
    def lease_ms(self) -> int:
        """How long one attempt holds a hand-off."""
        return self.recall_timeout_ms + LEASE_MARGIN_MS
