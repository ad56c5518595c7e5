"""The hand-off's life, pure: records, two tables of transitions, and every decision as a function of values.

What a stream did is kept as facts that only grow (newest start, newest stop, revoked or not), so deliveries may come in any
order and any number of times. A hand-off's state follows from its own history at Recall and from those facts (`settle`); the
recording's state follows from what was read (`judge`). Nothing here knows a store, a queue or a clock.

All times are milliseconds since the epoch.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from rtms_relay.ports import Outcome, Recording

State = Literal["pending", "accepted", "cancelled", "superseded", "failed", "expired"]
Trigger = Literal["accepted", "refused", "newer_start", "stopped", "window_past", "restarted", "reinstated"]

TRANSITIONS: Mapping[tuple[State, Trigger], State] = {
    ("pending", "accepted"): "accepted",
    ("pending", "refused"): "failed",
    ("pending", "newer_start"): "superseded",
    ("pending", "stopped"): "cancelled",
    ("pending", "window_past"): "expired",
    ("accepted", "newer_start"): "superseded",
    # An answer that came after the decision, or a recording found later: Recall did accept.
    ("cancelled", "accepted"): "accepted",
    ("expired", "accepted"): "accepted",
    ("failed", "accepted"): "accepted",
    ("superseded", "accepted"): "superseded",
    # Facts that arrived out of order.
    ("cancelled", "newer_start"): "superseded",
    ("expired", "newer_start"): "superseded",
    ("expired", "stopped"): "cancelled",
    ("cancelled", "restarted"): "pending",
    ("expired", "restarted"): "pending",
    ("superseded", "restarted"): "pending",
    # The stream came back to servers it had been handed on for: one hand-off makes one MDC, so it is not handed on again.
    ("superseded", "reinstated"): "accepted",
}
"""(state, what happened) -> state. What is not in the table changes nothing."""

TRIGGERS: Mapping[Trigger, str] = {
    "accepted": "Recall answered 2xx, or a recording of this hand-off was found",
    "refused": "Recall answered what no repetition mends, or the server is not allowed",
    "newer_start": "the same stream started on other servers, at a later event_ts",
    "stopped": "the stream ended, or was revoked, before it was handed on",
    "window_past": "the connect window passed without an answer",
    "restarted": "the same start came again with a later event_ts, or is the newest again",
    "reinstated": "a later start names the servers of this accepted hand-off again",
}

Retrieval = Literal["none", "awaiting", "done", "none_made", "failed", "forgetting", "forgotten"]
RetrievalTrigger = Literal["posted", "announced", "complete", "nothing_made", "all_failed", "revoked", "erased"]

RETRIEVALS: Mapping[tuple[Retrieval, RetrievalTrigger], Retrieval] = {
    ("none", "posted"): "awaiting",
    ("none", "announced"): "awaiting",
    ("awaiting", "complete"): "done",
    ("awaiting", "nothing_made"): "none_made",
    ("awaiting", "all_failed"): "failed",
    ("none_made", "posted"): "awaiting",
    ("done", "announced"): "awaiting",
    ("none_made", "announced"): "awaiting",
    ("failed", "announced"): "awaiting",
    ("none", "revoked"): "forgetting",
    ("awaiting", "revoked"): "forgetting",
    ("done", "revoked"): "forgetting",
    ("none_made", "revoked"): "forgetting",
    ("failed", "revoked"): "forgetting",
    ("forgetting", "erased"): "forgotten",
    ("forgotten", "posted"): "forgetting",
    ("forgotten", "announced"): "forgetting",
}

RETRIEVAL_TRIGGERS: Mapping[RetrievalTrigger, str] = {
    "posted": "Recall accepted the hand-off, or may have",
    "announced": "a webhook of Recall's names a recording of it",
    "complete": "every recording and artifact is final and, if wished, archived",
    "nothing_made": "no recording appeared until it was given up",
    "all_failed": "every recording failed",
    "revoked": "Zoom withdrew the right to keep it (stop_reason 8)",
    "erased": "nothing of it is left at Recall and in the archive",
}

GRACE_MS = 5_000
"""How long after the moment of a task the sweeper takes that task for lost. A needless task does nothing."""

KEY_LIFE_MS = 3_000_000
"""An Idempotency-Key is not used after 50 minutes: Recall forgets it after an hour, and would then perform the POST again."""

FIRST_LOOK_MS = 20_000
"""From the end of a stream to the first look for its recording, and the unit of the backoff between looks."""

LONGEST_STREAM_MS = 24 * 3_600_000
"""Inferred: when no stop is ever heard of, a stream counts as ended a day after it began."""

RECHECKS_MS = (60_000, 600_000, 3_600_000, 6 * 3_600_000, 24 * 3_600_000)
"""After everything was erased, when to look again whether something appeared."""

ERASE_AGAIN_MS = 60_000
ARCHIVE_MARGIN_MS = 60_000
SEEN_LIMIT = 50
HISTORY_LIMIT = 20
_BACKOFF_MS = 500
_BACKOFF_DOUBLINGS = 4
_LATEST_MS = 253_402_300_799_000  # the end of the year 9999, the last that Firestore and datetime can say; event_ts may be any number

_FINAL = {"done": 1, "failed": 1, "deleted": 2}


@dataclass(frozen=True, slots=True)
class Rules:
    """The durations that settings decide, in ms."""

    connect_window_ms: int = 60_000
    lease_ms: int = 20_000
    poll_ms: int = 1_800_000
    give_up_ms: int = 86_400_000


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one stream. Facts only grow: merging is commutative, associative and idempotent.

    `starts`: hand-off key -> newest event_ts of a start with those servers. `stopped_ts` 0: no stop was heard of.
    """

    key: str
    stream_id: str
    product: str
    entity_id: str
    account_id: str = ""
    created_at: int
    starts: dict[str, int] = {}
    stopped_ts: int = 0
    stop_reason: int = -1
    interrupted_ts: int = 0
    revoked_ts: int = 0

    @property
    def newest(self) -> str | None:
        """The hand-off that the stream is at now; equal times are decided by key, so that order cannot matter."""
        return max(self.starts, key=lambda key: (self.starts[key], key), default=None)


