"""The running interpreter is used only if it has every pinned requirement in that very version."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
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


def has_python(place: Path) -> None:
    """What `venv` makes first, before any package is there."""
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "python").touch()


def test_an_environment_is_kept_by_the_hash_of_its_requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []

    def build(requirements: Path, place: Path) -> None:
        built.append(place)
        has_python(place)

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


def test_what_was_broken_off_half_made_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def build(requirements: Path, place: Path) -> None:
        tries.append(sorted(path.name for path in place.iterdir()) if place.exists() else [])
        has_python(place)
        if len(tries) == 1:
            raise KeyboardInterrupt  # or a kill: nothing tidies up

    monkeypatch.setattr(environments, "build", build)
    lock = tmp_path / "requirements.txt"
    lock.write_text("no-such-package==1.0\n")
    with pytest.raises(KeyboardInterrupt):
        environments.interpreter(lock, into=tmp_path / "cache")
    python = environments.interpreter(lock, into=tmp_path / "cache")
    assert environments.interpreter(lock, into=tmp_path / "cache") == python
    assert tries == [[], []], "each try begins with nothing there, and what is complete is not tried again"


def test_of_two_that_begin_together_one_makes_it_and_the_other_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half, go_on, built = threading.Event(), threading.Event(), []

    def build(requirements: Path, place: Path) -> None:
        has_python(place)
        half.set()
        assert go_on.wait(20)
        built.append(place)

    monkeypatch.setattr(environments, "build", build)
    lock = tmp_path / "requirements.txt"
    lock.write_text("no-such-package==1.0\n")

    def interpreter() -> tuple[Path, int]:
        return environments.interpreter(lock, into=tmp_path / "cache"), len(built)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(interpreter)
        assert half.wait(20)
        second = pool.submit(interpreter)
        early = wait([second], timeout=0.3).done
        go_on.set()
        assert first.result(20) == second.result(20)
    assert not early
    assert len(built) == 1


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
