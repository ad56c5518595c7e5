"""This machine, for clients that otherwise use the proxy of the environment (HTTP_PROXY, HTTPS_PROXY and the like)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx

HOSTS = ("127.0.0.1", "localhost", "::1")
_DIRECT: Mapping[str, None] = {f"all://{f'[{host}]' if ':' in host else host}": None for host in HOSTS}


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine by one of its usual names."""
    try:
        return urlsplit(url).hostname in HOSTS
    except ValueError:
        return False


def outgoing(url: str, **options: Any) -> httpx.AsyncClient:
    """A client for requests to `url`: through the environment's proxy, and past it to this machine, whether NO_PROXY says so or not.

    `options`: those of `httpx.AsyncClient`. Raises httpx.ProxyError for a proxy that cannot be used.
    """
    import httpx

    try:
        return httpx.AsyncClient(mounts=_DIRECT, **options)
    except ImportError as error:  # a SOCKS proxy, which httpx has a package of its own for
        if not is_loopback(url):
            raise httpx.ProxyError(str(error)) from None
    return httpx.AsyncClient(trust_env=False, **options)


def without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that keep a child process with this environment from using its proxy for this machine; none if it has no proxy.

    Both spellings: gRPC reads the small one only.
    """
    if not any(name.lower().endswith("_proxy") and name.lower() != "no_proxy" and value for name, value in environment.items()):
        return {}
    named = [environment.get(name, "") for name in ("no_proxy", "NO_PROXY")]
    direct = ",".join(dict.fromkeys(host.strip() for host in ",".join([*named, *HOSTS]).split(",") if host.strip()))
    return {"no_proxy": direct, "NO_PROXY": direct}
