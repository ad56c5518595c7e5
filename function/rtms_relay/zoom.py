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

from rtms_relay import tolerant
from rtms_relay.errors import BadRequest, NotAuthentic
from rtms_relay.tolerant import Unusable

Product = Literal["meeting", "webinar", "session", "contact_center", "phone"]

ENTITY_FIELDS: dict[Product, str] = {
    "meeting": "meeting_uuid",
    "webinar": "webinar_uuid",
    "session": "session_id",
    "contact_center": "engagement_id",
    "phone": "call_id",
}
"""The payload field that holds a product's entity id (Zoom RTMS docs, "Events")."""


def entity_field(product: str, choice: str) -> str:
    """The field of Recall's request that carries the entity id. `choice`: RECALL_ENTITY_FIELD."""
    return ENTITY_FIELDS.get(product, "meeting_uuid") if choice == "own" else "meeting_uuid"


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


MAX_ID_BYTES = 1500
MAX_TIME_MS = 2**53 - 1
MAX_NAME = 100
MAX_NOTED = 200
SIGNATURE_HEADER = "x-zm-signature"
TIMESTAMP_HEADER = "x-zm-request-timestamp"

_CHALLENGE = "endpoint.url_validation"
_TOKEN = re.compile(r"[A-Za-z0-9+/=_-]{1,128}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SECONDS = (10**8, 10**11)  # as seconds 1973 to 5138, as milliseconds the first days of 1970 to 1973: nobody means the latter
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOST = re.compile(r"[a-z0-9.-]+|[0-9a-f:]+")
_URL_TEXT = re.compile(r"[A-Za-z0-9._~:/?#\[\]!$&'()*+;=%-]{1,2000}")


class Started(msgspec.Struct, frozen=True):
    """A stream began, or began again on other servers. `name` is Zoom's own event name, in every event here.

    `server_urls` is one string, separated by commas, without blanks and empty items. `undated`: Zoom gave no usable event_ts, so
    `event_ts` is the timestamp that the request was signed with. Such a start supersedes nothing.
    """

    product: Product
    entity_id: str
    stream_id: str
    server_urls: str
    event_ts: int
    account_id: str = ""
    name: str = ""
    undated: bool = False


class Stopped(msgspec.Struct, frozen=True):
    """A stream ended. Only `stream_id` is sure to be there: `entity_id` may be "", `stop_reason` None."""

    product: Product
    entity_id: str
    stream_id: str
    event_ts: int
    stop_reason: int | None = None
    name: str = ""
    undated: bool = False


class Interrupted(msgspec.Struct, frozen=True):
    """The signaling connection was lost. Zoom documents no server_urls here; when they come they are a fail-over.

    `entity_id` may be "": then it is the one that the stream's start gave.
    """

    product: Product
    entity_id: str
    stream_id: str
    event_ts: int
    server_urls: str | None = None
    name: str = ""
    undated: bool = False


class Deauthorized(msgspec.Struct, frozen=True):
    account_id: str
    user_id: str
    client_id: str
    name: str = ""


class Notice(msgspec.Struct, frozen=True):
    """Something about the account: one of `NOTICES`, with the numbers it carried."""

    name: str
    numbers: dict[str, int]


class Challenge(msgspec.Struct, frozen=True):
    """A URL validation. `plain_token` is not checked yet: `challenge_answer` does."""

    plain_token: str
    name: str = ""


class Unknown(msgspec.Struct, frozen=True):
    name: str


Event = Started | Stopped | Interrupted | Deauthorized | Notice | Challenge | Unknown | Unusable


class _Envelope(msgspec.Struct):
    event: Any
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
    signature, timestamp = _signature_headers(headers)
    if not _TIMESTAMP.fullmatch(timestamp):
        raise NotAuthentic(f"{TIMESTAMP_HEADER} is not a number of seconds")
    if abs(now_ms - int(timestamp) * 1000) > window_s * 1000:  # costs nothing, so it comes before the signature
        raise NotAuthentic(f"{TIMESTAMP_HEADER} is too far from the time here", hint=f"over {window_s:g} s; is a clock wrong?")
    signature_bytes = signature.encode("utf-8", "replace")
    usable = [secret for secret in secrets if secret]
    matches = [hmac.compare_digest(sign(secret, timestamp, body).encode(), signature_bytes) for secret in usable]
    if True not in matches:
        raise NotAuthentic(f"{SIGNATURE_HEADER} does not match the body", hint="is ZOOM_SECRET_TOKEN the app's?")
    return usable[matches.index(True)]


def _signature_headers(headers: Iterable[tuple[str, str]]) -> tuple[str, str]:
    pairs = [(name.lower(), value) for name, value in headers]
    signatures = [value for name, value in pairs if name == SIGNATURE_HEADER]
    timestamps = [value for name, value in pairs if name == TIMESTAMP_HEADER]
    if not signatures or not timestamps:
        raise NotAuthentic(f"the headers {SIGNATURE_HEADER} and {TIMESTAMP_HEADER} are required")
    if len(signatures) > 1 or len(timestamps) > 1:
        raise NotAuthentic(f"{SIGNATURE_HEADER} and {TIMESTAMP_HEADER} may come only once each")
    return signatures[0], timestamps[0]


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


def signed_at_ms(headers: Iterable[tuple[str, str]]) -> int | None:
    """The time in the header that `verify` has checked; None if there is none."""
    stamps = [value for name, value in headers if name.lower() == TIMESTAMP_HEADER]
    return int(stamps[0]) * 1000 if len(stamps) == 1 and _TIMESTAMP.fullmatch(stamps[0]) else None


def parse(body: bytes, *, signed_at_ms: int | None = None) -> Event:
    """The event in a request body. Never raises: what nothing can be done with is an `Unusable`.

    Only the fields that matter are read. Anything odd elsewhere (characters, numbers, types, nesting) changes nothing. An event
    without a usable event_ts gets `signed_at_ms`.
    """
    try:
        envelope = _envelope(body)
    except ValueError as error:
        return tolerant.unusable(body, "", str(error))
    name = envelope.event
    if not isinstance(name, str) or not name:
        return tolerant.unusable(body, "", "event is not the name of an event")
    payload = _dict(envelope.payload)
    if name == _CHALLENGE:
        token = payload.get("plainToken")
        return Challenge(token if isinstance(token, str) else "", name)
    if name in NOTICES:
        return Notice(name, _numbers(payload))
    if name == "app_deauthorized":
        return Deauthorized(*(_loose(payload.get(field)) for field in ("account_id", "user_id", "client_id")), name)
    if name not in RTMS_EVENTS:
        return Unknown(tolerant.shown(name, MAX_NAME))
    try:
        return _rtms(name, _Fields(payload), envelope.event_ts, signed_at_ms)
    except ValueError as error:
        return tolerant.unusable(body, name, str(error))


def _envelope(body: bytes) -> _Envelope:
    """Its three fields. Raises ValueError for what cannot be read even tolerantly."""
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        document = tolerant.decode(body)
        return _Envelope(**{name: _dict(document).get(name) for name in ("event", "event_ts", "payload")})


def _rtms(name: str, fields: _Fields, given_ts: Any, signed_at_ms: int | None) -> Event:
    product, happening = RTMS_EVENTS[name]
    stream_id = fields.identifier("rtms_stream_id")
    event_ts = _time(given_ts)
    undated = event_ts is None
    event_ts = event_ts or signed_at_ms
    if event_ts is None:
        raise ValueError("event_ts is missing, and no signed timestamp stands in for it")
    if happening == "stopped":
        return Stopped(
            product,
            fields.entity(product),
            stream_id=stream_id,
            event_ts=event_ts,
            stop_reason=fields.stop_reason(),
            name=name,
            undated=undated,
        )
    urls = fields.server_urls()
    if happening == "interrupted":
        return Interrupted(
            product, fields.entity(product), stream_id=stream_id, event_ts=event_ts, server_urls=urls, name=name, undated=undated
        )
    entity_id = fields.entity(product) or fields.identifier(ENTITY_FIELDS[product])
    if urls is None:
        raise ValueError("payload.server_urls holds no URL")
    return Started(
        product,
        entity_id,
        stream_id=stream_id,
        server_urls=urls,
        event_ts=event_ts,
        account_id=fields.account_id(),
        name=name,
        undated=undated,
    )


class _Fields:
    """The ids, read from `payload`, or from `payload.object` as some of Zoom's samples show them. `payload` wins if it is usable."""

    def __init__(self, payload: dict[str, Any]) -> None:
        self._places = (payload, _dict(payload.get("object")))

    def identifier(self, name: str) -> str:
        """Raises `ValueError` that says what is wrong with the one that is there."""
        reason = f"payload.{name} is missing"
        for place in self._places:
            value = place.get(name)
            if value is None:
                continue
            value = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
            problem = _problem(value)
            if problem is None:
                return value
            reason = f"payload.{name} {problem}"
        raise ValueError(reason)

    def entity(self, product: Product) -> str:
        """The entity id, "" if there is no usable one.

        Zoom's prose says meeting_uuid for a webinar, its OpenAPI webinar_uuid: the product's own field, else any of the five.
        """
        for name in (ENTITY_FIELDS[product], *ENTITY_FIELDS.values()):
            try:
                return self.identifier(name)
            except ValueError:
                continue
        return ""

    def account_id(self) -> str:
        return next((value for place in self._places if (value := _loose(place.get("account_id")))), "")

    def stop_reason(self) -> int | None:
        reasons = (_integer(place.get("stop_reason")) for place in self._places)
        return next((reason for reason in reasons if reason is not None and abs(reason) <= 2**31), None)

    def server_urls(self) -> str | None:
        """The URLs, joined by commas, without blanks and empty items. Raises `ValueError` if what is there cannot be an URL."""
        for place in self._places:
            urls = ",".join(_urls(place.get("server_urls")))
            if urls:
                if problem := _problem(urls):
                    raise ValueError(f"payload.server_urls {problem}")
                return urls
        return None


def _urls(value: Any) -> list[str]:
    """Of an object (one of Zoom's test doubles shows one) `signaling` is meant, else its first value that holds any."""
    if isinstance(value, dict):
        choices = [value.get("signaling"), *value.values()]
        return next((urls for choice in choices if not isinstance(choice, dict) and (urls := _urls(choice))), [])
    items = value if isinstance(value, list) else [value]
    return [url for item in items if isinstance(item, str) for part in item.split(",") if (url := part.strip())]


def _problem(value: Any) -> str | None:
    if not isinstance(value, str) or not value:
        return "must be a string, not empty"
    if _CONTROL.search(value):
        return "holds control characters"
    if not tolerant.is_sound(value):
        return "holds broken characters"
    return f"is over {MAX_ID_BYTES} bytes" if len(value.encode()) > MAX_ID_BYTES else None


def _time(value: Any) -> int | None:
    """Milliseconds since the epoch. Seconds are recognised, text and fractions read; None for what can be no time."""
    number = _number(value)
    if number is None:
        return None
    milliseconds = round(number * 1000) if _SECONDS[0] <= number < _SECONDS[1] else round(number)
    return milliseconds if 0 < milliseconds <= MAX_TIME_MS else None


def _integer(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number == int(number) else None


def _number(value: Any) -> int | float | None:
    """A finite number, also one that came as text."""
    if isinstance(value, str) and len(value) <= 40:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 2**63:
        return None
    return value


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _loose(value: Any) -> str:
    """A field that is only noted: what is not a plain string counts as absent."""
    return value[:MAX_NOTED] if isinstance(value, str) and _problem(value[:MAX_NOTED]) is None else ""


def _numbers(payload: dict[str, Any]) -> dict[str, int]:
    read = {name: _integer(payload.get(name)) for name in ("concurrency_limit", "concurrency_number", "percentage")}
    return {name: number for name, number in read.items() if number is not None and abs(number) < 2**53}


def refused_host(server_urls: str, patterns: Sequence[str]) -> str | None:
    """Why these URLs must not be given a signature, or None if they may.

    Each comma-separated URL must be `wss` with a host that matches a pattern (`name`, or `*.domain` for every name below it);
    `ws` is allowed on loopback only. Characters on whose meaning URL parsers disagree (backslash, @, white space) are refused.
    """
    for url in server_urls.split(","):
        if not _URL_TEXT.fullmatch(url):
            return "server_urls is not a list of plain URLs"
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
