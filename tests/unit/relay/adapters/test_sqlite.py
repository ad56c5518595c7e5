"""What is SQLite's own: several processes, crashes, locks, broken files, one commit for many."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.unit.relay.adapters.statements import begins

from rtms_relay.adapters.documents import INDEXED
from rtms_relay.adapters.sqlite import SqliteStore
from rtms_relay.errors import AlreadyExists, StoreUnavailable
from rtms_relay.ports import IndexedField, Write

RACER = """
import asyncio, sys
from rtms_relay.adapters.documents import INDEXED
from rtms_relay.adapters.sqlite import SqliteStore
from rtms_relay.errors import AlreadyExists

async def attempt(store, key, who):
    try:
        await store.create("handoffs", key, {"by": who})
    except AlreadyExists:
        return
    print(key, who)

async def main():
    store = SqliteStore(sys.argv[1], timeout_s=30)
    sys.stdin.readline()
    for number in range(20):
        await asyncio.gather(*(attempt(store, f"k{number}", f"{sys.argv[2]}-{task}") for task in range(4)))
    await store.close()

print("ready", flush=True)
asyncio.run(main())
"""

WRITER = """
import asyncio, sys
from rtms_relay.adapters.documents import INDEXED
from rtms_relay.adapters.sqlite import SqliteStore

async def main():
    store = SqliteStore(sys.argv[1], timeout_s=30)
    number = 0
    while True:
        keys = [f"k{number + ahead}" for ahead in range(5)]
        await asyncio.gather(*(store.create("handoffs", key, {"created_at": 1, "padding": "x" * 3000}) for key in keys))
        print(*keys, flush=True)
        number += 5

