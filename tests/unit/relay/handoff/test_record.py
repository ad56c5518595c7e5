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
from rtms_relay.handoff.keys import Keys, stream_key
from rtms_relay.handoff.record import HandOff
from rtms_relay.handoff.retrieval import ArchivedArtifact, Retrieval
from rtms_relay.ports import Artifact, Recording

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
    assert record.new(known.replace(facts, revoked_ts=4), "k", "wss://a", 5, 9).server_urls == ""
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


ACCEPTED = (Outcome(kind="accepted", answer="201", reason="", status=201, mdc_id="mdc-1"), NOW + 4)


def handed() -> HandOff:
    """Accepted by Recall at NOW + 4."""
    return record.after_answer(fresh(), 1, ACCEPTED[0], NOW + 4, 0.0, RULES)


def test_what_must_be_done_next_is_the_earlier_of_a_try_and_a_look() -> None:
    assert (fresh().look_at, fresh().due_at) == (None, NOW)
    both = replace(fresh(), retrieval=Retrieval(state="awaiting", look_at=NOW - 1))
    assert (both.look_at, both.due_at) == (NOW - 1, NOW - 1)
    erasing = replace(both, erasure=Erasure(state="forgetting", at=NOW + 5))
    assert (erasing.look_at, erasing.due_at) == (NOW + 5, NOW)
    ended = replace(handed(), retrieval=Retrieval(state="done"))
    assert (ended.look_at, ended.due_at) == (None, None)


def test_an_accepted_one_is_looked_for_and_a_repeated_answer_plans_nothing_anew() -> None:
    one = handed()
    assert (one.attempt.state, one.retrieval.state, one.retrieval.look_at) == ("accepted", "awaiting", NOW + 4 + RULES.poll_ms)
    looked = replace(one, retrieval=replace(one.retrieval, look_at=NOW + 5))
    assert record.after_answer(looked, 1, ACCEPTED[0], NOW + 9, 0.0, RULES).retrieval == looked.retrieval


def test_the_end_of_a_stream_or_of_its_time_there_begins_the_looks() -> None:
    stopped = known.with_stop(FACTS, NOW + 1_000, 6)
    one = record.settle(handed(), stopped, NOW + 2_000, RULES)
    assert (one.retrieval.ended_at, one.retrieval.look_at, one.retrieval.not_joined) == (NOW + 1_000, NOW + 22_000, "")
    assert record.settle(one, stopped, NOW + 9_000, RULES) == one
    moved = known.replace(FACTS, runs=(RUN, Run(key="b" * 64, server_urls="wss://b", epoch=NOW + 500, newest_ts=NOW + 500)))
    assert record.settle(handed(), moved, NOW + 2_000, RULES).retrieval.ended_at == NOW + 500
    # A stop from before its start is that of an earlier run, and what Recall never saw has no recording.
    early = known.with_stop(FACTS, NOW, 6)
    assert record.settle(handed(), early, NOW + 2_000, RULES).retrieval.ended_at is None
    assert record.settle(fresh(), stopped, NOW + 2_000, RULES).retrieval == Retrieval()


def test_a_loss_that_zoom_names_is_noted_on_the_run_that_it_is_of() -> None:
    lost = known.with_stop(FACTS, NOW + 1_000, 18)
    cause = "the signature was refused: are ZOOM_CLIENT_ID and ZOOM_CLIENT_SECRET this app's?"
    assert record.settle(handed(), lost, NOW + 2_000, RULES).retrieval.not_joined == cause
    assert record.verdict(handed(), lost, NOW + 10 * 86_400_000, RULES) == ("nothing_made", f"no recordings were made: {cause}")
    assert record.verdict(handed(), None, NOW, RULES) is None
    nobody_knows = "no recordings were made; does RECALL_RECORDING_CONFIG ask for one?"
    assert record.verdict(handed(), None, NOW + 10 * 86_400_000, RULES) == ("nothing_made", nobody_knows)
    moved = known.replace(lost, runs=(RUN, Run(key="b" * 64, server_urls="wss://b", epoch=NOW + 500, newest_ts=NOW + 500)))
    assert record.settle(handed(), moved, NOW + 2_000, RULES).retrieval.not_joined == ""


