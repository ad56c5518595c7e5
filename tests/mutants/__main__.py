"""`python -m tests.mutants [zoom recall handoff relay] [--jobs 2]`: exit code 1 below 95 %, or if a survivor has no reason on the page."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.mutants import judge
from tests.mutants.mutate import Mutant, mutants
from tests.mutants.page import explained

MODULES = ("zoom", "recall", "handoff", "relay")
WANTED = 0.95
PATIENCE_S = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help=f"which of {', '.join(MODULES)} (default: all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--every", type=int, default=1, help="only every n-th mutant, for a quick look")
    parser.add_argument("--out", type=Path, default=Path(".rtmskit/mutants.json"), help="where the survivors go")
    options = parser.parse_args()
    os.chdir(judge.ROOT)
    survivors: dict[str, list[Mutant]] = {}
    total = 0
    for module in options.modules or MODULES:
        began = time.monotonic()
        candidates = list(mutants((judge.PACKAGE / f"{module}.py").read_text()))[:: options.every]
        survivors[module] = list(_survivors(module, candidates, options.jobs))
        total += len(candidates)
        dead = len(candidates) - len(survivors[module])
        took = time.monotonic() - began
        print(f"{module}.py: {dead} of {len(candidates)} mutants killed, {dead / len(candidates):.1%}, in {took:.0f} s", flush=True)
    unexplained = []
    for module, found in survivors.items():
        reasons = explained(module)
        for mutant in found:
            known = (mutant.code, mutant.what) in reasons
            unexplained += [] if known else [mutant]
            print(f"  {'known ' if known else 'alive '} {module}.py:{mutant.line}: {mutant.what}: {mutant.code}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    listed = {module: [{"line": m.line, "what": m.what, "code": m.code} for m in found] for module, found in survivors.items()}
    options.out.write_text(json.dumps(listed, indent=1))
    alive = sum(map(len, survivors.values()))
    print(f"{total - alive} of {total} killed, {1 - alive / total:.1%}; {len(unexplained)} survivors without a reason in docs/mutants.md")
    return 0 if 1 - alive / total >= WANTED and not unexplained else 1


def _survivors(module: str, candidates: list[Mutant], jobs: int) -> Iterator[Mutant]:
    context = multiprocessing.get_context("spawn")  # each worker imports the package from its own, unwatched start
    with context.Pool(1) as pool:
        tests, everything = pool.apply(judge.watch, (module,))
    work = [(module, mutant, list(tests.get(mutant.line, ())) or everything, PATIENCE_S) for mutant in candidates]
    with context.Pool(jobs, initializer=judge.warm) as pool:
        if not pool.apply(judge.unharmed, (module, everything, PATIENCE_S)):
            raise RuntimeError(f"{module}.py does not survive without any change, so its mutants would prove nothing")
        for number, (mutant, dead) in enumerate(pool.imap_unordered(judge.judged, work), start=1):
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{module}.py: {number} of {len(work)}\x1b[K")
            if not dead:
                yield mutant


if __name__ == "__main__":
    sys.exit(main())
