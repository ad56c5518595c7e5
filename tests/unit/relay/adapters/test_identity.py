"""Tokens verified in full with Google's own library, with certificates made here; the secret of a run; which gate stands where."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt

from rtms_relay.adapters import identity
from rtms_relay.adapters.identity import PlatformGate, RunGate, TokenGate
from rtms_relay.callers import Caller, audiences
from rtms_relay.errors import NotAuthentic

URL = "https://worker.example"
EMAIL = "tasks-events@p.iam.gserviceaccount.com"


def now() -> int:
    """Seconds since the epoch: google-auth reads the machine's clock, and a suite may run for longer than a token lives."""
    return int(time.time())


class Clock:
    def __init__(self) -> None:
        self.ms = now() * 1000

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ms(self) -> float:
        return float(self.ms)

    async def sleep(self, seconds: float) -> None: ...


class Signer:
    """A key and its certificate, as Google publishes them."""

    def __init__(self) -> None:
        key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
        builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(datetime.now(UTC) - timedelta(days=1)).not_valid_after(datetime.now(UTC) + timedelta(days=1))
        self.certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
        self.pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )

    def token(self, key_id: str | None = "k1", **changed: Any) -> str:
        """A token with other claims; `iat` and `exp` are seconds from now."""
        claims = {
            "iss": "https://accounts.google.com",
            "aud": URL,
            "email": EMAIL,
            "email_verified": True,
            "iat": now() - 5,
            "exp": now() + 600,
        }
        moved = {name: now() + value if name in ("iat", "exp") else value for name, value in changed.items()}
        return jwt.encode(crypt.RSASigner.from_string(self.pem, key_id), {**claims, **moved}).decode()


@pytest.fixture(scope="module")
def google() -> Signer:
    return Signer()


@pytest.fixture(scope="module")
def forger() -> Signer:
    return Signer()


def gate(google: Signer, clock: Clock | None = None, fetched: list[int] | None = None) -> TokenGate:
    def fetch() -> dict[str, str]:
        if fetched is not None:
            fetched.append(1)
        return {"k1": google.certificate}

    return TokenGate(audiences(URL), clock or Clock(), fetch=fetch)


def bearer(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


async def test_a_token_of_googles_is_an_identity(google: Signer) -> None:
    assert await gate(google).caller(bearer(google.token())) == Caller("identity", EMAIL)


FLAWS: dict[str, dict[str, Any]] = {
    "expired": {"exp": -10, "iat": -20},
    "of the future": {"iat": 1000, "exp": 2000},
    "another audience": {"aud": "https://other.example"},
    "an audience that begins like it": {"aud": URL + ".evil.example"},
    "another issuer": {"iss": "https://accounts.google.com.evil.example"},
    "no issuer": {"iss": None},
    "not verified": {"email_verified": False},
    "no e-mail": {"email": None},
    "an unknown key": {"key_id": "k2"},
    "no key": {"key_id": None},
}


@pytest.mark.parametrize("flaw", FLAWS)
async def test_a_token_with_a_flaw_lets_nobody_in(google: Signer, flaw: str) -> None:
    with pytest.raises(NotAuthentic):
        await gate(google).caller(bearer(google.token(**FLAWS[flaw])))


async def test_a_forged_signature_lets_nobody_in(google: Signer, forger: Signer) -> None:
    sound = google.token()
    head, claims, signature = sound.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","kid":"k1"}').rstrip(b"=").decode()
    hs256 = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"k1"}').rstrip(b"=").decode()
    other = base64.urlsafe_b64encode(json.dumps({"email": "admin@p"}).encode()).rstrip(b"=").decode()
    for token in (
        forger.token(),
        f"{head}.{claims}.",
        f"{head}.{claims}.SIGNATURE_REMOVED_BY_GOOGLE",
        f"{none}.{claims}.",
        f"{hs256}.{claims}.{signature}",
        f"{head}.{other}.{signature}",
        f"{head}.{claims}.{signature[:-4]}AAAA",
        "a.b.c",
    ):
        with pytest.raises(NotAuthentic):
            await gate(google).caller(bearer(token))
    for headers in ([], bearer(sound) * 2, [("x-cloudtasks-queuename", "handoffs")]):
        with pytest.raises(NotAuthentic, match=r"^one identity token of Google's is required: Authorization: Bearer \.\.\.$"):
            await gate(google).caller(headers)


async def test_certificates_are_kept_for_an_hour_and_fetched_again_for_an_unknown_key_once_a_minute(google: Signer) -> None:
    clock, fetched = Clock(), []
    one = gate(google, clock, fetched)
    for _ in range(3):
        await one.caller(bearer(google.token()))
    assert len(fetched) == 1
    for after_ms, count in ((59_999, 1), (1, 2), (59_999, 2), (1, 3)):
        clock.ms += after_ms
        for _ in range(3):
            with pytest.raises(NotAuthentic):
                await one.caller(bearer(google.token("k2")))
        assert len(fetched) == count
    clock.ms += 479_999
    await one.caller(bearer(google.token()))
    assert len(fetched) == 3


async def test_certificates_are_fetched_again_after_an_hour(google: Signer) -> None:
    clock, fetched = Clock(), []
    one = gate(google, clock, fetched)
    await one.caller(bearer(google.token()))
    for after_ms, count in ((3_599_999, 1), (1, 2)):
        clock.ms += after_ms
        with pytest.raises(NotAuthentic, match="expired"):  # by our clock; google-auth's has not moved
            await one.caller(bearer(google.token()))
        assert len(fetched) == count


