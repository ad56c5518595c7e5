"""One hand-off: what identifies it, and the sum of its attempt, its retrieval and its erasure.

What concerns more than one of the three is decided here; each of them knows only itself.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from rtms_relay.budgets import Rules
from rtms_relay.handoff import attempt as attempts
from rtms_relay.handoff import erasure as erasures
from rtms_relay.handoff import facts as known
from rtms_relay.handoff import retrieval as retrievals
from rtms_relay.handoff.answers import Outcome
from rtms_relay.handoff.attempt import Attempt, Situation
from rtms_relay.handoff.erasure import Erasure
from rtms_relay.handoff.facts import Facts
from rtms_relay.handoff.retrieval import Retrieval
from rtms_relay.ports import Recording


class HandOff(msgspec.Struct, frozen=True, kw_only=True):
    """One (deployment, stream, server_urls, epoch) given to Recall. The ids are "" once the stream was revoked."""

    key: str
    stream_key: str
    product: str
    entity_id: str
    stream_id: str
    server_urls: str
    account_id: str = ""
    epoch: int
    created_at: int
    attempt: Attempt
    retrieval: Retrieval = Retrieval()
    erasure: Erasure = Erasure()

    @property
    def look_at(self) -> int | None:
        """When Recall must be asked next, to find the recording or to delete it."""
        return self.erasure.at if self.erasure.on else self.retrieval.look_at

    @property
    def due_at(self) -> int | None:
        """The next moment at which something must be done, so that no record is ever forgotten."""
        return min((at for at in (self.attempt.due_at, self.look_at) if at is not None), default=None)


def new(facts: Facts, run_key: str, server_urls: str, epoch: int, now: int) -> HandOff:
    """A pending hand-off for a run of the stream. A revoked stream's has no content from its beginning."""
    return HandOff(
        key=run_key,
        stream_key=facts.key,
        product=facts.product,
        entity_id=facts.entity_id,
        stream_id=facts.stream_id,
        server_urls="" if facts.revoked_ts else server_urls,
        account_id=facts.account_id,
        epoch=epoch,
        created_at=now,
        attempt=Attempt(start_ts=epoch, state_at=now, next_at=now),
    )


def refuse(handoff: HandOff, reason: str, now: int) -> HandOff:
    """Fail it before any try: its servers are not to be given a signature."""
    return replace(handoff, attempt=attempts.move(handoff.attempt, "refused", now, reason))


def settle(handoff: HandOff, facts: Facts, now: int, rules: Rules) -> HandOff:
    """Bring a hand-off in line with its stream's facts and the time. Idempotent; the same facts give the same state."""
    situation = _situation(handoff, facts)
    handoff = replace(handoff, attempt=attempts.settle(handoff.attempt, situation, now, rules))
    if facts.revoked_ts:
        return _forget(handoff, now)
    return _looked_for(_ended(handoff, facts, now), now)


def _situation(handoff: HandOff, facts: Facts) -> Situation:
    run = facts.run(handoff.key)
    return Situation(
        newest=facts.is_newest(handoff.key),
        start_ts=run.newest_ts if run is not None else handoff.attempt.start_ts,
        stopped_ts=facts.stopped_ts,
        stop=known.stop_words(facts),
        revoked=bool(facts.revoked_ts),
    )


def _ended(handoff: HandOff, facts: Facts, now: int) -> HandOff:
    """Once the stream, or its time on these servers, is over, its recording is looked for soon; a loss that Zoom names is noted."""
    attempt, newest = handoff.attempt, facts.newest
    replaced = newest is not None and not facts.is_newest(handoff.key)
    ended_at = max(facts.stopped_ts, newest.newest_ts if replaced and newest is not None else 0)
    if ended_at <= attempt.start_ts or attempt.state == "pending" or not attempt.perhaps_posted:
        return handoff
    retrieval = retrievals.end(handoff.retrieval, ended_at, now)
    if attempt.posted and not replaced and (loss := known.loss_of(facts)):
        retrieval = replace(retrieval, not_joined=loss)
    return replace(handoff, retrieval=retrieval)


def _looked_for(handoff: HandOff, now: int) -> HandOff:
    """An attempt that ended in doubt may have made an MDC: look for its recording by the metadata planted in it."""
    attempt, retrieval = handoff.attempt, handoff.retrieval
    if attempt.state == "pending" or attempt.posted or not attempt.unsure or retrieval.state != "none":
        return handoff
    return replace(handoff, retrieval=retrievals.end(retrieval, now, now))


def after_answer(handoff: HandOff, number: int, outcome: Outcome, now: int, jitter: float, rules: Rules) -> HandOff:
    """Recall answered try `number`, or did not; `handoff` is as stored now."""
    before = handoff.attempt
    handoff = replace(handoff, attempt=attempts.after_answer(before, number, outcome, now, jitter, rules))
    if handoff.erasure.on:
        return _without_words(_erased_again(before, handoff, now))
    return _accepted(handoff, now, rules) if handoff.attempt.posted and not before.posted else handoff


def _erased_again(before: Attempt, handoff: HandOff, now: int) -> HandOff:
    """If a POST that the record did not know of made something, or may have, it is looked for, even if the stream counts as erased."""
    attempt = handoff.attempt
    news = (attempt.posted and not before.posted) or (attempt.perhaps_posted and not before.perhaps_posted)
    return replace(handoff, erasure=erasures.resume(handoff.erasure, "posted", now)) if news else handoff


def _accepted(handoff: HandOff, now: int, rules: Rules) -> HandOff:
    return replace(handoff, retrieval=retrievals.expect(handoff.retrieval, now + rules.poll_ms))


