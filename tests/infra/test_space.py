"""What holds for all combinations of configuration: every pair of options together, and random ones."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings

from rtms_infra.rehearsal.provider import bare
from rtms_relay.settings import VARIABLES, Role, load
from tests.infra.changes import plan
from tests.infra.deployment import SECRETS, Deployment, Runner, configured
from tests.infra.policies import violations
from tests.infra.space import AXES, Choice, choices, chosen, covering

# One engine, whose answers are remembered, serves them all. The first test waits for a run of each configuration.
pytestmark = [pytest.mark.xdist_group("infra"), pytest.mark.timeout(600)]

ROLES: tuple[Role, ...] = ("webhook", "worker")
STATE = {"database", "queue-handoffs", "queue-handoffs-second", "queue-facts", "queue-retrievals", "archive"}


def environment(deployment: Deployment, role: str) -> dict[str, str]:
    """A function's whole environment as it will find it, secrets resolved."""
    service: Mapping[str, Any] = deployment.named(role).inputs["serviceConfig"]
    found = dict(service["environmentVariables"])
    for variable in service["secretEnvironmentVariables"]:
        short = variable["key"].lower().replace("_", "-")
        version = deployment.named(f"version-{short}")
        assert variable["secret"] == deployment.named(f"secret-{short}").inputs["secretId"]
        found[variable["key"]] = bare(version.inputs["secretData"])
    return found


def everything_holds(deployment: Deployment) -> None:
    assert not deployment.error, deployment.error
    assert violations(deployment) == {}
    for role in ROLES:
        found = environment(deployment, role)
        known = {variable.name: variable for variable in VARIABLES if role in variable.roles}
        assert set(found) <= set(known), f"{role} is given variables that it does not know"
        assert {name for name, variable in known.items() if variable.required} <= set(found), f"{role} lacks variables"
        assert set(found.values()).isdisjoint(SECRETS.values()) or all(
            known[name].secret for name in found if found[name] in SECRETS.values()
        )
        load(found, role)  # reports every value that the function would refuse


@pytest.fixture(scope="module")
def covered(runner: Runner) -> list[tuple[Choice, Deployment]]:
    """One run for each row of the covering array."""
    return [(choice, runner.run(chosen(choice))) for choice in covering()]


def test_everything_holds_for_every_pair_of_options(covered: list[tuple[Choice, Deployment]], capsys: pytest.CaptureFixture[str]) -> None:
    assert len(covered) >= max(map(len, AXES.values()))
    for choice, deployment in covered:
        try:
            everything_holds(deployment)
        except AssertionError as error:
            raise AssertionError(f"{chosen(choice)}: {error}") from error
    with capsys.disabled():
        print(f"\ninfra: {len(covered)} configurations cover every pair of {sum(map(len, AXES.values()))} options on {len(AXES)} axes")


def test_no_change_of_settings_replaces_state(covered: list[tuple[Choice, Deployment]]) -> None:
    """Between any two configurations that keep name and place, the records, the queue and the archive are updated at most."""
    fixed = [list(AXES).index(axis) for axis in ("place", "name")]
    compared = 0
    for (a, before), (b, after) in itertools.permutations(covered, 2):
        if all(a[axis] == b[axis] for axis in fixed):
            result = plan(before, after)
            assert not result.replaced & STATE
            assert not result.deleted & (STATE - {"archive"})
            compared += 1
    assert compared > 10


def test_2_a_grant_has_one_name_in_every_configuration(runner: Runner, covered: list[tuple[Choice, Deployment]]) -> None:
    """A grant that two configurations give is one resource: under two names the deletion of the one takes the right of the other.

    In one place, that is: another `region` moves the queues, which is refused while they are protected.
    """
    callers = [["group:a@example.com", "user:b@example.com"], ["user:b@example.com"], ["user:b@example.com", "group:a@example.com"]]
    deployments = [*(deployment for _, deployment in covered), *(runner.run(configured(workerCallers=each)) for each in callers)]
    urns: dict[str, set[str]] = {}
    for deployment in deployments:
        for resource in deployment.custom:
            if "member" in resource.inputs:
                where = deployment.config["rtmskit:region"], deployment.config.get("rtmskit:secondRegion", "")
                grant = f"{where} {resource.type} {json.dumps(resource.inputs, sort_keys=True)}"
                urns.setdefault(grant, set()).add(resource.urn)
    assert len(urns) > 30
    assert {grant: names for grant, names in urns.items() if len(names) > 1} == {}


@given(choices)
@settings(max_examples=10)
def test_everything_holds_for_any_configuration(runner: Runner, choice: Choice) -> None:
    everything_holds(runner.run(chosen(choice)))


@given(choices)
@settings(max_examples=4)
def test_a_preview_registers_the_same_resources(runner: Runner, choice: Choice) -> None:
    preview, update = runner.run(chosen(choice), preview=True), runner.run(chosen(choice))
    assert not preview.error, preview.error
    assert {resource.urn for resource in preview.resources} == {resource.urn for resource in update.resources}
    assert set(preview.outputs) == set(update.outputs)
