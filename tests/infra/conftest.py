"""The warm engine, and a place to plant mistakes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.infra.deployment import Runner, copy_program, warm


@pytest.fixture(scope="session")
def runner() -> Generator[Runner, None, None]:
    """Runs the program; one engine process for all tests."""
    warm().start()
    yield warm()
    warm().close()


Plant = Callable[..., Path]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """`plant("functions.py", old, new)` copies the program with one edit and returns the copy. Fails if `old` is not there."""
    program = copy_program(tmp_path)

    def planted(file: str, old: str, new: str) -> Path:
        path = program / "rtms_infra" / file
        text = path.read_text()
        assert old in text, f"{file} has changed: there is no {old!r} to replace"
        path.write_text(text.replace(old, new))
        return program

    return planted
