"""On which line each key of a TOML document stands, which the standard library's reader does not say.

The document is read with `tomllib` first, so this scanner may take its syntax for granted and only has to keep count.
"""

from __future__ import annotations

import re
import tomllib

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"[ \t]*(?:\"((?:[^\"\\\n]|\\.)*)\"|'([^'\n]*)'|([A-Za-z0-9_-]+))[ \t]*(\.?)")
_TEXT = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL)
_SCALAR = re.compile(r"[^,\]}\n#]+")


def lines_of(source: str) -> dict[Path, int]:
    """Every key, table and array element of a valid TOML document, by path (`("timeline", 3, "who")`), to its line from 1."""
    return _Scan(source).document()


class _Scan:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._counted_to = 0
        self._line = 1

    def document(self) -> dict[Path, int]:
        table: Path = ()
        rows: dict[Path, int] = {}
        while self._skip_blank():
            if self.source[self.at] == "[":
                table = self._header(rows)
            else:
                self._pair(table)
        return self.lines

    def _header(self, rows: dict[Path, int]) -> Path:
        repeated = self.source.startswith("[[", self.at)
        self.at += 2 if repeated else 1
        start = self.at
        path: Path = ()
        for name in self._key():
            path = (*path, name)
            if path in rows:
                path = (*path, rows[path])
        if repeated:
            bare = path[:-1] if path and isinstance(path[-1], int) else path
            rows[bare] = rows.get(bare, -1) + 1
            self._note(bare, start)
            path = (*bare, rows[bare])
        self._note(path, start)
        self.at = self.source.index("]", self.at) + (2 if repeated else 1)
        return path

    def _pair(self, table: Path) -> None:
        start = self.at
        path = table
        for name in self._key():
            path = (*path, name)
            self._note(path, start)
        self.at = self.source.index("=", self.at) + 1
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip_blank()
        opening = self.source[self.at]
        if opening in "[{":
            self._sequence(path, "]" if opening == "[" else "}")
        elif opening in "\"'":
            match = _TEXT.match(self.source, self.at)
            assert match is not None
            self.at = match.end()
        else:
            match = _SCALAR.match(self.source, self.at)
            assert match is not None
            self.at = match.end()

    def _sequence(self, path: Path, closing: str) -> None:
        self.at += 1
        index = 0
        while self._skip_blank() and self.source[self.at] != closing:
            if closing == "]":
                self._note((*path, index), self.at)
                self._value((*path, index))
                index += 1
            else:
                self._pair(path)
            self._skip_blank()
            if self.source[self.at] == ",":
                self.at += 1
        self.at += 1

    def _key(self) -> list[str]:
        names: list[str] = []
        more = True
        while more:
            match = _KEY.match(self.source, self.at)
            assert match is not None
            double, single, bare, dot = match.groups()
            names.append(tomllib.loads(f'x = "{double}"')["x"] if double is not None else single if single is not None else bare)
            self.at = match.end()
            more = dot == "."
        return names

    def _skip_blank(self) -> bool:
        match = _BLANK.match(self.source, self.at)
        assert match is not None
        self.at = match.end()
        return self.at < len(self.source)

    def _note(self, path: Path, offset: int) -> None:
        # Offsets only grow, so each newline is counted once.
        if offset > self._counted_to:
            self._line += self.source.count("\n", self._counted_to, offset)
            self._counted_to = offset
        self.lines.setdefault(path, self._line)
