"""The same scenario and seed give the same bytes at real time while other processes keep every core busy."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.simulator.zoom.meeting.test_meeting import HOOK, zoom_for
from tests.unit.simulator.zoom.raw_client import RawClient

from rtms_simulator.clock import Clock
from rtms_simulator.scenario import Action, Person, Scenario

RUNS = 10
ADA, BOB = Person(1, "Ada", "host"), Person(2, "Bob")
SCENARIO = Scenario(
    "busy",
    (ADA, BOB),
    (
        Action(0.1, "speak", 1, {"until_s": 0.9, "text": "One."}),
        Action(0.5, "chat", 2, {"text": "two"}),
        Action(1.1, "pause"),
        Action(1.2, "speak", 2, {"until_s": 1.6, "text": "Not this."}),
        Action(1.3, "chat", 1, {"text": "nor this"}),
        Action(1.7, "resume"),
        Action(1.8, "speak", 1, {"until_s": 2.4, "text": "Three."}),
        Action(2.51, "stop"),
        Action(2.6, "chat", 1, {"text": "after the stop"}),
    ),
    3.0,
    seed=7,
)
KINDS = ("audio", "transcript", "chat")


@pytest.fixture
def busy_cores() -> Iterator[None]:
    """Two processes that never rest."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    yield
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("busy_cores")
async def test_ten_runs_beside_busy_cores_have_equal_bytes_and_stop_to_the_packet() -> None:
    clients: list[RawClient] = []
    clock = Clock(rate=0)
    joined = 0

    async def join(payload: dict[str, Any]) -> None:
        nonlocal joined
        client = RawClient(payload)
        clients.append(client)
        await client.join(*KINDS)
        joined += 1
        if joined == RUNS:
            clock.set_rate(1)  # not before: however busy the machine is, no meeting ends before its client has joined
        await client.over()

    async with zoom_for(join, clock=clock) as (zoom, receiver):
        reports = await asyncio.gather(*(zoom.play(SCENARIO, HOOK) for _ in range(RUNS)))
        await asyncio.gather(*receiver.started)
    digests = {kind: {report.streams[0].sent[kind]["sha256"] for report in reports} for kind in KINDS}
    assert {kind: len(found) for kind, found in digests.items()} == dict.fromkeys(KINDS, 1)
    assert {kind: {client.got[kind].sha256 for client in clients} for kind in KINDS} == digests
    # 0 to 1.1 s, and after 1.7 up to 2.5 s, a packet each 20 ms.
    assert {report.streams[0].sent["audio"]["packets"] for report in reports} == {56 + 40}
    assert {report.streams[0].sent["chat"]["packets"] for report in reports} == {1}
