"""The same scenario and seed give the same bytes, pictures too, in processes of their own beside others that keep every core busy.

`python -m tests.property.zoom.digests [--runs N]` plays N times (10) and compares; exit code 1 if two differ. `--once` is one such run: it
prints the digests, by speed and kind, of what a client received.

Sound, transcript and chat are compared at real time, where a client comes when it comes and gets what was buffered. Zoom buffers no
pictures, so they are compared where the meeting waits for its first reader: at four times the speed, on the clock, and at `max`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.unit.simulator.zoom.raw_client import CLIENT_ID, CLIENT_SECRET, SECRET_TOKEN, RawClient, Receiver

from rtms_simulator.clock import Clock
from rtms_simulator.scenario import Action, Person, Scenario
from rtms_simulator.zoom import Zoom, ZoomApp

ROOT = Path(__file__).parents[3]
ADA, BOB = Person(1, "Ada", "host"), Person(2, "Bob")
SCENARIO = Scenario(
    "busy",
    (ADA, BOB),
    (
        Action(0.1, "video_on", 1),
        Action(0.1, "speak", 1, {"until_s": 0.9, "text": "One."}),
        Action(0.3, "share_start", 2, {"title": "slides"}),
        Action(0.5, "chat", 2, {"text": "two"}),
        Action(0.6, "video_on", 2),
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
SOUND_AND_TEXT = ("audio", "transcript", "chat")
PICTURES = ("video", "deskshare")
PARAMS = {"video": {"codec": 7, "resolution": 1, "fps": 10}, "deskshare": {"codec": 5, "resolution": 1, "fps": 1}}
PLAYS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "real time": (1, SOUND_AND_TEXT),
    "four times": (4, (*SOUND_AND_TEXT, *PICTURES)),
    "max": ("max", (*SOUND_AND_TEXT, *PICTURES)),
}
Digests = dict[str, dict[str, str]]


async def digests() -> Digests:
    """SHA-256 of all that a client received, by speed and kind. Raises AssertionError if the server sent anything else."""
    return {name: await _received(speed, kinds) for name, (speed, kinds) in PLAYS.items()}


async def _received(speed: Any, kinds: tuple[str, ...]) -> dict[str, str]:
    clients: list[RawClient] = []

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload)
        clients.append(client)
        await client.join(*kinds, params=PARAMS)
        await client.over()

    receiver = Receiver(join)
    zoom = Zoom(Clock(), ZoomApp(CLIENT_ID, CLIENT_SECRET, SECRET_TOKEN), transport=receiver.transport)
    await zoom.start()
    try:
        report = await zoom.play(SCENARIO, "http://receiver.test/", speed=speed)
        await asyncio.gather(*receiver.started)
    finally:
        await zoom.aclose()
    received = {kind: clients[0].got[kind].sha256 for kind in kinds}
    assert received == {kind: report.streams[0].sent[kind]["sha256"] for kind in kinds}
    return received


@contextmanager
def busy_cores(count: int = 2) -> Generator[None]:
    """Processes that never rest."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def in_a_process() -> Digests:
    """The digests of one run in a process of its own. Raises CalledProcessError."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.property.zoom.digests", "--once"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    return json.loads(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--once", action="store_true")
    options = parser.parse_args()
    if options.once:
        sys.stdout.write(json.dumps(asyncio.run(digests())))
        return 0
    different: dict[str, int] = {}
    with busy_cores():
        for number in range(1, options.runs + 1):
            found = json.dumps(in_a_process(), indent=2, sort_keys=True)
            different[found] = different.get(found, 0) + 1
            sys.stderr.write(f"run {number}: {len(different)} different\n")
    sys.stdout.write("\n".join(f"{count} of {options.runs} runs:\n{found}" for found, count in different.items()) + "\n")
    return 0 if len(different) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
