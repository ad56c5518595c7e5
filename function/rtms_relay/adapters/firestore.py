"""The deployed store: Cloud Firestore in Native mode, over google-cloud-firestore's async client.

A document has the fields `body` (the whole record as JSON text), `due_at` and `created_at` (integers, queried), the texts of
`documents.INDEXED` (each narrows a list, and needs a composite index with `created_at` descending; Firestore merges those of several
fields), and, if the record carries an integer `expires_at` (ms), `expires_at` as a timestamp for a TTL policy. Index exemptions belong on
`body` and `expires_at`; `due_at` and `created_at` alone need only Firestore's automatic single-field indexes. `revision` counts the
writes: Firestore keeps the update time of a document that a write did not change, so that without it two equal writes would both find
their version.

Only `create` (precondition: absent), preconditioned updates and commits of several of these are used: one RPC each, no transactions,
no locks.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rtms_relay.adapters import needs
from rtms_relay.adapters.documents import INDEXED, bound, check_key, decode, encode, matched, queried
from rtms_relay.errors import AlreadyExists, Stale, StoreUnavailable
from rtms_relay.ports import Collection, IndexedField, Stored, Write

if TYPE_CHECKING:
    from google.cloud.firestore import AsyncClient, AsyncDocumentReference, AsyncWriteBatch, DocumentSnapshot
    from google.cloud.firestore_v1.async_query import AsyncQuery

_VERSION = re.compile(r"([0-9]{1,18})@([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z)")

_ADVICE = {
    "PermissionDenied": needs.hint("firestore"),
    "NotFound": "the database does not exist; check STATE_URL",
    "Unauthenticated": "the service account has no valid credentials",
    "FailedPrecondition": "an index of the database is missing, or is still being made (pulumi up makes it, in minutes)",
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
        from google.api_core.exceptions import FailedPrecondition, NotFound

        check_key(key)
        stale = f"{collection}/{key} has changed since it was read, or is gone"
        revision, read_at = _parsed(version, stale)
        next_revision = revision + 1
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

    async def commit(self, writes: Sequence[Write]) -> list[str]:
        """One commit: Firestore checks all preconditions and applies all writes or none."""
        from google.api_core.exceptions import Aborted, Conflict, FailedPrecondition, NotFound

        batch = self._connected().batch()
        revisions = []
        for write in writes:
            check_key(write.key)
            revisions.append(self._add(batch, write))
        where = ", ".join(f"{write.collection}/{write.key}" for write in writes)
        async with self._mapped("commit"):
            try:
                results = await batch.commit(retry=self._retry_aborted(), timeout=self._timeout_s)
            except Aborted:  # a Conflict as well, but only contention
                raise
            except Conflict as error:
                raise AlreadyExists(f"one of {where} is there already") from error
            except (FailedPrecondition, NotFound) as error:
                raise Stale(f"one of {where} has changed since it was read, or is gone") from error
        return [_version(revision, result.update_time) for revision, result in zip(revisions, results, strict=True)]

    def _add(self, batch: AsyncWriteBatch, write: Write) -> int:
        """Add one write to a batch; the revision that it makes."""
        reference = self._reference(write.collection, write.key)
        if write.version is None:
            batch.create(reference, _document(write.fields, revision=1))
            return 1
        revision, read_at = _parsed(write.version, f"{write.collection}/{write.key} has no such version")
        unchanged = self._connected().write_option(last_update_time=read_at)
        batch.update(reference, _document(write.fields, revision=revision + 1), option=unchanged)
        return revision + 1

    async def due(self, collection: Collection, before_ms: int, limit: int) -> list[Stored]:
        from google.cloud.firestore import FieldFilter

        query = self._connected().collection(collection).where(filter=FieldFilter("due_at", "<=", bound(before_ms))).order_by("due_at")
        return await self._found("due", query, limit)

    async def newest(
        self,
        collection: Collection,
        limit: int,
        before_ms: int | None = None,
        *,
        since_ms: int | None = None,
        where: Mapping[IndexedField, str] | None = None,
    ) -> list[Stored]:
        from google.cloud.firestore import FieldFilter, Query

        # Without a bound of the caller's this one still leaves out documents whose `created_at` is null: null sorts before all numbers.
        conditions = [FieldFilter("created_at", ">=", bound(-(2**63) if since_ms is None else since_ms))]
        if before_ms is not None:
            conditions.append(FieldFilter("created_at", "<", bound(before_ms)))
        conditions += [FieldFilter(name, "==", text) for name, text in (where or {}).items()]
        query = self._connected().collection(collection).order_by("created_at", direction=Query.DESCENDING)
        for condition in conditions:
            query = query.where(filter=condition)
        return await self._found("newest", query, limit)

    async def with_prefix(self, collection: Collection, prefix: str, limit: int) -> list[Stored]:
        from google.cloud.firestore import FieldFilter

        check_key(prefix)
        # Keys are ASCII, and ~ comes after every character of one.
        first, end = self._reference(collection, prefix), self._reference(collection, f"{prefix}~")
        query = self._connected().collection(collection).where(filter=FieldFilter("__name__", ">=", first))
        query = query.where(filter=FieldFilter("__name__", "<", end)).order_by("__name__")
        return await self._found("with_prefix", query, limit)

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
            message = f"Firestore could not {action}: {name} within {self._timeout_s:g} s{advice}"
            raise StoreUnavailable(message, permanent=name in _ADVICE) from error


def _parsed(version: str, stale: str) -> tuple[int, Any]:
    """The revision and the update time in a version. Raises `Stale` for what is no version of ours: it matches none."""
    from google.api_core.datetime_helpers import DatetimeWithNanoseconds

    parts = _VERSION.fullmatch(version)
    if parts is None:
        raise Stale(stale)
    try:
        return int(parts[1]), DatetimeWithNanoseconds.from_rfc3339(parts[2])
    except ValueError:  # a month 13 has the form of a time, but is not one
        raise Stale(stale) from None


def _document(fields: Mapping[str, Any], *, revision: int) -> dict[str, Any]:
    expires_ms = queried(fields, "expires_at")
    return {
        "body": encode(fields),
        "due_at": queried(fields, "due_at"),
        "created_at": queried(fields, "created_at"),
        **{name: matched(fields, name) for name in INDEXED},
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
