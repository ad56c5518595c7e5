"""The seams: what the use cases need from the world, and all that they may assume of it.

Nothing else in this package reads a clock, draws a random number or opens a socket. Adapters implement these Protocols
(`adapters/`), tests and the simulated world bring their own.

Time is an `int` of **milliseconds since the epoch** everywhere in this package; durations are seconds as `float`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import msgspec

R = TypeVar("R", covariant=True)

Collection = Literal["handoffs", "streams", "unusable", "marks"]
"""`handoffs/{hand-off key}` and `streams/{sha256(stream)}` are the records. `unusable`: copies of what could not be used.
`marks`: the service's own notes, such as the last probe."""

QueueName = Literal["handoffs", "handoffs-second", "facts", "retrievals"]
"""The queues to the worker: starts at home and in the second region, everything else that Zoom says, and looks for recordings."""

Path = Literal["/events", "/retrieve"]
"""Where at the worker a task goes."""

IndexedField = Literal["state", "recording", "stream", "meeting", "mdc"]
"""Text fields of a document that a list can be narrowed by. Each has an index with `created_at` on every store."""

MAX_DOCUMENT_BYTES = 1_000_000
"""Firestore's limit is 1 MiB with its own overhead; every store refuses above this many bytes of compact JSON."""


class Clock(Protocol):
    """The only source of time."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch (wall clock; may jump)."""
        ...

    def monotonic_ms(self) -> float:
        """Milliseconds since some moment; never jumps. Durations are measured on this one."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class Job(Protocol[R]):
    """Work that runs at the same time as the caller's."""

    def done(self) -> bool: ...

    def result(self) -> R:
        """What it returned; raises what it raised. Only once it is done."""
        ...

    def cancel(self) -> object: ...


class Jobs(Protocol):
    """The only source of concurrency."""

    def start(self, work: Coroutine[Any, Any, R], name: str) -> Job[R]:
        """Run it at the same time as the caller, also after the caller has ended. `name` is for people."""
        ...

    async def any_done(self, jobs: Sequence[Job[Any]]) -> None:
        """Wait until at least one of them is done."""
        ...


