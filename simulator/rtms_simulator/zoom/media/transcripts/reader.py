"""One way in for every transcript: bytes to cues by what is in them, not by the file's name."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from rtms_simulator.errors import MediaFileError
from rtms_simulator.scenario import LONGEST_S
from rtms_simulator.zoom.media.remarks import Remark, refuse_strictly
from rtms_simulator.zoom.media.sniff import described
from rtms_simulator.zoom.media.transcripts.captions import SIGNATURE, CaptionBlock, Captions
from rtms_simulator.zoom.media.transcripts.cue import SHORTEST_MS, Cue, Transcript, fitting, time_to_say
from rtms_simulator.zoom.media.transcripts.cue_text import Voice, voices
from rtms_simulator.zoom.media.transcripts.encoding import text_lines
from rtms_simulator.zoom.media.transcripts.names import Speakers, form_of, head_of
from rtms_simulator.zoom.media.transcripts.times import timing
from rtms_simulator.zoom.media.transcripts.zoom_text import saved_captions, timed_lines

TRANSCRIPT_SUFFIXES = (".vtt", ".srt", ".txt")

LARGEST = 8 * 2**20
"""Bytes. The longest meeting has about 2 MB of text."""

_CHANGE = re.compile("\\s*(?:[-\u2010-\u2015]\\s+|[>\uff1e]{1,3}\\s*)")

_FORM_OF = {".vtt": "WebVTT", ".srt": "SubRip", ".txt": "Zoom captions"}


def read_transcript(path: Path, known: Iterable[str] = (), *, strict: bool = False) -> Transcript:
    """The cues of a WebVTT, SubRip or Zoom text file, by start, and what is to say of it. Raises MediaFileError.

    `known`: names that are speakers without further evidence. `strict`: raises MediaFileError for the first thing lost or repaired.
    """
    suffix = path.suffix.lower()
    if suffix not in TRANSCRIPT_SUFFIXES:
        do = "give it to --media." if suffix in (".mp4", ".m4a", ".wav", ".mp3") else "export or convert it to a supported kind."
        raise MediaFileError(path, f"files of the kind {suffix or 'without a suffix'} are not supported", TRANSCRIPT_SUFFIXES, do)
    if not path.is_file():
        do = "look at the name: it is read from this directory."
        problem = "it is a directory" if path.is_dir() else "there is no such file"
        raise MediaFileError(path, problem, TRANSCRIPT_SUFFIXES, do)
    try:
        status = path.stat()
        transcript = _read_once(path, status.st_size, status.st_mtime_ns, tuple(known))
    except OSError as error:
        raise MediaFileError(path, f"cannot be read: {error.strerror}", TRANSCRIPT_SUFFIXES) from None
    if not transcript.cues:
        raise _without_speech(path, suffix, transcript)
    if strict:
        refuse_strictly(path, transcript.remarks, TRANSCRIPT_SUFFIXES)
    return transcript


@functools.lru_cache(maxsize=4)
def _read_once(path: Path, _size: int, _changed: int, known: tuple[str, ...]) -> Transcript:
    """Once per state of a file: a play reads it for its report, and for each of its meetings."""
    with path.open("rb") as file:
        data = file.read(LARGEST)
        rest = file.read(1)
        if not rest:
            return parse(data, path.suffix.lower(), known)
        end = max(data.rfind(b"\n", LARGEST // 2), data.rfind(b" ", LARGEST // 2), LARGEST // 2)
        if b"\0" in data[:64]:
            end &= ~1  # a whole letter of UTF-16
        file.seek(end)
        words = _words(file)
    read = parse(data[:end], path.suffix.lower(), known)
    what = f"a transcript of more than {LARGEST // 2**20} MB; the rest of the file is not read"
    return dataclasses.replace(read, remarks=(*read.remarks, Remark("lost", what, line=data.count(b"\n", 0, end) + 1, more_words=words)))


def _words(file: BinaryIO) -> int:
    """How many words follow in a file, in flat memory. (In UTF-16, too: zeros are no spaces.)"""
    count, inside = 0, False
    while block := file.read(2**20):
        count += len(block.split()) - (inside and not block[:1].isspace())
        inside = not block[-1:].isspace()
    return count


def parse(data: bytes, suffix: str, known: Sequence[str] = ()) -> Transcript:
    """A file's bytes as a transcript, perhaps one without cues. Never fails. `suffix` only decides what is said about the form."""
    lines, remarks = text_lines(data)
    form, cues, more = _read(lines, known, suffix)
    remarks += more
    expected = _FORM_OF.get(suffix, form)
    if cues and form != expected and not (suffix == ".txt" and form == "timed lines"):
        remarks.append(Remark("note", f"this is {form}, whatever the suffix {suffix} says"))
    cues = _within_limits(cues, remarks)
    cues.sort(key=lambda cue: cue.start_ms)
    if late := next((cue for cue, after in itertools.pairwise(cues) if cue.line > after.line), None):
        remarks.append(Remark("note", "captions are not in the order of their times; played by time", line=late.line))
    remarks.sort(key=lambda remark: remark.line or 0)
    return Transcript(form, tuple(cues), tuple(remarks))


