"""The recording of a new MDC, with its artifacts and real-time endpoints, as the create's body asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rtms_simulator.recall.recorder.values import RecordingConfig
from rtms_simulator.recall.records.tables import INITIAL
from rtms_simulator.recall.records.workspace import Artifact, Mdc, RealtimeEndpoint, Recording, Status, Workspace
from rtms_simulator.recall.switches import RecallSwitches


def recorder_config(body: Mapping[str, Any], switches: RecallSwitches) -> RecordingConfig:
    """What a create's `recording_config` means to the recorder."""
    return RecordingConfig.from_json(body.get("recording_config"), defaults=switches.defaults == "create_bot")


def new_recording(space: Workspace, mdc: Mdc, switches: RecallSwitches, data_dir: Path, now: float) -> Recording:
    """The recording, not visible yet. `now` in seconds since the epoch; its files go to a directory of its own below `data_dir`."""
    config = mdc.body.get("recording_config") or {}
    planted = config.get("metadata") if switches.recording_metadata == "copied" else None
    seq, identity = space.next_seq(), space.new_id()
    return Recording(
        seq=seq,
        id=identity,
        mdc_id=mdc.id,
        created_at=now,
        status=Status(INITIAL["recording"], now),
        metadata=dict(planted or {}),
        directory=data_dir / identity,
        retention=_retention(config),
        artifacts=list(_artifacts(space, mdc, identity, switches, now)),
        endpoints=[_endpoint(space, identity, entry, now) for entry in config.get("realtime_endpoints") or ()],
    )


def new_artifact(space: Workspace, recording_id: str, kind: str, now: float, metadata: Mapping[str, str | None] | None) -> Artifact:
    """An artifact that is being made."""
    return Artifact(
        seq=space.next_seq(),
        id=space.new_id(),
        kind=kind,
        recording_id=recording_id,
        created_at=now,
        status=Status(INITIAL["artifact"], now),
        metadata=dict(metadata or {}),
    )


def _retention(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """`recording_config.retention`; an explicit null is a type of its own: nothing is kept."""
    if "retention" not in config:
        return None
    return config["retention"] or {"type": "none"}


def _artifacts(space: Workspace, mdc: Mdc, recording_id: str, switches: RecallSwitches, now: float) -> Iterator[Artifact]:
    for kind, form, entry in _requested(mdc.body, switches):
        artifact = new_artifact(space, recording_id, kind, now, (entry or {}).get("metadata"))
        artifact.format = form
        if kind == "transcript":
            artifact.provider, artifact.diarization = _reported_provider(entry["provider"], switches), entry.get("diarization")
        if kind == "meeting_metadata":
            artifact.meta = {"meeting_uuid": (mdc.body.get("zoom_rtms") or {}).get("meeting_uuid")}
        yield artifact


def _requested(body: Mapping[str, Any], switches: RecallSwitches) -> Iterator[tuple[str, str, Any]]:
    """(kind, format, its entry in recording_config) of every artifact the recording is to have."""
    entries = body.get("recording_config") or {}
    config = recorder_config(body, switches)
    if config.video_mixed:
        yield "video_mixed", "mp4", entries.get("video_mixed_mp4")
    for kind, formats in (("audio_mixed", config.audio_mixed), ("audio_separate", config.audio_separate)):
        for form in formats:
            yield kind, form, entries.get(f"{kind}_{form}")
    if config.video_separate:
        yield "video_separate", "mp4", entries.get("video_separate_mp4")
    if config.transcript:
        yield "transcript", "json", entries.get("transcript")
    for kind, requested in (("participant_events", config.participant_events), ("meeting_metadata", config.meeting_metadata)):
        if requested:
            yield kind, "json", entries.get(kind)


def _reported_provider(requested: Mapping[str, Any], switches: RecallSwitches) -> dict[str, Any]:
    return {"zoom_rtms": {}} if "meeting_captions" in requested and switches.captions_provider else dict(requested)


def _endpoint(space: Workspace, recording_id: str, entry: Mapping[str, Any], now: float) -> RealtimeEndpoint:
    return RealtimeEndpoint(
        seq=space.next_seq(),
        id=space.new_id(),
        recording_id=recording_id,
        created_at=now,
        status=Status(INITIAL["realtime_endpoint"], now),
        type=entry["type"],
        url=entry["url"],
        events=tuple(entry["events"]),
        metadata=dict(entry.get("metadata") or {}),
    )
