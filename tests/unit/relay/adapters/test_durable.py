"""What the files of SQLite promise: acknowledged means on disk, a failure is said and mended, what is forgotten is gone, and nothing stays
open after `close`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.free_port import free_port
from tests.unit.relay.adapters.synced import FILE_POINTER, JOURNAL_POINTER, SyncedFile

from rtms_relay.adapters import archive_files, disk
from rtms_relay.adapters.archive_files import FileArchive
from rtms_relay.adapters.cloud_tasks import CloudTasksQueue, Target
from rtms_relay.adapters.local_queue import LocalQueue, TaskFile
from rtms_relay.adapters.recall_http import HttpRecall
from rtms_relay.adapters.sqlite import SqliteStore
from rtms_relay.adapters.system import SystemClock
from rtms_relay.errors import AlreadyExists, QueueUnavailable, RelayError, StoreUnavailable

CANTOPEN, FULL, IOERR_WRITE = 14, 13, 778


class Subject:
    """A store or a queue in a file: one write that must be acknowledged, and how many there are."""

    def __init__(self, path: Path, kind: str) -> None:
        self.path, self.kind = path, kind
        self._store = SqliteStore(str(path), timeout_s=20)
        self._queue = LocalQueue(str(path), "handoffs", SystemClock(), timeout_s=20)
        self._tasks = TaskFile(str(path), SystemClock())
        self.file = self._store._file if kind == "store" else self._queue._file

    async def write(self, name: str = "k") -> None:
        if self.kind == "store":
            await self._store.create("handoffs", name, {"created_at": 1, "padding": "x" * 3_000})
        else:
            await self._queue.enqueue("/events", b"x" * 3_000, name=name)

    async def count(self) -> int:
        return len(await self._store.newest("handoffs", 100)) if self.kind == "store" else (await self._tasks.count()).get("handoffs", 0)

    async def close(self) -> None:
        await asyncio.gather(self._store.close(), self._queue.close(), self._tasks.close())

    async def on_connection(self, run: Callable[[sqlite3.Connection], Any]) -> Any:
        """In the file's own thread, outside a transaction."""
        await self.file.call(lambda _: None)
        assert self.file._thread is not None
        return await asyncio.get_running_loop().run_in_executor(self.file._thread, lambda: run(self.file._connection))  # ty: ignore[invalid-argument-type]


@pytest.fixture(params=["store", "queue"])
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Subject]:
    opened = Subject(tmp_path / "file.sqlite", request.param)
    yield opened
    await opened.close()


# On disk


async def test_a_write_is_synced_before_it_is_acknowledged(subject: Subject) -> None:
    await subject.write("first")
    log = await subject.on_connection(lambda connection: SyncedFile(connection, JOURNAL_POINTER))
    try:
        for number in range(5):
            syncs = log.syncs
            await subject.write(f"k{number}")
            assert (log.unsynced, log.syncs > syncs) == (0, True)
        assert log.written > 5 * 3_000
    finally:
        await subject.on_connection(lambda _: log.unhook())


