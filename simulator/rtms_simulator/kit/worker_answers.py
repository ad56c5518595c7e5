"""What the worker answers, as types, decoded strictly: a field that this kit does not know is an error, not an empty column.

Times are milliseconds since the epoch; null means that it has not happened.
"""

from __future__ import annotations

from msgspec import Struct


class WorkerAnswer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value that the worker sends."""


class RecordedArtifact(WorkerAnswer, frozen=True, kw_only=True):
    """One artifact. `status`: processing, done, failed, deleted, or a code yet unknown."""

    id: str
    status: str
    sub_code: str | None = None


class RecordedMeeting(WorkerAnswer, frozen=True, kw_only=True):
    """One recording at Recall. `updated_at`: Recall's own stamp of the status, ISO 8601; empty if it gave none."""

    id: str
    status: str
    sub_code: str | None = None
    updated_at: str = ""
    artifacts: dict[str, RecordedArtifact] = {}
    read: bool = False


class ArchivedFile(WorkerAnswer, frozen=True, kw_only=True):
    """One artifact in the archive; `sha256` in lower-case hex."""

    name: str
    size: int
    sha256: str


class HandOffRow(WorkerAnswer, frozen=True, kw_only=True):
    """One hand-off and what was recorded of it. `entity_id`: the meeting_uuid, or what the product has in its place."""

    id: str
    product: str
    entity_id: str
    rtms_stream_id: str
    state: str
    reason: str
    event_ts: int
    created_at: int
    accepted_at: int | None
    ended_at: int | None
    mdc_id: str | None
    retrieval: str
    retrieval_reason: str
    recordings: list[RecordedMeeting]
    archived: list[ArchivedFile]
    late: bool = False
    unsure: bool = False
    mdc_status: str = ""
    not_joined: str = ""

    @property
    def cause(self) -> str:
        """Why it is as it is, in the words of the worker; empty if there is nothing to say."""
        return " ".join(dict.fromkeys(part for part in (self.reason, self.not_joined, self.retrieval_reason) if part))


class HandOffPage(WorkerAnswer, frozen=True, kw_only=True):
    """One page of `GET /recordings`, newest first."""

    recordings: list[HandOffRow]
    next: str | None


class HandOffDetail(HandOffRow, frozen=True, kw_only=True):
    """`GET /recordings/{key}`: `links` by recording and artifact; `links_error` says why there are none."""

    history: list[str]
    attempts: int
    links: dict[str, dict[str, str | None]]
    links_error: str = ""
