"""Runs one meeting end to end: its recording is compared with the source, or deleted, or rightly never made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import av
import msgspec
from msgspec import UNSET, UnsetType

from rtms_simulator.clock import Clock
from rtms_simulator.control.run_summary import (
    Comparison,
    RunFile,
    RunIds,
    RunSummary,
    RunTimes,
    RunWebhook,
    SamplesCompared,
    TranscriptCompared,
    UnrecordedIds,
    UnrecordedRun,
    UnrecordedTimes,
)
from rtms_simulator.errors import RecordingLostError
from rtms_simulator.kit.control.fakes import Place
from rtms_simulator.kit.control.invariants import judge_faults
from rtms_simulator.kit.control.switches import switched
from rtms_simulator.kit.play import ResolvedPlay, perform
from rtms_simulator.kit.worker_answers import HandOffDetail, HandOffRow
from rtms_simulator.kit.worker_client import Downloaded, Recordings
from rtms_simulator.scenario import Scenario
from rtms_simulator.scenario.actions import Outcome
from rtms_simulator.zoom import MeetingReport, StreamReport
from rtms_simulator.zoom.media import MediaSource

SAMPLE_RATE = 16_000
PATIENCE_S = 60.0
"""How long the recording may take after the meeting's end, in real seconds."""

_LOOK_EVERY_S = 0.1
NEVER_HANDED_ON = ("failed", "expired", "cancelled")
_HOPELESS = ("none_made", "failed", "forgotten")


@dataclass(frozen=True, slots=True)
class RunStep:
    """Something that happened, in milliseconds since the meeting's start."""

    at_ms: int
    what: str


async def run(
    place: Place,
    play: ResolvedPlay,
    into: Path,
    *,
    real_time: Clock,
    on_step: Callable[[RunStep], None] = lambda _step: None,
    expected: Outcome | None = None,
) -> RunSummary | UnrecordedRun:
    """Play the one meeting of `play` in `place` and download every artifact into the directory `into`.

    `expected`: how it should end; by default as its scenario says. Returns the summary that `rtmskit demo --json` prints. Raises
    RecordingLostError for another end, or WorkerError.
    """
    expected = expected or play.scenario.outcome
    with switched(place.fakes, play.scenario.switches):
        [(scenario, source)] = play.meetings(place.zoom.switches)
    client = Recordings(place.worker_url, place.run_secret)
    try:
        # Whether the records can be read is better known before anybody meets.
        async for _ in client.every():
            break
        validation = await place.zoom.validate(place.webhook_url)
        if not validation.ok:
            raise RecordingLostError(f"the webhook did not pass Zoom's URL validation: {validation.problem}")
        on_step(RunStep(0, "the webhook passed Zoom's URL validation"))
        [report] = await perform(
            place.zoom,
            play,
            place.webhook_url,
            real_time=real_time,
            on_note=lambda _number, ms, what: on_step(RunStep(ms, what)),
            life=place.fakes.life,
        )
        stream = played(report, expected)
        if expected != "recorded":
            row = await _ended_without(client, stream, expected, real_time)
            return _without_recording(place, report, stream, row, expected)
        record = await _settled(client, stream, real_time)
        on_step(RunStep(place.clock.now_ms() - report.started_ms, "the recording is done"))
        files = {name: await client.download(record.id, name, into / name, named=False) for name in sorted(_linked(record))}
    finally:
        await client.aclose()
    on_step(RunStep(place.clock.now_ms() - report.started_ms, f"{len(files)} artifacts are downloaded"))
    return _summary(place, report, stream, record, files, compared(scenario, source, files))


def _all_acted(place: Place, report: MeetingReport) -> None:
    """Raises RecordingLostError for a fault of the meeting, or one that is armed, that never acted or changed nothing."""
    problems = judge_faults(place.fakes.faults.listed(), report.deliveries, [report])
    if problems:
        raise RecordingLostError(problems[0].what)


