"""Grants, their conditions, and the time until they are in force."""

from __future__ import annotations

import pytest

from rtms_infra.rehearsal.registered import CustomRole, NotRegistered, Registered
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


GRANT = "worker-called-events"
CALL = ("events", "run.routes.invoke", f"{HOME}/services/rtmskit-prod-worker")


def moved(clock: list[float], whole: Registered, after: Registered) -> Rights:
    """An hour after `whole` is in force, another `up` has made `after` of it."""
    rights = Rights(whole, lambda: clock[0], propagation_s=60.0)
    clock[0] += 3600.0
    same = {name for name, given in after.given().items() if whole.given().get(name) == given}
    rights.update(after.before_deletions(whole), same)
    return rights


def test_a_grant_that_an_up_leaves_as_it_was_stays_in_force(runner: Runner) -> None:
    whole = registered(runner)
    assert moved([0.0], whole, whole).allows(account("events"), *CALL[1:])


def test_a_grant_that_is_no_longer_registered_ends_with_the_deletions(runner: Runner) -> None:
    whole = registered(runner)
    rights = moved([0.0], whole, altered(whole, GRANT))
    assert rights.allows(account("events"), *CALL[1:]), "deletions come last"
    rights.update(altered(whole, GRANT))
    assert not rights.allows(account("events"), *CALL[1:])


def test_what_another_up_grants_needs_its_time_and_nothing_else_waits_for_it(runner: Runner) -> None:
    whole, clock = registered(runner), [0.0]
    rights = moved(clock, altered(whole, GRANT), whole)
    assert not rights.allows(account("events"), *CALL[1:])
    assert rights.allows(account("sweep"), *CALL[1:])
    clock[0] += 60.0
    assert rights.allows(account("events"), *CALL[1:])


def test_a_role_with_one_permission_more_needs_time_for_that_one_only(runner: Runner) -> None:
    whole, clock = registered(runner), [0.0]
    [(name, role)] = [(name, role) for name, role in whole.of(CustomRole).items() if "datastore.entities.get" in role.permissions]
    fewer = altered(whole, name, permissions=[one for one in role.permissions if one != "datastore.entities.get"])
    rights, database = moved(clock, fewer, whole), f"{PROJECT}/databases/rtmskit-prod"
    assert rights.allows(account("worker"), "datastore.entities.update", database)
    assert not rights.allows(account("worker"), "datastore.entities.get", database)
    clock[0] += 60.0
    assert rights.allows(account("worker"), "datastore.entities.get", database)
    rights.update(fewer)
    assert not rights.allows(account("worker"), "datastore.entities.get", database)
    assert rights.allows(account("worker"), "datastore.entities.update", database)


def test_an_up_does_not_see_that_somebody_took_a_grant_away(runner: Runner) -> None:
    whole = registered(runner)
    rights = Rights(whole, lambda: 0.0)
    rights.take(GRANT)
    rights.update(whole)
    assert not rights.allows(account("events"), *CALL[1:])
    rights.give(GRANT)
    assert rights.allows(account("events"), *CALL[1:])


def test_a_secret_of_the_second_version_is_not_readable_at_once_when_its_function_does_not_wait(runner: Runner) -> None:
    """The operations on the fields, which the first `up` waits for, are not done again."""
    whole = registered(runner)
    [name] = [
        name for name, (_, member) in whole.members().items() if SECRET.endswith(member.secret_id.rpartition("/")[2]) and member.secret_id
    ]
    then = moved([0.0], altered(whole, name), whole).when_created("worker")
    assert not then.allows(account("worker"), "secretmanager.versions.access", SECRET)
