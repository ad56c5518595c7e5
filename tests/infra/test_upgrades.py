"""An upgrade from every release, on every example stack: nothing that holds state is replaced, and no grant is missing for a moment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.infra import releases
from tests.infra.conftest import Plant
from tests.infra.deployment import EXAMPLES, ROOT, Runner, World, example
from tests.infra.releases import Release, in_order, kept, read, text, this_version
from tests.infra.upgrades import HOLDS, violations

# An engine of its own, beside the others; some tests act on every example.
pytestmark = [pytest.mark.xdist_group("infra-worlds"), pytest.mark.timeout(300)]

FIRST = "0.1.0"


@pytest.fixture(scope="module")
def released() -> Release:
    """The first version's `production` example: every kind of resource is in it."""
    return read(FIRST, "production")


@pytest.fixture(scope="module")
def before(runner: Runner, released: Release) -> World:
    """The cloud that it left."""
    return cloud_of(runner, released)


def cloud_of(runner: Runner, release: Release) -> World:
    world = runner.replay(release.resources, release.config)
    assert world.errors == ()
    assert world.missing == frozenset()
    return world


@pytest.mark.parametrize(("version", "stack"), kept())
def test_an_upgrade_from_a_release_replaces_no_state_and_leaves_no_gap(runner: Runner, version: str, stack: str) -> None:
    release = read(version, stack)
    assert list(violations(runner, cloud_of(runner, release), release)) == []


