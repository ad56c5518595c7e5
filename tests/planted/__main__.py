"""`python -m tests.planted [WORD...]`: plant each bug whose name or file holds a word, say which test killed it and how soon.

Exit code 1 if one survives.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from tests.planted.bugs import BUGS
from tests.planted.runner import run

JOBS = 2


def main(words: list[str]) -> int:
    chosen = [bug for bug in BUGS if not words or any(word in bug.name or word in bug.file for word in words)]
    alive = 0
    with ThreadPoolExecutor(JOBS) as pool:
        for bug, outcome in zip(chosen, pool.map(lambda bug: run(bug, bug.test), chosen), strict=True):
            alive += not outcome.killed
            print(f"{'killed' if outcome.killed else 'ALIVE '} {outcome.seconds:5.1f} s  {bug.file}: {bug.name}", flush=True)
            if not outcome.killed:
                print(outcome.output)
    print(f"{len(chosen) - alive} of {len(chosen)} killed, each by the test that is named in tests/planted/bugs.py")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
