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
    assert (second.recording.status, second.recording.updated_at) == ("done", "2026-11-22T09:00:00Z")
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


def test_a_next_of_16000_characters_is_followed() -> None:
    start = "https://x/?cursor="
    page = {"next": start.ljust(16_000, "a"), "results": []}
    assert recall.read_page(json.dumps(page).encode()) == ([], "a" * (16_000 - len(start)))
    with pytest.raises(RecallUnavailable):
        recall.read_page(json.dumps({**page, "next": start.ljust(16_001, "a")}).encode())


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
    event = recall.parse_webhook(body)
    assert isinstance(event, recall.Unusable)
    assert event.name == ""


@pytest.mark.parametrize("data", [None, [], {"recording": 7}, {"recording": {"id": "a/b", "metadata": []}}])
def test_odd_events_pass_with_what_they_hold(data: Any) -> None:
    event = recall.parse_webhook(json.dumps({"event": "zzz", "data": data}).encode())
    assert isinstance(event, recall.RecallEvent)
    assert (event.recording_id, event.handoff) == (None, None)


# The last value that is taken, and the first that is not


SHORTCUTS = {
    "video_mixed": {"download_url": "https://b/video"},
    "audio_mixed": {"download_url": "https://b/audio"},
    "transcript": {"download_url": "https://b/words", "provider_data_download_url": "https://b/provider"},
    "participant_events": {
        "participant_events_download_url": "https://b/events",
        "speaker_timeline_download_url": "https://b/speakers",
        "participants_download_url": "http://127.0.0.1/people",
    },
}


def view(**recording: Any) -> recall.View:
    found = recall.read_recording(json.dumps({"id": "rec-1", **recording}).encode())
    assert found is not None
    return found


def shortcuts(**formats: str) -> dict[str, Any]:
    return {
        name: {"id": name, "data": data, "status": {"code": "done"}, **({"format": formats[name]} if name in formats else {})}
        for name, data in SHORTCUTS.items()
    }


def test_every_download_is_found_under_its_name_with_its_kind() -> None:
    links = view(media_shortcuts=shortcuts()).links
    assert {name: (link.url, link.extension, link.content_type) for name, link in links.items()} == {
        "video_mixed": ("https://b/video", "mp4", "video/mp4"),
        "audio_mixed": ("https://b/audio", "mp3", "audio/mpeg"),
        "transcript": ("https://b/words", "json", "application/json"),
        "transcript_provider_data": ("https://b/provider", "json", "application/json"),
        "participant_events": ("https://b/events", "json", "application/json"),
        "speaker_timeline": ("https://b/speakers", "json", "application/json"),
        "participants": ("http://127.0.0.1/people", "json", "application/json"),
    }


@pytest.mark.parametrize(("told", "used"), [("flac", "flac"), ("FLAC", "mp3"), ("a/b", "mp3"), ("", "mp3"), ("toolongly", "mp3")])
def test_a_format_is_an_extension_only_if_it_looks_like_one(told: str, used: str) -> None:
    assert view(media_shortcuts=shortcuts(audio_mixed=told)).links["audio_mixed"].extension == used


def test_a_link_has_8000_characters_and_other_texts_500() -> None:
    for length, found in ((8000, True), (8001, False)):
        url = "https://b/".ljust(length, "x")
        assert ("video_mixed" in view(media_shortcuts={"video_mixed": {"id": "v", "data": {"download_url": url}}}).links) is found
    for length, code in ((500, "c" * 500), (501, "processing"), (0, "processing"), (1, "c")):
        assert view(status={"code": "c" * length}).recording.status == code


def test_what_is_absent_is_empty() -> None:
    found = view()
    assert (found.recording.status, found.recording.sub_code, found.recording.updated_at) == ("processing", None, "")
    event = recall.parse_webhook(b'{"event":"recording.done"}')
    assert event == recall.RecallEvent("recording.done", None, None, "", None, "")


def test_a_long_name_is_cut() -> None:
    assert recall.parse_webhook(json.dumps({"event": "e" * 200}).encode()).name == "e" * 100


def test_a_recording_that_is_no_object_is_unreadable_and_one_without_id_is_none() -> None:
    assert recall.read_recording(b"{}") is None
    with pytest.raises(RecallUnavailable):
        recall.read_recording(b"[]")


@pytest.mark.parametrize(
    ("following", "cursor"),
    [
        ("https://x/?cursor=abc#cursor=def", "abc"),
        ("https://x/?cursor=abc#&x", "abc"),
        (None, None),
    ],
)
def test_of_next_only_the_cursor_is_read(following: str | None, cursor: str | None) -> None:
    assert recall.read_page(json.dumps({"next": following, "results": []}).encode()) == ([], cursor)


