"""Zoom's webhook deliveries: headers, signature, the 3 s deadline, retries, URL validation (docs/evidence/zoom.md A).

A delivery is tried at once, and 5, 25 and 85 minutes later for as long as the endpoint answers 500 or more or not at all.
Everything runs on the clock, so hours pass when a test says so.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

import httpx

from rtms_simulator.clock import Clock
from rtms_simulator.errors import TokenServiceError
from rtms_simulator.faults import Fault, FaultBook, Step
from rtms_simulator.faults.zoom import WEBHOOK
from rtms_simulator.serving.background import BackgroundTasks
from rtms_simulator.serving.loopback import is_loopback, outgoing
from rtms_simulator.zoom.switches import DOCUMENTED, ZoomSwitches
from rtms_simulator.zoom.webhooks import events
from rtms_simulator.zoom.webhooks.events import BodyStyle, WebhookEvent

USER_AGENT = "Zoom Marketplace/1.0a"
CONTENT_TYPE = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class BasicAuthorization:
    """Zoom's "Basic authentication" header option."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OAuthToken:
    """Zoom's "token based authentication": a client-credentials token is fetched from `url` first."""

    url: str
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CustomHeader:
    """Zoom's "custom header" option. Raises ValueError unless the key starts with `x-`."""

    key: str
    value: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.key.lower().startswith("x-"):
            raise ValueError(f"Zoom takes only header names that start with x-, found {self.key!r}")


@dataclass(frozen=True, slots=True)
class VerificationToken:
    """The legacy option: the token as it is, in `authorization`."""

    token: str = field(repr=False)


Authorization = BasicAuthorization | OAuthToken | CustomHeader | VerificationToken | None


@dataclass(frozen=True, slots=True)
class EventSubscription:
    """One event subscription of an app: where its events go and how they are signed."""

    url: str
    secret_token: str = field(repr=False)
    client_id: str = ""
    authorization: Authorization = None


READ_TIMEOUT = -1
INTERNAL_ERRORS: Mapping[type[Exception], int] = {
    TimeoutError: READ_TIMEOUT,
    httpx.TimeoutException: READ_TIMEOUT,
    httpx.ConnectError: -2,
    httpx.TransportError: -7,
    httpx.InvalidURL: -7,
}
"""What Zoom's delivery log calls a failure without an answer: ReadTimeOut, ConnectionRefused, RemoteError. All are retried."""
NO_TOKEN = -14
_BACKSTOP_S = 300.0

DeliveryOutcome = Literal["waiting", "delivered", "refused", "failed", "withheld"]


@dataclass(slots=True)
class WebhookAttempt:
    """One request. `status` is the HTTP status, or one of Zoom's negative internal codes with `problem` saying why."""

    at: float
    headers: Mapping[str, str]
    status: int | None = None
    problem: str = ""
    latency_s: float = 0.0
    answer: bytes = b""


@dataclass(slots=True)
class Delivery:
    """One event on its way to one endpoint. `outcome` is waiting (a retry is due), delivered, refused (no retry), failed or withheld."""

    id: int
    event: WebhookEvent
    url: str
    body: bytes
    attempts: list[WebhookAttempt] = field(default_factory=list)
    outcome: DeliveryOutcome = "waiting"
    faults: tuple[str, ...] = ()
    without_effect: tuple[str, ...] = ()
    """Those of `faults` that changed no byte of this request."""
    forged: str = ""
    """The one of `faults` that made it a forgery, which no receiver may take; empty for a genuine one."""

    @property
    def status(self) -> int | None:
        """The last answer's status."""
        return self.attempts[-1].status if self.attempts else None


@dataclass(frozen=True, slots=True)
class UrlValidation:
    """One URL validation: when, and whether the endpoint answered rightly within the deadline."""

    at: float
    ok: bool
    problem: str = ""


@dataclass(slots=True)
class EndpointStanding:
    """What Zoom thinks of an endpoint: after 6 failed validations in a row nothing is sent until it is validated again by hand."""

    endpoint: EventSubscription
    validations: list[UrlValidation] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)
    failures: int = 0
    disabled: bool = False


