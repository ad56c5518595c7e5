"""What a person or a program asks for: lists of hand-offs, one hand-off with its links, a link to download."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rtms_relay import listing, recall, shown
from rtms_relay.budgets import Rules
from rtms_relay.errors import BadRequest, NotFound, RecallUnavailable
from rtms_relay.handoff.record import HandOff
from rtms_relay.listing import Query, checked_id
from rtms_relay.ports import Clock
from rtms_relay.recall import Link, View
from rtms_relay.recordings import Recordings, Unanswered
from rtms_relay.records import Records
from rtms_relay.shown import HandOffsPage, Linked, RecordingsPage, Story

_KEY = re.compile(r"[0-9a-f]{64}")


class Inquiries:
    """Reads only."""

    def __init__(self, records: Records, recordings: Recordings, clock: Clock, rules: Rules) -> None:
        self._records = records
        self._recordings = recordings
        self._clock = clock
        self._rules = rules

    async def recordings(self, query: Query) -> RecordingsPage:
        """Hand-offs, latest first. Raises `BadRequest` for a foreign cursor."""
        rows, following = await listing.page(self._records, query)
        return RecordingsPage(recordings=tuple(map(shown.row, rows)), next=following)

    async def handoffs(self, query: Query) -> HandOffsPage:
        """Hand-offs, latest first, and what is known of the stream that the query names. Raises `BadRequest` for a foreign cursor."""
        rows, following = await listing.page(self._records, query)
        stream = None if query.stream is None else shown.stream(query.stream, await self._records.facts(query.stream))
        return HandOffsPage(handoffs=tuple(map(shown.row, rows)), next=following, stream=stream)

    async def story(self, key: str) -> Story:
        """One hand-off with all that is on record of it and of its stream. Recall is not asked. Raises `BadRequest`, `NotFound`."""
        handoff = await self._known(checked_id(key))
        facts = await self._records.facts(handoff.stream_key)
        return shown.story(handoff, facts, self._clock.now_ms(), self._rules)

    async def show(self, key: str) -> Linked:
        """One hand-off whole, with fresh links; `links_error` says why there are none. Raises `NotFound`."""
        handoff = await self._known(key)
        links: dict[str, dict[str, str]] = {}
        links_error = ""
        if not handoff.erasure.on and _may_have(handoff):
            try:
                views = (await self._recordings.seen(handoff)).ours
                links = {view.recording.id: {name: link.url for name, link in view.links.items()} for view in views}
            except (Unanswered, RecallUnavailable) as failure:
                links_error = str(failure)
        return shown.linked(handoff, links, links_error)

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
