"""Contact Center and Phone: audio and transcript only, their own events, and what a late subscriber still has to know."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from tests.unit.simulator.zoom.meeting.test_meeting import HOOK, until, zoom_for
from tests.unit.simulator.zoom.raw_client import RawClient
from websockets.asyncio.client import connect

from rtms_simulator.scenario import Action, Person, Scenario
from rtms_simulator.scenario.call_events import CONTACT_CENTER_EVENTS, PHONE_EVENTS
from rtms_simulator.zoom import Tls
from rtms_simulator.zoom.meeting.roster import MeetingRoster
from rtms_simulator.zoom.switches import DOCUMENTED, ZoomSwitches

JANE = Person(1, "Jane Doe", role="consumer", channel_id="123abc", phone_number="+18005550101", contact_id="customer-contact-id")
AGENT = Person(2, "Agent", role="agent", channel_id="456def")
FIELDS = {"contact_center": "engagement_id", "phone": "call_id"}


def call(product: str, *timeline: Action, **more: Any) -> Scenario:
    speech = Action(0.2, "speak", 1, {"until_s": 0.8, "text": "Hello"})
    return Scenario("call", (JANE, AGENT), (speech, *timeline), 1.0, product=product, **more)  # ty: ignore[invalid-argument-type]


async def held(scenario: Scenario, *numbers: int, key: str = "event_type", switches: ZoomSwitches = DOCUMENTED, **options: Any):
    """Play a call at full speed to a client of audio and transcript that subscribes to these numbers."""
    clients: list[RawClient] = []
    context = ssl.create_default_context(cafile=str(options["tls"].ca_file)) if "tls" in options else None

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload, entity_field=FIELDS[scenario.product], ssl_context=context)
        clients.append(client)
        await client.open()
        await client.say({"msg_type": 5, "events": [{key: number, "subscribe": True} for number in numbers]})
        for kind in ("audio", "transcript"):
            assert (await client.open_media(kind))["status_code"] == 0
        await client.ready()
        await client.over()

    async with zoom_for(join, **options) as (zoom, receiver):
        report = await zoom.begin(scenario, HOOK, speed="max", switches=switches).finished()
        await asyncio.gather(*receiver.started)
    return report, clients[0], receiver


@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("product", FIELDS)
async def test_a_call_has_audio_and_transcript_and_nothing_else(product: str, scheme: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"tls": Tls(tmp_path)} if scheme == "wss" else {}
    report, client, receiver = await held(call(product), **options)
    assert set(client.urls) == {"audio", "transcript", "all"}
    assert client.urls["audio"].startswith(f"{scheme}://")
    assert len(client.got["audio"].data) == 32_000
    assert [content["data"] for content in client.got["transcript"].contents] == ["Hello"]
    assert report.streams[0].stop_reason == 6
    assert [event["payload"][FIELDS[product]] for event in receiver.events] == [report.entity_id] * 2


@pytest.mark.parametrize(("number", "status"), [(2, 10), (4, 11), (16, 13), (3, 10)])
@pytest.mark.parametrize("product", FIELDS)
async def test_video_share_and_chat_get_their_status(product: str, number: int, status: int) -> None:
    answers: list[dict[str, Any]] = []

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload, entity_field=FIELDS[product])
        await client.open()
        answers.append(await client.open_media("audio", number=number))
        await client.aclose()

    async with zoom_for(join) as (zoom, receiver):
        zoom.begin(call(product), HOOK)
        await until(lambda: answers)
        await asyncio.gather(*receiver.started)
    assert answers[0]["status_code"] == status


async def test_the_participant_info_is_the_documented_one() -> None:
    person = Person(
        1, "Jane Doe", role="consumer", channel_id="123abc", queue_id="queue", queue_name="My Queue", account_id="parent-account-id",
        division_id="division-id", phone_number="+18005550101", contact_id="customer-contact-id",
    )  # fmt: skip
    scenario = Scenario("call", (person,), (Action(0.1, "call_event", 1, {"event": "CONSUMER_ANSWERED"}),), 1.0, product="contact_center")
    report, client, _ = await held(scenario, 8)
    [event] = [event for event in client.events() if event["event_type"] == 8]
    assert event == {
        "event_type": 8,
        "event_ts": report.started_ms + 100,
        "participant_info": {
            "channel_id": "123abc",
            "participant_mode": "caller",
            "queue_id": "queue",
            "queue_name": "My Queue",
            "account_id": "parent-account-id",
            "division_id": "division-id",
            "phone_number": "+18005550101",
            "user_id": "customer-contact-id",
            "display_name": "Jane Doe",
        },
    }


async def test_every_contact_center_event_reaches_its_subscriber_with_its_own_fields() -> None:
    assert sorted(CONTACT_CENTER_EVENTS.values()) == list(range(8, 35))
    timeline = tuple(
        Action(0.1 + number / 100, "call_event", 2, {"event": name, "fields": {"digits": str(number)}})
        for name, number in CONTACT_CENTER_EVENTS.items()
    )
    _, client, _ = await held(call("contact_center", *timeline), *range(8, 35))
    events = [event for event in client.events() if event["event_type"] != 1]
    assert [(event["event_type"], event["digits"]) for event in events] == [(number, str(number)) for number in range(8, 35)]


def roster(product: str, **switches: Any) -> MeetingRoster:
    return MeetingRoster(call(product), ZoomSwitches(**switches), "account")


def event(name: str, who: int = 1) -> Action:
    return Action(0.0, "call_event", who, {"event": name})


def test_who_subscribes_late_learns_that_the_customer_has_answered_and_when() -> None:
    calls = roster("contact_center")
    calls.changed(event("CONSUMER_ANSWERED"), 1_000)
    [told] = calls.told_on_subscription([8, 12], 9_000)
    assert (told.fields["event_type"], told.fields["event_ts"]) == (8, 1_000)
    assert told.fields["participant_info"]["user_id"] == "customer-contact-id"
    calls.changed(event("CONSUMER_END"), 10_000)
    assert calls.told_on_subscription([8, 12], 11_000) == []
    off = roster("contact_center", call_state_on_subscription=False)
    off.changed(event("CONSUMER_ANSWERED"), 1_000)
    assert off.told_on_subscription([8], 9_000) == []


@pytest.mark.parametrize(
    ("product", "begin", "end", "number"),
    [("contact_center", "USER_HOLD", "USER_UNHOLD", 12), ("phone", "CALL_HOLD", "CALL_RESUME", DOCUMENTED.phone_event_codes["CALL_HOLD"])],
)
def test_who_subscribes_late_learns_of_a_hold_that_lasts(product: str, begin: str, end: str, number: int) -> None:
    calls = roster(product)
    calls.changed(event(begin, 2), 1_000)
    calls.changed(event(begin, 1), 2_000)
    calls.changed(event(end, 1), 3_000)
    assert [told.number for told in calls.told_on_subscription([number], 9_000)] == [number]
    calls.changed(event(end, 2), 10_000)
    assert calls.told_on_subscription([number], 11_000) == []


@pytest.mark.parametrize("key", ["event_code", "event_type"])
async def test_phone_events_have_the_key_that_the_switch_says(key: str) -> None:
    codes = {"CALL_HOLD": 501, "CALL_RESUME": 502, "CALL_TRANSFER": 503}
    switches = ZoomSwitches(phone_events=key, phone_event_codes=codes)  # ty: ignore[invalid-argument-type]
    timeline = tuple(Action(0.1 * number, "call_event", 2, {"event": name}) for number, name in enumerate(PHONE_EVENTS, 1))
    report, client, _ = await held(call("phone", *timeline), 501, 502, 503, key=key, switches=switches)
    events = [event for event in client.events() if event.get("event_type") != 1]
    assert [event[key] for event in events] == [501, 502, 503]
    assert events[0] == {key: 501, "timestamp": report.started_ms + 100, "participants": [{"user_id": 2, "user_name": "Agent"}]}


def test_phone_events_can_be_off() -> None:
    assert roster("phone", phone_events="off").changed(event("CALL_HOLD"), 1) == []


async def test_the_started_webhook_carries_the_custom_fields_of_ivr_streaming() -> None:
    fields = {"sip_call_id": "a@b", "headers": {"X-Id": 7}}
    _, _, receiver = await held(call("contact_center", custom_fields=fields))
    assert receiver.events[0]["payload"]["custom_fields"] == fields
    _, _, receiver = await held(call("contact_center", custom_fields=fields), switches=ZoomSwitches(custom_fields_key="customFields"))
    assert receiver.events[0]["payload"]["customFields"] == fields
    _, _, receiver = await held(call("contact_center"))
    assert "custom_fields" not in receiver.events[0]["payload"]


async def test_a_refusal_of_one_call_does_not_disturb_another() -> None:
    async with zoom_for() as (zoom, _):
        first = zoom.begin(call("phone"), HOOK)
        url = first.streams[0].server_urls[0]
        async with connect(url) as socket:
            await socket.send(json.dumps({"msg_type": 1, "protocol_version": "2", "rtms_stream_id": "x"}))
            assert json.loads(await socket.recv())["status_code"] == 4
        assert first.streams[0].live.protocol.state.name == "INACTIVE"
