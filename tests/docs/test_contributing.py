"""CONTRIBUTING.md: the table names for each kind of change a code file, a test and a page, and what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
ROWS = {
    cells[0]: cells[1:]
    for line in TEXT.partition("## Where does it go")[2].partition("\n## ")[0].splitlines()
    if (cells := [cell.strip() for cell in line.strip("|").split("|")]) and line.startswith("| ") and cells[0] not in ("new", "---")
}
KINDS = ("Zoom event", "Recall artifact", "fault", "CLI command", "retry rule", "alert", "check of the deployment")


def test_every_kind_of_change_has_a_row() -> None:
    assert tuple(ROWS) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_names_code_a_test_and_a_page_that_exist(kind: str) -> None:
    code, tests, pages = (re.findall(r"\]\(([^)]+)\)", cell) for cell in ROWS[kind])
    assert code
    assert tests
    assert pages
    assert [path for path in (*code, *tests, *pages) if not (ROOT / path).is_file()] == []
    assert [path for path in tests if not path.startswith("tests/")] == []
    assert [path for path in pages if not path.startswith("docs/")] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_names_in_a_row_are_in_the_file_behind_them(kind: str) -> None:
    names = re.findall(r"`(\w+)`(?: in|:) \[[^\]]+\]\(([^)]+)\)", ROWS[kind][0])
    assert [(name, path) for name, path in names if not re.search(rf"\b{name}\b", (ROOT / path).read_text())] == []


def test_names_are_read_from_the_rows() -> None:
    assert sum(len(re.findall(r"`\w+`", cells[0])) for cells in ROWS.values()) >= 8
