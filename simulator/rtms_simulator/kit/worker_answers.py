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


class StreamBegin(WorkerAnswer, frozen=True, kw_only=True):
    """Starts of a stream that one hand-off answers: the first and the latest `event_ts`."""

    id: str
    event_ts: int
    latest_ts: int


class StreamFacts(WorkerAnswer, frozen=True, kw_only=True):
    """What Zoom's webhooks said of a stream. `key`: its name in the log. `known` False: the worker has heard nothing of it."""

    key: str
    known: bool
    product: str
    entity_id: str
    starts: list[StreamBegin]
    interrupted_ts: int | None
    stopped_ts: int | None
    stop_reason: int | None
    stop: str
    revoked_ts: int | None


class HandOffList(WorkerAnswer, frozen=True, kw_only=True):
    """One page of `GET /handoffs`, newest first. `stream`: what is known of the stream, if one was named."""

    handoffs: list[HandOffRow]
    next: str | None
    stream: StreamFacts | None


class HandOffTry(WorkerAnswer, frozen=True, kw_only=True):
    """One POST to Recall: its number, when it ended (null: not on record), and its outcome."""

    number: int
    at: int | None
    answer: str


class HandOffStory(HandOffRow, frozen=True, kw_only=True):
    """`GET /handoffs/{id}`. `window_ends_at`: until when its stream can be joined. `next_try_at`, `next_look_at`: what is planned.
    `trying_until`: a try is under way. `erasing_since`: its deletion began. `now`: the worker's clock."""

    state_at: int
    attempts: int
    tries: list[HandOffTry]
    window_ends_at: int
    next_try_at: int | None
    trying_until: int | None
    next_look_at: int | None
    looks: int
    erasing_since: int | None
    stream: StreamFacts
    now: int


class CheckedQueue(WorkerAnswer, frozen=True, kw_only=True):
    """One queue. `problem`: it took no task. `after_ms`: when the task came to the worker; null: not yet."""

    name: str
    problem: str
    after_ms: int | None


class CheckUpDone(WorkerAnswer, frozen=True, kw_only=True):
    """`POST /handoffs/checkup` and `GET /handoffs/checkup/{number}`. `store`, `recall`: what is wrong, or nothing. `now`: its clock."""

    number: str
    now: int
    store: str
    recall: str
    recall_status: int
    queues: list[CheckedQueue]


class RetryDone(WorkerAnswer, frozen=True, kw_only=True):
    """`POST /handoffs/{id}/retry`. `did`: tried, looked or nothing; `why` no more than that; `remains`: what a person can do."""

    id: str
    did: str
    why: str
    remains: str
    state: str
    reason: str
    retrieval: str
    retrieval_reason: str
