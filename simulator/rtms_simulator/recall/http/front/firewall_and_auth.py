"""What stands before Recall's application: the firewall and the judgement of `Authorization` (docs/evidence/recall.md B3, B1). Pure."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from rtms_simulator.recall.http.request_body import DecodedBody
from rtms_simulator.recall.switches import LocalUrls

WAF_DETAIL = (
    "Request was blocked due to security rules. This is likely due to providing a localhost URL in your payload. "
    "More details: https://docs.recall.ai/reference/errors#/403-request-blocked"
)
WAF_HTML = (
    "<!DOCTYPE HTML><HTML><HEAD><TITLE>ERROR: The request could not be satisfied</TITLE></HEAD><BODY><H1>403 ERROR</H1>"
    "<H2>The request could not be satisfied.</H2><HR>Request blocked.</BODY></HTML>"
)
NOT_FOUND_HTML = (
    '<!doctype html><html lang="en"><head><title>Not Found</title></head><body><h1>Not Found</h1>'
    "<p>The requested resource was not found on this server.</p></body></html>"
)
NO_CREDENTIALS = {"code": "not_authenticated", "detail": "Authentication credentials were not provided."}
BAD_HEADER = {"code": "authentication_failed", "detail": "Invalid token header. No credentials provided."}
BAD_KEY = {
    "code": "authentication_failed",
    "detail": "Invalid API token. The API token provided might be for another Recall region (such as us-east-1, us-west-2, "
    "eu-central-1, or ap-northeast-1). Verify token is valid and belongs to the correct region.",
}
LOCAL_URL = (
    "the body names {0:.100}, which is this machine or an address: the real Recall refuses it, too. "
    "Only for a test on this machine: `rtmskit up --local-endpoints`, or the switch allow_local_urls"
)
SCHEMES = frozenset({"token", "bearer"})
# Looked ahead for, so that in `https://a,https://b` each URL is found.
_AUTHORITY = re.compile(r"\b(?:https?|wss?|rtmps?)://(?=([^/?#\\\s\"'<>]*))", re.IGNORECASE)
# A host whose last label is a number is an IPv4 address, however it is written: 127.0.0.1, 127.1, 2130706433, 0x7f000001.
_IPV4 = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)", re.DOTALL)
_BODILESS = frozenset({"GET", "HEAD"})


def blocked(method: str, body: bytes, decoded: DecodedBody, *, allow_local_urls: LocalUrls) -> str | None:
    """Why the firewall stops the request: any body on a GET, or a localhost or IP-address URL in a payload. None: it passes.

    The decoded values are looked at, so that no escape hides a URL; of a body that cannot be read, its text. That names below
    `.localhost` count too, and how a host is read, are inferred.
    """
    if method in _BODILESS:
        return f"a {method} must not have a body, not even an empty object" if body else None
    if allow_local_urls == "all":
        return None
    payload = decoded.value if decoded.error is None else body.decode("utf-8", "replace").replace("\\/", "/")
    if allow_local_urls == "server_urls" and isinstance(payload, dict) and isinstance(payload.get("zoom_rtms"), dict):
        payload = {**payload, "zoom_rtms": {**payload["zoom_rtms"], "server_urls": None}}
    return next((LOCAL_URL.format(url[1]) for text in _texts(payload) for url in _AUTHORITY.finditer(text) if _is_local(url[1])), None)


def _texts(payload: Any) -> Iterator[str]:
    """Every string in a decoded body, keys too. Not recursive, because a body may be nested deeply."""
    waiting = [payload]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case dict() as entries:
                waiting += [*entries.keys(), *entries.values()]
            case list() as items:
                waiting += items


def _is_local(authority: str) -> bool:
    """Whether `user@host:port` means this machine or an address instead of a public name."""
    host = unquote(authority).rpartition("@")[2].lower()
    if host.startswith("["):
        return True
    host = re.split(r"[:,;]", host, maxsplit=1)[0].removesuffix(".")
    return host == "localhost" or host.endswith(".localhost") or _IPV4.fullmatch(host) is not None


def refusal(authorization: str | None, api_key: str) -> dict[str, str] | None:
    """None for the right key, as `Token KEY`, `Bearer KEY` or `KEY` alone; else the body of the 401."""
    words = (authorization or "").split()
    if not words:
        return NO_CREDENTIALS
    if len(words) > 2 or (len(words) == 2) != (words[0].lower() in SCHEMES):
        return BAD_HEADER
    return None if hmac.compare_digest(words[-1].encode(), api_key.encode()) else BAD_KEY
