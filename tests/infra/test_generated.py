"""What is generated is up to date; the golden inventories say what each example stack registers."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
import yaml

from rtms_infra.config import parse
from rtms_infra.costs import PRICES, SECRETS_ALWAYS, Load, estimate
from rtms_infra.keys import KEYS, REQUIRED
from rtms_infra.rehearsal import schema
from rtms_infra.secrets import READER
from rtms_infra.stack import OUTPUTS
from tests.infra.deployment import EXAMPLES, ROOT, SECRET_NAMES, Runner, as_text, configured, example
from tests.infra.policies import violations
from tests.infra.purposes import purposes
from tests.infra.regenerate import COMMAND, generated

pytestmark = pytest.mark.xdist_group("infra")  # one engine, whose answers are remembered, serves them all


@pytest.fixture(scope="module")
def wanted(runner: Runner) -> dict[Path, str]:
    return generated(runner)


FILES = [
    "Pulumi.yaml",
    "simulator/rtms_simulator/kit/deployed.json",
    "docs/configuration-infra.md",
    "docs/costs.md",
    "docs/infra-tests.md",
    "docs/permissions.md",
]


@pytest.mark.parametrize("name", [*FILES, *(f"tests/infra/inventory/{example}.yaml" for example in EXAMPLES)])
def test_the_file_is_what_the_program_makes_it(wanted: dict[Path, str], name: str) -> None:
    path = ROOT / name
    found = path.read_text() if path.exists() else ""
    difference = "\n".join(difflib.unified_diff(found.splitlines(), wanted[path].splitlines(), name, "the program", lineterm="", n=1))
    assert found == wanted[path], f"{name} is not up to date; if the change is meant, run: {COMMAND}\n{difference}"


def test_nothing_generated_is_left_behind(wanted: dict[Path, str]) -> None:
    assert {path.relative_to(ROOT).as_posix() for path in wanted} == {*FILES, *(f"tests/infra/inventory/{e}.yaml" for e in EXAMPLES)}
    assert {path.stem for path in (ROOT / "tests/infra/inventory").iterdir()} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_stack_violates_no_policy(runner: Runner, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    deployment = runner.run(example(name))
    assert not deployment.error
    assert violations(deployment) == {}
    assert set(deployment.outputs) == set(OUTPUTS)
    count = schema.Count.empty()
    for resource in deployment.custom:
        count.add(schema.resource_type(resource.type))
    kinds = len({resource.type for resource in deployment.custom})
    with capsys.disabled():
        print(f"\ninfra: {name}: {len(deployment.custom)} resources of {kinds} types checked against {count}")


def test_pulumis_own_defaults_are_the_programs(runner: Runner) -> None:
    """Pulumi's command line fills in the defaults of Pulumi.yaml before the program sees the configuration."""
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert list(declared) == [key.name for key in KEYS]
    filled = {f"rtmskit:{name}": as_text(entry["default"]) for name, entry in declared.items()} | configured()
    assert parse(filled, SECRET_NAMES, "prod") == parse(configured(), SECRET_NAMES, "prod")


def test_every_key_has_a_default_there_and_no_secret_has_a_type() -> None:
    """Otherwise Pulumi's command line would stop with an error of its own before ours can list everything."""
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    for key in KEYS:
        entry = declared[key.name]
        assert "default" in entry
        assert entry.get("secret", False) == key.secret
        assert ("type" in entry) != key.secret
        assert entry["description"].startswith("Required.") == (key.default is REQUIRED)


def test_every_documented_resource_is_in_some_example(runner: Runner) -> None:
    """A line in a docstring's Creates that nothing fulfils is a lie."""
    names = {resource.name for name in EXAMPLES for resource in runner.run(example(name)).custom}
    names |= {resource.name for resource in runner.run(configured(zoomSecretTokenPrevious="former-secret-token")).custom}
    for _, pattern, _ in purposes():
        assert any(Path(name).match(pattern) for name in names), pattern


