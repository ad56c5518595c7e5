"""Seeing that it works, and being told when it does not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_gcp import billing, logging, monitoring

from rtms_infra.apis import Apis
from rtms_infra.config import Alerts as AlertsConfig
from rtms_infra.config import Budget as BudgetConfig
from rtms_infra.config import Place

METRICS = {
    "handoffs": (
        ("handoff_created", "handoff_accepted", "handoff_failed", "handoff_expired", "handoff_changed", "handoff_doubled"),
        "Hand-offs by what became of them",
    ),
    "refusals": (("delivery_refused", "challenge_refused"), "Requests that the webhook refused"),
    "sweeps": (("sweep",), "Runs of the sweep"),
    "errors": (("error", "archive_failed"), "Unexpected errors, and artifacts that could not be archived"),
}
"""Log-based counters: name -> (values of `event` in the functions' logs, meaning). Each counter has the label `event`."""

QUEUE_LATE_MS = 10_000
"""A task that is sent this long after it was due has used up a sixth of the time in which a stream can be joined."""


@dataclass(frozen=True, slots=True)
class Condition:
    """When an alert fires. `absent`: when nothing came for `duration_s`; otherwise above `threshold`."""

    name: str
    filter: str
    aligner: str
    threshold: float = 0
    duration_s: int = 0
    reducer: str = "REDUCE_SUM"
    period_s: int = 60
    absent: bool = False

    def described(self) -> monitoring.AlertPolicyConditionArgsDict:
        aggregations: list[Any] = [
            {"alignment_period": f"{self.period_s}s", "per_series_aligner": self.aligner, "cross_series_reducer": self.reducer}
        ]
        if self.absent:
            return {
                "display_name": self.name,
                "condition_absent": {"filter": self.filter, "duration": f"{self.duration_s}s", "aggregations": aggregations},
            }
        return {
            "display_name": self.name,
            "condition_threshold": {
                "filter": self.filter,
                "comparison": "COMPARISON_GT",
                "threshold_value": self.threshold,
                "duration": f"{self.duration_s}s",
                "aggregations": aggregations,
                "trigger": {"count": 1},
            },
        }


def _counted(place: Place, metric: str, events: tuple[str, ...]) -> str:
    wanted = ", ".join(f'"{event}"' for event in events)
    return (
        f'resource.type = "cloud_run_revision" AND metric.type = "{_metric_type(place, metric)}" AND metric.labels.event = one_of({wanted})'
    )


def _metric_type(place: Place, metric: str) -> str:
    return f"logging.googleapis.com/user/{place.name}-{metric}"


def _run(place: Place, role: str, metric: str, more: str = "") -> str:
    where = f'resource.labels.service_name = "{place.name}-{role}"'
    return f'resource.type = "cloud_run_revision" AND {where} AND metric.type = "run.googleapis.com/{metric}"{more}'


def _queue(place: Place, metric: str) -> str:
    where = f'resource.labels.queue_id = "{place.name}-handoffs"'
    return f'resource.type = "cloud_tasks_queue" AND {where} AND metric.type = "cloudtasks.googleapis.com/queue/{metric}"'


@dataclass(frozen=True, slots=True)
class Policy:
    """One alert: what is wrong, how bad, what to do."""

    key: str
    title: str
    severity: str
    advice: str
    conditions: tuple[Condition, ...]


def policies(place: Place, config: AlertsConfig) -> tuple[Policy, ...]:
    """Every alert, apart from the one on the uptime check (that needs the check's id)."""
    return (
        Policy(
            "lost",
            "A recording was lost or doubled",
            "CRITICAL",
            "A hand-off failed, expired, or Recall made two recordings of it. The log line with the same time says why: look for "
            '`jsonPayload.event =~ "handoff_(failed|expired|doubled)"`. 401 and 403 hit every hand-off: check key and region first.',
            (
                Condition(
                    "failed, expired or doubled",
                    _counted(place, "handoffs", ("handoff_failed", "handoff_expired", "handoff_doubled")),
                    "ALIGN_DELTA",
                ),
            ),
        ),
        Policy(
            "webhook-errors",
            "The webhook answers 5xx",
            "ERROR",
            "Zoom's first retry comes after five minutes, when the stream is gone. Look at the webhook's log for `error`.",
            (
                Condition(
                    "5xx",
                    _run(place, "webhook", "request_count", ' AND metric.labels.response_code_class = "5xx"'),
                    "ALIGN_DELTA",
                ),
            ),
        ),
        Policy(
            "ack-latency",
            "The webhook answers too slowly",
            "WARNING",
            "Zoom gives up after 3 seconds. Cold starts: raise `webhookMinInstances`. Load: raise `webhookMaxInstances`.",
            (
                Condition(
                    f"99th percentile above {config.ack_latency_ms} ms",
                    _run(place, "webhook", "request_latencies"),
                    "ALIGN_PERCENTILE_99",
                    threshold=config.ack_latency_ms,
                    duration_s=300,
                    reducer="REDUCE_MAX",
                    period_s=300,
                ),
            ),
        ),
        Policy(
            "queue-late",
            "Tasks wait in the queue",
            "ERROR",
            "A stream can be joined for 60 seconds. Raise `workerMaxInstances`.",
            (
                Condition(
                    f"sent more than {QUEUE_LATE_MS // 1000} s late",
                    _queue(place, "task_attempt_delays"),
                    "ALIGN_PERCENTILE_95",
                    threshold=QUEUE_LATE_MS,
                    duration_s=120,
                    reducer="REDUCE_MAX",
                ),
            ),
        ),
        Policy(
            "challenge",
            "Zoom's URL validation fails",
            "CRITICAL",
            "After six failures in a row Zoom disables the subscription and no meeting is recorded. Compare `zoomSecretToken` with the "
            "Secret Token at Zoom, then run `rtmskit doctor`.",
            (Condition("challenge refused", _counted(place, "refusals", ("challenge_refused",)), "ALIGN_DELTA"),),
        ),
        Policy(
            "sweep-stopped",
            "The sweep has stopped",
            "ERROR",
            "Nothing heals what was lost between webhook and worker. Look at the Cloud Scheduler job and the worker's log.",
            (
                Condition(
                    "no sweep for 15 minutes",
                    _counted(place, "sweeps", ("sweep",)),
                    "ALIGN_DELTA",
                    duration_s=900,
                    absent=True,
                ),
            ),
        ),
    )


class Observability(pulumi.ComponentResource):
    """Counters from the logs, alerts, an uptime check and a dashboard.

    Creates:
        metric-*: counts log lines of both functions by their `event`
        email-*: whom alerts are sent to
        alert-*: one alert, with what to do in its text
        uptime: asks the webhook's /health every five minutes
        dashboard: hand-offs, answers, latencies, queue and instances on one page

    Costs: nothing at this volume: log-based metrics, alerts and an uptime check lie within the free allotments.
    """

    def __init__(
        self, place: Place, config: AlertsConfig, webhook_host: pulumi.Output[str], needs: list[pulumi.Resource], apis: Apis
    ) -> None:
        super().__init__("rtmskit:infra:Observability", "observability")
        monitored = pulumi.ResourceOptions(parent=self, depends_on=apis.before("monitoring"))
        metrics = [
            logging.Metric(
                f"metric-{name}",
                project=place.project,
                name=f"{place.name}-{name}",
                description=meaning,
                filter=_log_filter(place, events),
                metric_descriptor={
                    "metric_kind": "DELTA",
                    "value_type": "INT64",
                    "unit": "1",
                    "labels": [{"key": "event", "value_type": "STRING", "description": "The log line's event"}],
                },
                label_extractors={"event": "EXTRACT(jsonPayload.event)"},
                opts=pulumi.ResourceOptions(parent=self, depends_on=apis.before("logging")),
            )
            for name, (events, meaning) in METRICS.items()
        ]
        self.channels = [
            monitoring.NotificationChannel(
                f"email-{index}",
                project=place.project,
                display_name=f"{place.name}: {address}",
                type="email",
                labels={"email_address": address},
                user_labels=place.labels,
                opts=monitored,
            )
            for index, address in enumerate(config.emails)
        ]
        # An alert on a log-based counter is refused until the counter exists.
        alerted = pulumi.ResourceOptions(parent=self, depends_on=[*apis.before("monitoring"), *metrics, *needs])
        for policy in policies(place, config):
            self._alert(place, policy, alerted)
        if config.uptime_check:
            uptime = monitoring.UptimeCheckConfig(
                "uptime",
                project=place.project,
                display_name=f"{place.name} webhook",
                timeout="10s",
                period="300s",
                http_check={"path": "/health", "port": 443, "use_ssl": True, "validate_ssl": True, "request_method": "GET"},
                monitored_resource={"type": "uptime_url", "labels": {"project_id": place.project, "host": webhook_host}},
                user_labels=place.labels,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[*apis.before("monitoring"), *needs]),
            )
            self._uptime_alert(place, uptime, alerted)
        self.dashboard = monitoring.Dashboard(
            "dashboard",
            project=place.project,
            dashboard_json=json.dumps(_dashboard(place), sort_keys=True),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*apis.before("monitoring"), *metrics]),
        )
        self.register_outputs({})

    def _alert(self, place: Place, policy: Policy, opts: pulumi.ResourceOptions) -> None:
        monitoring.AlertPolicy(
            f"alert-{policy.key}",
            project=place.project,
            display_name=f"{place.name}: {policy.title}",
            combiner="OR",
            severity=policy.severity,
            conditions=[condition.described() for condition in policy.conditions],
            documentation={"mime_type": "text/markdown", "content": policy.advice},
            notification_channels=[channel.name for channel in self.channels],
            alert_strategy={"auto_close": "86400s"},
            user_labels=place.labels,
            opts=opts,
        )

    def _uptime_alert(self, place: Place, uptime: monitoring.UptimeCheckConfig, opts: pulumi.ResourceOptions) -> None:
        monitoring.AlertPolicy(
            "alert-down",
            project=place.project,
            display_name=f"{place.name}: The webhook cannot be reached",
            combiner="OR",
            severity="CRITICAL",
            conditions=[
                {
                    "display_name": "uptime check fails in two regions or more",
                    "condition_threshold": {
                        "filter": pulumi.Output.concat(
                            'resource.type = "uptime_url" AND metric.type = "monitoring.googleapis.com/uptime_check/check_passed" '
                            'AND metric.labels.check_id = "',
                            uptime.uptime_check_id,
                            '"',
                        ),
                        "comparison": "COMPARISON_GT",
                        "threshold_value": 1,
                        "duration": "300s",
                        "aggregations": [
                            {
                                "alignment_period": "300s",
                                "per_series_aligner": "ALIGN_NEXT_OLDER",
                                "cross_series_reducer": "REDUCE_COUNT_FALSE",
                                "group_by_fields": ["resource.label.host"],
                            }
                        ],
                        "trigger": {"count": 1},
                    },
                }
            ],
            documentation={
                "mime_type": "text/markdown",
                "content": "Nobody can reach the webhook, Zoom included. Run `rtmskit doctor` against it.",
            },
            notification_channels=[channel.name for channel in self.channels],
            alert_strategy={"auto_close": "86400s"},
            user_labels=place.labels,
            opts=opts,
        )


