"""The strategies that people write their own properties with: what they give is what they say."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import subprocess
import sys

import httpx
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from tests.unit.simulator.recall.workbench import KEY, body

from rtms_simulator.clock import Clock
from rtms_simulator.faults import FOREVER, parse_fault
from rtms_simulator.recall import Recall, RecallSwitches, Story, scripted
from rtms_simulator.testing import strategies
from rtms_simulator.testing.strategies import DAMAGES, FLAWS, Damage, Flaw, SignedRequest
from rtms_simulator.zoom.webhooks import events as zoom
from rtms_simulator.zoom.webhooks.events import EVENTS, WebhookEvent

SECRET = "a secret token of an app"
NOW = 1_795_338_000.0
START = EVENTS["meeting.rtms_started"]
PLACES = (0, 1, 2, 3, 7, 64, 129, 300, 2000)


def authentic(delivery: SignedRequest, last: bool) -> bool:
    """A receiver's own reading of Zoom's rule, with a window of a day, that takes the first or the `last` of a repeated header."""
    headers = dict(delivery.headers if last else reversed(delivery.headers))
    stamp, given = headers.get("x-zm-request-timestamp", ""), headers.get("x-zm-signature", "")
    expected = "v0=" + hmac.new(SECRET.encode(), f"v0:{stamp}:".encode() + delivery.body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(given.encode(), expected.encode()) and abs(NOW - int(stamp)) <= 86_400


@settings(max_examples=60)
@given(delivery=strategies.deliveries(SECRET, now=NOW))
def test_every_delivery_is_authentic_and_says_its_event(delivery: SignedRequest) -> None:
    assert authentic(delivery, last=True)
    assert delivery.flaw == ""
    whole = json.loads(delivery.body)
    assert (whole["event"], whole["event_ts"], whole["payload"]) == (delivery.event.name, delivery.event.event_ts, delivery.event.payload)


@settings(max_examples=150)
@given(delivery=strategies.forgeries(SECRET, now=NOW, of=strategies.starts() | strategies.stops()))
def test_no_forgery_is_authentic_however_a_receiver_reads_repeated_headers(delivery: SignedRequest) -> None:
    assert not authentic(delivery, last=True)
    assert not authentic(delivery, last=False)


@pytest.mark.parametrize("name", FLAWS)
def test_every_flaw_spoils_a_request_wherever_it_strikes(name: str) -> None:
    for place in PLACES:
        spoiled = Flaw(name, place).apply(START, SECRET, NOW)
        assert not authentic(spoiled, last=True)
        assert not authentic(spoiled, last=False)
        assert spoiled.flaw == name


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize(
    "event", [START, EVENTS["endpoint.url_validation"], WebhookEvent("meeting.started", {}, 1)], ids=lambda event: event.name
)
def test_every_damage_changes_the_body_wherever_it_strikes(name: str, event: WebhookEvent) -> None:
    for place in range(40):
        assert Damage(name, place).apply(event) != zoom.body(event)


@settings(max_examples=60)
@given(delivery=strategies.malformed(SECRET, now=NOW))
def test_what_is_malformed_is_authentic_all_the_same(delivery: SignedRequest) -> None:
    assert authentic(delivery, last=True)
    assert delivery.flaw in DAMAGES


@given(life=strategies.lives())
def test_a_life_is_one_streams_and_in_order(life: list[WebhookEvent]) -> None:
    assert life[0].name.endswith("rtms_started")
    assert len({event.payload["rtms_stream_id"] for event in life}) == 1
    assert len({event.name.rpartition("rtms_")[0] for event in life}) == 1
    times = [event.event_ts for event in life]
    assert times == sorted(set(times))


@settings(max_examples=60)
@given(event=strategies.events(), data=st.data())
def test_every_way_of_writing_an_event_says_the_same(event: WebhookEvent, data: st.DataObject) -> None:
    assert json.loads(data.draw(strategies.bodies(event))) == json.loads(zoom.body(event))


def test_every_event_that_zoom_documents_is_among_the_events() -> None:
    seen: set[str] = set()

    @settings(max_examples=1000, derandomize=True, database=None)
    @given(event=strategies.events())
    def draw(event: WebhookEvent) -> None:
        seen.add(event.name)

    draw()
    assert seen >= set(EVENTS)


def test_starts_shrink_to_a_meetings_with_the_documentations_ids() -> None:
    plainest = find(strategies.starts(), lambda _: True, settings=settings(database=None))
    assert plainest == zoom.started(
        "meeting",
        zoom.StreamIds("4444AAAiAAAAAiAiAiiAii==", "609340fb2a7946909659956c8aa9250c"),
        "wss://rtms-a.zoom.us:443",
        strategies.NOW_MS,
    )


@given(delivery=strategies.forgeries(SECRET, now=NOW), flaw=strategies.flaws(), damage=strategies.damages())
def test_all_of_them_print_as_one_short_line(delivery: SignedRequest, flaw: Flaw, damage: Damage) -> None:
    for shown in (repr(delivery), repr(flaw), repr(damage)):
        assert "\n" not in shown
        assert len(shown) < 200
    assert SECRET not in repr(delivery)


@given(script=strategies.recall_faults())
def test_a_fault_of_recall_can_be_read_and_ends(script: str) -> None:
    assert all(step.times != FOREVER for step in parse_fault(script).steps)


@settings(max_examples=30)
@given(switches=strategies.recall_switches())
def test_a_recall_with_any_of_the_switches_takes_a_create(switches: RecallSwitches) -> None:
    async def created() -> int:
        recall = Recall(Clock(rate=0), api_key=KEY, recorder_factory=scripted(Story()), switches=switches)
        async with httpx.AsyncClient(transport=recall.transport(), headers={"authorization": KEY}) as client:
            answer = await client.post(f"{recall.base_url}/meeting_direct_connect", json=body())
        await recall.aclose()
        return answer.status_code

    assert asyncio.run(created()) == 201


def test_nothing_else_needs_hypothesis() -> None:
    program = "import sys, rtms_simulator.cli, rtms_simulator.testing.pytest_plugin, rtms_simulator.recall, rtms_simulator.zoom; "
    subprocess.run([sys.executable, "-c", program + "assert 'hypothesis' not in sys.modules"], check=True)
