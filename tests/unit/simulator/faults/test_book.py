"""The book of armed faults: which acts, how often, and in which order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.faults import NO_FAULT, FaultBook, FaultError, parse_fault
from rtms_simulator.faults.cloud_tasks import FAMILIES as TASKS
from rtms_simulator.faults.cloud_tasks import QUEUE
from rtms_simulator.faults.recall import REQUEST
from rtms_simulator.faults.zoom import HANDSHAKE, WEBHOOK


@given(st.lists(st.tuples(st.sampled_from(["ok", "503", "reset", "507 html"]), st.integers(1, 4)), min_size=1, max_size=5))
def test_each_step_is_used_as_often_as_it_says_and_then_nothing_acts(steps: list[tuple[str, int]]) -> None:
    book = FaultBook()
    armed = book.add("recall.create: " + " then ".join(f"{word} x{times}" for word, times in steps))
    assert armed.steps_left == sum(times for _, times in steps)
    taken = [book.take(REQUEST, "create", "meeting_direct_connect_create") for _ in range(armed.steps_left or 0)]
    words = {"ok": "ok", "503": "<status>", "reset": "reset", "507 html": "<status>"}
    assert [step.word for step in taken] == [words[word] for word, times in steps for _ in range(times)]
    assert book.take(REQUEST, "create") is NO_FAULT
    assert armed.used == sum(times for word, times in steps if word != "ok")
    assert book.listed() == ()


def test_the_oldest_that_matches_decides_and_a_target_is_a_pattern() -> None:
    book = FaultBook()
    book.add("recall.list: 503")
    book.add("recall.*: 502 x*")
    assert book.take(REQUEST, "create").number("status") == 502
    assert book.take(REQUEST, "list").number("status") == 503
    assert book.take(REQUEST, "list").number("status") == 502
    assert [armed.steps_left for armed in book.listed()] == [None]


def test_a_request_is_no_webhook_whatever_the_pattern() -> None:
    book = FaultBook()
    book.add("recall.*: 503")
    from rtms_simulator.faults.recall import WEBHOOK as RECALL_WEBHOOK

    assert book.take(RECALL_WEBHOOK, "recording.done") is NO_FAULT


def test_of_deliveries_one_of_each_word_acts_together() -> None:
    book = FaultBook()
    for text in ("zoom.webhook.*: late 1s", "zoom.webhook.*: late 2s", "zoom.webhook.meeting.*: duplicate x*"):
        book.add(text)
    assert [str(fault) for fault, _ in book.take_each(WEBHOOK, "phone.rtms_started")] == ["zoom.webhook.*: late 1s"]
    assert [step.word for _, step in book.take_each(WEBHOOK, "meeting.rtms_started")] == ["late", "duplicate"]
    assert [step.word for _, step in book.take_each(WEBHOOK, "meeting.rtms_started")] == ["duplicate"]


def test_a_step_waits_for_the_point_at_which_it_can_act() -> None:
    book = FaultBook()
    book.add("zoom.rtms.media: 502 then refuse 9")
    assert book.take_each(HANDSHAKE, "media", words=("refuse", "cut", "hang")) == []
    assert book.take_each(HANDSHAKE, "signaling", words=("<status>",)) == []
    assert [step.word for _, step in book.take_each(HANDSHAKE, "media", words=("<status>",))] == ["<status>"]
    assert [step.number("status") for _, step in book.take_each(HANDSHAKE, "media", words=("refuse", "cut", "hang"))] == [9]


def test_states_follow_one_another_and_end() -> None:
    book = FaultBook()
    book.add("tasks.queue.handoffs: stall 10s then ramp 5s")
    seen = [list(book.states(QUEUE, "handoffs", "handoffs@eu", now=now)) for now in (100.0, 109.9, 110.0, 114.9, 115.0)]
    assert seen == [["stall"], ["stall"], ["ramp"], ["ramp"], []]
    assert book.listed() == ()


def test_a_state_that_nobody_looked_at_is_over_all_the_same() -> None:
    book = FaultBook()
    book.add("tasks.queue.*: stall 10s then slow 0.5 seconds=10s then pause")
    assert list(book.states(QUEUE, "q", now=0.0)) == ["stall"]
    assert list(book.states(QUEUE, "q", now=25.0)) == ["pause"]
    assert list(book.states(QUEUE, "q", now=1e9)) == ["pause"]
    assert book.clear() == 1
    assert not book.states(QUEUE, "q", now=1e9)


def test_what_cannot_act_here_is_refused() -> None:
    book = FaultBook(TASKS)
    with pytest.raises(FaultError, match=r"nothing here can do that; there is tasks\.create\.<queue>"):
        book.add("recall.create: 503")
    book.known("tasks.queue", lambda: ["handoffs", "facts"])
    with pytest.raises(FaultError, match=r"there is no queue 'handof'; did you mean handoffs\? allowed: facts, handoffs"):
        book.add("tasks.queue.handof: stall")
    with pytest.raises(FaultError, match="a moment of one meeting"):
        FaultBook().add("zoom.stream: fail-over")
    assert book.listed() == ()


def test_one_or_all_are_cleared_and_changes_are_told() -> None:
    book, changes = FaultBook(), []
    book.on_change(lambda: changes.append(len(book.listed())))
    first, second = book.add("zoom.webhook.*: lost"), book.add("zoom.webhook.*: late")
    assert book.clear(first.id) == 1
    assert [str(armed.fault) for armed in book.listed()] == ["zoom.webhook.*: late"]
    assert book.clear(first.id) == 0
    book.take_each(WEBHOOK, "meeting.rtms_started")
    assert book.clear() == 0
    assert changes == [1, 2, 1, 1, 0, 0]
    assert second.over
    assert parse_fault("zoom.webhook.*: late") == second.fault
