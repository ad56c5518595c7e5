"""The warm engine, and a place to plant mistakes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.infra.deployment import PROGRAM, ROOT, Runner


@pytest.fixture(scope="session")
def runner() -> Generator[Runner, None, None]:
    """Runs the program; one process for all tests."""
    warm = Runner()
    yield warm
    warm.close()


Plant = Callable[..., Path]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """`plant("functions.py", old, new)` copies the program with one edit and returns the copy. Fails if `old` is not there."""

    def planted(file: str, old: str, new: str) -> Path:
        program = tmp_path / "infra"
        if not program.exists():
            left_out = shutil.ignore_patterns("__pycache__", ".venv")
            shutil.copytree(PROGRAM, program, ignore=left_out)
            shutil.copytree(ROOT / "function", tmp_path / "function", ignore=left_out)
        path = program / "rtms_infra" / file
        text = path.read_text()
        assert old in text, f"{file} has changed: there is no {old!r} to replace"
        path.write_text(text.replace(old, new))
        return program

    return planted
