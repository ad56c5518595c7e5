"""Directories that are on disk when they are said to be: a name is there only when the directory that holds it was synced (fsync(2))."""

from __future__ import annotations

import os
from pathlib import Path


def make_directories(directory: Path) -> None:
    """Make a directory and those above it. Raises OSError."""
    missing = [each for each in (directory, *directory.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        sync_directory(each.parent)


def sync_directory(directory: Path) -> None:
    """Have the names in a directory written to disk. Raises OSError."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
