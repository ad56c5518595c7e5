"""Each fault of Zoom's, with its defaults, changes something in every built-in scenario that it fits.

Those of Recall's and Cloud Tasks': test_defaults_bite_behind_zoom.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.simulator.zoom.meeting.test_meeting import HOOK, until, zoom_for
from tests.unit.simulator.zoom.raw_client import ENTITY_FIELDS, RawClient
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from rtms_simulator.clock import Clock
from rtms_simulator.faults import parse_fault
from rtms_simulator.faults.reference import rows
from rtms_simulator.faults.zoom import HANDSHAKE, STREAM, STYLES, WEBHOOK
from rtms_simulator.scenario import Action, Scenario, load, names
from rtms_simulator.zoom import Zoom
from rtms_simulator.zoom.meeting.meeting import Meeting
from rtms_simulator.zoom.switches import ZoomSwitches
from rtms_simulator.zoom.webhooks.events import body

SCENARIOS = [load(name).each()[0] for name in names()]
NOBODY_JOINS = {"bad-signature", "never-joined"}
FITTING = [scenario for scenario in SCENARIOS if scenario.outcome != "not-joined"]
"""Those that can be joined without a fault; the others refuse every handshake by themselves."""
OF_WEBHOOKS = [row.example for row in rows() if parse_fault(row.example).family is WEBHOOK]
OF_HANDSHAKES = [row.example for row in rows() if parse_fault(row.example).family is HANDSHAKE]
OF_STREAMS = [row.example for row in rows() if parse_fault(row.example).family is STREAM]


def test_the_scenarios_are_all_there_are() -> None:
    assert {one.name.partition("/")[0] for one in SCENARIOS} == set(names())
    assert {one.name for one in SCENARIOS} - {one.name for one in FITTING} == NOBODY_JOINS
    assert (len(OF_WEBHOOKS), len(OF_HANDSHAKES), len(OF_STREAMS)) == (8, 4, 6)


async def starts(scenario: Scenario, *faults: str) -> list[tuple[float, bytes, dict[str, str]]]:
    """The requests that the start of a meeting causes within half a minute: when, body, Zoom's headers."""
    clock = Clock(epoch=1_790_000_000.0, rate=0.0)
    came: list[tuple[float, bytes, dict[str, str]]] = []
    async with zoom_for(clock=clock) as (zoom, receiver):
        answer = receiver._answer

        async def keep(request: Any) -> Any:
            headers = {name: value for name, value in request.headers.items() if name.startswith("x-zm-")}
            came.append((clock.now(), request.content, headers))
            return await answer(request)

        receiver.transport.handler = keep
        zoom.begin(scenario, HOOK, speed="max", faults=[parse_fault(fault) for fault in faults])
        for _ in range(31):
            for _ in range(20):
                await asyncio.sleep(0)
            clock.advance(1.0)
    return came


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
async def test_a_fault_of_a_webhook_changes_what_is_sent(scenario: Scenario) -> None:
    plain = without_ports(await starts(scenario))
    assert plain
    for fault in OF_WEBHOOKS:
        assert without_ports(await starts(scenario, fault)) != plain, fault


@pytest.mark.parametrize("style", STYLES)
async def test_a_style_that_changes_no_byte_says_so(style: str) -> None:
    """Some need a character beyond ASCII, a slash or a number in the body; a meeting that has none ends with the fault as idle."""
    fault = f"zoom.webhook.*: style {style}"
    async with zoom_for() as (zoom, _receiver):
        for scenario in SCENARIOS:
            meeting = zoom.begin(scenario, HOOK, speed="max", faults=[parse_fault(fault)])
            await meeting.announced()
            [first, *_] = meeting.deliveries
            changed = first.body != body(first.event)
            assert first.without_effect == (() if changed else (str(parse_fault(fault)),))
            await meeting.aclose()


def without_ports(came: list[tuple[float, bytes, dict[str, str]]]) -> list[tuple[float, bytes, bool, str]]:
    """What does not depend on the port that was free: when, the body but for the port, whether signed, and with which time."""
    rows = []
    for at, raw, headers in came:
        stamp = headers.get("x-zm-request-timestamp", "")
        right = "v0=" + hmac.new(b"secret-token", b"v0:" + stamp.encode() + b":" + raw, hashlib.sha256).hexdigest()
        rows.append((at, re.sub(rb"127\.0\.0\.1:\d+", b"", raw), headers.get("x-zm-signature") == right, stamp))
    return rows


