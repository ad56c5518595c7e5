"""What must hold of any webhook receiver, judged from what the fakes have seen (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rtms_simulator.faults import ArmedFault
from rtms_simulator.recall.http.exchange import RequestRecord
from rtms_simulator.recall.records.workspace import Mdc
from rtms_simulator.zoom import MeetingReport
from rtms_simulator.zoom.webhooks.sender import Delivery

FORGERIES = ("wrong-signature", "unsigned", "stale")
INVARIANTS: Mapping[str, str] = {
    "refused": "every genuine event is taken: a 4xx is never sent again",
    "failed": "every genuine event is taken the first time: after a 5xx Zoom waits 5 minutes, and a stream waits one",
    "slow": "every event is answered within Zoom's 3 seconds",
    "forged": "what is unsigned, wrongly signed or stale is never taken",
    "lost": "every start that was taken reaches Recall",
    "doubled": "one (stream, server_urls) makes at most one Meeting Direct Connect",
    "unjoined": "every stream that reached Recall was joined: the signature was right",
    "unused": "every fault that was armed acts, and changes something",
}
"""What `WebhookSandbox.problems` looks for. `WebhookSandbox.allow` takes these names."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken invariant: its name in `INVARIANTS`, what happened, and the nearest miss."""

    name: str
    what: str

    def __str__(self) -> str:
        return f"{self.name}: {self.what}\n    ({INVARIANTS[self.name]})"


def judge(
    deliveries: Iterable[Delivery], meetings: Iterable[MeetingReport], mdcs: Iterable[Mdc], requests: Sequence[RequestRecord]
) -> list[Problem]:
    """Every broken invariant in what the fakes have seen."""
    problems: list[Problem] = []
    for delivery in deliveries:
        problems += _of_delivery(delivery)
    made = Counter(target for mdc in mdcs if (target := _target(mdc)) is not None)
    problems += [
        Problem("doubled", f"stream {stream} on {server} was created {count} times at Recall")
        for (stream, server), count in made.items()
        if count > 1
    ]
    for meeting in meetings:
        problems += _of_meeting(meeting, set(made), requests)
    return problems


def _of_delivery(delivery: Delivery) -> list[Problem]:
    found: list[Problem] = []
    forged = [fault for fault in delivery.faults if any(word in FORGERIES for word in fault.replace(":", " ").split())]
    if delivery.event.name == "endpoint.url_validation" or not delivery.attempts:
        return found
    status, name = delivery.attempts[0].status or 0, f"{delivery.event.name} (delivery {delivery.id})"
    answer = delivery.attempts[0].answer[:200].decode("utf-8", "replace")
    if forged:
        if 200 <= status < 300:
            found.append(Problem("forged", f"{name} with the fault {forged[0]} was answered {status}"))
    elif status == -1:
        found.append(Problem("slow", f"{name} was not answered in time"))
    elif status < 0 or status >= 500:
        found.append(Problem("failed", f"{name} was answered {status}: {answer or delivery.attempts[0].problem}"))
    elif status not in (200, 204):
        found.append(Problem("refused", f"{name} was answered {status}: {answer}"))
    return found


def _of_meeting(meeting: MeetingReport, made: set[tuple[str, str]], requests: Sequence[RequestRecord]) -> list[Problem]:
    found: list[Problem] = []
    taken = {
        (str(delivery.event.payload["rtms_stream_id"]), str(delivery.event.payload["server_urls"]))
        for delivery in meeting.deliveries
        if delivery.event.name.endswith("rtms_started") and delivery.outcome == "delivered"
    }
    for stream, server in sorted(taken - made):
        found.append(Problem("lost", f"the start of stream {stream} on {server} was taken, but never reached Recall. {_nearest(requests)}"))
    for report in meeting.streams:
        if report.joined_ms is None and any(stream == report.stream_id for stream, _ in taken & made):
            found.append(
                Problem("unjoined", f"stream {report.stream_id} ended {report.state}, stop reason {report.stop_reason}; never joined")
            )
    return found


def _nearest(requests: Sequence[RequestRecord]) -> str:
    """What came closest to a create."""
    if not requests:
        return "Recall was sent no request at all."
    posts = [one for one in requests if one.method == "POST"] or list(requests)
    last = posts[-1]
    key = "" if last.authorized else ", without an Authorization header"
    return f"The nearest: {last.method} {last.path} was answered {last.status}{key}."


def _target(mdc: Mdc) -> tuple[str, str] | None:
    asked = mdc.body.get("zoom_rtms") or {}
    stream, server = asked.get("rtms_stream_id"), asked.get("server_urls")
    return (str(stream), str(server)) if stream and server else None


def judge_faults(armed: Iterable[ArmedFault], deliveries: Iterable[Delivery]) -> list[Problem]:
    """Faults that never acted, and those that acted and changed nothing."""
    never = [Problem("unused", f"the fault {one.fault} never acted") for one in armed if not one.used]
    idle = [(one, fault) for one in deliveries for fault in one.without_effect]
    return never + [Problem("unused", f"the fault {fault} changed nothing of {one.event.name} (delivery {one.id})") for one, fault in idle]
