"""Typed records over a `Store`: create, read, and change by compare-and-set."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from rtms_relay import handoff as states
from rtms_relay.errors import AlreadyExists, Stale, StoreError, StoreUnavailable
from rtms_relay.handoff import HandOff, Stream
from rtms_relay.ports import Clock, Collection, Log, Randomness, Store, Stored

T = TypeVar("T")

_TRIES = 60
_PATIENCE_MS = 1000
_PAUSE_S = 0.05


class Records:
    """Hand-offs and streams in a store. Every change is a function of the record as it is stored at that moment.

    A call that fails with `StoreUnavailable` is tried again for up to a second: all writes here are conditional and their
    functions idempotent, so one that had its effect after all does no harm.
    """

    def __init__(self, store: Store, clock: Clock, randomness: Randomness, log: Log, keep_ms: int) -> None:
        self._store = store
        self._clock = clock
        self._randomness = randomness
        self._log = log
        self._keep_ms = keep_ms

    async def create(self, record: HandOff | Stream) -> bool:
        """Whether it was created; False: a record of that key is there already."""
        collection: Collection = "handoffs" if isinstance(record, HandOff) else "streams"
        fields = states.to_fields(record, self._keep_ms)
        try:
            await self._insist(lambda: self._store.create(collection, record.key, fields))
        except AlreadyExists:
            return False
        return True

    async def handoff(self, key: str) -> tuple[HandOff, str] | None:
        """A hand-off and its version."""
        stored = await self._get("handoffs", key)
        return None if stored is None else (_read(stored, states.read_handoff), stored.version)

    async def stream(self, key: str) -> Stream | None:
        stored = await self._get("streams", key)
        return None if stored is None else _read(stored, states.read_stream)

    async def replace_handoff(self, record: HandOff, version: str) -> bool:
        """Whether it still had that version and was replaced. Not tried again when it fails: the caller reads anew."""
        try:
            await self._store.replace("handoffs", record.key, states.to_fields(record, self._keep_ms), version)
        except Stale:
            return False
        return True

    async def change_handoff(self, key: str, change: Callable[[HandOff], HandOff]) -> tuple[HandOff, HandOff] | None:
        """The record before and after; None if there is none. `change` may be called several times."""
        for number in range(_TRIES):
            found = await self.handoff(key)
            if found is None:
                return None
            before, version = found
            after = change(before)
            if after == before or await self._replaced("handoffs", after, version):
                return before, after
            await self._spread(number)
        raise StoreUnavailable(f"handoffs/{key} changes faster than it can be written")

    async def change_stream(self, initial: Stream, change: Callable[[Stream], Stream], *, expect_new: bool) -> Stream:
        """The record after `change`, begun from `initial` if there is none yet."""
        if expect_new and await self.create(change(initial)):
            return change(initial)
        for number in range(_TRIES):
            stored = await self._get("streams", initial.key)
            if stored is None:
                if await self.create(change(initial)):
                    return change(initial)
                continue
            before = _read(stored, states.read_stream)
            after = change(before)
            if after == before or await self._replaced("streams", after, stored.version):
                return after
            await self._spread(number)
        raise StoreUnavailable(f"streams/{initial.key} changes faster than it can be written")

    async def due(self, now: int, limit: int) -> list[HandOff]:
        """Hand-offs whose `due_at` has come. A record that cannot be read is logged and left out."""
        return self._readable(await self._insist(lambda: self._store.due("handoffs", now, limit)))

    async def newest(self, limit: int, before_ms: int | None) -> list[HandOff]:
        return self._readable(await self._insist(lambda: self._store.newest("handoffs", limit, before_ms)))

    async def _get(self, collection: Collection, key: str) -> Stored | None:
        return await self._insist(lambda: self._store.get(collection, key))

    async def _replaced(self, collection: Collection, record: HandOff | Stream, version: str) -> bool:
        fields = states.to_fields(record, self._keep_ms)
        try:
            await self._insist(lambda: self._store.replace(collection, record.key, fields, version))
        except Stale:
            return False
        return True

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        began = self._clock.now_ms()
        while True:
            try:
                return await call()
            except StoreUnavailable:
                if self._clock.now_ms() - began >= _PATIENCE_MS:
                    raise
            await self._clock.sleep(_PAUSE_S * self._randomness.uniform(0.5, 1.5))

    async def _spread(self, losses: int) -> None:
        if losses >= 2:  # the third loss in a row is a crowd
            await self._clock.sleep(_PAUSE_S * self._randomness.uniform(0.1, 1.0))

    def _readable(self, found: list[Stored]) -> list[HandOff]:
        readable = []
        for stored in found:
            try:
                readable.append(_read(stored, states.read_handoff))
            except StoreError as error:
                self._log("ERROR", "error", where="records", what=str(error))
        return readable


def _read(stored: Stored, read: Callable[[Any], Any]) -> Any:
    try:
        return read(stored.fields)
    except msgspec.ValidationError as error:
        raise StoreError(f"the record {stored.key} cannot be read: {error}") from error
