"""What the program registered, as types: the resources that have a meaning on this machine, and a list of those that have none.

One Struct for each resource type with a meaning, in Pulumi's spelling, read from the registered inputs. `MEANINGS` says what each of them
is here; `WITHOUT` says why others are nothing here. A type in neither of them is reported, never ignored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from rtms_infra.rehearsal.outputs import COMPUTED
from rtms_infra.rehearsal.provider import bare


class Inputs(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The registered inputs of one resource; what is not named here is of no consequence on this machine."""


class SecretVariable(Inputs, frozen=True, kw_only=True):
    key: str
    project_id: str
    secret: str
    version: str


class ServiceConfig(Inputs, frozen=True, kw_only=True):
    """How a function runs. Times in seconds."""

    service_account_email: str
    ingress_settings: str = "ALLOW_ALL"
    timeout_seconds: int = 60
    min_instance_count: int = 0
    max_instance_count: int = 100
    max_instance_request_concurrency: int = 1
    environment_variables: dict[str, str] = {}
    secret_environment_variables: list[SecretVariable] = []


class StorageSource(Inputs, frozen=True, kw_only=True):
    bucket: str
    object: str


class BuildSource(Inputs, frozen=True, kw_only=True):
    storage_source: StorageSource


class BuildConfig(Inputs, frozen=True, kw_only=True):
    runtime: str
    entry_point: str
    source: BuildSource


class Function(Inputs, frozen=True, kw_only=True):
    """A function, which is a Cloud Run service of the same name."""

    name: str
    project: str
    location: str
    build_config: BuildConfig
    service_config: ServiceConfig

    @property
    def path(self) -> str:
        return f"projects/{self.project}/locations/{self.location}/services/{self.name}"

    @property
    def archive_bucket(self) -> str:
        """The bucket that it copies recordings into; empty if it copies none."""
        place = self.service_config.environment_variables.get("ARCHIVE_URL", "")
        return place.removeprefix("gs://").rstrip("/") if place.startswith("gs://") else ""


class RateLimits(Inputs, frozen=True, kw_only=True):
    max_dispatches_per_second: float = 500.0
    max_concurrent_dispatches: int = 1000


class RetryConfig(Inputs, frozen=True, kw_only=True):
    """Durations in Google's words: `"10s"`."""

    max_attempts: int = 100
    max_retry_duration: str = "0s"
    min_backoff: str = "0.1s"
    max_backoff: str = "3600s"
    max_doublings: int = 16


class Queue(Inputs, frozen=True, kw_only=True):
    name: str
    project: str
    location: str
    rate_limits: RateLimits = RateLimits()
    retry_config: RetryConfig = RetryConfig()

    @property
    def path(self) -> str:
        return f"projects/{self.project}/locations/{self.location}/queues/{self.name}"


class OidcToken(Inputs, frozen=True, kw_only=True):
    service_account_email: str
    audience: str = ""


class HttpTarget(Inputs, frozen=True, kw_only=True):
    """`body` in base64."""

    uri: str
    http_method: str = "POST"
    headers: dict[str, str] = {}
    body: str = ""
    oidc_token: OidcToken | None = None


class Job(Inputs, frozen=True, kw_only=True):
    name: str
    project: str
    region: str
    schedule: str
    time_zone: str = "Etc/UTC"
    attempt_deadline: str = "180s"
    http_target: HttpTarget

    @property
    def path(self) -> str:
        return f"projects/{self.project}/locations/{self.region}/jobs/{self.name}"


class Database(Inputs, frozen=True, kw_only=True):
    name: str
    project: str

    @property
    def path(self) -> str:
        return f"projects/{self.project}/databases/{self.name}"


class Field(Inputs, frozen=True, kw_only=True):
    """`index_config` {}: the field has no index. `ttl_config` {}: records go when the time in it has passed."""

    database: str
    collection: str
    field: str
    index_config: dict[str, Any] | None = None
    ttl_config: dict[str, Any] | None = None


