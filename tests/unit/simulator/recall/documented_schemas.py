"""JSON schemas of Recall's events, written from its documentation and event catalogue, not from the code under test.

Sources: docs.recall.ai "Real-Time Event Payloads" (participant objects, envelopes, which resource belongs to which event), the event
catalogue of Recall's webhooks (57 types; status events), docs.recall.ai "Download Schemas" (participants of files). A key that the page
does not list may come (Recall adds fields); a listed key must be there with its type.
"""

from __future__ import annotations

from typing import Any

import jsonschema_rs

ANY_OBJECT = {"type": "object"}
NUMBER = {"type": "number"}
TEXT = {"type": "string"}
NULLABLE_TEXT = {"type": ["string", "null"]}
ISO_TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$"}


def record(**fields: Any) -> dict[str, Any]:
    """An object that has at least these keys."""
    return {"type": "object", "properties": fields, "required": sorted(fields)}


REFERENCE = record(id=TEXT, metadata=ANY_OBJECT)
LIVE_PARTICIPANT = record(
    id={"type": "integer"},
    name=NULLABLE_TEXT,
    is_host={"type": "boolean"},
    platform=NULLABLE_TEXT,
    extra_data=ANY_OBJECT,
    email=NULLABLE_TEXT,
)
FILE_PARTICIPANT = record(
    id={"type": "integer"},
    name=NULLABLE_TEXT,
    is_host={"type": ["boolean", "null"]},
    platform=NULLABLE_TEXT,
    extra_data={"type": ["object", "null"]},
)
MOMENT = record(absolute=ISO_TIME, relative=NUMBER)
RELATIVE = record(relative=NUMBER)
WORD = record(text=TEXT, start_timestamp=RELATIVE, end_timestamp={"anyOf": [RELATIVE, {"type": "null"}]})
SPEECH = record(words={"type": "array", "items": WORD, "minItems": 1}, participant=LIVE_PARTICIPANT)
PARTICIPANT_ACTIONS = (
    *("join", "leave", "update", "speech_on", "speech_off", "webcam_on", "webcam_off", "screenshare_on", "screenshare_off"),
    "chat_message",
)
CHAT = {"anyOf": [record(text=TEXT, to=TEXT), {"type": "null"}]}
# event -> (the resource it belongs to, its inner data)
REALTIME: dict[str, tuple[str, dict[str, Any]]] = {
    **{
        f"participant_events.{action}": ("participant_events", record(participant=LIVE_PARTICIPANT, timestamp=MOMENT, data=CHAT))
        for action in PARTICIPANT_ACTIONS
    },
    "transcript.data": ("transcript", SPEECH),
    "transcript.partial_data": ("transcript", SPEECH),
    "audio_mixed_raw.data": ("audio_mixed", record(buffer=TEXT, timestamp=MOMENT)),
    "audio_separate_raw.data": ("audio_separate", record(buffer=TEXT, timestamp=MOMENT, participant=LIVE_PARTICIPANT)),
    "video_separate_png.data": (
        "video_separate",
        record(buffer=TEXT, timestamp=MOMENT, type={"enum": ["webcam", "screenshare"]}, participant=LIVE_PARTICIPANT),
    ),
}
ARTIFACTS = ("audio_mixed", "audio_separate", "meeting_metadata", "participant_events", "transcript", "video_mixed", "video_separate")
STATUS_CODES = {
    "recording": ("processing", "paused", "done", "failed", "deleted"),
    **dict.fromkeys(ARTIFACTS, ("processing", "done", "failed", "deleted")),
    "realtime_endpoint": ("running", "done", "failed"),
}
WEBHOOK_TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$"}


def realtime_schema(event: str) -> dict[str, Any]:
    """The whole body of a real-time event."""
    resource, inner = REALTIME[event]
    data = record(**{"data": inner, "realtime_endpoint": REFERENCE, resource: REFERENCE, "recording": REFERENCE})
    data["properties"]["bot"] = REFERENCE  # "if the recording is produced by a bot"
    return record(event={"const": event}, data=data)


def status_schema(event: str) -> dict[str, Any]:
    """The whole body of a status webhook."""
    subject, _, code = event.partition(".")
    assert code in STATUS_CODES[subject], event
    inner = record(code={"const": code}, sub_code=NULLABLE_TEXT, updated_at=WEBHOOK_TIME)
    if event == "realtime_endpoint.failed":
        inner["properties"]["error"] = record(code=TEXT, message=TEXT)
        inner["required"] = [*inner["required"], "error"]
    data = record(data=inner, recording=REFERENCE)
    if subject != "recording":
        data["properties"][subject] = REFERENCE
        data["required"] = sorted([*data["required"], subject])
    data["properties"]["bot"] = {"anyOf": [REFERENCE, {"type": "null"}]}
    return record(event={"const": event}, data=data)


def check_event(body: dict[str, Any]) -> None:
    """Raises jsonschema_rs.ValidationError, or KeyError for an event of no catalogue."""
    event = body["event"]
    schema = realtime_schema(event) if event in REALTIME else status_schema(event)
    jsonschema_rs.validate(schema, body)
