"""The dispatcher: its parts in this process, and the process that it is: killed at work, started twice, with unusable files and plans."""

from __future__ import annotations

import asyncio
import io
import os
import runpy
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from tests.ports.plain import Lines
from tests.ports.time import Time

from rtms_relay import dispatching
from rtms_relay.adapters.local_dispatch import QueueRules, WorkerPosts
from rtms_relay.adapters.local_queue import LocalQueue
from rtms_relay.adapters.system import SystemClock
from rtms_relay.dispatching import DispatchPlan, Sweeps, locked
from rtms_relay.errors import QueueUnavailable
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


# In this process: when it asks for the sweep, who may dispatch, how it begins and ends

__all__ = ["path", "worker"]  # fixtures

URL = "http://127.0.0.1:1"
SWEEP, PROBE = b"{}", b'{"probe":true}'


class Sweeping:
    """`Sweeps` on virtual time. The worker answers with `answers`, one after the other, and then with 200. `asked`: s, body."""

    def __init__(self, answers: list[int | httpx.HTTPError]) -> None:
        self.clock, self.log, self.answers = Time(0), Lines(), list(answers)
        self.asked: list[tuple[float, bytes]] = []
        self.requests: list[httpx.Request] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.asked.append((self.clock.monotonic_ms() / 1000, request.content))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, httpx.HTTPError):
            raise answer
        return httpx.Response(answer)

    async def run(self, seconds: float) -> None:
        await self.clock.run(5_000)  # the machine has been up for a while
        plan = DispatchPlan(file="", worker_url=URL, queues={"handoffs": RULES}, sweep_every_s=60, probe_every_s=180)
        async with httpx.AsyncClient(transport=httpx.MockTransport(self.answer)) as client:
            sweeps = asyncio.ensure_future(Sweeps(WorkerPosts(client, URL, SECRET), plan, self.clock, self.log).run())
            await self.clock.run(seconds * 1000)
            sweeps.cancel()
            await asyncio.gather(sweeps, return_exceptions=True)


async def test_a_sweep_at_once_and_at_its_interval_and_a_probe_with_the_second_one_and_at_its_own() -> None:
    sweeping = Sweeping([200, 201, 299])
    await sweeping.run(481)
    probed = (65, 245, 425)
    assert sweeping.asked == [(at, PROBE if at in probed else SWEEP) for at in range(5, 486, 60)]
    assert sweeping.log.lines == []
    first = sweeping.requests[0]
    assert (first.method, str(first.url), first.headers["content-type"]) == ("POST", f"{URL}/sweep", "application/json")
    assert first.headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (199, "the worker answered the sweep with 199"),
        (300, "the worker answered the sweep with 300"),
        (503, "the worker answered the sweep with 503"),
        (httpx.ConnectError("refused"), "the worker does not answer: refused"),
    ],
)
async def test_a_sweep_that_failed_is_told_and_a_probe_that_failed_goes_with_the_next_one(answer: int | httpx.HTTPError, why: str) -> None:
    sweeping = Sweeping([200, answer])
    await sweeping.run(300)
    assert sweeping.asked == [(5, SWEEP), (65, PROBE), (125, PROBE), (185, SWEEP), (245, PROBE), (305, SWEEP)]
    assert sweeping.log.lines == [{"severity": "WARNING", "event": "dispatch", "queue": "sweep", "what": why}]


def test_only_one_at_a_time_has_the_right_to_dispatch_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "not" / "there" / "queue.sqlite"
    with locked(str(file)):
        with pytest.raises(QueueUnavailable) as refused:
            locked(str(file))
        assert str(refused.value) == (
            f"another process delivers the tasks of {file}: end the `rtmskit serve` that runs there, or name another directory"
        )
    with locked(str(file)):
        assert sorted(one.name for one in file.parent.iterdir()) == ["queue.sqlite.lock"]


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(QueueUnavailable, match=f"^the queue file {tmp_path}/file/queue.sqlite cannot be used: .*file"):
        locked(f"{tmp_path}/file/queue.sqlite")