class IndexField(Inputs, frozen=True, kw_only=True):
    """`order`: ASCENDING or DESCENDING."""

    field_path: str
    order: str = ""


class Index(Inputs, frozen=True, kw_only=True):
    """A composite index of one collection."""

    database: str
    collection: str
    fields: list[IndexField]


class SecretVersion(Inputs, frozen=True, kw_only=True):
    """`secret`: `projects/P/secrets/ID`."""

    secret: str
    secret_data: str


class Account(Inputs, frozen=True, kw_only=True):
    account_id: str
    project: str


class Condition(Inputs, frozen=True, kw_only=True):
    expression: str


class Member(Inputs, frozen=True, kw_only=True):
    """A grant. Which of the last six names what it is on depends on its type."""

    role: str
    member: str
    project: str = ""
    location: str = ""
    condition: Condition | None = None
    name: str = ""
    secret_id: str = ""
    bucket: str = ""
    service_account_id: str = ""
    repository: str = ""


class CustomRole(Inputs, frozen=True, kw_only=True):
    role_id: str
    project: str
    permissions: list[str]


class Metric(Inputs, frozen=True, kw_only=True):
    """A counter of log lines. `label_extractors`: label -> `EXTRACT(path)`."""

    name: str
    filter: str
    label_extractors: dict[str, str] = {}


class MatchedLog(Inputs, frozen=True, kw_only=True):
    filter: str
    label_extractors: dict[str, str] = {}


class Aggregation(Inputs, frozen=True, kw_only=True):
    alignment_period: str
    per_series_aligner: str
    cross_series_reducer: str = ""
    group_by_fields: list[str] = []


class Threshold(Inputs, frozen=True, kw_only=True):
    filter: str
    comparison: str
    duration: str
    threshold_value: float = 0.0
    aggregations: list[Aggregation] = []


class PromQuery(Inputs, frozen=True, kw_only=True):
    query: str
    duration: str = "0s"
    evaluation_interval: str = "60s"


class AlertCondition(Inputs, frozen=True, kw_only=True):
    """Exactly one of the three."""

    display_name: str
    condition_matched_log: MatchedLog | None = None
    condition_threshold: Threshold | None = None
    condition_prometheus_query_language: PromQuery | None = None


class RateLimit(Inputs, frozen=True, kw_only=True):
    period: str


class AlertStrategy(Inputs, frozen=True, kw_only=True):
    notification_rate_limit: RateLimit | None = None


class AlertPolicy(Inputs, frozen=True, kw_only=True):
    display_name: str
    conditions: list[AlertCondition]
    severity: str = ""
    enabled: bool = True
    notification_channels: list[str] = []
    alert_strategy: AlertStrategy = AlertStrategy()


class Channel(Inputs, frozen=True, kw_only=True):
    type: str
    display_name: str
    labels: dict[str, str] = {}

    @property
    def shown(self) -> str:
        """Who is told, without secrets."""
        return self.labels.get("email_address") or self.labels.get("topic") or f"{self.type} {self.display_name}"


class HttpCheck(Inputs, frozen=True, kw_only=True):
    path: str = "/"


class MonitoredResource(Inputs, frozen=True, kw_only=True):
    labels: dict[str, str] = {}


class UptimeCheck(Inputs, frozen=True, kw_only=True):
    """Durations in Google's words."""

    period: str = "300s"
    timeout: str = "10s"
    http_check: HttpCheck = HttpCheck()
    monitored_resource: MonitoredResource = MonitoredResource()


class Dashboard(Inputs, frozen=True, kw_only=True):
    """`dashboard_json`: as Cloud Monitoring takes it."""

    dashboard_json: str


class Object(Inputs, frozen=True, kw_only=True):
    """A file in a bucket; `source` names the registered file by its SHA-256."""

    bucket: str
    name: str
    source: dict[str, str] = {}


class Bucket(Inputs, frozen=True, kw_only=True):
    name: str


