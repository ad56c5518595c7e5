"""Structured logs: one JSON object a line, in Google Cloud's field names, with every secret taken out.

`EVENTS` lists every event this package logs, so that metrics, alerts and documentation can be checked against it. A line is
`severity`, `message`, `event`, the trace fields and whatever the event carries. (Cloud Logging docs, "Structured logging".)
"""

from __future__ import annotations

import contextvars
import hashlib
import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO
from urllib.parse import quote

import msgspec

from rtms_relay.ports import Severity

EVENTS: Mapping[str, str] = {
    "delivery": "A webhook request was answered: path, status, outcome, ack_ms, latency_ms (since event_ts).",
    "delivery_refused": "A webhook request was refused: path, status, code, reason, signed (it has Zoom's header). Nothing was stored.",
    "challenge": "Zoom's URL validation was answered.",
    "challenge_refused": "A URL validation was refused: the endpoint would be disabled after six in a row.",
    "start_acked": "The webhook put a start on its queues: queues, latency_ms. A start_seen follows each; if it does not, the "
    "queue is not dispatching.",
    "start_seen": "The worker has a start: copy (home or second).",
    "start_again": "A start with the servers of an accepted hand-off came again: running says whether its recording still runs.",
    "home_stalled": "The copy in the second region came first: the home queue is not dispatching. ALERT.",
    "store_away": "The store did not answer in time; the start is handed on without it. ALERT if waiting does not help.",
    "outcome_noted": "The outcome of a start that was handed on without the store is now on record.",
    "not_joined": "Recall accepted a stream and Zoom says that nobody joined: reason, the likely cause. ALERT: that recording is lost.",
    "foreign_recordings": "Recall showed recordings that do not belong to this hand-off. They are not touched. ALERT.",
    "not_forgotten": "A revoked recording could not be deleted, or was never seen: reason. ALERT, daily.",
    "task_unusable": "A task has an unknown version or cannot be read. It is kept. ALERT.",
    "probe_missing": "The daily probe did not come through a queue within a minute: queues. ALERT.",
    "probe_arrived": "The daily probe, or a task of a check-up, came through a queue: queue, after_ms.",
    "handoff_created": "A stream's start was recorded.",
    "handoff_accepted": "Recall accepted a hand-off: mdc_id, since_event_ms.",
    "handoff_failed": "A hand-off failed for good: reason. ALERT for 401 and 403, which hit every hand-off.",
    "handoff_expired": "A stream could not be handed on within the connect window. Always ALERT: that recording is lost.",
    "handoff_changed": "A hand-off became cancelled, superseded or pending again.",
    "checkup": "A person asked for a check-up: number, recall (the status of its answer), refused (queues that took no task).",
    "handoff_retried": "A person asked for one more try: outcome (tried, looked or nothing), why.",
    "handoff_doubled": "Recall named a second MDC for one hand-off. This should never happen.",
    "attempt": "One POST to Recall ended: number, status, outcome, wait_s.",
    "stream_stopped": "A stream ended: stop_reason.",
    "stream_revoked": "The right to keep a stream was withdrawn; its content is being deleted.",
    "concurrency": "Zoom reports its limit of concurrent streams near or reached.",
    "app_deauthorized": "An account removed the app (audit entry).",
    "event_unusable": "An authentic event could not be used: vendor, name, reason, keys, ids. ALERT: a person must look at it.",
    "event_ignored": "An event that this service does not need was acknowledged.",
    "recall_event": "A webhook of Recall was noted: event, known.",
    "retrieval": "A look for a recording ended: state, recordings, next_look_s. ERROR if it ended none_made, failed or partial.",
    "archived": "An artifact was copied to the archive: name, size, sha256.",
    "archive_failed": "An artifact could not be copied; it is tried again.",
    "forgotten": "All content of a revoked stream was deleted.",
    "sweep": "The sweep ran: due, handoffs, enqueued, looked.",
    "dispatch": "A task of a local queue was not answered 2xx, or its file cannot be used: queue, failures, what, again_s.",
    "request": "A request to the worker was answered: method, path, status, ms.",
    "error": "Something unexpected: where, what.",
    "library": "A library's own log line.",
}

_SIGNATURE = re.compile(r"(?i)\b(v0=|v1,)[0-9a-z+/=]{16,}")
_AUTHORIZATION = re.compile(r"(?i)\b(token|bearer|basic)\s++(?=[a-z._~+/=-]*[0-9])[a-z0-9._~+/=-]{8,}")
_LINK = re.compile(r"[^\s\"'<>]++")
_SCHEME = re.compile(r"(?i)(?:https?|wss?)://")
_MARK = re.compile(r"[=,?\s]")
"""Each of the three above needs one of these. Most of what is logged (names, ids, hashes) has none, and is logged before every ack."""

_IDS = ("rtms_stream_id", "entity_id")
"""The fields that hold an id of a meeting (webinar, session, ...) or of a stream, as Zoom gave it; so do the values of `ids`."""

_MIN_ID = 8
_EXECUTION = re.compile(r"[0-9A-Za-z]{1,36}")
_SHOWN = "[redacted]"

_IN_MESSAGE = ("name", "state", "outcome", "why", "reason", "what")
"""The fields that make up a line's `message`, for people who read the log rather than query it."""

MIN_SECRET = 4
_CUT = 90
"""Texts are cut at 100 characters and more. One that long may end within a secret, which is then not recognised as a whole."""

_MIN_PIECE = 6

_trace: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar("trace")


