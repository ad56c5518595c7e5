"""Who is there, speaks and shares: the events of each change, and what a late subscriber is told."""

from __future__ import annotations

from typing import Any

import pytest

from rtms_simulator.scenario import Action, Person, Scenario
from rtms_simulator.zoom.media.chat import chat_group_id
from rtms_simulator.zoom.meeting.roster import MeetingRoster
from rtms_simulator.zoom.rtms.enums import MediaType
from rtms_simulator.zoom.switches import ZoomSwitches

ADA, ZOE = Person(1, "Ada", "host"), Person(2, "Zoë")
SCENARIO = Scenario("test", (ADA, ZOE), (), 10.0)


def roster(product: str = "meeting", **switches: Any) -> MeetingRoster:
    scenario = Scenario("test", (ADA, ZOE), (), 10.0, product=product)  # ty: ignore[invalid-argument-type]
    return MeetingRoster(scenario, ZoomSwitches(**switches), "account")


def numbers(meeting: MeetingRoster, *actions: tuple[str, int]) -> list[int]:
    return [event.number for kind, who in actions for event in meeting.changed(Action(0.0, kind, who), 1)]


def test_a_share_ends_with_the_next_one_with_its_owner_and_by_nobody_else() -> None:
    assert numbers(roster(), ("share_start", 1), ("share_start", 2), ("share_stop", 1), ("share_stop", 2)) == [5, 6, 5, 6]
    assert numbers(roster(), ("share_start", 2), ("share_stop", 1)) == [5]
    assert numbers(roster(), ("share_start", 1), ("leave", 1), ("share_stop", 1)) == [5, 6, 4]


def test_a_late_subscriber_hears_of_nobody_who_has_left() -> None:
    meeting = roster()
    numbers(meeting, ("join", 1), ("join", 2), ("speak", 2), ("share_start", 2), ("leave", 2))
    told = meeting.told_on_subscription([2, 3, 5], 9)
    assert [(event.number, event.fields.get("participants")) for event in told] == [(3, [{"user_id": 1, "user_name": "Ada"}])]


def test_share_events_need_the_share_scope_and_chat_groups_the_chat_scope() -> None:
    meeting = roster()
    [shared] = meeting.changed(Action(0.0, "share_start", 1), 1)
    assert shared.scope is MediaType.DESKSHARE
    assert {event.scope for event in meeting.told_on_subscription([5], 2)} == {MediaType.DESKSHARE}
    [made] = meeting.changed(Action(0.0, "chat_group", 1, {"operation": "create", "group": "duo", "members": ["Zoë"]}), 1)
    assert made.scope is MediaType.CHAT


@pytest.mark.parametrize(
    ("operation", "number", "fields"),
    [
        ("create", 10, {"chat_group": {"group_id": "ID", "group_name": "duo", "group_type": 0, "members": "WITH STATUS"}}),
        ("delete", 11, {"chat_groups": [{"group_id": "ID"}]}),
        ("add", 12, {"group_id": "ID", "members": [{"user_id": 2, "user_name": "Zoë"}]}),
        ("remove", 13, {"group_id": "ID", "members": [{"user_id": 2, "user_name": "Zoë"}]}),
        ("status", 14, {"group_id": "ID", "members": "WITH STATUS"}),
    ],
)
def test_chat_groups_are_events_10_to_14(operation: str, number: int, fields: dict[str, Any]) -> None:
    action = Action(0.0, "chat_group", 1, {"operation": operation, "group": "duo", "members": ["Zoë"], "status": "waiting_room"})
    [event] = roster().changed(action, 5)
    text = str({"event_type": number, "timestamp": 5, **fields}).replace("'ID'", repr(chat_group_id(SCENARIO, "duo")))
    text = text.replace("'WITH STATUS'", str([{"user_id": 2, "user_name": "Zoë", "status": 2}]))
    assert str(event.fields) == text


def test_session_events_in_calls_are_a_switch() -> None:
    assert numbers(roster("phone"), ("join", 1), ("speak", 1)) == [3, 2]
    off = roster("phone", session_events_in_calls=False)
    assert numbers(off, ("join", 1), ("speak", 1), ("leave", 1)) == []
    assert off.told_on_subscription([2, 3], 1) == []


def test_an_action_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="who is missing"):
        roster().changed(Action(0.0, "join"), 1)
    with pytest.raises(KeyError):
        roster().changed(Action(0.0, "join", 99), 1)
