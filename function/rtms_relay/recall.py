"""Recall.ai's side of the wire, pure: request and response types, what each answer means, webhook verification.

Sources: Recall docs "Meeting Direct Connect for Zoom RTMS", "Errors", "Idempotency", "Media shortcuts", "Authenticating requests
from Recall.ai". No public schema has the whole answer for an MDC, so reading is tolerant: what is missing or odd counts as absent,
and nothing is decided on an MDC's own status (its codes are not published), only on `recordings[].status.code`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import string
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

import msgspec

from rtms_relay import tolerant
from rtms_relay.errors import NotAuthentic, RecallUnavailable
from rtms_relay.ports import Artifact, Recording
from rtms_relay.tolerant import Unusable

METADATA_KEY = "rtmskit_handoff"
"""Planted in the MDC's and the recording's metadata; the latter comes back in `recording.*` webhooks (Recall docs, "Custom metadata")."""

WEBHOOK_TOLERANCE_S = 300
"""How far a webhook's timestamp may be off, either way, as in the svix and standardwebhooks libraries."""

MAX_NEXT = 16_000
"""Characters of a page's `next`. Longer than any URL that a server takes."""

_HANDOFF = re.compile(r"[0-9a-f]{64}")
_MESSAGE_ID = re.compile(r"[!-\-/-~]{1,256}")  # printable, no dot: the dot separates what is signed
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_WORD = string.ascii_letters + string.digits + "+/_=-"
# Keys, signatures and tokens: long, without a break, and hexadecimal or with a digit somewhere.
_LONG_WORD = re.compile(r"[A-Za-z0-9+/_=-]{24,}")
_HEX = re.compile(r"[0-9A-Fa-f]{32,}")
_HIDDEN = re.compile(r"<(style|script)\b")
_EXCERPT_BYTES = 65_536
_URL = re.compile(r"https?://[!-~]+")  # what a header can carry: no control characters, ASCII only
_LINK_QUERY = re.compile(r"\?[^\s\"'<>]+")

LINKS: Mapping[str, tuple[str, str, str]] = {
    "video_mixed": ("video_mixed", "download_url", "mp4"),
    "audio_mixed": ("audio_mixed", "download_url", "mp3"),
    "transcript": ("transcript", "download_url", "json"),
    "transcript_provider_data": ("transcript", "provider_data_download_url", "json"),
    "participant_events": ("participant_events", "participant_events_download_url", "json"),
    "speaker_timeline": ("participant_events", "speaker_timeline_download_url", "json"),
    "participants": ("participant_events", "participants_download_url", "json"),
}
"""Name of a download here -> (media shortcut, key of its `data`, file extension unless the shortcut names a `format`)."""

CONTENT_TYPES: Mapping[str, str] = {"mp4": "video/mp4", "mp3": "audio/mpeg", "json": "application/json"}


class Link(msgspec.Struct, frozen=True):
    """A fresh pre-signed link. Dead after 6 hours, so never stored, never logged."""

    url: str
    extension: str

    @property
    def content_type(self) -> str:
        return CONTENT_TYPES.get(self.extension, "application/octet-stream")


class View(msgspec.Struct, frozen=True):
    """A recording as just read: what may be stored, and the links that may not.

    `handoff`: the hand-off that its own metadata names, None if it names none. Whose a recording is must be read here, never
    inferred from what was asked for: a server may ignore a filter.
    """

    recording: Recording
    links: dict[str, Link]
    handoff: str | None = None


class RecallEvent(msgspec.Struct, frozen=True):
    """A webhook of Recall's. `handoff` is the key planted at creation; `code` and `updated_at` are the new status."""

    name: str
    recording_id: str | None
    handoff: str | None
    code: str
    sub_code: str | None
    updated_at: str


def create_body(
    *,
    entity_id: str,
    entity_field: str,
    stream_id: str,
    server_urls: str,
    signature: str,
    handoff: str,
    recording_config: Mapping[str, Any],
) -> bytes:
    """The body of `POST /meeting_direct_connect`. Recall refuses fields it does not know, so nothing else goes in."""
    own = {METADATA_KEY: handoff}
    return msgspec.json.encode(
        {
            "zoom_rtms": {entity_field: entity_id, "rtms_stream_id": stream_id, "server_urls": server_urls, "signature": signature},
            "recording_config": {**recording_config, "metadata": {**(recording_config.get("metadata") or {}), **own}},
            "metadata": own,
        }
    )


def created_id(body: bytes) -> str | None:
    """The MDC's id in the answer to a create, None if it cannot be read."""
    return _id(_object(body).get("id"))


