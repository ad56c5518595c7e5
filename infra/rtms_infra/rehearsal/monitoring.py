"""A Cloud Monitoring of what happens on this machine: counters of log lines, platform metrics, alert policies. Pure: times are given.

Alerts on a line notify at once, and again for the same labels after the registered period. The others are evaluated each minute, and
notify when their condition has held for its `duration`. What a policy asks beyond the used part of Google's languages is an error.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rtms_infra.rehearsal.logfilter import FilterError, entry, matches, request_entry
from rtms_infra.rehearsal.promql import Query
from rtms_infra.rehearsal.registered import Aggregation, AlertPolicy, Channel, MatchedLog, Metric, Registered, Threshold, seconds

KEPT_S = 90_000.0
"""How long points are kept: the longest window of a query is a day."""

EVALUATED_EVERY_S = 60.0
COUNTED = "logging.googleapis.com/user/"
"""How the type of a log-based counter begins."""

_EXTRACT = re.compile(r"EXTRACT\(([\w.]+)\)")


@dataclass(frozen=True, slots=True)
class Page:
    """One notification. `policy`: the alert's short name; `told`: who would get it (nobody if no channel is registered)."""

    at: float
    policy: str
    title: str
    severity: str
    told: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        who = ", ".join(self.told) or "nobody (no channel is configured)"
        return f"would page {who}: {self.title} [{self.severity}] ({self.why})"


@dataclass
class Series:
    """One time series: (seconds, value), oldest first."""

    points: deque[tuple[float, float]] = field(default_factory=deque)

    def add(self, at: float, value: float) -> None:
        self.points.append((at, value))
        while self.points and self.points[0][0] < at - KEPT_S:
            self.points.popleft()

    def within(self, start: float, end: float) -> list[float]:
        """Values after `start` and up to `end`."""
        return [value for at, value in self.points if start < at <= end]


@dataclass(slots=True)
class _Watched:
    """One policy and what is remembered of it: since when its condition holds, and when a notification was sent for which labels."""

    policy: AlertPolicy
    since: float | None = None
    firing: bool = False
    told_at: dict[tuple[str, ...], float] = field(default_factory=dict)


