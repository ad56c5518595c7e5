"""Which kinds of trouble met: within one connect window of each other, each pair once a run."""

from __future__ import annotations

from collections import Counter

from tests.simulation.campaign import play
from tests.simulation.pairs import POSSIBLE, TROUBLES, pairs_in, told
from tests.simulation.weather import HOSTILE
from tests.simulation.world import Event

T = 1_700_000_000_000


def fault(kind: str, at: int) -> Event:
    return Event(T + at, "fault", kind, {})


def outage(part: str, kind: str, begin: int, end: int) -> Event:
    return Event(T + begin, "outage", part, {"kind": kind, "queue": "", "until": T + end})


def test_two_faults_meet_within_a_window_and_not_after_it() -> None:
    pair = ("ack lost", "store slow")
    assert pairs_in([fault("store slow", 0), fault("ack lost", 60_000)]) == {pair: 1}
    assert pairs_in([fault("ack lost", 0), fault("store slow", 60_001)]) == {}


def test_a_pair_counts_once_a_run_and_a_kind_does_not_meet_itself() -> None:
    assert pairs_in([fault("store slow", at) for at in (0, 1, 2)]) == {}
    assert pairs_in([fault("store slow", 0), fault("ack lost", 1), fault("store slow", 2), fault("ack lost", 3)]).total() == 1


def test_an_outage_meets_what_comes_until_a_window_after_its_end() -> None:
    hours = outage("store", "away", 0, 7_200_000)
    assert pairs_in([hours, fault("ack lost", 7_260_000)]) == {("ack lost", "outage of store: away"): 1}
    assert pairs_in([hours, fault("ack lost", 7_260_001)]) == {}
    assert pairs_in(
        [outage("store", "away", 0, 7_200_000), fault("store slow", 60_000), outage("home", "hangs", 3_600_000, 3_601_000)]
    ) == {
        ("outage of store: away", "store slow"): 1,
        ("outage of home: hangs", "outage of store: away"): 1,
    }


def test_crashes_count_by_function_and_other_events_do_not() -> None:
    crashes = [Event(T, "worker-1", "crash", {}), Event(T + 1, "worker-2", "crash", {}), Event(T + 2, "webhook-1", "crash", {})]
    assert pairs_in([*crashes, Event(T + 3, "zoom", "answered", {})]) == {("webhook crash", "worker crash"): 1}


def test_every_trouble_of_a_run_is_one_of_those_that_are_counted() -> None:
    figures = play(range(12))
    assert set(figures.pairs) <= POSSIBLE
    assert figures.pairs
    assert len(POSSIBLE) == len(TROUBLES) * (len(TROUBLES) - 1) // 2
    assert set(HOSTILE.faults) <= set(TROUBLES)


def test_the_line_names_the_rarest_and_what_never_met() -> None:
    pairs = Counter(dict.fromkeys(POSSIBLE, 5))
    assert told(pairs, 9) == f"{len(POSSIBLE):,} of {len(POSSIBLE):,} met within a minute; in the middle in 5 of 9 seeds, the rarest (" + (
        " + ".join(min(POSSIBLE)) + ") in 5"
    )
    pairs["ack lost", "store slow"] = 0
    assert told(pairs, 9).endswith("; never: ack lost + store slow")
