"""What the worker shows of a record: every field, from the place where it is kept."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.ports.events import NOW
from tests.ports.values import FACTS, HANDOFF, KEY, STREAM_KEY

from rtms_relay import shown
from rtms_relay.budgets import Rules
from rtms_relay.handoff.attempt import Attempt
from rtms_relay.handoff.erasure import Erasure
from rtms_relay.handoff.facts import Run
from rtms_relay.handoff.retrieval import ArchivedArtifact, Retrieval
from rtms_relay.ports import Artifact, Recording

WHOLE = replace(
    HANDOFF,
    created_at=NOW + 1,
    attempt=Attempt(
        start_ts=NOW + 2,
        state="accepted",
        state_at=NOW + 3,
        reason="a recording of it was seen",
        late=True,
        tries=4,
        unsure=True,
        history=("3: Recall answered 503", "4: accepted"),
        history_at=(NOW + 5,),
        mdc_id="mdc-1",
        accepted_at=NOW + 6,
    ),
    retrieval=Retrieval(
        state="partial",
        reason="the transcript failed",
        ended_at=NOW + 7,
        looks=8,
        look_at=NOW + 9,
        recordings=(Recording(id="r-1", status="done", artifacts={"transcript": Artifact(id="t-1", status="failed", sub_code="x")}),),
        archived=(ArchivedArtifact(name="n", size=10, sha256="f" * 64),),
        mdc_status="done",
        not_joined="why",
    ),
)
ROW: dict[str, Any] = {
    "id": KEY,
    "product": "meeting",
    "entity_id": "e",
    "rtms_stream_id": "s",
    "state": "accepted",
    "reason": "a recording of it was seen",
    "late": True,
    "unsure": True,
    "event_ts": NOW + 2,
    "created_at": NOW + 1,
    "accepted_at": NOW + 6,
    "ended_at": NOW + 7,
    "mdc_id": "mdc-1",
    "mdc_status": "done",
    "not_joined": "why",
    "retrieval": "partial",
    "retrieval_reason": "the transcript failed",
    "recordings": [
        {
            "id": "r-1",
            "status": "done",
            "sub_code": None,
            "updated_at": "",
            "artifacts": {"transcript": {"id": "t-1", "status": "failed", "sub_code": "x"}},
            "read": False,
        }
    ],
    "archived": [{"name": "n", "size": 10, "sha256": "f" * 64}],
}
STREAM = replace(
    FACTS,
    runs=(Run(key=KEY, server_urls="wss://a", epoch=NOW, newest_ts=NOW + 11),),
    interrupted_ts=NOW + 12,
    stopped_ts=NOW + 13,
    stop_reason=6,
    revoked_ts=NOW + 14,
)
STREAM_SHOWN: dict[str, Any] = {
    "key": STREAM_KEY,
    "known": True,
    "product": "meeting",
    "entity_id": "e",
    "starts": [{"id": KEY, "event_ts": NOW, "latest_ts": NOW + 11}],
    "interrupted_ts": NOW + 12,
    "stopped_ts": NOW + 13,
    "stop_reason": 6,
    "stop": "stop_reason 6, the meeting ended",
    "revoked_ts": NOW + 14,
}
UNKNOWN: dict[str, Any] = {
    "key": STREAM_KEY,
    "known": False,
    "product": "",
    "entity_id": "",
    "starts": [],
    "interrupted_ts": None,
    "stopped_ts": None,
    "stop_reason": None,
    "stop": "",
    "revoked_ts": None,
}


def told(value: msgspec.Struct) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def test_a_row_has_every_field_from_its_place() -> None:
    assert told(shown.row(WHOLE)) == ROW


def test_a_revoked_ones_row_says_where_its_erasure_stands() -> None:
    assert told(shown.row(replace(WHOLE, erasure=Erasure(state="forgetting", since=NOW)))) == ROW | {"retrieval": "forgetting"}


def test_with_its_links_come_its_history_and_its_tries() -> None:
    links = {"r-1": {"video_mixed": "https://x"}}
    more = {"history": ["3: Recall answered 503", "4: accepted"], "attempts": 4, "links": links}
    assert told(shown.linked(WHOLE, links, "")) == ROW | more
    assert told(shown.linked(WHOLE, {}, "Recall is away")) == ROW | more | {"links": {}, "links_error": "Recall is away"}


def test_a_story_has_the_tries_the_window_and_what_zoom_said() -> None:
    story = shown.story(WHOLE, STREAM, NOW + 100, Rules(connect_window_ms=60_000))
    assert told(story) == ROW | {
        "state_at": NOW + 3,
        "attempts": 4,
        "tries": [{"number": 3, "at": None, "answer": "Recall answered 503"}, {"number": 4, "at": NOW + 5, "answer": "accepted"}],
        "window_ends_at": NOW + 60_002,
        "next_try_at": None,
        "trying_until": None,
        "next_look_at": NOW + 9,
        "looks": 8,
        "erasing_since": None,
        "stream": STREAM_SHOWN,
        "now": NOW + 100,
    }


def pending(**changes: Any) -> shown.Story:
    return shown.story(replace(HANDOFF, attempt=replace(HANDOFF.attempt, **changes)), None, NOW + 100, Rules())


def test_what_is_planned_is_shown_while_it_is() -> None:
    assert (pending(next_at=NOW + 500).next_try_at, pending(next_at=NOW + 500, state="expired").next_try_at) == (NOW + 500, None)
    assert (pending(lease_until=NOW + 101).trying_until, pending(lease_until=NOW + 100).trying_until) == (NOW + 101, None)
    assert told(pending().stream) == UNKNOWN


def test_of_an_erasure_its_rounds_its_next_one_and_its_beginning_are_shown() -> None:
    story = shown.story(replace(WHOLE, erasure=Erasure(state="forgetting", since=NOW + 20, at=NOW + 21, rounds=3)), None, NOW, Rules())
    assert (story.looks, story.next_look_at, story.erasing_since) == (3, NOW + 21, NOW + 20)


def test_of_a_stream_that_goes_on_nothing_is_shown_that_did_not_happen() -> None:
    assert told(shown.stream(STREAM_KEY, None)) == UNKNOWN
    assert told(shown.stream(STREAM_KEY, FACTS)) == UNKNOWN | {"known": True, "product": "meeting", "entity_id": "e"}
    assert shown.stream(STREAM_KEY, replace(FACTS, stop_reason=0)).stop_reason == 0


@pytest.mark.parametrize(
    ("history", "history_at", "tries"),
    [
        ((), (), []),
        ((), (1, 2), []),
        (("1: a: b",), (), [(1, None, "a: b")]),
        (("1: a", "2: b"), (5,), [(1, None, "a"), (2, 5, "b")]),
        (("19: a",), (3, 4, 5), [(19, 5, "a")]),
        (("-1: a",), (5,), [(-1, 5, "a")]),
        (("x: a",), (5,), [(0, 5, "a")]),
        (("no number",), (5,), [(0, 5, "")]),
    ],
)
def test_a_try_is_its_number_its_moment_and_its_answer(history: Any, history_at: Any, tries: list[Any]) -> None:
    found = pending(history=history, history_at=history_at).tries
    assert [(one.number, one.at, one.answer) for one in found] == tries
