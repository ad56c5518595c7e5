"""Scenarios from TOML: the library by name, files by path, and for every mistake the file, line, key and what is allowed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.scenario import PRODUCTS, ScenarioError, load, names, parse

SHIPPED = {
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


# The library


def test_the_library_has_every_promised_scenario():
    assert set(names()) >= SHIPPED


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


# Mistakes

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


def in_call(product: str, event: str) -> str:
    return of_product(product, f"{{ at_s = 5, kind = 'call_event', who = 'Ada', {event} }}")


def of_product(product: str, row: str) -> str:
    return f"product = '{product}'\n" + in_timeline(row).replace("kind = 'video_on', who = 'Ada'", "kind = 'pause'", 1)


GROUP = "{ at_s = 2, kind = 'chat_group', who = 'Ada', operation = 'create', group = 'duo', members = ['Bob'] }"
MISTAKES = [
    *(
        (
            of_product(product, f"{{ at_s = 5, kind = '{kind}', who = 'Ada' }}"),
            9,
            f"timeline[1].kind: a {product} has no {kind} (only meeting, webinar, session)",
            "join, leave, speak, call_event",
        )
        for product in ("contact_center", "phone")
        for kind in ("video_on", "video_off", "share_start", "share_stop", "chat")
    ),
    (of_product("session", GROUP), 9, "timeline[1].kind: a session has no chat_group (only meeting, webinar)", "chat"),
    (in_timeline(f"{GROUP},\n  {GROUP}"), 9, "timeline[2].group: 'duo' is taken", "no group or person"),
    (in_timeline(GROUP.replace("create", "delete")), 8, "timeline[1].group: no group 'duo'", "none"),
    (in_timeline(GROUP.replace("'Bob'", "'Eve'")), 8, "timeline[1].members: found ['Eve']", "Ada, Bob"),
    (in_timeline(GROUP.replace("'Bob'", "")), 8, "timeline[1].members: found []", "Ada, Bob"),
    (in_timeline(GROUP.replace("create", "rename")), 8, "timeline[1].operation: found 'rename'", "create, delete, add, remove, status"),
    (in_timeline("{ at_s = 5, kind = 'chat', who = 'Ada', cc_hosts = true }"), 8, "timeline[1].cc_hosts: only a message to one", "person"),
    ("meeting_events = ['meeting.begun']\n" + HEAD + "]", 1, "meeting_events[0]: found 'meeting.begun'", "meeting.started"),
    ("product = 'phone'\nmeeting_events = ['x']\n" + HEAD + "]", 2, "meeting_events[0]: found 'x'", "none in a phone"),
    ("custom_fields = { a = 1 }\n" + HEAD + "]", 1, "custom_fields: a contact center's webhook has them", "contact_center"),
    ("product = 'contact_center'\ncustom_fields = { a = [{ b = 1979-05-27 }] }\n" + HEAD + "]", 2, "custom_fields.a[0].b: found", "text"),
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
    (in_call("contact_center", "event = 'x'"), 9, "timeline[1].event: found 'x'", "CONSUMER_ANSWERED"),
    (in_call("phone", "event = 'USER_HOLD'"), 9, "timeline[1].event: found 'USER_HOLD'", "CALL_HOLD, CALL_RESUME, CALL_TRANSFER"),
    (in_call("contact_center", "event = 'IVR_DTMF', fields = { at = 1979-05-27 }"), 9, "timeline[1].fields.at: found", "text"),
    (
        in_timeline("{ at_s = 5, kind = 'call_event', who = 'Ada', event = 'USER_HOLD' }"),
        8,
        "timeline[1].kind: a meeting has no call_event (only contact_center, phone)",
        "join, leave, speak, video_on",
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
        assert answer(text)


def answer(text: str) -> object:
    """The people of the scenario, or what is wrong with it."""
    try:
        return parse(text).people
    except ScenarioError as error:
        return str(error)
