"""The life of MDCs and recordings: who records, what becomes visible when, what is announced, kept and erased.

Facts come from the recorder, the clock and requests; recall/records/tables.py says what they change. A step may be held back by the
`progression` switch; webhooks are sent when a step becomes visible, so that they never tell more than the API.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from rtms_simulator.clock import Clock
from rtms_simulator.recall.http.render import webhook_body
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
from rtms_simulator.recall.records import tables as machine
from rtms_simulator.recall.records.workspace import Artifact, Mdc, RealtimeEndpoint, Recording, Status, Workspace
from rtms_simulator.recall.switches import RecallSwitches
from rtms_simulator.recall.webhooks.realtime import NEVER_SENT, RealtimeSender, payloads
from rtms_simulator.recall.webhooks.sender import Webhooks
from rtms_simulator.timers import Timers

_log = logging.getLogger(__name__)
_LAST_MOMENT = 253_402_300_799.0  # 9999-12-31T23:59:59Z, beyond which no date can be written
_COMPANIONS = {"participant_events": ("speaker_timeline", "participants"), "transcript": ("provider_data",)}
"""Files that the recorder writes beside an artifact's own and that Recall serves as part of it."""


class RunsRecording(Protocol):
    """What a recorder offers (see rtms_simulator.recall.recorder.recorder.Recorder)."""

    async def run(self) -> RecordingResult: ...

    async def displace(self) -> None: ...


RecorderFactory = Callable[[Clock, StreamRequest, RecordingConfig, Path, Callable[[RecorderEvent], None]], RunsRecording]


def stream_signature(client_id: str, client_secret: str, meeting_uuid: str, stream_id: str) -> str:
    """The `zoom_rtms.signature` that Zoom would accept (reference A2)."""
    message = f"{client_id},{meeting_uuid},{stream_id}".encode("utf-8", "surrogatepass")
    return hmac.new(client_secret.encode(), message, hashlib.sha256).hexdigest()


