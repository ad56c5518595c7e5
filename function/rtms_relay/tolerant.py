"""Reading a vendor's JSON although parts of it are broken, pure.

A signed event is never dropped because of a field that nobody reads. JSON libraries refuse the
whole text for half a surrogate pair, a byte that is not UTF-8, `NaN` or a number out of range. `decode` keeps what is sound:

* a broken character becomes a lone surrogate, so that `is_sound` can recognise an id that holds one;
* a number or word that JSON does not have, and what is nested more than `MAX_DEPTH` levels deep, becomes None;
* a trailing comma and what follows the value are passed over.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

MAX_BYTES = 1_048_576
"""Only up to this size is broken JSON repaired: about a second of work at most. Sound JSON of any size is read."""

MAX_DEPTH = 64

_ID_LIKE = re.compile(r"(?:.*_)?(?i:id|uuid)|.*[a-z](?:Id|ID|Uuid|UUID)")
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_MEMBER = re.compile(r'"([A-Za-z0-9_.-]{1,64})"\s*+:(?:\s*+(?:"([^"\\\x00-\x1f\x7f]{1,200})"|([0-9]{1,20})(?![0-9.eE])))?')
_SURROGATES = re.compile(rb"\xed([\xa0-\xaf])([\x80-\xbf])\xed([\xb0-\xbf])([\x80-\xbf])")
_TOKEN = re.compile(r'\s*+(?:("[^"\\]*+(?:\\.[^"\\]*+)*+")|([{}\[\],:])|([^\s{}\[\],:"]++))', re.DOTALL)
_ESCAPE = re.compile(r'(\\(?:u[0-9A-Fa-f]{4}|["\\/bfnrt]))|\\.', re.DOTALL)
_BROKEN = "\udcff"
_WORDS = {"true": True, "false": False, "null": None}


class Unusable(msgspec.Struct, frozen=True):
    """An authentic event of which no use can be made: nothing to do now, and something to report to a person.

    `name`: the vendor's own event name, "" if it has none. `reason`: one line. `keys`: names of fields, `ids`: values of fields
    that hold ids, both only to find out what it was about; no other content.
    """

    name: str
    reason: str
    keys: tuple[str, ...] = ()
    ids: dict[str, str] = {}


def decode(body: bytes) -> Any:
    """The value in `body`. Raises `ValueError` for what is not JSON, or does not begin like an object or an array if it is broken."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    if len(body) > MAX_BYTES:
        raise ValueError("it is not JSON")
    value = _Reader(text(body)).value(0)
    if not isinstance(value, (dict, list)):
        raise ValueError("it is not JSON")
    return value


def text(body: bytes) -> str:
    """UTF-8, with CESU-8 (each half of a surrogate pair on its own) repaired, and a lone surrogate for every other odd byte."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        return body.decode()
    except UnicodeDecodeError:
        return _SURROGATES.sub(_joined, body).decode("utf-8", "surrogateescape")


def is_sound(value: str) -> bool:
    """Whether no character of it was broken."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(value: str, limit: int) -> str:
    """`value` for a log line or an answer: at most `limit` characters, broken ones as question marks."""
    return value[:limit].encode("utf-8", "replace").decode()


def unusable(body: bytes, name: str, reason: str) -> Unusable:
    """What to report of a body that cannot be used. It is searched as text: it need not be JSON."""
    members = [match.groups() for match in _MEMBER.finditer(text(body[:MAX_BYTES]))]
    keys = dict.fromkeys(key for key, _, _ in members)
    ids = {key: shown(word or number, 200) for key, word, number in members if (word or number) and _ID_LIKE.fullmatch(key)}
    return Unusable(shown(name, 100), reason, tuple(keys)[:50], dict(list(ids.items())[:20]))


def _joined(match: re.Match[bytes]) -> bytes:
    high, low = match[0][:3].decode("utf-8", "surrogatepass"), match[0][3:].decode("utf-8", "surrogatepass")
    return chr(0x10000 + ((ord(high) - 0xD800) << 10) + ord(low) - 0xDC00).encode()


class _Reader:
    """JSON, read piece by piece. What is between two delimiters is never worth refusing the rest for."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def value(self, depth: int) -> Any:
        return self._value(self._next(), depth)

    def _next(self) -> str:
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            raise ValueError("it is not JSON: it ends too early" if not self._text[self._at :].strip() else "it is not JSON")
        self._at = match.end()
        return match[match.lastindex or 0]

    def _value(self, piece: str, depth: int) -> Any:
        if piece == "{":
            return self._skip() if depth == MAX_DEPTH else self._object(depth + 1)
        if piece == "[":
            return self._skip() if depth == MAX_DEPTH else self._array(depth + 1)
        if piece[0] == '"':
            return _string(piece)
        if piece in "}],:":
            raise ValueError("it is not JSON: a value is missing")
        return _scalar(piece)

    def _object(self, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while (piece := self._next()) != "}":
            if piece == ",":
                continue
            if piece[0] != '"' or self._next() != ":":
                raise ValueError("it is not JSON: an object has something else than members")
            members[_string(piece)] = self.value(depth)
        return members

    def _array(self, depth: int) -> list[Any]:
        items: list[Any] = []
        while (piece := self._next()) != "]":
            if piece != ",":
                items.append(self._value(piece, depth))
        return items

    def _skip(self) -> None:
        opened = 1
        while opened:
            piece = self._next()
            opened += (piece in "{[") - (piece in "}]")


def _string(piece: str) -> str:
    try:
        return json.loads(piece, strict=False)
    except ValueError:
        return json.loads(_ESCAPE.sub(lambda match: match[1] or _BROKEN, piece), strict=False)


def _scalar(piece: str) -> Any:
    if piece in _WORDS:
        return _WORDS[piece]
    try:
        return int(piece) if _INTEGER.fullmatch(piece) else _finite(float(piece))
    except ValueError:
        return None


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
