"""A scenario is complete, ordered and free of contradictions; a mistake in one is named with file, line, key and what is allowed."""

import itertools
import math
import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.faults.reference import rows
from rtms_simulator.scenario import (
    KINDS,
    Action,
    Person,
    Scenario,
    ScenarioError,
    load,
)
from rtms_simulator.scenario.actions import CHAT_OPERATIONS, MEDIA_KINDS
from rtms_simulator.scenario.languages import LANGUAGES
from rtms_simulator.zoom.rtms.enums import ContactCenterEventType

ADA = Person(16778240, "Ada", "host")
BOB = Person(16779264, "Bob")


def meeting(*actions: Action, duration_s: float = 10.0, **more) -> Scenario:
    return Scenario("test", (ADA, BOB), actions, duration_s, **more)


def speak(who: Person, at_s: float, until_s: float, text: str = "words", **data) -> Action:
    return Action(at_s, "speak", who.user_id, {"until_s": until_s, "text": text} | data)


# --- what the model adds


def test_everybody_joins_and_the_meeting_ends_unless_written():
    scenario = meeting(Action(2.0, "join", BOB.user_id))
    assert [(action.at_s, action.kind, action.who) for action in scenario.timeline] == [
        (0.0, "join", ADA.user_id),
        (2.0, "join", BOB.user_id),
        (10.0, "end", None),
    ]


def test_the_timeline_is_in_order_however_it_was_written():
    scenario = meeting(speak(BOB, 5, 6), speak(ADA, 1, 2), Action(3.0, "stop"))
    times = [action.at_s for action in scenario.timeline]
    assert times == sorted(times)
    assert [said.who for said in scenario.utterances()] == [ADA, BOB]


def test_an_action_has_every_default_of_its_kind():
    stop = next(action for action in meeting(Action(1.0, "stop")).timeline if action.kind == "stop")
    assert stop.data == {"stop_reason": 1}


def test_completing_a_scenario_twice_changes_nothing():
    scenario = load("all-hands-webinar")
    assert replace(scenario) == scenario


def test_a_scenario_travels_between_processes():
    scenario = load("stand-up")
    assert pickle.loads(pickle.dumps(scenario)) == scenario


def test_copies_have_their_own_names_and_seeds():
    copies = load("twenty-at-once").each()
    assert len({copy.name for copy in copies}) == len({copy.seed for copy in copies}) == 20
    assert all(copy.meetings == 1 for copy in copies)


def test_a_single_meeting_is_its_own_only_copy():
    scenario = load("stand-up")
    assert scenario.each() == (scenario,)


def test_spans_end_when_their_owner_leaves_or_the_meeting_ends():
    scenario = meeting(
        Action(1.0, "video_on", ADA.user_id),
        Action(2.0, "share_start", BOB.user_id, {"title": "one"}),
        Action(3.0, "share_start", ADA.user_id, {"title": "two"}),
        Action(4.0, "eject", ADA.user_id),
        Action(5.0, "join", ADA.user_id),
        Action(6.0, "video_on", BOB.user_id),
        Action(8.0, "end"),
    )
    assert [(s.start_ms, s.end_ms, s.who.name) for s in scenario.presence()] == [(0, 4000, "Ada"), (0, 8000, "Bob"), (5000, 8000, "Ada")]
    assert [(s.start_ms, s.end_ms, s.who.name) for s in scenario.cameras()] == [(1000, 4000, "Ada"), (6000, 8000, "Bob")]
    assert [(s.start_ms, s.end_ms, s.who.name, s.title) for s in scenario.shares()] == [
        (2000, 3000, "Bob", "one"),
        (3000, 4000, "Ada", "two"),
    ]


def test_the_active_speaker_is_whoever_began_last():
    scenario = meeting(speak(ADA, 1, 5), speak(BOB, 2, 3), speak(BOB, 4, 4.5), speak(ADA, 6, 7))
    assert [(at_ms, who.name) for at_ms, who in scenario.speakers()] == [(1000, "Ada"), (2000, "Bob"), (6000, "Ada")]


