"""The deploy page, walked through from a fresh clone up to the first call of the cloud, and on with an engine in its place."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.docs.shell import CLOUD, DOCS, LOCAL, Account, blocks, commands, fresh_clone
from tests.infra.conftest import runner  # noqa: F401  # the engine is a fixture there
from tests.infra.deployment import SECRETS, Runner

pytestmark = pytest.mark.xdist_group("infra")  # one engine, whose answers are remembered, serves them all

PAGE = DOCS / "deploy.md"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return fresh_clone(tmp_path)


def test_every_command_that_needs_no_account_works_in_a_fresh_clone(clone: Path) -> None:
    """`make` only shows what it would do: that `make demo` plays a whole meeting is what tests/e2e is for."""
    script = ["set -euo pipefail", 'make() { command make --dry-run "$@" > /dev/null; }', *commands(PAGE, LOCAL)]
    assert len(script) > 3
    done = subprocess.run(["bash", "-c", "\n".join(script)], cwd=clone, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OAuth Redirect URL" in done.stdout


def test_the_marked_commands_lead_to_a_deployment(runner: Runner) -> None:  # noqa: F811
    account = Account(runner)
    for line in commands(PAGE, CLOUD):
        account.play(line)
    assert account.deployments == 2
    assert account.deployed is not None
    assert account.secrets == set(SECRETS)
    assert account.deployed.outputs["webhookUrl"].endswith(".run.app")


def test_without_recalls_webhook_secret_it_deploys_as_well_and_says_what_remains_to_do(runner: Runner) -> None:  # noqa: F811
    account = Account(runner)
    for line in commands(PAGE, CLOUD):
        if "recallWebhookSecrets" not in line:
            account.play(line)
    assert account.deployed is not None
    assert any("recallWebhookSecrets" in step for step in account.deployed.outputs["nextSteps"])


def test_a_forgotten_step_is_told_before_anything_is_registered(runner: Runner) -> None:  # noqa: F811
    lines = [line for line in commands(PAGE, CLOUD) if "recallApiKey" not in line and "zoomClientId" not in line]
    account = Account(runner)
    before = lines.index("pulumi up")
    for line in lines[:before]:
        account.play(line)
    with pytest.raises(AssertionError, match="2 problems; nothing was changed") as caught:
        account.play(lines[before])
    assert "pulumi config set --secret rtmskit:recallApiKey" in str(caught.value)


def test_the_number_of_resources_is_about_what_the_page_says(runner: Runner) -> None:  # noqa: F811
    account = Account(runner)
    for line in commands(PAGE, CLOUD):
        account.play(line)
    assert account.deployed is not None
    named = re.search(r"About (\d+) resources", PAGE.read_text())
    assert named is not None
    assert abs(len(account.deployed.custom) - int(named[1])) <= 5


def test_nothing_on_the_page_escapes_the_two_kinds() -> None:
    assert {kind for kind, _ in blocks(PAGE)} == {LOCAL, CLOUD}
