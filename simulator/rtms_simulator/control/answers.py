"""What the control plane takes and answers, as types: the server encodes them, its clients decode them strictly.

Times are seconds since the epoch on the fakes' clock unless a name says otherwise. Ids link what belongs together: a delivery, a
request and a task name the stream, the meeting and the Meeting Direct Connect (`mdc`) that they are about, where that is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

Vendor = Literal["zoom", "recall", "tasks"]
Text = Annotated[str, Meta(min_length=1, max_length=2000)]
Limit = Annotated[int, Meta(ge=1, le=10_000)]


class Strict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value of our own boundaries: unknown fields are errors."""


class RefusalAnswer(Strict, frozen=True, kw_only=True):
    """Any answer that is not 2xx. `error` is a stable code, `reason` one line for a person."""

    error: str
    reason: str


# Clock, reset, faults, switches


class ClockReading(Strict, frozen=True, kw_only=True):
    """`rate`: seconds per real second, 0 is frozen. `next_deadline`: the next moment something waits for."""

    now: float
    rate: float
    next_deadline: float | None


class ClockChange(Strict, frozen=True, kw_only=True):
    """First the rate, then the jump; at least one of them."""

    rate: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None
    advance: Annotated[float, Meta(ge=0, le=3_162_240_000)] | None = None


class ResetDone(Strict, frozen=True, kw_only=True):
    """`records`: those of the functions; they are kept in a store that was given with --state."""

    records: Literal["forgotten", "kept"]


class ResetRequest(Strict, frozen=True, kw_only=True):
    """`seed`: makes ids and secrets from now on; by default the one of before."""

    seed: Annotated[int, Meta(ge=0, le=2**53)] | None = None


class ArmedFaultRow(Strict, frozen=True, kw_only=True):
    """`left`: how often it acts still, null until it is cleared. `used`: how often it has acted."""

    id: int
    fault: str
    vendor: Vendor
    left: int | None
    used: int


class FaultList(Strict, frozen=True, kw_only=True):
    armed: list[ArmedFaultRow]


class NewFault(Strict, frozen=True, kw_only=True):
    """As docs/faults.md writes it: `recall.create: 503 x2 then ok`."""

    fault: Text


class Cleared(Strict, frozen=True, kw_only=True):
    cleared: int


class SwitchRow(Strict, frozen=True, kw_only=True):
    """One decision that a vendor's documentation leaves open. `name` is `vendor.switch`."""

    name: str
    vendor: Vendor
    value: Any
    default: Any
    says: str
    evidence: str
    source: str


class SwitchList(Strict, frozen=True, kw_only=True):
    switches: list[SwitchRow]


class SwitchChanges(Strict, frozen=True, kw_only=True):
    """Values by the name of the switch, as JSON: `{"set": {"recall.page_size": 3}}`."""

    set: dict[str, Any]


# Deliveries


class DeliveryAttempt(Strict, frozen=True, kw_only=True):
    """One request. `status`: HTTP, or a negative code of Zoom's; null without an answer, and `problem` says why."""

    at: float
    status: int | None
    problem: str
    latency_ms: float | None


class DeliveryRow(Strict, frozen=True, kw_only=True):
    """One webhook of Zoom's or Recall's. `without_effect`: faults that changed no byte of it."""

    id: str
    vendor: Literal["zoom", "recall"]
    event: str
    at: float
    url: str
    outcome: str
    attempts: list[DeliveryAttempt]
    faults: list[str]
    without_effect: list[str]
    meeting: int | None
    stream: str | None
    mdc: str | None
    recording: str | None


class DeliveryList(Strict, frozen=True, kw_only=True):
    deliveries: list[DeliveryRow]


class SentRequest(Strict, frozen=True, kw_only=True):
    headers: dict[str, str]
    answer: str


class DeliveryDetail(Strict, frozen=True, kw_only=True):
    """A delivery with what was sent: the same `body` in each of `requests`."""

    delivery: DeliveryRow
    body: str
    requests: list[SentRequest]


class DeliveryQuery(Strict, frozen=True, kw_only=True):
    """`event` is a pattern (`*.rtms_started`), `status` an HTTP status or an outcome, `since` a time."""

    vendor: Literal["zoom", "recall"] | None = None
    event: str | None = None
    status: Annotated[str, Meta(pattern=r"^(-?\d{1,3}|waiting|delivered|refused|failed|withheld|pending|lost|disabled)$")] | None = None
    meeting: str | None = None
    since: float | None = None
    limit: Limit = 10_000


