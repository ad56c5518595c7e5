"""Both vendors around one receiver under test, on a thread of their own, and what must hold of it afterwards.

The fakes live in an event loop on a thread, so that synchronous and asynchronous tests can use them alike. `judge` is pure.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rtms_simulator.clock import Clock
from rtms_simulator.control.answers import PlayRequest
from rtms_simulator.kit.play import perform, resolve
from rtms_simulator.kit.stack import Plan, Stack
from rtms_simulator.recall import WebhookEndpoint
from rtms_simulator.recall.http.exchange import RequestRecord
from rtms_simulator.recall.records.workspace import Mdc
from rtms_simulator.zoom import MeetingReport
from rtms_simulator.zoom.webhooks.events import EVENTS, WebhookEvent
from rtms_simulator.zoom.webhooks.sender import Delivery, UrlValidation

T = TypeVar("T")

FORGERIES = ("wrong-signature", "unsigned", "stale")
CREATE = "/api/v1/meeting_direct_connect"

INVARIANTS: Mapping[str, str] = {
    "refused": "every genuine event is taken: a 4xx is never sent again",
    "failed": "every genuine event is taken the first time: after a 5xx Zoom waits 5 minutes, and a stream waits one",
    "slow": "every event is answered within Zoom's 3 seconds",
    "forged": "what is unsigned, wrongly signed or stale is never taken",
    "lost": "every start that was taken reaches Recall",
    "doubled": "one (stream, server_urls) makes at most one Meeting Direct Connect",
    "unjoined": "every stream that reached Recall was joined: the signature was right",
}
"""What `World.problems` looks for. `World.allow` takes these names."""


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


class World:
    """Zoom, Recall and Cloud Tasks for one test. All methods block, and may be called from any thread but the fakes' own.

    In an `async` test whose receiver runs in the test's own loop, call them through `asyncio.to_thread`.
    """

    def __init__(self, directory: Path, *, seed: int = 0, tls: bool = False) -> None:
        self._plan = Plan(directory, function=False, seed=seed, tls=tls)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rtms-world", daemon=True)
        self._allowed: set[str] = set()

    def start(self) -> None:
        self._thread.start()
        self.stack: Stack = self._call(self._started())

    def close(self) -> None:
        """Stop everything."""
        self._call(self.stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def environment(self) -> dict[str, str]:
        """What a receiver needs to know, under the names that rtmskit's own service uses."""
        said = self.stack.described()
        return {
            "ZOOM_CLIENT_ID": said["zoom"]["client_id"],
            "ZOOM_CLIENT_SECRET": said["zoom"]["client_secret"],
            "ZOOM_SECRET_TOKEN": said["zoom"]["secret_token"],
            "RECALL_API_KEY": said["recall"]["api_key"],
            "RECALL_BASE_URL": said["recall"]["base_url"],
            "RECALL_WEBHOOK_SECRETS": said["recall"]["webhook_secret"],
            "TASKS_ENDPOINT": said["cloud_tasks"]["endpoint"],
            "TASKS_QUEUE": said["cloud_tasks"]["queue"],
        }

    def validate(self, webhook_url: str) -> UrlValidation:
        """Challenge the receiver, as "Validate" on the app's page does."""
        return self._call(self.stack.zoom.validate(webhook_url))

    def play(self, webhook_url: str, scenario: str = "stand-up", *, speed: float | str = "max", **asked: Any) -> MeetingReport:
        """Play one meeting to its end, and wait until Recall has finished with it.

        `scenario`: a built-in name or a TOML file. `asked`: faults (a list), seed, media, transcript, as in `rtmskit meeting play`.
        Raises PlayRequestError.
        """

        async def whole() -> MeetingReport:
            play = resolve(PlayRequest(scenario=scenario, speed=speed, **asked))
            [report] = await perform(self.stack.zoom, play, webhook_url, real_time=Clock())
            await self.stack.recall.drained()
            return report

        return self._call(whole())

    def send(self, webhook_url: str, event: str, payload: Mapping[str, Any] | None = None) -> Delivery:
        """Send one event, signed, with the documentation's values; `payload` changes some of them. Raises KeyError for an unknown event."""

        async def whole() -> Delivery:
            example = EVENTS[event]
            whole = WebhookEvent(event, {**example.payload, **(payload or {})}, self.stack.clock.now_ms())
            return await self.stack.zoom.deliver(whole, self.stack.zoom.endpoint(webhook_url))

        return self._call(whole())

    def fault(self, text: str) -> None:
        """Arm a fault of any vendor (`zoom.webhook.*: late 4s`, `recall.create: 503 x2 then ok`). Raises FaultError."""

        async def whole() -> None:
            self.stack.faults.add(text)

        self._call(whole())

    def recall_webhooks(self, url: str) -> None:
        """Have Recall send its webhooks there too, signed with RECALL_WEBHOOK_SECRETS."""

        async def whole() -> None:
            self.stack.recall.webhooks.add(WebhookEndpoint(url))

        self._call(whole())

    def advance(self, seconds: float) -> None:
        """Let time pass for the fakes; what was due by then happens."""

        async def whole() -> None:
            self.stack.clock.advance(seconds)

        self._call(whole())

    def handed_on(self) -> list[dict[str, Any]]:
        """The `zoom_rtms` of every Meeting Direct Connect at Recall, with its id and status, oldest first."""

        async def whole() -> list[dict[str, Any]]:
            mdcs = self.stack.recall.workspace.mdcs.values()
            return [{**mdc.body["zoom_rtms"], "id": mdc.id, "status": mdc.status.code} for mdc in mdcs if mdc.body.get("zoom_rtms")]

        return self._call(whole())

    def allow(self, *names: str) -> None:
        """This test means to break these invariants. Raises KeyError for a name that is none."""
        for name in names:
            _ = INVARIANTS[name]
            self._allowed.add(name)

    def problems(self) -> list[Problem]:
        """Every broken invariant that is not allowed."""

        async def whole() -> list[Problem]:
            zoom, recall = self.stack.zoom, self.stack.recall
            meetings = [meeting.report() for meeting in zoom.meetings.values()]
            return judge(list(zoom.webhooks.deliveries), meetings, recall.workspace.mdcs.values(), list(recall.api.history))

        return [problem for problem in self._call(whole()) if problem.name not in self._allowed]

    async def _started(self) -> Stack:
        stack = Stack(self._plan)
        try:
            await stack.start()
        except BaseException:
            await stack.aclose()
            raise
        return stack

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        if threading.current_thread() is self._thread:
            raise RuntimeError("called from the fakes' own thread, which would wait for itself")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
