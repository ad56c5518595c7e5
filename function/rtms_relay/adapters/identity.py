"""The three ways in which the worker knows its callers. `gate` chooses one; `rtms_relay.callers` decides what they may call.

* `PlatformGate`: on Cloud Run, whose IAM has checked the token and decided who gets in.
* `TokenGate`: anywhere else, Google's tokens verified in full: signature, issuer, audience, time.
* `RunGate`: on loopback, a secret that the process which started this one chose for this run.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Collection, Mapping

import msgspec

from rtms_relay import callers
from rtms_relay.callers import Caller, Gate, Headers
from rtms_relay.errors import NotAuthentic
from rtms_relay.ports import Clock

CERTIFICATES_URL = "https://www.googleapis.com/oauth2/v1/certs"
"""Google's certificates for ID tokens, key id -> PEM (Google docs, "Verify the Google ID token")."""

ISSUERS = ("https://accounts.google.com", "accounts.google.com")
KEEP_MS = 3_600_000
"""How long certificates are kept; Google publishes new ones days before they are used."""

AGAIN_MS = 60_000
"""How soon they may be fetched again for a key that is not among them, so that forged key ids cause no flood."""

MAX_CERTIFICATES = 100_000
_TIMEOUT_S = 10.0


def gate(*, environ: Mapping[str, str], worker_url: str, clock: Clock, run_secret: str = "") -> Gate:
    """The platform's check on Cloud Run (which sets K_SERVICE); else a secret of the run, if there is one; else tokens in full."""
    if environ.get("K_SERVICE"):
        return PlatformGate(callers.audiences(worker_url), clock)
    if run_secret:
        return RunGate(run_secret)
    return TokenGate(callers.audiences(worker_url), clock)


class PlatformGate:
    def __init__(self, audiences: Collection[str], clock: Clock) -> None:
        self._audiences = audiences
        self._clock = clock

    async def caller(self, headers: Headers) -> Caller:
        return callers.by_claims(headers, audiences=self._audiences, now_ms=self._clock.now_ms())


class RunGate:
    """``Authorization: Bearer <secret>``. Only for a worker that nobody but this machine reaches."""

    def __init__(self, secret: str) -> None:
        self._expected = f"Bearer {secret}".encode()

    async def caller(self, headers: Headers) -> Caller:
        values = [value for name, value in headers if name.lower() == callers.PLAIN]
        if len(values) != 1 or not hmac.compare_digest(values[0].encode("utf-8", "replace"), self._expected):
            raise NotAuthentic("the secret of the run is required: Authorization: Bearer ...")
        return Caller("run")


class TokenGate:
    """`fetch` gets the certificates: key id -> PEM. It is a seam for tests; the default asks Google."""

    def __init__(self, audiences: Collection[str], clock: Clock, *, fetch: Callable[[], Mapping[str, str]] | None = None) -> None:
        self._audiences = audiences
        self._clock = clock
        self._fetch = fetch or _fetch
        self._certificates: Mapping[str, str] = {}
        self._fetched_ms: int | None = None
        self._lock: asyncio.Lock | None = None

    async def caller(self, headers: Headers) -> Caller:
        headers = list(headers)
        token = callers.bearer(headers)
        if token is None:
            raise NotAuthentic("one identity token of Google's is required: Authorization: Bearer ...")
        await self._verify(token)
        caller = callers.by_claims(headers, audiences=self._audiences, now_ms=self._clock.now_ms())
        if caller.kind != "identity":
            raise NotAuthentic(f"the identity token does not do: {caller.why}")
        return caller

    async def _verify(self, token: str) -> None:
        from google.auth import exceptions, jwt

        try:
            key_id = jwt.decode_header(token).get("kid")
            # Without a key id google-auth would try every certificate: Google's tokens have one.
            certificates = await self._known(key_id) if isinstance(key_id, str) else {}
            claims = jwt.decode(token, certs=certificates, audience=None)
        except (exceptions.GoogleAuthError, ValueError, TypeError, AttributeError, KeyError):
            raise NotAuthentic("the identity token cannot be verified") from None
        if claims.get("iss") not in ISSUERS:
            raise NotAuthentic("the identity token is not Google's")

    async def _known(self, key_id: str) -> Mapping[str, str]:
        """The certificates, fetched again when they are old, or lack this key."""
        self._lock = self._lock or asyncio.Lock()
        async with self._lock:
            now = self._clock.now_ms()
            age = None if self._fetched_ms is None else now - self._fetched_ms
            if age is None or age >= KEEP_MS or age < 0 or (key_id not in self._certificates and age >= AGAIN_MS):
                self._certificates = await asyncio.to_thread(self._fetch)
                self._fetched_ms = now
            return {key_id: self._certificates[key_id]}


def _fetch() -> Mapping[str, str]:
    """Raises `NotAuthentic`: nobody can be let in while Google's certificates cannot be had."""
    import httpx

    try:
        with httpx.Client(timeout=_TIMEOUT_S, trust_env=False, follow_redirects=False) as client:
            answer = client.get(CERTIFICATES_URL, headers={"Accept-Encoding": "identity"})
            answer.raise_for_status()
            return msgspec.json.decode(answer.content[:MAX_CERTIFICATES], type=dict[str, str])
    except (httpx.HTTPError, msgspec.MsgspecError, UnicodeError):
        raise NotAuthentic("Google's certificates cannot be fetched, so no identity token can be verified") from None
