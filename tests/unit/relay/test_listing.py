"""Which hand-offs a list is asked for: every parameter, every refusal, pages that lose and repeat nothing."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ports.plain import Lines, Middle
from tests.ports.stores import MemoryStore
from tests.ports.time import Time

from rtms_relay.errors import BadRequest
from rtms_relay.handoff import documents, record
from rtms_relay.handoff.facts import Facts
from rtms_relay.listing import PARAMETERS, RECORDINGS, STATES, Query, checked_id, page, parse
from rtms_relay.ports import Collection, Stored
from rtms_relay.records import Records

NOW = 1_795_338_000_000


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_every_state_is_a_filter() -> None:
    assert set(STATES) == {"pending", "accepted", "cancelled", "superseded", "failed", "expired"}
    assert [parse({"state": state}).where for state in STATES] == [{"state": state} for state in STATES]


def test_every_state_of_a_recording_is_a_filter() -> None:
    assert set(RECORDINGS) == {"none", "awaiting", "done", "partial", "none_made", "failed", "forgetting", "forgotten"}
    assert [parse({"recording": state}).where for state in RECORDINGS] == [{"recording": state} for state in RECORDINGS]


def test_ids_are_looked_for_by_their_hashes_and_filters_add_up() -> None:
    query = parse({"state": "failed", "stream": "a/b+c==", "meeting": "//x==", "mdc": "m", "since": "5", "limit": "7", "cursor": "9.1"})
    assert query.where == {"state": "failed", "stream": digest("a/b+c=="), "meeting": digest("//x=="), "mdc": digest("m")}
    assert (query.stream, query.since_ms, query.limit, query.cursor) == (digest("a/b+c=="), 5, 7, "9.1")


def test_a_plus_sign_that_was_not_encoded_is_still_one() -> None:
    assert parse({"meeting": "a b=="}).where == parse({"meeting": "a+b=="}).where
    assert parse({"since": "2026-11-22T10:00:00 01:00"}).since_ms == parse({"since": "2026-11-22T09:00:00Z"}).since_ms == NOW


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"state": ""}, "state must be one of pending, accepted"),
        ({"state": "Failed"}, "state must be one of"),
        ({"state": "done"}, "state must be one of"),
        ({"recording": "accepted"}, "^recording must be one of none, awaiting, done, partial, none_made, failed, forgetting, forgotten$"),
        ({"limit": "000200"}, "limit must be a number from 1 to 200"),
        ({"limit": "\u0663"}, "limit must be a number from 1 to 200"),
        ({"since": "yesterday"}, "since must be milliseconds since the epoch, or ISO 8601 with a zone"),
        ({"since": "2026-11-29T03:00:00"}, "with a zone"),
        ({"since": "-5"}, "since must be"),
        ({"since": "9" * 16}, "since must be"),
        ({"since": "\u0663"}, "since must be"),
        ({"stream": ""}, "stream must be an id of 1 to 2000 printable characters"),
        ({"meeting": "a\u0000b"}, "meeting must be an id"),
        ({"mdc": "x" * 2001}, "mdc must be an id"),
        ({"meeting": "\ud800"}, "meeting must be an id"),
        ({"id": "abc"}, "first 4 to 64 hex digits"),
        ({"id": "ABCD"}, "first 4 to 64 hex digits"),
        ({"id": "a" * 65}, "first 4 to 64 hex digits"),
        ({"id": "abcd", "state": "failed", "cursor": "1.1"}, "id cannot be combined with state, cursor"),
        ({"limit": "0"}, "limit must be a number from 1 to 200"),
        ({"limit": "201", "id": "abcd"}, "limit must be a number from 1 to 200"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_is_allowed(given: dict[str, str], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        parse(given)


def test_what_is_just_within_the_limits_is_taken() -> None:
    assert [parse({"limit": limit}).limit for limit in ("1", "200", "00200")] == [1, 200, 200]
    assert parse({"since": "9" * 15}).since_ms == 999_999_999_999_999
    assert [parse({"mdc": "x" * size}).where for size in (1, 2000)] == [{"mdc": digest("x")}, {"mdc": digest("x" * 2000)}]
    assert [parse({"id": "a" * size}).prefix for size in (4, 64)] == ["a" * 4, "a" * 64]


def test_without_a_parameter_the_first_fifty_of_all_are_meant() -> None:
    assert parse({}) == Query(where={}, since_ms=None, stream=None, prefix="", limit=50, cursor=None)
    assert Query() == parse({})
    assert PARAMETERS == ("state", "recording", "since", "stream", "meeting", "mdc", "limit", "cursor")


@pytest.mark.parametrize("name", ["state", "recording", "since", "stream", "meeting", "mdc", "cursor"])
def test_the_beginning_of_an_id_goes_with_a_limit_alone(name: str) -> None:
    assert parse({"id": "abcd", "limit": "7"}) == Query(prefix="abcd", limit=7)
    with pytest.raises(BadRequest, match=f"^id cannot be combined with {name}$"):
        parse({"id": "abcd", name: "x"})


def test_a_moment_is_counted_from_the_epoch_in_milliseconds() -> None:
    moments = ("1970-01-01T00:00:00Z", "1970-01-01T00:00:01.5Z", "1970-01-01T01:00:00+01:00", "1969-12-31T23:59:59Z")
    assert [parse({"since": moment}).since_ms for moment in moments] == [0, 1_500, 0, -1_000]


def test_the_id_of_a_hand_off_is_64_digits() -> None:
    assert checked_id("0af" + "9" * 61) == "0af" + "9" * 61
    for wrong in ("a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 64 + "\n", ""):
        with pytest.raises(BadRequest, match=r"^the id of a hand-off has 64 hex digits, lower case; GET /handoffs\?id= finds it"):
            checked_id(wrong)


@pytest.mark.parametrize("cursor", ["x", "1", "1.", ".1", "1.1.1", "-1.1", "1.100000", "1" * 16 + ".1", " 1.1", "1.1\n"])
async def test_a_cursor_of_somebody_elses_is_refused(cursor: str) -> None:
    known, _ = await filled([1])
    with pytest.raises(BadRequest, match=r"^cursor is not one that was given out$"):
        await page(known, Query(cursor=cursor))


async def test_a_page_reads_one_record_more_than_it_shows_and_its_cursor_says_where_it_ended() -> None:
    store = Asked()
    known, keys = await filled([5, 5, 5, 5, 7], store)
    rows, first = await page(known, Query(limit=3))
    assert ([row.key for row in rows], first) == (keys[:3], "5.2")
    rows, second = await page(known, Query(limit=1, cursor=first))
    assert ([row.key for row in rows], second) == (keys[3:4], "5.3")
    rows, end = await page(known, Query(limit=1, cursor=second))
    assert ([row.key for row in rows], end) == (keys[4:], None)
    assert store.asked == [(4, None), (4, 6), (5, 6)]


class Asked(MemoryStore):
    """Notes how many of the newest are asked for, and before when."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, int | None]] = []

    async def newest(self, collection: Collection, limit: int, before_ms: int | None = None, **more: Any) -> list[Stored]:
        self.asked.append((limit, before_ms))
        return await super().newest(collection, limit, before_ms, **more)


