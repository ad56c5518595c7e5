"""Every interleaving of a few deliveries of one stream with two workers and a crash anywhere: the scenes, and how to run them.

`python -m tests.simulation.small_scope` explores them all and prints the counts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tests.simulation.checker import judge
from tests.simulation.explorer import Branch, Explorer, Findings
from tests.simulation.far_side import MemoryStore, RecallModel, ZoomEvent, ZoomModel
from tests.simulation.fleet import Fleet
from tests.simulation.relay_world import RelayService, records
from tests.simulation.world import Event, Instance

START_MS = 1_700_000_000_000
STREAM = "609340fb2a7946909659956c8aa9250c"
FIRST, SECOND = "wss://rtms-a.zoom.us/a", "wss://rtms-b.zoom.us/b"


def event(name: str, after_ms: int, urls: str | None = None, reason: int | None = None) -> ZoomEvent:
    """One delivery of an event of the stream."""
    payload: dict[str, Any] = {"meeting_uuid": "4444AAAiAAAAAiAiAiiAii==", "rtms_stream_id": STREAM}
    if urls is not None:
        payload["server_urls"] = urls
    if reason is not None:
        payload["stop_reason"] = reason
    full = f"meeting.rtms_{name}"
    body = msgspec.json.encode({"event": full, "event_ts": START_MS + after_ms, "payload": payload})
    return ZoomEvent(full, START_MS + after_ms, STREAM, body, urls, reason)


SCENES: Mapping[str, tuple[Sequence[ZoomEvent], int, int, Mapping[str, int]]] = {
    "a start, twice": ([event("started", 0, FIRST)] * 2, 1, 0, {}),
    "a start and its stop": ([event("started", 0, FIRST), event("stopped", 1, reason=6)], 1, 0, {}),
    "a start and a fail-over": ([event("started", 0, FIRST), event("started", 1, SECOND)], 1, 0, {}),
    "a start whose 201 gets lost": ([event("started", 0, FIRST)], 1, 0, {"recall answer lost": 1}),
    "a start whose task comes twice": ([event("started", 0, FIRST)], 1, 0, {"task duplicated": 1}),
    "a start answered 507 once": ([event("started", 0, FIRST)], 1, 0, {"recall 507": 1, "task duplicated": 1}),
    "a start while the store is away": ([event("started", 0, FIRST)], 1, 0, {"store outage": 1}),
    "a start whose record is written, the answer lost": ([event("started", 0, FIRST)], 1, 0, {"store answer lost": 1}),
    "a start, its two copies, and a stall": ([event("started", 0, FIRST)], 0, 1, {"task duplicated": 1}),
    "five deliveries: start, start again, fail-over, stop, stop again": (
        [
            event("started", 0, FIRST),
            event("started", 0, FIRST),
            event("started", 1, SECOND),
            event("stopped", 2, reason=6),
            event("stopped", 2, reason=6),
        ],
        1,
        0,
        {},
    ),
}
"""name -> (deliveries, crashes, stalls, faults)."""

LOCAL = ("zoom sends", "answer")
"""Awaits after which a process touches nothing that another could see, up to its next await."""


class StillToken:
    """The Randomness port without chance: a key is named by when it was drawn, so that equal pasts give equal states."""

    def __init__(self, branch: Branch) -> None:
        self.branch = branch

    def uniform(self, low: float, high: float) -> float:
        return low


@dataclass
class StreamScene:
    """One stream's deliveries, two webhooks, two workers, a queue that tries twice, a Recall that records nothing."""

    branch: Branch
    deliveries: Sequence[ZoomEvent]

    def __post_init__(self) -> None:
        branch = self.branch
        self.store = MemoryStore(branch)
        service = RelayService(branch, self.store, StillToken(branch), lambda *_, **__: None)
        fleet = Fleet.of_two(branch, service)
        outside = Instance("world")
        service.connect(fleet, outside, max_attempts=3)
        del service.queues["handoffs-second"]  # the copy is the same task once more, which a scene of its own has
        self.queues = service.queues
        self.recall = service.recall = RecallModel(branch, fleet, outside)
        self.recall.records = False
        self.fleet = fleet
        zoom = ZoomModel(branch, fleet, outside, retries_s=(300,))
        for delivery in self.deliveries:
            zoom.happen(delivery)

    def fingerprint(self) -> Hashable:
        documents = [
            (collection, key, version, msgspec.json.encode(fields))
            for collection, rows in self.store.documents.items()
            for key, (version, fields) in rows.items()
        ]
        recall = (
            tuple((mdc.id, mdc.handoff, mdc.key) for mdc in self.recall.mdcs.values()),
            frozenset(self.recall.in_flight),
            frozenset(self.recall.answers),
        )
        # What was acknowledged decides the verdict, so two pasts that differ in it are not the same.
        answered = frozenset((e.facts["event"], e.facts["ts"], e.facts["status"]) for e in self.branch.history if e.what == "answered")
        return (frozenset(documents), recall, tuple(frozenset(queue.names) for queue in self.queues.values()), answered)

    def check(self, history: list[Event]) -> None:
        """No promise broken, and no acknowledged stream given up: one crash costs a lease, not the connect window.

        A path ends when nothing moves any more. What was not acknowledged may then be left to the sweeper: it is due.
        """
        handoffs = records(self.store)
        verdict = judge(history, handoffs)
        left = {key for key, fields in handoffs.items() if fields["state"] == "pending" and fields.get("due_at") is not None}
        broken = [line for line in verdict.broken if not any(f"{key[:8]} came to rest as pending" in line for key in left)]
        assert not broken, broken
        acked = {e.facts["urls"] for e in history if e.what == "answered" and e.facts["status"] == 200 and e.at_ms < START_MS + 3_000}
        given_up = {fields["server_urls"]: fields["state"] for fields in handoffs.values() if fields["state"] in ("expired", "pending")}
        assert not acked & set(given_up), f"acknowledged in time, but {given_up}"


def explore(name: str, limit: int = 2_000_000) -> Findings:
    deliveries, crashes, stalls, faults = SCENES[name]
    build: Callable[[Branch], StreamScene] = lambda branch: StreamScene(branch, deliveries)  # noqa: E731
    return Explorer(build, crashes=crashes, stalls=stalls, faults=faults, local=LOCAL, limit=limit, start_ms=START_MS).run()


if __name__ == "__main__":
    for scene in sys.argv[1:] or SCENES:
        found = explore(scene)
        sys.stdout.write(
            f"{scene}: {found.states} states, {found.endings} endings, {found.crashes} crashes, {found.steps} steps, "
            f"complete {found.complete}\n"
        )
