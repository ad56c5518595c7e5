"""The environment in which a program with a hard-coded Recall host talks to the fake, unmodified (docs/reach-the-fake.md)."""

from __future__ import annotations

from rtms_simulator.serving.authority import CertificateAuthority


def proxy_environment(proxy_url: str, authority: CertificateAuthority) -> dict[str, str]:
    """Variables that the usual clients read: curl, Python (httpx, requests), Node (axios, fetch since 22.21 and 24), Go.

    Where a variable takes the place of the client's own authorities, its file holds the public ones, too.
    """
    ca, bundle = str(authority.ca_file.resolve()), str(authority.bundle_file.resolve())
    return {
        "HTTPS_PROXY": proxy_url,
        "NO_PROXY": "localhost,127.0.0.1,::1",
        "SSL_CERT_FILE": bundle,
        "REQUESTS_CA_BUNDLE": bundle,
        "CURL_CA_BUNDLE": bundle,
        "NODE_EXTRA_CA_CERTS": ca,
        "NODE_USE_ENV_PROXY": "1",
    }


def shell_lines(environment: dict[str, str]) -> list[str]:
    """The lines to set them in a shell."""
    return [f"export {name}={value}" for name, value in environment.items()]
