"""How long from the start of the webhook's process to its first signed ack.

    python -m tests.benchmarks.start [--json] [--rounds 8]

Against functions-framework aio with a function that does nothing, whose module imports google-cloud-firestore: what anybody has to pay who
serves a function on Firestore. Ours twice: on SQLite, where the first ack is durable (a hand-off stored, a task in the fake Cloud Tasks),
and with the libraries of the deployed function (Firestore), where it is the ack of an event that nothing is stored for. The bytecode of
every module has been written by a round before the first. Interleaved, in an order that turns.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.rig import servers
from tests.benchmarks.rig.load import Job, first_answer, request, starts
from tests.benchmarks.rig.report import Budget, Figure, Report, ratios, turned

from rtms_simulator.serving.processes import Child, Port
from rtms_simulator.zoom.webhooks import events

BASE = "functions-framework aio + Firestore import"
SQLITE = "webhook on SQLite, durable ack"
FIRESTORE = "webhook with Firestore, nothing stored"

WITHIN_S = 30.0


@dataclass(slots=True)
class Starts:
    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)


async def timed(child: Child, port: Port, first: bytes) -> tuple[float, float]:
    """Wall and CPU time in ms from the process's start to its first 200, all of its processes together."""
    try:
        began = time.perf_counter()
        await child.start()
        async with asyncio.timeout(WITHIN_S):
            status = await first_answer(port.number, first, lambda: child.alive)
        wall = time.perf_counter() - began
        if status != 200:
            raise RuntimeError(f"{child.name} answered {status}: {list(child.lines)}")
        return wall * 1000, servers.cpu_s(child) * 1000
    finally:
        await child.stop()


async def start(rounds: int, warming: int = 1) -> Report:
    """`warming` rounds come before those that count."""
    seen = {name: Starts() for name in (BASE, SQLITE, FIRESTORE)}
    async with contextlib.AsyncExitStack() as running:
        port = Port("start")
        running.callback(port.release)
        directory = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="rtmskit-start-")))
        tasks = await running.enter_async_context(servers.held_tasks())
        sqlite = servers.wiring(tasks, f"sqlite://{directory}/state.sqlite")
        firestore = servers.wiring(tasks, "firestore://project/database")
        notice = events.body(events.concurrency_near_limit(2000, 1700, int(time.time() * 1000)))
        made: dict[str, Callable[[], Child]] = {
            BASE: lambda: servers.framework_noop(directory, port, "google.cloud.firestore"),
            SQLITE: lambda: servers.webhook(sqlite, port),
            FIRESTORE: lambda: servers.webhook(firestore, port),
        }
        for number in range(-warming, rounds):
            job = Job(port.number, "/zoom-webhook", servers.SECRET_TOKEN, 0, seed=number)
            for name in turned(list(made), number):
                first = request(job, notice) if name == FIRESTORE else next(starts(job))
                wall, cpu = await timed(made[name](), port, first)
                if number >= 0:
                    seen[name].wall_ms.append(wall)
                    seen[name].cpu_ms.append(cpu)
    base = seen[BASE]
    return Report(
        f"start to first signed ack: {rounds} rounds",
        [
            *(Figure(name, "ms", one.wall_ms) for name, one in seen.items()),
            *(Figure(f"CPU of: {name}", "ms", one.cpu_ms) for name, one in seen.items()),
        ],
        [Budget(name, ratios(seen[name].wall_ms, base.wall_ms), "at most", 1.25) for name in (SQLITE, FIRESTORE)],
        [
            "CPU ratios: "
            + ", ".join(f"{name} {Figure('', '', ratios(seen[name].cpu_ms, base.cpu_ms)).median:.2f}" for name in (SQLITE, FIRESTORE))
        ],
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--rounds", type=int, default=8)
    asked = parser.parse_args(argv)
    report = asyncio.run(start(asked.rounds))
    print(report.as_json() if asked.json else report.as_text() + "\n", flush=True)


if __name__ == "__main__":
    main()
