"""Zoom's own text forms: saved captions (`[Name] hh:mm:ss`, then the words), and lines that a time begins (`hh:mm:ss Name: words`)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from rtms_simulator.zoom.media.remarks import Remark
from rtms_simulator.zoom.media.transcripts.cue import Cue, fitting, time_to_say
from rtms_simulator.zoom.media.transcripts.names import Speakers, clean_name, form_of
from rtms_simulator.zoom.media.transcripts.times import CLOCK, TimeCode, clock, run_on

_ALONE = re.compile(rf"\s*\[(?P<who>.+)\]\s+{CLOCK}\s*")
_WITH_WORDS = re.compile(rf"\s*\[(?P<who>.+?)\]\s+{CLOCK}(?P<words>\s.*|)")
_NAME_FIRST = re.compile(rf"\s*(?P<who>\S.*?)\s+[\[(]?{CLOCK}[\])]?\s*:?\s*")
_TIME_FIRST = re.compile(rf"\s*[\[(]?{CLOCK}[\])]?(?:[ \t]+|$)(?P<words>.*)")
_CHAT = re.compile(r"\s*From\s+(?P<who>.+?)(?:\s+to\s+[^:]+|\s+):(?:\s(?P<words>.*))?", re.IGNORECASE)
_LAST_ROOM_MS = 60_000


@dataclass(slots=True)
class Said:
    """One caption as written. `speaker` is None where the line does not say."""

    line: int
    moment: TimeCode
    speaker: str | None
    words: list[str] = field(default_factory=list)

    def drop_blank(self) -> None:
        """The time may have a line of its own. At least one line stays."""
        self.words = [line for line in self.words if line.strip()] or [""]


def saved_captions(lines: Sequence[str]) -> tuple[list[Cue], list[Remark]] | None:
    """`[Name] hh:mm:ss` alone in its line, or (if a file has none such) with the words behind it, or `Name hh:mm:ss` alone.

    None if no line has such a form.

    A head is a whole line, so one inside a sentence is part of it; a name may hold brackets, and go over two lines.
    """
    heads = _heads(lines, _ALONE) or _heads(lines, _WITH_WORDS) or _names_first(lines)
    if not heads:
        return None
    remarks: list[Remark] = []
    entries: list[Said] = []
    first = min(heads)
    before = [line for line in lines[:first] if line.strip()]
    if before:
        remarks.append(Remark("lost", "text before the first name and time", line=1, lost_text="\n".join(before)))
    skip = -1
    for place in range(first, len(lines)):
        head = heads.get(place)
        if head is not None:
            match, length = head
            skip = place + length
            entries.append(Said(place + 1, clock(match), clean_name(match["who"])))
            if words := match.groupdict().get("words"):
                entries[-1].words.append(words)
        elif place >= skip:
            entries[-1].words.append(lines[place])
    return _cues(entries, remarks), remarks


def _heads(lines: Sequence[str], form: re.Pattern[str]) -> dict[int, tuple[re.Match[str], int]]:
    """By place in `lines`: the head that begins there, and how many lines it takes (2 where a name goes over the end of a line)."""
    heads: dict[int, tuple[re.Match[str], int]] = {}
    for place, line in enumerate(lines):
        following = lines[place + 1] if place + 1 < len(lines) else ""
        if "]" in line:
            if (match := form.fullmatch(line)) and clean_name(match["who"]):
                heads[place] = (match, 1)
        elif line.startswith("[") and "]" in following and not following.startswith("["):
            match = form.fullmatch(f"{line} {following}")
            if match:
                heads[place] = (match, 2)
    return heads


def _names_first(lines: Sequence[str]) -> dict[int, tuple[re.Match[str], int]]:
    """`Name hh:mm:ss` as lines of their own, if many lines are: one alone is the end of a sentence."""
    heads = {place: (match, 1) for place, line in enumerate(lines) if ":" in line and (match := _NAME_FIRST.fullmatch(line))}
    named = {place: head for place, head in heads.items() if form_of(head[0]["who"]) == "name" and ":" not in head[0]["who"]}
    return named if len(named) > 1 and len(named) * 4 >= sum(1 for line in lines if line.strip()) else {}


def timed_lines(lines: Sequence[str], known: Sequence[str]) -> tuple[list[Cue], list[Remark]] | None:
    """`hh:mm:ss Name: words` or `hh:mm:ss words`; a line without a time goes on with the one before. None if most lines have no time."""
    written = [(number, line, _TIME_FIRST.fullmatch(line)) for number, line in enumerate(lines, 1) if line.strip()]
    timed = sum(1 for _number, _line, match in written if match)
    if not timed or timed * 3 < len(written):
        return None
    remarks: list[Remark] = []
    entries: list[Said] = []
    for number, line, match in written:
        if match:
            entries.append(Said(number, clock(match), None, [match["words"]]))
        elif entries:
            entries[-1].words.append(line)
        else:
            remarks.append(Remark("lost", "text before the first time", line=number, lost_text=line))
    _name_speakers(entries, known, remarks)
    return _cues(entries, remarks), remarks


def _name_speakers(entries: list[Said], known: Sequence[str], remarks: list[Remark]) -> None:
    """Take the speakers off the beginnings of what is said: `Name: words`, or a chat's `From Name to Everyone: words`."""
    for one in entries:
        one.drop_blank()
        if match := _CHAT.fullmatch(one.words[0]):
            one.speaker, one.words[0] = match["who"].strip(), match["words"] or ""
    if any(one.speaker for one in entries):
        remarks.append(Remark("note", "a saved chat; its messages are spoken", line=entries[0].line))
    unnamed = [one for one in entries if one.words[0] and not one.speaker]
    speakers = Speakers([one.words[0] for one in unnamed], (), known)
    for one in unnamed:
        if head := speakers.split(one.words[0]):
            one.speaker, one.words[0] = head


def _cues(entries: list[Said], remarks: list[Remark]) -> list[Cue]:
    """There are no ends: a line lasts as long as it takes to say, at most until the next one; lines of one moment share the time."""
    spoken: list[tuple[int, Said, str]] = []
    for start, one in zip(run_on([one.moment for one in entries]), entries, strict=True):
        words = " ".join(fitting("\n".join(one.words), one.line, remarks).split())
        if words:
            spoken.append((start, one, words))
        elif one.speaker:
            remarks.append(Remark("note", "a speaker without words", line=one.line, lost_text=one.speaker))
    cues: list[Cue] = []
    spoken.sort(key=lambda entry: entry[0])
    groups = [(start, list(group)) for start, group in itertools.groupby(spoken, key=lambda entry: entry[0])]
    for number, (start, group) in enumerate(groups):
        room = groups[number + 1][0] - start if number + 1 < len(groups) else _LAST_ROOM_MS
        begin = start
        for length, (_start, one, words) in zip(_lengths(room, [words for _at, _one, words in group]), group, strict=True):
            cues.append(Cue(begin, begin + length, one.speaker, words, one.line))
            begin += length
    return cues


def _lengths(room: int, texts: Sequence[str]) -> list[int]:
    """How long each of the lines of one moment lasts, one after the other: each its share where there is not enough time."""
    needed = [time_to_say(words) for words in texts]
    if sum(needed) <= room:
        return needed
    return [min(max(1, room // len(texts)), need) for need in needed]
