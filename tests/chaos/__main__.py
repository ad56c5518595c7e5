"""`python -m tests.chaos --meetings 1000 --kills 300 --state sqlite`: exit code 1 if a promise was broken."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import Chaos
from tests.chaos.stores import empty_store


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--meetings", type=int, default=1000, help="streams (default 1000)")
    parser.add_argument("--kills", type=int, default=300, help="SIGKILLs (default 300)")
    parser.add_argument("--state", choices=["sqlite", "firestore", "both"], default="both", help="the store (default: one run on each)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    fine = True
    for kind in ("sqlite", "firestore") if options.state == "both" else (options.state,):
        with tempfile.TemporaryDirectory(prefix="rtmskit-chaos-") as name, empty_store(kind, Path(name)) as (url, open_store, emulator):
            chaos = Chaos(Path(name), url, open_store, seed=options.seed, emulator=emulator, on_line=_progress)
            report = asyncio.run(chaos.run(options.meetings, options.kills))
        sys.stdout.write(("\r" if sys.stderr.isatty() else "") + f"{report}\n")
        sys.stdout.flush()
        fine = fine and report.fine
    return 0 if fine else 1


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{line}\x1b[K")


if __name__ == "__main__":
    sys.exit(main())
