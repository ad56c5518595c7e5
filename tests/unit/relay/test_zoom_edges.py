"""The last value that is taken and the first that is not, field by field: what mutants of zoom.py had survived."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.ports.events import MEETING, NOW, STREAM, TOKEN, URLS_A, signed, started, stopped

from rtms_relay import zoom
from rtms_relay.errors import NotAuthentic


def parse(event: Any) -> Any:
    return zoom.parse(json.dumps(event).encode())


def test_a_start_is_read_whole() -> None:
    assert parse(started(account_id="acc")) == zoom.Started("meeting", MEETING, STREAM, URLS_A, NOW, "acc", "meeting.rtms_started")
    assert zoom.Started("meeting", MEETING, STREAM, URLS_A, NOW, name="meeting.rtms_started") == parse(started())


def test_the_latest_time_is_the_last_that_a_float_holds() -> None:
    assert parse(started(ts=2**53 - 1)).event_ts == 2**53 - 1
    assert isinstance(parse(started(ts=2**53)), zoom.Unusable)


def test_a_webinar_may_be_named_by_the_field_of_another_product() -> None:
    assert parse(started(product="webinar")).entity_id == MEETING
    own = started(product="webinar", webinar_uuid="own")
    assert parse(own).entity_id == "own"


@pytest.mark.parametrize("reason", [2**31, -(2**31)])
def test_a_stop_reason_has_32_bits(reason: int) -> None:
    assert parse(stopped(NOW, reason)).stop_reason == reason
    assert parse(stopped(NOW, reason + (1 if reason > 0 else -1))).stop_reason is None


def test_an_id_has_1500_bytes_of_utf_8() -> None:
    assert parse(started(stream="s" * 1498 + "é")).stream_id.endswith("é")
    assert parse(started(stream="s" * 1499 + "é")).reason == "payload.rtms_stream_id is over 1500 bytes"


def test_server_urls_are_the_signaling_ones_of_several_and_the_strings_of_a_list() -> None:
    assert parse(started({"media": "wss://b.zoom.us", "signaling": URLS_A})).server_urls == URLS_A
    for urls in ([URLS_A, 7], [7, URLS_A]):
        assert parse(started(urls)).server_urls == URLS_A


def test_what_is_wrong_is_named() -> None:
    assert parse(started(stream=None)).reason == "payload.rtms_stream_id is missing"  # ty: ignore[invalid-argument-type]
    assert parse(started(URLS_A + "\x01")).reason == "payload.server_urls holds control characters"
    assert parse(started(stream="a\udfff")).reason == "payload.rtms_stream_id holds broken characters"
    assert parse(started(stream=True)).reason == "payload.rtms_stream_id must be a string, not empty"  # ty: ignore[invalid-argument-type]


def test_a_field_nested_too_deeply_is_not_read_and_the_others_are() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    assert zoom.parse(b'{"event":"x","payload":' + deep + b"}") == zoom.Unknown("x")
    whole = json.dumps(started(topic="?")).encode().replace(b'"?"', deep)
    assert zoom.parse(whole) == parse(started())


def test_a_deauthorization_names_account_user_and_client() -> None:
    payload = {"account_id": "acc", "user_id": "usr", "client_id": "cli"}
    assert parse({"event": "app_deauthorized", "payload": payload}) == zoom.Deauthorized("acc", "usr", "cli", "app_deauthorized")
    odd = {"account_id": "x" * 300, "user_id": 7, "client_id": "a\nb"}
    assert parse({"event": "app_deauthorized", "payload": odd}) == zoom.Deauthorized("x" * 200, "", "", "app_deauthorized")
    assert parse({"event": "app_deauthorized", "payload": 7}) == zoom.Deauthorized("", "", "", "app_deauthorized")


@pytest.mark.parametrize("name", zoom.NOTICES)
def test_a_notice_carries_its_numbers(name: str) -> None:
    numbers = {"concurrency_limit": 2000, "concurrency_number": 1700, "percentage": 85}
    assert parse({"event": name, "payload": numbers | {"other": 1}}) == zoom.Notice(name, numbers)
    odd = {"concurrency_limit": 2**53 - 1, "concurrency_number": 2**53, "percentage": "85"}
    assert parse({"event": name, "payload": odd}) == zoom.Notice(name, {"concurrency_limit": 2**53 - 1, "percentage": 85})
    below = {"concurrency_limit": -(2**53) + 1, "concurrency_number": -(2**53)}
    assert parse({"event": name, "payload": below}) == zoom.Notice(name, {"concurrency_limit": -(2**53) + 1})
    assert parse({"event": name, "payload": [1]}) == zoom.Notice(name, {})


def test_a_signature_that_is_no_unicode_is_refused_like_any_other() -> None:
    [stamp, _] = signed(b"{}")
    with pytest.raises(NotAuthentic):
        zoom.verify([TOKEN], [stamp, ("x-zm-signature", "v0=\ud800")], b"{}", now_ms=NOW, window_s=5700)


def test_a_pattern_asks_for_a_name_below_it() -> None:
    assert zoom.refused_host("wss://a.zoom.us", ("*.zoom.us",)) is None
    assert zoom.refused_host("wss://.zoom.us", ("*.zoom.us",)) is not None
