"""Zoom's webhook events: what each family carries, how a body is written, and how it is signed (docs/evidence/zoom.md A, B).

Pure. `EVENTS` lists every event this simulator can send; `FAMILIES` holds the RTMS products as a table.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rtms_simulator.scenario import Person
from rtms_simulator.zoom.switches import PayloadForm
from rtms_simulator.zoom.webhooks import meeting_events
from rtms_simulator.zoom.webhooks.event import StreamIds, WebhookEvent

URL_VALIDATION = "endpoint.url_validation"
RtmsPhase = Literal["started", "stopped", "interrupted"]


@dataclass(frozen=True, slots=True)
class EventFamily:
    """One product's RTMS events. `since_2026` are the fields of rtms_started that older payloads lack."""

    prefix: str
    entity_field: str
    started: tuple[str, ...]
    since_2026: tuple[str, ...]
    keyed: bool = False
    """Whether session_key stands in all three events."""

    def name(self, phase: RtmsPhase) -> str:
        return f"{self.prefix}rtms_{phase}"


FAMILIES: Mapping[str, EventFamily] = {
    "meeting": EventFamily("meeting.", "meeting_uuid", ("operator_id",), ("account_id", "meeting_id", "is_original_host")),
    "webinar": EventFamily("webinar.", "webinar_uuid", ("operator_id",), ("account_id", "webinar_id", "is_original_host")),
    "session": EventFamily("session.", "session_id", (), ("account_id",), keyed=True),
    "contact_center": EventFamily("contact_center.voice_", "engagement_id", (), ()),
    "phone": EventFamily("phone.", "call_id", (), ()),
}


def started(
    product: str,
    ids: StreamIds,
    server_url: str,
    event_ts: int,
    *,
    form: PayloadForm = "2026-05",
    several_urls: bool = False,
    custom_fields_key: str = "custom_fields",
) -> WebhookEvent:
    """`*.rtms_started`. The keywords are those of `ZoomSwitches`. Raises KeyError for an unknown product."""
    family = FAMILIES[product]
    payload = _common(family, ids)
    for name in family.started + (family.since_2026 if form == "2026-05" else ()):
        payload[name] = getattr(ids, "meeting_id" if name == "webinar_id" else name)
    if ids.custom_fields:
        payload[custom_fields_key] = dict(ids.custom_fields)
    server_urls = f"{server_url},{server_url}/second" if several_urls else server_url
    return WebhookEvent(family.name("started"), payload | {"server_urls": server_urls}, event_ts)


def stopped(product: str, ids: StreamIds, stop_reason: int, event_ts: int) -> WebhookEvent:
    """`*.rtms_stopped`."""
    family = FAMILIES[product]
    return WebhookEvent(family.name("stopped"), _common(family, ids) | {"stop_reason": stop_reason}, event_ts)


def interrupted(product: str, ids: StreamIds, event_ts: int, *, server_urls: str | None = None) -> WebhookEvent:
    """`*.rtms_interrupted`. [?] The OpenAPI has no server_urls here; Zoom's samples read them in case."""
    family = FAMILIES[product]
    extra = {} if server_urls is None else {"server_urls": server_urls}
    return WebhookEvent(family.name("interrupted"), _common(family, ids) | extra, event_ts)


def _common(family: EventFamily, ids: StreamIds) -> dict[str, Any]:
    payload: dict[str, Any] = {family.entity_field: ids.entity_id}
    if family.keyed:
        payload["session_key"] = ids.session_key
    return payload | {"rtms_stream_id": ids.stream_id}