class Monitoring:
    """Raises `FilterError` or `promql.QueryError` at once for a filter or query that it cannot read."""

    def __init__(self, registered: Registered) -> None:
        self._watched: dict[str, _Watched] = {}
        self._series: dict[tuple[str, tuple[tuple[str, str], ...]], Series] = {}
        self.pages: list[Page] = []
        self.update(registered)

    def update(self, registered: Registered) -> None:
        """Be what is registered now. What was counted stays, and so does what is remembered of a policy that is the same."""
        policies = {name.removeprefix("alert-"): policy for name, policy in registered.of(AlertPolicy).items() if policy.enabled}
        former = {name: watched for name, watched in self._watched.items() if policies.get(name) == watched.policy}
        self._watched = {name: former.get(name) or _Watched(policy) for name, policy in policies.items()}
        self._project = registered.project
        channels = registered.of(Channel)
        self._channels = {registered.computed(name)["name"]: channel.shown for name, channel in channels.items()}
        self._counters = registered.of(Metric)
        self._counted = {_in_queries(counter): counter for counter in map(counter_type, self._counters.values())}
        self._queries: dict[str, Query] = {}
        self._check()

    def _check(self) -> None:
        """Everything is read once before anything happens: an unreadable filter is not found out by silence."""
        nothing = entry({}, "")
        for metric in self._counters.values():
            matches(metric.filter, nothing)
        for name, watched in self._watched.items():
            for condition in watched.policy.conditions:
                if condition.condition_matched_log is not None:
                    matches(condition.condition_matched_log.filter, nothing)
                elif condition.condition_threshold is not None:
                    _check_threshold(condition.condition_threshold)
                elif condition.condition_prometheus_query_language is not None:
                    self._queries[name] = Query(condition.condition_prometheus_query_language.query)
                else:
                    raise FilterError(f"the alert {name} has a condition of an unknown kind: {condition.display_name}")

    @property
    def policies(self) -> tuple[str, ...]:
        return tuple(self._watched)

    # What happened

    def line(self, at: float, service: str, printed: Mapping[str, Any]) -> None:
        """A JSON line that a function printed."""
        log_entry = entry(printed, service)
        for metric in self._counters.values():
            if matches(metric.filter, log_entry):
                own = _labels(metric.label_extractors, log_entry)
                self.point(at, counter_type(metric), "cloud_run_revision", {"service_name": service}, own, 1.0)
        self._on_entry(at, log_entry)

    def refused(self, at: float, service: str, status: int) -> None:
        """An answer that Cloud Run gave because no instance was free: it is in the request log, and in no metric."""
        self._on_entry(at, request_entry(self._project, service, status))

    def _on_entry(self, at: float, log_entry: Mapping[str, Any]) -> None:
        for name, watched in self._watched.items():
            for condition in watched.policy.conditions:
                matched = condition.condition_matched_log
                if matched is not None and matches(matched.filter, log_entry):
                    self._on_line(at, name, watched, matched, log_entry)

    def point(self, at: float, metric: str, resource: str, labels: Mapping[str, str], own: Mapping[str, str], value: float) -> None:
        """A value of a metric. `labels` are of the `resource` type, `own` of the metric."""
        described = {"resource.type": resource, **{f"resource.labels.{name}": text for name, text in labels.items()}}
        described |= {f"metric.labels.{name}": text for name, text in own.items()}
        self._series.setdefault((metric, tuple(sorted(described.items()))), Series()).add(at, value)

    # Evaluation

    def evaluate(self, at: float) -> None:
        """Look at every policy that is not about a line."""
        for name, watched in self._watched.items():
            for condition in watched.policy.conditions:
                if condition.condition_threshold is not None:
                    duration = seconds(condition.condition_threshold.duration)
                    self._judge(at, name, watched, duration, self._threshold(condition.condition_threshold, at))
                elif condition.condition_prometheus_query_language is not None:
                    duration = seconds(condition.condition_prometheus_query_language.duration)
                    value = self._queries[name].value(lambda *selector: self._increase(at, *selector))
                    self._judge(at, name, watched, duration, None if value is None else f"{value:g}")

    def _judge(self, at: float, name: str, watched: _Watched, duration: float, why: str | None) -> None:
        """`why`: what the condition found, None while it does not hold."""
        if why is None:
            watched.since, watched.firing = None, False
            return
        watched.since = at if watched.since is None else watched.since
        if not watched.firing and at - watched.since >= duration:
            watched.firing = True
            self._page(at, name, watched, f"it held for {duration:.0f} s: {why}" if duration else why)

    def _on_line(self, at: float, name: str, watched: _Watched, matched: MatchedLog, log_entry: Mapping[str, Any]) -> None:
        limit = watched.policy.alert_strategy.notification_rate_limit
        labels = tuple(_labels(matched.label_extractors, log_entry).values())
        last = watched.told_at.get(labels)
        if last is not None and limit is not None and at - last < seconds(limit.period):
            return
        watched.told_at[labels] = at
        payload = log_entry.get("jsonPayload")
        line = (
            payload.get("message") or payload.get("event") if payload else f"of a request answered {_at(log_entry, 'httpRequest.status')}"
        )
        self._page(at, name, watched, f"the line {line}")

    def _page(self, at: float, name: str, watched: _Watched, why: str) -> None:
        policy = watched.policy
        channels = tuple(self._channels.get(channel, channel) for channel in policy.notification_channels)
        self.pages.append(Page(at, name, policy.display_name, policy.severity, channels, why))

    def _increase(self, at: float, metric: str, labels: Mapping[str, str], window_s: float) -> float | None:
        """How much a counter grew in the window; None while it has no point there."""
        counter = self._counted.get(metric)
        metric_labels = {f"metric.labels.{label}": text for label, text in labels.items() if label != "monitored_resource"}
        points = [
            value
            for (kind, described), series in self._series.items()
            if kind == counter and metric_labels.items() <= dict(described).items()
            for value in series.within(at - window_s, at)
        ]
        return sum(points) if points else None

    def knows(self, metric: str) -> bool:
        """Whether there is such a metric: a counter that is registered, or any of the platform's."""
        return not metric.startswith(COUNTED) or metric in self._counted.values()

    def aligned(self, filter_text: str, aggregation: Aggregation, at: float) -> dict[tuple[str, ...], float]:
        """The values of one alignment period up to `at`, reduced to one for each combination of the labels that it groups by; series
        without a value in that period are left out."""
        start = at - seconds(aggregation.alignment_period)
        groups: dict[tuple[str, ...], list[float]] = {}
        for key, series in self._series.items():
            if not _selected(filter_text, key):
                continue
            value = ALIGNERS[aggregation.per_series_aligner](series.within(start, at), series)
            if value is not None:
                described = dict(key[1])
                group = tuple(described.get(path.replace(".label.", ".labels."), "") for path in aggregation.group_by_fields)
                groups.setdefault(group, []).append(value)
        return {group: REDUCERS[aggregation.cross_series_reducer](values) for group, values in groups.items()}

    def began(self) -> float | None:
        """When the first point came, None while there is none."""
        return min((series.points[0][0] for series in self._series.values() if series.points), default=None)

    def _threshold(self, threshold: Threshold, at: float) -> str | None:
        [aggregation] = threshold.aggregations
        values = self.aligned(threshold.filter, aggregation, at).values()
        # Each group is a time series of its own; the worst of them decides.
        value = max(values, default=None)
        return f"{value:g} > {threshold.threshold_value:g}" if value is not None and value > threshold.threshold_value else None