class NewDelivery(Strict, frozen=True, kw_only=True):
    """Send an event of Zoom's: the documentation's values unless `payload` replaces them. Without `webhook_url` to the known receiver."""

    event: Text
    webhook_url: Text | None = None
    payload: dict[str, Any] | None = None
    event_ts: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    style: str | None = None


class Replay(Strict, frozen=True, kw_only=True):
    webhook_url: Text | None = None


class NewValidation(Strict, frozen=True, kw_only=True):
    webhook_url: Text


class ValidationDone(Strict, frozen=True, kw_only=True):
    """One URL validation. `disabled`: Zoom sends nothing there any more. `mails`: what Zoom has written to the app's owner."""

    ok: bool
    problem: str
    disabled: bool
    mails: list[str]


# Requests to Recall, MDCs, tasks


class RequestRow(Strict, frozen=True, kw_only=True):
    """One request that Recall got. `replayed`: an Idempotency-Key repeated an earlier answer. `status` null: the connection was cut."""

    id: int
    at: float
    method: str
    path: str
    operation: str | None
    status: int | None
    fault: str | None
    authorized: bool
    replayed: bool
    idempotency_key: str | None
    meeting: int | None
    stream: str | None
    mdc: str | None
    recording: str | None


class RequestList(Strict, frozen=True, kw_only=True):
    requests: list[RequestRow]


class RequestDetail(Strict, frozen=True, kw_only=True):
    """A request with its body and the answer's, without any key."""

    request: RequestRow
    query: str
    body: str
    answer: str


class RequestQuery(Strict, frozen=True, kw_only=True):
    """`status`: an HTTP status, or `refused` for everything from 300 on and cut connections."""

    operation: str | None = None
    status: Annotated[str, Meta(pattern=r"^(\d{3}|refused)$")] | None = None
    meeting: str | None = None
    since: float | None = None
    limit: Limit = 10_000


class MdcRow(Strict, frozen=True, kw_only=True):
    """One Meeting Direct Connect. `requests` made it, or were answered with it."""

    id: str
    created_at: float
    status: str
    sub_code: str | None
    meeting: int | None
    stream: str | None
    server_urls: str | None
    recordings: list[str]
    requests: list[int]


class MdcList(Strict, frozen=True, kw_only=True):
    meeting_direct_connects: list[MdcRow]


class TaskAttemptRow(Strict, frozen=True, kw_only=True):
    number: int
    scheduled_at: float
    dispatched_at: float
    responded_at: float | None
    status: int | None
    failure: str | None
    duplicate: bool


class TaskRow(Strict, frozen=True, kw_only=True):
    """One task. `id` is the last part of `name`; `state`: waiting, done, exhausted, expired, deleted, purged or lost."""

    id: str
    name: str
    queue: str
    location: str
    url: str
    state: str
    created_at: float
    due_at: float
    attempts: list[TaskAttemptRow]
    meeting: int | None
    stream: str | None


class TaskList(Strict, frozen=True, kw_only=True):
    tasks: list[TaskRow]


class TaskDetail(Strict, frozen=True, kw_only=True):
    task: TaskRow
    body: str


class TaskQuery(Strict, frozen=True, kw_only=True):
    queue: str | None = None
    state: Literal["waiting", "done", "exhausted", "expired", "deleted", "purged", "lost"] | None = None
    meeting: str | None = None
    limit: Limit = 10_000


# Meetings


class PlayRequest(Strict, frozen=True, kw_only=True):
    """`scenario`: a built-in name, a file's absolute path or `upload:ID`; `media` and `transcript` likewise, without the names. By default
    `stand-up`, or with `media` or `transcript` a scenario of their name in which nothing else happens.

    `speed`: a number of times real time, or `max`. `faults`: of this meeting. `patience_s`: once nobody has joined and nothing has
    happened for so long, in real seconds, the fakes' clock runs ahead.
    """

    scenario: str | None = None
    media: str | None = None
    transcript: str | None = None
    speed: float | str = 1.0
    seed: int | None = None
    faults: list[str] = []
    webhook_url: str | None = None
    patience_s: Annotated[float, Meta(ge=0, le=3600)] = 5.0
    wait: bool = True
    """Answer when the meetings are over, and break them off if the caller goes away; otherwise answer at once."""


class MediaRow(Strict, frozen=True, kw_only=True):
    """What was sent of one kind of media: packets, bytes before base64, and the SHA-256 over them in order, in lower-case hex."""

    packets: int
    bytes: int
    sha256: str


