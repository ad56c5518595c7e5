"""Programs with a hard-coded Recall host run against the fake unmodified, in an environment of a few variables; each in its own process."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.node import FOLDER, node_version, require, require_packages
from tests.unit.simulator.recall.workbench import HOOK, KEY, Receiver, body

from rtms_simulator.clock import Clock
from rtms_simulator.recall import Recall, RecallSwitches, Story, WebhookEndpoint, scripted
from rtms_simulator.recall.reach import proxy_environment
from rtms_simulator.recall.webhooks.signing import make_secret

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(180)]
ENV_PROXY_SINCE = (22, 21)  # Node's own fetch obeys NODE_USE_ENV_PROXY from here on, and from 24.0 on


@asynccontextmanager
async def fake(tmp_path: Path, **options: Any) -> AsyncGenerator[Recall, None]:
    switches = RecallSwitches(page_size=1)
    recall = Recall(Clock(), api_key=KEY, data_dir=tmp_path, recorder_factory=scripted(Story()), switches=switches, **options)
    await recall.start()
    try:
        yield recall
    finally:
        await recall.aclose()


def environment(recall: Recall, **more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    told = proxy_environment(recall.origin, recall.authority)
    return clean | told | {"RECALL_API_KEY": KEY, "CREATE_BODY": json.dumps(body("hard-coded"))} | more


async def output(*argv: str | Path, env: dict[str, str], stdin: bytes | None = None) -> str:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*map(str, argv), env=env, stdin=pipe, stdout=pipe, stderr=pipe)
    out, err = await asyncio.wait_for(process.communicate(stdin), 60)
    assert process.returncode == 0, err.decode()
    return out.decode()


async def one_created_before(recall: Recall) -> None:
    """So that there are two pages to walk."""
    recall.lifecycle.create(body("earlier"))
    await recall.drained()


def check(recall: Recall, seen: dict[str, Any]) -> None:
    assert seen["created"] == 201
    assert seen["mdc"] in recall.workspace.mdcs
    assert sorted(seen["recordings"]) == sorted(recall.workspace.recordings)
    assert len(seen["recordings"]) == 2
    assert seen["link"].startswith("https://us-east-1.recall.ai/_workspace-")
    assert seen["video"] == "video_mixed mp4"


@pytest.mark.parametrize("client", ["httpx", "requests"])
async def test_python(tmp_path, client):
    async with fake(tmp_path) as recall:
        await one_created_before(recall)
        check(recall, json.loads(await output(sys.executable, FOLDER / "program.py", client, env=environment(recall))))


@pytest.mark.parametrize("client", ["axios-old", "axios-new", "axios-agent", "undici"])
async def test_node(tmp_path, client):
    require_packages()
    async with fake(tmp_path) as recall:
        await one_created_before(recall)
        check(recall, json.loads(await output(require("node"), FOLDER / "program.mjs", client, env=environment(recall))))


async def test_nodes_own_fetch_by_a_variable_alone(tmp_path):
    version = node_version()
    if version < ENV_PROXY_SINCE or version[0] == 23:
        pytest.skip(f"Node {'.'.join(map(str, version))} has no NODE_USE_ENV_PROXY; the test with undici covers it")
    async with fake(tmp_path) as recall:
        await one_created_before(recall)
        check(recall, json.loads(await output(require("node"), FOLDER / "program.mjs", "fetch", env=environment(recall))))


async def test_curl(tmp_path):
    require("curl")
    async with fake(tmp_path) as recall:
        await one_created_before(recall)
        status, page = (await output("sh", FOLDER / "program.sh", env=environment(recall))).split("\n", 1)
        assert status == "201"
        assert json.loads(page)["next"].startswith("https://us-east-1.recall.ai/api/v1/recording/?cursor=")
        assert len(recall.workspace.mdcs) == 2


async def test_a_program_that_does_not_trust_the_runs_authority_sends_nothing(tmp_path):
    async with fake(tmp_path) as recall:
        env = {name: value for name, value in environment(recall).items() if name not in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")}
        with pytest.raises(AssertionError, match="CERTIFICATE_VERIFY_FAILED"):
            await output(sys.executable, FOLDER / "program.py", "httpx", env=env)
        assert not recall.workspace.mdcs


@pytest.mark.parametrize("own", [None, make_secret(b"a secret of twenty-four.")])
async def test_the_npm_packages_verify_webhooks_and_refuse_changed_ones(tmp_path, own):
    require_packages()
    receiver = Receiver()
    async with fake(tmp_path, webhooks=[WebhookEndpoint(HOOK, own)], http_transport=receiver) as recall:
        recall.lifecycle.create(body())
        await recall.drained()
        secret = own or recall.workspace_secret
        lines = [{"secret": secret, "headers": got.headers, "body": got.raw.decode()} for got in receiver.got]
        forged = [{**line, "body": f"{line['body']} "} for line in lines]
        said = await output(
            require("node"),
            FOLDER / "verify.mjs",
            env=dict(os.environ),
            stdin="".join(f"{json.dumps(line)}\n" for line in [*lines, *forged]).encode(),
        )
        verdicts = [json.loads(line) for line in said.splitlines()]
    assert len(verdicts) == 2 * len(lines) == 16
    # Of the two, only Svix's package knows the older header names.
    packages = ("svix",) if own else ("svix", "standardwebhooks")
    assert {verdict[package] for verdict in verdicts[:8] for package in packages} == {"verified"}
    assert not [verdict for verdict in verdicts[8:] if "verified" in verdict.values()]