class Process:
    """`main` in this process, which is stopped by a signal once `is_reached`, or after ten seconds. `said`: what it wrote so far."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, text: str, secret: str = SECRET) -> None:
        self._monkeypatch = monkeypatch
        self._raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(self._raw, encoding="ascii"))
        monkeypatch.setenv("RTMSKIT_DISPATCH", text)
        monkeypatch.setenv("RUN_SECRET", secret)
        if not secret:
            monkeypatch.delenv("RUN_SECRET")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # what the machine's browser uses is not for the worker next door

    @property
    def said(self) -> str:
        """What a reader at the other end of a pipe has seen."""
        return self._raw.getvalue().decode()

    def run(self, is_reached: Callable[[], bool], number: signal.Signals = signal.SIGTERM) -> None:
        over = threading.Event()

        def stop() -> None:
            deadline = time.monotonic() + 10
            while not over.is_set() and not is_reached() and time.monotonic() < deadline:
                time.sleep(0.01)
            if not over.is_set():
                os.kill(os.getpid(), number)

        stopper = threading.Thread(target=stop)
        stopper.start()
        try:
            dispatching.main()
        finally:
            over.set()
            stopper.join()


@pytest.fixture
def secrets_of_the_log(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is kept out of the dispatcher's log."""
    made: list[Any] = []

    def log(secrets: Any) -> Lines:
        made.append(secrets)
        return Lines()

    monkeypatch.setattr(dispatching.logs, "JsonLog", log)
    return made


def waiting(path: Path) -> list[str]:
    """The queues of the tasks in the file."""
    with closing(sqlite3.connect(path)) as connection:
        return [queue for (queue,) in connection.execute("SELECT queue FROM tasks WHERE done_at IS NULL")]


@pytest.mark.parametrize("secret", [SECRET, ""])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_dispatches_and_at_the_end_what_is_left(
    worker: FakeWorker, path: Path, monkeypatch: pytest.MonkeyPatch, secrets_of_the_log: list[Any], number: signal.Signals, secret: str
) -> None:
    asyncio.run(put(path, b'{"now":1}'))
    asyncio.run(put(path, b'{"later":1}', "facts", in_s=3600))
    process = Process(monkeypatch, plan(worker, path), secret)
    process.run(lambda: process.said == "dispatching\n" and len(worker.posts) >= 2 and waiting(path) == ["facts"], number)
    assert process.said == 'dispatching\nwaiting {"facts":1}\n'
    bearer = f"Bearer {secret}" if secret else ""
    assert sorted(worker.posts) == [("/events", b'{"now":1}', bearer), ("/sweep", SWEEP, bearer)]
    assert secrets_of_the_log == [(secret,) if secret else ()]
    with locked(str(path)):
        pass  # the right to dispatch is free again


def test_a_connection_is_given_up_before_the_worker_closes_it(worker: FakeWorker, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """functions-framework closes an idle one after 2 s. And no task waits for a connection: the queues' limits are the only ones."""
    found: list[httpx.Limits] = []

    class Client(httpx.AsyncClient):
        def __init__(self, *, trust_env: bool, limits: httpx.Limits) -> None:
            found.append(limits)
            super().__init__(trust_env=trust_env, limits=limits)

    monkeypatch.setattr(dispatching.httpx, "AsyncClient", Client)
    Process(monkeypatch, plan(worker, path)).run(lambda: worker.posts != [])
    assert [one.max_connections for one in found] == [None]
    assert [one.keepalive_expiry is not None and 0 < one.keepalive_expiry < 2.0 for one in found] == [True]


@pytest.mark.parametrize("text", [None, "", "{", '{"file":1}'])
def test_without_a_plan_that_can_be_read_it_ends_with_2_and_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    monkeypatch.delenv("RTMSKIT_DISPATCH", raising=False)
    if text is not None:
        monkeypatch.setenv("RTMSKIT_DISPATCH", text)
    with monkeypatch.context() as alone:
        alone.delitem(sys.modules, "rtms_relay.dispatching")  # as python -m finds it
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("rtms_relay.dispatching", run_name="__main__", alter_sys=True)
    assert ended.value.code == 2
    said = capsys.readouterr()
    with pytest.raises(msgspec.MsgspecError) as why:
        msgspec.json.decode(text or "", type=DispatchPlan)
    assert (said.out, said.err) == ("", f"rtmskit dispatcher: RTMSKIT_DISPATCH is unusable: {why.value}\n")


def test_a_file_that_is_no_queue_ends_it_with_2_and_the_reason_before_it_says_that_it_dispatches(
    worker: FakeWorker, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_bytes(b"x" * 8192)
    process = Process(monkeypatch, plan(worker, path))
    with pytest.raises(SystemExit) as ended:
        process.run(lambda: False)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("rtmskit dispatcher: ")
    assert str(path) in said
    assert (process.said, worker.posts) == ("", [])
