"""Tables of transitions as Mermaid draws them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def diagram(table: Mapping[Any, str], start: str) -> str:
    """A Mermaid state diagram of a table: (state, trigger) to the next state."""
    lines = ["stateDiagram-v2", f"    [*] --> {start}"]
    lines += [f"    {before} --> {after}: {trigger}" for (before, trigger), after in table.items()]
    return "\n".join(lines)
