"""What webhooks said of a stream. Facts are only added, so deliveries may come in any order and any number of times.

Starts on the same servers, one after the other, are one run, and one run is one hand-off. A start on other servers, later than all
before it, begins a new run (fail-over, also back to earlier servers). An older start than the newest joins the run of its servers, or
gets a run of its own that was superseded before it began.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from rtms_relay.handoff.keys import first_edition_key, handoff_key


class StopReason(msgspec.Struct, frozen=True):
    """`loss`: what it says of a stream that Recall had accepted: nobody joined, or the signature was refused. "" for an ordinary end."""

    name: str
    loss: str = ""


_NOBODY = "nobody joined in time"

STOP_REASONS: Mapping[int, StopReason] = {
    0: StopReason("undefined"),
    1: StopReason("the host stopped the app"),
    2: StopReason("the user stopped the app"),
    3: StopReason("the user left"),
    4: StopReason("the user was removed"),
    5: StopReason("the host disabled the app"),
    6: StopReason("the meeting ended"),
    7: StopReason("the stream was cancelled"),
    8: StopReason("the stream was revoked"),
    9: StopReason("all apps were disabled"),
    10: StopReason("an internal exception at Zoom"),
    11: StopReason("connection timeout", f"{_NOBODY}: did Recall join, and was the start handed on within Zoom's 60 s?"),
    12: StopReason("the connection to the instance was interrupted"),
    13: StopReason("the signaling connection was interrupted"),
    14: StopReason("the data connection was interrupted"),
    15: StopReason("the signaling connection was closed abnormally"),
    16: StopReason("the data connection was closed abnormally"),
    17: StopReason("exit signal"),
    18: StopReason("authentication failure", "the signature was refused: are ZOOM_CLIENT_ID and ZOOM_CLIENT_SECRET this app's?"),
    19: StopReason("nobody reconnected in time", f"{_NOBODY} after an interruption"),
    20: StopReason("the receiver closed the stream"),
    21: StopReason("the customer disconnected"),
    22: StopReason("the agent disconnected"),
    23: StopReason("an administrator disabled the app"),
    24: StopReason("keep-alive timeout", "the receiver stopped answering Zoom's keep-alive"),
    25: StopReason("stopped by the API"),
    26: StopReason("streaming is not supported", "Zoom cannot stream this meeting"),
}
"""`stop_reason` of `*.rtms_stopped` (Zoom RTMS docs, "Event reference", stop reasons). Unknown numbers count as an ordinary end."""

REVOKED = 8


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Starts that one hand-off answers. `key`: of the hand-off. `epoch`: event_ts of the start that created it. `newest_ts`: of the latest.

    `dated` False: Zoom gave no event_ts, so its order is unknown, and it supersedes nothing.
    """

    key: str
    server_urls: str
    epoch: int
    newest_ts: int
    dated: bool = True


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A start as the facts take it."""

    stream_id: str
    server_urls: str
    event_ts: int
    dated: bool = True


RUNS_LIMIT = 200
"""Runs that are kept of one stream, the latest ones. A record has its limits, and no stream fails over that often."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """One stream. `stopped_ts` 0: no stop is known. After a revocation the ids are gone, and so are the servers' names."""

    key: str
    stream_id: str
    product: str
    entity_id: str
    account_id: str = ""
    created_at: int
    runs: tuple[Run, ...] = ()
    stopped_ts: int = 0
    stop_reason: int = -1
    interrupted_ts: int = 0
    revoked_ts: int = 0

    @property
    def newest(self) -> Run | None:
        """The run that the stream is at now; equal times are decided by the servers' names, so that order cannot matter."""
        return max(self.runs, key=lambda run: (run.dated, run.newest_ts, run.server_urls, run.epoch), default=None)

    def is_newest(self, key: str) -> bool:
        """Whether the stream may be at this hand-off's servers: nothing later on others is known."""
        newest, run = self.newest, self.run(key)
        if newest is None or run is None or newest.key == key:
            return True
        return not run.dated and newest.newest_ts < run.newest_ts

    def run(self, key: str) -> Run | None:
        return next((run for run in self.runs if run.key == key), None)

    @property
    def last_ts(self) -> int:
        """The latest thing that is known to have happened."""
        return max(self.created_at, self.stopped_ts, self.interrupted_ts, self.revoked_ts, *(run.newest_ts for run in self.runs))


