"""Grants, their conditions, and the time until they are in force."""

from __future__ import annotations

import pytest

from rtms_infra.rehearsal.registered import NotRegistered
from rtms_infra.rehearsal.rights import ConditionError, Rights, holds
from tests.infra.conftest import Plant
from tests.infra.deployment import Runner, configured
from tests.infra.rehearsed import altered, read, registered

pytestmark = pytest.mark.xdist_group("infra")

PROJECT = "projects/acme-rtms"
HOME = f"{PROJECT}/locations/us-east4"


def account(role: str) -> str:
    return f"serviceAccount:rtmskit-prod-{role}@acme-rtms.iam.gserviceaccount.com"


@pytest.fixture
def rights(runner: Runner) -> Rights:
    return Rights(registered(runner), lambda: 0.0)


@pytest.mark.parametrize(
    ("who", "permission", "resource", "allowed"),
    [
        ("webhook", "cloudtasks.tasks.create", f"{HOME}/queues/rtmskit-prod-handoffs", True),
        ("webhook", "cloudtasks.tasks.create", f"{HOME}/queues/rtmskit-prod-other", False),
        ("events", "cloudtasks.tasks.create", f"{HOME}/queues/rtmskit-prod-handoffs", False),
        ("events", "run.routes.invoke", f"{HOME}/services/rtmskit-prod-worker", True),
        ("build", "run.routes.invoke", f"{HOME}/services/rtmskit-prod-worker", False),
        ("build", "run.routes.invoke", f"{HOME}/services/rtmskit-prod-webhook", True),  # allUsers
        ("webhook", "secretmanager.versions.access", f"{PROJECT}/secrets/rtmskit-prod-zoom-secret-token", True),
        ("webhook", "secretmanager.versions.access", f"{PROJECT}/secrets/rtmskit-prod-recall-api-key", False),
        (
            "webhook", "iam.serviceAccounts.actAs",
            f"{PROJECT}/serviceAccounts/rtmskit-prod-events@acme-rtms.iam.gserviceaccount.com", True,
        ),
        (
            "webhook", "iam.serviceAccounts.actAs",
            f"{PROJECT}/serviceAccounts/rtmskit-prod-sweep@acme-rtms.iam.gserviceaccount.com", False,
        ),
        ("worker", "datastore.entities.update", f"{PROJECT}/databases/rtmskit-prod", True),
        ("worker", "datastore.entities.delete", f"{PROJECT}/databases/rtmskit-prod", False),
        ("worker", "datastore.entities.get", f"{PROJECT}/databases/another", False),
        ("webhook", "datastore.entities.get", f"{PROJECT}/databases/rtmskit-prod", False),
    ],
)  # fmt: skip
def test_the_program_grants_what_is_needed_and_no_more(rights: Rights, who: str, permission: str, resource: str, allowed: bool) -> None:
    assert rights.allows(account(who), permission, resource) is allowed


def test_a_grant_that_was_taken_away_counts_again_when_it_is_given(runner: Runner) -> None:
    now = [0.0]
    rights = Rights(registered(runner), lambda: now[0], propagation_s=60.0)
    asked = (account("events"), "run.routes.invoke", f"{HOME}/services/rtmskit-prod-worker")
    assert not rights.allows(*asked)  # it was made at the very end of `up`
    now[0] = 60.0
    assert rights.allows(*asked)
    rights.take("worker-called-events")
    assert not rights.allows(*asked)
    rights.give("worker-called-events")
    assert not rights.allows(*asked)
    now[0] = 120.0
    assert rights.allows(*asked)


def test_a_grant_that_is_not_registered_cannot_be_taken_and_is_named(runner: Runner) -> None:
    rights = Rights(registered(runner), lambda: 0.0)
    with pytest.raises(NotRegistered, match="no grant `worker-called-nobody` is registered"):
        rights.take("worker-called-nobody")


SECRET = f"{PROJECT}/secrets/rtmskit-prod-recall-api-key"


def test_the_functions_are_created_when_the_grants_of_their_secrets_are_in_force(runner: Runner) -> None:
    """The operations on the database's fields, a minute or more each, stand between them."""
    then = Rights(registered(runner), lambda: 0.0, propagation_s=120.0).when_created("worker")
    assert then.allows(account("worker"), "secretmanager.versions.access", SECRET)


def test_a_wait_that_is_missing_shows(runner: Runner, plant: Plant) -> None:
    early = plant("state.py", "depends_on=[previous, *granted]", "depends_on=[]")
    text = (early / "rtms_infra/stack.py").read_text()
    (early / "rtms_infra/stack.py").write_text(text.replace("[state.ready, ", "["))
    whole = read(runner.run(configured(), program=early))
    asked = (account("worker"), "secretmanager.versions.access", SECRET)
    assert not Rights(whole, lambda: 0.0, propagation_s=60.0).when_created("worker").allows(*asked)
    assert Rights(whole, lambda: 0.0).when_created("worker").allows(*asked)


def test_a_role_without_a_permission_does_not_give_it(runner: Runner) -> None:
    fewer = altered(registered(runner), "role-records-worker", permissions=["datastore.entities.get"])
    rights = Rights(fewer, lambda: 0.0)
    database = f"{PROJECT}/databases/rtmskit-prod"
    assert rights.allows(account("worker"), "datastore.entities.get", database)
    assert not rights.allows(account("worker"), "datastore.entities.update", database)


def test_conditions_are_read_or_refused() -> None:
    either = 'resource.name.startsWith("a/") || resource.name == "b"'
    assert holds(either, "a/1")
    assert holds(either, "b")
    assert not holds(either, "b/1")
    assert not holds('resource.name == "a" && resource.name == "b"', "a")
    for text in ('resource.type == "x"', 'resource.name != "a"', "true", 'resource.name == "a" && resource.name == "b" || true'):
        with pytest.raises(ConditionError):
            holds(text, "a")