MEANINGS: Mapping[str, tuple[type[Inputs], str]] = {
    "gcp:cloudfunctionsv2/function:Function": (Function, "a process under functions-framework, behind a front as Cloud Run's"),
    "gcp:cloudrunv2/serviceIamMember:ServiceIamMember": (Member, "checked by the front"),
    "gcp:cloudscheduler/job:Job": (Job, "posts as the schedule says"),
    "gcp:cloudtasks/queue:Queue": (Queue, "a queue of the fake Cloud Tasks with these rates and retries"),
    "gcp:cloudtasks/queueIamMember:QueueIamMember": (Member, "checked before Cloud Tasks takes a task"),
    "gcp:firestore/database:Database": (Database, "a database of the Firestore emulator"),
    "gcp:firestore/field:Field": (Field, "a query over a field without an index is refused; records go when their time has passed"),
    "gcp:firestore/index:Index": (Index, "a query over several fields without one is refused"),
    "gcp:logging/metric:Metric": (Metric, "counts the functions' lines"),
    "gcp:monitoring/alertPolicy:AlertPolicy": (AlertPolicy, "evaluated on the clock of this cloud"),
    "gcp:monitoring/dashboard:Dashboard": (Dashboard, "drawn as text, with the values of this cloud"),
    "gcp:monitoring/notificationChannel:NotificationChannel": (Channel, "named where an alert would be sent"),
    "gcp:monitoring/uptimeCheckConfig:UptimeCheckConfig": (UptimeCheck, "asks the webhook's front"),
    "gcp:projects/iAMCustomRole:IAMCustomRole": (CustomRole, "its permissions are what the grants give"),
    "gcp:projects/iAMMember:IAMMember": (Member, "checked before a record is read or written"),
    "gcp:secretmanager/secretIamMember:SecretIamMember": (Member, "checked before a function is given the secret"),
    "gcp:secretmanager/secretVersion:SecretVersion": (SecretVersion, "the value that a function is given"),
    "gcp:serviceaccount/account:Account": (Account, "who a function, a queue or the schedule is"),
    "gcp:serviceaccount/iAMMember:IAMMember": (Member, "checked before a task may carry an identity"),
    "gcp:storage/bucket:Bucket": (Bucket, "the source archive is found in it; that of recordings is a folder"),
    "gcp:storage/bucketIAMMember:BucketIAMMember": (Member, "read, and not checked: nothing asks for the rights on a folder"),
    "gcp:storage/bucketObject:BucketObject": (Object, "the archive that is unpacked and run"),
}
"""Resource type -> (its inputs, what it is on this machine)."""

WITHOUT: Mapping[str, str] = {
    "gcp:artifactregistry/repository:Repository": "no image is built",
    "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember": "no image is built",
    "gcp:billing/budget:Budget": "nothing costs anything",
    "gcp:firestore/backupSchedule:BackupSchedule": "no backup is made",
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": "no workflow of GitHub's deploys",
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": "no workflow of GitHub's deploys",
    "gcp:projects/service:Service": "every API is enabled",
    "gcp:secretmanager/secret:Secret": "its versions are what counts",
}
"""Resource type -> why it is nothing on this machine."""

