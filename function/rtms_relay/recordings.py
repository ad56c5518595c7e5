"""Looking for recordings, archiving and erasing: everything that the worker reads and deletes at Recall after a hand-off.

Links live six hours, so only ids are stored and links are fetched when somebody asks. Nothing is deleted or adopted that is not ours:
shown to us with this hand-off's metadata, or listed by the MDC whose id Recall gave to our own POST, unless it carries another
hand-off's metadata. What a list or a filter returned is no evidence.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field

from msgspec.structs import replace

from rtms_relay import budgets, recall
from rtms_relay.budgets import Rules
from rtms_relay.errors import AlreadyArchived, ArchiveError, NotFound, RecallUnavailable
from rtms_relay.handoff import erasure as erasures
from rtms_relay.handoff import record
from rtms_relay.handoff import retrieval as retrievals
from rtms_relay.handoff.record import HandOff
from rtms_relay.handoff.retrieval import FINAL, ArchivedArtifact
from rtms_relay.notices import Notices, ids
from rtms_relay.ports import Answer, Archive, Archived, Clock, Log, RecallApi, Recording
from rtms_relay.recall import Link, View
from rtms_relay.records import Records

MAX_PAGES = 100
_EARLY_MS = 1_000


class Unanswered(Exception):
    """Recall did not answer a question: `answer` says how."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer

    def __str__(self) -> str:
        return f"Recall answered {self.answer.status}" if self.answer.status else f"no answer from Recall ({self.answer.failure})"


@dataclass(frozen=True, slots=True)
class Seen:
    """What Recall showed for one hand-off. `ours`: its recordings. `foreign`: ids of others that were asked about or came along."""

    ours: tuple[View, ...]
    foreign: tuple[str, ...] = ()
    mdc_status: str = ""


@dataclass(slots=True)
class _Sorted:
    ours: dict[str, View] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)

    def sort_out(self, views: Iterable[View], handoffs: tuple[str | None, ...]) -> None:
        """What names one of `handoffs` in its metadata (None: none) is ours; what was ours already stays so."""
        for view in views:
            if view.handoff in handoffs:
                self.ours.setdefault(view.recording.id, view)
            elif view.recording.id not in self.ours:
                self.foreign.add(view.recording.id)


