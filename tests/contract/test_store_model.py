"""Any story of writes and queries ends on every store as it does on a dict."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ports.stores import MemoryStore

from rtms_relay.adapters.firestore import FirestoreStore
from rtms_relay.adapters.sqlite import SqliteStore
from rtms_relay.errors import AlreadyExists, Stale
from rtms_relay.ports import Collection, IndexedField, Store, Write

KEYS = st.sampled_from(["a", "B", "-", "_0", "ab"])
COLLECTIONS = st.sampled_from(["handoffs", "streams"])
MOMENTS = st.integers(-3, 3) | st.sampled_from([-(2**63), 2**63 - 1])
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(), max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=4), inner, max_size=3),
    max_leaves=6,
)
WORDS = st.sampled_from(["pending", "failed", "0" * 64])
NO_WORDS = st.sampled_from(["", "A", "a b", "0" * 65, 'x"', "\ud800"]) | VALUES
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "due_at": MOMENTS | st.none() | st.booleans(),
        "created_at": MOMENTS | st.none() | st.text(max_size=1),
        "state": WORDS | NO_WORDS,
        "meeting": WORDS | NO_WORDS,
        "value": VALUES,
    },
)


@dataclass(frozen=True)
class Create:
    collection: Collection
    key: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class Replace:
    collection: Collection
    key: str
    fields: dict[str, Any]
    version: Literal["current", "former", "another's"]


@dataclass(frozen=True)
class Commit:
    """Several writes at once, each on a document of its own."""

    parts: tuple[Create | Replace, ...]


@dataclass(frozen=True)
class Get:
    collection: Collection
    key: str


@dataclass(frozen=True)
class Due:
    collection: Collection
    before_ms: int
    limit: int


@dataclass(frozen=True)
class Newest:
    collection: Collection
    limit: int
    before_ms: int | None
    since_ms: int | None = None
    where: dict[IndexedField, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WithPrefix:
    collection: Collection
    prefix: str
    limit: int


@dataclass(frozen=True)
class Reopen:
    pass


LIMITS = st.integers(0, 6)
CREATES = st.builds(Create, COLLECTIONS, KEYS, DOCUMENTS)
REPLACES = st.builds(Replace, COLLECTIONS, KEYS, DOCUMENTS, st.sampled_from(["current", "current", "former", "another's"]))
COMMITS = st.lists(CREATES | REPLACES, min_size=1, max_size=4, unique_by=lambda part: (part.collection, part.key))
WHERE: st.SearchStrategy[dict[IndexedField, str]] = st.dictionaries(st.sampled_from(["state", "meeting"]), WORDS, max_size=2)
STEPS = st.one_of(
    CREATES,
    REPLACES,
    COMMITS.map(lambda parts: Commit(tuple(parts))),
    st.builds(Get, COLLECTIONS, KEYS),
    st.builds(Due, COLLECTIONS, MOMENTS, LIMITS),
    st.builds(Newest, COLLECTIONS, LIMITS, st.none() | MOMENTS),
    st.builds(Newest, COLLECTIONS, LIMITS, st.none() | MOMENTS, st.none() | MOMENTS, WHERE),
    st.builds(WithPrefix, COLLECTIONS, KEYS, LIMITS),
    st.builds(Reopen),
)


@dataclass
class Model:
    """The store as a dict: fields and every version there was, latest last."""

    documents: dict[tuple[str, str], tuple[dict[str, Any], list[str]]] = field(default_factory=dict)

    def version(self, step: Replace) -> str:
        versions = self.documents.get((step.collection, step.key), ({}, []))[1]
        if step.version == "current" and versions:
            return versions[-1]
        if step.version == "former" and len(versions) > 1:
            return versions[-2]
        others = [found for place, (_, found) in self.documents.items() if place != (step.collection, step.key)]
        return f"{others[0][-1]}0" if others else "1"

    def query(
        self,
        collection: str,
        moment: str,
        *,
        admits: Callable[[int], bool],
        newest: bool,
        limit: int,
        where: Mapping[IndexedField, str] | None = None,
    ) -> list[str]:
        found = [
            (fields[moment], key)
            for (place, key), (fields, _) in self.documents.items()
            if place == collection and type(fields.get(moment)) is int and admits(fields[moment])
            if all(fields.get(name) == text for name, text in (where or {}).items())
        ]
        return [key for _, key in sorted(found, reverse=newest)][:limit]


async def carry_out(store: Store, step: object, model: Model) -> None:
    match step:
        case Create(collection, key, fields):
            if (collection, key) in model.documents:
                with pytest.raises(AlreadyExists):
                    await store.create(collection, key, fields)
            else:
                model.documents[collection, key] = (fields, [await store.create(collection, key, fields)])
        case Replace(collection, key, fields):
            version = model.version(step)
            versions = model.documents.get((collection, key), ({}, []))[1]
            if versions and version == versions[-1]:
                versions.append(await store.replace(collection, key, fields, version))
                model.documents[collection, key] = (fields, versions)
                assert len(set(versions)) == len(versions)
            else:
                with pytest.raises(Stale):
                    await store.replace(collection, key, fields, version)
        case Commit(parts):
            await commit(store, parts, model)
        case Get(collection, key):
            found = await store.get(collection, key)
            if (collection, key) not in model.documents:
                assert found is None
            else:
                fields, versions = model.documents[collection, key]
                assert found is not None
                assert (found.key, json.dumps(found.fields), found.version) == (key, json.dumps(fields), versions[-1])
        case Due(collection, before_ms, limit):
            due = model.query(collection, "due_at", admits=lambda moment: moment <= step.before_ms, newest=False, limit=limit)
            assert [found.key for found in await store.due(collection, before_ms, limit)] == due
        case Newest(collection, limit, before_ms, since_ms, where):
            until, since = math.inf if before_ms is None else before_ms, -math.inf if since_ms is None else since_ms
            newest = model.query(
                collection, "created_at", admits=lambda moment: since <= moment < until, newest=True, limit=limit, where=where
            )
            rows = await store.newest(collection, limit, before_ms, since_ms=since_ms, where=where)
            assert [found.key for found in rows] == newest
        case WithPrefix(collection, prefix, limit):
            keys = sorted(key for place, key in model.documents if place == collection and key.startswith(prefix))
            assert [found.key for found in await store.with_prefix(collection, prefix, limit)] == keys[:limit]
        case _:
            await store.close()


async def commit(store: Store, parts: tuple[Create | Replace, ...], model: Model) -> None:
    writes = [Write(part.collection, part.key, part.fields, model.version(part) if isinstance(part, Replace) else None) for part in parts]
    current = [model.documents.get((part.collection, part.key), ({}, []))[1] for part in parts]
    fits = [not known if write.version is None else known[-1:] == [write.version] for write, known in zip(writes, current, strict=True)]
    if not all(fits):
        with pytest.raises((AlreadyExists, Stale)):
            await store.commit(writes)
        return
    versions = await store.commit(writes)
    for part, known, version in zip(parts, current, versions, strict=True):
        model.documents[part.collection, part.key] = (part.fields, [*known, version])


async def tell(story: list[object], store: Store) -> None:
    model = Model()
    try:
        for step in story:
            await carry_out(store, step, model)
        for collection, key in list(model.documents):
            await carry_out(store, Get("handoffs" if collection == "handoffs" else "streams", key), model)
    finally:
        await store.close()


@settings(max_examples=80)
@given(story=st.lists(STEPS, max_size=25))
def test_memory_behaves_as_a_dict(story: list[object]) -> None:
    asyncio.run(tell(story, MemoryStore()))


@settings(max_examples=80)
@given(story=st.lists(STEPS, max_size=25))
def test_sqlite_behaves_as_a_dict(story: list[object], tmp_path_factory: pytest.TempPathFactory) -> None:
    asyncio.run(tell(story, SqliteStore(str(tmp_path_factory.mktemp("story") / "state.db"), timeout_s=20)))


@pytest.mark.emulator
@settings(max_examples=30)
@given(story=st.lists(STEPS, max_size=20))
def test_firestore_behaves_as_a_dict(story: list[object], firestore_emulator: str, new_firestore_project: Callable[[], str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", firestore_emulator)
        asyncio.run(tell(story, FirestoreStore(new_firestore_project(), "rtmskit", timeout_s=20)))
