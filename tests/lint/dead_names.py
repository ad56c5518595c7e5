"""Names that nothing uses: neither the packages, nor the tests, nor the entry points (vulture finds them)."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from vulture import Vulture

from tests.lint.source import ROOT, Problem

KINDS = {"function", "method", "class", "property", "import", "attribute", "unreachable_code"}
"""Of variables only a module's constants are judged: members of an enumeration and fields of a struct are a vendor's table, used or not."""

CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*\b")

CALLED_BY_OTHERS = ["*.command", "*.command(*", "*.group", "*.group(*", "*.result_callback*", "*fixture*", "*hookimpl*", "*overload"]
"""Decorators whose function is called by click, pytest or a type checker."""

HOOK = re.compile(r"__\w+__|pytest_\w+")
"""Names that Python or pytest calls."""


def problems(folders: Iterable[str], used_in: Iterable[str], root: Path = ROOT) -> Iterator[Problem]:
    """`folders` are judged; what `used_in` uses is used, too. All from the root of the repository."""
    vulture = Vulture(ignore_decorators=[f"@{pattern}" for pattern in CALLED_BY_OTHERS])
    judged = [root / folder for folder in folders]
    vulture.scavenge([str(path) for path in (*judged, *(root / folder for folder in used_in))])
    for item in vulture.get_unused_code():
        path = Path(item.filename).resolve()
        if path.suffix != ".py" or not any(path.is_relative_to(folder) for folder in judged):
            continue
        if (item.typ in KINDS or _is_constant(item, path)) and not _called_by_others(item, path):
            name = path.relative_to(root)
            yield Problem(f"{name}::{item.name}", f"{name}:{item.first_lineno}", f"{item.typ} {item.name} is used nowhere")


def _is_constant(item: Any, path: Path) -> bool:
    """Whether it is set at the beginning of a line in capitals."""
    return item.typ == "variable" and CONSTANT.match(path.read_text().splitlines()[item.first_lineno - 1]) is not None


def _called_by_others(item: Any, path: Path) -> bool:
    """Hooks, methods that replace one of a library's class, and attributes that are set on an object of a library."""
    if HOOK.fullmatch(item.name):
        return True
    if item.typ == "attribute":
        return f"self.{item.name}" not in path.read_text().splitlines()[item.first_lineno - 1] or _replaces(item.name, path)
    return item.typ in ("method", "property") and _replaces(item.name, path)


def _replaces(name: str, path: Path) -> bool:
    """Whether a class of this file, which has the name, has it from a class of another package, too."""
    package = next((folder for folder in path.parents if not (folder / "__init__.py").exists()), None)
    if package is None or not path.is_relative_to(ROOT):
        return False
    module = importlib.import_module(".".join(path.relative_to(package).with_suffix("").parts))
    classes = [one for _, one in inspect.getmembers(module, inspect.isclass) if one.__module__ == module.__name__]
    own = module.__name__.partition(".")[0]
    return any(
        name in vars(base) or name in getattr(base, "__slots__", ())
        for one in classes
        for base in one.__mro__[1:]
        if base.__module__.partition(".")[0] != own
    )
