"""Pages of a list: all objects once, in order, forwards and backwards, while others come and go."""

import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.errors import CursorError
from rtms_simulator.recall.records.workspace import Workspace, page


@dataclass
class Thing:
    seq: int


@given(count=st.integers(0, 30), size=st.integers(1, 7), gone=st.sets(st.integers(0, 29)), come=st.integers(0, 5))
def test_walking_shows_each_object_once_also_when_some_are_deleted_and_others_made_meanwhile(count, size, gone, come):
    things = [Thing(number) for number in range(count)]
    first, cursor, back = page(things, None, size)
    assert back is None
    seen = [thing.seq for thing in first]
    left = [thing for thing in things if thing.seq not in gone] + [Thing(count + number) for number in range(come)]
    while cursor:
        shown, cursor, back = page(left, cursor, size)
        seen += [thing.seq for thing in shown]
    assert seen == sorted(set(seen), reverse=True)
    assert set(range(count)) - gone <= set(seen) <= set(range(count))


@given(count=st.integers(1, 30), size=st.integers(1, 7))
def test_walking_back_shows_the_same(count, size):
    things = [Thing(number) for number in range(count)]
    shown, cursor, back = page(things, None, size)
    while cursor:
        shown, cursor, back = page(things, cursor, size)
    seen = [thing.seq for thing in shown]
    while back:
        shown, cursor, back = page(things, back, size)
        seen = [thing.seq for thing in shown] + seen
    assert seen == list(range(count))[::-1]


@pytest.mark.parametrize("cursor", ["x", "bmV4dDo=", "bmV4dDp4", "é", "bmV4dDotMQ==", "cHJldg==", "b3RoZXI6MQ=="])
def test_a_cursor_that_no_page_gave_out_is_refused(cursor):
    with pytest.raises(CursorError):
        page([Thing(1)], cursor, 1)


def test_ids_are_uuids_of_the_seed():
    one, two = Workspace(random.Random(1)), Workspace(random.Random(1))
    assert [one.new_id() for _ in range(3)] == [two.new_id() for _ in range(3)]
    assert one.new_id()[14] == "4"