async def filled(moments: list[int], store: MemoryStore | None = None) -> tuple[Records, list[str]]:
    """Hand-offs of one meeting, created at these moments, and their keys latest first."""
    store = store or MemoryStore()
    keys = []
    for number, at in enumerate(moments):
        facts = Facts(key=digest(f"s{number}"), stream_id=f"s{number}", product="meeting", entity_id="m/m==", created_at=at)
        key = digest(f"h{number}")
        handoff = record.new(facts, key, "wss://a", at, at)
        await store.create("handoffs", key, documents.handoff_fields(handoff, 10**12))
        keys.append((at, key))
    return Records(store, Time(NOW), Middle(), Lines(), 10**12), [key for _, key in sorted(keys, reverse=True)]


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(1, 5))
def test_pages_put_together_are_the_whole_list(moments: list[int], limit: int) -> None:
    asyncio.run(all_pages(moments, limit))


async def all_pages(moments: list[int], limit: int) -> None:
    known, keys = await filled(moments)
    found: list[str] = []
    cursor: str | None = None
    for _ in range(len(moments) + 2):
        given = {"meeting": "m/m==", "limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        rows, cursor = await page(known, parse(given))
        assert len(rows) <= limit
        found += [row.key for row in rows]
        if cursor is None:
            break
    assert found == keys


async def test_a_stream_a_meeting_and_the_beginning_of_an_id_find_theirs() -> None:
    known, keys = await filled([1, 2, 3])
    assert [row.stream_id for row in (await page(known, parse({"stream": "s1"})))[0]] == ["s1"]
    assert [row.key for row in (await page(known, parse({"meeting": "m/m==", "since": "2"})))[0]] == keys[:2]
    assert (await page(known, parse({"meeting": "other"})))[0] == []
    assert [row.key for row in (await page(known, parse({"id": keys[0][:8]})))[0]] == [keys[0]]
    assert (await page(known, parse({"id": "0" * 60})))[0] == []
