"""Zoom's side of the wire, pure: request signatures, URL validation, typed events, the RTMS signature.

Sources: Zoom docs "Using webhooks" (signature, URL validation), RTMS "Events" (payload fields), "Work with streams" (RTMS
signature). Retries, windows and tolerances that Zoom does not document are parameters.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from rtms_relay.errors import BadRequest, NotAuthentic

Product = Literal["meeting", "webinar", "session", "contact_center", "phone"]

ENTITY_FIELDS: dict[Product, str] = {
    "meeting": "meeting_uuid",
    "webinar": "webinar_uuid",
    "session": "session_id",
    "contact_center": "engagement_id",
    "phone": "call_id",
}
"""The payload field that holds a product's entity id (Zoom RTMS docs, "Events")."""

Happening = Literal["started", "stopped", "interrupted"]

RTMS_EVENTS: dict[str, tuple[Product, Happening]] = {
    f"{prefix}_{happening}": (product, happening)
    for product, prefixes in {
        "meeting": ("meeting.rtms",),
        "webinar": ("webinar.rtms",),
        "session": ("session.rtms",),
        "contact_center": ("contact_center.voice_rtms",),
        # Zoom's own sample also maps phone.call_rtms_*; inferred, harmless to accept.
        "phone": ("phone.rtms", "phone.call_rtms"),
    }.items()
    for prefix in prefixes
    for happening in ("started", "stopped", "interrupted")
}

NOTICES = ("rtms.concurrency_near_limit", "rtms.concurrency_limited", "rtms.start_failed")
"""Events about the account rather than a stream."""

STREAM_REVOKED = 8
"""The stop_reason that asks to delete stored assets at once (Zoom docs, "Event reference", stop reasons)."""

MAX_ID_BYTES = 1500
MAX_TIME_MS = 2**53 - 1
SIGNATURE_HEADER = "x-zm-signature"
TIMESTAMP_HEADER = "x-zm-request-timestamp"

