"""Task messages: golden forms, versions, tolerance of tomorrow's fields."""

from __future__ import annotations

import json

import pytest

from rtms_relay import budgets, tasks
from rtms_relay.errors import TaskUnusable

START = tasks.Start(
    received_ms=5, event="meeting.rtms_started", product="meeting", stream_id="s", entity_id="e", server_urls="wss://a", event_ts=4
)
EVERY: tuple[tasks.Task, ...] = (
    START,
    tasks.Stop(event="x", product="phone", stream_id="s", entity_id="", event_ts=1, stop_reason=8),
    tasks.Interruption(event="x", product="phone", stream_id="s", entity_id="", event_ts=1),
    tasks.OutcomeNote(start=START, posts=(tasks.Posted(kind="accepted", reason="", status=201, mdc_id="m", at=9),)),
    tasks.UnusableEvent(vendor="zoom", reason="r", event="e", keys=("a",), copy="{}"),
    tasks.Look(handoff="k", recording_id="r", message="m"),
    tasks.Resume(handoff="k"),
    tasks.Probe(queue="facts", number="1"),
)


@pytest.mark.parametrize("task", EVERY, ids=lambda task: type(task).__name__)
def test_what_is_encoded_is_decoded(task: tasks.Task) -> None:
    assert tasks.decode(tasks.encode(task), "/events") == task


def test_the_form_on_the_wire_is_this() -> None:
    assert json.loads(tasks.encode(START)) == {
        "kind": "start",
        "v": 2,
        "received_ms": 5,
        "event": "meeting.rtms_started",
        "product": "meeting",
        "stream_id": "s",
        "entity_id": "e",
        "server_urls": "wss://a",
        "event_ts": 4,
        "account_id": "",
        "dated": True,
        "copy": "home",
    }


LEAST: dict[str, tuple[str, dict[str, object]]] = {
    "stop": (
        '{"kind":"stop","v":2,"event":"x","product":"phone","stream_id":"s","entity_id":"","event_ts":1}',
        {
            "kind": "stop",
            "v": 2,
            "received_ms": 0,
            "event": "x",
            "product": "phone",
            "stream_id": "s",
            "entity_id": "",
            "event_ts": 1,
            "stop_reason": None,
        },
    ),
    "interruption": (
        '{"kind":"interruption","v":2,"event":"x","product":"phone","stream_id":"s","entity_id":"","event_ts":1}',
        {
            "kind": "interruption",
            "v": 2,
            "received_ms": 0,
            "event": "x",
            "product": "phone",
            "stream_id": "s",
            "entity_id": "",
            "event_ts": 1,
        },
    ),
    "unusable": (
        '{"kind":"unusable","v":2,"vendor":"zoom","reason":"r","event":"e","keys":["a"],"copy":"{}"}',
        {"kind": "unusable", "v": 2, "received_ms": 0, "vendor": "zoom", "reason": "r", "event": "e", "keys": ["a"], "copy": "{}"},
    ),
    "look": (
        '{"kind":"look","v":2,"handoff":"k"}',
        {"kind": "look", "v": 2, "received_ms": 0, "handoff": "k", "recording_id": None, "message": ""},
    ),
    "resume": ('{"kind":"resume","v":2,"handoff":"k"}', {"kind": "resume", "v": 2, "received_ms": 0, "handoff": "k"}),
    "probe": (
        '{"kind":"probe","v":2,"queue":"facts","number":"1"}',
        {"kind": "probe", "v": 2, "received_ms": 0, "queue": "facts", "number": "1"},
    ),
}
"""Kind -> the least that a task may say, and what it means."""


@pytest.mark.parametrize("kind", LEAST)
def test_what_a_task_does_not_say_has_its_meaning(kind: str) -> None:
    body, meaning = LEAST[kind]
    assert json.loads(tasks.encode(tasks.decode(body.encode(), "/events"))) == meaning


def test_a_task_of_64_kilobytes_is_read_and_not_one_byte_more() -> None:
    body = b'{"kind":"resume","v":2,"handoff":"k"}'
    assert tasks.decode(body.ljust(65_536), "/events") == tasks.Resume(handoff="k")
    with pytest.raises(TaskUnusable, match=r"a task of 65537 bytes; 65536 are allowed"):
        tasks.decode(body.ljust(65_537), "/events")


def test_fields_of_tomorrow_are_passed_over() -> None:
    body = json.dumps({**json.loads(tasks.encode(START)), "tomorrow": {"a": [1]}}).encode()
    assert tasks.decode(body, "/events") == START


def test_the_first_edition_is_read_by_its_path() -> None:
    body = b'{"id":"k"}'
    assert tasks.decode(body, "/handoff") == tasks.Resume(v=1, handoff="k")
    assert tasks.decode(body, "/retrieve") == tasks.Look(v=1, handoff="k")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"{}",
        b'{"id":7}',
        b'{"v":3,"kind":"start"}',
        b'{"v":2}',
        b'{"v":2,"kind":"zzz"}',
        b'{"v":2,"kind":"start"}',
        b'{"v":"2","kind":"look","handoff":"k"}',
        tasks.encode(tasks.Look(handoff="k" * budgets.TASK_BYTES)),
        b'{"v":2,"kind":"stop","event_ts":"1"}',
        b"[" * 60_000,
    ],
)
def test_what_cannot_be_read_is_unusable(body: bytes) -> None:
    with pytest.raises(TaskUnusable):
        tasks.decode(body, "/events")


def test_when_it_was_taken_can_be_read_from_any_version() -> None:
    assert tasks.received_ms(b'{"v":9,"received_ms":7,"kind":"x"}') == 7
    assert [tasks.received_ms(body) for body in (b"", b"[]", b'{"received_ms":"x"}', b"{}")] == [0, 0, 0, 0]