class Recordings:
    """Works on one hand-off at a time. `archive` None: nothing is copied."""

    def __init__(self, records: Records, api: RecallApi, archive: Archive | None, clock: Clock, log: Log, rules: Rules) -> None:
        self._records = records
        self._api = api
        self._archive = archive
        self._clock = clock
        self._log = log
        self._rules = rules
        self._notices = Notices(clock, log)

    async def look(self, key: str, *, copying: bool = True) -> tuple[HandOff, HandOff] | None:
        """One look for the recordings of a hand-off; the record before and after, None if there is none.

        Does nothing if it is not its time: a task may come twice. A revoked hand-off is erased instead. `copying` False: nothing goes to
        the archive now.
        """
        before = await self._records.handoff(key)
        if before is None:
            return None
        if before.look_at is None or before.look_at > self._clock.now_ms() + _EARLY_MS:
            return before, before
        return before, await (self._erase(before) if before.erasure.on else self._read_and_judge(before, copying=copying))

    async def runs(self, handoff: HandOff) -> bool | None:
        """Whether Recall still records for an accepted hand-off; None: it does not say."""
        try:
            recordings = await self.seen(handoff)
        except (Unanswered, RecallUnavailable) as failure:
            self._log("WARNING", "retrieval", reason=str(failure), state=handoff.retrieval.state, **ids(handoff))
            return None
        statuses = [view.recording.status for view in recordings.ours]
        if statuses:
            return any(status not in FINAL for status in statuses)
        # None is listed yet: that of an MDC that was made just now is still to come.
        accepted_at = handoff.attempt.accepted_at or 0
        return self._clock.now_ms() - accepted_at < self._rules.connect_window_ms

    async def _read_and_judge(self, handoff: HandOff, *, copying: bool) -> HandOff:
        try:
            recordings = await self.seen(handoff)
        except (Unanswered, RecallUnavailable) as failure:
            return await self._unanswered(handoff, failure)
        facts = await self._records.facts(handoff.stream_key)
        now = self._clock.now_ms()

        def write(current: HandOff) -> HandOff:
            if current.erasure.on:
                return current
            read = [view.recording for view in recordings.ours]
            current = record.after_look(current, read, recordings.foreign, recordings.mdc_status, now, self._rules)
            verdict = record.verdict(current, facts, now, self._rules)
            if verdict is None or (self._archive is not None and verdict[0] in ("complete", "incomplete")):
                return current
            return replace(current, retrieval=retrievals.finish(current.retrieval, *verdict))

        after = await self._change(handoff.key, write)
        if after.erasure.on:
            return await self._erase(after)
        verdict = record.verdict(after, facts, now, self._rules)
        if verdict is not None and copying and self._archive is not None:
            after = await self._copy(self._archive, after, recordings.ours, verdict)
        self._notices.state(handoff, after)
        self._notices.retrieved(handoff, after)
        return after

    async def _unanswered(self, handoff: HandOff, failure: Unanswered | RecallUnavailable) -> HandOff:
        facts = await self._records.facts(handoff.stream_key)
        now = self._clock.now_ms()
        answer = failure.answer if isinstance(failure, Unanswered) else Answer(0)
        severity = "ALERT" if answer.status in (401, 402, 403) else "WARNING"
        self._log(severity, "retrieval", state=handoff.retrieval.state, reason=str(failure), status=answer.status, **ids(handoff))

        def write(current: HandOff) -> HandOff:
            if current.retrieval.look_at is None or current.erasure.on:
                return current
            later = retrievals.look_later(current.retrieval, now, answer.retry_after_s, self._rules)
            current = replace(current, retrieval=later)
            # What only webhooks said is no verdict, artifacts being unread; unless it has been waited for long enough.
            late = retrievals.too_late(later, current.created_at, current.attempt.accepted_at, now, self._rules)
            verdict = record.verdict(current, facts, now, self._rules) if late else None
            if verdict is None:
                return current
            return replace(current, retrieval=retrievals.finish(later, verdict[0], f"{verdict[1]} ({failure})"))

        after = await self._change(handoff.key, write)
        if after.retrieval.state != handoff.retrieval.state:
            self._notices.retrieved(handoff, after)
        return after

    async def _change(self, key: str, write: Callable[[HandOff], HandOff]) -> HandOff:
        changed = await self._records.change_handoff(key, write)
        if changed is None:  # records are never deleted while something is to be done; a store that lost one is not worked around
            raise NotFound(f"the record {key} is gone")
        return changed[1]

    # Reading at Recall

    async def seen(self, handoff: HandOff, *, everywhere: bool = False) -> Seen:
        """Every recording of a hand-off: those that its own MDC lists, those known by id, and those that carry its metadata.

        The search by metadata is made when the MDC's id is not known and somebody may have made one, or `everywhere`. Raises `Unanswered`,
        `RecallUnavailable`.
        """
        recordings = _Sorted()
        mdc_status = ""
        if (mdc_id := handoff.attempt.mdc_id) is not None:
            answer = await self._api.retrieve(mdc_id)
            if answer.status == 200:
                mdc_status = recall.mdc_status(answer.body)
                recordings.sort_out(recall.read_mdc(answer.body), (None, handoff.key))
            elif answer.status != 404:
                raise Unanswered(answer)
        if everywhere or (mdc_id is None and not handoff.retrieval.recordings):
            recordings.sort_out(await self._with_metadata(handoff.key), (handoff.key,))
        await self._add_known(handoff, recordings)
        if recordings.foreign:
            what = "Recall showed recordings that are not ours; they are left alone"
            self._log("ALERT", "foreign_recordings", count=len(recordings.foreign), what=what, **ids(handoff))
        return Seen(tuple(recordings.ours.values()), tuple(sorted(recordings.foreign)), mdc_status)

    async def _add_known(self, handoff: HandOff, recordings: _Sorted) -> None:
        """Read those known by id that no list has shown."""
        for known in handoff.retrieval.recordings:
            if known.id not in recordings.ours and known.id not in recordings.foreign and known.status != "deleted":
                # One that was read before was listed by our own MDC, or had our metadata.
                recordings.sort_out([await self._known(known, handoff.key)], (None, handoff.key) if known.read else (handoff.key,))

    async def _with_metadata(self, key: str) -> list[View]:
        views: list[View] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            answer = await self._api.recordings_with_metadata(recall.METADATA_KEY, key, cursor)
            if answer.status != 200:
                raise Unanswered(answer)
            page, following = recall.read_page(answer.body)
            views += page
            if following is None:
                return views
            if following == cursor:
                break
            cursor = following
        raise RecallUnavailable("Recall's list of recordings does not end")

    async def _known(self, known: Recording, key: str) -> View:
        """A recording that a webhook named or that was seen before."""
        answer = await self._api.recording(known.id)
        if answer.status == 404:
            # Gone, if it was read before; else a webhook was faster than what it announces.
            return View(replace(known, status="deleted") if known.read else known, {}, key)
        view = recall.read_recording(answer.body) if answer.status == 200 else None
        if view is None:
            raise Unanswered(answer)
        return view

    # Archive

    async def _copy(self, archive: Archive, handoff: HandOff, views: tuple[View, ...], verdict: tuple[retrievals.Trigger, str]) -> HandOff:
        """Copy every finished artifact that is not archived yet, then finish the retrieval; what fails is tried again later.

        What is left when the time of this task is over is copied by the next one.
        """
        mine: int | None = None
        end = self._clock.monotonic_ms() + budgets.COPY_MS
        done: list[ArchivedArtifact] = []
        for name, link in _wanted(handoff, views):
            until = self._clock.now_ms() + budgets.ARCHIVE_LEASE_MS
            handoff = await self._lease(handoff.key, mine, until)
            if handoff.erasure.on:
                return await self._erase(handoff)
            if handoff.retrieval.archive_until != until:
                return handoff  # another worker is at it; the next look comes anyway
            mine = until
            try:
                copied = await self._copy_one(archive, name, link, end)
            except (ArchiveError, RecallUnavailable) as error:
                over = self._clock.monotonic_ms() >= end
                # One that came after others and found no time left has not failed: the next task begins with it.
                if not (over and done):
                    self._log("ERROR", "archive_failed", handoff=handoff.key, name=name, what=str(error))
                return await self._not_copied(handoff.key, mine, name, done, slow=over and not done)
            self._log("INFO", "archived", handoff=handoff.key, name=name, size=copied.size, sha256=copied.sha256)
            done.append(ArchivedArtifact(name=name, size=copied.size, sha256=copied.sha256))

        def finish(current: HandOff) -> HandOff:
            if current.erasure.on:
                return _copying_until(current, None) if current.retrieval.archive_until == mine else current
            return replace(current, retrieval=retrievals.finish(current.retrieval, *verdict, archived=done))

        handoff = await self._change(handoff.key, finish)
        return await self._erase(handoff) if handoff.erasure.on else handoff

    async def _not_copied(self, key: str, mine: int, name: str, done: list[ArchivedArtifact], *, slow: bool) -> HandOff:
        def write(current: HandOff) -> HandOff:
            if current.erasure.on:
                return _copying_until(current, None) if current.retrieval.archive_until == mine else current
            return replace(current, retrieval=retrievals.not_copied(current.retrieval, mine, name, done, slow=slow))

        return await self._change(key, write)

    async def _lease(self, key: str, mine: int | None, until: int | None) -> HandOff:
        """Take, prolong or (`until` None) give back the right to copy. A lease of another worker that is still valid is not changed."""
        now = self._clock.now_ms()

        def write(current: HandOff) -> HandOff:
            lease_end = current.retrieval.archive_until
            if lease_end is not None and lease_end != mine and lease_end > now:
                return current
            # A worker that was overtaken by a revocation copies nothing more, and says that it is done.
            return _copying_until(current, None if current.erasure.on else until)

        return await self._change(key, write)

    async def _copy_one(self, archive: Archive, name: str, link: Link, end: float) -> Archived:
        try:
            return await archive.put(name, self._chunks(link, end), content_type=link.content_type)
        except AlreadyArchived:
            there = await archive.find(name)
            if there is None:
                raise
            return there

    async def _chunks(self, link: Link, end: float) -> AsyncIterator[bytes]:
        async for chunk in self._api.download(link.url):
            if self._clock.monotonic_ms() >= end:
                raise ArchiveError(f"the copies of one task took longer than {budgets.COPY_MS // 60_000} minutes")
            yield chunk

    # Erasure

    async def _erase(self, handoff: HandOff) -> HandOff:
        """Delete what is ours at Recall, and every archived byte, of a revoked hand-off. Repeatable."""
        now = self._clock.now_ms()
        copying = handoff.retrieval.archive_until
        clean = copying is None or copying + budgets.ARCHIVE_MARGIN_MS <= now
        deleted: list[str] = []
        try:
            for view in (await self.seen(handoff, everywhere=True)).ours:
                await self._delete(view)
                deleted.append(view.recording.id)
            if self._archive is not None:
                await self._archive.delete(f"{handoff.key}/")
        except (Unanswered, RecallUnavailable, ArchiveError) as failure:
            self._log("ERROR", "error", where="forget", what=str(failure), handoff=handoff.key)
            clean = False
        after = await self._change(handoff.key, lambda current: record.after_erasure(current, deleted, clean=clean, now=now))
        self._notices.erased(handoff, after)
        return await self._alarmed(after, now)

    async def _delete(self, view: View) -> None:
        if view.recording.status == "deleted":
            return
        answer = await self._api.delete_recording(view.recording.id)
        if answer.status not in (200, 202, 204, 404):
            raise Unanswered(answer)

    async def _alarmed(self, handoff: HandOff, now: int) -> HandOff:
        """A revocation that cannot be carried out wakes somebody, once a day."""
        accepted = handoff.attempt.mdc_id is not None
        why = erasures.alarm(handoff.erasure, accepted=accepted, now=now)
        if not why:
            return handoff
        self._log("ALERT", "not_forgotten", handoff=handoff.key, stream=handoff.stream_key, mdc_id=handoff.attempt.mdc_id, reason=why)
        return await self._change(handoff.key, lambda current: replace(current, erasure=erasures.alarmed(current.erasure, now)))


def _wanted(handoff: HandOff, views: tuple[View, ...]) -> list[tuple[str, Link]]:
    """The finished artifacts that are not archived yet: (name in the archive, link)."""
    have = {item.name for item in handoff.retrieval.archived}
    names = [
        (f"{handoff.key}/{view.recording.id}/{artifact}.{link.extension}", link)
        for view in views
        if view.recording.status == "done"
        for artifact, link in view.links.items()
    ]
    return [(name, link) for name, link in names if name not in have]


def _copying_until(handoff: HandOff, until: int | None) -> HandOff:
    return replace(handoff, retrieval=replace(handoff.retrieval, archive_until=until))