def test_every_released_version_has_its_fixture_and_so_has_this_one() -> None:
    dated = re.findall(r"^## (\d+\.\d+\.\d+) - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert FIRST in dated
    assert {(version, stack) for version in {*dated, this_version()} for stack in EXAMPLES} <= set(kept())


def test_the_page_of_releases_names_the_command() -> None:
    assert f"`{releases.COMMAND}`" in (ROOT / "docs" / "releases.md").read_text()


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_replayed_is_what_the_program_deploys(runner: Runner, name: str) -> None:
    """Or an upgrade from a fixture would prove nothing about a stack that a release's program deployed."""
    deployment = runner.run(example(name))
    world = runner.replay(in_order(deployment.resources), deployment.config)
    assert world.errors == ()
    assert world.of("create") == {resource.name for resource in deployment.custom}
    assert runner.act(world, deployment.config).changed == set()


def test_a_fixture_is_read_as_it_was_written(runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "FOLDER", tmp_path)
    deployment = runner.run(example("production"))
    releases.write(runner, "9.9.9", ["production"])
    release = read("9.9.9", "production")
    assert release.config == deployment.config
    by_urn = {resource.urn: resource for resource in release.resources}
    assert {urn: one for urn, one in by_urn.items() if one.name != "source-object"} == {
        urn: one for urn, one in deployment.by_urn.items() if one.name != "source-object"
    }
    seen: set[str] = set()
    for resource in release.resources:
        assert {resource.parent, *resource.dependencies} - {""} <= seen, resource.urn
        seen.add(resource.urn)
    assert text(deployment) == (tmp_path / "9.9.9" / "production.jsonl").read_text()


def test_a_fixture_that_is_there_is_not_written_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert releases.main([]) == 1
    assert "never changes" in capsys.readouterr().err


def test_every_kind_that_holds_something_is_in_the_fixture(released: Release) -> None:
    assert set(HOLDS) <= {resource.kind for resource in released.resources}


Edit = tuple[str, str, str]
"""A file of the program, a text in it, and the text in its place."""

DATABASE = 'firestore.Database(\n            "database",'
OTHERWISE = ("state.py", DATABASE, DATABASE.replace('"database"', '"records"'))
UNCONDITIONED = [
    ("identity.py", '"title": "one database"', '"title": "this database"'),
    ("identity.py", ", delete_before_replace=False", ""),
]
CONDITIONED = "a grant's condition is worded otherwise, and the old one goes first"

PLANTED: list[tuple[str, list[Edit], str]] = [
    ("the database is called otherwise", [OTHERWISE], "records: "),
    ("the database has another id", [("state.py", "name=place.name,", 'name=f"{place.name}-db",')], "database (Database"),
    ("the component has another type", [("state.py", '"rtmskit:infra:State"', '"rtmskit:infra:Records"')], "already exists"),
    (
        "a queue is in another region",
        [("queues.py", "location=region,\n            rate", 'location="us-west1",\n            rate')],
        "(Queue",
    ),
    ("a queue has another name", [("queues.py", 'f"{place.name}-{numbers.kind}"', 'f"{place.name}-q-{numbers.kind}"')], "(Queue"),
    ("the archive has another name", [("state.py", "{place.name}-archive", "{place.name}-recordings")], "archive (Bucket"),
    ("a secret has another id", [("secrets.py", 'secret_id=f"{', 'secret_id=f"s-{')], "(Secret"),
    ("an account has another id", [("identity.py", 'account_id=f"{place.name}', 'account_id=f"{place.name}-x')], "(Account"),
    ("a function has another name", [("functions.py", 'name=f"{place.name}-{role}"', 'name=f"fn-{place.name}-{role}"')], "(Function"),
    ("a role has another id", [("identity.py", '_records"),', '_of_records"),')], "(IAMCustomRole"),
    ("the pool has another id", [("deploys.py", "-{config.pool}", "-ci-{config.pool}")], "(WorkloadIdentityPool"),
    ("a grant is called otherwise", [("identity.py", 'f"records-{role}"', 'f"record-{role}"')], "loses projects/"),
    ("the queues' grants are called otherwise", [("queues.py", 'f"enqueue-{short}', 'f"enqueuer-{short}')], "loses roles/cloudtasks"),
    (CONDITIONED, UNCONDITIONED, "is without"),
    ("a key is gone", [("keys.py", '"recordsKeepDays"', '"keepRecordsDays"')], "the upgrade fails"),
    ("a value is refused that was taken", [("numbers.py", "SLOTS_MIN = 10", "SLOTS_MIN = 100000")], "the upgrade fails"),
]
"""What is planted -> the edits, and a part of the sentence that must come."""


@pytest.mark.parametrize(("edits", "sentence"), [case[1:] for case in PLANTED], ids=[case[0] for case in PLANTED])
def test_a_change_that_would_lose_something_is_noticed(
    runner: Runner, plant: Plant, released: Release, before: World, edits: list[Edit], sentence: str
) -> None:
    program = [plant(*edit) for edit in edits][-1]
    assert next((one for one in violations(runner, before, released, program) if sentence in one), "")


def test_a_second_up_that_finds_something_to_do_is_noticed(runner: Runner, plant: Plant, released: Release, before: World) -> None:
    program = plant("dashboard.py", '"columns": 48', '"columns": 48, "dashboardFilters": []')
    assert any("a second `pulumi up`" in one for one in violations(runner, before, released, program))


PROTECTED = 'protect=place.protect, depends_on=[first, *apis.before("firestore")]'
COMPONENT = '"rtmskit:infra:State", "state"'
OF_STATE = '"rtmskit:infra:Records", "state", opts=pulumi.ResourceOptions(aliases=[pulumi.Alias(type_="rtmskit:infra:State")])'
LASTING = "opts=lasting,\n        )\n\n    def _build_grants"
OF_GRANT = (
    'opts=pulumi.ResourceOptions.merge(lasting, pulumi.ResourceOptions(aliases=[pulumi.Alias(name=f"records-{role}")])),\n'
    ")\n\n    def _build_grants"
)

ALIASED: list[tuple[str, list[Edit]]] = [
    ("of itself", [OTHERWISE, ("state.py", PROTECTED, f'{PROTECTED}, aliases=[pulumi.Alias(name="database")]')]),
    ("of its component", [("state.py", COMPONENT, OF_STATE)]),
    ("of a grant", [("identity.py", 'f"records-{role}",', 'f"record-{role}",'), ("identity.py", LASTING, OF_GRANT)]),
]


@pytest.mark.parametrize("edits", [case[1] for case in ALIASED], ids=[case[0] for case in ALIASED])
def test_another_name_with_an_alias_is_no_loss(runner: Runner, plant: Plant, released: Release, before: World, edits: list[Edit]) -> None:
    program = [plant(*edit) for edit in edits][-1]
    assert list(violations(runner, before, released, program)) == []