def excerpt(body: bytes) -> str:
    """At most 300 printable characters of an error body, JSON or HTML, without what looks like a key, a signature or a link's query.

    Redacted first and cut afterwards: a credential cut in two would no longer look like one. Time is in proportion to the size.
    """
    text = body[:_EXCERPT_BYTES].decode("utf-8", "replace")
    if len(body) > _EXCERPT_BYTES:
        text = text.rstrip(_WORD)
    if text.lstrip()[:1] == "<":
        text = _without_tags(text)
    text = _LINK_QUERY.sub("?...", _LONG_WORD.sub(_without_credential, text))
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]


def _without_credential(match: re.Match[str]) -> str:
    return "..." if any(c in string.digits for c in match[0]) else _HEX.sub("...", match[0])


def _without_tags(text: str) -> str:
    """Text outside of tags, styles and scripts. A style without an end hides what follows."""
    pieces: list[str] = []
    at = 0
    while (opened := text.find("<", at)) >= 0:
        closed = text.find(">", opened)
        if closed < 0:
            break
        pieces += (text[at:opened], " ")
        at = closed + 1
        if match := _HIDDEN.match(text, opened):
            end = text.find(f"</{match[1]}", at)
            at = end if end >= 0 else len(text)
    return "".join([*pieces, text[at:]])


def read_mdc(body: bytes) -> list[View]:
    """The recordings of an MDC, `[]` if there are none yet. Raises `RecallUnavailable` if the body is not a JSON object."""
    recordings = _object(body, strict=True).get("recordings")
    return [view for item in recordings if (view := _view(item))] if isinstance(recordings, list) else []


def mdc_status(body: bytes) -> str:
    """The MDC's own status in words: its code, and its sub_code if there is one. Shown, never decided on."""
    code, sub_code, _ = _status(_object(body))
    return f"{code} ({sub_code})" if sub_code else code


def read_recording(body: bytes) -> View | None:
    """One recording, as `GET /recording/{id}` gives it."""
    return _view(_object(body, strict=True))


def read_page(body: bytes) -> tuple[list[View], str | None]:
    """One page of recordings and the cursor of the next, None on the last. Both list forms: ``{next, results}`` and a bare array.

    Raises `RecallUnavailable` for what is neither, and for a `next` that cannot be followed: a list that ends too early is not one.
    """
    try:
        page = tolerant.decode(body)
    except ValueError:
        raise RecallUnavailable("Recall's answer is not JSON") from None
    results = page.get("results") if isinstance(page, dict) else page
    if not isinstance(results, list):
        raise RecallUnavailable("Recall's answer is not a page of a list")
    following = page.get("next") if isinstance(page, dict) else None
    return [view for item in results if (view := _view(item))], None if following is None else _cursor(following)


def _cursor(following: Any) -> str:
    """`next` is an absolute URL; only its cursor is used, so that the API key never goes where an answer points."""
    url = _text(following, limit=MAX_NEXT)
    cursors = parse_qs((url or "").partition("?")[2].partition("#")[0]).get("cursor", [])
    if len(cursors) != 1:
        raise RecallUnavailable("Recall answered a page whose next page has no cursor")
    return cursors[0]


def sign_webhook(secret: str, message_id: str, timestamp: str, body: bytes) -> bytes:
    """The 32 bytes behind one ``v1,<base64>`` (Standard Webhooks; Recall docs, "Authenticating requests")."""
    key = base64.b64decode(secret.removeprefix("whsec_") + "==")
    return hmac.new(key, message_id.encode() + b"." + timestamp.encode() + b"." + body, hashlib.sha256).digest()


def verify_webhook(secrets: Sequence[str], headers: Iterable[tuple[str, str]], body: bytes, *, now_ms: int) -> str:
    """Return the message id, which stays the same on retries. Raises `NotAuthentic`.

    Both header families count, `webhook-*` (workspace secret) and `svix-*` (per-endpoint secret), any of the secrets, and any
    of the signatures, of which there are several during rotation.
    """
    family, (message_id, timestamp, signatures) = _signature_headers(headers)
    if not _MESSAGE_ID.fullmatch(message_id) or not _TIMESTAMP.fullmatch(timestamp):
        raise NotAuthentic(f"{family}-id or {family}-timestamp is malformed")
    if abs(now_ms - int(timestamp) * 1000) > WEBHOOK_TOLERANCE_S * 1000:  # costs nothing, so it comes before the signature
        raise NotAuthentic(f"{family}-timestamp is too far from the time here", hint=f"over {WEBHOOK_TOLERANCE_S} s; is a clock wrong?")
    digests = [digest for entry in signatures.split(" ")[:16] if (digest := _digest(entry)) is not None]
    expected = [sign_webhook(secret, message_id, timestamp, body) for secret in secrets]
    matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in digests]
    if not any(matches):
        raise NotAuthentic(f"{family}-signature does not match the body", hint="is its secret in RECALL_WEBHOOK_SECRETS?")
    return message_id


