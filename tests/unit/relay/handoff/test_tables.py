"""docs/handoff.md shows the tables that the code runs on."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs.diagrams import diagram

from rtms_relay.handoff import answers, attempt, erasure, facts, retrieval

TEXT = (Path(__file__).parents[4] / "docs" / "handoff.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("module", "start"), [(attempt, "pending"), (retrieval, "none"), (erasure, "none")])
def test_the_docs_show_each_diagram_and_each_trigger(module: object, start: str) -> None:
    table, triggers = module.TRANSITIONS, module.TRIGGERS  # ty: ignore[missing-attribute]
    drawn = diagram(table, start)
    assert drawn in TEXT
    assert len(drawn.splitlines()) == 2 + len(table)
    for trigger, meaning in triggers.items():
        assert f"| `{trigger}` | {meaning} |" in TEXT


def test_the_docs_show_every_answer_and_every_stop_reason() -> None:
    statuses = [(str(first) if first == last else f"{first}-{last}", row.kind) for first, last, row in answers.RULES]
    rows = [f"| {status} | `{kind}`" for status, kind in statuses]
    rows += [f"| {number} | {reason.name} |" for number, reason in facts.STOP_REASONS.items()]
    assert len(rows) > 20
    assert [row for row in rows if row not in TEXT] == []