def test_the_meetings_length_is_its_end():
    assert meeting(Action(4.0, "end")).duration_ms == 4000


def test_an_utterance_is_in_the_speakers_language_unless_said_otherwise():
    zoe = Person(3, "Zoë", language=LANGUAGES["german"])
    scenario = Scenario("x", (zoe,), (speak(zoe, 0, 1), speak(zoe, 1, 2, language=LANGUAGES["french_france"])), 2.0)
    assert [said.language for said in scenario.utterances()] == [LANGUAGES["german"], LANGUAGES["french_france"]]


# --- the tables agree with the rest of the simulator


def test_languages_are_zooms_numbers():
    assert len(LANGUAGES) == 38
    assert (LANGUAGES["none"], LANGUAGES["arabic"], LANGUAGES["english"], LANGUAGES["german"], LANGUAGES["vietnamese"]) == (
        -1,
        0,
        9,
        14,
        36,
    )
    assert sorted(LANGUAGES.values()) == list(range(-1, 37))


def test_every_kind_says_what_it_means_and_every_field_what_is_allowed():
    assert all(kind.says for kind in KINDS.values())
    assert all(field.says for kind in KINDS.values() for field in kind.fields.values())


@pytest.mark.parametrize("event", list(ContactCenterEventType.__members__))
def test_every_contact_center_event_can_be_scripted(event):
    meeting(Action(1.0, "call_event", ADA.user_id, {"event": event}), product="contact_center")


@pytest.mark.parametrize("fault", [row.example for row in rows()])
def test_every_fault_can_be_scripted(fault):
    meeting(Action(1.0, "fault", None, {"fault": fault}))


@st.composite
def scenarios(draw) -> Scenario:
    """Any two-person meeting with speech, cameras and trouble."""
    actions: list[Action] = []
    for person in (ADA, BOB):
        edges = sorted(draw(st.lists(st.integers(0, 9_999), max_size=6, unique=True)))
        actions += [speak(person, a / 1000, b / 1000) for a, b in zip(edges[::2], edges[1::2], strict=False)]
        actions += [
            Action(at / 1000, kind, person.user_id)
            for at, kind in draw(
                st.lists(
                    st.tuples(st.integers(0, 10_000), st.sampled_from(["video_on", "video_off", "share_start", "share_stop"])), max_size=4
                )
            )
        ]
    actions += [
        Action(at / 1000, draw(st.sampled_from(["stop", "pause", "resume", "fail_over"])))
        for at in draw(st.lists(st.integers(0, 9_999), max_size=3))
    ]
    return meeting(*draw(st.permutations(actions)))


@given(scenarios())
def test_spans_of_one_person_never_overlap_and_stay_inside_the_meeting(scenario):
    for spans in (scenario.presence(), scenario.cameras()):
        for person in (ADA, BOB):
            own = [span for span in spans if span.who == person]
            assert all(a.end_ms <= b.start_ms for a, b in itertools.pairwise(own))
    shares = scenario.shares()
    assert all(a.end_ms <= b.start_ms for a, b in itertools.pairwise(shares))
    assert all(0 <= span.start_ms < span.end_ms <= scenario.duration_ms for span in (*scenario.presence(), *scenario.cameras(), *shares))


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_no_impossible_moment_gets_in(at_s):
    try:
        scenario = meeting(Action(at_s, "stop"))
    except ScenarioError:
        assert not 0 <= at_s <= 10
    else:
        assert all(math.isfinite(action.at_s) for action in scenario.timeline)


def test_the_tables_name_what_zoom_names():
    assert MEDIA_KINDS == ("audio", "video", "deskshare", "transcript", "chat", "all")
    assert CHAT_OPERATIONS == ("new", "delete", "update", "add_emoji", "remove_emoji")