def forms(secrets: Iterable[str]) -> list[str]:
    """Each secret in the forms in which it may appear, longest first: without its prefix, and as it is in a URL."""
    plain = {text for secret in secrets for text in (secret, secret.removeprefix("whsec_"))}
    quoted = {quote(text, safe=safe) for text in plain for safe in ("", "/", "/+=")}
    texts = plain | quoted | {re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), text) for text in quoted}
    return sorted((text for text in texts if len(text) >= MIN_SECRET), key=len, reverse=True)


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` without any of the secrets, without signatures, credentials and the query strings of links. Time is linear in its length."""
    for secret in secrets:
        text = text.replace(secret, _SHOWN)
    if len(text) >= _CUT:
        text = _without_a_beginning(text, secrets)
    if _MARK.search(text) is None:
        return text
    text = _SIGNATURE.sub(rf"\g<1>{_SHOWN}", text)
    text = _AUTHORIZATION.sub(rf"\g<1> {_SHOWN}", text)
    return _LINK.sub(_without_query, text) if "?" in text else text


def _without_a_beginning(text: str, secrets: Iterable[str]) -> str:
    """`text` without the beginning of a secret at its very end."""
    for secret in secrets:
        for size in range(min(len(secret) - 1, len(text)), _MIN_PIECE - 1, -1):
            if text.endswith(secret[:size]):
                return text[:-size] + _SHOWN
    return text


def _without_query(match: re.Match[str]) -> str:
    text = match[0]
    scheme = _SCHEME.search(text)
    at = -1 if scheme is None else text.find("?", scheme.end() + 1)
    return text if at < 0 or at + 1 == len(text) else text[: at + 1] + _SHOWN


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


def labels(headers: Mapping[str, str]) -> dict[str, Any]:
    """The execution id, by which Google's console finds a request's lines. functions-framework puts the header there."""
    execution = headers.get("function-execution-id", "")
    return {"logging.googleapis.com/labels": {"execution_id": execution}} if _EXECUTION.fullmatch(execution) else {}


def begin(headers: Mapping[str, str], project: str) -> None:
    """What is logged from here on, in this request's context, belongs to its trace."""
    _trace.set({**trace_fields(headers, project), **labels(headers)})


def hashed(value: str) -> str:
    """An id as it is shown when ids are hashed: the first 32 hex digits of its SHA-256. A stream's are how its `stream` begins."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def with_hashes(line: Mapping[str, Any]) -> Any:
    """A line without the ids of meetings and streams that it has: their hashes stand in their fields, and in texts that name them."""
    of_fields = [line.get(name) for name in _IDS]
    values = [*of_fields, *(line["ids"].values() if isinstance(line.get("ids"), Mapping) else ())]
    ids = {value: hashed(value) for value in sorted({value for value in values if isinstance(value, str) and value}, key=len, reverse=True)}

    def without(value: Any) -> Any:
        if isinstance(value, str):
            for raw, digest in ids.items():
                # A short id may be in a text by chance.
                value = digest if value == raw else value.replace(raw, digest) if len(raw) >= _MIN_ID else value
            return value
        if isinstance(value, Mapping):
            return {without(str(key)): without(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [without(inner) for inner in value]
        return value if value is None or isinstance(value, (bool, int, float)) else without(str(value))

    return without(line)


class JsonLog:
    """Writes one JSON line per call. `secrets` never appear in any of them, in no field and no nesting.

    `hash_ids`: the ids of streams and meetings are shown as hashes (`with_hashes`). `stream` None: standard output, as it is at that
    moment.
    """

    def __init__(self, secrets: Iterable[str] = (), stream: TextIO | None = None, *, hash_ids: bool = False) -> None:
        # A secret may also arrive in the middle of an escaped or longer text; short ones would redact ordinary words.
        self._secrets = forms(secrets)
        self._stream = stream
        self._hash_ids = hash_ids

    def __call__(self, severity: Severity, event: str, /, **fields: Any) -> None:
        # Before anything is redacted: of an id that was changed by that, a part would be left.
        entry = with_hashes(fields) if self._hash_ids else fields
        # Each on its own: one that was cut may end within a secret.
        texts = [self._clean(str(entry[name])) for name in _IN_MESSAGE if entry.get(name)]
        line = {**entry, "severity": severity, "event": event, "message": ": ".join([event, *texts]), **_trace.get({})}
        stream = _plain(self._stream or sys.stdout)
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
    """Sends what libraries log through `JsonLog`, traces included, so that redaction holds for them too."""

    def __init__(self, log: JsonLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        severity: Severity = "CRITICAL" if record.levelno >= 50 else "ERROR" if record.levelno >= 40 else "WARNING"
        when = datetime.fromtimestamp(record.created, UTC).isoformat()
        self._log(severity, "library", what=self.format(record), logger=record.name, timestamp=when)


def _plain(stream: TextIO) -> TextIO:
    """Standard output itself. With LOG_EXECUTION_ID=true functions-framework puts a wrapper before it that parses each line, replaces
    the span id by one that Cloud Logging does not read, and adds a header of the caller's without looking at it."""
    inner: Any = stream
    while type(inner).__module__ == "functions_framework.execution_id":
        inner = inner.stream
    return inner


def install(log: JsonLog) -> None:
    """Make `log` the only way out for what libraries of this process log, warn of or fail with in a thread. Repeatable."""
    root = logging.getLogger()
    for name in ("", *root.manager.loggerDict):
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
        logger.propagate = True
    root.addHandler(LibraryHandler(log))
    logging.captureWarnings(True)
    sys.unraisablehook = lambda raised: log("ERROR", "library", what=_described(raised.exc_value), logger="sys.unraisablehook")
    threading.excepthook = lambda raised: log("ERROR", "library", what=_described(raised.exc_value), logger="threading.excepthook")


def _described(error: BaseException | None) -> str:
    return "" if error is None else "".join(traceback.format_exception(error))
