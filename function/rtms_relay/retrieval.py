"""Retrieving, archiving and forgetting: everything the worker reads and deletes at Recall after a hand-off.

Links live six hours, so only ids are stored and links are fetched when somebody asks. Whether a recording is finished is decided
on `recordings[].status.code` alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from rtms_relay import handoff as states
from rtms_relay import recall
from rtms_relay.errors import AlreadyArchived, ArchiveError, BadRequest, NotFound, RecallUnavailable
from rtms_relay.handoff import ArchivedArtifact, HandOff, Rules
from rtms_relay.ports import Answer, Archive, Archived, Clock, Log, RecallApi, Recording
from rtms_relay.recall import Link, View
from rtms_relay.records import Records

ARCHIVE_LEASE_MS = 1_800_000
"""How long one artifact may take to copy. Forgetting waits it out, so that no copy can appear after it."""

PAGE = 50
MAX_PAGES = 100
_EARLY_MS = 1000


class _Failed(Exception):
    """Recall did not answer a question: `answer` says how."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer

    def __str__(self) -> str:
        return f"Recall answered {self.answer.status}" if self.answer.status else f"no answer from Recall ({self.answer.failure})"


class Retrieval:
    """Works on one hand-off at a time. `archive` None: nothing is copied."""

    def __init__(self, records: Records, api: RecallApi, archive: Archive | None, clock: Clock, log: Log, rules: Rules) -> None:
        self._records = records
        self._api = api
        self._archive = archive
        self._clock = clock
        self._log = log
        self._rules = rules

    async def look(self, key: str) -> tuple[HandOff | None, HandOff | None]:
        """One look for the recordings of a hand-off; the record before and after, (None, None) if there is none.

        Does nothing if it is not its time: a task may come twice. A revoked hand-off is erased instead.
        """
        found = await self._records.handoff(key)
        if found is None:
            return None, None
        before = found[0]
        if before.look_at is None or before.look_at > self._clock.now_ms() + _EARLY_MS:
            return before, before
        return before, await (self._erase(before) if before.revoked else self._read_and_judge(before))

    async def _read_and_judge(self, handoff: HandOff) -> HandOff:
        try:
            views = await self._views(handoff)
        except (_Failed, RecallUnavailable) as failure:
            return await self._failed(handoff, failure)
        now = self._clock.now_ms()
        found = [view.recording for view in views]
        copying = self._archive is not None

        def write(current: HandOff) -> HandOff:
            if current.revoked:
                return current
            current = states.after_look(current, found, now, self._rules)
            verdict = states.judge(current, now, self._rules)
            if verdict is None or (copying and verdict[0] == "complete"):
                return current
            return states.finish_retrieval(current, *verdict, archived=())

        after = await self._change(handoff.key, write)
        if after.revoked:
            return await self._erase(after)
        verdict = states.judge(after, now, self._rules)
        if verdict is not None:
            after = await self._copy(after, views, verdict)
        self._tell(after)
        return after

    def _tell(self, handoff: HandOff) -> None:
        now = self._clock.now_ms()
        self._log(
            "INFO",
            "retrieval",
            handoff=handoff.key,
            state=handoff.retrieval,
            reason=handoff.retrieval_reason,
            recordings={recording.id: recording.status for recording in handoff.recordings},
            next_look_s=None if handoff.look_at is None else (handoff.look_at - now) / 1000,
        )

    async def _failed(self, handoff: HandOff, failure: _Failed | RecallUnavailable) -> HandOff:
        now = self._clock.now_ms()
        answer = failure.answer if isinstance(failure, _Failed) else Answer(0)
        severity = "ALERT" if answer.status in (401, 402, 403) else "WARNING"
        self._log(severity, "retrieval", handoff=handoff.key, state=handoff.retrieval, reason=str(failure), status=answer.status)

        def write(current: HandOff) -> HandOff:
            if current.look_at is None:
                return current
            if current.revoked:
                return states.after_erasure(current, clean=False, now=now)
            current = states.look_later(current, now, answer.retry_after_s, self._rules)
            # What only webhooks told is no verdict, artifacts being unread; unless it has been waited for long enough.
            verdict = states.judge(current, now, self._rules) if states.too_late(current, now, self._rules) else None
            return current if verdict is None else states.finish_retrieval(current, verdict[0], f"{verdict[1]} ({failure})", archived=())

        return await self._change(handoff.key, write)

    async def _change(self, key: str, write: Any) -> HandOff:
        changed = await self._records.change_handoff(key, write)
        if changed is None:  # records are never deleted; a store that lost one is told of, not worked around
            raise NotFound(f"the record {key} is gone")
        return changed[1]

    # Reading at Recall

    async def _views(self, handoff: HandOff, *, everywhere: bool = False) -> list[View]:
        """Every recording of a hand-off: those its MDC names, those that carry its key, those a webhook told of.

        The search by metadata is made when the MDC's id is not known, or `everywhere`. Raises `_Failed`, `RecallUnavailable`.
        """
        views: dict[str, View] = {}
        if handoff.mdc_id is not None:
            answer = await self._api.retrieve(handoff.mdc_id)
            if answer.status == 200:
                views.update((view.recording.id, view) for view in recall.read_mdc(answer.body))
            elif answer.status != 404:
                raise _Failed(answer)
        if handoff.mdc_id is None or everywhere:
            for view in await self._with_metadata(handoff.key):
                views.setdefault(view.recording.id, view)
        for known in handoff.recordings:
            if known.id not in views and known.status != "deleted":
                views[known.id] = await self._recording(known)
        return list(views.values())

    async def _with_metadata(self, key: str) -> list[View]:
        views: list[View] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            answer = await self._api.recordings_with_metadata(recall.METADATA_KEY, key, cursor)
            if answer.status != 200:
                raise _Failed(answer)
            page, following = recall.read_page(answer.body)
            views += page
            if following is None:
                return views
            if following == cursor:
                break
            cursor = following
        raise RecallUnavailable("Recall's list of recordings does not end")

    async def _recording(self, known: Recording) -> View:
        answer = await self._api.recording(known.id)
        if answer.status == 404:
            # Gone, if it was read before; else a webhook was faster than what it announces.
            return View(msgspec.structs.replace(known, status="deleted") if known.read else known, {})
        view = recall.read_recording(answer.body) if answer.status == 200 else None
        if view is None:
            raise _Failed(answer)
        return view

    # Archive

    async def _copy(self, handoff: HandOff, views: list[View], verdict: tuple[states.RetrievalTrigger, str]) -> HandOff:
        """Copy every finished artifact that is not archived yet, then finish the retrieval; what fails is tried again later."""
        assert self._archive is not None
        mine: int | None = None
        have = {item.name for item in handoff.archived}
        done: list[ArchivedArtifact] = []
        for view in views:
            if view.recording.status != "done":
                continue
            for artifact, link in view.links.items():
                name = f"{handoff.key}/{view.recording.id}/{artifact}.{link.extension}"
                if name in have:
                    continue
                until = self._clock.now_ms() + ARCHIVE_LEASE_MS
                handoff = await self._lease(handoff.key, mine, until)
                if handoff.revoked:
                    return await self._erase(handoff)
                if handoff.archive_until != until:
                    return handoff  # another worker is at it; the next look comes anyway
                mine = until
                try:
                    copied = await self._copy_one(self._archive, name, link, until)
                except (ArchiveError, RecallUnavailable) as error:
                    self._log("ERROR", "archive_failed", handoff=handoff.key, name=name, what=str(error))
                    return await self._lease(handoff.key, mine, None)
                self._log("INFO", "archived", handoff=handoff.key, name=name, size=copied.size, sha256=copied.sha256)
                done.append(ArchivedArtifact(name=name, size=copied.size, sha256=copied.sha256))

        def finish(current: HandOff) -> HandOff:
            if current.revoked:
                return msgspec.structs.replace(current, archive_until=None if current.archive_until == mine else current.archive_until)
            return states.finish_retrieval(current, *verdict, archived=done)

        handoff = await self._change(handoff.key, finish)
        return await self._erase(handoff) if handoff.revoked else handoff

    async def _lease(self, key: str, mine: int | None, until: int | None) -> HandOff:
        """Take, prolong or (`until` None) give back the right to copy. Another's living lease stays as it is."""
        now = self._clock.now_ms()

        def write(current: HandOff) -> HandOff:
            if current.archive_until not in (None, mine) and current.archive_until > now:
                return current
            # Whoever was overtaken by a revocation copies nothing more, and says that it is done.
            return msgspec.structs.replace(current, archive_until=None if current.revoked else until)

        return await self._change(key, write)

    async def _copy_one(self, archive: Archive, name: str, link: Link, until: int) -> Archived:
        try:
            return await archive.put(name, self._chunks(link, until), content_type=link.content_type)
        except AlreadyArchived:
            there = await archive.find(name)
            if there is None:
                raise
            return there

    async def _chunks(self, link: Link, until: int) -> AsyncIterator[bytes]:
        async for chunk in self._api.download(link.url):
            if self._clock.now_ms() >= until:
                raise ArchiveError(f"the copy took longer than {ARCHIVE_LEASE_MS // 60_000} minutes")
            yield chunk

    # Forgetting

    async def _erase(self, handoff: HandOff) -> HandOff:
        """Delete every recording at Recall and every archived byte of a revoked hand-off. Repeatable."""
        now = self._clock.now_ms()
        clean = handoff.archive_until is None or handoff.archive_until + states.ARCHIVE_MARGIN_MS <= now
        deleted: list[Recording] = []
        try:
            for view in await self._views(handoff, everywhere=True):
                if view.recording.status != "deleted":
                    answer = await self._api.delete_recording(view.recording.id)
                    if answer.status not in (200, 202, 204, 404):
                        raise _Failed(answer)
                deleted.append(Recording(id=view.recording.id, status="deleted"))
            if self._archive is not None:
                await self._archive.delete(f"{handoff.key}/")
        except (_Failed, RecallUnavailable, ArchiveError) as failure:
            self._log("ERROR", "error", where="forget", what=str(failure), handoff=handoff.key)
            clean = False

        def write(current: HandOff) -> HandOff:
            current = msgspec.structs.replace(current, recordings=states.merge_recordings(current.recordings, deleted))
            return states.after_erasure(current, clean, now)

        after = await self._change(handoff.key, write)
        if after.retrieval == "forgotten" and handoff.retrieval != "forgotten":
            self._log("NOTICE", "forgotten", handoff=after.key, stream=after.stream_key)
        return after

    # What a person or program asks for

    async def page(self, limit: int, cursor: str | None) -> dict[str, Any]:
        """Hand-offs, latest first: ``{"recordings": [...], "next": cursor or null}``. Raises `BadRequest` for a foreign cursor."""
        before, skip = None, 0
        if cursor is not None:
            stamp, dot, count = cursor.partition(".")
            if not (dot and stamp.isascii() and stamp.isdigit() and count.isascii() and count.isdigit() and len(cursor) < 30):
                raise BadRequest("cursor is not one that was given out")
            # Several records may share a millisecond: begin in it, and skip those that were shown.
            before, skip = int(stamp) + 1, int(count)
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
        """One hand-off whole, with fresh links; `links_error` tells why there are none. Raises `NotFound`."""
        handoff = await self._known(key)
        whole = summary(handoff) | {"history": handoff.history, "attempts": handoff.attempts}
        links: dict[str, dict[str, str]] = {}
        try:
            views = [] if handoff.revoked or not _may_have(handoff) else await self._views(handoff)
            links = {view.recording.id: {name: link.url for name, link in view.links.items()} for view in views}
        except (_Failed, RecallUnavailable) as failure:
            whole["links_error"] = str(failure)
        return whole | {"links": links}

    async def link(self, key: str, artifact: str | None, recording_id: str | None) -> Link:
        """A fresh link to one artifact; by default the first of video_mixed, audio_mixed that there is.

        Raises `NotFound` with the reason there is none, `BadRequest` for an unknown name, `RecallUnavailable`.
        """
        if artifact is not None and artifact not in recall.LINKS:
            raise BadRequest(f"artifact must be one of {', '.join(recall.LINKS)}")
        handoff = await self._known(key)
        if handoff.revoked:
            raise NotFound("the stream was revoked and its recording deleted")
        if not _may_have(handoff):
            raise NotFound(f"no recording: the hand-off is {handoff.state}" + (f" ({handoff.reason})" if handoff.reason else ""))
        try:
            views = await self._views(handoff)
        except _Failed as failure:
            raise RecallUnavailable(str(failure)) from None
        wanted = (artifact,) if artifact else ("video_mixed", "audio_mixed")
        for name in wanted:
            for view in views:
                if name in view.links and recording_id in (None, view.recording.id):
                    return view.links[name]
        states_seen = ", ".join(sorted({view.recording.status for view in views})) or "none were made yet"
        raise NotFound(f"no {' or '.join(wanted)} to download; recordings: {states_seen}")

    async def _known(self, key: str) -> HandOff:
        found = await self._records.handoff(key) if len(key) == 64 and set(key) <= set("0123456789abcdef") else None
        if found is None:
            raise NotFound("no hand-off has this key")
        return found[0]


def _may_have(handoff: HandOff) -> bool:
    return handoff.posted or handoff.unsure or bool(handoff.recordings)


def summary(handoff: HandOff) -> dict[str, Any]:
    """What the worker tells of a hand-off: everything but the stream's servers, keys and leases."""
    return {
        "id": handoff.key,
        "product": handoff.product,
        "entity_id": handoff.entity_id,
        "rtms_stream_id": handoff.stream_id,
        "state": handoff.state,
        "reason": handoff.reason,
        "event_ts": handoff.event_ts,
        "created_at": handoff.created_at,
        "accepted_at": handoff.accepted_at,
        "ended_at": handoff.ended_at,
        "mdc_id": handoff.mdc_id,
        "retrieval": handoff.retrieval,
        "retrieval_reason": handoff.retrieval_reason,
        "recordings": msgspec.to_builtins(handoff.recordings),
        "archived": msgspec.to_builtins(handoff.archived),
    }
