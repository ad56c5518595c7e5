"""`python -m tests.mutants [zoom recall handoff relay] [--jobs 2]`: exit code 1 below 95 %, or if a survivor has no reason on the page."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

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
    context = multiprocessing.get_context("spawn")  # each process imports the package from its own start
    with context.Pool(1) as pool:
        seen = pool.apply(judge.watch)
    listed: dict[str, list[dict[str, Any]]] = {}
    total, unexplained = 0, 0
    with context.Pool(options.jobs, initializer=judge.warm) as pool:
        for module in options.modules or MODULES:
            began = time.monotonic()
            candidates = list(mutants((judge.PACKAGE / f"{module}.py").read_text(), options.every))
            found = _survivors(pool, module, candidates, seen)
            dead, took = len(candidates) - len(found), time.monotonic() - began
            print(f"{module}.py: {dead} of {len(candidates)} mutants killed, {dead / len(candidates):.1%}, in {took:.0f} s")
            reasons = explained(module)
            for mutant in sorted(found, key=lambda one: one.line):
                known = (mutant.code, mutant.what) in reasons
                unexplained += not known
                print(f"  {'known' if known else 'ALIVE'} {module}.py:{mutant.line}: {mutant.what}: {mutant.code}", flush=True)
            total += len(candidates)
            listed[module] = [{"line": one.line, "what": one.what, "code": one.code} for one in found]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(listed, indent=1))
    alive = sum(map(len, listed.values()))
    print(f"{total - alive} of {total} killed, {1 - alive / total:.1%}; {unexplained} survivors without a reason in docs/mutants.md")
    return 0 if 1 - alive / total >= WANTED and not unexplained else 1


def _survivors(pool: Pool, module: str, candidates: list[Mutant], seen: judge.Seen) -> list[Mutant]:
    if not pool.apply(judge.unharmed, (module, seen.everything, PATIENCE_S)):
        raise RuntimeError(f"{module}.py does not survive without any change, so its mutants would prove nothing")
    work = [(module, mutant, seen.tests(module, mutant.line), PATIENCE_S) for mutant in candidates]
    alive = []
    for number, (mutant, dead) in enumerate(pool.imap_unordered(judge.judged, work), start=1):
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{module}.py: {number} of {len(work)}\x1b[K\r")
        alive += [] if dead else [mutant]
    return alive


if __name__ == "__main__":
    sys.exit(main())
