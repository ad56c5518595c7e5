"""The table of configuration keys: each key's type, default, limits and meaning, written once.

`Pulumi.yaml` and `docs/configuration-infra.md` are generated from it (`python -m tests.infra.regenerate`), `config.parse` checks
against it. Pure data.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from rtms_infra.function_settings import BY_VARIABLE, refusal
from rtms_infra.numbers import (
    RETRIEVALS_PER_SECOND,
    WEBHOOK_CONCURRENCY,
    WEBHOOK_MAX_INSTANCES,
    WEBHOOK_MIN_INSTANCES,
    WORKER_CONCURRENCY,
    WORKER_MAX_INSTANCES,
    WORKER_MIN_INSTANCES,
)
from rtms_infra.regions import MULTI_REGIONS, PAIRED, REGIONS

NAMESPACE = "rtmskit"
"""The project's name in Pulumi.yaml, and so the prefix of each key."""

NAME = re.compile(r"(?!gcp-)(?!goog)(?!.*g[o0][o0]gle)[a-z][a-z0-9-]{2,19}[a-z0-9]")
"""4 to 21 characters: `<name>-deployer` is a service account id (at most 30), `<name>` a Firestore database id (at least 4)."""

REQUIRED = object()
"""The default of a key that has none."""


@dataclass(frozen=True, slots=True)
class Key:
    """One configuration key: `allowed` is the sentence for people, `check` the same as code.

    `variable`: the one of the functions that it fills; then the functions' own check decides.
    """

    name: str
    kind: Literal["string", "integer", "boolean", "array"]
    default: Any
    allowed: str
    meaning: str
    example: str
    check: Callable[[Any], bool] = lambda value: True
    secret: bool = False
    variable: str = ""

    def refusal(self, value: Any) -> str | None:
        """Why the key cannot have this value, without the value; empty if `allowed` says all. None if it can."""
        if self.variable:
            return refusal(self.variable, str(value))
        return None if self.check(value) else ""

    @property
    def full_name(self) -> str:
        return f"{NAMESPACE}:{self.name}"

    def fix(self) -> str:
        """The command that sets it. Secrets are asked for by the command line, so that they stay out of the shell's history."""
        if self.secret:
            return f"pulumi config set --secret {self.full_name}"
        if self.kind == "array":
            return f"pulumi config set --path '{self.full_name}[0]' {self.example}"
        return f"pulumi config set {self.full_name} {self.example}"


