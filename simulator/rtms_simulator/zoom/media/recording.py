"""What a person's media file holds and how much of it is played, found out by reading all of it once."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import msgspec
from av.error import FFmpegError
from av.stream import Disposition, Stream

from rtms_simulator.errors import MediaFileError
from rtms_simulator.scenario import LONGEST_S
from rtms_simulator.zoom.media.container import channels, codec_name, opened, pieces
from rtms_simulator.zoom.media.joined import Layout, Range, layout
from rtms_simulator.zoom.media.remarks import Remark, refuse_strictly
from rtms_simulator.zoom.media.sniff import described
from rtms_simulator.zoom.media.sound.sound_scan import SoundScan, scan_sound

MEDIA_SUFFIXES = (".mp4", ".m4a", ".wav", ".mp3")


class MediaTrack(msgspec.Struct, frozen=True, omit_defaults=True):
    """One track of a file. `index` counts from 0 within its part; `plays` is whether it is the one that is heard or seen."""

    part: int
    index: int
    kind: str
    codec: str
    details: str = ""
    plays: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class FilePart:
    """One of the recordings in a file, `start_ms` after the beginning of the first. `extent` is None for a whole file."""

    extent: Range | None
    start_ms: int
    length_ms: int
    sound: int | None
    pictures: int | None


@dataclass(frozen=True, slots=True)
class MediaFile:
    """What a media file holds, with its damage. `sound_s` is how much of it has sound; `formats` are the moments of its changes."""

    path: Path
    duration_ms: int
    parts: tuple[FilePart, ...]
    tracks: tuple[MediaTrack, ...]
    formats: tuple[tuple[float, str], ...]
    sound_s: float
    remarks: tuple[Remark, ...]

    @property
    def has_audio(self) -> bool:
        return any(part.sound is not None for part in self.parts)

    @property
    def has_video(self) -> bool:
        return any(part.pictures is not None for part in self.parts)


def read_recording(path: Path, *, strict: bool = False) -> MediaFile:
    """Read a media file to its end: all sound is decoded, and of the pictures those that stand alone. Raises MediaFileError.

    `strict`: raises MediaFileError for the first thing that is lost.
    """
    suffix = path.suffix.lower()
    if suffix not in MEDIA_SUFFIXES:
        do = "give it to --transcript." if suffix in (".vtt", ".srt", ".txt") else "export or convert it to a supported kind."
        raise MediaFileError(path, f"files of the kind {suffix or 'without a suffix'} are not supported", MEDIA_SUFFIXES, do)
    if not path.is_file():
        problem = "it is a directory" if path.is_dir() else "there is no such file"
        raise MediaFileError(path, problem, MEDIA_SUFFIXES, "look at the name: it is read from this directory.")
    try:
        status = path.stat()
        recording = _read(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise MediaFileError(path, f"cannot be read: {error.strerror or error}", MEDIA_SUFFIXES) from None
    if strict:
        refuse_strictly(path, recording.remarks, MEDIA_SUFFIXES)
    return recording


@functools.lru_cache(maxsize=8)
def _read(path: Path, size: int, _changed: int) -> MediaFile:
    """Once per state of a file: a play reads it for its report, and for each of its meetings."""
    laid_out = layout(path)
    reader = _Reader(path)
    for number, extent in enumerate(laid_out.parts):
        alone = len(laid_out.parts) == 1
        try:
            reader.part(number, None if alone else extent, extent.size)
        except (FFmpegError, ValueError) as error:
            if number == 0:
                raise _undecodable(path, size, laid_out, error) from None
            what = f"another recording begins at byte {extent.offset:,} and cannot be decoded"
            reader.remarks.append(Remark("lost", what, at_s=reader.at_s))
    if laid_out.missing_bytes and (not reader.sound_s or not any(remark.lost_s for remark in reader.remarks)):
        what = f"the file is cut: {laid_out.missing_bytes:,} bytes are missing at its end"
        lost_s = 0.0 if any(remark.lost_s for remark in reader.remarks) else laid_out.missing_s
        reader.remarks.append(Remark("lost", what, at_s=reader.at_s, lost_s=lost_s))
    if laid_out.trailing_bytes:
        what = f"{laid_out.trailing_bytes:,} bytes behind the recording are no part of it"
        reader.remarks.append(Remark("note", what, at_s=reader.at_s))
    return reader.recording()


class _Reader:
    """Goes through the parts of one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.at_s = 0.0
        self.parts: list[FilePart] = []
        self.tracks: list[MediaTrack] = []
        self.formats: list[tuple[float, str]] = []
        self.remarks: list[Remark] = []
        self.sound_s = 0.0

    def part(self, number: int, extent: Range | None, size: int) -> None:
        """Read one recording of the file. Raises FFmpegError if it cannot be opened, ValueError if nothing in it can be decoded."""
        with opened(self.path, extent) as container:
            streams = [_Stream.of(stream) for stream in container.streams]
        if number:
            self.remarks.append(Remark("note", "another recording begins here, in the same file; both are played", at_s=self.at_s))
        for stream in streams:
            if stream.kind == "unknown":
                self._say("lost", f"track {stream.index}: nothing here decodes what it is written in")
        sound = self._sound(streams, extent, size)
        pictures, pictures_s = self._pictures(streams, extent)
        if sound is None and pictures is None:
            raise ValueError("no sound and no picture in it")
        length_s = max(sound.end_s if sound else 0.0, pictures_s)
        for stream in streams:
            plays = stream.index in (sound.index if sound else None, pictures)
            self.tracks.append(
                MediaTrack(
                    number, stream.index, kind=stream.shown, codec=stream.codec, details=stream.details, plays=plays, name=stream.name
                )
            )
        self.parts.append(FilePart(extent, round(self.at_s * 1000), round(length_s * 1000), sound.index if sound else None, pictures))
        self.at_s += length_s

    def _sound(self, streams: list[_Stream], extent: Range | None, size: int) -> SoundScan | None:
        """The track that is heard: the default one, or else the first, of those that are not silent throughout."""
        tracks = _in_order(streams, "audio")
        chosen = self._first_with_sound(tracks, extent, size)
        if chosen is None:
            return None
        if others := [f"{stream.index} ({stream.called})" for stream in tracks if stream.index != chosen.index]:
            self._say("note", f"sound track {chosen.index} is played; not played: {', '.join(others)}")
        if chosen.silent:
            self._say("note", "the sound is silent throughout")
        self.formats += [(self.at_s + at_s, form) for at_s, form in chosen.formats]
        self.sound_s += chosen.sound_s
        self.remarks += [msgspec.structs.replace(remark, at_s=self.at_s + (remark.at_s or 0.0)) for remark in chosen.remarks]
        return chosen

    def _first_with_sound(self, tracks: list[_Stream], extent: Range | None, size: int) -> SoundScan | None:
        """The first track that is not silent, or the first that can be decoded at all. If none can, the sound is reported as lost, once."""
        chosen: SoundScan | None = None
        broken: list[_Stream] = []
        for stream in tracks:
            scan = scan_sound(self.path, extent, stream.index, size)
            if not scan.formats:
                broken.append(stream)
            elif chosen is None or not scan.silent:
                chosen = scan
            if chosen is not None and not chosen.silent:
                break
        for stream in broken:
            lost_s = stream.seconds if chosen is None and stream is broken[0] else 0.0
            self._say("lost", f"track {stream.index} ({stream.codec}) holds no sound that can be decoded", lost_s)
        return chosen

    def _pictures(self, streams: list[_Stream], extent: Range | None) -> tuple[int | None, float]:
        """(the stream that is shown, its length in seconds)."""
        tracks = _in_order(streams, "video")
        for stream in tracks:
            end_s, broken = _picture_scan(self.path, extent, stream.index)
            for at_s, why in broken[:_SHOWN]:
                self.remarks.append(Remark("lost", f"a picture {why}", at_s=self.at_s + at_s))
            if len(broken) > _SHOWN:
                self._say("lost", f"{len(broken) - _SHOWN} more pictures cannot be decoded")
            if end_s > 0:
                if others := [f"{other.index} ({other.called})" for other in tracks if other is not stream]:
                    self._say("note", f"picture track {stream.index} is shown; not shown: {', '.join(others)}")
                return stream.index, end_s
            self._say("lost", f"track {stream.index} ({stream.codec}) holds no picture that can be decoded")
        return None, 0.0

    def _say(self, kind: Literal["lost", "note"], what: str, lost_s: float = 0.0) -> None:
        self.remarks.append(Remark(kind, what, at_s=self.at_s or None, lost_s=lost_s))

    def recording(self) -> MediaFile:
        """All parts together, at most as long as a meeting."""
        length_s = self.at_s
        if length_s > LONGEST_S:
            what = f"a meeting lasts {LONGEST_S // 3600} hours at most"
            self.remarks.append(Remark("lost", what, at_s=float(LONGEST_S), lost_s=length_s - LONGEST_S))
            length_s = LONGEST_S
        if not any(part.sound is not None for part in self.parts):
            self.remarks.append(Remark("note", "no sound in it: the meeting is silent"))
        self.remarks.sort(key=lambda remark: remark.at_s or 0.0)
        tracks, remarks = tuple(self.tracks), tuple(self.remarks)
        duration_ms = max(1, round(length_s * 1000))  # a meeting has no less, a file may hold one sample
        return MediaFile(
            self.path,
            duration_ms,
            parts=tuple(self.parts),
            tracks=tracks,
            formats=tuple(self.formats),
            sound_s=min(self.sound_s, length_s),
            remarks=remarks,
        )


