"""Functions of at most 40 lines and a cyclomatic complexity of at most 12."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from tests.lint.source import Function, Module, Problem, functions

LINES = 40
COMPLEXITY = 12
BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.IfExp, ast.ExceptHandler, ast.comprehension)


def lines(function: Function) -> int:
    """From `def` to the last line, without the docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None and len(function.body) > 1
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def complexity(function: Function) -> int:
    """McCabe's number: 1 and each branch, boolean operator, case and condition of a comprehension. Functions inside count apart."""
    number = 1
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Function | ast.ClassDef):
            continue
        if isinstance(node, BRANCHES):
            number += 1
        if isinstance(node, ast.comprehension):
            number += len(node.ifs)
        elif isinstance(node, ast.BoolOp):
            number += len(node.values) - 1
        elif isinstance(node, ast.match_case) and not _catches_all(node):
            number += 1
        waiting += ast.iter_child_nodes(node)
    return number


def _catches_all(case: ast.match_case) -> bool:
    return case.guard is None and isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None


def problems(sources: Iterable[Module]) -> Iterator[Problem]:
    for module in sources:
        for name, function in functions(module.tree):
            length, number = lines(function), complexity(function)
            if length > LINES or number > COMPLEXITY:
                text = f"{name} has {length} lines (at most {LINES}) and a complexity of {number} (at most {COMPLEXITY})"
                yield Problem(f"{module.path}::{name}", f"{module.path}:{function.lineno}", text)
