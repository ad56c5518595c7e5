"""docs/faults.md: every fault that it writes can be read, every step is there, and its scenario fragment loads."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from rtms_simulator.faults import FAMILIES, parse_fault
from rtms_simulator.zoom.control import ROUTES
from rtms_simulator.zoom.rest import OAUTH_PATH, REST_PATH

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


def test_the_page_names_every_route() -> None:
    control = {f"{method} /_control{path.replace(':int', '')}" for method, path, _, _ in ROUTES}
    served = control | {f"PATCH {REST_PATH.replace(':path', '')}", f"POST {OAUTH_PATH}"}
    assert set(re.findall(r"^\| `((?:GET|POST|DELETE|PATCH) [^`]+)` \|", PAGE, re.MULTILINE)) == served
