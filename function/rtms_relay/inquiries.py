"""What a person or a program asks for: lists of hand-offs, one hand-off with its links, a link to download."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from rtms_relay import recall
from rtms_relay.errors import BadRequest, NotFound, RecallUnavailable
from rtms_relay.handoff.record import HandOff
from rtms_relay.recall import Link, View
from rtms_relay.recordings import Recordings, Unanswered
from rtms_relay.records import Records

PAGE = 50
MAX_PAGE = 200
_CURSOR = re.compile(r"([0-9]{1,15})\.([0-9]{1,5})")
_KEY = re.compile(r"[0-9a-f]{64}")


class Inquiries:
    """Reads only."""

    def __init__(self, records: Records, recordings: Recordings) -> None:
        self._records = records
        self._recordings = recordings

    async def page(self, limit: int, cursor: str | None) -> dict[str, Any]:
        """Hand-offs, latest first: ``{"recordings": [...], "next": cursor or null}``. Raises `BadRequest` for a foreign cursor."""
        before, skip = None, 0
        if cursor is not None:
            parts = _CURSOR.fullmatch(cursor)
            if parts is None:
                raise BadRequest("cursor is not one that was given out")
            # Several records may share a millisecond: begin in it, and skip those that were shown.
            before, skip = int(parts[1]) + 1, int(parts[2])
        rows = (await self._records.newest(limit + skip + 1, before))[skip:]
        shown = rows[:limit]
        following = None
        if len(rows) > limit:
            last = shown[-1].created_at
            same = sum(row.created_at == last for row in shown)
            already = skip if before == last + 1 else 0
            following = f"{last}.{same + already}"
        return {"recordings": [summary(row) for row in shown], "next": following}

    async def show(self, key: str) -> dict[str, Any]:
        """One hand-off whole, with fresh links; `links_error` says why there are none. Raises `NotFound`."""
        handoff = await self._known(key)
        whole = summary(handoff) | {"history": list(handoff.attempt.history), "attempts": handoff.attempt.tries}
        links: dict[str, dict[str, str]] = {}
        if not handoff.erasure.on and _may_have(handoff):
            try:
                views = (await self._recordings.seen(handoff)).ours
                links = {view.recording.id: {name: link.url for name, link in view.links.items()} for view in views}
            except (Unanswered, RecallUnavailable) as failure:
                whole["links_error"] = str(failure)
        return whole | {"links": links}

    async def link(self, key: str, artifact: str | None, recording_id: str | None) -> Link:
        """A fresh link to one artifact; by default the first of video_mixed, audio_mixed that there is.

        Raises `NotFound` with the reason there is none, `BadRequest` for an unknown name, `RecallUnavailable`.
        """
        if artifact is not None and artifact not in recall.LINKS:
            raise BadRequest(f"artifact must be one of {', '.join(recall.LINKS)}")
        handoff = await self._known(key)
        views = await self._views(handoff)
        names = (artifact,) if artifact else ("video_mixed", "audio_mixed")
        for name in names:
            for view in views:
                if name in view.links and recording_id in (None, view.recording.id):
                    return view.links[name]
        statuses = ", ".join(sorted({view.recording.status for view in views})) or handoff.retrieval.reason or "none were made yet"
        raise NotFound(f"no {' or '.join(names)} to download; recordings: {statuses}")

    async def _views(self, handoff: HandOff) -> Sequence[View]:
        """Our recordings as Recall shows them now. Raises `NotFound` if there cannot be one, `RecallUnavailable`."""
        if handoff.erasure.on:
            raise NotFound("the stream was revoked and its recording deleted")
        if not _may_have(handoff):
            reason = f" ({handoff.attempt.reason})" if handoff.attempt.reason else ""
            raise NotFound(f"no recording: the hand-off is {handoff.attempt.state}{reason}")
        try:
            return (await self._recordings.seen(handoff)).ours
        except Unanswered as failure:
            raise RecallUnavailable(str(failure)) from None

    async def _known(self, key: str) -> HandOff:
        handoff = await self._records.handoff(key) if _KEY.fullmatch(key) else None
        if handoff is None:
            raise NotFound("no hand-off has this key")
        return handoff


def _may_have(handoff: HandOff) -> bool:
    return handoff.attempt.posted or handoff.attempt.unsure or bool(handoff.retrieval.recordings)


def summary(handoff: HandOff) -> dict[str, Any]:
    """What the worker shows of a hand-off: everything but the stream's servers, keys and leases."""
    attempt, retrieval, erasure = handoff.attempt, handoff.retrieval, handoff.erasure
    return {
        "id": handoff.key,
        "product": handoff.product,
        "entity_id": handoff.entity_id,
        "rtms_stream_id": handoff.stream_id,
        "state": attempt.state,
        "reason": attempt.reason,
        "late": attempt.late,
        "unsure": attempt.unsure,
        "event_ts": attempt.start_ts,
        "created_at": handoff.created_at,
        "accepted_at": attempt.accepted_at,
        "ended_at": retrieval.ended_at,
        "mdc_id": attempt.mdc_id,
        "mdc_status": retrieval.mdc_status,
        "not_joined": retrieval.not_joined,
        "retrieval": erasure.state if erasure.on else retrieval.state,
        "retrieval_reason": retrieval.reason,
        "recordings": msgspec.to_builtins(retrieval.recordings),
        "archived": msgspec.to_builtins(retrieval.archived),
    }
