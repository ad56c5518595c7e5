"""One SQLite file, used by many callers of one process over one connection in a thread of its own.

Durable: write-ahead log with `synchronous=FULL`, so that an acknowledged write survives a SIGKILL and a power cut. The price, one
`fsync` per commit, is shared: whatever calls are waiting when the thread is free go into one transaction. That is sound for calls whose
writes are conditional statements: an error that a call raises on purpose undoes nothing of another's, and answers are given only after
the commit. If a call raises anything else, all are run again, each in a transaction of its own.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from rtms_relay.adapters.disk import make_directories
from rtms_relay.errors import RelayError

T = TypeVar("T")

_FAULTS_OF_A_CALL = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.NotSupportedError, sqlite3.InterfaceError)
"""What SQLite raises for one statement and its values, whatever the state of the file."""

_SWITCH_PAUSE_S = 0.01
"""Between two tries of a statement for which SQLite does not itself wait."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """What a file is for. `name`: in words, for errors. `format`: its `PRAGMA user_version`. `application_id`: marks files of this kind;
    0 marks none. `schema`: statements that make what is missing, separated by semicolons. `unavailable`: the error of every failure.
    """

    name: str
    format: int
    application_id: int
    schema: str
    unavailable: type[RelayError]


@dataclass(slots=True)
class _Call:
    """One waiting call: what to run on the connection, whether it writes, whether it removes what must not stay, and who waits for it."""

    run: Callable[[sqlite3.Connection], Any]
    writes: bool
    forgets: bool
    answer: asyncio.Future[Any]


class SqliteFile:
    """A file at `path`, or memory for `":memory:"` (then gone at `close`).

    Opened on first use; `close` may be followed by further use, which opens it again. Every call ends within `timeout_s` (seconds), with
    the kind's `unavailable` if it must.
    """

    def __init__(self, path: str, kind: FileKind, timeout_s: float) -> None:
        self._path = path
        self._kind = kind
        self._timeout_s = timeout_s
        self._waiting: list[_Call] = []
        self._drain: asyncio.Task[None] | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._to_forget = False

    async def call(self, run: Callable[[sqlite3.Connection], T], *, writes: bool = False, forgets: bool = False) -> T:
        """What `run` returns, once it is committed. Raises what it raises, or the kind's `unavailable`; whatever else it wrote is undone.

        `forgets`: what it overwrites or deletes is to be gone from the disk too, as soon as no other connection reads it.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.append(_Call(run, writes, forgets, answer))
        if self._drain is None or self._drain.done():
            self._drain = loop.create_task(self._run_waiting())
        timer = loop.call_later(self._timeout_s, self._give_up, answer)
        try:
            return cast("T", await answer)
        finally:
            timer.cancel()

    async def close(self) -> None:
        """Finish what is waiting and close the file. Repeatable."""
        if self._drain is not None and not self._drain.done():
            await asyncio.wait({self._drain})
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
            self._thread.shutdown(wait=False)
            self._thread = None

    async def _run_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"sqlite-{self._kind.name}")
        while self._waiting:
            # A call whose caller has gone must not be carried out later.
            batch = [call for call in self._waiting if not call.answer.done()]
            self._waiting.clear()
            work = loop.run_in_executor(self._thread, self._run, batch)
            await asyncio.wait({work})
            bug = work.exception()  # each caller gets the error, and the next batch is still served
            outcomes = work.result() if bug is None else [bug] * len(batch)
            for call, outcome in zip(batch, outcomes, strict=True):
                if call.answer.done():
                    continue
                if isinstance(outcome, BaseException):
                    call.answer.set_exception(outcome)
                else:
                    call.answer.set_result(outcome)

    def _run(self, batch: list[_Call]) -> list[Any]:
        """In the thread: run the calls. Each outcome is a result or an exception."""
        try:
            outcomes = self._transact(batch)
        except Exception as odd:  # noqa: BLE001 - whatever it is, it is the fault of one call, and only that one is to fail
            outcomes = [self._alone(call) for call in batch] if len(batch) > 1 else [self._told(odd)]
        self._forget()
        return outcomes

    def _alone(self, call: _Call) -> Any:
        try:
            return self._transact([call])[0]
        except Exception as odd:  # noqa: BLE001 - as above
            return self._told(odd)

    def _told(self, odd: Exception) -> Exception:
        return self._unavailable(odd) if isinstance(odd, sqlite3.Error) else odd

    def _transact(self, batch: list[_Call]) -> list[Any]:
        """Run the calls in one transaction. Raises, and has then written nothing, if one call is at fault."""
        try:
            outcomes = self._committed(batch)
        except _FAULTS_OF_A_CALL:
            raise
        except (sqlite3.Error, OSError) as error:
            self._disconnect_if_file()
            return [self._unavailable(error) for _ in batch]
        except self._kind.unavailable as error:
            return [error for _ in batch]
        self._to_forget = self._to_forget or any(call.forgets for call in batch)
        return outcomes

    def _committed(self, batch: list[_Call]) -> list[Any]:
        self._connection = connection = self._connection or self._connect()
        connection.execute("BEGIN IMMEDIATE" if any(call.writes for call in batch) else "BEGIN")
        try:
            outcomes = [_outcome(call, connection) for call in batch]
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return outcomes

    def _forget(self) -> None:
        """Empty the write-ahead log, which still has what was overwritten. While another connection reads, it is tried again later."""
        if not self._to_forget or self._connection is None:
            return
        try:
            # Nobody waits for a reader here: the calls of this batch are committed, and their callers still wait for the answer.
            self._connection.execute("PRAGMA busy_timeout = 0")
            (busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._connection.execute(f"PRAGMA busy_timeout = {int(self._timeout_s * 1000)}")
            self._to_forget = bool(busy)
        except sqlite3.Error:
            self._disconnect_if_file()

    def _connect(self) -> sqlite3.Connection:
        if self._path != ":memory:":
            make_directories(Path(self._path).absolute().parent)
        connection = sqlite3.connect(self._path, timeout=self._timeout_s, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            # What is deleted is overwritten with zeros. Without this, how SQLite was built decides.
            connection.execute("PRAGMA secure_delete = ON")
            self._write_ahead(connection)
            connection.execute("BEGIN IMMEDIATE")
            self._claim(connection)
            for statement in filter(str.strip, self._kind.schema.split(";")):
                connection.execute(statement)
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection

    def _claim(self, connection: sqlite3.Connection) -> None:
        """Mark a new file as one of this kind. Raises the kind's `unavailable` for a file of another kind, or of a newer release."""
        kind = self._kind
        (format_,) = connection.execute("PRAGMA user_version").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application != kind.application_id and (application or format_):
            raise kind.unavailable(f"the SQLite file {self._path} is not a {kind.name} of this service: name another file")
        if format_ > kind.format:
            raise kind.unavailable(
                f"the SQLite file {self._path} was written by a newer release: format {format_}, read here is {kind.format}"
            )
        connection.execute(f"PRAGMA application_id = {kind.application_id}")
        connection.execute(f"PRAGMA user_version = {kind.format}")

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
        """After an error the file is opened again: it may have been moved or repaired. Memory would be lost."""
        if self._path != ":memory:":
            self._disconnect()

    def _give_up(self, answer: asyncio.Future[Any]) -> None:
        if not answer.done():
            answer.set_exception(self._kind.unavailable(f"the SQLite {self._kind.name} did not answer within {self._timeout_s:g} s"))

    def _unavailable(self, error: Exception) -> RelayError:
        unavailable = self._kind.unavailable(f"the SQLite file {self._path} cannot be used: {error}")
        unavailable.__cause__ = error
        return unavailable


def _outcome(call: _Call, connection: sqlite3.Connection) -> Any:
    if call.answer.done():  # given up while the file was locked: its caller got an error, so it must not happen any more
        return None
    try:
        return call.run(connection)
    except RelayError as lost:
        return lost
