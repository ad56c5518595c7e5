"""Whole meetings over real sockets, with a raw client that was written from the documentation."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.simulator.zoom.raw_client import CLIENT_ID, CLIENT_SECRET, ENTITY_FIELDS, SECRET_TOKEN, RawClient, Receiver
from websockets.exceptions import InvalidStatus

from rtms_simulator.clock import Clock
from rtms_simulator.faults import parse_fault
from rtms_simulator.scenario import KINDS, Action, Person, Scenario
from rtms_simulator.zoom import MeetingReport, Tls, Zoom, ZoomApp
from rtms_simulator.zoom.media import MediaSource
from rtms_simulator.zoom.switches import ZoomSwitches

ADA, ZOE = Person(16778240, "Ada"), Person(16779264, "Zoë", language=14)
TALK = Scenario(
    "talk",
    (ADA, ZOE),
    (
        Action(0.0, "video_on", ADA.user_id),
        Action(0.1, "speak", ADA.user_id, {"until_s": 0.9, "text": 'Good "morning".'}),
        Action(0.5, "chat", ZOE.user_id, {"text": "Hallo \\ 👋"}),
        Action(0.5, "speak", ZOE.user_id, {"until_s": 1.4, "text": "Grüß Gott"}),
        Action(1.6, "video_off", ADA.user_id),
        Action(1.7, "leave", ZOE.user_id),
    ),
    2.0,
)
LONG = Scenario("long", (ADA, ZOE), (), 600.0)
BRIEF = replace(
    LONG, timeline=(Action(0.0, "video_on", ADA.user_id), Action(0.1, "speak", ZOE.user_id, {"until_s": 0.9, "text": "Ja"})), duration_s=1.0
)
HOOK = "http://receiver.test/zoom-webhook"
APP = ZoomApp(CLIENT_ID, CLIENT_SECRET, SECRET_TOKEN)


@asynccontextmanager
async def zoom_for(on_start: Callable[[dict[str, Any]], Any] | None = None, **options: Any) -> AsyncGenerator[tuple[Zoom, Receiver]]:
    receiver = Receiver(on_start)
    zoom = Zoom(options.pop("clock", None) or Clock(), options.pop("app", APP), transport=receiver.transport, **options)
    await zoom.start()
    try:
        yield zoom, receiver
    finally:
        await zoom.aclose()
        await asyncio.gather(*receiver.started)


async def until(true: Callable[[], Any], seconds: float = 10.0) -> None:
    """Look every few milliseconds of real time."""
    real = Clock()
    async with asyncio.timeout(seconds):
        while not true():
            await real.sleep(0.003)


async def hold(
    *kinds: str, scenario: Scenario = TALK, speed: Any = "max", **options: Any
) -> tuple[MeetingReport, list[RawClient], Receiver]:
    """Play a meeting to a client that joins every stream."""
    clients: list[RawClient] = []
    client_options = options.pop("client", {})
    play_options = {name: options.pop(name) for name in ("faults", "payloads") if name in options}

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload, **client_options)
        clients.append(client)
        await client.open()
        await client.subscribe(2, 3, 4, 5, 6, 8, 9)
        for kind in kinds:
            await client.open_media(kind)
        await client.ready()
        await client.over()

    async with zoom_for(join, **options) as (zoom, receiver):
        report = await zoom.begin(scenario, HOOK, speed=speed, **play_options).finished()
        await asyncio.gather(*receiver.started)
    return report, clients, receiver


async def test_what_arrives_is_what_was_sent_and_what_the_scenario_holds() -> None:
    report, [client], receiver = await hold("audio", "transcript", "chat", "video")
    for kind, got in client.got.items():
        assert report.streams[0].sent[kind] == {"packets": len(got.contents), "bytes": len(got.data), "sha256": got.sha256}
    truth = np.concatenate(list(MediaSource(TALK).mixed_samples())).astype("<i2").tobytes()
    assert bytes(client.got["audio"].data) == truth
    assert [content["data"] for content in client.got["transcript"].contents] == ['Good "morning".', "Grüß Gott"]
    assert "Hallo" in client.got["chat"].contents[0]["data"]
    assert receiver.names() == ["meeting.rtms_started", "meeting.rtms_stopped"]
    assert report.streams[0].stop_reason == 6
    assert report.joined


async def test_timestamps_run_on_from_the_event_ts_of_the_start() -> None:
    report, [client], receiver = await hold("audio", "transcript")
    epoch = receiver.events[0]["event_ts"]
    assert epoch == report.started_ms
    assert [content["timestamp"] for content in client.got["audio"].contents] == [epoch + 20 * n for n in range(100)]
    first = client.got["transcript"].contents[0]
    assert (first["timestamp"], first["start_time"], first["end_time"]) == (epoch + 100, epoch + 100, epoch + 900)
    assert all(content["user_id"] == 0 and "user_name" not in content for content in client.got["audio"].contents)


async def test_the_order_of_a_stream_is_the_documented_one() -> None:
    _, [client], _ = await hold("audio")
    own = [message for message in client.heard if message["msg_type"] in (6, 8, 9)]
    assert own[0] == {"msg_type": 6, "event": {"event_type": 1, "timestamp": own[0]["event"]["timestamp"]}}
    assert client.states(8) == [1, 3, 4]
    assert client.states(9) == [2, 5]
    assert [message["msg_type"] for message in own[-3:]] == [9, 8, 8]
    assert own[-3]["stop_reason"] == own[-3]["reason"] == own[-1]["reason"] == 6
    assert own[-1]["rtms_stream_id"] == client.stream_id
    assert client.closes == {"signaling": 1000, "audio": 1000}


async def test_events_reach_whoever_subscribed() -> None:
    _, [client], _ = await hold("audio")
    told = [(event["event_type"], event.get("user_id")) for event in client.events() if event["event_type"] in (2, 4, 8, 9)]
    assert told == [(8, None), (2, ADA.user_id), (2, ZOE.user_id), (9, None), (4, None)]
    joins = [event["participants"] for event in client.events() if event["event_type"] == 3]
    assert sorted(person["user_id"] for people in joins for person in people) == [ADA.user_id, ZOE.user_id]


async def test_whoever_subscribes_late_is_told_who_is_there_and_speaks() -> None:
    async def join(payload: dict[str, Any]) -> None:
        client = clients[0] if clients else RawClient(payload)
        clients.append(client)
        await client.join("audio")
        await until(lambda: "audio" in client.got and len(client.got["audio"].contents) >= 25)
        await client.subscribe(2, 3)
        await client.over()

    clients: list[RawClient] = []
    async with zoom_for(join) as (zoom, receiver):
        await zoom.begin(BRIEF, HOOK).finished()
        await asyncio.gather(*receiver.started)
    roster = [event for event in clients[0].events() if event["event_type"] == 3]
    assert [person["user_name"] for person in roster[0]["participants"]] == ["Ada", "Zoë"]
    assert any(event["event_type"] == 2 and event["user_name"] == "Zoë" for event in clients[0].events())


@pytest.mark.parametrize("product", ENTITY_FIELDS)
async def test_every_product_by_its_own_name_and_field(product: str) -> None:
    timeline = tuple(action for action in TALK.timeline if product in KINDS[action.kind].products)
    scenario = replace(TALK, product=product, timeline=timeline)
    report, [client], receiver = await hold("audio", scenario=scenario, client={"entity_field": ENTITY_FIELDS[product]})
    start, stop = receiver.events
    assert start["payload"][ENTITY_FIELDS[product]] == report.entity_id == client.entity_id
    assert stop["payload"]["stop_reason"] == 6
    assert len(client.got["audio"].data) == 64_000


async def test_the_other_habit_one_socket_for_all_and_several_acks() -> None:
    """media_type 32, text frames, an ack before and after, keep-alives answered without a sequence."""
    clients: list[RawClient] = []

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload, keep_alive_sequence=False)
        clients.append(client)
        await client.open()
        await client.ready()
        assert (await client.open_media("all"))["media_params"].keys() == {"audio", "video", "deskshare", "transcript", "chat"}
        await client.ready()
        await client.ready()
        await client.subscribe(2)
        await client.over()

    async with zoom_for(join, switches=ZoomSwitches(keep_alive_interval_s=0.05)) as (zoom, receiver):
        report = await zoom.begin(TALK, HOOK, speed=2.0).finished()
        await asyncio.gather(*receiver.started)
    [client] = clients
    assert {"audio", "video", "transcript", "chat"} <= client.got.keys()
    for kind, got in client.got.items():
        assert report.streams[0].sent[kind]["sha256"] == got.sha256
    assert sum(message["msg_type"] == 12 for message in client.heard) > 10
    assert client.states(8) == [1, 3, 4]


async def test_over_tls_on_localhost(tmp_path: Path) -> None:
    import ssl

    tls = Tls(tmp_path)
    context = ssl.create_default_context(cafile=str(tls.ca_file))
    report, [client], _ = await hold("audio", tls=tls, client={"ssl_context": context})
    assert report.streams[0].server_urls[0].startswith("wss://localhost:")
    assert len(client.got["audio"].contents) == 100


async def test_a_late_joiner_gets_the_audio_from_the_buffer_but_not_the_video() -> None:
    """Real time: the sound since the start comes in a burst, pictures only from now on."""
    clients: list[RawClient] = []

    async def join(payload: dict[str, Any]) -> None:
        await zoom.clock.sleep(0.4)
        client = RawClient(payload)
        clients.append(client)
        await client.join("audio", "video")
        await client.over()

    async with zoom_for(join) as (zoom, receiver):
        report = await zoom.begin(BRIEF, HOOK).finished()
        await asyncio.gather(*receiver.started)
    [client] = clients
    assert client.got["audio"].contents[0]["timestamp"] == report.started_ms
    assert len(client.got["audio"].contents) == 50
    assert client.got["video"].contents[0]["timestamp"] >= report.started_ms + 300


async def test_without_buffer_data_the_sound_before_joining_is_gone() -> None:
    clients: list[RawClient] = []

    async def join(payload: dict[str, Any]) -> None:
        await zoom.clock.sleep(0.4)
        client = RawClient(payload)
        clients.append(client)
        await client.open(buffer_data=False)
        await client.open_media("audio")
        await client.ready()
        await client.over()

    async with zoom_for(join) as (zoom, receiver):
        report = await zoom.begin(BRIEF, HOOK).finished()
        await asyncio.gather(*receiver.started)
    assert clients[0].got["audio"].contents[0]["timestamp"] >= report.started_ms + 300


async def test_sixty_seconds_of_sound_are_buffered_and_no_more() -> None:
    clients: list[RawClient] = []

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload)
        clients.append(client)
        assert (await client.open())["status_code"] == 0
        zoom.clock.advance(70)
        await client.open_media("audio")
        await client.ready()
        await client.over()

    switches = ZoomSwitches(keep_alive_misses=10**6)
    async with zoom_for(join, clock=Clock(rate=0), switches=switches) as (zoom, receiver):
        meeting = zoom.begin(LONG, HOOK)
        await until(lambda: clients and clients[0].got)
        first = clients[0].got["audio"].contents[0]["timestamp"]
        assert first - meeting.report().started_ms == 10_000
        await meeting.act(Action(0.0, "end"))
        await asyncio.gather(*receiver.started)


async def test_nobody_joins_within_sixty_seconds() -> None:
    clock = Clock(rate=0)
    async with zoom_for(clock=clock) as (zoom, receiver):
        meeting = zoom.begin(TALK, HOOK, speed="max")
        await meeting.announced()
        clock.advance(59.9)
        await asyncio.sleep(0.01)
        assert receiver.names() == ["meeting.rtms_started"]
        clock.advance(0.2)
        report = await meeting.finished()
    assert receiver.events[-1]["payload"]["stop_reason"] == 11
    assert not report.joined
    assert report.streams[0].state == "TERMINATED"


async def test_three_missed_keep_alives_then_sixty_seconds() -> None:
    """Signaling is interrupted, the app is told, and the stream ends with reason 24 when nobody comes back."""
    clients: list[RawClient] = []

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload, answers_keep_alives=False)
        clients.append(client)
        await client.join("audio")
        await client.over()

    clock = Clock(rate=0)
    async with zoom_for(join, clock=clock) as (zoom, receiver):
        meeting = zoom.begin(LONG, HOOK)
        await until(lambda: clients and 1 in clients[0].states(8))
        for _ in range(4):
            clock.advance(10)
            await asyncio.sleep(0.02)
        assert receiver.names()[-1] == "meeting.rtms_interrupted"
        assert "server_urls" not in receiver.events[-1]["payload"]
        clock.advance(60)
        await asyncio.sleep(0.02)
        assert receiver.events[-1]["payload"]["stop_reason"] == 24
        await meeting.finished()
    assert sum(message["msg_type"] == 12 for message in clients[0].heard) == 6
    assert clients[0].closes["signaling"] == 1006


async def test_signaling_breaks_and_comes_back_without_a_lost_sample() -> None:
    clients: list[RawClient] = []

    async def join(payload: dict[str, Any]) -> None:
        for _ in range(2):
            client = RawClient(payload)
            clients.append(client)
            await client.join("audio", "transcript")
            await client.over()

    scenario = replace(TALK, timeline=(*TALK.timeline, Action(1.0, "drop_signaling")))
    async with zoom_for(join) as (zoom, receiver):
        report = await zoom.begin(scenario, HOOK, speed="max").finished()
        await asyncio.gather(*receiver.started)
    assert receiver.names() == ["meeting.rtms_started", "meeting.rtms_interrupted", "meeting.rtms_stopped"]
    assert clients[1].states(8) == [1, 3, 4]
    assert clients[1].states(9) == [5]
    truth = np.concatenate(list(MediaSource(scenario).mixed_samples())).astype("<i2").tobytes()
    assert bytes(clients[0].got["audio"].data + clients[1].got["audio"].data) == truth
    assert report.streams[0].stop_reason == 6


async def test_one_media_socket_breaks_and_only_that_one_is_opened_again() -> None:
    clients: list[RawClient] = []

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload)
        clients.append(client)
        await client.join("audio", "transcript")
        await until(lambda: any(event["event_type"] == 7 for event in client.events()))
        assert "transcript" not in client.closes
        await client.open_media("audio")
        await client.ready()
        await client.over()

    scenario = replace(TALK, timeline=(*TALK.timeline, Action(1.0, "drop_media", data={"media": "audio"})))
    async with zoom_for(join) as (zoom, receiver):
        await zoom.begin(scenario, HOOK, speed="max").finished()
        await asyncio.gather(*receiver.started)
    assert len(clients[0].got["audio"].data) == 64_000
    assert receiver.names() == ["meeting.rtms_started", "meeting.rtms_stopped"]


async def test_a_media_socket_that_does_not_come_back_ends_the_stream_after_65_seconds() -> None:
    clients: list[RawClient] = []

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload)
        clients.append(client)
        await client.join("audio", "transcript")
        await client.over()

    clock = Clock(rate=0)
    async with zoom_for(join, clock=clock) as (zoom, receiver):
        meeting = zoom.begin(LONG, HOOK)
        await until(lambda: clients and 1 in clients[0].states(8))
        await meeting.act(Action(0.0, "drop_media", data={"media": "audio"}))
        for _ in range(6):
            clock.advance(10)
            await asyncio.sleep(0.02)
        assert receiver.names() == ["meeting.rtms_started"]
        clock.advance(5)
        await meeting.finished()
    assert receiver.events[-1]["payload"]["stop_reason"] == 19


async def test_fail_over_gives_new_urls_and_the_old_ones_are_dead() -> None:
    clients: list[RawClient] = []
    dead: list[int] = []

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload)
        clients.append(client)
        if len(clients) == 2:
            with pytest.raises(InvalidStatus) as refused:
                await client.open(clients[0].payload["server_urls"])
            dead.append(refused.value.response.status_code)
        await client.join("audio")
        await client.over()

    scenario = replace(TALK, timeline=(*TALK.timeline, Action(1.0, "fail_over")))
    async with zoom_for(join) as (zoom, receiver):
        report = await zoom.begin(scenario, HOOK, speed="max").finished()
        await asyncio.gather(*receiver.started)
    first, second = (event["payload"] for event in receiver.events[:2])
    assert first["rtms_stream_id"] == second["rtms_stream_id"]
    assert first["server_urls"] != second["server_urls"]
    assert dead == [503]
    assert len(clients[0].got["audio"].data + clients[1].got["audio"].data) == 64_000
    assert clients[0].closes == {"signaling": 1006, "audio": 1006}
    assert report.streams[0].server_urls == (first["server_urls"], second["server_urls"])


async def test_stop_and_reallow_make_a_second_stream_of_the_same_meeting() -> None:
    timeline = (*TALK.timeline, Action(0.6, "stop", data={"stop_reason": 1}), Action(1.2, "reallow"))
    report, clients, receiver = await hold("audio", scenario=replace(TALK, timeline=timeline))
    assert [stream.stop_reason for stream in report.streams] == [1, 6]
    assert len({client.stream_id for client in clients}) == 2
    assert len({client.entity_id for client in clients}) == 1
    assert receiver.names() == ["meeting.rtms_started", "meeting.rtms_stopped"] * 2


async def test_the_owner_of_the_app_is_ejected() -> None:
    report, _, _ = await hold("audio", scenario=replace(TALK, timeline=(Action(1.0, "eject", ADA.user_id),)))
    assert report.streams[0].stop_reason == 4


async def test_pause_sends_nothing_and_resume_goes_on() -> None:
    timeline = (Action(0.5, "pause"), Action(1.0, "resume"))
    report, [client], _ = await hold("audio", scenario=replace(TALK, timeline=timeline))
    stamps = [content["timestamp"] - report.started_ms for content in client.got["audio"].contents]
    assert stamps == [*range(0, 501, 20), *range(1020, 2000, 20)]
    assert client.states(9) == [2, 3, 4, 5]
    assert client.states(8) == [1, 5, 6, 3, 4]


async def test_the_app_asks_to_close_the_stream() -> None:
    clients: list[RawClient] = []

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload)
        clients.append(client)
        await client.join("audio")
        await client.say({"msg_type": 21, "rtms_stream_id": client.stream_id})
        await client.over()

    async with zoom_for(join) as (zoom, receiver):
        report = await zoom.begin(LONG, HOOK).finished()
        await asyncio.gather(*receiver.started)
    assert any(message["msg_type"] == 22 and message["status_code"] == 0 for message in clients[0].heard)
    assert report.streams[0].stop_reason == 20


async def test_two_apps_in_one_meeting_have_a_stream_each() -> None:
    other = ZoomApp("other-id", "other-secret", "other-token")
    report, clients, receiver = await hold(
        "audio", scenario=replace(TALK, apps=2), app=APP, more_apps=(replace(other, client_secret=CLIENT_SECRET, client_id=CLIENT_ID),)
    )
    assert len(report.streams) == 2
    assert len({client.stream_id for client in clients}) == 2
    assert all(len(client.got["audio"].data) == 64_000 for client in clients)
    assert receiver.names().count("meeting.rtms_started") == 2


async def test_scopes_decide_what_is_offered() -> None:
    app = replace(APP, scopes=frozenset({"audio", "transcript"}))
    answers: list[int] = []

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload)
        answer = await client.open()
        assert answer["media_server"]["server_urls"].keys() == {"audio", "transcript", "all"}
        client.urls = dict.fromkeys(("audio", "video", "deskshare", "transcript", "chat", "all"), client.urls["audio"])
        for kind in ("video", "deskshare", "chat", "all", "audio"):
            answers.append((await client.open_media(kind))["status_code"])
        await client.ready()
        await client.over()

    async with zoom_for(join, app=app) as (zoom, receiver):
        await zoom.begin(TALK, HOOK, speed="max").finished()
        await asyncio.gather(*receiver.started)
    assert answers == [10, 11, 13, 0, 15]


async def test_the_concurrency_limit_starts_no_stream() -> None:
    report, clients, receiver = await hold("audio", faults=(parse_fault("zoom.stream: concurrency-limited 3"),))
    assert receiver.names() == ["rtms.concurrency_limited"]
    payload = receiver.events[0]["payload"]
    assert payload["concurrency_number"] == 3
    assert payload["id_field"] == {"meeting_uuid": report.entity_id}
    assert clients == []
    assert report.streams == ()


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        ("zoom.stream: fail-over at=1s", ["meeting.rtms_started", "meeting.rtms_started", "meeting.rtms_stopped"]),
        ("zoom.stream: drop-signaling at=1s", ["meeting.rtms_started", "meeting.rtms_interrupted", "meeting.rtms_stopped"]),
        ("zoom.webhook.*.rtms_stopped: lost", ["meeting.rtms_started"]),
        ("zoom.webhook.*.rtms_stopped: duplicate", ["meeting.rtms_started", "meeting.rtms_stopped", "meeting.rtms_stopped"]),
    ],
)
async def test_faults_of_a_meeting_by_name(fault: str, names: list[str]) -> None:
    async def join(payload: dict[str, Any]) -> None:
        while True:
            client = RawClient(payload)
            await client.join("audio")
            await client.over()
            if 4 in client.states(8) or "fail-over" in fault:
                return

    async with zoom_for(join) as (zoom, receiver):
        await zoom.begin(TALK, HOOK, speed="max", faults=(parse_fault(fault),)).finished()
        await zoom.webhooks.settled()
        await asyncio.gather(*receiver.started)
        assert receiver.names() == names


async def test_a_fault_in_the_scenario_waits_for_its_moment() -> None:
    timeline = (Action(0.5, "fault", data={"fault": "zoom.webhook.*.rtms_stopped: lost"}),)
    _, _, receiver = await hold("audio", scenario=replace(TALK, timeline=timeline))
    assert receiver.names() == ["meeting.rtms_started"]


async def test_faults_from_the_very_beginning_do_not_wait_for_a_reader() -> None:
    """Nobody can join, and the stream ends by itself: of a wrong signature, or because nobody came."""
    for step, reason in (("refuse 3 x*", 18), ("503 x*", 11)):
        tried: list[int] = []

        async def join(payload: dict[str, Any], tried: list[int] = tried) -> None:
            try:
                tried.append((await RawClient(payload).open())["status_code"])
            except InvalidStatus as refused:
                tried.append(refused.response.status_code)

        clock = Clock(rate=0)
        scenario = replace(TALK, timeline=(Action(0.0, "fault", data={"fault": f"zoom.rtms.*: {step}"}),))
        async with zoom_for(join, clock=clock) as (zoom, receiver):
            meeting = zoom.begin(scenario, HOOK, speed="max")
            await until(lambda: tried)  # noqa: B023
            clock.advance(60)
            await meeting.finished()
        assert tried == [3 if "refuse" in step else 503]
        assert receiver.events[-1]["payload"]["stop_reason"] == reason


async def test_a_meetings_faults_are_its_own() -> None:
    async with zoom_for() as (zoom, receiver):
        faulty = zoom.begin(LONG, HOOK, faults=(parse_fault("zoom.webhook.*: lost x*"),))
        fine = zoom.begin(LONG, HOOK)
        for meeting in (faulty, fine):
            await meeting.announced()
        assert [event["payload"]["meeting_uuid"] for event in receiver.events] == [fine.entity_id]
        assert zoom.faults.listed() == ()


async def test_slow_close_leaves_the_sockets_open() -> None:
    clock = Clock()
    report, [client], _ = await hold("audio", clock=clock, faults=(parse_fault("zoom.stream: slow-close 0.3s"),))
    assert client.closes == {"signaling": 1000, "audio": 1000}
    ended = report.started_ms + (report.streams[0].ended_ms or 0)
    assert clock.now_ms() - ended >= 300


async def test_twenty_meetings_at_once() -> None:
    clients: list[RawClient] = []

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload)
        clients.append(client)
        await client.join("audio")
        await client.over()

    async with zoom_for(join) as (zoom, receiver):
        reports = await zoom.play_all(replace(TALK, meetings=20), HOOK, speed="max")
        await asyncio.gather(*receiver.started)
    assert len({report.entity_id for report in reports}) == 20
    by_stream = {report.streams[0].stream_id: report.streams[0].sent["audio"]["sha256"] for report in reports}
    assert {client.stream_id: client.got["audio"].sha256 for client in clients} == by_stream
    assert len(set(by_stream.values())) > 1


async def test_one_seed_gives_one_traffic_log_byte_for_byte() -> None:
    async def run() -> tuple[list[Any], list[bytes], list[bytes]]:
        clients: list[RawClient] = []

        async def join(payload: dict[str, Any]) -> None:
            client = RawClient(payload)
            clients.append(client)
            await client.open()
            await client.subscribe(2, 3, 4, 8, 9)
            for kind in ("audio", "video", "transcript"):
                await client.open_media(kind)
            await client.ready()
            await client.over()

        # A fixed port, because ports stand in the URLs and so in the bodies.
        async with zoom_for(join, clock=Clock(epoch=1_795_000_000.0, rate=0), seed=7, port=port) as (zoom, receiver):
            meeting = zoom.begin(TALK, HOOK, speed="max")
            await meeting.finished()
            await asyncio.gather(*receiver.started)
            traffic = list(meeting.streams[0].live.traffic)
            requests = [request.content + repr(sorted(request.headers.items())).encode() for request in receiver.requests]
        media = [bytes(got.data) for _, got in sorted(clients[0].got.items())]
        return traffic, requests, media

    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    first, second = await run(), await run()
    assert first[1] == second[1]
    assert first[2] == second[2]
    for conn in {line.conn for line in first[0]}:
        assert [line for line in first[0] if line.conn == conn] == [line for line in second[0] if line.conn == conn]


async def test_a_stalled_reader_does_not_disturb_another_stream() -> None:
    """One client stops reading; the other's packets are on time, and the stalled one's memory is bounded."""
    lateness: list[int] = []
    stalled: list[RawClient] = []

    async def join(payload: dict[str, Any]) -> None:
        client = RawClient(payload)
        await client.open()
        if not stalled:
            stalled.append(client)
            params = {"audio": {"send_rate": 20, "sample_rate": 3, "codec": 1}}
            await client.open_media("audio", params, listen=False)
            client.media["audio"].transport.pause_reading()
            await client.ready()
            await zoom.clock.sleep(1.2)
            for task in client.tasks:
                task.cancel()
            for socket in (client.media["audio"], client.signaling):
                assert socket is not None
                socket.transport.abort()
            return
        await client.open_media("audio", listen=False)
        await client.ready()
        async for raw in client.media["audio"]:
            import json

            message = json.loads(raw)
            if message["msg_type"] == 14:
                lateness.append(zoom.clock.now_ms() - message["content"]["timestamp"])
                assert len(base64.b64decode(message["content"]["data"])) == 640
        await client.over()

    async with zoom_for(join) as (zoom, _):
        meetings = [zoom.begin(replace(TALK, duration_s=1.5, timeline=(), seed=seed), HOOK) for seed in range(2)]
        for meeting in meetings:
            await meeting.finished()
    assert len(lateness) == 75
    assert max(lateness[10:]) < 150


def test_a_speed_that_cannot_be() -> None:
    async def attempt() -> None:
        async with zoom_for() as (zoom, _):
            for speed in (0, -1, 1001, float("nan")):
                with pytest.raises(ValueError, match="speed"):
                    zoom.begin(TALK, HOOK, speed=speed)
            with pytest.raises(ValueError, match="play_all"):
                zoom.begin(replace(TALK, meetings=2), HOOK)

    asyncio.run(attempt())
