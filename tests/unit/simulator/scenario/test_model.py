"""A scenario is complete, ordered and free of contradictions; a mistake in one is named with file, line, key and what is allowed."""

import contextlib
import itertools
import math
import pickle
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.faults.reference import rows
from rtms_simulator.scenario.languages import LANGUAGE_NAMES, LANGUAGES
from rtms_simulator.scenario.model import (
    CHAT_OPERATIONS,
    KINDS,
    MEDIA_KINDS,
    PRODUCTS,
    Action,
    Person,
    Scenario,
    ScenarioError,
    load,
    names,
    parse,
)
from rtms_simulator.zoom.rtms.enums import ContactCenterEventType

ADA = Person(16778240, "Ada", "host")
BOB = Person(16779264, "Bob")
ISSUE_3 = {
    "stand-up",
    "all-hands-webinar",
    "one-to-one",
    "contact-center-call",
    "host-stops-and-reallows",
    "server-fail-over",
    "keep-alive-death",
    "bad-signature",
    "never-joined",
    "revoked",
    "twenty-at-once",
    "two-apps",
}


def meeting(*actions: Action, duration_s: float = 10.0, **more) -> Scenario:
    return Scenario("test", (ADA, BOB), actions, duration_s, **more)


def speak(who: Person, at_s: float, until_s: float, text: str = "words", **data) -> Action:
    return Action(at_s, "speak", who.user_id, {"until_s": until_s, "text": text} | data)


# --- the library


def test_the_library_has_every_promised_scenario():
    assert set(names()) >= ISSUE_3


@pytest.mark.parametrize("name", names())
def test_a_library_scenario_says_what_it_is_and_has_something_to_hear(name):
    scenario = load(name)
    assert scenario.name == name
    assert scenario.summary.endswith(".")
    assert scenario.utterances()
    assert scenario.timeline[-1].kind == "end"


def test_the_library_covers_every_product():
    assert {load(name).product for name in names()} == set(PRODUCTS)


def test_the_library_uses_every_kind_of_stream_trouble():
    kinds = {action.kind for name in names() for action in load(name).timeline}
    assert kinds >= {"stop", "reallow", "fail_over", "drop_signaling", "fault", "chat", "share_start", "video_on", "call_event"}


def test_an_unknown_name_is_answered_with_the_names():
    with pytest.raises(ScenarioError, match=r"no scenario 'standup' \(allowed: all-hands-webinar, .*stand-up.* or a path"):
        load("standup")


def test_a_file_is_loaded_by_path_and_named_after_it(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('duration_s = 3\npeople = [{ name = "Ada" }]\n', encoding="utf-8")
    assert load(path).name == load(str(path)).name == "mine"


@pytest.mark.parametrize(("content", "problem"), [(None, "cannot be read"), (b"name = '\xff'", "cannot be read")])
def test_an_unreadable_file_is_named(tmp_path, content, problem):
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ScenarioError, match=f"^{re.escape(str(path))}: {problem}"):
        load(path)


# --- mistakes

HEAD = """\
duration_s = 10
people = [
  { name = "Ada" },
  { name = "Bob" },
]
timeline = [
"""


def in_timeline(row: str) -> str:
    return f"{HEAD}  {{ at_s = 0, kind = 'video_on', who = 'Ada' }},\n  {row},\n]\n"


