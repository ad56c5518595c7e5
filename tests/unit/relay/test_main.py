"""`function/main.py` under the real functions-framework."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from functions_framework import aio
from tests.ports.events import ENVIRON, TOKEN

import rtms_relay

MAIN = Path(rtms_relay.__file__).parents[1] / "main.py"
PATH = {"PATH": str(Path(sys.executable).parent)}


UNUSABLE = {"STATE_URL": "mysql://x", "ZOOM_SECRET_TOKEN": f" {TOKEN}"}
BIN = Path(sys.executable).parent
FRAMEWORK = [str(BIN / "functions-framework"), "--source", str(MAIN), "--host", "127.0.0.1", "--port", "0"]
IN_CODE = f"from functions_framework import aio; aio.create_asgi_app('webhook', {str(MAIN)!r})"
SERVED_LAZILY = [str(BIN / "uvicorn"), "functions_framework.aio:app", "--port", "0"]
"""The application of functions-framework for other servers: it loads the function once the server runs."""

STARTED: dict[str, tuple[list[str], dict[str, str]]] = {
    "--target": ([*FRAMEWORK, "--target", "webhook"], {}),
    "--target=": ([*FRAMEWORK, "--target=webhook"], {}),
    "FUNCTION_TARGET": (FRAMEWORK, {"FUNCTION_TARGET": "webhook"}),
    "--target against FUNCTION_TARGET": ([*FRAMEWORK, "--target", "webhook"], {"FUNCTION_TARGET": "worker"}),
    "in code": ([sys.executable, "-c", IN_CODE], {}),
    "another server": (SERVED_LAZILY, {"FUNCTION_TARGET": "webhook", "FUNCTION_SOURCE": str(MAIN)}),
}


@pytest.mark.parametrize("way", STARTED)
def test_an_unusable_environment_stops_the_process_with_a_list_however_it_is_started(way: str) -> None:
    command, named = STARTED[way]
    done = subprocess.run(command, env=PATH | UNUSABLE | named, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n  - ") == 5
    for name in ("ZOOM_SECRET_TOKEN", "HANDOFF_QUEUES", "FACTS_QUEUE", "RETRIEVAL_QUEUE", "WORKER_URL"):
        assert f"\n  - {name}" in done.stderr
    assert "Traceback" not in done.stderr
    assert TOKEN not in done.stderr


def test_where_no_function_is_named_both_must_be_able_to_start() -> None:
    """Somebody's own server around the module: what the worker lacks shows at the start as well."""
    environ = PATH | {name: value for name, value in ENVIRON.items() if name != "RECALL_API_KEY"}
    done = subprocess.run([sys.executable, str(MAIN)], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count("\n  - ")) == (2, 1)
    assert "rtmskit worker: the environment is unusable.\n  - RECALL_API_KEY is not set" in done.stderr


class _Ended(BaseException):
    """Stands in for the end of the process."""


def _unusable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ENVIRON, "STATE_URL": "mysql://x"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("FUNCTION_TARGET", raising=False)


def test_loading_it_ends_with_exit_code_2_and_says_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _unusable(monkeypatch)
    monkeypatch.setenv("RECALL_REGION", "mars-1")
    with pytest.raises(SystemExit) as ended:
        aio.create_asgi_app("worker", str(MAIN))
    assert ended.value.code == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "rtmskit worker: the environment is unusable."
    assert [line.split(" is ")[0] for line in said[1:]] == ["  - RECALL_REGION", "  - STATE_URL"]


async def test_in_a_running_loop_it_ends_the_process_itself(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that loads its application lazily would take SystemExit for one request's failure."""
    _unusable(monkeypatch)
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        raise _Ended

    monkeypatch.setattr(os, "_exit", end)
    with pytest.raises(_Ended):
        aio.create_asgi_app("worker", str(MAIN))
    assert codes == [2]
    assert "rtmskit worker: the environment is unusable.\n  - STATE_URL " in capsys.readouterr().err


async def test_both_functions_answer_from_one_source(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("FUNCTION_TARGET", raising=False)
    for target in ("webhook", "worker"):
        app = aio.create_asgi_app(target, str(MAIN))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://function") as http:
            assert (await http.get("/health")).json()["role"] == target
            assert (await http.post("/zoom-webhook", json={})).status_code == (401 if target == "webhook" else 404)


@pytest.mark.parametrize("target", ["webhook", "worker"])
async def test_a_line_belongs_to_the_trace_of_its_project(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value.replace("projects/p/", "projects/odd-project/"))
    monkeypatch.delenv("FUNCTION_TARGET", raising=False)
    app = aio.create_asgi_app(target, str(MAIN))
    trace = "105445aa7843bc8bf206b12000100000"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://function") as http:
        path = "/zoom-webhook" if target == "webhook" else "/recordings"
        await http.request("POST" if target == "webhook" else "GET", path, headers={"x-cloud-trace-context": trace})
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["logging.googleapis.com/trace"] for line in lines} == {f"projects/odd-project/traces/{trace}"}


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module as functions-framework loads it."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("FUNCTION_TARGET", raising=False)
    aio.create_asgi_app("worker", str(MAIN))
    return sys.modules["main"]


@pytest.mark.parametrize("servers", [True, False], ids=["the server has a handler", "nobody has"])
def test_the_worker_hears_that_it_is_to_end_and_the_servers_own_handler_still_runs(main: ModuleType, *, servers: bool) -> None:
    heard: list[int] = []
    handler = (lambda number, _: heard.append(number)) if servers else signal.SIG_IGN
    before = signal.signal(signal.SIGTERM, handler)
    try:
        stopping = main._stop_signal()
        assert stopping() is False
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopping() is True
        assert heard == [signal.SIGTERM] * servers
    finally:
        signal.signal(signal.SIGTERM, before)


def test_in_a_thread_somebody_else_decides_when_the_process_ends(main: ModuleType) -> None:
    with ThreadPoolExecutor(1) as thread:
        stopping = thread.submit(main._stop_signal).result(10)
    assert stopping() is False


def test_the_webhook_loads_nothing_that_it_does_not_use() -> None:
    script = (
        "import sys, runpy; runpy.run_path(sys.argv[1]); import rtms_relay.routes.webhook\n"
        "heavy = {'httpx', 'google.cloud.storage', 'google.cloud.firestore', 'google.cloud.tasks_v2', 'sqlite3'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    environ = PATH | ENVIRON | {"FUNCTION_TARGET": "webhook"}
    done = subprocess.run([sys.executable, "-c", script, str(MAIN)], env=environ, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "['google.cloud.tasks_v2']"  # what its first request needs
