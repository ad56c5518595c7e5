"""Where a hand-off stands follows from what is known of its stream and from the time: not from where it stood, and not from the order."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.relay.fakes import NOW
from tests.unit.relay.test_handoff import fresh, stream

from rtms_relay import handoff as states
from rtms_relay.handoff import HandOff, Rules, Stream

END = NOW + 60_000
RULES = Rules()


def expected(handoff: HandOff, facts: Stream, now: int) -> str:
    """An own reading of the design's tables."""
    begun = max(handoff.event_ts, facts.starts.get(handoff.key, 0))
    newest = max(facts.starts, key=lambda key: (facts.starts[key], key), default=handoff.key)
    if handoff.state == "failed":
        return "failed"
    if newest != handoff.key:
        return "superseded"
    if handoff.accepted_at is not None:
        return "accepted"
    end = begun + 60_000
    # A stop after the window's end does not undo an expiry.
    if begun < facts.stopped_ts and (facts.stopped_ts <= end or now < end):
        return "cancelled"
    key_is_dead = handoff.key_at is not None and now > handoff.key_at + 50 * 60_000
    return "expired" if now >= end or key_is_dead else "pending"


def shapes() -> list[HandOff]:
    """Every state that a hand-off can be in before more is heard."""
    resting = [fresh(state=state, attempt_at=None) for state in ("cancelled", "superseded", "failed", "expired")]
    posted = [fresh(state=state, attempt_at=None, accepted_at=NOW, mdc_id="m") for state in ("accepted", "superseded")]
    keyed = [fresh(idempotency_key="k", key_at=NOW + 60_000 - 3_000_000 - late, attempts=1) for late in (0, 1, 2)]
    return [fresh(), *resting, *posted, *keyed]


def test_every_state_leads_where_the_facts_lead() -> None:
    """Exhaustive over the moments on either side of every border."""
    stops = (0, NOW - 1, NOW, NOW + 1, NOW + 2, END - 1, END, END + 1, END + 2)
    starts: tuple[dict[str, int], ...] = (
        {},
        {"k": NOW},
        {"k": NOW + 1},
        {"k": NOW, "l": NOW + 1},
        {"k": NOW + 1, "l": NOW},
        {"k": NOW, "j": NOW},
    )
    for handoff, stopped_ts, known, now in itertools.product(shapes(), stops, starts, (NOW, END - 1, END, END + 1, END + 2)):
        facts = stream(stopped_ts=stopped_ts, starts=known)
        settled = states.settle(handoff, facts, now, RULES)
        assert settled.state == expected(handoff, facts, now), (handoff, facts, now)
        assert states.settle(settled, facts, now, RULES) == settled
        if settled.state == "pending":
            assert settled.attempt_at == (handoff.attempt_at if handoff.state == "pending" else now)
        else:
            assert settled.attempt_at is None
        if settled.state == handoff.state:
            assert (settled.state_at, settled.reason) == (handoff.state_at, handoff.reason)


FACT = st.one_of(
    st.tuples(st.just("start"), st.sampled_from("klm"), st.integers(1, 5)),
    st.tuples(st.just("stop"), st.sampled_from([None, 0, 5, 6]), st.integers(1, 5)),
    st.tuples(st.just("revocation"), st.just(8), st.integers(1, 5)),
    st.tuples(st.just("interruption"), st.none(), st.integers(1, 5)),
)


def told(known: Stream, fact: tuple[str, Any, int]) -> Stream:
    kind, what, ts = fact
    if kind == "start":
        return states.with_start(known, what, ts)
    if kind == "interruption":
        return states.with_interruption(known, ts)
    return states.with_stop(known, ts, what, revokes=kind == "revocation")


@given(facts=st.lists(FACT, max_size=8), data=st.data())
def test_facts_add_up_to_the_same_in_any_order_and_any_number(facts: list[Any], data: st.DataObject) -> None:
    empty = stream(starts={}, account_id="a")
    straight = mixed = empty
    for fact in facts:
        straight = told(straight, fact)
        assert told(straight, fact) == straight
    for fact in data.draw(st.permutations(facts + facts[::2])):
        mixed = told(mixed, fact)
    assert mixed == straight
    stops = [(ts, -1 if what is None else what) for kind, what, ts in facts if kind in ("stop", "revocation")]
    revoked = [ts for kind, _, ts in facts if kind == "revocation"]
    starts = {key: max(ts for kind, what, ts in facts if (kind, what) == ("start", key)) for kind, key, _ in facts if kind == "start"}
    assert straight == replace(
        empty,
        starts=starts,
        stopped_ts=max(stops, default=(0, -1))[0],
        stop_reason=max(stops, default=(0, -1))[1],
        interrupted_ts=max((ts for kind, _, ts in facts if kind == "interruption"), default=0),
        revoked_ts=max(revoked, default=0),
        **({"stream_id": "", "entity_id": "", "account_id": ""} if revoked else {}),
    )
