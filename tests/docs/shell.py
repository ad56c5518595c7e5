"""The commands of a page: which run anywhere, which need an account, and what the latter would do.

A block fenced as `sh` holds commands that run anywhere; `sh cloud` marks those that need an account or Pulumi's command line.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import click
from click.testing import CliRunner
from tests.infra.deployment import ROOT, SECRET_NAMES, SECRETS, Deployment, Runner
from tests.infra.policies import violations

from rtms_infra.keys import BY_NAME
from rtms_simulator.cli.records.handoffs import handoffs
from rtms_simulator.cli.records.recordings import recordings
from rtms_simulator.cli.service.doctor import doctor
from rtms_simulator.cli.service.zoom_app import zoom_app

DOCS = ROOT / "docs"
LOCAL, CLOUD = "sh", "sh cloud"

INFRA_PAGES = (
    "configuration-infra", "costs", "custom-domain", "deploy", "environments", "org-policies", "permissions", "rotate-secrets", "runbook",
    "tear-down", "traps", "upgrade",
)  # fmt: skip


def blocks(page: Path) -> Iterator[tuple[str, list[str]]]:
    """(kind of fence, its commands, or its lines if it is not a shell's), in order; indented blocks of lists too."""
    for fence in re.finditer(r"^( *)```([^\n]*)\n(.*?)^\1```", page.read_text(), re.MULTILINE | re.DOTALL):
        lines = fence[3].replace("\\\n", " ").splitlines()
        kept = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
        yield fence[2], kept if fence[2].startswith("sh") else [line.removeprefix(fence[1]) for line in lines]


def commands(page: Path, kind: str) -> list[str]:
    """All commands of one kind, in order."""
    return [line for found, lines in blocks(page) if found == kind for line in lines]


def parsed(line: str) -> list[str]:
    """The words of a command that bash would accept. Substitutions stay as they are written."""
    checked = subprocess.run(["bash", "-n", "-c", line], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, f"{line}: {checked.stderr}"
    return shlex.split(line)


def fresh_clone(folder: Path) -> Path:
    """What git holds (and what is new), in an empty folder, with this environment as its .venv."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


GCLOUD = (
    "gcloud auth application-default login",
    "gcloud compute addresses create",
    "gcloud compute backend-services add-backend",
    "gcloud compute backend-services create",
    "gcloud compute forwarding-rules create",
    "gcloud compute network-endpoint-groups create",
    "gcloud compute ssl-certificates create",
    "gcloud compute target-https-proxies create",
    "gcloud compute url-maps create",
    "gcloud run services add-iam-policy-binding",
    "gcloud run services update",
    "gcloud storage rm",
)
"""Commands that the pages use, each looked up once with gcloud 528 and its --help."""


@dataclass
class Account:
    """A cloud that is not there: plays `pulumi` on the in-process engine, from a configuration that grows with the commands."""

    runner: Runner
    stack: str = "prod"
    config: dict[str, str] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    deployed: Deployment | None = None
    deployments: int = 0

    def play(self, line: str) -> None:
        """One command of a page. Raises AssertionError for what would fail."""
        words = parsed(line)
        for inner in re.findall(r"\$\(([^)]*)\)", line):
            if not inner.startswith("gcloud auth print-identity-token"):
                self.play(inner)
        if words[0] == "pulumi":
            self._pulumi(words[1:], line)
        elif words[0] == "gcloud":
            assert line.startswith(GCLOUD), f"{line}: not among the commands that were looked up"
            self._named_as_deployed(line)
        elif words[0] == "rtmskit":
            self._rtmskit(words[1:])
        else:
            assert words[0] in ("curl", "git", "export"), f"{line}: nobody checks {words[0]}"

    def _pulumi(self, words: list[str], line: str) -> None:
        match words:
            case ["stack", "init", name]:
                self.stack, self.config, self.secrets, self.deployed = name, {}, set(), None
            case ["config", "set", "--secret", name]:
                assert name in SECRET_NAMES, f"{line}: not a secret"
                self.config[name] = self._typed_in(name)
                self.secrets.add(name)
            case ["config", "set", "--path", path, value]:
                name, bracket, index = path.partition("[")
                assert BY_NAME[name.partition(":")[2]].kind == "array"
                assert bracket + index == "[0]"
                self.config[name] = f'["{value}"]'
            case ["config", "set", name, value]:
                assert name.startswith("gcp:") or not BY_NAME[name.partition(":")[2]].secret, f"{line}: a secret in clear text"
                self.config[name] = value
            case ["config", "rm", name]:
                assert name in self.config, f"{line}: it is not set"
                del self.config[name]
            case ["up"] | ["preview", "--diff"]:
                self._up(line)
            case ["stack", "output", name]:
                assert self.deployed is not None, f"{line}: nothing is deployed yet"
                assert name in self.deployed.outputs, f"{line}: there is no such output"
            case ["destroy"]:
                assert self.deployed is not None
                protected = [resource.name for resource in self.deployed.custom if resource.protect]
                assert not protected, f"{line}: {protected} refuse to go"
            case ["login"] | ["install"] | ["stack", "rm", _]:
                pass
            case _:
                raise AssertionError(f"{line}: nobody checks this")

    def _up(self, line: str) -> None:
        deployment = self.runner.run(self.config, secrets=tuple(sorted(self.secrets)), stack=self.stack)
        assert not deployment.error, f"{line}: {deployment.error}"
        assert violations(deployment) == {}
        self.deployed = deployment
        self.deployments += 1

    def _typed_in(self, name: str) -> str:
        """What a person would type at the prompt: the first value, later another one; as the previous token the present one."""
        if name == "rtmskit:zoomSecretTokenPrevious":
            return self.config["rtmskit:zoomSecretToken"]
        first = SECRETS[name]
        return first if name not in self.config else f"{first[:-4]}{self.deployments:04d}"

    def _named_as_deployed(self, line: str) -> None:
        """Names of ours in somebody else's command must be names that we give."""
        if self.deployed is not None:
            given = {str(resource.inputs.get("name")) for resource in self.deployed.custom}
            for name in re.findall(r"\brtmskit-prod-[a-z]+\b", line):
                assert name in given, f"{line}: nothing is called {name}"

    def _rtmskit(self, words: list[str]) -> None:
        command = {"doctor": doctor, "zoom-app": zoom_app, "handoffs": handoffs, "recordings": recordings}[words[0]]
        with patch.object(click.Command, "invoke", lambda _self, _context: None):
            done = CliRunner().invoke(command, words[1:])
        assert done.exit_code == 0, done.output


def deployed(account: Account) -> Account:
    """An account with a first deployment done, as the deploy page leaves it."""
    for line in commands(DOCS / "deploy.md", CLOUD):
        account.play(line)
    return account
