"""Records over a store: what is written on which condition, how long is insisted, and how one's own lost write is told from another's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from msgspec.structs import replace
from tests.ports.events import NOW
from tests.ports.plain import Lines, Middle
from tests.ports.stores import MemoryStore
from tests.ports.time import Time
from tests.ports.values import FACTS, HANDOFF, KEY, STREAM_KEY

from rtms_relay.errors import Stale, StoreError, StoreUnavailable
from rtms_relay.handoff.facts import Facts
from rtms_relay.handoff.record import HandOff
from rtms_relay.records import Change, Records

DAY_MS = 86_400_000


class Watched:
    """A store, its records, and every call that the store had: (moment in ms since the beginning, operation)."""

    def __init__(self) -> None:
        self.time, self.store, self.log = Time(NOW), MemoryStore(), Lines()
        self.records = Records(self.store, self.time, Middle(), self.log, 30 * DAY_MS)
        self.calls: list[tuple[float, str]] = []
        self.fails: Callable[[str], Exception | None] = lambda _: None
        self.store.trouble = self._called

    async def _called(self, operation: str) -> None:
        self.calls.append((self.time.monotonic_ms(), operation))
        if (error := self.fails(operation)) is not None:
            raise error

    async def with_handoff(self) -> Watched:
        await self.note(lambda facts, _: Change(facts, {KEY: HANDOFF}, None), keys=[KEY])
        self.calls.clear()
        return self

    async def note(self, decide: Callable[[Facts, Mapping[str, HandOff]], Change[Any]], keys: list[str]) -> Any:
        return await self.time.until_done(self.records.change_stream(FACTS, lambda _: keys, decide))

    async def stop(self, key: str = KEY, reason: str = "x") -> tuple[HandOff, HandOff] | None:
        return await self.time.until_done(self.records.change_handoff(key, lambda one: with_reason(one, reason)))

    def of(self, operation: str) -> list[float]:
        return [at for at, name in self.calls if name == operation]


def with_reason(one: HandOff, reason: str) -> HandOff:
    return replace(one, attempt=replace(one.attempt, reason=reason))


# Changing


async def test_a_new_stream_and_its_hand_off_are_one_commit_of_two_creations() -> None:
    bench = Watched()
    commits: list[list[tuple[str, str, str | None]]] = []
    commit = bench.store.commit

    async def watched(writes: Any) -> list[str]:
        commits.append([(write.collection, write.key, write.version) for write in writes])
        return await commit(writes)

    bench.store.commit = watched
    await bench.note(lambda facts, _: Change(facts, {KEY: HANDOFF}, None), keys=[KEY])
    assert commits == [[("streams", STREAM_KEY, None), ("handoffs", KEY, None)]]
    assert await bench.stop() is not None
    assert commits[1:] == [[("handoffs", KEY, "1")]]


async def test_what_does_not_change_is_not_written() -> None:
    bench = await Watched().with_handoff()
    writes = bench.store.writes
    changed = await bench.note(lambda facts, before: Change(facts, before, "seen"), keys=[KEY, "c" * 64])
    assert (changed.result, [after.key for _, after in changed.handoffs]) == ("seen", [KEY])
    before, after = await bench.stop(reason=HANDOFF.attempt.reason) or (None, None)
    assert before == after == HANDOFF
    assert (bench.store.writes, bench.of("commit")) == (writes, [])


async def test_a_change_of_what_is_not_there_is_none_and_writes_nothing() -> None:
    bench = Watched()
    assert await bench.stop() is None
    assert bench.store.writes == 0


async def test_what_is_written_is_a_function_of_what_is_stored_then() -> None:
    """Another worker writes between the read and the commit: the change is made anew, on what that one wrote."""
    bench = await Watched().with_handoff()
    seen: list[str] = []

    def change(one: HandOff) -> HandOff:
        seen.append(one.attempt.reason)
        if len(seen) == 1:
            version, fields = bench.store.documents["handoffs", KEY]
            bench.store.documents["handoffs", KEY] = (version + 1, {**fields, "attempt": {**fields["attempt"], "reason": "theirs"}})
        return with_reason(one, f"{one.attempt.reason} mine")

    before, after = await bench.time.until_done(bench.records.change_handoff(KEY, change)) or (None, None)
    assert seen == ["", "theirs"]
    assert before is not None
    assert after is not None
    assert (before.attempt.reason, after.attempt.reason) == ("theirs", "theirs mine")


@pytest.mark.parametrize("losses", [1, 2, 3, 5])
async def test_from_the_third_loss_in_a_row_on_it_waits_a_little(losses: int) -> None:
    """Many are at this record: 5 to 50 ms, here the middle."""
    bench = await Watched().with_handoff()
    left = losses

    def lost(operation: str) -> Exception | None:
        nonlocal left
        left -= operation == "commit"
        return Stale("another was faster") if operation == "commit" and left >= 0 else None

    bench.fails = lost
    pauses = pytest.approx([0.0] * min(3, losses + 1) + [27.5 * number for number in range(1, losses - 1)])
    await bench.stop()
    assert bench.of("commit") == pauses
    for change in (
        bench.records.change_stream(FACTS, lambda _: [], lambda facts, _: Change(replace(facts, account_id="a"), {}, None)),
        bench.records.note("marks", "m", lambda _: {"n": 1}),
    ):
        bench.calls.clear()
        left, began = losses, bench.time.monotonic_ms()
        await bench.time.until_done(change)
        assert [at - began for at in bench.of("commit")] == pauses


async def test_a_record_that_changes_sixty_times_meanwhile_is_given_up() -> None:
    bench = await Watched().with_handoff()
    bench.fails = lambda operation: Stale("another was faster") if operation == "commit" else None
    with pytest.raises(StoreUnavailable, match=f"handoffs/{KEY} changes faster than it can be written"):
        await bench.stop()
    assert len(bench.of("commit")) == 60
    with pytest.raises(StoreUnavailable, match=f"streams/{STREAM_KEY} changes faster than it can be written"):
        await bench.note(lambda facts, _: Change(replace(facts, account_id="a"), {}, None), keys=[])
    with pytest.raises(StoreUnavailable, match="marks/m changes faster than it can be written"):
        await bench.time.until_done(bench.records.note("marks", "m", lambda _: {"n": 1}))
    assert len(bench.of("commit")) == 180


# A store that fails


async def test_a_store_that_is_away_is_asked_again_every_50_ms_for_a_second() -> None:
    bench = Watched()
    await bench.time.run(10_000)
    bench.fails = lambda _: StoreUnavailable("away")
    with pytest.raises(StoreUnavailable, match="away"):
        await bench.time.until_done(bench.records.handoff(KEY))
    assert bench.of("get") == [10_000.0 + 50.0 * number for number in range(21)]


async def test_a_failure_that_will_not_pass_is_not_waited_for() -> None:
    bench = Watched()
    bench.fails = lambda _: StoreUnavailable("no such database", permanent=True)
    with pytest.raises(StoreUnavailable, match="no such database"):
        await bench.time.until_done(bench.records.handoff(KEY))
    assert bench.of("get") == [0.0]


async def test_a_write_that_had_its_effect_before_its_answer_was_lost_is_ones_own() -> None:
    bench = await Watched().with_handoff()
    answers = [StoreUnavailable("the answer got lost")]

    async def lose(_: str) -> None:
        if answers:
            raise answers.pop()

    bench.store.after_commit = lose
    changes = 0

    def change(one: HandOff) -> HandOff:
        nonlocal changes
        changes += 1
        return with_reason(one, f"{one.attempt.reason}+")

    _, after = await bench.time.until_done(bench.records.change_handoff(KEY, change)) or (None, None)
    assert changes == 1
    assert after is not None
    assert bench.store.all("handoffs")[KEY]["attempt"]["reason"] == after.attempt.reason == "+"


@pytest.mark.parametrize("mark", [{"write": "theirs"}, {}], ids=["another's", "an earlier release's, without a mark"])
async def test_a_write_of_anothers_after_a_lost_answer_is_not_taken_for_ones_own(mark: dict[str, str]) -> None:
    bench = await Watched().with_handoff()
    left = 1

    def lost(operation: str) -> Exception | None:
        nonlocal left
        if operation != "commit" or not left:
            return None
        left -= 1
        version, fields = bench.store.documents["handoffs", KEY]
        theirs = {name: value for name, value in fields.items() if name != "write"} | mark
        bench.store.documents["handoffs", KEY] = (version + 1, theirs)
        return StoreUnavailable("no answer, and nothing was written")

    bench.fails = lost
    changes = 0

    def change(one: HandOff) -> HandOff:
        nonlocal changes
        changes += 1
        return with_reason(one, "mine")

    await bench.time.until_done(bench.records.change_handoff(KEY, change))
    assert changes == 2
    assert bench.store.all("handoffs")[KEY]["attempt"]["reason"] == "mine"
    assert len(bench.of("commit")) == 3


# Reading


async def test_a_record_that_cannot_be_read_is_left_out_of_a_list_and_said() -> None:
    bench = await Watched().with_handoff()
    bench.store.documents["handoffs", "d" * 64] = (1, {"attempt": 7, "due_at": NOW, "created_at": NOW})
    for listed in (bench.records.newest(10, None), bench.records.with_prefix("d", 10), bench.records.due(NOW, 10)):
        rows = await bench.time.until_done(listed)
        assert "d" * 64 not in {row.key for row in rows}
    lines = bench.log.of("error")
    assert {(line["severity"], line["where"]) for line in lines} == {("ERROR", "records")}
    assert all(line["what"].startswith(f"the record {'d' * 64} cannot be read: ") for line in lines)
    assert len(lines) == 3
    with pytest.raises(StoreError, match=f"the record {'d' * 64} cannot be read"):
        await bench.time.until_done(bench.records.handoff("d" * 64))


async def test_lists_ask_the_store_for_hand_offs_with_their_bounds() -> None:
    bench = await Watched().with_handoff()
    asked: list[tuple[Any, ...]] = []

    async def newest(*args: Any, **given: Any) -> list[Any]:
        asked.append((*args, given))
        return []

    bench.store.newest = newest
    await bench.time.until_done(bench.records.newest(7, NOW, since_ms=5, where={"state": "failed"}))
    assert asked == [("handoffs", 7, NOW, {"since_ms": 5, "where": {"state": "failed"}})]


async def test_a_document_that_is_no_record_is_made_changed_and_left_alone() -> None:
    bench = Watched()

    async def note(fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
        before: list[Mapping[str, Any] | None] = []

        def change(known: Mapping[str, Any] | None) -> Mapping[str, Any]:
            before.append(known)
            return fields

        await bench.time.until_done(bench.records.note("marks", "m", change))
        return before[-1]

    assert await bench.time.until_done(bench.records.noted("marks", "m")) is None
    assert await note({"n": 1}) is None
    assert await note({"n": 1}) == {"n": 1}
    assert bench.store.writes == 1
    assert await note({"n": 2}) == {"n": 1}
    assert await bench.time.until_done(bench.records.noted("marks", "m")) == {"n": 2}


async def test_a_record_is_kept_for_as_long_as_it_was_told() -> None:
    bench = await Watched().with_handoff()
    assert await bench.time.until_done(bench.records.facts(STREAM_KEY)) == FACTS
    assert bench.store.all("streams")[STREAM_KEY]["expires_at"] == FACTS.last_ts + 30 * DAY_MS
