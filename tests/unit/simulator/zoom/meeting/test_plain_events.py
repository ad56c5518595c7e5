"""Plain meeting events before and beside RTMS, a start by hand, one event_ts for one event, and what is forgotten."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from tests.unit.simulator.zoom.meeting.test_meeting import HOOK, until, zoom_for
from tests.unit.simulator.zoom.raw_client import CLIENT_ID, RawClient

from rtms_simulator.clock import Clock
from rtms_simulator.scenario import Action, Person, Scenario
from rtms_simulator.scenario.meeting_events import MEETING_EVENTS

HOST, GUEST, STRANGER = Person(1, "Host", "host"), Person(2, "Guest"), Person(3, "Stranger", invited=False)


def scenario(product: str = "meeting", **more: Any) -> Scenario:
    timeline = (Action(0.2, "join", 2), Action(0.4, "leave", 2))
    events = MEETING_EVENTS[product]
    return Scenario("plain", (HOST, GUEST), timeline, 0.6, product=product, meeting_events=events, **more)  # ty: ignore[invalid-argument-type]


async def join(payload: dict[str, Any]) -> None:
    client = RawClient(payload)
    await client.join("audio")
    await client.over()


@pytest.mark.parametrize("product", ["meeting", "webinar", "session"])
async def test_the_plain_events_come_before_rtms_and_beside_it(product: str) -> None:
    async with zoom_for(join) as (zoom, receiver):
        report = await zoom.play(scenario(product), HOOK, speed="max")
    begun, joined, left, ended = MEETING_EVENTS[product]
    events = sorted(receiver.events, key=lambda event: event["event_ts"])
    names = [event["event"] for event in events]
    assert names[0] == begun
    assert names[1].endswith("rtms_started")
    assert names.count(joined) == 2
    assert names.index(left) > names.index(joined)
    assert names[-1] == ended
    assert events[0]["event_ts"] == report.started_ms
    about = events[0]["payload"]["object"]
    assert about["id" if product == "session" else "uuid"] == report.entity_id


async def test_only_the_events_that_the_scenario_names_are_sent() -> None:
    async with zoom_for(join) as (zoom, receiver):
        await zoom.play(Scenario("one", (HOST,), (), 0.2, meeting_events=("meeting.ended",)), HOOK, speed="max")
    assert sorted(receiver.names()) == ["meeting.ended", "meeting.rtms_started", "meeting.rtms_stopped"]


async def test_a_start_by_hand_needs_an_invitee_who_is_there() -> None:
    clients: list[RawClient] = []

    async def join_later(payload: dict[str, Any]) -> None:
        clients.append(RawClient(payload))
        await clients[0].join("audio")
        await clients[0].over()

    people = (HOST, GUEST, STRANGER)
    manual = Scenario("manual", people, (Action(5.0, "join", 2),), 6.0, auto_start=False, meeting_events=("meeting.started",))
    async with zoom_for(join_later) as (zoom, receiver):
        meeting = zoom.begin(manual, HOOK)
        await meeting.announced()
        assert receiver.names() == ["meeting.started"]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(zoom.rest_app), base_url="http://zoom") as rest:

            async def start(user_id: int) -> httpx.Response:
                settings = {"client_id": CLIENT_ID, "participant_user_id": str(user_id)}
                path = f"/v2/live_meetings/{meeting.meeting_id}/rtms_app/status"
                return await rest.patch(path, json={"action": "start", "settings": settings}, headers={"authorization": "Bearer x"})

            for user_id in (2, 3, 99):
                answer = await start(user_id)
                assert (answer.status_code, answer.json()["code"]) == (400, 2308)
            assert (await start(1)).status_code == 204
        await meeting.announced()
        assert receiver.names() == ["meeting.started", "meeting.rtms_started"]
        await until(lambda: clients and clients[0].got)
        await meeting.act(Action(0.0, "end"))
        await meeting.aclose()


@pytest.mark.parametrize("speed", [50, "max"])
async def test_a_meeting_that_nobody_starts_ends_at_every_speed(speed: Any) -> None:
    manual = Scenario("manual", (HOST,), (), 1.0, auto_start=False)
    async with zoom_for(clock=Clock(rate=1000)) as (zoom, receiver):
        report = await asyncio.wait_for(zoom.play(manual, HOOK, speed=speed), 10)
    assert report.streams == ()
    assert receiver.events == []


async def test_no_two_events_have_one_event_ts() -> None:
    clock = Clock(rate=0)
    async with zoom_for(clock=clock) as (zoom, receiver):
        meetings = [zoom.begin(Scenario("many", (HOST,), (), 9.0, apps=2), HOOK) for _ in range(5)]
        for meeting in meetings:
            await meeting.act(Action(0.0, "stop"))
            await meeting.announced()
    stamps = [event["event_ts"] for event in receiver.events]
    assert len(stamps) == len(set(stamps)) == 20
    for meeting in meetings:
        mine = [event["event_ts"] for event in receiver.events if event["payload"]["meeting_uuid"] == meeting.entity_id]
        assert min(mine) == meeting.epoch_ms


async def test_an_ended_meeting_leaves_nothing_but_its_report() -> None:
    async with zoom_for(join) as (zoom, _):
        drops = Scenario("drops", (HOST,), (Action(0.2, "fail_over"), Action(0.3, "stop"), Action(0.4, "reallow")), 0.6)
        await zoom.play(drops, HOOK, speed="max")
        assert (zoom._streams, zoom._paths, zoom._dead, zoom._bound) == ({}, {}, set(), {})
        assert zoom.meetings[1].report().ended_ms is not None
