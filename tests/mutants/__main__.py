"""`python -m tests.mutants [zoom adapters/sqlite ...] [--jobs 2]`: exit code 1 below 95 %, or if a survivor has no reason on the page.

`--changed COMMIT`: only the lines that are new or different since that commit. `--again FILE`: only those that lived in an earlier run, by
the figures that it wrote.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.context import SpawnContext
from pathlib import Path

from tests.fake_gcs import fake_gcs
from tests.firestore_emulator import emulator, unavailable
from tests.mutants import judge
from tests.mutants.changed import changed_lines
from tests.mutants.mutate import Mutant, mutants, places
from tests.mutants.page import explained
from tests.mutants.suites import Suite, file_of, modules, suite_of

WANTED = 0.95
FIRST_PATIENCE_S = 300.0
PATIENCE = 4
"""How many times the unharmed module's time a mutant may take, on the wall."""

PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Options:
    """`lines`: of each module, those that are broken; None: all. `again`: of each module, (code, change) of those that are judged again;
    None: all. `every`: only every n-th mutant."""

    modules: tuple[str, ...]
    lines: Mapping[str, set[int]] | None
    again: Mapping[str, set[tuple[str, str]]] | None
    every: int
    jobs: int
    out: Path


@dataclass(slots=True)
class Figures:
    """What came of one module. `possible`: mutants that there are; `alive`: line, change and code of each survivor."""

    possible: int
    tried: int = 0
    endless: int = 0
    unexplained: int = 0
    seconds: float = 0.0
    alive: list[dict[str, str | int]] = field(default_factory=list)

    @property
    def killed(self) -> int:
        return self.tried - len(self.alive)

    def told(self, module: str) -> str:
        which = f"of {self.possible} mutants " if self.tried < self.possible else ""
        share = f"{self.killed} of {self.tried} mutants killed, {self.killed / max(1, self.tried):.1%} ({self.endless} of them never ended)"
        return f"{module}.py: {which}{share}, in {self.seconds:.0f} s ({self.seconds / max(1, self.tried):.2f} s each)"


def main() -> int:
    options = _options()
    os.chdir(judge.ROOT)
    if not options.modules:
        print("no line of the function is concerned")
        return 0
    state = judge.state()
    context = multiprocessing.get_context("spawn")  # each process imports the package from its own start
    figures: dict[str, Figures] = {}
    for suite in dict.fromkeys(map(suite_of, options.modules)):
        if suite.emulator and (reason := unavailable()):
            print(f"not tried: {', '.join(name for name in options.modules if suite_of(name) == suite)}: {reason}")
            continue
        with _servers(suite):
            with ProcessPoolExecutor(1, context) as pool:  # which says so when its process has gone
                seen = pool.submit(judge.watch, suite).result()
            for module in (module for module in options.modules if suite_of(module) == suite):
                figures[module] = _tried(context, module, seen, options, figures)
    if judge.state() != state:
        raise RuntimeError("tests or sources were changed while this ran, so it proves nothing; run it on a copy (git archive HEAD)")
    tried, killed = sum(one.tried for one in figures.values()), sum(one.killed for one in figures.values())
    unexplained = sum(one.unexplained for one in figures.values())
    print(f"{killed} of {tried} killed, {killed / max(1, tried):.1%}; {unexplained} survivors without a reason in docs/mutants.md")
    return 0 if killed >= WANTED * tried and not unexplained else 1


