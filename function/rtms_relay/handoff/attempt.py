"""Getting one hand-off accepted by Recall, pure: its states, its transitions, and when to try next.

The state follows from the stream's facts (`settle`), from the clock, and from Recall's answers (`after_answer`). All times are ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec.structs import replace

from rtms_relay import budgets
from rtms_relay.budgets import Rules
from rtms_relay.handoff import keys as keyring
from rtms_relay.handoff.answers import Outcome, pause_ms
from rtms_relay.handoff.keys import Keys

State = Literal["pending", "accepted", "cancelled", "superseded", "failed", "expired"]
Trigger = Literal["accepted", "refused", "newer_start", "stopped", "window_past", "asked_again"]

TRANSITIONS: Mapping[tuple[State, Trigger], State] = {
    ("pending", "accepted"): "accepted",
    ("pending", "refused"): "failed",
    ("pending", "newer_start"): "superseded",
    ("pending", "stopped"): "cancelled",
    ("pending", "window_past"): "expired",
    ("accepted", "newer_start"): "superseded",
    # An answer that came after the decision, or a recording seen later: Recall did accept.
    ("cancelled", "accepted"): "accepted",
    ("expired", "accepted"): "accepted",
    ("failed", "accepted"): "accepted",
    # Facts that arrived out of order.
    ("cancelled", "newer_start"): "superseded",
    ("expired", "newer_start"): "superseded",
    ("expired", "stopped"): "cancelled",
    # A person asks for one more try, within the window.
    ("failed", "asked_again"): "pending",
    ("expired", "asked_again"): "pending",
}
"""(state, what happened) -> state. What is not in the table changes nothing."""

TRIGGERS: Mapping[Trigger, str] = {
    "accepted": "Recall answered 2xx with an id, or a recording of this hand-off was seen",
    "refused": "Recall refused it for good, or the server is not allowed",
    "newer_start": "the same stream started on other servers, or once more, at a later event_ts",
    "stopped": "the stream ended, or was revoked, before it was handed on",
    "window_past": "the connect window passed without an answer",
    "asked_again": "a person asked for one more try while the stream could still be joined",
}

HISTORY_LIMIT = 20


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a hand-off at Recall's create.

    `start_ts`: event_ts of the newest start it answers. `late`: first seen after its window, so tried once. `next_at`: when the next try
    is planned. `lease_until`: until then a worker holds it.
    `unsure`: one more MDC than is known may have been made. `history`: one line for each of the last tries. `history_at`: when
    they ended; a record of an earlier release lacks the first ones.
    """

    start_ts: int
    state: State = "pending"
    state_at: int
    reason: str = ""
    late: bool = False
    tries: int = 0
    next_at: int | None = None
    lease_until: int | None = None
    keys: Keys = Keys()
    unsure: bool = False
    history: tuple[str, ...] = ()
    history_at: tuple[int, ...] = ()
    mdc_id: str | None = None
    accepted_at: int | None = None

    @property
    def posted(self) -> bool:
        """Whether Recall is known to have accepted it."""
        return self.accepted_at is not None

    @property
    def perhaps_posted(self) -> bool:
        return self.posted or self.unsure or self.keys.doubtful or self.lease_until is not None

    @property
    def due_at(self) -> int | None:
        """From when on the sweep may take a pending one for forgotten."""
        return max(self.next_at or 0, self.lease_until or 0) if self.state == "pending" else None


