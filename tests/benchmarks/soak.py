"""`python -m tests.benchmarks.soak` (make soak): a long meeting at max speed; the recorder's memory stays small and flat.

The simulated Zoom plays in a process of its own, so that what is measured is the recorder: its resident memory, sampled while it records
audio, cameras, a shared screen and captions into an MP4, one more for each turn of each speaker, MP3 and raw sound, and the texts.

Flat means: a line through the samples after the first quarter rises by no more than FLAT_MIB_PER_HOUR for each hour of the meeting. A
meeting of less than an hour is all warming up, so there it may rise by WARMING_UP_MIB; what would be kept for each packet is looked for
in tests/unit/simulator/recall/recorder/test_memory.py, which writes many hours without encoding them.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import itertools
import json
import re
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import av
import httpx

from rtms_simulator.clock import Clock
from rtms_simulator.recall.recorder.recorder import Recorder
from rtms_simulator.recall.recorder.values import AudioChunk, RecorderEvent, RecordingConfig, RecordingResult, StreamRequest
from rtms_simulator.scenario import Action, Person, Scenario
from rtms_simulator.zoom import Zoom, ZoomApp

LIMIT_MIB = 300
FLAT_MIB_PER_HOUR = 1.0  # of the meeting
WARMING_UP_MIB = 16
# At max speed the reader sets the pace, not the clock; a slow clock keeps a busy machine from missing keep-alives.
CLOCK_RATE = 0.2
ID, SECRET = "soak", "a-client-secret"
TURN_S, SPOKEN_S = 12, 11
SHARE_EVERY_S, SHARE_S = 600, 120


def meeting(minutes: float, people: int) -> Scenario:
    """Everybody speaks in turn, all cameras are on, and every ten minutes somebody shares a screen for two."""
    persons = tuple(Person(16_778_240 + 1024 * index, f"Person {index + 1}") for index in range(people))
    length = minutes * 60
    timeline = [Action(0.0, "video_on", person.user_id) for person in persons]
    for number in itertools.count():
        start = number * TURN_S
        if start + SPOKEN_S >= length:
            break
        who = persons[number % people].user_id
        timeline.append(
            Action(start, "speak", who, {"until_s": float(start + SPOKEN_S), "text": f"This is turn {number}, and so it goes on."})
        )
        if start % SHARE_EVERY_S == 0:
            timeline.append(Action(start + 1.0, "share_start", who))
            if start + SHARE_S < length:
                timeline.append(Action(float(start + SHARE_S), "share_stop", who))
    return Scenario(name="soak", people=persons, timeline=tuple(timeline), duration_s=length)


@dataclass(frozen=True, slots=True)
class Sample:
    """The recorder's memory after so much wall time and so much of the meeting."""

    wall_s: float
    meeting_s: float
    rss_mib: float


@dataclass(frozen=True, slots=True)
class Soak:
    """What a run has shown."""

    result: RecordingResult
    samples: tuple[Sample, ...]
    video_s: float
    audio_s: float

    @property
    def peak_mib(self) -> float:
        return max(sample.rss_mib for sample in self.samples)

    @property
    def slope(self) -> float:
        """MiB for each hour of the meeting: of the line that fits the samples of its last three quarters best (least squares)."""
        begin = self.samples[-1].meeting_s / 4
        late = [sample for sample in self.samples if sample.meeting_s >= begin]
        if len({sample.meeting_s for sample in late}) < 2:
            return 0.0
        return 3600 * statistics.linear_regression([sample.meeting_s for sample in late], [sample.rss_mib for sample in late]).slope


def resident_mib() -> float:
    """This process's resident memory."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found.group(1)) / 1024 if found else 0.0


async def zoom(minutes: float, people: int) -> None:
    """The other process: hold the meeting, telling on stdout which stream is to be joined."""

    async def tell(request: httpx.Request) -> httpx.Response:
        message = json.loads(request.content)
        if message["event"] == "meeting.rtms_started":
            print(json.dumps(message["payload"]), flush=True)
        return httpx.Response(200)

    service = Zoom(Clock(rate=CLOCK_RATE), ZoomApp(ID, SECRET, "a-secret-token"), transport=httpx.MockTransport(tell))
    await service.start()
    await service.play(meeting(minutes, people), "http://soak.test/", speed="max")
    await service.aclose()


async def soak(minutes: float, people: int, directory: Path, *, every_s: float = 1.0, progress: bool = False) -> Soak:
    """Record such a meeting into `directory`, sampling this process's memory every so many seconds."""
    command = (sys.executable, "-m", "tests.benchmarks.soak", "--zoom", "--minutes", str(minutes), "--people", str(people))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    payload = json.loads(await process.stdout.readline())
    entity, stream = payload["meeting_uuid"], payload["rtms_stream_id"]
    signature = hmac.new(SECRET.encode(), f"{ID},{entity},{stream}".encode(), hashlib.sha256).hexdigest()
    reached = [0.0]

    def hear(event: RecorderEvent) -> None:
        if isinstance(event, AudioChunk):  # captions are far ahead at this speed
            reached[0] = event.relative

    config = RecordingConfig(audio_mixed=("mp3", "raw"), video_separate=True, transcript=True, live_audio_mixed=True)
    recorder = Recorder(Clock(rate=CLOCK_RATE), StreamRequest(entity, stream, payload["server_urls"], signature), config, directory, hear)
    running = asyncio.create_task(recorder.run())
    samples: list[Sample] = []
    began = time.monotonic()
    try:
        while not running.done():
            await asyncio.wait({running}, timeout=every_s)
            samples.append(Sample(time.monotonic() - began, reached[0], resident_mib()))
            if progress:
                print(f"{samples[-1].wall_s:8.1f} s   meeting at {reached[0] / 60:6.1f} min   {samples[-1].rss_mib:6.1f} MiB", flush=True)
        result = running.result()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
    path = result.artifacts["video_mixed"].path
    assert path is not None
    with av.open(str(path)) as container:
        video_s, audio_s = (float((stream.duration or 0) * (stream.time_base or 0)) for stream in container.streams)
    return Soak(result, tuple(samples), video_s, audio_s)


def main() -> None:
    """Run from the command line; exit code 1 when the memory is not small and flat, or the recording is not whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=240)
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--every", type=float, default=10, help="seconds between two looks at the memory")
    parser.add_argument("--zoom", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.zoom:
        asyncio.run(zoom(options.minutes, options.people))
        return
    directory = Path(tempfile.mkdtemp(prefix="rtmskit-soak-"))
    try:
        run = asyncio.run(soak(options.minutes, options.people, directory, every_s=options.every, progress=True))
    finally:
        shutil.rmtree(directory)
    allowed = FLAT_MIB_PER_HOUR if options.minutes >= 60 else WARMING_UP_MIB / (0.75 * options.minutes / 60)
    print(f"{run.result.status}, sub_code {run.result.sub_code}, {dict(run.result.counts)}")
    print(f"MP4: {run.video_s:.1f} s of video, {run.audio_s:.1f} s of audio, of {options.minutes * 60:.0f} s")
    print(f"peak {run.peak_mib:.1f} MiB (limit {LIMIT_MIB}), slope {run.slope:+.2f} MiB per hour of the meeting (allowed {allowed:.2f})")
    whole = run.result.sub_code is None and not run.result.counts.get("late") and min(run.video_s, run.audio_s) > options.minutes * 60 - 2
    sys.exit(0 if whole and run.peak_mib < LIMIT_MIB and run.slope <= allowed else 1)


if __name__ == "__main__":
    main()
