"""The JSON of Recall's API objects, from the workspace's values (pure). Shapes: Recall's published schemas of recordings and artifacts."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from rtms_simulator.recall.recorder.values import timestamp_json
from rtms_simulator.recall.records.times import api_time
from rtms_simulator.recall.records.workspace import SHORTCUT_KINDS, Artifact, Mdc, RealtimeEndpoint, Recording, Status
from rtms_simulator.recall.switches import RecallSwitches
from rtms_simulator.recall.webhooks.bodies import reference

Link = Callable[[Artifact, str], str]  # a fresh link to one of an artifact's files
PARTS_FILE = "parts.json"


def status(value: Status) -> dict[str, Any]:
    return {"code": value.code, "sub_code": value.sub_code, "updated_at": api_time(value.updated_at)}


def link_to(artifact: Artifact, stem: str, link: Link) -> str | None:
    """A fresh link to the file whose name begins with `stem`; None until the artifact is done."""
    if artifact.status.code != "done":
        return None
    name = next((name for name in artifact.files if name.partition(".")[0] == stem), None)
    return None if name is None else link(artifact, name)


def artifact_data(artifact: Artifact, link: Link) -> dict[str, Any]:
    """The `data` of an artifact, by its kind (docs/evidence/recall.md A5)."""
    kind = artifact.kind
    if kind == "participant_events":
        return {
            f"{stem}_download_url": link_to(artifact, stem, link) for stem in ("participant_events", "speaker_timeline", "participants")
        }
    if kind == "meeting_metadata":
        gone = artifact.status.code == "deleted"
        meeting_uuid = None if gone else artifact.meta.get("meeting_uuid")
        return {
            "title": None if gone else artifact.meta.get("title"),
            "zoom": None if meeting_uuid is None else {"meeting_uuid": meeting_uuid},
        }
    if kind == "transcript":
        return {"download_url": link_to(artifact, kind, link), "provider_data_download_url": link_to(artifact, "provider_data", link)}
    if kind in ("audio_separate", "video_separate"):
        return {"download_url": link(artifact, PARTS_FILE) if artifact.status.code == "done" else None}
    return {"download_url": link_to(artifact, kind, link)}


def artifact_shortcut(artifact: Artifact, link: Link) -> dict[str, Any]:
    """An artifact as `media_shortcuts` shows it."""
    fields: dict[str, Any] = {
        "id": artifact.id,
        "created_at": api_time(artifact.created_at),
        "status": status(artifact.status),
        "metadata": artifact.metadata,
        "data": artifact_data(artifact, link),
    }
    if artifact.kind in ("video_mixed", "audio_mixed", "audio_separate", "video_separate"):
        fields["format"] = artifact.format
    if artifact.kind == "transcript":
        fields["diarization"] = artifact.diarization
        fields["provider"] = artifact.provider
    return fields


def artifact_object(artifact: Artifact, recording: Recording, link: Link) -> dict[str, Any]:
    """An artifact as its own resource."""
    return {**artifact_shortcut(artifact, link), "recording": reference(recording)}


def shortcuts(recording: Recording, link: Link) -> dict[str, Any]:
    """All five keys, each an object or null. Of two audio formats the mp3 is shown; a deleted artifact is not."""
    by_kind: dict[str, Any] = dict.fromkeys(SHORTCUT_KINDS)
    for artifact in recording.artifacts:
        if artifact.kind in by_kind and by_kind[artifact.kind] is None and artifact.status.code != "deleted":
            by_kind[artifact.kind] = artifact_shortcut(artifact, link)
    return by_kind


def recording_embed(recording: Recording, link: Link) -> dict[str, Any]:
    """A recording as it stands in an MDC's `recordings` (docs/evidence/recall.md A4)."""
    return {
        "id": recording.id,
        "created_at": api_time(recording.created_at),
        "started_at": api_time(recording.started_at),
        "completed_at": api_time(recording.completed_at),
        "expires_at": api_time(recording.expires_at),
        "status": status(recording.status),
        "media_shortcuts": shortcuts(recording, link),
        "metadata": recording.metadata,
    }


def recording_object(recording: Recording, link: Link) -> dict[str, Any]:
    """A recording as its own resource. Made without a bot or an upload, so both are null; no key names it (docs/evidence/recall.md A6)."""
    return {
        **recording_embed(recording, link),
        "realtime_endpoints": [reference(endpoint) for endpoint in recording.endpoints],
        "bot": None,
        "desktop_sdk_upload": None,
    }


def endpoint_object(endpoint: RealtimeEndpoint, recording: Recording) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "created_at": api_time(endpoint.created_at),
        "type": endpoint.type,
        "url": endpoint.url,
        "events": list(endpoint.events),
        "status": status(endpoint.status),
        "metadata": endpoint.metadata,
        "recording": reference(recording),
    }


def mdc_object(mdc: Mdc, recording: Recording | None, link: Link, switches: RecallSwitches) -> dict[str, Any]:
    """An MDC with the recording that may be seen. Only `id`, `status.code` and `recordings` are documented; the rest is by analogy."""
    rtms = mdc.body.get("zoom_rtms")
    if recording is not None and not switches.shows(recording.status.code):
        recording = None
    fields: dict[str, Any] = {
        "id": mdc.id,
        "created_at": api_time(mdc.created_at),
        "status": {**status(mdc.status), "code": _mdc_code(mdc.status.code, switches)},
        "recordings": [] if recording is None else [recording_embed(recording, link)],
        "metadata": mdc.body.get("metadata") or {},
        "recording_config": mdc.body.get("recording_config"),
    }
    if switches.echo_zoom_rtms:
        fields["zoom_rtms"] = {key: value for key, value in rtms.items() if key != "signature"} if rtms else None
        meet = mdc.body.get("google_meet_media_api")
        fields["google_meet_media_api"] = {"space_name": meet["space_name"]} if meet else None
    if switches.status_changes:
        fields["status_changes"] = [
            {
                "code": _mdc_code(change.code, switches),
                "message": None,
                "created_at": api_time(change.updated_at),
                "sub_code": change.sub_code,
            }
            for change in mdc.changes
        ]
    return fields


def parts_file(artifact: Artifact, link: Link) -> list[dict[str, Any]]:
    """The file behind a separate artifact's link: one entry per stretch, each with a link of its own (docs/evidence/recall.md B7)."""
    return [
        {
            "id": str(uuid.uuid5(uuid.UUID(artifact.id), part.path.name)),
            "participant": part.participant.as_json(),
            "start_timestamp": timestamp_json(part.start, part.start_relative),
            "duration": part.duration,
            **({} if part.kind is None else {"type": part.kind}),
            "download_url": link(artifact, part.path.name),
        }
        for part in artifact.parts
    ]


def _mdc_code(code: str, switches: RecallSwitches) -> str:
    return switches.mdc_codes.get(code, code)
