"""Zoom's side of the wire: golden vectors, and every way a request can be wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.relay.fakes import NOW, TOKEN, A, signed, started, stopped

from rtms_relay import zoom
from rtms_relay.errors import BadRequest, NotAuthentic

# Zoom docs' example payload; the value was accepted by Zoom's own webhook sample and library.
GOLDEN_BODY = (
    b'{"event":"meeting.rtms_stopped","event_ts":1626230691572,"payload":{"meeting_uuid":"4444AAAiAAAAAiAiAiiAii==",'
    b'"rtms_stream_id":"609340fb2a7946909659956c8aa9250c","stop_reason":6}}'
)
GOLDEN_SIGNATURE = "v0=55ce7f10b78d198bd30dc708bd400d26d83cccba79020edd0b06aae29e6ecfb6"


def check(headers: list[tuple[str, str]], body: bytes, *, secrets: tuple[str, ...] = (TOKEN,), window_s: float = 5700) -> str:
    return zoom.verify(secrets, headers, body, now_ms=NOW, window_s=window_s)


def test_golden_vectors() -> None:
    assert zoom.sign("hooksecret", "1626230691", GOLDEN_BODY) == GOLDEN_SIGNATURE
    assert zoom.challenge_answer("hooksecret", "qgg8vlvZRS6UYooatFL8Aw") == {
        "plainToken": "qgg8vlvZRS6UYooatFL8Aw",
        "encryptedToken": "058b5e2b2e5a3463024fc46c0e212c92c4d55e6443dc414abd718f588d0223cc",
    }
    assert (
        zoom.rtms_signature("cid_probe", "secret_probe", "4444AAAiAAAAAiAiAiiAii==", "609340fb2a7946909659956c8aa9250c")
        == "637f554532b97811d5387608349f4ddbc6ab4276c3f27c94ce19bded8c01ca68"
    )


def test_a_signed_body_verifies_under_the_current_and_the_previous_secret() -> None:
    assert check(signed(GOLDEN_BODY), GOLDEN_BODY) == TOKEN
    assert check(signed(GOLDEN_BODY, token="old"), GOLDEN_BODY, secrets=("new", "old")) == "old"
    upper = [(name.upper(), value) for name, value in signed(GOLDEN_BODY)]
    assert check(upper, GOLDEN_BODY) == TOKEN


def test_an_empty_previous_secret_is_no_secret() -> None:
    with pytest.raises(NotAuthentic):
        check(signed(GOLDEN_BODY, token=""), GOLDEN_BODY, secrets=(TOKEN, ""))


STAMP, SIGNATURE = signed(GOLDEN_BODY)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [STAMP],
        [SIGNATURE],
        [STAMP, SIGNATURE, SIGNATURE],
        [STAMP, STAMP, SIGNATURE],
        [STAMP, ("X-ZM-Signature", "v0=00"), SIGNATURE],
        [STAMP, (SIGNATURE[0], SIGNATURE[1].upper())],
        [STAMP, (SIGNATURE[0], SIGNATURE[1].removeprefix("v0="))],
        [STAMP, (SIGNATURE[0], " " + SIGNATURE[1])],
        [STAMP, (SIGNATURE[0], SIGNATURE[1] + "é")],
        [STAMP, (SIGNATURE[0], "")],
        [(STAMP[0], ""), SIGNATURE],
        [(STAMP[0], "+" + STAMP[1]), SIGNATURE],
        [(STAMP[0], STAMP[1] + ".0"), SIGNATURE],
        [(STAMP[0], "".join(chr(0x660 + int(digit)) for digit in STAMP[1])), SIGNATURE],  # Arabic-Indic digits: int() takes them
        [(STAMP[0], "1e9"), SIGNATURE],
        [(STAMP[0], "9" * 13), SIGNATURE],
    ],
)
def test_headers_that_do_not_verify(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(NotAuthentic):
        check(headers, GOLDEN_BODY)


def test_digits_of_other_scripts_do_not_verify_though_signed() -> None:
    body = b"{}"
    stamp = "".join(chr(0x660 + int(digit)) for digit in str(NOW // 1000))
    headers = [("x-zm-request-timestamp", stamp), ("x-zm-signature", zoom.sign(TOKEN, stamp, body))]
    with pytest.raises(NotAuthentic, match="number"):
        check(headers, body)


@pytest.mark.parametrize(("off_s", "fine"), [(0, True), (-5700, True), (5700, True), (-5702, False), (5702, False)])
def test_the_window_is_symmetric(off_s: int, fine: bool) -> None:
    headers = signed(GOLDEN_BODY, NOW + off_s * 1000)
    if fine:
        check(headers, GOLDEN_BODY)
    else:
        with pytest.raises(NotAuthentic, match="5700 s"):
            check(headers, GOLDEN_BODY)


@pytest.mark.parametrize(
    "token", ["", "v0:1:{}", "a b", "a\n", "a.b", "a{b", "é", "a" * 129, 'v0:1626230691:{"event":"meeting.rtms_started"}']
)
def test_a_token_that_is_none_is_not_signed(token: str) -> None:
    with pytest.raises(BadRequest, match="plainToken"):
        zoom.challenge_answer("hooksecret", token)


def parse(event: Any) -> zoom.Event:
    return zoom.parse(event if isinstance(event, bytes) else json.dumps(event).encode())


def test_ids_are_found_in_payload_object_too_and_payload_wins() -> None:
    whole = started()
    nested = {"event": whole["event"], "event_ts": NOW, "payload": {"object": whole["payload"], "rtms_stream_id": "mine"}}
    event = parse(nested)
    assert isinstance(event, zoom.Started)
    assert (event.stream_id, event.server_urls) == ("mine", A)


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        (A, A),
        ([A], A),
        ([A, "wss://b"], f"{A},wss://b"),
        ({"signaling": A, "audio": "x"}, A),
        ({"all": A}, A),
        (f"{A},wss://b", f"{A},wss://b"),
    ],
)
def test_server_urls_are_kept_verbatim(given: Any, understood: str) -> None:
    event = parse(started(given))
    assert isinstance(event, zoom.Started)
    assert event.server_urls == understood


@pytest.mark.parametrize("reason", [0, 6, 26, 999, None])
def test_any_stop_reason_passes(reason: int | None) -> None:
    event = parse(stopped(1, reason))
    assert isinstance(event, zoom.Stopped)
    assert event.stop_reason == reason


def without(name: str) -> dict[str, Any]:
    whole = started()
    del whole["payload"][name]
    return whole


@pytest.mark.parametrize(
    "event",
    [
        b"",
        b"not json",
        b"[]",
        b"1",
        b"{}",
        b'{"event":7}',
        b'{"event":""}',
        b'{"event":"x"',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"event":"a\xff"}',
        without("meeting_uuid"),
        without("rtms_stream_id"),
        without("server_urls"),
        started(""),
        started(7),
        started([7]),
        started([]),
        started({}),
        started(meeting_uuid=7),
        started(meeting_uuid=""),
        started(stream="a\nb"),
        started(stream="s" * 1501),
        started(A + "\x00"),
        started(ts=0),
        started(ts=-1),
        started(ts=True),
        started(ts=2**53),
        {**started(), "event_ts": "1"},
        {**started(), "event_ts": None},
        {**started(), "event_ts": 1.5},
        {**started(), "payload": []},
        {**started(), "payload": None},
        {"event": "meeting.rtms_started", "event_ts": 1},
        {"event": "meeting.rtms_stopped", "event_ts": 1, "payload": {"meeting_uuid": "m", "rtms_stream_id": "s", "stop_reason": "6"}},
        {"event": "endpoint.url_validation", "payload": {"plainToken": 7}},
        {"event": "endpoint.url_validation"},
    ],
)
def test_what_cannot_be_acted_on_is_refused_in_one_line(event: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(event)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "event",
    [
        {"event": "meeting.started"},
        {"event": "zzz", "event_ts": "?", "payload": 7},
        {"event": "meeting.rtms_started2", "payload": {}},
    ],
)
def test_unknown_events_pass(event: Any) -> None:
    assert isinstance(parse(event), zoom.Unknown)


@pytest.mark.parametrize(
    "urls",
    [
        "wss://rtms-sjc1.zoom.us",
        "wss://rtms-sjc1.zoom.us:443/path?x=1",
        "wss://a.b.zoom.us,wss://c.zoom.us",
        "wss://A.ZOOM.US",
        "wss://a.zoom.us.:443",
    ],
)
def test_zooms_hosts_are_allowed(urls: str) -> None:
    assert zoom.refused_host(urls, ("*.zoom.us",)) is None


@pytest.mark.parametrize(
    "urls",
    [
        "wss://zoom.us",
        "wss://evilzoom.us",
        "wss://zoom.us.evil.example",
        "wss://evil.example/.zoom.us",
        "wss://evil.example?.zoom.us",
        "wss://evil.example#.zoom.us",
        "wss://evil.example\\.zoom.us",
        "wss://a.zoom.us@evil.example",
        "wss://evil.example@a.zoom.us",
        "wss://a.zoom.us,wss://evil.example",
        "wss://a.zoom.us,",
        "ws://a.zoom.us",
        "https://a.zoom.us",
        "//a.zoom.us",
        "a.zoom.us",
        "wss://",
        "wss://a.zoom.us:99999",
        "wss://[::1",
        "wss://a.zoom.us ",
        "wss://evil.example%2f.zoom.us",
        "wss://169.254.169.254",
        "",
    ],
)
def test_other_hosts_get_no_signature(urls: str) -> None:
    assert zoom.refused_host(urls, ("*.zoom.us",)) is not None


@pytest.mark.parametrize("url", ["ws://localhost:1", "ws://127.0.0.1:1", "ws://[::1]:1", "wss://localhost:1"])
def test_clear_text_is_for_loopback_only(url: str) -> None:
    assert zoom.refused_host(url, ("localhost", "127.0.0.1", "[::1]")) is None
    assert zoom.refused_host(url, ("*.zoom.us",)) is not None
