"""A person's own recording as a meeting: sound and pictures from a media file, the script from a transcript.

Zoom's cloud recording exports are what this is for: `.mp4`, `.m4a`, `.vtt`, and the saved captions `.txt`.
"""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import webvtt
from av.error import FFmpegError
from PIL import Image
from webvtt.errors import MalformedCaptionError, MalformedFileError

from rtms_simulator.scenario.model import FIRST_USER_ID, Action, Person, Scenario, ScenarioError, Span, Utterance
from rtms_simulator.zoom.media.audio import Sweep
from rtms_simulator.zoom.media.speech import Samples
from rtms_simulator.zoom.media.video import Planes, Size, planes_of

MEDIA_SUFFIXES = (".mp4", ".m4a", ".wav", ".mp3")
TRANSCRIPT_SUFFIXES = (".vtt", ".srt", ".txt")

_SPEAKER = re.compile(r"([^\W_][^:<>\n]{0,63}):\s+(\S.*)", re.DOTALL)
_CAPTION_HEAD = re.compile(r"\[(?P<who>[^\]\n]+)\]\s+(?P<h>\d{1,2}):(?P<m>\d\d):(?P<s>\d\d)\s*")
_CHARACTERS_PER_S = 14
_SHORTEST_MS = 200
_GAP_MS = 100
_TOLERANT_METADATA: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
"""PyAV before 19 raises on metadata that is not UTF-8, unless told otherwise; from 19 on it never does and has no such parameter."""


class UnusableFile(ValueError):
    """A file of a person's own that cannot be played: names the file, what is wrong and what is supported."""

    def __init__(self, path: Path, problem: str, supported: tuple[str, ...]) -> None:
        self.path = path
        super().__init__(f"{path}: {problem} (supported: {', '.join(supported)})")


@dataclass(frozen=True, slots=True)
class Cue:
    """One line of a transcript; `speaker` is None when the file does not say."""

    start_ms: int
    end_ms: int
    speaker: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Recording:
    """What a media file holds."""

    path: Path
    duration_ms: int
    has_audio: bool
    has_video: bool


def read_recording(path: Path) -> Recording:
    """Look into a media file and decode its beginning. Raises UnusableFile."""
    _known(path, MEDIA_SUFFIXES)

    try:
        with _opened(path) as container:
            length_ms = (container.duration or 0) // 1000
        has_audio, has_video = (next(_frames(path, kind, 0), None) is not None for kind in ("audio", "video"))
    except (FFmpegError, OSError) as error:
        raise UnusableFile(path, f"cannot be decoded: {error}", MEDIA_SUFFIXES) from None
    if not (has_audio or has_video) or length_ms <= 0:
        raise UnusableFile(path, "no sound and no picture in it", MEDIA_SUFFIXES)
    return Recording(path, length_ms, has_audio, has_video)


def _opened(path: Path) -> av.container.InputContainer:
    return av.open(str(path), **_TOLERANT_METADATA)


def _frames(path: Path, kind: str, start_ms: int) -> Iterator[tuple[float, av.AudioFrame | av.VideoFrame]]:
    """The frames of the first stream of a kind with their moments in ms, from a little before `start_ms` on, without damaged ones."""
    with _opened(path) as container:
        stream = next((stream for stream in container.streams if stream.type == kind), None)
        if stream is None:
            return
        # Where the file's own time begins: an MP3 starts with its encoder's delay.
        origin_ms = (container.start_time or 0) / 1000
        if start_ms > 0:
            container.seek(round((origin_ms + start_ms) * 1000))
        packets = container.demux(stream)
        while True:
            try:
                decoded = next(packets).decode()
            except StopIteration:
                return
            except FFmpegError:
                continue
            for frame in decoded:
                if isinstance(frame, (av.AudioFrame, av.VideoFrame)) and frame.time is not None:
                    yield frame.time * 1000 - origin_ms, frame


def read_transcript(path: Path) -> tuple[Cue, ...]:
    """The cues of a WebVTT, SubRip or Zoom caption file, by start. Raises UnusableFile.

    A speaker comes from a voice tag (`<v Ada>`) or from Zoom's own `Ada Lovelace: text`.
    """
    suffix = _known(path, TRANSCRIPT_SUFFIXES)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableFile(path, f"cannot be read as UTF-8 text: {error}", TRANSCRIPT_SUFFIXES) from None
    try:
        cues = _captions(text) if suffix == ".txt" else _subtitles(text, suffix.removeprefix("."))
    except (MalformedFileError, MalformedCaptionError, ValueError) as error:
        raise UnusableFile(path, f"not a {suffix} transcript: {error or 'malformed'}", TRANSCRIPT_SUFFIXES) from None
    if not cues:
        raise UnusableFile(path, "no lines of speech in it", TRANSCRIPT_SUFFIXES)
    return tuple(sorted(cues, key=lambda cue: cue.start_ms))


