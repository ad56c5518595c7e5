"""Who is woken by what: every event with the severities that it may be logged with, as a literal, held to the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import rtms_relay
from rtms_relay import logs

SEVERITIES = {"DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT"}
TABLE: dict[str, set[str]] = {
    "delivery": {"INFO"},
    "delivery_refused": {"WARNING"},
    "challenge": {"INFO"},
    "challenge_refused": {"ERROR"},
    "start_acked": {"NOTICE"},
    "start_seen": {"INFO"},
    "start_again": {"NOTICE"},
    "home_stalled": {"ALERT"},
    "store_away": {"ERROR", "ALERT"},
    "checkup": {"INFO"},
    "outcome_noted": {"NOTICE"},
    "not_joined": {"ALERT"},
    "foreign_recordings": {"ALERT"},
    "not_forgotten": {"ALERT"},
    "task_unusable": {"ALERT"},
    "probe_missing": {"ALERT"},
    "probe_arrived": {"INFO", "WARNING"},
    "handoff_created": {"NOTICE"},
    "handoff_accepted": {"NOTICE"},
    "handoff_failed": {"ERROR", "ALERT"},
    "handoff_expired": {"ALERT"},
    "handoff_changed": {"NOTICE"},
    "handoff_retried": {"NOTICE"},
    "handoff_doubled": {"ALERT"},
    "attempt": {"INFO", "WARNING", "ALERT"},
    "stream_stopped": {"NOTICE"},
    "stream_revoked": {"NOTICE"},
    "concurrency": {"WARNING", "ALERT"},
    "app_deauthorized": {"NOTICE", "ALERT"},
    "event_unusable": {"ALERT"},
    "event_ignored": {"INFO"},
    "recall_event": {"INFO"},
    "retrieval": {"INFO", "WARNING", "ERROR", "ALERT"},
    "archived": {"INFO"},
    "archive_failed": {"ERROR"},
    "forgotten": {"NOTICE"},
    "sweep": {"INFO", "WARNING"},
    "dispatch": {"WARNING", "ERROR"},
    "request": {"INFO", "WARNING"},
    "error": {"WARNING", "ERROR"},
    "library": {"WARNING", "ERROR", "CRITICAL"},
}
BY_THE_SURFACE = {"delivery", "challenge", "request"}
"""The line of a request has its event's name from the route, or from the function that it belongs to."""


def values(expression: ast.expr, scope: ast.AST, line: int) -> set[str]:
    """The texts that an expression may be: itself, either side of a condition, what was assigned to a name last before this line."""
    match expression:
        case ast.Constant(str() as text):
            return {text}
        case ast.IfExp(body=one, orelse=other):
            return values(one, scope, line) | values(other, scope, line)
        case ast.Name(id=name):
            assigned = [(node.lineno, node.value) for node in ast.walk(scope) if _assigns(node, name) and node.value and node.lineno < line]
            return values(max(assigned, key=lambda pair: pair[0])[1], scope, line) if assigned else set()
        case _:
            return set()


def _assigns(node: ast.AST, name: str) -> TypeGuard[ast.Assign | ast.AnnAssign]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def logged(source: str) -> Iterator[tuple[str, str]]:
    """(event, severity) of every call of a log, in every function."""
    for scope in ast.walk(ast.parse(source)):
        if not isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for call in ast.walk(scope):
            if isinstance(call, ast.Call) and _is_a_log(call.func) and len(call.args) == 2:
                severities, events = (values(argument, scope, call.lineno) for argument in call.args)
                assert severities <= SEVERITIES
                assert severities, ast.unparse(call)
                for event in events or {ast.unparse(call.args[1])}:
                    yield from ((event, severity) for severity in severities)


def _is_a_log(function: ast.expr) -> bool:
    return (isinstance(function, ast.Name) and function.id == "log") or (isinstance(function, ast.Attribute) and function.attr == "_log")


def test_every_event_has_its_severities() -> None:
    found: dict[str, set[str]] = {}
    for file in Path(rtms_relay.__file__).parent.rglob("*.py"):
        for event, severity in logged(file.read_text(encoding="utf-8")):
            found.setdefault(event, set()).add(severity)
    # The two calls of the surface name a variable.
    assert found.pop("done.event") == {"INFO"}
    assert found.pop("self._refused_event") == {"WARNING"}
    assert set(TABLE) == set(logs.EVENTS)
    for name in BY_THE_SURFACE:
        assert TABLE[name] - found.pop(name, set()) <= {"INFO", "WARNING"}
    assert TABLE["delivery_refused"] == {"WARNING"}
    assert found == {event: severities for event, severities in TABLE.items() if event not in BY_THE_SURFACE | {"delivery_refused"}}


def test_what_loses_a_recording_for_good_wakes_somebody() -> None:
    lost = {"handoff_expired", "not_joined", "not_forgotten", "event_unusable", "task_unusable", "home_stalled", "probe_missing"}
    assert all(TABLE[event] == {"ALERT"} for event in lost)
    # And nobody is woken by somebody who cannot sign.
    assert not any("ALERT" in TABLE[event] or "CRITICAL" in TABLE[event] for event in ("delivery_refused", "challenge_refused", "request"))
