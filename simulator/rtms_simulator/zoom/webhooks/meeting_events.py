"""The plain events of meetings, webinars and Video SDK sessions that come beside those of RTMS (developers.zoom.us, "Meetings" and
"Video SDK" events). Pure. Values that a scenario does not have (host, topic, time zone) are fixed examples.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rtms_simulator.scenario import Person
from rtms_simulator.scenario.meeting_events import MEETING_EVENTS
from rtms_simulator.zoom.webhooks.event import StreamIds, WebhookEvent

_SCHEDULED = 2
_WEBINAR = 5


@dataclass(frozen=True, slots=True)
class MeetingFacts:
    """What the events say of a meeting. Times in milliseconds since the epoch."""

    product: str
    ids: StreamIds
    topic: str
    duration_min: int
    started_ms: int


def began(facts: MeetingFacts, event_ts: int) -> WebhookEvent:
    """`meeting.started` and its like."""
    return _event(facts, 0, event_ts, {})


def participant_joined(facts: MeetingFacts, person: Person, at_ms: int, event_ts: int) -> WebhookEvent:
    """`meeting.participant_joined`, `session.user_joined`."""
    return _event(facts, 1, event_ts, _participant(facts, person, "join_time", at_ms))


def participant_left(facts: MeetingFacts, person: Person, at_ms: int, event_ts: int) -> WebhookEvent:
    """`meeting.participant_left`, `session.user_left`."""
    leaving = _participant(facts, person, "leave_time", at_ms)
    if facts.product != "session":
        leaving["participant"]["leave_reason"] = f"{person.name} left the meeting."
    return _event(facts, 2, event_ts, leaving)


def ended(facts: MeetingFacts, at_ms: int, event_ts: int) -> WebhookEvent:
    """`meeting.ended` and its like."""
    return _event(facts, 3, event_ts, {"end_time": _text(at_ms)})


def _event(facts: MeetingFacts, position: int, event_ts: int, more: dict[str, Any]) -> WebhookEvent:
    """`position`: of the event's name in `MEETING_EVENTS`. Raises KeyError for a product without such events."""
    payload = {"account_id": facts.ids.account_id, "object": _session(facts) if facts.product == "session" else _meeting(facts)}
    payload["object"] |= more
    return WebhookEvent(MEETING_EVENTS[facts.product][position], payload, event_ts)


def _meeting(facts: MeetingFacts) -> dict[str, Any]:
    return {
        "id": facts.ids.meeting_id,
        "uuid": facts.ids.entity_id,
        "host_id": facts.ids.operator_id,
        "topic": facts.topic,
        "type": _WEBINAR if facts.product == "webinar" else _SCHEDULED,
        "start_time": _text(facts.started_ms),
        "timezone": "UTC",
        "duration": facts.duration_min,
    }


def _session(facts: MeetingFacts) -> dict[str, Any]:
    return {
        "id": facts.ids.entity_id,
        "session_id": facts.ids.entity_id,
        "session_name": facts.topic,
        "session_key": facts.ids.session_key,
        "start_time": _text(facts.started_ms),
    }


def _participant(facts: MeetingFacts, person: Person, time_field: str, at_ms: int) -> dict[str, dict[str, Any]]:
    if facts.product == "session":
        user = {"id": str(person.user_id), "name": person.name, "user_key": str(person.user_id), time_field: _text(at_ms)}
        return {"user": user}
    participant = {
        "user_id": str(person.user_id),
        "user_name": person.name,
        "id": f"participant-{person.user_id}",
        "participant_user_id": f"participant-{person.user_id}",
        "participant_uuid": f"{person.user_id:08X}-0000-4000-8000-{person.user_id:012X}",
        time_field: _text(at_ms),
        "email": "",
        "registrant_id": "",
        "phone_number": person.phone_number or "",
    }
    return {"participant": participant}


def _text(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
