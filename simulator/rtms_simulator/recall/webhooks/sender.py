"""Webhooks out: who gets which event, signed how, tried again when (docs/evidence/recall.md C1-C4).

First attempts to one endpoint go out in the order of their events, one after the other, so that a run is reproducible; Recall
itself promises no order, and faults of `recall.webhook` (faults/recall.py) break it. Retries never hold back later messages.
"""

from __future__ import annotations

import logging
import random
import string
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from rtms_simulator.clock import Clock
from rtms_simulator.faults import NO_FAULT, FaultBook, Step
from rtms_simulator.faults.recall import WEBHOOK
from rtms_simulator.recall.records.workspace import ARTIFACT_KINDS
from rtms_simulator.recall.webhooks.bodies import as_sent
from rtms_simulator.recall.webhooks.failure_run import FailureRun
from rtms_simulator.recall.webhooks.signing import ROTATION_S, HeaderFamily, make_secret, secret_bytes, signature_headers
from rtms_simulator.serving.background import BackgroundTasks

# Eight attempts in all; each wait begins when the attempt before it failed. The first, "immediately", is the first attempt (Svix's docs).
ATTEMPT_AFTER_S = (0.0, 5.0, 5 * 60.0, 30 * 60.0, 2 * 3600.0, 5 * 3600.0, 10 * 3600.0, 10 * 3600.0)
TIMEOUT_S = 15.0
KEPT_MESSAGES = 10_000
EVENTS: tuple[str, ...] = (
    *(f"recording.{code}" for code in ("processing", "paused", "done", "failed", "deleted")),
    *(f"{kind}.{code}" for kind in sorted(ARTIFACT_KINDS) for code in ("processing", "done", "failed", "deleted")),
    *(f"realtime_endpoint.{code}" for code in ("running", "done", "failed")),
)
_BASE62 = string.digits + string.ascii_letters
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class SigningSecret:
    """A secret and those it replaced; for 24 h after a rotation the old ones sign too (docs/evidence/recall.md C3)."""

    current: str
    _replaced: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        secret_bytes(self.current)

    def rotate(self, new: str, now: float) -> None:
        """Sign with `new` from now on. Raises ValueError when it is not a `whsec_` secret."""
        secret_bytes(new)
        self._replaced.insert(0, (now, self.current))
        self.current = new

    def valid(self, now: float) -> list[str]:
        """The secrets that sign at this moment, the newest first."""
        self._replaced = [(at, secret) for at, secret in self._replaced if now < at + ROTATION_S]
        # A secret that was put back is current and replaced at once; it signs once.
        return list(dict.fromkeys([self.current, *(secret for _, secret in self._replaced)]))


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """An endpoint as entered in Recall's dashboard.

    `headers`: "webhook" for `webhook-*` headers, signed with the workspace's one secret; "svix" for the `svix-*` ones of older
    accounts, signed with the endpoint's own `secret` (`whsec_…`; None = one is made). None = "svix" when a secret is given, as only
    that form has secrets of its own. `events`: the ticked ones; None = all. The URL's query parameters are kept.

    Raises ValueError for an unknown event, and for an own secret under `webhook-*` headers.
    """

    url: str
    secret: str | None = None
    headers: HeaderFamily | None = None
    events: frozenset[str] | None = None

    @property
    def family(self) -> HeaderFamily:
        """The headers it is signed with."""
        return self.headers or ("webhook" if self.secret is None else "svix")

    def __post_init__(self) -> None:
        if self.secret is not None and self.family == "webhook":
            raise ValueError(
                "webhook-* headers are signed with the workspace's one secret (Recall(workspace_secret=...)); "
                "an endpoint has a secret of its own only with headers='svix'"
            )
        unknown = sorted((self.events or frozenset()) - set(EVENTS))
        if unknown:
            raise ValueError(f"no such webhook events: {', '.join(unknown)}; known are {', '.join(EVENTS)}")


@dataclass(slots=True)
class MessageAttempt:
    """One delivery attempt. `status` is None when no answer came; `error` then says why."""

    at: float
    status: int | None
    error: str | None
    took: float
    headers: dict[str, str]


MessageState = Literal["pending", "delivered", "failed", "lost", "disabled"]


