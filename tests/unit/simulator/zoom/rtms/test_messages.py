"""Media packets on the wire: where a chat message's metadata is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rtms_simulator.scenario import Action, Person, Scenario
from rtms_simulator.zoom.media import MediaPacket, MediaSource
from rtms_simulator.zoom.rtms.messages import media_message

ADA, BOB = Person(1, "Ada", "host"), Person(2, "Bob")
TIMELINE = (
    Action(0.1, "chat_group", 1, {"operation": "create", "group": "duo", "members": ["Bob"]}),
    Action(0.2, "chat", 1, {"text": 'Say "hi" ü', "id": "first"}),
    Action(0.3, "chat", 1, {"text": "psst", "to": "Bob", "cc_hosts": True}),
    Action(0.4, "chat", 1, {"text": "only us", "to": "duo"}),
)
PACKETS = list(MediaSource(Scenario("chat", (ADA, BOB), TIMELINE, 1.0)).chat())


def content(packet: MediaPacket, form: Any) -> dict[str, Any]:
    return json.loads(media_message(packet, 1_000, form))["content"]


def test_by_default_the_metadata_is_json_inside_data() -> None:
    first = content(PACKETS[0], "data")
    assert first.keys() == {"user_id", "user_name", "data", "timestamp"}
    assert json.loads(first["data"])["data"] == 'Say "hi" ü'


@pytest.mark.parametrize("form", ["content", "both"])
def test_or_fields_of_the_content(form: str) -> None:
    inner = json.loads(content(PACKETS[0], "data")["data"])
    outer = content(PACKETS[0], form)
    for name in ("message_id", "operation_type", "chat_session", "sender"):
        assert outer[name] == inner[name]
    assert outer["timestamp"] == 1_200
    assert outer["data"] == ('Say "hi" ü' if form == "content" else json.dumps(inner, ensure_ascii=False, separators=(",", ":")))


def test_a_bare_text_is_a_bare_text_in_every_form() -> None:
    bare = PACKETS[0]._replace(data=b"[1]")
    assert {content(bare, form)["data"] for form in ("data", "content", "both")} == {"[1]"}


def test_the_session_types() -> None:
    sessions = [json.loads(packet.data)["chat_session"] for packet in PACKETS]
    assert [session["type"] for session in sessions] == [1, 5, 3]
    assert sessions[2]["id"]