def with_start(facts: Facts, start: Begun, deployment: str, *, begins: bool = False) -> tuple[Facts, Run]:
    """The facts with a start, and the run that it belongs to. `begins`: the run of the same servers is over, so a later start does not
    join it."""
    run = _joined(facts, start.server_urls, start.event_ts, begins=begins)
    if run is None:
        return with_run(facts, start, deployment)
    if start.event_ts <= run.newest_ts or not start.dated:
        return facts, run
    later = replace(run, newest_ts=start.event_ts, dated=True)
    return replace(facts, runs=tuple(later if known.key == run.key else known for known in facts.runs)), later


def with_run(facts: Facts, start: Begun, deployment: str) -> tuple[Facts, Run]:
    """The facts with a run of its own for this start."""
    key = handoff_key(deployment, start.stream_id, start.server_urls, start.event_ts)
    if (known := facts.run(key)) is not None:
        return facts, known
    named = "" if facts.revoked_ts else start.server_urls
    run = Run(key=key, server_urls=named, epoch=start.event_ts, newest_ts=start.event_ts, dated=start.dated)
    latest = sorted((*facts.runs, run), key=lambda one: one.newest_ts)[-RUNS_LIMIT:]
    return replace(facts, runs=tuple(latest)), run


def _joined(facts: Facts, server_urls: str, event_ts: int, *, begins: bool) -> Run | None:
    """The run that a start joins, or None if it begins one."""
    same = [run for run in facts.runs if _same_servers(facts, run, server_urls)]
    newest = facts.newest
    if newest is not None and newest in same and not (begins and event_ts > newest.newest_ts):
        return newest if len(same) == 1 else _nearest(same, event_ts)
    # Of equal times the servers' names decide, as in `Facts.newest`.
    if newest is None or (event_ts, server_urls) > (newest.newest_ts, newest.server_urls):
        return None
    return _nearest(same, event_ts) if same else None


def _nearest(runs: list[Run], event_ts: int) -> Run:
    """Of runs on the same servers the one that had begun by then, or else the first."""
    begun = [run for run in runs if run.epoch <= event_ts]
    return max(begun, key=lambda run: run.epoch) if begun else min(runs, key=lambda run: run.epoch)


def _same_servers(facts: Facts, run: Run, server_urls: str) -> bool:
    if run.server_urls:
        return run.server_urls == server_urls
    return run.key == first_edition_key(facts.stream_id, server_urls)


def with_stop(facts: Facts, event_ts: int, reason: int | None) -> Facts:
    """The newest stop gives time and reason. A stop that revokes counts for ever, even if others come before or after it."""
    stopped_ts, stop_reason = max((event_ts, -1 if reason is None else reason), (facts.stopped_ts, facts.stop_reason))
    facts = replace(facts, stopped_ts=stopped_ts, stop_reason=stop_reason)
    if reason == REVOKED:
        nameless = tuple(replace(run, server_urls="") for run in facts.runs)
        facts = replace(facts, revoked_ts=max(facts.revoked_ts, event_ts), stream_id="", entity_id="", account_id="", runs=nameless)
    return facts


def with_interruption(facts: Facts, event_ts: int) -> Facts:
    return replace(facts, interrupted_ts=max(facts.interrupted_ts, event_ts))


def stop_words(facts: Facts) -> str:
    """The newest stop in words: ``stop_reason 6, the meeting ended``."""
    if facts.stop_reason < 0:
        return ""
    known = STOP_REASONS.get(facts.stop_reason)
    return f"stop_reason {facts.stop_reason}" + (f", {known.name}" if known else "")


def loss_of(facts: Facts) -> str:
    """The likely cause of a recording that did not come, if the stop gives one."""
    known = STOP_REASONS.get(facts.stop_reason)
    return known.loss if known is not None else ""
