"""PromQL of the alert policies: what is read gives Prometheus' result, what is not is an error."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from rtms_infra.rehearsal.promql import Query, QueryError


def of(**counters: float | None):
    """An increase by the label `event`, whatever the window."""

    def increase(metric: str, labels: Mapping[str, str], window_s: float) -> float | None:
        return counters.get(labels["event"])

    return increase


A, B = 'sum(increase(m{event="a"}[3m]))', 'sum(increase(m{event="b"}[3m]))'


@pytest.mark.parametrize(
    ("text", "counters", "value"),
    [
        (f"{A} > 0", {"a": 2.0}, 2.0),
        (f"{A} > 2", {"a": 2.0}, None),
        (f"{A} > 0", {}, None),
        (f"({A} > 0) unless ({B} > 0)", {"a": 1.0}, 1.0),
        (f"({A} > 0) unless ({B} > 0)", {"a": 1.0, "b": 1.0}, None),
        (f"({A} > 0) unless ({B} > 0)", {"a": 1.0, "b": 0.0}, 1.0),
        (f"({A} > 0) and ({B} > 0)", {"a": 3.0, "b": 1.0}, 3.0),
        (f"({A} > 0) and ({B} > 0)", {"a": 3.0}, None),
        (f"(({A} or vector(0)) == bool 0) > 0", {}, 1.0),
        (f"(({A} or vector(0)) == bool 0) > 0", {"a": 1.0}, None),
        (f"({A} or vector(0)) + ({B} or vector(0)) > 3", {"a": 2.0, "b": 2.0}, 4.0),
        (f"{A} + {B}", {"a": 2.0}, None),
        # `or` binds less than `and`, which binds less than a comparison, which binds less than a sum.
        (f"{A} > 5 or {B} > 0", {"a": 1.0, "b": 2.0}, 2.0),
        (f"vector(1) or {A} and {B}", {}, 1.0),
    ],
)
def test_a_query_gives_what_prometheus_would(text: str, counters: dict[str, float], value: float | None) -> None:
    assert Query(text).value(of(**counters)) == value


def test_the_selector_passes_metric_labels_and_window() -> None:
    asked = []

    def increase(metric: str, labels: Mapping[str, str], window_s: float) -> float:
        asked.append((metric, dict(labels), window_s))
        return 1.0

    Query('sum(increase(logging_googleapis_com:user_x{event="a",signed="true"}[1d]))').value(increase)
    assert asked == [("logging_googleapis_com:user_x", {"event": "a", "signed": "true"}, 86_400.0)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sum(rate(m[3m]))",
        "avg(increase(m[3m]))",
        f"{A} >",
        f"({A}",
        f"{A} )",
        "sum(increase(m))",
        'm{event=~"a"}',
        f"{A} by (x)",
        "1 ? 2",
    ],
)
def test_what_is_not_read_is_an_error(text: str) -> None:
    with pytest.raises(QueryError):
        Query(text)
