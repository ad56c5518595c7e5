"""Every name on Recall's wire, and the last value that is taken: what mutants of recall.py had survived."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from tests.ports.events import NOW, WHSEC, webhook_headers

from rtms_relay import recall
from rtms_relay.errors import NotAuthentic, RecallUnavailable

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


BODY = b'{"event":"recording.done"}'


def test_a_webhook_without_a_signature_is_told_which_headers_are_missing() -> None:
    with pytest.raises(NotAuthentic, match="are required"):
        recall.verify_webhook((WHSEC,), [], BODY, now_ms=NOW)


def test_a_malformed_id_or_time_is_refused_though_it_is_signed() -> None:
    for headers in (webhook_headers(BODY, NOW, "msg 1"), webhook_headers(BODY, NOW, "msg.1"), webhook_headers(BODY, -NOW)):
        with pytest.raises(NotAuthentic, match="malformed"):
            recall.verify_webhook((WHSEC,), headers, BODY, now_ms=NOW)


@pytest.mark.parametrize(("off_ms", "fine"), [(300_000, True), (-300_000, True), (300_001, False), (-300_001, False)])
def test_five_minutes_are_five_minutes(off_ms: int, fine: bool) -> None:
    headers = webhook_headers(BODY, NOW)
    try:
        recall.verify_webhook((WHSEC,), headers, BODY, now_ms=NOW + off_ms)
    except NotAuthentic:
        assert not fine
    else:
        assert fine


@pytest.mark.parametrize(("before", "fine"), [(15, True), (16, False)])
def test_sixteen_signatures_are_looked_at(before: int, fine: bool) -> None:
    identity, stamp, (name, signature) = webhook_headers(BODY)
    several = " ".join(["v1,AAAA"] * before + [signature])
    try:
        recall.verify_webhook((WHSEC,), [identity, stamp, (name, several)], BODY, now_ms=NOW)
    except NotAuthentic:
        assert not fine
    else:
        assert fine


def test_a_signature_is_strict_base64() -> None:
    identity, stamp, (name, signature) = webhook_headers(BODY)
    with pytest.raises(NotAuthentic):
        recall.verify_webhook((WHSEC,), [identity, stamp, (name, signature[:10] + "!" + signature[10:])], BODY, now_ms=NOW)


@pytest.mark.parametrize("size", [16, 24, 25, 26])  # 24: what svix makes, without any padding
def test_a_secret_may_come_without_its_padding_and_its_prefix(size: int) -> None:
    secret = "whsec_" + base64.b64encode(bytes(range(size))).decode()
    headers = webhook_headers(BODY, secret=secret)
    for form in (secret, secret.rstrip("="), secret.removeprefix("whsec_")):
        assert recall.verify_webhook((form,), headers, BODY, now_ms=NOW) == "msg_1"
