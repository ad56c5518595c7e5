from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_relay.adapters.documents import bound, check_key, decode, encode, matched, queried
from rtms_relay.errors import DocumentTooLarge, InvalidKey
from rtms_relay.ports import MAX_DOCUMENT_BYTES

TEXT = st.text(st.characters(), max_size=20)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | FLOATS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
MOMENTS: list[tuple[object, int | None]] = [(5, 5), (0, 0), (-(2**63), -(2**63)), (2**63 - 1, 2**63 - 1), (-(2**63) - 1, None)]
MOMENTS += [(2**63, None), (True, None), (5.0, None), ("5", None), (None, None)]


@given(st.dictionaries(TEXT, JSON, max_size=4))
def test_what_is_encoded_comes_back_exactly_and_is_valid_utf_8(fields: dict[str, Any]) -> None:
    text = encode(fields)
    text.encode()
    assert json.dumps(decode(text)) == json.dumps(fields)


@pytest.mark.parametrize("size", [MAX_DOCUMENT_BYTES, MAX_DOCUMENT_BYTES + 1])
def test_the_limit_counts_bytes_of_compact_json(size: int) -> None:
    fields = {"v": "x" * (size - len('{"v":""}'))}
    if size > MAX_DOCUMENT_BYTES:
        with pytest.raises(DocumentTooLarge, match="1000001 bytes as JSON, allowed are 1000000"):
            encode(fields)
    else:
        assert len(encode(fields)) == size


@given(st.text())
def test_a_key_is_good_exactly_if_every_store_can_use_it(key: str) -> None:
    letters = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
    good = 1 <= len(key) <= 128 and set(key) <= letters and not (len(key) >= 4 and key.startswith("__") and key.endswith("__"))
    try:
        check_key(key)
    except InvalidKey:
        taken = False
    else:
        taken = True
    assert taken is good


def test_the_refusal_of_a_key_does_not_repeat_it() -> None:
    with pytest.raises(InvalidKey) as raised:
        check_key("secret/meeting==")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(("value", "found"), MOMENTS)
def test_only_64_bit_integers_are_queried(value: object, found: int | None) -> None:
    assert queried({"due_at": value}, "due_at") == found
    assert queried({}, "due_at") is None


@given(st.text(st.sampled_from("ab_9"), max_size=66) | JSON)
def test_only_words_and_hashes_narrow_a_list(value: object) -> None:
    good = isinstance(value, str) and 1 <= len(value) <= 64 and set(value) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    assert matched({"state": value}, "state") == (value if good else None)
    assert matched({}, "state") is None


@given(st.integers())
def test_a_bound_is_the_nearest_64_bit_integer(value: int) -> None:
    assert bound(value) == (value if -(2**63) <= value < 2**63 else (2**63 - 1 if value > 0 else -(2**63)))
