"""No folder of the simulator has more entries than a reader takes in at once (issue 10)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.lint.source import ROOT, Problem

ENTRIES = 15


def problems(package: str, root: Path = ROOT) -> Iterator[Problem]:
    """Folders of the package with more than 15 files and folders, but for what Python writes."""
    top = root / package
    for folder in [top, *sorted(path for path in top.rglob("*") if path.is_dir() and path.name != "__pycache__")]:
        count = sum(entry.name != "__pycache__" for entry in folder.iterdir())
        if count > ENTRIES:
            name = str(folder.relative_to(root))
            yield Problem(name, name, f"{count} entries (at most {ENTRIES})")
