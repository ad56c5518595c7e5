"""Ten mistakes, each planted into a copy of the program, each caught by the policy that is there for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.infra.conftest import Plant
from tests.infra.deployment import Deployment, Runner, configured
from tests.infra.policies import violations

pytestmark = pytest.mark.xdist_group("infra")  # one engine, whose answers are remembered, serves them all


def caught(runner: Runner, program: Path) -> dict[str, list[str]]:
    deployment = runner.run(configured(archive=True), program=program)
    assert not deployment.error, deployment.error
    return violations(deployment)


def only(found: dict[str, list[str]], policy: str, sentence: str) -> None:
    assert set(found) == {policy}, found
    assert any(sentence in line for line in found[policy]), found[policy]


def test_the_program_as_it_is_violates_nothing(runner: Runner) -> None:
    assert violations(runner.run(configured(archive=True))) == {}


def test_a_nested_typo_is_caught(runner: Runner, plant: Plant) -> None:
    found = caught(runner, plant("functions.py", '"max_instance_count"', '"max_instance_cuont"'))
    only(found, "inputs_match_the_schema", "webhook.serviceConfig.max_instance_cuont: FunctionServiceConfigArgs has no such property")


def test_a_wrong_enum_value_is_caught(runner: Runner, plant: Plant) -> None:
    found = caught(runner, plant("functions.py", "else config.access.worker_ingress", 'else "ALLOW_EVERYTHING"'))
    only(found, "inputs_match_the_schema", "worker.serviceConfig.ingressSettings: 'ALLOW_EVERYTHING' is none of ALLOW_ALL")


def test_a_missing_nested_required_field_is_caught(runner: Runner, plant: Plant) -> None:
    found = caught(runner, plant("queues.py", '                    "uri": pulumi.Output.concat(worker_url, "/sweep"),\n', ""))
    only(found, "inputs_match_the_schema", "sweep.httpTarget.uri: required by JobHttpTargetArgs, and missing")


def test_a_secret_in_the_plain_environment_is_caught(runner: Runner, plant: Plant) -> None:
    program = plant("stack.py", '"ZOOM_CLIENT_ID": config.zoom.client_id', '"RECALL_API_KEY": config.recall.api_key.value')
    found = caught(runner, program)
    only(found, "no_secret_in_plain_sight", "worker (gcp:cloudfunctionsv2/function:Function) shows a secret in serviceConfig")


def test_a_public_worker_is_caught(runner: Runner, plant: Plant) -> None:
    found = caught(runner, plant("functions.py", '"worker", identity.member(role)', '"worker", "allUsers"'))
    only(found, "only_the_webhook_is_public", "worker-called-sweep (gcp:cloudrunv2/serviceIamMember:ServiceIamMember) is open to allUsers")


def test_an_unpinned_secret_is_caught(runner: Runner, plant: Plant) -> None:
    found = caught(runner, plant("secrets.py", '"version": kept.version', '"version": "latest"'))
    only(found, "secrets_are_pinned", "RECALL_API_KEY is pinned to 'latest'")


def test_a_missing_api_dependency_is_caught(runner: Runner, plant: Plant) -> None:
    found = caught(runner, plant("queues.py", 'protect=place.protect, depends_on=apis.before("cloudtasks")', "protect=place.protect"))
    only(found, "apis_come_before_their_users", "queue-facts (gcp:cloudtasks/queue:Queue) does not wait for cloudtasks.googleapis.com")


def test_a_duplicate_name_is_refused_by_the_engine(runner: Runner, plant: Plant) -> None:
    deployment: Deployment = runner.run(configured(), program=plant("queues.py", 'f"enqueue-{short}-{role}"', '"enqueue"'))
    assert "Duplicate resource URN" in deployment.error
    assert "::enqueue" in deployment.error


def test_an_unprotected_database_is_caught(runner: Runner, plant: Plant) -> None:
    program = plant("state.py", 'protect=place.protect, depends_on=apis.before("firestore")', 'depends_on=apis.before("firestore")')
    only(caught(runner, program), "state_is_protected", "database (gcp:firestore/database:Database) is not protected")


def test_a_wrong_entry_point_is_caught(runner: Runner, plant: Plant) -> None:
    found = caught(runner, plant("functions.py", '"entry_point": role', '"entry_point": "main"'))
    only(found, "entry_points_exist", "webhook (gcp:cloudfunctionsv2/function:Function) starts 'main'")


# Beyond the ten: one for each policy that they do not touch.
@pytest.mark.parametrize(
    ("file", "old", "new", "policy", "sentence"),
    [
        ("stack.py", '"stateUrl": state.url', '"stateUrl": config.recall.api_key.value', "no_secret_in_plain_sight", "the output stateUrl"),
        (
            "identity.py",
            "role=custom.name",
            'role="roles/secretmanager.secretAccessor"',
            "no_rights_across_the_project",
            "on the whole project",
        ),
        ("secrets.py", '"RECALL_API_KEY": "worker",', '"RECALL_API_KEY": "webhook",', "each_secret_has_one_reader", "recall-api-key"),
        ("queues.py", 'f"enqueue-{short}-{role}"', 'f"add-{short}-{role}"', "everything_has_a_purpose", "nobody says what it is for"),
        ("state.py", 'versioning={"enabled": False}', 'versioning={"enabled": True}', "nothing_remains_after_forget", "keeps old versions"),
        (
            "functions.py",
            "else config.access.worker_ingress",
            'else "ALLOW_ALL"',
            "only_the_webhook_is_public",
            "reached from the internet",
        ),
        ("functions.py", '"available_cpu": capacity.cpu', '"available_cpu": "0.5"', "functions_fit_their_duty", "less than one CPU"),
        (
            "functions.py",
            "            labels=place.labels,\n            uniform",
            "            uniform",
            "everything_is_labelled",
            "source",
        ),
        ("secrets.py", 'f"{place.name}-{short}"', 'f"{place.name}-secret"', "names_are_not_taken_twice", "are both"),
    ],
)
def test_every_other_policy_catches_its_mistake(
    runner: Runner, plant: Plant, file: str, old: str, new: str, policy: str, sentence: str
) -> None:
    found = caught(runner, plant(file, old, new))
    assert any(sentence in line for line in found.get(policy, [])), found
