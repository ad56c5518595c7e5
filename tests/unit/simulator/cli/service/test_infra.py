"""`rtmskit infra init`: the whole Pulumi project, and nothing of anybody's is overwritten."""

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from rtms_simulator.cli.service.infra import infra

ROOT = Path(__file__).parents[5]


def tracked() -> dict[str, bytes]:
    """The files of the project as git has them."""
    listed = subprocess.run(
        [*["git", "ls-files", "--cached", "--others", "--exclude-standard"], "Pulumi.yaml", "infra", "function"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name: (ROOT / name).read_bytes() for name in listed.stdout.splitlines()}


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_project_is_written_byte_for_byte(tmp_path):
    done = CliRunner().invoke(infra, ["init", str(tmp_path / "new/project"), "--json"])
    assert done.exit_code == 0, done.output
    assert written(tmp_path / "new/project") == tracked()
    assert json.loads(done.output) == {"folder": str(tmp_path / "new/project"), "files": sorted(tracked())}


def test_people_are_told_what_comes_next(tmp_path):
    done = CliRunner().invoke(infra, ["init", str(tmp_path)])
    assert f"cd {tmp_path}\n  pulumi install\n" in done.output


@pytest.mark.parametrize("name", ["Pulumi.yaml", "function/main.py"])
def test_nothing_is_overwritten(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine")
    done = CliRunner().invoke(infra, ["init", str(tmp_path)])
    assert done.exit_code == 2
    assert f"has {name} already" in done.output
    assert written(tmp_path) == {name: b"mine"}


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "infra").write_text("a file in the way")
    done = CliRunner().invoke(infra, ["init", str(tmp_path)])
    assert done.exit_code == 2
    assert str(tmp_path / "infra") in done.output
