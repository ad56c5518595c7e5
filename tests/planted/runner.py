"""Plants one bug in a copy of `function/` and runs its test against that copy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.planted.bugs import Bug

ROOT = Path(__file__).resolve().parents[2]
FUNCTION = ROOT / "function"
LIMIT_S = 60.0
KILLED = 1
"""pytest's exit code when tests were run and some failed; nothing else counts as a kill."""


@dataclass(frozen=True, slots=True)
class Outcome:
    killed: bool
    seconds: float
    output: str


def problem(bug: Bug) -> str | None:
    """Why the bug cannot be planted in today's source, or its test not be run; None if both can be."""
    file = FUNCTION / bug.file
    if not file.is_file():
        return f"{bug.file} is gone"
    count = file.read_text(encoding="utf-8").count(bug.source)
    if count != 1:
        return f"its source occurs {count} times in {bug.file}"
    path, _, name = bug.test.partition("::")
    if not (ROOT / path).is_file() or f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8"):
        return f"there is no test {bug.test}"
    return None


def run(bug: Bug | None, test: str) -> Outcome:
    """Run a test against a copy with the bug, or without one."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "function"
        shutil.copytree(FUNCTION, copy, ignore=shutil.ignore_patterns("__pycache__"))
        if bug is not None:
            file = copy / bug.file
            file.write_text(file.read_text(encoding="utf-8").replace(bug.source, bug.instead), encoding="utf-8")
        env = {**os.environ, "PYTHONPATH": f"{copy}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib", test]
        began = time.monotonic()
        try:
            done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        except subprocess.TimeoutExpired:
            return Outcome(False, LIMIT_S, "not ended within a minute")
        return Outcome(done.returncode == KILLED, time.monotonic() - began, done.stdout[-2000:] + done.stderr[-1000:])