def test_a_recording_that_is_seen_is_word_that_recall_accepted_and_what_is_anothers_is_left_out() -> None:
    seen = record.after_look(fresh(), [Recording(id="r", status="done")], ["q"], "done", NOW + 7, RULES)
    assert (seen.attempt.state, seen.attempt.reason, seen.attempt.accepted_at) == ("accepted", "a recording of it was seen", NOW + 7)
    assert ([one.id for one in seen.retrieval.recordings], seen.retrieval.mdc_status) == (["r"], "done")
    with_both = replace(
        handed(), retrieval=replace(handed().retrieval, recordings=(Recording(id="q", status="x"), Recording(id="r", status="x")))
    )
    assert [one.id for one in record.after_look(with_both, [], ["q"], "", NOW + 7, RULES).retrieval.recordings] == ["r"]
    nothing = record.after_look(fresh(), [], [], "", NOW + 7, RULES)
    assert nothing.attempt == fresh().attempt


def test_a_webhook_of_recalls_is_a_reason_to_look_or_to_delete_again() -> None:
    once = record.announced(handed(), "msg", "rec", NOW + 9)
    assert (once.retrieval.look_at, [one.id for one in once.retrieval.recordings]) == (NOW + 9, ["rec"])
    assert record.announced(once, "msg", "rec", NOW + 10) == once
    gone = replace(handed(), erasure=Erasure(state="forgotten", since=NOW), retrieval=Retrieval(state="done"))
    again = record.announced(gone, "msg", "rec", NOW + 9)
    assert (again.erasure.state, again.erasure.at, again.retrieval.state, again.retrieval.look_at) == ("forgetting", NOW + 9, "done", None)


def test_a_tombstone_has_no_words_and_keeps_what_a_deletion_needs() -> None:
    full = replace(
        handed(),
        account_id="acc",
        attempt=replace(handed().attempt, reason="words", history=("1: x",), history_at=(NOW,)),
        retrieval=Retrieval(
            state="awaiting",
            look_at=NOW,
            mdc_status="done",
            not_joined="x",
            archived=(ArchivedArtifact(name="n", size=1, sha256="s"),),
            recordings=(Recording(id="r", status="done", artifacts={"a": Artifact(id="a", status="done")}),),
        ),
    )
    tomb = revoked(full)
    assert (tomb.entity_id, tomb.stream_id, tomb.server_urls, tomb.account_id) == ("", "", "", "")
    assert (tomb.attempt.reason, tomb.attempt.history, tomb.attempt.history_at) == ("the stream was revoked", (), ())
    retrieval = tomb.retrieval
    assert (retrieval.look_at, retrieval.mdc_status, retrieval.not_joined, retrieval.archived) == (None, "", "", ())
    assert (tomb.attempt.mdc_id, [(one.id, one.artifacts) for one in retrieval.recordings]) == ("mdc-1", [("r", {})])
    assert (tomb.erasure.state, tomb.erasure.since, tomb.erasure.at) == ("forgetting", NOW + 2_000, NOW + 2_000)
    assert record.settle(tomb, REVOKED, NOW + 9_000, RULES) == tomb


def test_the_ids_at_recall_go_with_the_last_round() -> None:
    tomb = revoked(replace(handed(), retrieval=replace(handed().retrieval, seen=("m",))))
    for number in range(6):
        assert tomb.attempt.mdc_id == "mdc-1"
        tomb = record.after_erasure(tomb, ["r"] if number == 0 else [], clean=True, now=NOW + number)
        assert (tomb.erasure.deleted, [(one.id, one.status, one.read) for one in tomb.retrieval.recordings]) == (
            (("r",), [("r", "deleted", True)]) if number < 5 else ((), [])
        )
    assert (tomb.attempt.mdc_id, tomb.retrieval.seen, tomb.erasure.state, tomb.erasure.at) == (None, (), "forgotten", None)


