"""`python -m tests.mutants [zoom handoff/attempt ...] [--jobs 2]`: exit code 1 below 95 %, or if a survivor has no reason on the page."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

from tests.mutants import judge
from tests.mutants.mutate import Mutant, mutants
from tests.mutants.page import explained

MODULES = (
    "zoom",
    "recall",
    "handoff/keys",
    "handoff/facts",
    "handoff/attempt",
    "handoff/retrieval",
    "handoff/erasure",
    "handoff/record",
    "handing",
)
WANTED = 0.95
FIRST_PATIENCE_S = 120.0
PATIENCE = 4
"""How many times the unharmed module's time a mutant may take, on the wall."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help=f"which of {', '.join(MODULES)} (default: all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--every", type=int, default=1, help="only every n-th mutant, for a quick look")
    parser.add_argument("--out", type=Path, default=Path(".rtmskit/mutants.json"), help="where the survivors go")
    options = parser.parse_args()
    os.chdir(judge.ROOT)
    state = judge.state()
    context = multiprocessing.get_context("spawn")  # each process imports the package from its own start
    with context.Pool(1) as pool:
        seen = pool.apply(judge.watch)
    survivors: dict[str, list[dict[str, Any]]] = {}
    total, unexplained = 0, 0
    with context.Pool(options.jobs, initializer=judge.warm) as pool:
        for module in options.modules or MODULES:
            began = time.monotonic()
            candidates = list(mutants((judge.PACKAGE / f"{module}.py").read_text(), options.every))
            reasons, found = explained(module), survivors.setdefault(module, [])
            endless = 0
            for mutant, verdict in _verdicts(pool, module, candidates, seen):
                endless += verdict == "endless"
                if verdict != "alive":
                    continue
                known = (mutant.code, mutant.what) in reasons
                unexplained += not known
                print(f"  {'known' if known else 'ALIVE'} {module}.py:{mutant.line}: {mutant.what}: {mutant.code}", flush=True)
                found.append({"line": mutant.line, "what": mutant.what, "code": mutant.code})
                _write(options.out, survivors)
            total += len(candidates)
            dead, took = len(candidates) - len(found), time.monotonic() - began
            share = f"{dead} of {len(candidates)} mutants killed, {dead / len(candidates):.1%} ({endless} of them never ended)"
            print(f"{module}.py: {share}, in {took:.0f} s ({took / len(candidates):.2f} s each)", flush=True)
    _write(options.out, survivors)
    if judge.state() != state:
        raise RuntimeError("tests or sources were changed while this ran, so it proves nothing; run it on a copy (git archive HEAD)")
    alive = sum(map(len, survivors.values()))
    print(f"{total - alive} of {total} killed, {1 - alive / total:.1%}; {unexplained} survivors without a reason in docs/mutants.md")
    return 0 if 1 - alive / total >= WANTED and not unexplained else 1


def _verdicts(pool: Pool, module: str, candidates: list[Mutant], seen: judge.Seen) -> Iterator[tuple[Mutant, judge.Verdict]]:
    """As they are found."""
    took_s = pool.apply(judge.unharmed, (module, seen.tests(module, 0), FIRST_PATIENCE_S))
    if took_s is None:
        raise RuntimeError(f"{module}.py does not survive without any change, so its mutants would prove nothing")
    work = [(module, mutant, seen.tests(module, mutant.line), 10 + PATIENCE * took_s) for mutant in candidates]
    for number, judged in enumerate(pool.imap_unordered(judge.judged, work), start=1):
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{module}.py: {number} of {len(work)}\x1b[K\r")
        yield judged


def _write(path: Path, survivors: dict[str, list[dict[str, Any]]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({module: sorted(rows, key=lambda row: row["line"]) for module, rows in survivors.items()}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
