"""Of a call's values at most six go by position: of more, nobody sees which is which."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from tests.lint.source import Module, Problem

MOST = 6


def problems(sources: Iterable[Module]) -> Iterator[Problem]:
    for module in sources:
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call):
                continue
            count = sum(not isinstance(value, ast.Starred) for value in node.args)
            if count > MOST:
                name = ast.unparse(node.func)
                where = f"{module.path}:{node.lineno}"
                yield Problem(f"{module.path}::{name}", where, f"{name} is given {count} values by position (at most {MOST}): name them")
