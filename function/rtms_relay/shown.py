"""What the worker shows of its records, as types. The other side decodes them strictly (`rtms_simulator.kit.worker_answers`).

Times are milliseconds since the epoch; null means that it has not happened.
"""

from __future__ import annotations

from typing import Any

import msgspec

from rtms_relay.budgets import Rules
from rtms_relay.handoff import attempt as attempts
from rtms_relay.handoff.attempt import Attempt
from rtms_relay.handoff.facts import Facts, stop_words
from rtms_relay.handoff.record import HandOff
from rtms_relay.handoff.retrieval import ArchivedArtifact
from rtms_relay.ports import Recording


class HandOffRow(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of a hand-off but the stream's servers, keys and leases. `retrieval`: the state of its recording, or of its erasure."""

    id: str
    product: str
    entity_id: str
    rtms_stream_id: str
    state: str
    reason: str
    late: bool
    unsure: bool
    event_ts: int
    created_at: int
    accepted_at: int | None
    ended_at: int | None
    mdc_id: str | None
    mdc_status: str
    not_joined: str
    retrieval: str
    retrieval_reason: str
    recordings: tuple[Recording, ...]
    archived: tuple[ArchivedArtifact, ...]


class RecordingsPage(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /recordings`."""

    recordings: tuple[HandOffRow, ...]
    next: str | None


class Linked(HandOffRow, frozen=True, kw_only=True, omit_defaults=True):
    """`GET /recordings/{id}`. `links`: by recording and artifact; `links_error` says why there are none."""

    history: tuple[str, ...]
    attempts: int
    links: dict[str, dict[str, str]]
    links_error: str = ""


class Begin(msgspec.Struct, frozen=True, kw_only=True):
    """Starts of a stream that one hand-off answers: the first and the latest `event_ts`."""

    id: str
    event_ts: int
    latest_ts: int


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """What Zoom's webhooks said of a stream. `key`: its name in the log. `known` False: the worker has heard nothing of it."""

    key: str
    known: bool = False
    product: str = ""
    entity_id: str = ""
    starts: tuple[Begin, ...] = ()
    interrupted_ts: int | None = None
    stopped_ts: int | None = None
    stop_reason: int | None = None
    stop: str = ""
    revoked_ts: int | None = None


class HandOffsPage(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /handoffs`. `stream`: what is known of the stream, if one was named."""

    handoffs: tuple[HandOffRow, ...]
    next: str | None
    stream: Stream | None


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One POST to Recall: its number, when it ended (null: not on record), and its outcome."""

    number: int
    at: int | None
    answer: str


class Story(HandOffRow, frozen=True, kw_only=True):
    """`GET /handoffs/{id}`. `window_ends_at`: until when its stream can be joined. `next_try_at`, `next_look_at`: what is planned.
    `trying_until`: a try is under way. `erasing_since`: its deletion began. `now`: the worker's clock."""

    state_at: int
    attempts: int
    tries: tuple[Tried, ...]
    window_ends_at: int
    next_try_at: int | None
    trying_until: int | None
    next_look_at: int | None
    looks: int
    erasing_since: int | None
    stream: Stream
    now: int


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /handoffs/{id}/retry`. `did`: what was done; `why` not more; `remains`: what a person can do."""

    id: str
    did: str
    why: str
    remains: str
    state: str
    reason: str
    retrieval: str
    retrieval_reason: str


class CheckedQueue(msgspec.Struct, frozen=True, kw_only=True):
    """One queue. `problem`: it took no task. `after_ms`: when the task came to the worker; null: not yet."""

    name: str
    problem: str
    after_ms: int | None


class CheckUpShown(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /handoffs/checkup` and `GET /handoffs/checkup/{number}`. `store`, `recall`: what is wrong, or nothing. `recall_status` 0: no
    answer, or not asked. `now`: the worker's clock."""

    number: str
    now: int
    store: str
    recall: str
    recall_status: int
    queues: tuple[CheckedQueue, ...]


def _row(handoff: HandOff) -> dict[str, Any]:
    attempt, retrieval, erasure = handoff.attempt, handoff.retrieval, handoff.erasure
    return {
        "id": handoff.key,
        "product": handoff.product,
        "entity_id": handoff.entity_id,
        "rtms_stream_id": handoff.stream_id,
        "state": attempt.state,
        "reason": attempt.reason,
        "late": attempt.late,
        "unsure": attempt.unsure,
        "event_ts": attempt.start_ts,
        "created_at": handoff.created_at,
        "accepted_at": attempt.accepted_at,
        "ended_at": retrieval.ended_at,
        "mdc_id": attempt.mdc_id,
        "mdc_status": retrieval.mdc_status,
        "not_joined": retrieval.not_joined,
        "retrieval": erasure.state if erasure.on else retrieval.state,
        "retrieval_reason": retrieval.reason,
        "recordings": retrieval.recordings,
        "archived": retrieval.archived,
    }


def row(handoff: HandOff) -> HandOffRow:
    return HandOffRow(**_row(handoff))


def linked(handoff: HandOff, links: dict[str, dict[str, str]], links_error: str) -> Linked:
    attempt = handoff.attempt
    return Linked(**_row(handoff), history=attempt.history, attempts=attempt.tries, links=links, links_error=links_error)


def story(handoff: HandOff, facts: Facts | None, now: int, rules: Rules) -> Story:
    attempt = handoff.attempt
    leased = attempt.lease_until is not None and attempt.lease_until > now
    return Story(
        **_row(handoff),
        state_at=attempt.state_at,
        attempts=attempt.tries,
        tries=_tries(attempt),
        window_ends_at=attempts.window_end(attempt, rules),
        next_try_at=attempt.next_at if attempt.state == "pending" else None,
        trying_until=attempt.lease_until if leased else None,
        next_look_at=handoff.look_at,
        looks=handoff.erasure.rounds if handoff.erasure.on else handoff.retrieval.looks,
        erasing_since=handoff.erasure.since if handoff.erasure.on else None,
        stream=stream(handoff.stream_key, facts),
        now=now,
    )


def stream(key: str, facts: Facts | None) -> Stream:
    if facts is None:
        return Stream(key=key)
    return Stream(
        key=key,
        known=True,
        product=facts.product,
        entity_id=facts.entity_id,
        starts=tuple(Begin(id=run.key, event_ts=run.epoch, latest_ts=run.newest_ts) for run in facts.runs),
        interrupted_ts=facts.interrupted_ts or None,
        stopped_ts=facts.stopped_ts or None,
        stop_reason=None if facts.stop_reason < 0 else facts.stop_reason,
        stop=stop_words(facts),
        revoked_ts=facts.revoked_ts or None,
    )


def _tries(attempt: Attempt) -> tuple[Tried, ...]:
    """The last tries; the times that are on record belong to the last of them."""
    times: list[int | None] = [None] * (len(attempt.history) - len(attempt.history_at))
    times += attempt.history_at[-len(attempt.history) :] if attempt.history else ()
    tries = []
    for line, at in zip(attempt.history, times, strict=True):
        number, _, answer = line.partition(": ")
        tries.append(Tried(number=int(number) if number.lstrip("-").isdecimal() else 0, at=at, answer=answer))
    return tuple(tries)
