"""What each field, status, limit and event key of the fake rests on (pure).

Labels: docs/evidence/README.md; sources: docs/evidence/recall.md.

The tables are complete: the served OpenAPI carries a label for every field as `x-evidence`, and building it fails for one without.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, get_args

Label = Literal["documented", "schema", "seen", "inferred", "unknown"]
LABELS: tuple[Label, ...] = get_args(Label)
Table = Mapping[str, Label]

_STATUS: Table = {"status": "schema", "status.code": "schema", "status.sub_code": "schema", "status.updated_at": "schema"}
_RECORDING: Table = {
    "id": "schema",
    "created_at": "schema",
    "started_at": "schema",
    "completed_at": "schema",
    "expires_at": "schema",  # required and not null in the published schema of a recording; null here when nothing expires
    **_STATUS,
    "media_shortcuts": "schema",
    **dict.fromkeys((f"media_shortcuts.{kind}" for kind in ("audio_mixed", "meeting_metadata", "participant_events")), "schema"),
    **dict.fromkeys((f"media_shortcuts.{kind}" for kind in ("transcript", "video_mixed")), "documented"),
    "metadata": "schema",
}
_SHORTCUT: Table = {
    "id": "schema",
    "created_at": "schema",
    **_STATUS,
    "metadata": "schema",
    "data": "schema",
    "data.download_url": "documented",
    "data.provider_data_download_url": "schema",
    **dict.fromkeys((f"data.{name}_download_url" for name in ("participant_events", "speaker_timeline", "participants")), "documented"),
    "data.title": "schema",
    "data.zoom": "schema",
    "data.zoom.meeting_uuid": "schema",
    "format": "schema",
    "provider": "schema",
    "diarization": "schema",
}

FIELDS: Mapping[str, Table] = {
    "MeetingDirectConnect": {
        "id": "documented",
        "created_at": "inferred",
        "status": "documented",
        "status.code": "documented",  # the field; its values are unknown
        "status.sub_code": "inferred",
        "status.updated_at": "inferred",
        "recordings": "documented",
        "metadata": "inferred",
        "recording_config": "inferred",
        "zoom_rtms": "unknown",
        "zoom_rtms.meeting_uuid": "unknown",
        "zoom_rtms.rtms_stream_id": "unknown",
        "zoom_rtms.server_urls": "unknown",
        "google_meet_media_api": "unknown",
        "google_meet_media_api.space_name": "unknown",
        "status_changes": "unknown",
    },
    "EmbeddedRecording": _RECORDING,
    "Recording": {
        **_RECORDING,
        "realtime_endpoints": "schema",
        "realtime_endpoints.id": "schema",
        "realtime_endpoints.metadata": "schema",
        "bot": "schema",  # that it is null without a bot is inferred
        "bot.id": "schema",
        "bot.metadata": "schema",
        "desktop_sdk_upload": "schema",
        "desktop_sdk_upload.id": "schema",
        "desktop_sdk_upload.metadata": "schema",
    },
    "RealtimeEndpoint": {
        "id": "documented",
        "created_at": "inferred",
        "type": "documented",
        "url": "inferred",
        "events": "inferred",
        "status": "schema",
        "status.code": "schema",
        "status.sub_code": "inferred",
        "status.updated_at": "schema",
        "metadata": "documented",
        "recording": "inferred",
        "recording.id": "inferred",
        "recording.metadata": "inferred",
    },
    "Shortcut": _SHORTCUT,
    # The published schema of separate audio has the formats raw and ogg; mp3 is inferred from the name of its configuration.
    "AudioSeparateShortcut": {**_SHORTCUT, "format": "inferred"},
    "Artifact": {**_SHORTCUT, "recording": "schema", "recording.id": "schema", "recording.metadata": "schema"},
    "AudioSeparate": {
        **_SHORTCUT,
        "format": "inferred",
        "recording": "schema",
        "recording.id": "schema",
        "recording.metadata": "schema",
    },
    "Page": {"next": "schema", "previous": "schema", "results": "schema"},
    "MeetingDirectConnectPage": {"next": "unknown", "previous": "unknown", "results": "unknown"},
    "Detail": {"code": "seen", "detail": "seen"},
}
"""Fields of answers by schema of the OpenAPI document; a dot goes into an object or a list's items."""

