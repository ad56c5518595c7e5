"""Queues on one machine: a SQLite file beside the records, for `rtmskit serve`.

Any number of processes put tasks into the file, and one dispatcher (`rtms_relay.dispatching`) takes them out. A task is in the file,
synchronously on disk, before `enqueue` returns, and leaves it only when the worker has answered 2xx: whatever is killed, when it is
started again the task is delivered, perhaps twice. No file says which task is under way: after a restart every task waits.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import msgspec

from rtms_relay import budgets
from rtms_relay.adapters.sqlite_file import FileKind, SqliteFile
from rtms_relay.errors import QueueUnavailable
from rtms_relay.ports import Clock, Path, QueueName

NAMES_KEPT_MS = budgets.DAY_MS
"""How long the name of a finished task stays taken: as long as at Cloud Tasks (CreateTask reference: up to 24 hours)."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    name TEXT,
    path TEXT NOT NULL,
    body BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    last_failure TEXT NOT NULL DEFAULT '',
    done_at INTEGER,
    UNIQUE (queue, name)
);
CREATE INDEX IF NOT EXISTS tasks_due ON tasks (queue, due_at, id) WHERE done_at IS NULL;
CREATE INDEX IF NOT EXISTS tasks_done ON tasks (done_at) WHERE done_at IS NOT NULL;
"""

_KIND = FileKind(name="queue", format=1, application_id=0x72746D71, schema=_SCHEMA, unavailable=QueueUnavailable)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One task in the file. `due_at`: when it is dispatched at the earliest, ms. `failures`: how often its dispatch failed."""

    id: int
    queue: str
    name: str
    path: str
    body: bytes
    due_at: int
    failures: int


class LocalQueue:
    """`Queue`: one of those in the file at `path`, by its name. Every call ends within `timeout_s` (seconds)."""

    def __init__(self, path: str, queue: QueueName, clock: Clock, *, timeout_s: float = budgets.ENQUEUE_MS / 1000) -> None:
        self._file = SqliteFile(path, _KIND, timeout_s)
        self._queue = queue
        self._clock = clock

    async def enqueue(self, path: Path, body: bytes, *, not_before_ms: int | None = None, name: str = "") -> bool:
        now = self._clock.now_ms()
        row = (self._queue, name or None, path, body, now, max(now, not_before_ms or 0))

        def insert(connection: sqlite3.Connection) -> bool:
            if name:
                connection.execute(
                    "DELETE FROM tasks WHERE queue = ? AND name = ? AND done_at < ?", (self._queue, name, now - NAMES_KEPT_MS)
                )
            done = connection.execute(
                "INSERT INTO tasks (queue, name, path, body, created_at, due_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", row
            )
            return done.rowcount == 1

        return await self._file.call(insert, writes=True)

    async def close(self) -> None:
        """Close the file. Repeatable; further use opens it again."""
        await self._file.close()


class TaskFile:
    """The dispatcher's side of a file: what waits in it, and what becomes of it. Raises `QueueUnavailable`."""

    def __init__(self, path: str, clock: Clock, *, timeout_s: float = 10.0) -> None:
        self._file = SqliteFile(path, _KIND, timeout_s)
        self._clock = clock

    async def changes(self) -> int:
        """A number that is another one after every change that another connection has made."""
        return await self._file.call(lambda connection: connection.execute("PRAGMA data_version").fetchone()[0])

    async def waiting(self, queue: str, limit: int, without: frozenset[int]) -> list[Waiting]:
        """The tasks of a queue, next due first, without those of these ids."""
        sql = (
            "SELECT id, queue, COALESCE(name, ''), path, body, due_at, failures FROM tasks WHERE queue = ? AND done_at IS NULL"
            " AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY due_at, id LIMIT ?"
        )
        parameters = (queue, msgspec.json.encode(sorted(without)).decode(), limit)
        rows = await self._file.call(lambda connection: connection.execute(sql, parameters).fetchall())
        return [Waiting(*row) for row in rows]

    async def count(self) -> dict[str, int]:
        """How many tasks wait, by queue."""
        sql = "SELECT queue, COUNT(*) FROM tasks WHERE done_at IS NULL GROUP BY queue"
        return dict(await self._file.call(lambda connection: connection.execute(sql).fetchall()))

    async def done(self, task: Waiting) -> None:
        """It was answered 2xx. Its name, if it has one, stays taken for a while."""
        now = self._clock.now_ms()

        def finish(connection: sqlite3.Connection) -> None:
            if task.name:
                connection.execute("UPDATE tasks SET done_at = ?, body = x'' WHERE id = ?", (now, task.id))
            else:
                connection.execute("DELETE FROM tasks WHERE id = ?", (task.id,))
            connection.execute("DELETE FROM tasks WHERE done_at < ?", (now - NAMES_KEPT_MS,))

        await self._file.call(finish, writes=True)

    async def failed(self, task: Waiting, why: str, again_at: int) -> None:
        """It was not answered 2xx, and is due again at `again_at` (ms)."""
        row = (why[:500], again_at, task.id)

        def note(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE tasks SET failures = failures + 1, last_failure = ?, due_at = ? WHERE id = ?", row)

        await self._file.call(note, writes=True)

    async def close(self) -> None:
        await self._file.close()