def _between(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: low <= value <= high


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: re.fullmatch(pattern, value) is not None


def _one_of(*values: str) -> Callable[[Any], bool]:
    return lambda value: value in values


def _setting(
    name: str, variable: str, meaning: str, example: str = "", *, default: Any = None, integer: bool = False, more: str = ""
) -> Key:
    """A key that fills one variable of the functions. Type, limits and secrecy are that variable's; so is the default unless given.

    `integer`: the key is an integer, the variable takes fractions as well.
    """
    there = BY_VARIABLE[variable]
    if default is None:
        default = REQUIRED if there.default is None else int(there.default) if integer else there.default
    allowed = f"{'whole ' if integer else ''}{there.allowed}{more}"
    return Key(name, "integer" if integer else "string", default, allowed, meaning, example, secret=there.secret, variable=variable)


_MEMBER = r"(user|group|serviceAccount):[^@\s]+@[^@\s]+|(principal|principalSet)://\S+"

_NEXT_TO_RECALL = ", ".join(f"{google} for {recall}" for recall, google in PAIRED.items())

KEYS: tuple[Key, ...] = (
    # Place
    Key(
        "name",
        "string",
        default="",
        allowed="4-21 lower-case letters, digits and hyphens, beginning with a letter, not `gcp-` or `goog`, without "
        "`google` (buckets refuse it); "
        "empty = `rtmskit-<stack>`",
        meaning="Prefix of every resource's name. Changing it replaces everything, the records included; while "
        "`protect` is true it is refused. "
        "Counters are renamed, not replaced: those with the old name stay at Google.",
        example="rtmskit-prod",
        check=lambda value: not value or NAME.fullmatch(value) is not None,
    ),
    Key(
        "region",
        "string",
        default=REQUIRED,
        allowed=f"one of: {', '.join(REGIONS)}; next to your Recall region: {_NEXT_TO_RECALL}",
        meaning="Google region of functions, queues, schedule, images and buckets. It is not derived from another setting, so that no "
        "other setting changes it. "
        "Changing it replaces functions, queues and buckets, and the database if `databaseLocation` is empty: while `protect` is true it "
        "is refused.",
        example="us-east4",
        check=lambda value: value in REGIONS,
    ),
    Key(
        "secondRegion",
        "string",
        default="",
        allowed="empty = the nearest one of the same jurisdiction (see the table of regions), or a region other than `region`",
        meaning="Where each start is queued a second time, so that an outage of Cloud Tasks in `region` loses none. "
        "Changing it replaces that one "
        "queue: while `protect` is true it is refused.",
        example="us-east1",
        check=lambda value: not value or value in REGIONS,
    ),
    Key(
        "databaseLocation",
        "string",
        default="",
        allowed=f"empty = the same as `region`, a region, or a multi-region: {', '.join(MULTI_REGIONS)}",
        meaning="Where the records are stored. A multi-region costs twice as much and survives the loss of a region. Changing it "
        "replaces the database: "
        "while `protect` is true it is refused.",
        example="nam5",
        check=lambda value: not value or value in REGIONS or value in MULTI_REGIONS,
    ),
    Key(
        "protect",
        "boolean",
        True,
        "true or false",
        "Refuse to delete or replace the resources that hold state: database, queues, archive. Set it to false only before a "
        "tear-down, and "
        "in a `pulumi up` of its own: a run that also moves something stops at the first of them.",
        "true",
    ),
    # Zoom
    _setting("zoomClientId", "ZOOM_CLIENT_ID", "Client ID of the Zoom app. Part of the RTMS signature.", "AbCdEfGhIjKlMnOpQrStUv"),
    _setting("zoomSecretToken", "ZOOM_SECRET_TOKEN", "Secret Token of the Zoom app: verifies each webhook. The webhook alone can read it."),
    _setting(
        "zoomSecretTokenPrevious",
        "ZOOM_SECRET_TOKEN_PREVIOUS",
        "The former Secret Token; accepted as well while Zoom changes to the new one. If it is removed, secret and versions "
        "are deleted at once.",
        more="; not the current one",
    ),
    _setting(
        "zoomClientSecret",
        "ZOOM_CLIENT_SECRET",
        "Client Secret of the Zoom app: signs the RTMS handshake. The worker alone can read it.",
        more="; not the Secret Token",
    ),
    _setting(
        "zoomServerHosts",
        "ZOOM_SERVER_HOSTS",
        "RTMS servers that a stream may be on. A start that names another host is refused, because the stream's signature would go there. "
        "Zoom for Government: `*.zoomgov.com`.",
        "*.zoom.us",
    ),
    _setting(
        "zoomSignatureWindowSeconds",
        "ZOOM_SIGNATURE_WINDOW_S",
        "How old a webhook's timestamp may be. 95 minutes, because Zoom tries again after 5, 25 and 85 minutes "
        "and may keep the first timestamp [inf].",
        "5700",
        integer=True,
    ),
    _setting(
        "zoomConnectWindowSeconds",
        "ZOOM_CONNECT_WINDOW_S",
        "How long after `rtms_started` a stream can still be joined. Zoom: 60 seconds. The webhook's time-out depends on it, too.",
        "60",
        integer=True,
    ),
    _setting(
        "zoomOnDeauthorized",
        "ZOOM_ON_DEAUTHORIZED",
        "How an account's removal of the app is logged: as a NOTICE (an app with many accounts) or as an ALERT (your own account only).",
        "audit",
    ),
    # Recall
    _setting(
        "recallRegion",
        "RECALL_REGION",
        "The region your Recall.ai account and key belong to. Changing it changes where the worker calls, and nothing else.",
        "us-east-1",
        default=REQUIRED,
    ),
    _setting("recallApiKey", "RECALL_API_KEY", "Recall.ai API key. The worker alone can read it."),
    _setting(
        "recallBaseUrl",
        "RECALL_BASE_URL",
        "Where Recall's API is, if the worker must reach it through a proxy of yours. Empty: the address of `recallRegion`.",
        "https://recall-proxy.example.com/api/v1",
    ),
    _setting(
        "recallTimeoutSeconds",
        "RECALL_TIMEOUT_S",
        "How long one call to Recall may take. The longer it is, the fewer tries a start has while Recall is slow.",
        "15",
        integer=True,
    ),
    _setting(
        "recallWebhookSecrets",
        "RECALL_WEBHOOK_SECRETS",
        "Secrets that sign Recall's webhooks (Recall dashboard); two during a rotation. "
        "Empty: Recall's webhooks are refused, and recordings are found by polling only. If it is removed, secret and "
        "versions are deleted at once.",
    ),
    _setting(
        "recallRecordingConfig",
        "RECALL_RECORDING_CONFIG",
        "What Recall records. Empty: the functions' own default.",
        """'{"video_mixed_mp4": {}}'""",
        default="",
    ),
    _setting(
        "recallEntityField",
        "RECALL_ENTITY_FIELD",
        "[inf] The field of `zoom_rtms` that holds the id of a webinar, session, engagement or call. Recall documents meeting_uuid only; "
        "`own` sends webinar_uuid, session_id, engagement_id, call_id.",
        "meeting_uuid",
    ),
    # Functions
    Key(
        "runtime",
        "string",
        default="python313",
        allowed="one of: python312, python313, python314",
        meaning="Python runtime of both functions. The default is the newest Python that this project's CI runs; a "
        "newer one is not run here.",
        example="python313",
        check=_one_of("python312", "python313", "python314"),
    ),
    Key(
        "cpu",
        "string",
        default="1",
        allowed="1, 2 or 4; less than one whole CPU would start too slowly for Zoom's 3 seconds and allow one request at a time",
        meaning="CPUs of one instance of either function.",
        example="1",
        check=_one_of("1", "2", "4"),
    ),
    Key(
        "memory",
        "string",
        default="512Mi",
        allowed="one of: 512Mi, 1Gi, 2Gi, 4Gi; at least 2Gi with 4 CPUs",
        meaning="Memory of one instance of either function.",
        example="512Mi",
        check=_one_of("512Mi", "1Gi", "2Gi", "4Gi"),
    ),
    Key(
        "webhookMinInstances",
        "integer",
        default=WEBHOOK_MIN_INSTANCES,
        allowed="0-100, not above `webhookMaxInstances`",
        meaning="Webhook instances kept warm. 0 costs nothing while idle, but the first event after a pause then waits for a cold start.",
        example="1",
        check=_between(0, 100),
    ),
    Key(
        "webhookMaxInstances",
        "integer",
        default=WEBHOOK_MAX_INSTANCES,
        allowed="1-1000",
        meaning="The largest number of webhook instances.",
        example="20",
        check=_between(1, 1000),
    ),
    Key(
        "webhookConcurrency",
        "integer",
        default=WEBHOOK_CONCURRENCY,
        allowed="1-1000",
        meaning="Requests that one webhook instance handles at once. While Cloud Tasks refuses in both regions, each "
        "start occupies one of them.",
        example="80",
        check=_between(1, 1000),
    ),
    Key(
        "workerMinInstances",
        "integer",
        default=WORKER_MIN_INSTANCES,
        allowed="0-100, not above `workerMaxInstances`",
        meaning="Worker instances kept warm. With 0, a cold start delays the first hand-off after a pause by some seconds of its 60.",
        example="1",
        check=_between(0, 100),
    ),
    Key(
        "workerMaxInstances",
        "integer",
        default=WORKER_MAX_INSTANCES,
        allowed="1-1000; with `workerConcurrency` at least 10 requests at once",
        meaning="The largest number of worker instances. The queues' number of concurrent tasks depends on it, too.",
        example="10",
        check=_between(1, 1000),
    ),
    Key(
        "workerConcurrency",
        "integer",
        default=WORKER_CONCURRENCY,
        allowed="1-1000; with `workerMaxInstances` at least 10 requests at once",
        meaning="Tasks that one worker instance handles at once; it mostly waits for Recall. The queues' number of concurrent tasks "
        "depends on it, too.",
        example="40",
        check=_between(1, 1000),
    ),
    Key(
        "redeploy",
        "string",
        default="",
        allowed="empty, or any text of at most 64 letters, digits, `.`, `:`, `_`, `-`",
        meaning="A new text builds both functions again. This is needed after a failed build, which Pulumi by itself never repeats. "
        "[inf] That Google rebuilds a function whose first build failed is not documented.",
        example="2026-11-29",
        check=_matches(r"[A-Za-z0-9.:_-]{0,64}"),
    ),
    # Retries
    Key(
        "retrievalsPerSecond",
        "integer",
        default=RETRIEVALS_PER_SECOND,
        allowed="1-500",
        meaning="Looks for recordings at Recall per second, below its documented 300 a minute; raise it with your limit.",
        example="4",
        check=_between(1, 500),
    ),
    _setting(
        "retrievalPollSeconds",
        "RETRIEVAL_POLL_S",
        "The longest pause between two looks for a recording that no webhook of Recall's announced.",
        "1800",
        integer=True,
    ),
    _setting(
        "retrievalGiveUpSeconds",
        "RETRIEVAL_GIVE_UP_S",
        "How long after a stream's end its recording is looked for.",
        "86400",
        integer=True,
    ),
    _setting(
        "logIds",
        "LOG_IDS",
        "How log lines show the ids of meetings and streams: plain, or hashed (the first 32 hexadecimal digits of their SHA-256).",
        "plain",
    ),
    # State
    _setting(
        "recordsKeepDays",
        "RECORDS_KEEP_DAYS",
        "How long a stream's records are kept after the last thing that happened to it; then Firestore removes them.",
        "400",
        integer=True,
    ),
    Key(
        "backupDays",
        "integer",
        default=7,
        allowed="0-98; 0 = no backups",
        meaning="Days that a daily backup of the records is kept, besides 7 days of point-in-time recovery.",
        example="7",
        check=_between(0, 98),
    ),
    Key(
        "archive",
        "boolean",
        False,
        "true or false",
        "Copy each finished recording into a bucket of yours. If it is switched off later, nothing more is copied, the bucket and its "
        "recordings stay, and recordings that are revoked from then on are not deleted from it.",
        "true",
    ),
    Key(
        "archiveColdAfterDays",
        "integer",
        default=30,
        allowed="0-3650; 0 = never; below `archiveDeleteAfterDays` if both are set",
        meaning="Days until an archived recording moves to the cheaper Coldline class.",
        example="30",
        check=_between(0, 3650),
    ),
    Key(
        "archiveDeleteAfterDays",
        "integer",
        default=0,
        allowed="0-36500; 0 = never",
        meaning="Days until an archived recording is deleted.",
        example="365",
        check=_between(0, 36500),
    ),
    # Access
    Key(
        "publicWebhook",
        "boolean",
        True,
        "true or false; with false you must let Zoom and Recall in yourself (see org-policies.md)",
        "Grant `allUsers` the right to call the webhook. Zoom and Recall cannot authenticate to Google; the signature protects it.",
        "true",
    ),
    Key(
        "webhookIngress",
        "string",
        default="ALLOW_ALL",
        allowed="ALLOW_ALL or ALLOW_INTERNAL_AND_GCLB",
        meaning="From where the webhook can be reached. The second value is for a load balancer of yours in front (see custom-domain.md).",
        example="ALLOW_ALL",
        check=_one_of("ALLOW_ALL", "ALLOW_INTERNAL_AND_GCLB"),
    ),
    Key(
        "webhookUrl",
        "string",
        default="",
        allowed="empty, or `https://host` without a path",
        meaning="Your own address of the webhook, if it has a custom domain. This address is shown for Zoom and Recall.",
        example="https://rtms.example.com",
        check=lambda value: not value or re.fullmatch(r"https://[a-z0-9-]+(\.[a-z0-9-]+)+", value) is not None,
    ),
    Key(
        "workerCallers",
        "array",
        default=(),
        allowed="IAM members: `user:`, `group:` or `serviceAccount:` with an address, or `principal(Set)://...`; never allUsers",
        meaning="Who else may call the worker: to list recordings and get fresh links. "
        "If it is empty, only Cloud Tasks and Cloud Scheduler of this project can reach it.",
        example="group:recordings@example.com",
        check=lambda value: all(re.fullmatch(_MEMBER, member) for member in value),
    ),
    # Observability
    Key(
        "alertEmails",
        "array",
        default=(),
        allowed="e-mail addresses",
        meaning="Who is notified when a recording is lost, a queue stalls or a function fails (runbook.md). Without any channel "
        "nobody is notified.",
        example="oncall@example.com",
        check=lambda value: all(re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", address) for address in value),
    ),
    Key(
        "alertPubsubTopics",
        "array",
        default=(),
        allowed="Pub/Sub topics: `projects/P/topics/T`",
        meaning="Topics that each alert is published to. Monitoring's own service account needs `roles/pubsub.publisher` on them.",
        example="projects/acme-rtms/topics/alerts",
        check=lambda value: all(
            re.fullmatch(r"projects/[a-z][a-z0-9-]{4,28}[a-z0-9]/topics/[A-Za-z][\w.~+%-]{2,254}", name) for name in value
        ),
    ),
    Key(
        "alertSlackChannel",
        "string",
        default="",
        allowed="empty, or a Slack channel with its `#`; needs `alertSlackToken`",
        meaning="Slack channel that is notified.",
        example="'#oncall'",
        check=lambda value: not value or re.fullmatch(r"#[^\s#]{1,79}", value) is not None,
    ),
    Key(
        "alertSlackToken",
        "string",
        default="",
        allowed="empty, or the token of a Slack app: `xox...`; needs `alertSlackChannel`",
        meaning="Token of a Slack app that may post there.",
        example="",
        check=lambda value: not value or re.fullmatch(r"xox[a-z]-[A-Za-z0-9-]{8,250}", value) is not None,
        secret=True,
    ),
    Key(
        "alertPagerdutyKey",
        "string",
        default="",
        allowed="empty, or the integration key of a PagerDuty service: 32 letters and digits",
        meaning="PagerDuty service that is notified.",
        example="",
        check=lambda value: not value or re.fullmatch(r"[A-Za-z0-9]{32}", value) is not None,
        secret=True,
    ),
    Key(
        "alertWebhookUrl",
        "string",
        default="",
        allowed="empty, or an https address",
        meaning="Address that each alert is posted to. It usually contains a token, so it is a secret.",
        example="",
        check=lambda value: not value or re.fullmatch(r"https://[^\s/]+\.[^\s/]+(/\S*)?", value) is not None,
        secret=True,
    ),
    Key(
        "alertChannels",
        "array",
        default=(),
        allowed="names of channels that exist: `projects/P/notificationChannels/N`",
        meaning="Other notification channels of yours, of any type, that are notified as well.",
        example="projects/acme/notificationChannels/1234567890",
        check=lambda value: all(re.fullmatch(r"projects/[a-z0-9-]+/notificationChannels/[A-Za-z0-9_-]+", name) for name in value),
    ),
    Key(
        "ackLatencyAlertMs",
        "integer",
        default=2000,
        allowed="200-2900; Zoom gives up after 3000",
        meaning="Alert when the 99th percentile of the webhook's answers is slower than this.",
        example="2000",
        check=_between(200, 2900),
    ),
    Key(
        "uptimeCheck",
        "boolean",
        True,
        "true or false; true needs a webhook that the internet can reach",
        "Ask the webhook's /health every five minutes from around the world.",
        "true",
    ),
    # Money
    Key(
        "monthlyBudget",
        "integer",
        default=0,
        allowed="0-1000000, whole units of `budgetCurrency`; 0 = no budget alert; needs `billingAccount`",
        meaning="Google sends a mail at 50, 90 and 100 % of this amount.",
        example="50",
        check=_between(0, 1000000),
    ),
    Key(
        "billingAccount",
        "string",
        default="",
        allowed="empty, or the account's id: `XXXXXX-XXXXXX-XXXXXX`; needs `monthlyBudget`",
        meaning="Billing account the budget belongs to.",
        example="012345-6789AB-CDEF01",
        check=lambda value: not value or re.fullmatch(r"[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}", value) is not None,
    ),
    Key(
        "budgetCurrency",
        "string",
        default="USD",
        allowed="three capital letters: the billing account's currency",
        meaning="Currency of `monthlyBudget`.",
        example="USD",
        check=_matches(r"[A-Z]{3}"),
    ),
    # Deploys from GitHub Actions
    Key(
        "githubRepository",
        "string",
        default="",
        allowed="empty, or `owner/repository`; needs `githubOwnerId`",
        meaning="Repository whose workflows may redeploy the functions' code, without a key (Workload Identity Federation).",
        example="acme/rtms",
        check=lambda value: not value or re.fullmatch(r"[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}", value) is not None,
    ),
    Key(
        "githubDeploys",
        "boolean",
        True,
        "true or false",
        "Whether that repository may deploy. False takes its rights away but keeps the identity pool, because Google blocks the id of a "
        "deleted pool for 30 days.",
        "true",
    ),
    Key(
        "githubPool",
        "string",
        default="github",
        allowed="3-10 lower-case letters, digits and hyphens",
        meaning="Last part of the identity pool's id. Choose another one while Google blocks a deleted id. Changing it replaces pool and "
        "provider: the workflow needs the new output.",
        example="github-2",
        check=_matches(r"[a-z][a-z0-9-]{1,8}[a-z0-9]"),
    ),
    Key(
        "githubOwnerId",
        "string",
        default="",
        allowed="empty, or the owner's number (`gh api users/OWNER --jq .id`); needs `githubRepository`",
        meaning="The owner's number. Somebody else can take an owner's name that is given up, but not the number.",
        example="1234567",
        check=lambda value: not value or re.fullmatch(r"[0-9]{1,20}", value) is not None,
    ),
    Key(
        "githubRef",
        "string",
        default="refs/heads/main",
        allowed="a full git ref: `refs/heads/...` or `refs/tags/...`",
        meaning="Only runs on this ref may deploy.",
        example="refs/heads/main",
        check=_matches(r"refs/(heads|tags)/[A-Za-z0-9._/-]{1,200}"),
    ),
)

BY_NAME = {key.name: key for key in KEYS}

RENAMED = {"queueDispatchesPerSecond": "retrievalsPerSecond"}
"""Keys of earlier versions -> what replaces them."""
