"""What the functions' code logs: every call of a log with the severities it can have, found in the source itself."""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from rtms_relay.logs import EVENTS, JsonLog
from tests.infra.deployment import ROOT

SEVERITIES = ("DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT")


@dataclass(frozen=True)
class Logged:
    """One place that logs: the event, the severities it may have there, the names of the fields it gives."""

    where: str
    event: str
    severities: frozenset[str]
    fields: frozenset[str]


@cache
def logged() -> tuple[Logged, ...]:
    """Every call `log(severity, "event", ...)` in function/."""
    found = []
    for path in sorted((ROOT / "function").rglob("*.py")):
        tree = ast.parse(path.read_text())
        for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]:
            for call in [node for node in ast.walk(function) if isinstance(node, ast.Call)]:
                for entry in _entries(call, function):
                    found.append(Logged(f"{path.relative_to(ROOT)}:{call.lineno}", *entry))
    return tuple(dict.fromkeys(found))


def _entries(call: ast.Call, function: ast.AST) -> Iterator[tuple[str, frozenset[str], frozenset[str]]]:
    """(event, severities, fields) of each event that this call may log."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    # The edge of both functions logs one line for each answer (routes/http.py): `Done(response, event)`, or the event of a refusal.
    if name == "Done" and not any(keyword.arg == "event" for keyword in call.keywords):
        event = call.args[1] if len(call.args) > 1 else ast.Constant("request")
        if isinstance(event, ast.Constant):
            yield str(event.value), frozenset({"INFO"}), frozenset()
    for keyword in call.keywords:
        if keyword.arg == "refused_event" and isinstance(keyword.value, ast.Constant):
            yield str(keyword.value.value), frozenset({"WARNING"}), frozenset()
    if name.strip("_") != "log" or len(call.args) < 2:
        return
    severities = _constants(call.args[0], function)
    fields = frozenset(keyword.arg for keyword in call.keywords if keyword.arg)
    events = _constants(call.args[1], function, all_texts=True)
    for event in events if len(events) == 1 else sorted(events & set(EVENTS)):
        if severities:
            yield event, severities, fields


def _constants(node: ast.AST, function: ast.AST, *, all_texts: bool = False) -> frozenset[str]:
    """The texts that an expression may be: constants in it, and, of a name, in what the function assigns to it."""
    texts: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            texts.add(part.value)
        if isinstance(part, ast.Name):
            for other in ast.walk(function):
                targets = other.targets if isinstance(other, ast.Assign) else [other.target] if isinstance(other, ast.AnnAssign) else []
                if any(isinstance(target, ast.Name) and target.id == part.id for target in targets) and getattr(other, "value", None):
                    texts |= {c.value for c in ast.walk(other.value) if isinstance(c, ast.Constant) and isinstance(c.value, str)}  # ty: ignore[missing-attribute]
    return frozenset(texts if all_texts else texts & set(SEVERITIES))


def printed(severity: str, event: str, **fields: Any) -> dict[str, Any]:
    """The line that the functions' own log prints, read back."""
    stream = io.StringIO()
    JsonLog(stream=stream)(severity, event, **fields)  # ty: ignore[invalid-argument-type]
    line: dict[str, Any] = json.loads(stream.getvalue())
    return line
