"""`make bench`: every benchmark, or those named. Numbers are printed, never asserted: machines are noisy."""

from __future__ import annotations

import importlib
import sys

BENCHMARKS = {
    "acks": "tests.benchmarks.acks",
    "start": "tests.benchmarks.start",
    "rush": "tests.benchmarks.rush",
    "rtms": "tests.benchmarks.rtms_streams",
}
"""Name to module; each has `main(argv)`."""


def main(names: list[str]) -> int:
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        print(f"no benchmark {unknown[0]!r} (there are: {', '.join(BENCHMARKS)})", file=sys.stderr)
        return 2
    for name in names or BENCHMARKS:
        print(f"== {name}")
        importlib.import_module(BENCHMARKS[name]).main([])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
