"""The configuration: one frozen object per process, parsed once from the environment, all problems reported at once.

`VARIABLES` is the whole interface as data: the documentation, the infrastructure and the tests are checked against it.
Each function reads only the variables of its role, so the public one never holds the Recall key or the Zoom client secret.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import msgspec

from rtms_relay.errors import SettingsError

Role = Literal["webhook", "worker"]

REGIONS = ("us-east-1", "us-west-2", "eu-central-1", "ap-northeast-1")
"""Recall's regions (Recall docs, "Regions"): accounts, keys, data and webhook secrets are separate in each."""

EXIT_CODE = 2
"""How the process ends when the environment is unusable."""

_BOTH: tuple[Role, ...] = ("webhook", "worker")
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")
_HOST_PATTERN = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[?::1\]?")


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


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a process was told. What its role does not read keeps the empty default. Secrets never show in `repr`."""

    role: Role
    zoom_secret_token: str = field(default="", repr=False)
    zoom_secret_token_previous: str = field(default="", repr=False)
    zoom_client_id: str = ""
    zoom_client_secret: str = field(default="", repr=False)
    zoom_signature_window_s: float = 5700.0
    zoom_connect_window_s: float = 60.0
    zoom_server_hosts: tuple[str, ...] = ("*.zoom.us",)
    zoom_on_deauthorized: str = "audit"
    recall_api_key: str = field(default="", repr=False)
    recall_region: str = "us-east-1"
    recall_base_url: str = ""
    recall_recording_config: Mapping[str, Any] = field(default_factory=lambda: {"video_mixed_mp4": {}})
    recall_webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    recall_entity_field: str = "meeting_uuid"
    recall_timeout_s: float = 15.0
    retrieval_poll_s: float = 1800.0
    retrieval_give_up_s: float = 86400.0
    records_keep_days: float = 400.0
    state_url: State = State("sqlite", ":memory:")
    tasks_queue: str = ""
    tasks_endpoint: str = ""
    worker_url: str = ""
    tasks_invoker: str = ""
    archive_url: ArchivePlace | None = None

    def secrets(self) -> tuple[str, ...]:
        """Every secret value held, for redaction."""
        values = (getattr(self, f.name) for f in fields(self) if not f.repr)
        return tuple(v for value in values for v in ((value,) if isinstance(value, str) else value) if v)


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable. `default` None: the roles that read it require it. `allowed` says in words what a value may be."""

    name: str
    roles: tuple[Role, ...]
    default: str | None
    allowed: str
    meaning: str
    parse: Callable[[str], Any]
    secret: bool = False

    @property
    def required(self) -> bool:
        return self.default is None

    @property
    def attribute(self) -> str:
        """The field of `Settings`."""
        return self.name.lower()


def _secret(value: str) -> str:
    if value != value.strip():
        raise ValueError("begins or ends with white space")
    if not value.isprintable() or not value.isascii():
        raise ValueError("holds characters that no such secret has")
    return value


def _optional_secret(value: str) -> str:
    return _secret(value) if value else ""