@dataclass(slots=True)
class Message:
    """One event for one endpoint.

    The id belongs to the event: it is the same at all endpoints and over all attempts, so that receivers can drop what they know.
    """

    id: str
    event: str
    body: bytes
    endpoint: EndpointState
    created_at: float
    state: MessageState = "pending"
    retrying: bool = False
    attempts: list[MessageAttempt] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class EndpointState:
    """A `WebhookEndpoint` at work."""

    id: str
    settings: WebhookEndpoint
    secret: SigningSecret
    enabled: bool = True
    failures: FailureRun = field(default_factory=FailureRun)
    queue: deque[tuple[Message, Step]] = field(default_factory=deque)
    held: list[Message] = field(default_factory=list)
    busy: bool = False


class Webhooks:
    """All endpoints of a workspace and everything sent to them."""

    def __init__(
        self,
        clock: Clock,
        randomness: random.Random,
        faults: FaultBook,
        workspace_secret: SigningSecret,
        *,
        signed: Callable[[], bool] = lambda: True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`signed`: whether a workspace secret exists at this moment; before it does, only `svix-*` endpoints are signed."""
        self._clock = clock
        self._signed = signed
        self._randomness = randomness
        self._faults = faults
        self._workspace_secret = workspace_secret
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._tasks = BackgroundTasks()
        self.endpoints: list[EndpointState] = []
        self.messages: deque[Message] = deque(maxlen=KEPT_MESSAGES)

    def add(self, settings: WebhookEndpoint) -> EndpointState:
        """Register an endpoint. Raises ValueError for a malformed secret."""
        own = settings.family == "svix"
        secret = SigningSecret(settings.secret or self.new_secret()) if own else self._workspace_secret
        endpoint = EndpointState(f"ep_{self._token()}", settings, secret)
        self.endpoints.append(endpoint)
        return endpoint

    def remove(self, endpoint: EndpointState) -> None:
        """Take an endpoint out; what was still to be sent to it is not."""
        self.endpoints.remove(endpoint)
        endpoint.enabled = False
        self._drop_queued(endpoint)

    def new_secret(self) -> str:
        """A fresh secret of 24 bytes, as the dashboard makes."""
        return make_secret(self._randomness.randbytes(24))

    def emit(self, event: str, body: dict[str, Any]) -> None:
        """Send an event to every enabled endpoint that has it ticked."""
        raw = as_sent(body)
        identity = self.message_id()
        for endpoint in self.endpoints:
            if endpoint.enabled and (endpoint.settings.events is None or event in endpoint.settings.events):
                message = Message(identity, event, raw, endpoint, self._clock.now())
                self.messages.append(message)
                self._apply(message, self._faults.take(WEBHOOK, event))

    def resend(self, message: Message) -> None:
        """Send a message once more, with its old id, as "recover failed messages" in the dashboard does.

        An endpoint that is disabled or was removed gets nothing.
        """
        if message.endpoint.enabled:
            message.state = "pending"
            self._enqueue(message, NO_FAULT)

    def enable(self, endpoint: EndpointState) -> None:
        """Switch an endpoint that was disabled for failing back on. One that was removed stays out."""
        endpoint.enabled = endpoint in self.endpoints
        endpoint.failures.ended()

    def recover(self, endpoint: EndpointState) -> int:
        """Send again what failed for good. Returns how many messages that are."""
        failed = [message for message in self.messages if message.endpoint is endpoint and message.state in ("failed", "disabled")]
        for message in failed:
            self.resend(message)
        return len(failed)

    def message_id(self) -> str:
        return f"msg_{self._token()}"

    @property
    def busy(self) -> bool:
        return bool(self._tasks)

    async def drained(self) -> None:
        """Return once every message has been delivered or given up. On a frozen clock somebody has to advance it meanwhile."""
        await self._tasks.idle()

    async def aclose(self) -> None:
        """Stop sending; what is pending stays pending."""
        await self._tasks.aclose()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def reset(self) -> None:
        """Forget all messages; endpoints and secrets stay."""
        await self._tasks.aclose()
        self.messages.clear()
        for endpoint in self.endpoints:
            endpoint.queue.clear()
            endpoint.held.clear()
            endpoint.busy = False
            self.enable(endpoint)

    def _apply(self, message: Message, step: Step) -> None:
        if step.word == "lost":
            message.state = "lost"
            return
        if step.word == "reorder":
            message.endpoint.held.append(message)
            self._tasks.start(self._release_later(message, step.number("seconds")))
            return
        self._enqueue(message, step)
        messages, message.endpoint.held = message.endpoint.held, []
        for earlier in messages:
            self._enqueue(earlier, NO_FAULT)

    def _enqueue(self, message: Message, step: Step) -> None:
        if not message.endpoint.enabled:
            _not_sent(message)
            return
        if step.word == "late":
            self._tasks.start(self._late(message, step.number("seconds")))
            return
        copies = int(step.number("copies")) if step.word == "duplicate" else 0
        at_once = 0 if copies and step.number("after") else copies
        message.endpoint.queue.extend([(message, step)] * (1 + at_once))
        for _ in range(copies - at_once):
            self._tasks.start(self._late(message, step.number("after")))
        if not message.endpoint.busy:
            message.endpoint.busy = True
            self._tasks.start(self._work(message.endpoint))

    async def _late(self, message: Message, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._enqueue(message, NO_FAULT)

    async def _release_later(self, message: Message, seconds: float) -> None:
        """If no later message comes, a message that was held back is sent after `seconds`."""
        await self._clock.sleep(seconds)
        if message in message.endpoint.held:
            message.endpoint.held.remove(message)
            self._enqueue(message, NO_FAULT)

    async def _work(self, endpoint: EndpointState) -> None:
        try:
            while endpoint.queue:
                message, _ = endpoint.queue.popleft()
                if not endpoint.enabled:
                    _not_sent(message)
                    continue
                if not await self._attempt(message) and message.state != "delivered" and not message.retrying:
                    message.retrying = True
                    self._tasks.start(self._retry(message))
        finally:
            endpoint.busy = False

    async def _retry(self, message: Message) -> None:
        try:
            await self._attempts_left(message)
        finally:
            message.retrying = False

    async def _attempts_left(self, message: Message) -> None:
        for delay in ATTEMPT_AFTER_S[1:]:
            await self._clock.sleep(delay)
            if not message.endpoint.enabled:
                _not_sent(message)
                return
            # Sent again by hand, or a copy of it, it may have arrived meanwhile.
            if message.state == "delivered" or await self._attempt(message):
                return
        if message.state == "delivered":
            return
        message.state = "failed"
        _log.warning("webhook %s (%s) given up after %d attempts", message.id, message.event, len(message.attempts))

    async def _attempt(self, message: Message) -> bool:
        endpoint, now = message.endpoint, self._clock.now()
        headers = {"content-type": "application/json", "user-agent": "Svix-Webhooks/1.0 (rtmskit simulator)"}
        if endpoint.settings.family == "svix" or self._signed():
            headers |= signature_headers(endpoint.settings.family, endpoint.secret.valid(now), message.id, now, message.body)
        status, error = await self.post(endpoint.settings.url, message.body, headers)
        ended = self._clock.now()
        message.attempts.append(MessageAttempt(now, status, error, ended - now, headers))
        delivered = status is not None and 200 <= status < 300
        if delivered:
            message.state = "delivered"
            endpoint.failures.ended()
        elif endpoint.failures.failed(ended):
            endpoint.enabled = False
        return delivered

    async def post(self, url: str, body: bytes, headers: dict[str, str], timeout_s: float = TIMEOUT_S) -> tuple[int | None, str | None]:
        """POST once: the status, or None and the reason. The answer's body is not read."""
        if self._client is None:
            # No time-out of httpx's own: the clock decides. No connection is used again: the receiver may close it at that moment.
            once = httpx.Limits(max_keepalive_connections=0)
            self._client = httpx.AsyncClient(transport=self._transport, timeout=None, trust_env=False, limits=once)  # noqa: S113
        client = self._client

        async def status() -> int:
            async with client.stream("POST", url, content=body, headers=headers) as answer:
                return answer.status_code

        try:
            return await self._clock.answer_of(status(), timeout_s), None
        except TimeoutError:
            return None, f"no answer within {timeout_s:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return None, f"{type(error).__name__}: {error}"

    def workspace_signature(self, message_id: str, body: bytes) -> dict[str, str]:
        """The headers that sign a real-time request or upgrade at this moment; none before a workspace secret exists."""
        if not self._signed():
            return {}
        now = self._clock.now()
        return signature_headers("webhook", self._workspace_secret.valid(now), message_id, now, body)

    def _token(self) -> str:
        return "".join(self._randomness.choice(_BASE62) for _ in range(27))

    def _drop_queued(self, endpoint: EndpointState) -> None:
        for message, _ in endpoint.queue:
            _not_sent(message)
        for message in endpoint.held:
            _not_sent(message)
        endpoint.queue.clear()
        endpoint.held.clear()


def _not_sent(message: Message) -> None:
    """Its endpoint is disabled or was removed: what has not arrived is not tried again."""
    if message.state != "delivered":
        message.state = "disabled"
