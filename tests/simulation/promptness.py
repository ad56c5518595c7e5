"""Judges whether each acknowledged start was handed on in time (G1', G9, G10), by the history of a finished run.

Zoom can be joined for 60 s. A start that its stream outlived must have its MDC by then, unless

* for all of the rest of that time Recall refused it or was unreachable, each time it was tried, and it was tried as often as the rules say;
* or two parts failed in that time: Firestore, Cloud Tasks in one region, Recall, one crash of a worker are a part each (G9 promises to
  bear one, not two). The webhook is none: what it acknowledged is on the queues;
* or Cloud Run let nobody through to the worker, or there was none, and less than `LEAST_MS` was left when that ended.

A stream that ended, or moved on to other servers, needs no MDC from then on. A start that was acknowledged with less than `LEAST_MS` of
its time left has no promise: one failure may cost that much.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.simulation.checker import ACK_LOST, CONNECT_WINDOW_MS, REVOKED, Verdict
from tests.simulation.weather import part_of
from tests.simulation.world import Event

LEAST_MS = 40_000
"""What one failure may cost: a POST that hangs (15 s) and the rest of its lease (5 s), or the second region's delay (5 s); then a back-off
of the queue (10 s at most); the rules plan no try in the last 3 s."""

PROMPT_MS = 10_000
"""G10: from the ack to Recall's acceptance."""

PAUSE_MS = 13_000
BUSY_PAUSE_MS = 34_000
"""How long after a failed try the next must have begun: the longest back-off with its jitter, or Recall's 30 s after 429 and 507."""

FIRST_TRY_MS = 10_000
LAST_TRY_MS = 3_500
BEFORE_MS = 10_000
"""How long before an ack a fault may have come and still have hit this start: at its enqueueing."""

NO_PART = ("recall", "scheduler", "webhook")
"""Whose failures are not counted by the clock: Recall's count where it met the start, the others' do it no harm."""

FINAL_REFUSALS = (400, 402, 422)

Stream = tuple[str, str]
Try = tuple[int, int, int]
"""(began, ended, status)"""


@dataclass(slots=True)
class _Seen:
    """What a history says. `starts`: (event_ts, servers). `revoked`: since when."""

    acked: dict[tuple[str, str, int], int] = field(default_factory=dict)
    starts: dict[str, set[tuple[int, str]]] = field(default_factory=lambda: defaultdict(set))
    ends: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    revoked: dict[str, int] = field(default_factory=dict)
    made: dict[Stream, list[int]] = field(default_factory=lambda: defaultdict(list))
    tries: dict[Stream, list[Try]] = field(default_factory=lambda: defaultdict(list))
    faults: list[tuple[int, str]] = field(default_factory=list)
    outages: list[tuple[int, int, str]] = field(default_factory=list)


def judge_acks(verdict: Verdict, history: Sequence[Event]) -> None:
    """G7: each delivery of a start is acknowledged within Zoom's 3 s. For runs in which one part has trouble and the webhook runs."""
    for event in history:
        if event.who == "zoom" and event.what == "answered" and event.facts["authentic"] and event.facts["urls"] is not None:
            status = event.facts["status"]
            if status >= 500 and status != ACK_LOST:
                verdict.breaks("G7", f"start of {event.facts['stream'][:8]} was answered {status} at {event.at_ms}")


def judge_promptness(verdict: Verdict, history: Sequence[Event], *, every_within_ms: int | None = None) -> None:
    """Add to the verdict what was late without excuse, and count the excuses. `every_within_ms`: G10, for a run without failures."""
    seen = _read(history)
    for (stream, urls, event_ts), acked_at in seen.acked.items():
        accepted_at = min(seen.made[stream, urls], default=None)
        if every_within_ms is not None and (accepted_at is None or accepted_at - acked_at > every_within_ms):
            verdict.breaks("G10", f"start of {stream[:8]} acknowledged at {acked_at}, accepted at {accepted_at}")
        excuse, failing = _excuse(seen, stream, urls, event_ts, acked_at)
        verdict.promptness[excuse or "late"] += 1
        if excuse is None:
            verdict.late += 1
            what = f"start of {stream[:8]} at {urls}, acknowledged at {acked_at}, was not handed on"
            verdict.breaks("G9" if failing else "G1'", f"{what}; failing: {', '.join(failing) or 'nothing'}")