class Randomness(Protocol):
    """The only source of randomness: jitter."""

    def uniform(self, low: float, high: float) -> float: ...


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as read: its fields, and the version that `replace` wants back."""

    key: str
    fields: Mapping[str, Any]
    version: str


@dataclass(frozen=True, slots=True)
class Write:
    """One conditional write. `version` None: create, if absent. Else: replace the whole document, if it still has that version."""

    collection: Collection
    key: str
    fields: Mapping[str, Any]
    version: str | None = None


class Store(Protocol):
    """Conditional writes of whole documents, alike on every store; no partial updates.

    Keys match ``[A-Za-z0-9_-]{1,128}`` (`InvalidKey` otherwise): raw vendor ids may contain ``/`` and are fields, never keys.
    Fields are a JSON object (str keys; str, int, float, bool, None, list, dict values; ints within 64 bits).
    Any call may raise `StoreUnavailable`; the write may then have happened or not.
    """

    async def create(self, collection: Collection, key: str, fields: Mapping[str, Any]) -> str:
        """Create-if-absent. Returns the version. Raises `AlreadyExists`; of n racing calls exactly one wins."""
        ...

    async def get(self, collection: Collection, key: str) -> Stored | None: ...

    async def replace(self, collection: Collection, key: str, fields: Mapping[str, Any], version: str) -> str:
        """Replace the whole document if it still has `version`. Returns the new version. Raises `Stale`."""
        ...

    async def commit(self, writes: Sequence[Write]) -> list[str]:
        """All of them or none. Returns the versions. Raises `AlreadyExists` or `Stale` if one of the conditions does not hold.

        Each document occurs once; at most 100.
        """
        ...

    async def due(self, collection: Collection, before_ms: int, limit: int) -> list[Stored]:
        """Documents whose integer field `due_at` is <= `before_ms`, earliest first. A null or absent `due_at` is never due."""
        ...

    async def newest(
        self,
        collection: Collection,
        limit: int,
        before_ms: int | None = None,
        *,
        since_ms: int | None = None,
        where: Mapping[IndexedField, str] | None = None,
    ) -> list[Stored]:
        """Documents by their integer field `created_at`, latest first.

        If given: strictly before `before_ms`, at or after `since_ms`, with every field of `where` at the top level and equal to its text
        (``[a-z0-9_]{1,64}``: a word or a hash).
        """
        ...

    async def with_prefix(self, collection: Collection, prefix: str, limit: int) -> list[Stored]:
        """Documents whose key begins with `prefix`, by key. Raises `InvalidKey` for a prefix that is no key."""
        ...

    async def close(self) -> None: ...


class Queue(Protocol):
    """One queue: at-least-once, unordered delivery of tasks to the worker."""

    async def enqueue(self, path: Path, body: bytes, *, not_before_ms: int | None = None, name: str = "") -> bool:
        """Ask for one `POST {path}` with this body, not before a time if given.

        Two tasks of one `name` are one: False if there is, or lately was, a task of that name. Raises `QueueUnavailable`.
        """
        ...

    async def close(self) -> None: ...


Queues = Mapping[QueueName, Queue]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer from Recall, or the lack of one.

    `status` 0: no answer came, and `failure` says why: "timeout", "reset" (both may have had their effect) or "unreachable".
    """

    status: int
    body: bytes = b""
    retry_after_s: float | None = None
    failure: str | None = None


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """One artifact of a recording. `status`: processing, done, failed, deleted, or a code yet unknown."""

    id: str
    status: str
    sub_code: str | None = None


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a recording: ids and statuses, never links. `status`: processing, paused, done, failed, deleted, or unknown.

    `updated_at` is Recall's own stamp of the status, ISO 8601; "" if it gave none. `artifacts` by the names of `media_shortcuts`.
    `read`: it was seen at Recall, not only announced by a webhook.
    """

    id: str
    status: str
    sub_code: str | None = None
    updated_at: str = ""
    artifacts: dict[str, Artifact] = {}
    read: bool = False


class RecallApi(Protocol):
    """Recall.ai's HTTP API. Never raises for what a server may do: the answer carries it."""

    async def create(self, body: bytes, idempotency_key: str) -> Answer:
        """`POST /meeting_direct_connect`, JSON body, with `Idempotency-Key`."""
        ...

    async def retrieve(self, mdc_id: str) -> Answer:
        """`GET /meeting_direct_connect/{id}`."""
        ...

    async def recording(self, recording_id: str) -> Answer:
        """`GET /recording/{id}`."""
        ...

    async def recordings_with_metadata(self, key: str, value: str, cursor: str | None = None) -> Answer:
        """`GET /recording/?metadata__KEY=VALUE`, one page; follow `next` by its cursor."""
        ...

    async def delete_recording(self, recording_id: str) -> Answer:
        """`DELETE /recording/{id}`. 204, or 404 if it is gone already."""
        ...

    def download(self, url: str) -> AsyncIterator[bytes]:
        """Stream a pre-signed link in chunks, without the API key. Raises `RecallUnavailable`."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Archived:
    """One object in the archive. `url` is `gs://bucket/name` or `file:///path`; `sha256` is lower-case hex."""

    name: str
    url: str
    size: int
    sha256: str


class Archive(Protocol):
    """Write-once storage of finished artifacts. Names are `/`-separated, each part ``[A-Za-z0-9._-]+``, none only dots."""

    async def put(self, name: str, chunks: AsyncIterator[bytes], *, content_type: str) -> Archived:
        """Store the bytes with bounded memory; nothing is visible under `name` before all of them are.

        Raises `AlreadyArchived`, `ChecksumMismatch`, `ArchiveError`. What `chunks` raises passes through.
        """
        ...

    async def find(self, name: str) -> Archived | None:
        """What a former `put` left under this name."""
        ...

    async def delete(self, prefix: str) -> int:
        """Delete every object whose name begins with `prefix` (ends in `/`). Returns how many; repeatable."""
        ...

    async def close(self) -> None: ...


Severity = Literal["DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT"]
"""Cloud Logging's severities. ALERT: somebody should be woken."""


class Log(Protocol):
    """Where use cases log what they did: one call, one line. Fields are JSON values."""

    def __call__(self, severity: Severity, event: str, /, **fields: Any) -> None: ...
