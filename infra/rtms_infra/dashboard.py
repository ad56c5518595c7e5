"""The dashboard, as Cloud Monitoring's JSON. Pure."""

from __future__ import annotations

from typing import Any

from rtms_infra.alerts import counter_type, queue_metric, run_metric
from rtms_infra.config import Place


def _chart(title: str, query: str, aligner: str, group: list[str], reducer: str = "REDUCE_SUM") -> dict[str, Any]:
    # The API drops zeros and empty lists, so a plan that has them never matches.
    aggregation: dict[str, Any] = {"alignmentPeriod": "60s", "perSeriesAligner": aligner, "crossSeriesReducer": reducer}
    if group:
        aggregation["groupByFields"] = group
    return {
        "title": title,
        "xyChart": {
            "dataSets": [{"plotType": "LINE", "timeSeriesQuery": {"timeSeriesFilter": {"filter": query, "aggregation": aggregation}}}]
        },
    }


def dashboard(place: Place) -> dict[str, Any]:
    def metric(name: str) -> str:
        return f'resource.type = "cloud_run_revision" AND metric.type = "{counter_type(place, name)}"'

    service = ["resource.label.service_name"]
    charts = [
        _chart("Starts: acknowledged and seen", metric("starts"), "ALIGN_DELTA", ["metric.label.event"]),
        _chart("Hand-offs", metric("handoffs"), "ALIGN_DELTA", ["metric.label.event"]),
        _chart("Refused requests", metric("refusals"), "ALIGN_DELTA", ["metric.label.event"]),
        _chart("Webhook: answers", run_metric(place, "webhook", "request_count"), "ALIGN_DELTA", ["metric.label.response_code_class"]),
        _chart(
            "Webhook: 99th percentile (ms; Zoom's limit is 3000)",
            run_metric(place, "webhook", "request_latencies"),
            "ALIGN_PERCENTILE_99",
            service,
            "REDUCE_MAX",
        ),
        _chart("Starts: waiting", queue_metric(place, ("handoffs",), "depth"), "ALIGN_MAX", [], "REDUCE_MAX"),
        _chart(
            "Starts: lateness, 95th percentile (ms)",
            queue_metric(place, ("handoffs",), "task_attempt_delays"),
            "ALIGN_PERCENTILE_95",
            [],
            "REDUCE_MAX",
        ),
        _chart("Retrievals: waiting", queue_metric(place, ("retrievals",), "depth"), "ALIGN_MAX", [], "REDUCE_MAX"),
        _chart("Worker: answers", run_metric(place, "worker", "request_count"), "ALIGN_DELTA", ["metric.label.response_code_class"]),
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
