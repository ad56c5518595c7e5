"""Every status webhook and every real-time message of a run of each built-in scenario is as Recall documents it.

The schemas (`documented_schemas.py`) were written from Recall's pages and event catalogue, not from the code under test. A receiver of the
test's own hands each stream on, subscribes to all that can be subscribed, and keeps what comes.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.simulator.recall.documented_schemas import PARTICIPANT_ACTIONS, REALTIME, check_event
from websockets.asyncio.server import ServerConnection, serve

from rtms_simulator.clock import Clock
from rtms_simulator.control.answers import PlayRequest
from rtms_simulator.kit.control.all import set_switches
from rtms_simulator.kit.play import perform, resolve
from rtms_simulator.kit.stack import Plan, Stack
from rtms_simulator.recall import WebhookEndpoint
from rtms_simulator.scenario.toml import names

pytestmark = pytest.mark.timeout(600)
ENTITIES = ("meeting_uuid", "webinar_uuid", "session_id", "engagement_id", "call_id")
SPOKEN = [f"participant_events.{action}" for action in PARTICIPANT_ACTIONS] + ["transcript.data", "transcript.partial_data"]
WAITING = frozenset({"bad-signature", "never-joined", "keep-alive-death"})
UNJOINED = frozenset({"bad-signature", "never-joined"})
SEPARATE = {"audio_separate_raw": {}, "video_separate_mp4": {}}
RECORDED = {
    "transcript": {"provider": {"meeting_captions": {}}},
    "video_mixed_layout": "gallery_view_v2",
    "audio_mixed_mp3": {},
    "metadata": {"mine": "1"},
}


@dataclass
class Program:
    """A receiver of Zoom's webhooks, Recall's webhooks and Recall's real-time events, by path."""

    stack: Stack
    artifacts: dict[str, Any]
    """What is recorded, nothing if empty; real-time events name their resource in either case."""
    port: int = 0
    socket_port: int = 0
    created: list[int] = field(default_factory=list)
    status: list[dict[str, Any]] = field(default_factory=list)
    realtime: list[dict[str, Any]] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer, end."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((int(line.split(":")[1]) for line in head.lower().splitlines() if line.startswith("content-length:")), 0)
        body = json.loads(await reader.readexactly(length))
        path = head.split(" ", 2)[1]
        if path == "/zoom" and body["event"].endswith("rtms_started"):
            await self.hand_on(body["payload"])
        elif path != "/zoom":
            (self.status if path == "/status" else self.realtime).append(body)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async def listen(self, socket: ServerConnection) -> None:
        async for message in socket:
            self.realtime.append(json.loads(message))

    async def hand_on(self, payload: dict[str, Any]) -> None:
        zoom, recall = self.stack.described().zoom, self.stack.described().recall
        entity = next(payload[name] for name in ENTITIES if name in payload)
        stream = payload["rtms_stream_id"]
        signature = hmac.new(zoom.client_secret.encode(), f"{zoom.client_id},{entity},{stream}".encode(), hashlib.sha256).hexdigest()
        nothing = {"video_mixed_mp4": None, "participant_events": None, "meeting_metadata": None}
        config = {
            **(self.artifacts or {**nothing, "transcript": RECORDED["transcript"]}),
            "realtime_endpoints": [
                {"type": "webhook", "url": f"http://127.0.0.1:{self.port}/realtime", "events": SPOKEN},
                {
                    "type": "websocket",
                    "url": f"ws://127.0.0.1:{self.socket_port}/",
                    "events": [event for event in REALTIME if "." in event],
                },
            ],
        }
        body = {
            "zoom_rtms": {"meeting_uuid": entity, "rtms_stream_id": stream, "server_urls": payload["server_urls"], "signature": signature},
            "recording_config": config,
        }
        async with httpx.AsyncClient(trust_env=False) as client:
            headers = {"authorization": f"Token {recall.api_key}"}
            made = await client.post(f"{recall.base_url}/meeting_direct_connect", json=body, headers=headers)
        self.created.append(made.status_code)


@asynccontextmanager
async def program(directory: Path, artifacts: dict[str, Any]) -> AsyncGenerator[Program]:
    stack = Stack(Plan(directory, function=False, seed=7))
    await stack.start()
    made = Program(stack, artifacts)
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    try:
        async with server, serve(made.listen, "127.0.0.1", 0) as sockets:
            made.port, made.socket_port = server.sockets[0].getsockname()[1], next(iter(sockets.sockets)).getsockname()[1]
            set_switches(stack.fakes, {"recall.allow_local_urls": "all"})
            stack.recall.webhooks.add(WebhookEndpoint(f"http://127.0.0.1:{made.port}/status"))
            yield made
    finally:
        await stack.aclose()


async def played(made: Program, scenario: str) -> None:
    play = resolve(PlayRequest(scenario=scenario, speed="max"))
    await perform(made.stack.zoom, play, f"http://127.0.0.1:{made.port}/zoom", real_time=Clock())
    await made.stack.recall.drained()


async def hold(directory: Path, scenario: str) -> None:
    """Play one scenario and judge all that came of it."""
    separate = SEPARATE if scenario == "one-to-one" else {}
    async with program(directory / scenario, {**RECORDED, **separate}) as made:
        await played(made, scenario)
    assert made.created
    assert set(made.created) <= {201}
    for body in made.status + made.realtime:
        check_event(body)
    if scenario not in UNJOINED:
        assert {"recording.processing", "realtime_endpoint.running"} <= {body["event"] for body in made.status}
        assert {"participant_events.join", "audio_mixed_raw.data"} <= {body["event"] for body in made.realtime}


@pytest.mark.parametrize("scenario", sorted(set(names()) - WAITING))
async def test_each_message_of_a_scenario_is_as_documented(tmp_path, scenario):
    await hold(tmp_path, scenario)


async def test_each_message_of_scenarios_that_wait_for_a_minute_is_as_documented(tmp_path):
    """Zoom's minute is a minute of real time at any speed, so these wait together."""
    async with asyncio.TaskGroup() as together:
        for scenario in WAITING:
            together.create_task(hold(tmp_path, scenario))


async def test_each_message_names_its_resource_although_nothing_is_recorded(tmp_path):
    async with program(tmp_path, {}) as made:
        await played(made, "one-to-one")
    seen = {body["event"] for body in made.realtime}
    assert {
        "participant_events.join",
        "audio_mixed_raw.data",
        "audio_separate_raw.data",
        "video_separate_png.data",
        "transcript.data",
    } <= seen
    for body in made.status + made.realtime:
        check_event(body)
