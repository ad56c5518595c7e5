"""The whole configuration, checked: one frozen `Config` with an object per concept, or one error that lists every problem.

`parse` is pure: it is given the raw configuration as Pulumi hands it over (text by full name) and returns or raises.
Nothing is registered before it has returned. What each key may be is in `keys`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from rtms_infra.keys import BY_NAME, KEYS, NAME, NAMESPACE, RENAMED, REQUIRED, Key
from rtms_infra.numbers import SLOTS_MIN
from rtms_infra.regions import REGIONS

ACCOUNTS = ("webhook", "worker", "events", "retrieve", "sweep", "build", "deployer")
"""The service accounts of a deployment; each is `<name>-<role>`."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret value that does not show itself in a repr, a traceback or a log line."""

    value: str

    def __repr__(self) -> str:
        return "Secret(***)"


@dataclass(frozen=True, slots=True)
class Place:
    """Which project, where, and what everything is called."""

    project: str
    stack: str
    name: str
    region: str
    second_region: str
    database_location: str
    protect: bool

    @property
    def labels(self) -> dict[str, str]:
        """On every resource that can carry labels."""
        stack = re.sub(r"[^a-z0-9_-]", "-", self.stack.lower())[:63]
        return {"app": NAMESPACE, "environment": stack, "managed-by": "pulumi"}


@dataclass(frozen=True, slots=True)
class ZoomApp:
    client_id: str
    secret_token: Secret
    secret_token_previous: Secret | None
    client_secret: Secret
    server_hosts: str
    signature_window_s: int
    connect_window_s: int
    on_deauthorized: str


@dataclass(frozen=True, slots=True)
class RecallAccount:
    region: str
    api_key: Secret
    webhook_secrets: Secret | None
    recording_config: str
    entity_field: str
    base_url: str
    timeout_s: int
    poll_s: int
    give_up_s: int


@dataclass(frozen=True, slots=True)
class Capacity:
    """Size and number of one function's instances."""

    cpu: str
    memory: str
    minimum: int
    maximum: int
    concurrency: int

    @property
    def slots(self) -> int:
        """Requests that all instances together handle at once."""
        return self.maximum * self.concurrency


@dataclass(frozen=True, slots=True)
class Archiving:
    on: bool
    cold_after_days: int
    delete_after_days: int


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call what."""

    public_webhook: bool
    webhook_ingress: str
    webhook_url: str
    worker_callers: tuple[str, ...]

    @property
    def worker_ingress(self) -> str:
        """Cloud Tasks and Cloud Scheduler of the same project count as internal traffic; configured callers do not."""
        return "ALLOW_ALL" if self.worker_callers else "ALLOW_INTERNAL_ONLY"


@dataclass(frozen=True, slots=True)
class Alerts:
    """Who is notified, and when. `existing`: channels that somebody else made."""

    emails: tuple[str, ...]
    topics: tuple[str, ...]
    existing: tuple[str, ...]
    slack_channel: str
    slack_token: Secret | None
    pagerduty_key: Secret | None
    webhook_url: Secret | None
    ack_latency_ms: int
    uptime_check: bool

    @property
    def channels(self) -> int:
        """How many channels there are."""
        single = (self.slack_token, self.pagerduty_key, self.webhook_url)
        return len({*self.emails}) + len({*self.topics}) + len({*self.existing}) + sum(value is not None for value in single)


@dataclass(frozen=True, slots=True)
class Budget:
    account: str
    units: int
    currency: str


@dataclass(frozen=True, slots=True)
class GitHub:
    repository: str
    owner_id: str
    ref: str
    deploys: bool
    pool: str


@dataclass(frozen=True, slots=True)
class Config:
    """All of it, checked. One object per concept."""

    place: Place
    zoom: ZoomApp
    recall: RecallAccount
    runtime: str
    redeploy: str
    webhook: Capacity
    worker: Capacity
    retrievals_per_second: int
    log_ids: str
    records_keep_days: int
    backup_days: int
    archive: Archiving
    access: Access
    alerts: Alerts
    budget: Budget | None
    github: GitHub | None

    @property
    def regions(self) -> tuple[str, str]:
        """The home region and the second one of the hand-off queues."""
        return self.place.region, self.place.second_region


class ConfigError(Exception):
    """The configuration is unusable. `problems` holds one paragraph for each key at fault; nothing was registered."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"The configuration has {count}; nothing was changed.\n\n" + "\n\n".join(problems) + "\n")


def _problem(name: str, actual: str, allowed: str, fix: str) -> str:
    return f"{name}\n  found:   {actual}\n  allowed: {allowed}\n  fix:     {fix}"


def _shown(key: Key, raw: str) -> str:
    if key.secret:
        return f"a secret of {len(raw)} characters (not shown)" if raw else "nothing"
    return ascii(raw if len(raw) <= MAX_SHOWN else raw[:MAX_SHOWN] + "...") if raw else "nothing"


