"""Somebody is told: every event that the functions log at ALERT or ERROR finds its policy, its channel and its page of the runbook."""

from __future__ import annotations

import re
from typing import TypeVar

import pytest

from rtms_infra.alerts import COUNTERS, NOT_PAGED, OnLine, OnQuery, policies
from rtms_infra.config import parse
from rtms_infra.rehearsal.logfilter import FilterError, entry, matches
from rtms_relay.logs import EVENTS
from tests.infra.deployment import EXAMPLES, ROOT, SECRET_NAMES, Deployment, Runner, configured, example
from tests.infra.logged import SEVERITIES, logged, printed

pytestmark = pytest.mark.xdist_group("infra")  # one engine, whose answers are remembered, serves them all

RUNBOOK = ROOT / "docs" / "runbook.md"


def on_lines(deployment: Deployment) -> dict[str, str]:
    """Alert policy -> its filter, for those on log lines of the functions."""
    found = {}
    for policy in deployment.of("AlertPolicy"):
        for condition in policy.inputs["conditions"]:
            if "jsonPayload" in condition.get("conditionMatchedLog", {}).get("filter", ""):
                found[policy.name] = condition["conditionMatchedLog"]["filter"]
    return found


def services(deployment: Deployment) -> dict[str, str]:
    return {role: deployment.named(role).inputs["name"] for role in ("webhook", "worker")}


LOUD = sorted({(place.event, severity) for place in logged() for severity in place.severities & {"ERROR", "CRITICAL", "ALERT"}})


def test_the_code_is_read() -> None:
    events = {place.event for place in logged()}
    assert len(events) > 25
    assert events <= set(EVENTS)
    assert ("handoff_expired", "ALERT") in LOUD


@pytest.mark.parametrize(("event", "severity"), LOUD)
def test_every_loud_event_pages_or_is_listed_with_a_reason(runner: Runner, event: str, severity: str) -> None:
    deployment = runner.run(example("production"))
    lines = [entry(printed(severity, event), service) for service in services(deployment).values()]
    told = [name for name, text in on_lines(deployment).items() if any(matches(text, line) for line in lines)]
    assert told or event in NOT_PAGED, f"nobody is told of {event} at {severity}, and no line of NOT_PAGED says why"


def test_the_list_of_what_is_not_paged_holds_only_loud_events() -> None:
    assert set(NOT_PAGED) <= {event for event, _ in LOUD}
    assert all(reason for reason in NOT_PAGED.values())


def test_every_filter_matches_a_line_that_the_functions_can_print(runner: Runner) -> None:
    deployment = runner.run(example("production"))
    kinds = {(place.event, severity) for place in logged() for severity in place.severities}
    lines = [entry(printed(severity, event), name) for event, severity in kinds for name in services(deployment).values()]
    for name, text in on_lines(deployment).items():
        assert any(matches(text, line) for line in lines), f"{name} waits for a line that nobody prints: {text}"
    for metric in deployment.of("Metric"):
        assert any(matches(metric.inputs["filter"], line) for line in lines), metric.name


Kind = TypeVar("Kind")


def conditions(kind: type[Kind]) -> list[tuple[str, Kind]]:
    config = parse(configured(), SECRET_NAMES, "prod")
    named: list[tuple[str, Kind]] = []
    for policy in policies(config.place, config.alerts):
        condition = policy.condition
        if isinstance(condition, kind):
            named.append((policy.key, condition))
    assert len(named) > 3
    return named


def test_a_filter_names_no_event_that_is_never_logged() -> None:
    for key, condition in conditions(OnLine):
        assert condition.events, key
        for event in condition.events:
            places = [place for place in logged() if place.event == event]
            assert places, f"{key} waits for {event}"
            given = frozenset().union(*(place.fields for place in places))
            loose = {"handoff", "stream", "event", *re.findall(r"\w+", EVENTS[event])}  # given by a mapping; EVENTS names them
            assert set(condition.labels) <= given | loose, f"{key}: {event} has no field {condition.labels}"


def test_a_query_names_events_of_its_counter() -> None:
    for key, condition in conditions(OnQuery):
        named = re.findall(r'user_\w*_([a-z]+)\{[^}]*event="(\w+)"', condition.query)
        assert named, key
        assert [(counter, event) for counter, event in named if event not in COUNTERS[counter][0]] == [], key


