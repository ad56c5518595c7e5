"""One SQLite file over one connection: how it is opened, how calls share a transaction, whose fault an error is, what is forgotten."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from rtms_relay.adapters import sqlite_file
from rtms_relay.adapters.sqlite_file import FileKind, SqliteFile
from rtms_relay.errors import AlreadyExists, StoreUnavailable

KIND = FileKind(
    name="thing",
    format=3,
    application_id=7,
    schema="CREATE TABLE IF NOT EXISTS t (k TEXT);\nCREATE INDEX IF NOT EXISTS i ON t (k);\n",
    unavailable=StoreUnavailable,
)
Call = Callable[[sqlite3.Connection], Any]


class Said(sqlite3.Connection):
    """A connection that notes what it is told, and whether it was closed."""

    all_of_them: list[Said] = []  # noqa: RUF012  # one list for all, emptied by the fixture

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.told: list[str] = []
        self.closed = False
        self.set_trace_callback(self.told.append)
        self.all_of_them.append(self)

    def close(self) -> None:
        self.closed = True
        super().close()


@pytest.fixture
async def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[SqliteFile]:
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **named: connect(*given, factory=Said, **named))
    file = SqliteFile(str(tmp_path / "f"), KIND, 20.0)
    yield file
    await file.close()
    Said.all_of_them.clear()


def insert(text: str) -> Call:
    return lambda connection: connection.execute("INSERT INTO t VALUES (?)", (text,)).rowcount


def texts(connection: sqlite3.Connection) -> list[str]:
    return [text for (text,) in connection.execute("SELECT k FROM t ORDER BY k")]


def odd(_: sqlite3.Connection) -> None:
    raise ZeroDivisionError


def broken(connection: sqlite3.Connection) -> None:
    connection.execute("SELECT * FROM nowhere")


async def together(file: SqliteFile, *runs: Call) -> list[Any]:
    """The outcomes of calls that are one batch."""
    return await asyncio.gather(*(file.call(run, writes=True) for run in runs), return_exceptions=True)


# Opened


async def test_a_file_is_made_durable_and_marked_before_its_first_call(opened: SqliteFile) -> None:
    assert await opened.call(texts) == []
    [connection] = Said.all_of_them
    assert connection.told == [
        "PRAGMA synchronous = FULL",
        "PRAGMA secure_delete = ON",
        "PRAGMA journal_mode = WAL",
        "BEGIN IMMEDIATE",
        "PRAGMA user_version",
        "PRAGMA application_id",
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 3",
        "CREATE TABLE IF NOT EXISTS t (k TEXT)",
        "\nCREATE INDEX IF NOT EXISTS i ON t (k)",
        "COMMIT",
        "BEGIN",
        "SELECT k FROM t ORDER BY k",
        "COMMIT",
    ]


MARKS = [
    (0, 0, None),
    (7, 3, None),
    (7, 2, None),
    (7, 4, "newer release: format 4, read here is 3"),
    (8, 0, "is not a thing of this service"),
    (0, 1, "is not a thing of this service"),
    (8, 3, "is not a thing of this service"),
]


@pytest.mark.parametrize(("application", "number", "refused"), MARKS)
async def test_only_a_new_file_or_one_of_its_own_kind_is_used(
    opened: SqliteFile, tmp_path: Path, application: int, number: int, refused: str | None
) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "f")) as other:
        other.execute(f"PRAGMA application_id = {application}")
        other.execute(f"PRAGMA user_version = {number}")
    Said.all_of_them.clear()
    outcomes = await together(opened, texts, texts)
    if refused is None:
        assert outcomes == [[], []]
    else:
        assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 2
        assert all(refused in str(outcome) for outcome in outcomes)
        assert [connection.closed for connection in Said.all_of_them] == [True]


async def test_directories_are_made_for_a_file_and_not_for_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []
    monkeypatch.setattr(sqlite_file, "make_directories", made.append)
    for path in (":memory:", str(tmp_path / "f")):
        file = SqliteFile(path, KIND, 20.0)
        assert await file.call(texts) == []
        await file.close()
    assert made == [tmp_path]


@pytest.mark.parametrize(("fails", "tries"), [(0, 1), (3, 4), (5, 6)])
def test_the_switch_to_a_log_is_tried_each_ten_milliseconds_until_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch, fails: int, tries: int
) -> None:
    """SQLite itself does not wait there for another process."""
    told, waits = [], []

    class Busy:
        def execute(self, sql: str) -> None:
            told.append(sql)
            if len(told) <= fails:
                raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(threading.Event, "wait", lambda _, seconds: waits.append(seconds))
    file = SqliteFile("unused", KIND, 0.05)
    file._write_ahead(Busy())  # ty: ignore[invalid-argument-type]
    assert (told, waits) == (["PRAGMA journal_mode = WAL"] * tries, [0.01] * fails)
    told.clear()
    fails = 99
    with pytest.raises(sqlite3.OperationalError):
        file._write_ahead(Busy())  # ty: ignore[invalid-argument-type]
    assert len(told) == 6


async def test_a_batch_in_which_one_call_writes_has_the_file_to_itself(opened: SqliteFile) -> None:
    await opened.call(texts)
    [connection] = Said.all_of_them
    connection.told.clear()
    assert await asyncio.gather(opened.call(texts), opened.call(insert("a"), writes=True)) == [[], 1]
    assert [text for text in connection.told if text.startswith("BEGIN")] == ["BEGIN IMMEDIATE"]


async def test_it_works_in_one_thread_and_leaves_no_timer(opened: SqliteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, timers = asyncio.get_running_loop(), []
    later = loop.call_later

    def noted(*given: Any, **named: Any) -> asyncio.TimerHandle:
        timers.append(later(*given, **named))
        return timers[-1]

    monkeypatch.setattr(loop, "call_later", noted)
    names = [await opened.call(lambda _: threading.current_thread().name) for _ in range(3)]
    assert names == ["sqlite-thing_0"] * 3
    assert opened._thread is not None
    assert opened._thread._max_workers == 1
    assert [timer.cancelled() for timer in timers] == [True] * 3
    thread = opened._thread
    await opened.close()
    with pytest.raises(RuntimeError, match="after shutdown"):
        thread.submit(print)


# Whose fault it is


async def test_one_odd_call_is_run_once_and_told_its_own_error(opened: SqliteFile) -> None:
    runs: list[str] = []
    with pytest.raises(ZeroDivisionError):
        await opened.call(lambda connection: (runs.append("odd"), insert("half")(connection), odd(connection)), writes=True)
    assert runs == ["odd"]
    with pytest.raises(StoreUnavailable, match=r"cannot be used: .*bindings") as raised:
        await opened.call(lambda connection: connection.execute("SELECT 1", (1, 2)))
    assert isinstance(raised.value.__cause__, sqlite3.ProgrammingError)
    assert await opened.call(texts) == []


async def test_of_two_calls_the_odd_one_fails_alone(opened: SqliteFile) -> None:
    first, second = await together(opened, insert("a"), odd)
    assert (first, type(second)) == (1, ZeroDivisionError)
    first, second = await together(opened, odd, insert("b"))
    assert (type(first), second) == (ZeroDivisionError, 1)
    assert await opened.call(texts) == ["a", "b"]


async def test_an_error_that_a_call_raises_on_purpose_undoes_nothing_of_anothers(opened: SqliteFile) -> None:
    def known(_: sqlite3.Connection) -> None:
        raise AlreadyExists("k")

    outcomes = await together(opened, insert("a"), known, insert("b"))
    assert [outcomes[0], type(outcomes[1]), outcomes[2]] == [1, AlreadyExists, 1]
    assert await opened.call(texts) == ["a", "b"]


async def test_what_is_the_files_fault_fails_the_batch_and_the_file_is_opened_again(opened: SqliteFile) -> None:
    outcomes = await together(opened, insert("a"), broken)
    assert [str(outcome).partition(": ")[2] for outcome in outcomes] == ["no such table: nowhere"] * 2
    assert opened._connection is None
    assert await opened.call(texts) == []
    assert [connection.closed for connection in Said.all_of_them] == [True, False]


async def test_memory_outlives_an_error() -> None:
    file = SqliteFile(":memory:", KIND, 20.0)
    await file.call(insert("a"), writes=True)
    assert [type(outcome) for outcome in await together(file, insert("b"), broken)] == [StoreUnavailable] * 2
    assert await file.call(texts) == ["a"]
    await file.close()
    assert await file.call(texts) == []
    await file.close()


async def test_a_bug_of_its_own_is_told_to_every_caller_and_the_next_batch_is_served(
    opened: SqliteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(opened, "_run", odd)
        assert [type(outcome) for outcome in await together(opened, texts, texts)] == [ZeroDivisionError] * 2
    assert await together(opened, texts, texts) == [[], []]


async def test_a_caller_that_has_gone_keeps_nobody_from_an_answer(opened: SqliteFile) -> None:
    begun, gate = threading.Event(), threading.Event()

    def slow(_: sqlite3.Connection) -> None:
        begun.set()
        gate.wait(10)

    gone = asyncio.ensure_future(opened.call(slow))
    waits = asyncio.ensure_future(opened.call(texts))
    await asyncio.to_thread(begun.wait, 10)
    gone.cancel()
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.wait_for(waits, 10) == []
    assert gone.cancelled()


async def test_a_call_that_takes_longer_than_it_may_is_given_up_while_it_still_runs(tmp_path: Path) -> None:
    file, gate = SqliteFile(str(tmp_path / "f"), KIND, 20.0), threading.Event()
    assert await file.call(texts) == []
    file._timeout_s = 0.05
    with pytest.raises(StoreUnavailable, match=r"^the SQLite thing did not answer within 0\.05 s$"):
        await asyncio.wait_for(file.call(lambda _: gate.wait(10)), 5)
    gate.set()
    await file.close()


async def test_a_close_finishes_what_waits_and_one_that_was_never_used_closes_too(opened: SqliteFile) -> None:
    await SqliteFile("unused", KIND, 20.0).close()
    begun, gate = threading.Event(), threading.Event()

    def slow(_: sqlite3.Connection) -> None:
        begun.set()
        gate.wait(10)

    first = asyncio.ensure_future(opened.call(slow))
    await asyncio.to_thread(begun.wait, 10)
    second = asyncio.ensure_future(opened.call(texts))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(opened.close())
    await asyncio.sleep(0.02)
    assert not closing.done()
    gate.set()
    await closing
    assert (await first, await second, opened._connection) == (None, [], None)
    assert [connection.closed for connection in Said.all_of_them] == [True]


# Forgotten

EMPTIED = ["PRAGMA busy_timeout = 0", "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA busy_timeout = 20000"]


async def test_only_what_is_to_be_forgotten_empties_the_log_and_once(opened: SqliteFile) -> None:
    def pragmas() -> list[str]:
        [connection] = Said.all_of_them
        told = [text for text in connection.told if text.startswith("PRAGMA")]
        connection.told.clear()
        return told

    await opened.call(texts)
    pragmas()
    await opened.call(insert("a"), writes=True)
    assert pragmas() == []
    await asyncio.gather(opened.call(insert("b"), writes=True), opened.call(insert("c"), writes=True, forgets=True))
    assert pragmas() == EMPTIED
    await opened.call(texts)
    assert pragmas() == []


async def test_a_log_that_somebody_reads_is_emptied_with_the_next_call_and_an_error_opens_the_file_again() -> None:
    class Answering:
        closed = False

        def __init__(self, busy: int | None) -> None:
            self.busy, self.told = busy, []

        def execute(self, sql: str) -> Answering:
            self.told.append(sql)
            if self.busy is None:
                raise sqlite3.OperationalError("disk I/O error")
            return self

        def fetchone(self) -> tuple[int | None, int, int]:
            return self.busy, 0, 0

        def close(self) -> None:
            self.closed = True

    file = SqliteFile("unused", KIND, 20.0)
    file._forget()
    assert file._connection is None
    for busy, still in ((1, True), (0, False)):
        file._to_forget, connection = True, Answering(busy)
        file._connection = connection  # ty: ignore[invalid-assignment]
        file._forget()
        assert (file._to_forget, connection.told) == (still, EMPTIED)
    file._to_forget, connection = True, Answering(None)
    file._connection = connection  # ty: ignore[invalid-assignment]
    file._forget()
    assert (file._to_forget, file._connection, connection.closed) == (True, None, True)