def _log_filter(place: Place, events: tuple[str, ...]) -> str:
    services = " OR ".join(f'resource.labels.service_name="{place.name}-{role}"' for role in ("webhook", "worker"))
    wanted = " OR ".join(f'jsonPayload.event="{event}"' for event in events)
    return f'resource.type="cloud_run_revision" AND ({services}) AND ({wanted})'


def _chart(title: str, query: str, aligner: str, group: list[str], reducer: str = "REDUCE_SUM") -> dict[str, Any]:
    # The API drops zeros and empty lists, and what it has dropped differs for ever.
    aggregation: dict[str, Any] = {"alignmentPeriod": "60s", "perSeriesAligner": aligner, "crossSeriesReducer": reducer}
    if group:
        aggregation["groupByFields"] = group
    return {
        "title": title,
        "xyChart": {
            "dataSets": [{"plotType": "LINE", "timeSeriesQuery": {"timeSeriesFilter": {"filter": query, "aggregation": aggregation}}}]
        },
    }


def _dashboard(place: Place) -> dict[str, Any]:
    def metric(name: str) -> str:
        return f'resource.type = "cloud_run_revision" AND metric.type = "{_metric_type(place, name)}"'

    service = ["resource.label.service_name"]
    charts = [
        _chart("Hand-offs", metric("handoffs"), "ALIGN_DELTA", ["metric.label.event"]),
        _chart("Refused requests", metric("refusals"), "ALIGN_DELTA", ["metric.label.event"]),
        _chart("Webhook: answers", _run(place, "webhook", "request_count"), "ALIGN_DELTA", ["metric.label.response_code_class"]),
        _chart(
            "Webhook: 99th percentile (ms; Zoom's limit is 3000)",
            _run(place, "webhook", "request_latencies"),
            "ALIGN_PERCENTILE_99",
            service,
            "REDUCE_MAX",
        ),
        _chart("Queue: depth", _queue(place, "depth"), "ALIGN_MAX", [], "REDUCE_MAX"),
        _chart("Queue: lateness, 95th percentile (ms)", _queue(place, "task_attempt_delays"), "ALIGN_PERCENTILE_95", [], "REDUCE_MAX"),
        _chart("Worker: answers", _run(place, "worker", "request_count"), "ALIGN_DELTA", ["metric.label.response_code_class"]),
        _chart("Errors", metric("errors"), "ALIGN_DELTA", ["metric.label.event"]),
    ]
    tiles = [
        {
            **({"xPos": 24} if index % 2 else {}),
            **({"yPos": 16 * (index // 2)} if index // 2 else {}),
            "width": 24,
            "height": 16,
            "widget": chart,
        }
        for index, chart in enumerate(charts)
    ]
    return {"displayName": place.name, "mosaicLayout": {"columns": 48, "tiles": tiles}}


class Spending(pulumi.ComponentResource):
    """A mail before the bill surprises anybody.

    Creates:
        budget: tells the alert addresses, and the billing administrators, at 50, 90 and 100 % of the month's amount

    Costs: nothing. It stops nothing either: budgets only tell.
    """

    def __init__(
        self, place: Place, config: BudgetConfig, project_number: pulumi.Output[Any], observability: Observability, apis: Apis
    ) -> None:
        super().__init__("rtmskit:infra:Spending", "spending")
        billing.Budget(
            "budget",
            billing_account=config.account,
            display_name=place.name,
            amount={"specified_amount": {"currency_code": config.currency, "units": str(config.units)}},
            budget_filter={"projects": [project_number.apply(int).apply("projects/{}".format)]},
            threshold_rules=[{"threshold_percent": share} for share in (0.5, 0.9, 1.0)],
            # Google takes at most five channels here.
            all_updates_rule={"monitoring_notification_channels": [channel.name for channel in observability.channels[:5]]}
            if observability.channels
            else None,
            opts=pulumi.ResourceOptions(parent=self, depends_on=apis.before("billingbudgets")),
        )
        self.register_outputs({})
