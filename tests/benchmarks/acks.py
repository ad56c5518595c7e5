"""How many durable acks the webhook gives, and how soon while Recall hangs.

    python -m tests.benchmarks.acks [--json] [--rounds 8] [--seconds 1.5]

Throughput: the real webhook under functions-framework aio, on a SQLite file and the fake Cloud Tasks (in this process, holding its queue),
against functions-framework aio's own no-op, each with the same signed starts over the same number of connections. CPU is counted too: what
the server spends for an answer says more than the wall on a machine with other work. Between the two stands the no-op that only enqueues
a task with Google's client: the least that an ack can cost which promises a hand-off.

Latency: two whole services (webhook, worker, fakes), of which one has a Recall that never answers, each in turn under the same number of
starts a second. Every ack's time counts from the moment the start was due.

Every round visits all of them, in an order that turns, so that what else the machine does disturbs all alike.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from tests.benchmarks.rig import servers
from tests.benchmarks.rig.load import Job, Load, Result
from tests.benchmarks.rig.report import Budget, Figure, Report, quantile, ratios, turned

from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import CloudTasks
from rtms_simulator.kit.deployed import local_queues
from rtms_simulator.kit.functions import Function
from rtms_simulator.recall import Recall
from rtms_simulator.recall.recorder.scripted import Story, scripted
from rtms_simulator.recall.switches import RateLimits, RecallSwitches
from rtms_simulator.serving.processes import Port

CONNECTIONS = 32
PER_S = 20
HUNG_AT_LEAST = 5
"""So many calls to Recall must hang before the acks beside them count."""

PATH = "/zoom-webhook"


# Throughput


@dataclass(slots=True)
class Visits:
    """What the rounds showed of one server."""

    per_s: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    client_busy: list[float] = field(default_factory=list)
    refused: int = 0


async def throughput(rounds: int, seconds: float) -> Report:
    ports = {name: Port(name) for name in ("bare", "noop", "enqueuer", "webhook")}
    seen = {name: Visits() for name in ports}
    async with contextlib.AsyncExitStack() as running:
        for port in ports.values():
            running.callback(port.release)
        directory = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="rtmskit-acks-")))
        tasks = await running.enter_async_context(servers.held_tasks())
        load = await running.enter_async_context(Load())
        wired = servers.wiring(tasks, f"sqlite://{directory}/state.sqlite")
        children = {
            "bare": servers.bare(ports["bare"]),
            "noop": servers.framework_noop(directory, ports["noop"]),
            "enqueuer": servers.framework_enqueuer(directory, ports["enqueuer"], tasks),
            "webhook": servers.webhook(wired, ports["webhook"]),
        }
        await asyncio.gather(*(running.enter_async_context(servers.served(child, ports[name])) for name, child in children.items()))
        for number in range(-1, rounds):  # the first warms up
            for name in turned(list(children), number):
                before = servers.cpu_s(children[name])
                job = Job(ports[name].number, PATH, servers.SECRET_TOKEN, seconds, CONNECTIONS, seed=number)
                result = await load.run(job)
                if number >= 0:
                    seen[name].per_s.append(result.per_s)
                    seen[name].cpu_ms.append((servers.cpu_s(children[name]) - before) * 1000 / len(result.latencies_ms))
                    seen[name].client_busy.append(result.busy)
                    seen[name].refused += result.refused
    noop, enqueuer, webhook = seen["noop"], seen["enqueuer"], seen["webhook"]
    return Report(
        f"durable acks: {rounds} rounds of {seconds:g} s, {CONNECTIONS} connections",
        [
            Figure("functions-framework aio, no-op", "answers/s", noop.per_s),
            Figure("the same, enqueueing a task", "answers/s", enqueuer.per_s),
            Figure("webhook, durable", "acks/s", webhook.per_s),
            Figure("no-op, CPU each", "ms", noop.cpu_ms, 2),
            Figure("enqueueing, CPU each", "ms", enqueuer.cpu_ms, 2),
            Figure("webhook, CPU each", "ms", webhook.cpu_ms, 2),
            Figure("CPU, no-op : webhook", "", ratios(noop.cpu_ms, webhook.cpu_ms), 2),
            Figure("CPU, enqueueing : webhook", "", ratios(enqueuer.cpu_ms, webhook.cpu_ms), 2),
            Figure("enqueueing : no-op", "", ratios(enqueuer.per_s, noop.per_s), 2),
            Figure("webhook : enqueueing", "", ratios(webhook.per_s, enqueuer.per_s), 2),
            Figure("load client against a bare socket", "answers/s", seen["bare"].per_s),
        ],
        [Budget("webhook : no-op", ratios(webhook.per_s, noop.per_s), "at least", 0.5)],
        [
            f"the load client used {max(noop.client_busy + webhook.client_busy):.0%} of a core at most while either was measured",
            f"not acknowledged in time and answered 500: {webhook.refused}",
        ],
    )


# Latency


@dataclass(frozen=True, slots=True)
class Service:
    """One whole service with its own fakes."""

    port: Port
    recall: Recall

    @property
    def hung(self) -> int:
        return sum(exchange.status is None for exchange in self.recall.api.history)


@contextlib.asynccontextmanager
async def service(*faults: str) -> AsyncGenerator[Service]:
    """Webhook, worker and fakes. This Recall sends no webhooks and joins no stream: only its answers differ."""
    webhook, worker, clock = Port("webhook"), Port("worker"), Clock()
    async with contextlib.AsyncExitStack() as running:
        for port in (webhook, worker):
            running.callback(port.release)
        directory = running.enter_context(tempfile.TemporaryDirectory(prefix="rtmskit-acks-"))
        # As many calls at once as the queue allows, whoever hangs: httpx alone would stop at 100.
        transport = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=None))
        opens = {f"http://{worker.host}:{worker.number}": servers.RUN_SECRET}
        tasks = await running.enter_async_context(CloudTasks(clock, queues=local_queues(), transport=transport, run_secrets=opens))
        recall = Recall(
            clock,
            api_key="recall-key",
            data_dir=Path(directory),
            allow_local_urls=True,
            switches=RecallSwitches(limits=RateLimits.off()),
            faults=faults,
            recorder_factory=scripted(Story(lasts=None)),
        )
        running.push_async_callback(recall.aclose)
        await recall.start()
        wired = servers.wiring(tasks, f"sqlite://{directory}/state.sqlite", recall.base_url)
        function = Function(wired, webhook, worker, clock)
        running.push_async_callback(function.aclose)
        await function.start()
        yield Service(webhook, recall)


async def handed_on(normal: Service, hung: Service) -> None:
    """Return when one Recall has answered enough calls and the other leaves as many hanging."""
    for _ in range(1000):
        if min(hung.hung, len(normal.recall.workspace.mdcs)) >= HUNG_AT_LEAST:
            return
        await asyncio.sleep(0.02)
    raise RuntimeError(f"{hung.hung} calls hang and {len(normal.recall.workspace.mdcs)} were answered: nothing to compare")


async def latency(rounds: int, seconds: float) -> Report:
    seen: dict[str, list[Result]] = {"normal": [], "hung": []}
    async with contextlib.AsyncExitStack() as running:
        load = await running.enter_async_context(Load())
        both = (service(), service("recall.*: hang x*"))
        normal, hung = await asyncio.gather(*map(running.enter_async_context, both))
        services = {"normal": normal, "hung": hung}
        for number in range(-1, rounds):
            for name in turned(list(services), number):
                job = Job(services[name].port.number, PATH, servers.SECRET_TOKEN, seconds, 4, PER_S, seed=number)
                result = await load.run(job)
                if number >= 0:
                    seen[name].append(result)
            if number < 0:
                await handed_on(normal, hung)
        calls, made = hung.hung, len(normal.recall.workspace.mdcs)
    p99 = {name: [quantile(one.latencies_ms, 0.99) for one in results] for name, results in seen.items()}
    p50 = {name: [quantile(one.latencies_ms, 0.5) for one in results] for name, results in seen.items()}
    pooled = {name: quantile([each for one in results for each in one.latencies_ms], 0.99) for name, results in seen.items()}
    refused = {name: sum(one.refused for one in results) for name, results in seen.items()}
    delay = max(one.worst_send_delay_ms for results in seen.values() for one in results)
    return Report(
        f"acks while Recall hangs: {rounds} rounds of {seconds:g} s, {PER_S} starts a second",
        [
            Figure("p50, Recall answers", "ms", p50["normal"], 1),
            Figure("p50, Recall hangs", "ms", p50["hung"], 1),
            Figure("p99, Recall answers", "ms", p99["normal"], 1),
            Figure("p99, Recall hangs", "ms", p99["hung"], 1),
        ],
        [Budget("p99, hung : normal", ratios(p99["hung"], p99["normal"]), "at most", 1.2)],
        [
            "p99 of all rounds together: {hung:.1f} ms hung, {normal:.1f} ms normal".format(**pooled),
            f"calls to Recall: {calls} hung, {made} were answered by the other; the load client was never more than {delay:.0f} ms late",
            "answered 500: {hung} hung, {normal} normal".format(**refused),
        ],
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one line of JSON for each report")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=1.5, help="how long a server is under load in a round, twice for the latency")
    asked = parser.parse_args(argv)
    # A 99th percentile needs the longer look.
    for measure, seconds in ((throughput, asked.seconds), (latency, 2 * asked.seconds)):
        report = asyncio.run(measure(asked.rounds, seconds))
        print(report.as_json() if asked.json else report.as_text() + "\n", flush=True)


if __name__ == "__main__":
    main()
