"""docs/faults.md: every fault that it writes can be read, every step is there, and its scenario fragment loads."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from rtms_simulator.faults import FAMILIES, parse_fault

PAGE = (Path(__file__).parents[2] / "docs/faults.md").read_text()


def test_every_step_of_every_target_has_its_row() -> None:
    for family in FAMILIES:
        section = PAGE.split(f"## `{family.form}`")[1].split("\n## ")[0]
        assert re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE) == list(family.words)


def test_what_the_page_writes_can_be_read() -> None:
    texts = re.findall(r"(?:--fault|faults add) \"([^\n]+)\"$", PAGE, re.MULTILINE)
    assert len(texts) >= 3
    [fragment] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    scripted = [action["fault"] for action in tomllib.loads(fragment)["timeline"]]
    assert len(scripted) == 3
    for text in (*texts, *scripted):
        assert str(parse_fault(text))
