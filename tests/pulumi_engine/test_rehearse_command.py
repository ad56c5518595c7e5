"""`rtmskit rehearse --pulumi`: Pulumi's own engine over the person's settings, in a folder that goes again."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rtms_simulator.cli.rehearse.program import MADE_UP
from tests.e2e.processes import Up, rtmskit
from tests.infra.deployment import STACKS
from tests.pulumi_engine import binary

pytestmark = pytest.mark.timeout(600)

PATIENCE_S = 500
NOT_THEIRS = "v1:c2VjcmV0:dGhlaXJz"
"""A value that only the person's passphrase opens."""


@pytest.fixture
def home(engine: None, tmp_path: Path) -> Path:
    """The person's: nothing in it, and nothing may come into it."""
    made = tmp_path / "home"
    made.mkdir()
    return made


@pytest.fixture
def theirs(home: Path) -> dict[str, str]:
    """The person's environment: a backend, a token and a passphrase, none of which may be used; and an engine on the PATH."""
    built = binary.root()
    path = f"{built / 'bin'}:{os.environ['PATH']}" if built else os.environ["PATH"]
    return {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "PATH": path,
        "PULUMI_HOME": str(home / ".pulumi"),
        "PULUMI_BACKEND_URL": f"file://{home}/backend",
        "PULUMI_ACCESS_TOKEN": "pul-theirs",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(home / "no-such-file"),
    }


def settings(folder: Path, text: str = "") -> Path:
    """A stack's file as `pulumi config set --secret` leaves it."""
    file = folder / "Pulumi.prod.yaml"
    own = (STACKS / "minimal.yaml").read_text()
    file.write_text(f"encryptionsalt: v1:their-salt\n{own.rstrip()}\n  rtmskit:recallApiKey:\n    secure: {NOT_THEIRS}\n{text}")
    return file


def written(home: Path) -> list[str]:
    """What a command has left in the home of a person, but for the functions' environment (docs/files.md says where it is kept), and what
    rustup writes when pip asks for its version."""
    return [name for name in held(home) if not name.startswith((".cache/rtmskit/environments/", ".rustup/"))]


def held(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_preview_touches_nothing_of_the_persons_and_prints_no_secret(theirs: Mapping[str, str], home: Path, tmp_path: Path) -> None:
    where = tmp_path / "project"
    where.mkdir()
    file = settings(where)
    before = held(where)
    done = rtmskit("rehearse", "--pulumi", "preview", str(file), cwd=where, timeout=PATIENCE_S, TMPDIR=str(_temporary(tmp_path)), **theirs)
    assert done.returncode == 0, done.stderr
    assert "preview of prod: 113 created" in done.stdout
    assert "+ gcp:firestore:Database database create" in " ".join(done.stderr.split()), "Pulumi's own lines are shown"
    assert held(where) == before
    assert held(home) == {}
    assert list(_temporary(tmp_path).iterdir()) == [], "the folder of the rehearsal is gone"
    assert [value for value in (*MADE_UP.values(), NOT_THEIRS, "pul-theirs") if value in done.stdout + done.stderr] == []


def _temporary(folder: Path) -> Path:
    made = folder / "temporary"
    made.mkdir(exist_ok=True)
    return made


def test_what_up_deploys_runs_and_a_meeting_can_be_played_in_it(theirs: Mapping[str, str], home: Path, tmp_path: Path) -> None:
    temporary = _temporary(tmp_path)
    running = Up(tmp_path, TMPDIR=str(temporary), command=("rehearse", "--pulumi", "up", "--json"), **theirs)
    try:
        report = running.described
        assert (report["command"], report["stack"], set(report["changes"].values())) == ("up", "minimal", {"create"})
        played = rtmskit("meeting", "play", "one-to-one", "--up", report["up_file"], cwd=tmp_path, timeout=PATIENCE_S)
        assert played.returncode == 0, (played.stderr, running.log)
        rows = _rows(tmp_path, report["up_file"])
        assert [row["state"] for row in rows] == ["accepted"], running.log
        assert _said(running.log, *MADE_UP.values()) == []
        assert running.end(signal.SIGINT, within_s=60) == 130
    finally:
        running.close()
    assert list(temporary.iterdir()) == []
    assert written(home) == []


def _rows(where: Path, up_file: str) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 30
    while True:
        rows = json.loads(rtmskit("handoffs", "list", "--json", "--up", up_file, cwd=where).stdout)["handoffs"]
        if time.monotonic() > deadline or [row["state"] for row in rows] == ["accepted"]:
            return rows
        time.sleep(0.5)


def _said(lines: list[str], *values: str) -> list[str]:
    return [value for value in values if any(value in line for line in lines)]


@pytest.mark.parametrize(("protect", "code", "said"), [("false", 0, '"database":"delete"'), ("true", 1, "because it is protected")])
def test_a_destroy_is_refused_or_done_as_the_settings_say(
    theirs: Mapping[str, str], tmp_path: Path, protect: str, code: int, said: str
) -> None:
    file = settings(tmp_path, f"  rtmskit:protect: {protect}\n")
    done = rtmskit("rehearse", "--pulumi", "destroy", "--json", str(file), cwd=tmp_path, timeout=PATIENCE_S, **theirs)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_settings_that_are_wrong_get_the_errors_of_pulumi_up(theirs: Mapping[str, str], tmp_path: Path) -> None:
    file = settings(tmp_path, "  rtmskit:regoin: us-east4\n  rtmskit:recallWebhookSecrets: whsec_cGxhaW4tdGV4dA==\n")
    done = rtmskit("rehearse", "--pulumi", "up", str(file), cwd=tmp_path, timeout=PATIENCE_S, **theirs)
    assert done.returncode == 2
    error = done.stderr.partition("Error: ")[2]
    assert error.startswith("Pulumi refuses the stack prod:\n")
    assert "rtmskit:regoin" in error
    assert "rtmskit:recallWebhookSecrets" in error, "a secret in plain text is refused"
    assert "Traceback" not in done.stderr
    assert "whsec_cGxhaW4tdGV4dA==" not in done.stdout + done.stderr


def test_without_an_engine_the_missing_tool_is_named(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    done = rtmskit("rehearse", "--pulumi", "up", cwd=tmp_path, PATH=str(tools), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 2
    assert done.stdout == ""
    error, do = done.stderr.strip().splitlines()
    assert error.startswith("Error: `pulumi` is not on PATH, and no engine was built into ")
    assert do.startswith("Do: install Pulumi")
