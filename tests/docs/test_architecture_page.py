"""docs/architecture.md: its pictures say what the imports are."""

from __future__ import annotations

import pytest
from tests.docs.import_graph import PACKAGES, USED_EVERYWHERE, edges, picture, reachable, reduced


def test_implied_edges_are_left_out_and_nothing_else() -> None:
    pairs = frozenset({("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")})
    assert reduced(pairs) == {("a", "b"), ("b", "c"), ("d", "c")}


def test_a_cycle_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="a, b"):
        reduced(frozenset({("a", "b"), ("b", "a"), ("c", "a")}))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_picture_leads_wherever_the_imports_lead(package: str) -> None:
    pairs = edges(package)
    assert pairs
    drawn = frozenset(tuple(line.strip().split(" --> ")) for line in picture(package).splitlines() if "-->" in line)
    assert drawn <= pairs
    for part in {part for edge in pairs for part in edge}:
        assert reachable(drawn, part) == reachable(pairs, part)  # ty: ignore[invalid-argument-type]


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_left_out_is_imported_by_several(package: str) -> None:
    pairs = edges(package, everything=True)
    importers = {name: {a for a, b in pairs if b == name} for name in USED_EVERYWHERE[package]}
    assert {name: sorted(by) for name, by in importers.items() if len(by) < 2} == {}
