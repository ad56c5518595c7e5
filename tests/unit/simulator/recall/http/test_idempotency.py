"""Idempotency keys: performed once per hour, refused while in flight, forgotten after."""

from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.recall.http.idempotency import KEPT_S, IdempotencyKeys, StoredAnswer, Verdict, scope

A = StoredAnswer(201, {}, b"a")
HERE = scope("user", "/x/", "k")


def test_a_scope_is_user_path_and_key_with_or_without_the_slash():
    assert scope("user", "/x", "k") == HERE
    assert len({HERE, scope("other", "/x", "k"), scope("user", "/y", "k"), scope("user", "/x", "l")}) == 4


def test_in_flight_then_stored_then_forgotten():
    keys = IdempotencyKeys()
    assert keys.begin(HERE, 0) is Verdict.PERFORM
    assert keys.begin(HERE, 0) is Verdict.IN_FLIGHT
    keys.complete(HERE, A, 10)
    assert keys.begin(HERE, 10 + KEPT_S - 0.001) == A
    assert keys.begin(HERE, 10 + KEPT_S) is Verdict.PERFORM
    keys.abandon(HERE)
    assert keys.begin(HERE, 10 + KEPT_S) is Verdict.PERFORM


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 4000)), max_size=40))
def test_one_key_is_performed_at_most_once_in_any_hour(requests):
    keys, now, performed, answers = IdempotencyKeys(), 0.0, {}, []
    for key, pause in requests:
        now += pause
        found = keys.begin(scope("u", "/x", key), now)
        if now >= performed.get(key, -KEPT_S) + KEPT_S:
            answers.append(found is Verdict.PERFORM)
            performed[key] = now
            keys.complete(scope("u", "/x", key), StoredAnswer(201, {}, str(now).encode()), now)
        else:
            answers.append(isinstance(found, StoredAnswer) and found.body == str(performed[key]).encode())
    assert answers == [True] * len(requests)
