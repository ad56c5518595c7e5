"""What must hold of any webhook receiver, judged from what the fakes have seen (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rtms_simulator.control.answers import ProblemRow
from rtms_simulator.faults import ArmedFault
from rtms_simulator.recall.http.exchange import RequestRecord
from rtms_simulator.recall.records.workspace import Mdc, Recording
from rtms_simulator.zoom import MeetingReport
from rtms_simulator.zoom.webhooks.sender import READ_TIMEOUT, Delivery

INVARIANTS: Mapping[str, str] = {
    "refused": "every genuine event is accepted: after a 4xx Zoom never sends it again",
    "failed": "every genuine event is accepted the first time: after a 5xx Zoom repeats it in 5 minutes, but drops the stream after one",
    "slow": "every event is answered within Zoom's 3 seconds",
    "forged": "an event that is unsigned, wrongly signed or stale is never accepted",
    "lost": "every start that was accepted reaches Recall",
    "doubled": "one (stream, server_urls) makes at most one Meeting Direct Connect",
    "unjoined": "every stream that reached Recall was joined: the signature was right",
    "unused": "every fault that was armed acts, and changes something",
}
"""What `WebhookSandbox.problems` looks for. `WebhookSandbox.allow` takes these names."""

RULES: Mapping[str, str] = {**INVARIANTS, "kept": "what was recorded is deleted at Recall once consent is withdrawn (stop_reason 8)"}
"""The invariants, and one more rule for a meeting that should end `deleted`."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule: its name in `RULES`, what happened, and the nearest miss."""

    name: str
    what: str

    def __str__(self) -> str:
        return f"{self.name}: {self.what}\n    ({RULES[self.name]})"


def judge(
    deliveries: Iterable[Delivery], meetings: Iterable[MeetingReport], mdcs: Iterable[Mdc], requests: Sequence[RequestRecord]
) -> list[Problem]:
    """Every broken invariant in what the fakes have seen."""
    problems = [problem for delivery in deliveries if (problem := judge_delivery(delivery)) is not None]
    made = Counter(target for mdc in mdcs if (target := _target(mdc)) is not None)
    problems += [
        Problem("doubled", f"stream {stream} on {server} was created {count} times at Recall")
        for (stream, server), count in made.items()
        if count > 1
    ]
    for meeting in meetings:
        problems += _of_meeting(meeting, set(made), requests)
    return problems


def row(problem: Problem) -> ProblemRow:
    return ProblemRow(name=problem.name, what=problem.what, rule=RULES[problem.name])


def judge_delivery(delivery: Delivery) -> Problem | None:
    """What its receiver did wrong with its first request: it took a forgery, or did not take a genuine event in time."""
    if delivery.event.name == "endpoint.url_validation" or not delivery.attempts:
        return None
    first = delivery.attempts[0]
    status, name = first.status or 0, f"{delivery.event.name} (delivery {delivery.id})"
    if delivery.forged:
        taken = 200 <= status < 300
        return Problem("forged", f"{name} with the fault {delivery.forged} was answered {status}") if taken else None
    if status == READ_TIMEOUT:
        return Problem("slow", f"{name} was not answered in time: {first.problem}")
    answer = first.answer[:200].decode("utf-8", "replace")
    if status < 0 or status >= 500:
        return Problem("failed", f"{name} was answered {status}: {answer or first.problem}")
    return None if status in (200, 204) else Problem("refused", f"{name} was answered {status}: {answer}")


def _of_meeting(meeting: MeetingReport, made: set[tuple[str, str]], requests: Sequence[RequestRecord]) -> list[Problem]:
    problems: list[Problem] = []
    taken = {
        (str(delivery.event.payload["rtms_stream_id"]), str(delivery.event.payload["server_urls"]))
        for delivery in meeting.deliveries
        if delivery.event.name.endswith("rtms_started") and delivery.outcome == "delivered" and not delivery.forged
    }
    for stream, server in sorted(taken - made):
        problems.append(
            Problem("lost", f"the start of stream {stream} on {server} was taken, but never reached Recall. {_nearest(requests)}")
        )
    for report in meeting.streams:
        if report.joined_ms is None and any(stream == report.stream_id for stream, _ in taken & made):
            problems.append(
                Problem("unjoined", f"stream {report.stream_id} ended {report.state}, stop reason {report.stop_reason}; never joined")
            )
    return problems


def _nearest(requests: Sequence[RequestRecord]) -> str:
    """What came closest to a create."""
    if not requests:
        return "Recall was sent no request at all."
    posts = [one for one in requests if one.method == "POST"] or list(requests)
    last = posts[-1]
    key = "" if last.authorized else ", without an Authorization header"
    return f"The nearest: {last.method} {last.path} was answered {last.status}{key}."


def _target(mdc: Mdc) -> tuple[str, str] | None:
    zoom_rtms = mdc.body.get("zoom_rtms") or {}
    stream, server = zoom_rtms.get("rtms_stream_id"), zoom_rtms.get("server_urls")
    return (str(stream), str(server)) if stream and server else None


def judge_deletion(mdcs: Iterable[Mdc], recordings: Iterable[Recording]) -> list[Problem]:
    """What is still there of a meeting whose consent was withdrawn. `recordings`: all that Recall shows."""
    ours = {mdc.id for mdc in mdcs}
    leftovers = [one for one in recordings if one.mdc_id in ours and one.status.code != "deleted"]
    return [Problem("kept", f"recording {one.id} is still at Recall, {one.status.code}") for one in leftovers]


def judge_faults(armed: Iterable[ArmedFault], deliveries: Iterable[Delivery], meetings: Iterable[MeetingReport]) -> list[Problem]:
    """Faults that never acted, and those that acted and changed nothing: of those that are armed, and of the meetings' own."""
    never = [Problem("unused", f"the fault {one.fault} never acted") for one in armed if not one.used]
    never += [
        Problem("unused", f"the fault {fault} never acted, or changed nothing in meeting {one.id}")
        for one in meetings
        for fault in one.idle_faults
    ]
    idle = [(one, fault) for one in deliveries for fault in one.without_effect]
    return never + [Problem("unused", f"the fault {fault} changed nothing of {one.event.name} (delivery {one.id})") for one, fault in idle]
