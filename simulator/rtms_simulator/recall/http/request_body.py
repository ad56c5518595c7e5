"""Reading request bodies as Django REST Framework does: JSON, URL-encoded or multipart, anything else 415 (pure).

In the two form types, nested fields are written with dots: `zoom_rtms.meeting_uuid=…` (inferred from the framework).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import FormParser, parse_options_header

from rtms_simulator.errors import UnreadableBodyError, UnsupportedMediaTypeError


@dataclass(frozen=True, slots=True)
class DecodedBody:
    """The value of a body, or the error why it has none."""

    value: Any = None
    error: UnsupportedMediaTypeError | UnreadableBodyError | None = None


def decode(content_type: str | None, body: bytes) -> DecodedBody:
    """Like `read`, with its error as a value, since a request is judged by the firewall before its body is."""
    try:
        return DecodedBody(read(content_type, body))
    except (UnsupportedMediaTypeError, UnreadableBodyError) as error:
        return DecodedBody(error=error)


def read(content_type: str | None, body: bytes) -> Any:
    """The value of a body; an empty one is an empty object. Raises UnsupportedMediaTypeError or UnreadableBodyError."""
    if not body:
        return {}
    kind, options = parse_options_header(content_type or "")
    name = kind.decode("latin-1")
    if name == "application/json":
        return _json(body)
    if name == "application/x-www-form-urlencoded":
        return _form(body)
    if name == "multipart/form-data":
        return _multipart(body, options.get(b"boundary"))
    raise UnsupportedMediaTypeError(content_type or "")


def _json(body: bytes) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(f"Out of range float values are not JSON compliant: {constant}")

    try:
        return json.loads(body.decode("utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise UnreadableBodyError(f"JSON parse error - {error}") from None


def _form(body: bytes) -> Any:
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise UnreadableBodyError(f"Form parse error - {error}") from None
    return _nested(pairs)


def _multipart(body: bytes, boundary: bytes | None) -> Any:
    if not boundary:
        raise UnreadableBodyError("Multipart form parse error - Invalid boundary in multipart: None")
    pairs: list[tuple[str, str]] = []
    ended: list[bool] = []

    def on_field(field: Any) -> None:
        pairs.append(((field.field_name or b"").decode("utf-8", "replace"), (field.value or b"").decode("utf-8", "replace")))

    def on_file(file: Any) -> None:
        # Recall takes no files here; one is a field it does not know.
        pairs.append(((file.field_name or b"").decode("utf-8", "replace"), ""))
        file.close()

    try:
        parser = FormParser("multipart/form-data", on_field, on_file, on_end=lambda: ended.append(True), boundary=boundary)
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError, KeyError) as error:
        raise UnreadableBodyError(f"Multipart form parse error - {error}") from None
    return _nested(pairs)


def _nested(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for path, text in pairs:
        *parents, last = path.split(".")
        place = value
        for parent in parents:
            inner = place.setdefault(parent, {})
            if not isinstance(inner, dict):
                inner = place[parent] = {}
            place = inner
        place[last] = text
    return value
