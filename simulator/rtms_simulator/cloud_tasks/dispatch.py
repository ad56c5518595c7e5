"""One attempt: the HTTP request that Cloud Tasks sends, and its outcome."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
import msgspec
from google.cloud import tasks_v2

from rtms_simulator.clock import Clock

USER_AGENT = "Google-Cloud-Tasks"
_IGNORED = ("x-google-", "x-appengine-", "x-cloudtasks-")
"""Headers of a task that Cloud Tasks ignores or replaces, by how they begin (HttpRequest.headers)."""

_COMPUTED = frozenset({"host", "content-length", "user-agent"})
_TOKEN_KEY = b"rtmskit fake Google: this key is public"
_TOKEN_LIFE_S = 3600


@dataclass(slots=True)
class Attempt:
    """One delivery of a task. `status` is the worker's HTTP status; None: no answer, and `failure` says why. Seconds since the epoch."""

    number: int
    scheduled_at: float
    dispatched_at: float
    responded_at: float | None = None
    status: int | None = None
    failure: str | None = None
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an attempt. `retry_after_s` is the answer's Retry-After, if it was in seconds."""

    status: int | None
    failure: str | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Dispatch:
    """All that makes one request: the task, when it was due and sent, what earlier attempts came to, and how long an answer may take."""

    task: tasks_v2.Task
    scheduled_at: float
    dispatched_at: float
    earlier: Sequence[Attempt]
    deadline_s: float

    def headers(self) -> dict[str, str]:
        """The task's own headers, then those of Cloud Tasks (guide "Create HTTP target tasks")."""
        request = self.task.http_request
        queue, _, task_id = self.task.name.rpartition("/tasks/")
        own = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in _COMPUTED and not name.lower().startswith(_IGNORED)
        }
        sent = {
            **own,
            "User-Agent": USER_AGENT,
            "X-CloudTasks-QueueName": queue.rpartition("/")[2],
            "X-CloudTasks-TaskName": task_id,
            "X-CloudTasks-TaskRetryCount": str(len(self.earlier)),
            # "does not include failures due to 5XX error codes"
            "X-CloudTasks-TaskExecutionCount": str(sum(one.status is not None and one.status < 500 for one in self.earlier)),
            "X-CloudTasks-TaskETA": f"{self.scheduled_at:.6f}",
        }
        if self.earlier:
            last = self.earlier[-1]
            if last.status is not None:
                sent["X-CloudTasks-TaskPreviousResponse"] = str(last.status)
            # [inf]: the header is documented, its values are not.
            sent["X-CloudTasks-TaskRetryReason"] = last.failure or f"HTTP status code {last.status}"
        authorization = self._authorization()
        if authorization is not None:
            sent = {name: value for name, value in sent.items() if name.lower() != "authorization"} | {"Authorization": authorization}
        return sent

    def _authorization(self) -> str | None:
        request = self.task.http_request
        if "oidc_token" in request:
            # OidcToken.audience: "If not specified, the URI specified in target will be used."
            audience = request.oidc_token.audience or request.url
            return f"Bearer {identity_token(request.oidc_token.service_account_email, audience, self.dispatched_at)}"
        if "oauth_token" in request:
            return f"Bearer ya29.rtmskit-fake.{hashlib.sha256(request.oauth_token.service_account_email.encode()).hexdigest()}"
        return None


class Sender(Protocol):
    """Carries out one attempt."""

    async def send(self, dispatch: Dispatch) -> Outcome: ...


class HttpSender:
    """Sends over httpx, and holds each answer to the task's deadline on the clock.

    [inf]: redirects are not followed; the reference says they "may be".
    """

    def __init__(self, clock: Clock, client: httpx.AsyncClient, run_secrets: Mapping[str, str] | None = None) -> None:
        """`run_secrets`: address of a worker on this machine -> the secret that opens it, sent with tasks that carry no token."""
        self._clock = clock
        self._client = client
        self._run_secrets = run_secrets or {}

    async def send(self, dispatch: Dispatch) -> Outcome:
        request = dispatch.task.http_request
        call = self._client.request(
            tasks_v2.HttpMethod(request.http_method).name,
            request.url,
            headers=self._headers(dispatch),
            content=request.body or None,
            timeout=None,  # the deadline is the clock's
            follow_redirects=False,
        )
        try:
            response = await self._clock.answer_of(call, dispatch.deadline_s)
        except TimeoutError:
            return Outcome(None, f"DEADLINE_EXCEEDED: no answer within {dispatch.deadline_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return Outcome(None, f"UNAVAILABLE: {type(error).__name__}: {error}")
        retry_after = response.headers.get("Retry-After", "")
        return Outcome(response.status_code, retry_after_s=float(retry_after) if retry_after.isascii() and retry_after.isdigit() else None)

    def _headers(self, dispatch: Dispatch) -> dict[str, str]:
        headers = dispatch.headers()
        url = dispatch.task.http_request.url
        secret = next((secret for worker, secret in self._run_secrets.items() if url.startswith(f"{worker}/")), "")
        if secret and not any(name.lower() == "authorization" for name in headers):
            headers["Authorization"] = f"Bearer {secret}"
        return headers


def succeeded(status: int | None) -> bool:
    """200 to 299, and nothing else."""
    return status is not None and 200 <= status <= 299


def token_claims(token: str, now: float) -> dict[str, Any] | None:
    """The claims of a token that `identity_token` made and that has not expired, as Google checks one of its own; None for any other."""
    signed, _, signature = token.rpartition(".")
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(signed.partition(".")[2] + "==="))
    except ValueError:
        return None
    if not hmac.compare_digest(signature.encode(), _signature(signed).encode()) or not isinstance(claims, dict):
        return None
    return claims if now < claims["exp"] else None


def identity_token(email: str, audience: str, now: float) -> str:
    """An OIDC token in the shape of Google's, but **not** Google's: HS256 with a public key, and a claim and key id that say so."""
    header = {"alg": "HS256", "kid": "rtmskit-fake", "typ": "JWT"}
    claims = {
        "aud": audience,
        "azp": str(int(hashlib.sha256(email.encode()).hexdigest()[:16], 16)),
        "email": email,
        "email_verified": True,
        "exp": int(now) + _TOKEN_LIFE_S,
        "iat": int(now),
        "iss": "https://accounts.google.com",
        "rtmskit_fake": True,
        "sub": str(int(hashlib.sha256(email.encode()).hexdigest()[:16], 16)),
    }
    signed = f"{_segment(header)}.{_segment(claims)}"
    return f"{signed}.{_signature(signed)}"


def _signature(signed: str) -> str:
    return base64.urlsafe_b64encode(hmac.new(_TOKEN_KEY, signed.encode(), hashlib.sha256).digest()).rstrip(b"=").decode()


def _segment(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()