class ArchivedArtifact(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    size: int
    sha256: str


class HandOff(msgspec.Struct, frozen=True, kw_only=True):
    """One (stream, server_urls) given to Recall.

    `attempt_at`: when to POST next. `lease_until`: a worker is at it. `unsure`: an attempt may have made an MDC whose id never
    came. `accepted_at` None: not known to be posted. `look_at`: when to look for recordings next. `ended_at`: when the stream ended.
    `seen`: ids of Recall's webhooks, hashed. `history`: one line for each of the last attempts.
    """

    key: str
    stream_key: str
    product: str
    entity_id: str
    stream_id: str
    server_urls: str
    account_id: str = ""
    event_ts: int
    created_at: int
    state: State = "pending"
    state_at: int
    reason: str = ""
    idempotency_key: str | None = None
    key_at: int | None = None
    attempts: int = 0
    attempt_at: int | None = None
    lease_until: int | None = None
    unsure: bool = False
    history: list[str] = []
    mdc_id: str | None = None
    accepted_at: int | None = None
    ended_at: int | None = None
    retrieval: Retrieval = "none"
    retrieval_reason: str = ""
    looks: int = 0
    look_at: int | None = None
    archive_until: int | None = None
    recordings: list[Recording] = []
    archived: list[ArchivedArtifact] = []
    seen: list[str] = []

    @property
    def posted(self) -> bool:
        """Whether Recall is known to have accepted it."""
        return self.accepted_at is not None

    @property
    def revoked(self) -> bool:
        return self.retrieval in ("forgetting", "forgotten")

    @property
    def attempt_due_at(self) -> int | None:
        """When the task of a pending hand-off counts as lost."""
        return max(self.attempt_at or 0, self.lease_until or 0) + GRACE_MS if self.state == "pending" else None

    @property
    def due_at(self) -> int | None:
        """The next moment at which the sweeper must look at this record, so that nothing recorded is ever forgotten."""
        return min((at for at in (self.attempt_due_at, self.look_at) if at is not None), default=None)


def stream_key(stream_id: str) -> str:
    """64 hex digits. Raw ids may contain `/` and are never document ids."""
    return hashlib.sha256(stream_id.encode()).hexdigest()


def handoff_key(stream_id: str, server_urls: str) -> str:
    """64 hex digits over both, each with its length, so that no two pairs run into one."""
    first, second = stream_id.encode(), server_urls.encode()
    return hashlib.sha256(b"%d:%b%d:%b" % (len(first), first, len(second), second)).hexdigest()


def to_fields(record: HandOff | Stream, keep_ms: int) -> dict[str, Any]:
    """A record as a JSON object for the store, with the fields that the store's queries read.

    `expires_at`: when the store may drop it, `keep_ms` after the last thing that happened; None as long as something is still to be done.
    """
    fields = msgspec.to_builtins(record)
    if isinstance(record, HandOff):
        fields["due_at"] = record.due_at
        last = max(record.created_at, record.state_at, record.event_ts, record.ended_at or 0)
        fields["expires_at"] = None if record.due_at is not None else min(last + keep_ms, _LATEST_MS)
    else:
        last = max(record.created_at, record.stopped_ts, record.interrupted_ts, record.revoked_ts, *record.starts.values())
        fields["expires_at"] = min(last + keep_ms, _LATEST_MS)
    return fields


def read_handoff(fields: Mapping[str, Any]) -> HandOff:
    """Unknown fields are passed over, so that an older release can read a newer one's records."""
    return msgspec.convert(dict(fields), HandOff)


def read_stream(fields: Mapping[str, Any]) -> Stream:
    return msgspec.convert(dict(fields), Stream)


# Facts about a stream


def with_start(stream: Stream, key: str, event_ts: int) -> Stream:
    return replace(stream, starts={**stream.starts, key: max(event_ts, stream.starts.get(key, event_ts))})


def with_stop(stream: Stream, event_ts: int, reason: int | None, revokes: bool) -> Stream:
    """The newest stop tells the time and reason; one that revokes holds for ever, whatever comes before or after it."""
    told = (event_ts, -1 if reason is None else reason)
    stopped_ts, stop_reason = max(told, (stream.stopped_ts, stream.stop_reason))
    stream = replace(stream, stopped_ts=stopped_ts, stop_reason=stop_reason)
    if revokes:
        stream = replace(stream, revoked_ts=max(stream.revoked_ts, event_ts), stream_id="", entity_id="", account_id="")
    return stream


def with_interruption(stream: Stream, event_ts: int) -> Stream:
    return replace(stream, interrupted_ts=max(stream.interrupted_ts, event_ts))


# The hand-off


def refuse(handoff: HandOff, reason: str, now: int) -> HandOff:
    """Fail it before any attempt: its servers are not to be given a signature."""
    return _move(handoff, "refused", now, reason)


def settle(handoff: HandOff, stream: Stream, now: int, rules: Rules) -> HandOff:
    """Bring the state in line with the stream's facts and the time. Idempotent; the same facts give the same state."""
    if stream.revoked_ts:
        return _forget(handoff, now)
    handoff = replace(handoff, event_ts=max(handoff.event_ts, stream.starts.get(handoff.key, handoff.event_ts)))
    while (pending := _pending_trigger(handoff, stream, now, rules)) is not None:
        handoff = _move(handoff, pending[0], now, pending[1])
    return _settle_end(handoff, stream, now)


_RESTARTED: tuple[Trigger, str] = ("restarted", "")


def _pending_trigger(handoff: HandOff, stream: Stream, now: int, rules: Rules) -> tuple[Trigger, str] | None:
    """What the facts still ask of this hand-off: a trigger that moves it, and why; None when it is settled."""
    state = handoff.state
    if stream.newest not in (None, handoff.key):
        return None if state in ("superseded", "failed") else ("newer_start", "the stream started anew on other servers")
    if handoff.posted:
        return ("reinstated", "") if state == "superseded" else None
    if state == "failed":
        return None
    window_end = handoff.event_ts + rules.connect_window_ms
    stopped = stream.stopped_ts > handoff.event_ts
    key_dead = handoff.key_at is not None and now - handoff.key_at > KEY_LIFE_MS
    if stopped and (stream.stopped_ts <= window_end or now < window_end):
        return ("stopped", _stop_reason(stream)) if state in ("pending", "expired") else _RESTARTED if state == "superseded" else None
    if now >= window_end or key_dead:
        late = f"not handed on within {rules.connect_window_ms / 1000:g} s of its start"
        if state == "pending":
            return "window_past", late + _doubt(handoff)
        return None if state == "expired" else _RESTARTED
    return None if state == "pending" else _RESTARTED


def _stop_reason(stream: Stream) -> str:
    reason = "" if stream.stop_reason < 0 else f" (stop_reason {stream.stop_reason})"
    return f"the stream ended before it was handed on{reason}"


def _doubt(handoff: HandOff) -> str:
    if not handoff.attempts:
        return ""
    doubt = "; an attempt had no answer, so a recording may exist and is looked for" if _in_doubt(handoff) else ""
    return f"; last attempt: {handoff.history[-1]}{doubt}" if handoff.history else doubt


def _in_doubt(handoff: HandOff) -> bool:
    return handoff.unsure or handoff.lease_until is not None


def _settle_end(handoff: HandOff, stream: Stream, now: int) -> HandOff:
    """Once the stream, or its time on these servers, is over, its recording is looked for soon."""
    newest = stream.newest
    replaced = newest is not None and newest != handoff.key
    end = max(stream.stopped_ts, stream.starts[newest] if replaced else 0)
    if end <= handoff.event_ts or handoff.ended_at is not None or not (handoff.posted or _in_doubt(handoff)):
        return handoff
    handoff = _retrieval(replace(handoff, ended_at=end, looks=0), "posted")
    return (
        replace(handoff, look_at=min(handoff.look_at or now + FIRST_LOOK_MS, now + FIRST_LOOK_MS))
        if handoff.retrieval == "awaiting"
        else handoff
    )


@dataclass(frozen=True, slots=True)
class Post:
    """Store `record` first (it holds the lease and the key), then POST with `idempotency_key` as attempt `number`."""

    record: HandOff
    number: int
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Too early: another worker is at it, or a pause is on. Come back at `until`."""

    until: int
    why: str


def decide_attempt(handoff: HandOff, now: int, token: str, rules: Rules) -> Post | Wait | None:
    """What a worker may do with a settled hand-off: POST, wait, or nothing (it is not pending). `token`: a key, if one is needed."""
    if handoff.state != "pending":
        return None
    if handoff.lease_until is not None and handoff.lease_until > now:
        return Wait(handoff.lease_until, "another attempt is under way")
    if handoff.attempt_at is not None and handoff.attempt_at > now:
        return Wait(handoff.attempt_at, "a pause is on")
    number = handoff.attempts + 1
    record = replace(
        handoff,
        attempts=number,
        idempotency_key=handoff.idempotency_key or token,
        key_at=now if handoff.idempotency_key is None else handoff.key_at,
        lease_until=now + rules.lease_ms,
        # A lease that nobody gave back: its worker died, perhaps after Recall had acted.
        unsure=_in_doubt(handoff),
    )
    return Post(record, number, record.idempotency_key or token)


def release(handoff: HandOff, number: int) -> HandOff:
    """Give back the lease of an attempt that was not made after all."""
    return replace(handoff, lease_until=None) if handoff.attempts == number else handoff


def after_answer(handoff: HandOff, outcome: Outcome, post: Post, now: int, jitter: float, rules: Rules) -> HandOff:
    """The record after an attempt ended; `handoff` is as stored now, perhaps changed since `post`. `jitter` in [0, 1).

    An id is never lost and never replaced, whatever happened meanwhile.
    """
    line = f"{post.number}: {outcome.reason or outcome.kind}"
    handoff = replace(handoff, history=[*handoff.history, line][-HISTORY_LIMIT:]) if not handoff.revoked else handoff
    mine = handoff.attempts == post.number
    if outcome.kind == "accepted":
        handoff = replace(handoff, mdc_id=handoff.mdc_id or outcome.mdc_id, attempt_at=None, lease_until=None, unsure=False)
        return _accept(handoff, now, outcome.reason, look_at=now + rules.poll_ms)
    if handoff.posted or not mine:
        return replace(handoff, unsure=not handoff.posted and (handoff.unsure or outcome.unsure))
    handoff = replace(handoff, lease_until=None, attempt_at=None)
    if outcome.kind == "refused":
        return _nothing_was_made(_move(handoff, "refused", now, outcome.reason))
    if outcome.kind == "again_new_key":
        handoff = replace(handoff, idempotency_key=None, key_at=None, unsure=False)
    else:
        handoff = replace(handoff, unsure=handoff.unsure or outcome.unsure)
    if handoff.state != "pending":
        return handoff if handoff.unsure else _nothing_was_made(handoff)
    if outcome.retry_after_s is None:
        pause = _BACKOFF_MS * 2 ** min(post.number - 1, _BACKOFF_DOUBLINGS) * (0.75 + jitter / 2)
    else:
        pause = outcome.retry_after_s * 1000 + jitter * 1000
    # No later than the end of the window, so that an expiry is told when it happens.
    window_end = handoff.event_ts + rules.connect_window_ms
    return replace(handoff, attempt_at=max(now, min(now + int(pause), window_end)))


def _accept(handoff: HandOff, now: int, reason: str, look_at: int) -> HandOff:
    handoff = _move(replace(handoff, accepted_at=handoff.accepted_at or now), "accepted", now, reason)
    handoff = _retrieval(handoff, "posted")
    if handoff.retrieval == "forgetting":
        return replace(handoff, look_at=now)
    return replace(handoff, look_at=min(look_at, handoff.look_at or look_at)) if handoff.retrieval == "awaiting" else handoff


def _nothing_was_made(handoff: HandOff) -> HandOff:
    handoff = replace(handoff, unsure=False)
    if handoff.posted or handoff.retrieval != "awaiting":
        return handoff
    return replace(_retrieval(handoff, "nothing_made"), look_at=None)


def _move(handoff: HandOff, trigger: Trigger, now: int, reason: str) -> HandOff:
    state = TRANSITIONS.get((handoff.state, trigger))
    if state is None or state == handoff.state:
        return handoff
    was_pending = handoff.state == "pending"
    handoff = replace(handoff, state=state, state_at=now, reason=reason)
    if state == "pending":
        return replace(handoff, attempt_at=now)
    handoff = replace(handoff, attempt_at=None)
    if was_pending and not handoff.posted and _in_doubt(handoff):
        # An attempt may have made an MDC without our knowing: look for its recording by the metadata planted in it.
        handoff = _retrieval(handoff, "posted")
        handoff = replace(handoff, look_at=handoff.look_at or now + FIRST_LOOK_MS)
    return handoff


def _retrieval(handoff: HandOff, trigger: RetrievalTrigger, reason: str = "") -> HandOff:
    state = RETRIEVALS.get((handoff.retrieval, trigger))
    return handoff if state is None else replace(handoff, retrieval=state, retrieval_reason=reason)


# The recording


def merge_recordings(known: Iterable[Recording], found: Iterable[Recording]) -> list[Recording]:
    """Both, by id; a final status is never taken back, and of two the newer holds. Order and repetition do not matter."""
    merged = {recording.id: recording for recording in known}
    for recording in found:
        before = merged.get(recording.id)
        merged[recording.id] = recording if before is None else _newer(before, recording)
    return [merged[recording_id] for recording_id in sorted(merged)]


def _newer(one: Recording, other: Recording) -> Recording:
    newest = max(one, other, key=lambda r: (_FINAL.get(r.status, 0), _moment(r.updated_at), r.status, r.sub_code or ""))
    artifacts = dict(one.artifacts)
    for name, artifact in other.artifacts.items():
        before = artifacts.get(name)
        # Another id is another artifact (a transcript made anew): then what was read last holds.
        if before is None or before.id != artifact.id or _FINAL.get(artifact.status, 0) >= _FINAL.get(before.status, 0):
            artifacts[name] = artifact
    return replace(newest, artifacts=artifacts, read=one.read or other.read)


def _moment(stamp: str) -> float:
    """Recall's two forms of a time (`Z` and `+00:00`) as one number; what cannot be read is oldest."""
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except (ValueError, OverflowError):
        return -math.inf


def note_webhook(handoff: HandOff, message_id: str, recording: Recording | None, now: int) -> HandOff:
    """A webhook of Recall's about this hand-off. The same message again changes nothing; a recording is attached in every state."""
    seen = hashlib.sha256(message_id.encode()).hexdigest()[:16]
    if seen in handoff.seen:
        return handoff
    handoff = replace(handoff, seen=[*handoff.seen, seen][-SEEN_LIMIT:])
    if recording is None:
        return handoff
    known = [replace(recording, artifacts={})] if handoff.revoked else [recording]
    handoff = replace(handoff, recordings=merge_recordings(handoff.recordings, known))
    handoff = _accept(handoff, now, "a recording of it was announced", look_at=now) if not handoff.posted else handoff
    # A recording that is only beginning has nothing to read yet; `posted` has set the pace already.
    if _FINAL.get(recording.status, 0) == 0 and handoff.retrieval == "awaiting" and handoff.look_at is not None and not handoff.ended_at:
        return handoff
    return replace(_retrieval(handoff, "announced"), look_at=now)


def after_look(handoff: HandOff, found: Iterable[Recording], now: int, rules: Rules) -> HandOff:
    """The record after everything Recall has was read: recordings merged, and the next look set. `judge` says whether it is over."""
    merged = merge_recordings(handoff.recordings, found)
    handoff = replace(handoff, recordings=merged)
    if merged and not handoff.posted:
        handoff = _accept(handoff, now, "a recording of it was found", look_at=now)
    # Another look may have ended the retrieval meanwhile: then there is none to come.
    return look_later(handoff, now, None, rules) if handoff.retrieval == "awaiting" else handoff


def look_later(handoff: HandOff, now: int, retry_after_s: float | None, rules: Rules) -> HandOff:
    """The next look: rarely while the stream runs (webhooks tell), soon and then ever more rarely once it ended."""
    pause = rules.poll_ms if handoff.ended_at is None else min(rules.poll_ms, FIRST_LOOK_MS * 2 ** min(handoff.looks, 16))
    return replace(handoff, looks=handoff.looks + 1, look_at=now + max(pause, int((retry_after_s or 0) * 1000)))


def too_late(handoff: HandOff, now: int, rules: Rules) -> bool:
    """Whether its recording has been waited for long enough."""
    end = handoff.created_at + LONGEST_STREAM_MS if handoff.ended_at is None else max(handoff.ended_at, handoff.accepted_at or 0)
    return now >= end + rules.give_up_ms


def judge(handoff: HandOff, now: int, rules: Rules) -> tuple[RetrievalTrigger, str] | None:
    """Whether the retrieval is over, and why; None: look again later."""
    if handoff.retrieval != "awaiting":
        return None
    late = too_late(handoff, now, rules)
    if not handoff.recordings:
        return ("nothing_made", "no recordings were made; does RECALL_RECORDING_CONFIG ask for one?") if late else None
    codes = [recording.status for recording in handoff.recordings]
    artifacts = [a.status for r in handoff.recordings if r.status == "done" for a in r.artifacts.values()]
    waiting = [code for code in (*codes, *artifacts) if not _FINAL.get(code)]
    waiting += [r.status for r in handoff.recordings if r.status == "done" and not r.read]  # its artifacts are not known yet
    if waiting and not late:
        return None
    if "done" in codes:
        return "complete", "given up waiting for the rest" if waiting else ""
    if "failed" in codes:
        sub_codes = sorted({r.sub_code for r in handoff.recordings if r.sub_code})
        return "all_failed", "the recording failed" + (f": {', '.join(sub_codes)}" if sub_codes else "")
    return ("all_failed", "the recording never ended") if waiting else ("complete", "deleted at Recall")


def finish_retrieval(handoff: HandOff, trigger: RetrievalTrigger, reason: str, archived: Iterable[ArchivedArtifact]) -> HandOff:
    names = {item.name: item for item in (*handoff.archived, *archived)}
    handoff = replace(handoff, archived=[names[name] for name in sorted(names)], archive_until=None)
    return replace(_retrieval(handoff, trigger, reason), look_at=None)


# Forgetting


def _forget(handoff: HandOff, now: int) -> HandOff:
    """Turn the record into a tombstone: no id of a meeting, stream, server or account, and no words of Recall's, remain on it.

    What is needed to find and delete content at Recall (the MDC's and the recordings' ids) stays until that is done.
    """
    if handoff.revoked:
        return handoff
    handoff = _move(handoff, "stopped", now, "")
    made_nothing = not handoff.attempts and not handoff.posted and not handoff.recordings
    handoff = _retrieval(
        replace(
            handoff,
            entity_id="",
            stream_id="",
            server_urls="",
            account_id="",
            reason="the stream was revoked",
            history=[],
            recordings=[replace(recording, artifacts={}) for recording in handoff.recordings],
            archived=[],
            attempt_at=None,
            looks=0,
            look_at=now,
        ),
        "revoked",
    )
    return _bury(_retrieval(handoff, "erased")) if made_nothing else handoff


def after_erasure(handoff: HandOff, clean: bool, now: int) -> HandOff:
    """The tombstone after one round of deleting. `clean`: whatever was found is gone. Looks again a few times, then for the last."""
    if not clean:
        return replace(handoff, look_at=now + ERASE_AGAIN_MS)
    handoff = _retrieval(handoff, "erased")
    if handoff.looks >= len(RECHECKS_MS):
        return _bury(handoff)
    return replace(handoff, looks=handoff.looks + 1, look_at=now + RECHECKS_MS[handoff.looks])


def _bury(handoff: HandOff) -> HandOff:
    return replace(handoff, look_at=None, mdc_id=None, idempotency_key=None, recordings=[], seen=[])


def diagram(table: Mapping[Any, str], start: str) -> str:
    """A Mermaid state diagram of a table, for the docs."""
    lines = ["stateDiagram-v2", f"    [*] --> {start}"]
    lines += [f"    {before} --> {after}: {trigger}" for (before, trigger), after in table.items()]
    return "\n".join(lines)
