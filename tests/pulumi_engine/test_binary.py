"""Where the engine comes from, and what is said where it cannot be had."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rtms_infra.rehearsal import pulumi_binary
from tests.pulumi_engine import binary


@pytest.fixture(autouse=True)
def nothing_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, and a PATH with one empty folder, which is returned."""
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tools))
    return tools


def _tool(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_an_installed_pulumi_is_taken(nothing_here: Path) -> None:
    _tool(nothing_here, "pulumi", "exit 0")
    assert binary.root() is None


def test_without_pulumi_and_go_both_are_named() -> None:
    with pytest.raises(binary.EngineMissing, match=r"neither `pulumi` nor `go` is on PATH; install one of them"):
        binary.root()


def test_a_failed_build_shows_what_go_said_and_leaves_nothing(nothing_here: Path) -> None:
    _tool(nothing_here, "go", "echo 'dial tcp: no such host' >&2; exit 1")
    with pytest.raises(binary.EngineMissing, match="no such host"):
        binary.root()
    assert not (binary.cache() / "bin" / "pulumi").exists()


def test_a_build_without_end_is_ended(nothing_here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "BUILD_LIMIT_S", 0.2)
    _tool(nothing_here, "go", "while :; do :; done")
    with pytest.raises(binary.EngineMissing, match=r"took longer than 0\.2 s; what it has built is kept"):
        binary.root()


def test_go_builds_the_version_of_the_lock_once(nothing_here: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    _tool(nothing_here, "go", f'echo "$@" >>{log}; while [ "$1" != -o ]; do shift; done; echo built >"$2"')
    assert binary.root() == binary.cache() == Path(os.environ["XDG_CACHE_HOME"], "rtmskit", "pulumi", "v3.274.1")
    assert (binary.cache() / "bin" / "pulumi").read_text() == "built\n"
    binary.root()
    assert log.read_text().count(binary.PACKAGE) == 1
    assert "Version=v3.274.1" in log.read_text()


@pytest.mark.parametrize(("required", "code"), [("1", 1), ("", 0)])
def test_a_missing_engine_ends_ci_and_is_said_elsewhere(
    required: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RTMSKIT_REQUIRE_PULUMI", required)
    assert binary.main() == code
    assert "the Pulumi engine is missing: neither" in capsys.readouterr().err


def test_of_several_engines_that_were_built_the_newest_is_taken(tmp_path: Path) -> None:
    for version in ("v3.99.0", "v3.274.1", "v3.100.2"):
        folder = tmp_path / "cache" / "rtmskit" / "pulumi" / version / "bin"
        folder.mkdir(parents=True)
        _tool(folder, "pulumi", "exit 0")
    assert pulumi_binary.root() == pulumi_binary.kept() / "v3.274.1"


def test_where_no_engine_was_built_the_missing_tool_is_named(tmp_path: Path) -> None:
    with pytest.raises(binary.EngineMissing, match=r"`pulumi` is not on PATH, and no engine was built into .*rtmskit/pulumi"):
        pulumi_binary.root()
