"""Many meetings at once: what is begun, ended and counted, against a webhook and a Recall of a few lines."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from rtms_simulator.clock import Clock
from rtms_simulator.kit import rush
from rtms_simulator.kit.rush import Crowd, Recorders, signed
from rtms_simulator.zoom.webhooks import events


@dataclass
class Service:
    """Acknowledges every delivery; a start is accepted `after_s` later. `refuses`: the numbers of deliveries that get 500."""

    clock: Clock
    after_s: float = 0.5
    refuses: frozenset[int] = frozenset()
    accepts: bool = True
    names: list[str] = field(default_factory=list)
    mdcs: dict[str, Any] = field(default_factory=dict)

    def answer(self, request: httpx.Request) -> httpx.Response:
        event = json.loads(request.content)
        self.names.append(event["event"])
        if len(self.names) in self.refuses:
            return httpx.Response(500)
        stream = event["payload"]["rtms_stream_id"]
        if self.accepts and event["event"] == "meeting.rtms_started":
            self.mdcs[stream] = SimpleNamespace(stream_id=stream, created_at=self.clock.now() + self.after_s)
        return httpx.Response(200)

    def crowd(self) -> Crowd:
        recall: Any = SimpleNamespace(clock=self.clock, workspace=SimpleNamespace(mdcs=self.mdcs))
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        return Crowd("http://webhook/zoom-webhook", "a-token", recall, Recorders(), client)


@pytest.fixture(autouse=True)
def a_short_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rush, "MINUTE_S", 0.3)


async def test_all_that_were_handed_on_end_while_others_begin() -> None:
    service = Service(Clock())
    crowd = service.crowd()
    came = await crowd.rush(20, 3, before_per_s=500.0)
    assert service.names[:20] == ["meeting.rtms_started"] * 20
    assert sorted(service.names[20:]) == ["meeting.rtms_started"] * 3 + ["meeting.rtms_stopped"] * 20
    assert (came.before, came.never, came.refused, len(crowd.ended)) == (20, 0, 0, 20)
    assert (len(came.waits_before_s), len(came.waits_s)) == (20, 3)
    assert all(0.4 < wait < 0.6 for wait in came.waits_s)


async def test_what_is_over_before_the_minute_may_end_while_the_former_are_handed_on() -> None:
    service, seen = Service(Clock(), after_s=0.0), list[int]()
    crowd = service.crowd()
    await crowd.rush(20, 3, before_per_s=5.0 * 20, go_by=lambda: seen.append(len(crowd.accepted())))
    assert seen[-1] == 20, "once more when all are accepted, and not in the minute"
    assert len(seen) == 2, "and once for each second's worth of them"


async def test_a_refused_delivery_is_counted_and_not_sent_again() -> None:
    service = Service(Clock(), refuses=frozenset({2}))
    came = await service.crowd().rush(4, 1, before_per_s=500.0)
    assert (came.refused, came.before, len(service.names)) == (1, 3, 9)


async def test_a_start_that_nobody_accepts_is_told_and_ends_the_rush() -> None:
    service = Service(Clock(), accepts=False)
    came = await service.crowd().rush(100, 1, before_per_s=500.0)
    assert came.before == 0
    assert came.never == rush.BESIDE + 2, "those that were begun before there was no room, and the one of the minute"


def test_a_delivery_is_signed_for_its_moment() -> None:
    ids = events.StreamIds("u", "s")
    body, headers = signed(events.stopped("meeting", ids, 6, 1000), "a-token", 1_700_000_000.9)
    assert headers["x-zm-request-timestamp"] == "1700000000"
    assert headers["x-zm-signature"] == events.sign("a-token", "1700000000", body)
