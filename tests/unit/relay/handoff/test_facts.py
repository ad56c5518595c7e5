"""Facts of a stream: runs of starts in any order, stops, the table of stop reasons."""

from __future__ import annotations

import itertools

import pytest

from rtms_relay.handoff import facts as known
from rtms_relay.handoff.facts import STOP_REASONS, Begun, Facts
from rtms_relay.handoff.keys import first_edition_key, handoff_key

EMPTY = Facts(key="k", stream_id="s", product="meeting", entity_id="e", created_at=1)


def start(urls: str, ts: int, *, dated: bool = True) -> Begun:
    return Begun(stream_id="s", server_urls=urls, event_ts=ts, dated=dated)


def after(*starts: tuple[str, int]) -> Facts:
    facts = EMPTY
    for urls, ts in starts:
        facts, _ = known.with_start(facts, start(urls, ts), "d")
    return facts


def runs(facts: Facts) -> list[tuple[str, int, int]]:
    return [(run.server_urls, run.epoch, run.newest_ts) for run in facts.runs]


def test_a_start_on_other_servers_begins_a_run_also_back_to_earlier_ones() -> None:
    assert runs(after(("a", 1), ("b", 2), ("a", 3))) == [("a", 1, 1), ("b", 2, 2), ("a", 3, 3)]


def test_a_later_start_on_the_same_servers_joins_and_keeps_the_epoch() -> None:
    facts = after(("a", 1), ("a", 5))
    assert runs(facts) == [("a", 1, 5)]
    assert facts.runs[0].key == handoff_key("d", "s", "a", 1)


def test_repetitions_change_nothing() -> None:
    facts = after(("a", 1), ("b", 2), ("a", 3))
    for urls, ts in (("a", 1), ("b", 2), ("a", 3)):
        assert known.with_start(facts, start(urls, ts), "d")[0] == facts


def test_an_older_start_never_becomes_the_newest() -> None:
    facts = after(("b", 5), ("a", 1))
    assert facts.newest is not None
    assert (facts.newest.server_urls, runs(facts)) == ("b", [("a", 1, 1), ("b", 5, 5)])


@pytest.mark.parametrize("order", list(itertools.permutations([("a", 1), ("b", 2), ("a", 3), ("c", 4)])))
def test_in_any_order_the_stream_is_at_the_same_servers(order: tuple[tuple[str, int], ...]) -> None:
    newest = after(*order).newest
    assert newest is not None
    assert (newest.server_urls, newest.newest_ts) == ("c", 4)


def test_the_run_of_the_same_servers_may_be_over() -> None:
    facts, run = known.with_start(after(("a", 1)), start("a", 5), "d", begins=True)
    assert runs(facts) == [("a", 1, 1), ("a", 5, 5)]
    assert facts.newest == run
    # The repetition of either belongs to its own.
    assert known.with_start(facts, start("a", 1), "d", begins=True) == (facts, facts.runs[0])
    assert known.with_start(facts, start("a", 5), "d", begins=True) == (facts, facts.runs[1])


def test_an_undated_start_supersedes_nothing_and_is_not_superseded_by_what_is_older() -> None:
    facts, run = known.with_start(after(("a", 1)), start("b", 9, dated=False), "d")
    assert facts.newest is not None
    assert facts.newest.server_urls == "a"
    assert facts.is_newest(run.key)
    assert facts.is_newest(facts.runs[0].key)
    later, _ = known.with_start(facts, start("c", 20), "d")
    assert not later.is_newest(run.key)


@pytest.mark.parametrize(("ts", "epoch"), [(1, 5), (5, 5), (8, 5), (9, 9), (10, 9)])
def test_of_several_runs_on_the_same_servers_a_start_joins_the_one_that_had_begun_by_then(ts: int, epoch: int) -> None:
    facts = after(("a", 5), ("b", 6), ("a", 9))
    assert known.with_start(facts, start("a", ts), "d")[1].epoch == epoch


