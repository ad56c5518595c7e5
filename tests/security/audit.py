"""The dependency audit that needs no network: what the locks, the installed wheels and a committed list of advisories can tell.

`python -m tests.security.audit` prints what it found and how far to trust it; exit code 1 if anything is wrong. It cannot know what
was found out after the list's date, nor whether a release was withdrawn: that takes a scanner with a network (pip-audit, osv-scanner),
whose findings are to be added to advisories.json. What it does hold is that every file has a hash, so nothing can be exchanged.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCKS = ("function/requirements.txt", "requirements/run.txt", "requirements/test.txt")
ADVISORIES = Path(__file__).with_name("advisories.json")

LICENCES = frozenset(
    {"MIT", "MIT-0", "MIT-CMU", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "PSF-2.0", "MPL-2.0", "Zlib", "CC0-1.0"}
)
"""Permissive ones, and MPL, which asks nothing of who only uses a file as it is."""

SAME_LICENCE = {
    "MIT License": "MIT",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "3-Clause BSD License": "BSD-3-Clause",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}

_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[A-Za-z0-9.!+_-]+)(?P<marker> ; [^\\]+?)?(?P<hashes>( --hash=sha256:[0-9a-f]{64})+)"
)


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of a lock."""

    name: str
    version: str
    marker: str = ""


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock as read: its pins by canonical name, and every line that is not a pin with hashes."""

    pins: dict[str, Pin]
    strange: tuple[str, ...]


def read_lock(text: str) -> Lock:
    """A lock in pip's format. Comments are passed over; an option, a URL or a pin without a hash is strange."""
    pins, strange = {}, []
    whole = re.sub(r"\s*\\\n\s*", " ", "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")))
    for line in filter(None, map(str.strip, whole.splitlines())):
        match = _PIN.fullmatch(line)
        if match is None:
            strange.append(line)
        else:
            pins[canonicalize_name(match["name"])] = Pin(match["name"], match["version"], (match["marker"] or "").removeprefix(" ; "))
    return Lock(pins, tuple(strange))


def locks() -> dict[str, Lock]:
    return {name: read_lock((ROOT / name).read_text()) for name in LOCKS}


def direct() -> set[str]:
    """The names that pyproject.toml asks for, in any extra or group."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, groups = asked["project"], asked["dependency-groups"]
    lines = [line for names in (*project["optional-dependencies"].values(), *groups.values()) for line in names if isinstance(line, str)]
    return {canonicalize_name(re.split(r"[^A-Za-z0-9._-]", line)[0]) for line in [*project["dependencies"], *lines]} - {"rtmskit"}


def licences(name: str) -> set[str] | None:
    """What an installed distribution says of its licence, in SPDX's words where it can be told; None if it is not installed."""
    try:
        told = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    expression = _first(told.get_all("License-Expression"))
    if expression:
        return set(re.split(r" (?:AND|OR|WITH) ", expression.replace("(", "").replace(")", "")))
    classified = [line.rpartition(" :: ")[2] for line in told.get_all("Classifier") or [] if line.startswith("License :: ")]
    named = [line for line in classified if line not in ("OSI Approved", "DFSG approved")] or [_first(told.get_all("License"))]
    return {SAME_LICENCE.get(line, line) for line in named}


def _first(values: list[str] | None) -> str:
    return values[0] if values else ""


def affected(lock: Lock, advisories: list[dict[str, str]]) -> list[str]:
    """Each advisory that a pin is open to, in words."""
    found = []
    for advisory in advisories:
        pin = lock.pins.get(canonicalize_name(advisory["package"]))
        if pin is not None and SpecifierSet(advisory["affected"]).contains(Version(pin.version), prereleases=True):
            found.append(f"{pin.name} {pin.version}: {advisory['id']}: {advisory['what']} (affected: {advisory['affected']})")
    return found


def main() -> int:
    listed = json.loads(ADVISORIES.read_text())
    wrong = []
    for name, lock in locks().items():
        wrong += [f"{name}: not pinned with a hash: {line[:100]}" for line in lock.strange]
        wrong += [f"{name}: {line}" for line in affected(lock, listed["advisories"])]
        for pin in lock.pins.values():
            found = licences(pin.name)
            if found is not None and not found <= LICENCES:
                wrong.append(f"{name}: {pin.name}: licence {', '.join(sorted(found - LICENCES)) or 'unknown'}")
        sys.stdout.write(f"{name}: {len(lock.pins)} pins, each with a hash\n")
    sys.stdout.write("".join(f"  WRONG {line}\n" for line in wrong))
    sys.stdout.write(f"{len(listed['advisories'])} advisories known, as of {listed['as_of']}. What came after, and withdrawn releases,\n")
    sys.stdout.write("are not known here: run a scanner with a network now and then, and add to tests/security/advisories.json.\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
