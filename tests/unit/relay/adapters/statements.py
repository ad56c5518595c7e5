"""What a SQLite adapter says to SQLite."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest


def begins(monkeypatch: pytest.MonkeyPatch, which: str = "BEGIN") -> list[str]:
    """How each transaction begins from now on, of every connection that is opened from now on; or other statements that begin so."""
    said: list[str] = []
    connect = sqlite3.connect

    def traced(*given: Any, **named: Any) -> sqlite3.Connection:
        connection = connect(*given, **named)
        connection.set_trace_callback(lambda text: said.append(text) if text.startswith(which) else None)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    return said
