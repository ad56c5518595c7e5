"""A check-up that a person asks for: a harmless task through every queue to this worker, and one harmless question to Recall.

It alarms nobody: what it finds is the answer. The daily probe (`sweeping.Probes`) is the one that does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtms_relay import budgets, tasks
from rtms_relay.errors import NotFound, QueueUnavailable, StoreError
from rtms_relay.handoff import answers
from rtms_relay.ports import Answer, Clock, Log, QueueName, Queues, RecallApi
from rtms_relay.recall import METADATA_KEY
from rtms_relay.records import Records
from rtms_relay.shown import CheckedQueue, CheckUpShown
from rtms_relay.sweeping import probe_path

PREFIX = "checkup-"
"""Of the number of its tasks: those of the daily probe have none."""

_MARK = "checkup"
_NOBODYS = "0" * 64
_OF_ANY_CALL = (401, 402, 404, 405, 408, 429, 500, 502, 503, 504)
"""Answers whose cause is the same for a question as for a create."""


class CheckUp:
    """One document in the store has the latest check-ups, so that two people at once do no harm."""

    def __init__(self, records: Records, queues: Queues, api: RecallApi, clock: Clock, log: Log) -> None:
        self._records = records
        self._queues = queues
        self._api = api
        self._clock = clock
        self._log = log

    async def begin(self) -> CheckUpShown:
        """Send the tasks and ask Recall. Which tasks have come back says `show`. Without the store nothing is sent."""
        now = self._clock.now_ms()
        number = f"{PREFIX}{now}"
        status, recall = await self._ask_recall()
        try:
            await self._records.note("marks", _MARK, lambda mark: _with(mark, number, now))
        except StoreError as error:
            return CheckUpShown(number=number, now=now, store=str(error), recall=recall, recall_status=status, queues=())
        queues = tuple([await self._send(name, number, now) for name in sorted(self._queues)])
        self._log("INFO", "checkup", number=number, recall=status, refused=[one.name for one in queues if one.problem])
        return CheckUpShown(number=number, now=now, store="", recall=recall, recall_status=status, queues=queues)

    async def arrived(self, probe: tasks.Probe) -> None:
        after_ms = self._clock.now_ms() - probe.received_ms

        def note(mark: Mapping[str, Any] | None) -> Mapping[str, Any]:
            known = dict((mark or {}).get("checkups", {}))
            if mark is None or probe.number not in known:
                return mark or {}
            return {**mark, "checkups": {**known, probe.number: {**known[probe.number], probe.queue: after_ms}}}

        await self._records.note("marks", _MARK, note)
        self._log("INFO", "probe_arrived", queue=probe.queue, after_ms=after_ms)

    async def show(self, number: str) -> CheckUpShown:
        """Which tasks have come through, and after how long. Raises `NotFound` for a check-up that is not, or no longer, on record."""
        mark = await self._records.noted("marks", _MARK) or {}
        came = mark.get("checkups", {}).get(number)
        if came is None:
            raise NotFound("no check-up has this number; the latest are kept")
        queues = tuple(CheckedQueue(name=name, problem="", after_ms=came.get(name)) for name in sorted(self._queues))
        return CheckUpShown(number=number, now=self._clock.now_ms(), store="", recall="", recall_status=0, queues=queues)

    async def _send(self, name: QueueName, number: str, now: int) -> CheckedQueue:
        try:
            await self._queues[name].enqueue(probe_path(name), tasks.encode(tasks.Probe(received_ms=now, queue=name, number=number)))
        except QueueUnavailable as error:
            return CheckedQueue(name=name, problem=str(error), after_ms=None)
        return CheckedQueue(name=name, problem="", after_ms=None)

    async def _ask_recall(self) -> tuple[int, str]:
        """The status, and why that is no answer to rely on. The question is for the recordings of a hand-off that is nobody's."""
        answer: Answer = await self._api.recordings_with_metadata(METADATA_KEY, _NOBODYS)
        if answer.status == 200:
            return 200, ""
        if answer.status == 0 or answer.status in _OF_ANY_CALL:
            return answer.status, answers.outcome(answer.status, answer.failure, None).reason
        return answer.status, f"Recall answered {answer.status}"


def _with(mark: Mapping[str, Any] | None, number: str, now: int) -> Mapping[str, Any]:
    """The mark with one more check-up, the oldest ones left out."""
    known: dict[str, Any] = {**(mark or {}).get("checkups", {}), number: {}}
    latest = sorted(known)[-budgets.CHECKUPS_KEPT :]
    return {"created_at": now, "checkups": {name: known[name] for name in latest}}
