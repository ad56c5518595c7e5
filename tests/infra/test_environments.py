"""The running interpreter is used only if it has every pinned requirement in that very version."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from rtms_infra.rehearsal import environments

HTTPX = version("httpx")


@pytest.mark.parametrize(
    ("lock", "lacking"),
    [
        (f"httpx=={HTTPX} \\\n    --hash=sha256:00\n    # via x\n", []),
        ("httpx==0.0.1 \\\n    --hash=sha256:00\n", ["httpx==0.0.1"]),
        ("no-such-package==1.0\n", ["no-such-package==1.0"]),
        ('no-such-package==1.0 ; python_version < "3"\n', []),
        ('no-such-package==1.0 ; python_version >= "3" \\\n', ["no-such-package==1.0"]),
        (f"httpx[http2]=={HTTPX}\n", []),
        ("# only a comment\n", []),
    ],
)
def test_what_is_lacking(lock: str, lacking: list[str]) -> None:
    assert environments.unsatisfied(lock) == lacking


def test_an_environment_is_kept_by_the_hash_of_its_requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []

    def build(requirements: Path, place: Path) -> None:
        built.append(place)
        (place / "bin").mkdir(parents=True)
        (place / "bin" / "python").touch()

    monkeypatch.setattr(environments, "build", build)
    lock = tmp_path / "requirements.txt"
    lock.write_text(f"httpx=={HTTPX}\n")
    assert environments.interpreter(lock, into=tmp_path) == Path(sys.executable)
    lock.write_text("no-such-package==1.0\n")
    first = environments.interpreter(lock, into=tmp_path)
    assert environments.interpreter(lock, into=tmp_path) == first
    lock.write_text("no-such-package==2.0\n")
    assert environments.interpreter(lock, into=tmp_path) != first
    assert len(built) == 2


def test_a_python_without_venv_says_so_in_its_own_words_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nmkdir -p $3/bin\necho 'ensurepip is not available.'\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    lock = tmp_path / "requirements.txt"
    lock.write_text("no-such-package==1.0\n")
    with pytest.raises(environments.RequirementsRefused, match=r"^ensurepip is not available\.$"):
        environments.build(lock, tmp_path / "venv")
    assert not (tmp_path / "venv").exists()


def test_what_cannot_be_installed_leaves_nothing(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("./no-such-folder\n")
    with pytest.raises(environments.RequirementsRefused, match="no-such-folder"):
        environments.build(lock, tmp_path / "venv")
    assert not (tmp_path / "venv").exists()
