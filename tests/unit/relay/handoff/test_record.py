"""The whole record of a hand-off: what a revocation may take for nothing, and what makes it look again."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from rtms_relay.budgets import Rules
from rtms_relay.handoff import facts as known
from rtms_relay.handoff import record
from rtms_relay.handoff.answers import Outcome
from rtms_relay.handoff.attempt import Attempt
from rtms_relay.handoff.erasure import Erasure
from rtms_relay.handoff.facts import Facts, Run
from rtms_relay.handoff.keys import stream_key
from rtms_relay.handoff.record import HandOff
from rtms_relay.handoff.retrieval import Retrieval

NOW = 1_795_338_000_000
RULES = Rules(connect_window_ms=60_000, recall_timeout_ms=5_000, poll_ms=600_000, give_up_ms=86_400_000)
RUN = Run(key="a" * 64, server_urls="wss://a", epoch=NOW, newest_ts=NOW)
FACTS = Facts(key=stream_key("s"), stream_id="s", product="meeting", entity_id="m", created_at=NOW, runs=(RUN,))
REVOKED = known.with_stop(FACTS, NOW + 1_000, known.REVOKED)
DOUBT = (Outcome(kind="in_doubt", answer="timeout", reason="no answer", status=0), NOW)
NOTHING = (Outcome(kind="made_nothing", answer="unreachable", reason="no connection", status=0), NOW)


def revoked(handoff: HandOff) -> HandOff:
    return record.settle(handoff, REVOKED, NOW + 2_000, RULES)


def fresh() -> HandOff:
    return record.new(FACTS, RUN.key, "wss://a", NOW, NOW)


def test_a_revoked_hand_off_that_nobody_posted_is_forgotten_at_once() -> None:
    assert revoked(fresh()).erasure.state == "forgotten"


def test_word_of_a_post_that_no_record_saw_is_reason_to_look_before_forgetting() -> None:
    """The store was away, the worker left word and crashed at its POST: the MDC may be there (seed 1406 of the hostile world)."""
    told = record.after_posts(fresh(), (), NOW, RULES)
    after = revoked(told)
    assert (after.erasure.state, after.erasure.at) == ("forgetting", NOW + 2_000)


@pytest.mark.parametrize("posts", [(), (DOUBT,), (NOTHING, DOUBT)])
def test_word_that_comes_after_it_was_forgotten_makes_it_look_again(posts: tuple[tuple[Outcome, int], ...]) -> None:
    forgotten = revoked(fresh())
    later = record.settle(record.after_posts(forgotten, posts, NOW + 9_000, RULES), REVOKED, NOW + 9_000, RULES)
    assert (later.erasure.state, later.erasure.rounds) == ("forgetting", 0)
    assert later.erasure.at is not None
    assert later.erasure.at <= NOW + 9_000, "at once"
    again = record.after_posts(replace(later, erasure=replace(later.erasure, rounds=3)), posts, NOW + 9_500, RULES)
    assert again.erasure.rounds == 3, "the same word twice begins nothing new"


def test_word_of_posts_that_made_nothing_changes_nothing() -> None:
    forgotten = revoked(fresh())
    assert record.after_posts(forgotten, (NOTHING,), NOW + 9_000, RULES).erasure == forgotten.erasure


def test_a_new_hand_off_is_that_of_its_run() -> None:
    facts = Facts(key="s" * 64, stream_id="stream", product="webinar", entity_id="entity", account_id="acc", created_at=3)
    made = msgspec.to_builtins(record.new(facts, "k" * 64, "wss://a", 5, 9))
    assert {name: value for name, value in made.items() if name not in ("attempt", "retrieval", "erasure")} == {
        "key": "k" * 64,
        "stream_key": "s" * 64,
        "product": "webinar",
        "entity_id": "entity",
        "stream_id": "stream",
        "server_urls": "wss://a",
        "account_id": "acc",
        "epoch": 5,
        "created_at": 9,
    }
    assert record.new(facts, "k", "wss://a", 5, 9).attempt == Attempt(start_ts=5, state_at=9, next_at=9)
    assert (record.new(facts, "k", "wss://a", 5, 9).retrieval, record.new(facts, "k", "wss://a", 5, 9).erasure) == (Retrieval(), Erasure())
    nobodys = HandOff(
        key="k",
        stream_key="s",
        product="meeting",
        entity_id="e",
        stream_id="s",
        server_urls="u",
        epoch=1,
        created_at=1,
        attempt=Attempt(start_ts=1, state_at=1),
    )
    assert nobodys.account_id == ""
