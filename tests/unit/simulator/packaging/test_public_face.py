"""`rtms_simulator.__all__`: what the page lists, lazy, documented."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import rtms_simulator

PAGE = (Path(__file__).parents[4] / "docs/public-api.md").read_text()


def test_the_face_is_what_the_page_lists() -> None:
    listed = [name for row in re.findall(r"^\| (`[^|]+`) \|", PAGE, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
    assert sorted(listed) == rtms_simulator.__all__ == sorted(rtms_simulator.__all__)


@pytest.mark.parametrize("name", rtms_simulator.__all__)
def test_every_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(rtms_simulator, name)
    assert value.__name__ in (name, "load")
    assert (value.__doc__ or "").strip()


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nope'"):
        _ = rtms_simulator.Nope


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, rtms_simulator.cli; print([name for name in ('av', 'numpy', 'grpc', 'httpx', 'msgspec') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
