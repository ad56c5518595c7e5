"""Derived keys: golden vectors that never change within a major version, and the rule for the next Idempotency-Key."""

from __future__ import annotations

import itertools

import pytest

from rtms_relay import budgets
from rtms_relay.handoff import keys as keyring
from rtms_relay.handoff.answers import Outcome, outcome
from rtms_relay.handoff.keys import Keys, first_edition_key, handoff_key, idempotency_key, stream_key

GOLDEN = "f8dc98c7abf52a1f9f76b0001956ed572bdd4dc043b45886b3a6807ec9dcaba1"
NOW = 1_000_000
LOST = outcome(0, "timeout", None)
BROKEN = outcome(503, None, None)


def test_keys_are_what_they_always_were() -> None:
    assert stream_key("609340fb2a7946909659956c8aa9250c") == "4977473b8f292469f2dffb2a09a5176c407fe631efd8205b7d0f84bbf32c1426"
    assert handoff_key("rtmskit", "609340fb2a7946909659956c8aa9250c", "wss://a.zoom.us", 1_795_338_000_000) == GOLDEN
    assert [idempotency_key(GOLDEN, number) for number in (0, 1, 7)] == [
        "7d5f0621af02e0d961aa860b439349a9",
        "bd8d4a3636cc7a488fd5c7268bac1f53",
        "987e909d1ea3ce3c2ac00c90128ea075",
    ]
    assert first_edition_key("s", "wss://a.zoom.us") == "ec27eaa5ba4b76ca1dcde037d4daefa6199ff1144dc28b717828bad7b8f28ce3"


def test_keys_do_not_run_into_one_another() -> None:
    parts = ["", "a", "ab", "1:a", "b", "é", "a/b", "wss://x"]
    made = {handoff_key(d, s, u, e) for d, s, u in itertools.product(parts, repeat=3) for e in (0, 1, 11)}
    assert len(made) == len(parts) ** 3 * 3
    assert len({idempotency_key(GOLDEN, number) for number in range(50)}) == 50


@pytest.mark.parametrize("status", [401, 403, 404, 405, 429, 507, 300, 304, 399])
def test_what_certainly_made_nothing_is_followed_by_the_next_key(status: int) -> None:
    keys = keyring.after(keyring.used(Keys(), NOW), outcome(status, None, None), NOW)
    assert (keys.number, keys.first_at, keys.doubtful, keys.skipped) == (1, None, False, False)


def test_without_a_connection_the_key_stays() -> None:
    """Nothing can be stored under it; and a try of key 0 may be under way that was begun while the store was away."""
    keys = keyring.used(Keys(), NOW)
    assert keyring.after(keys, outcome(0, "unreachable", None), NOW) == keys


@pytest.mark.parametrize("given", [LOST, outcome(0, "reset", None), outcome(408, None, None), outcome(425, None, None), BROKEN])
def test_what_may_have_made_something_is_followed_by_the_same_key_until_it_is_the_same_twice(given: Outcome) -> None:
    once = keyring.after(Keys(), given, NOW)
    assert (once.number, once.doubtful) == (0, True)
    twice = keyring.after(once, given, NOW)
    assert (twice.number, twice.skipped, twice.doubtful) == (1, True, False)
    keys = twice
    for _ in range(5):  # once per hand-off
        keys = keyring.after(keys, given, NOW)
    assert keys.number == 1


def test_a_hand_off_begins_with_its_first_key_and_no_doubt() -> None:
    assert Keys() == Keys(number=0, first_at=None, doubtful=False, answer="", same=0, same_since=0, skipped=False)


def test_how_often_an_answer_came_in_a_row_and_since_when_is_counted() -> None:
    keys, counted = Keys(number=1, skipped=True), []
    for second, given in enumerate((LOST, LOST, LOST, BROKEN)):
        keys = keyring.after(keys, given, NOW + second)
        counted.append((keys.same, keys.same_since))
    assert counted == [(1, NOW), (2, NOW), (3, NOW), (1, NOW + 3)]


def test_different_answers_are_not_the_same_twice() -> None:
    keys = Keys()
    for given in (LOST, BROKEN, LOST, outcome(500, None, None), LOST):
        keys = keyring.after(keys, given, NOW)
    assert keys.number == 0


def test_a_key_in_flight_is_left_after_twenty_seconds() -> None:
    busy = outcome(409, None, None)
    keys = Keys()
    for second in range(20):
        keys = keyring.after(keys, busy, NOW + second * 1000)
    assert keys.number == 0
    assert keyring.after(keys, busy, NOW + 20_000).number == 1


@pytest.mark.parametrize(("given", "number"), [(401, 0), (404, 0), (301, 0), (429, 1), (507, 1)])
def test_a_doubtful_key_is_left_only_for_an_answer_of_the_create_itself(given: int, number: int) -> None:
    keys = keyring.after(keyring.after(Keys(), LOST, NOW), outcome(given, None, None), NOW)
    assert (keys.number, keys.skipped) == (number, number == 1)


def test_a_key_is_not_used_after_fifty_minutes() -> None:
    keys = keyring.used(Keys(), NOW)
    assert not keys.expired(NOW + budgets.KEY_LIFE_MS)
    assert keys.expired(NOW + budgets.KEY_LIFE_MS + 1)
    assert keyring.used(keys, NOW + 5) == keys
    assert not Keys().expired(10**15)
