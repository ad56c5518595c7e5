"""The transcript: Zoom's captions as Recall's download has them (docs/evidence/recall.md B7), with a time for every word.

RTMS tells when an utterance began and ended, not its words; they share its time in proportion to their length [inf].
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rtms_simulator.recall.recorder.output import Output
from rtms_simulator.recall.recorder.spill import Spill
from rtms_simulator.recall.recorder.timeline import RecordingTime
from rtms_simulator.recall.recorder.values import Participant, TranscriptUtterance, Word, iso, timestamp_json
from rtms_simulator.recall.rtms.actions import Caption

# Zoom's language numbers (docs/evidence/zoom.md C6) as the language codes a transcript carries.
LANGUAGE_CODES = {
    0: "ar",
    1: "bn",
    2: "yue",
    3: "ca",
    4: "zh-Hans",
    5: "zh-Hant",
    6: "cs",
    7: "da",
    8: "nl",
    9: "en",
    10: "et",
    11: "fi",
    12: "fr-CA",
    13: "fr",
    14: "de",
    15: "he",
    16: "hi",
    17: "hu",
    18: "id",
    19: "it",
    20: "ja",
    21: "ko",
    22: "ms",
    23: "fa",
    24: "pl",
    25: "pt",
    26: "ro",
    27: "ru",
    28: "es",
    29: "sv",
    30: "tl",
    31: "ta",
    32: "te",
    33: "th",
    34: "tr",
    35: "uk",
    36: "vi",
}
UPDATE, DELETE = 2, 3  # Caption.attribute


def words_of(text: str, start_ms: int, end_ms: int, timeline: RecordingTime) -> tuple[Word, ...]:
    """Split at white space; a text without any is one word."""
    parts = text.split()
    total = sum(map(len, parts))
    words = []
    spoken = 0
    for part in parts:
        begin = timeline.within(start_ms + (end_ms - start_ms) * spoken // total)
        spoken += len(part)
        finish = timeline.within(start_ms + (end_ms - start_ms) * spoken // total)
        words.append(Word(part, begin / 1000, finish / 1000, timeline.relative(begin), timeline.relative(finish)))
    return tuple(words)


class TranscriptWriter:
    """Writes `transcript.json` and `provider_data.json` (unless `directory` is None) and reports each utterance, also when writing failed.

    A caption marked NEW may be followed by UPDATEs, each replacing it, or a DELETE, all of the same participant. Each form is reported
    as it comes, the last one is written. How Zoom ties an update to its caption is undocumented: here to the participant's latest [inf].
    """

    def __init__(self, directory: Path | None, timeline: RecordingTime, report: Callable[[TranscriptUtterance], None]) -> None:
        self.output = Output(directory / "transcript.json", Spill) if directory else None
        self.provider_data = Output(directory / "provider_data.json", lambda path: Spill(path, "parts")) if directory else None
        self.utterances = 0  # reported so far
        self._captions = 0
        self._timeline = timeline
        self._report = report
        self._open: dict[int, tuple[TranscriptUtterance, int]] = {}  # each participant's latest, and when it began

    def add(self, participant: Participant, caption: Caption) -> None:
        """Take one caption."""
        self._captions += 1
        if self.provider_data:
            part = self._provider_part(participant, caption)
            self.provider_data.attempt(lambda spill: spill.add(0, part))
        pending = self._open.pop(participant.id, None)
        if pending is not None and caption.attribute not in (UPDATE, DELETE):
            self._keep(*pending)
        if caption.attribute == DELETE:
            return
        utterance = self._utterance(participant, caption)
        if utterance.words:
            self._report(utterance)
            self.utterances += 1
            self._open[participant.id] = utterance, caption.start_ms

    def close(self) -> None:
        """Write what is still open, then the files."""
        for utterance, start_ms in self._open.values():
            self._keep(utterance, start_ms)
        self._open.clear()
        for output in (self.output, self.provider_data):
            if output:
                output.close()

    def _keep(self, utterance: TranscriptUtterance, start_ms: int) -> None:
        if self.output:
            item = {
                "participant": utterance.participant.as_json(),
                "language_code": utterance.language_code,
                "words": [
                    {
                        "text": word.text,
                        "start_timestamp": timestamp_json(word.start, word.start_relative),
                        "end_timestamp": timestamp_json(word.end, word.end_relative),
                    }
                    for word in utterance.words
                ],
            }
            self.output.attempt(lambda spill: spill.add(start_ms, item))

    def _provider_part(self, participant: Participant, caption: Caption) -> dict[str, Any]:
        """What Zoom sent, in the frame of Recall's provider data. That each voice is a source of its own is assumed [inf]."""
        content = {"user_id": caption.user_id, "user_name": caption.user_name, "data": caption.text, "timestamp": caption.start_ms}
        content |= {
            "start_time": caption.start_ms,
            "end_time": caption.end_ms,
            "language": caption.language,
            "attribute": caption.attribute,
        }
        return {
            "id": str(self._captions),
            "created_at": iso(caption.end_ms / 1000),
            "source_audio": {
                "type": "separate",
                "offset": self._timeline.relative(caption.start_ms),
                "participant": participant.as_json(),
            },
            "type": "websocket_message",
            "data": {"msg_type": 17, "content": content},
        }

    def _utterance(self, participant: Participant, caption: Caption) -> TranscriptUtterance:
        language = LANGUAGE_CODES.get(caption.language) if caption.language is not None else None
        return TranscriptUtterance(participant, words_of(caption.text, caption.start_ms, caption.end_ms, self._timeline), language)
