"""The archive that is deployed, as it is deployed: unpacked, installed from its own requirements into a clean environment, started.

Takes longer than the other tests here (it installs some forty packages), and is therefore a file of its own.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from rtms_infra.rehearsal import environments
from rtms_infra.source import archive
from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import CloudTasks
from rtms_simulator.zoom.webhooks.events import StreamIds, body, sign, started
from tests.free_port import free_port
from tests.infra.deployment import ROOT, Runner, configured

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("zip")]
SECRET = "zip-secret-token"
RUN_SECRET = "zip-secret-of-the-run"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked archive and an environment made only from its requirements.txt."""
    folder = tmp_path_factory.mktemp("zip")
    with zipfile.ZipFile(io.BytesIO(archive(ROOT / "function"))) as opened:
        opened.extractall(folder / "source")
    environments.build(folder / "source/requirements.txt", folder / "venv")
    return folder


def start(installed: Path, target: str, port: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """The functions-framework of the clean environment, in a clean process environment."""
    return subprocess.Popen(
        [
            str(installed / "venv/bin/functions-framework"),
            "--source",
            "main.py",
            "--target",
            target,
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ],
        cwd=installed / "source",
        env={"PATH": os.environ["PATH"], **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def stop(process: subprocess.Popen[bytes]) -> str:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    return output.decode()


@pytest.fixture
def environment(runner: Runner, tmp_path: Path) -> dict[str, dict[str, str]]:
    """What the Pulumi program gives each function, but for the addresses of the cloud."""
    deployment = runner.run(configured())
    local = {
        "STATE_URL": f"sqlite:///{tmp_path}/state.db",
        "TASKS_INVOKERS": "",
        "RUN_SECRET": RUN_SECRET,
        "ZOOM_SERVER_HOSTS": "*.zoom.us",
    }
    secret = {"ZOOM_SECRET_TOKEN": SECRET, "ZOOM_CLIENT_SECRET": "zip-client-secret", "RECALL_API_KEY": "zip-api-key"}
    found = {}
    for role in ("webhook", "worker"):
        service = deployment.named(role).inputs["serviceConfig"]
        names = [variable["key"] for variable in service["secretEnvironmentVariables"]]
        found[role] = service["environmentVariables"] | local | {name: secret.get(name, "whsec_emlwLXNlY3JldC0w") for name in names}
    return found


@pytest.fixture
def recall() -> Generator[str, None, None]:
    """A Recall that accepts every hand-off: its base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            content = json.dumps({"id": "3d2c1b0a-0000-4000-8000-000000000001", "status": {"code": "created"}, "recordings": []}).encode()
            self.send_response(201)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is http.server's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api/v1"
    server.shutdown()
    server.server_close()


async def healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    async with httpx.AsyncClient() as client:
        for _ in range(300):
            assert process.poll() is None, f"the function ended with {process.returncode}:\n{stop(process)}"
            try:
                if (await client.get(f"{url}/health")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
    raise AssertionError(f"{url} does not answer:\n{stop(process)}")


async def test_the_archive_alone_makes_two_functions_that_receive_record_and_hand_over(
    installed: Path, environment: dict[str, dict[str, str]], recall: str
) -> None:
    """Both functions from the clean environment, with the variables that the program gives them, and a queue with its limits."""
    ports = {role: free_port() for role in environment}
    urls = {role: f"http://127.0.0.1:{port}" for role, port in ports.items()}
    told = environment["webhook"]
    queues = (*told["HANDOFF_QUEUES"].split(","), told["FACTS_QUEUE"], told["RETRIEVAL_QUEUE"])
    running: dict[str, subprocess.Popen[bytes]] = {}
    said: dict[str, str] = {}
    async with CloudTasks(Clock(), queues=queues, run_secrets={urls["worker"]: RUN_SECRET}) as tasks:
        try:
            for role, variables in environment.items():
                local = {"WORKER_URL": urls["worker"], "TASKS_ENDPOINT": tasks.endpoint, "RECALL_BASE_URL": recall}
                running[role] = start(installed, role, ports[role], variables | local)
            for role, process in running.items():
                await healthy(urls[role], process)

            now = Clock().now_ms()
            ids = StreamIds("4444AAAiAAAAAiAiAiiAii==", "609340fb2a7946909659956c8aa9250c")
            event, stamp = body(started("meeting", ids, "wss://rtms.zoom.us", now)), str(now // 1000)
            headers = {"content-type": "application/json", "x-zm-request-timestamp": stamp, "x-zm-signature": sign(SECRET, stamp, event)}
            async with httpx.AsyncClient(base_url=urls["webhook"]) as client:
                answer = await client.post("/zoom-webhook", content=event, headers=headers)
                if answer.status_code == 500:  # a busy machine's cold start: the same event again, as Zoom would
                    answer = await client.post("/zoom-webhook", content=event, headers=headers)
                assert answer.status_code == 200, answer.text
                headers["x-zm-signature"] = "v0=" + "0" * 64
                assert (await client.post("/zoom-webhook", content=event, headers=headers)).status_code == 401
                record = await settled(client, f"{urls['worker']}/recordings")
                assert record["state"] == "accepted", record

            assert await examined(urls["webhook"]) == {"ok", "skip"}
        finally:
            for role, process in running.items():
                said[role] = stop(process)
    assert "start_acked" in said["webhook"]
    assert "handoff_accepted" in said["worker"]
    assert not any(secret in output for secret in (SECRET, RUN_SECRET, "zip-client-secret", "zip-api-key") for output in said.values())


async def examined(url: str) -> set[str]:
    """The findings of `rtmskit doctor`, which must be content (it skips what needs TLS)."""
    code = "from rtms_simulator.cli.service.doctor import doctor; doctor()"
    command = [sys.executable, "-c", code, url, "--secret-token", SECRET, "--json"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = await process.communicate()
    assert process.returncode == 0, (output + errors).decode()
    return {finding["status"] for finding in json.loads(output)["checks"]}


async def settled(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """The one record, once it is no longer pending."""
    for _ in range(200):
        answer = await client.get(url, headers={"Authorization": f"Bearer {RUN_SECRET}"})
        rows = answer.json()["recordings"] if answer.status_code == 200 else []
        if rows and rows[0]["state"] != "pending":
            return rows[0]
        await asyncio.sleep(0.05)
    raise AssertionError(f"still {answer.status_code} {answer.text}")


def test_a_missing_variable_stops_the_function_at_start(installed: Path, environment: dict[str, dict[str, str]]) -> None:
    del environment["webhook"]["ZOOM_SECRET_TOKEN"]
    process = start(installed, "webhook", free_port(), environment["webhook"])
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert b"ZOOM_SECRET_TOKEN is not set" in output


def test_nothing_of_tests_infrastructure_or_simulator_is_installed(installed: Path) -> None:
    listed = subprocess.run(
        [str(installed / "venv/bin/python"), "-m", "pip", "list", "--format=json", "--disable-pip-version-check"],
        capture_output=True,
        check=True,
    )
    names = {package["name"].lower() for package in json.loads(listed.stdout)}
    assert {"functions-framework", "google-cloud-firestore", "google-cloud-tasks"} <= names
    assert names.isdisjoint({"pulumi", "pulumi-gcp", "pytest", "hypothesis", "websockets", "av", "rich", "rtmskit"})
