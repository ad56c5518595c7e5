"""What an operator asks the worker for over HTTP: lists, one hand-off's story, one more try."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.ports.bench import Bench, key_of
from tests.ports.events import MEETING, NOW, STREAM, URLS_B, started, stopped
from tests.unit.relay.routes.serving import client

from rtms_relay.handoff.keys import idempotency_key, stream_key
from rtms_relay.ports import Answer

KEY = key_of()


async def got(bench: Bench, path: str, method: str = "GET", **params: str) -> dict[str, Any]:
    async with client(bench, "worker") as http:
        answer: httpx.Response = await bench.clock.until_done(http.request(method, path, params=params))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = answer.json()
    return found


async def retried(bench: Bench, key: str = KEY) -> dict[str, Any]:
    return await got(bench, f"/handoffs/{key}/retry", "POST")


async def test_a_meeting_a_stream_and_an_mdc_lead_to_their_hand_off() -> None:
    bench = Bench()
    await bench.zoom(started())
    await bench.run(1)
    for params in (
        {"meeting": MEETING},
        {"stream": STREAM},
        {"mdc": "mdc-1"},
        {"state": "accepted"},
        {"id": KEY[:6]},
        {"recording": "awaiting"},
    ):
        found = await got(bench, "/handoffs", **params)
        assert [row["id"] for row in found["handoffs"]] == [KEY], params
    for params in ({"meeting": "other"}, {"state": "failed"}, {"mdc": "mdc-2"}, {"since": str(NOW + 10**6)}, {"id": "0" * 20}):
        assert (await got(bench, "/handoffs", **params))["handoffs"] == [], params
    assert [row["id"] for row in (await got(bench, "/recordings", state="accepted"))["recordings"]] == [KEY]


async def test_of_a_stream_it_says_what_zoom_said_also_without_a_hand_off() -> None:
    bench = Bench()
    assert (await got(bench, "/handoffs", stream=STREAM))["stream"] == {
        "key": stream_key(STREAM), "known": False, "product": "", "entity_id": "", "starts": [], "interrupted_ts": None,
        "stopped_ts": None, "stop_reason": None, "stop": "", "revoked_ts": None,
    }  # fmt: skip
    await bench.zoom(stopped(NOW + 5))
    await bench.run(1)
    found = await got(bench, "/handoffs", stream=STREAM)
    assert found["handoffs"] == []
    assert (found["stream"]["known"], found["stream"]["starts"], found["stream"]["stopped_ts"]) == (True, [], NOW + 5)
    assert (await got(bench, "/handoffs"))["stream"] is None


async def test_a_story_has_every_try_with_its_time_and_what_recall_said() -> None:
    bench = Bench()
    bench.recall.script = [Answer(503), Answer(401, b'{"detail":"bad token"}'), Answer(201, b'{"id":"mdc-9"}')]
    await bench.zoom(started())
    await bench.run(20)
    await bench.zoom(stopped(NOW + 30_000))
    await bench.run(1)
    story = await got(bench, f"/handoffs/{KEY}")
    assert (story["state"], story["mdc_id"], story["attempts"]) == ("accepted", "mdc-9", 3)
    assert [one["number"] for one in story["tries"]] == [1, 2, 3]
    assert "Recall answered 503" in story["tries"][0]["answer"]
    assert "Recall answered 401" in story["tries"][1]["answer"]
    times = [one["at"] for one in story["tries"]]
    assert NOW <= times[0] < times[1] < times[2] <= NOW + 20_000
    assert story["window_ends_at"] == NOW + 60_000
    assert story["stream"]["starts"] == [{"id": KEY, "event_ts": NOW, "latest_ts": NOW}]
    assert (story["stream"]["stop_reason"], story["stream"]["stop"]) == (6, "stop_reason 6, the meeting ended")
    assert (story["next_try_at"], story["trying_until"]) == (None, None)
    assert story["next_look_at"] is not None


async def test_the_story_of_what_was_revoked_names_nobody() -> None:
    bench = Bench()
    await bench.zoom(started())
    await bench.zoom(stopped(NOW + 30_000, 8))
    await bench.run(100)
    story = await got(bench, f"/handoffs/{KEY}")
    assert story["retrieval"] in ("forgetting", "forgotten")
    assert (story["entity_id"], story["rtms_stream_id"], story["tries"]) == ("", "", [])
    assert (await got(bench, "/handoffs", meeting=MEETING))["handoffs"] == []
    assert [row["id"] for row in (await got(bench, "/handoffs", stream=STREAM))["handoffs"]] == [KEY]


async def test_a_refused_hand_off_is_tried_again_at_once_with_the_next_key() -> None:
    bench = Bench()
    bench.recall.script = [Answer(402, b"{}"), Answer(201, b'{"id":"mdc-9"}')]
    await bench.zoom(started())
    await bench.run(5)
    assert (await got(bench, f"/handoffs/{KEY}"))["state"] == "failed"
    answer = await retried(bench)
    assert (answer["did"], answer["state"]) == ("tried", "accepted")
    assert [key for _, key in bench.recall.creates] == [idempotency_key(KEY, 0), idempotency_key(KEY, 1)]
    [line] = bench.log.of("handoff_retried")
    assert (line["severity"], line["handoff"], line["outcome"]) == ("NOTICE", KEY, "tried")


async def test_outside_its_window_nothing_is_posted_and_it_says_why_and_what_remains() -> None:
    bench = Bench()
    bench.recall.script = [Answer(402, b"{}")]
    await bench.zoom(started())
    await bench.run(61)
    answer = await retried(bench)
    assert (answer["did"], answer["state"]) == ("nothing", "failed")
    assert "its connect window ended" in answer["why"]
    assert "the host can stop the app and start it again" in answer["remains"]
    assert len(bench.recall.creates) == 1


async def test_the_recording_of_an_accepted_one_is_looked_for_again() -> None:
    bench = Bench(RETRIEVAL_GIVE_UP_S="60")
    await bench.zoom(started())
    await bench.zoom(stopped(NOW + 10_000))
    await bench.live(600)
    assert (await got(bench, f"/handoffs/{KEY}"))["retrieval"] == "none_made"
    again = await retried(bench)
    assert (again["did"], again["retrieval"]) == ("looked", "none_made")
    bench.recall.record("mdc-1")
    again = await retried(bench)
    assert (again["did"], again["retrieval"]) == ("looked", "done")
    assert len(bench.recall.creates) == 1


async def test_a_server_that_is_not_allowed_is_not_given_a_signature_by_a_retry_either() -> None:
    bench = Bench()
    await bench.zoom(started(urls="wss://evil.example"))
    await bench.run(2)
    key = key_of("wss://evil.example")
    assert (await got(bench, f"/handoffs/{key}"))["state"] == "failed"
    answer = await retried(bench, key)
    assert answer["state"] == "failed"
    assert "evil.example" in answer["reason"]
    assert bench.recall.creates == []


async def test_two_retries_at_once_make_one_post() -> None:
    bench = Bench()
    bench.recall.script = [Answer(402, b"{}"), Answer(201, b'{"id":"mdc-9"}'), Answer(201, b'{"id":"mdc-10"}')]
    await bench.zoom(started())
    await bench.run(5)
    async with client(bench, "worker") as http:
        posts = [bench.jobs.start(http.post(f"/handoffs/{KEY}/retry"), f"retry {number}") for number in range(2)]
        await bench.run(25)
    assert [post.result().status_code for post in posts] == [200, 200]
    assert len(bench.recall.creates) == 2
    assert (await got(bench, f"/handoffs/{KEY}"))["mdc_id"] == "mdc-9"


@pytest.mark.parametrize("status", [429, 503])
async def test_a_retry_answers_within_half_a_minute_and_the_rest_goes_on(status: int) -> None:
    bench = Bench()
    bench.recall.script = [Answer(402, b"{}"), *[Answer(status)] * 30]
    await bench.zoom(started())
    await bench.run(5)
    began = bench.clock.monotonic_ms()
    answer = await retried(bench)
    assert (answer["did"], answer["state"]) == ("tried", "pending")
    assert bench.clock.monotonic_ms() - began <= 21_000
    bench.recall.script = []
    await bench.live(120)
    assert (await got(bench, f"/handoffs/{KEY}"))["state"] in ("accepted", "expired")


async def test_what_a_retry_finds_expired_is_told_of_at_alert() -> None:
    """Nobody has swept it since its window ended: the person who asks must not be the only one to know."""
    bench = Bench()
    bench.recall.script = [Answer(402, b"{}"), *[Answer(503)] * 30]
    await bench.zoom(started())
    await bench.run(5)
    assert (await retried(bench))["state"] == "pending"
    bench.clock.now += 60_000
    assert bench.log.of("handoff_expired") == []
    answer = await retried(bench)
    assert (answer["did"], answer["state"]) == ("looked", "expired")  # a 503 may have made something
    [line] = bench.log.of("handoff_expired", "ALERT")
    assert line["handoff"] == KEY
    story = await got(bench, f"/handoffs/{KEY}")
    assert (story["next_try_at"], story["trying_until"]) == (None, None)


async def test_a_story_says_what_is_planned_only_while_it_is() -> None:
    bench = Bench()
    bench.recall.script = [Answer(429)]
    await bench.zoom(started())
    await bench.run(1)
    story = await got(bench, f"/handoffs/{KEY}")
    assert (story["state"], story["trying_until"]) == ("pending", None)
    assert story["now"] < story["next_try_at"] <= NOW + 40_000
    await bench.zoom(stopped(NOW + 2_000))
    await bench.run(1)
    story = await got(bench, f"/handoffs/{KEY}")
    assert (story["state"], story["next_try_at"]) == ("cancelled", None)


async def test_a_fail_over_is_two_hand_offs_of_one_stream() -> None:
    bench = Bench()
    await bench.zoom(started())
    await bench.run(1)
    await bench.zoom(started(URLS_B, NOW + 5_000))
    await bench.run(6)
    found = await got(bench, "/handoffs", stream=STREAM)
    assert {row["id"]: row["state"] for row in found["handoffs"]} == {KEY: "superseded", key_of(URLS_B, NOW + 5_000): "accepted"}
    assert [one["id"] for one in found["stream"]["starts"]] == [KEY, key_of(URLS_B, NOW + 5_000)]
