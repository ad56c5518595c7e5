"""The checks of `make lint` that are the project's own find what they are for, and nothing else."""

import ast
import textwrap

import pytest
from tests.lint import (
    class_names,
    cycles,
    dead_names,
    deployed_numbers,
    folders,
    hollow_tests,
    json_library,
    long_calls,
    participles,
    sizes,
)
from tests.lint.source import ROOT, Module


def module(text: str, path: str = "package/module.py") -> Module:
    return Module(path, ast.parse(textwrap.dedent(text)))


def function(text: str):
    return module(text).tree.body[0]


# Sizes


def test_the_docstring_is_not_counted_and_the_41st_line_is_too_much():
    body = "    x = 1\n" * 39
    fits, too_long = f'def f():\n    """A\n    B."""\n{body}', f"def f():\n{body}    x = 2\n"
    assert sizes.lines(function(fits)) == 40
    assert list(sizes.problems([module(fits)])) == []
    assert [problem.key for problem in sizes.problems([module(too_long)])] == ["package/module.py::f"]


@pytest.mark.parametrize(
    ("body", "complexity"),
    [
        ("pass", 1),
        ("if a: pass\n    elif b: pass\n    else: pass", 3),
        ("return a and b and c or d", 4),
        ("return [x for x in y if x if z]", 4),
        ("for x in y:\n        while x: pass", 3),
        ("try: pass\n    except A: pass\n    except B: pass", 3),
        ("return a if b else c", 2),
        ("match a:\n        case 1: pass\n        case 2: pass\n        case _: pass", 3),
        ("def g():\n        if a: pass", 1),
    ],
)
def test_complexity_is_mccabes_number(body, complexity):
    assert sizes.complexity(function(f"def f():\n    {body}\n")) == complexity


def test_a_method_over_the_limit_is_named_with_its_class():
    text = "class A:\n    def f(self):\n        return " + " or ".join("abcdefghijklm") + "\n"
    assert [problem.key for problem in sizes.problems([module(text)])] == ["package/module.py::A.f"]
    assert list(sizes.problems([module(text.replace(" or m", ""))])) == []


# Calls


def test_of_a_calls_values_six_go_by_position():
    text = "a.f(1, 2, 3, 4, 5, 6, *more, x=7)\nb(1, 2, 3, 4, 5, 6, 7)\n"
    assert [(problem.key, problem.where) for problem in long_calls.problems([module(text, "p/a.py")])] == [("p/a.py::b", "p/a.py:2")]


# Names


@pytest.mark.parametrize("text", ["import json", "import re, json as j", "def f():\n    from json import dumps"])
def test_the_standard_librarys_json_is_named(text):
    assert [problem.key for problem in json_library.problems([module(text)])] == ["package/module.py::json"]


@pytest.mark.parametrize("text", ["import msgspec", "from msgspec import json", "from google.protobuf import json_format"])
def test_other_json_libraries_are_let_pass(text):
    assert list(json_library.problems([module(text)])) == []


def test_a_class_name_is_used_once_in_a_package():
    one, other = module("class A: ...\nclass B: ...", "p/a.py"), module("def f():\n    class A: ...", "p/b.py")
    assert [(problem.key, problem.where) for problem in class_names.problems("p", [one, other])] == [("p::A", "p/a.py:1")]


@pytest.mark.parametrize(
    "text",
    [
        "found = re.match(a, b)",
        "def f(given): ...",
        "def f(*, _wanted): ...",
        "def f(**asked): ...",
        "lambda said: said",
        "while kept := f(): ...",
        "for told, x in y: ...",
        "[shown for shown in x]",
        "with f() as held: ...",
        "class A:\n    def f(self):\n        seen: int = 1",
    ],
)
def test_a_bare_participle_is_no_name(text):
    [problem] = participles.problems([module(text)])
    assert problem.key.rpartition("::")[2].strip("_") in participles.WORDS


@pytest.mark.parametrize(
    "text",
    [
        "match = re.match(a, b)",
        "class A:\n    found: str = ''\n    held = 1",
        "a.seen = 1",
        "print(found, given=1)",
        "def told(found_rows): ...",
    ],
)
def test_nouns_fields_and_names_that_are_only_read_are_let_pass(text):
    assert list(participles.problems([module(text)])) == []


