"""JSON arrays of any length, collected on disk instead of in memory."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

import msgspec


class Spill:
    """Items go to a file as they come; `close` turns it into one JSON array, ordered by the key given with each. Raises OSError.

    With `name`, the array is that member of an object.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.path = path
        self._name = name
        self._spilled = path.with_suffix(".jsonl")
        self._file = self._spilled.open("wb")
        self._offset = 0
        self._offsets = array("q")
        self._keys = array("q")

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: int, item: Any) -> None:
        """Keep one JSON value. Equal keys stay in the order they came in."""
        line = msgspec.json.encode(item) + b"\n"
        self._file.write(line)
        self._keys.append(key)
        self._offsets.append(self._offset)
        self._offset += len(line)

    def close(self) -> None:
        """Write the array and remove the spilled lines."""
        self._file.close()
        with self._spilled.open("rb") as lines, self.path.open("wb") as target:
            target.write(b"[" if self._name is None else b'{"%s":[' % self._name.encode())
            for count, index in enumerate(sorted(range(len(self._keys)), key=self._keys.__getitem__)):
                lines.seek(self._offsets[index])
                target.write((b"," if count else b"") + lines.readline().rstrip(b"\n"))
            target.write(b"]" if self._name is None else b"]}")
        self._spilled.unlink()

    def abandon(self) -> None:
        """Let go of the file after a failure."""
        try:
            self._file.close()
        finally:
            self._spilled.unlink(missing_ok=True)
