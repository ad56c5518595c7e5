"""Zoom's webhook bodies and signatures, by the golden vectors and the tables of docs/evidence/zoom.md A, B."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.zoom.webhooks import events
from rtms_simulator.zoom.webhooks.events import EVENTS, FAMILIES, STYLES, StreamIds, WebhookEvent

IDS = StreamIds("4444AAAiAAAAAiAiAiiAii==", "609340fb2a7946909659956c8aa9250c")
TS = 1626230691572


def test_the_golden_vector_of_a_signature() -> None:
    raw = (
        b'{"event":"meeting.rtms_stopped","event_ts":1626230691572,"payload":{"meeting_uuid":"4444AAAiAAAAAiAiAiiAii==",'
        b'"rtms_stream_id":"609340fb2a7946909659956c8aa9250c","stop_reason":6}}'
    )
    assert events.body(events.stopped("meeting", IDS, 6, TS)) == raw
    signature = "v0=55ce7f10b78d198bd30dc708bd400d26d83cccba79020edd0b06aae29e6ecfb6"
    assert events.sign("hooksecret", "1626230691", raw) == signature


def test_the_golden_vector_of_a_challenge() -> None:
    assert (
        events.encrypt_token("hooksecret", "qgg8vlvZRS6UYooatFL8Aw") == "058b5e2b2e5a3463024fc46c0e212c92c4d55e6443dc414abd718f588d0223cc"
    )
    raw = events.body(events.url_validation("qgg8vlvZRS6UYooatFL8Aw", 1654503849680), STYLES["payload-first"])
    assert raw == b'{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}'
    assert len(raw) == 110  # the content-length in Zoom's own example


@pytest.mark.parametrize(
    ("product", "prefix", "fields"),
    [
        ("meeting", "meeting.", {"meeting_uuid", "operator_id", "rtms_stream_id", "server_urls"}),
        ("webinar", "webinar.", {"webinar_uuid", "operator_id", "rtms_stream_id", "server_urls"}),
        ("session", "session.", {"session_id", "session_key", "rtms_stream_id", "server_urls"}),
        ("contact_center", "contact_center.voice_", {"engagement_id", "rtms_stream_id", "server_urls"}),
        ("phone", "phone.", {"call_id", "rtms_stream_id", "server_urls"}),
    ],
)
def test_the_families(product: str, prefix: str, fields: set[str]) -> None:
    old = events.started(product, IDS, "wss://zoom.test:443", TS, form="2025")
    assert old.name == f"{prefix}rtms_started"
    assert set(old.payload) == fields
    new = events.started(product, IDS, "wss://zoom.test:443", TS)
    assert set(new.payload) == fields | set(FAMILIES[product].since_2026)
    keyed = {"session_key"} if product == "session" else set()
    assert set(events.stopped(product, IDS, 6, TS).payload) == {FAMILIES[product].entity_field, "rtms_stream_id", "stop_reason"} | keyed
    assert set(events.interrupted(product, IDS, TS).payload) == {FAMILIES[product].entity_field, "rtms_stream_id"} | keyed
    assert events.interrupted(product, IDS, TS, server_urls="wss://x").payload["server_urls"] == "wss://x"


def test_the_events_that_are_not_about_one_stream() -> None:
    assert events.concurrency_near_limit(2000, 1700, TS).payload == {
        "concurrency_limit": 2000,
        "concurrency_number": 1700,
        "percentage": 85,
    }
    assert events.concurrency_limited("session", IDS, 2000, TS).payload["id_field"] == {"session_id": IDS.entity_id}
    gone = events.app_deauthorized("client", IDS, "2019-06-17T13:52:28.632Z", TS)
    assert set(gone.payload) == {"account_id", "user_id", "signature", "deauthorization_time", "client_id"}


def test_every_event_has_an_example_that_can_be_sent() -> None:
    assert len(EVENTS) == 3 * 5 + 4 * 3 + 4
    for name, event in EVENTS.items():
        assert json.loads(events.body(event)) == {"event": name, "event_ts": event.event_ts, "payload": dict(event.payload)}


names = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
numbers = st.integers(-(2**53), 2**53)
payloads = st.dictionaries(names, st.none() | st.booleans() | numbers | names | st.lists(names, max_size=3), max_size=5)


@given(names, payloads, st.integers(0, 2**53))
def test_a_body_is_what_javascript_would_write_again(name: str, payload: dict[str, object], event_ts: int) -> None:
    """JSON.stringify(JSON.parse(body)) is the body: compact, unescaped, integers as integers. Zoom's own receivers verify over that."""
    raw = events.body(WebhookEvent(name, payload, event_ts))
    parsed = json.loads(raw)
    assert raw == json.dumps(parsed, ensure_ascii=False, separators=(",", ":")).encode()
    assert parsed == {"event": name, "event_ts": event_ts, "payload": payload}


@given(st.sampled_from(sorted(STYLES)), payloads)
def test_every_style_says_the_same_in_other_bytes(style: str, payload: dict[str, object]) -> None:
    event = WebhookEvent("meeting.rtms_started", payload | {"n": 1, "u": "wss://zoë/"}, TS)
    raw = events.body(event, STYLES[style])
    assert json.loads(raw) == {"event": event.name, "event_ts": TS, "payload": dict(event.payload)}
    assert (raw == events.body(event)) is (style == "zoom")


@pytest.mark.parametrize(
    ("status", "raw", "problem"),
    [
        (204, b"", "status 204"),
        (200, b"{", "not JSON"),
        (200, b"[]", "not a JSON object"),
        (200, b'{"plainToken":"other"}', "plainToken"),
        (200, b'{"plainToken":"plain","encryptedToken":"nope"}', "encryptedToken"),
    ],
)
def test_a_wrong_answer_to_a_challenge_says_what_is_wrong(status: int, raw: bytes, problem: str) -> None:
    answer = events.judge_validation("secret", "plain", status, raw)
    assert not answer.ok
    assert problem in answer.problem


def test_a_right_answer_to_a_challenge() -> None:
    raw = json.dumps({"plainToken": "plain", "encryptedToken": events.encrypt_token("secret", "plain")}).encode()
    assert events.judge_validation("secret", "plain", 200, raw).ok
