"""The messages that tasks carry from the webhook to the worker, typed on both sides, with a version.

The worker reads the current version and the previous one, and passes over fields that it does not know. It is updated first, also in
a roll-back. Version 1 is the first edition's ``{"id": "<hand-off key>"}``.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from rtms_relay import budgets
from rtms_relay.errors import TaskUnusable
from rtms_relay.ports import QueueName

CURRENT = 2
PREVIOUS = 1

Copy = Literal["home", "second"]


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """`received_ms`: when the webhook took it. `v`: the version of its fields."""

    v: int = CURRENT
    received_ms: int = 0


class Start(Message, frozen=True, kw_only=True, tag="start"):
    """A stream began, or named servers when it was interrupted. `event`: Zoom's own name. `dated` False: Zoom gave no event_ts, so
    `event_ts` is the signed request's time. `copy`: which of the two hand-off queues carries it."""

    event: str
    product: str
    stream_id: str
    entity_id: str
    server_urls: str
    event_ts: int
    account_id: str = ""
    dated: bool = True
    copy: Copy = "home"


class Stop(Message, frozen=True, kw_only=True, tag="stop"):
    event: str
    product: str
    stream_id: str
    entity_id: str
    event_ts: int
    stop_reason: int | None = None


class Interruption(Message, frozen=True, kw_only=True, tag="interruption"):
    """An interruption that names no servers."""

    event: str
    product: str
    stream_id: str
    entity_id: str
    event_ts: int


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one POST while the store was away. `at`: when, ms."""

    kind: Literal["accepted", "made_nothing", "in_doubt", "refused"]
    reason: str
    status: int
    mdc_id: str | None
    at: int


class OutcomeNote(Message, frozen=True, kw_only=True, tag="outcome"):
    """The outcome of a start that was handed on without the store: every POST with key 0, in order."""

    start: Start
    posts: tuple[Posted, ...]


class UnusableEvent(Message, frozen=True, kw_only=True, tag="unusable"):
    """A signed event that could not be used. `copy`: its body as text, cut, without secrets."""

    vendor: Literal["zoom", "recall"]
    reason: str
    event: str
    keys: tuple[str, ...]
    copy: str


class Look(Message, frozen=True, kw_only=True, tag="look"):
    """Look for the recording of a hand-off. `message` and `recording_id`: of the webhook that causes it, if one does."""

    handoff: str
    recording_id: str | None = None
    message: str = ""


class Resume(Message, frozen=True, kw_only=True, tag="resume"):
    """Continue with a hand-off that is on record. The first edition's tasks to `/handoff` read as this."""

    handoff: str


class Probe(Message, frozen=True, kw_only=True, tag="probe"):
    """Harmless: shows that a queue delivers."""

    queue: QueueName
    number: str


Task = Start | Stop | Interruption | OutcomeNote | UnusableEvent | Look | Resume | Probe

_decoder = msgspec.json.Decoder(Task)


class _Version(msgspec.Struct):
    v: int = PREVIOUS


class _First(msgspec.Struct):
    id: str


_versions = msgspec.json.Decoder(_Version)
_first = msgspec.json.Decoder(_First)


def encode(task: Task) -> bytes:
    return msgspec.json.encode(task)


def decode(body: bytes, path: str) -> Task:
    """The message in a task's body. `path` says what a version 1 asks for. Raises `TaskUnusable`."""
    if len(body) > budgets.TASK_BYTES:
        raise TaskUnusable(f"a task of {len(body)} bytes; {budgets.TASK_BYTES} are allowed")
    try:
        version = _versions.decode(body).v
        if version == CURRENT:
            return _decoder.decode(body)
        if version == PREVIOUS:
            key = _first.decode(body).id
            return Look(v=PREVIOUS, handoff=key) if path == "/retrieve" else Resume(v=PREVIOUS, handoff=key)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise TaskUnusable(f"a task that cannot be read: {str(error)[:200]}") from None
    raise TaskUnusable(f"a task of version {version}; this release reads {PREVIOUS} and {CURRENT}")


def received_ms(body: bytes) -> int:
    """When the webhook took the event of a task that cannot be read otherwise; 0 if it does not say."""
    try:
        return msgspec.json.decode(body, type=_Received).received_ms
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return 0


class _Received(msgspec.Struct):
    received_ms: int = 0
