"""`python -m tests.lint`: every check of the project's own.

known.toml holds the places that are let pass, each with its reason. `--write` takes from it what is mended.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.lint import (
    class_names,
    cycles,
    dead_names,
    deployed_numbers,
    folders,
    hollow_tests,
    json_library,
    long_calls,
    participles,
    sizes,
)
from tests.lint.source import PACKAGES, Problem, modules

KNOWN = Path(__file__).with_name("known.toml")
HEAD = (
    "# Places that the checks of `make lint` know and let pass, each with its reason. The list only shrinks: python -m tests.lint --write\n"
)


def checks() -> Iterator[tuple[str, list[Problem]]]:
    """The name of each check, and what it finds."""
    yield "sizes", [problem for package in PACKAGES for problem in sizes.problems(modules(package))]
    yield "class_names", [problem for package in PACKAGES for problem in class_names.problems(package, modules(package))]
    yield "participles", [problem for package in PACKAGES for problem in participles.problems(modules(package))]
    yield "long_calls", [problem for package in PACKAGES for problem in long_calls.problems(modules(package))]
    yield "json_library", [problem for package in PACKAGES for problem in json_library.problems(modules(package))]
    yield "cycles", [problem for package in PACKAGES for problem in cycles.problems(package.rpartition("/")[2])]
    yield "folders", list(folders.problems("simulator/rtms_simulator"))
    yield "dead_names", list(dead_names.problems(PACKAGES, ("tests", "infra/__main__.py", "function/main.py")))
    # What is deployed is used by what runs: a test alone is no reason to keep it.
    yield "dead_names_of_the_function", list(dead_names.problems(["function"], ("infra", "simulator")))
    yield "deployed_numbers", [problem for folder in deployed_numbers.FOLDERS for problem in deployed_numbers.problems(modules(folder))]
    yield "hollow_tests", list(hollow_tests.problems(modules("tests")))


def main(arguments: list[str]) -> int:
    known = tomllib.loads(KNOWN.read_text()) if KNOWN.exists() else {}
    lists: dict[str, dict[str, str]] = {}
    new: list[str] = []
    mended = 0
    for name, problems in checks():
        reasons = known.get(name, {})
        keys = {problem.key for problem in problems}
        new += [f"{problem.where}: {problem.text}" for problem in problems if problem.key not in reasons]
        lists[name] = {key: reason for key, reason in reasons.items() if key in keys}
        mended += len(reasons) - len(lists[name])
    sys.stdout.write("".join(f"{line}\n" for line in new))
    sys.stdout.write(f"{len(new)} new, {sum(map(len, lists.values()))} known, {mended} of the list mended\n")
    if "--write" in arguments:
        KNOWN.write_text(HEAD + "".join(_section(name, rows) for name, rows in lists.items() if rows))
    return 1 if new else 0


def _section(name: str, rows: dict[str, str]) -> str:
    return f"\n[{name}]\n" + "".join(f'"{key}" = "{reason}"\n' for key, reason in sorted(rows.items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
