"""The configuration: one frozen object per process, parsed once from the environment, all problems reported at once.

`VARIABLES` is the whole interface as data: the documentation, the infrastructure and the tests are checked against it.
Each function reads only the variables of its role, so the public one never holds the Recall key or the Zoom client secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from rtms_relay import setting_values as values
from rtms_relay.errors import SettingsError
from rtms_relay.setting_values import ArchivePlace, State

Role = Literal["webhook", "worker"]

REGIONS = ("us-east-1", "us-west-2", "eu-central-1", "ap-northeast-1")
"""Recall's regions (Recall docs, "Regions"): accounts, keys, data and webhook secrets are separate in each."""

MAX_SHOWN = 200
EXIT_CODE = 2
"""How the process ends when the environment is unusable."""

_BOTH: tuple[Role, ...] = ("webhook", "worker")
_A_QUEUE = "projects/P/locations/L/queues/Q, or sqlite:///absolute/path"


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a process. What its role does not read keeps the empty default. Secrets never show in `repr`."""

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
    state_url: State = field(default_factory=lambda: State("sqlite", ":memory:"))
    handoff_queues: tuple[str, ...] = ()
    facts_queue: str = ""
    retrieval_queue: str = ""
    tasks_endpoint: str = ""
    worker_url: str = ""
    tasks_invokers: Mapping[str, str] = field(default_factory=dict)
    run_secret: str = field(default="", repr=False)
    deployment: str = "rtmskit"
    archive_url: ArchivePlace | None = None
    log_ids: str = "plain"
    code_hash: str = ""

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


VARIABLES: tuple[Variable, ...] = (
    Variable(
        "ZOOM_SECRET_TOKEN",
        ("webhook",),
        None,
        "the Secret Token of the Zoom app, 8 to 512 characters",
        "Verifies Zoom's webhooks and answers its URL validation.",
        values.secret,
        secret=True,
    ),
    Variable(
        "ZOOM_SECRET_TOKEN_PREVIOUS",
        ("webhook",),
        "",
        "a Secret Token of 8 to 512 characters, or empty",
        "Accepted as well, while the Secret Token is being changed.",
        values.optional(values.secret),
        secret=True,
    ),
    Variable(
        "ZOOM_CLIENT_ID",
        ("worker",),
        None,
        "the Client ID of the Zoom app, 4 to 64 letters, digits, _ and -",
        "Goes into the signature of each stream.",
        values.client_id,
    ),
    Variable(
        "ZOOM_CLIENT_SECRET",
        ("worker",),
        None,
        "the Client Secret of the Zoom app, 8 to 512 characters",
        "Signs each stream for the RTMS handshake.",
        values.secret,
        secret=True,
    ),
    Variable(
        "ZOOM_SIGNATURE_WINDOW_S",
        ("webhook",),
        "5700",
        "seconds, 1 to 86400",
        "How old, or how far ahead, the timestamp of a signed request may be. 95 minutes, because Zoom's last retry comes after"
        " 85, and it is not documented whether a retry has a new timestamp (inferred: it may have the first one).",
        values.number(1, 86400),
    ),
    Variable(
        "ZOOM_CONNECT_WINDOW_S",
        _BOTH,
        "60",
        "seconds, 1 to 1800",
        "How long after its start a stream may still be joined. Cloud Tasks waits half an hour for an answer, and all tries are in one.",
        values.number(1, 1800),
    ),
    Variable(
        "ZOOM_SERVER_HOSTS",
        ("worker",),
        "*.zoom.us",
        "host names, separated by commas; *.example.com means every name below it",
        "Where streams may be: a start that names another host fails, since the stream's signature would go there.",
        values.hosts,
    ),
    Variable(
        "ZOOM_ON_DEAUTHORIZED",
        ("webhook",),
        "audit",
        "audit or alert",
        "How app_deauthorized is logged: as a NOTICE (an app with many accounts) or as an ALERT (an app for one's own account).",
        values.choice("audit", "alert"),
    ),
    Variable(
        "RECALL_API_KEY",
        ("worker",),
        None,
        "a Recall API key of RECALL_REGION, 8 to 512 characters, alone",
        "Calls Recall.",
        values.api_key,
        secret=True,
    ),
    Variable(
        "RECALL_REGION",
        ("worker",),
        "us-east-1",
        "one of " + ", ".join(REGIONS),
        "The region of the Recall workspace.",
        values.choice(*REGIONS),
    ),
    Variable(
        "RECALL_BASE_URL",
        ("worker",),
        "",
        "the API root as an https URL (http only on loopback), or empty",
        "Calls another address than https://{RECALL_REGION}.recall.ai/api/v1.",
        values.optional(values.recall_url),
    ),
    Variable(
        "RECALL_RECORDING_CONFIG",
        ("worker",),
        '{"video_mixed_mp4":{}}',
        "a JSON object: the value of Create Bot's recording_config",
        "What Recall records, and where it sends events in real time.",
        values.recording_config,
    ),
    Variable(
        "RECALL_WEBHOOK_SECRETS",
        ("webhook",),
        "",
        "whsec_ secrets with 8 bytes or more in base64, separated by commas, or empty",
        "Verify Recall's webhooks: the workspace secret, per-endpoint secrets, old and new during rotation. Empty: those webhooks"
        " are refused, and recordings are found by polling.",
        values.optional(values.webhook_secrets, ()),
        secret=True,
    ),
    Variable(
        "RECALL_ENTITY_FIELD",
        ("worker",),
        "meeting_uuid",
        "meeting_uuid or own",
        "Inferred: the field of zoom_rtms that holds the id of a webinar, session, engagement or call. Recall documents"
        " meeting_uuid only; `own` sends webinar_uuid, session_id, engagement_id, call_id.",
        values.choice("meeting_uuid", "own"),
    ),
    Variable(
        "RECALL_TIMEOUT_S",
        ("worker",),
        "15",
        "seconds, 1 to 50",
        "How long one call to Recall may take; five seconds more is how long one attempt holds a hand-off.",
        values.number(1, 50),
    ),
    Variable(
        "RETRIEVAL_POLL_S",
        ("worker",),
        "1800",
        "seconds, 1 to 86400",
        "The longest pause between two looks for a recording that no webhook announced.",
        values.number(1, 86400),
    ),
    Variable(
        "RETRIEVAL_GIVE_UP_S",
        ("worker",),
        "86400",
        "seconds, 1 to 2592000",
        "How long after a stream's end its recording is looked for.",
        values.number(1, 2592000),
    ),
    Variable(
        "RECORDS_KEEP_DAYS",
        ("worker",),
        "400",
        "days, 7 to 36500",
        "How long Firestore keeps the records of a stream after the last change; SQLite keeps them without a limit.",
        values.number(7, 36500),
    ),
    Variable(
        "STATE_URL",
        ("worker",),
        None,
        "sqlite:///absolute/path, sqlite:// (in memory, one process) or firestore://project/database",
        "Where the records live.",
        values.state,
    ),
    Variable(
        "HANDOFF_QUEUES",
        _BOTH,
        None,
        "projects/P/locations/L/queues/Q, or two of them separated by a comma, or sqlite:///absolute/path",
        "The queues of starts: the Cloud Tasks queues at home and in the second region, or one on this machine (`rtmskit serve`).",
        values.queues,
    ),
    Variable(
        "FACTS_QUEUE",
        _BOTH,
        None,
        _A_QUEUE,
        "The queue of everything else that Zoom says.",
        values.queue,
    ),
    Variable("RETRIEVAL_QUEUE", _BOTH, None, _A_QUEUE, "The queue of looks for recordings.", values.queue),
    Variable(
        "TASKS_ENDPOINT",
        _BOTH,
        "",
        "host:port, or empty",
        "A Cloud Tasks to talk to without TLS; empty is Google's.",
        values.optional(values.address),
    ),
    Variable(
        "WORKER_URL",
        _BOTH,
        None,
        "an https URL (http only on loopback)",
        "Where tasks are sent: the worker's base URL.",
        values.service_url,
    ),
    Variable(
        "TASKS_INVOKERS",
        _BOTH,
        "",
        "events=EMAIL,retrieve=EMAIL,sweep=EMAIL of three service accounts, or empty",
        "Whose OIDC tokens open which path of the worker: tasks carry them, and the worker lets nobody else in there. Empty: tasks carry"
        " none, and only loopback may call.",
        values.optional(values.invokers, {}),
    ),
    Variable(
        "RUN_SECRET",
        ("worker",),
        "",
        "8 to 512 characters, or empty",
        "Opens a worker on loopback to the process that started it, which chose it for this run. Empty: callers need Google's tokens.",
        values.optional(values.secret),
        secret=True,
    ),
    Variable(
        "DEPLOYMENT",
        ("worker",),
        "rtmskit",
        "1 to 100 of A-Z a-z 0-9 . _ : / -",
        "Names this deployment in the keys of hand-offs, so that two deployments in one Recall workspace do not take each other's.",
        values.deployment,
    ),
    Variable(
        "ARCHIVE_URL",
        ("worker",),
        "",
        "gs://bucket, file:///directory, or empty",
        "Where finished artifacts are copied to; empty copies nothing.",
        values.optional(values.archive, None),
    ),
    Variable(
        "LOG_IDS",
        _BOTH,
        "plain",
        "plain or hashed",
        "How log lines show the ids of meetings and streams: as they are, or as the first 32 hexadecimal digits of their SHA-256.",
        values.choice("plain", "hashed"),
    ),
    Variable(
        "CODE_HASH",
        _BOTH,
        "",
        "a SHA-256 in 64 lower-case hexadecimal digits, or empty",
        "Says in /health which code this is: a build that failed leaves the former one running.",
        values.optional(values.code_hash),
    ),
)


def problem(variable: Variable, value: str) -> str | None:
    """Why `variable` cannot have this value, in one line that shows no secret; None if it can. Both sides of the kit ask here."""
    try:
        variable.parse(value)
    except ValueError as error:
        text = f"{len(value)} characters (not shown)" if variable.secret else _shown(value)
        return f"{variable.name} is {text}{': ' if str(error) else ''}{error}; expected {variable.allowed}"
    return None


def _shown(value: str) -> str:
    return repr(value if len(value) <= MAX_SHOWN else value[:MAX_SHOWN] + "...").encode("ascii", "backslashreplace").decode()


RENAMED: Mapping[str, str] = {
    "TASKS_QUEUE": "HANDOFF_QUEUES, FACTS_QUEUE and RETRIEVAL_QUEUE",
    "TASKS_INVOKER": "TASKS_INVOKERS",
}
"""Variables of the first edition, and what has taken their place."""


def load(environ: Mapping[str, str], role: Role) -> Settings:
    """Parse what `role` reads. Raises `SettingsError` with one line for each variable at fault: name, what was found, what is expected."""
    read, problems = _parsed(environ, role)
    # What values mean together can be judged only if each is sound.
    problems = problems or _together(read, role)
    if problems:
        raise SettingsError(problems)
    if role == "worker" and not read["recall_base_url"]:
        read["recall_base_url"] = f"https://{read['recall_region']}.recall.ai/api/v1"
    return Settings(role=role, **read)


def _parsed(environ: Mapping[str, str], role: Role) -> tuple[dict[str, Any], list[str]]:
    """The values by field, and a line for each variable that has none."""
    read: dict[str, Any] = {}
    problems = [f"{name} is no longer read; set {now}" for name, now in RENAMED.items() if environ.get(name)]
    for variable in (one for one in VARIABLES if role in one.roles):
        text = environ.get(variable.name, "") or variable.default
        if text is None:
            problems.append(f"{variable.name} is not set; expected {variable.allowed}")
        elif line := problem(variable, text):
            problems.append(line)
        else:
            read[variable.attribute] = variable.parse(text)
    return read, problems


def _together(read: Mapping[str, Any], role: Role) -> list[str]:
    return _same_secret(read) if role == "webhook" else _shared_files(read) + _open_to_others(read)


def _same_secret(read: Mapping[str, Any]) -> list[str]:
    if read["zoom_secret_token"] == read["zoom_secret_token_previous"]:
        return ["ZOOM_SECRET_TOKEN_PREVIOUS is the same as ZOOM_SECRET_TOKEN; expected the former one, or empty"]
    return []


def _shared_files(read: Mapping[str, Any]) -> list[str]:
    """The records and the queues lock each other out of one file."""
    state: State = read["state_url"]
    queues = (*read["handoff_queues"], read["facts_queue"], read["retrieval_queue"])
    if state.kind == "sqlite" and f"sqlite://{state.path}" in queues:
        return ["STATE_URL names the file of a queue; expected a file of its own for the records"]
    return []


def _open_to_others(read: Mapping[str, Any]) -> list[str]:
    """A secret of the run is for one machine: on a network it would be in each request."""
    if read["run_secret"] and not values.on_loopback(read["worker_url"]):
        return ["RUN_SECRET is set while WORKER_URL is not on loopback; expected none: callers of such a worker need Google's tokens"]
    return []
