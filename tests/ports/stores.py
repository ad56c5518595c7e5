"""A store in memory."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from rtms_relay.adapters.documents import check_key, decode, encode, matched, queried
from rtms_relay.errors import AlreadyExists, Stale
from rtms_relay.ports import Collection, IndexedField, Stored, Write
from tests.ports.plain import nothing


class MemoryStore:
    """`Store`. `trouble`: awaited before each operation with its name; may raise, or take its time. `after_commit`: awaited when a commit
    has had its effect; what it raises is the answer."""

    def __init__(self) -> None:
        self.documents: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
        self.writes = 0
        self.trouble: Callable[[str], Awaitable[None]] = nothing
        self.after_commit: Callable[[str], Awaitable[None]] = nothing

    async def create(self, collection: Collection, key: str, fields: Mapping[str, Any]) -> str:
        await self.trouble("create")
        return self._apply([Write(collection, key, fields)])[0]

    async def replace(self, collection: Collection, key: str, fields: Mapping[str, Any], version: str) -> str:
        await self.trouble("replace")
        return self._apply([Write(collection, key, fields, version)])[0]

    async def commit(self, writes: Sequence[Write]) -> list[str]:
        await self.trouble("commit")
        versions = self._apply(writes)
        await self.after_commit("commit")
        return versions

    def _apply(self, writes: Sequence[Write]) -> list[str]:
        """All or none."""
        for write in writes:
            check_key(write.key)
            encode(write.fields)
            stored = self.documents.get((write.collection, write.key))
            if write.version is None and stored is not None:
                raise AlreadyExists(f"{write.collection}/{write.key} is there already")
            if write.version is not None and (stored is None or str(stored[0]) != write.version):
                raise Stale(f"{write.collection}/{write.key} has changed since it was read, or is gone")
        versions = []
        for write in writes:
            number = 1 if write.version is None else int(write.version) + 1
            self.documents[write.collection, write.key] = (number, decode(encode(write.fields)))
            self.writes += 1
            versions.append(str(number))
        return versions

    async def get(self, collection: Collection, key: str) -> Stored | None:
        await self.trouble("get")
        check_key(key)
        stored = self.documents.get((collection, key))
        return None if stored is None else Stored(key, copy.deepcopy(stored[1]), str(stored[0]))

    async def due(self, collection: Collection, before_ms: int, limit: int) -> list[Stored]:
        await self.trouble("due")
        rows = sorted(self._rows(collection, "due_at"), key=lambda row: row[:2])
        return [Stored(k, copy.deepcopy(f), str(v)) for at, k, v, f in rows if at <= before_ms][: max(0, limit)]

    async def newest(
        self,
        collection: Collection,
        limit: int,
        before_ms: int | None = None,
        *,
        since_ms: int | None = None,
        where: Mapping[IndexedField, str] | None = None,
    ) -> list[Stored]:
        await self.trouble("newest")
        rows = sorted(self._rows(collection, "created_at"), key=lambda row: row[:2], reverse=True)
        rows = [row for row in rows if (before_ms is None or row[0] < before_ms) and (since_ms is None or row[0] >= since_ms)]
        rows = [row for row in rows if all(matched(row[3], name) == text for name, text in (where or {}).items())]
        return [Stored(k, copy.deepcopy(f), str(v)) for _, k, v, f in rows[: max(0, limit)]]

    async def with_prefix(self, collection: Collection, prefix: str, limit: int) -> list[Stored]:
        await self.trouble("with_prefix")
        check_key(prefix)
        keys = sorted(key for place, key in self.documents if place == collection and key.startswith(prefix))[: max(0, limit)]
        return [Stored(key, copy.deepcopy(self.documents[collection, key][1]), str(self.documents[collection, key][0])) for key in keys]

    def _rows(self, collection: str, field: str) -> list[tuple[int, str, int, dict[str, Any]]]:
        documents = [(queried(f, field), k, v, f) for (c, k), (v, f) in self.documents.items() if c == collection]
        return [(at, k, v, f) for at, k, v, f in documents if at is not None]

    async def close(self) -> None: ...

    def all(self, collection: str) -> dict[str, dict[str, Any]]:
        return {key: fields for (c, key), (_, fields) in self.documents.items() if c == collection}
