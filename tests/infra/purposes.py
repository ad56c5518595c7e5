"""What each resource is for, read from the components' docstrings (`Creates:`), and what each component costs (`Costs:`)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.infra.deployment import PROGRAM


@cache
def components() -> dict[str, str]:
    """Type of component -> its docstring."""
    found = {}
    for path in sorted((PROGRAM / "rtms_infra").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and any("ComponentResource" in ast.unparse(base) for base in node.bases):
                kind = re.search(r'super\(\)\.__init__\("([^"]+)"', Path(path).read_text().split(f"class {node.name}(")[1])
                assert kind is not None, f"{node.name} does not name its type"
                found[kind[1]] = ast.get_docstring(node) or ""
    return found


def purposes() -> Iterator[tuple[str, str, str]]:
    """(component's type, logical name with `*` as wildcard, purpose)."""
    for component, text in components().items():
        block = re.search(r"^Creates:\n((?:    .+\n?)+)", text, re.MULTILINE)
        assert block is not None, f"the docstring of {component} says nothing about what it creates"
        for line in block[1].splitlines():
            name, _, purpose = line.strip().partition(": ")
            yield component, name, purpose


def costs() -> dict[str, str]:
    """Component's type -> what its docstring says it costs."""
    found = {}
    for component, text in components().items():
        line = re.search(r"^Costs: (.+)$", text, re.MULTILINE)
        assert line is not None, f"the docstring of {component} does not say what it costs"
        found[component] = line[1]
    return found
