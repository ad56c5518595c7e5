"""Deleting what is left of a revoked stream, pure: rounds of deletion, and when a person must be alarmed.

A hand-off is `forgotten` only when what Recall made for it was deleted, or when nothing can have been made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec.structs import replace

from rtms_relay import budgets

State = Literal["none", "forgetting", "forgotten"]
Trigger = Literal["revoked", "erased", "posted", "announced"]

TRANSITIONS: Mapping[tuple[State, Trigger], State] = {
    ("none", "revoked"): "forgetting",
    ("forgetting", "erased"): "forgotten",
    ("forgotten", "posted"): "forgetting",
    ("forgotten", "announced"): "forgetting",
}
"""(state, what happened) -> state. What is not in the table changes nothing."""

TRIGGERS: Mapping[Trigger, str] = {
    "revoked": "Zoom withdrew the right to keep it (stop_reason 8)",
    "erased": "nothing of it is left at Recall and in the archive",
    "posted": "an answer or word of a POST that came late says that Recall accepted it, or may have",
    "announced": "a webhook of Recall's names a recording of it",
}


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """`since`: when it began. `at`: the next round. `rounds`: clean ones. `deleted`: recordings of ours that are gone, by id.
    `refused_since`: since when a round fails. `alerted_at`: when somebody was last alarmed."""

    state: State = "none"
    since: int = 0
    at: int | None = None
    rounds: int = 0
    deleted: tuple[str, ...] = ()
    refused_since: int | None = None
    alerted_at: int | None = None

    @property
    def on(self) -> bool:
        """Whether the stream was revoked."""
        return self.state != "none"


def revoke(erasure: Erasure, now: int, *, made_nothing: bool) -> Erasure:
    if erasure.on:
        return erasure
    erasure = _move(replace(erasure, since=now, at=now), "revoked")
    return replace(_move(erasure, "erased"), at=None) if made_nothing else erasure


def resume(erasure: Erasure, trigger: Trigger, now: int) -> Erasure:
    """Something more may be there: delete again, from the first round on."""
    if not erasure.on:
        return erasure
    return replace(_move(erasure, trigger), at=now, rounds=0)


def after_round(erasure: Erasure, deleted: tuple[str, ...], *, clean: bool, accepted: bool, now: int) -> Erasure:
    """One round of deletion ended. `clean`: all of ours is deleted. `accepted`: Recall named an MDC, so something must have been seen.

    After a clean round it looks a few times more, at growing intervals.
    """
    erasure = replace(erasure, deleted=tuple(sorted({*erasure.deleted, *deleted})))
    if not clean:
        return replace(
            erasure, at=now + budgets.ERASE_AGAIN_MS, refused_since=now if erasure.refused_since is None else erasure.refused_since
        )
    erasure = replace(erasure, refused_since=None)
    if accepted and not erasure.deleted:
        # Recall made something that was not seen yet: never forgotten, looked for ever more rarely, at least once a day.
        pause = budgets.RECHECKS_MS[min(erasure.rounds, len(budgets.RECHECKS_MS) - 1)]
        alarm_at = erasure.since + budgets.ERASE_UNSEEN_MS
        at = alarm_at if now < alarm_at < now + pause else now + pause
        return replace(erasure, rounds=erasure.rounds + 1, at=at)
    erasure = _move(erasure, "erased")
    if erasure.rounds >= len(budgets.RECHECKS_MS):
        return replace(erasure, at=None)
    return replace(erasure, rounds=erasure.rounds + 1, at=now + budgets.RECHECKS_MS[erasure.rounds])


def alarm(erasure: Erasure, *, accepted: bool, now: int) -> str:
    """Why somebody must be alarmed now; "" if there is no reason, or it was done within a day."""
    if erasure.state != "forgetting" or (erasure.alerted_at is not None and now - erasure.alerted_at < budgets.DAY_MS):
        return ""
    if erasure.refused_since is not None and now - erasure.refused_since >= budgets.ERASE_REFUSED_MS:
        return "the deletion of a revoked recording is refused for an hour or more"
    if accepted and not erasure.deleted and now - erasure.since >= budgets.ERASE_UNSEEN_MS:
        return "Recall accepted a stream that was revoked, and no recording of it was seen within a day: look there for it"
    return ""


def alarmed(erasure: Erasure, now: int) -> Erasure:
    return replace(erasure, alerted_at=now)


def _move(erasure: Erasure, trigger: Trigger) -> Erasure:
    state = TRANSITIONS.get((erasure.state, trigger))
    return erasure if state is None else replace(erasure, state=state)