_SHOWN = 20


@dataclass(frozen=True, slots=True)
class _Stream:
    """What a container says of one of its streams; `seconds` is 0 where it does not say."""

    index: int
    kind: str
    codec: str
    details: str
    default: bool
    name: str
    cover: bool
    seconds: float

    @classmethod
    def of(cls, stream: Stream) -> _Stream:
        context = stream.codec_context
        details = ""
        if context is not None and isinstance(stream, av.VideoStream):
            details = f"{stream.width}x{stream.height}"
        elif context is not None and isinstance(stream, av.AudioStream):
            details = f"{stream.sample_rate} Hz, {channels(stream.layout)}"
        cover = bool(stream.disposition & Disposition.attached_pic)
        name = stream.metadata.get("title") or stream.metadata.get("handler_name") or ""
        language = stream.metadata.get("language", "und")
        named = " ".join(part for part in (name, "" if language == "und" else language) if part)
        codec = codec_name(stream)
        kind = "cover" if cover else stream.type if context is not None else "unknown"
        return cls(
            stream.index,
            kind,
            codec=codec,
            details=details,
            default=bool(stream.disposition & Disposition.default),
            name=named,
            cover=cover,
            seconds=_seconds(stream),
        )

    @property
    def shown(self) -> str:
        return {"audio": "sound", "video": "pictures", "cover": "cover picture"}.get(self.kind, self.kind)

    @property
    def called(self) -> str:
        return f"{self.codec}, {self.name}" if self.name else self.codec