asyncio.run(main())
"""


def child(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def test_of_sixteen_creates_from_four_processes_exactly_one_wins_each_time(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")  # the file is not there yet: making it is part of the race
    racers = [child(RACER, path, f"p{number}") for number in range(4)]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    wins = [tuple(line.split()) for racer in racers for line in racer.communicate(timeout=60)[0].splitlines()]
    assert all(racer.returncode == 0 for racer in racers)
    assert sorted(key for key, _ in wins) == sorted(f"k{number}" for number in range(20))
    store = SqliteStore(path)
    for key, who in wins:
        found = await store.get("handoffs", key)
        assert found is not None
        assert found.fields == {"by": who}
    await store.close()


@pytest.mark.parametrize("lines", [1, 7, 23])
async def test_what_was_acknowledged_survives_a_sigkill(tmp_path: Path, lines: int) -> None:
    path = str(tmp_path / "state.db")
    writer = child(WRITER, path)
    assert writer.stdout is not None
    acknowledged = [key for _ in range(lines) for key in writer.stdout.readline().split()]
    writer.send_signal(signal.SIGKILL)
    acknowledged += [key for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n") for key in line.split()]
    assert writer.wait() == -signal.SIGKILL
    assert writer.stdin is not None
    writer.stdin.close()
    writer.stdout.close()
    store = SqliteStore(path)
    for key in acknowledged:
        with pytest.raises(AlreadyExists):
            await store.create("handoffs", key, {})
    await store.create("handoffs", "after", {})  # no lock was left behind
    assert len(await store.newest("handoffs", 10_000)) >= len(acknowledged)
    await store.close()


async def test_writes_reach_the_disk_before_they_are_acknowledged(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "state.db"))
    assert await store._file.call(lambda connection: connection.execute("PRAGMA synchronous").fetchone()) == (2,)
    assert await store._file.call(lambda connection: connection.execute("PRAGMA journal_mode").fetchone()) == ("wal",)
    await store.close()


async def test_a_call_has_two_seconds() -> None:
    assert SqliteStore(":memory:")._file._timeout_s == 2.0


async def test_calls_that_wait_together_share_one_commit(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "state.db"))
    statements: list[str] = []
    await store._file.call(lambda connection: connection.set_trace_callback(statements.append))
    await asyncio.gather(*(store.create("handoffs", f"k{number}", {}) for number in range(100)))
    assert sum(statement == "COMMIT" for statement in statements) <= 3
    await store.close()


async def test_a_call_that_loses_takes_nothing_from_those_it_shares_a_commit_with(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "state.db"))
    await store.create("handoffs", "k0", {})
    outcomes = await asyncio.gather(*(store.create("handoffs", f"k{number}", {}) for number in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [AlreadyExists, str, str]
    await store.close()
    for number in range(3):
        assert await store.get("handoffs", f"k{number}") is not None
    await store.close()


async def test_a_locked_file_is_unavailable_in_time_and_the_loop_runs_on(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")
    store = SqliteStore(path, timeout_s=0.3)
    await store.create("handoffs", "k0", {})
    locker = sqlite3.connect(path, isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.ensure_future(tick())
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"did not answer within 0\.3 s|locked"):
        await store.create("handoffs", "k1", {})
    assert 0.2 < time.monotonic() - began < 2
    assert ticks > 10
    ticking.cancel()
    locker.execute("ROLLBACK")
    locker.close()
    await asyncio.sleep(0.4)
    assert await store.get("handoffs", "k1") is None  # what was given up is not done later
    await store.create("handoffs", "k1", {})
    await store.close()


async def test_calls_behind_one_that_is_stuck_are_given_up_in_time_and_not_done_later(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")
    store = SqliteStore(path, timeout_s=0.3)
    await store.create("handoffs", "k0", {})
    locker = sqlite3.connect(path, isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    stuck = asyncio.ensure_future(store.create("handoffs", "k1", {}))
    await asyncio.sleep(0.02)
    behind = asyncio.ensure_future(store.create("handoffs", "k2", {}))
    outcomes = await asyncio.gather(stuck, behind, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable, StoreUnavailable]
    locker.execute("ROLLBACK")
    locker.close()
    await asyncio.sleep(0.4)
    assert await store.get("handoffs", "k2") is None
    await store.close()


async def test_in_memory_it_is_a_store_of_its_own() -> None:
    one, other = SqliteStore(":memory:"), SqliteStore(":memory:")
    version = await one.create("handoffs", "k1", {"n": 1})
    await one.replace("handoffs", "k1", {"n": 2}, version)
    assert await other.get("handoffs", "k1") is None
    await asyncio.gather(one.close(), other.close())


async def test_missing_directories_are_made(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "a" / "b" / "state.db"))
    await store.create("handoffs", "k1", {})
    await store.close()
    assert (tmp_path / "a" / "b" / "state.db").is_file()


async def test_a_file_that_is_no_database_is_unavailable_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"these are my holiday notes, not a database, and long enough to be looked at" * 20)
    before = path.read_bytes()
    store = SqliteStore(str(path), timeout_s=0.3)
    with pytest.raises(StoreUnavailable, match=r"state\.db cannot be used: file is not a database"):
        await store.create("handoffs", "k1", {})
    await store.close()
    assert path.read_bytes() == before


async def test_a_directory_in_its_place_is_unavailable(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path), timeout_s=0.3)
    with pytest.raises(StoreUnavailable, match="unable to open database file"):
        await store.get("handoffs", "k1")
    await store.close()


async def test_a_file_of_a_newer_release_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    store = SqliteStore(str(path))
    with pytest.raises(StoreUnavailable, match="newer release: format 99, read here is 1"):
        await store.get("handoffs", "k1")
    await store.close()


async def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state.db")) as other:
        other.execute("PRAGMA application_id = 5")
    store = SqliteStore(str(tmp_path / "state.db"))
    with pytest.raises(StoreUnavailable, match="is not a store of this service"):
        await store.get("handoffs", "k1")
    await store.close()


async def test_a_store_that_recovers_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.mkdir()
    store = SqliteStore(str(path), timeout_s=0.3)
    with pytest.raises(StoreUnavailable):
        await store.create("handoffs", "k1", {})
    path.rmdir()
    await store.create("handoffs", "k1", {})
    await store.close()


async def test_a_bug_in_one_call_is_told_to_its_caller_and_the_store_lives(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "state.db"))
    with pytest.raises(ZeroDivisionError):
        await store._file.call(lambda _: 1 // 0, writes=True)
    await store.create("handoffs", "k1", {})
    await store.close()


def test_it_may_be_made_without_a_loop_and_used_in_one_after_another(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "state.db"))

    async def once(key: str) -> None:
        await store.create("handoffs", key, {})
        await store.close()

    asyncio.run(once("k1"))
    asyncio.run(once("k2"))


@pytest.mark.leaves_tasks("the end of a loop in the middle of a call is what is tested")
def test_a_loop_that_ended_in_the_middle_of_a_call_leaves_the_store_usable(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "state.db"))

    async def leave() -> None:
        asyncio.ensure_future(store.create("handoffs", "k1", {}))  # noqa: RUF006  # left behind on purpose
        await asyncio.sleep(0)

    async def go_on() -> None:
        await store.close()
        await store.create("handoffs", "k2", {})
        await store.close()

    asyncio.run(leave())
    asyncio.run(go_on())


@pytest.mark.parametrize("name", INDEXED)
async def test_a_narrowed_list_is_read_from_its_index(tmp_path: Path, name: IndexedField) -> None:
    store = SqliteStore(str(tmp_path / "state.db"))
    await store.create("handoffs", "k1", {"created_at": 1, name: "word"})
    asked: list[str] = []
    await store._file.call(lambda connection: connection.set_trace_callback(asked.append))
    assert len(await store.newest("handoffs", 10, 5, since_ms=0, where={name: "word"})) == 1
    [sql] = [text for text in asked if text.startswith("SELECT")]
    plan = await store._file.call(lambda connection: connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall())
    assert [row[3] for row in plan] == [
        f"SEARCH documents USING INDEX documents_{name} (collection=? AND <expr>=? AND created_at>? AND created_at<?)"
    ]
    await store.close()


async def test_a_file_of_an_earlier_release_gets_the_indexes(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with sqlite3.connect(path) as old:
        old.execute(
            "CREATE TABLE documents (collection TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, due_at INTEGER,"
            " created_at INTEGER, body TEXT NOT NULL, UNIQUE (collection, key))"
        )
        old.execute("INSERT INTO documents VALUES ('handoffs', 'k1', 1, NULL, 7, '{\"state\":\"failed\",\"created_at\":7}')")
        old.execute("PRAGMA user_version = 1")
    old.close()
    store = SqliteStore(str(path))
    assert [found.key for found in await store.newest("handoffs", 10, where={"state": "failed"})] == ["k1"]
    await store.close()


async def test_what_changes_the_file_has_it_to_itself_from_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who only reads first would be refused at its first change if another process wrote meanwhile, and not wait."""
    said = begins(monkeypatch)
    store = SqliteStore(str(tmp_path / "s"))
    assert await store.get("handoffs", "k") is None
    said.clear()
    version = await store.create("handoffs", "k", {"created_at": 1, "due_at": 1})
    version = await store.replace("handoffs", "k", {"created_at": 1, "due_at": 1}, version)
    await store.commit([Write("handoffs", "k", {"created_at": 1}, version)])
    assert said == ["BEGIN IMMEDIATE"] * 3
    said.clear()
    await store.get("handoffs", "k")
    await store.due("handoffs", 9, 9)
    await store.newest("handoffs", 9)
    await store.with_prefix("handoffs", "k", 9)
    assert said == ["BEGIN"] * 4
    await store.close()


async def test_only_a_document_that_loses_its_streams_id_empties_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = begins(monkeypatch, "PRAGMA wal_checkpoint")
    store = SqliteStore(str(tmp_path / "s"))
    version = await store.create("handoffs", "k", {"stream_id": ""})
    version = await store.replace("handoffs", "k", {"stream_id": "s"}, version)
    [version] = await store.commit([Write("handoffs", "k", {"stream_id": "s"}, version)])
    assert said == []
    version = await store.replace("handoffs", "k", {"stream_id": ""}, version)
    assert len(said) == 1
    await store.commit([Write("streams", "s", {}), Write("handoffs", "k", {"stream_id": ""}, version)])
    assert len(said) == 2
    await store.close()
