"""Zoom's side of the wire: golden vectors, and every way a request can be wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.ports.events import MEETING, NOW, STREAM, TOKEN, URLS_A, signed, started, stopped

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
        with pytest.raises(NotAuthentic, match="too far from the time here"):
            check(headers, GOLDEN_BODY)


@pytest.mark.parametrize(
    "token", ["", "v0:1:{}", "a b", "a\n", "a.b", "a{b", "é", "a" * 129, 'v0:1626230691:{"event":"meeting.rtms_started"}']
)
def test_a_token_that_is_none_is_not_signed(token: str) -> None:
    with pytest.raises(BadRequest, match="plainToken"):
        zoom.challenge_answer("hooksecret", token)


def parse(event: Any) -> Any:
    return zoom.parse(event if isinstance(event, bytes) else json.dumps(event).encode())


def test_ids_are_found_in_payload_object_too_and_payload_wins() -> None:
    whole = started()
    nested = {"event": whole["event"], "event_ts": NOW, "payload": {"object": whole["payload"], "rtms_stream_id": "mine"}}
    event = parse(nested)
    assert isinstance(event, zoom.Started)
    assert (event.stream_id, event.server_urls) == ("mine", URLS_A)


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        (URLS_A, URLS_A),
        ([URLS_A], URLS_A),
        ([URLS_A, "wss://b"], f"{URLS_A},wss://b"),
        ({"signaling": URLS_A, "audio": "x"}, URLS_A),
        ({"all": URLS_A}, URLS_A),
        (f"{URLS_A},wss://b", f"{URLS_A},wss://b"),
        (f" {URLS_A} , wss://b,,", f"{URLS_A},wss://b"),
        ([f"{URLS_A} ", "", None, " ", 7, "wss://b"], f"{URLS_A},wss://b"),
        ({"signaling": [URLS_A, " wss://b"]}, f"{URLS_A},wss://b"),
        ({"signaling": None, "all": URLS_A}, URLS_A),
    ],
)
def test_server_urls_lose_blanks_and_empty_items_and_nothing_else(given: Any, understood: str) -> None:
    event = parse(started(given))
    assert isinstance(event, zoom.Started)
    assert event.server_urls == understood


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        *((reason, reason) for reason in (0, 6, 26, 999, None)),
        ("8", 8),
        (" 8 ", 8),
        ("8.0", 8),
        (8.0, 8),
        (8.5, None),
        (True, None),
        ("revoked", None),
        ([8], None),
        (1e300, None),
    ],
)
def test_any_stop_reason_passes(given: Any, understood: int | None) -> None:
    event = parse(stopped(1, given))
    assert isinstance(event, zoom.Stopped)
    assert event.stop_reason == understood


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
        without("meeting_uuid"),
        without("rtms_stream_id"),
        without("server_urls"),
        started(""),
        started(" , "),
        started(7),
        started([7]),
        started([]),
        started({}),
        started(meeting_uuid=7.5),
        started(meeting_uuid=""),
        started(stream="a\nb"),
        started(stream="a\ud800b"),
        started(stream="s" * 1501),
        started(URLS_A + "\x00"),
        {**started(), "payload": []},
        {**started(), "payload": None},
        {"event": "meeting.rtms_started", "event_ts": 1},
        {"event": "meeting.rtms_stopped", "event_ts": 1, "payload": {"meeting_uuid": "m", "stop_reason": 8}},
    ],
)
def test_what_cannot_be_acted_on_is_unusable_and_says_why_in_one_line(event: Any) -> None:
    parsed = parse(event)
    assert isinstance(parsed, zoom.Unusable)
    assert parsed.reason
    assert "\n" not in parsed.reason
    assert parsed.name in ("", "meeting.rtms_started", "meeting.rtms_stopped")


def test_an_unusable_event_tells_its_keys_and_its_ids_and_nothing_else() -> None:
    parsed = parse(started("", topic="the merger", operator_id="op", numeric_id=7))
    assert isinstance(parsed, zoom.Unusable)
    assert parsed == zoom.Unusable(
        "meeting.rtms_started",
        "payload.server_urls holds no URL",
        ("event", "event_ts", "payload", "meeting_uuid", "rtms_stream_id", "server_urls", "topic", "operator_id", "numeric_id"),
        {"meeting_uuid": MEETING, "rtms_stream_id": STREAM, "operator_id": "op", "numeric_id": "7"},
    )


@pytest.mark.parametrize("token", [{"plainToken": 7}, {}, [], None])
def test_a_challenge_without_a_token_gets_no_answer(token: Any) -> None:
    parsed = parse({"event": "endpoint.url_validation", "payload": token})
    assert parsed == zoom.Challenge("", "endpoint.url_validation")
    with pytest.raises(BadRequest, match="plainToken"):
        zoom.challenge_answer("hooksecret", "")


SECONDS = NOW // 1000


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        (NOW, NOW),
        (str(NOW), NOW),
        (f" {NOW} ", NOW),
        (float(NOW), NOW),
        (f"{NOW}.0", NOW),
        (SECONDS, NOW),
        (str(SECONDS), NOW),
        (SECONDS + 0.25, NOW + 250),
        (f"{SECONDS}.250", NOW + 250),
        (10**8, 10**11),
        (10**8 - 1, 10**8 - 1),
        (10**11, 10**11),
        (10**11 - 1, (10**11 - 1) * 1000),
    ],
)
def test_event_ts_may_be_text_a_fraction_or_seconds(given: Any, understood: int) -> None:
    event = parse({**started(), "event_ts": given})
    assert isinstance(event, zoom.Started)
    assert (event.event_ts, event.undated) == (understood, False)


@pytest.mark.parametrize("given", [None, 0, -1, True, False, "", "soon", "1e400", [NOW], {}, 2**53, 10**30, "9" * 50])
@pytest.mark.parametrize("make", [started, lambda: stopped(NOW), lambda: started(happening="interrupted")])
def test_an_event_without_event_ts_gets_the_signed_timestamp(given: Any, make: Any) -> None:
    body = json.dumps({**make(), "event_ts": given}).encode()
    event = zoom.parse(body, signed_at_ms=NOW - 1000)
    assert isinstance(event, zoom.Started | zoom.Stopped | zoom.Interrupted)
    assert (event.event_ts, event.undated) == (NOW - 1000, True)
    assert isinstance(zoom.parse(body), zoom.Unusable)


def test_the_signed_timestamp_is_the_one_that_was_verified() -> None:
    assert zoom.signed_at_ms([("X-Zm-Request-Timestamp", str(SECONDS))]) == NOW
    for headers in ([], [("x-zm-request-timestamp", "x")], [("x-zm-request-timestamp", str(SECONDS))] * 2):
        assert zoom.signed_at_ms(headers) is None


def test_a_stop_needs_its_stream_only() -> None:
    whole = {"event": "meeting.rtms_stopped", "event_ts": NOW, "payload": {"rtms_stream_id": STREAM, "stop_reason": "8"}}
    assert parse(whole) == zoom.Stopped("meeting", "", STREAM, NOW, 8, "meeting.rtms_stopped")
    odd = {**whole, "payload": {"rtms_stream_id": STREAM, "meeting_uuid": ["?"], "stop_reason": {"is": 8}}}
    assert parse(odd) == zoom.Stopped("meeting", "", STREAM, NOW, None, "meeting.rtms_stopped")


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


# The last value that is taken, and the first that is not


def test_a_start_is_read_whole() -> None:
    assert parse(started(account_id="acc")) == zoom.Started("meeting", MEETING, STREAM, URLS_A, NOW, "acc", "meeting.rtms_started")
    assert zoom.Started("meeting", MEETING, STREAM, URLS_A, NOW, name="meeting.rtms_started") == parse(started())


def test_an_event_that_somebody_made_has_no_name_of_zooms() -> None:
    made = [
        zoom.Started("meeting", MEETING, STREAM, URLS_A, NOW),
        zoom.Stopped("meeting", MEETING, STREAM, NOW),
        zoom.Interrupted("meeting", MEETING, STREAM, NOW),
        zoom.Deauthorized("acc", "user", "cid"),
        zoom.Challenge("token"),
    ]
    assert [event.name for event in made] == [""] * 5


def test_of_an_unknown_name_a_hundred_characters_are_shown() -> None:
    assert parse({"event": "a" * 100}) == zoom.Unknown("a" * 100)
    assert parse({"event": "a" * 101}) == zoom.Unknown("a" * 100)


def test_the_latest_time_is_the_last_that_a_float_holds() -> None:
    assert parse(started(ts=2**53 - 1)).event_ts == 2**53 - 1
    assert isinstance(parse(started(ts=2**53)), zoom.Unusable)


def test_a_webinar_may_be_named_by_the_field_of_another_product() -> None:
    assert parse(started(product="webinar")).entity_id == MEETING
    own = started(product="webinar", webinar_uuid="own")
    assert parse(own).entity_id == "own"


FAMILIES = [
    ("meeting", "meeting.rtms", "meeting_uuid"),
    ("webinar", "webinar.rtms", "webinar_uuid"),
    ("session", "session.rtms", "session_id"),
    ("contact_center", "contact_center.voice_rtms", "engagement_id"),
    ("phone", "phone.rtms", "call_id"),
    ("phone", "phone.call_rtms", "call_id"),
]
"""Zoom RTMS docs, "Events": a product, its events, and the field that holds its id."""


@pytest.mark.parametrize(("product", "prefix", "field"), FAMILIES)
@pytest.mark.parametrize(("happening", "kind"), [("started", zoom.Started), ("stopped", zoom.Stopped), ("interrupted", zoom.Interrupted)])
def test_an_event_of_each_product_is_read_with_its_own_id(product: str, prefix: str, field: str, happening: str, kind: type) -> None:
    event = started(stop_reason=6)
    event["event"] = f"{prefix}_{happening}"
    event["payload"] |= {name: f"of {name}" for _, _, name in FAMILIES}
    read = parse(event)
    assert type(read) is kind
    assert (read.product, read.entity_id, read.name) == (product, f"of {field}", f"{prefix}_{happening}")


@pytest.mark.parametrize(("product", "prefix", "field"), FAMILIES)
def test_recall_gets_the_id_in_meeting_uuid_unless_its_own_field_is_chosen(product: str, prefix: str, field: str) -> None:
    assert zoom.entity_field(product, "meeting_uuid") == "meeting_uuid"
    assert zoom.entity_field(product, "own") == field
    assert zoom.entity_field("a new product", "own") == "meeting_uuid"


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


@pytest.mark.parametrize(
    ("host", "pattern", "fine"),
    [
        ("proxy.example", "proxy.example", True),
        ("a.proxy.example", "proxy.example", False),
        ("proxy.example.evil", "proxy.example", False),
        ("xproxy.example", "proxy.example", False),
        ("proxy.exampl", "proxy.example", False),
        ("[::1]", "[::1]", True),
        ("[::2]", "[::1]", False),
        ("a.zoom.us", "*.zoom.us", True),
        ("xzoom.us", "*.zoom.us", False),
    ],
)
def test_a_pattern_without_a_star_is_that_host_alone(host: str, pattern: str, fine: bool) -> None:
    assert (zoom.refused_host(f"wss://{host}", (pattern,)) is None) is fine


@pytest.mark.parametrize(("length", "understood"), [(40, 1_795_338_000_000), (41, None)])
def test_a_number_as_text_has_forty_characters_at_most(length: int, understood: int | None) -> None:
    read = parse({**started(), "event_ts": "1795338000000".zfill(length)})
    assert (read.event_ts if understood else type(read)) == (understood or zoom.Unusable)


def test_a_pattern_asks_for_a_name_below_it() -> None:
    assert zoom.refused_host("wss://a.zoom.us", ("*.zoom.us",)) is None
    assert zoom.refused_host("wss://.zoom.us", ("*.zoom.us",)) is not None
