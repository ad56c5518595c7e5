"""G9: the outage of any one part, of any length, costs no acknowledged start. docs/proof.md has the whole table."""

import re
from pathlib import Path

import pytest

from tests.simulation.outages import ROWS, STARTS, cost

PAGE = Path(__file__).resolve().parents[2] / "docs/proof.md"
SINGLE = [row for row in ROWS if not row.startswith("*")]


def cells(row: str) -> list[str]:
    [line] = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {row} |")]
    return [cell.strip() for cell in line.split("|")[2:-1]]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("length_s", "column"), [(60, 2), (3_600, 4)])
@pytest.mark.parametrize("row", SINGLE)
def test_the_outage_of_one_part_costs_nothing(row: str, length_s: int, column: int) -> None:
    paid = cost(row, length_s)
    assert (paid.acked, paid.lost, paid.late) == (STARTS, 0, 0)
    assert paid.slowest_ms < 10_000
    assert str(paid) == cells(row)[column]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("row", [row for row in ROWS if row not in SINGLE])
def test_the_page_tells_what_two_parts_cost(row: str) -> None:
    """None of them silently: each has an end on record."""
    paid = cost(row, 600)
    assert paid.lost == 0
    assert str(paid) == cells(row)[3]


def test_the_page_has_every_row_and_no_other() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("| what is out |"))
    rows = [match[1] for line in lines[head + 2 : head + 2 + len(ROWS)] if (match := re.match(r"\| (.+?) \|", line))]
    assert rows == list(ROWS)