REQUEST_FIELDS: Mapping[str, Table] = {
    "meeting_direct_connect_create": {
        "zoom_rtms": "documented",
        "google_meet_media_api": "documented",
        "recording_config": "schema",
        "recording_config.retention": "documented",
        "recording_config.metadata": "documented",
        "metadata": "documented",
    },
    "recording_create_transcript_create": {"provider": "schema", "diarization": "schema", "metadata": "schema"},
    "partial_update": {"metadata": "schema"},
}
"""Fields of bodies by operation; what stands inside a field has its label unless it has its own."""

STATUSES: Mapping[str, tuple[Label, Label]] = {
    "200": ("schema", "schema"),
    "201": ("documented", "documented"),
    "204": ("schema", "schema"),
    "400": ("seen", "seen"),
    "401": ("seen", "seen"),
    "402": ("documented", "inferred"),
    "403": ("documented", "seen"),
    "404": ("seen", "inferred"),
    "405": ("documented", "inferred"),
    "409": ("documented", "inferred"),
    "413": ("unknown", "unknown"),
    "415": ("inferred", "inferred"),
    "429": ("documented", "inferred"),
    "502": ("documented", "inferred"),
    "503": ("documented", "inferred"),
    "504": ("documented", "inferred"),
    "507": ("documented", "inferred"),  # of Create Bot; whether it can hit an MDC is unknown, so only a fault makes it
}
"""Label of each status and of its body."""

LIMITS: Mapping[str, Label] = {
    "create": "documented",
    "listing": "documented",
    "single": "documented",
    "create_transcript": "inferred",  # documented as 5 a minute for each bot; here for each recording
}
"""Requests a minute, by kind of operation."""

PARAMETERS: Mapping[str, Label] = {
    "id": "documented",
    "Idempotency-Key": "documented",
    "cursor": "schema",
    "bot_id": "schema",
    "desktop_sdk_upload_id": "schema",
    "created_at_after": "schema",
    "created_at_before": "schema",
    "status_code": "schema",
    "recording_id": "schema",
    "type": "documented",
}
"""Parameters in the path, the query and headers."""

OTHERS: Mapping[str, Label] = {
    "status codes of an MDC": "unknown",
    "sub_codes of an MDC and of a recording": "inferred",
    "host and path of a link": "seen",
    "file names in a link": "inferred",
    "answers of a link that does not open": "inferred",
    "eight attempts of a webhook and their waits": "documented",
    "15 s for an answer to a webhook": "documented",
    "five days of failures disable a webhook's endpoint": "documented",
    "the five days begin after failures within 24 h that are 12 h apart": "documented",
    "60 tries of a real-time webhook, 30 of a WebSocket": "documented",
    "events kept for a real-time endpoint that is behind": "unknown",
    "24 h in which a replaced secret signs": "documented",
    "one hour of an Idempotency-Key": "documented",
    "largest body": "unknown",
}
"""What is no field of the API."""

_EVENT: Table = {"event": "schema", "data": "schema", "data.data": "schema", "data.recording": "schema"}
WEBHOOK_FIELDS: Table = {
    **_EVENT,
    **dict.fromkeys(("data.data.code", "data.data.sub_code", "data.data.updated_at"), "schema"),
    **dict.fromkeys(("data.recording.id", "data.recording.metadata"), "schema"),
    **dict.fromkeys(("data.ARTIFACT", "data.ARTIFACT.id", "data.ARTIFACT.metadata"), "schema"),
    **dict.fromkeys(("data.realtime_endpoint", "data.realtime_endpoint.id", "data.realtime_endpoint.metadata"), "schema"),
    **dict.fromkeys(("data.data.error", "data.data.error.code", "data.data.error.message"), "schema"),
    **dict.fromkeys(("data.bot", "data.bot.id", "data.bot.metadata"), "unknown"),
    **dict.fromkeys(("data.meeting_direct_connect", "data.meeting_direct_connect.id", "data.meeting_direct_connect.metadata"), "unknown"),
}
"""Keys of status webhooks. ARTIFACT stands for the artifact's kind."""

