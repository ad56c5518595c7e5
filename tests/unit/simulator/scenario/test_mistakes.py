"""Every mistake of a scenario is told at once, in the order of its lines, and none that only follows from another."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.scenario import ScenarioError, load, names, parse
from rtms_simulator.scenario.switches import by_name

MANY = """\
produkt = "meeting"
duration_s = "long"
apps = 0
people = [
  { name = "Ada", role = "boss" },
  { name = " " },
  { user_id = 7 },
  { name = "Ada", user_id = "x" },
]
timeline = [
  { at_s = 1, kind = "sing" },
  { at_s = 2, kind = "leave", who = "Ada", stop_reason = 1 },
  { at_s = "soon", kind = "speak", who = "Ada", until_s = "later" },
  7,
  { at_s = 3, kind = "stop", stop_reason = 99 },
]
[switches]
page_size = 3
"""


def problems(source: str, **more) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        parse(source, file="mine.toml", **more)
    return caught.value.lines()


def test_all_mistakes_are_told_in_the_order_of_their_lines():
    assert [line.partition(" (allowed: ")[0] for line in problems(MANY)] == [
        "mine.toml:1: produkt: unknown key; did you mean product?",
        "mine.toml:2: duration_s: found 'long'",
        "mine.toml:3: apps: found 0",
        "mine.toml:5: people[0].role: found 'boss'",
        "mine.toml:6: people[1].name: empty name",
        "mine.toml:7: people[2].name: missing",
        "mine.toml:8: people[3].user_id: found 'x'",
        "mine.toml:8: people[3].name: 'Ada' is there twice",
        "mine.toml:11: timeline[0].kind: found 'sing'",
        "mine.toml:12: timeline[1].stop_reason: unknown key",
        "mine.toml:13: timeline[2].at_s: found 'soon'",
        "mine.toml:13: timeline[2].until_s: found 'later'",
        "mine.toml:14: timeline[3]: not a table",
        "mine.toml:15: timeline[4].stop_reason: found 99",
        "mine.toml:18: switches.page_size: not a switch",
    ]


def test_a_message_holds_all_of_them():
    with pytest.raises(ScenarioError) as caught:
        parse(MANY, file="mine.toml")
    assert str(caught.value) == "; ".join(caught.value.lines())
    assert [error.line for error in caught.value.all] == sorted(error.line or 0 for error in caught.value.all)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # what an unreadable action would have made is not missed afterwards
        (
            [
                "{ at_s = 1, kind = 'chat_group', who = 'Ada', operation = 'create', group = 'duo', members = 3 }",
                "{ at_s = 2, kind = 'chat', who = 'Ada', to = 'duo', text = 'x' }",
            ],
            ["timeline[0].members"],
        ),
        (
            ["{ at_s = 1, kind = 'leave', who = 'Ada', x = 1 }", "{ at_s = 2, kind = 'join', who = 'Ada' }"],
            ["timeline[0].x"],
        ),
        (
            ["{ at_s = 1, kind = 'chat', who = 'Ada', id = 5 }", "{ at_s = 2, kind = 'chat', who = 'Ada', reply_to = 'one' }"],
            ["timeline[0].id"],
        ),
        # two that do not depend on each other
        (
            ["{ at_s = 1, kind = 'leave', who = 'Eve' }", "{ at_s = 2, kind = 'stop', stop_reason = 99 }"],
            ["timeline[0].who", "timeline[1].stop_reason"],
        ),
        (["{ at_s = 99, kind = 'stop' }", "{ at_s = 98, kind = 'stop' }"], ["timeline[0].at_s", "timeline[1].at_s"]),
    ],
)
def test_what_follows_from_another_mistake_is_not_told(rows, expected):
    source = 'duration_s = 10\npeople = [{ name = "Ada" }]\ntimeline = [\n' + ",\n".join(rows) + "\n]\n"
    assert [line.split(": ")[1] for line in problems(source)] == expected


GOOD = ["duration_s = 10", 'people = [{ name = "Ada" }]', "apps = 1", 'product = "meeting"']
BAD = ["duration_s = -1", 'people = [{ name = "Ada", user_id = 0 }]', "apps = 0", 'product = "phon"']


@given(st.permutations(range(4)), st.sets(st.integers(0, 3), min_size=1))
def test_each_of_several_independent_mistakes_is_told_once(order, bad):
    told = problems("\n".join(BAD[number] if number in bad else GOOD[number] for number in order))
    lines = [position + 1 for position, number in enumerate(order) if number in bad]
    assert [int(line.split(":")[1]) for line in told] == lines


def test_switches_are_written_as_tables_or_by_their_names():
    for text in ("[switches]\nzoom.close_code = 1001", "[switches.zoom]\nclose_code = 1001", "[switches]\n'zoom.close_code' = 1001"):
        scenario = parse(f'duration_s = 1\npeople = [{{ name = "Ada" }}]\n{text}\n')
        assert scenario.switches == {"zoom.close_code": 1001}
    assert by_name({"recall": {"limits": {"create": 5}}}) == {"recall.limits": {"create": 5}}


def test_the_library_says_the_right_end_of_each_meeting():
    ends = {name: load(name).outcome for name in names()}
    assert {name: end for name, end in ends.items() if end != "recorded"} == {
        "bad-signature": "not-joined",
        "never-joined": "not-joined",
        "revoked": "deleted",
    }


def test_a_mistake_in_any_one_key_is_told_at_its_line():
    rows = [*GOOD, "seed = 1", "meetings = 1", "auto_start = true", "outcome = 'recorded'", "custom_fields = {}", "switches = {}"]
    for count, position in itertools.product((1, 2), range(len(rows))):
        key = rows[position].partition(" ")[0]
        broken = [*rows[:position], f"{key} = 1979-05-27", *rows[position + 1 :]] if count == 1 else [*rows, f"x{key} = 1"]
        [line] = problems("\n".join(broken))[:1]
        assert line.startswith(f"mine.toml:{position + 1 if count == 1 else len(rows) + 1}: {'' if count == 1 else 'x'}{key}: ")
