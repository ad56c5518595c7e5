"""One JSON library, msgspec. The standard library's is for what msgspec cannot read or write: known.toml has each place with its reason."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from tests.lint.source import Module, Problem


def problems(sources: Iterable[Module]) -> Iterator[Problem]:
    for module in sources:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import | ast.ImportFrom) and "json" in _modules(node):
                yield Problem(f"{module.path}::json", f"{module.path}:{node.lineno}", "json of the standard library: take msgspec.json")


def _modules(node: ast.Import | ast.ImportFrom) -> list[str | None]:
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
