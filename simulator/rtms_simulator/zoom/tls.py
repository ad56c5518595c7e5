"""The certificate of the fake Zoom's RTMS servers, from an authority made on the spot.

Zoom's own client never accepts a certificate for an IP address, so the name is a DNS name; a client is pointed at `ca_file`
(`ZM_RTMS_CA` for Zoom's SDK).
"""

from __future__ import annotations

from pathlib import Path

from rtms_simulator.serving.authority import CertificateAuthority


class Tls:
    """`context` for a server on `localhost`; `ca_file` is the PEM that its clients must trust.

    Both come from `authority`, or from one that is made and written into the directory.
    """

    def __init__(self, authority: CertificateAuthority | Path) -> None:
        if isinstance(authority, Path):
            authority = CertificateAuthority(authority)
        self.ca_file = authority.ca_file
        self.context = authority.context_for("localhost")
