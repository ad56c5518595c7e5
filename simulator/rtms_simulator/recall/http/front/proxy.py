"""Which targets a client may name when it takes the fake for its HTTPS proxy (pure).

Programs with a hard-coded Recall host reach the fake unmodified this way. They send `CONNECT us-east-1.recall.ai:443`, or, as old
axios does, a target in absolute form (docs/evidence/recall.md E1). Any other host is refused: this is no way into the network.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

RECALL_DOMAIN = "recall.ai"
TLS_PORT = 443
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_RECALL_HOST = re.compile(rf"(?:{_LABEL}\.)+{re.escape(RECALL_DOMAIN)}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ProxyRefusal:
    """Why a target is refused: the HTTP status, a stable code and one line for a person."""

    status: int
    error: str
    reason: str


@dataclass(frozen=True, slots=True)
class Target:
    """A request target taken apart. `origin` is `scheme://host[:port]` if it was in absolute form, else None."""

    path: str
    origin: str | None = None


def is_recall_host(host: str) -> bool:
    """Whether it is a host of Recall, such as `us-east-1.recall.ai`."""
    return _RECALL_HOST.fullmatch(host) is not None


def connect_refusal(target: str) -> ProxyRefusal | None:
    """Why `CONNECT target` is refused; None when the tunnel ends here."""
    if "@" in target:
        return ProxyRefusal(400, "proxy_userinfo", "the target of CONNECT is host:port, without a user or password")
    host, _, port = target.rpartition(":")
    if not host or not port.isascii() or not port.isdigit():
        return ProxyRefusal(400, "proxy_target", "the target of CONNECT is host:port, such as us-east-1.recall.ai:443")
    if not is_recall_host(host) or int(port) != TLS_PORT:
        return _elsewhere(target)
    return None


def parse_target(target: str, own_host: str) -> Target | ProxyRefusal:
    """A request target in origin or absolute form. `own_host` (`host[:port]`) is this server's own name, which is no proxying."""
    scheme, separator, rest = target.partition("://")
    if not separator or "/" in scheme:
        return Target(target)
    scheme, (authority, _, path) = scheme.lower(), rest.partition("/")
    if scheme not in ("http", "https"):
        return ProxyRefusal(400, "proxy_scheme", f"a target in absolute form begins with http:// or https://, found {scheme}://")
    if "@" in authority:
        return ProxyRefusal(400, "proxy_userinfo", "a target in absolute form must not carry a user or password")
    host, port = host_and_port(authority)
    usual = {"http": 80, "https": TLS_PORT}[scheme]
    if is_recall_host(host) and port not in (None, usual):
        return ProxyRefusal(403, "proxy_elsewhere", f"{scheme}:// ends at port {usual} of a host of Recall only, not at {authority:.200}")
    if not (is_recall_host(host) and port in (None, usual)) and authority.lower() != own_host.lower():
        return _elsewhere(authority)
    return Target(f"/{path}", f"{scheme}://{authority}")


def host_and_port(authority: str) -> tuple[str, int | None]:
    """`[::1]:80` -> `::1`, 80. A port that is not a number is -1."""
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        return authority.strip("[]").lower(), None
    return host.strip("[]").lower(), int(port) if port.isascii() and port.isdigit() else -1


def _elsewhere(target: str) -> ProxyRefusal:
    return ProxyRefusal(
        403,
        "proxy_elsewhere",
        f"this proxy ends at *.{RECALL_DOMAIN}:{TLS_PORT} only, not at {target:.200}; name that host in NO_PROXY to reach it directly",
    )
