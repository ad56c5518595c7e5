"""One authority for a folder, kept across runs."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from pathlib import Path

import trustme

from rtms_simulator.serving.authority import CertificateAuthority


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str | None:
    """The TLS version of a connection between the two."""
    near, far = socket.socketpair()

    def serve() -> None:
        with server.wrap_socket(far, server_side=True) as secure:
            secure.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(near, server_hostname=name) as secure:
            secure.send(b"x")
            return secure.version()
    finally:
        near.close()
        thread.join()
        far.close()


def test_what_was_trusted_once_is_trusted_in_the_next_run(tmp_path: Path) -> None:
    client = ssl.create_default_context(cafile=str(CertificateAuthority(tmp_path / "tls").ca_file))
    again = CertificateAuthority(tmp_path / "tls")
    assert handshake(again.context_for("localhost"), client, "localhost") == "TLSv1.3"


def test_the_key_is_readable_by_its_owner_only_and_is_not_in_the_files_to_trust(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    key = tmp_path / "ca-key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "PRIVATE KEY" in key.read_text()
    assert "PRIVATE KEY" not in authority.ca_file.read_text() + authority.bundle_file.read_text()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["ca-bundle.pem", "ca-key.pem", "ca.pem"]


def test_one_that_cannot_be_read_is_replaced(tmp_path: Path) -> None:
    before = CertificateAuthority(tmp_path).ca_file.read_text()
    (tmp_path / "ca-key.pem").write_text("damaged")
    after = CertificateAuthority(tmp_path).ca_file.read_text()
    assert after != before
    assert CertificateAuthority(tmp_path).ca_file.read_text() == after


def test_one_that_expires_soon_is_replaced(tmp_path: Path, monkeypatch) -> None:
    before = CertificateAuthority(tmp_path).ca_file.read_text()
    monkeypatch.setattr("rtms_simulator.serving.authority._SPARE", trustme.DEFAULT_EXPIRY - trustme.datetime.datetime(1970, 1, 1))
    assert CertificateAuthority(tmp_path).ca_file.read_text() != before


def test_two_that_begin_together_use_one(tmp_path: Path) -> None:
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.append(CertificateAuthority(tmp_path)._authority.cert_pem.bytes().decode())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(made) == {(tmp_path / "ca.pem").read_text()}


def test_nothing_older_than_tls_1_2_is_spoken(tmp_path: Path) -> None:
    authority = CertificateAuthority.of_folder(tmp_path)
    server = authority.context_for("localhost")
    assert server.minimum_version is ssl.TLSVersion.TLSv1_2
    client = ssl.create_default_context(cafile=str(authority.ca_file))
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert handshake(server, client, "localhost") == "TLSv1.2"


def test_an_address_can_be_served_beside_a_name(tmp_path: Path) -> None:
    authority = CertificateAuthority.of_folder(tmp_path)
    assert authority.ca_file == tmp_path / "tls/ca.pem"
    client = ssl.create_default_context(cafile=str(CertificateAuthority.of_folder(tmp_path).ca_file))
    server = authority.context_for("localhost", "127.0.0.1")
    assert handshake(server, client, "localhost") == handshake(server, client, "127.0.0.1") == "TLSv1.3"