_INTEGER = re.compile(r"-?[0-9]{1,12}")
MAX_SHOWN = 200


def _typed(key: Key, raw: str) -> Any:
    """Text -> value of the key's kind. Raises ValueError, KeyError or RecursionError."""
    raw.encode()  # half a character pair cannot be sent anywhere
    if key.kind == "integer":
        if not _INTEGER.fullmatch(raw):  # int() also takes underscores, blanks and the digits of other scripts
            raise ValueError("not an integer")
        return int(raw)
    if key.kind == "boolean":
        return {"true": True, "false": False}[raw]
    if key.kind == "array":
        items = json.loads(raw)
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise ValueError("not an array of strings")
        "".join(items).encode()
        return tuple(items)
    return raw


def _read(values: Mapping[str, str], secret_names: Collection[str], problems: list[str]) -> dict[str, Any]:
    """Each key's value, or its default; every key that is wrong by itself is reported."""
    settings: dict[str, Any] = {}
    for key in KEYS:
        raw = values.get(key.full_name, "")
        if not raw:
            if key.default is REQUIRED:
                problems.append(_problem(key.full_name, "nothing", key.allowed, key.fix()))
            else:
                settings[key.name] = key.default
            continue
        if key.secret and key.full_name not in secret_names:
            problems.append(_problem(key.full_name, "a value stored as plain text", "a secret: " + key.allowed, key.fix()))
        try:
            value = _typed(key, raw)
        except (ValueError, KeyError, RecursionError):
            problems.append(_problem(key.full_name, _shown(key, raw), f"{key.kind}: {key.allowed}", key.fix()))
            continue
        reason = key.refusal(value)
        if reason is None:
            settings[key.name] = value
        else:
            because = f": {reason[:MAX_SHOWN]}" if reason else ""  # a reason may quote a part of the text
            problems.append(_problem(key.full_name, _shown(key, raw) + because, key.allowed, key.fix()))
    return settings


def _unknown(values: Mapping[str, str]) -> list[str]:
    problems = []
    for name in sorted(values):
        namespace, _, short = name.partition(":")
        if namespace == NAMESPACE and short not in BY_NAME:
            if short in RENAMED:
                problems.append(_problem(name, "a key of an earlier version", f"`{RENAMED[short]}` instead", f"pulumi config rm {name}"))
                continue
            near = difflib.get_close_matches(short, BY_NAME, n=1)
            allowed = (
                f"did you mean `{near[0]}`?" if near else "see https://github.com/rtmskit/rtmskit/blob/main/docs/configuration-infra.md"
            )
            problems.append(_problem(name, "a key that does not exist", allowed, f"pulumi config rm {name}"))
    return problems


@dataclass(frozen=True, slots=True)
class _Rule:
    """What two keys must fulfil together; `fix` are the commands of one way out."""

    names: tuple[str, str]
    holds: Callable[[dict[str, Any]], bool]
    allowed: str
    fix: str


def _second(settings: dict[str, Any]) -> str:
    return settings["secondRegion"] or REGIONS[settings["region"]].second


