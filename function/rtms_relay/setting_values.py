"""What the text of a setting means: one pure function a kind of value, which returns the value or raises `ValueError`.

The error says what is wrong with this text (``it begins with "Token ", which is the header's``), never the text itself: it may be
a secret. `rtms_relay.settings.VARIABLES` says which setting is of which kind. The deployment has the same rules, and a test
holds the two against each other.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from rtms_relay.tolerant import is_sound

SECRET_LENGTH = (8, 512)
MAX_CONFIG_BYTES = 30_000
"""Cloud Run takes at most 32 KB in one variable (Cloud Run docs, "Environment variables")."""

MAX_CONFIG_DEPTH = 32
MAX_METADATA = 500
"""Characters of one value of metadata (Recall docs, "Custom metadata")."""

OWN_METADATA = "rtmskit_handoff"
MIN_WEBHOOK_KEY_BYTES = 8

_VISIBLE = re.compile(r"[\x21-\x7e]+")
_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{4,64}")
_MASKED = re.compile(r"(.)\1*|.*(\*\*\*|\.\.\.|[xX]{8}).*")
_PLACEHOLDER = re.compile(r"<.*>|\$?\{.*\}|\[.*\]|(?i:your[-_].*|change-?_?me)")
_QUOTES = "\"'`"
_SCHEME = re.compile(r"(?i)(token|bearer|basic)[\s:]")
_WEBHOOK_KEY = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})+|localhost|\[?::1\]?")
_BELOW = re.compile(rf"\*\.{_LABEL}(\.{_LABEL})*\.[a-z][a-z0-9-]*[a-z0-9]")
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")
_RECALL_HOST = re.compile(r"[a-z0-9-]+\.recall\.ai")
_ENDPOINTS = ("meeting_direct_connect", "recording", "bot")

_OUTSIDE_CONFIG = ("recording_config", "zoom_rtms", "meeting_url", "bot_name", "join_at", "automatic_leave", "output_media", "webhook_url")
_OBJECTS = (
    *("transcript", "participant_events", "meeting_metadata", "video_mixed_mp4", "video_mixed_flv", "video_separate_mp4"),
    *("video_separate_png", "video_separate_h264", "audio_mixed_raw", "audio_mixed_mp3", "audio_separate_raw", "audio_separate_mp3"),
    *("retention", "include_bot_in_recording", "metadata"),
)
"""Keys of a recording_config that are an object, or null for off (Recall's OpenAPI, `BotRecordingConfig`)."""


@dataclass(frozen=True, slots=True)
class State:
    """Where the records live. `sqlite`: `path`, or ":memory:". `firestore`: `project` and `database`."""

    kind: Literal["sqlite", "firestore"]
    path: str = ""
    project: str = ""
    database: str = ""


@dataclass(frozen=True, slots=True)
class ArchivePlace:
    """Where finished artifacts are copied. `file`: `path` is a directory. `gs`: `bucket`."""

    kind: Literal["file", "gs"]
    path: str = ""
    bucket: str = ""


def optional(check: Callable[[str], Any], empty: Any = "") -> Callable[[str], Any]:
    """The same check, and `empty` for an empty text."""
    return lambda value: check(value) if value else empty


def secret(value: str) -> str:
    """A secret as the vendor shows it: 8 to 512 visible ASCII characters, and not what people paste in its place."""
    _not_pasted_wrongly(value)
    if len(value) < SECRET_LENGTH[0]:
        raise ValueError(f"it is shorter than {SECRET_LENGTH[0]} characters")
    if len(value) > SECRET_LENGTH[1]:
        raise ValueError(f"it is longer than {SECRET_LENGTH[1]} characters")
    if _MASKED.fullmatch(value):
        raise ValueError("it is masked: copy the secret itself, not what is shown in its place")
    return value


def api_key(value: str) -> str:
    """A key, without the scheme that is before it in the header."""
    if match := _SCHEME.match(value.strip(_QUOTES + " ")):
        raise ValueError(f'it begins with "{match[1]}", which belongs to the header: give the key alone')
    return secret(value)


def client_id(value: str) -> str:
    _not_pasted_wrongly(value)
    if not _CLIENT_ID.fullmatch(value):
        raise ValueError("it is not 4 to 64 letters, digits, _ and -")
    return value


def webhook_secrets(value: str) -> tuple[str, ...]:
    """One or more ``whsec_<base64>``, separated by commas (Standard Webhooks)."""
    secrets = tuple(part.strip() for part in value.split(",") if part.strip())
    if not secrets:
        raise ValueError("it holds no secret")
    _not_pasted_wrongly(value.replace(" ", ""))
    for number, text in enumerate(secrets, start=1):
        which = f"secret number {number}" if len(secrets) > 1 else "it"
        if not text.startswith("whsec_"):
            raise ValueError(f"{which} does not begin with whsec_")
        key = text.removeprefix("whsec_")
        if not _WEBHOOK_KEY.fullmatch(key):
            raise ValueError(f"{which} has other characters than base64 after whsec_")
        try:
            decoded = base64.b64decode(key.rstrip("=") + "=" * (-len(key.rstrip("=")) % 4), validate=True)
        except binascii.Error:
            raise ValueError(f"{which} is not base64 after whsec_: a character is missing or too many") from None
        if len(decoded) < MIN_WEBHOOK_KEY_BYTES:
            raise ValueError(f"{which} holds less than {MIN_WEBHOOK_KEY_BYTES} bytes after whsec_")
    return secrets


def number(low: float, high: float) -> Callable[[str], float]:
    """A decimal number within limits, both allowed."""

    def check(value: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", value, re.ASCII):
            raise ValueError("it is not a decimal number")
        if not low <= float(value) <= high:
            raise ValueError("it is too small" if float(value) < low else "it is too large")
        return float(value)

    return check


def choice(*names: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in names:
            raise ValueError
        return value

    return check


def hosts(value: str) -> tuple[str, ...]:
    """Host names, or `*.domain` for every name below a domain of at least two labels."""
    names = tuple(part.strip().lower() for part in value.split(",") if part.strip())
    if not names:
        raise ValueError("it names no host")
    for name in names:
        if "/" in name:
            raise ValueError(f"{name!a} is a URL: give the host name alone")
        if len(name) > 253 or not (_BELOW if name.startswith("*") else _HOST).fullmatch(name):
            raise ValueError(f"{name!a} is not a host name")
    return names


def service_url(value: str) -> str:
    """An https URL (http only on loopback) without a slash at its end."""
    url, host = _split(value)
    if url.scheme not in ("https", "http") or not host:
        raise ValueError("it does not begin with https:// and a host")
    if url.username is not None or url.query or url.fragment or value.endswith(("?", "#")):
        raise ValueError("it has a user, a query or a fragment")
    if url.scheme == "http" and not _LOOPBACK.fullmatch(host):
        raise ValueError("it would send credentials in clear text to another machine")
    return value.rstrip("/")


def _split(value: str) -> tuple[SplitResult, str]:
    """The parts of a URL, and its host, "" if it has none."""
    if not _VISIBLE.fullmatch(value) or "\\" in value:
        raise ValueError("it holds blanks or characters that no URL has")
    try:
        url = urlsplit(value)
        host, _ = url.hostname or "", url.port  # a port that is no number raises here
    except ValueError:
        raise ValueError("it is not a URL") from None
    return url, host


def on_loopback(url: str) -> bool:
    """Whether only this machine reaches it."""
    return bool(_LOOPBACK.fullmatch(urlsplit(url).hostname or ""))


def recall_url(value: str) -> str:
    """The root of Recall's API: endpoints are appended to it."""
    root = service_url(value)
    url = urlsplit(root)
    parts = url.path.strip("/").split("/")
    if endpoint := next((name for name in _ENDPOINTS if name in parts), None):
        raise ValueError(f"it includes the endpoint {endpoint}: end it before that")
    if _RECALL_HOST.fullmatch(url.hostname or "") and url.path != "/api/v1":
        raise ValueError("the path of Recall's API is /api/v1")
    return root


def recording_config(value: str) -> Mapping[str, Any]:
    """Create Bot's `recording_config`: the object itself, with nothing that Recall would refuse at the first meeting."""
    if len(value.encode("utf-8", "surrogatepass")) > MAX_CONFIG_BYTES:
        raise ValueError(f"it is over {MAX_CONFIG_BYTES} bytes")
    if not is_sound(value):
        raise ValueError("it holds a broken character")
    if value[:1] in _QUOTES:
        raise ValueError("it is in quotes: give the JSON without them")
    try:
        config = msgspec.json.decode(value)
    except RecursionError:
        raise ValueError(f"it is nested more than {MAX_CONFIG_DEPTH} levels deep") from None
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ValueError(f"it is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise ValueError("it is not a JSON object")
    _encodable(config, 1)
    for key in _OUTSIDE_CONFIG:
        if key in config:
            raise ValueError(f"it holds {key!a}: give only what is inside recording_config, not a whole request")
    for key in _OBJECTS:
        if not isinstance(config.get(key), dict | None):
            raise ValueError(f"its {key} is neither an object nor null")
    if not isinstance(config.get("realtime_endpoints"), list | None):
        raise ValueError("its realtime_endpoints is not an array")
    _metadata(config)
    return config


def state(value: str) -> State:
    if value == "sqlite://":
        return State("sqlite", ":memory:")
    if value.startswith("sqlite:///") and value.strip("/") != "sqlite:":
        return State("sqlite", "/" + _path(value.removeprefix("sqlite://")).lstrip("/"))
    if match := re.fullmatch(r"firestore://([a-z0-9][a-z0-9.:-]*)/(\(default\)|[a-z0-9][a-z0-9-]*)", value):
        return State("firestore", project=match[1], database=match[2])
    raise ValueError


LOCAL_QUEUE = "sqlite:///"


def queue(value: str) -> str:
    """The full name of a Cloud Tasks queue, or ``sqlite:///path`` with one slash before the path and no escapes in it."""
    if value.startswith(LOCAL_QUEUE):
        path = _path(value.removeprefix("sqlite://")).lstrip("/")
        if not path or path.endswith("/"):
            raise ValueError("it names no file")
        return LOCAL_QUEUE + path
    if not re.fullmatch(r"projects/[^/\s]+/locations/[^/\s]+/queues/[A-Za-z0-9-]+", value):
        raise ValueError
    return value


def local_path(queue_name: str) -> str:
    """The file of a local queue; "" for a Cloud Tasks queue."""
    return queue_name.removeprefix("sqlite://") if queue_name.startswith(LOCAL_QUEUE) else ""


def queues(value: str) -> tuple[str, ...]:
    """One queue, or two different ones. A local one has no second region, and its path may have commas."""
    if value.startswith(LOCAL_QUEUE):
        return (queue(value),)
    names = tuple(queue(part.strip()) for part in value.split(","))
    if any(map(local_path, names)):
        raise ValueError("a queue on this machine has no second region")
    if len(names) > 2 or len(set(names)) < len(names):
        raise ValueError("not one queue, and not two different ones")
    return names


INVOKED = ("events", "retrieve", "sweep")
"""The worker's paths that one identity each may call."""


def invokers(value: str) -> Mapping[str, str]:
    """``events=EMAIL,retrieve=EMAIL,sweep=EMAIL`` as path -> e-mail."""
    emails: dict[str, str] = {}
    for part in value.split(","):
        name, _, address_ = part.strip().partition("=")
        if name not in INVOKED or f"/{name}" in emails:
            raise ValueError(f"each of {', '.join(INVOKED)} needs one identity")
        emails[f"/{name}"] = email(address_)
    if len(emails) < len(INVOKED):
        raise ValueError(f"no identity for {', '.join(name for name in INVOKED if f'/{name}' not in emails)}")
    if len(set(emails.values())) < len(emails):
        raise ValueError("one identity for two paths")
    return emails


def deployment(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}", value):
        raise ValueError
    return value


def code_hash(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError
    return value


def address(value: str) -> str:
    match = re.fullmatch(r"[A-Za-z0-9.-]+:([0-9]{1,5})", value, re.ASCII)
    if match is None or not 0 < int(match[1]) < 65536:
        raise ValueError
    return value


def email(value: str) -> str:
    if not re.fullmatch(r"[\x21-\x3f\x41-\x7e]+@[\x21-\x3f\x41-\x7e]+", value):
        raise ValueError
    return value


def archive(value: str) -> ArchivePlace:
    if match := re.fullmatch(r"gs://([a-z0-9][a-z0-9._-]+)/?", value):
        return ArchivePlace("gs", bucket=match[1])
    if value.startswith("file:///") and value.strip("/") != "file:":
        return ArchivePlace("file", path="/" + _path(value.removeprefix("file://")).strip("/"))
    raise ValueError


def _path(text: str) -> str:
    path = unquote(text)
    if "\x00" in path or not is_sound(path):
        raise ValueError("it holds a character that no path has")
    return path


def _not_pasted_wrongly(value: str) -> None:
    if value != value.strip():
        raise ValueError("it begins or ends with white space")
    if value[0] in _QUOTES or value[-1] in _QUOTES:
        raise ValueError("it is in quotes: give it without them")
    if _PLACEHOLDER.fullmatch(value):
        raise ValueError("it is a placeholder: put the real value in its place")
    if not _VISIBLE.fullmatch(value):
        raise ValueError("it holds blanks, control characters or characters that are not ASCII")


def _encodable(value: Any, depth: int) -> None:
    """Whether it can be sent as JSON again: depth, integers of 64 bits."""
    if depth > MAX_CONFIG_DEPTH:
        raise ValueError(f"it is nested more than {MAX_CONFIG_DEPTH} levels deep")
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ValueError("it holds an integer of more than 64 bits")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _encodable(inner, depth + 1)


def _metadata(value: Any) -> None:
    """Every `metadata` in it, of the recording and of artifacts: names to texts."""
    if isinstance(value, list):
        for item in value:
            _metadata(item)
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        _metadata(inner)
        if key == "metadata" and inner is not None:
            _one_metadata(inner)


def _one_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict) or not all(map(_short, metadata.values())):
        raise ValueError(f"its metadata must map names to strings of at most {MAX_METADATA} characters")
    if OWN_METADATA in metadata:
        raise ValueError(f"metadata.{OWN_METADATA} is this service's own")


def _short(value: Any) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= MAX_METADATA)
