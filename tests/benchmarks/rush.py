"""G10 with real processes: 2,000 meetings end in the minute in which 50 others begin, at the deployed queues' rates and sweep.

    python -m tests.benchmarks.rush [--ending 2000] [--beginning 50] [--json]

Both functions run under functions-framework on SQLite, as `rtmskit up` starts them; Cloud Tasks has the deployed queues
(kit/deployed.json), Recall sends its webhooks and its recordings are looked for. First the meetings that will end are handed on, more
slowly; then, within one minute, each of them ends (Zoom's stop, Recall's own end) while the others begin (`rtms_simulator.kit.rush`, which
the drill `flood` of `rtmskit rehearse` plays, too). Printed is how long each of the new starts waited from Zoom's 200 to the Meeting Direct
Connect at Recall.

One machine plays every part here, the vendors' too, so the figure is an upper bound of what the service needs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
from tests.benchmarks.rig import servers
from tests.benchmarks.rig.report import Budget, Figure, Report, quantile

from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import CloudTasks, Scheduler
from rtms_simulator.kit.deployed import deployed, local_queues
from rtms_simulator.kit.functions import Function
from rtms_simulator.kit.rush import CONNECTIONS, PROMPT_S, Crowd, Recorders
from rtms_simulator.recall import Recall, WebhookEndpoint
from rtms_simulator.recall.switches import RateLimits, RecallSwitches
from rtms_simulator.serving.processes import Port


@contextlib.asynccontextmanager
async def service() -> AsyncGenerator[Crowd]:
    """The whole service, and Zoom's side of it."""
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
        limits = httpx.Limits(max_connections=CONNECTIONS)
        client = await running.enter_async_context(httpx.AsyncClient(timeout=30, trust_env=False, limits=limits))
        yield Crowd(f"{webhook_url}/zoom-webhook", servers.SECRET_TOKEN, recall, recorders, client)


async def rush(ending: int, beginning: int, seed: int = 0) -> Report:
    async with service() as crowd:
        came = await crowd.rush(ending, beginning, seed=seed)
    return Report(
        f"{ending:,} meetings end in the minute in which {beginning} begin",
        [Figure("from the ack to the acceptance", "ms", [wait * 1000 for wait in came.waits_s])],
        [Budget("slowest acceptance, s", [quantile(came.waits_s, 1.0)], "at most", PROMPT_S)],
        [
            f"handed on before: {came.before:,} of {ending:,}; acknowledged starts never accepted: {came.never}",
            f"deliveries not answered 200: {came.refused}",
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
