"""Rules about what is watched: counters, alerts, uptime check, dashboard, budget. Same form as crosschecks.py."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from rtms_infra.rehearsal.logfilter import entry, matches, request_entry
from tests.infra.crosschecks import Rule, config_of, worker_address
from tests.infra.deployment import Deployment
from tests.infra.logged import logged, printed

BUILT_IN = {
    "run.googleapis.com/request_count": ("ALIGN_DELTA", "ALIGN_RATE"),
    "run.googleapis.com/request_latencies": ("ALIGN_PERCENTILE_99",),
    "cloudtasks.googleapis.com/queue/depth": ("ALIGN_MAX", "ALIGN_MEAN"),
    "cloudtasks.googleapis.com/queue/task_attempt_delays": ("ALIGN_PERCENTILE_95",),
    "cloudtasks.googleapis.com/queue/task_attempt_count": ("ALIGN_DELTA", "ALIGN_RATE"),
    "monitoring.googleapis.com/uptime_check/check_passed": ("ALIGN_NEXT_OLDER",),
}
"""Google's metrics -> aligners that fit their kind (Cloud Monitoring, metrics list: DELTA counts, GAUGE depth, distributions)."""

SITUATIONS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "lost": (
        ("worker", "handoff_expired", "ALERT"), ("worker", "handoff_failed", "ERROR"), ("worker", "not_joined", "ALERT"),
        ("worker", "handoff_doubled", "ALERT"),
    ),
    "recording-lost": (("worker", "retrieval", "ERROR"),),
    "recall-refuses": (("worker", "attempt", "ALERT"), ("worker", "retrieval", "ALERT")),
    "event-unusable": (("webhook", "event_unusable", "ALERT"),),
    "task-unusable": (("worker", "task_unusable", "ALERT"),),
    "not-forgotten": (("worker", "not_forgotten", "ALERT"),),
    "foreign-recordings": (("worker", "foreign_recordings", "ALERT"),),
    "archive-failed": (("worker", "archive_failed", "ERROR"),),
    "queue-stalled": (("worker", "home_stalled", "ALERT"), ("worker", "probe_missing", "ALERT")),
    "store-away": (("worker", "store_away", "ERROR"),),
    "challenge": (("webhook", "challenge_refused", "ERROR"),),
    "concurrency": (("webhook", "concurrency", "ALERT"),),
    "deauthorized": (("webhook", "app_deauthorized", "ALERT"),),
}  # fmt: skip
"""Alert on log lines -> the lines that must fire it: (function, event, severity)."""

QUIET: tuple[tuple[str, str, str], ...] = (
    ("worker", "retrieval", "INFO"), ("worker", "retrieval", "WARNING"), ("worker", "attempt", "WARNING"),
    ("webhook", "concurrency", "WARNING"), ("webhook", "app_deauthorized", "NOTICE"), ("webhook", "delivery", "INFO"),
    ("webhook", "delivery_refused", "WARNING"),
)  # fmt: skip
"""Lines that must fire nothing."""

COUNTED = {
    "starts": {"start_acked", "start_seen"},
    "handoffs": {
        "handoff_created", "handoff_accepted", "handoff_failed", "handoff_expired", "handoff_changed", "handoff_doubled", "not_joined",
    },
    "deliveries": {"delivery"},
    "refusals": {"delivery_refused", "challenge_refused"},
    "sweeps": {"sweep"},
    "errors": {"error", "library", "archive_failed", "store_away"},
}  # fmt: skip


def _services(deployment: Deployment) -> dict[str, str]:
    return {role: deployment.named(role).inputs["name"] for role in ("webhook", "worker")}


