"""A certificate authority made on the spot, and a certificate for `localhost`.

Zoom's own client never accepts a certificate for an IP address, so the name is a DNS name; a client is pointed at `ca_file`
(`ZM_RTMS_CA` for Zoom's SDK).
"""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Tls:
    """`context` for a server on `localhost`; `ca_file` is the PEM that its clients must trust. Written into `directory`, kept if there."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        self.ca_file = directory / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        authority.issue_cert("localhost").configure_cert(self.context)