def test_an_ordinary_line_pages_nobody(runner: Runner) -> None:
    deployment = runner.run(example("production"))
    quiet = [
        (p.event, s) for p in logged() for s in p.severities & set(SEVERITIES[:3]) if p.event not in ("event_unusable", "task_unusable")
    ]
    for event, severity in quiet:
        for service in services(deployment).values():
            told = [name for name, text in on_lines(deployment).items() if matches(text, entry(printed(severity, event), service))]
            assert told == [], (event, severity)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_alert_reaches_every_channel_and_names_its_page(runner: Runner, name: str) -> None:
    deployment = runner.run(example(name))
    sections = set(re.findall(r"^## ([a-z-]+)$", RUNBOOK.read_text(), re.MULTILINE))
    made = {channel.name for channel in deployment.of("NotificationChannel")}
    alerts = deployment.of("AlertPolicy")
    assert len(alerts) > 20
    for alert in alerts:
        assert len(alert.inputs["notificationChannels"]) == len(made), alert.name
        assert f"docs/runbook.md#{alert.name.removeprefix('alert-')}" in alert.inputs["documentation"]["content"]
        assert alert.name.removeprefix("alert-") in sections, f"docs/runbook.md has no section for {alert.name}"


def test_the_runbook_has_no_section_without_an_alert(runner: Runner) -> None:
    alerts = {alert.name.removeprefix("alert-") for alert in runner.run(configured()).of("AlertPolicy")}
    assert set(re.findall(r"^## ([a-z-]+)$", RUNBOOK.read_text(), re.MULTILINE)) == alerts
    for section in re.split(r"^## (?=[a-z-]+$)", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]:
        assert all(part in section for part in ("**Means:**", "**Look at:**", "**Do:**")), section.splitlines()[0]


ALL_CHANNELS = {
    "alertEmails": ["a@example.com", "a@example.com"],
    "alertPubsubTopics": ["projects/acme-rtms/topics/alerts"],
    "alertSlackChannel": "#oncall",
    "alertSlackToken": "xoxb-1234567890",
    "alertPagerdutyKey": "0123456789abcdef0123456789abcdef",
    "alertWebhookUrl": "https://hooks.example.com/token-in-path",
    "alertChannels": ["projects/acme-rtms/notificationChannels/42"],
}


def test_every_kind_of_channel_is_made_and_used(runner: Runner) -> None:
    deployment = runner.run(configured(**ALL_CHANNELS))
    assert not deployment.error
    kinds = {channel.inputs["type"] for channel in deployment.of("NotificationChannel")}
    assert kinds == {"email", "pubsub", "slack", "pagerduty", "webhook_tokenauth"}
    assert all(len(alert.inputs["notificationChannels"]) == 6 for alert in deployment.of("AlertPolicy"))
    shown = str([channel.inputs for channel in deployment.of("NotificationChannel")])
    assert "{'$secret': 'xoxb-1234567890'}" in shown
    assert "{'$secret': 'https://hooks.example.com/token-in-path'}" in shown


def test_without_a_channel_the_first_step_says_that_nobody_is_told(runner: Runner) -> None:
    assert "Nobody is notified" in runner.run(configured()).outputs["nextSteps"][0]
    assert "Nobody is notified" not in str(runner.run(configured(alertEmails=["a@example.com"])).outputs["nextSteps"])


def test_what_anybody_can_set_off_is_a_ticket_at_most() -> None:
    config = parse(configured(), SECRET_NAMES, "prod")
    severities = {policy.key: policy.severity for policy in policies(config.place, config.alerts)}
    tickets = ("challenge", "signed-refused", "worker-refuses", "errors")
    assert {key: severities[key] for key in tickets} == dict.fromkeys(tickets, "WARNING")


@pytest.mark.parametrize("text", ['a="b" XOR c="d"', "a=", 'a="b" AND', '(a="b"', "severity>=LOUD", 'a:"b"'])
def test_a_filter_outside_the_used_part_of_the_language_is_an_error(text: str) -> None:
    with pytest.raises(FilterError):
        matches(text, {"a": "b", "severity": "ERROR"})


def test_or_binds_closer_than_and() -> None:
    assert not matches('a="1" OR b="1" AND c="1"', {"a": "1", "b": "0", "c": "0"})
    assert matches('a="1" AND (b="1" OR c="0")', {"a": "1", "b": "0", "c": "0"})
    assert matches('NOT a="2" AND severity>=ERROR', {"a": "1", "severity": "ALERT"})
    assert not matches('missing!="x"', {"a": "1"})
