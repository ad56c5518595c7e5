"""Recall's side of the wire: what answers mean, tolerant reading, webhooks verified as the vendors' libraries sign them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks
from tests.ports.events import NOW, WHSEC, webhook_headers

from rtms_relay import recall
from rtms_relay.errors import NotAuthentic, RecallUnavailable

BODY = b'{"event":"recording.done","data":{"recording":{"id":"rec-1"}}}'


@pytest.mark.parametrize("body", [b'{"id":""}', b'{"id":7}', b'{"id":"../x"}', b"[]", b"", b"<html>", b'{"id":"' + b"a" * 300 + b'"}'])
def test_an_id_that_is_none_is_none(body: bytes) -> None:
    assert recall.created_id(body) is None


def test_the_id_of_a_create_is_read_whatever_else_comes() -> None:
    assert recall.created_id(b'{"id":"mdc-1","status":7,"x":NaN}') == "mdc-1"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"code": "zzz"}, "zzz"),
        ({"code": "fatal", "sub_code": "no_media"}, "fatal (no_media)"),
        (None, "processing"),
        (7, "processing"),
        ({"code": 7}, "processing"),
    ],
)
def test_the_mdcs_own_status_is_kept_as_words(status: object, words: str) -> None:
    assert recall.mdc_status(json.dumps({"id": "m", "status": status}).encode()) == words


def test_a_reason_shows_no_signature_and_no_link() -> None:
    body = b'{"zoom_rtms":{"signature":["637f554532b97811d5387608349f4ddbc6ab4276c3f27c94ce19bded8c01ca68 is bad"]},"u":"https://x/y?token=abc"}'
    said = recall.excerpt(body)
    assert "637f55" not in said
    assert "token" not in said
    assert "is bad" in said
    assert recall.excerpt(b"<html><style>p{}</style><h1>403\n ERROR</h1>\x00") == "403 ERROR"
    assert len(recall.excerpt(b"x " * 4000)) <= 300


def test_an_mdc_is_read_whatever_else_it_holds() -> None:
    whole = {
        "id": "m",
        "status": {"code": "zzz_unknown"},
        "recordings": [
            7,
            {"id": None},
            {"id": "rec-1"},
            {
                "id": "rec-2",
                "status": {"code": "done", "sub_code": None, "updated_at": "2026-11-22T09:00:00Z"},
                "media_shortcuts": {
                    "video_mixed": {"id": "v", "status": {"code": "done"}, "format": "mp4", "data": {"download_url": "https://b/v?x=1"}},
                    "audio_mixed": {"id": "a", "status": {"code": "done"}, "format": "raw", "data": {"download_url": "https://b/a"}},
                    "transcript": None,
                    "participant_events": {"id": "p", "status": {"code": "processing"}, "data": {"participants_download_url": None}},
                    "meeting_metadata": {"id": "mm", "status": {"code": "done"}, "data": {"title": "t"}},
                    "zzz": {"id": "z", "data": {"download_url": "javascript:x"}},
                },
            },
        ],
    }
    first, second = recall.read_mdc(json.dumps(whole).encode())
    assert (first.recording.status, first.links) == ("processing", {})
    assert second.recording.artifacts["participant_events"].status == "processing"
    assert {name: (link.extension, link.content_type) for name, link in second.links.items()} == {
        "video_mixed": ("mp4", "video/mp4"),
        "audio_mixed": ("raw", "application/octet-stream"),
    }


@pytest.mark.parametrize("recordings", [None, {}, "x", [None, [], "y"]])
def test_odd_recordings_are_none(recordings: Any) -> None:
    assert recall.read_mdc(json.dumps({"recordings": recordings}).encode()) == []


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_unreadable(body: bytes) -> None:
    with pytest.raises(RecallUnavailable):
        recall.read_mdc(body)


def test_both_list_forms_are_read_and_only_the_cursor_is_taken() -> None:
    item = {"id": "rec-1", "status": {"code": "done"}}
    page = {"next": "https://evil.example/api/v1/recording/?a=1&cursor=abc%3D", "previous": None, "results": [item]}
    views, cursor = recall.read_page(json.dumps(page).encode())
    assert (len(views), cursor) == (1, "abc=")
    assert recall.read_page(json.dumps([item, item]).encode())[1] is None
    assert recall.read_page(b'{"next":null,"results":[]}') == ([], None)


@pytest.mark.parametrize(
    "page",
    [
        b"<html>",
        b"7",
        b"{}",
        b'{"results":null}',
        b'{"next":7,"results":[]}',
        b'{"next":"","results":[]}',
        b'{"next":"https://x/","results":[]}',
        b'{"next":"https://x/?cursor=","results":[]}',
        b'{"next":"https://x/?cursor=a&cursor=b","results":[]}',
        b'{"next":"https://x/?cursor=' + b"a" * 16_000 + b'","results":[]}',
    ],
)
def test_a_list_that_ends_too_early_is_an_error(page: bytes) -> None:
    with pytest.raises(RecallUnavailable):
        recall.read_page(page)


def test_a_long_next_is_followed() -> None:
    page = {"next": "https://x/?cursor=" + "a" * 8000, "results": []}
    assert recall.read_page(json.dumps(page).encode()) == ([], "a" * 8000)


@pytest.mark.parametrize(("metadata", "key"), [({"rtmskit_handoff": "k"}, "k"), ({"rtmskit_handoff": 7}, None), ({}, None), (None, None)])
def test_a_recording_shows_whose_it_is(metadata: Any, key: str | None) -> None:
    view = recall.read_recording(json.dumps({"id": "rec-1", "metadata": metadata}).encode())
    assert view is not None
    assert view.handoff == key


@pytest.mark.parametrize("family", ["webhook", "svix"])
def test_what_the_vendors_libraries_sign_verifies(family: str) -> None:
    when = datetime.fromtimestamp(NOW / 1000, UTC)
    for library in (standardwebhooks.Webhook(WHSEC), svix.webhooks.Webhook(WHSEC)):
        signature = library.sign("msg_2abc", when, BODY.decode())
        headers = [(f"{family}-id", "msg_2abc"), (f"{family}-timestamp", str(NOW // 1000)), (f"{family}-signature", signature)]
        assert recall.verify_webhook((WHSEC,), headers, BODY, now_ms=NOW) == "msg_2abc"


def test_one_good_signature_among_several_is_enough() -> None:
    identity, stamp, signature = webhook_headers(BODY)
    several = (signature[0], f"v1a,xyz v1,!!! v1,{base64.b64encode(b'0' * 32).decode()} {signature[1]}")
    assert recall.verify_webhook(("whsec_" + base64.b64encode(b"other").decode(), WHSEC), [identity, stamp, several], BODY, now_ms=NOW)


IDENTITY, STAMP, SIGNATURE = webhook_headers(BODY)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [IDENTITY, STAMP],
        [STAMP, SIGNATURE],
        [IDENTITY, STAMP, SIGNATURE, SIGNATURE],
        [IDENTITY, IDENTITY, STAMP, SIGNATURE],
        [("webhook-id", "msg_2"), STAMP, SIGNATURE],
        [("webhook-id", "msg_1.1"), STAMP, SIGNATURE],
        [("webhook-id", "msg 1"), STAMP, SIGNATURE],
        [IDENTITY, ("webhook-timestamp", "x"), SIGNATURE],
        [IDENTITY, ("webhook-timestamp", "1.5"), SIGNATURE],
        [IDENTITY, STAMP, ("webhook-signature", SIGNATURE[1].removeprefix("v1,"))],
        [IDENTITY, STAMP, ("webhook-signature", "v2" + SIGNATURE[1][2:])],
        [IDENTITY, STAMP, ("webhook-signature", "v1,")],
        [IDENTITY, STAMP, ("webhook-signature", "é")],
        [IDENTITY, STAMP, ("svix-signature", SIGNATURE[1])],
    ],
)
def test_webhook_headers_that_do_not_verify(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(NotAuthentic):
        recall.verify_webhook((WHSEC,), headers, BODY, now_ms=NOW)


@pytest.mark.parametrize("off_s", [-302, 302])
def test_a_webhook_is_good_for_five_minutes(off_s: int) -> None:
    headers = webhook_headers(BODY, NOW + off_s * 1000)
    with pytest.raises(NotAuthentic, match="too far from the time here"):
        recall.verify_webhook((WHSEC,), headers, BODY, now_ms=NOW)


@pytest.mark.parametrize("secrets", [(), ("whsec_" + base64.b64encode(b"another secret").decode(),)])
def test_without_the_secret_nothing_verifies(secrets: tuple[str, ...]) -> None:
    with pytest.raises(NotAuthentic):
        recall.verify_webhook(secrets, webhook_headers(BODY), BODY, now_ms=NOW)


@pytest.mark.parametrize("bot", [{}, {"bot": None}, {"bot": {"id": "b"}}, {"meeting_direct_connect": {"id": "m"}}])
def test_a_webhook_is_read_with_and_without_a_bot(bot: dict[str, Any]) -> None:
    whole = {
        "event": "recording.failed",
        "data": {
            "data": {"code": "failed", "sub_code": "x", "updated_at": "2026-11-22T09:00:00+00:00"},
            "recording": {"id": "rec-1", "metadata": {"rtmskit_handoff": "a" * 64}},
            **bot,
        },
    }
    event = recall.parse_webhook(json.dumps(whole).encode())
    assert event == recall.RecallEvent("recording.failed", "rec-1", "a" * 64, "failed", "x", "2026-11-22T09:00:00+00:00")


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b"{}", b'{"event":7}', b'{"event":""}', b"\xff", b"[" * 100_000])
def test_what_is_no_event_is_unusable(body: bytes) -> None:
    assert isinstance(recall.parse_webhook(body), recall.Unusable)


@pytest.mark.parametrize("data", [None, [], {"recording": 7}, {"recording": {"id": "a/b", "metadata": []}}])
def test_odd_events_pass_with_what_they_hold(data: Any) -> None:
    event = recall.parse_webhook(json.dumps({"event": "zzz", "data": data}).encode())
    assert isinstance(event, recall.RecallEvent)
    assert (event.recording_id, event.handoff) == (None, None)