def _subtitles(text: str, kind: str) -> list[Cue]:
    cues: list[Cue] = []
    for caption in webvtt.from_buffer(StringIO(text), format=kind, strict=True):
        start, end = (_milliseconds(moment) for moment in (caption.start, caption.end))
        said = " ".join(html.unescape(caption.text).split())
        speaker = caption.voice
        if speaker is None and (named := _SPEAKER.fullmatch(said)):
            speaker, said = named[1].strip(), named[2]
        if said:
            cues.append(Cue(start, max(end, start + _SHORTEST_MS), speaker, said))
    return cues


def _captions(text: str) -> list[Cue]:
    """Zoom's saved captions: `[Name] hh:mm:ss`, then the text.

    Inferred: a first time of an hour or more is the clock on the wall, so times count from the first line; else from the start.
    There are no ends: a line lasts as long as it takes to say, at most until the next one; lines of one second share it.
    """
    heads = list(_CAPTION_HEAD.finditer(text))
    if not heads or text[: heads[0].start()].strip():
        raise ValueError("expected lines of the form [Name] hh:mm:ss")
    seconds = [int(head["h"]) * 3600 + int(head["m"]) * 60 + int(head["s"]) for head in heads]
    origin = seconds[0] if seconds[0] >= 3600 else 0
    # Past midnight the clock on the wall starts again; captions a little out of order do not make a day.
    starts = list(
        itertools.accumulate((second - origin for second in seconds), lambda last, now: now if now > last - 43_200 else now + 86_400)
    )
    spoken = [
        " ".join(text[head.end() : after].split())
        for head, after in zip(heads, [head.start() for head in heads[1:]] + [len(text)], strict=True)
    ]
    cues: list[Cue] = []
    lines = sorted(zip(starts, heads, spoken, strict=True), key=lambda line: line[0])
    groups = [(start, list(group)) for start, group in itertools.groupby(lines, key=lambda line: line[0])]
    for number, (start, group) in enumerate(groups):
        room = (groups[number + 1][0] - start) * 1000 if number + 1 < len(groups) else 60_000
        share = room // len(group)
        for place, (_start, head, said) in enumerate(group):
            if said:
                begin = start * 1000 + place * share
                cues.append(Cue(begin, begin + min(share, max(1000, len(said) * 1000 // _CHARACTERS_PER_S)), head["who"].strip(), said))
    return cues


def cast(scenario: Scenario, recording: Recording | None, cues: tuple[Cue, ...]) -> Scenario:
    """The scenario with the speech of the files instead of its own.

    It lasts as long as the files. The speakers of the transcript are there from start to end with cameras on, a person of the same
    name keeps their user_id and language; without named speakers the scenario's first person says everything. What the scenario does
    otherwise (stop, fail_over, faults, shares and chat of people who are still there) stays if its time is within the new duration.
    """
    duration_ms = max(recording.duration_ms if recording else 0, max((cue.end_ms for cue in cues), default=0))
    known = {person.name.casefold(): person for person in scenario.people}
    names: dict[str, str] = {}
    for cue in cues:
        if cue.speaker is not None:
            names.setdefault(cue.speaker.casefold(), cue.speaker)
    free = (user_id for user_id in itertools.count(FIRST_USER_ID, 1024) if all(person.user_id != user_id for person in scenario.people))
    by_name = {key: known.get(key) or Person(next(free), name) for key, name in names.items()}
    people = tuple(by_name.values()) or scenario.people

    spoken: dict[int, list[Cue]] = {person.user_id: [] for person in people}
    for cue in cues or (Cue(0, duration_ms, None, ""),):
        own = spoken[(people[0] if cue.speaker is None else by_name[cue.speaker.casefold()]).user_id]
        busy_ms = own[-1].end_ms if own else 0
        if busy_ms < cue.end_ms:
            own.append(replace(cue, start_ms=max(cue.start_ms, busy_ms)))
        else:
            # Nobody speaks over themselves: what is left of this cue is its words.
            own[-1] = replace(own[-1], text=f"{own[-1].text} {cue.text}")
    speech = tuple(
        Action(cue.start_ms / 1000, "speak", user_id, {"until_s": cue.end_ms / 1000, "text": cue.text})
        for user_id, own in spoken.items()
        for cue in own
    )
    kept = tuple(
        action for action in _without(people, scenario.timeline) if action.kind not in _OVERRULED and action.at_s * 1000 <= duration_ms
    )
    cameras = tuple(Action(0.0, "video_on", person.user_id) for person in people)
    try:
        return replace(scenario, people=people, timeline=(*cameras, *speech, *kept), duration_s=duration_ms / 1000)
    except ScenarioError as error:
        raise ScenarioError(f"the files do not fit the scenario: {error.problem}", path=error.path, allowed=error.allowed) from None


def _without(people: tuple[Person, ...], timeline: tuple[Action, ...]) -> Iterator[Action]:
    """What does not need anybody who is not among the people: nobody acts who is away, is written to, or answered."""
    ids = {person.user_id for person in people}
    receivers = {"everyone", "hosts"} | {person.name for person in people}
    messages = {""}
    for action in timeline:
        if action.who is not None and action.who not in ids:
            continue
        if action.kind == "chat":
            if action.data["to"] not in receivers or action.data["reply_to"] not in messages:
                continue
            messages.add(action.data["id"])
        yield action


_OVERRULED = {"join", "leave", "eject", "speak", "video_on", "video_off", "end"}


class FileSound:
    """The sound of a media file; a participant's own sound is what is heard while the transcript says that they speak."""

    def __init__(self, recording: Recording, utterances: tuple[Utterance, ...], duration_ms: int) -> None:
        self._path = recording.path
        self._utterances = utterances
        self._duration_ms = duration_ms

    def samples(self, sample_rate: int, start_ms: int, block_ms: int) -> Iterator[tuple[Samples, Mapping[int, Samples]]]:
        per_ms = sample_rate // 1000
        sweep = Sweep(self._utterances)
        source = self._decoded(sample_rate, start_ms)
        kept = np.zeros(0, np.int16)
        for block_start in range(start_ms, self._duration_ms, block_ms):
            while len(kept) < block_ms * per_ms and (piece := next(source, None)) is not None:
                kept = np.concatenate((kept, piece))
            block, kept = kept[: block_ms * per_ms], kept[block_ms * per_ms :]
            block = np.pad(block, (0, block_ms * per_ms - len(block)))
            own: dict[int, Samples] = {}
            for utterance in sweep.between(block_start, block_start + block_ms):
                begin, end = max(utterance.start_ms - block_start, 0) * per_ms, (utterance.end_ms - block_start) * per_ms
                own.setdefault(utterance.who.user_id, np.zeros_like(block))[begin:end] = block[begin:end]
            yield block, own

    def _decoded(self, sample_rate: int, start_ms: int) -> Iterator[Samples]:
        """Mono samples from `start_ms` on, in pieces of the decoder's size; what is missing in the file is silent."""
        resampler = av.AudioResampler(format="s16", layout="mono", rate=sample_rate)
        made: int | None = None
        # A second early: compressed sound needs a run-up.
        for at_ms, frame in _frames(self._path, "audio", max(0, start_ms - 1000)):
            due = round((at_ms - start_ms) * sample_rate / 1000)
            if made is None or due - made > sample_rate * _GAP_MS // 1000:
                yield np.zeros(max(0, due) - max(0, made or 0), np.int16)
                made = due
            try:
                pieces = resampler.resample(frame) if isinstance(frame, av.AudioFrame) else []
            except (ValueError, FFmpegError):
                # Damage can look like a change of rate or channels.
                continue
            for piece in pieces:
                line = np.asarray(piece.to_ndarray(), dtype=np.int16).reshape(-1)
                yield line[max(0, -made) :]
                made += len(line)


class FilePictures:
    """The pictures of a media file, fitted into the asked-for size with black bars. A painter: asked in the order of time."""

    def __init__(self, recording: Recording, size: Size) -> None:
        self._path = recording.path
        self._size = size
        self._frames: Iterator[tuple[float, av.VideoFrame]] | None = None
        self._now: av.VideoFrame | None = None
        self._next: tuple[float, av.VideoFrame] | None = None
        self._planes: Planes | None = None

    def __call__(self, _span: Span, at_ms: int) -> Planes:
        if self._frames is None:
            self._frames = ((moment, frame) for moment, frame in _frames(self._path, "video", at_ms) if isinstance(frame, av.VideoFrame))
            first = next(self._frames, None)
            self._now = first[1] if first else None
            self._next = next(self._frames, None)
        # A millisecond of grace, as 30 pictures a second do not fall on whole ones.
        while self._next is not None and self._next[0] <= at_ms + 1:
            self._now, self._next, self._planes = self._next[1], next(self._frames, None), None
        if self._planes is None:
            # None at all: asked for a moment after the last picture of a file whose sound is longer.
            self._planes = self._fitted(self._now or av.VideoFrame.from_image(Image.new("RGB", self._size)))
        return self._planes

    def _fitted(self, frame: av.VideoFrame) -> Planes:
        width, height = self._size
        scale = min(width / frame.width, height / frame.height)
        inner = (max(2, round(frame.width * scale) & ~1), max(2, round(frame.height * scale) & ~1))
        if inner == self._size:
            return planes_of(frame.reformat(width, height))
        canvas = Image.new("RGB", self._size)
        canvas.paste(frame.reformat(*inner, "rgb24").to_image(), ((width - inner[0]) // 2, (height - inner[1]) // 2))
        return planes_of(av.VideoFrame.from_image(canvas))


def _known(path: Path, suffixes: tuple[str, ...]) -> str:
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        raise UnusableFile(path, f"files of the kind {suffix or 'without a suffix'} are not supported", suffixes)
    if not path.is_file():
        raise UnusableFile(path, "there is no such file", suffixes)
    return suffix


def _milliseconds(moment: str) -> int:
    hours, minutes, seconds = moment.split(":")
    return int(hours) * 3_600_000 + int(minutes) * 60_000 + round(float(seconds) * 1000)
