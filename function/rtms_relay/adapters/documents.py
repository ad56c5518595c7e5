"""What both stores share: which keys are valid, and how a document becomes text.

A document is kept as one compact JSON text plus the few columns that are queried. Firestore's own value types would not do:
it has no arrays of arrays, no empty or `__x__` map keys, at most 20 levels, and it counts 8 bytes for each integer, so the
same document would fit one store and not the other. As text, the limit and the round trip are the same everywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from rtms_relay.errors import DocumentTooLarge, InvalidKey
from rtms_relay.ports import MAX_DOCUMENT_BYTES, IndexedField

_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")
_RESERVED = re.compile(r"__.*__")
_WORD = re.compile(r"[a-z0-9_]{1,64}")
INDEXED: tuple[IndexedField, ...] = ("state", "recording", "meeting", "stream", "mdc")
"""Those that narrow a list most come last."""

_INT64_MAX = 2**63 - 1
_INT64_MIN = -(2**63)


def check_key(key: str) -> None:
    """Raise `InvalidKey` unless every store can use the key. `__x__` is reserved by Firestore, so no store takes it."""
    if _KEY.fullmatch(key) is None or _RESERVED.fullmatch(key) is not None:
        raise InvalidKey("a key must match [A-Za-z0-9_-]{1,128} and not __x__; hash the raw id and keep it as a field")


def encode(fields: Mapping[str, Any]) -> str:
    """Compact JSON. Raises `DocumentTooLarge`, and TypeError or ValueError for what is not JSON (NaN, bytes, other keys)."""
    not_text = [name for name in fields if not isinstance(name, str)]
    if not_text:
        raise TypeError(f"field names are str, found {type(not_text[0]).__name__}")
    text = json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        size = len(text.encode())
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8, but it has a JSON escape
        text = json.dumps(fields, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
        size = len(text)
    if size > MAX_DOCUMENT_BYTES:
        raise DocumentTooLarge(f"the document has {size} bytes as JSON, allowed are {MAX_DOCUMENT_BYTES}")
    return text


def decode(text: str) -> dict[str, Any]:
    """The fields that `encode` was given."""
    return json.loads(text)


def queried(fields: Mapping[str, Any], name: str) -> int | None:
    """The value of a queried field (`due_at`, `created_at`), or None if it is not a 64-bit integer: such a document is in no result."""
    value = fields.get(name)
    if type(value) is not int or not _INT64_MIN <= value <= _INT64_MAX:  # a bool is no time
        return None
    return value


def matched(fields: Mapping[str, Any], name: IndexedField) -> str | None:
    """The word or hash in an indexed field, or None if it is something else: such a document is in no list narrowed by it."""
    value = fields.get(name)
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


def bound(value: int) -> int:
    """A bound of a query, held within 64 bits: beyond them no stored value lies anyway."""
    return max(_INT64_MIN, min(_INT64_MAX, value))
