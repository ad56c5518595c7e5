"""The archive in a Cloud Storage bucket, over google-cloud-storage.

That client is synchronous, so it runs in a few threads of its own; a put pulls its source through the event loop, one chunk at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Generator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from rtms_relay.adapters import needs
from rtms_relay.adapters.objects import check_name, check_prefix
from rtms_relay.errors import AlreadyArchived, ArchiveError, ChecksumMismatch
from rtms_relay.ports import Archived

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Client

T = TypeVar("T")

_CHUNK = 4 << 20
"""Bytes sent, and held in memory, at a time. A multiple of 256 KiB, as resumable uploads want it."""

_THREADS = 4
_REQUEST_S = 60.0
"""Time-out of one HTTP request. What may pass is tried again by the client, from the chunk that failed."""


_NO_METADATA = "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"
"""The client (seen in 3.17.1) reads the bucket's metadata for its traces in a thread of its own: that needs storage.buckets.get, which the
account does not have, and the thread may open a connection after `close`. This variable is the client's own way to switch it off."""


class GcsArchive:
    """`Archive` in one bucket. Honours STORAGE_EMULATOR_HOST. The client is made on first use.

    Uploads are resumable and on condition that there is no such object (`ifGenerationMatch=0`); Cloud Storage shows an object only when
    it is complete, and the client compares its CRC32C with what was sent. The SHA-256 is known only after that, and becomes the object's
    metadata `sha256`; if a crash comes between, `find` works it out and adds it. The service account needs roles/storage.objectUser.
    """

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._client: Client | None = None
        self._threads: ThreadPoolExecutor | None = None

    async def put(self, name: str, chunks: AsyncIterator[bytes], *, content_type: str) -> Archived:
        check_name(name)
        if await self._in_thread(functools.partial(self._exists, name)):
            raise AlreadyArchived(f"{name} is in the archive already")
        source = _Source(chunks, asyncio.get_running_loop())
        try:
            return await self._in_thread(functools.partial(self._upload, name, source, content_type))
        except _SourceFailed:
            if source.failure is None:
                raise ArchiveError(f"the upload of {name} was abandoned") from None
            raise source.failure from None
        finally:
            source.abandon()

    async def find(self, name: str) -> Archived | None:
        check_name(name)
        return await self._in_thread(functools.partial(self._find, name))

    async def delete(self, prefix: str) -> int:
        check_prefix(prefix)
        return await self._in_thread(functools.partial(self._delete, prefix))

    async def close(self) -> None:
        """Close the connections. Repeatable; further use connects again."""
        client, self._client = self._client, None
        threads, self._threads = self._threads, None
        if client is not None:
            client.close()
        if threads is not None:
            threads.shutdown(wait=False)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="gcs-archive")
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    # In a thread from here on

    def _blob(self, name: str) -> Blob:
        if self._client is None:
            from google.cloud.storage import Client

            os.environ.setdefault(_NO_METADATA, "true")
            self._client = Client()
        return self._client.bucket(self._bucket).blob(name, chunk_size=_CHUNK)

    def _exists(self, name: str) -> bool:
        with self._explained(name):
            return self._blob(name).exists(timeout=_REQUEST_S)

    def _upload(self, name: str, source: _Source, content_type: str) -> Archived:
        from google.api_core.exceptions import PreconditionFailed

        with self._explained(name):
            blob = self._blob(name)
            try:
                blob.upload_from_file(source, content_type=content_type, if_generation_match=0, timeout=_REQUEST_S)
            except PreconditionFailed as error:
                raise AlreadyArchived(f"{name} is in the archive already") from error
            return self._describe(name, blob, source.sha256)

    def _find(self, name: str) -> Archived | None:
        with self._explained(name):
            blob = self._blob(name)
            if not blob.exists(timeout=_REQUEST_S):
                return None
            blob.reload(timeout=_REQUEST_S)
            known = (blob.metadata or {}).get("sha256")
            if known is not None:
                return Archived(name, self._url(name), int(blob.size or 0), known)
            with blob.open("rb", chunk_size=_CHUNK, timeout=_REQUEST_S) as file:
                return self._describe(name, blob, hashlib.file_digest(file, "sha256").hexdigest())

    def _describe(self, name: str, blob: Blob, sha256: str) -> Archived:
        blob.metadata = {"sha256": sha256}
        blob.patch(timeout=_REQUEST_S)
        return Archived(name, self._url(name), int(blob.size or 0), sha256)

    def _delete(self, prefix: str) -> int:
        """Delete every generation, so that nothing remains in a bucket that keeps old versions either."""
        from google.api_core.exceptions import NotFound

        names: set[str] = set()
        with self._explained(prefix):
            bucket = self._blob(prefix).bucket
            for blob in bucket.list_blobs(prefix=prefix, versions=True, timeout=_REQUEST_S):
                with contextlib.suppress(NotFound):  # somebody else deleted it meanwhile
                    bucket.delete_blob(blob.name, generation=blob.generation, timeout=_REQUEST_S)
                    names.add(blob.name)
        return len(names)

    def _url(self, name: str) -> str:
        return f"gs://{self._bucket}/{name}"

    @contextlib.contextmanager
    def _explained(self, name: str) -> Generator[None, None, None]:
        from google.api_core.exceptions import Forbidden, GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
        from requests.exceptions import RequestException

        try:
            yield
        except DataCorruption as error:
            raise ChecksumMismatch(f"{name} did not arrive in {self._bucket} as it was sent; what arrived was deleted") from error
        except (GoogleAPIError, GoogleAuthError, InvalidResponse, RequestException) as error:
            # Only the kind of error: the text of a failed request can hold the upload's own URL, which needs no further authorization.
            advice = f"; {needs.hint('archive_gcs')}" if isinstance(error, Forbidden) else ""
            raise ArchiveError(f"Cloud Storage could not serve {name} in {self._bucket}: {type(error).__name__}{advice}") from error


class _SourceFailed(Exception):
    """The upload must end because its source ended. A type of its own, which the client cannot take for one of its own errors."""


class _Source:
    """The chunks of an async iterator as the file that an upload reads, in another thread."""

    def __init__(self, chunks: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._chunks = chunks
        self._loop = loop
        self._buffer = bytearray()
        self._digest = hashlib.sha256()
        self._given = 0
        self._ended = False
        self._abandoned = False
        self._pulling: asyncio.Task[bytes | None] | None = None
        self.failure: BaseException | None = None

    @property
    def sha256(self) -> str:
        """Of what was read so far."""
        return self._digest.hexdigest()

    def tell(self) -> int:
        return self._given

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer only at the end. Raises `_SourceFailed`: an upload that fails here is never completed."""
        while len(self._buffer) < size and not self._ended:
            if self._abandoned:
                raise _SourceFailed
            try:
                chunk = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
            except CancelledError as error:
                raise _SourceFailed from error
            if self.failure is not None:
                raise _SourceFailed
            if chunk is None:
                self._ended = True
            else:
                self._buffer += chunk
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._digest.update(taken)
        self._given += len(taken)
        return taken

    def abandon(self) -> None:
        """In the event loop: nobody waits for the upload any more."""
        self._abandoned = True
        if self._pulling is not None:
            self._pulling.cancel()

    async def _next(self) -> bytes | None:
        if self._abandoned:
            raise asyncio.CancelledError
        # Noted here, in the event loop, where `abandon` runs too: the thread could note it too late.
        self._pulling = asyncio.current_task()
        try:
            return await anext(self._chunks, None)
        except Exception as error:  # noqa: BLE001  # whatever it is, `put` raises it
            self.failure = error
            return None
