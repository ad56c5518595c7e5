"""docs/zoom-coverage.md names only code and tests that are there, and has a row for every number of Zoom's enumerations."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from rtms_simulator.zoom.rtms.enums import EventType, MessageType, SessionState, StatusCode, StopReason, StreamState
from rtms_simulator.zoom.rtms.states import TRANSITIONS
from rtms_simulator.zoom.switches import switch_markdown, switch_table

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/zoom-coverage.md").read_text()
CODE = ROOT / "simulator/rtms_simulator"


@cache
def names_in(path: Path) -> frozenset[str]:
    """Every function, class, method and assigned name of a module."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return frozenset(found)


def rows(heading: str) -> list[list[str]]:
    """The body rows of the table under a heading."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines[2:]]


PLACES = sorted(set(re.findall(r"`([\w/]+\.py):(\w+)`", PAGE)))
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


@pytest.mark.parametrize(("file", "name"), PLACES)
def test_the_code_is_where_the_page_says(file: str, name: str) -> None:
    assert name in names_in(CODE / file)


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_the_test_is_where_the_page_says(file: str, name: str) -> None:
    assert name in names_in(ROOT / file)


@pytest.mark.parametrize(
    ("heading", "numbers"),
    [
        ("Messages", MessageType),
        ("Status codes", StatusCode),
        ("Stream states", StreamState),
        ("Session states", SessionState),
        ("Events", EventType),
        ("Stop reasons", StopReason),
    ],
)
def test_every_number_has_its_row(heading: str, numbers: type[MessageType]) -> None:
    found = {int(row[0]): row for row in rows(heading) if row[0].isdigit()}
    assert found.keys() == {int(number) for number in numbers}
    for number in numbers:
        assert number.name.split("_BC_")[-1] in found[int(number)][1]


def test_every_row_names_code_and_a_test() -> None:
    headings = set(re.findall(r"^## (.+)$", PAGE, re.MULTILINE)) - {"The life of a stream", "What is inferred"}
    every = [row for heading in headings for row in rows(heading)]
    assert len(every) > 20
    assert [row for row in every if not (re.search(r"\.py:\w+`", row[2]) and re.search(r"tests/.+::[tT]est_?\w", row[3]))] == []


LABELS = {"documented", "documented, in part", "sample", "inferred", "unknown"}
NOVEMBER = (
    *("V2 is released", "`event_code`", "SRT", "encryption", "several individual video", "transcript rewind", "TLS 1.2", "event reference"),
    *("Contact Center", "CONSUMER_ANSWERED", "Phone", "refusal reasons", "second signaling", "`server_urls`", "event WebSocket"),
    *("plain meeting events", "chat groups", "chat metadata", "content_type"),
)


def test_every_fact_of_november_2026_has_its_row_and_evidence() -> None:
    found = rows("November 2026")
    assert len(found) == len(NOVEMBER)
    for row, words in zip(found, NOVEMBER, strict=True):
        assert words in row[0]
        evidence, _, more = row[1].partition("; ")
        assert evidence in LABELS, row
        assert not more or {label for label in LABELS if f"*{label}*" in more}, row


def test_the_pages_cited_are_the_new_ones() -> None:
    texts = [*CODE.glob("zoom/**/*.py"), ROOT / "docs/evidence/zoom.md", ROOT / "docs/zoom-coverage.md"]
    cited = "\n".join(path.read_text() for path in texts).lower()
    for page in ("universal events", "session events", "contact center events"):
        assert page in cited
    assert '"event reference"' not in cited
    assert "rtms event reference" not in cited


def test_the_diagram_is_the_table() -> None:
    drawn = re.findall(r"^    (\w+) --> (\w+): (\w+)$", PAGE, re.MULTILINE)
    assert drawn == [(state.name, target.name, trigger.name) for state, moves in TRANSITIONS.items() for trigger, target in moves.items()]


def test_every_switch_has_its_row_with_default_evidence_and_meaning() -> None:
    assert switch_markdown() in PAGE
    for row in switch_table():
        assert row["evidence"] in ("documented", "sample", "seen", "inferred", "unknown")
        assert row["doc"]
