"""Events on a stream: a change of speaker is one, a share is told to subscribers now and to those who subscribe late."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from tests.unit.simulator.zoom.meeting.test_meeting import ADA, HOOK, LONG, ZOE, hold, until, zoom_for
from tests.unit.simulator.zoom.raw_client import RawClient

from rtms_simulator.scenario import Action, Person, Scenario


async def test_a_speaker_who_goes_on_is_no_change_of_speaker() -> None:
    talk = [(0.1, ADA), (0.4, ADA), (0.7, ZOE), (1.0, ADA)]
    timeline = tuple(Action(at, "speak", who.user_id, {"until_s": at + 0.2, "text": "Well"}) for at, who in talk)
    _, [client], _ = await hold("audio", scenario=replace(LONG, timeline=timeline, duration_s=1.5))
    assert [event["user_id"] for event in client.events() if event["event_type"] == 2] == [ADA.user_id, ZOE.user_id, ADA.user_id]


async def test_a_share_is_told_to_subscribers_now_and_to_those_who_subscribe_late() -> None:
    timeline = (Action(0.2, "share_start", ADA.user_id), Action(0.8, "pause"), Action(1.2, "share_stop", ADA.user_id))
    clients: list[RawClient] = []

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload)
        clients.append(client)
        await client.join("deskshare")
        await until(lambda: 5 in client.states(8))
        await client.subscribe(5, 6)
        await client.over()

    async with zoom_for(join) as (zoom, receiver):
        await zoom.begin(replace(LONG, timeline=timeline, duration_s=1.5), HOOK).finished()
        await asyncio.gather(*receiver.started)
    told = [(event["event_type"], event.get("user_id")) for event in clients[0].events() if event["event_type"] in (5, 6)]
    assert told == [(5, ADA.user_id), (6, None)]


async def test_a_contact_centers_own_events() -> None:
    """Numbers 8 and 9 mean the consumer's answer and end there, not somebody's camera."""
    agent = Person(2, "Agent", role="agent", channel_id="c2", phone_number="+15550100", contact_id="customer-contact-id")
    timeline = (
        Action(0.1, "call_event", 2, {"event": "CONSUMER_ANSWERED"}),
        Action(0.3, "call_event", 2, {"event": "USER_HOLD"}),
    )
    scenario = Scenario("call", (Person(1, "Consumer", channel_id="c1"), agent), timeline, 1.0, product="contact_center")
    clients: list[RawClient] = []

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload, entity_field="engagement_id")
        clients.append(client)
        await client.open()
        await client.subscribe(8, 9, 12)
        await client.open_media("audio")
        await client.ready()
        await client.over()

    async with zoom_for(join) as (zoom, receiver):
        report = await zoom.begin(scenario, HOOK, speed="max").finished()
        await asyncio.gather(*receiver.started)
    answered, held = (event for event in clients[0].events() if event["event_type"] != 1)
    assert (answered["event_type"], held["event_type"]) == (8, 12)
    assert answered["event_ts"] == report.started_ms + 100
    assert answered["participant_info"] == {
        "channel_id": "c2",
        "participant_mode": "agent",
        "queue_id": "xqJE_cgERLyAJHYYL5LLeg",
        "queue_name": "My Queue",
        "account_id": "Ylp1nCFkRuSyGvUx2eVzKg",
        "division_id": "division-id",
        "phone_number": "+15550100",
        "user_id": "customer-contact-id",
        "display_name": "Agent",
    }
    assert "timestamp" not in answered
