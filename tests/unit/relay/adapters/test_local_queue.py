"""What is the local queue's own: its file. Crashes, locks, broken files, files of another kind or release."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.ports.time import Time
from tests.unit.relay.adapters.statements import begins

from rtms_relay.adapters.local_queue import LocalQueue, TaskFile
from rtms_relay.adapters.sqlite import SqliteStore
from rtms_relay.adapters.system import SystemClock
from rtms_relay.errors import QueueUnavailable, StoreUnavailable

WRITER = """
import asyncio, sys
from rtms_relay.adapters.local_queue import LocalQueue
from rtms_relay.adapters.system import SystemClock

async def main():
    queue = LocalQueue(sys.argv[1], "handoffs", SystemClock(), timeout_s=30)
    number = 0
    while True:
        bodies = [b"%d" % (number + ahead) for ahead in range(5)]
        await asyncio.gather(*(queue.enqueue("/events", body) for body in bodies))
        print(*(body.decode() for body in bodies), flush=True)
        number += 5

asyncio.run(main())
"""


def queue_at(path: Path, *, timeout_s: float = 10.0) -> LocalQueue:
    return LocalQueue(str(path), "handoffs", SystemClock(), timeout_s=timeout_s)


async def refused(queue: LocalQueue | SqliteStore) -> str:
    """Why it takes nothing."""
    try:
        with pytest.raises((QueueUnavailable, StoreUnavailable)) as caught:
            await (queue.enqueue("/events", b"x") if isinstance(queue, LocalQueue) else queue.get("handoffs", "k"))
    finally:
        await queue.close()
    return str(caught.value)


def child(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)


async def bodies(path: Path, queue: str = "handoffs") -> list[bytes]:
    file = TaskFile(str(path), SystemClock())
    tasks = await file.waiting(queue, 100_000, frozenset())
    await file.close()
    return [task.body for task in tasks]


@pytest.mark.parametrize("lines", [1, 7, 23])
async def test_what_was_acknowledged_survives_a_sigkill(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "queue.sqlite"
    writer = child(WRITER, str(path))
    assert writer.stdout is not None
    acknowledged = [body for _ in range(lines) for body in writer.stdout.readline().split()]
    writer.send_signal(signal.SIGKILL)
    acknowledged += [body for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n") for body in line.split()]
    assert writer.wait() == -signal.SIGKILL
    writer.stdout.close()
    assert {body.encode() for body in acknowledged} <= set(await bodies(path))
    queue = queue_at(path)
    assert await queue.enqueue("/events", b"after")  # no lock was left behind
    await queue.close()


async def test_a_task_is_on_disk_before_it_is_acknowledged(tmp_path: Path) -> None:
    queue = queue_at(tmp_path / "queue.sqlite")
    assert await queue._file.call(lambda connection: connection.execute("PRAGMA synchronous").fetchone()) == (2,)
    await queue.close()


async def test_a_task_that_failed_keeps_why_and_its_count_over_a_restart(tmp_path: Path) -> None:
    path, clock = str(tmp_path / "queue.sqlite"), Time(1_000)
    queue, file = LocalQueue(path, "handoffs", clock), TaskFile(path, clock)
    await queue.enqueue("/events", b"x")
    [task] = await file.waiting("handoffs", 10, frozenset())
    await file.failed(task, "the worker answered 500", 5_000)
    await file.close()
    [again] = await file.waiting("handoffs", 10, frozenset())
    assert (again.id, again.failures, again.due_at) == (task.id, 1, 5_000)
    await asyncio.gather(queue.close(), file.close())


async def test_of_a_reason_five_hundred_characters_are_kept(tmp_path: Path) -> None:
    queue, file = queue_at(tmp_path / "q"), TaskFile(str(tmp_path / "q"), SystemClock())
    await queue.enqueue("/events", b"x")
    [task] = await file.waiting("handoffs", 1, frozenset())
    await file.failed(task, "a" * 499 + "bc", 0)
    await file.close()
    await queue.close()
    with closing(sqlite3.connect(tmp_path / "q")) as connection:
        assert connection.execute("SELECT last_failure FROM tasks").fetchall() == [("a" * 499 + "b",)]


async def test_finished_names_do_not_pile_up(tmp_path: Path) -> None:
    path, clock = str(tmp_path / "queue.sqlite"), Time(0)
    queue, file = LocalQueue(path, "retrievals", clock), TaskFile(path, clock)
    for number in range(50):
        await queue.enqueue("/retrieve", b"x", name=f"n{number}")
        [task] = await file.waiting("retrievals", 1, frozenset())
        await file.done(task)
        clock.now += 3_600_000
    (rows,) = await file._file.call(lambda connection: connection.execute("SELECT COUNT(*) FROM tasks").fetchone())
    assert rows <= 26
    assert await file.count() == {}
    await asyncio.gather(queue.close(), file.close())


async def test_a_locked_file_is_unavailable_in_time_and_what_was_given_up_does_not_come_later(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    queue = queue_at(path, timeout_s=0.3)
    await queue.enqueue("/events", b"first")
    locker = sqlite3.connect(path, isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    with pytest.raises(QueueUnavailable, match=r"did not answer within 0\.3 s|locked"):
        await queue.enqueue("/events", b"given up")
    locker.execute("ROLLBACK")
    locker.close()
    await asyncio.sleep(0.5)
    await queue.close()
    assert await bodies(path) == [b"first"]


async def test_a_file_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    queue = queue_at(path)
    await queue.enqueue("/events", b"x")
    await queue.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    assert "newer release: format 7, read here is 1" in await refused(queue_at(path))


@pytest.mark.parametrize("content", [b"not a database at all, and long enough to be one" * 40, b"SQLite format 3\x00" + b"\xff" * 4096])
async def test_a_damaged_file_is_unavailable_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "queue.sqlite"
    path.write_bytes(content)
    assert f"{path} cannot be used" in await refused(queue_at(path, timeout_s=2))
    assert path.read_bytes() == content


async def test_records_and_queues_do_not_take_each_others_file(tmp_path: Path) -> None:
    records, queues = tmp_path / "state.sqlite", tmp_path / "queue.sqlite"
    store, queue = SqliteStore(str(records)), queue_at(queues)
    await store.create("handoffs", "k", {})
    await queue.enqueue("/events", b"x")
    await asyncio.gather(store.close(), queue.close())
    assert "is not a queue of this service" in await refused(queue_at(records))
    assert "is not a store of this service" in await refused(SqliteStore(str(queues)))
    assert await bodies(queues) == [b"x"]


async def test_how_long_a_locked_file_is_waited_for(tmp_path: Path) -> None:
    """The webhook has two seconds for a queue, whatever kind it is (ENQUEUE_MS); the dispatcher has nobody who waits for it."""
    assert LocalQueue(str(tmp_path / "q"), "facts", SystemClock())._file._timeout_s == 2.0
    assert TaskFile(str(tmp_path / "q"), SystemClock())._file._timeout_s == 10.0


async def test_after_close_no_thread_and_no_file_is_left(tmp_path: Path) -> None:
    def open_files() -> set[str]:
        return {
            str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink() and tmp_path.name in str(link.readlink())
        }

    queue, file = queue_at(tmp_path / "q"), TaskFile(str(tmp_path / "q"), SystemClock())
    assert await queue.enqueue("/events", b"x")
    assert await file.count() == {"handoffs": 1}
    assert open_files() != set()
    await queue.close()
    assert open_files() != set()
    await file.close()
    assert open_files() == set()


async def test_what_changes_the_file_has_it_to_itself_from_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who only reads first would be refused at its first change if another process wrote meanwhile, and not wait."""
    said = begins(monkeypatch)
    queue, file = queue_at(tmp_path / "q"), TaskFile(str(tmp_path / "q"), SystemClock())
    await queue.enqueue("/events", b"1", name="n")
    await queue.enqueue("/events", b"2")
    first, second = await file.waiting("handoffs", 9, frozenset())
    said.clear()
    await queue.enqueue("/events", b"3")
    await file.failed(first, "503", 7)
    await file.done(first)
    await file.done(second)
    assert said == ["BEGIN IMMEDIATE"] * 4
    said.clear()
    assert [task.body for task in await file.waiting("handoffs", 9, frozenset())] == [b"3"]
    await file.changes()
    await file.count()
    assert said == ["BEGIN"] * 3
    await queue.close()
    await file.close()