def _signature_headers(headers: Iterable[tuple[str, str]]) -> tuple[str, list[str]]:
    """The family, and its id, timestamp and signatures."""
    named: dict[str, list[str]] = {}
    for name, value in headers:
        named.setdefault(name.lower(), []).append(value)
    family = next((f for f in ("webhook", "svix") if f"{f}-signature" in named), None)
    if family is None:
        raise NotAuthentic("the headers webhook-id, webhook-timestamp and webhook-signature (or svix-*) are required")
    parts = [named.get(f"{family}-{part}", []) for part in ("id", "timestamp", "signature")]
    if any(len(values) != 1 for values in parts):
        raise NotAuthentic(f"{family}-id, {family}-timestamp and {family}-signature must come once each")
    return family, [values[0] for values in parts]


def parse_webhook(body: bytes) -> RecallEvent | Unusable:
    """The event in a webhook. Never raises: what has no name of an event is `Unusable`, unknown events and shapes pass with what they hold.

    Only the fields that matter are read. Anything odd elsewhere (characters, numbers, types, nesting) changes nothing.
    """
    try:
        document = _dict(tolerant.decode(body))
    except ValueError as error:
        return tolerant.unusable(body, "", str(error))
    name = document.get("event")
    if not isinstance(name, str) or not name:
        return tolerant.unusable(body, "", "event is not the name of an event")
    data = _dict(document.get("data"))
    recording, status = _dict(data.get("recording")), _dict(data.get("data"))
    handoff = _text(_dict(recording.get("metadata")).get(METADATA_KEY))
    return RecallEvent(
        name=tolerant.shown(name, 100),
        recording_id=_id(recording.get("id")),
        handoff=handoff if handoff and _HANDOFF.fullmatch(handoff) else None,
        code=_text(status.get("code")) or "",
        sub_code=_text(status.get("sub_code")),
        updated_at=_text(status.get("updated_at")) or "",
    )


def _digest(entry: str) -> bytes | None:
    version, _, value = entry.partition(",")
    if version != "v1" or not value.isascii():
        return None
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        return None


def _object(body: bytes, *, strict: bool = False) -> dict[str, Any]:
    try:
        document = tolerant.decode(body)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    if strict:
        raise RecallUnavailable("Recall's answer is not a JSON object")
    return {}


def _view(item: Any) -> View | None:
    item = _dict(item)
    recording_id = _id(item.get("id"))
    if recording_id is None:
        return None
    code, sub_code, updated_at = _status(item)
    shortcuts = _dict(item.get("media_shortcuts"))
    artifacts: dict[str, Artifact] = {}
    for name, shortcut in shortcuts.items():
        shortcut_id = _id(_dict(shortcut).get("id"))
        if shortcut_id is not None:
            artifact_code, artifact_sub, _ = _status(shortcut)
            artifacts[name] = Artifact(id=shortcut_id, status=artifact_code, sub_code=artifact_sub)
    links: dict[str, Link] = {}
    for name, (shortcut_name, key, extension) in LINKS.items():
        shortcut = _dict(shortcuts.get(shortcut_name))
        url = _text(_dict(shortcut.get("data")).get(key), limit=8000)
        if url and _URL.fullmatch(url):
            file_format = _text(shortcut.get("format")) if key == "download_url" else None
            links[name] = Link(url, file_format if file_format and re.fullmatch(r"[a-z0-9]{1,8}", file_format) else extension)
    recording = Recording(id=recording_id, status=code, sub_code=sub_code, updated_at=updated_at, artifacts=artifacts, read=True)
    return View(recording, links, _text(_dict(item.get("metadata")).get(METADATA_KEY)))


def _status(item: Mapping[str, Any]) -> tuple[str, str | None, str]:
    status = _dict(item.get("status"))
    return _text(status.get("code")) or "processing", _text(status.get("sub_code")), _text(status.get("updated_at")) or ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any, limit: int = 500) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= limit and tolerant.is_sound(value) else None


def _id(value: Any) -> str | None:
    """Ids go into paths of URLs and of the archive, so only what is harmless there is an id."""
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", value) else None