def _conditions(deployment: Deployment, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for policy in deployment.of("AlertPolicy"):
        for condition in policy.inputs["conditions"]:
            if kind in condition:
                yield policy.name.removeprefix("alert-"), condition[kind]


def alerts_fire_on_the_lines_of_their_situation(deployment: Deployment) -> Iterator[str]:
    services = _services(deployment)
    filters = {name: condition["filter"] for name, condition in _conditions(deployment, "conditionMatchedLog")}
    for name, lines in SITUATIONS.items():
        if name not in filters:
            yield f"no alert {name} on a log line"
            continue
        for role, event, severity in lines:
            if not matches(filters[name], entry(printed(severity, event), services[role])):
                yield f"{name} does not fire on {event} at {severity} of the {role}"
            if matches(filters[name], entry(printed(severity, event), "somebody-elses-service")):
                yield f"{name} fires on another service"
    for name, text in filters.items():
        for role, event, severity in QUIET:
            if matches(text, entry(printed(severity, event), services[role])):
                yield f"{name} fires on {event} at {severity}, which is no news"


def requests_without_an_instance_are_told(deployment: Deployment) -> Iterator[str]:
    """No metric counts them: they are in Cloud Run's own request log."""
    project, services = config_of(deployment).place.project, _services(deployment)
    filters = {name: condition["filter"] for name, condition in _conditions(deployment, "conditionMatchedLog")}
    for role, service in services.items():
        text = filters.get(f"{role}-full", 'severity="NONE"')
        if text == 'severity="NONE"' or not matches(text, request_entry(project, service, 429)):
            yield f"{role}-full does not fire on a request for which the {role} has no instance"
            continue
        others = ((project, service, 500), (project, "somebody-elses-service", 429), ("another-project", service, 429))
        if any(matches(text, request_entry(*other)) for other in others):
            yield f"{role}-full fires on something else: {text}"


def counters_count_what_they_name(deployment: Deployment) -> Iterator[str]:
    services, own = _services(deployment), config_of(deployment).place.name
    events = {place.event for place in logged()}
    found = {metric.inputs["name"]: metric for metric in deployment.of("Metric")}
    if set(found) != {f"{own}-{short}" for short in COUNTED}:
        yield f"the counters are {sorted(found)}"
        return
    for short, expected in COUNTED.items():
        metric = found[f"{own}-{short}"].inputs
        text = metric["filter"]
        seen = {event for event in events if all(matches(text, entry(printed("INFO", event), name)) for name in services.values())}
        if seen != expected & events:
            yield f"{short} counts {sorted(seen)}"
        labels = {label["key"] for label in metric["metricDescriptor"]["labels"]}
        if labels != set(metric["labelExtractors"]) or "event" not in labels or (short == "refusals") != ("signed" in labels):
            yield f"{short} has the labels {sorted(labels)}"
        if any(text != f"EXTRACT(jsonPayload.{label})" for label, text in metric["labelExtractors"].items()):
            yield f"{short} fills its labels from {metric['labelExtractors']}"
        if (metric["metricDescriptor"]["metricKind"], metric["metricDescriptor"]["valueType"]) != ("DELTA", "INT64"):
            yield f"{short} is no counter"


def queries_ask_for_counters_that_exist(deployment: Deployment) -> Iterator[str]:
    name = config_of(deployment).place.name.replace("-", "_")
    for alert, condition in _conditions(deployment, "conditionPrometheusQueryLanguage"):
        query = condition["query"]
        if condition.get("disableMetricValidation") is not True:
            yield f"{alert} is refused until its counters exist"
        series = re.findall(r'logging_googleapis_com:user_(\w+)\{[^}]*?event="(\w+)"', query)
        if len(series) != query.count("logging_googleapis_com:user_") or not series:
            yield f"{alert} asks for something else: {query}"
        for metric, event in series:
            short = metric.removeprefix(f"{name}_")
            if event not in COUNTED.get(short, set()):
                yield f"{alert} asks for {event} in {metric}"


EXPECTED_QUERIES = {
    "start-unseen": (("start_acked", "start_seen"), 120),
    "sweep-stopped": (("sweep",), 900),
    "signed-refused": (("delivery_refused", "delivery", "delivery"), 300),
    "errors": (("error", "library"), 0),
}


WORDS = {
    "start-unseen": ("> 0) unless (",),
    "signed-refused": ('signed="true"', "unless", "[1d]"),
    "sweep-stopped": ("or vector(0)", "== bool 0"),
}


def witnesses_are_there(deployment: Deployment) -> Iterator[str]:
    """The witnesses of a lost start: queue depth, attempt delay, attempts that fail, acknowledged without seen for two minutes."""
    queries = dict(_conditions(deployment, "conditionPrometheusQueryLanguage"))
    for name, (events, duration) in EXPECTED_QUERIES.items():
        if name not in queries:
            yield f"no alert {name}"
            continue
        query = queries[name]["query"]
        if tuple(re.findall(r'event="(\w+)"', query)) != events or queries[name]["duration"] != f"{duration}s":
            yield f"{name} asks {query!r} for {queries[name]['duration']}"
        # A condition that must hold for a time looks back longer: an evaluation may be a minute late, and a line is counted a minute late.
        looks_back_s = 60 * int(re.findall(r"\[(\d+)m\]", query)[0])
        if duration and "vector(0)" not in query and looks_back_s < duration + 120:
            yield f"{name} looks back {looks_back_s} s and must hold for {duration} s: an evaluation that is late misses it"
    for name, words in {
        "start-unseen": ("> 0) unless (",),
        "signed-refused": ('signed="true"', "unless", "[1d]"),
        "sweep-stopped": ("or vector(0)", "== bool 0"),
    }.items():
        if name in queries and not all(word in queries[name]["query"] for word in words):
            yield f"{name} does not say {words}: {queries[name]['query']!r}"


THRESHOLDS: dict[str, tuple[str, str, float, float]] = {
    "queue-depth": ("cloudtasks.googleapis.com/queue/depth", "", 10, 200),
    "queue-late": ("cloudtasks.googleapis.com/queue/task_attempt_delays", "", 5_000, 15_000),
    "tasks-failing": ("cloudtasks.googleapis.com/queue/task_attempt_count", 'metric.labels.response_code != "200"', 0, 0),
    "webhook-errors": ("run.googleapis.com/request_count", 'metric.labels.response_code_class = "5xx"', 0, 0),
    "worker-errors": ("run.googleapis.com/request_count", 'metric.labels.response_code_class = "5xx"', 0, 0),
    "worker-refuses": ("run.googleapis.com/request_count", 'metric.labels.response_code_class = "4xx"', 0, 0),
    "ack-latency": ("run.googleapis.com/request_latencies", "", 200, 2_900),
}
"""Alert -> (metric, what its filter must say, lowest and highest threshold)."""


def thresholds_watch_the_right_metric(deployment: Deployment) -> Iterator[str]:
    config = config_of(deployment)
    found = dict(_conditions(deployment, "conditionThreshold"))
    for name, (metric, part, low, high) in THRESHOLDS.items():
        if name not in found:
            yield f"no alert {name}"
            continue
        condition = found[name]
        text, value = condition["filter"], condition.get("thresholdValue", 0)
        if f'metric.type = "{metric}"' not in text or part not in text:
            yield f"{name} watches {text}"
        role = name.partition("-")[0] if name.partition("-")[0] in ("webhook", "worker") else "webhook" if name == "ack-latency" else ""
        if role and f'resource.labels.service_name = "{config.place.name}-{role}"' not in text:
            yield f"{name} watches another service: {text}"
        if not low <= value <= high or (name == "ack-latency" and value != config.alerts.ack_latency_ms):
            yield f"{name} fires above {value}"
        if condition.get("comparison") != "COMPARISON_GT" or int(condition["duration"].removesuffix("s")) > 300:
            yield f"{name} fires {condition.get('comparison')} for {condition['duration']}"
        for aggregation in condition["aggregations"]:
            if aggregation["perSeriesAligner"] not in BUILT_IN[metric] or int(aggregation["alignmentPeriod"].removesuffix("s")) > 300:
                yield f"{name} aligns by {aggregation['perSeriesAligner']} over {aggregation['alignmentPeriod']}"
            reducer = "REDUCE_SUM" if aggregation["perSeriesAligner"] == "ALIGN_DELTA" else "REDUCE_MAX"
            if aggregation["crossSeriesReducer"] != reducer:
                yield f"{name} reduces by {aggregation['crossSeriesReducer']}"
    for name, condition in found.items():
        queues = set(re.findall(r'queue_id = "([^"]+)"', condition["filter"]))
        known = {queue.inputs["name"] for queue in deployment.of("Queue")}
        wanted = {f"{config.place.name}-handoffs"} if name in ("queue-depth", "queue-late") else known if name == "tasks-failing" else set()
        if queues != wanted:
            yield f"{name} watches the queues {sorted(queues)}"


TICKETS = {"challenge", "signed-refused", "worker-refuses", "errors", "ack-latency"}
"""What an anonymous caller can set off, or what can wait: at most a ticket."""

CRITICAL = {"lost", "recording-lost", "recall-refuses", "not-forgotten", "start-unseen", "queue-stalled", "down"}


def every_alert_reaches_somebody(deployment: Deployment) -> Iterator[str]:
    config = config_of(deployment)
    made = {channel.inputs["displayName"] for channel in deployment.of("NotificationChannel")}
    expected = (
        len({*config.alerts.emails})
        + len({*config.alerts.topics})
        + sum(value is not None for value in (config.alerts.slack_token, config.alerts.pagerduty_key, config.alerts.webhook_url))
    )
    if len(made) != expected:
        yield f"{len(made)} channels are made for {expected} configured ones"
    for address in config.alerts.emails:
        mails = [channel.inputs["labels"] for channel in deployment.of("NotificationChannel") if channel.inputs["type"] == "email"]
        if {"email_address": address} not in mails:
            yield f"no channel mails {address}"
    for alert in deployment.of("AlertPolicy"):
        key = alert.name.removeprefix("alert-")
        if len(set(alert.inputs.get("notificationChannels") or [])) != config.alerts.channels:
            yield f"{alert} tells {len(alert.inputs.get('notificationChannels') or [])} of {config.alerts.channels} channels"
        severity = "WARNING" if key in TICKETS else "CRITICAL" if key in CRITICAL else "ERROR"
        if alert.inputs.get("severity") != severity:
            yield f"{alert} is {alert.inputs.get('severity')}, not {severity}"
        if alert.inputs.get("enabled") is False or alert.inputs.get("combiner") != "OR":
            yield f"{alert} is off, or waits for all of its conditions"
        if f"docs/runbook.md#{key}" not in alert.inputs["documentation"]["content"]:
            yield f"{alert} does not name its section of the runbook"
        logs = any("conditionMatchedLog" in condition for condition in alert.inputs["conditions"])
        limit = (alert.inputs.get("alertStrategy") or {}).get("notificationRateLimit")
        if logs and (limit is None or int(limit["period"].removesuffix("s")) > 300):
            yield f"{alert} tells only every {limit}"


def the_webhook_is_checked_from_outside(deployment: Deployment) -> Iterator[str]:
    config = config_of(deployment)
    checks = deployment.of("UptimeCheckConfig")
    if len(checks) != config.alerts.uptime_check:
        yield f"{len(checks)} uptime checks"
    for check in checks:
        http, host = check.inputs["httpCheck"], check.inputs["monitoredResource"]["labels"]["host"]
        expected = (config.access.webhook_url or worker_address(deployment, "webhook")).removeprefix("https://")
        asked = (http.get("path"), http.get("port"), http.get("useSsl"), http.get("validateSsl"), host)
        if asked != ("/health", 443, True, True, expected):
            yield f"the uptime check asks {host}{http.get('path')}:{http.get('port')}"
        if int(check.inputs["period"].removesuffix("s")) > 300 or int(check.inputs["timeout"].removesuffix("s")) > 10:
            yield f"the uptime check asks every {check.inputs['period']}"
        downs = [alert for alert in deployment.of("AlertPolicy") if alert.name == "alert-down"]
        conditions = downs[0].inputs["conditions"] if downs else []
        texts = [json.dumps(condition) for condition in conditions]
        if not any("uptime-0123456789" in text and "REDUCE_COUNT_FALSE" in text for text in texts):
            yield "no alert waits for the uptime check to fail"


def the_dashboard_is_inside_its_grid(deployment: Deployment) -> Iterator[str]:
    name = config_of(deployment).place.name
    board = json.loads(deployment.named("dashboard").inputs["dashboardJson"])
    columns, taken = board["mosaicLayout"]["columns"], set()
    for tile in board["mosaicLayout"]["tiles"]:
        title = tile["widget"]["title"]
        x, y = tile.get("xPos", 0), tile.get("yPos", 0)
        cells = {(column, row) for column in range(x, x + tile["width"]) for row in range(y, y + tile["height"])}
        if x + tile["width"] > columns or cells & taken:
            yield f"the tile {title!r} is outside the grid, or on another"
        taken |= cells
        for data in tile["widget"]["xyChart"]["dataSets"]:
            text = data["timeSeriesQuery"]["timeSeriesFilter"]["filter"]
            metric = re.search(r'metric.type = "([^"]+)"', text)
            known = {*BUILT_IN, *(f"logging.googleapis.com/user/{name}-{short}" for short in COUNTED)}
            if metric is None or metric[1] not in known:
                yield f"the tile {title!r} shows {text}"
    for value in _zeros(board):
        yield f"the dashboard says {value}, which the API drops: it would differ for ever"


def _zeros(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _zeros(item, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for item in value:
            yield from _zeros(item, path)
    elif value in (0, "", [], None) or value is False:
        yield f"{path} = {value!r}"


def the_budget_tells_in_time(deployment: Deployment) -> Iterator[str]:
    config = config_of(deployment)
    budgets = deployment.of("Budget")
    if len(budgets) != (config.budget is not None):
        yield f"{len(budgets)} budgets"
    for budget in budgets:
        assert config.budget is not None
        amount = budget.inputs["amount"]["specifiedAmount"]
        if (amount.get("units"), amount.get("currencyCode")) != (str(config.budget.units), config.budget.currency):
            yield f"the budget is {amount}"
        if sorted(rule["thresholdPercent"] for rule in budget.inputs["thresholdRules"]) != [0.5, 0.9, 1]:
            yield f"the budget tells at {budget.inputs['thresholdRules']}"
        if (
            budget.inputs["budgetFilter"]["projects"] != ["projects/123456789012"]
            or budget.inputs["billingAccount"] != config.budget.account
        ):
            yield f"the budget is of {budget.inputs['budgetFilter']}"
        told = (budget.inputs.get("allUpdatesRule") or {}).get("monitoringNotificationChannels") or []
        if len(told) != min(5, config.alerts.channels):
            yield f"the budget tells {len(told)} channels"


WATCH_RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        alerts_fire_on_the_lines_of_their_situation,
        requests_without_an_instance_are_told,
        counters_count_what_they_name,
        queries_ask_for_counters_that_exist,
        witnesses_are_there,
        thresholds_watch_the_right_metric,
        every_alert_reaches_somebody,
        the_webhook_is_checked_from_outside,
        the_dashboard_is_inside_its_grid,
        the_budget_tells_in_time,
    )
}
