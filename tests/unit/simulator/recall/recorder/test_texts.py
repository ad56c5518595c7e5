"""Transcript, participants, events and timeline in the form of Recall's downloads (docs/evidence/recall.md B7)."""

import itertools
import json
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.recall.recorder.participants import ParticipantEvents, Roster
from rtms_simulator.recall.recorder.spill import Spill
from rtms_simulator.recall.recorder.timeline import RecordingTime
from rtms_simulator.recall.recorder.transcript import LANGUAGE_CODES, TranscriptWriter, words_of
from rtms_simulator.recall.recorder.values import Participant
from rtms_simulator.recall.rtms.actions import Caption, ParticipantNotice
from rtms_simulator.scenario.languages import LANGUAGES

ROOT = Path(__file__).parents[5]
T0 = 1_795_334_284_000
LINE = RecordingTime(T0)
ADA, ZOE = Participant(7, "Ada"), Participant(8, "Zoë")
ADA_JSON = {"id": 7, "name": "Ada", "is_host": None, "platform": None, "extra_data": None, "email": None}


def at(seconds):
    whole, micro = divmod(round(seconds * 1_000_000), 1_000_000)
    return {"absolute": f"2026-11-22T07:58:{4 + whole:02}.{micro:06}Z", "relative": seconds}


def caption(text, start=0, end=900, user=7, attribute=0, language=9):
    return Caption(user, None, text, T0 + start, T0 + end, language, attribute)


class TestTimeline:
    @given(start=st.integers(-5000, 5000), length=st.integers(0, 5000))
    def test_absolute_is_the_start_and_relative_also_for_what_was_before(self, start, length):
        told = []
        events = ParticipantEvents(None, LINE, Roster(), told.append)
        events.add(ParticipantNotice("join", 7, "Ada", T0 + start))
        moments = [(told[0].at, told[0].relative)]
        for word in words_of("Good morning", T0 + start, T0 + start + length, LINE):
            moments += [(word.start, word.start_relative), (word.end, word.end_relative)]
        assert [round(absolute * 1000) for absolute, _ in moments] == [T0 + round(relative * 1000) for _, relative in moments]
        assert LINE.json(T0 + start) == at(max(0, start) / 1000)


class TestSpill:
    @given(items=st.lists(st.tuples(st.integers(-5, 5), st.text(max_size=5))))
    def test_the_array_is_sorted_by_key_and_otherwise_in_order(self, items, tmp_path_factory):
        path = tmp_path_factory.mktemp("spill") / "a.json"
        spill = Spill(path)
        for key, text in items:
            spill.add(key, {"text": text})
        spill.close()
        assert json.loads(path.read_bytes()) == [{"text": text} for _, text in sorted(items, key=lambda item: item[0])]
        assert list(path.parent.iterdir()) == [path]


class TestTranscript:
    def test_the_file_has_the_documented_form(self, tmp_path):
        told = []
        transcript = TranscriptWriter(tmp_path, LINE, told.append)
        transcript.add(ADA, caption("Good morning", 100, 1200))
        transcript.close()
        word = {"text": "Good", "start_timestamp": at(0.1), "end_timestamp": at(0.5)}
        rest = {"text": "morning", "start_timestamp": at(0.5), "end_timestamp": at(1.2)}
        written = json.loads((tmp_path / "transcript.json").read_bytes())
        assert written == [{"participant": ADA_JSON, "language_code": "en", "words": [word, rest]}]
        assert [(utterance.participant, len(utterance.words)) for utterance in told] == [(ADA, 2)]

    def test_the_provider_data_is_what_zoom_sent(self, tmp_path):
        transcript = TranscriptWriter(tmp_path, LINE, lambda _: None)
        transcript.add(ADA, caption("Good", 100, 1200, attribute=1))
        transcript.add(ADA, caption("Good morning", 100, 1300, attribute=2))
        transcript.close()
        first, second = json.loads((tmp_path / "provider_data.json").read_bytes())["parts"]
        assert first == {
            "id": "1",
            "created_at": at(1.2)["absolute"],
            "source_audio": {"type": "separate", "offset": 0.1, "participant": ADA_JSON},
            "type": "websocket_message",
            "data": {
                "msg_type": 17,
                "content": {
                    "user_id": 7,
                    "user_name": None,
                    "data": "Good",
                    "timestamp": T0 + 100,
                    "start_time": T0 + 100,
                    "end_time": T0 + 1200,
                    "language": 9,
                    "attribute": 1,
                },
            },
        }
        assert (second["id"], second["data"]["content"]["data"]) == ("2", "Good morning")

    @given(st.text(max_size=40), st.integers(0, 10_000), st.integers(0, 10_000))
    def test_words_share_the_time_of_their_utterance(self, text, start, length):
        words = words_of(text, T0 + start, T0 + start + length, LINE)
        assert [word.text for word in words] == text.split()
        if words:
            assert (words[0].start, words[-1].end) == ((T0 + start) / 1000, (T0 + start + length) / 1000)
            assert all(word.start <= word.end for word in words)
            assert all(one.end == other.start for one, other in itertools.pairwise(words))

    def test_utterances_are_written_in_the_order_they_began(self, tmp_path):
        transcript = TranscriptWriter(tmp_path, LINE, lambda _: None)
        transcript.add(ADA, caption("second", 500))
        transcript.add(ZOE, caption("first", 100))
        transcript.close()
        assert [item["words"][0]["text"] for item in json.loads((tmp_path / "transcript.json").read_bytes())] == ["first", "second"]

    def test_updates_replace_and_a_delete_removes(self, tmp_path):
        told = []
        transcript = TranscriptWriter(tmp_path, LINE, told.append)
        transcript.add(ADA, caption("god", attribute=1))
        transcript.add(ZOE, caption("hello", 50, attribute=0))
        transcript.add(ADA, caption("good morning", attribute=2))
        transcript.add(ZOE, caption("never mind", 70, attribute=1))
        transcript.add(ZOE, caption("", 70, attribute=3))
        transcript.add(ADA, caption("everybody", 1000, 2000, attribute=1))
        transcript.close()
        spoken = [" ".join(word["text"] for word in item["words"]) for item in json.loads((tmp_path / "transcript.json").read_bytes())]
        assert spoken == ["good morning", "hello", "everybody"]
        said = [" ".join(word.text for word in utterance.words) for utterance in told]
        assert said == ["god", "hello", "good morning", "never mind", "everybody"]

    def test_the_languages_are_those_of_zooms_list(self):
        """docs/evidence/zoom.md holds the vendor's list; the table of names and the table of codes follow it."""
        line = re.search(r"^- Languages of a transcript.*: (-1 NONE, .*)\.$", (ROOT / "docs/evidence/zoom.md").read_text(), re.MULTILINE)
        assert line is not None
        vendors = dict(entry.split(" ", 1) for entry in line[1].split(", "))
        assert {name.lower(): int(number) for number, name in vendors.items()} == LANGUAGES
        for number, name in vendors.items():
            code = LANGUAGE_CODES.get(int(number))
            assert (code is None) == (name == "NONE")
            assert code is None or re.fullmatch(r"[a-z]{2,3}(-[A-Z][A-Za-z]{1,3})?", code)

    def test_every_language_of_zoom_has_a_code(self):
        assert set(LANGUAGE_CODES) == set(LANGUAGES.values()) - {-1}
        assert len(set(LANGUAGE_CODES.values())) == len(LANGUAGE_CODES)

    def test_utterances_are_told_also_when_nothing_can_be_written(self, tmp_path):
        told = []
        (tmp_path / "file").write_text("where a directory is wanted")
        transcript = TranscriptWriter(tmp_path / "file", LINE, told.append)
        transcript.add(ADA, caption("hello"))
        transcript.close()
        assert len(told) == 1
        assert transcript.output is not None
        assert transcript.output.sub_code == "artifact_write_failed"


