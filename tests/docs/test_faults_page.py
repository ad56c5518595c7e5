"""docs/faults.md has every fault with its settings and defaults, and every control route; its scenario fragment loads."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from rtms_simulator.faults.zoom import FAULTS, Fault, parse
from rtms_simulator.zoom.control import REST_PATH, ROUTES

PAGE = (Path(__file__).parents[2] / "docs/faults.md").read_text()


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_has_its_row(name: str) -> None:
    kind = FAULTS[name]
    [row] = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    assert kind.says in row
    for key, param in kind.params.items():
        assert f"`{key}` {param.says} ({param.default})" in row


def test_the_page_names_no_other_fault_or_route() -> None:
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)) == set(FAULTS)
    served = {f"{method} /_control{path.replace(':int', '')}" for method, path, _, _ in ROUTES} | {f"PATCH {REST_PATH}"}
    assert set(re.findall(r"^\| `((?:GET|POST|DELETE|PATCH) [^`]+)` \|", PAGE, re.MULTILINE)) == served
    for _, _, _, says in ROUTES:
        assert f"| {says} |" in PAGE


def test_what_the_page_writes_can_be_read() -> None:
    for text in re.findall(r"(?:--fault|faults add) ([^`]+)`", PAGE):
        assert parse(text)
    [fragment] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    for action in tomllib.loads(fragment)["timeline"]:
        assert Fault(action["name"], action["with"])
