"""The events of a call by name: Contact Center's numbers, and those of Zoom Phone, whose numbers are not public.

Contact Center: developers.zoom.us, "Contact Center events", RTMS_ZCC_VOICE_EVENT_TYPE, 8 to 34. The names of
30 to 34 (IVR streaming: a flow is entered and left, the caller presses keys, a prompt is played) are inferred.
"""

from __future__ import annotations

CONTACT_CENTER_EVENTS: dict[str, int] = {
    "CONSUMER_ANSWERED": 8,
    "CONSUMER_END": 9,
    "USER_ANSWERED": 10,
    "USER_END": 11,
    "USER_HOLD": 12,
    "USER_UNHOLD": 13,
    "MONITOR_STARTED": 14,
    "MONITOR_TRANSITIONED": 15,
    "MONITOR_ENDED": 16,
    "TAKEOVER_STARTED": 17,
    "TRANSFER_INITIATED": 18,
    "TRANSFER_CANCELED": 19,
    "TRANSFER_ACCEPTED": 20,
    "TRANSFER_COMPLETED": 21,
    "TRANSFER_REJECTED": 22,
    "TRANSFER_TIMEOUT": 23,
    "CONFERENCE_CANCELED": 24,
    "CONFERENCE_PARTICIPANT_CANCELED": 25,
    "CONFERENCE_PARTICIPANT_INVITED": 26,
    "CONFERENCE_PARTICIPANT_REJECTED": 27,
    "CONFERENCE_PARTICIPANT_TIMEOUT": 28,
    "CONFERENCE_PARTICIPANT_LEFT": 29,
    "IVR_FLOW_ENTER": 30,
    "IVR_FLOW_EXIT": 31,
    "IVR_DTMF": 32,
    "IVR_MEDIA_STARTED": 33,
    "IVR_MEDIA_ENDED": 34,
}
"""Name to Zoom's number."""

PHONE_EVENTS: tuple[str, ...] = ("CALL_HOLD", "CALL_RESUME", "CALL_TRANSFER")
"""Zoom's page names holds, resumes and transfers; their numbers are not public (`RtmsSwitches.phone_events`)."""

CALL_EVENTS: dict[str, tuple[str, ...]] = {"contact_center": tuple(CONTACT_CENTER_EVENTS), "phone": PHONE_EVENTS}
"""The call events of each product that has any."""
