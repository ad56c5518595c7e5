"""Seeing that it works, and telling somebody when it does not."""

from __future__ import annotations

import json
from typing import Any

import pulumi
from pulumi_gcp import billing, logging, monitoring

from rtms_infra.alerts import COUNTERS, RATE_LIMIT_S, OnLine, OnRequest, Policy, counter_filter, described, policies
from rtms_infra.apis import Apis
from rtms_infra.config import Alerts as AlertsConfig
from rtms_infra.config import Budget as BudgetConfig
from rtms_infra.config import Place
from rtms_infra.dashboard import dashboard
from rtms_infra.values import short_hash

RUNBOOK = "https://github.com/rtmskit/rtmskit/blob/main/docs/runbook.md"


class Observability(pulumi.ComponentResource):
    """Counters from the logs, alerts and their channels, an uptime check and a dashboard.

    Creates:
        metric-*: counts log lines of both functions by their `event`
        channel-*: whom alerts are sent to: an address, a topic, a Slack channel, PagerDuty, a webhook
        alert-*: one alert; its text names its section of docs/runbook.md
        uptime: asks the webhook's /health every five minutes
        dashboard: starts, hand-offs, answers, latencies, queues on one page

    Costs: alert conditions 0.10 $ a month each beyond the free ones [estimate]; the rest lies within the free allotments.
    """

    def __init__(
        self, place: Place, config: AlertsConfig, webhook_host: pulumi.Output[str], needs: list[pulumi.Resource], apis: Apis
    ) -> None:
        super().__init__("rtmskit:infra:Observability", "observability")
        self._place, self._config = place, config
        metrics = [self._counter(name, events, meaning, apis) for name, (events, meaning) in COUNTERS.items()]
        monitored = pulumi.ResourceOptions(parent=self, depends_on=apis.before("monitoring"))
        self.channels = [self._channel(kind, label, arguments, monitored) for kind, label, arguments in _channels(config)]
        self.told: list[pulumi.Input[str]] = [*(channel.name for channel in self.channels), *config.existing]
        alerted = pulumi.ResourceOptions(parent=self, depends_on=[*apis.before("monitoring"), *metrics, *needs])
        for policy in policies(place, config):
            self._alert(policy, [described(place, policy)], alerted)
        if config.uptime_check:
            self._uptime(webhook_host, pulumi.ResourceOptions(parent=self, depends_on=[*apis.before("monitoring"), *needs]), alerted)
        self.dashboard = monitoring.Dashboard(
            "dashboard",
            project=place.project,
            dashboard_json=json.dumps(dashboard(place), sort_keys=True),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*apis.before("monitoring"), *metrics]),
        )
        self.register_outputs({})

    def _counter(self, name: str, events: tuple[str, ...], meaning: str, apis: Apis) -> logging.Metric:
        labels = ["event", *(["signed"] if name == "refusals" else [])]
        return logging.Metric(
            f"metric-{name}",
            project=self._place.project,
            name=f"{self._place.name}-{name}",
            description=meaning,
            filter=counter_filter(self._place, events),
            metric_descriptor={
                "metric_kind": "DELTA",
                "value_type": "INT64",
                "unit": "1",
                "labels": [{"key": label, "value_type": "STRING", "description": f"The log line's {label}"} for label in labels],
            },
            label_extractors={label: f"EXTRACT(jsonPayload.{label})" for label in labels},
            opts=pulumi.ResourceOptions(parent=self, depends_on=apis.before("logging")),
        )

    def _channel(self, kind: str, label: str, arguments: dict[str, Any], opts: pulumi.ResourceOptions) -> monitoring.NotificationChannel:
        return monitoring.NotificationChannel(
            f"channel-{kind}-{short_hash(label)}",
            project=self._place.project,
            display_name=f"{self._place.name}: {label}",
            type=kind,
            user_labels=self._place.labels,
            opts=opts,
            **arguments,
        )

    def _alert(self, policy: Policy, conditions: list[dict[str, Any]], opts: pulumi.ResourceOptions) -> None:
        strategy: dict[str, Any] = {"auto_close": "1800s"}
        if isinstance(policy.condition, OnLine | OnRequest):
            strategy["notification_rate_limit"] = {"period": f"{RATE_LIMIT_S}s"}
        monitoring.AlertPolicy(
            f"alert-{policy.key}",
            project=self._place.project,
            display_name=f"{self._place.name}: {policy.title}",
            combiner="OR",
            severity=policy.severity,
            conditions=conditions,  # ty: ignore[invalid-argument-type]  # plain data; the schema check of the tests knows each field
            documentation={
                "mime_type": "text/markdown",
                "content": f"{policy.meaning}\n\nWhat to look at and what to do: {RUNBOOK}#{policy.key}",
            },
            notification_channels=self.told,
            alert_strategy=strategy,  # ty: ignore[invalid-argument-type]
            user_labels=self._place.labels,
            opts=opts,
        )

    def _uptime(self, webhook_host: pulumi.Output[str], opts: pulumi.ResourceOptions, alerted: pulumi.ResourceOptions) -> None:
        uptime = monitoring.UptimeCheckConfig(
            "uptime",
            project=self._place.project,
            display_name=f"{self._place.name} webhook",
            timeout="10s",
            period="300s",
            http_check={"path": "/health", "port": 443, "use_ssl": True, "validate_ssl": True, "request_method": "GET"},
            monitored_resource={"type": "uptime_url", "labels": {"project_id": self._place.project, "host": webhook_host}},
            user_labels=self._place.labels,
            opts=opts,
        )
        checked = 'resource.type = "uptime_url" AND metric.type = "monitoring.googleapis.com/uptime_check/check_passed" AND '
        threshold = {
            "filter": pulumi.Output.concat(checked, 'metric.labels.check_id = "', uptime.uptime_check_id, '"'),
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
        }
        self._alert(DOWN, [{"display_name": "uptime check fails in two regions or more", "condition_threshold": threshold}], alerted)


DOWN = Policy(
    "down",
    "The webhook cannot be reached",
    "CRITICAL",
    "Google's checkers in two regions or more get no answer from the webhook's /health; Zoom gets none either.",
    None,
)
"""The alert on the uptime check; its condition needs the check's id."""


def _channels(config: AlertsConfig) -> list[tuple[str, str, dict[str, Any]]]:
    """(type, what people see, arguments) of each channel that the program makes."""
    channels: list[tuple[str, str, dict[str, Any]]] = [
        ("email", address, {"labels": {"email_address": address}}) for address in dict.fromkeys(config.emails)
    ]
    channels += [("pubsub", topic, {"labels": {"topic": topic}}) for topic in dict.fromkeys(config.topics)]
    if config.slack_token:
        secret = {"auth_token": pulumi.Output.secret(config.slack_token.value)}
        channels.append(("slack", config.slack_channel, {"labels": {"channel_name": config.slack_channel}, "sensitive_labels": secret}))
    if config.pagerduty_key:
        channels.append(("pagerduty", "PagerDuty", {"sensitive_labels": {"service_key": pulumi.Output.secret(config.pagerduty_key.value)}}))
    if config.webhook_url:
        # The address holds its own token, so all of it is a secret.
        channels.append(("webhook_tokenauth", "webhook", {"labels": {"url": pulumi.Output.secret(config.webhook_url.value)}}))
    return channels


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
            all_updates_rule={"monitoring_notification_channels": observability.told[:5]} if observability.told else None,
            opts=pulumi.ResourceOptions(parent=self, depends_on=apis.before("billingbudgets")),
        )
        self.register_outputs({})