_CHALLENGE = "endpoint.url_validation"
_TOKEN = re.compile(r"[A-Za-z0-9+/=_-]{1,128}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOST = re.compile(r"[a-z0-9.-]+|[0-9a-f:]+")
_URL_TEXT = re.compile(r"[A-Za-z0-9._~:/?#\[\]!$&'()*+;=%-]{1,2000}")


class Started(msgspec.Struct, frozen=True):
    """A stream began, began anew on another server, or named new servers when it was interrupted."""

    product: Product
    entity_id: str
    stream_id: str
    server_urls: str
    event_ts: int
    account_id: str = ""


class Stopped(msgspec.Struct, frozen=True):
    product: Product
    entity_id: str
    stream_id: str
    event_ts: int
    stop_reason: int | None = None


class Interrupted(msgspec.Struct, frozen=True):
    """The signaling connection was lost. Zoom documents no server_urls here; when they come they are a fail-over."""

    product: Product
    entity_id: str
    stream_id: str
    event_ts: int
    server_urls: str | None = None


class Deauthorized(msgspec.Struct, frozen=True):
    account_id: str
    user_id: str
    client_id: str


class Notice(msgspec.Struct, frozen=True):
    """Something about the account: one of `NOTICES`, with the numbers it carried."""

    name: str
    numbers: dict[str, int]


class Challenge(msgspec.Struct, frozen=True):
    plain_token: str


class Unknown(msgspec.Struct, frozen=True):
    name: str


Event = Started | Stopped | Interrupted | Deauthorized | Notice | Challenge | Unknown


class _Envelope(msgspec.Struct):
    event: str
    event_ts: Any = None
    payload: Any = None


_decoder = msgspec.json.Decoder(_Envelope)


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The value of `x-zm-signature`: over ``v0:<timestamp>:<raw body>``, lower-case hex (Zoom docs, "Verify with Zoom's header")."""
    return "v0=" + hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()


def is_signed(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether the request claims to be signed: either of the two headers is there."""
    return any(name.lower() in (SIGNATURE_HEADER, TIMESTAMP_HEADER) for name, _ in headers)


def verify(secrets: Sequence[str], headers: Iterable[tuple[str, str]], body: bytes, *, now_ms: int, window_s: float) -> str:
    """Return the secret that verifies the raw body; raise `NotAuthentic` unless exactly one signature and one timestamp do.

    Nothing of the body is looked at. Comparison is constant-time; every secret is tried, whichever matches.
    """
    wanted = [(name.lower(), value) for name, value in headers]
    signatures = [value for name, value in wanted if name == SIGNATURE_HEADER]
    timestamps = [value for name, value in wanted if name == TIMESTAMP_HEADER]
    if not signatures or not timestamps:
        raise NotAuthentic(f"the headers {SIGNATURE_HEADER} and {TIMESTAMP_HEADER} are required")
    if len(signatures) > 1 or len(timestamps) > 1:
        raise NotAuthentic(f"{SIGNATURE_HEADER} and {TIMESTAMP_HEADER} may come only once each")
    timestamp = timestamps[0]
    if not _TIMESTAMP.fullmatch(timestamp):
        raise NotAuthentic(f"{TIMESTAMP_HEADER} is not a number of seconds")
    given = signatures[0].encode("utf-8", "replace")
    usable = [secret for secret in secrets if secret]
    matches = [hmac.compare_digest(sign(secret, timestamp, body).encode(), given) for secret in usable]
    if True not in matches:
        raise NotAuthentic(f"{SIGNATURE_HEADER} does not match the body; is ZOOM_SECRET_TOKEN the app's?")
    if abs(now_ms - int(timestamp) * 1000) > window_s * 1000:
        raise NotAuthentic(f"{TIMESTAMP_HEADER} is more than {window_s:g} s off")
    return usable[matches.index(True)]


def challenge_answer(secret: str, plain_token: str) -> dict[str, str]:
    """The JSON that answers a URL validation (Zoom docs, "Validate your webhook endpoint").

    It is an HMAC with the very secret that signs requests, so a token of the form ``v0:<timestamp>:<body>`` would have this
    service sign a forged event. Zoom's tokens are base64-like; whatever is not is refused. Raises `BadRequest`.
    """
    if not _TOKEN.fullmatch(plain_token):
        raise BadRequest("payload.plainToken must be 1 to 128 characters of A-Z a-z 0-9 + / = _ -")
    digest = hmac.new(secret.encode(), plain_token.encode(), hashlib.sha256).hexdigest()
    return {"plainToken": plain_token, "encryptedToken": digest}


def rtms_signature(client_id: str, client_secret: str, entity_id: str, stream_id: str) -> str:
    """What both RTMS handshakes carry: over ``client_id,entity_id,stream_id``, lower-case hex (Zoom docs, "Work with streams")."""
    return hmac.new(client_secret.encode(), f"{client_id},{entity_id},{stream_id}".encode(), hashlib.sha256).hexdigest()


def parse(body: bytes) -> Event:
    """The event in a request body. Tolerant: unknown fields and events pass. Raises `BadRequest` for what cannot be acted on."""
    try:
        envelope = _decoder.decode(body)
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise BadRequest(f"the body is not the JSON of a Zoom event: {_CONTROL.sub(' ', str(error))[:200]}") from None
    name = envelope.event
    if not name:
        raise BadRequest("event must not be empty")
    payload = envelope.payload
    if name == _CHALLENGE:
        token = payload.get("plainToken") if isinstance(payload, dict) else None
        if not isinstance(token, str):
            raise BadRequest("payload.plainToken must be a string")
        return Challenge(token)
    if name in NOTICES:
        return Notice(name, _numbers(payload))
    if name == "app_deauthorized":
        return Deauthorized(*(_loose(payload, field) for field in ("account_id", "user_id", "client_id")))
    if name not in RTMS_EVENTS:
        return Unknown(name)
    return _rtms(*RTMS_EVENTS[name], _Fields(payload), envelope.event_ts)


def _rtms(product: Product, happening: Happening, fields: _Fields, event_ts: Any) -> Event:
    if isinstance(event_ts, bool) or not isinstance(event_ts, int) or not 0 < event_ts <= MAX_TIME_MS:
        raise BadRequest("event_ts must be an integer of milliseconds since the epoch")
    stream_id = fields.identifier("rtms_stream_id")
    # Zoom's prose says meeting_uuid for a webinar, its OpenAPI webinar_uuid: take the product's own field, else any of the five.
    own = ENTITY_FIELDS[product]
    entity_id = fields.identifier(next((name for name in (own, *ENTITY_FIELDS.values()) if fields.has(name)), own))
    if happening == "stopped":
        return Stopped(product, entity_id, stream_id, event_ts, fields.integer("stop_reason"))
    urls = fields.server_urls()
    if happening == "interrupted":
        return Interrupted(product, entity_id, stream_id, event_ts, urls)
    if urls is None:
        raise BadRequest("payload.server_urls is missing")
    return Started(product, entity_id, stream_id, urls, event_ts, _loose(fields.payload, "account_id"))


class _Fields:
    """The ids, read from `payload`, or from `payload.object` as some of Zoom's samples show them."""

    def __init__(self, payload: Any) -> None:
        if not isinstance(payload, dict):
            raise BadRequest("payload must be an object")
        nested = payload.get("object")
        self.payload: dict[str, Any] = {**nested, **payload} if isinstance(nested, dict) else payload

    def has(self, name: str) -> bool:
        return self.payload.get(name) is not None

    def identifier(self, name: str) -> str:
        value = self.payload.get(name)
        if value is None:
            raise BadRequest(f"payload.{name} is missing")
        if not isinstance(value, str) or not value:
            raise BadRequest(f"payload.{name} must be a string, not empty")
        return _clean(name, value)

    def integer(self, name: str) -> int | None:
        value = self.payload.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 2**31:
            raise BadRequest(f"payload.{name} must be an integer")
        return value

    def server_urls(self) -> str | None:
        """One string, verbatim. A list is joined by commas; of an object (one of Zoom's test doubles) `signaling` is meant."""
        value = self.payload.get("server_urls")
        if isinstance(value, dict):
            value = value.get("signaling", next(iter(value.values()), None))
        if isinstance(value, list) and value and all(isinstance(url, str) for url in value):
            value = ",".join(value)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise BadRequest("payload.server_urls must be a string, or a list of strings that is not empty")
        return _clean("server_urls", value)


def _clean(name: str, value: str) -> str:
    if _CONTROL.search(value):
        raise BadRequest(f"payload.{name} holds control characters")
    if len(value.encode()) > MAX_ID_BYTES:
        raise BadRequest(f"payload.{name} is over {MAX_ID_BYTES} bytes")
    return value


def _loose(payload: Any, name: str) -> str:
    """A field that is only noted: whatever is no plain string counts as absent."""
    value = payload.get(name) if isinstance(payload, dict) else None
    return value[:200] if isinstance(value, str) and not _CONTROL.search(value) else ""


def _numbers(payload: Any) -> dict[str, int]:
    names = ("concurrency_limit", "concurrency_number", "percentage")
    found = {name: payload.get(name) for name in names} if isinstance(payload, dict) else {}
    return {name: value for name, value in found.items() if isinstance(value, int) and abs(value) < 2**53}


def refused_host(server_urls: str, patterns: Sequence[str]) -> str | None:
    """Why these URLs must not be given a signature, or None if they may.

    Each comma-separated URL must be `wss` with a host that matches a pattern (`name`, or `*.domain` for every name below it);
    `ws` is allowed on loopback only. Characters on whose meaning URL parsers disagree (backslash, @, white space) are refused.
    """
    for url in server_urls.split(","):
        if not _URL_TEXT.fullmatch(url):
            return "server_urls is no list of plain URLs"
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").rstrip(".")
            _ = parts.port
        except ValueError:
            return "server_urls holds a malformed URL"
        # A stricter alphabet than URL parsers have: on an escaped or underscored host they disagree.
        if not _HOST.fullmatch(host) or not any(_matches(host, pattern) for pattern in patterns):
            return f"server_urls names the host {host[:100]!r}, which ZOOM_SERVER_HOSTS does not allow"
        if parts.scheme != "wss" and not (parts.scheme == "ws" and _is_loopback(host)):
            return "server_urls must be wss (ws only on loopback)"
    return None


def _matches(host: str, pattern: str) -> bool:
    pattern = pattern.strip("[]")
    return host.endswith(pattern[1:]) and len(host) > len(pattern) - 1 if pattern.startswith("*.") else host == pattern


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