def _read(history: Sequence[Event]) -> _Seen:
    seen = _Seen()
    for event in history:
        facts = event.facts
        if event.who == "zoom" and event.what == "answered" and facts["authentic"]:
            _read_answer(seen, event)
        elif event.who == "recall" and event.what == "made":
            seen.made[facts["stream"], facts["urls"]].append(event.at_ms)
        elif event.who == "recall" and event.what == "tried":
            seen.tries[facts["stream"], facts["urls"]].append((facts["began"], event.at_ms, facts["status"]))
        elif event.who == "fault" and (part := part_of(event.what)) is not None:
            seen.faults.append((event.at_ms, part))
        elif event.what == "crash" and event.who.startswith("worker"):
            seen.faults.append((event.at_ms, f"crash of {event.who} at {event.at_ms}"))
        elif event.who == "outage":
            seen.outages.append((event.at_ms, facts["until"], event.what))
    return seen


def _read_answer(seen: _Seen, event: Event) -> None:
    facts = event.facts
    name, stream, event_ts = facts["event"], facts["stream"], facts["ts"]
    if name.endswith("rtms_stopped"):
        seen.ends[stream].append(event_ts)
        if facts["reason"] == REVOKED:
            seen.revoked[stream] = min(event_ts, seen.revoked.get(stream, event_ts))
    elif facts["urls"] is not None:
        seen.starts[stream].add((event_ts, facts["urls"]))
        if 200 <= facts["status"] < 300:
            seen.acked.setdefault((stream, facts["urls"], event_ts), event.at_ms)


def _excuse(seen: _Seen, stream: str, urls: str, event_ts: int, acked_at: int) -> tuple[str | None, set[str]]:
    """Why this start has no MDC in time, and what failed; "in time" if it has one; None: there is no excuse."""
    window_end = event_ts + CONNECT_WINDOW_MS
    if any(at <= window_end for at in seen.made[stream, urls]):
        return "in time", set()
    later = [ts for ts, others in seen.starts[stream] if ts >= event_ts and others != urls]
    # A revocation holds for the whole stream, also for starts after it.
    revoked = max(event_ts, seen.revoked.get(stream, window_end))
    end = min([window_end, revoked, *(ts for ts in [*seen.ends[stream], *later] if ts >= event_ts)])
    if end - acked_at < LEAST_MS:
        return "no time was left" if end == window_end else "the stream ended or moved on", set()
    tries = [one for one in seen.tries[stream, urls] if one[0] <= end and one[1] >= acked_at - max(BEFORE_MS, _pause_after(one[2]))]
    failing = _failing(seen, tries, acked_at, end)
    if any(end - until < LEAST_MS for until in _no_worker(seen, acked_at, end)):
        return "Cloud Run let nobody through", failing
    if len(failing) > 1:
        return "two parts failed", failing
    if failing == {"recall"} and _refused_all_along(tries, acked_at, end):
        return "Recall refused or was unreachable", failing
    return None, failing


def _no_worker(seen: _Seen, acked_at: int, end: int) -> list[int]:
    """When each outage ended in which this start could reach no worker, ms."""
    return [until for begin, until, part in seen.outages if part in ("cloud run", "worker") and begin <= end and until >= acked_at]


def _failing(seen: _Seen, tries: Sequence[Try], acked_at: int, end: int) -> set[str]:
    """The parts that failed while this start had time. Recall's part counts only where it met this start."""
    since = acked_at - BEFORE_MS
    first = bisect_left(seen.faults, (since, ""))
    parts = {part for at, part in seen.faults[first:] if at <= end and part not in NO_PART}
    parts |= {part for begin, until, part in seen.outages if begin <= end and until >= since and part not in NO_PART}
    if any(not 200 <= status < 300 for _, _, status in tries):
        parts.add("recall")
    return parts


def _refused_all_along(tries: Sequence[Try], since: int, end: int) -> bool:
    """Whether it was tried for as long as it could be, and no try was accepted in time."""
    mine = sorted(tries)
    if not mine or mine[0][0] - since > FIRST_TRY_MS:
        return False
    if any(status in FINAL_REFUSALS for _, _, status in mine):
        return True
    begins = [began for began, _, _ in mine[1:]] + [end - LAST_TRY_MS]
    return all(begins[number] - ended <= _pause_after(status) for number, (_, ended, status) in enumerate(mine))


def _pause_after(status: int) -> int:
    return BUSY_PAUSE_MS if status in (429, 507) else PAUSE_MS
