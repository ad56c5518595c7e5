"""The pictures of docs/architecture.md: which part of a package imports which, from the imports themselves."""

from __future__ import annotations

from functools import cache

import grimp

PACKAGES = ("rtms_relay", "rtms_simulator", "rtms_infra")

USED_EVERYWHERE = {
    "rtms_relay": frozenset(
        {
            "errors",
            "ports",
            "budgets",
            "logs",
            "tolerant",
            "setting_values",
            "settings",
            "concurrently",
            "replies",
            "callers",
            "tasks",
        }
    ),
    "rtms_simulator": frozenset({"errors", "packaging"}),
    "rtms_infra": frozenset({"values", "protection", "numbers", "regions", "keys", "apis", "config"}),
}
"""Small modules that most others import: left out of the pictures, which would be unreadable with them."""

Edges = frozenset[tuple[str, str]]


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES)


def edges(package: str, *, everything: bool = False) -> Edges:
    """Every (importer, imported) between the direct children of a package, without those of `USED_EVERYWHERE` unless `everything`."""
    children = sorted(_graph().find_children(package))
    shown = [child for child in children if everything or _name(child) not in USED_EVERYWHERE[package]]
    return frozenset((_name(a), _name(b)) for a in shown for b in shown if a != b and _imports(a, b))


def _imports(importer: str, imported: str) -> bool:
    return _graph().direct_import_exists(importer=importer, imported=imported, as_packages=True)


def reachable(pairs: Edges, start: str) -> frozenset[str]:
    """Everything that `start` imports, directly or through others."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        part = waiting.pop()
        following = {b for a, b in pairs if a == part} - seen
        seen |= following
        waiting += following
    return frozenset(seen)


def reduced(pairs: Edges) -> Edges:
    """The same graph without the edges that others imply. Raises ValueError for a graph with a cycle, which has no such form."""
    parts = {part for edge in pairs for part in edge}
    below = {part: reachable(pairs, part) for part in parts}
    if cycle := sorted(part for part in parts if part in below[part]):
        raise ValueError(f"these import one another: {', '.join(cycle)}")
    return frozenset((a, b) for a, b in pairs if not any(b in below[c] for x, c in pairs if x == a and c != b))


def picture(package: str) -> str:
    """A mermaid flowchart of a package's parts, importers above."""
    lines = [f"    {a} --> {b}" for a, b in sorted(reduced(edges(package)))]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```"])


def _name(module: str) -> str:
    return module.rpartition(".")[2]
