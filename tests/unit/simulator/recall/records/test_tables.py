"""The tables of lives: every row reachable, nothing after the end but deletion."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.recall.records.tables import INITIAL, INVENTED_MDC_CODES, TABLES, states, step

DOCUMENTED = {
    "recording": {"processing", "paused", "done", "failed", "deleted"},
    "artifact": {"processing", "done", "failed", "deleted"},
    "realtime_endpoint": {"running", "done", "failed"},
}


@pytest.mark.parametrize(("kind", "codes"), DOCUMENTED.items())
def test_the_states_are_the_documented_codes(kind, codes):
    assert set(states(kind)) == codes


@pytest.mark.parametrize("kind", TABLES)
def test_every_state_is_reached_from_the_first(kind):
    reached = {INITIAL[kind]}
    for _ in TABLES[kind]:
        reached |= {target for (source, _), target in TABLES[kind].items() if source in reached}
    assert reached == set(states(kind))


@given(
    kind=st.sampled_from(sorted(TABLES)),
    facts=st.lists(st.sampled_from(["joined", "paused", "resumed", "ended", "failed", "deleted", "x"])),
)
def test_whatever_comes_twice_or_late_an_end_stays_an_end(kind, facts):
    state = INITIAL[kind]
    for fact in facts:
        after = step(kind, state, fact)
        follow = {target for (source, _), target in TABLES[kind].items() if source == state}
        if follow <= {"deleted"}:
            assert after in (state, "deleted")
        state = after
    assert state in states(kind)


def test_invented_codes_rename_every_state_of_an_mdc_and_hit_no_real_one():
    assert set(INVENTED_MDC_CODES) == set(states("mdc"))
    assert not set(INVENTED_MDC_CODES.values()) & set(states("mdc"))
