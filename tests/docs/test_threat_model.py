"""docs/threat-model.md: each row has a threat, an answer and a test that exists, and no test of an attack is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in PAGE.splitlines() if line.startswith("| ")]
THREATS = [row for row in ROWS if row[0] not in ("threat", "---")]


@pytest.mark.parametrize("row", THREATS, ids=lambda row: row[0][:60])
def test_each_threat_has_an_answer_and_a_test_that_exists(row: list[str]) -> None:
    _, answer, named = row
    assert answer
    match = re.fullmatch(r"`([\w/]+\.py)(?:::(test_\w+))?`", named)
    assert match is not None
    file, name = match.groups()
    text = (ROOT / "tests" / file).read_text()
    assert f"def {name}(" in text if name else "def test_" in text


def test_no_file_of_attacks_is_left_out() -> None:
    named = set(re.findall(r"`(security/test_\w+\.py)", PAGE))
    assert named == {f"security/{file.name}" for file in (ROOT / "tests" / "security").glob("test_*.py")}


def test_there_are_enough_rows_for_every_attack_that_was_promised() -> None:
    assert len(THREATS) >= 30
    for word in ("extension", "oracle", "replayed", "slow loris", "server_urls", "log line", "timing", "doubled headers", "other scripts"):
        assert word in PAGE
