"""`rtmskit events replay FILE`: a story of the simulation, sent to any receiver."""

import json

import pytest

from rtms_simulator.clock import Clock
from rtms_simulator.zoom.webhooks import events as zoom

SECRET = "hooksecret"
IDS = zoom.StreamIds("4444AAAiAAAAAiAiAiiAii==", "609340fb2a7946909659956c8aa9250c")
LONG_AGO = 1_700_000_000_000
TOLD = [zoom.started("meeting", IDS, "wss://rtms-a.zoom.us:443", LONG_AGO), zoom.stopped("meeting", IDS, 6, LONG_AGO + 7000)]


@pytest.fixture
def story(tmp_path):
    """As tests/simulation/stories.py writes it."""
    requests = [{"at_ms": event.event_ts, "headers": {"x-zm-signature": "v0=old"}, "body": zoom.body(event).decode()} for event in TOLD]
    file = tmp_path / "story.json"
    file.write_text(json.dumps({"seed": 7, "broken": ["G1"], "requests": requests}))
    return file


def test_a_story_is_told_again_in_order_signed_anew_and_now(rtmskit, receiver, story):
    before = Clock().now_ms()
    done = rtmskit("events", "replay", story, "--webhook", receiver.url, "--secret-token", SECRET, "--json")
    assert done.exit_code == 0, done.output
    assert [row["statuses"] for row in json.loads(done.stdout)["requests"]] == [[200], [200]]
    for (_, _, headers, body), told in zip(receiver.requests, TOLD, strict=True):
        assert headers["x-zm-signature"] == zoom.sign(SECRET, headers["x-zm-request-timestamp"], body)
        assert (json.loads(body)["event"], json.loads(body)["payload"]) == (told.name, dict(told.payload))
    first, second = (json.loads(body)["event_ts"] for _, _, _, body in receiver.requests)
    assert before <= first <= Clock().now_ms()
    assert second - first == 7000


def test_a_refused_request_of_a_story_is_a_failure(rtmskit, receiver, story):
    receiver.status = 401
    done = rtmskit("events", "replay", story, "--webhook", receiver.url, "--secret-token", SECRET)
    assert done.exit_code == 1
    assert "meeting.rtms_started: refused 401" in done.stdout


@pytest.mark.parametrize("text", ['{"requests": [{"at_ms": 1}]}', '{"requests": 3}', "[]", "no JSON"])
def test_what_is_no_story_is_said_to_be_none(rtmskit, receiver, tmp_path, text):
    (tmp_path / "odd.json").write_text(text)
    done = rtmskit("events", "replay", tmp_path / "odd.json", "--webhook", receiver.url, "--secret-token", SECRET)
    assert done.exit_code == 2
    assert receiver.requests == []