def announced(handoff: HandOff, message: str, recording_id: str | None, now: int) -> HandOff:
    """A webhook of Recall's names this hand-off."""
    retrieval = retrievals.announced(handoff.retrieval, message, recording_id, now)
    if retrieval == handoff.retrieval:
        return handoff
    if handoff.erasure.on:
        return replace(
            handoff,
            retrieval=replace(retrieval, state=handoff.retrieval.state, look_at=None),
            erasure=erasures.resume(handoff.erasure, "announced", now),
        )
    return replace(handoff, retrieval=retrieval)


def after_look(handoff: HandOff, views: Iterable[Recording], foreign: Iterable[str], mdc_status: str, now: int, rules: Rules) -> HandOff:
    """The record after everything that Recall has of it was read. `views`: what is ours. `foreign`: ids that turned out not to be."""
    views, strangers = tuple(views), set(foreign)
    if views and not handoff.attempt.posted:
        attempt = attempts.accept(handoff.attempt, now, None, "a recording of it was seen")
        handoff = _accepted(replace(handoff, attempt=attempt), now, rules)
    recordings = tuple(recording for recording in handoff.retrieval.recordings if recording.id not in strangers)
    retrieval = retrievals.after_look(replace(handoff.retrieval, recordings=recordings), views, mdc_status, now, rules)
    return replace(handoff, retrieval=retrieval)


def verdict(handoff: HandOff, facts: Facts | None, now: int, rules: Rules) -> tuple[retrievals.Trigger, str] | None:
    """Whether the retrieval is over, and why."""
    cause = known.loss_of(facts) if facts is not None else ""
    late = retrievals.too_late(handoff.retrieval, handoff.created_at, handoff.attempt.accepted_at, now, rules)
    return retrievals.judge(handoff.retrieval, late=late, cause=cause)


def _forget(handoff: HandOff, now: int) -> HandOff:
    """Turn the record into a tombstone: no id of a meeting, stream, server or account, and no words of Recall's, remain on it.

    What is needed to find and delete content at Recall (the MDC's and the recordings' ids) stays until that is done.
    """
    attempt, retrieval = handoff.attempt, handoff.retrieval
    if handoff.erasure.on:
        return handoff
    made_nothing = not attempt.tries and not attempt.perhaps_posted and not retrieval.recordings
    handoff = replace(
        handoff,
        entity_id="",
        stream_id="",
        server_urls="",
        account_id="",
        retrieval=replace(
            retrieval,
            recordings=tuple(replace(recording, artifacts={}) for recording in retrieval.recordings),
            archived=(),
            look_at=None,
            mdc_status="",
            not_joined="",
        ),
        erasure=erasures.revoke(handoff.erasure, now, made_nothing=made_nothing),
    )
    return buried(_without_words(handoff))


def _without_words(handoff: HandOff) -> HandOff:
    return replace(handoff, attempt=replace(handoff.attempt, reason="the stream was revoked", history=(), history_at=()))


def after_erasure(handoff: HandOff, deleted: Iterable[str], *, clean: bool, now: int) -> HandOff:
    """The tombstone after one round of deletion."""
    gone = tuple(deleted)
    marked = tuple(Recording(id=recording_id, status="deleted", read=True) for recording_id in gone)
    accepted = handoff.attempt.mdc_id is not None
    return buried(
        replace(
            handoff,
            retrieval=replace(handoff.retrieval, recordings=retrievals.merged(handoff.retrieval.recordings, marked)),
            erasure=erasures.after_round(handoff.erasure, gone, clean=clean, accepted=accepted, now=now),
        )
    )


def buried(handoff: HandOff) -> HandOff:
    """When the last round is over, the ids at Recall go, too."""
    if handoff.erasure.state != "forgotten" or handoff.erasure.at is not None:
        return handoff
    return replace(
        handoff,
        attempt=replace(handoff.attempt, mdc_id=None),
        retrieval=replace(handoff.retrieval, recordings=(), seen=()),
        erasure=replace(handoff.erasure, deleted=()),
    )


def after_posts(handoff: HandOff, outcomes: Iterable[tuple[Outcome, int]], now: int, rules: Rules) -> HandOff:
    """The outcomes of POSTs with key 0 while the store was away: (outcome, when). They are over, so nothing is tried again for them.

    No outcome at all: a worker is about to begin such a POST, or has crashed at it.
    """
    outcomes = tuple(outcomes)
    if not outcomes:
        return _erased_again(handoff.attempt, replace(handoff, attempt=attempts.tried_unseen(handoff.attempt)), now)
    another_key = handoff.attempt.keys.number > 0
    for outcome, at in outcomes:
        handoff = after_answer(handoff, -1, outcome, at, 0.0, rules)
    attempt = handoff.attempt
    if attempt.posted:
        # Every try used key 0 unless another key is on record, and one key makes one MDC.
        return replace(handoff, attempt=replace(attempt, unsure=another_key))
    if attempt.state == "pending" and attempt.lease_until is None:
        attempt = replace(attempt, tries=max(attempt.tries, len(outcomes)), next_at=None)
        if outcomes and outcomes[-1][0].kind == "refused":
            attempt = attempts.move(attempt, "refused", now, outcomes[-1][0].reason)
    return replace(handoff, attempt=attempt)


def doubled(handoff: HandOff, mdc_id: str | None) -> bool:
    """Whether Recall named another MDC than the one on record."""
    return mdc_id is not None and handoff.attempt.mdc_id is not None and mdc_id != handoff.attempt.mdc_id
