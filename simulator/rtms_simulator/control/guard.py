"""Who may call the control plane: programs of this machine that know its token, and no page of a browser (pure)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from rtms_simulator.errors import ControlRefusedError
from rtms_simulator.serving.loopback import HOSTS

JSON = "application/json"


def check(headers: Mapping[str, str], *, port: int | None, token: str, given: str) -> None:
    """Raises ControlRefusedError unless the request comes from this machine with the token.

    `headers` by lower-case name. A page of another site cannot set Host; a browser adds Origin or Sec-Fetch-Site to what it may send.
    `port`: ours, None where there is no port. `given`: the token as the request has it.
    """
    host = headers.get("host", "")
    if not _ours(f"http://{host}", port):
        raise ControlRefusedError(403, "foreign_host", f"Host {host!r:.100} is not this machine; call it by 127.0.0.1 and its port")
    origin = headers.get("origin")
    if origin is not None and not _ours(origin, port):
        raise ControlRefusedError(403, "foreign_origin", f"Origin {origin!r:.100} may not call the control plane")
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise ControlRefusedError(403, "foreign_origin", "a page of another site may not call the control plane")
    if token and not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode()):
        raise ControlRefusedError(401, "token", "send `Authorization: Bearer TOKEN` with the control_token that `rtmskit up` printed")


def bearer(headers: Mapping[str, str]) -> str:
    """The token of the Authorization header; empty without one."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def check_content_type(content_type: str | None) -> None:
    """Raises ControlRefusedError for anything but JSON: a form or text/plain could come from any page without a preflight."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise ControlRefusedError(415, "content_type", f"the body must be {JSON}, found {kind or 'no content type'!r}")


def _ours(url: str, port: int | None) -> bool:
    try:
        parts = urlsplit(url)
        named = parts.port
    except ValueError:
        return False
    if parts.scheme != "http" or parts.hostname not in HOSTS or "@" in parts.netloc:
        return False
    return port is None or (named or 80) == port