_RULES = (
    _Rule(
        ("webhookMinInstances", "webhookMaxInstances"),
        lambda c: c["webhookMinInstances"] <= c["webhookMaxInstances"],
        "a minimum that is not above the maximum",
        "pulumi config set rtmskit:webhookMinInstances 0",
    ),
    _Rule(
        ("workerMinInstances", "workerMaxInstances"),
        lambda c: c["workerMinInstances"] <= c["workerMaxInstances"],
        "a minimum that is not above the maximum",
        "pulumi config set rtmskit:workerMinInstances 0",
    ),
    _Rule(
        ("workerMaxInstances", "workerConcurrency"),
        lambda c: c["workerMaxInstances"] * c["workerConcurrency"] >= SLOTS_MIN,
        f"at least {SLOTS_MIN} requests at once (instances x concurrency): each of the four queues takes a share of them",
        "pulumi config set rtmskit:workerConcurrency 40",
    ),
    _Rule(
        ("secondRegion", "region"),
        lambda c: bool(_second(c)) and _second(c) != c["region"],
        "a second region other than `region`; where `region` has no neighbour in its jurisdiction it must be stated",
        "pulumi config set rtmskit:secondRegion us-east1",
    ),
    _Rule(
        ("memory", "cpu"),
        lambda c: c["cpu"] != "4" or c["memory"] in ("2Gi", "4Gi"),
        "at least 2Gi of memory with 4 CPUs",
        "pulumi config set rtmskit:memory 2Gi",
    ),
    _Rule(
        ("archiveColdAfterDays", "archiveDeleteAfterDays"),
        lambda c: not c["archiveDeleteAfterDays"] or c["archiveColdAfterDays"] < c["archiveDeleteAfterDays"],
        "moving to Coldline before deletion: `archiveColdAfterDays` below `archiveDeleteAfterDays`",
        "pulumi config set rtmskit:archiveColdAfterDays 0",
    ),
    _Rule(
        ("monthlyBudget", "billingAccount"),
        lambda c: bool(c["monthlyBudget"]) == bool(c["billingAccount"]),
        "both `monthlyBudget` and `billingAccount`, or neither",
        "pulumi config set rtmskit:monthlyBudget 50; pulumi config set rtmskit:billingAccount 012345-6789AB-CDEF01",
    ),
    _Rule(
        ("alertSlackToken", "alertSlackChannel"),
        lambda c: bool(c["alertSlackToken"]) == bool(c["alertSlackChannel"]),
        "both `alertSlackChannel` and `alertSlackToken`, or neither",
        "pulumi config set rtmskit:alertSlackChannel '#oncall'; pulumi config set --secret rtmskit:alertSlackToken",
    ),
    _Rule(
        ("alertEmails", "alertPubsubTopics"),
        lambda c: len({*c["alertEmails"], *c["alertPubsubTopics"], *c.get("alertChannels", ())}) <= 13,
        "at most 13 addresses, topics and existing channels together: a policy takes 16 channels, three are for Slack, PagerDuty, webhook",
        "pulumi config rm rtmskit:alertEmails",
    ),
    _Rule(
        ("githubOwnerId", "githubRepository"),
        lambda c: bool(c["githubOwnerId"]) == bool(c["githubRepository"]),
        "both `githubRepository` and `githubOwnerId`, or neither",
        "pulumi config set rtmskit:githubRepository acme/rtms; pulumi config set rtmskit:githubOwnerId 1234567",
    ),
    _Rule(
        ("uptimeCheck", "publicWebhook"),
        lambda c: not c["uptimeCheck"] or c["publicWebhook"],
        "an uptime check of a public webhook only: without `publicWebhook` Google's checkers are refused",
        "pulumi config set rtmskit:uptimeCheck false",
    ),
    _Rule(
        ("webhookUrl", "webhookIngress"),
        lambda c: c["webhookIngress"] == "ALLOW_ALL" or bool(c["webhookUrl"]),
        "the load balancer's address as `webhookUrl`, since with ALLOW_INTERNAL_AND_GCLB nothing else can reach the webhook",
        "pulumi config set rtmskit:webhookUrl https://rtms.example.com",
    ),
    _Rule(
        ("zoomSecretTokenPrevious", "zoomSecretToken"),
        lambda c: c["zoomSecretTokenPrevious"] != c["zoomSecretToken"],
        "a previous token that differs from the current one; without a rotation none",
        "pulumi config rm rtmskit:zoomSecretTokenPrevious",
    ),
    _Rule(
        ("zoomClientSecret", "zoomSecretToken"),
        lambda c: c["zoomClientSecret"] != c["zoomSecretToken"],
        "two different values: Client Secret (Basic Information) and Secret Token (Access) are not the same thing",
        "pulumi config set --secret rtmskit:zoomClientSecret",
    ),
)


def _broken_rules(settings: dict[str, Any]) -> list[str]:
    problems = []
    for rule in _RULES:
        if all(name in settings for name in rule.names) and not rule.holds(settings):
            keys = [BY_NAME[name] for name in rule.names]
            actual = ", ".join(f"{key.name} = {'(secret)' if key.secret else settings[key.name]!r}" for key in keys)
            problems.append(_problem(" with ".join(key.full_name for key in keys), actual, rule.allowed, rule.fix))
    return problems


def _secret(value: str) -> Secret | None:
    return Secret(value) if value else None


def _alerts(settings: Mapping[str, Any]) -> Alerts:
    return Alerts(
        settings["alertEmails"],
        settings["alertPubsubTopics"],
        existing=settings["alertChannels"],
        slack_channel=settings["alertSlackChannel"],
        slack_token=_secret(settings["alertSlackToken"]),
        pagerduty_key=_secret(settings["alertPagerdutyKey"]),
        webhook_url=_secret(settings["alertWebhookUrl"]),
        ack_latency_ms=settings["ackLatencyAlertMs"],
        uptime_check=settings["uptimeCheck"],
    )


def _github(settings: Mapping[str, Any]) -> GitHub | None:
    if not settings["githubRepository"]:
        return None
    names = ("githubRepository", "githubOwnerId", "githubRef", "githubDeploys", "githubPool")
    return GitHub(*(settings[name] for name in names))


