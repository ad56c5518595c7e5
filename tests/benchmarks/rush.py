"""G10 with real processes: 2,000 meetings end in the minute in which 50 others begin, at the deployed queues' rates and sweep.

    python -m tests.benchmarks.rush [--ending 2000] [--beginning 50] [--json]

Both functions run under functions-framework on SQLite, as `rtmskit up` starts them; Cloud Tasks has the deployed queues
(kit/deployed.json), Recall sends its webhooks and its recordings are looked for. First the meetings that will end are handed on, more
slowly; then, within one minute, each of them ends (Zoom's stop, Recall's own end) while the others begin. Printed is how long each
of the new starts waited from Zoom's 200 to the Meeting Direct Connect at Recall.

One machine plays every part here, the vendors' too, so the figure is an upper bound of what the service needs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from tests.benchmarks.rig import servers
from tests.benchmarks.rig.report import Budget, Figure, Report, quantile

from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import CloudTasks, Scheduler
from rtms_simulator.kit.deployed import deployed, local_queues
from rtms_simulator.kit.functions import Function
from rtms_simulator.recall import Recall, WebhookEndpoint
from rtms_simulator.recall.recorder.scripted import ScriptedRecorder, Story
from rtms_simulator.recall.recorder.values import RecorderEvent, RecordingConfig, StreamRequest
from rtms_simulator.recall.switches import RateLimits, RecallSwitches
from rtms_simulator.serving.processes import Port
from rtms_simulator.zoom.webhooks import events
from rtms_simulator.zoom.webhooks.events import StreamIds, WebhookEvent

PROMPT_S = 10.0
MINUTE_S = 60.0
BEFORE_PER_S = 12.0
LOOK_EVERY_S = 0.1
SERVER_URL = "wss://127.0.0.1:9/rtms"


@dataclass(slots=True)
class Recorders:
    """Recorders that record until their meeting is ended here."""

    of_stream: dict[str, ScriptedRecorder] = field(default_factory=dict)

    def __call__(
        self, clock: Clock, request: StreamRequest, config: RecordingConfig, directory: Path, on_event: Callable[[RecorderEvent], None]
    ) -> ScriptedRecorder:
        recorder = ScriptedRecorder(Story(lasts=None), clock, request, config, directory, on_event)
        self.of_stream[request.rtms_stream_id] = recorder
        return recorder

    async def end(self, stream: str) -> None:
        if stream in self.of_stream:
            await self.of_stream[stream].displace()


@dataclass(slots=True)
class Service:
    """The whole service, and what Zoom's side of it notes: when each start was acknowledged (seconds since the epoch)."""

    webhook_url: str
    recall: Recall
    recorders: Recorders
    client: httpx.AsyncClient
    acked: dict[str, float] = field(default_factory=dict)
    refused: int = 0

    async def deliver(self, event: WebhookEvent) -> bool:
        """One delivery; a 5xx or no answer is counted, and not sent again: nothing may hide behind Zoom's retries."""
        body, stamp = events.body(event), str(int(time.time()))
        signature = events.sign(servers.SECRET_TOKEN, stamp, body)
        headers = {"content-type": "application/json", "x-zm-request-timestamp": stamp, "x-zm-signature": signature}
        try:
            answer = await self.client.post(self.webhook_url, content=body, headers=headers)
        except httpx.HTTPError:
            self.refused += 1
            return False
        self.refused += answer.status_code != 200
        return answer.status_code == 200

    async def begin(self, ids: StreamIds) -> None:
        if await self.deliver(events.started("meeting", ids, SERVER_URL, int(time.time() * 1000))):
            self.acked[ids.stream_id] = time.time()

    async def end(self, ids: StreamIds) -> None:
        await asyncio.gather(self.deliver(events.stopped("meeting", ids, 6, int(time.time() * 1000))), self.recorders.end(ids.stream_id))

    def accepted(self) -> dict[str, float]:
        """Stream -> when Recall made its Meeting Direct Connect, seconds since the epoch."""
        return {mdc.stream_id: mdc.created_at for mdc in self.recall.workspace.mdcs.values() if mdc.stream_id}


