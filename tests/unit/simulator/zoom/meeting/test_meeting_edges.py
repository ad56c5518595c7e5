"""What happens at the edges of a meeting: other payloads, late subscribers, changes of mind, media that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.simulator.zoom.meeting.test_meeting import ADA, HOOK, LONG, ZOE, hold, until, zoom_for
from tests.unit.simulator.zoom.raw_client import RawClient

from rtms_simulator.faults import parse_fault
from rtms_simulator.scenario import Action, Person, Scenario
from rtms_simulator.zoom import ZoomApp
from rtms_simulator.zoom.media import MediaPacket
from rtms_simulator.zoom.switches import ZoomSwitches


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


async def test_other_forms_of_the_payloads() -> None:
    scenario = replace(LONG, timeline=(Action(0.5, "drop_signaling"),))
    switches = ZoomSwitches(payload_form="2025", several_urls=True, interrupted_urls=True)

    async def join(payload: dict[str, Any]) -> None:
        first, second = payload["server_urls"].split(",")
        for url in (first, second):
            client = RawClient(payload)
            await client.open(url)
            await client.open_media("audio")
            await client.ready()
            if url == second:
                await client.say({"msg_type": 21, "rtms_stream_id": client.stream_id})
            await client.over()

    async with zoom_for(join) as (zoom, receiver):
        await zoom.begin(scenario, HOOK, speed="max", switches=switches).finished()
        await asyncio.gather(*receiver.started)
    start, interrupted, _ = receiver.events
    assert start["payload"].keys() == {"meeting_uuid", "operator_id", "rtms_stream_id", "server_urls"}
    assert interrupted["payload"]["server_urls"] == start["payload"]["server_urls"].split(",")[0]


async def test_a_speaker_who_goes_on_is_no_change_of_speaker() -> None:
    talk = [(0.1, ADA), (0.4, ADA), (0.7, ZOE), (1.0, ADA)]
    timeline = tuple(Action(at, "speak", who.user_id, {"until_s": at + 0.2, "text": "Well"}) for at, who in talk)
    _, [client], _ = await hold("audio", scenario=replace(LONG, timeline=timeline, duration_s=1.5))
    assert [event["user_id"] for event in client.events() if event["event_type"] == 2] == [ADA.user_id, ZOE.user_id, ADA.user_id]


async def test_a_meeting_is_over_when_no_stream_is_left_and_none_will_come() -> None:
    """In real time, long before its scripted end."""
    timeline = (Action(0.1, "stop"), Action(0.2, "reallow"), Action(0.4, "stop"))
    report, _, receiver = await hold("audio", scenario=replace(LONG, timeline=timeline), speed=1.0)
    assert receiver.names() == ["meeting.rtms_started", "meeting.rtms_stopped"] * 2
    assert report.ended_ms is not None
    assert report.ended_ms < 10_000


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


async def test_individual_video_changes_from_one_to_the_other() -> None:
    timeline = (Action(0.0, "video_on", ADA.user_id), Action(0.0, "video_on", ZOE.user_id))
    clients: list[RawClient] = []

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload)
        clients.append(client)
        await client.open()
        await client.open_media("video", {"video": {"data_opt": 4, "resolution": 1}})
        await client.ready()
        for person in (ADA, ZOE):
            await client.say({"msg_type": 28, "user_id": person.user_id, "subscribe": True})
            await until(lambda wanted=person: "video" in client.got and client.got["video"].contents[-1]["user_id"] == wanted.user_id)
        await client.say({"msg_type": 28, "user_id": ZOE.user_id, "subscribe": False})
        await client.over()

    async with zoom_for(join) as (zoom, receiver):
        report = await zoom.begin(replace(LONG, timeline=timeline, duration_s=2.5), HOOK).finished()
        await asyncio.gather(*receiver.started)
    senders = [content["user_id"] for content in clients[0].got["video"].contents]
    assert senders == sorted(senders)
    assert set(senders) == {ADA.user_id, ZOE.user_id}
    assert len(senders) < 12
    assert (report.ended_ms or 0) < 4000  # no run of pictures that was given up holds the end of the meeting up


async def test_keep_alive_silence_and_what_a_client_says_amiss() -> None:
    clients: list[RawClient] = []

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload)
        clients.append(client)
        await client.join("audio")
        await client.say({"msg_type": 99})
        await client.over()

    switches = ZoomSwitches(keep_alive_interval_s=0.1)
    async with zoom_for(join, switches=switches) as (zoom, receiver):
        faults = (parse_fault("zoom.stream: keep-alive-silence at=0.35s"), parse_fault("zoom.stream: slow-close 0.1s"))
        report = await zoom.begin(replace(LONG, timeline=(), duration_s=1.0), HOOK, faults=faults).finished()
        await asyncio.gather(*receiver.started)
    assert 4 <= report.streams[0].keep_alives <= 8
    assert report.streams[0].complaints == 1
    assert report.streams[0].stop_reason == 6


async def test_a_stream_fault_in_the_scenario() -> None:
    timeline = (
        Action(0.3, "fault", data={"fault": "zoom.stream: slow-close 0.2s"}),
        Action(0.5, "fault", data={"fault": "zoom.stream: drop-media"}),
    )
    scenario = replace(LONG, timeline=timeline, duration_s=1.0)

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload)
        await client.join("audio")
        await until(lambda: client.closes.get("audio") == 1006)
        await client.open_media("audio")
        await client.ready()
        await client.over()
        assert len(client.got["audio"].data) == 32_000

    async with zoom_for(join) as (zoom, receiver):
        report = await zoom.begin(scenario, HOOK, speed="max").finished()
        await asyncio.gather(*receiver.started)
    assert "audio socket dropped" in [what for _, what in report.timeline]


def test_a_scope_that_is_none() -> None:
    with pytest.raises(ValueError, match="allowed: audio"):
        ZoomApp("c", "s", "t", scopes=frozenset({"smell"}))


async def test_media_that_cannot_be_made_ends_the_stream_and_the_report_says_why() -> None:
    class Broken:
        def packets(self, media_type: int, params: Any, *, start_ms: int = 0, user_id: int | None = None) -> Iterator[MediaPacket]:
            yield MediaPacket(0, 1, 0, None, b"12", 20)
            raise OSError("the file is gone")

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload)
        await client.join("audio")
        await client.over()

    async with zoom_for(join) as (zoom, receiver):
        report = await zoom.begin(LONG, HOOK, speed="max", source=Broken()).finished()
        await asyncio.gather(*receiver.started)
    assert report.streams[0].problem == "OSError: the file is gone"
    assert receiver.events[-1]["payload"]["stop_reason"] == 10