T = TypeVar("T", bound=Inputs)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One registration as the engine gives it. `project`: of resources that name none."""

    urn: str
    type: str
    name: str
    custom: bool
    inputs: dict[str, Any]
    dependencies: list[str] = []


OPERATION_S: Mapping[str, float] = {
    "gcp:cloudfunctionsv2/function:Function": 60.0,
    "gcp:firestore/database:Database": 5.0,
    "gcp:firestore/field:Field": 60.0,
}
"""How long the creation of a resource takes at least, in seconds; any other takes none [inf]: a build and an operation on a field of
Firestore take a minute or more."""


class UnreadableResource(Exception):
    """A resource whose inputs are not what its type takes."""


class NotRegistered(Exception):
    """Something that is needed here is not registered. The message names it."""


class Registered:
    """Everything that one run of the program registered. `outputs`: the stack's."""

    def __init__(self, entries: Iterable[Entry], outputs: Mapping[str, Any], project: str) -> None:
        self._all = entries = tuple(entries)
        self.entries = tuple(entry for entry in entries if entry.custom)
        self.outputs = outputs
        self.project = project
        self._by_name = {entry.name: entry for entry in self.entries}
        self._by_urn = {entry.urn: entry for entry in entries}

    def of(self, kind: type[T]) -> dict[str, T]:
        """Pulumi name -> inputs, of every resource whose meaning has this type. Raises `UnreadableResource`."""
        return {entry.name: _read(entry, kind) for entry in self.entries if MEANINGS.get(entry.type, (None,))[0] is kind}

    def members(self) -> dict[str, tuple[str, Member]]:
        """Pulumi name of a grant -> (resource type, grant)."""
        return {entry.name: (entry.type, _read(entry, Member)) for entry in self.entries if MEANINGS.get(entry.type, (None,))[0] is Member}

    def computed(self, name: str) -> dict[str, Any]:
        """What Google computes for the resource of this Pulumi name, such as its number or its own name."""
        entry = self._by_name[name]
        return COMPUTED.get(entry.type, lambda p, i, n: {})(self.project, bare(entry.inputs), "1")

    def created(self, same: Collection[str] = ()) -> dict[str, tuple[float, float]]:
        """Pulumi name -> (when its creation begins, when it has ended), in seconds since an `up` began, at the earliest: each begins when
        all that it depends on is there. `same`: names of those that were there before, and take no time."""
        times: dict[str, tuple[float, float]] = {}

        def ended(urn: str) -> float:
            if urn not in times:
                entry = self._by_urn[urn]
                begins = max((ended(needed) for needed in entry.dependencies), default=0.0)
                took = 0.0 if entry.name in same else OPERATION_S.get(entry.type, 0.0)
                times[urn] = begins, begins + took
            return times[urn][1]

        for entry in self.entries:
            ended(entry.urn)
        return {entry.name: times[entry.urn] for entry in self.entries}

    def given(self) -> dict[str, tuple[str, Any]]:
        """Pulumi name -> (type, inputs without the marks of secrets) of every resource."""
        return {entry.name: (entry.type, bare(entry.inputs)) for entry in self.entries}

    def before_deletions(self, former: Registered) -> Registered:
        """With what was registered formerly and is no longer: an `up` deletes last. What has another name is replaced, and not among it."""
        gone = [entry for entry in former._all if entry.urn not in self._by_urn]
        return Registered([*gone, *self._all], self.outputs, self.project)

    def nothing_here(self) -> dict[str, tuple[str, ...]]:
        """Why -> the Pulumi names of resources that have no meaning on this machine."""
        by_reason: dict[str, list[str]] = {}
        for entry in self.entries:
            if entry.type not in MEANINGS:
                reason = WITHOUT.get(entry.type, f"{entry.type} is not known to the rehearsal")
                by_reason.setdefault(reason, []).append(entry.name)
        return {reason: tuple(names) for reason, names in sorted(by_reason.items())}

    def unknown(self) -> tuple[str, ...]:
        """The Pulumi names of resources of a type that this rehearsal does not know at all."""
        return tuple(entry.name for entry in self.entries if entry.type not in MEANINGS and entry.type not in WITHOUT)


def _read(entry: Entry, kind: type[T]) -> T:
    try:
        return msgspec.convert(bare(entry.inputs), kind, strict=False)
    except msgspec.ValidationError as error:
        raise UnreadableResource(f"{entry.name} ({entry.type}): {error}") from None


def seconds(text: str) -> float:
    """Google's `60s` or `0.5s`. Raises ValueError."""
    if not text.endswith("s"):
        raise ValueError(f"{text!r} is no duration of the form 60s")
    return float(text[:-1])
