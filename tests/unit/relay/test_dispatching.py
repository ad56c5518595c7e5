"""The dispatcher as the process that it is: killed at work, started twice, with files and plans that cannot be used."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from rtms_relay.adapters.local_dispatch import QueueRules
from rtms_relay.adapters.local_queue import LocalQueue
from rtms_relay.adapters.system import SystemClock
from rtms_relay.dispatching import DispatchPlan
from rtms_relay.ports import QueueName

SECRET = "the-secret-of-this-run"
RULES = QueueRules(per_second=100, concurrent=10, min_backoff_s=0.1, max_backoff_s=0.2, max_doublings=2, deadline_s=30)


class FakeWorker(ThreadingHTTPServer):
    """Remembers (path, body, Authorization) of each POST. While `held` it does not answer."""

    daemon_threads = True

    def __init__(self) -> None:
        self.posts: list[tuple[str, bytes, str]] = []
        self.held = False
        self.released = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def of(self, path: str) -> list[bytes]:
        return [body for at, body, _ in list(self.posts) if at == path]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        worker = self.server
        assert isinstance(worker, FakeWorker)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        worker.posts.append((self.path, body, self.headers.get("authorization", "")))
        if worker.held and self.path == "/events":
            worker.released.wait(60)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@pytest.fixture
def worker() -> Generator[FakeWorker]:
    with FakeWorker() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.released.set()
        server.shutdown()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.sqlite"


def plan(worker: FakeWorker, path: Path, *, sweep_every_s: float = 3600.0) -> str:
    queues = dict.fromkeys(("handoffs", "facts"), RULES)
    made = DispatchPlan(file=str(path), worker_url=worker.url, queues=queues, sweep_every_s=sweep_every_s, probe_every_s=86_400.0)
    return msgspec.json.encode(made).decode()


def started(text: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "RTMSKIT_DISPATCH": text, "RUN_SECRET": SECRET, "PYTHONUNBUFFERED": "1"}
    argv = [sys.executable, "-m", "rtms_relay.dispatching"]
    return subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextmanager
def dispatcher(text: str) -> Generator[subprocess.Popen[str]]:
    child = started(text)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "dispatching\n"
        yield child
    finally:
        child.kill()
        child.communicate()


def until(holds: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.02)


async def put(path: Path, body: bytes, queue: QueueName = "handoffs", *, in_s: float = 0.0) -> None:
    clock = SystemClock()
    local = LocalQueue(str(path), queue, clock, timeout_s=20)
    await local.enqueue("/events", body, not_before_ms=clock.now_ms() + int(in_s * 1000))
    await local.close()


async def test_tasks_of_every_queue_arrive_with_the_secret_of_the_run(worker: FakeWorker, path: Path) -> None:
    await put(path, b'{"before":1}')
    with dispatcher(plan(worker, path)):
        await put(path, b'{"while":1}', "facts")
        until(lambda: len(worker.of("/events")) == 2)
    assert {auth for _, _, auth in worker.posts} == {f"Bearer {SECRET}"}
    assert {*worker.of("/events")} == {b'{"before":1}', b'{"while":1}'}


async def test_a_task_under_way_at_a_sigkill_is_delivered_again_and_then_no_more(worker: FakeWorker, path: Path) -> None:
    worker.held = True
    await put(path, b'{"start":1}')
    with dispatcher(plan(worker, path)) as child:
        until(lambda: worker.of("/events") != [])
        child.send_signal(signal.SIGKILL)
        child.wait()
    worker.held = False
    worker.released.set()
    with dispatcher(plan(worker, path)):
        until(lambda: len(worker.of("/events")) == 2)
        await asyncio.sleep(0.5)
    with dispatcher(plan(worker, path)):
        await asyncio.sleep(0.5)
    assert worker.of("/events") == [b'{"start":1}'] * 2


async def test_a_delay_outlives_a_restart(worker: FakeWorker, path: Path) -> None:
    due = time.monotonic() + 3.0
    await put(path, b'{"later":1}', in_s=3.0)
    with dispatcher(plan(worker, path)):
        pass
    with dispatcher(plan(worker, path)):
        until(lambda: worker.of("/events") != [])
        assert time.monotonic() >= due - 0.05


def test_the_sweep_comes_at_once_and_at_its_interval_and_with_a_probe_once_a_day(worker: FakeWorker, path: Path) -> None:
    with dispatcher(plan(worker, path, sweep_every_s=0.2)):
        until(lambda: len(worker.of("/sweep")) >= 4)
    sweeps = worker.of("/sweep")
    assert sweeps[0] == b"{}"
    assert sweeps.count(b'{"probe":true}') == 1


async def test_a_worker_that_is_down_gets_the_task_when_it_is_back(worker: FakeWorker, path: Path) -> None:
    nobody = plan(worker, path).replace(worker.url, "http://127.0.0.1:9")
    await put(path, b'{"start":1}')
    with dispatcher(nobody) as child:
        said = child.stdout
        assert said is not None

        def is_told() -> bool:
            line = said.readline()
            return '"queue":"handoffs"' in line and "the worker does not answer" in line

        until(is_told)
    with dispatcher(plan(worker, path)):
        until(lambda: worker.of("/events") == [b'{"start":1}'])


def test_a_second_dispatcher_of_one_file_is_refused_and_says_what_to_do(worker: FakeWorker, path: Path) -> None:
    with dispatcher(plan(worker, path)):
        second = started(plan(worker, path))
        _, said = second.communicate(timeout=60)
        assert second.returncode == 2
        assert "another process delivers the tasks of" in said
    with dispatcher(plan(worker, path)):
        pass


@pytest.mark.parametrize("kind", ["damaged", "newer", "directory"])
def test_a_file_that_cannot_be_used_ends_it_with_the_reason_and_no_traceback(worker: FakeWorker, path: Path, kind: str) -> None:
    if kind == "damaged":
        path.write_bytes(b"x" * 8192)
    elif kind == "directory":
        path.mkdir()
    else:
        connection = sqlite3.connect(path)
        connection.execute(f"PRAGMA application_id = {0x72746D71}")
        connection.execute("PRAGMA user_version = 9")
        connection.close()
    child = started(plan(worker, path))
    _, said = child.communicate(timeout=60)
    assert child.returncode == 2
    assert str(path) in said
    assert "Traceback" not in said


@pytest.mark.parametrize("text", ["", "{}", "{", '{"file":1}'])
def test_a_plan_that_cannot_be_read_ends_it_with_the_reason(text: str) -> None:
    child = started(text)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 2
    assert "RTMSKIT_DISPATCH is unusable" in said
    assert "Traceback" not in said
