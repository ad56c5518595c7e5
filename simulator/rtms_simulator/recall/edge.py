"""What stands before Recall's application: the firewall (reference B3) and the judgement of `Authorization` (B1). Pure."""

from __future__ import annotations

import hmac
import re

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
SCHEMES = frozenset({"token", "bearer"})
_LOCAL_URL = re.compile(
    rb"\b(?:https?|wss?|rtmps?)://(?:[^/@\s\"']*@)?(?:localhost\b|\d{1,3}(?:\.\d{1,3}){3}\b|\[[0-9a-f:.]+\])", re.IGNORECASE
)
_BODILESS = frozenset({"GET", "HEAD"})


def blocked(method: str, body: bytes, *, allow_local_urls: bool) -> bool:
    """Whether the firewall stops the request: any body on a GET, or a localhost or IP-address URL in a payload."""
    if method in _BODILESS:
        return bool(body)
    # JSON may spell the slashes of a URL `\/`.
    return not allow_local_urls and _LOCAL_URL.search(body.replace(b"\\/", b"/")) is not None


def refusal(authorization: str | None, api_key: str) -> dict[str, str] | None:
    """None for the right key, as `Token KEY`, `Bearer KEY` or `KEY` alone; else the body of the 401."""
    words = (authorization or "").split()
    if not words:
        return NO_CREDENTIALS
    if len(words) > 2 or (len(words) == 2) != (words[0].lower() in SCHEMES):
        return BAD_HEADER
    return None if hmac.compare_digest(words[-1].encode(), api_key.encode()) else BAD_KEY


def path_of(target: str) -> str:
    """The path of a request target that may be in absolute form (`POST http://host/api/v1/… HTTP/1.1`)."""
    scheme, separator, rest = target.partition("://")
    if not separator or "/" in scheme:
        return target
    return "/" + rest.partition("/")[2]
