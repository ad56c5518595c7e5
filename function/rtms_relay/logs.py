"""Structured logs: one JSON object a line, in Google Cloud's field names, with every secret taken out.

`EVENTS` lists every event this package logs, so that metrics, alerts and documentation can be checked against it. A line is
`severity`, `message`, `event`, the trace fields and whatever the event carries. (Cloud Logging docs, "Structured logging".)
"""

from __future__ import annotations

import contextvars
import logging
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

from rtms_relay.ports import Severity

EVENTS: Mapping[str, str] = {
    "delivery": "A webhook request was answered: path, status, outcome, ack_ms, latency_ms (since event_ts).",
    "delivery_refused": "A webhook request was refused: path, status, code, reason, ack_ms. Nothing was stored.",
    "challenge": "Zoom's URL validation was answered.",
    "challenge_refused": "A URL validation was refused: the endpoint would be disabled after six in a row.",
    "handoff_created": "A stream's start was recorded and enqueued.",
    "handoff_accepted": "Recall accepted a hand-off: mdc_id, since_event_ms.",
    "handoff_failed": "A hand-off failed for good: reason. ALERT for 401 and 403, which hit every hand-off.",
    "handoff_expired": "A stream could not be handed on within the connect window. Always ALERT: that recording is lost.",
    "handoff_changed": "A hand-off became cancelled, superseded or pending again.",
    "handoff_doubled": "Recall named a second MDC for one hand-off. Never expected.",
    "attempt": "One POST to Recall ended: number, status, outcome, wait_s.",
    "attempt_skipped": "A task found nothing to do, or too early: why.",
    "stream_stopped": "A stream ended: stop_reason.",
    "stream_revoked": "The right to keep a stream was withdrawn; its content is being deleted.",
    "concurrency": "Zoom reports its limit of concurrent streams near or reached.",
    "app_deauthorized": "An account removed the app (audit entry).",
    "event_unusable": "An authentic event could not be used: vendor, name, reason, keys, ids. ALERT: a person must look at it.",
    "event_ignored": "An event this service has no use for was acknowledged.",
    "recall_event": "A webhook of Recall's was noted: event, known.",
    "retrieval": "A look for a recording ended: state, recordings, next_look_s.",
    "archived": "An artifact was copied to the archive: name, size, sha256.",
    "archive_failed": "An artifact could not be copied; it is tried again.",
    "forgotten": "Everything of a revoked stream was deleted.",
    "sweep": "The sweeper ran: due, enqueued.",
    "request": "A request to the worker was answered: method, path, status, ms.",
    "error": "Something unexpected: where, what.",
    "library": "A library's own log line.",
}

_SIGNATURE = re.compile(r"(?i)\b(v0=|v1,)[0-9a-z+/=]{16,}")
_AUTHORIZATION = re.compile(r"(?i)\b(token|bearer|basic)\s+(?=[a-z._~+/=-]*[0-9])[a-z0-9._~+/=-]{8,}")
_QUERY = re.compile(r"(?i)((?:https?|wss?)://[^\s?\"'<>]+)\?[^\s\"'<>]+")
_MARK = re.compile(r"[=,?\s]")
"""Each of the three above needs one of these. Most of what is logged (names, ids, hashes) has none, and is logged before every ack."""

_SHOWN = "[redacted]"

_IN_MESSAGE = ("name", "state", "outcome", "why", "reason", "what")
"""The fields that make up a line's `message`, for whoever reads the log rather than queries it."""

_trace: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar("trace")


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` without any of the secrets, without signatures, credentials and the query strings of links."""
    for secret in secrets:
        text = text.replace(secret, _SHOWN)
    if _MARK.search(text) is None:
        return text
    text = _SIGNATURE.sub(rf"\g<1>{_SHOWN}", text)
    text = _AUTHORIZATION.sub(rf"\g<1> {_SHOWN}", text)
    return _QUERY.sub(rf"\g<1>?{_SHOWN}", text)


def trace_fields(headers: Mapping[str, str], project: str) -> dict[str, Any]:
    """Cloud Logging's trace fields from `X-Cloud-Trace-Context` (`TRACE/SPAN;o=1`) or W3C's `traceparent`. Anything else: none."""
    if match := re.fullmatch(r"([0-9a-f]{32})(?:/([0-9]{1,20}))?(?:;o=([0-9]))?", headers.get("x-cloud-trace-context", "")):
        trace, span, sampled = match[1], f"{int(match[2] or 0) & (2**64 - 1):016x}", match[3] == "1"
    elif match := re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})", headers.get("traceparent", "")):
        trace, span, sampled = match[1], match[2], int(match[3], 16) & 1 == 1
    else:
        return {}
    named: dict[str, Any] = {"logging.googleapis.com/trace": f"projects/{project}/traces/{trace}" if project else trace}
    if int(span, 16):
        named["logging.googleapis.com/spanId"] = span
    if sampled:
        named["logging.googleapis.com/trace_sampled"] = True
    return named


def begin(headers: Mapping[str, str], project: str) -> None:
    """What is logged from here on, in this request's context, belongs to its trace."""
    _trace.set(trace_fields(headers, project))


class Log:
    """Writes one JSON line per call. `secrets` never appear in any of them, in no field and no nesting."""

    def __init__(self, secrets: Iterable[str] = (), stream: TextIO | None = None) -> None:
        # A secret may also arrive in the middle of an escaped or longer text; short ones would redact ordinary words.
        self._secrets = sorted({s for s in secrets if len(s) >= 4}, key=len, reverse=True)
        self._stream = stream

    def __call__(self, severity: Severity, event: str, /, **fields: Any) -> None:
        told = [str(fields[name]) for name in _IN_MESSAGE if fields.get(name)]
        line = {**fields, "severity": severity, "event": event, "message": ": ".join([event, *told]), **_trace.get({})}
        stream = self._stream or sys.stdout
        # JSON escapes line breaks and control characters, so nobody's input can begin a line of its own.
        stream.write(msgspec.json.encode(self._clean(line)).decode() + "\n")
        stream.flush()

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return redact(value, self._secrets).encode(errors="replace").decode()
        if isinstance(value, Mapping):
            return {self._clean(str(k)): self._clean(v) for k, v in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self._clean(v) for v in value]
        if value is None or isinstance(value, (bool, int, float)):
            return value
        return self._clean(str(value))


class LibraryHandler(logging.Handler):
    """Sends what libraries log through `Log`, traces included, so that redaction holds for them too."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self.setFormatter(logging.Formatter())

    def emit(self, record: logging.LogRecord) -> None:
        severity: Severity = "CRITICAL" if record.levelno >= 50 else "ERROR" if record.levelno >= 40 else "WARNING"
        when = datetime.fromtimestamp(record.created, UTC).isoformat()
        self._log(severity, "library", what=self.format(record), logger=record.name, timestamp=when)


def install(log: Log) -> None:
    """Make `log` the only way out for the libraries' loggers of this process. Repeatable."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(LibraryHandler(log))
