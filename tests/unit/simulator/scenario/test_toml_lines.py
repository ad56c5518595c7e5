"""Each key of a document is found on the line where a person wrote it."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.scenario.toml_lines import lines_of

DOCUMENT = '''\
# a comment with = and [brackets]
title = "a # that is no comment"   # one that is
"odd key" = 1
nested.deep = [1, 2]

list = [
  { a = 1, b = "x" },   # first

  { a = 2, "c d" = { e = [ [1], [2] ] } },
]
text = """
[not.a.table]
key = "value"
"""
raw = \'\'\'[[nor.this]]\'\'\'

[table]
when = 1979-05-27T07:32:00Z

[[rows]]
name = "one"
[[rows]]

name = "two"
[rows.sub]
x = 1
[[rows.inner]]
y = 2
[[rows.inner]]
y = 3
'''


def test_every_path_has_the_line_it_was_written_on():
    lines = lines_of(DOCUMENT)
    assert {
        path: lines[path]
        for path in [
            ("title",),
            ("odd key",),
            ("nested", "deep", 1),
            ("list",),
            ("list", 0, "b"),
            ("list", 1, "a"),
            ("list", 1, "c d", "e", 1, 0),
            ("raw",),
            ("table", "when"),
            ("rows", 0, "name"),
            ("rows", 1),
            ("rows", 1, "name"),
            ("rows", 1, "sub", "x"),
            ("rows", 1, "inner", 1, "y"),
        ]
    } == {
        ("title",): 2,
        ("odd key",): 3,
        ("nested", "deep", 1): 4,
        ("list",): 6,
        ("list", 0, "b"): 7,
        ("list", 1, "a"): 9,
        ("list", 1, "c d", "e", 1, 0): 9,
        ("raw",): 15,
        ("table", "when"): 18,
        ("rows", 0, "name"): 21,
        ("rows", 1): 22,
        ("rows", 1, "name"): 24,
        ("rows", 1, "sub", "x"): 26,
        ("rows", 1, "inner", 1, "y"): 30,
    }


def test_what_looks_like_a_table_inside_a_text_is_none():
    assert not [path for path in lines_of(DOCUMENT) if "not" in path or "nor" in path or "key" in path]


KEYS = st.text(st.sampled_from("ab-_ .#=[]'é"), max_size=4)
LEAVES = st.one_of(st.integers(-5, 5), st.booleans(), st.floats(0, 9, width=16), st.text(st.sampled_from("x\"'\\\n#[]{},="), max_size=6))
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\u{ord(c):04x}" if c in '"\\\n' else c for c in text) + '"'


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list):
        return "[" + "".join(f"\n  {_written(item)} , # ]" for item in value) + "\n]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_quoted(key)} = {_written(item)}" for key, item in value.items()) + " }"
    return repr(value)


def _paths(value: object, here: tuple = ()) -> set[tuple]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {here} | {path for key, child in children for path in _paths(child, (*here, key))}


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_exactly_the_paths_that_the_document_has_are_found(document):
    source = "".join(f"{_quoted(key)} = {_written(value)}\n" for key, value in document.items())
    assert tomllib.loads(source) == document
    lines = lines_of(source)
    assert set(lines) == _paths(document) - {()}
    assert all(1 <= line <= source.count("\n") for line in lines.values())