def concurrency_near_limit(limit: int, number: int, event_ts: int) -> WebhookEvent:
    """Sent again and again while more than 80 % of the account's streams are in use."""
    payload = {"concurrency_limit": limit, "concurrency_number": number, "percentage": number * 100 // limit}
    return WebhookEvent("rtms.concurrency_near_limit", payload, event_ts)


def concurrency_limited(product: str, ids: StreamIds, number: int, event_ts: int) -> WebhookEvent:
    """No new stream starts: the account's limit is reached."""
    payload = {
        "operator_id": ids.operator_id,
        "concurrency_number": number,
        "id_field": {FAMILIES[product].entity_field: ids.entity_id},
    }
    return WebhookEvent("rtms.concurrency_limited", payload, event_ts)


def app_deauthorized(client_id: str, ids: StreamIds, deauthorization_time: str, event_ts: int, *, signature: str = "") -> WebhookEvent:
    """Somebody removed the app. `deauthorization_time` like `2019-06-17T13:52:28.632Z`."""
    payload = {
        "account_id": ids.account_id,
        "user_id": ids.operator_id,
        "signature": signature,
        "deauthorization_time": deauthorization_time,
        "client_id": client_id,
    }
    return WebhookEvent("app_deauthorized", payload, event_ts)


def url_validation(plain_token: str, event_ts: int) -> WebhookEvent:
    """The challenge Zoom sends before it saves an endpoint and every 72 hours after."""
    return WebhookEvent(URL_VALIDATION, {"plainToken": plain_token}, event_ts)


_EXAMPLE_IDS = StreamIds("4444AAAiAAAAAiAiAiiAii==", "609340fb2a7946909659956c8aa9250c")
_EXAMPLE_TS = 1626230691572
_EXAMPLE_URL = "wss://127.0.0.1:443"


def _examples() -> dict[str, WebhookEvent]:
    examples: list[WebhookEvent] = []
    for product in FAMILIES:
        examples += [
            started(product, _EXAMPLE_IDS, _EXAMPLE_URL, _EXAMPLE_TS),
            stopped(product, _EXAMPLE_IDS, 6, _EXAMPLE_TS),
            interrupted(product, _EXAMPLE_IDS, _EXAMPLE_TS),
        ]
    for product in meeting_events.MEETING_EVENTS:
        facts = meeting_events.MeetingFacts(product, _EXAMPLE_IDS, "My Meeting", 60, _EXAMPLE_TS)
        person = Person(16778240, "Jane Doe")
        examples += [
            meeting_events.began(facts, _EXAMPLE_TS),
            meeting_events.participant_joined(facts, person, _EXAMPLE_TS, _EXAMPLE_TS),
            meeting_events.participant_left(facts, person, _EXAMPLE_TS, _EXAMPLE_TS),
            meeting_events.ended(facts, _EXAMPLE_TS, _EXAMPLE_TS),
        ]
    examples += [
        concurrency_near_limit(2000, 1700, _EXAMPLE_TS),
        concurrency_limited("meeting", _EXAMPLE_IDS, 2000, _EXAMPLE_TS),
        app_deauthorized("clientid", _EXAMPLE_IDS, "2019-06-17T13:52:28.632Z", _EXAMPLE_TS),
        url_validation("qgg8vlvZRS6UYooatFL8Aw", 1654503849680),
    ]
    return {event.name: event for event in examples}


EVENTS: Mapping[str, WebhookEvent] = _examples()
"""Every event with the documentation's example values: where `rtmskit send` starts from."""


@dataclass(frozen=True, slots=True)
class BodyStyle:
    """How a body is written. Only the default is what Zoom sends; the others show receivers that re-serialise before verifying."""

    order: tuple[str, ...] = ("event", "event_ts", "payload")
    ascii_only: bool = False
    spaced: bool = False
    escaped_slashes: bool = False
    float_numbers: bool = False


ZOOMS_STYLE = BodyStyle()

STYLES: Mapping[str, BodyStyle] = {
    "zoom": ZOOMS_STYLE,
    "payload-first": BodyStyle(order=("payload", "event_ts", "event")),
    "payload-between": BodyStyle(order=("event", "payload", "event_ts")),
    "escaped-unicode": BodyStyle(ascii_only=True),
    "spaced": BodyStyle(spaced=True),
    "escaped-slashes": BodyStyle(escaped_slashes=True),
    "float-numbers": BodyStyle(float_numbers=True),
}


_HALF = re.compile("[\ud800-\udfff]")


def body(event: WebhookEvent, style: BodyStyle = ZOOMS_STYLE) -> bytes:
    """The request's bytes. Zoom's are what JSON.stringify writes: compact, UTF-8 unescaped, `/` unescaped, integers without `.0`."""
    parts = {"event": event.name, "event_ts": event.event_ts, "payload": event.payload}
    document = {key: parts[key] for key in style.order}
    if style.float_numbers:
        document = _floats(document)
    text = json.dumps(document, ensure_ascii=style.ascii_only, separators=(", ", ": ") if style.spaced else (",", ":"))
    # Half an emoji is written as an escape, as JSON.stringify does: UTF-8 has no form for it.
    text = _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
    return (text.replace("/", "\\/") if style.escaped_slashes else text).encode()


def _floats(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _floats(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_floats(item) for item in value]
    return float(value) if type(value) is int else value


def sign(secret_token: str, timestamp: str, raw: bytes) -> str:
    """`x-zm-signature`: `v0=` and 64 lower-case hex digits over `v0:timestamp:body`."""
    return "v0=" + hmac.new(secret_token.encode(), b"v0:" + timestamp.encode() + b":" + raw, hashlib.sha256).hexdigest()


def encrypt_token(secret_token: str, plain_token: str) -> str:
    """What an endpoint must answer to a challenge as `encryptedToken`."""
    return hmac.new(secret_token.encode(), plain_token.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class ValidationAnswer:
    """An endpoint's answer to a challenge, judged."""

    ok: bool
    problem: str = ""
    found: Mapping[str, Any] = field(default_factory=dict)


def judge_validation(secret_token: str, plain_token: str, status: int, raw: bytes) -> ValidationAnswer:
    """200 with both tokens. (204 counts as an answer in the documentation's text, but carries no tokens.)"""
    if status != 200:
        return ValidationAnswer(False, f"status {status}, 200 was expected")
    try:
        answer = json.loads(raw)
    except ValueError:
        return ValidationAnswer(False, "the body is not JSON")
    if not isinstance(answer, dict):
        return ValidationAnswer(False, "the body is not a JSON object")
    if answer.get("plainToken") != plain_token:
        return ValidationAnswer(False, "plainToken is not the one that was sent", answer)
    if answer.get("encryptedToken") != encrypt_token(secret_token, plain_token):
        return ValidationAnswer(False, "encryptedToken is not HMAC-SHA256(secret token, plainToken) in lower-case hex", answer)
    return ValidationAnswer(True, found=answer)
