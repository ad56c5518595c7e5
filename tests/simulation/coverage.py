"""What a hostile run must have met for its silence to mean anything: each rare state, recognised from outside."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.simulation.relay_world import Run, records
from tests.simulation.world import Event

Records = Mapping[str, Mapping[str, Any]]


def _recall(run: Run, what: str, status: int) -> bool:
    return any(event.who == "recall" and event.what == what and event.facts.get("status") == status for event in run.world.history)


def _crash_during_post(run: Run) -> bool:
    return run.world.injected.get("crash:wait", 0) > 0


def _lease_broken(run: Run) -> bool:
    """An attempt whose end nobody wrote down, and another after it."""
    ended: dict[str, set[int]] = defaultdict(set)
    for _, event, fields in run.lines.kept:
        if event == "attempt":
            ended[fields["handoff"]].add(fields["number"])
    return any(set(range(1, max(numbers))) - numbers for numbers in ended.values())


def _new_key_after_507(run: Run) -> bool:
    refused = {event.facts["handoff"] for event in run.world.history if event.what == "refused" and event.facts["status"] == 507}
    return any(event.what == "made" and event.facts["handoff"] in refused for event in run.world.history if event.who == "recall")


def _stop_before_start(run: Run) -> bool:
    started: set[str] = set()
    stopped: set[str] = set()
    for event in _acked(run.world.history):
        stream = event.facts["stream"]
        if event.facts["event"].endswith("rtms_stopped"):
            stopped.add(stream)
        elif event.facts["event"].endswith("rtms_started"):
            if stream in stopped and stream not in started:
                return True
            started.add(stream)
    return False


def _acked(history: Sequence[Event]) -> list[Event]:
    return [e for e in history if e.who == "zoom" and e.what == "answered" and e.facts["status"] < 300 and e.facts["authentic"]]


def _sweep_healed(run: Run) -> bool:
    """A sweep handed on what no task did."""
    return any(event == "sweep" and fields["handoffs"] for _, event, fields in run.lines.kept)


def _one_queue(run: Run) -> bool:
    return any(event == "start_acked" and len(fields["queues"]) == 1 for _, event, fields in run.lines.kept)


def _unreachable_then_made(run: Run) -> bool:
    tried = {(e.facts["stream"], e.facts["urls"]) for e in run.world.history if e.what == "tried" and e.facts["failure"] == "unreachable"}
    return any(e.who == "recall" and e.what == "made" and (e.facts["stream"], e.facts["urls"]) in tried for e in run.world.history)


def _zoom_retry(run: Run) -> bool:
    failed: set[tuple[Any, ...]] = set()
    for event in run.world.history:
        if event.what == "answered" and event.facts["authentic"]:
            happening = (event.facts["event"], event.facts["stream"], event.facts["ts"])
            if event.facts["status"] >= 500:
                failed.add(happening)
            elif happening in failed:
                return True
    return False


def _handoffs(run: Run) -> Records:
    return records(run.store)


def _logged(event: str, **facts: Any) -> Callable[[Run], bool]:
    return lambda run: any(name == event and facts.items() <= fields.items() for _, name, fields in run.lines.kept)


def _any(condition: Callable[[Mapping[str, Any]], bool]) -> Callable[[Run], bool]:
    return lambda run: any(condition(fields) for fields in _handoffs(run).values())


def _happened(who: str, what: str, **facts: Any) -> Callable[[Run], bool]:
    return lambda run: any(e.who == who and e.what == what and facts.items() <= e.facts.items() for e in run.world.history)


def _why(fields: Mapping[str, Any]) -> str:
    return fields["reason"] if fields["state"] == "expired" else ""


def _deleted_later(run: Run) -> bool:
    failed = {fields["handoff"] for _, event, fields in run.lines.kept if event == "error" and fields["where"] == "forget"}
    return any(fields["retrieval"] == "forgotten" and key in failed for key, fields in _handoffs(run).items())


def _look_made_good(run: Run) -> bool:
    lost = any(event.what == "task lost" and event.facts["path"] == "/retrieve" for event in run.world.history if event.who == "queue")
    return lost and any(event == "sweep" and fields["enqueued"] + fields["looked"] for _, event, fields in run.lines.kept)


def _sweep_again(run: Run) -> bool:
    """By the order of the log's lines."""
    failed = False
    for _, event, fields in run.lines.kept:
        if event == "sweep" and failed:
            return True
        failed = failed or (event == "error" and fields["where"] == "sweep")
    return False


