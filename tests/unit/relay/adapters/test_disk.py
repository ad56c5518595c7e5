"""Directories are on disk when they are said to be, made by whoever comes first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rtms_relay.adapters.disk import make_directories, sync_directory


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the directories whose names were written to disk, in order. Each is open only for that."""
    names: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda handle: names.append(Path(f"/proc/self/fd/{handle}").readlink().name))
    return names


def test_each_new_directory_is_synced_in_the_one_above_it(tmp_path: Path, synced: list[str]) -> None:
    make_directories(tmp_path / "a/b/c")
    assert (tmp_path / "a/b/c").is_dir()
    assert synced == [tmp_path.name, "a", "b"]
    make_directories(tmp_path / "a/b/c")
    assert synced == [tmp_path.name, "a", "b"]


def test_a_directory_that_another_process_made_meanwhile_is_as_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synced: list[str]
) -> None:
    (tmp_path / "a").mkdir()
    real = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path, **how: path.name != "a" and real(path, **how))
    make_directories(tmp_path / "a")
    assert synced == [tmp_path.name]


def test_what_is_no_directory_is_refused_and_nothing_stays_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        sync_directory(tmp_path / "file")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(OSError, match="No space left"):
        sync_directory(tmp_path)
    assert set(Path("/proc/self/fd").iterdir()) == before
