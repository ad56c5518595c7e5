"""Every text that can become (part of) a hand-off's reason, read from the code itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from rtms_relay.handoff import answers, facts

RELAY = Path(answers.__file__).parents[1]
TELLING: dict[str, tuple[str, ...]] = {
    "handoff/attempt.py": ("settle", "_expiry", "_failure"),
    "handoff/retrieval.py": ("_some_done", "_none_done", "_failure", "_no_recording"),
    "handoff/retry.py": ("possible", "_pending", "_unreachable"),
    "handoff/record.py": ("_without_words", "after_look"),
    "handing.py": ("_refusal",),
    "zoom.py": ("refused_host",),
}
"""Where reasons are made: module -> functions whose texts are (parts of) reasons."""


def reasons() -> dict[str, str]:
    """Text -> where it stands in the code."""
    found = {row.cause: "answers.RULES" for _, _, row in answers.RULES if row.cause}
    found |= {row.cause: "answers.NO_ANSWER" for row in (*answers.NO_ANSWER.values(), answers.NO_ID)}
    found |= {stop.loss: "facts.STOP_REASONS" for stop in facts.STOP_REASONS.values() if stop.loss}
    for name, functions in TELLING.items():
        for text in _texts(RELAY / name, functions):
            found[text] = name
    return found


def _texts(path: Path, functions: tuple[str, ...]) -> Iterator[str]:
    """The texts of at least two words in these functions, without their docstrings."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.FunctionDef) or node.name not in functions:
            continue
        body = node.body[1:] if ast.get_docstring(node) else node.body
        for part in (inner for statement in body for inner in ast.walk(statement)):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                text = part.value.strip(" ;:,(")
                if len(text.split()) > 1:
                    yield text