class Lifecycle:
    """Everything of a workspace that happens without a request asking for it."""

    def __init__(
        self,
        clock: Clock,
        workspace: Workspace,
        webhooks: Webhooks,
        switches: Callable[[], RecallSwitches],
        recorder_factory: RecorderFactory,
        data_dir: Path,
        zoom_client: tuple[str, str] | None,
    ) -> None:
        self._clock = clock
        self._workspace = workspace
        self._webhooks = webhooks
        self._switches = switches
        self._recorder_factory = recorder_factory
        self._data_dir = data_dir
        self._zoom_client = zoom_client
        self._recorders: dict[str, RunsRecording] = {}
        self._senders: dict[str, list[RealtimeSender]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.timers = Timers(clock)

    # ------------------------------------------------------------------------------------------ create

    def create(self, body: Mapping[str, Any]) -> Mdc:
        """A new MDC from a validated body. The recorder is started, but nothing is known yet of how it will fare."""
        now = self._clock.now()
        started = Status(machine.INITIAL["mdc"], now)
        mdc = Mdc(self._workspace.next_seq(), self._workspace.new_id(), now, started, body, changes=[started])
        self._workspace.mdcs[mdc.id] = mdc
        rtms = body.get("zoom_rtms")
        mode = self._switches().recordings
        if mode != "never":
            mdc.recording = self._new_recording(mdc)
        if mode == "at_once":
            self._show(mdc)
        if rtms is None:
            self._later(mdc, RecordingResult("failed", machine.GOOGLE_MEET))
        elif not self._signature_fits(rtms):
            self._later(mdc, RecordingResult("failed", machine.WRONG_SIGNATURE), self._switches().signature_check_s)
        else:
            self._displace_others(mdc)
            self._record(mdc, StreamRequest(rtms["meeting_uuid"], rtms["rtms_stream_id"], rtms["server_urls"], rtms["signature"]))
        return mdc

    def _signature_fits(self, rtms: Mapping[str, Any]) -> bool:
        if self._zoom_client is None:
            return True
        expected = stream_signature(*self._zoom_client, rtms["meeting_uuid"], rtms["rtms_stream_id"])
        return hmac.compare_digest(expected.encode(), rtms["signature"].encode("utf-8", "surrogatepass"))

    def _new_recording(self, mdc: Mdc) -> Recording:
        space, now = self._workspace, self._clock.now()
        config = mdc.body.get("recording_config") or {}
        identity = space.new_id()
        retention = config["retention"] or {"type": "none"} if "retention" in config else None
        planted = config.get("metadata") if self._switches().recording_metadata == "copied" else None
        recording = Recording(
            space.next_seq(),
            identity,
            mdc.id,
            now,
            Status(machine.INITIAL["recording"], now),
            dict(planted or {}),
            self._data_dir / identity,
            retention,
        )
        for kind, form, given in self._wanted(config):
            artifact = Artifact(
                space.next_seq(), space.new_id(), kind, identity, now, Status(machine.INITIAL["artifact"], now), format=form
            )
            artifact.metadata = dict((given or {}).get("metadata") or {})
            if kind == "transcript":
                artifact.provider, artifact.diarization = self._reported_provider(given["provider"]), given.get("diarization")
            if kind == "meeting_metadata":
                artifact.meta = {"meeting_uuid": (mdc.body.get("zoom_rtms") or {}).get("meeting_uuid")}
            recording.artifacts.append(artifact)
        for given in config.get("realtime_endpoints") or ():
            endpoint = RealtimeEndpoint(
                space.next_seq(),
                space.new_id(),
                identity,
                now,
                Status(machine.INITIAL["realtime_endpoint"], now),
                given["type"],
                given["url"],
                tuple(given["events"]),
                dict(given.get("metadata") or {}),
            )
            recording.endpoints.append(endpoint)
        return recording

    def _wanted(self, config: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
        """(kind, format, its entry in recording_config) of every artifact the recording is to have."""
        wanted = self._config(config)
        found: list[tuple[str, str, Any]] = []
        if wanted.video_mixed:
            found.append(("video_mixed", "mp4", config.get("video_mixed_mp4")))
        for kind, formats in (("audio_mixed", wanted.audio_mixed), ("audio_separate", wanted.audio_separate)):
            found += [(kind, form, config.get(f"{kind}_{form}")) for form in formats]
        if wanted.video_separate:
            found.append(("video_separate", "mp4", config.get("video_separate_mp4")))
        if wanted.transcript:
            found.append(("transcript", "json", config.get("transcript")))
        for kind, asked in (("participant_events", wanted.participant_events), ("meeting_metadata", wanted.meeting_metadata)):
            if asked:
                found.append((kind, "json", config.get(kind)))
        return found

    def _config(self, config: Mapping[str, Any] | None) -> RecordingConfig:
        return RecordingConfig.from_json(config, defaults=self._switches().defaults == "create_bot")

    def _reported_provider(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"zoom_rtms": {}} if "meeting_captions" in asked and self._switches().captions_provider else dict(asked)

    def _show(self, mdc: Mdc) -> None:
        """The recording and what belongs to it become resources of their own."""
        recording = mdc.recording
        if recording is None or recording.id in self._workspace.recordings:
            return
        mdc.shown = True
        self._workspace.recordings[recording.id] = recording
        self._workspace.artifacts.update((artifact.id, artifact) for artifact in recording.artifacts)
        self._workspace.endpoints.update((endpoint.id, endpoint) for endpoint in recording.endpoints)

    # ------------------------------------------------------------------------------------------ record

    def _displace_others(self, mdc: Mdc) -> None:
        for identity, recorder in self._recorders.items():
            other = self._workspace.mdcs[identity]
            if other.stream_id == mdc.stream_id:
                self._spawn(recorder.displace())
                other.left_for = machine.DISPLACED

    def _record(self, mdc: Mdc, request: StreamRequest) -> None:
        # The transcript is always recorded, so that create_transcript has something to be made of.
        config = replace(self._config(mdc.body.get("recording_config")), transcript=True)
        directory = self.directory(mdc)
        recorder = self._recorder_factory(self._clock, request, config, directory, lambda event: self._on_event(mdc, event))
        self._recorders[mdc.id] = recorder
        self._spawn(self._run(mdc, recorder, directory))

    def directory(self, mdc: Mdc) -> Path:
        """Where the recorder of an MDC writes."""
        return mdc.recording.directory if mdc.recording is not None else self._data_dir / mdc.id

    async def _run(self, mdc: Mdc, recorder: RunsRecording, directory: Path) -> None:
        try:
            _make(directory)
            result = await recorder.run()
        except Exception:  # noqa: BLE001 - a crash of the recorder is an end like any other, for the API
            _log.exception("the recorder of %s crashed", mdc.id)
            result = RecordingResult("failed", machine.RECORDER_CRASHED)
        finally:
            self._recorders.pop(mdc.id, None)
        if mdc.recording is not None and mdc.recording.status.code == "deleted":
            self._erase(mdc.recording)
        self._later(mdc, result)

    def _on_event(self, mdc: Mdc, event: RecorderEvent) -> None:
        if isinstance(event, Joined):
            self._start_senders(mdc)
            self._step(mdc, lambda: self._joined(mdc))
        elif isinstance(event, FirstPacket):
            self._step(mdc, lambda: self._started(mdc, event.at))
        elif isinstance(event, Paused):
            self._step(mdc, lambda: self._recording_fact(mdc, "paused", announce="recording.paused"))
        elif isinstance(event, Resumed):
            self._step(mdc, lambda: self._recording_fact(mdc, "resumed", announce="recording.processing"))
        else:
            for name, kind, inner in payloads(event) if self._senders.get(mdc.id) else ():
                for sender in self._senders[mdc.id]:
                    sender.offer(name, kind, inner)

    def _later(self, mdc: Mdc, result: RecordingResult, seconds: float = 0.0) -> None:
        """The end comes through the agenda, so that even an end at once comes after the 201."""
        for sender in self._senders.pop(mdc.id, ()):
            sender.finish()
        self.timers.at(self._clock.now() + seconds, lambda: self._step(mdc, lambda: self._ended(mdc, result)))

    # ------------------------------------------------------------------------------------------ become visible

    def _step(self, mdc: Mdc, step: Callable[[], None]) -> None:
        progression = self._switches().progression
        if progression.kind == "immediate" and not mdc.waiting:
            step()
            return
        mdc.waiting.append(step)
        if progression.kind == "timed":
            self.timers.at(self._clock.now() + progression.seconds, lambda: self._release(mdc))

    def _release(self, mdc: Mdc) -> None:
        if mdc.waiting:
            mdc.waiting.popleft()()

    def polled(self, mdc: Mdc) -> None:
        """Somebody retrieved the MDC or its recording; under the `polls` progression that is what time is."""
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

    def _joined(self, mdc: Mdc) -> None:
        self._mdc_fact(mdc, "joined")
        self._show(mdc)

    def _started(self, mdc: Mdc, at: float) -> None:
        self._show(mdc)
        recording = mdc.recording
        if recording is None or recording.status.code == "deleted":
            return
        recording.started_at = at
        self._announce_start(mdc, recording)

    def _announce_start(self, mdc: Mdc, recording: Recording) -> None:
        if recording.announced:
            return
        recording.announced = True
        self._emit_recording(mdc, "recording.processing")
        for artifact in recording.artifacts:
            self._emit_artifact(mdc, artifact)

    def _ended(self, mdc: Mdc, result: RecordingResult) -> None:
        displaced = mdc.left_for == machine.DISPLACED and self._switches().displaced == "failed"
        failed = result.status == "failed" or displaced
        sub_code = mdc.left_for or result.sub_code
        result = replace(result, sub_code=sub_code)
        self._mdc_fact(mdc, "failed" if failed else "ended", sub_code)
        recording = mdc.recording
        if recording is None or not (mdc.shown or result.started_at is not None or result.status != "failed"):
            # It never came to a recording, or the switch says that none is to be seen.
            shutil.rmtree(self.directory(mdc), ignore_errors=True)
            mdc.recording = None
            return
        self._show(mdc)
        if recording.status.code == "deleted":
            return
        if result.started_at is not None:
            recording.started_at = result.started_at
            self._announce_start(mdc, recording)
        now = self._clock.now()
        recording.completed_at = result.completed_at or now
        spoken = result.artifacts.get("transcript")
        recording.spoken = spoken.path if spoken is not None and spoken.status == "done" else None
        empty = result.status == "empty"
        filled = [artifact for artifact in recording.artifacts if artifact.status.code == "processing"]
        for artifact in filled:
            self._fill(artifact, result)
        _discard_unserved(recording, result)
        announcements: list[Callable[[], None]] = [partial(self._emit_artifact, mdc, artifact) for artifact in filled]
        fact, event = ("failed", "recording.failed") if failed or empty else ("ended", "recording.done")
        reason = sub_code or (machine.NOTHING_RECEIVED if empty else None)
        place = 0 if self._switches().swap_done else len(announcements)
        announcements.insert(place, partial(self._recording_fact, mdc, fact, reason, announce=event))
        for endpoint in recording.endpoints if not mdc.streaming else ():
            endpoint.status = Status(machine.step("realtime_endpoint", endpoint.status.code, "ended"), now)
        for announce in announcements:
            announce()
        self._keep_for(recording, now)

    def _fill(self, artifact: Artifact, result: RecordingResult) -> None:
        """An artifact gets its files, or fails alone."""
        written = result.artifacts.get(f"{artifact.kind}_{artifact.format}") or result.artifacts.get(artifact.kind)
        if written is None or written.status == "failed" or result.status == "empty" or written.format != artifact.format:
            self._artifact_fact(artifact, "failed", (written.sub_code if written else None) or result.sub_code or machine.NOT_WRITTEN)
            return
        artifact.meta = {**artifact.meta, **written.meta}
        artifact.parts = written.parts
        artifact.files = {part.path.name: part.path for part in written.parts}
        if written.path is not None:
            artifact.files[f"{artifact.kind}{written.path.suffix}"] = written.path
        for companion in _COMPANIONS.get(artifact.kind, ()):
            beside = result.artifacts.get(companion)
            if beside is not None and beside.path is not None:
                artifact.files[f"{companion}{beside.path.suffix}"] = beside.path
        self._artifact_fact(artifact, "ended", written.sub_code)

    # ------------------------------------------------------------------------------------------ keep and erase

    def _keep_for(self, recording: Recording, now: float) -> None:
        retention = recording.retention
        hours = self._switches().retention_hours
        if retention is not None:
            asked = min(retention.get("hours", 168), _LAST_MOMENT / 3600.0)
            hours = {"timed": asked, "forever": None, "none": 0.0}[retention["type"]]
        if hours is not None:
            recording.expires_at = min(now + hours * 3600.0, _LAST_MOMENT)
            self.timers.at(recording.expires_at, lambda: self.delete_recording(recording))

    def delete_recording(self, recording: Recording) -> None:
        """Erase the media; the recording stays as `deleted` with its metadata. Doing it twice changes nothing.

        A recorder at work is stopped, and what it has written goes when it has.
        """
        if recording.status.code == "deleted":
            return
        mdc = self._workspace.mdcs[recording.mdc_id]
        recorder = self._recorders.get(mdc.id)
        if recorder is not None:
            mdc.left_for = mdc.left_for or machine.DELETED_MEANWHILE
            self._spawn(recorder.displace())
        for artifact in recording.artifacts:
            self.delete_artifact(artifact)
        if recorder is None:
            self._erase(recording)
        self._recording_fact(mdc, "deleted", announce="recording.deleted")

    def delete_artifact(self, artifact: Artifact) -> None:
        """Erase one artifact's files and say so."""
        if artifact.status.code == "deleted":
            return
        kept = self._workspace.recordings[artifact.recording_id].spoken
        for path in artifact.files.values():
            if path != kept:
                path.unlink(missing_ok=True)
        artifact.files, artifact.parts = {}, ()
        self._artifact_fact(artifact, "deleted", None)
        self._emit_artifact(self._mdc_of(artifact), artifact)

    def _erase(self, recording: Recording) -> None:
        recording.spoken = None
        shutil.rmtree(recording.directory, ignore_errors=True)

    # ------------------------------------------------------------------------------------------ create_transcript

    def create_transcript(self, recording: Recording, body: Mapping[str, Any]) -> Artifact:
        """A transcript after the fact: what was said according to Zoom, under the provider that was asked for."""
        now = self._clock.now()
        space = self._workspace
        artifact = Artifact(space.next_seq(), space.new_id(), "transcript", recording.id, now, Status(machine.INITIAL["artifact"], now))
        artifact.metadata = dict(body.get("metadata") or {})
        artifact.provider, artifact.diarization = dict(body["provider"]), body.get("diarization")
        recording.artifacts.append(artifact)
        space.artifacts[artifact.id] = artifact
        self._emit_artifact(self._mdc_of(artifact), artifact)
        progression = self._switches().progression
        wait = progression.seconds if progression.kind == "timed" else 0.0
        self.timers.at(now + wait, lambda: self._transcribed(recording, artifact))
        return artifact

    def _transcribed(self, recording: Recording, artifact: Artifact) -> None:
        if artifact.status.code != "processing":
            return
        if recording.spoken is None:
            self._artifact_fact(artifact, "failed", machine.NO_TRANSCRIPT)
        else:
            copy = recording.directory / f"transcript-{artifact.id}.json"
            shutil.copyfile(recording.spoken, copy)
            artifact.files = {"transcript.json": copy}
            self._artifact_fact(artifact, "ended", None)
        self._emit_artifact(self._mdc_of(artifact), artifact)

    # ------------------------------------------------------------------------------------------ real-time endpoints

    def _start_senders(self, mdc: Mdc) -> None:
        recording = mdc.recording
        if recording is None or mdc.id in self._senders:
            return
        mdc.streaming = True
        switches = self._switches()
        self._senders[mdc.id] = [
            RealtimeSender(
                self._clock,
                self._webhooks,
                recording,
                endpoint,
                signed=switches.workspace_secret_exists,
                buffer=switches.realtime_buffer,
                on_end=lambda error, endpoint=endpoint: self._sender_ended(mdc, endpoint, error),
            )
            for endpoint in recording.endpoints
        ]
        for endpoint in recording.endpoints:
            self._emit_endpoint(mdc, endpoint)
            for event, why in NEVER_SENT.items():
                if event in endpoint.events:
                    _log.warning("real-time endpoint %s will not get %s: %s", endpoint.id, event, why)
        for sender in self._senders[mdc.id]:
            self._spawn(sender.run())

    def _sender_ended(self, mdc: Mdc, endpoint: RealtimeEndpoint, error: tuple[str, str] | None) -> None:
        code = machine.step("realtime_endpoint", endpoint.status.code, "failed" if error else "ended")
        endpoint.status = Status(code, self._clock.now(), error[0] if error else None)
        self._emit_endpoint(mdc, endpoint, error)

    # ------------------------------------------------------------------------------------------ facts and announcements

    def _mdc_fact(self, mdc: Mdc, fact: str, sub_code: str | None = None) -> None:
        code = machine.step("mdc", mdc.status.code, fact)
        if code != mdc.status.code:
            mdc.status = Status(code, self._clock.now(), sub_code)
            mdc.changes.append(mdc.status)

    def _recording_fact(self, mdc: Mdc, fact: str, sub_code: str | None = None, *, announce: str) -> None:
        recording = mdc.recording
        if recording is None:
            return
        code = machine.step("recording", recording.status.code, fact)
        if code != recording.status.code:
            recording.status = Status(code, self._clock.now(), sub_code)
            self._emit_recording(mdc, announce)

    def _artifact_fact(self, artifact: Artifact, fact: str, sub_code: str | None) -> None:
        artifact.status = Status(machine.step("artifact", artifact.status.code, fact), self._clock.now(), sub_code)

    def _emit_recording(self, mdc: Mdc, event: str) -> None:
        if mdc.recording is not None:
            self._webhooks.emit(event, webhook_body(event, mdc.recording.status, mdc, mdc.recording, self._switches()))

    def _emit_artifact(self, mdc: Mdc, artifact: Artifact) -> None:
        recording = mdc.recording
        if recording is not None:
            event = f"{artifact.kind}.{artifact.status.code}"
            about = {artifact.kind: artifact}
            self._webhooks.emit(event, webhook_body(event, artifact.status, mdc, recording, self._switches(), about=about))

    def _emit_endpoint(self, mdc: Mdc, endpoint: RealtimeEndpoint, error: tuple[str, str] | None = None) -> None:
        recording = mdc.recording
        if recording is not None:
            event = f"realtime_endpoint.{endpoint.status.code}"
            about = {"realtime_endpoint": endpoint}
            reason = {"code": error[0], "message": error[1]} if error else None
            body = webhook_body(event, endpoint.status, mdc, recording, self._switches(), about=about, error=reason)
            self._webhooks.emit(event, body)

    def _mdc_of(self, artifact: Artifact) -> Mdc:
        return self._workspace.mdcs[self._workspace.recordings[artifact.recording_id].mdc_id]

    # ------------------------------------------------------------------------------------------ stop

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
            if self._tasks:
                await asyncio.wait(self._tasks)
            self.timers.settle()

    async def aclose(self) -> None:
        """Stop every recorder and sender at once; what they had is not announced."""
        self.timers.clear()
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._recorders.clear()
        self._senders.clear()
        self.timers.clear()

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _make(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)


def _discard_unserved(recording: Recording, result: RecordingResult) -> None:
    """Files of artifacts that were deleted while they were being made."""
    served = {path for artifact in recording.artifacts for path in artifact.files.values()} | {recording.spoken}
    for written in result.artifacts.values():
        for path in (written.path, *(part.path for part in written.parts)):
            if path is not None and path not in served:
                path.unlink(missing_ok=True)
