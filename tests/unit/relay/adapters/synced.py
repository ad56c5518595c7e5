"""A hook on what SQLite writes and syncs: its table of file operations (sqlite.org/c3ref/io_methods.html), with two of them replaced."""

from __future__ import annotations

import _sqlite3
import ctypes
import sqlite3
from collections.abc import Callable
from typing import Any

FILE_POINTER, JOURNAL_POINTER = 7, 28
"""SQLITE_FCNTL_FILE_POINTER and SQLITE_FCNTL_JOURNAL_POINTER; with a write-ahead log the latter is that."""

OK = 0
METHODS = 19
"""Words in sqlite3_io_methods: the version, then the operations. The fourth word is xWrite, the sixth is xSync."""

_Write = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64)
_Sync = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


class SyncedFile:
    """One open file of a connection. `unsynced`: bytes that were written after the last sync. `fail`: what the next write answers."""

    def __init__(self, connection: sqlite3.Connection, which: int) -> None:
        self.unsynced = self.written = self.syncs = self.fail = 0
        file = _file_of(connection, which)
        table = ctypes.cast(file, ctypes.POINTER(ctypes.c_void_p))
        self._file, self._real = file, table[0]
        words = ctypes.cast(ctypes.c_void_p(self._real), ctypes.POINTER(ctypes.c_void_p))
        write, sync = _Write(words[3] or 0), _Sync(words[5] or 0)
        self._kept: list[Callable[..., Any]] = [_Write(self._writes(write)), _Sync(self._syncs(sync))]
        self._table = (ctypes.c_void_p * METHODS)(*words[:METHODS])
        self._table[3], self._table[5] = (ctypes.cast(one, ctypes.c_void_p).value for one in self._kept)  # ty: ignore[invalid-argument-type]
        table[0] = ctypes.addressof(self._table)

    def _writes(self, real: Callable[..., int]) -> Callable[..., int]:
        def write(file: int, data: int, size: int, offset: int) -> int:
            if self.fail:
                return self.fail
            self.unsynced += size
            self.written += size
            return real(file, data, size, offset)

        return write

    def _syncs(self, real: Callable[..., int]) -> Callable[..., int]:
        def sync(file: int, flags: int) -> int:
            self.unsynced = 0
            self.syncs += 1
            return real(file, flags)

        return sync

    def unhook(self) -> None:
        """Before the connection is closed."""
        ctypes.cast(self._file, ctypes.POINTER(ctypes.c_void_p))[0] = self._real


def _file_of(connection: sqlite3.Connection, which: int) -> ctypes.c_void_p:
    # The library that Python's module uses, which may be linked into it. The first field of a Connection is its sqlite3*.
    path = getattr(_sqlite3, "__file__", None)
    control = ctypes.CDLL(path).sqlite3_file_control
    control.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
    database = ctypes.c_void_p.from_address(id(connection) + object.__basicsize__)
    found = ctypes.c_void_p()
    assert control(database, b"main", which, ctypes.byref(found)) == OK
    assert found.value
    return found
