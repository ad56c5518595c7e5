"""Records as JSON documents for a store, and back. Records of the first edition are read, too.

Unknown fields are passed over, so that an older release can read a newer one's records. The fields `due_at`, `created_at`, `expires_at`,
`state`, `recording`, `stream`, `meeting` and `mdc` are for the store's queries; ids are in them as hashes, since a query takes words only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from rtms_relay.handoff.attempt import Attempt
from rtms_relay.handoff.erasure import Erasure
from rtms_relay.handoff.facts import Facts, Run
from rtms_relay.handoff.record import HandOff
from rtms_relay.handoff.retrieval import ArchivedArtifact, Retrieval, State
from rtms_relay.ports import Recording

EDITION = 2
_LATEST_MS = 253_402_300_799_000  # the end of the year 9999, the last that Firestore and datetime can say; event_ts may be any number


def handoff_fields(handoff: HandOff, keep_ms: int) -> dict[str, Any]:
    """`expires_at`: when the store may drop it, `keep_ms` after the last thing that happened; None while something is still to be done."""
    attempt = handoff.attempt
    last = max(handoff.created_at, attempt.state_at, attempt.start_ts, handoff.retrieval.ended_at or 0)
    expires_at = None if handoff.due_at is not None else min(last + keep_ms, _LATEST_MS)
    stored = {**msgspec.to_builtins(handoff), "edition": EDITION, "due_at": handoff.due_at, "expires_at": expires_at}
    return {**stored, **_found_by(handoff)}


def _found_by(handoff: HandOff) -> dict[str, str | None]:
    """What a list can be narrowed by. Of a revoked stream only its key is left."""
    mdc_id = handoff.attempt.mdc_id
    return {
        "state": handoff.attempt.state,
        "recording": handoff.erasure.state if handoff.erasure.on else handoff.retrieval.state,
        "stream": handoff.stream_key,
        "meeting": hashed(handoff.entity_id) if handoff.entity_id else None,
        "mdc": hashed(mdc_id) if mdc_id is not None else None,
    }


def hashed(raw: str) -> str:
    """An id as a list is narrowed by it: 64 hex digits."""
    return hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()


def facts_fields(facts: Facts, keep_ms: int) -> dict[str, Any]:
    return {**msgspec.to_builtins(facts), "edition": EDITION, "expires_at": min(facts.last_ts + keep_ms, _LATEST_MS)}


def read_handoff(fields: Mapping[str, Any]) -> HandOff:
    """Raises `msgspec.ValidationError`."""
    if "attempt" in fields:
        return msgspec.convert(dict(fields), HandOff)
    return _handoff_of_first_edition(msgspec.convert(dict(fields), _FirstHandOff))


def read_facts(fields: Mapping[str, Any]) -> Facts:
    """Raises `msgspec.ValidationError`."""
    if "starts" not in fields:
        return msgspec.convert(dict(fields), Facts)
    runs = tuple(Run(key=key, server_urls="", epoch=ts, newest_ts=ts) for key, ts in sorted(fields["starts"].items()))
    return msgspec.structs.replace(msgspec.convert(dict(fields), Facts), runs=runs)


class _FirstHandOff(msgspec.Struct, kw_only=True):
    """A hand-off as version 0 wrote it: all in one."""

    key: str
    stream_key: str
    product: str
    entity_id: str
    stream_id: str
    server_urls: str
    account_id: str = ""
    event_ts: int
    created_at: int
    state: str = "pending"
    state_at: int
    reason: str = ""
    key_at: int | None = None
    attempts: int = 0
    attempt_at: int | None = None
    lease_until: int | None = None
    unsure: bool = False
    history: list[str] = []
    mdc_id: str | None = None
    accepted_at: int | None = None
    ended_at: int | None = None
    retrieval: str = "none"
    retrieval_reason: str = ""
    looks: int = 0
    look_at: int | None = None
    archive_until: int | None = None
    recordings: list[Recording] = []
    archived: list[ArchivedArtifact] = []
    seen: list[str] = []


def _attempt_of_first_edition(old: _FirstHandOff) -> Attempt:
    fields = {
        "start_ts": old.event_ts,
        "state": old.state,
        "state_at": old.state_at,
        "reason": old.reason,
        "tries": old.attempts,
        "next_at": old.attempt_at,
        "lease_until": old.lease_until,
        # Its Idempotency-Key was drawn by lot: what that may have made, no key of ours will find.
        "unsure": old.unsure or (old.attempts > 0 and old.accepted_at is None),
        "history": old.history,
        "mdc_id": old.mdc_id,
        "accepted_at": old.accepted_at,
    }
    return msgspec.convert(fields, Attempt)


def _handoff_of_first_edition(old: _FirstHandOff) -> HandOff:
    revoked = old.retrieval in ("forgetting", "forgotten")
    retrieval = Retrieval(
        reason=old.retrieval_reason,
        ended_at=old.ended_at,
        looks=0 if revoked else old.looks,
        look_at=None if revoked else old.look_at,
        archive_until=old.archive_until,
        recordings=tuple(old.recordings),
        archived=tuple(old.archived),
        seen=tuple(old.seen),
    )
    state = msgspec.convert("none" if revoked else old.retrieval, State)
    erasure = {"state": old.retrieval, "since": old.state_at, "at": old.look_at, "rounds": old.looks} if revoked else {}
    return HandOff(
        key=old.key,
        stream_key=old.stream_key,
        product=old.product,
        entity_id=old.entity_id,
        stream_id=old.stream_id,
        server_urls=old.server_urls,
        account_id=old.account_id,
        epoch=old.event_ts,
        created_at=old.created_at,
        attempt=_attempt_of_first_edition(old),
        retrieval=msgspec.structs.replace(retrieval, state=state),
        erasure=msgspec.convert(erasure, Erasure),
    )
