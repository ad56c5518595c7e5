"""Test bed for a webhook: both fakes in a background thread, and the invariants checked after each test.

The fakes live in an event loop on a thread, so that synchronous and asynchronous tests can use them alike.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rtms_simulator.clock import Clock
from rtms_simulator.control.answers import MdcRow, PlayRequest
from rtms_simulator.errors import InputError, PlayRequestError
from rtms_simulator.faults.grammar import did_you_mean
from rtms_simulator.kit.control.invariants import INVARIANTS, Problem, judge, judge_faults
from rtms_simulator.kit.control.records import mdc_rows
from rtms_simulator.kit.control.switches import set_switches, switched
from rtms_simulator.kit.play import ResolvedPlay, perform, resolve
from rtms_simulator.kit.stack import Plan, Stack
from rtms_simulator.recall import WebhookEndpoint
from rtms_simulator.zoom import MeetingReport
from rtms_simulator.zoom.webhooks.events import EVENTS, WebhookEvent
from rtms_simulator.zoom.webhooks.sender import Delivery, UrlValidation

T = TypeVar("T")

PATIENCE_S = 1.0
"""Less than at the command line: a test that fails should fail at once."""


class WebhookSandbox:
    """Zoom, Recall and Cloud Tasks around one receiver under test. All methods block, and may be called from any thread but the fakes' own.

    In an `async` test whose receiver runs in the test's own loop, call them through `asyncio.to_thread`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        seed: int = 0,
        tls: bool = False,
        faults: Iterable[str] = (),
        switches: Mapping[str, Any] | None = None,
    ) -> None:
        """`faults` are armed and `switches` (by their names, `zoom.close_code`) set at the start.

        Raises FaultError or SwitchError in `start` for what there is not.
        """
        self._plan = Plan(directory, function=False, seed=seed, tls=tls, faults=tuple(faults), switches=switches or {})
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rtms-sandbox", daemon=True)
        self._stack: Stack | None = None
        self._allowed: set[str] = set()

    @property
    def stack(self) -> Stack:
        """The fakes. Raises RuntimeError before `start`."""
        if self._stack is None:
            raise RuntimeError("start() first")
        return self._stack

    def start(self) -> None:
        """Start the fakes. Raises OSError, FaultError or SwitchError; then nothing is left running."""
        self._thread.start()
        try:
            self._stack = self._call(self._started())
        except BaseException:
            self._end_thread()
            raise

    def close(self) -> None:
        """Stop everything."""
        try:
            self._call(self.stack.aclose())
        finally:
            self._end_thread()

    def _end_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def environment(self) -> dict[str, str]:
        """What a receiver needs to know, under the names that rtmskit's own service uses."""
        description = self.stack.described()
        return {
            "ZOOM_CLIENT_ID": description.zoom.client_id,
            "ZOOM_CLIENT_SECRET": description.zoom.client_secret,
            "ZOOM_SECRET_TOKEN": description.zoom.secret_token,
            "RECALL_API_KEY": description.recall.api_key,
            "RECALL_BASE_URL": description.recall.base_url,
            "RECALL_WEBHOOK_SECRETS": description.recall.webhook_secret,
            "TASKS_ENDPOINT": description.cloud_tasks.endpoint,
            "HANDOFF_QUEUES": ",".join(description.cloud_tasks.queues[:2]),
            "FACTS_QUEUE": description.cloud_tasks.queues[2],
            "RETRIEVAL_QUEUE": description.cloud_tasks.queues[3],
        }

    def validate(self, webhook_url: str) -> UrlValidation:
        """Challenge the receiver, as "Validate" on the app's page does."""
        return self._call(self.stack.zoom.validate(webhook_url))

    def play(
        self,
        webhook_url: str,
        scenario: str | None = None,
        *,
        speed: float | str = "max",
        patience_s: float = PATIENCE_S,
        **asked: Any,
    ) -> MeetingReport:
        """Play one meeting to its end, and wait until Recall has finished with it.

        `scenario`: a built-in name or a TOML file; by default `stand-up`, or only the media file if one is given. `asked`: faults
        (a list), seed, media, transcript, as in `rtmskit meeting play`. `patience_s`: when nobody has joined and nothing has happened for
        so long (real seconds), the fakes' clock runs ahead to the end. A receiver that works on for longer after its answer needs more.
        Raises PlayRequestError, also for a scenario of several meetings.
        """
        play = resolve(PlayRequest(scenario=scenario, speed=speed, patience_s=patience_s, **asked))
        if play.scenario.meetings != 1:
            raise PlayRequestError(f"{play.scenario.name} is {play.scenario.meetings} meetings at once: play_all plays them")
        [report] = self._call(self._played(webhook_url, play))
        return report

    def play_all(
        self, webhook_url: str, scenario: str, *, speed: float | str = "max", patience_s: float = PATIENCE_S, faults: Sequence[str] = ()
    ) -> tuple[MeetingReport, ...]:
        """Play every meeting of a scenario at once, such as `twenty-at-once`; otherwise as `play`."""
        play = resolve(PlayRequest(scenario=scenario, speed=speed, patience_s=patience_s, faults=list(faults)))
        return self._call(self._played(webhook_url, play))

    def send(self, webhook_url: str, event: str, payload: Mapping[str, Any] | None = None) -> Delivery:
        """Send one signed event with the documentation's values; `payload` changes some. Raises InputError for an unknown event."""

        async def work() -> Delivery:
            example = EVENTS.get(event)
            if example is None:
                raise InputError(f"Zoom documents no event {event!r}; {did_you_mean(event, EVENTS)}allowed: {', '.join(EVENTS)}")
            webhook_event = WebhookEvent(event, {**example.payload, **(payload or {})}, self.stack.clock.now_ms())
            return await self.stack.zoom.deliver(webhook_event, self.stack.zoom.endpoint(webhook_url))

        return self._call(work())

    def fault(self, text: str) -> None:
        """Arm a fault of any vendor (`zoom.webhook.*: late 4s`, `recall.create: 503 x2 then ok`). Raises FaultError."""

        async def work() -> None:
            self.stack.faults.add(text)

        self._call(work())

    def recall_webhooks(self, url: str) -> None:
        """Have Recall send its webhooks there too, signed with RECALL_WEBHOOK_SECRETS."""

        async def work() -> None:
            self.stack.recall.webhooks.add(WebhookEndpoint(url))

        self._call(work())

    def advance(self, seconds: float) -> None:
        """Let time pass for the fakes; what was due by then happens."""

        async def work() -> None:
            await self.stack.clock.run_ahead(seconds)

        self._call(work())

    def handed_on(self) -> list[MdcRow]:
        """Every Meeting Direct Connect that was made of a stream, as the control plane shows it, oldest first."""

        async def work() -> list[MdcRow]:
            return [row for row in mdc_rows(self.stack.fakes) if row.stream is not None]

        return self._call(work())

    def switch(self, **values: Any) -> None:
        """Decide switches otherwise: `switch(zoom_close_code=1001)` or `switch(**{"recall.page_size": 3})`. Raises SwitchError."""
        named = {name if "." in name else name.replace("_", ".", 1): value for name, value in values.items()}

        async def work() -> None:
            set_switches(self.stack.fakes, named)

        self._call(work())

    def allow(self, *names: str) -> None:
        """To allow a violation in this test, name it. Raises InputError for a name that `INVARIANTS` does not have."""
        for name in names:
            if name not in INVARIANTS:
                raise InputError(f"there is no invariant {name!r}; {did_you_mean(name, INVARIANTS)}allowed: {', '.join(INVARIANTS)}")
            self._allowed.add(name)

    def problems(self) -> list[Problem]:
        """Every broken invariant that is not allowed."""

        async def work() -> list[Problem]:
            zoom, recall = self.stack.zoom, self.stack.recall
            meetings = [meeting.report() for meeting in zoom.meetings.values()]
            deliveries = list(zoom.webhooks.deliveries)
            broken = judge(deliveries, meetings, recall.workspace.mdcs.values(), list(recall.api.history))
            return broken + judge_faults(self.stack.faults.listed(), deliveries, meetings)

        return [problem for problem in self._call(work()) if problem.name not in self._allowed]

    async def _played(self, webhook_url: str, play: ResolvedPlay) -> tuple[MeetingReport, ...]:
        with switched(self.stack.fakes, play.scenario.switches):
            reports = await perform(self.stack.zoom, play, webhook_url, real_time=Clock(), life=self.stack.fakes.life)
        await self.stack.recall.drained()
        return reports

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
