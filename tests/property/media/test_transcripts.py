"""No transcript raises, and no word of one vanishes: what goes in comes out, or is told as lost."""

from collections import Counter

import pytest
from tests.property.media.transcripts import WORD, transcript, words

from rtms_simulator.scenario import load
from rtms_simulator.zoom.media.casting import cast
from rtms_simulator.zoom.media.transcripts import Transcript, parse

SLICE = 2_000
WEBINAR = load("all-hands-webinar")
"""Shares, chat and questions of people who are not in the files."""


def played(read: Transcript) -> Counter[str]:
    return Counter(word for cue in read.cues for word in WORD.findall(f"{cue.speaker or ''} {cue.text}"))


def told_lost(read: Transcript) -> Counter[str]:
    return Counter(word for remark in read.remarks for word in WORD.findall(remark.lost_text))


def spoken(read: Transcript) -> Counter[str]:
    """What the people of a meeting say that is held with this transcript, and what they are called."""
    meeting = cast(WEBINAR, None, read.cues)
    names = [cue.speaker or "" for cue in read.cues]
    return Counter(word for text in [*names, *(said.text for said in meeting.utterances())] for word in WORD.findall(text))


def fault(seed: int) -> str | None:
    """What is wrong with the way a seed's transcript is read, or None."""
    text, data, suffix = transcript(seed)
    read = parse(data, suffix)
    accounted, expected = played(read) + told_lost(read), words(text)
    if accounted != expected:
        return f"seed {seed}: vanished {dict(expected - accounted)}, invented {dict(accounted - expected)}"
    if any(cue.end_ms <= cue.start_ms or cue.start_ms < 0 for cue in read.cues):
        return f"seed {seed}: a cue without length"
    if any(not cue.text.strip() or cue.speaker == "" for cue in read.cues):
        return f"seed {seed}: a cue without words, or an empty name"
    if read.cues and spoken(read) != played(read):
        return f"seed {seed}: in the meeting's speech is not what is in the cues: {dict(played(read) - spoken(read))}"
    return None


@pytest.mark.parametrize("part", range(4))
def test_words_out_and_words_told_lost_are_words_in(part):
    assert [wrong for seed in range(part * SLICE // 4, (part + 1) * SLICE // 4) if (wrong := fault(seed))] == []


def test_what_is_as_it_was_written_loses_nothing():
    for seed in range(0, 400, 2):
        text, data, suffix = transcript(seed)
        read = parse(data, suffix)
        assert not told_lost(read), seed
        assert played(read) == words(text), seed
