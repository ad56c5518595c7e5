"""What a person can still have done for one hand-off, pure: try it once more, look for its recording again, or nothing, and why.

Which Idempotency-Key a further try uses is not decided here: `keys.after` says which one is next.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec.structs import replace

from rtms_relay.budgets import Rules
from rtms_relay.handoff import attempt as attempts
from rtms_relay.handoff import keys as keyring
from rtms_relay.handoff.answers import Outcome
from rtms_relay.handoff.attempt import Attempt
from rtms_relay.handoff.facts import Facts, stop_words
from rtms_relay.handoff.record import HandOff

Kind = Literal["post", "look", "nothing"]

REFUSED = Outcome(kind="refused", answer="400", status=400)

RESTART = "while the meeting runs, the host can stop the app and start it again: that is a new start, with a hand-off of its own"
"""What remains when a stream cannot be joined any more."""


class Possible(msgspec.Struct, frozen=True, kw_only=True):
    """What can be done, why not more, and what a person can do."""

    kind: Kind
    why: str
    remains: str = ""


def possible(handoff: HandOff, facts: Facts | None, now: int, rules: Rules) -> Possible:
    """`handoff`: settled with these facts and this time. `facts` None: nothing is known of its stream."""
    attempt = handoff.attempt
    if handoff.erasure.on:
        remains = "nothing: its content is deleted at Recall, and no try and no look brings it back"
        return Possible(kind="nothing", why="the stream was revoked", remains=remains)
    if attempt.posted:
        return Possible(kind="look", why="Recall has accepted it already: its recording is looked for again")
    if attempt.state == "pending":
        return _pending(attempt, now)
    if (why := _unreachable(handoff, facts, now, rules)) is None:
        return Possible(kind="post", why="its connect window is open")
    if attempt.unsure or handoff.retrieval.recordings:
        return Possible(kind="look", why=f"{why}; an attempt may have made a recording, which is looked for again", remains=RESTART)
    return Possible(kind="nothing", why=why, remains=_remains(facts, handoff))


def _pending(attempt: Attempt, now: int) -> Possible:
    if attempt.lease_until is not None and attempt.lease_until > now:
        why = f"a try is under way; it ends by {_moment(attempt.lease_until)}"
        return Possible(kind="nothing", why=why, remains="wait: what comes of it is on the record then")
    return Possible(kind="post", why="it is still being tried; the pause before the next try is left out")


def _unreachable(handoff: HandOff, facts: Facts | None, now: int, rules: Rules) -> str | None:
    """Why its stream cannot be joined any more; None: it can."""
    attempt = handoff.attempt
    if facts is not None and not facts.is_newest(handoff.key):
        return "a later start of the same stream has taken its place"
    if facts is not None and facts.stopped_ts > attempt.start_ts:
        return f"the stream has ended ({stop_words(facts) or 'stopped'})"
    end = attempts.window_end(attempt, rules)
    if now >= end:
        return (
            f"its connect window ended {_moment(end)}, {(now - end) // 1000} s ago: Zoom drops a stream that nobody joined within"
            f" {rules.connect_window_ms / 1000:g} s of its start"
        )
    return None


def _remains(facts: Facts | None, handoff: HandOff) -> str:
    newest = None if facts is None else facts.newest
    if facts is not None and newest is not None and not facts.is_newest(handoff.key):
        return f"look at the hand-off that took its place: {newest.key}"
    return RESTART


def again(attempt: Attempt, now: int) -> Attempt:
    """Pending once more, to be tried at once. What Recall refused for good is followed by the next key, as by the rule of `keys`."""
    if attempt.state == "failed" and attempt.tries:
        attempt = replace(attempt, keys=keyring.after(attempt.keys, REFUSED, now))
    return replace(attempts.move(attempt, "asked_again", now, ""), next_at=now)


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