def _own_accounts(settings: dict[str, Any], name: str, project: str) -> list[str]:
    """The program's own service accounts among the callers: removing one of them later would take its own right away."""
    own = {f"serviceAccount:{name}-{role}@{project}.iam.gserviceaccount.com" for role in ACCOUNTS}
    key = BY_NAME["workerCallers"]
    return [
        _problem(key.full_name, repr(member), "others than this deployment's own accounts, which have their rights already", key.fix())
        for member in map(_member, settings.get("workerCallers", ()))
        if member in own
    ]


def _member(text: str) -> str:
    """A member as IAM knows it: an e-mail address or a domain in lower case. IAM would take two spellings for one, and Pulumi for two."""
    kind, colon, name = text.partition(":")
    return f"{kind}{colon}{name.lower()}" if kind in ("user", "group", "serviceAccount", "domain") else text


_PROJECT_ID = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")


def parse(values: Mapping[str, str], secret_names: Collection[str], stack: str) -> Config:
    """Check the whole configuration of `stack`.

    `values` maps full names (``rtmskit:region``, ``gcp:project``) to text, arrays as JSON; `secret_names` are those that Pulumi
    holds encrypted. Raises `ConfigError` with every problem at once; secret values are never part of it.
    """
    problems: list[str] = []
    project = _project(values, problems)
    settings = _read(values, secret_names, problems)
    name = settings.get("name") or f"{NAMESPACE}-{stack}"
    if "name" in settings and not NAME.fullmatch(name):
        key = BY_NAME["name"]
        problems.append(_problem(key.full_name, f"nothing, and the stack's name makes it {name!r}", key.allowed, key.fix()))
    problems += _own_accounts(settings, name, project)
    problems += _broken_rules(settings)
    problems += _unknown(values)
    if problems:
        raise ConfigError(problems)
    region = settings["region"]
    return _config(
        settings,
        Place(
            project,
            stack,
            name=name,
            region=region,
            second_region=_second(settings),
            database_location=settings["databaseLocation"] or region,
            protect=settings["protect"],
        ),
    )


def _project(values: Mapping[str, str], problems: list[str]) -> str:
    project = values.get("gcp:project", "")
    if not _PROJECT_ID.fullmatch(project):
        actual = repr(project) if project else "nothing"
        allowed = "the id of your Google Cloud project: 6-30 lower-case letters, digits and hyphens"
        problems.append(_problem("gcp:project", actual, allowed, "pulumi config set gcp:project my-project-id"))
    return project


def _zoom_app(settings: Mapping[str, Any]) -> ZoomApp:
    return ZoomApp(
        settings["zoomClientId"],
        Secret(settings["zoomSecretToken"]),
        secret_token_previous=_secret(settings["zoomSecretTokenPrevious"]),
        client_secret=Secret(settings["zoomClientSecret"]),
        server_hosts=settings["zoomServerHosts"],
        signature_window_s=settings["zoomSignatureWindowSeconds"],
        connect_window_s=settings["zoomConnectWindowSeconds"],
        on_deauthorized=settings["zoomOnDeauthorized"],
    )


def _recall_account(settings: Mapping[str, Any]) -> RecallAccount:
    return RecallAccount(
        settings["recallRegion"],
        Secret(settings["recallApiKey"]),
        webhook_secrets=_secret(settings["recallWebhookSecrets"]),
        recording_config=settings["recallRecordingConfig"],
        entity_field=settings["recallEntityField"],
        base_url=settings["recallBaseUrl"],
        timeout_s=settings["recallTimeoutSeconds"],
        poll_s=settings["retrievalPollSeconds"],
        give_up_s=settings["retrievalGiveUpSeconds"],
    )


def _config(settings: Mapping[str, Any], place: Place) -> Config:
    return Config(
        place=place,
        zoom=_zoom_app(settings),
        recall=_recall_account(settings),
        runtime=settings["runtime"],
        redeploy=settings["redeploy"],
        webhook=Capacity(
            settings["cpu"],
            settings["memory"],
            settings["webhookMinInstances"],
            settings["webhookMaxInstances"],
            settings["webhookConcurrency"],
        ),
        worker=Capacity(
            settings["cpu"],
            settings["memory"],
            settings["workerMinInstances"],
            settings["workerMaxInstances"],
            settings["workerConcurrency"],
        ),
        retrievals_per_second=settings["retrievalsPerSecond"],
        log_ids=settings["logIds"],
        records_keep_days=settings["recordsKeepDays"],
        backup_days=settings["backupDays"],
        archive=Archiving(settings["archive"], settings["archiveColdAfterDays"], settings["archiveDeleteAfterDays"]),
        access=Access(
            settings["publicWebhook"],
            settings["webhookIngress"],
            settings["webhookUrl"],
            tuple(dict.fromkeys(map(_member, settings["workerCallers"]))),
        ),
        alerts=_alerts(settings),
        budget=Budget(settings["billingAccount"], settings["monthlyBudget"], settings["budgetCurrency"])
        if settings["monthlyBudget"]
        else None,
        github=_github(settings),
    )
