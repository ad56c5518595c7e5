"""`function/main.py` under the real functions-framework."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from functions_framework import aio
from tests.ports.events import ENVIRON, TOKEN

MAIN = Path(__file__).parents[3] / "function" / "main.py"
PATH = {"PATH": str(Path(sys.executable).parent)}


@pytest.mark.parametrize("way", ["--target", "FUNCTION_TARGET"])
def test_an_unusable_environment_stops_the_process_with_a_list(way: str) -> None:
    command = [str(Path(sys.executable).parent / "functions-framework"), "--source", str(MAIN), "--host", "127.0.0.1", "--port", "0"]
    environ = PATH | {"STATE_URL": "mysql://x", "ZOOM_SECRET_TOKEN": f" {TOKEN}"}
    if way == "--target":
        command += ["--target", "webhook"]
    else:
        environ |= {"FUNCTION_TARGET": "webhook"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n  - ") == 5
    for name in ("ZOOM_SECRET_TOKEN", "HANDOFF_QUEUES", "FACTS_QUEUE", "RETRIEVAL_QUEUE", "WORKER_URL"):
        assert f"\n  - {name}" in done.stderr
    assert "Traceback" not in done.stderr
    assert TOKEN not in done.stderr


async def test_both_functions_answer_from_one_source(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("FUNCTION_TARGET", raising=False)
    for target in ("webhook", "worker"):
        app = aio.create_asgi_app(target, str(MAIN))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://function") as http:
            assert (await http.get("/health")).json()["role"] == target
            assert (await http.post("/zoom-webhook", json={})).status_code == (401 if target == "webhook" else 404)


def test_the_webhook_loads_nothing_that_it_does_not_use() -> None:
    script = (
        "import sys, runpy; runpy.run_path(sys.argv[1]); import rtms_relay.routes.webhook\n"
        "heavy = {'httpx', 'google.cloud.storage', 'google.cloud.firestore', 'google.cloud.tasks_v2', 'sqlite3'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    environ = PATH | ENVIRON | {"FUNCTION_TARGET": "webhook"}
    done = subprocess.run([sys.executable, "-c", script, str(MAIN)], env=environ, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "['google.cloud.tasks_v2']"  # what its first request needs
