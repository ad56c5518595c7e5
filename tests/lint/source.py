"""The Python sources as syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("function/rtms_relay", "simulator/rtms_simulator", "infra/rtms_infra")


@dataclass(frozen=True, slots=True)
class Module:
    """A file: its path from the root of the repository, and its tree."""

    path: str
    tree: ast.Module


@dataclass(frozen=True, slots=True)
class Problem:
    """`key` names the place in a way that a change of lines does not change; `where` is for a person to click on."""

    key: str
    where: str
    text: str


Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def modules(folder: str) -> tuple[Module, ...]:
    paths = sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)
    return tuple(Module(str(path.relative_to(ROOT)), ast.parse(path.read_text())) for path in paths)


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Every function and method with its qualified name, those inside others included."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, Function):
            yield f"{prefix}{node.name}", node
            yield from functions(node, f"{prefix}{node.name}.")
        else:
            yield from functions(node, prefix)
