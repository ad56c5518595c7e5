"""docs/recall-coverage.md: all 22 points with default, switch, evidence and a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rtms_simulator.recall.evidence import LABELS as ALL_LABELS
from rtms_simulator.recall.records import tables as machine
from rtms_simulator.recall.rtms.codes import STATUS_NAMES
from rtms_simulator.recall.switches import switch_table
from rtms_simulator.recall.webhooks.realtime import NOT_REACHED

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "recall-coverage.md"
LABELS = set(ALL_LABELS)
UNIT = ROOT / "tests" / "unit" / "simulator"
# The points whose defaults rest on [inf] or [?] in the reference's checklist.
UNCERTAIN = {3, 6, 7, 8, 10, 11, 15, 18, 21}


def points() -> list[list[str]]:
    section = PAGE.read_text().split("## The 22 points\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_there_are_22_points_in_order():
    assert [row[0] for row in points()] == [str(number) for number in range(1, 23)]


@pytest.mark.parametrize("row", points(), ids=lambda row: row[0])
def test_each_has_a_default_its_switches_an_evidence_label_and_tests_that_exist(row):
    number, _, default, switch, evidence, tests = row
    assert default
    of_this_point = {entry["name"] for entry in switch_table() if entry["point"] == int(number)}
    assert of_this_point <= set(re.findall(r"`(\w+)`", switch))
    labels = set(re.findall(r"[a-z]+", evidence)) & LABELS
    assert labels
    if int(number) in UNCERTAIN:
        assert labels & {"inferred", "unknown"}
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", tests)
    assert named
    for file, name in named:
        sources = [path.read_text() for folder in ("recall", "faults") for path in (UNIT / folder).rglob(file)]
        assert any(f"def {name}(" in source for source in sources), f"{file}::{name}"


def test_every_switch_belongs_to_a_point_and_has_a_label():
    table = switch_table()
    assert len(table) > 10
    assert [entry for entry in table if not (1 <= entry["point"] <= 22 and entry["evidence"] in LABELS)] == []


def test_every_reason_the_fake_gives_is_listed():
    names = {machine.WRONG_SIGNATURE, machine.DISPLACED, machine.DELETED_MEANWHILE, machine.NOTHING_RECEIVED, machine.RECORDER_CRASHED}
    names |= {machine.NOT_WRITTEN, machine.NO_TRANSCRIPT, "artifact_write_failed", "storage_full"}
    names |= {code for code, _ in NOT_REACHED.values()} | {f"zoom_rtms_{name}" for name in STATUS_NAMES.values()}
    for module in (ROOT / "simulator" / "rtms_simulator" / "recall").rglob("*.py"):
        names |= set(re.findall(r'"(zoom_rtms_[a-z_]*[a-z])"', module.read_text()))
    assert len(names) > 70
    page = PAGE.read_text()
    assert sorted(name for name in names if f"`{name}`" not in page) == []
