"""The source archive of the functions: the same bytes for the same content, named by their hash."""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
from pathlib import Path

_LEFT_OUT_FOLDERS = frozenset({"__pycache__", ".venv", ".pytest_cache", ".ruff_cache"})
_LEFT_OUT_SUFFIXES = frozenset({".pyc", ".pyo"})
_TAKEN_SUFFIXES = frozenset({".py", ".txt", ".typed"})
_NEEDED = ("main.py", "requirements.txt", "rtms_relay/__init__.py")
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip archive can hold."""


class SourceError(Exception):
    """The folder is not what can be deployed. The message says which file, and what to do."""


def files(folder: Path) -> dict[str, bytes]:
    """What is deployed: path inside the archive -> content, sorted. Caches are left out.

    Raises `SourceError` for any other kind of file, because a stray `.env` or database must not travel to the cloud unseen.
    """
    taken: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_dir() or _LEFT_OUT_FOLDERS & set(relative.parts) or path.suffix in _LEFT_OUT_SUFFIXES:
            continue
        if path.suffix not in _TAKEN_SUFFIXES or any(part.startswith(".") for part in relative.parts):
            raise SourceError(f"{path} does not belong into the deployed source: move it out of {folder}")
        taken[relative.as_posix()] = path.read_bytes()
    missing = [name for name in _NEEDED if name not in taken]
    if missing:
        raise SourceError(f"{folder} lacks {', '.join(missing)}: run from a complete checkout")
    return dict(sorted(taken.items()))


def archive(folder: Path) -> bytes:
    """The zip: sorted names, one fixed time and mode, so that equal content gives equal bytes on any machine."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, content in files(folder).items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix, also where this runs on Windows
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_STORED  # zlib's output differs between its versions
            target.writestr(entry, content)
    return buffer.getvalue()


def write(folder: Path, into: Path) -> Path:
    """Write the archive as `function-<sha256>.zip` into a folder, and return its path. A file of that name is the same already."""
    content = archive(folder)
    path = into / f"function-{hashlib.sha256(content).hexdigest()}.zip"
    if not path.exists():
        into.mkdir(parents=True, exist_ok=True)
        # Under a name of its own at first: the programs of two stacks may write it at once.
        with tempfile.NamedTemporaryFile(dir=into, suffix=".part", delete=False) as partial:
            partial.write(content)
        Path(partial.name).replace(path)
    return path