def client_of(payload: dict[str, Any]) -> RawClient:
    return RawClient(payload, next(name for name in ENTITY_FIELDS.values() if name in payload))


@pytest.mark.parametrize("fault", OF_HANDSHAKES)
async def test_a_fault_of_a_handshake_keeps_the_first_client_out_of_every_meeting(fault: str) -> None:
    outcomes: dict[str, list[str]] = {}

    async def one(scenario: Scenario) -> None:
        async def join(payload: dict[str, Any]) -> None:
            outcomes.setdefault(scenario.name, []).append(await greeted(payload))

        async with zoom_for(join) as (zoom, receiver):
            meeting = zoom.begin(scenario, HOOK, faults=[parse_fault(fault)])
            await until(lambda: scenario.name in outcomes, 30)
            await meeting.aclose()
            await asyncio.gather(*receiver.started)

    await asyncio.gather(*map(one, FITTING))
    assert set(outcomes) == {one.name for one in FITTING}
    assert all(set(one) != {"joined"} for one in outcomes.values()), outcomes


async def greeted(payload: dict[str, Any]) -> str:
    client = client_of(payload)
    try:
        async with asyncio.timeout(2):
            answer = await client.open()
    except (TimeoutError, ConnectionClosed, InvalidHandshake) as error:
        return type(error).__name__
    finally:
        if client.signaling is not None:
            await client.aclose()
    return "joined" if answer["status_code"] == 0 else f"refused {answer['status_code']}"


def dropped(what: str) -> Callable[[Meeting, list[RawClient]], bool]:
    return lambda meeting, _clients: any(note == what for _, note in meeting.report().timeline)


EFFECTS: dict[str, Callable[[Meeting, list[RawClient]], bool]] = {
    "keep-alive-silence": lambda meeting, _clients: any(stream.live.protocol.kept_silent for stream in meeting.streams),
    "slow-close": lambda meeting, _clients: any(stream.live.closed_slowly for stream in meeting.streams),
    "drop-signaling": lambda _meeting, clients: any(client.closes.get("signaling") == 1006 for client in clients),
    "drop-media": lambda _meeting, clients: any(client.closes.get("audio") == 1006 for client in clients),
    "fail-over": lambda meeting, _clients: sum(one.event.name.endswith("rtms_started") for one in meeting.deliveries) > 1,
    "concurrency-limited": lambda meeting, _clients: any("concurrency" in one.event.name for one in meeting.deliveries),
}


@pytest.mark.parametrize("fault", OF_STREAMS)
async def test_a_fault_of_a_stream_acts_on_every_meeting_in_real_time(fault: str) -> None:
    """At speed 1 the meeting does not wait for a client, so a fault at 0 comes before there is anything to break."""
    word = parse_fault(fault).steps[0].word
    missed: list[str] = []

    async def one(scenario: Scenario) -> None:
        clients: list[RawClient] = []

        async def join(payload: dict[str, Any]) -> None:
            await asyncio.sleep(0.2)
            client = client_of(payload)
            clients.append(client)
            with contextlib.suppress(ConnectionClosed, InvalidHandshake, OSError):
                await client.join("audio")
                if word == "slow-close":
                    await meeting.act(Action(0.0, "end"))

        async with zoom_for(join, switches=ZoomSwitches(keep_alive_interval_s=0.3)) as (zoom, _receiver):
            meeting = begin(zoom, scenario, fault)
            try:
                await until(lambda: EFFECTS[word](meeting, clients), 30)
            except TimeoutError:
                missed.append(scenario.name)
            await meeting.aclose()
            for client in clients:
                await client.aclose()

    await asyncio.gather(*map(one, FITTING))
    assert missed == []


def begin(zoom: Zoom, scenario: Scenario, fault: str) -> Meeting:
    return zoom.begin(scenario, HOOK, faults=[parse_fault(fault)])
