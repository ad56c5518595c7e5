"""The engine in the cloud's place: what a program notices of the real one, it notices of this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtms_infra.rehearsal.engine import bare, plain
from tests.infra.deployment import Deployment, Runner

pytestmark = pytest.mark.xdist_group("infra")

HEAD = "import pulumi\nfrom pulumi_gcp import serviceaccount, storage, secretmanager, organizations\n"


@pytest.fixture
def written(runner: Runner, tmp_path: Path):
    def run(text: str, *, preview: bool = False) -> Deployment:
        (tmp_path / "infra").mkdir(exist_ok=True)
        (tmp_path / "infra" / "__main__.py").write_text(HEAD + text)
        return runner.run({"gcp:project": "p-project"}, program=tmp_path / "infra", preview=preview)

    return run


CHAIN = """
account = serviceaccount.Account("a", account_id="the-account")
bucket = storage.Bucket("b", location="us-east4", name="the-bucket")
grant = storage.BucketIAMMember("g", bucket=bucket.name, role="roles/x", member=account.email.apply("serviceAccount:{}".format))
pulumi.export("number", bucket.project_number)
"""


def test_computed_outputs_flow_into_other_resources_and_make_dependencies(written) -> None:
    deployment = written(CHAIN)
    grant = deployment.named("g")
    assert grant.inputs["member"] == "serviceAccount:the-account@p-project.iam.gserviceaccount.com"
    assert {deployment.by_urn[urn].name for urn in grant.dependencies} == {"a", "b"}
    assert deployment.outputs["number"] == 123456789012


def test_a_preview_leaves_them_unknown_and_runs_no_apply(written) -> None:
    deployment = written(CHAIN + "account.email.apply(lambda email: 1 / 0 if email else 0)\n", preview=True)
    assert deployment.error == ""
    assert "serviceAccount" not in str(deployment.named("g").inputs["member"])
    assert deployment.named("g").inputs["bucket"] == "the-bucket"


def test_urns_are_built_from_the_parents_type(written) -> None:
    deployment = written(
        'class C(pulumi.ComponentResource):\n    def __init__(self):\n        super().__init__("x:y:C", "c")\n'
        '        storage.Bucket("b", location="eu", opts=pulumi.ResourceOptions(parent=self))\nC()\n'
    )
    assert deployment.named("b").urn == "urn:pulumi:prod::rtmskit::x:y:C$gcp:storage/bucket:Bucket::b"


def test_secrets_arrive_marked_also_through_an_apply(written) -> None:
    deployment = written(
        'value = pulumi.Output.secret("hush").apply(lambda v: v + "!")\nsecretmanager.SecretVersion("v", secret="s", secret_data=value)\n'
    )
    assert deployment.named("v").inputs["secretData"] == {"$secret": "hush!"}


def test_a_lookup_is_refused(written) -> None:
    assert "looks something up" in written("organizations.get_project()\n").error


def test_a_failing_program_ends_with_its_traceback_and_a_run_error_with_its_message(written) -> None:
    assert "ZeroDivisionError" in written("1 / 0\n").error
    assert written('raise pulumi.RunError("because")\n').error == "because"


def test_one_programs_modules_are_not_the_next_ones(written, runner: Runner, tmp_path: Path) -> None:
    for number in ("1", "2"):
        package = tmp_path / "infra" / "rtms_infra"
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text(f"NUMBER = {number!r}\n")
        assert written("from rtms_infra import NUMBER\npulumi.export('number', NUMBER)\n").outputs == {"number": number}


def test_marks_can_be_put_on_and_taken_off() -> None:
    wire = {"a": {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": [1.0, {"b": 2.5}]}}
    assert plain(wire) == {"a": {"$secret": [1, {"b": 2.5}]}}
    assert bare(plain(wire)) == {"a": [1, {"b": 2.5}]}
