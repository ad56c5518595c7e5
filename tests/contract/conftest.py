"""One fixture, `stores`, for all stores; the suites that use it say nothing about which one they run on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
from tests.ports.stores import MemoryStore

from rtms_relay.adapters.firestore import FirestoreStore
from rtms_relay.adapters.sqlite import SqliteStore
from rtms_relay.ports import Store


class Stores:
    """Opens any number of independent stores on the same data."""

    def __init__(self, kind: str, make: Callable[[], Store]) -> None:
        self.kind = kind
        self._make = make
        self._opened: list[Store] = []

    def open(self) -> Store:
        store = self._make()
        self._opened.append(store)
        return store

    async def close(self) -> None:
        await asyncio.gather(*(store.close() for store in self._opened))


@pytest.fixture(params=["memory", "sqlite", pytest.param("firestore", marks=pytest.mark.emulator)])
async def stores(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_firestore_project: Callable[[], str]
) -> AsyncGenerator[Stores, None]:
    # A time-out long enough that a busy test machine is not taken for a store that hangs; that has tests of its own.
    if request.param == "memory":
        shared = MemoryStore()
        opened = Stores("memory", lambda: shared)
    elif request.param == "sqlite":
        opened = Stores("sqlite", lambda: SqliteStore(str(tmp_path / "state.db"), timeout_s=20))
    else:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", request.getfixturevalue("firestore_emulator"))
        project = new_firestore_project()
        opened = Stores("firestore", lambda: FirestoreStore(project, "rtmskit", timeout_s=20))
    yield opened
    await opened.close()


@pytest.fixture
async def store(stores: Stores) -> Store:
    return stores.open()