def test_an_undated_start_is_superseded_by_what_came_at_its_own_moment() -> None:
    facts, undated = known.with_start(after(("a", 9)), start("b", 9, dated=False), "d")
    assert not facts.is_newest(undated.key)
    alone, _ = known.with_start(EMPTY, start("b", 9, dated=False), "d")
    for one in (facts, alone):
        assert known.with_start(one, start("b", 9), "d")[0] == one  # a repetition, though it says when


def test_a_new_stream_is_known_by_its_ids_alone() -> None:
    assert Facts(key="k", stream_id="s", product="meeting", entity_id="e", created_at=1) == Facts(
        key="k",
        stream_id="s",
        product="meeting",
        entity_id="e",
        account_id="",
        created_at=1,
        runs=(),
        stopped_ts=0,
        stop_reason=-1,
        interrupted_ts=0,
        revoked_ts=0,
    )


def test_a_start_and_a_run_are_dated_unless_somebody_says_otherwise() -> None:
    assert Begun(stream_id="s", server_urls="a", event_ts=1).dated
    assert known.Run(key="k", server_urls="a", epoch=1, newest_ts=1).dated


def test_runs_are_bounded() -> None:
    facts = after(*((f"wss://{number}", number) for number in range(300)))
    assert len(facts.runs) == known.RUNS_LIMIT == 200
    assert facts.newest is not None
    assert facts.newest.epoch == 299


def test_the_newest_stop_gives_the_reason_and_a_revocation_holds() -> None:
    facts = known.with_stop(known.with_stop(EMPTY, 5, 6), 3, 18)
    assert (facts.stopped_ts, facts.stop_reason) == (5, 6)
    revoked = known.with_stop(known.replace(after(("a", 1)), account_id="acc"), 4, 8)
    assert (revoked.revoked_ts, revoked.stream_id, revoked.entity_id, revoked.runs[0].server_urls) == (4, "", "", "")
    assert revoked.account_id == ""
    again = known.with_stop(revoked, 9, 6)
    assert (again.revoked_ts, again.stopped_ts) == (4, 9)
    facts, run = known.with_start(again, start("a", 1), "d")
    assert run.server_urls == ""
    assert known.with_start(again, start("b", 9), "d")[1].server_urls == ""


def test_facts_only_grow_in_any_order() -> None:
    steps = [
        lambda facts: known.with_stop(facts, 5, 6),
        lambda facts: known.with_stop(facts, 5, None),
        lambda facts: known.with_interruption(facts, 4),
        lambda facts: known.with_stop(facts, 3, 11),
    ]
    ends = set()
    for order in itertools.permutations(steps):
        facts = EMPTY
        for step in order:
            facts = step(step(facts))
        ends.add((facts.stopped_ts, facts.stop_reason, facts.interrupted_ts))
    assert ends == {(5, 6, 4)}


def test_stop_reasons_are_whole_and_name_losses() -> None:
    assert sorted(STOP_REASONS) == list(range(27))
    assert {number for number, reason in STOP_REASONS.items() if reason.loss} == {11, 18, 19, 24, 26}
    assert known.stop_words(known.with_stop(EMPTY, 1, 18)) == "stop_reason 18, authentication failure"
    assert known.stop_words(known.with_stop(EMPTY, 1, 99)) == "stop_reason 99"
    assert known.stop_words(known.with_stop(EMPTY, 1, 0)) == "stop_reason 0, undefined"
    assert known.stop_words(EMPTY) == ""
    assert known.loss_of(known.with_stop(EMPTY, 1, 24)) == "the receiver stopped answering Zoom's keep-alive"
    assert [known.loss_of(facts) for facts in (EMPTY, known.with_stop(EMPTY, 1, 99))] == ["", ""]


def test_a_run_of_the_first_edition_knows_its_servers_by_its_key() -> None:
    old = known.Run(key=first_edition_key("s", "a"), server_urls="", epoch=1, newest_ts=1)
    facts = known.replace(EMPTY, runs=(old,))
    assert known.with_start(facts, start("a", 1), "d")[1] == old
    assert known.with_start(facts, start("b", 2), "d")[1].epoch == 2
