"""The deployed store: Cloud Firestore in Native mode, over google-cloud-firestore's async client.

A document has the fields `body` (the whole record as JSON text), `due_at` and `created_at` (integers, queried), and, if the record
carries an integer `expires_at` (ms), `expires_at` as a timestamp for a TTL policy. Index exemptions belong on `body` and
`expires_at`; `due_at` and `created_at` need only Firestore's automatic single-field indexes. `revision` counts the writes: Firestore
keeps the update time of a document that a write did not change, so that without it two equal writes would both find their version.

Only `create` (precondition: absent) and preconditioned updates are used: one RPC each, no transactions, no locks.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rtms_relay.adapters.documents import bound, check_key, decode, encode, queried
from rtms_relay.errors import AlreadyExists, Stale, StoreUnavailable
from rtms_relay.ports import Collection, Stored

if TYPE_CHECKING:
    from google.cloud.firestore import AsyncClient, AsyncDocumentReference, DocumentSnapshot
    from google.cloud.firestore_v1.async_query import AsyncQuery

_ADVICE = {
    "PermissionDenied": "grant the service account roles/datastore.user on the database",
    "NotFound": "the database does not exist; check STATE_URL",
    "Unauthenticated": "the service account has no valid credentials",
    "DefaultCredentialsError": "no Google credentials were found; for the emulator set FIRESTORE_EMULATOR_HOST",
}


class FirestoreStore:
    """`Store` on one Firestore database. Honours FIRESTORE_EMULATOR_HOST.

    The client is made on first use, inside the running loop: a channel made at import would belong to the loop of the
    process that loaded the module. Every call ends within `timeout_s` (seconds), with `StoreUnavailable` if it must.
    """

    def __init__(self, project: str, database: str, *, timeout_s: float = 2.0) -> None:
        self._project = project
        self._database = database
        self._timeout_s = timeout_s
        self._client: AsyncClient | None = None

    async def create(self, collection: Collection, key: str, fields: Mapping[str, Any]) -> str:
        from google.api_core.exceptions import Aborted, Conflict

        check_key(key)
        document = _document(fields, revision=1)
        async with self._mapped("create"):
            try:
                written = await self._reference(collection, key).create(document, retry=self._retry_aborted(), timeout=self._timeout_s)
            except Aborted:  # a Conflict as well, but only contention
                raise
            except Conflict as error:  # gRPC raises its subclass AlreadyExists, REST this itself
                raise AlreadyExists(f"{collection}/{key} is there already") from error
        return _version(1, written.update_time)

    async def get(self, collection: Collection, key: str) -> Stored | None:
        check_key(key)
        async with self._mapped("get"):
            snapshot = await self._reference(collection, key).get(retry=None, timeout=self._timeout_s)
        return _stored(snapshot) if snapshot.exists else None

    async def replace(self, collection: Collection, key: str, fields: Mapping[str, Any], version: str) -> str:
        from google.api_core.datetime_helpers import DatetimeWithNanoseconds
        from google.api_core.exceptions import FailedPrecondition, NotFound

        check_key(key)
        stale = f"{collection}/{key} has changed since it was read, or is gone"
        revision, _, update_time = version.partition("@")
        try:
            next_revision, read_at = int(revision) + 1, DatetimeWithNanoseconds.from_rfc3339(update_time)
        except ValueError as error:  # no version of ours, so it matches none
            raise Stale(stale) from error
        document = _document(fields, revision=next_revision)
        async with self._mapped("replace"):
            option = self._connected().write_option(last_update_time=read_at)
            try:
                # Every field that a document can have is named, so that this update replaces the whole.
                written = await self._reference(collection, key).update(
                    document, option=option, retry=self._retry_aborted(), timeout=self._timeout_s
                )
            except (FailedPrecondition, NotFound) as error:
                raise Stale(stale) from error
        return _version(next_revision, written.update_time)

    async def due(self, collection: Collection, before_ms: int, limit: int) -> list[Stored]:
        from google.cloud.firestore import FieldFilter

        query = self._connected().collection(collection).where(filter=FieldFilter("due_at", "<=", bound(before_ms))).order_by("due_at")
        return await self._found("due", query, limit)

    async def newest(self, collection: Collection, limit: int, before_ms: int | None = None) -> list[Stored]:
        from google.cloud.firestore import FieldFilter, Query

        # Without an upper bound this one still leaves out documents whose `created_at` is null: null sorts before all numbers.
        condition = (
            FieldFilter("created_at", ">=", bound(-(2**63))) if before_ms is None else FieldFilter("created_at", "<", bound(before_ms))
        )
        query = self._connected().collection(collection).where(filter=condition).order_by("created_at", direction=Query.DESCENDING)
        return await self._found("newest", query, limit)

    async def close(self) -> None:
        """Close the channel. Repeatable; further use connects again."""
        client, self._client = self._client, None
        if client is not None:
            await client._firestore_api.transport.close()  # noqa: SLF001  # the async client has no public way to close its channel

    async def _found(self, action: str, query: AsyncQuery, limit: int) -> list[Stored]:
        if limit <= 0:
            return []
        async with self._mapped(action):
            return [_stored(snapshot) for snapshot in await query.limit(limit).get(retry=None, timeout=self._timeout_s)]

    def _connected(self) -> AsyncClient:
        if self._client is None:
            from google.cloud.firestore import AsyncClient

            self._client = AsyncClient(project=self._project, database=self._database)
        return self._client

    def _reference(self, collection: Collection, key: str) -> AsyncDocumentReference:
        return self._connected().collection(collection).document(key)

    def _retry_aborted(self) -> Any:
        """ABORTED (contention) is the one failure that is known to have changed nothing, so it alone is tried again."""
        from google.api_core.exceptions import Aborted
        from google.api_core.retry import if_exception_type
        from google.api_core.retry_async import AsyncRetry

        return AsyncRetry(predicate=if_exception_type(Aborted), initial=0.02, maximum=0.2, timeout=self._timeout_s)

    @contextlib.asynccontextmanager
    async def _mapped(self, action: str) -> AsyncGenerator[None, None]:
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError

        try:
            yield
        except (GoogleAPIError, GoogleAuthError) as error:
            name = type(error).__name__
            advice = f"; {_ADVICE[name]}" if name in _ADVICE else ""
            raise StoreUnavailable(f"Firestore could not {action}: {name} within {self._timeout_s:g} s{advice}") from error


def _document(fields: Mapping[str, Any], *, revision: int) -> dict[str, Any]:
    expires_ms = queried(fields, "expires_at")
    return {
        "body": encode(fields),
        "due_at": queried(fields, "due_at"),
        "created_at": queried(fields, "created_at"),
        "expires_at": None if expires_ms is None else _timestamp(expires_ms),
        "revision": revision,
    }


def _timestamp(ms: int) -> datetime:
    """As a moment that Firestore can hold: from 1970 to the end of the year 9999."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=max(0, min(ms, 253_402_300_799_000)))


def _stored(snapshot: DocumentSnapshot) -> Stored:
    return Stored(snapshot.id, decode(snapshot.get("body")), _version(snapshot.get("revision"), snapshot.update_time))


def _version(revision: int, update_time: Any) -> str:
    """The revision, and the update time with nanoseconds, as the precondition wants it back exactly."""
    return f"{revision}@{update_time.rfc3339()}"
