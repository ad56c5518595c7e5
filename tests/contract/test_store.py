"""What every store promises (ports.Store), on SQLite and on the official Firestore emulator."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.contract.conftest import Stores

from rtms_relay.errors import AlreadyExists, DocumentTooLarge, InvalidKey, Stale
from rtms_relay.ports import MAX_DOCUMENT_BYTES, Store, Stored, Write

ODD_IDS = [
    "/",
    "//",
    "/abc+/==",
    "x/y/z",
    "..",
    ".",
    "__name__",
    "a+b=c",
    "ajX/Ghv8SNmmMvfSZGd+wA==",
    "ü" * 750,
    "x" * 1500,
    "😀" * 375,
    "\u0000",
    "a\u0000b",
    "line\nbreak\r\ttab",
    "\u202eright to left",
    "\ud800",
    "",
    " ",
    "'; DROP TABLE documents; --",
]

DOCUMENTS: dict[str, dict[str, Any]] = {
    "empty": {},
    "empty name": {"": 1, "__reserved__": 2, "a.b": 3, "`": 4},
    "64 bits": {"low": -(2**63), "high": 2**63 - 1},
    "numbers": {"float": 0.1, "tiny": 5e-324, "whole": 1.0, "minus": -0.0, "int": 1, "big": 1e308},
    "kinds": {"none": None, "true": True, "false": False, "list": [1, "1", 1.5, None], "map": {"k": {}}},
    "lists in lists": {"l": [[], [[]], [[1], [2, [3]]]]},
    "queried fields of other types": {"due_at": "soon", "created_at": True},
    "keeps order": {"z": 1, "a": 2, "m": 3},
}


def same(found: Stored | None, key: str, fields: dict[str, Any]) -> bool:
    """Equal as JSON text, which also tells 1 from 1.0 and True, -0.0 from 0.0, and the order of names."""
    return found is not None and found.key == key and json.dumps(found.fields) == json.dumps(fields)


async def test_what_is_created_is_read_back(store: Store) -> None:
    version = await store.create("handoffs", "k1", {"state": "pending"})
    assert await store.get("handoffs", "k1") == Stored("k1", {"state": "pending"}, version)


async def test_what_was_never_written_is_none(store: Store) -> None:
    assert await store.get("handoffs", "nobody") is None


async def test_the_two_collections_are_apart(store: Store) -> None:
    await store.create("handoffs", "k1", {"a": 1})
    assert await store.get("streams", "k1") is None
    await store.create("streams", "k1", {"a": 2})
    assert same(await store.get("handoffs", "k1"), "k1", {"a": 1})


async def test_a_second_create_is_refused_and_changes_nothing(store: Store) -> None:
    await store.create("handoffs", "k1", {"by": "first"})
    with pytest.raises(AlreadyExists, match="handoffs/k1"):
        await store.create("handoffs", "k1", {"by": "second"})
    assert same(await store.get("handoffs", "k1"), "k1", {"by": "first"})


@pytest.mark.parametrize("shared", [True, False], ids=["one store", "sixteen stores"])
async def test_of_sixteen_racing_creates_exactly_one_wins(stores: Stores, shared: bool) -> None:
    one = stores.open()
    racers = [one if shared else stores.open() for _ in range(16)]
    for key in ("race-1", "race-2", "race-3"):
        outcomes = await asyncio.gather(
            *(racer.create("handoffs", key, {"by": number}) for number, racer in enumerate(racers)), return_exceptions=True
        )
        winners = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, str)]
        assert len(winners) == 1
        assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 15
        assert same(await one.get("handoffs", key), key, {"by": winners[0]})


async def test_replace_changes_the_whole_document_and_its_version(store: Store) -> None:
    first = await store.create("handoffs", "k1", {"old": 1, "due_at": 5, "created_at": 5})
    second = await store.replace("handoffs", "k1", {"new": 2}, first)
    assert second != first
    assert await store.get("handoffs", "k1") == Stored("k1", {"new": 2}, second)
    assert await store.due("handoffs", 100, 10) == []
    assert await store.newest("handoffs", 10) == []


async def test_a_version_is_good_for_one_replace(store: Store) -> None:
    first = await store.create("handoffs", "k1", {"n": 1})
    second = await store.replace("handoffs", "k1", {"n": 2}, first)
    with pytest.raises(Stale, match="handoffs/k1"):
        await store.replace("handoffs", "k1", {"n": 3}, first)
    assert same(await store.get("handoffs", "k1"), "k1", {"n": 2})
    third = await store.replace("handoffs", "k1", {"n": 4}, second)
    assert len({first, second, third}) == 3


async def test_a_replace_with_equal_fields_still_takes_the_version(store: Store) -> None:
    first = await store.create("handoffs", "k1", {"n": 1})
    await store.replace("handoffs", "k1", {"n": 1}, first)
    with pytest.raises(Stale):
        await store.replace("handoffs", "k1", {"n": 1}, first)


async def test_a_version_that_was_read_is_good(store: Store) -> None:
    await store.create("handoffs", "k1", {"n": 1})
    found = await store.get("handoffs", "k1")
    assert found is not None
    await store.replace("handoffs", "k1", {"n": 2}, found.version)


async def test_a_version_that_a_query_read_is_good(store: Store) -> None:
    await store.create("handoffs", "k1", {"due_at": 1, "created_at": 1})
    (found,) = await store.due("handoffs", 1, 1)
    await store.replace("handoffs", "k1", {"due_at": 1, "created_at": 1}, found.version)
    (found,) = await store.newest("handoffs", 1)
    await store.replace("handoffs", "k1", {}, found.version)


async def test_of_racing_replaces_exactly_one_wins(stores: Stores) -> None:
    racers = [stores.open() for _ in range(4)]
    version = await racers[0].create("handoffs", "k1", {"by": -1})
    outcomes = await asyncio.gather(
        *(racers[number % 4].replace("handoffs", "k1", {"by": number}, version) for number in range(16)), return_exceptions=True
    )
    winners = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, str)]
    assert len(winners) == 1
    assert sum(isinstance(outcome, Stale) for outcome in outcomes) == 15
    assert same(await racers[1].get("handoffs", "k1"), "k1", {"by": winners[0]})


@pytest.mark.parametrize("version", ["1", "1@2026-11-22T09:00:00.000000001Z"])
async def test_replacing_what_is_missing_is_stale_and_creates_nothing(store: Store, version: str) -> None:
    with pytest.raises(Stale):
        await store.replace("handoffs", "nobody", {"n": 1}, version)
    assert await store.get("handoffs", "nobody") is None


@pytest.mark.parametrize(
    "version", ["", "0", "-1", "nonsense", "\uff19", str(2**70), "1@2026-13-45T00:00:00Z", "1@", "@2026-11-22T09:00:00Z"]
)
async def test_a_made_up_version_is_stale(store: Store, version: str) -> None:
    await store.create("handoffs", "k1", {"n": 1})
    with pytest.raises(Stale):
        await store.replace("handoffs", "k1", {"n": 2}, version)
    assert same(await store.get("handoffs", "k1"), "k1", {"n": 1})


async def test_due_gives_the_earliest_first_up_to_and_including_the_moment(store: Store) -> None:
    for key, due in [("late", 30), ("early", 10), ("at", 20), ("after", 21), ("never", None), ("min", -(2**63))]:
        await store.create("handoffs", key, {"due_at": due})
    await store.create("handoffs", "absent", {})
    await store.create("streams", "other", {"due_at": 1})
    assert [found.key for found in await store.due("handoffs", 20, 10)] == ["min", "early", "at"]
    assert [found.key for found in await store.due("handoffs", 20, 2)] == ["min", "early"]
    assert [found.key for found in await store.due("handoffs", 2**63 - 1, 10)] == ["min", "early", "at", "after", "late"]
    assert same((await store.due("handoffs", 20, 10))[1], "early", {"due_at": 10})


async def test_newest_gives_the_latest_first_strictly_before_the_moment(store: Store) -> None:
    for key, created in [("b", 20), ("a", 10), ("d", 40), ("c", 30), ("null", None)]:
        await store.create("handoffs", key, {"created_at": created})
    await store.create("handoffs", "absent", {})
    await store.create("streams", "other", {"created_at": 50})
    assert [found.key for found in await store.newest("handoffs", 10)] == ["d", "c", "b", "a"]
    assert [found.key for found in await store.newest("handoffs", 2)] == ["d", "c"]
    assert [found.key for found in await store.newest("handoffs", 10, before_ms=30)] == ["b", "a"]
    assert [found.key for found in await store.newest("handoffs", 1, before_ms=31)] == ["c"]


async def test_a_list_is_narrowed_by_every_field_and_both_bounds_at_once(store: Store) -> None:
    rows = [
        ("a", 10, "failed", "m1"),
        ("b", 20, "failed", "m2"),
        ("c", 30, "pending", "m1"),
        ("d", 40, "failed", "m1"),
        ("e", 50, "", "m1"),
    ]
    for key, created, state, meeting in rows:
        await store.create("handoffs", key, {"created_at": created, "state": state, "meeting": meeting})
    await store.create("handoffs", "undated", {"state": "failed", "meeting": "m1"})
    await store.create("handoffs", "nested", {"created_at": 45, "attempt": {"state": "failed"}})
    await store.create("streams", "other", {"created_at": 45, "state": "failed"})

    async def keys(limit: int = 10, before_ms: int | None = None, **narrowing: Any) -> list[str]:
        return [found.key for found in await store.newest("handoffs", limit, before_ms, **narrowing)]

    assert await keys(where={"state": "failed"}) == ["d", "b", "a"]
    assert await keys(2, where={"state": "failed"}) == ["d", "b"]
    assert await keys(where={"state": "failed", "meeting": "m1"}) == ["d", "a"]
    assert await keys(40, 40, where={"state": "failed"}) == ["b", "a"]
    assert await keys(since_ms=20, where={"state": "failed"}) == ["d", "b"]
    assert await keys(40, 41, since_ms=40, where={"meeting": "m1"}) == ["d"]
    assert await keys(since_ms=45) == ["e", "nested"]
    assert await keys(where={"state": "expired"}) == []
    assert await keys(since_ms=2**70) == []


async def test_what_a_list_is_narrowed_by_follows_each_write(store: Store) -> None:
    version = await store.create("handoffs", "k1", {"created_at": 1, "state": "pending", "mdc": "x"})
    await store.replace("handoffs", "k1", {"created_at": 1, "state": "accepted"}, version)
    assert await store.newest("handoffs", 10, where={"state": "pending"}) == []
    assert await store.newest("handoffs", 10, where={"mdc": "x"}) == []
    assert [found.key for found in await store.newest("handoffs", 10, where={"state": "accepted"})] == ["k1"]


@pytest.mark.parametrize("value", [5, True, None, ["pending"], {"a": "pending"}, "Pending", "a" * 65, "", "\ud800", '["pending"]'])
async def test_only_a_word_narrows_a_list_and_anything_else_is_kept_as_it_is(store: Store, value: object) -> None:
    await store.create("handoffs", "k1", {"created_at": 1, "state": value})
    assert same(await store.get("handoffs", "k1"), "k1", {"created_at": 1, "state": value})
    for word in ("5", "1", "true", "null", "pending", "a" * 64):
        assert await store.newest("handoffs", 10, where={"state": word}) == []


async def test_documents_are_found_by_the_beginning_of_their_key(store: Store) -> None:
    for key in ("ab", "abc", "abz", "ab-", "ab_", "aB", "ac", "b"):
        await store.create("handoffs", key, {})
    await store.create("streams", "abc", {})
    assert [found.key for found in await store.with_prefix("handoffs", "ab", 10)] == ["ab", "ab-", "ab_", "abc", "abz"]
    assert [found.key for found in await store.with_prefix("handoffs", "ab", 2)] == ["ab", "ab-"]
    assert [found.key for found in await store.with_prefix("handoffs", "ac", 10)] == ["ac"]
    assert await store.with_prefix("handoffs", "x", 10) == []
    assert await store.with_prefix("handoffs", "ab", 0) == []
    for bad in ("", "a/", "%", "é", "__x__", "a" * 129):
        with pytest.raises(InvalidKey):
            await store.with_prefix("handoffs", bad, 10)


async def test_equal_moments_are_ordered_by_key(store: Store) -> None:
    for key in ("b", "a", "C", "_", "1"):
        await store.create("handoffs", key, {"due_at": 7, "created_at": 7})
    assert [found.key for found in await store.due("handoffs", 7, 10)] == ["1", "C", "_", "a", "b"]
    assert [found.key for found in await store.newest("handoffs", 10)] == ["b", "a", "_", "C", "1"]


@pytest.mark.parametrize("limit", [0, -1])
async def test_a_limit_of_nothing_gives_nothing(store: Store, limit: int) -> None:
    await store.create("handoffs", "k1", {"due_at": 1, "created_at": 1})
    assert await store.due("handoffs", 10, limit) == []
    assert await store.newest("handoffs", limit) == []


async def test_moments_beyond_64_bits_are_bounds_like_any_other(store: Store) -> None:
    await store.create("handoffs", "k1", {"due_at": 1, "created_at": 1})
    assert len(await store.due("handoffs", 2**80, 10)) == 1
    assert await store.due("handoffs", -(2**80), 10) == []
    assert len(await store.newest("handoffs", 10, before_ms=2**80)) == 1


@pytest.mark.parametrize("value", [True, "1", 1.0, [1], 2**63])
async def test_only_a_64_bit_integer_is_a_moment(store: Store, value: object) -> None:
    await store.create("handoffs", "k1", {"due_at": value, "created_at": value})
    assert await store.due("handoffs", 2**63 - 1, 10) == []
    assert await store.newest("handoffs", 10) == []
    assert same(await store.get("handoffs", "k1"), "k1", {"due_at": value, "created_at": value})


async def test_odd_ids_survive_as_values_and_names(store: Store) -> None:
    fields = {"ids": ODD_IDS, "names": {f"{odd}!": odd for odd in ODD_IDS}}
    version = await store.create("handoffs", "k1", fields)
    assert same(await store.get("handoffs", "k1"), "k1", fields)
    await store.replace("handoffs", "k1", {"again": fields}, version)
    assert same(await store.get("handoffs", "k1"), "k1", {"again": fields})


@pytest.mark.parametrize("key", [*ODD_IDS, "a" * 129, "é", "a\n", "__", "____", "__reserved__"], ids=lambda key: repr(key[:20]))
async def test_odd_ids_are_refused_as_keys(store: Store, key: str) -> None:
    if key == "__":
        await store.create("handoffs", key, {})  # reserved are only names with something, or nothing, between two such pairs
        return
    with pytest.raises(InvalidKey):
        await store.create("handoffs", key, {})
    with pytest.raises(InvalidKey):
        await store.get("handoffs", key)
    with pytest.raises(InvalidKey):
        await store.replace("handoffs", key, {}, "1")


@pytest.mark.parametrize("key", ["a", "-", "_", "a" * 128, "0" * 64, "A-b_9", "__a", "a__"])
async def test_every_other_key_is_good(store: Store, key: str) -> None:
    await store.create("handoffs", key, {"created_at": 1})
    assert same(await store.get("handoffs", key), key, {"created_at": 1})
    assert [found.key for found in await store.newest("handoffs", 1)] == [key]


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_documents_come_back_exactly(store: Store, name: str) -> None:
    await store.create("handoffs", "k1", DOCUMENTS[name])
    assert same(await store.get("handoffs", "k1"), "k1", DOCUMENTS[name])


async def test_deep_values_come_back_exactly(store: Store) -> None:
    deep: Any = "bottom"
    for level in range(200):
        deep = {"k": deep} if level % 2 else [deep]
    await store.create("handoffs", "k1", {"deep": deep})
    assert same(await store.get("handoffs", "k1"), "k1", {"deep": deep})


@pytest.mark.parametrize("letter", ["x", "ü", "😀"])
async def test_a_document_of_the_largest_size_fits_and_one_more_byte_does_not(store: Store, letter: str) -> None:
    room = MAX_DOCUMENT_BYTES - len(b'{"v":""}')
    width = len(letter.encode())
    fits = letter * (room // width) + "y" * (room % width)
    version = await store.create("handoffs", "k1", {"v": fits})
    assert same(await store.get("handoffs", "k1"), "k1", {"v": fits})
    with pytest.raises(DocumentTooLarge, match="1000001"):
        await store.create("handoffs", "k2", {"v": fits + "y"})
    with pytest.raises(DocumentTooLarge):
        await store.replace("handoffs", "k1", {"v": fits + "y"}, version)
    assert await store.get("handoffs", "k2") is None
    assert same(await store.get("handoffs", "k1"), "k1", {"v": fits})


async def test_many_small_values_fit_as_well_as_one_large_one(store: Store) -> None:
    fields = {"v": [0] * 499_990}
    await store.create("handoffs", "k1", fields)
    assert same(await store.get("handoffs", "k1"), "k1", fields)


@pytest.mark.parametrize(
    "fields",
    [{"v": float("nan")}, {"v": float("inf")}, {"v": b"x"}, {"v": {1, 2}}, {"v": object()}, {1: "v"}],
    ids=lambda fields: repr(fields)[:20],
)
async def test_what_is_not_json_is_refused_before_anything_is_written(store: Store, fields: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        await store.create("handoffs", "k1", fields)
    assert await store.get("handoffs", "k1") is None


async def test_other_stores_on_the_same_data_see_each_write_at_once(stores: Stores) -> None:
    one, other = stores.open(), stores.open()
    version = await one.create("handoffs", "k1", {"n": 1})
    found = await other.get("handoffs", "k1")
    assert found is not None
    assert found.version == version
    await other.replace("handoffs", "k1", {"n": 2, "due_at": 1}, version)
    assert same((await one.due("handoffs", 1, 1))[0], "k1", {"n": 2, "due_at": 1})
    with pytest.raises(Stale):
        await one.replace("handoffs", "k1", {"n": 3}, version)


async def test_a_reopened_store_has_everything_and_closing_twice_is_harmless(stores: Stores) -> None:
    store = stores.open()
    version = await store.create("handoffs", "k1", {"n": 1})
    await store.close()
    await store.close()
    await store.replace("handoffs", "k1", {"n": 2}, version)  # further use opens it again
    await store.close()
    reopened = stores.open()
    assert same(await reopened.get("handoffs", "k1"), "k1", {"n": 2})


async def test_closing_an_unused_store_is_harmless(stores: Stores) -> None:
    await stores.open().close()


async def test_a_cancelled_call_leaves_the_store_usable(store: Store) -> None:
    call = asyncio.ensure_future(store.create("handoffs", "k1", {"n": 1}))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await store.create("handoffs", "k2", {"n": 2})
    found = await store.get("handoffs", "k1")
    assert found is None or same(found, "k1", {"n": 1})


async def test_two_hundred_calls_at_once_are_all_answered(store: Store) -> None:
    await asyncio.gather(*(store.create("handoffs", f"k{number}", {"created_at": number}) for number in range(100)))
    found = await asyncio.gather(*(store.get("handoffs", f"k{number}") for number in range(100)))
    assert all(same(one, f"k{number}", {"created_at": number}) for number, one in enumerate(found))
    assert [one.key for one in await store.newest("handoffs", 3)] == ["k99", "k98", "k97"]


async def test_a_commit_writes_all(store: Store) -> None:
    first = await store.create("handoffs", "old", {"a": 1})
    versions = await store.commit(
        [Write("handoffs", "old", {"a": 2}, first), Write("handoffs", "new", {"b": 1}), Write("streams", "s", {"c": 1})]
    )
    assert await store.get("handoffs", "old") == Stored("old", {"a": 2}, versions[0])
    assert await store.get("handoffs", "new") == Stored("new", {"b": 1}, versions[1])
    assert await store.get("streams", "s") == Stored("s", {"c": 1}, versions[2])
    # Its versions are those that the next write wants.
    await store.replace("handoffs", "new", {"b": 2}, versions[1])


@pytest.mark.parametrize("order", [1, -1])
async def test_a_commit_of_which_one_condition_fails_writes_nothing(store: Store, order: int) -> None:
    first = await store.create("handoffs", "old", {"a": 1})
    await store.replace("handoffs", "old", {"a": 2}, first)
    stale = [Write("streams", "s", {"c": 1}), Write("handoffs", "old", {"a": 3}, first)]
    with pytest.raises(Stale):
        await store.commit(stale[::order])
    taken = [Write("streams", "s", {"c": 1}), Write("handoffs", "old", {"a": 3})]
    with pytest.raises(AlreadyExists):
        await store.commit(taken[::order])
    assert await store.get("streams", "s") is None
    assert same(await store.get("handoffs", "old"), "old", {"a": 2})


async def test_of_racing_commits_on_one_document_one_wins_and_the_others_leave_nothing(stores: Stores) -> None:
    one = stores.open()
    first = await one.create("streams", "s", {"by": -1})

    async def race(number: int) -> bool:
        try:
            await one.commit([Write("handoffs", f"h{number}", {"by": number}), Write("streams", "s", {"by": number}, first)])
        except Stale:
            return False
        return True

    won = await asyncio.gather(*(race(number) for number in range(12)))
    assert won.count(True) == 1
    winner = won.index(True)
    assert same(await one.get("streams", "s"), "s", {"by": winner})
    assert [await one.get("handoffs", f"h{number}") is not None for number in range(12)] == won


async def test_an_invalid_key_in_a_commit_writes_nothing(store: Store) -> None:
    with pytest.raises(InvalidKey):
        await store.commit([Write("streams", "s", {"c": 1}), Write("handoffs", "a/b", {})])
    assert await store.get("streams", "s") is None
