"""Chat packets: each message or change of one, as the JSON text of Zoom's July 2026 release."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from rtms_simulator.scenario import Action, Scenario, to_ms
from rtms_simulator.scenario.actions import CHAT_OPERATIONS
from rtms_simulator.zoom.media.packet import MediaPacket, MediaSwitches
from rtms_simulator.zoom.rtms.enums import MediaType

_OPERATIONS = {name: number for number, name in enumerate(CHAT_OPERATIONS, 1)}
_TO_EVERYONE, _TO_ONE, _TO_GROUP, _TO_HOSTS, _TO_ONE_CC_HOSTS = 1, 2, 3, 4, 5


def chat(scenario: Scenario, switches: MediaSwitches, start_ms: int) -> Iterator[MediaPacket]:
    """Messages from `start_ms` on.

    Zoom names the fields (RTMS changelog of July 2026, C.3). Inferred: `chat_session` as {"type": n}, the text under `data` (as one of
    Zoom's samples reads it), and messages and files named by UUIDs, here derived from seed and order.
    """
    people = {person.user_id: person for person in scenario.people}
    for number, action in enumerate(action for action in scenario.timeline if action.kind == "chat"):
        at_ms = to_ms(action.at_s)
        if at_ms < start_ms or action.who is None:
            continue
        person = people[action.who]
        text = msgspec.json.encode(_message(scenario, action, number)).decode() if switches.chat_json else action.data["text"]
        yield MediaPacket(at_ms, MediaType.CHAT, person.user_id, person.name, text.encode(), 0)


def _message(scenario: Scenario, action: Action, number: int) -> dict[str, Any]:
    data = action.data
    people = {person.name: person for person in scenario.people}
    sender = next(person for person in scenario.people if person.user_id == action.who)
    to = data["to"]
    message: dict[str, Any] = {
        "message_id": _id(scenario, f"message {data['id'] or number}"),
        "operation_type": _OPERATIONS[data["operation"]],
        "chat_session": _session(scenario, data, tuple(people)),
        "sender": {"user_id": sender.user_id, "user_name": sender.name},
        "data": data["text"] or data["emoji"],
    }
    if to in people:
        message["receiver"] = {"user_id": people[to].user_id, "user_name": to}
    message |= _files(scenario, data)
    if data["reply_to"]:
        message["parent_message_id"] = _id(scenario, f"message {data['reply_to']}")
    return message


def _session(scenario: Scenario, data: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """To whom: Zoom's five session types; a private chat group's has the group's id (Zoom's library types)."""
    to = data["to"]
    if to in ("everyone", "hosts"):
        return {"type": _TO_EVERYONE if to == "everyone" else _TO_HOSTS}
    if to in names:
        return {"type": _TO_ONE_CC_HOSTS if data["cc_hosts"] else _TO_ONE}
    return {"type": _TO_GROUP, "id": chat_group_id(scenario, to)}


def _files(scenario: Scenario, data: Mapping[str, Any]) -> dict[str, Any]:
    files = [{"file_id": _id(scenario, f"file {name}"), "file_name": name} for name in data["files"]]
    if not files:
        return {}
    return {"delete_file_id_list": [file["file_id"] for file in files]} if data["operation"] == "delete" else {"files": files}


def chat_group_id(scenario: Scenario, group: str) -> str:
    """The id of a scenario's private chat group, the same in its events and in the messages to it."""
    return _id(scenario, f"group {group}")


def _id(scenario: Scenario, what: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"rtmskit/{scenario.name}/{scenario.seed}/{what}")).upper()
