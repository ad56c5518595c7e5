"""The tables: whole, reachable, documented; and the small rules that stories do not show."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from msgspec.structs import replace
from tests.unit.relay.fakes import NOW

from rtms_relay import handoff as states
from rtms_relay.handoff import HandOff, Rules, Stream
from rtms_relay.ports import Artifact, Outcome, Recording

RULES = Rules()
DOCS = Path(__file__).parents[3] / "docs" / "handoff.md"


def fresh(**fields: object) -> HandOff:
    base = HandOff(
        key="k",
        stream_key="s",
        product="meeting",
        entity_id="e",
        stream_id="i",
        server_urls="u",
        event_ts=NOW,
        created_at=NOW,
        state_at=NOW,
        attempt_at=NOW,
    )
    return replace(base, **fields)


def stream(**fields: object) -> Stream:
    return replace(Stream(key="s", stream_id="i", product="meeting", entity_id="e", created_at=NOW, starts={"k": NOW}), **fields)


def test_the_tables_name_every_state_and_trigger() -> None:
    assert {state for pair in states.TRANSITIONS.items() for state in (pair[0][0], pair[1])} == set(get_args(states.State))
    assert {trigger for _, trigger in states.TRANSITIONS} == set(get_args(states.Trigger)) == set(states.TRIGGERS)
    assert {state for pair in states.RETRIEVALS.items() for state in (pair[0][0], pair[1])} == set(get_args(states.Retrieval))
    assert {trigger for _, trigger in states.RETRIEVALS} == set(get_args(states.RetrievalTrigger)) == set(states.RETRIEVAL_TRIGGERS)


def test_an_id_once_known_never_leads_back_to_pending() -> None:
    assert {state for (state, trigger), after in states.TRANSITIONS.items() if after == "pending"} == {"cancelled", "expired", "superseded"}
    accepted = fresh(state="accepted", accepted_at=NOW, attempt_at=None)
    for facts in (stream(), stream(starts={"k": NOW + 9}), stream(stopped_ts=NOW + 1), stream(starts={"k": NOW, "l": NOW + 1})):
        for now in (NOW, NOW + 10**6):
            settled = states.settle(accepted, facts, now, RULES)
            assert states.decide_attempt(settled, now, "t", RULES) is None


def test_the_docs_show_these_tables() -> None:
    text = DOCS.read_text()
    assert states.diagram(states.TRANSITIONS, "pending") in text
    assert states.diagram(states.RETRIEVALS, "none") in text
    for trigger, meaning in (*states.TRIGGERS.items(), *states.RETRIEVAL_TRIGGERS.items()):
        assert f"| `{trigger}` | {meaning} |" in text


def test_keys_do_not_run_into_one_another() -> None:
    pairs = [("a", "bc"), ("ab", "c"), ("", "abc"), ("abc", ""), ("1:a", "b"), ("a", "1:b"), ("é", "x"), ("a/b", "wss://x")]
    assert len({states.handoff_key(*pair) for pair in pairs}) == len(pairs)
    assert all(len(states.handoff_key(*pair)) == 64 for pair in pairs)


def test_a_record_survives_the_store_and_a_newer_release() -> None:
    recording = Recording(id="r", status="done", artifacts={"video_mixed": Artifact(id="v", status="done")})
    whole = fresh(recordings=[recording], seen=["x"], history=["1: ok"])
    fields = states.to_fields(whole, 0)
    assert fields["due_at"] == whole.due_at == NOW + states.GRACE_MS
    assert states.read_handoff({**fields, "field_of_tomorrow": 1}) == whole
    assert states.read_stream({**states.to_fields(stream(), 0), "field_of_tomorrow": 1}) == stream()


def test_a_record_may_be_dropped_only_when_nothing_is_left_to_do() -> None:
    keep = 400 * 86_400_000
    assert states.to_fields(fresh(), keep)["expires_at"] is None
    over = states.refuse(fresh(), "no", NOW + 5)
    assert over.due_at is None
    assert states.to_fields(over, keep)["expires_at"] == NOW + 5 + keep
    assert states.to_fields(stream(stopped_ts=NOW + 9), keep)["expires_at"] == NOW + 9 + keep
    far = states.to_fields(stream(stopped_ts=2**53 - 1), keep)["expires_at"]
    assert datetime.fromtimestamp(far / 1000, UTC).year == 9999


def test_a_key_too_old_is_never_used_again() -> None:
    wide = Rules(connect_window_ms=states.KEY_LIFE_MS)
    old = fresh(idempotency_key="key", key_at=NOW, attempts=1, unsure=True)
    late = NOW + states.KEY_LIFE_MS + 1
    again = states.settle(old, stream(starts={"k": late}), late, wide)
    assert again.state == "expired"
    assert again.retrieval == "awaiting"


def test_a_broken_lease_leaves_a_doubt_and_keeps_its_key() -> None:
    first = states.decide_attempt(fresh(), NOW, "token", RULES)
    assert isinstance(first, states.Post)
    assert not first.record.unsure
    held = states.decide_attempt(first.record, NOW + 1, "other", RULES)
    assert isinstance(held, states.Wait)
    second = states.decide_attempt(first.record, NOW + RULES.lease_ms, "other", RULES)
    assert isinstance(second, states.Post)
    assert (second.idempotency_key, second.number, second.record.unsure) == ("token", 2, True)


def test_a_late_answer_of_an_overtaken_attempt_changes_no_lease() -> None:
    first = states.decide_attempt(fresh(), NOW, "token", RULES)
    assert isinstance(first, states.Post)
    second = states.decide_attempt(first.record, NOW + RULES.lease_ms, "other", RULES)
    assert isinstance(second, states.Post)
    for outcome in (Outcome("again", "x", unsure=True), Outcome("again_new_key", "x"), Outcome("refused", "x")):
        after = states.after_answer(second.record, outcome, first, NOW, 0, RULES)
        assert (after.state, after.lease_until, after.idempotency_key) == ("pending", second.record.lease_until, "token")
    taken = states.after_answer(second.record, Outcome("accepted", mdc_id="m"), first, NOW, 0, RULES)
    assert (taken.state, taken.mdc_id) == ("accepted", "m")
    after = states.after_answer(taken, Outcome("again", "x", unsure=True), second, NOW, 0, RULES)
    assert (after.state, after.mdc_id, after.unsure) == ("accepted", "m", False)


@pytest.mark.parametrize("number", range(1, 40))
def test_pauses_grow_to_a_cap_and_end_with_the_window(number: int) -> None:
    post = states.Post(fresh(attempts=number), number, "t")
    for jitter in (0.0, 0.999):
        after = states.after_answer(post.record, Outcome("again", "x"), post, NOW, jitter, RULES)
        assert after.attempt_at is not None
        assert 300 <= after.attempt_at - NOW <= 10_000
        late = states.after_answer(post.record, Outcome("again", "x", retry_after_s=600), post, NOW, jitter, RULES)
        assert late.attempt_at == NOW + RULES.connect_window_ms


def test_statuses_merge_in_any_order_and_never_leave_a_final_one() -> None:
    stamps = ["2026-11-22T09:00:00Z", "2026-11-22T09:00:01+00:00", "", "odd", "2026-11-22T08:59:59.999999Z"]
    found = [Recording(id="r", status=code, updated_at=stamp) for code in ("processing", "paused", "done", "zzz") for stamp in stamps]
    for order in itertools.islice(itertools.permutations(found[::3]), 200):
        merged: list[Recording] = []
        for one in order:
            merged = states.merge_recordings(merged, [one])
        assert merged == states.merge_recordings([], found[::3])
    done = Recording(id="r", status="done", updated_at="2026-11-22T09:00:00Z")
    later = Recording(id="r", status="processing", updated_at="2026-11-22T10:00:00Z")
    assert states.merge_recordings([done], [later])[0].status == "done"
    gone = Recording(id="r", status="deleted", updated_at="2026-11-22T08:00:00Z")
    assert states.merge_recordings([done], [gone])[0].status == "deleted"


def test_an_artifact_made_anew_takes_the_place_of_the_old() -> None:
    old = Recording(id="r", status="done", artifacts={"transcript": Artifact(id="t1", status="failed")})
    new = Recording(id="r", status="done", artifacts={"transcript": Artifact(id="t2", status="processing")})
    assert states.merge_recordings([old], [new])[0].artifacts["transcript"].id == "t2"


def test_a_stream_that_was_never_stopped_is_given_up_a_day_later() -> None:
    quiet = fresh(state="accepted", accepted_at=NOW, retrieval="awaiting", look_at=NOW, attempt_at=None)
    end = NOW + states.LONGEST_STREAM_MS + RULES.give_up_ms
    assert states.judge(quiet, end - 1, RULES) is None
    assert states.judge(quiet, end, RULES) == ("nothing_made", "no recordings were made; does RECALL_RECORDING_CONFIG ask for one?")
    half = replace(quiet, recordings=[Recording(id="r", status="processing")])
    assert states.judge(half, end, RULES) == ("all_failed", "the recording never ended")
    most = replace(quiet, recordings=[Recording(id="q", status="done", read=True), Recording(id="r", status="processing")])
    assert states.judge(most, end - 1, RULES) is None
    assert states.judge(most, end, RULES) == ("complete", "given up waiting for the rest")
    gone = replace(quiet, recordings=[Recording(id="q", status="deleted")])
    assert states.judge(gone, NOW, RULES) == ("complete", "deleted at Recall")
