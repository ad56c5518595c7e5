"""What tries the deployment takes its numbers from the Pulumi program (`kit.deployed`), never from a literal of its own."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from rtms_simulator.kit.deployed import Deployed, DeployedFunction, DeployedQueue
from tests.lint.source import Module, Problem

FOLDERS = ("tests/chaos", "tests/simulation", "tests/benchmarks")

NUMBERS = {
    *(name for kind in (Deployed, DeployedFunction, DeployedQueue) for name in kind.__struct_fields__),
    "every_s",
    "deadline_s",
    "deadline_ms",
    "dispatches_per_s",
}
"""What the deployed numbers are called, and what the fakes' queues and schedulers call them."""


def problems(found: Iterable[Module]) -> Iterator[Problem]:
    """Arguments, assignments and defaults with such a name whose value is a number of the file's own. 0, 1 and -1 are let pass: they say
    that there is none, or no limit."""
    for module in found:
        for name, value in _given(module.tree):
            if name.lower() in NUMBERS and _is_literal(value):
                key = f"{module.path}::{name}"
                yield Problem(key, f"{module.path}:{value.lineno}", f"{name} is a literal; take it from rtms_simulator.kit.deployed")


def _given(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.value
        elif isinstance(node, ast.Assign):
            yield from ((_name(target), node.value) for target in node.targets)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield _name(node.target), node.value


def _name(target: ast.expr) -> str:
    return target.attr if isinstance(target, ast.Attribute) else target.id if isinstance(target, ast.Name) else ""


def _is_literal(value: ast.expr) -> bool:
    """A number, or one that is computed from numbers alone."""
    leaves = [node for node in ast.walk(value) if isinstance(node, ast.Constant | ast.Name | ast.Attribute | ast.Call)]
    numbers = [leaf.value for leaf in leaves if isinstance(leaf, ast.Constant) and type(leaf.value) in (int, float)]
    return len(numbers) == len(leaves) and any(number not in (0, 1) for number in numbers)
