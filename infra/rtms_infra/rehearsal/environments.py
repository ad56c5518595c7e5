"""Python environments for the deployed source: made from its own hashed requirements, and kept by their hash."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

LAST_LINES = 8
_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?==(?P<version>[^\s;\\]+)(?:\s*;\s*(?P<marker>[^\\]+))?")


class RequirementsRefused(Exception):
    """The requirements cannot be installed. The message: the last words of venv or pip."""


def cache() -> Path:
    """Where environments are kept."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "rtmskit" / "environments"


def interpreter(requirements: Path, *, into: Path | None = None) -> Path:
    """A Python with exactly these requirements: the running one if it has them all, else one from the cache, made there if need be.

    Raises `RequirementsRefused`.
    """
    if not unsatisfied(requirements.read_text()):
        return Path(sys.executable)
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:24]
    place = (into or cache()) / digest
    complete = place / "complete"
    if not complete.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with _alone(place.parent):
            if not complete.exists():
                shutil.rmtree(place, ignore_errors=True)  # of a try that was killed
                build(requirements, place)
                complete.touch()
    return place / "bin" / "python"


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """One process and one thread at a time: of two that begin together, one makes it and the other waits. A killed one holds nothing."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def build(requirements: Path, place: Path) -> None:
    """A clean environment at `place`, made from the requirements alone. Raises `RequirementsRefused`, and leaves nothing then."""
    pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        _carried([sys.executable, "-m", "venv", str(place)])
        _carried([*pip, "--require-hashes", "-r", str(requirements.resolve())])
    except RequirementsRefused:
        shutil.rmtree(place, ignore_errors=True)
        raise


def _carried(command: list[str]) -> None:
    """In an empty folder. Raises `RequirementsRefused` with its last lines."""
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603  # an interpreter of ours
    if result.returncode != 0:
        lines = (result.stderr.strip() or result.stdout.strip()).splitlines()
        raise RequirementsRefused("\n".join(lines[-LAST_LINES:]) or f"exit code {result.returncode}")


def unsatisfied(text: str) -> list[str]:
    """Of the pinned requirements in a lock, those that the running interpreter does not have in that very version."""
    from packaging.markers import Marker
    from packaging.version import Version

    lacking = []
    for line in text.splitlines():
        match = _PIN.match(line)
        if match is None or (match["marker"] and not Marker(match["marker"].strip()).evaluate()):
            continue
        try:
            installed = metadata.version(match["name"])
        except metadata.PackageNotFoundError:
            installed = ""
        if not installed or Version(installed) != Version(match["version"]):
            lacking.append(f"{match['name']}=={match['version']}")
    return lacking
