"""Typed records over a `Store`: read, and change by compare-and-set, facts and hand-offs of a stream in one commit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from rtms_relay.errors import AlreadyExists, Stale, StoreError, StoreUnavailable
from rtms_relay.handoff import documents
from rtms_relay.handoff.facts import Facts
from rtms_relay.handoff.record import HandOff
from rtms_relay.ports import Clock, Collection, IndexedField, Log, Randomness, Store, Stored, Write

T = TypeVar("T")
R = TypeVar("R")

_TRIES = 60
_PATIENCE_MS = 1_000
_PAUSE_S = 0.05

_MARK = "write"
"""The field of a record's document that differs from write to write."""


@dataclass(frozen=True, slots=True)
class Change(Generic[R]):
    """The new state of a stream: its facts, the hand-offs that change with it, and what the caller wants to know of it."""

    facts: Facts
    handoffs: Mapping[str, HandOff]
    result: R


@dataclass(frozen=True, slots=True)
class Changed(Generic[R]):
    """A change as it was written: each hand-off before (None: it is new) and after."""

    facts: Facts
    handoffs: tuple[tuple[HandOff | None, HandOff], ...]
    result: R


Decide = Callable[[Facts, Mapping[str, HandOff]], Change[R]]


class Records:
    """Hand-offs and facts in a store. Every change is a function of the records as they are stored at that moment.

    A call that fails with `StoreUnavailable` is tried again for up to a second, unless the failure is permanent. All writes here are
    conditional. One that had its effect although its answer got lost is known by its mark (`_MARK`): a lease taken by it is one's own.
    """

    def __init__(self, store: Store, clock: Clock, randomness: Randomness, log: Log, keep_ms: int) -> None:
        self._store = store
        self._clock = clock
        self._randomness = randomness
        self._log = log
        self._keep_ms = keep_ms

    async def handoff(self, key: str) -> HandOff | None:
        stored = await self._get("handoffs", key)
        return None if stored is None else _read(stored, documents.read_handoff)

    async def facts(self, key: str) -> Facts | None:
        stored = await self._get("streams", key)
        return None if stored is None else _read(stored, documents.read_facts)

    async def change_handoff(self, key: str, change: Callable[[HandOff], HandOff]) -> tuple[HandOff, HandOff] | None:
        """The record before and after, or None if there is none."""
        for number in range(_TRIES):
            stored = await self._get("handoffs", key)
            if stored is None:
                return None
            before: HandOff = _read(stored, documents.read_handoff)
            after = change(before)
            if after == before or await self._committed([self._write(after, stored.version)]):
                return before, after
            await self._spread(number)
        raise StoreUnavailable(f"handoffs/{key} changes faster than it can be written")

    async def change_stream(self, initial: Facts, keys: Callable[[Facts], Iterable[str]], decide: Decide[R]) -> Changed[R]:
        """Change a stream's facts and hand-offs in one commit. `initial`: its facts if nothing is known of it. `keys`: the hand-offs to
        read, of those that the facts name or will name."""
        for number in range(_TRIES):
            stored = await self._get("streams", initial.key)
            facts: Facts = initial if stored is None else _read(stored, documents.read_facts)
            before, versions = await self._handoffs(keys(facts))
            change = decide(facts, before)
            writes = (
                [self._write(change.facts, None if stored is None else stored.version)] if stored is None or change.facts != facts else []
            )
            changed = {key: after for key, after in change.handoffs.items() if after != before.get(key)}
            writes += [self._write(after, versions.get(key)) for key, after in changed.items()]
            if not writes or await self._committed(writes):
                return Changed(change.facts, tuple((before.get(key), after) for key, after in change.handoffs.items()), change.result)
            await self._spread(number)
        raise StoreUnavailable(f"streams/{initial.key} changes faster than it can be written")

    async def _handoffs(self, keys: Iterable[str]) -> tuple[dict[str, HandOff], dict[str, str]]:
        """Those of the hand-offs that there are, and their versions."""
        versions: dict[str, str] = {}
        before: dict[str, HandOff] = {}
        for key in keys:
            if (document := await self._get("handoffs", key)) is not None:
                before[key], versions[key] = _read(document, documents.read_handoff), document.version
        return before, versions

    async def due(self, now: int, limit: int) -> list[HandOff]:
        """Hand-offs whose `due_at` has come. A record that cannot be read is logged and left out."""
        return self._readable(await self._insist(lambda: self._store.due("handoffs", now, limit)))

    async def newest(
        self, limit: int, before_ms: int | None, *, since_ms: int | None = None, where: Mapping[IndexedField, str] | None = None
    ) -> list[HandOff]:
        """Latest first; see `Store.newest`."""
        return self._readable(await self._insist(lambda: self._store.newest("handoffs", limit, before_ms, since_ms=since_ms, where=where)))

    async def with_prefix(self, prefix: str, limit: int) -> list[HandOff]:
        return self._readable(await self._insist(lambda: self._store.with_prefix("handoffs", prefix, limit)))

    async def note(self, collection: Collection, key: str, change: Callable[[Mapping[str, Any] | None], Mapping[str, Any]]) -> None:
        """Change a document that is no record of a stream."""
        for number in range(_TRIES):
            stored = await self._get(collection, key)
            fields = change(None if stored is None else stored.fields)
            if stored is not None and fields == stored.fields:
                return
            if await self._committed([Write(collection, key, fields, None if stored is None else stored.version)]):
                return
            await self._spread(number)
        raise StoreUnavailable(f"{collection}/{key} changes faster than it can be written")

    async def noted(self, collection: Collection, key: str) -> Mapping[str, Any] | None:
        stored = await self._get(collection, key)
        return None if stored is None else stored.fields

    def _write(self, record: HandOff | Facts, version: str | None) -> Write:
        mark = {_MARK: f"{self._randomness.uniform(0, 1):.16f}"}
        if isinstance(record, HandOff):
            return Write("handoffs", record.key, documents.handoff_fields(record, self._keep_ms) | mark, version)
        return Write("streams", record.key, documents.facts_fields(record, self._keep_ms) | mark, version)

    async def _get(self, collection: Collection, key: str) -> Stored | None:
        return await self._insist(lambda: self._store.get(collection, key))

    async def _committed(self, writes: list[Write]) -> bool:
        """False: a document has changed since it was read."""
        unclear = False

        async def commit() -> None:
            nonlocal unclear
            try:
                await self._store.commit(writes)
            except StoreUnavailable:
                unclear = True
                raise

        try:
            await self._insist(commit)
        except (Stale, AlreadyExists):
            return unclear and await self._is_there(writes[-1])
        return True

    async def _is_there(self, write: Write) -> bool:
        """Whether an earlier try of this very write had its effect. One commit writes all or nothing, so one document tells; the last is a
        hand-off, if any is among them."""
        stored = await self._get(write.collection, write.key)
        mark = write.fields.get(_MARK)
        return stored is not None and mark is not None and stored.fields.get(_MARK) == mark

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        began = self._clock.monotonic_ms()
        while True:
            try:
                return await call()
            except StoreUnavailable as error:
                if error.permanent or self._clock.monotonic_ms() - began >= _PATIENCE_MS:
                    raise
            await self._clock.sleep(_PAUSE_S * self._randomness.uniform(0.5, 1.5))

    async def _spread(self, losses: int) -> None:
        if losses >= 2:  # the third loss in a row means that many are at this record
            await self._clock.sleep(_PAUSE_S * self._randomness.uniform(0.1, 1.0))

    def _readable(self, documents_: list[Stored]) -> list[HandOff]:
        readable = []
        for stored in documents_:
            try:
                readable.append(_read(stored, documents.read_handoff))
            except StoreError as error:
                self._log("ERROR", "error", where="records", what=str(error))
        return readable


def _read(stored: Stored, read: Callable[[Any], Any]) -> Any:
    try:
        return read(stored.fields)
    except msgspec.ValidationError as error:
        raise StoreError(f"the record {stored.key} cannot be read: {error}") from error