def test_dead_names_are_those_that_neither_code_nor_tests_use(tmp_path):
    for path, text in {
        "p/__init__.py": "",
        "p/a.py": "def dead(): ...\ndef called(): ...\ndef tested(): ...\nclass Dead: ...\nTABLE = 1\nUSED = 2\nclass Code:\n    ROW = 3\n",
        "p/b.py": "from p.a import USED, Code, called\ncalled(USED, Code)\n",
        "tests/test_a.py": "from p.a import tested\ntested()\n",
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    assert {problem.key for problem in dead_names.problems(["p"], ["tests"], tmp_path)} == {
        "p/a.py::dead",
        "p/a.py::Dead",
        "p/a.py::TABLE",
    }


def test_methods_that_a_library_calls_are_used():
    path = ROOT / "simulator/rtms_simulator/zoom/rtms/server.py"
    keys = {problem.key.rpartition("::")[2] for problem in dead_names.problems([str(path.parent.relative_to(ROOT))], [])}
    assert "drop_media" in keys
    assert [name for name in ("eof_received", "pause_writing", "resume_writing") if name in keys or name not in path.read_text()] == []


# Circles


def test_a_circle_of_imports_is_named_also_if_it_is_for_types_only(tmp_path, monkeypatch):
    (tmp_path / "going_round").mkdir()
    for name, text in {
        "__init__": "",
        "a": "def late():\n    from going_round import b\n    return b\n",
        "b": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from going_round import a\n",
        "c": "from going_round import a\n",
    }.items():
        (tmp_path / f"going_round/{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    [problem] = cycles.problems("going_round")
    assert {"going_round.a", "going_round.b"} == set(problem.text.rpartition(": ")[2].split(" <- "))
    (tmp_path / "going_round/b.py").write_text("")
    assert list(cycles.problems("going_round")) == []


# Folders


def test_a_folder_of_sixteen_is_too_full(tmp_path):
    (tmp_path / "p/sub/__pycache__").mkdir(parents=True)
    for number in range(15):
        (tmp_path / f"p/sub/{number}.py").touch()
    assert list(folders.problems("p", tmp_path)) == []
    (tmp_path / "p/sub/py.typed").touch()
    assert [problem.key for problem in folders.problems("p", tmp_path)] == ["p/sub"]


# Tests


@pytest.mark.parametrize(
    "body",
    [
        "x = 1",
        "if a:\n        assert b",
        "for x in y:\n        assert x",
        "for x in list(y):\n        assert x",
        "for x in ():\n        assert x",
        "while a:\n        assert b",
        "try:\n        f()\n    except A:\n        assert b",
        "with suppress(A):\n        f()",
        "def g():\n        assert a",
        "helper()",
    ],
)
def test_a_test_that_may_not_look_is_hollow(body):
    text = f"def helper():\n    if a:\n        assert b\n\ndef test_it():\n    {body}\n"
    assert [problem.key for problem in hollow_tests.problems([module(text, "tests/test_a.py")])] == ["tests/test_a.py::test_it"]


@pytest.mark.parametrize(
    "body",
    [
        "assert a",
        "if a:\n        assert b\n    else:\n        assert c",
        "for x in (1, 2):\n        assert x",
        "for x in TABLE:\n        assert x",
        "for number, x in enumerate([1]):\n        assert x",
        "with a, pytest.raises(B):\n        f()",
        "async with a:\n        assert b",
        "assert_fits(a)",
        "for x in y:\n        f()\n    else:\n        assert z",
        "try:\n        f()\n    finally:\n        assert a",
        "checks(a)",
        "a.checks(b)",
        "match a:\n        case 1:\n            assert b\n        case _:\n            assert c",
    ],
)
def test_a_test_that_looks_on_every_way_is_fine(body):
    text = f"def checks(x):\n    inner(x)\n\ndef inner(x):\n    assert x\n\nasync def test_it():\n    {body}\n"
    assert list(hollow_tests.problems([module(text, "tests/test_a.py")])) == []


def test_a_class_of_tests_is_read_too():
    text = "class TestIt:\n    def test_it(self):\n        pass\n"
    assert [problem.key for problem in hollow_tests.problems([module(text, "tests/test_a.py")])] == ["tests/test_a.py::TestIt.test_it"]


# Deployed numbers


@pytest.mark.parametrize(
    "text", ["Scheduler(url, every_s=60)", "queue.per_second = 4.0", "class Fleet:\n    concurrency: int = 80\n", "deadline_ms = 30 * 1000"]
)
def test_a_number_of_the_deployment_as_a_literal_is_found(text):
    assert [problem.where for problem in deployed_numbers.problems([module(text)])] != []


@pytest.mark.parametrize(
    "text",
    [
        "Scheduler(url, every_s=deployed().sweep_every_s)",
        "deadline_ms = 1000 * numbers.dispatch_deadline_s",
        "concurrency: int = 0",
        "port = 60",
    ],
)
def test_numbers_of_the_program_and_other_numbers_are_let_pass(text):
    assert list(deployed_numbers.problems([module(text)])) == []
