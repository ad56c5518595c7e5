"""The emulator's records as their owner sees them, and what Google does with them by itself: the registered time-to-live policies.

Source: Firestore docs, "Manage data retention with TTL policies": a document goes some time after the timestamp in the policy's field,
typically within 24 hours; a field that holds no timestamp expires nothing. Here it goes within the hour [inf], on Google's clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import httpx

from rtms_infra.rehearsal.registered import Database, Field, Registered

LOOK_EVERY_S = 3600.0
_OWNER = {"Authorization": "Bearer owner"}
"""The emulator's word for a caller who may do everything."""


class EmulatedRecords:
    """`emulator`: its `host:port`; empty where there is none: then nothing is done."""

    def __init__(self, registered: Registered, emulator: str) -> None:
        self._databases, self._policies = _databases(registered), _policies(registered)
        self._emulator = emulator
        self._looked_at: float | None = None
        self.removed = 0

    async def update(self, registered: Registered) -> None:
        """Be what is registered now. The records of a database that is deleted go with it."""
        former, self._databases, self._policies = self._databases, _databases(registered), _policies(registered)
        await self._empty([path for path in former if path not in self._databases])

    async def look(self, now: float) -> None:
        """Remove what has expired, once an hour of Google's clock."""
        if self._looked_at is not None and now - self._looked_at < LOOK_EVERY_S:
            return
        first, self._looked_at = self._looked_at is None, now
        if not first and self._emulator:
            for database, field in self._policies:
                self.removed += await self._remove(database, field, now)

    async def clear(self) -> None:
        """Empty the registered databases, so that one drill does not see the records of another."""
        await self._empty(self._databases)

    async def _empty(self, databases: Iterable[str]) -> None:
        if self._emulator:
            for database in databases:
                await self._ask("DELETE", f"emulator/v1/{database}/documents")

    async def count(self, collection: str) -> int:
        """How many documents there are, in all databases together."""
        documents = [await self._query(database, {"from": [{"collectionId": collection}]}) for database in self._databases]
        return sum(map(len, documents))

    async def _remove(self, database: str, policy: Field, now: float) -> int:
        before = datetime.fromtimestamp(now, UTC).isoformat().replace("+00:00", "Z")
        where = {"field": {"fieldPath": policy.field}, "op": "LESS_THAN", "value": {"timestampValue": before}}
        query = {"from": [{"collectionId": policy.collection}], "where": {"fieldFilter": where}}
        names = await self._query(database, query)
        if names:
            await self._ask("POST", f"v1/{database}/documents:commit", {"writes": [{"delete": name} for name in names]})
        return len(names)

    async def _query(self, database: str, query: dict[str, Any]) -> list[str]:
        """The names of the documents that a query finds."""
        rows = await self._ask("POST", f"v1/{database}/documents:runQuery", {"structuredQuery": query})
        return [one["document"]["name"] for one in rows if "document" in one]

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        async with httpx.AsyncClient(trust_env=False, timeout=30.0, headers=_OWNER) as client:
            answer = await client.request(method, f"http://{self._emulator}/{path}", json=body)
            answer.raise_for_status()
            return answer.json()


def _databases(registered: Registered) -> list[str]:
    return [database.path for database in registered.of(Database).values()]


def _policies(registered: Registered) -> list[tuple[str, Field]]:
    """(database, field) of each time-to-live policy."""
    expiring = [field for field in registered.of(Field).values() if field.ttl_config is not None]
    return [(f"projects/{registered.project}/databases/{field.database.rpartition('/')[2]}", field) for field in expiring]
