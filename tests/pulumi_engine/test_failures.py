"""Failures in the real Pulumi engine: what a failed `up` leaves behind, and that the next ones end right or say why not."""

from __future__ import annotations

import re

import pytest
from pulumi.automation.errors import CommandError

from rtms_infra.rehearsal.cloud import Cloud, Failure
from rtms_infra.rehearsal.pulumi_stack import EngineStack, changes
from tests.infra.deployment import configured

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize(
    "failure",
    [
        Failure("create", "*/firestore.googleapis.com", 403, "the API has not been used in this project before or it is disabled"),
        Failure("create", "*/secrets/*recall-api-key", 403, "Secret Manager API is not awake yet"),
        Failure("create", "*queues/*facts", 409, "already exists"),
        Failure("create", "*/roles/cloudtasks.enqueuer/*", 403, "permission denied"),
        Failure("create", "*alertPolicies*", 404, "cannot find metric"),
    ],
    ids=lambda failure: f"{failure.status} {failure.what}",
)
def test_a_first_up_that_fails_once_is_finished_by_the_next_one(stack: EngineStack, cloud: Cloud, failure: Failure) -> None:
    cloud.failures.append(failure)
    stack.set(configured())
    with pytest.raises(CommandError, match=re.escape(failure.sentence)):
        stack.up()
    stack.up()
    assert changes(stack.up()) == {}
    assert {kind.rpartition(":")[2] for kind, _ in cloud.resources.values()} >= {"Function", "Queue", "Database"}


def test_a_failed_first_build_never_ends_in_a_quiet_success(stack: EngineStack, cloud: Cloud) -> None:
    cloud.failures.append(Failure("build", "*/functions/*-webhook", sentence="no permission to read the source"))
    stack.set(configured())
    with pytest.raises(CommandError, match="the build failed"):
        stack.up()
    for _ in range(2):
        with pytest.raises(CommandError) as again:
            stack.up()
        assert "redeploy" in str(again.value), "the way out must be named"
    stack.set(configured(redeploy="again"))
    # At a terminal `pulumi up` previews first, and what that refuses never begins.
    stack.preview()
    stack.up()
    states = {body["state"] for kind, body in cloud.resources.values() if kind.endswith(":Function")}
    assert states == {"ACTIVE"}
    assert changes(stack.up()) == {}