async def test_a_clock_that_was_set_back_fetches_them_again(google: Signer) -> None:
    clock, fetched = Clock(), []
    one = gate(google, clock, fetched)
    clock.ms += 50_000
    await one.caller(bearer(google.token()))
    for back_ms, count in ((50_000, 2), (0, 2)):
        clock.ms -= back_ms
        await one.caller(bearer(google.token()))
        assert len(fetched) == count


async def test_either_of_googles_two_issuers_will_do(google: Signer) -> None:
    assert await gate(google).caller(bearer(google.token(iss="accounts.google.com"))) == Caller("identity", EMAIL)


def test_where_google_publishes_its_certificates_and_how_long_they_are_waited_for() -> None:
    """Google docs, "Verify the Google ID token on your server side"; the worker's answer is due in 60 s (budgets)."""
    assert identity.CERTIFICATES_URL == "https://www.googleapis.com/oauth2/v1/certs"
    assert identity._TIMEOUT_S == 10.0
    assert identity.MAX_CERTIFICATES == 100_000


class Google(BaseHTTPRequestHandler):
    """Answers with what it was given, and keeps what it was asked."""

    protocol_version = "HTTP/1.1"
    status, body, location = 200, b"{}", ""
    asked: ClassVar[list[tuple[str, dict[str, str]]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        self.send_response(self.status)
        if self.location:
            self.send_header("Location", self.location)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002


@contextlib.contextmanager
def publishing(monkeypatch: pytest.MonkeyPatch, body: bytes, status: int = 200, location: str = "") -> Generator[type[Google]]:
    """Google's certificates come from a server here."""
    handler = type("Answering", (Google,), {"status": status, "body": body, "location": location, "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setattr(identity, "CERTIFICATES_URL", f"http://127.0.0.1:{server.server_port}/certs")
        try:
            yield handler
        finally:
            server.shutdown()
            thread.join()


async def test_certificates_come_from_google_directly(google: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with publishing(monkeypatch, json.dumps({"k1": google.certificate}).encode()) as server:
        one = TokenGate(audiences(URL), Clock())
        assert await one.caller(bearer(google.token())) == Caller("identity", EMAIL)
        [(path, headers)] = server.asked
    assert path == "/certs"
    assert headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("answer", ["an error", "a redirect", "not JSON", "no keys", "more than is read"])
async def test_any_other_answer_lets_nobody_in(google: Signer, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    sound = json.dumps({"k1": google.certificate}).encode()
    with publishing(monkeypatch, sound) as real:
        wrong = {
            "an error": (sound, 503, ""),
            "a redirect": (sound, 302, identity.CERTIFICATES_URL),
            "not JSON": (b"<html>", 200, ""),
            "no keys": (b'["k1"]', 200, ""),
            "more than is read": (sound[:-1].ljust(100_000) + b"}", 200, ""),
        }
        with publishing(monkeypatch, *wrong[answer]) as server:
            with pytest.raises(NotAuthentic, match="cannot be fetched"):
                await TokenGate(audiences(URL), Clock()).caller(bearer(google.token()))
            assert len(server.asked) == 1
        assert real.asked == []


async def test_as_much_as_is_read_is_enough(google: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    with publishing(monkeypatch, json.dumps({"k1": google.certificate}).encode()[:-1].ljust(99_999) + b"}"):
        assert (await TokenGate(audiences(URL), Clock()).caller(bearer(google.token()))).kind == "identity"


async def test_without_googles_certificates_nobody_is_let_in(google: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "CERTIFICATES_URL", "http://127.0.0.1:1/")
    with pytest.raises(NotAuthentic, match="cannot be fetched"):
        await TokenGate(audiences(URL), Clock()).caller(bearer(google.token()))


async def test_the_secret_of_the_run_opens_everything_and_nothing_else_does() -> None:
    one = RunGate("s3cret-of-the-run")
    assert await one.caller([("Authorization", "Bearer s3cret-of-the-run")]) == Caller("run")
    for headers in (
        [],
        [("Authorization", "Bearer s3cret-of-the-ru")],
        [("Authorization", "Bearer s3cret-of-the-runn")],
        [("Authorization", "s3cret-of-the-run")],
        [("Authorization", "Bearer \u20ac")],
        [("Authorization", "Bearer \ud83e")],
        [("Authorization", "Bearer s3cret-of-the-run")] * 2,
        [("X-Serverless-Authorization", "Bearer s3cret-of-the-run")],
    ):
        with pytest.raises(NotAuthentic):
            await one.caller(headers)


async def test_on_cloud_run_the_claims_are_read_and_nothing_is_verified_again(google: Signer) -> None:
    headers = bearer(google.token().rpartition(".")[0] + ".SIGNATURE_REMOVED_BY_GOOGLE")
    one = PlatformGate(audiences(URL), Clock())
    assert await one.caller(headers) == Caller("identity", EMAIL)
    assert (await one.caller([])).kind == "everybody"


@pytest.mark.parametrize(
    ("environ", "secret", "kind"),
    [
        ({"K_SERVICE": "worker"}, "", PlatformGate),
        ({}, "", TokenGate),
        ({"K_SERVICE": ""}, "", TokenGate),
        ({}, "s3cret-of-the-run", RunGate),
        ({"K_SERVICE": "worker"}, "s3cret-of-the-run", PlatformGate),
    ],
)
def test_which_gate_stands_where(environ: dict[str, str], secret: str, kind: type) -> None:
    assert type(identity.gate(environ=environ, worker_url=URL, clock=Clock(), run_secret=secret)) is kind


def test_a_worker_without_a_platform_and_a_secret_verifies_tokens() -> None:
    assert type(identity.gate(environ={}, worker_url=URL, clock=Clock())) is TokenGate
