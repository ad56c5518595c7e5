"""The lines of the function that a change touches: what CI breaks."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Mapping

from tests.mutants.suites import FUNCTION, ROOT, name_of

_FILE = re.compile(r"^\+\+\+ b/(.+)$")
_HUNK = re.compile(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@")


def changed_lines(since: str) -> Mapping[str, set[int]]:
    """Module -> the lines of today's source that are new or different since a commit; `COMMIT...` means since the branch left it. Raises
    RuntimeError if there is no such commit."""
    command = ["git", "diff", "--unified=0", "--no-color", "--no-ext-diff", "--diff-filter=d", since, "--", str(FUNCTION)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"git cannot compare with {since!r}: {done.stderr.strip()}")
    return read(done.stdout)


def read(diff: str) -> Mapping[str, set[int]]:
    """The same, of a diff without context."""
    lines: dict[str, set[int]] = defaultdict(set)
    module: str | None = None
    for line in diff.splitlines():
        if match := _FILE.match(line):
            module = name_of(ROOT / match[1]) if match[1].endswith(".py") else None
        elif module is not None and (match := _HUNK.match(line)):
            first, count = int(match[1]), int(match[2] if match[2] is not None else 1)
            lines[module].update(range(first, first + count))
    return {name: numbers for name, numbers in lines.items() if numbers}