class TestParticipants:
    def record(self, directory, *happenings, end=10_000):
        told, roster = [], Roster()
        events = ParticipantEvents(directory, LINE, roster, told.append)
        for what, user, name, moment in happenings:
            events.add(ParticipantNotice(what, user, name, T0 + moment))
        events.close(T0 + end)
        files = {path.stem: json.loads(path.read_bytes()) for path in directory.iterdir()}
        return told, files

    def test_events_have_the_documented_form(self, tmp_path):
        told, files = self.record(tmp_path, ("join", 7, "Ada", 250), ("webcam_on", 7, None, 500))
        assert files["participant_events"] == [
            {"id": "1", "action": "join", "participant": ADA_JSON, "timestamp": at(0.25), "data": None},
            {"id": "2", "action": "webcam_on", "participant": ADA_JSON, "timestamp": at(0.5), "data": None},
        ]
        assert [(event.action, event.participant, event.relative) for event in told] == [("join", ADA, 0.25), ("webcam_on", ADA, 0.5)]

    def test_the_timeline_tells_who_spoke_when(self, tmp_path):
        told, files = self.record(
            tmp_path,
            ("active_speaker", 7, "Ada", 1000),
            ("active_speaker", 8, "Zoë", 3000),
            ("active_speaker", 8, "Zoë", 4000),
            ("active_speaker", 7, "Ada", 5000),
            ("leave", 7, None, 6000),
            ("active_speaker", 8, "Zoë", 7000),
        )
        turns = [(turn["participant"]["name"], turn["start_timestamp"], turn["end_timestamp"]) for turn in files["speaker_timeline"]]
        assert turns == [("Ada", at(1.0), at(3.0)), ("Zoë", at(3.0), at(5.0)), ("Ada", at(5.0), at(6.0)), ("Zoë", at(7.0), at(10.0))]
        assert [event.action for event in told] == [
            *("speech_on", "speech_off", "speech_on", "speech_off", "speech_on", "speech_off", "leave", "speech_on")
        ]

    def test_everybody_is_listed_once_with_the_last_name(self, tmp_path):
        _, files = self.record(tmp_path, ("join", 7, "A", 0), ("join", 8, None, 1), ("join", 7, "Ada", 2), ("leave", 8, None, 3))
        assert [(person["id"], person["name"]) for person in files["participants"]] == [(7, "Ada"), (8, None)]

    def test_a_share_ends_for_who_shared(self, tmp_path):
        told, _ = self.record(
            tmp_path, ("screenshare_on", 7, "Ada", 0), ("screenshare_off", None, None, 10), ("screenshare_off", None, None, 20)
        )
        assert [(event.action, event.participant.id) for event in told] == [("screenshare_on", 7), ("screenshare_off", 7)]

    def test_who_was_there_before_the_recording_was_there_at_0(self, tmp_path):
        told, _ = self.record(tmp_path, ("join", 7, "Ada", -4000))
        assert (told[0].at, told[0].relative) == (T0 / 1000, 0)
