"""Finding the recording of one hand-off, pure: what is known of it, when to look next, and when it is over.

Only `recordings[].status.code` decides; the MDC's own status is kept as text, since its codes are not published.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec
from msgspec.structs import replace

from rtms_relay import budgets
from rtms_relay.budgets import Rules
from rtms_relay.ports import Artifact, Recording

State = Literal["none", "awaiting", "done", "partial", "none_made", "failed"]
Trigger = Literal["posted", "announced", "complete", "incomplete", "nothing_made", "all_failed"]

TRANSITIONS: Mapping[tuple[State, Trigger], State] = {
    ("none", "posted"): "awaiting",
    ("none", "announced"): "awaiting",
    ("awaiting", "complete"): "done",
    ("awaiting", "incomplete"): "partial",
    ("awaiting", "nothing_made"): "none_made",
    ("awaiting", "all_failed"): "failed",
    ("none_made", "posted"): "awaiting",
    ("done", "announced"): "awaiting",
    ("partial", "announced"): "awaiting",
    ("none_made", "announced"): "awaiting",
    ("failed", "announced"): "awaiting",
}
"""(state, what happened) -> state. What is not in the table changes nothing."""

TRIGGERS: Mapping[Trigger, str] = {
    "posted": "Recall accepted the hand-off, or may have",
    "announced": "a webhook of Recall's names a recording of it",
    "complete": "every recording and artifact is final and, if wished, archived",
    "incomplete": "a recording is there, and what was to come with it failed or never came",
    "nothing_made": "no recording appeared until it was given up",
    "all_failed": "every recording failed",
}

LOSSES: frozenset[State] = frozenset({"none_made", "failed", "partial"})
"""Ends that lost something: ERROR."""

SEEN_LIMIT = 50
FINAL: Mapping[str, int] = {"done": 1, "failed": 1, "deleted": 2}
"""Statuses of Recall's that do not change any more, except by a deletion."""