def test_posts_without_the_store_are_over_and_what_they_came_to_is_kept() -> None:
    refused = (Outcome(kind="refused", answer="400", reason="no", status=400), NOW + 1)
    accepted = record.after_posts(fresh(), [NOTHING, ACCEPTED], NOW + 5, RULES)
    assert (accepted.attempt.state, accepted.attempt.mdc_id, accepted.attempt.unsure) == ("accepted", "mdc-1", False)
    other_key = replace(fresh(), attempt=replace(fresh().attempt, keys=Keys(number=1)))
    assert record.after_posts(other_key, [ACCEPTED], NOW + 5, RULES).attempt.unsure
    failed = record.after_posts(fresh(), [NOTHING, refused], NOW + 5, RULES).attempt
    assert (failed.state, failed.reason, failed.tries, failed.next_at) == ("failed", "no", 2, None)
    assert failed.history == ("-1: no connection", "-1: no")
    open_ = record.after_posts(fresh(), [refused, DOUBT], NOW + 5, RULES).attempt
    assert (open_.state, open_.tries, open_.next_at) == ("pending", 2, None)
    held = replace(fresh(), attempt=replace(fresh().attempt, lease_until=NOW + 9, tries=1))
    after = record.after_posts(held, [refused], NOW + 5, RULES).attempt
    assert (after.state, after.tries, after.lease_until) == ("pending", 1, NOW + 9)
    more = replace(fresh(), attempt=replace(fresh().attempt, tries=5))
    assert record.after_posts(more, [NOTHING], NOW + 5, RULES).attempt.tries == 5


def test_another_mdc_than_the_one_on_record_is_a_double() -> None:
    assert [record.doubled(handed(), mdc_id) for mdc_id in ("mdc-1", "mdc-2", None)] == [False, True, False]
    assert not record.doubled(fresh(), "mdc-2")


def test_servers_that_are_not_allowed_fail_it_before_any_try() -> None:
    refused = record.refuse(fresh(), "not allowed", NOW + 1).attempt
    assert (refused.state, refused.reason, refused.state_at, refused.tries) == ("failed", "not allowed", NOW + 1, 0)


def test_one_that_ended_in_doubt_is_looked_for_and_one_that_goes_on_is_not() -> None:
    def settled(**fields: object) -> Retrieval:
        return record.settle(replace(fresh(), attempt=replace(fresh().attempt, **fields)), FACTS, NOW + 9, RULES).retrieval

    assert settled(state="failed", unsure=True) == Retrieval(state="awaiting", ended_at=NOW + 9, look_at=NOW + 20_009)
    assert settled(state="failed") == settled(unsure=True) == Retrieval()
    assert settled(state="accepted", unsure=True, accepted_at=NOW) == Retrieval()
    known_end = replace(fresh(), attempt=replace(fresh().attempt, state="failed", unsure=True), retrieval=Retrieval(state="done"))
    assert record.settle(known_end, FACTS, NOW + 9, RULES).retrieval == Retrieval(state="done")


def test_an_answer_that_says_nothing_new_begins_no_deletion_anew() -> None:
    rounds = Erasure(state="forgotten", since=NOW, rounds=3, at=NOW + 9)
    posted = replace(handed(), erasure=rounds)
    doubtful = replace(fresh(), erasure=rounds, attempt=replace(fresh().attempt, unsure=True))
    for handoff in (posted, doubtful):
        assert record.after_answer(handoff, 0, DOUBT[0], NOW + 5, 0.0, RULES).erasure == rounds
    for outcome in (DOUBT[0], ACCEPTED[0]):
        news = record.after_answer(replace(fresh(), erasure=rounds), 0, outcome, NOW + 5, 0.0, RULES)
        assert (news.erasure.state, news.erasure.rounds, news.erasure.at) == ("forgetting", 0, NOW + 5)
    asked = record.after_answer(doubtful, 0, ACCEPTED[0], NOW + 5, 0.0, RULES)
    assert (asked.erasure.state, asked.erasure.at) == ("forgetting", NOW + 5)
