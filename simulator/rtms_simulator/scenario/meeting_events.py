"""The plain events of each product that a scenario can send beside those of RTMS (developers.zoom.us, "Meeting events" and the like).

An app gets them when it subscribed to them. `meeting.started` comes before `meeting.rtms_started`: Zoom's sample for the manual start waits
for it and then calls the REST API.
"""

from __future__ import annotations

MEETING_EVENTS: dict[str, tuple[str, ...]] = {
    "meeting": ("meeting.started", "meeting.participant_joined", "meeting.participant_left", "meeting.ended"),
    "webinar": ("webinar.started", "webinar.participant_joined", "webinar.participant_left", "webinar.ended"),
    "session": ("session.started", "session.user_joined", "session.user_left", "session.ended"),
}
"""Per product: it begins, somebody comes, somebody goes, it ends. Contact Center and Phone have none that RTMS samples use."""
