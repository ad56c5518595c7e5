"""The embedded store: one SQLite file, shared by any number of processes on one machine (`sqlite_file` says how durable it is).

Every write is a single conditional statement, or several within a savepoint: losing (`AlreadyExists`, `Stale`) undoes nothing of
another's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rtms_relay.adapters.documents import INDEXED, bound, check_key, decode, encode, queried
from rtms_relay.adapters.sqlite_file import FileKind, SqliteFile
from rtms_relay.errors import AlreadyExists, Stale, StoreError, StoreUnavailable
from rtms_relay.ports import Collection, IndexedField, Stored, Write

_TABLE = """
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


def _text(name: IndexedField) -> str:
    """The field as an index has it. It is read from the body, so that files of an earlier release get the index as well."""
    return f"json_extract(body, '$.{name}')"


_INDEXES = "".join(
    f"CREATE INDEX IF NOT EXISTS documents_{name} ON documents (collection, {_text(name)}, created_at, key)"
    f" WHERE created_at IS NOT NULL AND {_text(name)} IS NOT NULL;\n"
    for name in INDEXED
)

_KIND = FileKind(name="store", format=1, application_id=0, schema=_TABLE + _INDEXES, unavailable=StoreUnavailable)


class SqliteStore:
    """`Store` on a SQLite file, or in memory for `":memory:"` (then gone at `close`).

    Opened on first use, in a thread of its own; `close` may be followed by further use, which opens it again. Every call
    ends within `timeout_s` (seconds), with `StoreUnavailable` if it must.
    """

    def __init__(self, path: str, *, timeout_s: float = 2.0) -> None:
        self._file = SqliteFile(path, _KIND, timeout_s)

    async def create(self, collection: Collection, key: str, fields: Mapping[str, Any]) -> str:
        return await self._file.call(self._write(Write(collection, key, fields)), writes=True)

    async def get(self, collection: Collection, key: str) -> Stored | None:
        check_key(key)

        def select(connection: sqlite3.Connection) -> tuple[str, str, int] | None:
            return connection.execute(
                "SELECT key, body, version FROM documents WHERE collection = ? AND key = ?", (collection, key)
            ).fetchone()

        row = await self._file.call(select)
        return None if row is None else _stored(row)

    async def replace(self, collection: Collection, key: str, fields: Mapping[str, Any], version: str) -> str:
        write = Write(collection, key, fields, version)
        return await self._file.call(self._write(write), writes=True, forgets=_forgets(write))

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

        return await self._file.call(all_or_none, writes=True, forgets=any(map(_forgets, writes)))

    async def due(self, collection: Collection, before_ms: int, limit: int) -> list[Stored]:
        return await self._rows(
            "SELECT key, body, version FROM documents WHERE collection = ? AND due_at <= ? ORDER BY due_at, key LIMIT ?",
            (collection, bound(before_ms), max(0, limit)),
        )

    async def newest(
        self,
        collection: Collection,
        limit: int,
        before_ms: int | None = None,
        *,
        since_ms: int | None = None,
        where: Mapping[IndexedField, str] | None = None,
    ) -> list[Stored]:
        conditions = ["collection = ?", "created_at IS NOT NULL"]
        parameters: list[object] = [collection]
        for name, text in (where or {}).items():
            conditions.append(f"{_text(name)} = ?")
            parameters.append(text)
        for comparison, moment in (("<", before_ms), (">=", since_ms)):
            if moment is not None:
                conditions.append(f"created_at {comparison} ?")
                parameters.append(bound(moment))
        # Only names of IndexedField and fixed words go into the text; every value is a parameter. Without statistics SQLite would rather
        # go through all documents of the time.
        narrowest = next((name for name in reversed(INDEXED) if name in (where or {})), None)
        source = "documents" if narrowest is None else f"documents INDEXED BY documents_{narrowest}"
        sql = f"SELECT key, body, version FROM {source} WHERE {' AND '.join(conditions)} ORDER BY created_at DESC, key DESC LIMIT ?"  # noqa: S608
        return await self._rows(sql, (*parameters, max(0, limit)))

    async def with_prefix(self, collection: Collection, prefix: str, limit: int) -> list[Stored]:
        check_key(prefix)
        # Keys are ASCII, and DEL comes after every character of one.
        return await self._rows(
            "SELECT key, body, version FROM documents WHERE collection = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?",
            (collection, prefix, prefix + "\x7f", max(0, limit)),
        )

    async def close(self) -> None:
        """Finish what is waiting and close the file. Repeatable."""
        await self._file.close()

    def _write(self, write: Write) -> Callable[[sqlite3.Connection], str]:
        """One conditional write, to be run on the connection."""
        check_key(write.key)
        if write.version is None:
            return _insert(write)
        return _update(write, write.version)

    async def _rows(self, sql: str, parameters: tuple[object, ...]) -> list[Stored]:
        rows = await self._file.call(lambda connection: connection.execute(sql, parameters).fetchall())
        return [_stored(row) for row in rows]


def _forgets(write: Write) -> bool:
    """Whether a document becomes one without the stream's id: that of a stream whose right was withdrawn."""
    return write.version is not None and write.fields.get("stream_id") == ""


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


def _stored(row: tuple[str, str, int]) -> Stored:
    key, body, version = row
    return Stored(key, decode(body), str(version))
