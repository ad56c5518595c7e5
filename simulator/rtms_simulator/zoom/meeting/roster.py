"""Who is in a meeting, who speaks, shares, answered or is on hold: what each action changes, and the RTMS events that say so. Pure.

Sources: developers.zoom.us, RTMS "Session events" (2 to 14) and "Contact Center events" (8 to 34 in the same field). The fields of events
10 to 14 are inferred from Zoom's library types; those of Zoom Phone's call events are inferred as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rtms_simulator.scenario import Action, Person, Scenario
from rtms_simulator.scenario.actions import CHAT_MEMBER_STATUSES
from rtms_simulator.zoom.media.chat import chat_group_id
from rtms_simulator.zoom.rtms.enums import ContactCenterEventType, EventType, MediaType
from rtms_simulator.zoom.switches import ZoomSwitches

PRIVATE_CHAT_GROUP = 0
_CALLS = ("contact_center", "phone")
_MODES = {"consumer": "caller"}
"""`participant_mode` by role: documented is "caller" for the customer; for others the role's own name is inferred."""
_CHAT_GROUP_EVENTS = {
    "create": EventType.CHAT_GROUP_CREATE,
    "delete": EventType.CHAT_GROUP_DELETE,
    "add": EventType.CHAT_GROUP_MEMBERS_ADD,
    "remove": EventType.CHAT_GROUP_MEMBERS_DELETE,
    "status": EventType.CHAT_GROUP_MEMBER_STATUS_UPDATE,
}
_ENDS = {"CONSUMER_END": "CONSUMER_ANSWERED", "USER_UNHOLD": "USER_HOLD", "CALL_RESUME": "CALL_HOLD"}
"""Which event ends the state that another began."""
_LASTING = ("CONSUMER_ANSWERED", "USER_HOLD", "CALL_HOLD")
"""Call events that somebody who subscribes later still has to know."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event for message 6: its number, the event object as it is sent, and the scope an app needs for it."""

    number: int
    fields: Mapping[str, Any]
    scope: MediaType | None = None