def _refused_then_made(run: Run) -> bool:
    refused = {event.facts["handoff"] for event in run.world.history if event.what == "refused" and event.facts["status"] == 401}
    return any(event.what == "made" and event.facts["handoff"] in refused for event in run.world.history if event.who == "recall")


def _no_worker(run: Run) -> bool:
    """A hand-off was accepted after an outage of all workers that began when its start was there."""
    outages = [(event.at_ms, event.facts["until"]) for event in run.world.history if event.who == "outage" and event.what == "worker"]
    started = [(event.at_ms, event.facts["stream"]) for event in _acked(run.world.history) if event.facts["urls"] is not None]
    made = {event.facts["stream"]: event.at_ms for event in run.world.history if event.who == "recall" and event.what == "made"}
    return any(begin <= at <= end <= made.get(stream, 0) for begin, end in outages for at, stream in started)


SOMETIMES: Mapping[str, Callable[[Run], bool]] = {
    "a worker crashed while its POST was under way": _crash_during_post,
    "a lease was broken and the hand-off attempted again": _lease_broken,
    "Recall answered 409, the key being in flight": lambda run: _recall(run, "refused", 409),
    "Recall answered 507 and a new key made the MDC": _new_key_after_507,
    "a 201 was lost and its replay told the id": lambda run: _recall(run, "replayed", 201),
    "a 201 was lost for good and its recording found by metadata or webhook": _any(
        lambda fields: fields["state"] == "accepted" and fields.get("mdc_id") is None and bool(fields.get("recordings"))
    ),
    "a fail-over overtook an attempt": _any(lambda fields: fields["state"] == "superseded" and fields.get("mdc_id") is not None),
    "a fail-over came before the attempt": _any(lambda fields: fields["state"] == "superseded" and not fields.get("tries")),
    "a stop was heard before its start": _stop_before_start,
    "a hand-off was cancelled": _any(lambda fields: fields["state"] == "cancelled"),
    "a hand-off expired": _any(lambda fields: fields["state"] == "expired"),
    "a hand-off failed for good": _any(lambda fields: fields["state"] == "failed"),
    "a sweep came upon a pending hand-off": _sweep_healed,
    "the store was away and the start was handed on without it": _logged("outcome_noted"),
    "the copy in the second region came first": _logged("home_stalled"),
    "the same servers came again": _logged("start_again"),
    "Zoom's retry brought what the first delivery could not": _zoom_retry,
    "no recording was made, and that was found out": _any(lambda fields: fields["retrieval"] == "none_made"),
    "a recording was retrieved": _any(lambda fields: fields["retrieval"] == "done"),
    "a download was cut and made again": _logged("archive_failed"),
    "a revoked stream's recording was deleted at Recall": lambda run: any(
        e.who == "recall" and e.what == "deleted" for e in run.world.history
    ),
    "an archived object of a revoked stream was deleted": _happened("archive", "deleted"),
    "a forged delivery was refused": _happened("zoom", "answered", authentic=False, status=401),
    "the webhook took a start for which only one queue was there": _one_queue,
    "Recall could not be reached, and the same key made the MDC later": _unreachable_then_made,
    "a revoked stream was forgotten": _any(lambda fields: fields["retrieval"] == "forgotten"),
    "a start first seen after its window was tried once": _any(lambda fields: "first seen late and tried once" in _why(fields)),
    "a hand-off expired while an attempt of it was in doubt": _any(lambda fields: "an attempt may have made a recording" in _why(fields)),
    "a stream was revoked before it was handed on": _any(
        lambda fields: fields["state"] == "cancelled" and fields["reason"] == "the stream was revoked"
    ),
    "Recall accepted a stream and nobody joined": _logged("not_joined"),
    "Recall showed recordings of others, and they were left alone": _logged("foreign_recordings"),
    "a deletion failed and was made later": _deleted_later,
    "a look was lost with its task, and the sweep had it made": _look_made_good,
    "a sweep failed and the next one came through": _sweep_again,
    "a key that Recall refused was tried again and made the MDC": _refused_then_made,
    "a task found no worker, and came again": _no_worker,
}
"""Each must come true in at least one run of a session, or the session fails for lack of coverage."""


def met(run: Run) -> Counter[str]:
    return Counter(name for name, condition in SOMETIMES.items() if condition(run))
