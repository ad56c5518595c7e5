"""One request and its answer: what was asked, what is sent, what the history keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from rtms_simulator.faults import Step
from rtms_simulator.faults.recall import ALWAYS_STORED
from rtms_simulator.recall.http.request_body import DecodedBody

_GATEWAY_TEXTS = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Payload Too Large",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    507: "Insufficient Storage",
}
_FAULT_CODES = {
    402: ("insufficient_credit", "Insufficient credit. Add credit to the account to go on."),
    409: ("conflict", "Another request for this object is being performed. Try again."),
    429: ("throttled", "Request was throttled."),
    507: ("insufficient_capacity", "Out of ad-hoc capacity. Try again in 30 seconds."),
}


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request, read to its end. `headers` by lower-case name; `decoded`: the value of `body`, decoded once."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    decoded: DecodedBody
    origin: str
    client: tuple[str, int] | None

    @property
    def parameters(self) -> dict[str, str]:
        """Query parameters by name; of a repeated one the last."""
        return dict(self.query)


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What to send. `file` is served with ranges; `truncate`: the connection is cut after so many bytes of the body."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None
    truncate: int | None = None

    @classmethod
    def json(cls, status: int, value: Any, **headers: str) -> ApiResponse:
        # The standard library's, as Django's: it takes the lone surrogates that a client may have planted.
        return cls(status, json.dumps(value, separators=(",", ":")).encode(), {"content-type": "application/json", **headers})

    @classmethod
    def html(cls, status: int, text: str, **headers: str) -> ApiResponse:
        return cls(status, text.encode(), {"content-type": "text/html; charset=utf-8", **headers})

    @classmethod
    def xml(cls, status: int, text: str) -> ApiResponse:
        return cls(status, text.encode(), {"content-type": "application/xml"})

    @classmethod
    def detail(cls, status: int, code: str, text: str, **headers: str) -> ApiResponse:
        return cls.json(status, {"code": code, "detail": text}, **headers)


NOT_FOUND = ApiResponse.detail(404, "not_found", "Not found.")
IN_FLIGHT = ApiResponse.detail(409, "conflict", "A request with this Idempotency-Key is still being performed.")


@dataclass(slots=True)
class RequestRecord:
    """One request of the history. The key is never kept, only whether there was one. `at` in seconds since the epoch."""

    at: float
    method: str
    path: str
    query: str
    operation: str | None
    authorized: bool
    idempotency_key: str | None
    body: str
    status: int | None = None
    fault: str | None = None
    replayed: bool = False
    id: int = 0
    """Its place in the history, from 1."""
    answer: str = ""
    """The answer's body, as far as it is kept."""


def stored(fault: Step) -> bool:
    """Whether an Idempotency-Key replays the answer of a fault."""
    return fault.flag("stored") or int(fault.number("status")) in ALWAYS_STORED


def scripted(fault: Step) -> ApiResponse:
    """The answer that a fault asks for: its own body, or one as the application (JSON) or a load balancer (HTML) writes it."""
    status = int(fault.number("status"))
    headers = {"retry-after": fault.text("retry-after")} if fault.text("retry-after") else {}
    name, colon, value = fault.text("header").partition(":")
    if colon:
        headers[name.strip().lower()] = value.strip()
    text = _GATEWAY_TEXTS.get(status) or (HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown")
    if fault.settings["body"] is not None or status in (204, 304):
        body = b"" if status in (204, 304) else fault.text("body").encode()
        return ApiResponse(status, body, {"content-type": "application/json", **headers})
    if fault.flag("html"):
        page = f"<html><head><title>{status} {text}</title></head><body><center><h1>{status} {text}</h1></center></body></html>"
        return ApiResponse.html(status, page, **headers)
    if status < 400:
        return ApiResponse.json(status, {}, **headers)
    if status == 429 and "retry-after" not in headers:
        return throttled(1)
    code, detail = _FAULT_CODES.get(status, (text.lower().replace(" ", "_"), f"{text}."))
    return ApiResponse.detail(status, code, detail, **headers)


def throttled(wait_s: int) -> ApiResponse:
    """429: one more request may pass in `wait_s` seconds."""
    text = f"Request was throttled. Expected available in {wait_s} second{'' if wait_s == 1 else 's'}."
    return ApiResponse.detail(429, "throttled", text, **{"retry-after": str(wait_s)})