class WebhookSender:
    """Sends Zoom's webhooks. `transport` replaces the network, for receivers in the same process."""

    def __init__(
        self,
        clock: Clock,
        random: Random,
        *,
        switches: ZoomSwitches = DOCUMENTED,
        faults: FaultBook | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        kept: int = 10_000,
    ) -> None:
        self._clock = clock
        self._random = random
        self.switches = switches
        self.faults = faults if faults is not None else FaultBook()
        self._transport = transport
        self._clients: dict[bool, httpx.AsyncClient] = {}
        self._ids = itertools.count(1)
        self._tasks = BackgroundTasks()
        self._by_itself = BackgroundTasks()  # retries and validations, which come long after
        self.requests_made = 0
        self._held: deque[asyncio.Event] = deque()
        self.deliveries: deque[Delivery] = deque(maxlen=kept)
        self.standings: dict[str, EndpointStanding] = {}

    async def aclose(self) -> None:
        """Give up every retry and close the connections."""
        await self._tasks.aclose()
        await self._by_itself.aclose()
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    # Events

    async def deliver(
        self,
        event: WebhookEvent,
        endpoint: EventSubscription,
        *,
        style: BodyStyle = events.ZOOMS_STYLE,
        raw: bytes | None = None,
        more_faults: FaultBook | None = None,
    ) -> Delivery:
        """Try once now; retries follow by themselves. `raw` replaces the body, which is signed as it is. `more_faults` go first."""
        taken = self._take_faults(event, more_faults)
        steps = {step.word: step for _, step in taken}
        plain = events.body(event, style) if raw is None else raw
        body = events.body(event, events.STYLES[steps["style"].text("style")]) if raw is None and "style" in steps else plain
        delivery = self.record(event, endpoint.url, body)
        delivery.faults = tuple(str(fault) for fault, _ in taken)
        delivery.without_effect = tuple(str(fault) for fault, step in taken if step.word == "style" and body == plain)
        delivery.forged = self._forgery(taken)
        if "lost" in steps or self._disabled(endpoint.url):
            delivery.outcome = "withheld"
        else:
            await self._send_first(delivery, endpoint, self._stamp(endpoint, delivery.body, steps), steps)
        return delivery

    async def _send_first(
        self, delivery: Delivery, endpoint: EventSubscription, stamp: Mapping[str, str], steps: Mapping[str, Step]
    ) -> None:
        if "reorder" in steps:
            self._tasks.start(self._hold_back(delivery, endpoint, stamp, steps))
        elif "late" in steps:
            self._tasks.start(self._later(steps["late"].number("seconds"), delivery, endpoint, stamp, steps))
        else:
            await self._first(delivery, endpoint, stamp, steps)

    def _take_faults(self, event: WebhookEvent, more_faults: FaultBook | None) -> list[tuple[Fault, Step]]:
        books = (self.faults,) if more_faults is None else (more_faults, self.faults)
        return [both for book in books for both in book.take_each(WEBHOOK, event.name)]

    def _forgery(self, taken: Sequence[tuple[Fault, Step]]) -> str:
        """The fault that makes it a forgery. As old as Zoom's last retry is not too old: that may keep its first stamp."""
        oldest_s = sum(self.switches.retry_after_s)
        for fault, step in taken:
            if step.word in ("wrong-signature", "unsigned") or (step.word == "stale" and step.number("seconds") > oldest_s):
                return str(fault)
        return ""

    def _disabled(self, url: str) -> bool:
        standing = self.standings.get(url)
        return standing is not None and standing.disabled

    def record(self, event: WebhookEvent, url: str, body: bytes | None = None) -> Delivery:
        """A delivery in the history that has not been tried."""
        delivery = Delivery(next(self._ids), event, url, events.body(event) if body is None else body)
        self.deliveries.append(delivery)
        return delivery

    async def replay(self, id_: int, endpoint: EventSubscription) -> Delivery:
        """Send a kept event again as a new delivery, freshly stamped. Raises KeyError."""
        original = next((delivery for delivery in self.deliveries if delivery.id == id_), None)
        if original is None:
            raise KeyError(id_)
        return await self.deliver(original.event, endpoint, raw=original.body)

    async def settled(self) -> None:
        """Return when nothing is late, held back or waiting for a retry."""
        while self._tasks or self._by_itself:
            await self._tasks.idle()
            await self._by_itself.idle()

    async def first_sent(self) -> None:
        """Return when nothing is late, held back, or to be sent twice. Retries may still come."""
        await self._tasks.idle()

    async def _first(self, delivery: Delivery, endpoint: EventSubscription, stamp: Mapping[str, str], faults: Mapping[str, Step]) -> None:
        retry = await self._attempt(delivery, endpoint, stamp)
        while self._held:
            self._held.popleft().set()
        if "duplicate" in faults:
            step = faults["duplicate"]
            for _ in range(int(step.number("copies"))):
                self._tasks.start(self._later_attempt(step.number("after"), delivery, endpoint, stamp))
        if retry:
            self._by_itself.start(self._retry(delivery, endpoint, stamp))

    async def _later(
        self, seconds: float, delivery: Delivery, endpoint: EventSubscription, stamp: Mapping[str, str], faults: Mapping[str, Step]
    ) -> None:
        await self._clock.sleep(seconds)
        await self._first(delivery, endpoint, stamp, faults)

    async def _later_attempt(self, seconds: float, delivery: Delivery, endpoint: EventSubscription, stamp: Mapping[str, str]) -> None:
        await self._clock.sleep(seconds)
        await self._attempt(delivery, endpoint, stamp)

    async def _hold_back(
        self, delivery: Delivery, endpoint: EventSubscription, stamp: Mapping[str, str], faults: Mapping[str, Step]
    ) -> None:
        overtaken = asyncio.Event()
        self._held.append(overtaken)
        try:
            await self._clock.wait_for(overtaken.wait(), faults["reorder"].number("seconds"))
        except TimeoutError:
            if not overtaken.is_set():  # it may have been overtaken in the very turn in which its time was over
                self._held.remove(overtaken)
        await self._first(delivery, endpoint, stamp, faults)

    async def _retry(self, delivery: Delivery, endpoint: EventSubscription, stamp: Mapping[str, str]) -> None:
        for pause in self.switches.retry_after_s:
            await self._clock.sleep(pause)
            if self.switches.restamp:
                stamp = self._stamp(endpoint, delivery.body, {})
            if not await self._attempt(delivery, endpoint, stamp):
                return
        delivery.outcome = "failed"

    async def _attempt(self, delivery: Delivery, endpoint: EventSubscription, stamp: Mapping[str, str]) -> bool:
        """One request. Returns whether Zoom would try again."""
        first = not delivery.attempts
        attempt = await self._request(endpoint, delivery.body, stamp)
        delivery.attempts.append(attempt)
        status = attempt.status
        assert status is not None
        if status in (200, 204) or (not first and 200 <= status < 300):
            delivery.outcome = "delivered"
        elif 0 < status < 500:
            delivery.outcome = "refused" if delivery.outcome == "waiting" else delivery.outcome
        else:
            return delivery.outcome == "waiting"
        return False

    # Requests

    def _stamp(self, endpoint: EventSubscription, body: bytes, faults: Mapping[str, Step]) -> dict[str, str]:
        """The headers that belong to one signing: timestamp, signature, ids."""
        seconds = int(self._clock.now())
        if "stale" in faults:
            seconds -= int(faults["stale"].number("seconds"))
        timestamp = str(seconds)
        signature = events.sign(endpoint.secret_token, timestamp, body)
        if "wrong-signature" in faults:
            signature = signature[:-1] + ("0" if signature[-1] != "0" else "1")
        headers = {} if "unsigned" in faults else {"x-zm-request-timestamp": timestamp, "x-zm-signature": signature}
        digits = f"{self._random.getrandbits(128):032x}"
        if self.switches.request_id:
            headers["x-zm-request-id"] = "_".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        headers["x-zm-trackingid"] = f"v=2.0;clid=sim;rid=WEB_{digits}"
        headers["traceparent"] = f"00-{digits}-{digits[:16]}-00"
        return headers

    async def _request(self, endpoint: EventSubscription, body: bytes, stamp: Mapping[str, str]) -> WebhookAttempt:
        headers = {"content-type": CONTENT_TYPE, "accept": "*/*", "accept-encoding": "gzip", **stamp}
        attempt = WebhookAttempt(self._clock.now(), headers)
        self.requests_made += 1
        try:
            headers |= await self._authorization(endpoint)
        except TokenServiceError as error:
            attempt.status, attempt.problem = NO_TOKEN, str(error)
            return attempt
        try:
            response = await self._clock.answer_of(
                self._client(endpoint.url).post(endpoint.url, content=body, headers=headers), self._deadline()
            )
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
            attempt.status = next(code for kind, code in INTERNAL_ERRORS.items() if isinstance(error, kind))
            attempt.problem = f"{type(error).__name__}: {error}"
        else:
            attempt.status, attempt.answer = response.status_code, response.content[:4096]
        attempt.latency_s = self._clock.now() - attempt.at
        return attempt

    def _client(self, url: str) -> httpx.AsyncClient:
        """The client for this machine, or for elsewhere. Raises httpx.ProxyError."""
        here = is_loopback(url)
        if here not in self._clients:
            # Every request on a connection of its own: a receiver that was restarted in between must not look unreachable.
            # The deadline is the clock's; the client's own time-out only ends what a frozen clock would never end.
            self._clients[here] = outgoing(
                url,
                timeout=_BACKSTOP_S,
                transport=self._transport,
                follow_redirects=False,
                headers={"user-agent": USER_AGENT},
                limits=httpx.Limits(max_keepalive_connections=0),
            )
        return self._clients[here]

    def _deadline(self) -> float:
        """3 s of the clock, and never less than 3 s of real time: a fast clock does not make a receiver's computer faster."""
        return self.switches.deadline_s * max(1.0, self._clock.rate)

    async def _authorization(self, endpoint: EventSubscription) -> dict[str, str]:
        match endpoint.authorization:
            case BasicAuthorization(username, password):
                return {"authorization": _basic(username, password), "clientid": endpoint.client_id}
            case VerificationToken(token):
                return {"authorization": token}
            case CustomHeader(key, value):
                return {key: value}
            case OAuthToken() as option:
                return {"authorization": f"Bearer {await self._fetch_token(option)}"}
        return {}

    async def _fetch_token(self, option: OAuthToken) -> str:
        headers = {"authorization": _basic(option.client_id, option.client_secret), "content-type": "application/x-www-form-urlencoded"}
        try:
            request = self._client(option.url).post(option.url, params={"grant_type": "client_credentials"}, headers=headers)
            response = await self._clock.answer_of(request, self._deadline())
            token = response.json()["access_token"]
        except (TimeoutError, httpx.HTTPError, ValueError, LookupError, TypeError) as error:
            raise TokenServiceError(f"no token from {option.url}: {type(error).__name__}: {error}") from None
        if response.status_code != 200 or not isinstance(token, str):
            raise TokenServiceError(f"no token from {option.url}: status {response.status_code}")
        return token

    # URL validation

    async def validate(self, endpoint: EventSubscription) -> UrlValidation:
        """Challenge the endpoint, as "Validate" on the app's page does. A success lifts a disablement."""
        standing = self.standings.setdefault(endpoint.url, EndpointStanding(endpoint))
        standing.endpoint = endpoint
        validation = await self._challenge(endpoint)
        self._judge(standing, validation)
        if validation.ok:
            standing.disabled = False
        return validation

    def keep_validating(self, endpoint: EventSubscription) -> asyncio.Task[None]:
        """Challenge the endpoint every 72 hours of the clock, until closed or disabled."""
        standing = self.standings.setdefault(endpoint.url, EndpointStanding(endpoint))
        return self._by_itself.start(self._revalidate(standing))

    async def _revalidate(self, standing: EndpointStanding) -> None:
        while not standing.disabled:
            await self._clock.sleep(self.switches.revalidate_s)
            self._judge(standing, await self._challenge(standing.endpoint))

    async def _challenge(self, endpoint: EventSubscription) -> UrlValidation:
        plain = base64.urlsafe_b64encode(self._random.randbytes(16)).decode().rstrip("=")
        event = events.url_validation(plain, self._clock.now_ms())
        raw = events.body(event, events.STYLES["payload-first"])
        delivery = self.record(event, endpoint.url, raw)
        attempt = await self._request(endpoint, raw, self._stamp(endpoint, raw, {}))
        delivery.attempts.append(attempt)
        if attempt.status is None or attempt.status < 0:
            answer = events.ValidationAnswer(False, attempt.problem)
        else:
            answer = events.judge_validation(endpoint.secret_token, plain, attempt.status, attempt.answer)
        delivery.outcome = "delivered" if answer.ok else "refused"
        return UrlValidation(attempt.at, answer.ok, answer.problem)

    def _judge(self, standing: EndpointStanding, validation: UrlValidation) -> None:
        standing.validations.append(validation)
        if validation.ok:
            standing.failures = 0
            return
        standing.failures += 1
        if standing.failures in self.switches.mail_after_failures:
            standing.mails.append(f"{standing.endpoint.url} failed {standing.failures} validations in a row: {validation.problem}")
        if standing.failures >= self.switches.disable_after_failures:
            standing.disabled = True


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def summary(deliveries: Sequence[Delivery]) -> list[dict[str, Any]]:
    """Deliveries as JSON-ready rows, without secrets."""
    return [
        {
            "id": delivery.id,
            "event": delivery.event.name,
            "event_ts": delivery.event.event_ts,
            "url": delivery.url,
            "outcome": delivery.outcome,
            "faults": list(delivery.faults),
            "attempts": [
                {
                    "at_ms": int(attempt.at * 1000),
                    "status": attempt.status,
                    "problem": attempt.problem,
                    "latency_ms": round(attempt.latency_s * 1000, 3),
                }
                for attempt in delivery.attempts
            ],
        }
        for delivery in deliveries
    ]
