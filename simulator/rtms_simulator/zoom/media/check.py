"""What would be played of a person's own file: the report that `rtmskit media check` gives and `meeting play` begins with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from rtms_simulator.errors import MediaFileError
from rtms_simulator.zoom.media.recording import MEDIA_SUFFIXES, MediaFile, MediaTrack, read_recording
from rtms_simulator.zoom.media.remarks import Remark
from rtms_simulator.zoom.media.transcripts import TRANSCRIPT_SUFFIXES, Transcript, read_transcript
from rtms_simulator.zoom.media.transcripts.names import same_person

SUFFIXES = MEDIA_SUFFIXES + TRANSCRIPT_SUFFIXES
_SHOWN = 20
_LOST_SHOWN = 400


class Change(msgspec.Struct, frozen=True):
    """From `at_s` on the sound has this codec, rate and channels."""

    at_s: float
    format: str


class Speaker(msgspec.Struct, frozen=True):
    name: str
    cues: int


class FileReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file. `words` and `words_lost` count runs of characters between spaces; `sound_s` is how much of `duration_s` has sound."""

    path: str
    kind: Literal["recording", "transcript"]
    form: str
    duration_s: float
    sound_s: float = 0.0
    tracks: tuple[MediaTrack, ...] = ()
    changes: tuple[Change, ...] = ()
    cues: int = 0
    cues_without_speaker: int = 0
    speakers: tuple[Speaker, ...] = ()
    words: int = 0
    words_lost: int = 0
    seconds_lost: float = 0.0
    remarks: tuple[Remark, ...] = ()

    def lines(self) -> Iterator[str]:
        """The report for a person."""
        yield f"{self.path}: {self._head()}"
        several = bool(self.tracks and self.tracks[-1].part)
        yield from (f"  track {_track_line(track, several=several)}" for track in self.tracks)
        if self.speakers:
            names = ", ".join(f"{one.name} ({one.cues})" for one in self.speakers[:_SHOWN])
            more = f" and {len(self.speakers) - _SHOWN:,} more" if len(self.speakers) > _SHOWN else ""
            yield f"  speakers: {names}{more}"
        if self.cues_without_speaker:
            yield f"  captions that name no speaker: {self.cues_without_speaker:,}; who spoke before says them, or else the first person"
        for remark in self.remarks[:_SHOWN]:
            yield f"  {remark.kind}: {remark}"
        if len(self.remarks) > _SHOWN:
            yield f"  and {len(self.remarks) - _SHOWN:,} more remarks; --json has all of them"

    def _head(self) -> str:
        if self.kind == "transcript":
            lost = f", {self.words_lost:,} words are not played" if self.words_lost else ""
            return f"{self.form}, {self.cues:,} captions until {_clock(self.duration_s)}, {self.words:,} words{lost}"
        lost = f", {self.seconds_lost:.2f} s are lost" if self.seconds_lost else ""
        return f"{_clock(self.duration_s)}, of which {_clock(self.sound_s)} have sound{lost}"


def _track_line(track: MediaTrack, *, several: bool) -> str:
    """`several`: the file holds more than one recording, so that a track's number needs its part."""
    number = f"{track.part}.{track.index}" if several else str(track.index)
    parts = ", ".join(part for part in (track.codec, track.details, track.name) if part)
    played = (" (played)" if track.plays else " (not played)") if track.kind in ("sound", "pictures") else ""
    return f"{number}: {track.kind}, {parts}{played}"


def check(path: Path, known: Iterable[str] = (), *, strict: bool = False) -> FileReport:
    """Read a recording or a transcript, by its suffix. Raises MediaFileError, with `strict` for the first thing lost or repaired."""
    suffix = path.suffix.lower()
    if suffix in MEDIA_SUFFIXES:
        return check_recording(path, strict=strict)
    if suffix in TRANSCRIPT_SUFFIXES:
        return check_transcript(path, known, strict=strict)
    raise MediaFileError(path, f"files of the kind {suffix or 'without a suffix'} are not supported", SUFFIXES, "convert or rename it.")


def check_recording(path: Path, *, strict: bool = False) -> FileReport:
    """Raises MediaFileError, with `strict` for the first thing lost or repaired."""
    return _of_recording(path, read_recording(path, strict=strict))


def check_transcript(path: Path, known: Iterable[str] = (), *, strict: bool = False) -> FileReport:
    """`known`: names that need no further evidence. Raises MediaFileError, with `strict` for the first thing lost or repaired."""
    return _of_transcript(path, read_transcript(path, known, strict=strict))


def _of_recording(path: Path, read: MediaFile) -> FileReport:
    lost_s = sum(remark.lost_s for remark in read.remarks if remark.kind == "lost")
    return FileReport(
        str(path),
        "recording",
        path.suffix.lower().removeprefix("."),
        read.duration_ms / 1000,
        sound_s=round(read.sound_s, 3),
        tracks=read.tracks,
        changes=tuple(Change(round(at_s, 3), form) for at_s, form in read.formats),
        seconds_lost=round(lost_s, 3),
        remarks=read.remarks,
    )


def _of_transcript(path: Path, read: Transcript) -> FileReport:
    spoken = Counter(same_person(cue.speaker) for cue in read.cues if cue.speaker)
    names: dict[str, str] = {}
    for name in read.speakers():
        names.setdefault(same_person(name), name)
    remarks = tuple(_shortened(remark) for remark in read.remarks)
    return FileReport(
        str(path),
        "transcript",
        read.form,
        max((cue.end_ms for cue in read.cues), default=0) / 1000,
        cues=len(read.cues),
        cues_without_speaker=sum(1 for cue in read.cues if cue.speaker is None),
        speakers=tuple(Speaker(name, spoken[key]) for key, name in names.items()),
        words=sum(len(cue.text.split()) for cue in read.cues),
        words_lost=sum(remark.lost_words for remark in read.remarks if remark.kind == "lost"),
        remarks=remarks,
    )


def _shortened(remark: Remark) -> Remark:
    """A remark of a few hundred characters, whatever is lost."""
    if len(remark.lost_text) <= _LOST_SHOWN:
        return remark
    words = remark.lost_words
    return msgspec.structs.replace(
        remark, what=f"{remark.what}; {words:,} words, which begin", lost_text=remark.lost_text[:_LOST_SHOWN] + "…"
    )


def _clock(seconds: float) -> str:
    tenths = round(seconds * 10)
    return f"{tenths // 36_000}:{tenths // 600 % 60:02}:{tenths // 10 % 60:02}.{tenths % 10}"
