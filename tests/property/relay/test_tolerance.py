"""A signed event is never thrown away: any valid event with any one other field replaced by garbage is still the same event."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ports.bench import Bench
from tests.ports.events import MEETING, NOW, STREAM, URLS_A, URLS_B, signed, webhook_headers

from rtms_relay import recall, zoom

FIXED = [
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e400",
    b"-1E999999",
    b"007",
    b".5",
    b"+1",
    b"0x10",
    b"undefined",
    b"None",
    b"9" * 5000,
    b'"half a pair \\ud83e"',
    b'"\\udd14 the other half"',
    b'"\\ud83e\\ud83e"',
    b'"CESU-8 \xed\xa0\xbd\xed\xb8\x80"',
    b'"half of CESU-8 \xed\xa0\xbd"',
    b'"Latin-1 M\xfcller"',
    b'"\xc0\xaf overlong"',
    b'"\xf8\x88\x80\x80\x80"',
    b'"cut \xe2\x82"',
    b'"raw\nline\x00break\t"',
    b'"bad escapes \\x41 \\u12 \\\' \\0"',
    b'"\\u0000"',
    b"[" * 5000 + b"]" * 5000,
    b'{"a":' * 5000 + b"1" + b"}" * 5000,
    b"[1,2,]",
    b'{"a":1,}',
    b'{"event":"meeting.rtms_stopped","payload":{"rtms_stream_id":"another"}}',
    b'"},{\\"event\\":\\"x\\"}"',
]
SOUND = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
).map(lambda value: json.dumps(value).encode())
# No quote and no backslash: with those, what comes after would be part of the string.
BYTES = st.binary(max_size=40).map(lambda raw: b'"' + raw.replace(b'"', b"").replace(b"\\", b"") + b'"')
GARBAGE = st.sampled_from(FIXED) | SOUND | BYTES


def zoom_body(event: str, fields: dict[str, Any], *, nested: bool, other: bytes, where: str) -> bytes:
    """An event with one other field, `where`: before or after those that matter, outside, in the payload or in its object."""
    mark = f"MARK-{len(fields)}"
    inner = {"first": mark, **fields} if where == "first" else {**fields, "topic": mark} if where == "payload" else dict(fields)
    payload: dict[str, Any] = {"object": inner} if nested else inner
    if where == "account":
        payload["account_id"] = mark
    if where == "object":
        payload["object"] = {**payload.get("object", {}), "participant": {"name": mark}}
    if where == "instead of object" and not nested:
        payload["object"] = mark
    outside = {"extra": mark} if where in ("outside", "instead of object") and mark not in json.dumps(payload) else {}
    return json.dumps({**outside, "event": event, "event_ts": NOW, "payload": payload}).encode().replace(f'"{mark}"'.encode(), other)


PLACES = ["first", "payload", "account", "object", "instead of object", "outside"]


@given(
    event=st.sampled_from(sorted(zoom.RTMS_EVENTS)),
    urls=st.sampled_from([URLS_A, f"{URLS_A},{URLS_B}"]),
    reason=st.sampled_from([None, 8, 6]),
    nested=st.booleans(),
    where=st.sampled_from(PLACES),
    other=GARBAGE,
)
def test_garbage_in_a_field_that_nobody_reads_changes_no_event_of_zooms(
    event: str, urls: str, reason: int | None, nested: bool, where: str, other: bytes
) -> None:
    product, happening = zoom.RTMS_EVENTS[event]
    fields: dict[str, Any] = {zoom.ENTITY_FIELDS[product]: MEETING, "rtms_stream_id": STREAM}
    if happening != "stopped":
        fields["server_urls"] = urls
    elif reason is not None:
        fields["stop_reason"] = reason
    body = zoom_body(event, fields, nested=nested, other=other, where=where)
    read = zoom.parse(body, signed_at_ms=1)
    if isinstance(read, zoom.Started):
        read = msgspec.structs.replace(read, account_id="")
    assert (
        read
        == {
            "started": zoom.Started(product, MEETING, STREAM, urls, NOW, name=event),
            "stopped": zoom.Stopped(product, MEETING, STREAM, NOW, reason, event),
            "interrupted": zoom.Interrupted(product, MEETING, STREAM, NOW, urls, event),
        }[happening]
    )


@given(name=st.sampled_from(["meeting.started", "app_deauthorized", *zoom.NOTICES]), other=GARBAGE)
def test_garbage_refuses_no_other_event_of_zooms(name: str, other: bytes) -> None:
    for body in (b'{"event":"%b","payload":%b}', b'{"event":"%b","payload":{"concurrency_limit":%b,"user_id":1}}'):
        read = zoom.parse(body % (name.encode(), other))
        assert isinstance(read, zoom.Unknown | zoom.Deauthorized | zoom.Notice)
        assert read.name == name
        msgspec.json.encode(read)


@given(field=st.sampled_from(["meeting_uuid", "stop_reason", "event_ts", "account_id", "server_urls", "object"]), other=GARBAGE)
def test_a_stop_with_garbage_in_any_field_but_its_stream_is_a_stop_of_its_stream(field: str, other: bytes) -> None:
    fields: dict[str, Any] = {"meeting_uuid": MEETING, "rtms_stream_id": STREAM, "stop_reason": 8}
    whole: dict[str, Any] = {"event": "meeting.rtms_stopped", "event_ts": NOW, "payload": fields}
    (whole if field == "event_ts" else fields)[field] = "MARK"
    read = zoom.parse(json.dumps(whole).encode().replace(b'"MARK"', other), signed_at_ms=NOW)
    assert isinstance(read, zoom.Stopped)
    assert read.stream_id == STREAM
    assert field == "stop_reason" or read.stop_reason == 8
    msgspec.json.encode(read)


@given(where=st.sampled_from(["participant", "outside", "bot", "sub_code", "status", "metadata", "first"]), other=GARBAGE)
def test_garbage_in_a_field_that_nobody_reads_changes_no_webhook_of_recalls(where: str, other: bytes) -> None:
    key = "a" * 64
    metadata: dict[str, Any] = {"rtmskit_handoff": key}
    status: dict[str, Any] = {"code": "done", "sub_code": None, "updated_at": "2026-11-28T00:00:00Z"}
    data: dict[str, Any] = {"data": status, "recording": {"id": "rec-1", "metadata": metadata}}
    whole: dict[str, Any] = {"event": "recording.done", "data": data}
    places: dict[str, dict[str, Any]] = {"participant": data, "bot": data, "sub_code": status, "status": status, "metadata": metadata}
    if where == "first":
        whole = {"first": "MARK", **whole}
    else:
        places.get(where, whole)[where] = {"name": "MARK"} if where == "participant" else "MARK"
    event = recall.parse_webhook(json.dumps(whole).encode().replace(b'"MARK"', other))
    assert isinstance(event, recall.RecallEvent)
    assert msgspec.structs.replace(event, sub_code=None) == recall.RecallEvent(
        "recording.done", "rec-1", key, "done", None, "2026-11-28T00:00:00Z"
    )
    msgspec.json.encode(event)


@given(body=st.binary(max_size=200) | GARBAGE)
def test_nothing_that_is_signed_ever_raises(body: bytes) -> None:
    assert msgspec.json.encode(zoom.parse(body, signed_at_ms=NOW))
    assert msgspec.json.encode(recall.parse_webhook(body))


HEAD = b'{"event":"meeting.rtms_started","event_ts":%d,"payload":{"meeting_uuid":"m","rtms_stream_id":"s","server_urls":"wss://a.zoom.us'
CASES = {
    "half an emoji": HEAD + b'","topic":"A \\ud83e"}}',
    "a blank in server_urls": HEAD + b', wss://b.zoom.us"}}',
    "Latin-1": HEAD + b'","topic":"\xfc"}}',
}


@pytest.mark.parametrize("case", CASES)
async def test_a_start_that_is_odd_elsewhere_is_handed_on(case: str) -> None:
    bench = Bench()
    body = CASES[case] % NOW
    reply = await bench.intake.receive(signed(body), body)
    await bench.run(1)
    assert reply.body["status"] == "enqueued"
    assert [create["zoom_rtms"]["server_urls"].split(",")[0] for create, _ in bench.recall.creates] == ["wss://a.zoom.us"]


async def test_a_revocation_with_its_reason_as_text_is_one() -> None:
    bench = Bench()
    await bench.intake.observe(webhook_headers(b'{"event":"x"}'), b'{"event":"x"}')
    body = json.dumps({"event": "meeting.rtms_stopped", "payload": {"rtms_stream_id": STREAM, "stop_reason": "8"}}).encode()
    await bench.intake.receive(signed(body), body)
    await bench.run(1)
    assert [line["stop_reason"] for line in bench.log.of("stream_revoked")] == [8]
