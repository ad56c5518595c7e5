"""A class name is used once in a package."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator

from tests.lint.source import Module, Problem


def problems(package: str, sources: Iterable[Module]) -> Iterator[Problem]:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for module in sources:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{module.path}:{node.lineno}")
    for name, where in sorted(places.items()):
        if len(where) > 1:
            yield Problem(f"{package}::{name}", where[0], f"the class name {name} is used {len(where)} times: {', '.join(where)}")
