"""Which files an artifact serves: taken from what the recorder wrote, removed when the artifact is deleted."""

from __future__ import annotations

from pathlib import Path

from rtms_simulator.recall.recorder.values import ArtifactFile, RecordingResult
from rtms_simulator.recall.records.workspace import Artifact, Recording

COMPANIONS = {"participant_events": ("speaker_timeline", "participants"), "transcript": ("provider_data",)}
"""Files that the recorder writes beside an artifact's own and that Recall serves as part of it."""


def written_file(artifact: Artifact, result: RecordingResult) -> ArtifactFile | None:
    """What the recorder wrote for an artifact in its format; None if it wrote nothing that can be served."""
    written = result.artifacts.get(f"{artifact.kind}_{artifact.format}") or result.artifacts.get(artifact.kind)
    usable = written is not None and written.status != "failed" and result.status != "empty" and written.format == artifact.format
    return written if usable else None


def failure_of(artifact: Artifact, result: RecordingResult) -> str | None:
    """The recorder's own reason why an artifact failed, if it gave one."""
    written = result.artifacts.get(f"{artifact.kind}_{artifact.format}") or result.artifacts.get(artifact.kind)
    return (written.sub_code if written else None) or result.sub_code


def take_files(artifact: Artifact, written: ArtifactFile, result: RecordingResult) -> None:
    """Serve from now on what was written for the artifact, with what belongs to it."""
    artifact.meta = {**artifact.meta, **written.meta}
    artifact.parts = written.parts
    artifact.files = {part.path.name: part.path for part in written.parts}
    if written.path is not None:
        artifact.files[f"{artifact.kind}{written.path.suffix}"] = written.path
    for companion in COMPANIONS.get(artifact.kind, ()):
        beside = result.artifacts.get(companion)
        if beside is not None and beside.path is not None:
            artifact.files[f"{companion}{beside.path.suffix}"] = beside.path


def remove_files(artifact: Artifact, keep: Path | None) -> None:
    """Erase what the artifact serves, except `keep`, of which another artifact may still be made."""
    for path in artifact.files.values():
        if path != keep:
            path.unlink(missing_ok=True)
    artifact.files, artifact.parts = {}, ()


def remove_unserved(recording: Recording, result: RecordingResult) -> None:
    """Erase files of artifacts that were deleted while they were being made."""
    served = {path for artifact in recording.artifacts for path in artifact.files.values()} | {recording.spoken}
    for written in result.artifacts.values():
        for path in (written.path, *(part.path for part in written.parts)):
            if path is not None and path not in served:
                path.unlink(missing_ok=True)