def _options() -> Options:
    known = modules()
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help=f"which of {', '.join(known)} (default: all)")
    parser.add_argument("--changed", metavar="COMMIT", help="only the lines that are new or different since this commit")
    parser.add_argument("--again", metavar="FILE", type=Path, help="only those that lived in an earlier run: the FILE of its --out")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--every", type=int, default=1, help="only every n-th mutant, for a quick look")
    parser.add_argument("--most", type=int, help="at most so many mutants in all, spread evenly")
    parser.add_argument("--out", type=Path, default=Path(".rtmskit/mutants.json"), help="where figures and survivors go")
    given = parser.parse_args()
    if unknown := [name for name in given.modules if name not in known]:
        parser.error(f"no module {', '.join(unknown)}; there are {', '.join(known)}")
    lines = changed_lines(given.changed) if given.changed else None
    again = survivors(given.again) if given.again else None
    chosen = tuple(name for name in given.modules or known if (lines is None or name in lines) and (again is None or again.get(name)))
    count = sum(len(_places(name, lines)) for name in chosen)
    every = max(given.every, -(-count // given.most) if given.most else 1)
    return Options(tuple(name for name in chosen if _places(name, lines)), lines, again, every, given.jobs, given.out.absolute())


def survivors(file: Path) -> dict[str, set[tuple[str, str]]]:
    """(code, change) of what lived in an earlier run, by module. A line that was written anew since is in none of them."""
    rows = json.loads(file.read_text(encoding="utf-8"))
    return {module: {(one["code"], one["what"]) for one in row["alive"]} for module, row in rows.items()}


def _places(module: str, lines: Mapping[str, set[int]] | None) -> list[int]:
    found = [place.line for place in places(file_of(module).read_text(encoding="utf-8"))]
    return found if lines is None else [line for line in found if line in lines.get(module, ())]


@contextlib.contextmanager
def _servers(suite: Suite) -> Generator[None]:
    """What a suite's tests would start themselves for each mutant (tests/conftest.py)."""
    with contextlib.ExitStack() as stack:
        if suite.emulator:
            stack.enter_context(_in_environment("RTMSKIT_RUNNING_FIRESTORE", stack.enter_context(emulator())))
        if suite.gcs:
            stack.enter_context(_in_environment("RTMSKIT_RUNNING_GCS", stack.enter_context(fake_gcs())))
        yield


@contextlib.contextmanager
def _in_environment(name: str, value: str) -> Generator[None]:
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


def _tried(context: SpawnContext, module: str, seen: judge.Seen, options: Options, before: Mapping[str, Figures]) -> Figures:
    source = file_of(module).read_text(encoding="utf-8")
    chosen = list(mutants(source, options.every, None if options.lines is None else options.lines[module]))
    if options.again is not None:
        chosen = [mutant for mutant in chosen if (mutant.code, mutant.what) in options.again[module]]
    figures, reasons, began = Figures(len(places(source))), explained(module), time.monotonic()
    for mutant, verdict in _verdicts(context, module, chosen, seen, options.jobs):
        figures.tried += 1
        figures.endless += verdict == "endless"
        if verdict == "alive":
            known = (mutant.code, mutant.what) in reasons
            figures.unexplained += not known
            print(f"  {'known' if known else 'ALIVE'} {module}.py:{mutant.line}: {mutant.what}: {mutant.code}", flush=True)
            figures.alive.append({"line": mutant.line, "what": mutant.what, "code": mutant.code})
        figures.seconds = time.monotonic() - began
        _write(options.out, {**before, module: figures})
    print(figures.told(module), flush=True)
    return figures


def _verdicts(
    context: SpawnContext, module: str, candidates: list[Mutant], seen: judge.Seen, jobs: int
) -> Iterator[tuple[Mutant, judge.Verdict]]:
    """As they are found."""
    with context.Pool(jobs, initializer=judge.warm) as pool:
        took_s = pool.apply(judge.unharmed, (module, seen.lots(module, 0), FIRST_PATIENCE_S))
        if took_s is None:
            raise RuntimeError(f"{module}.py does not survive without any change, so its mutants would prove nothing")
        work = [(module, mutant, seen.lots(module, mutant.line), PATIENCE_S + PATIENCE * took_s) for mutant in candidates]
        for number, judged in enumerate(pool.imap_unordered(judge.judged, work), start=1):
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{module}.py: {number} of {len(work)}\x1b[K\r")
            yield judged


def _write(path: Path, figures: Mapping[str, Figures]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {
        module: {"possible": one.possible, "tried": one.tried, "killed": one.killed, "endless": one.endless, "alive": one.alive}
        for module, one in figures.items()
    }
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
