"""Tests that can pass without having looked: no assertion, or only inside an `if` or a loop that may be empty."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from tests.lint.source import Function, Module, Problem, functions

ASSERTING_CALLS = ("raises", "warns", "fail", "deprecated_call")
"""pytest's own; also whatever begins with `assert`, and every helper of the tests that asserts."""


def problems(sources: Iterable[Module]) -> Iterator[Problem]:
    known = tuple(sources)
    helpers = asserting_helpers(known)
    for module in known:
        if not module.path.rpartition("/")[2].startswith("test_"):
            continue
        for name, function in functions(module.tree):
            if not name.rpartition(".")[2].startswith("test"):
                continue
            if not _asserts(function.body, helpers, anywhere=True):
                text = "asserts nothing"
            elif not _asserts(function.body, helpers, anywhere=False):
                text = "asserts only inside an `if`, or a loop that may be empty"
            else:
                continue
            yield Problem(f"{module.path}::{name}", f"{module.path}:{function.lineno}", f"{name} {text}")


def asserting_helpers(sources: Iterable[Module]) -> set[str]:
    """Names of functions of the tests that assert on every way, those included that call one of them."""
    waiting = [(name.rpartition(".")[2], node) for module in sources for name, node in functions(module.tree)]
    helpers: set[str] = set()
    while True:
        more = {
            name
            for name, node in waiting
            if name not in helpers and not name.startswith("test") and _asserts(node.body, helpers, anywhere=False)
        }
        if not more:
            return helpers
        helpers |= more


def _asserts(body: Iterable[ast.stmt], helpers: set[str], *, anywhere: bool) -> bool:
    return any(_is_assertion(statement, helpers, anywhere=anywhere) for statement in body)


def _is_assertion(node: ast.stmt, helpers: set[str], *, anywhere: bool) -> bool:
    """Whether an assertion is certain to be reached in this statement; `anywhere`: whether there is one at all."""
    if isinstance(node, ast.Assert | ast.Raise):
        return True
    if isinstance(node, Function | ast.ClassDef):
        return anywhere and any(_is_assertion(child, helpers, anywhere=True) for child in node.body)
    if isinstance(node, ast.If | ast.For | ast.AsyncFor | ast.While | ast.Match):
        return _in_a_branch(node, helpers, anywhere=anywhere)
    if isinstance(node, ast.With | ast.AsyncWith):
        heads = [item.context_expr for item in node.items]
        return any(_calls(head, helpers) for head in heads) or _asserts(node.body, helpers, anywhere=anywhere)
    if isinstance(node, ast.Try):
        return any(_asserts(part, helpers, anywhere=anywhere) for part in (node.body, node.finalbody, node.orelse)) or (
            anywhere and any(_asserts(handler.body, helpers, anywhere=True) for handler in node.handlers)
        )
    return _calls(node, helpers)


def _in_a_branch(node: ast.If | ast.For | ast.AsyncFor | ast.While | ast.Match, helpers: set[str], *, anywhere: bool) -> bool:
    if isinstance(node, ast.Match):
        bodies = [case.body for case in node.cases]
        return (any if anywhere else all)(_asserts(body, helpers, anywhere=anywhere) for body in bodies)
    if isinstance(node, ast.If):
        if anywhere:
            return _asserts([*node.body, *node.orelse], helpers, anywhere=True)
        return _asserts(node.body, helpers, anywhere=False) and _asserts(node.orelse, helpers, anywhere=False)
    if _calls(node.iter if isinstance(node, ast.For | ast.AsyncFor) else node.test, helpers):
        return True
    if anywhere:
        return _asserts([*node.body, *node.orelse], helpers, anywhere=True)
    if isinstance(node, ast.For) and never_empty(node.iter):
        return _asserts(node.body, helpers, anywhere=False)
    return _asserts(node.orelse, helpers, anywhere=False)


def never_empty(node: ast.expr) -> bool:
    """A literal with something in it, or `range`, `enumerate`, `zip`, ... over such."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return any(not isinstance(one, ast.Starred) or never_empty(one.value) for one in node.elts)
    if isinstance(node, ast.Dict):
        return bool(node.keys)
    if isinstance(node, ast.Constant):
        return bool(node.value)
    if isinstance(node, ast.Name):  # a table of the module; those are upper case
        return node.id.isupper()
    if isinstance(node, ast.Call):
        inner = node.func.value if isinstance(node.func, ast.Attribute) and node.func.attr in ("items", "values", "keys") else None
        return any(map(never_empty, [*node.args, *([inner] if inner is not None else [])]))
    return False


def _calls(node: ast.AST, helpers: set[str]) -> bool:
    for child in ast.walk(node):
        if isinstance(child, ast.Call):
            function = child.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name in ASSERTING_CALLS or name.startswith("assert") or name in helpers:
                return True
    return False
