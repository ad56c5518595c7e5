"""Recall's request signatures: Standard Webhooks, written from its rules (docs/evidence/recall.md C3, pure)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Literal

HeaderFamily = Literal["webhook", "svix"]
PREFIX = "whsec_"
ROTATION_S = 24 * 3_600.0

# The two spellings of one scheme: the workspace secret's, and the older per-endpoint secret's.
HEADER_NAMES: dict[HeaderFamily, tuple[str, str, str]] = {
    "webhook": ("webhook-id", "webhook-timestamp", "webhook-signature"),
    "svix": ("svix-id", "svix-timestamp", "svix-signature"),
}


def secret_bytes(secret: str) -> bytes:
    """The HMAC key in a `whsec_…` secret. Raises ValueError naming what is wrong, never the secret."""
    if not secret.startswith(PREFIX):
        raise ValueError(f"a webhook secret begins with {PREFIX!r}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(f"after {PREFIX!r} a webhook secret is base64: {error}") from None
    if not key:
        raise ValueError("a webhook secret may not be empty")
    return key


def make_secret(key: bytes) -> str:
    """A secret in the form Recall shows: `whsec_` and base64."""
    return PREFIX + base64.b64encode(key).decode()


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """One entry of the signature header: `v1,<base64 HMAC-SHA256 of "id.timestamp.body">`. The body of an upgrade request is empty."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.new(secret_bytes(secret), signed, hashlib.sha256).digest()).decode()


def signature_headers(family: HeaderFamily, secrets: Sequence[str], message_id: str, timestamp: float, body: bytes) -> dict[str, str]:
    """The three headers; one `v1,` entry per secret, newest first, as during a rotation. `timestamp` in seconds."""
    seconds = int(timestamp)
    names = HEADER_NAMES[family]
    return dict(zip(names, (message_id, str(seconds), " ".join(sign(s, message_id, seconds, body) for s in secrets)), strict=True))