MISTAKES = [
    ("", 1, "duration_s: missing", "seconds, above 0"),
    ("duration_s = 'x'\npeople = []", 1, "duration_s: found 'x'", "a number"),
    ("duration_s = true\npeople = []", 1, "duration_s: found True", "a number"),
    ("duration_s = 1\nseed = true\npeople = [{ name = 'A' }]", 2, "seed: found True", "a whole number"),
    ("people = [{ name = 'A' }]\n\nduration_s = -1", 3, "duration_s: -1.0 is not a duration", "above 0, at most 64800"),
    ("people = [{ name = 'A' }]\nduration_s = nan", 2, "duration_s: nan is not a duration", "above 0, at most 64800"),
    ("duration_s = 1\npeople = []", 2, "people: nobody is there", "at least one"),
    ("duration_s = 1\npeople = [\n 3,\n]", 3, "people[0]: not a table", "a table with name"),
    ("duration_s = 1\npeople = [{ nam = 'A' }]", 2, "people[0].nam: unknown key", "name, user_id, role"),
    ("duration_s = 1\npeople = [\n{ name = 'A' },\n{ name = 'A' }]", 4, "people[1].name: 'A' is there twice", "only once"),
    ("duration_s = 1\npeople = [{ name = ' ' }]", 2, "people[0].name: empty name", "a name"),
    ("duration_s = 1\npeople = [{ name = 'A', user_id = 2147483648 }]", 2, "people[0].user_id: found 2147483648", "1 to 2147483647"),
    ("duration_s = 1\npeople = [{ name = 'A', user_id = 0 }]", 2, "people[0].user_id: found 0", "1 to 2147483647"),
    ("duration_s = 1\npeople = [{ name = 'A', role = 'boss' }]", 2, "people[0].role: found 'boss'", "host, participant"),
    ("duration_s = 1\npeople = [{ name = 'A', language = 'klingon' }]", 2, "people[0].language: found 'klingon'", "arabic"),
    (
        "duration_s = 1\nproduct = 'phon'\npeople = [{ name = 'A' }]",
        2,
        "product: found 'phon'",
        "meeting, webinar, session, contact_center, phone",
    ),
    ("duration_s = 1\npeople = [{ name = 'A' }]\nmeetings = 0", 3, "meetings: found 0", "1 to 2000"),
    ("duration_s = 1\npeople = [{ name = 'A' }]\nspeed = 2", 3, "speed: unknown key", "name, summary, product"),
    (in_timeline("7"), 8, "timeline[1]: not a table", "at_s and kind"),
    (in_timeline("{ at_s = 1 }"), 8, "timeline[1].kind: missing", "join, leave, speak"),
    (in_timeline("{ kind = 'stop' }"), 8, "timeline[1].at_s: missing", "seconds from the start"),
    (in_timeline("{ at_s = 1, kind = 'sing' }"), 8, "timeline[1].kind: found 'sing'", "join, leave, speak"),
    (in_timeline("{ at_s = 11, kind = 'stop' }"), 8, "timeline[1].at_s: found 11.0", "0 to duration_s (10)"),
    (in_timeline("{ at_s = 1, kind = 'leave' }"), 8, "timeline[1].who: missing", "Ada, Bob"),
    (in_timeline("{ at_s = 1, kind = 'leave', who = 'Eve' }"), 8, "timeline[1].who: found 'Eve'", "Ada, Bob"),
    (in_timeline("{ at_s = 1, kind = 'stop', who = 'Ada' }"), 8, "timeline[1].who: unknown key", "at_s, kind, stop_reason"),
    (in_timeline("{ at_s = 1, kind = 'stop', stop_reason = 27 }"), 8, "timeline[1].stop_reason: found 27", "0 to 26"),
    (in_timeline("{ at_s = 5, kind = 'speak', who = 'Ada' }"), 8, "timeline[1].until_s: missing", "seconds, after at_s"),
    (
        in_timeline("{ at_s = 5, kind = 'speak', who = 'Ada', until_s = 5 }"),
        8,
        "timeline[1].until_s: found 5.0",
        "after 5, up to duration_s",
    ),
    (in_timeline("{ at_s = 5, kind = 'speak', who = 'Ada', until_s = 6, language = 'x' }"), 8, "timeline[1].language: found 'x'", "arabic"),
    (in_timeline("{ at_s = 5, kind = 'drop_media', media = 'smell' }"), 8, "timeline[1].media: found 'smell'", "audio, video"),
    (in_timeline("{ at_s = 5, kind = 'chat', who = 'Ada', operation = 'x' }"), 8, "timeline[1].operation: found 'x'", "new, delete"),
    (in_timeline("{ at_s = 5, kind = 'chat', who = 'Ada', to = 'Eve' }"), 8, "timeline[1].to: found 'Eve'", "everyone, hosts, Ada, Bob"),
    (in_timeline("{ at_s = 5, kind = 'chat', who = 'Ada', reply_to = 'x' }"), 8, "timeline[1].reply_to: no earlier message 'x'", "id"),
    (in_timeline("{ at_s = 5, kind = 'chat', who = 'Ada', files = [1] }"), 8, "timeline[1].files: found [1]", "names"),
    (in_timeline("{ at_s = 5, kind = 'call_event', who = 'Ada', event = 'x' }"), 8, "timeline[1].event: found 'x'", "CONSUMER_ANSWERED"),
    (
        in_timeline("{ at_s = 5, kind = 'call_event', who = 'Ada', event = 'USER_HOLD' }"),
        8,
        "timeline[1].kind: its numbers mean something else",
        "only in a contact_center",
    ),
    (
        in_timeline("{ at_s = 5, kind = 'fault', fault = 'zoom.stream: drop-media at=1s' }"),
        8,
        "timeline[1].fault: at_s says when",
        "without at=",
    ),
    (in_timeline("{ at_s = 5, kind = 'fault', name = 'late' }"), 8, "timeline[1].name: unknown key", "at_s, kind, fault"),
    (in_timeline("{ at_s = 5, kind = 'fault', fault = 'x' }"), 8, "timeline[1].fault: 'x': a fault is written `TARGET: STEP`", ""),
    (
        in_timeline("{ at_s = 5, kind = 'fault', fault = 'late:seconds=4' }"),
        8,
        "timeline[1].fault: 'late:seconds=4' is written 'zoom.webhook.*: late 4s' now",
        "",
    ),
    (
        in_timeline("{ at_s = 5, kind = 'fault', fault = 'zoom.webhook.*: late hour=1s' }"),
        8,
        "timeline[1].fault: zoom.webhook.*: late takes no 'hour=1s'",
        "",
    ),
    (
        in_timeline("{ at_s = 0, kind = 'leave', who = 'Ada' },\n  { at_s = 5, kind = 'video_on', who = 'Ada' }"),
        9,
        "timeline[2].who: 'Ada' is not in the meeting at 5 s",
        "joined",
    ),
    (in_timeline("{ at_s = 0, kind = 'end' }"), 8, "timeline[1].at_s: ends before it began", "above 0"),
    (
        in_timeline(
            ",\n  ".join(f"{{ at_s = {at}, kind = '{kind}', who = 'Ada' }}" for at, kind in ((1, "leave"), (2, "join"), (3, "join")))
        ),
        10,
        "timeline[3].who: 'Ada' is already in the meeting at 3 s",
        "not there",
    ),
    (in_timeline("{ at_s = 3, kind = 'join', who = 'Ada' }"), 7, "timeline[0].who: 'Ada' is not in the meeting at 0 s", "joined"),
    (
        in_timeline("{ at_s = 1, kind = 'speak', who = 'Ada', until_s = 3 },\n  { at_s = 2, kind = 'speak', who = 'Ada', until_s = 4 }"),
        9,
        "timeline[2].at_s: still speaking then",
        "3 or later",
    ),
    (
        in_timeline("{ at_s = 1, kind = 'speak', who = 'Ada', until_s = 3 },\n  { at_s = 2, kind = 'leave', who = 'Ada' }"),
        9,
        "timeline[2].at_s: leaves in the middle of a sentence",
        "3 or later",
    ),
    (
        in_timeline("{ at_s = 5, kind = 'end' },\n  { at_s = 6, kind = 'stop' }"),
        9,
        "timeline[2].at_s: the meeting is over by then",
        "up to its end at 5",
    ),
    (in_timeline("{ at_s = 5, kind = 'end' },\n  { at_s = 5, kind = 'end' }"), 9, "timeline[2].kind: a second end", "one"),
    (
        in_timeline("{ at_s = 1, kind = 'speak', who = 'Ada', until_s = 6 },\n  { at_s = 5, kind = 'end' }"),
        9,
        "timeline[2].at_s: ends in the middle of a sentence",
        "6 or later",
    ),
]