async def test_what_a_checkpoint_copies_is_synced_before_the_log_is_emptied(subject: Subject) -> None:
    await subject.write()
    main = await subject.on_connection(lambda connection: SyncedFile(connection, FILE_POINTER))
    try:
        await subject.on_connection(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
        assert main.written >= 3_000
        assert main.unsynced == 0
    finally:
        await subject.on_connection(lambda _: main.unhook())


async def test_the_directories_that_are_made_for_a_file_are_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        real(handle)

    monkeypatch.setattr(disk.os, "fsync", fsync)
    store = SqliteStore(str(tmp_path / "a" / "b" / "state.db"), timeout_s=20)
    await store.create("handoffs", "k", {})
    await store.close()
    assert synced == [tmp_path.name, "a"]


# After an error


@pytest.mark.parametrize("error", [FULL, IOERR_WRITE])
async def test_a_disk_that_is_full_or_broken_is_said_and_nothing_is_acknowledged_that_is_not_there(subject: Subject, error: int) -> None:
    await subject.write("before")
    log = await subject.on_connection(lambda connection: SyncedFile(connection, JOURNAL_POINTER))
    log.fail = error
    with pytest.raises((StoreUnavailable, QueueUnavailable), match=r"cannot be used: (database or disk is full|disk I/O error)"):
        await subject.write("lost")
    # The connection is closed by then: the next call opens the file afresh, and a disk with room again is used again.
    assert await subject.count() == 1
    await subject.write("after")
    assert await subject.count() == 2


async def test_a_batch_that_meets_a_full_disk_fails_whole(subject: Subject) -> None:
    await subject.write("before")
    await subject.on_connection(lambda connection: connection.execute(f"PRAGMA max_page_count = {_pages(connection)}").fetchone())
    outcomes = await asyncio.gather(*(subject.write(f"k{number}") for number in range(30)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {StoreUnavailable, QueueUnavailable, type(None)}
    assert sum(outcome is None for outcome in outcomes) == await subject.count() - 1
    assert any("database or disk is full" in str(outcome) for outcome in outcomes)


def _pages(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA page_count").fetchone()[0]


async def test_a_locked_file_loses_nothing_that_was_acknowledged_and_serves_again(subject: Subject) -> None:
    await subject.write("before")
    locker = sqlite3.connect(subject.path, isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    subject.file._timeout_s = 0.2
    with pytest.raises((StoreUnavailable, QueueUnavailable)):
        await subject.write("given-up")
    locker.execute("ROLLBACK")
    locker.close()
    subject.file._timeout_s = 20
    await subject.write("after")
    assert await subject.count() == 2


ODD: dict[str, Callable[[sqlite3.Connection], Any]] = {
    "an exception of Python's": lambda _: 1 // 0,
    "an integer that SQLite does not have": lambda connection: connection.execute("SELECT ?", (2**70,)),
    "a value that SQLite does not have": lambda connection: connection.execute("SELECT ?", (object(),)),
    "a broken rule of the table": lambda connection: connection.execute("INSERT INTO documents (collection) VALUES (NULL)"),
    "more values than places": lambda connection: connection.execute("SELECT 1", (1, 2)),
}


@pytest.mark.parametrize("name", ODD)
async def test_one_odd_exception_in_a_batch_fails_only_its_own_call(tmp_path: Path, name: str) -> None:
    """The first edition failed every call that shared its transaction."""
    store = SqliteStore(str(tmp_path / "state.db"), timeout_s=20)
    await store.create("handoffs", "k0", {})

    def writes_and_fails(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO documents (collection, key, version, body) VALUES ('handoffs', 'half', 1, '{}')")
        ODD[name](connection)

    calls: list[Awaitable[Any]] = [store.create("handoffs", "k1", {}), store._file.call(writes_and_fails, writes=True)]
    calls += [store.create("handoffs", "k0", {}), store.create("handoffs", "k2", {}), store.newest("handoffs", 10)]
    first, odd, known, last, _ = await asyncio.gather(*calls, return_exceptions=True)
    assert (first, last, type(known)) == ("1", "1", AlreadyExists)
    assert isinstance(odd, Exception)
    assert not isinstance(odd, AlreadyExists)
    assert await store.get("handoffs", "half") is None
    assert [await store.get("handoffs", key) is not None for key in ("k0", "k1", "k2")] == [True] * 3
    await store.close()


# Forgotten


def raw(path: Path) -> bytes:
    """Every byte of a database: the file, its log and its index of the log."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))


@pytest.mark.parametrize("together", [True, False])
async def test_of_what_is_forgotten_no_byte_stays_in_the_file_or_its_log(tmp_path: Path, together: bool) -> None:
    path, secret = tmp_path / "state.db", "609340fb2a7946909659956c8aa9250c"
    store = SqliteStore(str(path), timeout_s=20)
    version = await store.create("handoffs", "k1", {"stream_id": secret, "padding": secret * 300, "created_at": 1})
    for number in range(20):
        version = await store.replace("handoffs", "k1", {"stream_id": secret, "padding": secret * (300 - number)}, version)
    assert secret.encode() in raw(path)
    tombstone = {"stream_id": "", "state": "cancelled"}
    if together:
        from rtms_relay.ports import Write

        await store.commit([Write("handoffs", "k1", tombstone, version), Write("streams", "s1", {"stream_id": "another"})])
    else:
        await store.replace("handoffs", "k1", tombstone, version)
    await store.get("handoffs", "k1")
    assert secret.encode() not in raw(path)
    await store.close()


async def test_what_is_forgotten_while_another_connection_reads_goes_with_the_next_call_after_it(tmp_path: Path) -> None:
    path, secret = tmp_path / "state.db", "609340fb2a7946909659956c8aa9250c"
    store = SqliteStore(str(path), timeout_s=20)
    version = await store.create("handoffs", "k1", {"stream_id": secret})
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM documents").fetchall()
    await store.replace("handoffs", "k1", {"stream_id": ""}, version)
    reader.execute("COMMIT")
    reader.close()
    await store.get("handoffs", "k1")
    assert secret.encode() not in raw(path)
    await store.close()


async def test_what_is_deleted_is_overwritten_whatever_sqlite_was_built_with(subject: Subject) -> None:
    await subject.write()
    assert await subject.on_connection(lambda connection: connection.execute("PRAGMA secure_delete").fetchone()) == (1,)


# Closed


def descriptors() -> set[tuple[str, str]]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.add((entry.name, str(entry.readlink())))
        except OSError:
            continue
    return {(name, target) for name, target in found if not target.startswith(("/proc/", "anon_inode:"))}


async def used(adapter: Any, first: Awaitable[Any]) -> None:
    with contextlib.suppress(RelayError):
        await first
    await adapter.close()


async def chunks() -> Any:
    yield b"data"


async def test_after_close_no_descriptor_of_any_adapter_remains(tmp_path: Path) -> None:
    """Each adapter is used once before, the remote ones against a port that nobody serves: what they opened in vain is closed as well."""
    address = f"127.0.0.1:{free_port()}"

    async def once(number: int) -> None:
        store, tasks = SqliteStore(str(tmp_path / f"{number}.db")), TaskFile(str(tmp_path / f"q{number}.db"), SystemClock())
        queue = LocalQueue(str(tmp_path / f"q{number}.db"), "handoffs", SystemClock())
        archive, recall = FileArchive(tmp_path / "archive"), HttpRecall(f"http://{address}/api/v1", "key-of-recall", SystemClock())
        remote = CloudTasksQueue("projects/p/locations/l/queues/q", Target("http://w", {}, 30), endpoint=address, timeout_s=1)
        await used(store, store.create("handoffs", "k", {}))
        await used(queue, queue.enqueue("/events", b"x"))
        await used(tasks, tasks.count())
        await used(archive, archive.put(f"h{number}/a", chunks(), content_type="video/mp4"))
        await used(recall, recall.retrieve("mdc-1"))
        await used(remote, remote.enqueue("/events", b"x"))
        await asyncio.sleep(0.05)

    await once(0)  # what the process keeps for good (a loop's own pipe, gRPC's poll) is there from the first time on
    before = descriptors()
    await once(1)
    assert descriptors() - before == set()


def test_the_archive_and_the_records_make_directories_in_the_same_way() -> None:
    assert archive_files.make_directories is disk.make_directories