def _seconds(stream: Stream) -> float:
    return float((stream.duration or 0) * (stream.time_base or 0))


def _in_order(streams: list[_Stream], kind: str) -> list[_Stream]:
    """The streams of one kind: first those that the file calls its default."""
    return sorted((stream for stream in streams if stream.kind == kind), key=lambda stream: (not stream.default, stream.index))


def _picture_scan(path: Path, extent: Range | None, index: int) -> tuple[float, list[tuple[float, str]]]:
    """(where the last picture ends, the places of those that cannot be decoded). 0 if there is no picture."""
    broken: list[tuple[float, str]] = []
    has_picture = False
    for piece in pieces(path, extent, index, only_keys=True):
        has_picture = has_picture or piece.frame is not None
        if piece.trouble:
            broken.append((piece.at_s, piece.trouble))
    return (_end_of(path, extent, index) if has_picture else 0.0), broken


def _end_of(path: Path, extent: Range | None, index: int) -> float:
    """Where the last packet of a stream ends, without decoding."""
    end = 0.0
    with opened(path, extent) as container:
        stream = container.streams[index]
        origin = (container.start_time or 0) / av.time_base
        try:
            for packet in container.demux(stream):
                if packet.pts is not None and packet.time_base is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base) - origin)
        except FFmpegError:
            pass
    return end


def _undecodable(path: Path, size: int, laid_out: Layout, error: Exception) -> MediaFileError:
    with path.open("rb") as file:
        what = described(file.read(4096))
    if what is not None and what.kind != "recording":
        return MediaFileError(path, f"cannot be decoded: {what.says}", MEDIA_SUFFIXES, what.do)
    if not laid_out.has_index:
        problem = "cannot be decoded: its index (the moov box) is missing, so the file is cut or was never finished"
        return MediaFileError(path, problem, MEDIA_SUFFIXES, "copy or download it again to its end.")
    reason = getattr(error, "strerror", None) or str(error)
    problem = reason if reason.startswith("no sound") else f"cannot be decoded: {reason[:1].lower()}{reason[1:]} ({size:,} bytes)"
    return MediaFileError(path, problem, MEDIA_SUFFIXES, "check that a player plays it; export it again as .mp4, .m4a, .wav or .mp3.")