def _read(lines: Sequence[str], known: Sequence[str], suffix: str) -> tuple[str, list[Cue], list[Remark]]:
    opening = next((line.lstrip() for line in lines if line.strip()), "")
    if opening.startswith(SIGNATURE):
        captions = Captions(lines)
        return "WebVTT", _spoken(captions, known), captions.remarks
    return _text_form(lines, known) or _unsigned(lines, known, suffix)


def _text_form(lines: Sequence[str], known: Sequence[str]) -> tuple[str, list[Cue], list[Remark]] | None:
    """Zoom's text forms, if the lines have one of them.

    An arrow line may also be spoken, and a caption's text may look like a head: the form that explains more lines is meant.
    """
    arrows = sum(1 for line in lines if (">" in line or "\u2192" in line) and timing(line))
    read = saved_captions(lines)
    if read is not None and len(read[0]) >= arrows:
        return ("Zoom captions", *read)
    if not arrows and (read := timed_lines(lines, known)) is not None:
        return ("timed lines", *read)
    return None


def _unsigned(lines: Sequence[str], known: Sequence[str], suffix: str) -> tuple[str, list[Cue], list[Remark]]:
    """SubRip (which has a comma in its times, or at least its suffix), or WebVTT without its first line."""
    captions = Captions(lines)
    cues = _spoken(captions, known)
    if any("," in lines[one.line - 1].partition("-->")[0] for one in captions.captions[:3]) or (suffix == ".srt" and captions.captions):
        return "SubRip", cues, captions.remarks
    if cues:
        captions.remarks.append(Remark("repaired", "the line WEBVTT at the beginning is missing", line=1))
    return "WebVTT" if captions.captions else "", cues, captions.remarks


def _spoken(captions: Captions, known: Sequence[str]) -> list[Cue]:
    """Captions to cues: who says which part of it, and from when to when."""
    spans = _spans(captions.captions)
    texts = ["\n".join([line for _number, line in caption.payload]) for caption in captions.captions]
    parts = [voices(fitting(text, caption.line, captions.remarks)) for caption, text in zip(captions.captions, texts, strict=True)]
    marked = _take_marks_off(captions, parts)
    speakers = _speakers(captions.captions, parts, [*known, *marked])
    cues: list[Cue] = []
    for caption, part, (start, end) in zip(captions.captions, parts, spans, strict=True):
        turns = [turn for voice in part for turn in _turns(voice, caption.speaker, speakers)]
        for name, words in turns:
            if not words:
                captions.remarks.append(Remark("note", "a speaker without words", line=caption.line, lost_text=name or ""))
        cues += _shared(caption.line, start, end, [turn for turn in turns if turn[1]])
    return cues


def _take_marks_off(captions: Captions, parts: Sequence[list[Voice]]) -> set[str]:
    """Take the marks that say that another person speaks (`- Ada: words`, `>> Ada: words`) off the names behind them.

    Returns the names behind `>>`, which is evidence enough; a dash also begins the items of a list.
    """
    marked: set[str] = set()
    taken: list[tuple[int, str]] = []
    for caption, part in zip(captions.captions, parts, strict=True):
        for voice in part:
            for place, line in enumerate(voice.lines):
                mark = _CHANGE.match(line)
                if mark and not voice.tagged and _begins_with_name(line[mark.end() :]):
                    taken.append((caption.line, mark[0]))
                    voice.lines[place] = line[mark.end() :]
                    head = head_of(voice.lines[place])
                    if head and mark[0].strip()[0] in ">\uff1e":
                        marked.add(head[0])
    if taken:
        what = "marks of a change of speaker before names"
        captions.remarks.append(Remark("note", what, line=taken[0][0], lost_text=" ".join(mark for _line, mark in taken)))
    return marked


def _speakers(captions: Sequence[CaptionBlock], parts: Sequence[list[Voice]], known: Sequence[str]) -> Speakers:
    named = {voice.speaker for part in parts for voice in part} | {caption.speaker for caption in captions}
    openings: list[str] = []
    continuations: list[str] = []
    for caption, part in zip(captions, parts, strict=True):
        for voice in part:
            if not voice.tagged and not caption.speaker:
                lines = voice.written()
                # Several people in one caption: each line is one's opening.
                count = len(lines) if len(lines) > 1 and all(map(_begins_with_name, lines)) else 1
                openings += lines[:count]
                continuations += lines[count:]
    return Speakers(openings, continuations, {*known, *filter(None, named)})


