"""`make simulate SEEDS=N`: play N seeds of a hostile world and print what came of it.

Exit 1 if a promise broke or a rare state was never met.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.simulation.campaign import Figures, campaign
from tests.simulation.stories import shortest, write


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=400, help="how many seeds (default 400)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--story", type=Path, default=Path(".rtmskit/story.json"), help="where a failing seed's shortest story goes")
    options = parser.parse_args()
    figures = Figures()
    for figures in campaign(options.first, options.seeds, jobs=options.jobs):
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{figures.seeds:,} seeds, {figures.deliveries:,} deliveries, {len(figures.broken)} broken promises")
    sys.stdout.write(figures.report() + "\n")
    if not figures.broken:
        return 1 if figures.unmet else 0
    for seed, line in figures.broken[:10]:
        sys.stdout.write(f"seed {seed}: {line}\n")
    story = shortest(figures.broken[0][0])
    write(story, options.story)
    sys.stdout.write(f"\nthe shortest story found, seed {story.seed}, is in {options.story}\n{story.told}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
