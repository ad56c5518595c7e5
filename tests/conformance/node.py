"""Node packages for the tests: installed by name with npm, from the lock beside them, which names no host."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).with_name("recall_clients")
INSTALL_S = 120


def require(program: str) -> str:
    """The path of a program. Skips without it, unless the environment says that it must be there."""
    found = shutil.which(program)
    if found is None:
        _lacking(f"{program} is not installed")
    assert found is not None
    return found


def require_packages() -> Path:
    """The folder with `node_modules`, filled if it is not there. Tests of several processes wait for one of them."""
    require("node")
    npm = require("npm")
    with (FOLDER / ".install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = FOLDER / "node_modules" / ".package-lock.json"
        if not ready.exists() or ready.stat().st_mtime < (FOLDER / "package-lock.json").stat().st_mtime:
            run = subprocess.run([npm, "ci"], cwd=FOLDER, capture_output=True, text=True, timeout=INSTALL_S, check=False)
            if run.returncode:
                _lacking(f"npm cannot install the packages of {FOLDER}: {run.stderr[-500:]}")
            ready.touch()
    return FOLDER


def node_version() -> tuple[int, ...]:
    run = subprocess.run([require("node"), "--version"], capture_output=True, text=True, timeout=10, check=True)
    return tuple(int(part) for part in run.stdout.strip().removeprefix("v").split("."))


def _lacking(reason: str) -> None:
    if os.environ.get("RTMSKIT_REQUIRE_CONFORMANCE"):
        pytest.fail(f"{reason}, and RTMSKIT_REQUIRE_CONFORMANCE is set")
    pytest.skip(reason)
