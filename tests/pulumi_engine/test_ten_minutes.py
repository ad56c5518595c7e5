"""docs/deploy.md followed word by word in Pulumi's own engine, from the first command to the channel of every alert.

Only what needs an account of somebody is played: `make` shows what it would do; `gcloud`, the doctor and `recordings` are noted.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rtms_infra.alerts import OnLine, policies
from rtms_infra.config import parse
from rtms_infra.rehearsal.cloud import Cloud
from rtms_infra.rehearsal.language import language_host
from rtms_infra.rehearsal.monitoring import Monitoring
from rtms_infra.rehearsal.pulumi_stack import environment
from rtms_infra.rehearsal.registered import Entry, Registered
from rtms_infra.rehearsal.service import provider_service
from tests.docs.shell import CLOUD, DOCS, LOCAL, blocks, fresh_clone
from tests.infra.deployment import SECRET_NAMES, SECRETS, configured
from tests.infra.logged import printed
from tests.pulumi_engine import binary

pytestmark = pytest.mark.timeout(600)

PAGE = DOCS / "deploy.md"
TOLD = "oncall@example.com"

PLAYED = """
set -euo pipefail
make() { command make --dry-run "$@" >/dev/null; }
gcloud() { echo "gcloud $*" >>"$CALLS"; echo a-token; }
rtmskit() { case "$1" in doctor|recordings) echo "rtmskit $*" >>"$CALLS";; *) command rtmskit "$@";; esac; }
"""


@dataclass(frozen=True)
class Followed:
    """`state`: what `pulumi stack export` says at the end. `calls`: the commands that were noted."""

    state: list[dict[str, Any]]
    calls: list[str]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [resource for resource in self.state if resource["type"].endswith(f":{kind}")]


def typed(line: str) -> str:
    """The line, with what a person types where it asks for a value."""
    words = shlex.split(line)
    return f"printf %s {shlex.quote(SECRETS[words[-1]])} | {line}" if words[:4] == ["pulumi", "config", "set", "--secret"] else line


def followed(folder: Path) -> Followed:
    """Every command of the page, in order, by one shell in a fresh clone."""
    (folder / "state").mkdir()
    clone, calls, home = fresh_clone(folder / "clone"), folder / "calls", binary.root()
    lines = [typed(line) for kind, block in blocks(PAGE) if kind in (LOCAL, CLOUD) for line in block]
    script = "\n".join([PLAYED, *lines, 'pulumi stack export --file "$EXPORTED"'])
    with provider_service(Cloud()) as provider_port, language_host() as language_port:
        variables = {
            **os.environ,
            **environment(folder, provider_port, language_port),
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}" if home else os.environ["PATH"],
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_SKIP_CONFIRMATIONS": "true",
            "ZOOM_SECRET_TOKEN": SECRETS["rtmskit:zoomSecretToken"],
            "CALLS": str(calls),
            "EXPORTED": str(folder / "exported.json"),
        }
        done = subprocess.run(["bash", "-c", script], cwd=clone, env=variables, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    exported = json.loads((folder / "exported.json").read_text())
    return Followed(exported["deployment"]["resources"], calls.read_text().splitlines())


def watched(page: Followed) -> Monitoring:
    """The registered alerts, evaluated."""
    entries = [
        Entry(
            urn=one["urn"],
            type=one["type"],
            name=one["urn"].rpartition("::")[2],
            custom=one["custom"],
            inputs=one.get("inputs", {}),
            dependencies=one.get("dependencies", []),
        )
        for one in page.state
        if one["type"].startswith("gcp:")
    ]
    return Monitoring(Registered(entries, {}, "acme-rtms"))


def test_the_page_leads_from_its_first_command_to_a_channel_for_every_alert(engine: None, tmp_path: Path) -> None:
    page = followed(tmp_path)
    channels = {one["outputs"]["name"]: one["outputs"]["labels"]["email_address"] for one in page.of("NotificationChannel")}
    assert list(channels.values()) == [TOLD]
    alerts = {one["urn"].rpartition("::")[2].removeprefix("alert-"): one["outputs"] for one in page.of("AlertPolicy")}
    config = parse(configured(), SECRET_NAMES, "prod")
    assert alerts.keys() == {policy.key for policy in policies(config.place, config.alerts)} | {"down"}
    assert {
        key: alert["notificationChannels"] for key, alert in alerts.items() if set(alert["notificationChannels"]) != set(channels)
    } == {}

    monitoring = watched(page)
    on_lines = [policy for policy in policies(config.place, config.alerts) if isinstance(policy.condition, OnLine)]
    for at, policy in enumerate(on_lines):
        line = policy.condition
        assert isinstance(line, OnLine)
        monitoring.line(float(at), f"rtmskit-prod-{line.role}", printed(line.severity or "ALERT", line.events[0]))
    assert {policy.key for policy in on_lines} <= {sent.policy for sent in monitoring.pages}
    assert {sent.told for sent in monitoring.pages} == {(TOLD,)}

    doctor = next(call for call in page.calls if call.startswith("rtmskit doctor"))
    assert f"--secret-token {SECRETS['rtmskit:zoomSecretToken']}" in doctor
    assert ".run.app --secret" in doctor
    assert any(call.startswith("rtmskit recordings list --worker https://rtmskit-prod-worker-") for call in page.calls)
    callers = [one for one in page.of("ServiceIamMember") if one["inputs"]["member"] == "user:ada@example.com"]
    assert len(callers) == 1, "the page's second `pulumi up` lets its reader call the worker"