REALTIME_FIELDS: Table = {
    **dict.fromkeys(_EVENT, "documented"),
    **dict.fromkeys(("data.recording.id", "data.recording.metadata"), "documented"),
    **dict.fromkeys(("data.ARTIFACT", "data.ARTIFACT.id", "data.ARTIFACT.metadata"), "documented"),
    **dict.fromkeys(("data.realtime_endpoint", "data.realtime_endpoint.id", "data.realtime_endpoint.metadata"), "documented"),
    "data.data.participant": "documented",
    **dict.fromkeys(
        (f"data.data.participant.{name}" for name in ("id", "name", "is_host", "platform", "extra_data", "email")), "documented"
    ),
    **dict.fromkeys(("data.data.timestamp", "data.data.timestamp.absolute", "data.data.timestamp.relative"), "documented"),
    "data.data.data": "documented",
    **dict.fromkeys(("data.data.words", "data.data.words.text"), "documented"),
    **dict.fromkeys(("data.data.words.start_timestamp", "data.data.words.start_timestamp.relative"), "documented"),
    **dict.fromkeys(("data.data.words.end_timestamp", "data.data.words.end_timestamp.relative"), "documented"),
    "data.data.language_code": "documented",
    "data.data.buffer": "documented",
    "data.data.type": "documented",
}
"""Keys of real-time events. That `is_host` is false and `extra_data` empty is inferred: RTMS says nothing of them."""

FILE_FIELDS: Table = {
    **dict.fromkeys(("id", "action", "data", "words", "words.text", "duration", "download_url", "type"), "documented"),
    **dict.fromkeys((f"participant.{name}" for name in ("id", "name", "is_host", "platform", "extra_data", "email")), "documented"),
    **dict.fromkeys(("participant", "name", "is_host", "platform", "extra_data", "email"), "documented"),
    **{
        f"{place}timestamp{end}": "documented"
        for place in ("", "start_", "end_", "words.start_", "words.end_")
        for end in ("", ".absolute", ".relative")
    },
    "language_code": "documented",
}
"""Keys of downloaded JSON files (participants, events, timeline, transcript, parts of separate media)."""


def field_label(schema: str, path: str) -> Label:
    """The label of a field of an answer. Raises KeyError for one without, so that none can be added silently."""
    group = "Page" if schema.endswith("Page") else "Shortcut" if schema.endswith("Shortcut") else "Artifact"
    return FIELDS[schema if schema in FIELDS else group][path]


def request_label(operation: str, path: str) -> Label:
    """The label of a field of a body, or of what it stands in. Raises KeyError for a field without."""
    table = REQUEST_FIELDS["partial_update" if operation.endswith("partial_update") else operation]
    while path not in table and "." in path:
        path = path.rpartition(".")[0]
    return table[path]


def uncertain() -> Iterator[tuple[str, list[str], Label]]:
    """What is neither documented nor in a schema nor seen: (where, names, label), in the order of the tables."""
    tables: list[tuple[str, Table]] = [
        *((f"answer `{schema}`", table) for schema, table in FIELDS.items()),
        *((f"body of `{operation}`", table) for operation, table in REQUEST_FIELDS.items()),
        ("status", {status: label for status, (label, _) in STATUSES.items()}),
        ("body of a status", {status: label for status, (_, label) in STATUSES.items()}),
        ("rate limit", LIMITS),
        ("parameter", PARAMETERS),
        ("status webhook", WEBHOOK_FIELDS),
        ("real-time event", REALTIME_FIELDS),
        ("downloaded file", FILE_FIELDS),
        ("other", OTHERS),
    ]
    for where, table in tables:
        for label in ("inferred", "unknown"):
            if names := [name for name, of_name in table.items() if of_name == label]:
                yield where, names, label