class ArchivedArtifact(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    size: int
    sha256: str


class Retrieval(msgspec.Struct, frozen=True, kw_only=True):
    """`look_at`: when to look next. `looks`: since the stream ended. `archive_until`: a worker is copying. `seen`: webhooks, hashed.
    `slow_copies`: how many copies took all the time that one task has for them.

    `mdc_status`: the MDC's own status and sub_code, as text. `not_joined`: the likely cause, if Zoom said that nobody joined.
    """

    state: State = "none"
    reason: str = ""
    ended_at: int | None = None
    looks: int = 0
    look_at: int | None = None
    archive_until: int | None = None
    slow_copies: int = 0
    recordings: tuple[Recording, ...] = ()
    archived: tuple[ArchivedArtifact, ...] = ()
    seen: tuple[str, ...] = ()
    mdc_status: str = ""
    not_joined: str = ""


def move(retrieval: Retrieval, trigger: Trigger, reason: str = "") -> Retrieval:
    state = TRANSITIONS.get((retrieval.state, trigger))
    return retrieval if state is None else replace(retrieval, state=state, reason=reason)


def expect(retrieval: Retrieval, look_at: int) -> Retrieval:
    """Recall accepted the hand-off, or may have: look for its recording, at the latest then."""
    retrieval = move(retrieval, "posted")
    if retrieval.state != "awaiting":
        return retrieval
    return replace(retrieval, look_at=look_at if retrieval.look_at is None else min(look_at, retrieval.look_at))


def end(retrieval: Retrieval, ended_at: int, now: int) -> Retrieval:
    """The stream, or its time on these servers, is over: its recording is looked for soon."""
    if retrieval.ended_at is not None:
        return retrieval
    return expect(replace(retrieval, ended_at=ended_at, looks=0), now + budgets.FIRST_LOOK_MS)


def announced(retrieval: Retrieval, message: str, recording_id: str | None, now: int) -> Retrieval:
    """A webhook of Recall's about this hand-off. The same message again changes nothing. Its content is not trusted: Recall is asked."""
    mark = hashlib.sha256(message.encode()).hexdigest()[:16]
    if message and mark in retrieval.seen:
        return retrieval
    if message:
        retrieval = replace(retrieval, seen=(*retrieval.seen, mark)[-SEEN_LIMIT:])
    if recording_id is not None:
        retrieval = replace(retrieval, recordings=merged(retrieval.recordings, (Recording(id=recording_id, status="processing"),)))
    return replace(move(retrieval, "announced"), look_at=now)


def after_look(retrieval: Retrieval, views: Iterable[Recording], mdc_status: str, now: int, rules: Rules) -> Retrieval:
    """Everything that Recall has was read: recordings merged, and the next look set. `judge` says whether it is over."""
    retrieval = replace(retrieval, recordings=merged(retrieval.recordings, views), mdc_status=mdc_status or retrieval.mdc_status)
    # Another look may have ended the retrieval meanwhile: then no further look is due.
    return look_later(retrieval, now, None, rules) if retrieval.state == "awaiting" else retrieval


def look_later(retrieval: Retrieval, now: int, retry_after_s: float | None, rules: Rules) -> Retrieval:
    """The next look: rarely while the stream runs (webhooks announce its end), soon and then at growing intervals once it ended."""
    steps = budgets.FIRST_LOOK_MS * 2 ** min(retrieval.looks, 16)
    pause = rules.poll_ms if retrieval.ended_at is None else min(rules.poll_ms, steps)
    return replace(retrieval, looks=retrieval.looks + 1, look_at=now + max(pause, int((retry_after_s or 0) * 1000)))


def too_late(retrieval: Retrieval, created_at: int, accepted_at: int | None, now: int, rules: Rules) -> bool:
    """Whether its recording has been waited for long enough."""
    ended = created_at + budgets.LONGEST_STREAM_MS if retrieval.ended_at is None else max(retrieval.ended_at, accepted_at or 0)
    return now >= ended + rules.give_up_ms


def judge(retrieval: Retrieval, *, late: bool, cause: str) -> tuple[Trigger, str] | None:
    """Whether the retrieval is over, and why; None: look again later. `cause`: what the facts say about a loss."""
    if retrieval.state != "awaiting":
        return None
    if not retrieval.recordings:
        return ("nothing_made", _no_recording(retrieval, cause)) if late else None
    open_ = _open(retrieval)
    if open_ and not late:
        return None
    codes = [recording.status for recording in retrieval.recordings]
    if "done" in codes:
        return _some_done(codes, _artifacts(retrieval), gave_up=open_)
    return _none_done(retrieval, codes, cause, gave_up=open_)


def _artifacts(retrieval: Retrieval) -> list[tuple[str, Artifact]]:
    """Those of the recordings that are done, by name."""
    return [item for recording in retrieval.recordings if recording.status == "done" for item in recording.artifacts.items()]


def _open(retrieval: Retrieval) -> bool:
    """Whether something may still change: a recording or an artifact without a final status, or one that is done and was not read."""
    statuses = [recording.status for recording in retrieval.recordings] + [artifact.status for _, artifact in _artifacts(retrieval)]
    unread = any(recording.status == "done" and not recording.read for recording in retrieval.recordings)
    return unread or not all(FINAL.get(status) for status in statuses)


def _some_done(codes: Sequence[str], artifacts: Iterable[tuple[str, Artifact]], *, gave_up: bool) -> tuple[Trigger, str]:
    failures = sorted({_failure(name, artifact.sub_code) for name, artifact in artifacts if artifact.status == "failed"})
    missing = failures + (["given up waiting for the rest"] if gave_up else []) + (["a recording failed"] if "failed" in codes else [])
    return ("incomplete", "; ".join(missing)) if missing else ("complete", "")


def _none_done(retrieval: Retrieval, codes: Sequence[str], cause: str, *, gave_up: bool) -> tuple[Trigger, str]:
    if "failed" in codes:
        sub_codes = sorted({recording.sub_code for recording in retrieval.recordings if recording.sub_code})
        return "all_failed", _caused("the recording failed" + (f": {', '.join(sub_codes)}" if sub_codes else ""), cause)
    return ("all_failed", _caused("the recording never ended", cause)) if gave_up else ("complete", "deleted at Recall")


def _failure(name: str, sub_code: str | None) -> str:
    return f"{name} failed" + (f" ({sub_code})" if sub_code else "")


def _no_recording(retrieval: Retrieval, cause: str) -> str:
    known = retrieval.not_joined or cause
    if known:
        return f"no recordings were made: {known}"
    status = f"; Recall's status of the MDC is {retrieval.mdc_status}" if retrieval.mdc_status else ""
    return f"no recordings were made; does RECALL_RECORDING_CONFIG ask for one?{status}"


def _caused(reason: str, cause: str) -> str:
    return f"{reason}; {cause}" if cause else reason


def finish(retrieval: Retrieval, trigger: Trigger, reason: str, archived: Iterable[ArchivedArtifact] = ()) -> Retrieval:
    return move(replace(_with(retrieval, archived), archive_until=None, look_at=None), trigger, reason)


def _with(retrieval: Retrieval, archived: Iterable[ArchivedArtifact]) -> Retrieval:
    names = {item.name: item for item in (*retrieval.archived, *archived)}
    return replace(retrieval, archived=tuple(names[name] for name in sorted(names)))


def not_copied(retrieval: Retrieval, mine: int, name: str, archived: Iterable[ArchivedArtifact], *, slow: bool) -> Retrieval:
    """The worker with the lease `mine` could not copy an artifact; it copied those in `archived` before.

    `slow`: this copy took all the time that a task's copies have; that is not repeated for ever.
    """
    # Another worker may have taken over since, and continues.
    lease_end = None if retrieval.archive_until == mine else retrieval.archive_until
    retrieval = replace(_with(retrieval, archived), archive_until=lease_end, slow_copies=retrieval.slow_copies + slow)
    if retrieval.slow_copies < budgets.COPY_TRIES:
        return retrieval
    reason = f"{name} could not be archived: {retrieval.slow_copies} copies took longer than {budgets.COPY_MS // 60_000} minutes"
    return finish(retrieval, "incomplete", reason)


def merged(known: Iterable[Recording], others: Iterable[Recording]) -> tuple[Recording, ...]:
    """Both, by id; a final status is never taken back, and of two the newer holds. Order and repetition do not matter."""
    by_id = {recording.id: recording for recording in known}
    for recording in others:
        before = by_id.get(recording.id)
        by_id[recording.id] = recording if before is None else _newer(before, recording)
    return tuple(by_id[recording_id] for recording_id in sorted(by_id))


def _newer(one: Recording, other: Recording) -> Recording:
    newest = max(one, other, key=lambda r: (FINAL.get(r.status, 0), _moment(r.updated_at), r.status, r.sub_code or ""))
    artifacts = dict(one.artifacts)
    for name, artifact in other.artifacts.items():
        before = artifacts.get(name)
        # Another id is another artifact (a transcript made once more): then what was read last holds.
        if before is None or before.id != artifact.id or FINAL.get(artifact.status, 0) >= FINAL.get(before.status, 0):
            artifacts[name] = artifact
    return replace(newest, artifacts=artifacts, read=one.read or other.read)


def _moment(stamp: str) -> float:
    """Recall's two forms of a time (`Z` and `+00:00`) as one number; what cannot be read is oldest."""
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except (ValueError, OverflowError):
        return -math.inf