def _required_text(value: str) -> str:
    if not value:
        raise ValueError("is empty")
    return _secret(value)


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(value: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", value) or not low <= float(value) <= high:
            raise ValueError("is not such a number")
        return float(value)

    return parse


def _choice(*names: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in names:
            raise ValueError("is none of them")
        return value

    return parse


def _hosts(value: str) -> tuple[str, ...]:
    hosts = tuple(part.strip().lower() for part in value.split(",") if part.strip())
    if not hosts:
        raise ValueError("names no host")
    for host in hosts:
        if not _HOST_PATTERN.fullmatch(host) or ".." in host:
            raise ValueError(f"{host!r} is no host name")
    return hosts


def _service_url(value: str) -> str:
    url = urlsplit(value)
    host = url.hostname or ""
    if url.scheme not in ("https", "http") or not host or url.username is not None or url.query or url.fragment:
        raise ValueError("is no such URL")
    _ = url.port  # raises ValueError for a port that is none
    if url.scheme == "http" and not _LOOPBACK.fullmatch(host):
        raise ValueError("would send credentials in clear text to another machine")
    return value.rstrip("/")


def _optional_service_url(value: str) -> str:
    return _service_url(value) if value else ""


def _recording_config(value: str) -> Mapping[str, Any]:
    try:
        config = msgspec.json.decode(value, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"is no JSON object: {error}") from None
    metadata = config.get("metadata", {})
    if not isinstance(metadata, dict) or not all(v is None or (isinstance(v, str) and len(v) <= 500) for v in metadata.values()):
        raise ValueError("its metadata must map names to strings of at most 500 characters (Recall docs, custom metadata)")
    if "rtmskit_handoff" in metadata:
        raise ValueError("metadata.rtmskit_handoff is this service's own")
    return config


def _webhook_secrets(value: str) -> tuple[str, ...]:
    secrets = tuple(part.strip() for part in value.split(",") if part.strip())
    for number, secret in enumerate(secrets, start=1):
        if not secret.startswith("whsec_"):
            raise ValueError(f"number {number} does not begin with whsec_")
        try:
            key = base64.b64decode(secret.removeprefix("whsec_") + "==", validate=False)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) < 8 or not secret.isascii():
            raise ValueError(f"number {number} is not base64 of 8 bytes or more after whsec_")
    return secrets


def _state(value: str) -> State:
    if value == "sqlite://":
        return State("sqlite", ":memory:")
    if value.startswith("sqlite:///") and value.strip("/") != "sqlite:":
        return State("sqlite", "/" + unquote(value.removeprefix("sqlite://")).lstrip("/"))
    if match := re.fullmatch(r"firestore://([a-z0-9][a-z0-9.:-]*)/(\(default\)|[a-z0-9][a-z0-9-]*)", value):
        return State("firestore", project=match[1], database=match[2])
    raise ValueError("is none of them")


def _queue(value: str) -> str:
    if not re.fullmatch(r"projects/[^/\s]+/locations/[^/\s]+/queues/[A-Za-z0-9-]+", value):
        raise ValueError("is no such name")
    return value


def _endpoint(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z0-9.-]+:[0-9]{1,5}", value):
        raise ValueError("is no such address")
    return value


def _email(value: str) -> str:
    if value and not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
        raise ValueError("is no e-mail address")
    return value


def _archive(value: str) -> ArchivePlace | None:
    if not value:
        return None
    if match := re.fullmatch(r"gs://([a-z0-9][a-z0-9._-]+)/?", value):
        return ArchivePlace("gs", bucket=match[1])
    if value.startswith("file:///") and value.strip("/") != "file:":
        return ArchivePlace("file", path="/" + unquote(value.removeprefix("file://")).strip("/"))
    raise ValueError("is none of them")


VARIABLES: tuple[Variable, ...] = (
    Variable(
        "ZOOM_SECRET_TOKEN",
        ("webhook",),
        None,
        "the Secret Token of the Zoom app",
        "Verifies Zoom's webhooks and answers its URL validation.",
        _required_text,
        secret=True,
    ),
    Variable(
        "ZOOM_SECRET_TOKEN_PREVIOUS",
        ("webhook",),
        "",
        "a Secret Token, or empty",
        "Accepted as well, while the Secret Token is being changed.",
        _optional_secret,
        secret=True,
    ),
    Variable(
        "ZOOM_CLIENT_ID", ("worker",), None, "the Client ID of the Zoom app", "Goes into the signature of each stream.", _required_text
    ),
    Variable(
        "ZOOM_CLIENT_SECRET",
        ("worker",),
        None,
        "the Client Secret of the Zoom app",
        "Signs each stream for the RTMS handshake.",
        _required_text,
        secret=True,
    ),
    Variable(
        "ZOOM_SIGNATURE_WINDOW_S",
        ("webhook",),
        "5700",
        "seconds, 1 to 86400",
        "How old, or how far ahead, the timestamp of a signed request may be. 95 minutes, because Zoom's last retry comes after"
        " 85 and whether retries are stamped anew is not documented (inferred: they may not be).",
        _number(1, 86400),
    ),
    Variable(
        "ZOOM_CONNECT_WINDOW_S",
        _BOTH,
        "60",
        "seconds, 1 to 3000",
        "How long after its start a stream may still be joined. Below Recall's hour of remembering an Idempotency-Key.",
        _number(1, 3000),
    ),
    Variable(
        "ZOOM_SERVER_HOSTS",
        _BOTH,
        "*.zoom.us",
        "host names, separated by commas; *.example.com matches every name below it",
        "Where streams may be: a start that names another host fails, since the stream's signature would go there.",
        _hosts,
    ),
    Variable(
        "ZOOM_ON_DEAUTHORIZED",
        ("webhook",),
        "audit",
        "audit or alert",
        "How app_deauthorized is logged: as a NOTICE (an app with many accounts) or as an ALERT (an app for one's own account).",
        _choice("audit", "alert"),
    ),
    Variable("RECALL_API_KEY", ("worker",), None, "an API key of the region", "Calls Recall.", _required_text, secret=True),
    Variable(
        "RECALL_REGION", ("worker",), "us-east-1", "one of " + ", ".join(REGIONS), "Where the Recall workspace lives.", _choice(*REGIONS)
    ),
    Variable(
        "RECALL_BASE_URL",
        ("worker",),
        "",
        "an https URL with the API root (http only on loopback), or empty",
        "Calls another address than https://{RECALL_REGION}.recall.ai/api/v1.",
        _optional_service_url,
    ),
    Variable(
        "RECALL_RECORDING_CONFIG",
        ("worker",),
        '{"video_mixed_mp4":{}}',
        "a JSON object, as Create Bot's recording_config",
        "What Recall records, and where it sends events in real time.",
        _recording_config,
    ),
    Variable(
        "RECALL_WEBHOOK_SECRETS",
        ("webhook",),
        "",
        "whsec_ secrets, separated by commas, or empty",
        "Verify Recall's webhooks: the workspace secret, per-endpoint secrets, old and new during rotation. Empty: those webhooks"
        " are refused, and recordings are found by polling.",
        _webhook_secrets,
        secret=True,
    ),
    Variable(
        "RECALL_ENTITY_FIELD",
        ("worker",),
        "meeting_uuid",
        "meeting_uuid or own",
        "Inferred: the field of zoom_rtms that carries the id of a webinar, session, engagement or call. Recall documents"
        " meeting_uuid only; `own` sends webinar_uuid, session_id, engagement_id, call_id.",
        _choice("meeting_uuid", "own"),
    ),
    Variable(
        "RECALL_TIMEOUT_S",
        ("worker",),
        "15",
        "seconds, 1 to 50",
        "How long one call to Recall may take; five seconds more is how long a worker holds a hand-off.",
        _number(1, 50),
    ),
    Variable(
        "RETRIEVAL_POLL_S",
        ("worker",),
        "1800",
        "seconds, 1 to 86400",
        "The longest pause between two looks for a recording that no webhook announced.",
        _number(1, 86400),
    ),
    Variable(
        "RETRIEVAL_GIVE_UP_S",
        ("worker",),
        "86400",
        "seconds, 1 to 2592000",
        "How long after a stream's end its recording is waited for.",
        _number(1, 2592000),
    ),
    Variable(
        "RECORDS_KEEP_DAYS",
        _BOTH,
        "400",
        "days, 7 to 36500",
        "How long after the last thing that happened to a stream Firestore keeps its records; SQLite keeps them for ever.",
        _number(7, 36500),
    ),
    Variable(
        "STATE_URL",
        _BOTH,
        None,
        "sqlite:///absolute/path, sqlite:// (in memory, one process) or firestore://project/database",
        "Where the records live.",
        _state,
    ),
    Variable("TASKS_QUEUE", _BOTH, None, "projects/P/locations/L/queues/Q", "The Cloud Tasks queue between the two functions.", _queue),
    Variable("TASKS_ENDPOINT", _BOTH, "", "host:port, or empty", "A Cloud Tasks to talk to without TLS; empty is Google's.", _endpoint),
    Variable(
        "WORKER_URL", _BOTH, None, "an https URL (http only on loopback)", "Where tasks are sent: the worker's base URL.", _service_url
    ),
    Variable(
        "TASKS_INVOKER",
        _BOTH,
        "",
        "the e-mail address of a service account, or empty",
        "Whose OIDC token tasks carry; empty sends none.",
        _email,
    ),
    Variable(
        "ARCHIVE_URL",
        ("worker",),
        "",
        "gs://bucket, file:///directory, or empty",
        "Where finished artifacts are copied to; empty copies nothing.",
        _archive,
    ),
)


def load(environ: Mapping[str, str], role: Role) -> Settings:
    """Parse what `role` reads. Raises `SettingsError` with one line for each variable at fault: name, what was found, what is allowed."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for variable in VARIABLES:
        if role not in variable.roles:
            continue
        found = environ.get(variable.name, "") or variable.default
        if found is None:
            problems.append(f"{variable.name} is not set; it must be {variable.allowed}")
            continue
        try:
            values[variable.attribute] = variable.parse(found)
        except ValueError as error:
            shown = f"{len(found)} characters, not shown" if variable.secret else repr(found[:200])
            problems.append(f"{variable.name}: found {shown}: {error}; it must be {variable.allowed}")
    if role == "webhook" and not problems and values["zoom_secret_token"] == values["zoom_secret_token_previous"]:
        problems.append("ZOOM_SECRET_TOKEN_PREVIOUS is the same as ZOOM_SECRET_TOKEN; it must be the former one, or empty")
    if problems:
        raise SettingsError(problems)
    if role == "worker" and not values["recall_base_url"]:
        values["recall_base_url"] = f"https://{values['recall_region']}.recall.ai/api/v1"
    return Settings(role=role, **values)
