"""The sweep: once a minute, everything that is due. The third line for starts, the first for looks that are hours away.

Once a day it sends one harmless task through every queue, because a queue without tasks may fall asleep unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rtms_relay import budgets, tasks
from rtms_relay.concurrently import all_done
from rtms_relay.enqueueing import enqueue_look
from rtms_relay.errors import QueueUnavailable, RelayError
from rtms_relay.handing import Handing
from rtms_relay.handoff.record import HandOff
from rtms_relay.ports import Clock, Jobs, Log, Path, QueueName, Queues
from rtms_relay.recordings import Recordings
from rtms_relay.records import Records

_PROBE = "probe"


class Sweep:
    """One run at a time is enough; two at once do no harm."""

    def __init__(
        self,
        records: Records,
        handing: Callable[[], Handing],
        recordings: Recordings,
        probes: Probes,
        queues: Queues,
        clock: Clock,
        jobs: Jobs,
        log: Log,
    ) -> None:
        self._records = records
        self._new_handing = handing
        self._recordings = recordings
        self._probes = probes
        self._queues = queues
        self._clock = clock
        self._jobs = jobs
        self._log = log

    async def run(self, *, probe: bool = False) -> Mapping[str, int]:
        """Hand-offs first, all at once, here; then looks. Returns how many of each. `probe`: send the daily probe, too."""
        began = self._clock.monotonic_ms()
        now = self._clock.now_ms()
        due = await self._records.due(now, budgets.SWEEP_LIMIT)
        pending = [handoff for handoff in due if handoff.attempt.due_at is not None and handoff.attempt.due_at <= now]
        working = [
            self._jobs.start(self._finish(handoff, began + budgets.SWEEP_BUDGET_MS), f"sweep {handoff.key[:8]}") for handoff in pending
        ]
        enqueued, looked = await self._look_at_all([one for one in due if one.look_at is not None and one.look_at <= now], now, began)
        await all_done(self._jobs, working)
        await (self._probes.send(now) if probe else self._probes.check(now))
        counts = {"due": len(due), "handoffs": len(pending), "enqueued": enqueued, "looked": looked}
        self._log("WARNING" if looked or pending else "INFO", "sweep", **counts)
        return counts

    async def _look_at_all(self, overdue: Iterable[HandOff], now: int, began: float) -> tuple[int, int]:
        """How many looks were enqueued, and how many made here: no more than a sweep has time for."""
        looked = 0
        enqueued = 0
        for handoff in overdue:
            if await self._enqueued(handoff, now):
                enqueued += 1
            elif looked < budgets.SWEEP_LOOKS and self._clock.monotonic_ms() - began < budgets.SWEEP_BUDGET_MS:
                looked += 1
                await self._look(handoff)
        return enqueued, looked

    async def _finish(self, handoff: HandOff, until_ms: float) -> None:
        try:
            await self._new_handing().finish(handoff, until_ms=until_ms)
        except RelayError as error:
            self._log("ERROR", "error", where="sweep hand-off", what=str(error), handoff=handoff.key)

    async def _enqueued(self, handoff: HandOff, now: int) -> bool:
        """Put an overdue look on its queue. Its name is that of its moment, so that a look that still waits is not there twice."""
        at = handoff.look_at or now
        lost = (now - at) // budgets.OVERDUE_MS
        try:
            await enqueue_look(self._queues["retrievals"], tasks.Look(handoff=handoff.key), at, lost)
        except QueueUnavailable as error:
            self._log("ERROR", "error", where="sweep", what=str(error), handoff=handoff.key)
            return False
        return True

    async def _look(self, handoff: HandOff) -> None:
        try:
            await self._recordings.look(handoff.key, copying=False)
        except RelayError as error:
            self._log("ERROR", "error", where="sweep look", what=str(error), handoff=handoff.key)


def probe_path(queue: QueueName) -> Path:
    """Where the tasks of a queue go at the worker."""
    return "/retrieve" if queue == "retrievals" else "/events"


class Probes:
    """One mark in the store: when the last probe was sent, and the queues that it has not come back from."""

    def __init__(self, records: Records, queues: Queues, clock: Clock, log: Log) -> None:
        self._records = records
        self._queues = queues
        self._clock = clock
        self._log = log

    async def send(self, now: int) -> None:
        """A probe through each queue."""
        number = str(now)
        fresh = {"number": number, "sent_at": now, "waiting": sorted(self._queues), "alarmed": False, "created_at": now}
        await self._records.note("marks", _PROBE, lambda _: fresh)
        for name, queue in self._queues.items():
            try:
                await queue.enqueue(probe_path(name), tasks.encode(tasks.Probe(received_ms=now, queue=name, number=number)))
            except QueueUnavailable as error:
                self._log("ALERT", "probe_missing", queues=[name], what=str(error))

    async def arrived(self, probe: tasks.Probe) -> None:
        def note(mark: Mapping[str, Any] | None) -> Mapping[str, Any]:
            if mark is None or mark.get("number") != probe.number:
                return mark or {}
            return {**mark, "waiting": [name for name in mark["waiting"] if name != probe.queue]}

        await self._records.note("marks", _PROBE, note)
        late = self._clock.now_ms() - probe.received_ms > budgets.PROBE_ARRIVES_MS
        self._log("WARNING" if late else "INFO", "probe_arrived", queue=probe.queue, after_ms=self._clock.now_ms() - probe.received_ms)

    async def check(self, now: int) -> None:
        """An ALERT, once, if a probe is missing after a minute."""
        mark = await self._records.noted("marks", _PROBE) or {}
        waiting: list[QueueName] = list(mark.get("waiting", ()))
        if not waiting or mark.get("alarmed") or now - int(mark["sent_at"]) < budgets.PROBE_ARRIVES_MS:
            return
        self._log("ALERT", "probe_missing", queues=waiting, what="a task did not arrive within a minute; is the queue paused or stalled?")
        await self._records.note("marks", _PROBE, lambda before: {**(before or {}), "alarmed": True})
