"""What the worker logs about hand-offs: one line for each change, at the severity it deserves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rtms_relay.handoff.facts import Facts
from rtms_relay.handoff.record import HandOff
from rtms_relay.handoff.retrieval import LOSSES
from rtms_relay.ports import Clock, Log, Severity


class Notices:
    """Compares a record before and after a change, and logs the change."""

    def __init__(self, clock: Clock, log: Log) -> None:
        self._clock = clock
        self._log = log

    def changed(self, pairs: Iterable[tuple[HandOff | None, HandOff]], *, alert: bool = False) -> None:
        """`alert`: the cause will also make every other hand-off fail."""
        for before, after in pairs:
            self.state(before, after, alert=alert)
            self.not_joined(before, after)
            self.erased(before, after)

    def state(self, before: HandOff | None, after: HandOff, *, alert: bool = False) -> None:
        attempt = after.attempt
        if before is not None and before.attempt.state == attempt.state:
            return
        since = self._clock.now_ms() - attempt.start_ts
        line = {**ids(after), "product": after.product, "state": attempt.state, "reason": attempt.reason, "since_event_ms": since}
        marks = {"late": True} if attempt.late else {}
        if attempt.unsure:
            marks["unsure"] = True
        match attempt.state:
            case "expired":
                self._log("ALERT", "handoff_expired", **line, **marks)
            case "failed":
                self._log("ALERT" if alert or not attempt.tries else "ERROR", "handoff_failed", **line, **marks)
            case "accepted":
                self._log("NOTICE", "handoff_accepted", mdc_id=attempt.mdc_id, **line, **marks)
            case _ if before is not None:
                self._log("NOTICE", "handoff_changed", before=before.attempt.state, **line, **marks)
            case _:
                self._log("NOTICE", "handoff_created", **line, **marks)

    def not_joined(self, before: HandOff | None, after: HandOff) -> None:
        """Recall accepted the stream, and Zoom says that nobody joined it."""
        cause = after.retrieval.not_joined
        if cause and (before is None or before.retrieval.not_joined != cause):
            self._log("ALERT", "not_joined", mdc_id=after.attempt.mdc_id, reason=cause, **ids(after))

    def erased(self, before: HandOff | None, after: HandOff) -> None:
        if after.erasure.state == "forgotten" and (before is None or before.erasure.state != "forgotten"):
            self._log("NOTICE", "forgotten", handoff=after.key, stream=after.stream_key)

    def retrieved(self, before: HandOff, after: HandOff) -> None:
        """One look ended. Ends that lost something are errors."""
        retrieval = after.retrieval
        ended = retrieval.state in LOSSES and retrieval.state != before.retrieval.state
        severity: Severity = "ERROR" if ended else "INFO"
        next_at = after.look_at
        self._log(
            severity,
            "retrieval",
            state=retrieval.state,
            reason=retrieval.reason,
            recordings={recording.id: recording.status for recording in retrieval.recordings},
            mdc_status=retrieval.mdc_status,
            next_look_s=None if next_at is None else (next_at - self._clock.now_ms()) / 1000,
            **ids(after),
        )


def ids(handoff: HandOff) -> dict[str, Any]:
    """The ids that every line about a hand-off carries. Ids are no content; a revoked stream's are gone."""
    line = {"handoff": handoff.key, "stream": handoff.stream_key}
    if handoff.stream_id:
        line |= {"entity_id": handoff.entity_id, "rtms_stream_id": handoff.stream_id}
    return line


def fact_ids(facts: Facts) -> dict[str, Any]:
    line = {"stream": facts.key}
    if facts.stream_id:
        line |= {"entity_id": facts.entity_id, "rtms_stream_id": facts.stream_id}
    return line
