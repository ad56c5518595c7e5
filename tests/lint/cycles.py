"""No module imports itself by way of others, imports within functions and for types included."""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

import grimp

from tests.lint.source import Problem


def problems(package: str) -> Iterator[Problem]:
    """`package`: an importable name. One circle is named at a time."""
    graph = grimp.build_graph(package, cache_dir=None)
    try:
        TopologicalSorter({module: graph.find_modules_directly_imported_by(module) for module in graph.modules}).prepare()
    except CycleError as error:
        circle = error.args[1]
        yield Problem(f"{package}::{circle[0]}", package, f"modules import one another in a circle: {' <- '.join(circle)}")