def played(report: MeetingReport, expected: Outcome = "recorded") -> StreamReport:
    """The one stream of a meeting that was announced, and joined or not, as is expected. Raises RecordingLostError."""
    if len(report.streams) != 1:
        raise RecordingLostError(f"the meeting had {len(report.streams)} streams, one is followed here (`rtmskit meeting play` shows more)")
    [stream] = report.streams
    for delivery in report.deliveries:
        if delivery.outcome != "delivered":
            raise RecordingLostError(f"{delivery.event.name} was not delivered: {delivery.outcome}, status {delivery.status}")
    if stream.joined_ms is None and expected != "not-joined":
        raise RecordingLostError(f"nobody joined stream {stream.stream_id}")
    if stream.joined_ms is not None and expected == "not-joined":
        raise RecordingLostError(f"stream {stream.stream_id} was joined after {stream.joined_ms} ms, and nobody was to join it")
    return stream


async def _ended_without(client: Recordings, stream: StreamReport, expected: Outcome, real_time: Clock) -> HandOffRow:
    """The hand-off of the stream once the worker knows that nobody joined, or has deleted all of it. Raises RecordingLostError."""
    deadline = real_time.now() + PATIENCE_S
    last = "no hand-off is recorded"
    while real_time.now() < deadline:
        # By the stream's id: a tombstone has no other.
        async for row in client.every({"stream": stream.stream_id}):
            last = f"the hand-off is {row.state}, its recording {row.retrieval}"
            if row.retrieval == "done":
                raise RecordingLostError(f"the meeting was recorded, but it should end {expected}")
            ends = {"deleted": row.retrieval == "forgotten", "not-joined": bool(row.not_joined) or row.state in NEVER_HANDED_ON}
            if ends[expected]:
                return row
        await real_time.sleep(_LOOK_EVERY_S)
    raise RecordingLostError(f"the meeting should end {expected}, and within {PATIENCE_S:.0f} s it did not: {last}")


def _without_recording(place: Place, report: MeetingReport, stream: StreamReport, row: HandOffRow, expected: Outcome) -> UnrecordedRun:
    """Of a meeting that rightly has none. `ok`: nothing of it is left at Recall either."""
    space = place.recall.workspace
    _all_acted(place, report)
    ours = {mdc.id for mdc in space.mdcs.values() if mdc.stream_id == stream.stream_id}
    left = [one.id for one in space.recordings.values() if one.mdc_id in ours and one.status.code not in ("deleted", "failed")]
    assert expected != "recorded"
    return UnrecordedRun(
        scenario=report.scenario,
        speed=report.speed,
        state_url=place.state_url,
        seed=place.seed,
        outcome=expected,
        ids=UnrecordedIds(meeting_uuid=report.entity_id, rtms_stream_id=stream.stream_id, handoff=row.id),
        timeline_ms=UnrecordedTimes(started=0, joined=stream.joined_ms, stopped=stream.ended_ms),
        webhooks=_webhooks(report),
        stop_reason=stream.stop_reason,
        handoff=row.state,
        recording=row.retrieval,
        reason=row.cause,
        left_at_recall=left,
        ok=not left,
    )


def _webhooks(report: MeetingReport) -> list[RunWebhook]:
    return [
        RunWebhook(event=delivery.event.name, status=delivery.status, ms=round(delivery.attempts[-1].latency_s * 1000, 1))
        for delivery in report.deliveries
    ]


async def _settled(client: Recordings, stream: StreamReport, real_time: Clock) -> HandOffDetail:
    """The hand-off of the stream once its recording is done, whole and with links."""
    deadline = real_time.now() + PATIENCE_S
    last = "no hand-off is recorded"
    while real_time.now() < deadline:
        async for row in client.every({"stream": stream.stream_id}):
            last = f"the hand-off is {row.state}, its recording {row.retrieval} {row.retrieval_reason}".rstrip()
            if row.retrieval == "done":
                return await client.one(row.id)
            if row.state in NEVER_HANDED_ON or row.retrieval in _HOPELESS:
                raise RecordingLostError(f"{last}: {row.reason}".rstrip(": "))
        await real_time.sleep(_LOOK_EVERY_S)
    raise RecordingLostError(f"no recording within {PATIENCE_S:.0f} s: {last}")


