"""One certificate authority for a folder, kept across runs, and certificates for the names that the fakes answer for."""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509

from rtms_simulator.clock import Clock
from rtms_simulator.serving.alone import alone

_SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
_SPARE = timedelta(days=7)
_KEY_FILE = "ca-key.pem"


class CertificateAuthority:
    """Kept in `directory`, which is made if it is missing: a client that trusts it once trusts the next run as well.

    `ca_file`: the authority alone (PEM), for clients that add it to what they trust. `bundle_file`: the authority together with the
    public ones that this machine has in a file, for clients that take a file instead of their own. The private key stays in a file that
    only its owner can read. An authority that expires within a week, or that cannot be read, is replaced.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.ca_file = directory / "ca.pem"
        self.bundle_file = directory / "ca-bundle.pem"
        with alone(directory, waiting=True):  # of two that begin together, both use the authority of the first one
            self._authority = _kept(directory / _KEY_FILE) or _made(directory / _KEY_FILE)
            pem = self._authority.cert_pem.bytes()
            _write(self.ca_file, pem)
            _write(self.bundle_file, _public_authorities() + b"\n" + pem)

    @classmethod
    def of_folder(cls, directory: Path) -> CertificateAuthority:
        """The authority of a working folder (`.rtmskit`), the same for every command that serves TLS there (`up`, `meeting play`, ...)."""
        return cls(directory.resolve() / "tls")

    def context_for(self, *names: str) -> ssl.SSLContext:
        """What a server needs to be `names` (DNS names, also `*.example.com`, or IP addresses), over TLS 1.2 or later."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._authority.issue_cert(*names).configure_cert(context)
        return context


def _kept(file: Path) -> trustme.CA | None:
    """The authority of an earlier run, None if there is none that can go on."""
    try:
        pem = file.read_bytes()
        certificate = x509.load_pem_x509_certificate(pem)
        if certificate.not_valid_after_utc - _SPARE < datetime.fromtimestamp(Clock().now(), UTC):
            return None
        return trustme.CA.from_pem(pem, pem)
    except (OSError, ValueError):
        return None


def _made(file: Path) -> trustme.CA:
    """A new authority, in the place of one that could not be used."""
    authority = trustme.CA(organization_name="rtmskit", organization_unit_name=f"made by rtmskit for {file.parent}"[:64])
    own = file.with_name(f"{file.name}.new")
    own.unlink(missing_ok=True)  # of a run that was killed here; it may be readable by others
    with os.fdopen(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(authority.private_key_pem.bytes() + authority.cert_pem.bytes())
    own.replace(file)
    return authority


def _write(file: Path, content: bytes) -> None:
    """Readers see the old file or the new one, never half of it."""
    with suppress(OSError):
        if file.read_bytes() == content:
            return
    own = file.with_name(f"{file.name}.new")
    own.write_bytes(content)
    own.replace(file)


def _public_authorities() -> bytes:
    """The authorities that this machine trusts, as PEM; empty where it keeps them in no file."""
    candidates = [ssl.get_default_verify_paths().cafile, *_SYSTEM_BUNDLES]
    file = next((Path(name) for name in candidates if name and Path(name).is_file()), None)
    return file.read_bytes() if file else b""
