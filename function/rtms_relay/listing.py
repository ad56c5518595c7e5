"""Which hand-offs a list is asked for: its query, parsed and checked, and one page of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import get_args

import msgspec

from rtms_relay.errors import BadRequest
from rtms_relay.handoff import attempt, erasure, retrieval
from rtms_relay.handoff.documents import hashed
from rtms_relay.handoff.keys import stream_key
from rtms_relay.handoff.record import HandOff
from rtms_relay.ports import IndexedField
from rtms_relay.records import Records

PAGE = 50
MAX_PAGE = 200
MAX_ID = 2_000
"""Characters of an id. Zoom's and Recall's have fewer than a hundred."""

FILTERS = ("state", "recording", "since", "stream", "meeting", "mdc")
PARAMETERS = (*FILTERS, "limit", "cursor")

STATES: tuple[str, ...] = get_args(attempt.State)
RECORDINGS: tuple[str, ...] = (*get_args(retrieval.State), *(state for state in get_args(erasure.State) if state != "none"))

_CURSOR = re.compile(r"([0-9]{1,15})\.([0-9]{1,5})")
_ID = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{4,64}")


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """`where`: indexed field -> its text. `stream`: the key of the stream that was named. `prefix`: the beginning of an id, and no other
    filter."""

    where: Mapping[IndexedField, str] = {}
    since_ms: int | None = None
    stream: str | None = None
    prefix: str = ""
    limit: int = PAGE
    cursor: str | None = None


def checked_id(text: str) -> str:
    """The id of a hand-off. Raises `BadRequest`."""
    if not _ID.fullmatch(text):
        raise BadRequest("the id of a hand-off has 64 hex digits, lower case; GET /handoffs?id= finds it by the first ones")
    return text


def parse(parameters: Mapping[str, str]) -> Query:
    """The query in a request's parameters. Raises `BadRequest`, which says what is allowed."""
    limit = parameters.get("limit", str(PAGE))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 6 and 1 <= int(limit) <= MAX_PAGE):
        raise BadRequest(f"limit must be a number from 1 to {MAX_PAGE}")
    if "id" in parameters:
        return Query(prefix=_prefix(parameters), limit=int(limit))
    where: dict[IndexedField, str] = {}
    if "state" in parameters:
        where["state"] = _one_of("state", parameters["state"], STATES)
    if "recording" in parameters:
        where["recording"] = _one_of("recording", parameters["recording"], RECORDINGS)
    ids: tuple[tuple[IndexedField, Callable[[str], str]], ...] = (("stream", stream_key), ("meeting", hashed), ("mdc", hashed))
    for name, digest in ids:
        if name in parameters:
            where[name] = digest(_id(name, parameters[name]))
    since_ms = _moment(parameters["since"]) if "since" in parameters else None
    return Query(where=where, since_ms=since_ms, stream=where.get("stream"), limit=int(limit), cursor=parameters.get("cursor"))


def _prefix(parameters: Mapping[str, str]) -> str:
    others = [name for name in (*FILTERS, "cursor") if name in parameters]
    if others:
        raise BadRequest(f"id cannot be combined with {', '.join(others)}")
    if not _PREFIX.fullmatch(parameters["id"]):
        raise BadRequest("id must be the first 4 to 64 hex digits (lower case) of a hand-off's id")
    return parameters["id"]


def _one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise BadRequest(f"{name} must be one of {', '.join(allowed)}")
    return value


def _id(name: str, value: str) -> str:
    # In a query a plus sign that was not encoded reads as a blank. Base64 has plus signs, and no id has blanks.
    value = value.replace(" ", "+")
    if not 1 <= len(value) <= MAX_ID or not value.isprintable():
        raise BadRequest(f"{name} must be an id of 1 to {MAX_ID} printable characters")
    return value


def _moment(value: str) -> int:
    """Milliseconds since the epoch, or ISO 8601 with a zone."""
    if value.isascii() and value.isdigit() and len(value) <= 15:
        return int(value)
    try:
        moment = datetime.fromisoformat(value.replace(" ", "+"))
        if moment.tzinfo is not None:
            return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
    except (ValueError, OverflowError):
        pass
    raise BadRequest("since must be milliseconds since the epoch, or ISO 8601 with a zone such as 2026-11-29T03:00:00Z")


async def page(records: Records, query: Query) -> tuple[list[HandOff], str | None]:
    """Hand-offs, latest first, and the cursor of the next page. Raises `BadRequest` for a foreign cursor."""
    if query.prefix:
        return await records.with_prefix(query.prefix, query.limit), None
    before, skip = _begin(query.cursor)
    limit = query.limit
    rows = (await records.newest(limit + skip + 1, before, since_ms=query.since_ms, where=query.where))[skip:]
    page_rows = rows[:limit]
    if len(rows) <= limit:
        return page_rows, None
    last = page_rows[-1].created_at
    same = sum(row.created_at == last for row in page_rows)
    return page_rows, f"{last}.{same + (skip if before == last + 1 else 0)}"


def _begin(cursor: str | None) -> tuple[int | None, int]:
    """Several records may share a millisecond: a page begins in it, and skips those that were shown."""
    if cursor is None:
        return None, 0
    parts = _CURSOR.fullmatch(cursor)
    if parts is None:
        raise BadRequest("cursor is not one that was given out")
    return int(parts[1]) + 1, int(parts[2])
