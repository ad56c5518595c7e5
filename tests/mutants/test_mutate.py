"""The mutator changes one thing at a time, changes all that matters, and leaves words alone."""

import ast

import pytest

from tests.mutants import judge
from tests.mutants.__main__ import MODULES
from tests.mutants.mutate import mutants, places
from tests.mutants.page import PAGE, explained


def changes(source):
    return {mutant.source.strip() for mutant in mutants(source)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", {"a <= b", "a >= b"}),
        ("a == b", {"a != b"}),
        ("a and b", {"a or b"}),
        ("a + 1", {"a - 1", "a + 2"}),
        ("a |= b", {"a &= b"}),
        ("x = not a", {"x = bool(a)"}),
        ("x = True", {"x = False"}),
        ("x = 'word'", {"x = 'wordXX'"}),
        ("x = b'word'", {"x = b'wordXX'"}),
        ("x = min(a)", {"x = max(a)"}),
        ("x = a.startswith(b)", {"x = a.endswith(b)"}),
        ("def f():\n    return a", {"def f():\n    return None"}),
        ("def f():\n    raise A", {"def f():\n    pass"}),
        ("f()", {"pass"}),
        ("if a:\n    b", {"if not a:\n    b"}),
        ("x = a if b else c", {"x = a if not b else c"}),
        ("while a:\n    break", {"while a:\n    continue"}),
        ("def f(a=1):\n    b", {"def f(a=2):\n    b"}),
    ],
)
def test_each_kind_of_mistake_is_made(source, expected):
    assert changes(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""Docs."""',
        "x: Literal['a', 'b']",
        "State = Literal['a', 'b']",
        "x = 'words for people'",
        "x = f'{a} {b + 1}'",
        "import a",
        "x = None",
        "def f():\n    return None",
        "def f(a: int = b) -> 'X':\n    b",
    ],
)
def test_words_types_and_names_are_left_alone(source):
    assert changes(source) == set()


def test_each_mutant_has_one_change_and_the_next_none_of_it():
    assert [mutant.source for mutant in mutants("a < b\nc == d\ne(min(f))")] == [
        "a <= b\nc == d\ne(min(f))",
        "a >= b\nc == d\ne(min(f))",
        "a < b\nc != d\ne(min(f))",
        "a < b\nc == d\npass",
        "a < b\nc == d\ne(max(f))",
    ]


@pytest.mark.parametrize("module", MODULES)
def test_every_mutant_of_the_cores_differs_and_compiles(module):
    source = (judge.PACKAGE / f"{module}.py").read_text()
    plain = ast.unparse(ast.parse(source))
    assert len(places(source)) > 30
    for mutant in mutants(source, every=10):
        assert mutant.source != plain
        assert mutant.code == source.splitlines()[mutant.line - 1].strip()
        compile(mutant.source, module, "exec")


def test_every_survivor_on_the_page_is_a_mutant_that_can_still_be_made():
    assert PAGE.exists()
    for module in MODULES:
        possible = {(place.code, place.what) for place in places((judge.PACKAGE / f"{module}.py").read_text())}
        assert explained(module) <= possible


def test_the_likeliest_killers_run_first_and_each_has_a_limit_of_its_own():
    seconds = {"tests/a/test_relay.py::x": 0.1, "tests/a/test_zoom_edges.py::slow": 2.0, "tests/a/test_zoom.py::fast": 0.2, "other": 0.0}
    seen = judge.Seen(
        {("zoom", 7): ["tests/a/test_relay.py::x", "tests/a/test_zoom_edges.py::slow", "tests/a/test_zoom.py::fast"]}, seconds
    )
    limits = seen.tests("zoom", 7)
    assert list(limits) == ["tests/a/test_zoom.py::fast", "tests/a/test_zoom_edges.py::slow", "tests/a/test_relay.py::x"]
    assert [limits[test] for test in limits] == pytest.approx([2.0, 11.0, 1.5])
    assert set(seen.tests("zoom", 8)) == set(seconds)  # a line that runs when the module is imported concerns them all