BILLED = {
    "AlertPolicy", "BackupSchedule", "Bucket", "Database", "Function", "Job", "Metric", "Queue", "Repository", "Secret", "SecretVersion",
}  # fmt: skip
FREE = {
    "Account", "BucketIAMMember", "BucketObject", "Budget", "Dashboard", "Field", "IAMCustomRole", "Index",
    "IAMMember", "NotificationChannel", "QueueIamMember", "RepositoryIamMember", "SecretIamMember", "Service",
    "ServiceIamMember", "UptimeCheckConfig", "WorkloadIdentityPool", "WorkloadIdentityPoolProvider",
}  # fmt: skip
"""Nothing, or cents by stored size: sources."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_bill_has_a_line_for_every_billed_resource(runner: Runner, name: str) -> None:
    kinds = {resource.kind for resource in runner.run(example(name)).custom}
    assert kinds <= BILLED | FREE, "a new type: say whether it is billed"
    config = parse(example(name), SECRET_NAMES, "prod")
    caused = {kind for line in estimate(config, Load(1000)) for kind in line.types}
    without_archive = set() if config.archive.on else {"Bucket"}  # the other bucket holds some MiB of sources
    assert kinds & (BILLED - without_archive) == caused - {"Field"}


def test_the_bill_of_a_million_meetings_is_the_references() -> None:
    """gcp-pulumi reference, section 7: the table per million meetings, before free tiers."""
    config = parse(configured(recallWebhookSecrets=None), SECRET_NAMES, "prod")
    alone = {line.name: round(line.dollars, 2) for line in estimate(config, Load(1_000_000))}
    together = {line.name: round(line.dollars, 2) for line in estimate(config, Load(1_000_000, overlap=5))}
    assert alone["webhook, busy"] == 8.38
    assert together["webhook, busy"] == pytest.approx(2.315, abs=0.006)  # the reference cuts off where this rounds
    assert (alone["worker, busy"], together["worker, busy"]) == (20.60, 4.44)
    assert alone["records"] == 4.30
    assert alone["tasks, both regions"] == 4.00  # five tasks a meeting, each added and sent: 10 M operations
    assert alone["secrets"] == round(SECRETS_ALWAYS * PRICES["secret"].dollars, 2)
    assert len(READER) == SECRETS_ALWAYS + 2


def bill(**changes: object) -> dict[str, float]:
    return {line.name: line.dollars for line in estimate(parse(configured(**changes), SECRET_NAMES, "prod"), Load(10_000))}


def test_a_tier_2_region_makes_the_functions_time_dearer_and_nothing_else() -> None:
    first, second = bill(), bill(region="europe-west3")
    assert second["worker, kept warm"] == pytest.approx(1.4 * first["worker, kept warm"])
    requests = 10_000 * PRICES["request"].dollars
    assert second["worker, busy"] - requests == pytest.approx(1.4 * (first["worker, busy"] - requests))
    same = {"records", "tasks, both regions", "alerts", "images", "logs", "secrets"}
    assert {name: second[name] for name in same} == {name: first[name] for name in same}


def test_every_alert_condition_and_every_backup_is_in_the_bill(runner: Runner) -> None:
    conditions = sum(len(alert.inputs["conditions"]) for alert in runner.run(configured()).of("AlertPolicy"))
    assert bill()["alerts"] >= conditions * PRICES["alert condition"].dollars
    assert "records, backups" not in bill(backupDays=0)
    assert bill(backupDays=14)["records, backups"] == pytest.approx(2 * bill(backupDays=7)["records, backups"])
    assert bill(recordsKeepDays=100)["records, stored and recoverable"] < bill(recordsKeepDays=400)["records, stored and recoverable"]
    assert bill()["probes"] > 0


def test_a_multi_region_doubles_the_records_and_deleting_sooner_costs_less() -> None:
    assert bill(databaseLocation="nam5")["records"] == pytest.approx(2 * bill()["records"])
    assert bill(archive=True, archiveDeleteAfterDays=90)["archive"] < bill(archive=True, archiveDeleteAfterDays=365)["archive"]
    assert bill(archive=True, archiveColdAfterDays=30)["archive"] < bill(archive=True, archiveColdAfterDays=0)["archive"]
