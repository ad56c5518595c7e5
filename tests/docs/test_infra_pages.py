"""The other pages about the deployment: every command on them is run, or parsed and played on an engine in the cloud's place."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.docs.shell import CLOUD, DOCS, INFRA_PAGES, LOCAL, Account, blocks, commands, deployed
from tests.infra.conftest import runner  # noqa: F401  # the engine is a fixture there
from tests.infra.deployment import ROOT, Runner, configured

from rtms_infra.keys import BY_NAME
from rtms_infra.stack import OUTPUTS

pytestmark = pytest.mark.xdist_group("infra")  # one engine, whose answers are remembered, serves them all

PAGES = [DOCS / f"{name}.md" for name in INFRA_PAGES]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_is_of_a_kind_that_is_checked(page: Path) -> None:
    assert {kind for kind, _ in blocks(page)} <= {LOCAL, CLOUD, "yaml", "mermaid"}
    for kind, lines in blocks(page):
        if kind == "yaml":
            assert set(yaml.safe_load("\n".join(lines))) == {
                "name",
                True,
                "concurrency",
                "permissions",
                "jobs",
            }  # YAML 1.1 reads `on` as true


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "deploy"], ids=lambda page: page.stem)
def test_the_commands_that_need_no_account_work(page: Path, tmp_path: Path) -> None:
    (tmp_path / "infra").symlink_to(ROOT / "infra")
    for line in commands(page, LOCAL):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"


@pytest.mark.parametrize("name", ["custom-domain", "environments", "org-policies", "rotate-secrets", "tear-down", "upgrade"])
def test_the_commands_that_need_one_would_do_what_the_page_says(runner: Runner, name: str) -> None:  # noqa: F811
    account = deployed(Account(runner))
    before = account.deployments
    for line in commands(DOCS / f"{name}.md", CLOUD):
        account.play(line)
    assert account.deployments > before


def test_after_the_rotations_every_secret_is_another_and_the_previous_token_is_gone(runner: Runner) -> None:  # noqa: F811
    account = deployed(Account(runner))
    first = dict(account.config)
    for line in commands(DOCS / "rotate-secrets.md", CLOUD):
        account.play(line)
    changed = {name for name in account.config if account.config[name] != first.get(name)}
    assert changed == {f"rtmskit:{name}" for name in ("zoomSecretToken", "zoomClientSecret", "recallApiKey", "recallWebhookSecrets")}
    assert set(account.config) == set(first)


def test_after_the_tear_down_page_nothing_is_protected(runner: Runner) -> None:  # noqa: F811
    account = deployed(Account(runner))
    with pytest.raises(AssertionError, match="refuse to go"):
        account.play("pulumi destroy")
    for line in commands(DOCS / "tear-down.md", CLOUD):
        account.play(line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_key_and_output_that_is_named_exists(page: Path) -> None:
    text = page.read_text()
    for key in re.findall(r"rtmskit:([A-Za-z]+)", text):
        assert key in BY_NAME or key == "KEY", f"{page.name} names rtmskit:{key}"
    for name in re.findall(r"pulumi stack output ([A-Za-z]+)", text):
        assert name in OUTPUTS or name == "NAME", f"{page.name} names the output {name}"
    camel = set(re.findall(r"`([a-z]+[A-Z][A-Za-z]+)`", text))
    known = set(BY_NAME) | set(OUTPUTS) | {"allUsers"}
    assert camel <= known, f"{page.name} names {camel - known}"


def test_the_workflow_on_the_upgrade_page_names_what_is_deployed(runner: Runner) -> None:  # noqa: F811
    deployment = runner.run(configured(githubRepository="acme/rtms", githubOwnerId="1234567"))
    text = (DOCS / "upgrade.md").read_text()
    assert f"workload_identity_provider: {deployment.outputs['deployerProvider']}" in text
    assert f"service_account: {deployment.outputs['deployerAccount']}" in text


def test_every_page_is_reached_from_the_deploy_page_or_one_it_leads_to() -> None:
    reached, ahead = set(), ["deploy"]
    while ahead:
        name = ahead.pop()
        if name not in reached and (DOCS / f"{name}.md").exists():
            reached.add(name)
            ahead += re.findall(r"\]\(([a-z-]+)\.md", (DOCS / f"{name}.md").read_text())
    assert set(INFRA_PAGES) <= reached
