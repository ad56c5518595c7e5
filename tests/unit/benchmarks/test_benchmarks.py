"""The benchmarks of the deployed function run, say what they are for, and leave no process behind."""

import json
import os

import pytest
from tests.benchmarks import acks, start
from tests.benchmarks.rig.report import Budget, Figure, Report
from tests.e2e.processes import alive, descendants

MEASURES = {
    "throughput": (lambda: acks.throughput(1, 0.2), {"webhook : no-op": "at least 0.5"}),
    "latency": (lambda: acks.latency(1, 0.4), {"p99, hung : normal": "at most 1.2"}),
    "start": (lambda: start.start(1, warming=0), {start.SQLITE: "at most 1.25", start.FIRESTORE: "at most 1.25"}),
}


@pytest.mark.parametrize("name", MEASURES)
async def test_a_benchmark_runs_in_small_and_stops_what_it_started(name):
    measure, budgets = MEASURES[name]
    before = descendants(os.getpid())
    report = await measure()
    assert alive(descendants(os.getpid()) - before) == set()
    told = json.loads(report.as_json())
    assert {one["name"]: one["budget"] for one in told["budgets"]} == budgets
    assert all(one["rounds"] == 1 and one["median"] > 0 for one in told["figures"] + told["budgets"])
    assert all(one in report.as_text() for one in budgets)


@pytest.mark.parametrize(
    ("ratios", "sense", "verdict"),
    [
        ([0.4, 0.5, 0.6], "at least", "at least 0.50, met"),
        ([0.4, 0.49, 0.6], "at least", "at least 0.50, MISSED"),
        ([0.4, 0.5, 9.0], "at most", "at most 0.50, met"),
        ([0.51], "at most", "at most 0.50, MISSED"),
    ],
)
def test_a_budget_is_judged_by_the_median_of_its_rounds(ratios, sense, verdict):
    text = Report("title", [Figure("acks", "acks/s", [1000.0, 2000.0, 3000.0])], [Budget("ratio", ratios, sense, 0.5)]).as_text()
    assert verdict in text
    assert "2,000  1,000..3,000  acks/s" in text
