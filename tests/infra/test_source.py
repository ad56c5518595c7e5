"""The source archive: the same bytes for the same content, exactly what is deployed, and nothing that strayed in."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from rtms_infra.source import SourceError, archive, files, write
from tests.infra.deployment import ROOT

FUNCTION = ROOT / "function"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copied = tmp_path / "function"
    shutil.copytree(FUNCTION, copied, ignore=shutil.ignore_patterns("__pycache__"))
    return copied


def test_it_holds_exactly_what_git_holds() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "."], cwd=FUNCTION, capture_output=True, check=True
    )
    assert set(files(FUNCTION)) == {name for name in listed.stdout.decode().split("\0") if name and (FUNCTION / name).exists()}


def test_equal_content_gives_equal_bytes_whatever_the_times_modes_and_order(folder: Path) -> None:
    before = archive(folder)
    for number, path in enumerate(sorted(folder.rglob("*.py"), reverse=True)):
        os.utime(path, (number, number))
        path.chmod(0o600)
    (folder / "rtms_relay" / "__pycache__").mkdir()
    (folder / "rtms_relay" / "__pycache__" / "zoom.cpython-313.pyc").write_bytes(b"cache")
    assert archive(folder) == before == archive(FUNCTION)


def test_other_content_gives_another_name(folder: Path, tmp_path: Path) -> None:
    first = write(folder, tmp_path / "build")
    assert first.name == f"function-{hashlib.sha256(first.read_bytes()).hexdigest()}.zip"
    assert write(folder, tmp_path / "build") == first
    (folder / "main.py").write_text("# other\n")
    assert write(folder, tmp_path / "build") != first
    assert not list((tmp_path / "build").glob("*.part"))


def test_two_programs_that_write_it_at_once_both_have_it(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pulumi preview` of two stacks of one project, say."""
    replace, others = Path.replace, []

    def replaced(path: Path, target: Path) -> Path:
        if not others:
            others.append(None)
            others.append(write(folder, tmp_path / "build"))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", replaced)
    path = write(folder, tmp_path / "build")
    assert others[1] == path
    assert path.read_bytes() == archive(folder)
    assert [file.name for file in (tmp_path / "build").iterdir()] == [path.name]


def test_it_can_be_read_and_its_entries_are_plain_files() -> None:
    with zipfile.ZipFile(io.BytesIO(archive(FUNCTION))) as opened:
        assert opened.testzip() is None
        names = opened.namelist()
        assert names == sorted(names)
        assert {"main.py", "requirements.txt", "rtms_relay/__init__.py", "rtms_relay/settings.py"} <= set(names)
        assert {entry.external_attr >> 16 for entry in opened.infolist()} == {0o100644}
        assert all(opened.read(name) == (FUNCTION / name).read_bytes() for name in names)


@pytest.mark.parametrize("stray", [".env", "key.pem", "state.sqlite3", "rtms_relay/.secrets.py", "service-account.json"])
def test_a_stray_file_stops_the_deployment(folder: Path, stray: str) -> None:
    (folder / stray).write_text("x")
    with pytest.raises(SourceError, match="does not belong into the deployed source"):
        files(folder)


@pytest.mark.parametrize("needed", ["main.py", "requirements.txt"])
def test_an_incomplete_folder_stops_the_deployment(folder: Path, needed: str) -> None:
    (folder / needed).unlink()
    with pytest.raises(SourceError, match=f"lacks {needed}"):
        files(folder)