def test_a_create_keeps_the_metadata_that_was_configured() -> None:
    body = recall.create_body(
        entity_id="m",
        entity_field="meeting_uuid",
        stream_id="s",
        server_urls="u",
        signature="g",
        handoff="h",
        recording_config={"video_mixed_mp4": {}, "metadata": {"team": "a"}},
    )
    assert json.loads(body) == {
        "zoom_rtms": {"meeting_uuid": "m", "rtms_stream_id": "s", "server_urls": "u", "signature": "g"},
        "recording_config": {"video_mixed_mp4": {}, "metadata": {"team": "a", "rtmskit_handoff": "h"}},
        "metadata": {"rtmskit_handoff": "h"},
    }


def test_an_excerpt_says_what_was_taken_out_and_bears_what_is_no_text() -> None:
    assert recall.excerpt(b"bad \xff " + b"a" * 40 + b" at https://x/y?a=b end") == "bad \ufffd ... at https://x/y?... end"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0123456789abcdef" * 2, "..."),
        ("0123456789abcdef" * 2 + "0", "..."),
        ("abcdefabcdefabcdefabcdefabcdefab", "..."),  # hexadecimal counts without a digit too
        ("tok_" + "x" * 19 + "7", "..."),
        ("tok_" + "x" * 18 + "7", "tok_" + "x" * 18 + "7"),
        ("x" * 64, "x" * 64),  # a word, however long
    ],
)
def test_a_credential_is_long_and_has_a_digit_or_is_hexadecimal(text: str, shown: str) -> None:
    assert recall.excerpt(f"the {text} of".encode()) == f"the {shown} of"


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (65_536, "seen tok_half"),
        (65_537, "seen"),  # the last word is cut short: half a credential does not look like one
        (70_000, "seen"),
    ],
)
def test_half_a_word_at_the_end_of_what_is_looked_at_is_not_shown(size: int, shown: str) -> None:
    body = b"seen".ljust(65_536 - len("tok_half")) + b"tok_half"
    assert recall.excerpt(body.ljust(size, b"x")) == shown


def test_an_empty_sub_code_is_none() -> None:
    assert view(status={"code": "done", "sub_code": ""}).recording.sub_code is None


PLAIN = b'{"event":"recording.done"}'


def test_a_webhook_without_a_signature_is_told_which_headers_are_missing() -> None:
    with pytest.raises(NotAuthentic, match="are required"):
        recall.verify_webhook((WHSEC,), [], PLAIN, now_ms=NOW)


def test_a_malformed_id_or_time_is_refused_though_it_is_signed() -> None:
    for headers in (webhook_headers(PLAIN, NOW, "msg 1"), webhook_headers(PLAIN, NOW, "msg.1"), webhook_headers(PLAIN, -NOW)):
        with pytest.raises(NotAuthentic, match="malformed"):
            recall.verify_webhook((WHSEC,), headers, PLAIN, now_ms=NOW)


@pytest.mark.parametrize(("off_ms", "fine"), [(300_000, True), (-300_000, True), (300_001, False), (-300_001, False)])
def test_five_minutes_are_five_minutes(off_ms: int, fine: bool) -> None:
    headers = webhook_headers(PLAIN, NOW)
    try:
        recall.verify_webhook((WHSEC,), headers, PLAIN, now_ms=NOW + off_ms)
    except NotAuthentic:
        assert not fine
    else:
        assert fine


@pytest.mark.parametrize(("before", "fine"), [(15, True), (16, False)])
def test_sixteen_signatures_are_looked_at(before: int, fine: bool) -> None:
    identity, stamp, (name, signature) = webhook_headers(PLAIN)
    several = " ".join(["v1,AAAA"] * before + [signature])
    try:
        recall.verify_webhook((WHSEC,), [identity, stamp, (name, several)], PLAIN, now_ms=NOW)
    except NotAuthentic:
        assert not fine
    else:
        assert fine


def test_a_signature_is_strict_base64() -> None:
    identity, stamp, (name, signature) = webhook_headers(PLAIN)
    with pytest.raises(NotAuthentic):
        recall.verify_webhook((WHSEC,), [identity, stamp, (name, signature[:10] + "!" + signature[10:])], PLAIN, now_ms=NOW)


@pytest.mark.parametrize("size", [16, 24, 25, 26])  # 24: what svix makes, without any padding
def test_a_secret_may_come_without_its_padding_and_its_prefix(size: int) -> None:
    secret = "whsec_" + base64.b64encode(bytes(range(size))).decode()
    headers = webhook_headers(PLAIN, secret=secret)
    for form in (secret, secret.rstrip("="), secret.removeprefix("whsec_")):
        assert recall.verify_webhook((form,), headers, PLAIN, now_ms=NOW) == "msg_1"
