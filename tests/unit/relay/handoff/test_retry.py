"""What a person can still have done for a hand-off: in its window at once with the next key, later only a look, and always the reason."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rtms_relay.budgets import Rules
from rtms_relay.handoff import attempt as attempts
from rtms_relay.handoff import facts as known
from rtms_relay.handoff import record, retry
from rtms_relay.handoff.answers import outcome
from rtms_relay.handoff.facts import Begun, Facts
from rtms_relay.handoff.record import HandOff

NOW = 1_795_338_000_000
RULES = Rules()
END = NOW + RULES.connect_window_ms
FACTS, RUN = known.with_start(
    Facts(key="s", stream_id="i", product="meeting", entity_id="e", created_at=NOW),
    Begun(stream_id="i", server_urls="wss://a", event_ts=NOW),
    "d",
)
FRESH = record.new(FACTS, RUN.key, "wss://a", NOW, NOW)


def after(*statuses: int, now: int = NOW) -> HandOff:
    handoff = FRESH
    for number, status in enumerate(statuses, start=1):
        handoff = replace(handoff, attempt=attempts.begin(handoff.attempt, now, RULES))
        mdc_id = "mdc" if status < 300 else None
        handoff = record.after_answer(handoff, number, outcome(status, None, mdc_id), now, 0.5, RULES)
    return handoff


def asked(handoff: HandOff, facts: Facts | None = FACTS, now: int = NOW + 5_000) -> retry.Possible:
    if facts is not None:
        handoff = record.settle(handoff, facts, now, RULES)
    return retry.possible(handoff, facts, now, RULES)


@pytest.mark.parametrize("status", [400, 402, 422])
def test_what_recall_refused_is_tried_again_in_its_window_with_the_next_key(status: int) -> None:
    failed = after(status)
    assert failed.attempt.state == "failed"
    assert asked(failed).kind == "post"
    again = retry.again(failed.attempt, NOW + 5_000)
    assert (again.state, again.next_at, again.keys.number, again.reason) == ("pending", NOW + 5_000, 1, "")
    assert attempts.decide(again, NOW + 5_000) is True


def test_what_may_have_made_something_is_asked_for_again_with_the_same_key() -> None:
    doubtful = after(503, 400)
    assert doubtful.attempt.state == "failed"
    assert doubtful.attempt.unsure
    again = retry.again(doubtful.attempt, NOW + 5_000)
    assert again.keys.number == 0  # Recall then answers with what the first try has made


def test_a_pause_is_left_out_and_its_key_is_the_one_on_record() -> None:
    pausing = after(429)
    assert pausing.attempt.next_at == NOW + 30_000
    assert asked(pausing).kind == "post"
    again = retry.again(pausing.attempt, NOW + 5_000)
    assert (again.state, again.next_at, again.keys) == ("pending", NOW + 5_000, pausing.attempt.keys)


def test_a_try_under_way_is_waited_for() -> None:
    trying = replace(FRESH, attempt=attempts.begin(FRESH.attempt, NOW, RULES))
    possible = asked(trying)
    assert possible.kind == "nothing"
    assert "a try is under way; it ends by 2026-11-22 09:00:20 UTC" in possible.why
    assert "wait" in possible.remains


def test_a_try_whose_time_is_over_is_waited_for_no_longer() -> None:
    lease_until = NOW + 20_000
    trying = replace(FRESH, attempt=replace(FRESH.attempt, lease_until=lease_until))
    kinds = [retry.possible(trying, FACTS, now, RULES).kind for now in (lease_until - 1, lease_until)]
    assert kinds == ["nothing", "post"]


def test_of_what_is_posted_nothing_remains_to_be_done_by_a_person() -> None:
    assert asked(after(400)) == retry.Possible(kind="post", why="its connect window is open", remains="")
    assert asked(FRESH) == retry.Possible(kind="post", why="it is still being tried; the pause before the next try is left out", remains="")


@pytest.mark.parametrize(("stopped_ts", "kind"), [(NOW - 1, "post"), (NOW, "post"), (NOW + 1, "nothing")])
def test_a_stream_that_started_anew_at_the_moment_of_its_end_goes_on(stopped_ts: int, kind: str) -> None:
    assert retry.possible(after(400), known.with_stop(FACTS, stopped_ts, 6), NOW + 5_000, RULES).kind == kind


@pytest.mark.parametrize(("now", "kind"), [(END - 1, "post"), (END, "nothing"), (END + 86_400_000, "nothing")])
def test_the_window_decides_to_the_millisecond(now: int, kind: str) -> None:
    assert asked(after(400), now=now).kind == kind


def test_outside_its_window_it_says_when_that_ended_and_what_the_host_can_do() -> None:
    possible = asked(after(400), now=END + 7_000)
    assert possible.why == (
        "its connect window ended 2026-11-22 09:01:00 UTC, 7 s ago: Zoom drops a stream that nobody joined within 60 s of its start"
    )
    assert "the host can stop the app and start it again" in possible.remains


def test_a_stream_that_ended_is_named_with_zooms_reason() -> None:
    possible = asked(after(400), known.with_stop(FACTS, NOW + 2_000, 6))
    assert (possible.kind, possible.why) == ("nothing", "the stream has ended (stop_reason 6, the meeting ended)")


def test_a_later_start_is_named() -> None:
    facts, later = known.with_start(FACTS, Begun(stream_id="i", server_urls="wss://b", event_ts=NOW + 3_000), "d")
    possible = asked(after(400), facts)
    assert possible.kind == "nothing"
    assert "later start" in possible.why
    assert later.key in possible.remains


@pytest.mark.parametrize("facts", [FACTS, known.with_stop(FACTS, NOW + 2_000, 6), None])
def test_what_recall_accepted_is_never_posted_again_and_always_looked_for(facts: Facts | None) -> None:
    assert asked(after(201), facts).kind == "look"
    assert asked(after(201), facts, now=END + 1).kind == "look"


def test_a_try_in_doubt_is_looked_for_once_its_window_is_over() -> None:
    possible = asked(after(503), now=END + 1)
    assert possible.kind == "look"
    assert "may have made a recording" in possible.why
    assert possible.remains == retry.RESTART


def test_what_was_revoked_is_left_alone() -> None:
    facts = known.with_stop(FACTS, NOW + 2_000, known.REVOKED)
    for handoff in (FRESH, after(201), after(400)):
        possible = asked(handoff, facts)
        assert (possible.kind, possible.why) == ("nothing", "the stream was revoked")
        assert possible.remains