@dataclass(frozen=True, slots=True)
class Situation:
    """What the stream's facts mean for one hand-off. `stopped_ts` 0: no stop. `stop`: the stop in words."""

    newest: bool
    start_ts: int
    stopped_ts: int = 0
    stop: str = ""
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Too early: another worker is at it, or a pause is on."""

    until: int
    why: str


def window_end(attempt: Attempt, rules: Rules) -> int:
    return attempt.start_ts + rules.connect_window_ms


def settle(attempt: Attempt, situation: Situation, now: int, rules: Rules) -> Attempt:
    """Bring the state in line with the facts and the time. Idempotent."""
    if situation.start_ts > attempt.start_ts:
        # A newer start has a window of its own, however late the one before was seen.
        attempt = replace(attempt, start_ts=situation.start_ts, late=False)
    if not situation.newest:
        return move(attempt, "newer_start", now, "the stream started again later, on other servers or after this recording")
    if attempt.posted or attempt.state not in ("pending", "expired"):
        return attempt
    end = window_end(attempt, rules)
    over = situation.stopped_ts > attempt.start_ts and (attempt.state == "pending" or situation.stopped_ts <= end)
    if situation.revoked or over:
        why = "the stream was revoked" if situation.revoked else f"the stream ended before it was handed on ({situation.stop or 'stopped'})"
        return move(attempt, "stopped", now, why)
    return _with_the_time(attempt, now, end, rules)


def _with_the_time(attempt: Attempt, now: int, end: int, rules: Rules) -> Attempt:
    """Bring the state in line with the time: a start first seen after its window is tried once, then the window is past."""
    if attempt.state == "pending" and attempt.tries == 0 and now >= end and not attempt.late and now < attempt.start_ts + budgets.LATE_MS:
        attempt = replace(attempt, late=True)
    if _spent(attempt, now, end):
        return move(attempt, "window_past", now, _expiry(attempt, rules))
    return attempt


def _spent(attempt: Attempt, now: int, end: int) -> bool:
    """Whether no try is left for a pending one. A try under way is waited for."""
    if attempt.state != "pending" or (attempt.lease_until is not None and attempt.lease_until > now):
        return False
    if attempt.keys.expired(now):
        return True
    if attempt.late:
        return attempt.tries > 0 or now >= attempt.start_ts + budgets.LATE_MS
    tried_out = attempt.tries > 0 and attempt.next_at is None and attempt.lease_until is None
    return now >= end or tried_out


def _expiry(attempt: Attempt, rules: Rules) -> str:
    reason = f"not handed on within {rules.connect_window_ms / 1000:g} s of its start"
    if attempt.late:
        reason += "; first seen late" + (" and tried once" if attempt.tries else "")
    if attempt.history:
        reason += f"; last attempt: {attempt.history[-1]}"
    if attempt.perhaps_posted:
        reason += "; an attempt may have made a recording, which is looked for"
    return reason


def decide(attempt: Attempt, now: int) -> Wait | bool:
    """What a worker may do with a settled one: True to POST, `Wait`, or False (it is not pending)."""
    if attempt.state != "pending":
        return False
    if attempt.lease_until is not None and attempt.lease_until > now:
        return Wait(attempt.lease_until, "another attempt is under way")
    if attempt.next_at is not None and attempt.next_at > now:
        return Wait(attempt.next_at, "a pause is on")
    return True


def begin(attempt: Attempt, now: int, rules: Rules) -> Attempt:
    """The record to store before the POST: it holds the lease and says that the key is used."""
    keys = attempt.keys if attempt.lease_until is None else keyring.left_open(attempt.keys)
    return replace(attempt, tries=attempt.tries + 1, next_at=None, lease_until=now + rules.lease_ms, keys=keyring.used(keys, now))


def after_answer(attempt: Attempt, number: int, outcome: Outcome, now: int, jitter: float, rules: Rules) -> Attempt:
    """The attempt after try `number` ended; `attempt` is as stored now, perhaps changed since. An id is never lost and never replaced."""
    history = (*attempt.history, f"{number}: {outcome.reason or outcome.kind}")[-HISTORY_LIMIT:]
    attempt = replace(attempt, history=history, history_at=(*attempt.history_at, now)[-len(history) :])
    if outcome.kind == "accepted":
        return accept(attempt, now, outcome.mdc_id)
    mine = attempt.tries == number
    if attempt.posted or not mine:
        return replace(attempt, unsure=attempt.unsure or (outcome.kind == "in_doubt" and not attempt.posted))
    attempt = replace(attempt, lease_until=None, next_at=None)
    if outcome.kind == "refused":
        return move(attempt, "refused", now, outcome.reason)
    keys = keyring.after(attempt.keys, outcome, now)
    attempt = replace(attempt, keys=keys, unsure=attempt.unsure or keys.skipped)
    if attempt.state != "pending":
        return replace(attempt, unsure=attempt.unsure or keys.doubtful)
    return replace(attempt, next_at=_next_try(attempt, number, outcome, now, jitter, rules))


def tried_unseen(attempt: Attempt) -> Attempt:
    """A try with key 0 that the record could not hold: it may have made something."""
    if attempt.keys.number == 0 and attempt.posted:
        return attempt
    if attempt.keys.number == 0 and attempt.state == "pending":
        return replace(attempt, keys=keyring.left_open(attempt.keys))
    return replace(attempt, unsure=True)


def _next_try(attempt: Attempt, number: int, outcome: Outcome, now: int, jitter: float, rules: Rules) -> int | None:
    """When to try again: after a pause, at the latest just before the end of the window; None: no time is left."""
    last = window_end(attempt, rules) - budgets.LAST_TRY_MS
    return None if attempt.late or now >= last else min(now + pause_ms(outcome, number, jitter), last)


def accept(attempt: Attempt, now: int, mdc_id: str | None, reason: str = "") -> Attempt:
    """Recall accepted it, in whatever state it was thought to be."""
    attempt = replace(
        attempt,
        mdc_id=attempt.mdc_id or mdc_id,
        accepted_at=attempt.accepted_at or now,
        next_at=None,
        lease_until=None,
        keys=replace(attempt.keys, doubtful=False),
    )
    return move(attempt, "accepted", now, reason)


def move(attempt: Attempt, trigger: Trigger, now: int, reason: str) -> Attempt:
    """One transition of the table. A pending one that is left while a try of it may have had an effect becomes unsure."""
    state = TRANSITIONS.get((attempt.state, trigger))
    if state is None or state == attempt.state:
        return attempt
    doubtful = state not in ("pending", "accepted") and not attempt.posted and attempt.perhaps_posted
    return replace(attempt, state=state, state_at=now, reason=reason, next_at=None, unsure=attempt.unsure or doubtful)
