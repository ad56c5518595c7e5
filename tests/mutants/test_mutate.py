"""The mutator changes one thing at a time, changes all that matters, and leaves words alone."""

import ast

import pytest

from tests.mutants import changed, judge
from tests.mutants.__main__ import Figures, _write, survivors
from tests.mutants.mutate import functions, mutants, places
from tests.mutants.page import PAGE, explained
from tests.mutants.suites import CORES, ROOT, SUITES, file_of, modules, name_of, suite_of


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
        "T = TypeVar('T')",
        "x = 'words for people'",
        "x = f'{a} {b + 1}'",
        "import a",
        "x = None",
        "def f():\n    return None",
        "def f(a: int = b) -> 'X':\n    b",
        "if TYPE_CHECKING:\n    import a",
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


def test_only_some_lines_can_be_broken():
    assert [mutant.source for mutant in mutants("a = 1\nb = 2\nc = 3", lines={2, 3})] == ["a = 1\nb = 3\nc = 3", "a = 1\nb = 2\nc = 4"]
    assert [mutant.line for mutant in mutants("a = 1\nb = 2\nc = 3", every=2, lines={1, 2, 3})] == [1, 3]


@pytest.mark.parametrize("module", modules())
def test_every_mutant_differs_and_compiles(module):
    source = file_of(module).read_text()
    plain = ast.unparse(ast.parse(source))
    assert places(source)
    for mutant in mutants(source, every=10 if module in CORES else 40):
        assert mutant.source != plain
        assert mutant.code == source.splitlines()[mutant.line - 1].strip()
        compile(mutant.source, module, "exec")


def test_every_survivor_on_the_page_is_a_mutant_that_can_still_be_made():
    assert PAGE.exists()
    for module in modules():
        possible = {(place.code, place.what) for place in places(file_of(module).read_text())}
        assert explained(module) <= possible


SOURCE = """\
X = 1
@decorated
def outer(a=2):
    b = 3
    def inner():
        return 4
    return lambda: (
        5)
class C:
    def method(self): return 6
"""


@pytest.mark.parametrize(
    ("line", "around"),
    [(1, []), (2, []), (3, []), (4, [2]), (5, [2]), (6, [5, 2]), (8, [7, 2]), (9, []), (10, [10])],
)
def test_a_line_runs_with_the_functions_around_it_and_the_line_of_a_def_does_not(line, around):
    assert functions(SOURCE, line) == around


def seen(by_function, seconds):
    return judge.Seen({("zoom", line): tests for line, tests in by_function.items()}, seconds)


def test_the_likeliest_killers_run_first_and_each_has_a_limit_of_its_own():
    line = next(place.line for place in places(file_of("zoom").read_text()) if functions(file_of("zoom").read_text(), place.line))
    [first, *_] = functions(file_of("zoom").read_text(), line)
    seconds = {"a/test_zoom_more.py::slow": 2.0, "a/test_zoom.py::fast": 0.2, "other": 0.0}
    seconds |= {f"a/test_relay.py::{number}": 0.1 for number in range(20)}
    known = seen({first: sorted(seconds.keys() - {"other"})}, seconds)
    likely, rest = known.lots("zoom", line)
    assert list(likely)[:3] == ["a/test_zoom.py::fast", "a/test_zoom_more.py::slow", "a/test_relay.py::0"]
    assert [likely[test] for test in list(likely)[:3]] == pytest.approx([2.0, 11.0, 1.5])
    assert (len(likely), len(rest)) == (12, 10)
    [whole] = seen({first: ["a/test_zoom.py::fast"]}, seconds).lots("zoom", 1)
    # What runs when the module is imported concerns whoever runs any of it, and its own file, which may look at a table only.
    assert set(whole) == {"a/test_zoom.py::fast", "a/test_zoom_more.py::slow"}
    assert {test for lot in seen({}, seconds).lots("zoom", 1) for test in lot} == set(seconds)


# Which tests belong to which module


def test_every_module_has_its_tests_and_they_are_there():
    assert set(SUITES) == set(modules())
    assert set(CORES) < set(SUITES)
    for suite in map(suite_of, modules()):
        assert suite.tests
        assert [path for path in (*suite.tests, *suite.ignored) if not (ROOT / path).exists()] == []


def test_a_module_is_found_by_its_file_and_the_file_by_its_module():
    assert [name_of(file_of(name)) for name in modules()] == list(modules())
    assert name_of(ROOT / "tests" / "conftest.py") is None
    assert {"main", "settings", "logs", "wiring", "adapters/firestore", "routes/worker"} < set(modules())


DIFF = """\
diff --git a/function/rtms_relay/zoom.py b/function/rtms_relay/zoom.py
--- a/function/rtms_relay/zoom.py
+++ b/function/rtms_relay/zoom.py
@@ -10 +10,2 @@ def a():
-old
+new
+newer
@@ -20,3 +21,0 @@
-gone
@@ -30,0 +30 @@
+added
+++ b/function/requirements.txt
@@ -1 +1 @@
+x
+++ b/function/main.py
@@ -1,2 +7 @@
+y
"""


def test_the_lines_of_a_change_are_read_from_its_diff():
    assert changed.read(DIFF) == {"zoom": {10, 11, 30}, "main": {7}}


def test_a_commit_that_is_not_there_is_said():
    with pytest.raises(RuntimeError, match="git cannot compare with 'no-such-commit'"):
        changed.changed_lines("no-such-commit")


def test_those_that_lived_are_read_from_the_figures_of_an_earlier_run(tmp_path):
    figures = Figures(possible=9, tried=9, alive=[{"line": 3, "what": "1 became 2", "code": "x = 1"}])
    _write(tmp_path / "of" / "run.json", {"zoom": figures, "main": Figures(possible=1, tried=1)})
    assert survivors(tmp_path / "of" / "run.json") == {"zoom": {("x = 1", "1 became 2")}, "main": set()}


def test_every_reason_is_of_a_line_that_is_there():
    """A line that was written anew has no reason any more, and a reason without a line explains nothing."""
    rows = [(module, line) for module in modules() for line, _ in explained(module)]
    assert len(rows) > 30
    assert [(module, line) for module, line in rows if line not in file_of(module).read_text(encoding="utf-8")] == []
