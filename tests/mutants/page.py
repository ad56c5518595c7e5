"""The survivors that docs/mutants.md explains."""

from __future__ import annotations

import re

from tests.mutants.suites import ROOT

PAGE = ROOT / "docs" / "mutants.md"
_ROW = re.compile(r"^\| `([\w/]+)\.py` \| `` (.+?) `` \| (.+?) \| (.+) \|$", re.MULTILINE)


def explained(module: str) -> set[tuple[str, str]]:
    """(line of code, change) of every survivor of a module that the page gives a reason for."""
    if not PAGE.exists():
        return set()
    rows = [row for row in _ROW.findall(PAGE.read_text()) if row[0] == module]
    return {(_plain(code), _plain(what.strip("`"))) for _, code, what, _ in rows}


def _plain(cell: str) -> str:
    return cell.replace("\\|", "|")
