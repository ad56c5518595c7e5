"""The dispatcher's parts in this process: when it asks for the sweep, who may dispatch, how the process begins and ends."""

from __future__ import annotations

import asyncio
import io
import os
import runpy
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from tests.ports.plain import Lines
from tests.ports.time import Time
from tests.unit.relay.test_dispatching import RULES, SECRET, FakeWorker, path, plan, put, worker

from rtms_relay import dispatching
from rtms_relay.adapters.local_dispatch import WorkerPosts
from rtms_relay.dispatching import DispatchPlan, Sweeps, locked
from rtms_relay.errors import QueueUnavailable

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