def _begins_with_name(line: str) -> bool:
    """Whether it reads `Name: words`."""
    head = head_of(line)
    return head is not None and head[1] != "" and form_of(head[0]) == "name"


def _turns(voice: Voice, named: str | None, speakers: Speakers) -> list[tuple[str | None, str]]:
    """(speaker, words) of one voice: another speaker's head at the beginning of a line begins a turn of theirs."""
    if voice.tagged or named:
        return [(voice.speaker or named, " ".join(" ".join(voice.lines).split()))]
    turns: list[tuple[str | None, list[str]]] = [(None, [])]
    lines = voice.written()
    while lines:
        head, count = _turn_head(lines, speakers)
        if head is not None:
            turns.append((head[0], [head[1]]))
        else:
            turns[-1][1].append(lines[0])
        del lines[:count]
    pairs = [(name, " ".join(" ".join(words).split())) for name, words in turns]
    return [turn for turn in pairs if turn[0] is not None or turn[1]]


def _turn_head(lines: Sequence[str], speakers: Speakers) -> tuple[tuple[str, str] | None, int]:
    """((speaker, words) of the first line or None, how many lines this takes).

    A name may go over the end of a line, and may have a line of its own (`Ada:`) with the words below.
    """
    head = speakers.split(lines[0])
    goes_on = ":" not in lines[0] or (head_of(lines[0]) or ("", "words"))[1] == ""
    if head is None and goes_on and len(lines) > 1 and (head := speakers.split(f"{lines[0]} {lines[1]}")):
        return head, 2
    return head, 1


def _spans(captions: Sequence[CaptionBlock]) -> list[tuple[int, int]]:
    """When each caption begins and ends. What cannot be read, or ends before it begins, lasts as long as it takes to say."""
    spans: list[tuple[int, int]] = []
    before = 0
    for place, caption in enumerate(captions):
        need = time_to_say(" ".join(line for _number, line in caption.payload))
        start, end = caption.start_ms, caption.end_ms
        if start is None:
            start = before if end is None else max(0, min(before, end), end - need)
        if end is None or end < start:
            following = captions[place + 1].start_ms if place + 1 < len(captions) else None
            end = min(start + need, following) if following is not None and following > start else start + need
        spans.append((start, max(end, start + SHORTEST_MS)))
        before = end
    return spans


def _shared(line: int, start: int, end: int, turns: Sequence[tuple[str | None, str]]) -> list[Cue]:
    """The turns of one caption one after the other, each as long as its share of the letters."""
    if len(turns) == 1:
        return [Cue(start, end, turns[0][0], turns[0][1], line)]
    end = max(end, start + len(turns))
    letters = sum(len(words) for _name, words in turns)
    cues: list[Cue] = []
    done = 0
    for place, (name, words) in enumerate(turns):
        begin = cues[-1].end_ms if cues else start
        done += len(words)
        until = max(start + (end - start) * done // letters, begin + 1)
        cues.append(Cue(begin, end if place + 1 == len(turns) else until, name, words, line))
    return cues


def _within_limits(cues: list[Cue], remarks: list[Remark]) -> list[Cue]:
    """What a meeting can hold: 18 hours, nothing later."""
    longest_ms = LONGEST_S * 1000
    fitting_cues: list[Cue] = []
    for cue in cues:
        if cue.start_ms >= longest_ms - SHORTEST_MS:
            what = f"begins after {LONGEST_S // 3600} hours, the longest meeting"
            remarks.append(Remark("lost", what, line=cue.line, lost_text=f"{cue.speaker or ''} {cue.text}"))
            continue
        if cue.end_ms > longest_ms:
            remarks.append(Remark("repaired", f"ends after {LONGEST_S // 3600} hours, the longest meeting; cut there", line=cue.line))
        fitting_cues.append(Cue(cue.start_ms, min(cue.end_ms, longest_ms), cue.speaker, cue.text, cue.line))
    return fitting_cues


def _without_speech(path: Path, suffix: str, read: Transcript) -> MediaFileError:
    problem = "no lines of speech in it" if read.form else f"not a {suffix} transcript"
    with path.open("rb") as file:
        what = described(file.read(4096))
    if what is not None and what.kind != "text":
        return MediaFileError(path, f"{problem}: {what.says}", TRANSCRIPT_SUFFIXES, what.do)
    form = {
        ".txt": "lines of the form [Name] hh:mm:ss, and the words below",
        ".srt": "lines such as 00:00:01,000 --> 00:00:02,000, and the words below",
        ".vtt": "WEBVTT, lines such as 00:00:01.000 --> 00:00:02.000, and the words below",
    }[suffix]
    lost = next((str(remark) for remark in read.remarks if remark.kind == "lost"), "") if read.form else ""
    return MediaFileError(path, f"{problem}: {lost or f'expected {form}'}", TRANSCRIPT_SUFFIXES, f"write {form}.")