def _linked(record: HandOffDetail) -> list[str]:
    """The names of what can be downloaded."""
    if record.links_error:
        raise RecordingLostError(f"there are no links: {record.links_error}")
    [links] = record.links.values()
    return [name for name, url in links.items() if url]


def _summary(
    place: Place, report: MeetingReport, stream: StreamReport, record: HandOffDetail, files: dict[str, Downloaded], same: Comparison
) -> RunSummary:
    _all_acted(place, report)
    artifacts = {name: _artifact(file) for name, file in files.items()}
    [recording] = record.recordings
    return RunSummary(
        scenario=report.scenario,
        speed=report.speed,
        state_url=place.state_url,
        seed=place.seed,
        ids=RunIds(
            meeting_uuid=report.entity_id,
            rtms_stream_id=stream.stream_id,
            handoff=record.id,
            meeting_direct_connect=record.mdc_id,
            recording=recording.id,
            artifacts={name: artifact.id for name, artifact in recording.artifacts.items()},
        ),
        timeline_ms=_times(report, stream, record, place.clock.now_ms()),
        webhooks=_webhooks(report),
        posts=record.attempts,
        recording=artifacts.get("video_mixed") or artifacts["audio_mixed"],
        artifacts=artifacts,
        ok=same.ok,
        samples=same.samples,
        transcript=same.transcript,
    )


def _times(report: MeetingReport, stream: StreamReport, record: HandOffDetail, now_ms: int) -> RunTimes:
    """The run is over: each of its steps has a time."""
    [recording] = record.recordings
    started = next(delivery for delivery in report.deliveries if delivery.event.name.endswith("rtms_started"))
    acked = started.attempts[-1].at + started.attempts[-1].latency_s
    done = datetime.fromisoformat(recording.updated_at).timestamp()
    assert stream.joined_ms is not None
    assert stream.ended_ms is not None
    return RunTimes(
        started=0,
        acked=round(acked * 1000) - report.started_ms,
        accepted=(record.accepted_at or 0) - report.started_ms,
        joined=stream.joined_ms,
        stopped=stream.ended_ms,
        recorded=round(done * 1000) - report.started_ms,
        downloaded=now_ms - report.started_ms,
    )


def _artifact(file: Downloaded) -> RunFile:
    duration_s: float | UnsetType = UNSET
    if file.content_type == "video/mp4":
        with av.open(str(file.path)) as film:
            duration_s = round((film.duration or 0) / av.time_base, 3)
    return RunFile(path=str(file.path), bytes=file.size, sha256=file.sha256, content_type=file.content_type, duration_s=duration_s)


def compared(scenario: Scenario, source: MediaSource, files: dict[str, Downloaded]) -> Comparison:
    """What was recorded against what was played: every sample of the mixed sound, every sentence. `ok` is whether all of it is the same.

    Raises RecordingLostError if one of the two is missing.
    """
    missing = {"audio_mixed", "transcript"} - set(files)
    if missing:
        raise RecordingLostError(f"Recall did not deliver {' and '.join(sorted(missing))}")
    digest = hashlib.sha256()
    count = 0
    with files["audio_mixed"].path.open("rb") as recorded:
        equal = True
        for samples in source.mixed_samples(SAMPLE_RATE):
            raw = samples.astype("<i2").tobytes()
            digest.update(raw)
            count += len(samples)
            equal = equal and recorded.read(len(raw)) == raw
        equal = equal and recorded.read(1) == b""
    utterances = [(utterance.who.name, " ".join(utterance.text.split())) for utterance in scenario.utterances()]
    rows = msgspec.json.decode(files["transcript"].path.read_bytes())
    heard = [(row["participant"]["name"], " ".join(word["text"] for word in row["words"])) for row in rows]
    return Comparison(
        ok=equal and heard == utterances,
        samples=SamplesCompared(count=count, duration_s=count / SAMPLE_RATE, played_sha256=digest.hexdigest(), equal=equal),
        transcript=TranscriptCompared(utterances=len(heard), equal=heard == utterances),
    )
