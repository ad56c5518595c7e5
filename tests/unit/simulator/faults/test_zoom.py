"""Faults by name: what can be written, what is refused, what is taken when."""

from __future__ import annotations

import pytest

from rtms_simulator.faults.zoom import FAULTS, Fault, FaultBook, FaultError, Where, parse


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_can_be_written_by_its_name_alone_and_read_again(name: str) -> None:
    fault = parse(name)
    assert str(fault) == name
    assert fault.where is FAULTS[name].where
    assert set(fault.params) == set(FAULTS[name].params)
    assert FAULTS[name].says
    assert all(param.says for param in FAULTS[name].params.values())


def test_settings_are_typed_and_only_the_changed_ones_are_written() -> None:
    fault = parse("late:seconds=4,event=*.rtms_stopped,times=2")
    assert fault.params == {"seconds": 4.0, "event": "*.rtms_stopped", "times": 2}
    assert parse(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lat", "allowed: late"),
        ("late:second=1", "allowed: seconds"),
        ("late:seconds", "not key=value"),
        ("late:seconds=soon", "how late"),
        ("late:seconds=-1", "0 to 1e9"),
        ("late:seconds=nan", "0 to 1e9"),
        ("late:times=1.5", "how often"),
        ("drop-media:media=smell", "allowed: audio"),
        ("style:style=x", "allowed: payload-first"),
        ("refuse:socket=x", "allowed: any"),
        ("", "allowed"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_what_is_allowed(text: str, says: str) -> None:
    with pytest.raises(FaultError, match=says.replace("(", r"\(")):
        parse(text)


def test_the_book_gives_each_name_once_the_oldest_first_and_counts() -> None:
    book = FaultBook([parse("late:seconds=1"), parse("late:seconds=2"), parse("duplicate:event=meeting.*,times=0")])
    assert [str(fault) for fault in book.take(Where.DELIVERY, event="phone.rtms_started")] == ["late:seconds=1.0"]
    taken = book.take(Where.DELIVERY, event="meeting.rtms_started")
    assert [fault.name for fault in taken] == ["late", "duplicate"]
    assert taken[0].number("seconds") == 2.0
    for _ in range(5):
        assert [fault.name for fault in book.take(Where.DELIVERY, event="meeting.x")] == ["duplicate"]
    assert book.take(Where.HANDSHAKE) == []
    assert book.clear() == 1
    assert book.listed() == ()


def test_handshake_faults_choose_their_socket() -> None:
    book = FaultBook([parse("refuse:socket=media,status=9")])
    assert book.take(Where.HANDSHAKE, "refuse", socket="signaling") == []
    assert book.take(Where.HANDSHAKE, "unreachable", socket="media") == []
    assert [fault.number("status") for fault in book.take(Where.HANDSHAKE, "refuse", socket="media")] == [9.0]


def test_one_of_several_is_forgotten_by_its_number() -> None:
    book = FaultBook([parse("drop"), parse("late")])
    first, _ = book.listed()
    assert book.clear(first.id) == 1
    assert [armed.fault.name for armed in book.listed()] == ["late"]
    assert isinstance(book.listed()[0].fault, Fault)