@contextlib.asynccontextmanager
async def service() -> AsyncGenerator[Service]:
    clock, recorders = Clock(), Recorders()
    webhook, worker = Port("webhook"), Port("worker")
    async with contextlib.AsyncExitStack() as running:
        for port in (webhook, worker):
            running.callback(port.release)
        directory = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="rtmskit-rush-")))
        worker_url, webhook_url = (f"http://{port.host}:{port.number}" for port in (worker, webhook))
        tasks = await running.enter_async_context(CloudTasks(clock, queues=local_queues(), run_secrets={worker_url: servers.RUN_SECRET}))
        recall = Recall(
            clock,
            api_key="recall-key",
            data_dir=directory,
            allow_local_urls=True,
            switches=RecallSwitches(limits=RateLimits.off()),
            recorder_factory=recorders,
            webhooks=[WebhookEndpoint(f"{webhook_url}/recall-webhook")],
            workspace_secret=servers.WEBHOOK_SECRET,
        )
        running.push_async_callback(recall.aclose)
        await recall.start()
        wired = servers.wiring(tasks, f"sqlite://{directory}/state.sqlite", recall.base_url)
        function = Function(wired, webhook, worker, clock)
        running.push_async_callback(function.aclose)
        await function.start()
        sweep = Scheduler(clock, f"{worker_url}/sweep", every_s=deployed().sweep_every_s, run_secret=servers.RUN_SECRET)
        running.push_async_callback(sweep.aclose)
        await sweep.start()
        limits = httpx.Limits(max_connections=100)
        client = await running.enter_async_context(httpx.AsyncClient(timeout=30, trust_env=False, limits=limits))
        yield Service(f"{webhook_url}/zoom-webhook", recall, recorders, client)


def streams(chance: random.Random, count: int) -> list[StreamIds]:
    return [StreamIds(f"{chance.getrandbits(96):x}", f"{chance.getrandbits(128):032x}") for _ in range(count)]


async def on_time(due_s: Sequence[tuple[float, Callable[[], Awaitable[None]]]]) -> None:
    """Begin each at its time, seconds from now, whatever becomes of those before; returns when all have ended."""
    began, running = time.monotonic(), []
    for at, begin in sorted(due_s, key=lambda one: one[0]):
        await asyncio.sleep(max(0.0, began + at - time.monotonic()))
        running.append(asyncio.ensure_future(begin()))
    await asyncio.gather(*running)


async def all_accepted(here: Service, wanted: int, patience_s: float) -> None:
    """Return when so many are accepted, or the time is over."""
    for _ in range(int(patience_s / LOOK_EVERY_S)):
        if len(here.recall.workspace.mdcs) >= wanted:
            return
        await asyncio.sleep(LOOK_EVERY_S)


async def rush(ending: int, beginning: int, seed: int = 0) -> Report:
    chance = random.Random(f"rush {seed}")
    old, new = streams(chance, ending), streams(chance, beginning)
    async with service() as here:
        await on_time([(number / BEFORE_PER_S, lambda ids=ids: here.begin(ids)) for number, ids in enumerate(old)])
        await all_accepted(here, ending, MINUTE_S)
        before = len(here.recall.workspace.mdcs)
        ends = [(chance.random() * MINUTE_S, lambda ids=ids: here.end(ids)) for ids in old]
        starts = [(chance.random() * MINUTE_S, lambda ids=ids: here.begin(ids)) for ids in new]
        await on_time(ends + starts)
        await all_accepted(here, before + beginning, 2 * MINUTE_S)
        accepted, refused = here.accepted(), here.refused
    fresh = [ids.stream_id for ids in new]
    waits = [accepted[stream] - here.acked[stream] for stream in fresh if stream in accepted and stream in here.acked]
    never = [stream for stream in fresh if stream in here.acked and stream not in accepted]
    return Report(
        f"{ending:,} meetings end in the minute in which {beginning} begin",
        [Figure("from the ack to the acceptance", "ms", [wait * 1000 for wait in waits])],
        [Budget("slowest acceptance, s", [quantile(waits, 1.0)], "at most", PROMPT_S)],
        [
            f"handed on before: {before:,} of {ending:,}; new starts never accepted: {len(never)}",
            f"deliveries not answered 200: {refused}",
        ],
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--ending", type=int, default=2_000)
    parser.add_argument("--beginning", type=int, default=50)
    chosen = parser.parse_args(argv)
    report = asyncio.run(rush(chosen.ending, chosen.beginning))
    print(report.as_json() if chosen.json else report.as_text(), flush=True)
    return 0 if all(budget.met for budget in report.budgets) else 1


if __name__ == "__main__":
    sys.exit(main())
