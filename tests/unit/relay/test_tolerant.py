"""Broken JSON: what is sound of it is read, and time stays in proportion to its size."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_relay import tolerant

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=JSON, ascii_only=st.booleans())
def test_the_own_reader_reads_sound_json_as_the_standard_library_does(value: Any, ascii_only: bool) -> None:
    text = json.dumps({"value": value}, ensure_ascii=ascii_only).removesuffix("}") + ', "broken": NaN}'
    read = tolerant.decode(text.encode("utf-8", "surrogatepass"))
    assert read == {"value": value, "broken": None}


@pytest.mark.parametrize(
    ("broken", "read"),
    [
        (b"NaN", None),
        (b"-Infinity", None),
        (b"1e400", None),
        (b"9" * 5000, None),
        (b"undefined", None),
        (b"'x'", None),
        (b"007", 7),
        (b"-7", -7),
        (b"+7.5", 7.5),
        (b"true", True),
        (b"False", None),
        (b'"\xff"', "\udcff"),
        (b'"M\xfcller"', "M\udcfcller"),
        (b'"\\ud83e"', "\ud83e"),
        (b'"\\ud83e\\udd14"', "\U0001f914"),
        (b'"\xed\xa0\xbd\xed\xb8\x80"', "\U0001f600"),
        (b'"\xed\xa0\xbd"', "\udced\udca0\udcbd"),
        (b'"\\x41\\u12"', "\udcff41\udcff12"),
        (b'"\\"\\\\\\/\\n"', '"\\/\n'),
        (b'"a\nb\x00"', "a\nb\x00"),
        (b"X", None),
        (b'"\\x\n"', "\udcff\n"),
        (b"[1,2,]", [1, 2]),
        (b'{"a":1,}', {"a": 1}),
    ],
)
def test_what_is_broken_stays_alone(broken: bytes, read: Any) -> None:
    assert tolerant.decode(b'{"before":1,"broken":' + broken + b',"nan":NaN,"after":"x"}') == {
        "before": 1,
        "broken": read,
        "nan": None,
        "after": "x",
    }


def test_what_is_nested_too_deeply_is_not_read_and_what_follows_is() -> None:
    for depth, kept in ((tolerant.MAX_DEPTH - 1, True), (tolerant.MAX_DEPTH, False)):
        read = tolerant.decode(b'{"nan":NaN,"deep":' + b"[" * depth + b"7" + b"]" * depth + b',"after":1}')
        assert ("7" in json.dumps(read["deep"])) is kept
        assert read["after"] == 1


@pytest.mark.parametrize(
    "body", [b"", b"  ", b"NaN", b"<html>", b"}", b":", b"{", b'{"a"', b'{"a":}', b'{"a" 1}', b"{a:1}", b'"\xff"', b'{"a":"x', b"[" * 9]
)
def test_what_has_no_object_and_no_array_is_not_json(body: bytes) -> None:
    with pytest.raises(ValueError, match="it is not JSON"):
        tolerant.decode(body)


def test_a_byte_order_mark_and_what_follows_the_value_are_passed_over() -> None:
    assert tolerant.decode(b'\xef\xbb\xbf{"a":1} trailing') == {"a": 1}


def test_only_a_megabyte_is_mended_and_sound_json_of_any_size_read() -> None:
    at_limit = b'[NaN,"' + b"x" * (tolerant.MAX_BYTES - 8) + b'"]'
    assert len(at_limit) == 1_048_576
    assert tolerant.decode(at_limit)[0] is None
    with pytest.raises(ValueError, match="not JSON"):
        tolerant.decode(at_limit + b" ")
    assert len(tolerant.decode(b'["' + b"x" * 3_000_000 + b'"]')[0]) == 3_000_000


HOSTILE = {
    "brackets": b"[" * 1_048_576,
    "quote": b'"' * 1_048_575,
    "backslashes": b'{"a":"' + b"\\" * 1_048_570,
    "commas": b"[" + b"1," * 524_000,
    "bytes": b"[" + b'"\xff",' * 200_000,
    "escapes": b'["' + b"\\x" * 500_000 + b'"]',
    "blanks": b" " * 1_048_576,
    "members": b'"a":' * 262_000,
    "ids": b'"a_id":"1",' * 95_000,
    "surrogates": b"\xed\xa0\xbd" * 349_000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_megabyte_takes_seconds_at_most(kind: str) -> None:
    began = time.process_time()
    with contextlib.suppress(ValueError):
        tolerant.decode(HOSTILE[kind])
    tolerant.unusable(HOSTILE[kind], "", "")
    assert time.process_time() - began < 4


def test_an_unusable_body_is_described_by_keys_and_ids_even_if_it_is_not_json() -> None:
    body = b'{"event":"x","payload":{"rtms_stream_id":"s/1==","meetingId":7,"topic":"secret plan","price":1.5,"user_id":"a\\"b"'
    assert tolerant.unusable(body, "x", "why") == tolerant.Unusable(
        "x",
        "why",
        ("event", "payload", "rtms_stream_id", "meetingId", "topic", "price", "user_id"),
        {"rtms_stream_id": "s/1==", "meetingId": "7"},
    )
    many = b",".join(b'"k%d_id":"%d"' % (number, number) for number in range(100))
    described = tolerant.unusable(many, "n\ud800" + "x" * 200, "")
    assert (len(described.keys), len(described.ids), len(described.name)) == (50, 20, 100)
    assert tolerant.is_sound(described.name)


@pytest.mark.parametrize(
    ("name", "like"), [("id", 1), ("uuid", 1), ("meeting_uuid", 1), ("accountId", 1), ("paid", 0), ("valid", 0), ("plainToken", 0)]
)
def test_which_names_are_ids(name: str, like: int) -> None:
    assert len(tolerant.unusable(b'"%b":"x"' % name.encode(), "", "").ids) == like


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"a":}', "it is not JSON: a value is missing"),
        (b'{"a" 1}', "it is not JSON: an object has something else than members"),
        (b"{a:1}", "it is not JSON: an object has something else than members"),
        (b'{"a":1', "it is not JSON: it ends too early"),
        (b'{"a":"x', "it is not JSON"),
    ],
)
def test_what_is_wrong_is_said(body: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        tolerant.decode(body)


def test_64_levels_are_read_and_what_is_skipped_ends_where_it_ends() -> None:
    assert tolerant.MAX_DEPTH == 64
    deep = b"[" * 64 + b'X,{"X":[7]},X' + b"]" * 64
    assert tolerant.decode(b'{"nan":NaN,"deep":' + deep + b',"after":1}')["after"] == 1


def test_whether_a_text_is_sound_is_yes_or_no() -> None:
    assert (tolerant.is_sound("\U0001f600"), tolerant.is_sound("a\udcff")) == (True, False)
