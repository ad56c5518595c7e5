"""Every alert as data: what is wrong, how bad, what fires it, and the section of docs/runbook.md that says what to do. Pure.

Four kinds of condition. A log line (`OnLine`) notifies each time, needs no counter, and works from the first minute; so does an entry of
Cloud Run's own request log (`OnRequest`), which has the requests that no instance took and no metric counts. A PromQL query (`OnQuery`)
compares counters, with the check switched off whether they exist yet. A platform metric (`OnMetric`) is always there.

Severity: CRITICAL and ERROR page somebody. WARNING is a ticket: whatever an anonymous caller can set off is at most that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rtms_infra.config import Alerts as AlertsConfig
from rtms_infra.config import Place

Severity = Literal["CRITICAL", "ERROR", "WARNING"]

COUNTERS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "starts": (("start_acked", "start_seen"), "Starts that the webhook acknowledged, and that the worker saw"),
    "handoffs": (
        ("handoff_created", "handoff_accepted", "handoff_failed", "handoff_expired", "handoff_changed", "handoff_doubled", "not_joined"),
        "Hand-offs, by how they ended",
    ),
    "deliveries": (("delivery",), "Requests that the webhook verified"),
    "refusals": (("delivery_refused", "challenge_refused"), "Requests that the webhook refused"),
    "sweeps": (("sweep",), "Runs of the sweep"),
    "errors": (("error", "library", "archive_failed", "store_away"), "Unexpected errors"),
}
"""Log-based counters: name -> (values of `event` in the functions' logs, meaning). Labels: `event`, and `signed` for refusals."""

HANDOFF_QUEUES = ("handoffs",)
QUEUE_DEPTH = 50
"""Starts that wait in one region. At 100 a second a healthy queue is empty within a second."""

QUEUE_LATE_MS = 10_000
"""A task that is sent this long after it was due has used up a sixth of the time in which a stream can be joined."""

RATE_LIMIT_S = 300
"""Between two notifications about the same line: the same hand-off, queue or recording. Others notify at once."""


SLACK_S = 120
"""How much longer a query looks back than its condition must hold: an evaluation that comes a minute late, and the minute that a log line
needs to be counted [inf]. Without it a single start leaves the window just before the last evaluation that would have noticed it."""


def window(duration_s: int) -> str:
    """How far back a query looks whose condition must hold for `duration_s`, as PromQL has it."""
    return f"[{(duration_s + SLACK_S) // 60}m]"


@dataclass(frozen=True, slots=True)
class OnLine:
    """A line of one function's log. `events`: its `event`; `severity`: at least this, or exactly this with `exactly`."""

    role: Literal["webhook", "worker"]
    events: tuple[str, ...]
    severity: str = ""
    exactly: bool = False
    labels: tuple[str, ...] = ()
    """Fields of the line that separate one incident from another; each combination notifies by itself."""


@dataclass(frozen=True, slots=True)
class OnRequest:
    """A request of one function that Cloud Run answered with `status` by itself. The functions never answer 429.

    `run.googleapis.com/request_count` "excludes requests that do not reach the containers" (evidence/google.md B1).
    """

    role: Literal["webhook", "worker"]
    status: int


@dataclass(frozen=True, slots=True)
class OnQuery:
    """A PromQL query that is true while something is wrong, for `duration_s`."""

    query: str
    duration_s: int


@dataclass(frozen=True, slots=True)
class OnMetric:
    """A platform metric above `threshold` for `duration_s`."""

    filter: str
    aligner: str
    reducer: str
    threshold: float = 0
    duration_s: int = 0
    period_s: int = 60


@dataclass(frozen=True, slots=True)
class Policy:
    """One alert. `key` names it, its resource (`alert-<key>`) and its section of docs/runbook.md."""

    key: str
    title: str
    severity: Severity
    meaning: str
    condition: OnLine | OnRequest | OnQuery | OnMetric | None
    """None: the program adds it (the uptime check's id is known only once it exists)."""


NOT_PAGED: Mapping[str, str] = {
    "dispatch": "only the local queues of `rtmskit serve` print it, on the terminal in front of somebody; deployed queues are Google's",
    "error": "a single one is repeated by its queue; many of them are the policy `errors`",
    "library": "as `error`: counted, and many of them are the policy `errors`",
}
"""Events logged at ERROR or ALERT that no policy names by itself -> why."""


def line_filter(place: Place, line: OnLine) -> str:
    """The condition in Cloud Logging's query language."""
    parts = ['resource.type="cloud_run_revision"', f'resource.labels.service_name="{place.name}-{line.role}"']
    any_event = " OR ".join(f'jsonPayload.event="{event}"' for event in line.events)
    parts.append(f"({any_event})" if len(line.events) > 1 else any_event)
    if line.severity:
        parts.append(f"severity{'=' if line.exactly else '>='}{line.severity}")
    return " AND ".join(parts)


def request_filter(place: Place, request: OnRequest) -> str:
    """The condition in Cloud Logging's query language."""
    parts = ['resource.type="cloud_run_revision"', f'resource.labels.service_name="{place.name}-{request.role}"']
    parts.append(f'logName="projects/{place.project}/logs/run.googleapis.com%2Frequests"')
    return " AND ".join((*parts, f"httpRequest.status={request.status}"))


def counter_filter(place: Place, events: Iterable[str]) -> str:
    """What a log-based counter counts: these events of either function."""
    services = " OR ".join(f'resource.labels.service_name="{place.name}-{role}"' for role in ("webhook", "worker"))
    any_event = " OR ".join(f'jsonPayload.event="{event}"' for event in events)
    return f'resource.type="cloud_run_revision" AND ({services}) AND ({any_event})'


def counter_type(place: Place, name: str) -> str:
    return f"logging.googleapis.com/user/{place.name}-{name}"


def series(place: Place, name: str, event: str, more: str = "") -> str:
    """A counter of one event in PromQL, as Cloud Monitoring names it (the first `/` becomes `:`, all else `_`)."""
    metric = f"logging_googleapis_com:user_{place.name}-{name}".replace("-", "_")
    return f'{metric}{{monitored_resource="cloud_run_revision",event="{event}"{more}}}'


def run_metric(place: Place, role: str, metric: str, more: str = "") -> str:
    where = f'resource.labels.service_name = "{place.name}-{role}"'
    return f'resource.type = "cloud_run_revision" AND {where} AND metric.type = "run.googleapis.com/{metric}"{more}'


def queue_metric(place: Place, kinds: Iterable[str], metric: str, more: str = "") -> str:
    names = " OR ".join(f'resource.labels.queue_id = "{place.name}-{kind}"' for kind in kinds)
    return f'resource.type = "cloud_tasks_queue" AND ({names}) AND metric.type = "cloudtasks.googleapis.com/queue/{metric}"{more}'


def _lost(place: Place) -> Iterable[Policy]:
    yield Policy(
        "lost",
        "A meeting is not recorded",
        "CRITICAL",
        "A hand-off failed, expired or was doubled, or Recall accepted it and nobody joined.",
        OnLine("worker", ("handoff_failed", "handoff_expired", "handoff_doubled", "not_joined"), "ERROR", labels=("handoff",)),
    )
    yield Policy(
        "recording-lost",
        "A recording was not made, failed or is partial",
        "CRITICAL",
        "Recall ended the recording of a meeting without all of its media.",
        OnLine("worker", ("retrieval",), "ERROR", exactly=True, labels=("handoff",)),
    )
    yield Policy(
        "recall-refuses",
        "Recall refuses the key or the account",
        "CRITICAL",
        "Recall answers 401, 402 or 403: every hand-off or look gets the same answer.",
        OnLine("worker", ("attempt", "retrieval"), "ALERT", labels=("status",)),
    )


def _not_usable(place: Place) -> Iterable[Policy]:
    yield Policy(
        "event-unusable",
        "A signed event could not be used",
        "ERROR",
        "Zoom or Recall sent an authentic event that this version does not understand. A copy is kept for 30 days.",
        OnLine("webhook", ("event_unusable",), labels=("name",)),
    )
    yield Policy(
        "task-unusable",
        "The worker cannot read a task",
        "ERROR",
        "A task of an unknown version: the webhook is newer than the worker.",
        OnLine("worker", ("task_unusable",)),
    )


def _recordings(place: Place) -> Iterable[Policy]:
    yield Policy(
        "not-forgotten",
        "A revoked recording is not deleted",
        "CRITICAL",
        "Somebody withdrew the right to keep a recording, and it could not be deleted, or was never seen.",
        OnLine("worker", ("not_forgotten",), labels=("handoff",)),
    )
    yield Policy(
        "foreign-recordings",
        "Recall shows recordings that are not ours",
        "ERROR",
        "Recall's answer held recordings that do not belong to the hand-off. They are not touched.",
        OnLine("worker", ("foreign_recordings",), labels=("handoff",)),
    )
    yield Policy(
        "archive-failed",
        "A recording cannot be archived",
        "ERROR",
        "Copying an artifact to the archive failed; it is tried again.",
        OnLine("worker", ("archive_failed",), labels=("handoff",)),
    )


def _witnesses(place: Place) -> Iterable[Policy]:
    acked_series, seen_series, unseen_s = series(place, "starts", "start_acked"), series(place, "starts", "start_seen"), 120
    yield Policy(
        "start-unseen",
        "Starts are acknowledged and not seen",
        "CRITICAL",
        "The webhook queued starts, and for two minutes the worker saw none.",
        OnQuery(
            f"(sum(increase({acked_series}{window(unseen_s)})) > 0) unless (sum(increase({seen_series}{window(unseen_s)})) > 0)", unseen_s
        ),
    )
    yield Policy(
        "queue-stalled",
        "A queue does not dispatch",
        "CRITICAL",
        "The copy of a start in the second region arrived first, or a daily probe did not arrive.",
        OnLine("worker", ("home_stalled", "probe_missing"), "ALERT", labels=("event",)),
    )


def _queues(place: Place) -> Iterable[Policy]:
    yield Policy(
        "queue-depth",
        "Starts wait in a queue",
        "ERROR",
        f"More than {QUEUE_DEPTH} starts wait in one region.",
        OnMetric(queue_metric(place, HANDOFF_QUEUES, "depth"), "ALIGN_MAX", "REDUCE_MAX", QUEUE_DEPTH, 60),
    )
    yield Policy(
        "queue-late",
        "Starts are sent late",
        "ERROR",
        f"Tasks of starts are sent more than {QUEUE_LATE_MS // 1000} s after they were due.",
        OnMetric(queue_metric(place, HANDOFF_QUEUES, "task_attempt_delays"), "ALIGN_PERCENTILE_95", "REDUCE_MAX", QUEUE_LATE_MS, 60),
    )
    failing = ' AND metric.labels.response_code != "200"'
    yield Policy(
        "tasks-failing",
        "The worker refuses tasks",
        "ERROR",
        "Attempts of tasks do not end with 200; Cloud Tasks slows a queue whose tasks fail.",
        OnMetric(
            queue_metric(place, ("handoffs", "facts", "retrievals"), "task_attempt_count", failing), "ALIGN_DELTA", "REDUCE_SUM", 0, 120
        ),
    )


def _worker_parts(place: Place) -> Iterable[Policy]:
    sweeps = series(place, "sweeps", "sweep")
    yield Policy(
        "sweep-stopped",
        "The sweep does not run",
        "ERROR",
        "There was no sweep for 15 minutes, or none since the deployment: the worker, its grant or the schedule is broken.",
        OnQuery(f"((sum(increase({sweeps}[5m])) or vector(0)) == bool 0) > 0", 900),
    )
    yield Policy(
        "store-away",
        "The records cannot be reached",
        "ERROR",
        "Firestore did not answer within 2 s. Starts are handed on without it.",
        OnLine("worker", ("store_away",), "ERROR", labels=("what",)),
    )


def _functions(place: Place, config: AlertsConfig) -> Iterable[Policy]:
    both: tuple[tuple[Literal["webhook", "worker"], str], ...] = (
        ("webhook", "Zoom's first retry comes after five minutes, when the stream is gone."),
        ("worker", "Tasks and sweeps fail; Cloud Tasks repeats them."),
    )
    for role, sentence in both:
        server = ' AND metric.labels.response_code_class = "5xx"'
        yield Policy(
            f"{role}-errors",
            f"The {role} answers 5xx",
            "ERROR",
            sentence,
            OnMetric(run_metric(place, role, "request_count", server), "ALIGN_DELTA", "REDUCE_SUM"),
        )
        yield Policy(
            f"{role}-full",
            f"The {role} has no instance left",
            "ERROR",
            "Cloud Run answers 429, because no instance is free.",
            OnRequest(role, 429),
        )
    forbidden = ' AND metric.labels.response_code_class = "4xx"'
    yield Policy(
        "worker-refuses",
        "The worker refuses its callers",
        "WARNING",  # with `workerCallers` anybody can reach it and be refused; a queue that is refused is `tasks-failing`
        "The worker answers 4xx: a queue or the schedule lacks its grant, or calls with another identity.",
        OnMetric(run_metric(place, "worker", "request_count", forbidden), "ALIGN_DELTA", "REDUCE_SUM", 0, 120),
    )
    yield Policy(
        "ack-latency",
        "The webhook answers too slowly",
        "WARNING",
        f"The 99th percentile is above {config.ack_latency_ms} ms; Zoom gives up after 3 seconds.",
        OnMetric(run_metric(place, "webhook", "request_latencies"), "ALIGN_PERCENTILE_99", "REDUCE_MAX", config.ack_latency_ms, 300, 300),
    )
    errors = " + ".join(f"(sum(increase({series(place, 'errors', event)}[10m])) or vector(0))" for event in ("error", "library"))
    yield Policy(
        "errors", "Unexpected errors", "WARNING", "More than ten lines `error` were logged in ten minutes.", OnQuery(f"({errors}) > 10", 0)
    )


def _vendors(place: Place) -> Iterable[Policy]:
    refused = series(place, "refusals", "delivery_refused", ',signed="true"')
    verified, none_s = series(place, "deliveries", "delivery"), 300
    yield Policy(
        "signed-refused",
        "Signed events are refused, and none is accepted",
        "WARNING",
        "Requests with Zoom's signature header are refused, and for 5 minutes none was accepted, although some were before.",
        OnQuery(
            f"((sum(increase({refused}{window(none_s)})) > 0) unless (sum(increase({verified}[{none_s // 60}m])) > 0)) "
            f"and (sum(increase({verified}[1d])) > 0)",
            none_s,
        ),
    )
    yield Policy(
        "challenge",
        "Zoom's URL validation fails",
        "WARNING",
        "After six failures in a row Zoom disables the subscription. Anybody can send such a request; compare the time with Zoom's page.",
        OnLine("webhook", ("challenge_refused",)),
    )
    yield Policy(
        "concurrency",
        "Zoom's limit of concurrent streams is reached",
        "ERROR",
        "Zoom starts no further streams for this account.",
        OnLine("webhook", ("concurrency",), "ERROR", labels=("name",)),
    )
    yield Policy(
        "deauthorized",
        "An account removed the app",
        "ERROR",
        "The meetings of this account are no longer recorded. This alert comes only with `zoomOnDeauthorized` set to `alert`.",
        OnLine("webhook", ("app_deauthorized",), "ALERT", labels=("account_id",)),
    )


def policies(place: Place, config: AlertsConfig) -> tuple[Policy, ...]:
    """Every alert, apart from the one on the uptime check (`down`), which needs the check's id."""
    return (
        *_lost(place),
        *_not_usable(place),
        *_recordings(place),
        *_witnesses(place),
        *_queues(place),
        *_worker_parts(place),
        *_functions(place, config),
        *_vendors(place),
    )


def described(place: Place, policy: Policy) -> dict[str, Any]:
    """The condition as Cloud Monitoring takes it, in Pulumi's spelling."""
    condition = policy.condition
    if isinstance(condition, OnLine):
        matched: dict[str, Any] = {"filter": line_filter(place, condition)}
        if condition.labels:
            matched["label_extractors"] = {label: f"EXTRACT(jsonPayload.{label})" for label in condition.labels}
        return {"display_name": policy.title, "condition_matched_log": matched}
    if isinstance(condition, OnRequest):
        return {"display_name": policy.title, "condition_matched_log": {"filter": request_filter(place, condition)}}
    if isinstance(condition, OnQuery):
        query = {
            "query": condition.query,
            "duration": f"{condition.duration_s}s",
            "evaluation_interval": "60s",
            "disable_metric_validation": True,
        }
        return {"display_name": policy.title, "condition_prometheus_query_language": query}
    assert condition is not None
    aggregation = {
        "alignment_period": f"{condition.period_s}s",
        "per_series_aligner": condition.aligner,
        "cross_series_reducer": condition.reducer,
    }
    threshold = {
        "filter": condition.filter,
        "comparison": "COMPARISON_GT",
        "threshold_value": condition.threshold,
        "duration": f"{condition.duration_s}s",
        "aggregations": [aggregation],
        "trigger": {"count": 1},
    }
    return {"display_name": policy.title, "condition_threshold": threshold}
