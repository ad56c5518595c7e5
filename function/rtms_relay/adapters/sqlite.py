"""The embedded store: one SQLite file, shared by any number of processes on one machine.

Durable: write-ahead log with `synchronous=FULL`, so that an acknowledged write survives a SIGKILL and a power cut. The price, one
`fsync` per commit, is shared: whatever calls are waiting when the worker thread is free go into one transaction. That is sound
because every write is a single conditional statement, or several within a savepoint: losing (`AlreadyExists`, `Stale`) undoes nothing
of another's, and answers are given only after the commit.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from rtms_relay.adapters.documents import bound, check_key, decode, encode, queried
from rtms_relay.errors import AlreadyExists, Stale, StoreError, StoreUnavailable
from rtms_relay.ports import Collection, Stored, Write

T = TypeVar("T")

_FORMAT = 1
"""`PRAGMA user_version` of the file."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    collection TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    due_at INTEGER,
    created_at INTEGER,
    body TEXT NOT NULL,
    UNIQUE (collection, key)
);
CREATE INDEX IF NOT EXISTS documents_due ON documents (collection, due_at, key) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS documents_newest ON documents (collection, created_at, key) WHERE created_at IS NOT NULL;
"""

_SWITCH_PAUSE_S = 0.01
"""Between two tries of a statement for which SQLite does not itself wait."""


@dataclass(slots=True)
class _Call:
    """One waiting call: what to run on the connection, whether it writes, and who waits for it."""

    run: Callable[[sqlite3.Connection], Any]
    writes: bool
    answer: asyncio.Future[Any]


class SqliteStore:
    """`Store` on a SQLite file, or in memory for `":memory:"` (then gone at `close`).

    Opened on first use, in a thread of its own; `close` may be followed by further use, which opens it again. Every call
    ends within `timeout_s` (seconds), with `StoreUnavailable` if it must.
    """

    def __init__(self, path: str, *, timeout_s: float = 2.0) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._waiting: list[_Call] = []
        self._drain: asyncio.Task[None] | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None

    async def create(self, collection: Collection, key: str, fields: Mapping[str, Any]) -> str:
        return await self._call(self._write(Write(collection, key, fields)), writes=True)

    async def get(self, collection: Collection, key: str) -> Stored | None:
        check_key(key)

        def select(connection: sqlite3.Connection) -> tuple[str, str, int] | None:
            return connection.execute(
                "SELECT key, body, version FROM documents WHERE collection = ? AND key = ?", (collection, key)
            ).fetchone()

        row = await self._call(select)
        return None if row is None else _stored(row)

    async def replace(self, collection: Collection, key: str, fields: Mapping[str, Any], version: str) -> str:
        return await self._call(self._write(Write(collection, key, fields, version)), writes=True)

    async def commit(self, writes: Sequence[Write]) -> list[str]:
        runs = [self._write(write) for write in writes]

        def all_or_none(connection: sqlite3.Connection) -> list[str]:
            connection.execute("SAVEPOINT together")
            try:
                versions = [run(connection) for run in runs]
            except StoreError:
                connection.execute("ROLLBACK TO together")
                raise
            finally:
                connection.execute("RELEASE together")
            return versions

        return await self._call(all_or_none, writes=True)

    async def due(self, collection: Collection, before_ms: int, limit: int) -> list[Stored]:
        return await self._rows(
            "SELECT key, body, version FROM documents WHERE collection = ? AND due_at <= ? ORDER BY due_at, key LIMIT ?",
            (collection, bound(before_ms), max(0, limit)),
        )

    async def newest(self, collection: Collection, limit: int, before_ms: int | None = None) -> list[Stored]:
        if before_ms is None:
            return await self._rows(
                "SELECT key, body, version FROM documents WHERE collection = ? AND created_at IS NOT NULL"
                " ORDER BY created_at DESC, key DESC LIMIT ?",
                (collection, max(0, limit)),
            )
        return await self._rows(
            "SELECT key, body, version FROM documents WHERE collection = ? AND created_at < ? ORDER BY created_at DESC, key DESC LIMIT ?",
            (collection, bound(before_ms), max(0, limit)),
        )

    async def close(self) -> None:
        """Finish what is waiting and close the file. Repeatable."""
        if self._drain is not None and not self._drain.done():
            await asyncio.wait({self._drain})
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
            self._thread.shutdown(wait=False)
            self._thread = None

    def _write(self, write: Write) -> Callable[[sqlite3.Connection], str]:
        """One conditional write, to be run on the connection."""
        check_key(write.key)
        if write.version is None:
            return _insert(write)
        return _update(write, write.version)

    async def _rows(self, sql: str, parameters: tuple[object, ...]) -> list[Stored]:
        rows = await self._call(lambda connection: connection.execute(sql, parameters).fetchall())
        return [_stored(row) for row in rows]

    async def _call(self, run: Callable[[sqlite3.Connection], T], *, writes: bool = False) -> T:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.append(_Call(run, writes, answer))
        if self._drain is None or self._drain.done():
            self._drain = loop.create_task(self._run_waiting())
        timer = loop.call_later(self._timeout_s, _give_up, answer, self._timeout_s)
        try:
            return cast("T", await answer)
        finally:
            timer.cancel()

    async def _run_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-store")
        while self._waiting:
            # A call whose caller has gone must not be carried out later.
            batch = [call for call in self._waiting if not call.answer.done()]
            self._waiting.clear()
            work = loop.run_in_executor(self._thread, self._transact, batch)
            await asyncio.wait({work})
            bug = work.exception()  # each caller is told, and the next batch is still served
            outcomes = work.result() if bug is None else [bug] * len(batch)
            for call, outcome in zip(batch, outcomes, strict=True):
                if call.answer.done():
                    continue
                if isinstance(outcome, BaseException):
                    call.answer.set_exception(outcome)
                else:
                    call.answer.set_result(outcome)

    def _transact(self, batch: list[_Call]) -> list[Any]:
        """In the thread: run the calls in one transaction. Each outcome is a result or an exception."""
        try:
            if self._connection is None:
                self._connection = self._connect()
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE" if any(call.writes for call in batch) else "BEGIN")
            try:
                outcomes = [_outcome(call, connection) for call in batch]
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except (sqlite3.Error, OSError) as error:
            self._disconnect_if_file()
            return [_unavailable(self._path, error) for _ in batch]
        except StoreUnavailable as error:
            return [error for _ in batch]
        return outcomes

    def _connect(self) -> sqlite3.Connection:
        if self._path != ":memory:":
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=self._timeout_s, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            self._write_ahead(connection)
            connection.execute("BEGIN IMMEDIATE")
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found > _FORMAT:
                raise StoreUnavailable(
                    f"the SQLite file {self._path} was written by a newer release: format {found}, read here is {_FORMAT}"
                )
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_FORMAT}")
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection

    def _write_ahead(self, connection: sqlite3.Connection) -> None:
        """Switch the file to a write-ahead log. SQLite does not wait for other processes here, so this does."""
        pause = threading.Event()
        for remaining in range(int(self._timeout_s / _SWITCH_PAUSE_S), -1, -1):
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if remaining == 0:
                    raise
                pause.wait(_SWITCH_PAUSE_S)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _disconnect_if_file(self) -> None:
        """After an error a file is opened afresh: it may have been moved or mended. Memory would be lost."""
        if self._path != ":memory:":
            self._disconnect()


def _insert(write: Write) -> Callable[[sqlite3.Connection], str]:
    fields = write.fields
    row = (write.collection, write.key, queried(fields, "due_at"), queried(fields, "created_at"), encode(fields))

    def insert(connection: sqlite3.Connection) -> str:
        done = connection.execute(
            "INSERT INTO documents (collection, key, version, due_at, created_at, body) VALUES (?, ?, 1, ?, ?, ?)"
            " ON CONFLICT (collection, key) DO NOTHING",
            row,
        )
        if done.rowcount == 0:
            raise AlreadyExists(f"{write.collection}/{write.key} is there already")
        return "1"

    return insert


def _update(write: Write, version: str) -> Callable[[sqlite3.Connection], str]:
    fields, body = write.fields, encode(write.fields)
    expected = int(version) if version.isascii() and version.isdigit() else 0  # what is no version of ours matches none

    def update(connection: sqlite3.Connection) -> str:
        done = connection.execute(
            "UPDATE documents SET version = version + 1, due_at = ?, created_at = ?, body = ?"
            " WHERE collection = ? AND key = ? AND version = ?",
            (queried(fields, "due_at"), queried(fields, "created_at"), body, write.collection, write.key, bound(expected)),
        )
        if done.rowcount == 0:
            raise Stale(f"{write.collection}/{write.key} has changed since it was read, or is gone")
        return str(expected + 1)

    return update


def _outcome(call: _Call, connection: sqlite3.Connection) -> Any:
    if call.answer.done():  # given up while the file was locked: what its caller was told has failed should not still happen
        return None
    try:
        return call.run(connection)
    except StoreError as lost:
        return lost


def _stored(row: tuple[str, str, int]) -> Stored:
    key, body, version = row
    return Stored(key, decode(body), str(version))


def _give_up(answer: asyncio.Future[Any], seconds: float) -> None:
    if not answer.done():
        answer.set_exception(StoreUnavailable(f"the SQLite store did not answer within {seconds:g} s"))


def _unavailable(path: str, error: Exception) -> StoreUnavailable:
    unavailable = StoreUnavailable(f"the SQLite file {path} cannot be used: {error}")
    unavailable.__cause__ = error
    return unavailable
