"""The worker's use cases: what each kind of task asks for. The private side, which holds the Recall key and the records."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from rtms_relay import budgets, tasks
from rtms_relay.budgets import Rules
from rtms_relay.checkup import PREFIX, CheckUp
from rtms_relay.enqueueing import enqueue_look
from rtms_relay.errors import QueueUnavailable, TaskUnusable
from rtms_relay.handing import Handing
from rtms_relay.handoff import facts as known
from rtms_relay.handoff import record
from rtms_relay.handoff.facts import Facts
from rtms_relay.handoff.keys import stream_key
from rtms_relay.handoff.record import HandOff
from rtms_relay.inquiries import Inquiries
from rtms_relay.notices import Notices, fact_ids
from rtms_relay.ports import Archive, Clock, Jobs, Log, Queues, Randomness, RecallApi, Store
from rtms_relay.recordings import Recordings
from rtms_relay.records import Change, Changed, Records
from rtms_relay.replies import Reply
from rtms_relay.retrying import Retrying
from rtms_relay.settings import Settings
from rtms_relay.steady import SteadyClock
from rtms_relay.sweeping import Probes, Sweep

SOON_MS = 300_000
"""A look due within this time is enqueued; a later one is left to the sweep."""

_KEY = re.compile(r"[0-9a-f]{64}")


def rules(settings: Settings) -> Rules:
    return Rules(
        connect_window_ms=int(settings.zoom_connect_window_s * 1000),
        recall_timeout_ms=int(settings.recall_timeout_s * 1000),
        poll_ms=int(settings.retrieval_poll_s * 1000),
        give_up_ms=int(settings.retrieval_give_up_s * 1000),
    )


class Worker:
    """Each method ends with everything durable or raises: then the task is delivered again."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        queues: Queues,
        clock: Clock,
        jobs: Jobs,
        randomness: Randomness,
        log: Log,
        api: RecallApi,
        archive: Archive | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._settings = settings
        self._rules = rules(settings)
        self._queues = queues
        self._clock = clock
        self._log = log
        self._notices = Notices(clock, log)
        self._records = Records(store, clock, randomness, log, int(settings.records_keep_days * budgets.DAY_MS))
        self._new_handing = lambda: Handing(
            settings,
            self._rules,
            records=self._records,
            queues=queues,
            api=api,
            clock=SteadyClock(clock),
            jobs=jobs,
            randomness=randomness,
            log=log,
            stopping=stopping,
        )
        self._recordings = Recordings(self._records, api, archive, clock, log, self._rules)
        self._probes = Probes(self._records, queues, clock, log)
        self._sweep = Sweep(
            self._records, self._new_handing, self._recordings, probes=self._probes, queues=queues, clock=clock, jobs=jobs, log=log
        )
        self.checkup = CheckUp(self._records, queues, api, clock, log)
        self.inquiries = Inquiries(self._records, self._recordings, clock, self._rules)
        self.retrying = Retrying(self._records, self._new_handing, self._recordings, clock, log, self._rules)

    async def receive(self, path: str, body: bytes, due_ms: int | None = None) -> Reply:
        """One task. `due_ms`: when its queue says that it was due. Raises `StoreError`, `Stopping`, `TaskUnusable`."""
        try:
            task = tasks.decode(body, path)
        except TaskUnusable as error:
            return await self._unusable_task(body, str(error), due_ms)
        match task:
            case tasks.Start():
                return await self._started(task)
            case tasks.Stop():
                return await self._stopped(task)
            case tasks.Interruption():
                return await self._interrupted(task)
            case tasks.OutcomeNote():
                return _reply(task.start, await self._new_handing().note_outcome(task))
            case tasks.UnusableEvent():
                return await self._unusable_event(task)
            case tasks.Look():
                return await self._look(task)
            case tasks.Resume():
                return await self._resume(task)
            case tasks.Probe():
                await (self.checkup if task.number.startswith(PREFIX) else self._probes).arrived(task)
                return Reply({"status": "arrived"}, {"outcome": "probe", "queue": task.queue})

    async def sweep(self, *, probe: bool = False) -> Reply:
        """What Cloud Scheduler asks for each minute, and once a day with a probe of every queue."""
        counts = await self._sweep.run(probe=probe)
        return Reply(dict(counts), {"outcome": "swept"})

    # Zoom's events

    async def _started(self, start: tasks.Start) -> Reply:
        return _reply(start, await self._new_handing().hand_on(start, self._recordings.runs))

    async def _resume(self, task: tasks.Resume) -> Reply:
        handoff = await self._records.handoff(task.handoff) if _KEY.fullmatch(task.handoff) else None
        state = "unknown" if handoff is None else await self._new_handing().finish(handoff)
        return Reply({"status": state}, {"outcome": state, "handoff": task.handoff})

    async def _stopped(self, stop: tasks.Stop) -> Reply:
        revokes = stop.stop_reason == known.REVOKED
        changed = await self._change(stop, lambda facts: known.with_stop(facts, stop.event_ts, stop.stop_reason))
        name = "stream_revoked" if revokes else "stream_stopped"
        line = {**fact_ids(changed.facts), "rtms_stream_id": stop.stream_id}
        self._log("NOTICE", name, name=stop.event, stop_reason=stop.stop_reason, handoffs=len(changed.facts.runs), **line)
        return _reply(stop, "noted")

    async def _interrupted(self, event: tasks.Interruption) -> Reply:
        await self._change(event, lambda facts: known.with_interruption(facts, event.event_ts))
        return _reply(event, "noted")

    async def _change(self, event: tasks.Stop | tasks.Interruption, note: Callable[[Facts], Facts]) -> Changed[None]:
        """Add to a stream's facts and settle all its hand-offs in the same commit."""
        now = self._clock.now_ms()
        initial = Facts(
            key=stream_key(event.stream_id), stream_id=event.stream_id, product=event.product, entity_id=event.entity_id, created_at=now
        )

        def decide(facts: Facts, handoffs: Mapping[str, HandOff]) -> Change[None]:
            after = note(facts)
            return Change(after, {key: record.settle(handoff, after, now, self._rules) for key, handoff in handoffs.items()}, None)

        changed = await self._records.change_stream(initial, lambda facts: [run.key for run in facts.runs][-90:], decide)
        self._notices.changed(changed.handoffs)
        for before, after in changed.handoffs:
            await self._enqueue_look(before, after)
        return changed

    async def _unusable_event(self, task: tasks.UnusableEvent) -> Reply:
        """Keep what could not be used, for a person to look at."""
        key = hashlib.sha256(task.copy.encode()).hexdigest()
        fields = {"vendor": task.vendor, "reason": task.reason, "event": task.event, "keys": list(task.keys), "copy": task.copy}
        await self._keep(key, {**fields, "received_at": task.received_ms})
        return Reply({"status": "kept"}, {"outcome": "kept", "kept": key})

    async def _unusable_task(self, body: bytes, reason: str, due_ms: int | None) -> Reply:
        """A task that this release cannot read: kept, and repeated until its stream could not be joined any more, since a newer release may
        read it. Raises `TaskUnusable` until then."""
        now = self._clock.now_ms()
        since = tasks.received_ms(body) or due_ms or 0
        over = now >= since + self._rules.connect_window_ms
        key = hashlib.sha256(body).hexdigest()
        self._log("ALERT", "task_unusable", reason=reason, bytes=len(body), kept=key, over=over)
        await self._keep(key, {"reason": reason, "copy": body[: budgets.UNUSABLE_BYTES].decode("utf-8", "replace"), "received_at": since})
        if not over:
            raise TaskUnusable(reason)
        return Reply({"status": "unusable", "reason": reason}, {"outcome": "unusable", "kept": key})

    async def _keep(self, key: str, fields: Mapping[str, Any]) -> None:
        now = self._clock.now_ms()
        document = {**fields, "created_at": now, "expires_at": now + budgets.UNUSABLE_DAYS * budgets.DAY_MS}
        await self._records.note("unusable", key, lambda before: before or document)

    # Recordings

    async def _look(self, task: tasks.Look) -> Reply:
        """Look for the recordings of one hand-off, archive what is finished, or delete what was revoked."""
        if not _KEY.fullmatch(task.handoff):
            return Reply({"status": "unknown"}, {"outcome": "unknown"})
        now = self._clock.now_ms()
        if task.message:
            changed = await self._records.change_handoff(
                task.handoff, lambda handoff: record.announced(handoff, task.message, task.recording_id, now)
            )
            if changed is not None and changed[0] != changed[1]:
                self._log("INFO", "recall_event", handoff=task.handoff, recording=task.recording_id)
        looked = await self._recordings.look(task.handoff)
        if looked is None:
            return Reply({"status": "unknown"}, {"outcome": "unknown"})
        before, after = looked
        await self._enqueue_look(before, after)
        state = after.erasure.state if after.erasure.on else after.retrieval.state
        return Reply({"status": state}, {"outcome": state, "handoff": task.handoff, "stream": after.stream_key})

    async def _enqueue_look(self, before: HandOff | None, after: HandOff) -> None:
        """Best effort: the record's `due_at` is a second way to the same look."""
        at = after.look_at
        if at is None or at - self._clock.now_ms() > SOON_MS or (before is not None and before.look_at == at):
            return
        try:
            await enqueue_look(self._queues["retrievals"], tasks.Look(handoff=after.key), at)
        except QueueUnavailable as error:
            self._log("WARNING", "error", where="enqueue", what=str(error), handoff=after.key)


def _reply(task: tasks.Start | tasks.Stop | tasks.Interruption, state: str) -> Reply:
    notes = {"name": task.event, "outcome": state, "stream": stream_key(task.stream_id), "rtms_stream_id": task.stream_id}
    return Reply({"status": state}, notes)