def counter_type(metric: Metric) -> str:
    """A log-based counter's metric type."""
    return f"{COUNTED}{metric.name}"


def _in_queries(counter: str) -> str:
    """A metric type as PromQL names it: the first `/` becomes `:`, all else that is no letter or digit `_`."""
    head, _, rest = counter.partition("/")
    return ":".join(re.sub(r"\W", "_", part) for part in (head, rest))


def _percentile(share: float) -> Any:
    def aligned(values: list[float], _series: Series) -> float | None:
        return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else None

    return aligned


ALIGNERS: Mapping[str, Any] = {
    "ALIGN_DELTA": lambda values, _series: sum(values) if values else None,
    "ALIGN_MAX": lambda values, _series: max(values) if values else None,
    "ALIGN_PERCENTILE_95": _percentile(0.95),
    "ALIGN_PERCENTILE_99": _percentile(0.99),
    "ALIGN_NEXT_OLDER": lambda _values, series: series.points[-1][1] if series.points else None,
}
REDUCERS: Mapping[str, Any] = {
    "REDUCE_SUM": sum,
    "REDUCE_MAX": max,
    "REDUCE_COUNT_FALSE": lambda values: sum(not value for value in values),
}


def _check_threshold(threshold: Threshold) -> None:
    if threshold.comparison != "COMPARISON_GT" or len(threshold.aggregations) != 1:
        raise FilterError(f"only one aggregation and COMPARISON_GT are read, found {threshold.comparison} in {threshold.filter!r}")
    [aggregation] = threshold.aggregations
    if aggregation.per_series_aligner not in ALIGNERS or aggregation.cross_series_reducer not in REDUCERS:
        raise FilterError(f"{aggregation.per_series_aligner} with {aggregation.cross_series_reducer} is not read here")
    _selected(threshold.filter, ("", ()))


def _selected(text: str, key: tuple[str, tuple[tuple[str, str], ...]]) -> bool:
    """Whether a time series is one that the filter names."""
    metric, described = key
    tree: dict[str, Any] = {"metric": {"type": metric}}
    for path, value in described:
        *above, last = path.split(".")
        place = tree
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    return matches(text, tree)


def _labels(extractors: Mapping[str, str], log_entry: Mapping[str, Any]) -> dict[str, str]:
    labels = {}
    for label, text in extractors.items():
        match = _EXTRACT.fullmatch(text)
        if match is None:
            raise FilterError(f"the label {label} is taken by {text!r}, which is not read here")
        labels[label] = _text(_at(log_entry, match[1]))
    return labels


def _at(log_entry: Mapping[str, Any], path: str) -> Any:
    value: Any = log_entry
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _text(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
