"""The lifecycle of MDCs and recordings: who records, what becomes visible when, what is announced, kept and erased.

Facts come from the recorder, the clock and requests; recall/records/tables.py says what they change. A step may be held back by the
`progression` switch; webhooks are sent when a step becomes visible, so that they never tell more than the API.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from rtms_simulator.clock import Clock
from rtms_simulator.recall.recorder.values import (
    FirstPacket,
    Joined,
    Paused,
    RecorderEvent,
    RecordingConfig,
    RecordingResult,
    Resumed,
    StreamRequest,
)
from rtms_simulator.recall.records import tables
from rtms_simulator.recall.records.changes import Changes
from rtms_simulator.recall.records.files import failure_of, remove_files, remove_unserved, take_files, written_file
from rtms_simulator.recall.records.live_endpoints import LiveEndpoints
from rtms_simulator.recall.records.new_recording import new_artifact, new_recording, recorder_config
from rtms_simulator.recall.records.retention import expires_at
from rtms_simulator.recall.records.workspace import Artifact, Mdc, Progress, Recording, Status, Workspace
from rtms_simulator.recall.switches import RecallSwitches
from rtms_simulator.recall.timers import Timers
from rtms_simulator.recall.webhooks.sender import Webhooks
from rtms_simulator.serving.background import BackgroundTasks

_log = logging.getLogger(__name__)


class RunsRecording(Protocol):
    """What a recorder offers (see rtms_simulator.recall.recorder.recorder.Recorder)."""

    async def run(self) -> RecordingResult: ...

    async def displace(self) -> None: ...


RecorderFactory = Callable[[Clock, StreamRequest, RecordingConfig, Path, Callable[[RecorderEvent], None]], RunsRecording]


def stream_signature(client_id: str, client_secret: str, meeting_uuid: str, stream_id: str) -> str:
    """The `zoom_rtms.signature` that Zoom would accept (Recall's page on Meeting Direct Connect for Zoom RTMS)."""
    message = f"{client_id},{meeting_uuid},{stream_id}".encode("utf-8", "surrogatepass")
    return hmac.new(client_secret.encode(), message, hashlib.sha256).hexdigest()


class Lifecycle:
    """Everything of a workspace that happens without a request.

    `recorder_factory` makes the recorder of each MDC; recordings are written below `data_dir`. `zoom_client`: client id and secret.
    """

    def __init__(
        self,
        clock: Clock,
        workspace: Workspace,
        webhooks: Webhooks,
        switches: Callable[[], RecallSwitches],
        *,
        recorder_factory: RecorderFactory,
        data_dir: Path,
        zoom_client: tuple[str, str] | None,
    ) -> None:
        self._clock = clock
        self._workspace = workspace
        self._switches = switches
        self._recorder_factory = recorder_factory
        self._data_dir = data_dir
        self._zoom_client = zoom_client
        self._recorders: dict[str, RunsRecording] = {}
        self._tasks = BackgroundTasks()
        self._changes = Changes(clock, webhooks, switches)
        self._live = LiveEndpoints(clock, webhooks, self._changes, switches, self._tasks)
        self.timers = Timers(clock)

    # Create

    def create(self, body: Mapping[str, Any]) -> Mdc:
        """A new MDC from a validated body. The recorder is started, but nothing is known yet of how it will fare."""
        now = self._clock.now()
        initial = Status(tables.INITIAL["mdc"], now)
        mdc = Mdc(self._workspace.next_seq(), self._workspace.new_id(), now, initial, body, changes=[initial])
        self._workspace.mdcs[mdc.id] = mdc
        rtms = body.get("zoom_rtms")
        mode = self._switches().recordings
        if mode != "never":
            mdc.recording = new_recording(self._workspace, mdc, self._switches(), self._data_dir, now)
            self._announce_expiry(mdc.recording)
        if mode == "at_once":
            self._show(mdc)
        if rtms is None:
            self._record(mdc, StreamRequest.of_space(body["google_meet_media_api"]["space_name"]))
        elif not self._signature_fits(rtms):
            self._end_later(mdc, RecordingResult("failed", tables.WRONG_SIGNATURE), self._switches().signature_check_s)
        else:
            self._displace_others(mdc)
            self._record(mdc, StreamRequest(rtms["meeting_uuid"], rtms["rtms_stream_id"], rtms["server_urls"], rtms["signature"]))
        return mdc

    def _announce_expiry(self, recording: Recording) -> None:
        """When the hours count from the creation, the end of the retention is known from then on."""
        switches = self._switches()
        if switches.retention_from == "created" and (recording.retention or {}).get("type") != "none":
            recording.expires_at = expires_at(
                recording.retention, switches.retention_hours, since=recording.created_at, ended=recording.created_at
            )

    def _signature_fits(self, rtms: Mapping[str, Any]) -> bool:
        if self._zoom_client is None:
            return True
        expected = stream_signature(*self._zoom_client, rtms["meeting_uuid"], rtms["rtms_stream_id"])
        return hmac.compare_digest(expected.encode(), rtms["signature"].encode("utf-8", "surrogatepass"))

    # Record

    def _displace_others(self, mdc: Mdc) -> None:
        for identity, recorder in self._recorders.items():
            other = self._workspace.mdcs[identity]
            if other.stream_id == mdc.stream_id:
                self._tasks.start(recorder.displace())
                other.left_for = tables.DISPLACED

    def _record(self, mdc: Mdc, request: StreamRequest) -> None:
        # The transcript is always recorded, so that create_transcript has something to be made of.
        config = replace(recorder_config(mdc.body, self._switches()), transcript=True)
        directory = self.directory(mdc)
        recorder = self._recorder_factory(self._clock, request, config, directory, lambda event: self._on_event(mdc, event))
        self._recorders[mdc.id] = recorder
        self._tasks.start(self._run(mdc, recorder, directory))

    def directory(self, mdc: Mdc) -> Path:
        """Where the recorder of an MDC writes."""
        return mdc.recording.directory if mdc.recording is not None else self._data_dir / mdc.id

    async def _run(self, mdc: Mdc, recorder: RunsRecording, directory: Path) -> None:
        try:
            _make(directory)
            result = await recorder.run()
        except Exception:  # noqa: BLE001 - a crash of the recorder is an end like any other, for the API
            _log.exception("the recorder of %s crashed", mdc.id)
            result = RecordingResult("failed", tables.RECORDER_CRASHED)
        finally:
            self._recorders.pop(mdc.id, None)
        if mdc.recording is not None and mdc.recording.status.code == "deleted":
            self._erase(mdc.recording)
        self._end_later(mdc, result)

    def _on_event(self, mdc: Mdc, event: RecorderEvent) -> None:
        if isinstance(event, Joined):
            self._live.start(mdc)
        if isinstance(event, Joined | FirstPacket | Paused | Resumed):
            self._progress(mdc, event)
        else:
            self._live.offer(mdc, event)

    def _end_later(self, mdc: Mdc, result: RecordingResult, seconds: float = 0.0) -> None:
        """The end comes through the timers, so that even an end at once comes after the 201."""
        self._live.finish(mdc)
        self.timers.at(self._clock.now() + seconds, lambda: self._progress(mdc, result))

    # Become visible

    def _progress(self, mdc: Mdc, step: Progress) -> None:
        progression = self._switches().progression
        if progression.kind == "immediate" and not mdc.waiting:
            self._apply(mdc, step)
            return
        mdc.waiting.append(step)
        if progression.kind == "timed":
            self.timers.at(self._clock.now() + progression.seconds, lambda: self._release(mdc))

    def _release(self, mdc: Mdc) -> None:
        if mdc.waiting:
            self._apply(mdc, mdc.waiting.popleft())

    def polled(self, mdc: Mdc) -> None:
        """The MDC or its recording was retrieved; under the `polls` progression that is what time is."""
        progression = self._switches().progression
        if progression.kind == "polls":
            mdc.polls += 1
            if mdc.polls >= progression.polls and mdc.waiting:
                mdc.polls = 0
                self._release(mdc)
        else:
            # Left over from before the switch was changed.
            while progression.kind == "immediate" and mdc.waiting:
                self._release(mdc)

    def _apply(self, mdc: Mdc, step: Progress) -> None:
        recording = mdc.recording
        match step:
            case Joined():
                self._changes.of_mdc(mdc, "joined")
                self._show(mdc)
            case FirstPacket(at):
                self._started(mdc, at)
            case Paused() if recording is not None:
                self._changes.of_recording(mdc, recording, "paused", "recording.paused")
            case Resumed() if recording is not None:
                self._changes.of_recording(mdc, recording, "resumed", "recording.processing")
            case RecordingResult():
                self._ended(mdc, step)

    def _show(self, mdc: Mdc) -> None:
        """The recording and what belongs to it become resources of their own."""
        if mdc.recording is not None:
            self._workspace.recordings.setdefault(mdc.recording.id, mdc.recording)

    def _started(self, mdc: Mdc, at: float) -> None:
        self._show(mdc)
        recording = mdc.recording
        if recording is None or recording.status.code == "deleted":
            return
        recording.started_at = self._possible_start(recording, at)
        self._changes.announce_start(mdc, recording)

    def _possible_start(self, recording: Recording, at: float) -> float:
        """The moment of Zoom's first packet, unless it was sent before the create, or Zoom's clock is ahead of ours."""
        return min(self._clock.now(), max(recording.created_at, at))

    def _ended(self, mdc: Mdc, result: RecordingResult) -> None:
        displaced = mdc.left_for == tables.DISPLACED and self._switches().displaced == "failed"
        failed = result.status == "failed" or displaced
        result = replace(result, sub_code=mdc.left_for or result.sub_code)
        self._changes.of_mdc(mdc, "failed" if failed else "ended", result.sub_code)
        recording = mdc.recording
        visible = self._workspace.visible_recording(mdc) is not None
        if recording is None or not (visible or result.started_at is not None or result.status != "failed"):
            # It never came to a recording, or the switch says that none is to be seen.
            shutil.rmtree(self.directory(mdc), ignore_errors=True)
            mdc.recording = None
            return
        self._show(mdc)
        if recording.status.code != "deleted":
            self._complete(mdc, recording, result, failed=failed)

    def _complete(self, mdc: Mdc, recording: Recording, result: RecordingResult, *, failed: bool) -> None:
        """The recording gets its files and its final state, and every artifact its own."""
        if result.started_at is not None:
            recording.started_at = self._possible_start(recording, result.started_at)
            self._changes.announce_start(mdc, recording)
        now = self._clock.now()
        recording.completed_at = min(now, max(result.completed_at or now, recording.started_at or recording.created_at))
        spoken = result.artifacts.get("transcript")
        recording.spoken = spoken.path if spoken is not None and spoken.status == "done" else None
        artifacts = [artifact for artifact in recording.artifacts if artifact.status.code == "processing"]
        for artifact in artifacts:
            self._fill(artifact, result)
        remove_unserved(recording, result)
        for endpoint in () if mdc.streaming else recording.endpoints:
            self._changes.of_endpoint(endpoint, "ended")
        self._announce_end(mdc, recording, artifacts, result, failed=failed)
        self._keep(recording, now)

    def _keep(self, recording: Recording, ended: float) -> None:
        """From now on the recording is kept for as long as its retention says."""
        since = recording.created_at if self._switches().retention_from == "created" else ended
        recording.expires_at = expires_at(recording.retention, self._switches().retention_hours, since=since, ended=ended)
        if recording.expires_at is not None:
            self.timers.at(max(ended, recording.expires_at), lambda: self.delete_recording(recording))

    def _announce_end(self, mdc: Mdc, recording: Recording, artifacts: list[Artifact], result: RecordingResult, *, failed: bool) -> None:
        empty = result.status == "empty"
        fact, event = ("failed", "recording.failed") if failed or empty else ("ended", "recording.done")
        reason = result.sub_code or (tables.NOTHING_RECEIVED if empty else None)
        first = self._switches().swap_done
        if first:
            self._changes.of_recording(mdc, recording, fact, event, reason)
        for artifact in artifacts:
            self._changes.announce_artifact(mdc, recording, artifact)
        if not first:
            self._changes.of_recording(mdc, recording, fact, event, reason)

    def _fill(self, artifact: Artifact, result: RecordingResult) -> None:
        """An artifact gets its files, or fails alone."""
        written = written_file(artifact, result)
        if written is None:
            self._changes.of_artifact(artifact, "failed", failure_of(artifact, result) or tables.NOT_WRITTEN)
            return
        take_files(artifact, written, result)
        self._changes.of_artifact(artifact, "ended", written.sub_code)

    # Erase

    def delete_recording(self, recording: Recording) -> None:
        """Erase the media; the recording stays as `deleted` with its metadata. Doing it twice changes nothing.

        A recorder at work is stopped, and what it has written goes when it has.
        """
        if recording.status.code == "deleted":
            return
        mdc = self._workspace.mdcs[recording.mdc_id]
        recorder = self._recorders.get(mdc.id)
        if recorder is not None:
            mdc.left_for = mdc.left_for or tables.DELETED_MEANWHILE
            self._tasks.start(recorder.displace())
        for artifact in recording.artifacts:
            self.delete_artifact(artifact)
        if recorder is None:
            self._erase(recording)
        self._changes.of_recording(mdc, recording, "deleted", "recording.deleted")

    def delete_artifact(self, artifact: Artifact) -> None:
        """Erase one artifact's files and say so."""
        if artifact.status.code == "deleted":
            return
        recording = self._workspace.recordings[artifact.recording_id]
        remove_files(artifact, keep=recording.spoken)
        self._changes.of_artifact(artifact, "deleted")
        self._announce(recording, artifact)

    def _erase(self, recording: Recording) -> None:
        recording.spoken = None
        shutil.rmtree(recording.directory, ignore_errors=True)

    def _announce(self, recording: Recording, artifact: Artifact) -> None:
        self._changes.announce_artifact(self._workspace.mdcs[recording.mdc_id], recording, artifact)

    # create_transcript

    def create_transcript(self, recording: Recording, body: Mapping[str, Any]) -> Artifact:
        """A transcript after the fact: what was said according to Zoom, under the provider that was asked for."""
        now = self._clock.now()
        artifact = new_artifact(self._workspace, recording.id, "transcript", now, body.get("metadata"))
        artifact.provider, artifact.diarization = dict(body["provider"]), body.get("diarization")
        recording.artifacts.append(artifact)
        self._announce(recording, artifact)
        progression = self._switches().progression
        wait = progression.seconds if progression.kind == "timed" else 0.0
        self.timers.at(now + wait, lambda: self._transcribed(recording, artifact))
        return artifact

    def _transcribed(self, recording: Recording, artifact: Artifact) -> None:
        if artifact.status.code != "processing":
            return
        if recording.spoken is None:
            self._changes.of_artifact(artifact, "failed", tables.NO_TRANSCRIPT)
        else:
            copy = recording.directory / f"transcript-{artifact.id}.json"
            shutil.copyfile(recording.spoken, copy)
            artifact.files = {"transcript.json": copy}
            self._changes.of_artifact(artifact, "ended")
        self._announce(recording, artifact)

    # Stop

    @property
    def recording_now(self) -> int:
        """How many recorders are at work."""
        return len(self._recorders)

    @property
    def busy(self) -> bool:
        return bool(self._tasks or self.timers.imminent)

    async def drained(self) -> None:
        """Return once no recorder or real-time endpoint is at work and nothing is due at this moment."""
        while self.busy:
            await self._tasks.idle()
            self.timers.settle()

    async def aclose(self) -> None:
        """Stop every recorder and sender at once; what they had is not announced."""
        self.timers.clear()
        await self._tasks.aclose()
        self._recorders.clear()
        self._live.clear()
        self.timers.clear()


def _make(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
