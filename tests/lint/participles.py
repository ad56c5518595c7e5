"""A variable or parameter is named after what it holds: `match`, `rows`, not `found`. Fields of classes are not looked at."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from tests.lint.source import Module, Problem

WORDS = frozenset({"asked", "found", "given", "held", "kept", "said", "seen", "shown", "told", "wanted", "whole"})


def problems(sources: Iterable[Module]) -> Iterator[Problem]:
    for module in sources:
        for name, line in _names(module.tree):
            if name.strip("_") in WORDS:
                yield Problem(f"{module.path}::{name}", f"{module.path}:{line}", f"{name} does not say what it holds: name the thing")


def _names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every variable that is assigned and every parameter, with its line."""
    fields = set(_fields(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node not in fields:
            yield node.id, node.lineno


def _fields(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        for statement in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(statement, ast.AnnAssign):
                yield statement.target
            elif isinstance(statement, ast.Assign):
                yield from statement.targets
