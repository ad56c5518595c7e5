"""The planted bugs of two steps still apply, and each names a test that is there."""

from __future__ import annotations

import ast

import pytest
from tests.property.zoom.planted import PACKAGE, PLANTED, ROOT, Planted


def test_there_are_at_least_twenty_each_with_a_name_of_its_own() -> None:
    assert len({planted.name for planted in PLANTED}) == len(PLANTED) >= 20


@pytest.mark.parametrize("planted", PLANTED, ids=[planted.name for planted in PLANTED])
def test_the_change_applies_and_its_test_is_there(planted: Planted) -> None:
    source = (PACKAGE / planted.file).read_text()
    assert source.count(planted.before) == 1
    ast.parse(source.replace(planted.before, planted.after))
    file, _, name = planted.killer.partition("::")
    text = (ROOT / file).read_text()
    assert f"def {name}(" in text or f"\n{name} = " in text