class MeetingRoster:
    """The state of one meeting. `changed` takes an action at `at_ms` (milliseconds since the epoch) and gives the events of it."""

    def __init__(self, scenario: Scenario, switches: ZoomSwitches, account_id: str) -> None:
        self.present: dict[int, Person] = {}
        self._scenario = scenario
        self._switches = switches
        self._account_id = account_id
        self._speaker: Person | None = None
        self._sharer: Person | None = None
        self._lasting: dict[tuple[str, int], StreamEvent] = {}
        self._by_kind: Mapping[str, Callable[[Action, Person, int], list[StreamEvent]]] = {
            "join": self._join,
            "leave": self._leave,
            "eject": self._leave,
            "speak": self._speak,
            "video_on": self._video,
            "video_off": self._video,
            "share_start": self._share_start,
            "share_stop": self._share_stop,
            "chat_group": self._chat_group,
            "call_event": self._call_event,
        }

    def changed(self, action: Action, at_ms: int) -> list[StreamEvent]:
        """The events of an action; none for a kind that changes nothing here.

        Raises KeyError for somebody who is not in the scenario or a field that is missing, ValueError for an action of nobody.
        """
        change = self._by_kind.get(action.kind)
        if change is None:
            return []
        if action.who is None:
            raise ValueError("who is missing")
        return change(action, self._scenario.person(action.who), at_ms)

    def told_on_subscription(self, numbers: Iterable[int], at_ms: int) -> list[StreamEvent]:
        """What is true now, for an app that has just subscribed to these numbers."""
        numbers = set(numbers)
        events: list[StreamEvent] = []
        if self._switches.roster_on_subscription:
            if self.present:
                events += self._session_event(EventType.PARTICIPANT_JOIN, at_ms, _people(self.present.values()))
            if self._speaker is not None:
                events += self._session_event(EventType.ACTIVE_SPEAKER_CHANGE, at_ms, _named(self._speaker))
            if self._sharer is not None:
                events += self._session_event(EventType.SHARING_START, at_ms, _named(self._sharer), MediaType.DESKSHARE)
        if self._switches.call_state_on_subscription:
            events += self._lasting.values()
        return [event for event in events if event.number in numbers]

    # Meetings, webinars, sessions

    def _session_event(self, number: EventType, at_ms: int, fields: Mapping[str, Any], scope: MediaType | None = None) -> list[StreamEvent]:
        if self._scenario.product in _CALLS and not self._switches.session_events_in_calls:
            return []
        return [StreamEvent(int(number), {"event_type": int(number), "timestamp": at_ms, **fields}, scope)]

    def _join(self, action: Action, person: Person, at_ms: int) -> list[StreamEvent]:
        self.present[person.user_id] = person
        return self._session_event(EventType.PARTICIPANT_JOIN, at_ms, _people([person]))

    def _leave(self, action: Action, person: Person, at_ms: int) -> list[StreamEvent]:
        self.present.pop(person.user_id, None)
        if self._speaker == person:
            self._speaker = None
        sharing = self._share_stop(action, person, at_ms)
        return [*sharing, *self._session_event(EventType.PARTICIPANT_LEAVE, at_ms, {"participants": [{"user_id": person.user_id}]})]

    def _speak(self, action: Action, person: Person, at_ms: int) -> list[StreamEvent]:
        if person == self._speaker:
            return []
        self._speaker = person
        return self._session_event(EventType.ACTIVE_SPEAKER_CHANGE, at_ms, _named(person))

    def _video(self, action: Action, person: Person, at_ms: int) -> list[StreamEvent]:
        number = EventType.PARTICIPANT_VIDEO_ON if action.kind == "video_on" else EventType.PARTICIPANT_VIDEO_OFF
        return self._session_event(number, at_ms, {"participants": [{"user_id": person.user_id}]})

    def _share_start(self, action: Action, person: Person, at_ms: int) -> list[StreamEvent]:
        earlier = [] if self._sharer in (None, person) else self._share_stop(action, self._sharer, at_ms)
        self._sharer = person
        return [*earlier, *self._session_event(EventType.SHARING_START, at_ms, _named(person), MediaType.DESKSHARE)]

    def _share_stop(self, action: Action, person: Person | None, at_ms: int) -> list[StreamEvent]:
        if self._sharer is None or person != self._sharer:
            return []
        self._sharer = None
        return self._session_event(EventType.SHARING_STOP, at_ms, {}, MediaType.DESKSHARE)

    def _chat_group(self, action: Action, person: Person, at_ms: int) -> list[StreamEvent]:
        operation, name = action.data["operation"], action.data["group"]
        status = CHAT_MEMBER_STATUSES.index(action.data.get("status", "in_group"))
        members = [_named(self._named_person(member)) for member in action.data.get("members", ())]
        group_id = chat_group_id(self._scenario, name)
        fields: dict[str, Any]
        if operation == "create":
            group = {"group_id": group_id, "group_name": name, "group_type": PRIVATE_CHAT_GROUP}
            fields = {"chat_group": group | {"members": [{**member, "status": status} for member in members]}}
        elif operation == "delete":
            fields = {"chat_groups": [{"group_id": group_id}]}
        elif operation == "status":
            fields = {"group_id": group_id, "members": [{**member, "status": status} for member in members]}
        else:
            fields = {"group_id": group_id, "members": members}
        return self._session_event(_CHAT_GROUP_EVENTS[operation], at_ms, fields, MediaType.CHAT)

    def _named_person(self, name: str) -> Person:
        for person in self._scenario.people:
            if person.name == name:
                return person
        raise KeyError(name)

    # Contact Center and Phone

    def _call_event(self, action: Action, person: Person, at_ms: int) -> list[StreamEvent]:
        name = action.data["event"]
        build = self._phone_event if self._scenario.product == "phone" else self._contact_center_event
        event = build(name, person, at_ms, action.data.get("fields") or {})
        if event is None:
            return []
        self._lasting.pop((_ENDS.get(name, ""), person.user_id), None)
        if name in _LASTING:
            self._lasting[name, person.user_id] = event
        return [event]

    def _contact_center_event(self, name: str, person: Person, at_ms: int, fields: Mapping[str, Any]) -> StreamEvent:
        number = int(ContactCenterEventType[name])
        return StreamEvent(number, {**fields, "event_type": number, "event_ts": at_ms, "participant_info": self.participant_info(person)})

    def participant_info(self, person: Person) -> dict[str, Any]:
        """As the page of Contact Center events has it; `user_id` is a text there."""
        info = {
            "channel_id": person.channel_id or f"channel-{person.user_id}",
            "participant_mode": person.participant_mode or _MODES.get(person.role, person.role),
            "queue_id": person.queue_id or "xqJE_cgERLyAJHYYL5LLeg",
            "queue_name": person.queue_name or "My Queue",
            "account_id": person.account_id or self._account_id,
            "division_id": person.division_id or "division-id",
            "phone_number": person.phone_number,
            "user_id": person.contact_id or str(person.user_id),
            "display_name": person.name,
        }
        return {key: value for key, value in info.items() if value is not None}

    def _phone_event(self, name: str, person: Person, at_ms: int, fields: Mapping[str, Any]) -> StreamEvent | None:
        key = self._switches.phone_events
        if key == "off":
            return None
        number = self._switches.phone_event_codes[name]
        return StreamEvent(number, {**fields, key: number, "timestamp": at_ms, "participants": [_named(person)]})


def _people(people: Iterable[Person]) -> dict[str, Any]:
    return {"participants": [_named(person) for person in people]}


def _named(person: Person) -> dict[str, Any]:
    return {"user_id": person.user_id, "user_name": person.name}