@pytest.mark.parametrize(("source", "line", "problem", "allowed"), MISTAKES, ids=[problem for _, _, problem, _ in MISTAKES])
def test_a_mistake_is_named_with_file_line_key_and_what_is_allowed(source, line, problem, allowed):
    with pytest.raises(ScenarioError) as caught:
        parse(source, file="mine.toml")
    assert str(caught.value).startswith(f"mine.toml:{line}: {problem}")
    assert allowed in str(caught.value).partition("(allowed: ")[2]


def test_what_is_not_toml_is_named_with_its_line():
    with pytest.raises(ScenarioError, match=r"^mine\.toml:2: not TOML: "):
        parse("duration_s = 1\npeople = = 3\n", file="mine.toml")


TOML_TEXT = st.text(st.sampled_from("abcdefghij_ =[]{}'\",.0123456789\n#"), max_size=80)


@given(
    st.one_of(TOML_TEXT, TOML_TEXT.map(lambda text: HEAD + text + "]"), st.sampled_from(MISTAKES).map(lambda row: row[0])),
    st.integers(0, 400),
)
def test_no_text_makes_the_loader_fail_otherwise(source, cut):
    for text in (source, source[:cut]):
        with contextlib.suppress(ScenarioError):
            parse(text)


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
    assert [LANGUAGE_NAMES[said.language] for said in scenario.utterances()] == ["german", "french_france"]


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
