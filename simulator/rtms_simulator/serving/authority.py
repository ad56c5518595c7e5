"""A certificate authority made for one run, and certificates for the names that the fakes answer for."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

_SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


class CertificateAuthority:
    """Writes into `directory`, which is made if it is missing.

    `ca_file`: the authority alone (PEM), for clients that add it to what they trust. `bundle_file`: the authority together with the
    public ones that this machine has in a file, for clients that take a file instead of their own.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._authority = trustme.CA(organization_name="rtmskit", organization_unit_name="made for one run of rtmskit")
        self.ca_file = directory / "ca.pem"
        self.bundle_file = directory / "ca-bundle.pem"
        pem = self._authority.cert_pem.bytes()
        self.ca_file.write_bytes(pem)
        self.bundle_file.write_bytes(_public_authorities() + b"\n" + pem)

    def context_for(self, *names: str) -> ssl.SSLContext:
        """What a server needs to be `names` (DNS names, also `*.example.com`), over TLS 1.2 or later."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._authority.issue_cert(*names).configure_cert(context)
        return context


def _public_authorities() -> bytes:
    """The authorities that this machine trusts, as PEM; empty where it keeps them in no file."""
    candidates = [ssl.get_default_verify_paths().cafile, *_SYSTEM_BUNDLES]
    file = next((Path(name) for name in candidates if name and Path(name).is_file()), None)
    return file.read_bytes() if file else b""
