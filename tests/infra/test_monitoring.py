"""The registered alerts, evaluated: they fire when they must, once, and name who is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rtms_infra.rehearsal.logfilter import FilterError
from rtms_infra.rehearsal.monitoring import Monitoring
from rtms_infra.rehearsal.promql import QueryError
from rtms_infra.rehearsal.registered import AlertPolicy, Metric
from tests.infra.deployment import Runner
from tests.infra.logged import printed
from tests.infra.rehearsed import altered, registered

pytestmark = pytest.mark.xdist_group("infra")

WORKER, WEBHOOK = "rtmskit-prod-worker", "rtmskit-prod-webhook"


@pytest.fixture
def monitoring(runner: Runner) -> Monitoring:
    return Monitoring(registered(runner, alertEmails=["oncall@example.com"]))


def minutes(monitoring: Monitoring, count: int, each: Callable[[float], None] = lambda _at: None) -> None:
    """Let minutes pass; `each` happens in the middle of every one."""
    for minute in range(count):
        each(minute * 60.0 + 30.0)
        monitoring.evaluate((minute + 1) * 60.0)


def fired(monitoring: Monitoring) -> list[tuple[str, float]]:
    return [(page.policy, page.at) for page in monitoring.pages]


def test_a_line_notifies_at_once_and_says_whom(monitoring: Monitoring) -> None:
    monitoring.line(5.0, WORKER, printed("ALERT", "handoff_expired", handoff="h1"))
    [page] = monitoring.pages
    assert (page.policy, page.at, page.severity, page.told) == ("lost", 5.0, "CRITICAL", ("oncall@example.com",))
    assert str(page).startswith("would page oncall@example.com: ")


def test_without_a_channel_nobody_is_told_and_that_is_said(runner: Runner) -> None:
    monitoring = Monitoring(registered(runner))
    monitoring.line(5.0, WORKER, printed("ALERT", "handoff_expired", handoff="h1"))
    assert "nobody" in str(monitoring.pages[0])


def test_the_same_incident_notifies_again_only_after_the_registered_period(monitoring: Monitoring) -> None:
    for at, handoff in ((0.0, "h1"), (10.0, "h1"), (20.0, "h2"), (299.0, "h1"), (301.0, "h1")):
        monitoring.line(at, WORKER, printed("ALERT", "handoff_expired", handoff=handoff))
    assert [at for _, at in fired(monitoring)] == [0.0, 20.0, 301.0]


def test_a_line_of_another_severity_or_service_notifies_nobody(monitoring: Monitoring) -> None:
    monitoring.line(0.0, WORKER, printed("INFO", "retrieval"))
    monitoring.line(0.0, "somebody-elses", printed("ALERT", "handoff_expired", handoff="h1"))
    assert fired(monitoring) == []


def test_a_start_that_nobody_sees_fires_after_two_minutes(monitoring: Monitoring) -> None:
    monitoring.line(1.0, WEBHOOK, printed("NOTICE", "start_acked"))
    minutes(monitoring, 4, lambda at: monitoring.line(at, WORKER, printed("INFO", "sweep")))
    assert fired(monitoring) == [("start-unseen", 180.0)]


@pytest.mark.parametrize("late_s", [0.0, 5.0, 30.0, 60.0])
@pytest.mark.parametrize("first_s", [0.0, 1.0, 30.0, 59.0])
def test_a_single_start_that_nobody_sees_fires_although_an_evaluation_is_late(
    monitoring: Monitoring, first_s: float, late_s: float
) -> None:
    """Whenever it comes between two evaluations, and even if the one that would tell of it is late."""
    monitoring.line(600.0 - first_s, WEBHOOK, printed("NOTICE", "start_acked"))
    for at in (600.0, 660.0, 720.0 + late_s, 780.0 + late_s):
        monitoring.line(at - 1.0, WORKER, printed("INFO", "sweep"))
        monitoring.evaluate(at)
    assert [policy for policy, _ in fired(monitoring)] == ["start-unseen"]


def test_a_start_that_is_seen_fires_nothing(monitoring: Monitoring) -> None:
    monitoring.line(1.0, WEBHOOK, printed("NOTICE", "start_acked"))
    monitoring.line(2.0, WORKER, printed("INFO", "start_seen"))
    minutes(monitoring, 6, lambda at: monitoring.line(at, WORKER, printed("INFO", "sweep")))
    assert fired(monitoring) == []


def test_no_sweep_for_a_quarter_of_an_hour_fires_once(monitoring: Monitoring) -> None:
    minutes(monitoring, 30)
    assert fired(monitoring) == [("sweep-stopped", 960.0)]


def test_it_fires_anew_after_it_was_over(monitoring: Monitoring) -> None:
    def failing(at: float) -> None:
        monitoring.line(at, WORKER, printed("INFO", "sweep"))
        if at < 120 or at > 360:
            labels = {"service_name": WORKER}
            own = {"response_code": "500", "response_code_class": "5xx"}
            monitoring.point(at, "run.googleapis.com/request_count", "cloud_run_revision", labels, own, 1.0)

    minutes(monitoring, 8, failing)
    assert fired(monitoring) == [("worker-errors", 60.0), ("worker-errors", 420.0)]


def attempts(monitoring: Monitoring, code: str, queue: str = "rtmskit-prod-handoffs") -> Callable[[float], None]:
    def each(at: float) -> None:
        labels = {"queue_id": queue, "location": "us-east4"}
        monitoring.line(at, WORKER, printed("INFO", "sweep"))
        own = {"response_code": code}
        monitoring.point(at, "cloudtasks.googleapis.com/queue/task_attempt_count", "cloud_tasks_queue", labels, own, 1.0)

    return each


def test_a_request_for_which_no_instance_is_left_is_told_from_the_request_log(monitoring: Monitoring) -> None:
    """No metric has it; a 429 of another service, or another status, tells nobody."""
    for service, status in ((WEBHOOK, 503), ("somebody-elses", 429), (WEBHOOK, 429), (WORKER, 429)):
        monitoring.refused(1.0, service, status)
    assert fired(monitoring) == [("webhook-full", 1.0), ("worker-full", 1.0)]
    assert "429" in str(monitoring.pages[0])


def test_tasks_that_fail_for_two_minutes_fire_and_those_that_succeed_do_not(runner: Runner) -> None:
    whole = registered(runner)
    for code, expected in (("403", [("tasks-failing", 180.0)]), ("200", [])):
        monitoring = Monitoring(whole)
        minutes(monitoring, 5, attempts(monitoring, code))
        assert fired(monitoring) == expected, code


def test_uptime_checks_that_fail_in_two_regions_fire(monitoring: Monitoring) -> None:
    def each(at: float) -> None:
        monitoring.line(at, WORKER, printed("INFO", "sweep"))
        for region in ("usa", "europe", "asia-pacific"):
            own = {"check_id": "uptime-0123456789", "checker_location": region}
            metric = "monitoring.googleapis.com/uptime_check/check_passed"
            monitoring.point(at, metric, "uptime_url", {"host": "h"}, own, float(region == "usa"))

    minutes(monitoring, 8, each)
    assert fired(monitoring) == [("down", 360.0)]


def condition(whole, name: str, **changes: object) -> dict[str, object]:
    [held] = next(entry for entry in whole.entries if entry.name == name).inputs["conditions"]
    kind = next(key for key in held if key.startswith("condition"))
    return {"conditions": [{**held, kind: {**held[kind], **changes}}]}


@pytest.mark.parametrize(
    ("name", "changes", "error"),
    [
        ("alert-lost", {"filter": 'textPayload:"lost"'}, FilterError),
        ("alert-start-unseen", {"query": "rate(x[1m]) > 0"}, QueryError),
        ("alert-worker-errors", {"comparison": "COMPARISON_LT"}, FilterError),
        ("alert-worker-errors", {"filter": 'metric.type = starts_with("run")'}, FilterError),
    ],
)
def test_what_cannot_be_read_is_an_error_before_anything_happens(
    runner: Runner, name: str, changes: dict[str, object], error: type[Exception]
) -> None:
    whole = registered(runner)
    with pytest.raises(error):
        Monitoring(altered(whole, name, **condition(whole, name, **changes)))


def test_every_registered_alert_is_watched(runner: Runner) -> None:
    whole = registered(runner)
    assert len(Monitoring(whole).policies) == len(whole.of(AlertPolicy)) > 20


def test_another_up_keeps_what_was_counted_and_what_is_remembered_of_a_policy_that_is_the_same(
    monitoring: Monitoring, runner: Runner
) -> None:
    whole = registered(runner, alertEmails=["oncall@example.com"])
    lost = printed("ALERT", "handoff_expired", handoff="h1")
    monitoring.line(0.0, WORKER, lost)
    monitoring.update(whole)
    monitoring.line(10.0, WORKER, lost)
    assert fired(monitoring) == [("lost", 0.0)], "the registered period goes on"
    monitoring.update(altered(whole, "alert-lost", displayName="Another name"))
    monitoring.line(20.0, WORKER, lost)
    assert [page.title for page in monitoring.pages][1:] == ["Another name"]
    monitoring.update(altered(whole, "alert-lost"))
    monitoring.line(1000.0, WORKER, lost)
    assert len(monitoring.pages) == 2
    assert monitoring.began() == 0.0


def test_a_filter_that_another_up_brings_and_nobody_can_read_is_an_error(monitoring: Monitoring, runner: Runner) -> None:
    whole = registered(runner)
    [name, *_] = whole.of(Metric)
    with pytest.raises(FilterError):
        monitoring.update(altered(whole, name, filter="severity >= ~ERROR"))
