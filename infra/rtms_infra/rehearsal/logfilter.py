"""The part of Cloud Logging's query language that the program's filters use. Anything else is an error, never a silent "no match".

Grammar (Cloud Logging docs, "Logging query language"): comparisons `path = "text"` or with a number, `!=`, `>=`, `<=`, `>`, `<`, `=~`;
parentheses; NOT, OR, AND, in that order of precedence (OR binds closer than AND).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

SEVERITIES = ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")

_TOKEN = re.compile(r'\s*(?:(\()|(\))|(AND|OR|NOT)\b|([A-Za-z_][\w.]*)|(>=|<=|!=|=~|=|>|<)|"((?:[^"\\]|\\.)*)"|(\d+))')


class FilterError(Exception):
    """The filter is not in the used part of the language."""


def entry(line: Mapping[str, Any], service: str) -> dict[str, Any]:
    """The log entry that Cloud Run makes of one JSON line that a function printed."""
    payload = {name: value for name, value in line.items() if name != "severity"}
    resource = {"type": "cloud_run_revision", "labels": {"service_name": service}}
    return {"resource": resource, "severity": line.get("severity", "DEFAULT"), "jsonPayload": payload}


def request_entry(project: str, service: str, status: int) -> dict[str, Any]:
    """The entry of Cloud Run's own request log for an answer 429 that no instance gave [inf: evidence/google.md B1]."""
    resource = {"type": "cloud_run_revision", "labels": {"service_name": service}}
    log = f"projects/{project}/logs/run.googleapis.com%2Frequests"
    return {"logName": log, "resource": resource, "severity": "WARNING", "httpRequest": {"status": status}}


def matches(text: str, log_entry: Mapping[str, Any]) -> bool:
    """Whether the filter selects this entry. Raises `FilterError`."""
    return _read(text)(log_entry)


Selects = Callable[[Mapping[str, Any]], bool]


@cache
def _read(text: str) -> Selects:
    """The filter as a function: each is read once, and asked for every line."""
    reader = _Reader(text)
    selects = reader.conjunction()
    if reader.ahead is not None:
        raise FilterError(f"cannot read {text!r} from {reader.ahead[1]!r} on")
    return selects


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self.ahead: tuple[str, str] | None = None
        self._step()

    def _step(self) -> tuple[str, str] | None:
        """Take the next token; returns the one before."""
        before = self.ahead
        rest = self._text[self._at :]
        if not rest.strip():
            self.ahead = None
            return before
        match = _TOKEN.match(rest)
        if match is None:
            raise FilterError(f"cannot read {rest[:40]!r}")
        self._at += match.end()
        kinds = ("open", "close", "word", "name", "operator", "text", "number")
        self.ahead = next((kind, value) for kind, value in zip(kinds, match.groups(), strict=True) if value is not None)
        return before

    def conjunction(self) -> Selects:
        parts = [self._disjunction()]
        while self.ahead == ("word", "AND"):
            self._step()
            parts.append(self._disjunction())
        return lambda log_entry: all(part(log_entry) for part in parts)

    def _disjunction(self) -> Selects:
        parts = [self._one()]
        while self.ahead == ("word", "OR"):
            self._step()
            parts.append(self._one())
        return lambda log_entry: any(part(log_entry) for part in parts)

    def _one(self) -> Selects:
        token = self._step()
        if token == ("word", "NOT"):
            negated = self._one()
            return lambda log_entry: not negated(log_entry)
        if token is not None and token[0] == "open":
            inner = self.conjunction()
            closing = self._step()
            if closing is None or closing[0] != "close":
                raise FilterError(f"a parenthesis is not closed in {self._text!r}")
            return inner
        if token is None or token[0] != "name":
            raise FilterError(f"a comparison must begin with a field's name in {self._text!r}")
        return self._comparison(token[1])

    def _comparison(self, path: str) -> Selects:
        operator, value = self._step(), self._step()
        if operator is None or operator[0] != "operator" or value is None or value[0] not in ("text", "name", "number"):
            raise FilterError(f"{path} is compared with nothing in {self._text!r}")
        if path == "severity" and value[1] not in SEVERITIES:
            raise FilterError(f"{value[1]} is no severity")
        return partial(_compare, path, operator[1], value[1])


def _compare(path: str, operator: str, value: str, log_entry: Mapping[str, Any]) -> bool:
    field: Any = log_entry
    for part in path.split("."):
        field = field.get(part) if isinstance(field, Mapping) else None
    if field is None:
        return False  # a comparison with a field that is missing never holds, != included
    if path == "severity":
        left, right = SEVERITIES.index(str(field)), SEVERITIES.index(value)
    elif operator in (">=", "<=", ">", "<"):
        left, right = float(field), float(value)
    else:
        text = str(field).lower() if isinstance(field, bool) else str(field)
        if operator == "=~":
            return re.search(value, text) is not None
        return (text == value) == (operator == "=")
    results = {"=": left == right, "!=": left != right, ">=": left >= right, "<=": left <= right, ">": left > right, "<": left < right}
    return results[operator]
