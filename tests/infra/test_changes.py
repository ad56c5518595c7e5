"""What an update does: code changes redeploy the functions and nothing else, rotations make revisions, state stays."""

from __future__ import annotations

import pytest

from rtms_infra.rehearsal.facts import FACTS
from rtms_infra.rehearsal.schema import resource_type
from tests.infra.changes import Plan, plan
from tests.infra.conftest import Plant
from tests.infra.deployment import EXAMPLES, Runner, configured, example

pytestmark = pytest.mark.xdist_group("infra")  # one engine, whose answers are remembered, serves them all

STATE = {"database", "queue-handoffs", "queue-handoffs-second", "queue-facts", "queue-retrievals", "archive"}


def planned(runner: Runner, before: dict[str, str], after: dict[str, str]) -> Plan:
    first, second = runner.run(before), runner.run(after)
    assert not first.error, first.error
    assert not second.error, second.error
    return plan(first, second)


def test_the_same_configuration_changes_nothing(runner: Runner) -> None:
    before, after = runner.run(example("production")), runner.run(example("production"), again=True)
    assert plan(before, after).touched == set()
    assert before.outputs == after.outputs


def test_new_source_redeploys_only_the_functions(runner: Runner, plant: Plant) -> None:
    program = plant("source.py", "", "")
    before = runner.run(configured(), program=program)
    main = program.parent / "function" / "main.py"
    main.write_text(main.read_text() + "\n# changed\n")
    result = plan(before, runner.run(configured(), program=program))
    assert result.replaced == {"source-object"}
    assert result.updated == {"webhook", "worker"}
    assert result.touched == {"source-object", "webhook", "worker"}


def test_touching_a_file_without_changing_it_redeploys_nothing(runner: Runner, plant: Plant) -> None:
    program = plant("source.py", "", "")
    before = runner.run(configured(), program=program)
    for path in (program.parent / "function").rglob("*.py"):
        path.touch()
    (program.parent / "function" / "rtms_relay" / "__pycache__").mkdir(exist_ok=True)
    (program.parent / "function" / "rtms_relay" / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"cache")
    assert plan(before, runner.run(configured(), program=program)).touched == set()


@pytest.mark.parametrize(
    ("key", "value", "short", "function"),
    [
        ("zoomSecretToken", "zoom-secret-token-1", "zoom-secret-token", "webhook"),
        ("recallWebhookSecrets", "whsec_b3RoZXItc2VjcmV0", "recall-webhook-secrets", "webhook"),
        ("zoomClientSecret", "zoom-client-secret-1", "zoom-client-secret", "worker"),
        ("recallApiKey", "recall-api-key-001", "recall-api-key", "worker"),
    ],
)
def test_a_rotated_secret_is_a_new_version_and_a_new_revision(runner: Runner, key: str, value: str, short: str, function: str) -> None:
    result = planned(runner, configured(), configured(**{key: value}))
    assert result.replaced == {f"version-{short}"}
    assert result.touched == {f"version-{short}", function}
    assert runner.run(configured()).named(f"version-{short}").new_first


def test_keeping_the_former_token_during_a_rotation_adds_one_secret(runner: Runner) -> None:
    after = configured(zoomSecretToken="zoom-secret-token-1", zoomSecretTokenPrevious="zoom-secret-token-0")
    result = planned(runner, configured(), after)
    assert result.created == {f"{kind}-zoom-secret-token-previous" for kind in ("secret", "version", "access")}
    assert result.replaced == {"version-zoom-secret-token"}
    assert result.updated == {"webhook"}


@pytest.mark.parametrize(
    ("changes", "touched"),
    [
        ({"webhookMinInstances": 3}, {"webhook"}),
        ({"retrievalsPerSecond": 50}, {"queue-retrievals"}),
        ({"runtime": "python314"}, {"webhook", "worker"}),
        ({"ackLatencyAlertMs": 1500}, {"alert-ack-latency"}),
        ({"zoomServerHosts": "rtms.example.com"}, {"worker"}),
        ({"archive": True}, {"archive-objects", "worker"}),
        ({"publicWebhook": False, "uptimeCheck": False}, {"webhook-public", "uptime", "alert-down"}),
    ],
)
def test_a_setting_changes_what_it_is_about(runner: Runner, changes: dict[str, object], touched: set[str]) -> None:
    result = planned(runner, configured(), configured(**changes))
    assert result.touched == touched
    assert not result.replaced


def test_moving_the_database_would_replace_state_and_is_stopped_by_its_protection(runner: Runner) -> None:
    before, after = runner.run(configured()), runner.run(configured(databaseLocation="nam5"))
    assert "database" in plan(before, after).replaced
    assert before.named("database").protect


def test_the_rules_of_replacement_cover_every_type_and_name_real_properties(runner: Runner) -> None:
    used = {resource.type for name in EXAMPLES for resource in runner.run(example(name)).custom}
    assert used <= set(FACTS)
    for kind, facts in FACTS.items():
        named = {name.partition(".")[0] for name in facts.replaces} | ({facts.grant_on} - {""}) | ({facts.auto_named} - {""})
        assert named <= set(resource_type(kind).properties), kind


MISSED_ONCE = {
    "gcp:firestore/database:Database": {
        "tags", "firestoreDataAccessMode", "mongodbCompatibleDataAccessMode", "realtimeUpdatesMode",
    },
    "gcp:artifactregistry/repository:Repository": {"remoteRepositoryConfig"},
    "gcp:secretmanager/secret:Secret": {"tags"},
    "gcp:secretmanager/secretVersion:SecretVersion": {"isSecretDataBase64", "secretDataWoVersion"},
    "gcp:monitoring/uptimeCheckConfig:UptimeCheckConfig": {"resourceGroup", "syntheticMonitor", "httpCheck.requestMethod"},
    "gcp:storage/bucket:Bucket": {"enableObjectRetention"},
    "gcp:firestore/field:Field": {"ttlConfig.expirationOffset"},
    "gcp:logging/metric:Metric": {"metricDescriptor.labels.key", "metricDescriptor.labels.valueType"},
}  # fmt: skip
"""Arguments that replace in the provider's own schemas, and that an earlier table of this project did not have."""


@pytest.mark.parametrize("kind", MISSED_ONCE)
def test_12_what_replaces_is_as_the_providers_own_schemas_say(kind: str) -> None:
    assert MISSED_ONCE[kind] <= FACTS[kind].replaces


def test_12_a_counter_is_renamed_in_place() -> None:
    assert "name" not in FACTS["gcp:logging/metric:Metric"].replaces
