"""Every duration of the hand-off's life in plain numbers, and what holds on either side of each: what mutants of handoff.py survived."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from msgspec import to_builtins
from msgspec.structs import replace
from tests.unit.relay.fakes import ENVIRON, NOW
from tests.unit.relay.test_handoff import RULES, fresh, stream

from rtms_relay import handoff as states
from rtms_relay import settings
from rtms_relay.handoff import ArchivedArtifact, HandOff, Rules
from rtms_relay.ports import Artifact, Outcome, Recording
from rtms_relay.relay import rules

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
NEVER = 10**9


def accepted(**fields: Any) -> HandOff:
    base: dict[str, Any] = {"state": "accepted", "accepted_at": NOW, "attempt_at": None, "mdc_id": "m", "attempts": 1}
    return fresh(**(base | {"retrieval": "awaiting", "look_at": NOW + 1_800_000} | fields))


def posting(number: int = 1, **fields: Any) -> tuple[HandOff, states.Post]:
    """A hand-off whose attempt is under way, and that attempt."""
    record = fresh(attempts=number, idempotency_key="key", key_at=NOW, lease_until=NOW + 20_000, **fields)
    return record, states.Post(record, number, "key")


def recording(status: str, updated_at: str = "", **fields: Any) -> Recording:
    return Recording(id=fields.pop("id", "r"), status=status, updated_at=updated_at, **fields)


# Records


def test_the_rules_are_the_settings_and_their_defaults_the_settings_defaults() -> None:
    assert rules(settings.load(ENVIRON, "worker")) == Rules() == Rules(60 * SECOND, 20 * SECOND, 30 * MINUTE, 24 * HOUR)
    odd = {"ZOOM_CONNECT_WINDOW_S": "11.5", "RECALL_TIMEOUT_S": "12.5", "RETRIEVAL_POLL_S": "1300.5", "RETRIEVAL_GIVE_UP_S": "14000.5"}
    assert rules(settings.load(ENVIRON | odd, "worker")) == Rules(11_500, 17_500, 1_300_500, 14_000_500)


def test_what_a_record_does_not_say_is_empty() -> None:
    """An older release wrote less; a stream of which only one thing is known says nothing of the others."""
    required = {name: getattr(fresh(), name) for name in ("key", "stream_key", "product", "entity_id", "stream_id", "server_urls")}
    times = {"event_ts": NOW, "created_at": NOW, "state_at": NOW}
    assert to_builtins(states.read_handoff(required | times)) == required | times | {
        "account_id": "",
        "state": "pending",
        "reason": "",
        "idempotency_key": None,
        "key_at": None,
        "attempts": 0,
        "attempt_at": None,
        "lease_until": None,
        "unsure": False,
        "history": [],
        "mdc_id": None,
        "accepted_at": None,
        "ended_at": None,
        "retrieval": "none",
        "retrieval_reason": "",
        "looks": 0,
        "look_at": None,
        "archive_until": None,
        "recordings": [],
        "archived": [],
        "seen": [],
    }
    known = {"key": "s", "stream_id": "i", "product": "meeting", "entity_id": "e", "created_at": NOW}
    assert to_builtins(states.read_stream(known)) == known | {
        "account_id": "",
        "starts": {},
        "stopped_ts": 0,
        "stop_reason": -1,
        "interrupted_ts": 0,
        "revoked_ts": 0,
    }


def test_keys_are_what_they_always_were() -> None:
    """A release that hashes otherwise would hand on anew whatever an older one has on record."""
    assert states.stream_key("a/b=") == hashlib.sha256(b"a/b=").hexdigest()
    assert states.handoff_key("é", "wss://x") == hashlib.sha256(b"2:\xc3\xa97:wss://x").hexdigest()


def test_of_equal_starts_the_greater_key_is_the_newest() -> None:
    assert stream(starts={}).newest is None
    assert stream(starts={"a": 5, "b": 5}).newest == stream(starts={"b": 5, "a": 5}).newest == "b"
    assert stream(starts={"a": 6, "b": 5}).newest == "a"


@pytest.mark.parametrize(
    ("fields", "due"),
    [
        ({}, NOW + 5 * SECOND),
        ({"attempt_at": None}, 5 * SECOND),
        ({"lease_until": NOW + 7}, NOW + 7 + 5 * SECOND),
        ({"lease_until": NOW - 7}, NOW + 5 * SECOND),
        ({"look_at": NOW + 5 * SECOND + 1}, NOW + 5 * SECOND),
        ({"look_at": NOW + 5 * SECOND - 1}, NOW + 5 * SECOND - 1),
        ({"state": "cancelled"}, None),
        ({"state": "cancelled", "look_at": NOW}, NOW),
    ],
)
def test_the_sweeper_comes_five_seconds_after_a_task_and_at_once_for_a_look(fields: dict[str, Any], due: int | None) -> None:
    assert fresh(**fields).due_at == due


DONE = {"state": "cancelled", "attempt_at": None}
LATEST = 253_402_300_799_000


@pytest.mark.parametrize(
    ("record", "expires"),
    [
        (fresh(**DONE), NOW + 100),
        (fresh(**DONE, created_at=NOW + 5), NOW + 105),
        (fresh(**DONE, state_at=NOW + 5), NOW + 105),
        (fresh(**DONE, event_ts=NOW + 5), NOW + 105),
        (fresh(**DONE, ended_at=NOW + 5), NOW + 105),
        (fresh(**DONE, look_at=NOW), None),
        (fresh(**DONE, event_ts=2**53 - 1), LATEST),
        (stream(starts={}), NOW + 100),
        (stream(starts={}, created_at=NOW + 5), NOW + 105),
        (stream(stopped_ts=NOW + 5), NOW + 105),
        (stream(interrupted_ts=NOW + 5), NOW + 105),
        (stream(revoked_ts=NOW + 5), NOW + 105),
        (stream(starts={"k": NOW + 5, "l": NOW + 4}), NOW + 105),
        (stream(stopped_ts=LATEST - 100), LATEST),
        (stream(stopped_ts=LATEST - 101), LATEST - 1),
        (stream(stopped_ts=2**53 - 1), LATEST),
    ],
)
def test_a_record_is_kept_from_the_last_thing_that_happened(record: Any, expires: int | None) -> None:
    assert states.to_fields(record, 100)["expires_at"] == expires


# Facts about a stream


def test_the_newest_stop_tells_the_reason_and_of_equal_ones_the_greater() -> None:
    known = stream(stopped_ts=NOW, stop_reason=6)
    for ts, reason in ((NOW - 1, 9), (NOW, 6), (NOW, 5), (NOW, None)):
        assert states.with_stop(known, ts, reason, revokes=False) == known
    assert states.with_stop(known, NOW, 7, revokes=False) == replace(known, stop_reason=7)
    assert states.with_stop(known, NOW + 1, None, revokes=False) == stream(stopped_ts=NOW + 1, stop_reason=-1)
    assert states.with_stop(stream(), NOW, 0, revokes=False).stop_reason == 0


def test_a_revocation_holds_and_takes_the_ids_with_it() -> None:
    known = stream(account_id="a", stopped_ts=NOW, stop_reason=6)
    revoked = states.with_stop(known, NOW - 5, 8, revokes=True)
    assert revoked == stream(stream_id="", entity_id="", stopped_ts=NOW, stop_reason=6, revoked_ts=NOW - 5)
    assert states.with_stop(revoked, NOW - 9, 8, revokes=True).revoked_ts == NOW - 5
    assert states.with_stop(revoked, NOW - 2, 8, revokes=True).revoked_ts == NOW - 2


def test_what_is_known_already_is_no_change() -> None:
    known = stream(interrupted_ts=NOW)
    assert states.with_interruption(known, NOW) == states.with_interruption(known, NOW - 1) == known
    assert states.with_interruption(known, NOW + 1) == replace(known, interrupted_ts=NOW + 1)
    assert states.with_start(known, "k", NOW) == states.with_start(known, "k", NOW - 1) == known
    assert states.with_start(known, "k", NOW + 1).starts == {"k": NOW + 1}
    assert states.with_start(known, "l", 1).starts == {"k": NOW, "l": 1}


# Reasons


LATE = "not handed on within 60 s of its start"
DOUBT = "; an attempt had no answer, so a recording may exist and is looked for"


@pytest.mark.parametrize(
    ("handoff", "facts", "now", "reason"),
    [
        (fresh(), stream(stopped_ts=NOW + 1), NOW + 2, "the stream ended before it was handed on"),
        (fresh(), stream(stopped_ts=NOW + 1, stop_reason=0), NOW + 2, "the stream ended before it was handed on (stop_reason 0)"),
        (fresh(), stream(stopped_ts=NOW + 1, stop_reason=6), NOW + 2, "the stream ended before it was handed on (stop_reason 6)"),
        (fresh(), stream(starts={"k": NOW, "l": NOW + 1}), NOW + 2, "the stream started anew on other servers"),
        (fresh(), stream(), NOW + MINUTE, LATE),
        (fresh(attempts=1, history=["1: x", "2: y"]), stream(), NOW + MINUTE, LATE + "; last attempt: 2: y"),
        (fresh(attempts=1, history=["1: x"], unsure=True), stream(), NOW + MINUTE, LATE + "; last attempt: 1: x" + DOUBT),
        (fresh(attempts=1, lease_until=NOW), stream(), NOW + MINUTE, LATE + DOUBT),
        (fresh(unsure=True), stream(), NOW + MINUTE, LATE),
        (fresh(state="cancelled", attempt_at=None, reason="old"), stream(starts={"k": NOW + 1}), NOW + 1, ""),
        (accepted(state="superseded", reason="old"), stream(), NOW + 1, ""),
    ],
)
def test_a_settled_hand_off_says_why(handoff: HandOff, facts: states.Stream, now: int, reason: str) -> None:
    settled = states.settle(handoff, facts, now, RULES)
    assert settled.state != handoff.state
    assert (settled.reason, settled.state_at) == (reason, now)


def test_a_window_is_told_as_it_is_set() -> None:
    settled = states.settle(fresh(), stream(), NOW + 1500, Rules(connect_window_ms=1500))
    assert settled.reason == "not handed on within 1.5 s of its start"


def test_what_is_superseded_or_failed_is_not_superseded_again() -> None:
    for handoff in (fresh(state="superseded", attempt_at=None), fresh(state="failed", attempt_at=None)):
        assert states.settle(handoff, stream(starts={"k": NOW, "l": NOW + 1}), NOW + 2, RULES) == handoff


def test_a_record_takes_the_newest_time_of_its_own_start() -> None:
    assert states.settle(fresh(), stream(starts={"k": NOW + 3}), NOW, RULES).event_ts == NOW + 3
    assert states.settle(fresh(), stream(starts={"k": NOW - 3}), NOW, RULES).event_ts == NOW
    assert states.settle(fresh(), stream(starts={}), NOW, RULES).event_ts == NOW


# The end of a stream


@pytest.mark.parametrize(
    ("handoff", "facts", "ended_at", "look_at"),
    [
        (accepted(), stream(stopped_ts=NOW + 5), NOW + 5, NOW + 9 + 20 * SECOND),
        (accepted(look_at=NOW + 7), stream(stopped_ts=NOW + 5), NOW + 5, NOW + 7),
        (accepted(), stream(stopped_ts=NOW), None, NOW + 1_800_000),
        (accepted(), stream(stopped_ts=NOW - 5), None, NOW + 1_800_000),
        (accepted(), stream(), None, NOW + 1_800_000),
        (accepted(), stream(starts={}), None, NOW + 1_800_000),
        (accepted(ended_at=NOW + 1), stream(stopped_ts=NOW + 5), NOW + 1, NOW + 1_800_000),
        (accepted(), stream(starts={"k": NOW, "l": NOW + 6}), NOW + 6, NOW + 9 + 20 * SECOND),
        (accepted(), stream(starts={"k": NOW, "l": NOW + 6}, stopped_ts=NOW + 8), NOW + 8, NOW + 9 + 20 * SECOND),
        (accepted(retrieval="none_made", look_at=None), stream(stopped_ts=NOW + 5), NOW + 5, NOW + 9 + 20 * SECOND),
        (accepted(retrieval="done", look_at=None), stream(stopped_ts=NOW + 5), NOW + 5, None),
        # Not known to be posted: looked for only if an attempt may have made something.
        (fresh(attempts=1), stream(stopped_ts=NOW + 5), None, None),
        (fresh(attempts=1, unsure=True), stream(stopped_ts=NOW + 5), NOW + 5, NOW + 9 + 20 * SECOND),
        (fresh(attempts=1, lease_until=NOW - 1), stream(stopped_ts=NOW + 5), NOW + 5, NOW + 9 + 20 * SECOND),
    ],
)
def test_the_end_of_a_stream_is_followed_by_a_look_after_twenty_seconds(
    handoff: HandOff, facts: states.Stream, ended_at: int | None, look_at: int | None
) -> None:
    settled = states.settle(replace(handoff, looks=3), facts, NOW + 9, RULES)
    assert (settled.ended_at, settled.look_at) == (ended_at, look_at)
    assert settled.looks == (0 if settled.ended_at != handoff.ended_at else 3)
    if look_at is not None:
        assert settled.retrieval == "awaiting"


# Attempts


@pytest.mark.parametrize(
    ("fields", "wait"),
    [
        ({"lease_until": NOW + 1}, states.Wait(NOW + 1, "another attempt is under way")),
        ({"lease_until": NOW}, None),
        ({"attempt_at": NOW + 1}, states.Wait(NOW + 1, "a pause is on")),
        ({"attempt_at": NOW}, None),
        ({"attempt_at": None}, None),
        ({"attempt_at": NOW + 2, "lease_until": NOW + 1}, states.Wait(NOW + 1, "another attempt is under way")),
    ],
)
def test_an_attempt_waits_for_a_lease_and_a_pause_to_the_millisecond(fields: dict[str, Any], wait: states.Wait | None) -> None:
    decision = states.decide_attempt(fresh(**fields), NOW, "token", RULES)
    assert decision == wait if wait is not None else isinstance(decision, states.Post)


@pytest.mark.parametrize("state", ["accepted", "cancelled", "superseded", "failed", "expired"])
def test_only_what_is_pending_is_attempted(state: Any) -> None:
    assert states.decide_attempt(fresh(state=state), NOW, "token", RULES) is None


def test_an_attempt_takes_a_lease_and_a_key_that_it_keeps() -> None:
    first = states.decide_attempt(fresh(), NOW, "token", RULES)
    assert first == states.Post(
        fresh(attempts=1, idempotency_key="token", key_at=NOW, lease_until=NOW + 20 * SECOND, unsure=False), 1, "token"
    )
    again = states.decide_attempt(fresh(attempts=4, idempotency_key="kept", key_at=NOW - 9, unsure=True), NOW, "token", RULES)
    assert again == states.Post(
        fresh(attempts=5, idempotency_key="kept", key_at=NOW - 9, lease_until=NOW + 20 * SECOND, unsure=True), 5, "kept"
    )


def test_only_the_last_attempt_gives_back_the_lease() -> None:
    record, _ = posting(2)
    assert states.release(record, 2) == replace(record, lease_until=None)
    assert states.release(record, 1) == record


@pytest.mark.parametrize(
    ("number", "pause"),
    [(1, 500), (2, 1000), (3, 2000), (4, 4000), (5, 8000), (6, 8000), (18, 8000), (10_000, 8000)],
)
def test_a_pause_doubles_from_half_a_second_to_eight(number: int, pause: int) -> None:
    record, post = posting(number)
    for jitter, times in ((0.0, 0.75), (0.5, 1.0), (1.0, 1.25)):
        after = states.after_answer(record, Outcome("again", "x"), post, NOW, jitter, RULES)
        assert after.attempt_at == NOW + int(pause * times)


def test_a_pause_that_recall_names_is_kept_and_up_to_a_second_more() -> None:
    record, post = posting()
    for jitter, pause in ((0.0, 7500), (0.25, 7750), (1.0, 8500)):
        outcome = Outcome("again", "x", retry_after_s=7.5)
        assert states.after_answer(record, outcome, post, NOW, jitter, RULES).attempt_at == NOW + pause
    at_once = Outcome("again", "x", retry_after_s=0.0)
    assert states.after_answer(record, at_once, post, NOW, 0, RULES).attempt_at == NOW


def test_no_pause_outlasts_the_window_and_none_lies_in_the_past() -> None:
    record, post = posting()
    hour = Outcome("again", "x", retry_after_s=3600)
    assert states.after_answer(record, hour, post, NOW + 59_000, 0, RULES).attempt_at == NOW + 60_000
    assert states.after_answer(record, hour, post, NOW + 61_000, 0, RULES).attempt_at == NOW + 61_000


@pytest.mark.parametrize(
    ("outcome", "before", "after"),
    [
        (Outcome("again", "x"), False, False),
        (Outcome("again", "x"), True, True),
        (Outcome("again", "x", unsure=True), False, True),
        (Outcome("again_new_key", "x"), True, False),
        (Outcome("refused", "x"), True, False),
        (Outcome("accepted", mdc_id="m"), True, False),
    ],
)
def test_a_doubt_stays_until_an_answer_settles_it(outcome: Outcome, before: bool, after: bool) -> None:
    record, post = posting(unsure=before)
    answered = states.after_answer(record, outcome, post, NOW, 0, RULES)
    assert (answered.unsure, answered.lease_until) == (after, None)
    new_key = outcome.kind == "again_new_key"
    assert (answered.idempotency_key, answered.key_at) == ((None, None) if new_key else ("key", NOW))


def test_twenty_attempts_are_told_each_with_its_number() -> None:
    record, post = posting(30, history=[f"{n}: x" for n in range(10, 30)])
    told = states.after_answer(record, Outcome("again", "busy"), post, NOW, 0, RULES).history
    assert told == [f"{n}: x" for n in range(11, 30)] + ["30: busy"]
    record, post = posting()
    assert states.after_answer(record, Outcome("accepted", mdc_id="m"), post, NOW, 0, RULES).history == ["1: accepted"]


def test_an_accepted_hand_off_is_looked_for_at_the_usual_pace() -> None:
    record, post = posting()
    after = states.after_answer(record, Outcome("accepted", mdc_id="m"), post, NOW + 3, 0, RULES)
    assert after == replace(
        record,
        state="accepted",
        state_at=NOW + 3,
        mdc_id="m",
        accepted_at=NOW + 3,
        attempt_at=None,
        lease_until=None,
        history=["1: accepted"],
        retrieval="awaiting",
        look_at=NOW + 3 + 30 * MINUTE,
    )
    sooner = states.after_answer(replace(record, look_at=NOW + 4), Outcome("accepted", mdc_id="m"), post, NOW + 3, 0, RULES)
    assert sooner.look_at == NOW + 4
    twice = states.after_answer(after, Outcome("accepted", "again", mdc_id="other"), post, NOW + 9, 0, RULES)
    assert (twice.mdc_id, twice.accepted_at, twice.state_at, twice.reason) == ("m", NOW + 3, NOW + 3, "")


def test_an_id_without_which_it_was_accepted_is_taken_later() -> None:
    record, post = posting()
    nameless = states.after_answer(record, Outcome("accepted", "no id"), post, NOW, 0, RULES)
    assert (nameless.state, nameless.reason, nameless.mdc_id) == ("accepted", "no id", None)
    assert states.after_answer(nameless, Outcome("accepted", mdc_id="m"), post, NOW, 0, RULES).mdc_id == "m"


@pytest.mark.parametrize("kind", ["again", "again_new_key", "refused"])
@pytest.mark.parametrize("unsure", [False, True])
def test_an_answer_that_comes_after_the_decision_ends_or_keeps_the_doubt(kind: Any, unsure: bool) -> None:
    """The stream ended during the POST: is its recording looked for? Only if there may be one."""
    record, post = posting()
    cancelled = states.settle(record, stream(stopped_ts=NOW + 1), NOW + 2, RULES)
    assert (cancelled.state, cancelled.retrieval) == ("cancelled", "awaiting")
    after = states.after_answer(cancelled, Outcome(kind, "x", unsure=unsure), post, NOW + 3, 0, RULES)
    assert (after.state, after.attempt_at, after.lease_until) == ("cancelled", None, None)
    doubt = unsure and kind == "again"
    assert (after.unsure, after.retrieval) == (doubt, "awaiting" if doubt else "none_made")
    assert after.look_at == (cancelled.look_at if doubt else None)


def test_a_late_answer_of_an_overtaken_attempt_only_adds_its_doubt() -> None:
    record, _ = posting(2)
    first = states.Post(record, 1, "key")
    for outcome, unsure in ((Outcome("again", "x", unsure=True), True), (Outcome("again", "x"), False)):
        after = states.after_answer(record, outcome, first, NOW, 0, RULES)
        assert after == replace(record, unsure=unsure, history=["1: x"])
        assert states.after_answer(replace(record, unsure=True), outcome, first, NOW, 0, RULES).unsure
        posted = accepted(attempts=1)
        assert states.after_answer(posted, outcome, first, NOW, 0, RULES) == replace(posted, history=["1: x"])


def test_an_answer_to_what_was_revoked_meanwhile_leaves_no_words() -> None:
    record, post = posting()
    forgetting = states.settle(record, stream(revoked_ts=NOW + 1, stopped_ts=NOW + 1), NOW + 2, RULES)
    assert (forgetting.state, forgetting.retrieval, forgetting.look_at) == ("cancelled", "forgetting", NOW + 2)
    after = states.after_answer(forgetting, Outcome("accepted", "words", mdc_id="m"), post, NOW + 3, 0, RULES)
    assert (after.mdc_id, after.retrieval, after.look_at, after.history) == ("m", "forgetting", NOW + 3, [])
    failed = states.after_answer(forgetting, Outcome("refused", "words"), post, NOW + 3, 0, RULES)
    assert (failed.retrieval, failed.history, failed.look_at) == ("forgetting", [], NOW + 2)


@pytest.mark.parametrize(
    ("age", "state"),
    [(3_000_000, "pending"), (3_000_001, "expired")],
)
def test_a_key_lives_for_fifty_minutes(age: int, state: str) -> None:
    handoff = fresh(idempotency_key="key", key_at=NOW - age, attempts=1)
    assert states.settle(handoff, stream(), NOW, Rules(connect_window_ms=NEVER)).state == state


# The recording


NINE, TEN = "2026-11-22T09:00:00Z", "2026-11-22T10:00:00+00:00"


@pytest.mark.parametrize(
    ("one", "other", "status"),
    [
        (recording("done", NINE), recording("failed", TEN), "failed"),
        (recording("failed", NINE), recording("done", TEN), "done"),
        (recording("processing", TEN), recording("done", NINE), "done"),
        (recording("processing", TEN), recording("failed", NINE), "failed"),
        (recording("deleted", NINE), recording("failed", TEN), "deleted"),
        (recording("paused", NINE), recording("processing", TEN), "processing"),
        (recording("paused", NINE), recording("processing", ""), "paused"),
        (recording("paused", "1969-12-31T23:59:59Z"), recording("processing", "what is no time"), "paused"),
        (recording("paused", "0001-01-01T00:00:00+10:00"), recording("processing", ""), "paused"),
    ],
)
def test_of_two_statuses_the_final_and_then_the_newer_holds(one: Recording, other: Recording, status: str) -> None:
    assert [each.status for each in states.merge_recordings([one], [other])] == [status]
    assert [each.status for each in states.merge_recordings([other], [one])] == [status]


def test_recordings_are_told_apart_and_once_read_stay_read() -> None:
    found = [recording("done", id="b"), recording("done", id="a", read=True)]
    assert [each.id for each in states.merge_recordings(found, [recording("done", id="a")])] == ["a", "b"]
    assert [each.read for each in states.merge_recordings(found, [recording("done", id="a")])] == [True, False]
    assert [each.read for each in states.merge_recordings([recording("done")], [recording("done", read=True)])] == [True]
    assert states.merge_recordings([recording("failed", sub_code="a")], [recording("failed", sub_code="b")])[0].sub_code == "b"
    assert states.merge_recordings([recording("failed", sub_code="b")], [recording("failed", sub_code="a")])[0].sub_code == "b"
    for sub_code in ("b", "0"):  # any is more than none
        assert states.merge_recordings([recording("failed", sub_code=sub_code)], [recording("failed")])[0].sub_code == sub_code


def artifact(status: str, identity: str = "v") -> dict[str, Artifact]:
    return {"video_mixed": Artifact(id=identity, status=status)}


@pytest.mark.parametrize(
    ("before", "read", "after"),
    [
        (artifact("processing"), artifact("done"), artifact("done")),
        (artifact("done"), artifact("processing"), artifact("done")),
        (artifact("done"), artifact("failed"), artifact("failed")),
        (artifact("failed"), artifact("done"), artifact("done")),
        (artifact("deleted"), artifact("done"), artifact("deleted")),
        (artifact("processing"), artifact("zzz_new"), artifact("zzz_new")),
        (artifact("done"), artifact("processing", "w"), artifact("processing", "w")),
        ({}, artifact("processing"), artifact("processing")),
        (artifact("done"), {}, artifact("done")),
    ],
)
def test_an_artifact_is_never_less_final_than_it_was(before: Any, read: Any, after: Any) -> None:
    [merged] = states.merge_recordings([recording("done", artifacts=before)], [recording("done", artifacts=read)])
    assert merged.artifacts == after


def test_fifty_webhooks_are_remembered() -> None:
    handoff = accepted(seen=[f"{n}" for n in range(50)])
    after = states.note_webhook(handoff, "msg", None, NOW)
    assert after == replace(handoff, seen=[*(f"{n}" for n in range(1, 50)), hashlib.sha256(b"msg").hexdigest()[:16]])
    assert states.note_webhook(after, "msg", recording("done"), NOW) == after


@pytest.mark.parametrize(
    ("handoff", "status", "retrieval", "look_at"),
    [
        (accepted(), "done", "awaiting", NOW + 9),
        (accepted(), "failed", "awaiting", NOW + 9),
        (accepted(), "processing", "awaiting", NOW + 1_800_000),
        (accepted(look_at=None), "processing", "awaiting", NOW + 9),
        (accepted(ended_at=NOW + 1), "processing", "awaiting", NOW + 9),
        (accepted(retrieval="done", look_at=None), "processing", "awaiting", NOW + 9),
        (accepted(retrieval="none_made", look_at=None), "processing", "awaiting", NOW + 9),
        (accepted(retrieval="forgotten", look_at=None), "processing", "forgetting", NOW + 9),
        (accepted(retrieval="forgetting"), "processing", "forgetting", NOW + 9),
        (fresh(), "processing", "awaiting", NOW + 9),
    ],
)
def test_a_webhook_is_followed_by_a_look_unless_there_is_nothing_to_read_yet(
    handoff: HandOff, status: str, retrieval: str, look_at: int
) -> None:
    after = states.note_webhook(handoff, "msg", recording(status, artifacts=artifact("done")), NOW + 9)
    assert (after.retrieval, after.look_at) == (retrieval, look_at)
    assert [each.status for each in after.recordings] == [status]
    assert [bool(each.artifacts) for each in after.recordings] == [not handoff.revoked]


def test_a_recording_that_is_announced_or_found_shows_that_it_was_accepted() -> None:
    announced = states.note_webhook(fresh(), "msg", recording("done"), NOW + 9)
    assert (announced.state, announced.accepted_at, announced.reason) == ("accepted", NOW + 9, "a recording of it was announced")
    known = states.note_webhook(accepted(reason="r"), "msg", recording("done"), NOW + 9)
    assert (known.accepted_at, known.reason) == (NOW, "r")
    lost = fresh(state="expired", attempt_at=None, unsure=True, retrieval="awaiting", look_at=NOW)
    found = states.after_look(lost, [recording("processing")], NOW + 9, RULES)
    assert (found.state, found.accepted_at, found.reason) == ("accepted", NOW + 9, "a recording of it was found")
    assert states.after_look(lost, [], NOW + 9, RULES).state == "expired"
    assert states.after_look(accepted(reason="r"), [recording("processing")], NOW + 9, RULES).reason == "r"


def test_a_look_after_the_last_one_asks_for_no_other() -> None:
    over = accepted(retrieval="done", look_at=None)
    assert states.after_look(over, [], NOW, RULES) == over
    assert states.after_look(accepted(), [], NOW, RULES).looks == 1


@pytest.mark.parametrize(
    ("ended", "looks", "retry_after_s", "pause"),
    [
        (False, 0, None, 30 * MINUTE),
        (False, 5, None, 30 * MINUTE),
        (False, 0, 1800.5, 1_800_500),
        (False, 0, 7, 30 * MINUTE),
        (True, 0, None, 20 * SECOND),
        (True, 1, None, 40 * SECOND),
        (True, 3, None, 160 * SECOND),
        (True, 6, None, 1_280 * SECOND),
        (True, 7, None, 30 * MINUTE),
        (True, 0, 20.5, 20_500),
        (True, 0, 19.5, 20_000),
    ],
)
def test_looks_come_every_half_hour_and_after_the_end_ever_more_rarely(
    ended: bool, looks: int, retry_after_s: float | None, pause: int
) -> None:
    handoff = accepted(looks=looks, ended_at=NOW if ended else None)
    assert states.look_later(handoff, NOW + 5, retry_after_s, RULES) == replace(handoff, looks=looks + 1, look_at=NOW + 5 + pause)


def test_a_pace_of_less_than_a_second_is_kept() -> None:
    assert states.look_later(accepted(), NOW, None, Rules(poll_ms=500)).look_at == NOW + 500


def test_the_pause_between_looks_has_an_end_even_without_a_pace() -> None:
    endless = Rules(poll_ms=10**15)
    moments = {states.look_later(accepted(looks=looks, ended_at=NOW), NOW, None, endless).look_at for looks in (16, 17, 40_000)}
    assert moments == {NOW + 20_000 * 65_536}


@pytest.mark.parametrize(
    ("fields", "end"),
    [
        ({}, NOW + 48 * HOUR),
        ({"created_at": NOW + 5}, NOW + 5 + 48 * HOUR),
        ({"ended_at": NOW + 5}, NOW + 5 + 24 * HOUR),
        ({"ended_at": NOW + 5, "accepted_at": NOW + 7}, NOW + 7 + 24 * HOUR),
        ({"ended_at": NOW + 5, "accepted_at": None}, NOW + 5 + 24 * HOUR),
    ],
)
def test_a_recording_is_waited_for_a_day_from_its_end_or_two_without_one(fields: dict[str, Any], end: int) -> None:
    handoff = accepted(**fields)
    assert not states.too_late(handoff, end - 1, RULES)
    assert states.too_late(handoff, end, RULES)


READ: dict[str, Any] = {"read": True}


@pytest.mark.parametrize(
    ("recordings", "early", "late"),
    [
        ([], None, ("nothing_made", "no recordings were made; does RECALL_RECORDING_CONFIG ask for one?")),
        ([recording("done", **READ)], ("complete", ""), ("complete", "")),
        ([recording("done")], None, ("complete", "given up waiting for the rest")),
        ([recording("done", **READ, artifacts=artifact("done"))], ("complete", ""), ("complete", "")),
        ([recording("done", **READ, artifacts=artifact("failed"))], ("complete", ""), ("complete", "")),
        ([recording("done", **READ, artifacts=artifact("processing"))], None, ("complete", "given up waiting for the rest")),
        (
            [recording("failed", artifacts=artifact("processing"))],
            ("all_failed", "the recording failed"),
            ("all_failed", "the recording failed"),
        ),
        ([recording("failed", sub_code="b"), recording("failed", sub_code="a", id="q")], ("all_failed", "the recording failed: a, b"), ...),
        ([recording("failed", sub_code="a"), recording("deleted", id="q")], ("all_failed", "the recording failed: a"), ...),
        ([recording("failed"), recording("done", **READ, id="q")], ("complete", ""), ...),
        ([recording("failed"), recording("processing", id="q")], None, ("all_failed", "the recording failed")),
        ([recording("deleted")], ("complete", "deleted at Recall"), ...),
        ([recording("deleted"), recording("zzz", id="q")], None, ("all_failed", "the recording never ended")),
    ],
)
def test_a_retrieval_is_over_when_everything_is_final_or_it_was_waited_for_long_enough(recordings: Any, early: Any, late: Any) -> None:
    handoff = accepted(ended_at=NOW, recordings=recordings)
    assert states.judge(handoff, NOW + 24 * HOUR - 1, RULES) == early
    assert states.judge(handoff, NOW + 24 * HOUR, RULES) == (early if late is ... else late)


@pytest.mark.parametrize("retrieval", ["none", "done", "none_made", "failed", "forgetting", "forgotten"])
def test_only_what_is_awaited_is_judged(retrieval: Any) -> None:
    assert states.judge(accepted(retrieval=retrieval, recordings=[recording("failed")]), NOW + NEVER, RULES) is None


def test_a_finished_retrieval_names_each_archived_artifact_once_and_gives_back_its_lease() -> None:
    b, a, newer = (ArchivedArtifact(name=name, size=size, sha256="") for name, size in (("b", 1), ("a", 1), ("b", 2)))
    over = states.finish_retrieval(accepted(archived=[b], archive_until=NOW), "complete", "because", [newer, a])
    assert over == accepted(archived=[a, newer], retrieval="done", retrieval_reason="because", look_at=None)


# Forgetting


def test_after_an_erasure_it_is_looked_again_five_times_within_a_day_and_then_buried() -> None:
    told: dict[str, Any] = {"idempotency_key": "key", "recordings": [recording("deleted")], "seen": ["s"]}
    handoff, pauses = accepted(retrieval="forgetting", **told), []
    for number in range(5):
        handoff = states.after_erasure(handoff, True, NOW + number)
        assert (handoff.retrieval, handoff.mdc_id, handoff.looks) == ("forgotten", "m", number + 1)
        assert handoff.look_at is not None
        pauses.append(handoff.look_at - NOW - number)
    assert pauses == [MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR]
    assert handoff.seen
    buried = states.after_erasure(handoff, True, NOW)
    assert buried == replace(handoff, look_at=None, mdc_id=None, idempotency_key=None, recordings=[], seen=[])


def test_an_erasure_that_failed_is_tried_again_in_a_minute() -> None:
    handoff = accepted(retrieval="forgetting", looks=2)
    assert states.after_erasure(handoff, False, NOW + 5) == replace(handoff, look_at=NOW + 5 + MINUTE)


@pytest.mark.parametrize(
    ("handoff", "state", "buried"),
    [
        (fresh(), "cancelled", True),
        (fresh(state="failed", attempt_at=None), "failed", True),
        (fresh(state="expired", attempt_at=None), "cancelled", True),
        (fresh(attempts=1), "cancelled", False),
        (fresh(recordings=[recording("done")]), "cancelled", False),
        (accepted(attempts=0), "accepted", False),
        (accepted(archived=[ArchivedArtifact(name="a", size=1, sha256="")], history=["1: x"], looks=3), "accepted", False),
    ],
)
def test_a_revoked_hand_off_keeps_only_what_finds_its_content(handoff: HandOff, state: str, buried: bool) -> None:
    handoff = replace(handoff, account_id="a", idempotency_key="key", reason="words", seen=["s"])
    if handoff.recordings:
        handoff = replace(handoff, recordings=[recording("done", artifacts=artifact("done"))])
    tomb = states.settle(handoff, stream(revoked_ts=NOW + 1), NOW + 2, RULES)
    assert (tomb.entity_id, tomb.stream_id, tomb.server_urls, tomb.account_id, tomb.history, tomb.archived) == ("", "", "", "", [], [])
    assert (tomb.state, tomb.reason, tomb.attempt_at, tomb.looks) == (state, "the stream was revoked", None, 0)
    assert (tomb.key, tomb.stream_key, tomb.event_ts) == (handoff.key, handoff.stream_key, handoff.event_ts)
    if buried:
        assert (tomb.retrieval, tomb.look_at, tomb.idempotency_key, tomb.seen) == ("forgotten", None, None, [])
    else:
        assert (tomb.retrieval, tomb.look_at, tomb.mdc_id, tomb.idempotency_key) == ("forgetting", NOW + 2, handoff.mdc_id, "key")
        assert tomb.recordings == [replace(each, artifacts={}) for each in handoff.recordings]
    assert states.settle(tomb, stream(revoked_ts=NOW + 1), NOW + 9, RULES) == tomb


def test_a_diagram_has_one_line_for_each_transition() -> None:
    assert states.diagram({("a", "t"): "b"}, "a") == "stateDiagram-v2\n    [*] --> a\n    a --> b: t"