class StreamRow(Strict, frozen=True, kw_only=True):
    """One stream. Milliseconds since the meeting's start; null: it did not happen. `sent` by kind of media."""

    stream_id: str
    client_id: str
    server_urls: list[str]
    state: str
    joined_ms: int | None
    ended_ms: int | None
    stop_reason: int | None
    keep_alives: int
    complaints: int
    sent: dict[str, MediaRow]
    problem: str | None


class Note(Strict, frozen=True, kw_only=True):
    ms: int
    what: str


class MeetingRow(Strict, frozen=True, kw_only=True):
    """One meeting as it stands. `ended_ms` null: it is going on. `idle_faults`: those given to it, or of its script,
    that never acted or changed nothing."""

    id: int
    scenario: str
    product: str
    entity_id: str
    meeting_id: str
    seed: int
    speed: float | str
    started_ms: int
    ended_ms: int | None
    joined: bool
    streams: list[StreamRow]
    deliveries: list[DeliveryRow]
    timeline: list[Note]
    idle_faults: list[str]


class MeetingList(Strict, frozen=True, kw_only=True):
    meetings: list[MeetingRow]


class ProblemRow(Strict, frozen=True, kw_only=True):
    """Something that no receiver may do, or that befell one. `name`: of the invariant that it breaks, which `rule` says."""

    name: str
    what: str
    rule: str


class ProblemQuery(Strict, frozen=True, kw_only=True):
    """`expected`: how the meeting is meant to end; `deleted` also waits for the deletion at Recall."""

    expected: Literal["recorded", "deleted", "not-joined"] = "recorded"


class ProblemList(Strict, frozen=True, kw_only=True):
    problems: list[ProblemRow]


class NewAction(Strict, frozen=True, kw_only=True):
    """Something that no scenario said: `kind` as in a scenario's timeline, `who` a user_id, `data` its other fields."""

    kind: Text
    who: int | None = None
    data: dict[str, Any] = {}


class TrafficRow(Strict, frozen=True, kw_only=True):
    """One message on a stream's sockets, media left out. `out`: from Zoom to the app."""

    stream: str
    at_ms: int
    connection: int
    what: str
    out: bool
    message: str


class Traffic(Strict, frozen=True, kw_only=True):
    traffic: list[TrafficRow]


# Recall's webhook endpoints


class EndpointRow(Strict, frozen=True, kw_only=True):
    id: str
    url: str
    headers: str
    events: list[str] | None
    enabled: bool
    secrets: list[str]


class EndpointList(Strict, frozen=True, kw_only=True):
    webhooks: list[EndpointRow]


class NewEndpoint(Strict, frozen=True, kw_only=True):
    url: Text
    secret: str | None = None
    headers: Literal["webhook", "svix"] | None = None
    events: list[str] | None = None


class NewSecret(Strict, frozen=True, kw_only=True):
    """`secret`: a `whsec_` secret; a new one by default. The old one signs for 24 hours more."""

    secret: str | None = None


class Recovered(Strict, frozen=True, kw_only=True):
    messages: int


class WorkspaceSecret(Strict, frozen=True, kw_only=True):
    workspace_secret: str


# The whole


class FakesState(Strict, frozen=True, kw_only=True):
    """Where everything stands, in numbers."""

    clock: ClockReading
    seed: int
    rtms_servers: list[str]
    recall_base_url: str | None
    queues: list[str]
    meetings: int
    deliveries: int
    requests: int
    tasks: int
    meeting_direct_connects: int
    recordings: int
    recorders: int
    faults: int


class Uploaded(Strict, frozen=True, kw_only=True):
    """`upload`: what a play request names it by."""

    upload: str
    bytes: int


class UploadQuery(Strict, frozen=True, kw_only=True):
    """`name` gives the file its ending (`mp4`, `vtt`, `toml`)."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,100}$")]


class Happening(Strict, frozen=True, kw_only=True):
    """One server-sent event: a row that is new or has changed."""

    kind: Literal["meeting", "delivery", "request", "mdc", "task", "fault", "clock"]
    row: Any


ROWS_OF_HAPPENINGS: Mapping[str, type[Strict]] = {
    "meeting": MeetingRow,
    "delivery": DeliveryRow,
    "request": RequestRow,
    "mdc": MdcRow,
    "task": TaskRow,
    "fault": ArmedFaultRow,
    "clock": ClockChange,
}
"""What `Happening.row` is, by its `kind`."""


def decode(raw: bytes, type_: Any) -> Any:
    """An answer of ours, strictly. Raises msgspec.ValidationError."""
    return msgspec.json.decode(raw, type=type_)
