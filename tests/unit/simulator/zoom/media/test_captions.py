"""Transcript and chat: what was said and written, by whom, when, in Zoom's fields."""

import json

import pytest

from rtms_simulator.scenario import Action, Person, Scenario, load
from rtms_simulator.scenario.languages import ENGLISH, LANGUAGES
from rtms_simulator.zoom.media import MediaSource, MediaSwitches
from rtms_simulator.zoom.rtms.enums import MediaType

GERMAN, SPANISH = LANGUAGES["german"], LANGUAGES["spanish"]
STAND_UP = load("stand-up")


def monologue(*languages: int, each_s: float = 6.0) -> Scenario:
    """One person, an utterance after the other, each in its language."""
    zoe = Person(7, "Zoë")
    said = tuple(
        Action(n * each_s, "speak", 7, {"until_s": (n + 1) * each_s, "text": f"words {n}", "language": language})
        for n, language in enumerate(languages)
    )
    return Scenario("monologue", (zoe,), said, len(languages) * each_s)


def labels(scenario: Scenario, switches: MediaSwitches | None = None, **params) -> list[int]:
    return [packet.extra["language"] for packet in MediaSource(scenario, switches=switches).transcript(params)]


def test_an_utterance_is_sent_when_it_is_over_with_its_own_times():
    packets = list(MediaSource(STAND_UP).packets(MediaType.TRANSCRIPT, {}))
    assert [(p.user_name, p.at_ms, p.extra["start_time"], p.extra["end_time"]) for p in packets] == [
        ("Ada Lovelace", 3100, 500, 3100),
        ("Grace Hopper", 6200, 3300, 6200),
        ("Zoë Müller", 8600, 6000, 8600),
        ("Ada Lovelace", 11200, 9000, 11200),
    ]
    assert packets[2].data.decode() == "Schön! Ich prüfe heute die Aufzeichnung."
    assert {p.extra["attribute"] for p in packets} == {1}


def test_a_late_reader_gets_what_ends_from_then_on():
    assert [p.at_ms for p in MediaSource(STAND_UP).transcript({}, start_ms=6_200)] == [6200, 8600, 11200]


def test_speech_without_words_has_no_transcript():
    scenario = Scenario("x", (Person(1, "A"),), (Action(0, "speak", 1, {"until_s": 1.0}),), 1.0)
    assert list(MediaSource(scenario).transcript({})) == []
    assert list(MediaSource(scenario).audio_multi({}))


def test_without_language_identification_everything_is_in_the_asked_for_language():
    scenario = monologue(ENGLISH, GERMAN, SPANISH, each_s=40.0)
    assert labels(scenario, src_language=GERMAN, enable_lid=False) == [GERMAN] * 3
    assert labels(scenario, enable_lid=False) == [ENGLISH] * 3
    assert labels(scenario, language=SPANISH, enable_lid=False) == [SPANISH] * 3


def test_a_new_language_is_recognised_after_half_a_minute_of_meeting_and_ten_seconds_of_it():
    assert labels(monologue(*[GERMAN] * 7)) == [ENGLISH] * 4 + [GERMAN] * 3
    assert labels(monologue(*[ENGLISH] * 5, *[SPANISH] * 3)) == [ENGLISH] * 6 + [SPANISH] * 2


def test_a_word_in_between_does_not_change_the_language():
    assert labels(monologue(*[ENGLISH] * 6, SPANISH, *[ENGLISH] * 2)) == [ENGLISH] * 9


def test_the_delays_are_switches():
    assert labels(monologue(GERMAN, SPANISH), MediaSwitches(first_language_s=0, language_switch_s=0)) == [GERMAN, SPANISH]


def test_the_webinar_is_heard_in_three_languages():
    assert set(labels(load("all-hands-webinar"))) == {ENGLISH, SPANISH, LANGUAGES["japanese"]}


def test_a_contact_center_party_has_its_channel():
    packets = list(MediaSource(load("contact-center-call")).transcript({}))
    assert {p.extra["channel_id"] for p in packets} == {"channel-consumer", "channel-agent"}


# --- chat


def chat_of(name: str) -> list[dict]:
    return [json.loads(packet.data) for packet in MediaSource(load(name)).packets(MediaType.CHAT, {})]


def test_a_message_names_sender_session_and_text():
    (packet,) = MediaSource(STAND_UP).chat()
    assert "both – see".encode() in packet.data  # noqa: RUF001
    message = json.loads(packet.data)
    assert message.pop("message_id")
    assert message == {
        "operation_type": 1,
        "chat_session": {"type": 1},
        "sender": {"user_id": STAND_UP.people[0].user_id, "user_name": "Ada Lovelace"},
        "data": "Thank you both – see the ticket.",  # noqa: RUF001
    }


def test_replies_emoji_and_files_refer_to_the_message_they_are_about():
    question, aside, answer, emoji = chat_of("all-hands-webinar")
    assert aside["chat_session"] == {"type": 4}
    assert answer["parent_message_id"] == emoji["parent_message_id"] == question["message_id"]
    assert [file["file_name"] for file in answer["files"]] == ["numbers.pdf"]
    assert (emoji["operation_type"], emoji["data"]) == (4, "👍")
    assert len({message["message_id"] for message in (question, aside, answer, emoji)}) == 4


def written(*messages: dict) -> list[dict]:
    people = (Person(1, "Ada"), Person(2, "Bob"))
    scenario = Scenario("chat", people, tuple(Action(float(n), "chat", 1, data) for n, data in enumerate(messages)), 9.0)
    return [json.loads(packet.data) for packet in MediaSource(scenario).chat()]


def test_an_edit_or_a_deletion_keeps_the_messages_id():
    new, update, delete = written(
        {"text": "a", "id": "m"}, {"text": "b", "id": "m", "operation": "update"}, {"id": "m", "operation": "delete", "files": ["f"]}
    )
    assert new["message_id"] == update["message_id"] == delete["message_id"]
    assert [m["operation_type"] for m in (new, update, delete)] == [1, 3, 2]
    assert len(delete["delete_file_id_list"]) == 1
    assert "files" not in delete


def test_a_message_to_one_person_names_them():
    (message,) = written({"text": "psst", "to": "Bob"})
    assert (message["receiver"], message["chat_session"]) == ({"user_id": 2, "user_name": "Bob"}, {"type": 2})


@pytest.mark.parametrize(("start_ms", "count"), [(0, 1), (7_000, 1), (7_001, 0)])
def test_a_late_reader_gets_the_messages_from_then_on(start_ms, count):
    assert len(list(MediaSource(STAND_UP).chat(start_ms=start_ms))) == count


def test_the_older_plain_form_is_a_switch():
    (packet,) = MediaSource(STAND_UP, switches=MediaSwitches(chat_json=False)).chat()
    assert packet.data.decode() == "Thank you both – see the ticket."  # noqa: RUF001
