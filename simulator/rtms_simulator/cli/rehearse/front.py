"""Cloud Run's front end before one service: ingress, `run.invoker`, audience, the token without its signature, instances, time-out.

Sources: Cloud Run docs, "Restrict ingress" (internal: Cloud Tasks and Cloud Scheduler of the project; others get 404), "Authenticating
service-to-service" (the preferred header; the signature is replaced before the service sees the token), "Maximum concurrent requests".
Metrics list, `run.googleapis.com/request_count`: "excludes requests that do not reach the containers", such as unauthorized ones and those
for which no instance is left: these are not counted here either. The latter are in Cloud Run's request log.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rtms_infra.rehearsal.registered import Function
from rtms_infra.rehearsal.rights import ALL_USERS, Rights
from rtms_simulator.cli.rehearse.judges import Decisions
from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import token_claims

PREFERRED, PLAIN = "x-serverless-authorization", "authorization"
REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"
_OWN = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding", "accept-encoding"})
"""Headers of one connection."""

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the front end, or the service behind it, answers. `reached`: the service saw the request."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    reached: bool = False


class Front:
    """Before `function`, whose process listens at what `address()` says (None: no instance runs).

    `hosts`: what the service is called in URLs; tokens are for one of them. `on_answer(status, seconds)` hears of requests that reached it.
    """

    def __init__(
        self,
        function: Function,
        hosts: Sequence[str],
        decisions: Decisions,
        clock: Clock,
        address: Callable[[], str | None],
        on_answer: Callable[[int, float], None],
    ) -> None:
        self.function, self.hosts = function, tuple(hosts)
        self._decisions, self._clock, self._address, self._on_answer = decisions, clock, address, on_answer
        self._real_time = Clock()
        self._running = 0
        # functions-framework closes an idle connection after 2 s: taken up at that moment, it would fail.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=1.0)
        self._client = httpx.AsyncClient(trust_env=False, limits=limits, timeout=None)  # noqa: S113  # the service's own time-out holds
        self.on_refused: Callable[[int], None] = lambda _status: None
        """Called for each request for which no instance is left, with the status of the answer."""
        self.broken: Answer | None = None
        """Set, every request that is let in is answered so, as by a service whose code fails."""

    def serve(self, function: Function, hosts: Sequence[str], address: Callable[[], str | None]) -> None:
        """Send what comes from now on to another revision."""
        self.function, self.hosts, self._address = function, tuple(hosts), address

    async def aclose(self) -> None:
        await self._client.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The front end, as an ASGI app."""
        request = Request(scope, receive)
        target = scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        answer = await self.answer(request.method, target, headers, await request.body(), internal=False)
        response = Response(answer.body, answer.status)
        for name, value in answer.headers:
            response.headers.append(name, value)
        await response(scope, receive, send)

    async def answer(self, method: str, target: str, headers: Headers, body: bytes, *, internal: bool) -> Answer:
        """`internal`: it comes from Cloud Tasks or Cloud Scheduler of the same project."""
        if not internal and self.function.service_config.ingress_settings != "ALLOW_ALL":
            self._decisions.note(f"{self.function.name} is closed to the internet ({self.function.service_config.ingress_settings})")
            return Answer(404, b"Page not found")
        refused, headers = self._authorize(list(headers))
        if refused is not None:
            return refused
        config = self.function.service_config
        if self._running >= config.max_instance_count * config.max_instance_request_concurrency:
            self._decisions.note(f"{self.function.name} has no instance left")
            self.on_refused(429)
            return Answer(429, b"Rate exceeded.")
        self._running += 1
        began = self._real_time.now()
        try:
            answer = await self._passed_on(method, target, headers, body)
        finally:
            self._running -= 1
        self._on_answer(answer.status, self._real_time.now() - began)
        return answer

    def _authorize(self, headers: list[tuple[str, str]]) -> tuple[Answer | None, list[tuple[str, str]]]:
        """Who may come in, and the headers as the service sees them."""
        token = _bearer(headers)
        claims = token_claims(token, self._clock.now()) if token else None
        if not self._allows(ALL_USERS) and (refused := self._refusal(token, claims)) is not None:
            return refused, headers
        if claims is None:
            return None, headers
        unsigned = f"{token.rpartition('.')[0]}.{REMOVED}"
        return None, [(name, value.replace(token, unsigned)) for name, value in headers]

    def _refusal(self, token: str, claims: dict[str, Any] | None) -> Answer | None:
        name = self.function.name
        if claims is None:
            self._decisions.note(f"{name} is called without a token of Google's")
            return Answer(401 if token else 403, b"The request was not authenticated.")
        if not self._is_for_us(claims["aud"]):
            self._decisions.note(f"{name} is called with a token for {claims['aud']}")
            return Answer(401, b"The access token could not be verified")
        if not self._decisions.allowed(claims["email"], "run.routes.invoke", self.function.path):
            return Answer(403, b"The request was not authorized to invoke this service.")
        return None

    def _allows(self, member: str) -> bool:
        rights: Rights = self._decisions.rights
        return rights.allows(member, "run.routes.invoke", self.function.path)

    def _is_for_us(self, audience: str) -> bool:
        """[inf] The service's URL, or one below it (Scheduler's and Cloud Tasks' default is the whole target)."""
        return any(audience == f"https://{host}" or audience.startswith(f"https://{host}/") for host in self.hosts)

    async def _passed_on(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        if self.broken is not None:
            return self.broken
        address = self._address()
        if address is None:
            return Answer(503, b"Service Unavailable", reached=True)
        request_headers = [(name, value) for name, value in headers if name.lower() not in _OWN]
        call: Awaitable[httpx.Response] = self._client.request(method, f"{address}{target}", headers=request_headers, content=body)
        try:
            response = await self._real_time.wait_for(call, self.function.service_config.timeout_seconds)
        except TimeoutError:
            return Answer(504, b"upstream request timeout", reached=True)
        except httpx.TransportError:
            return Answer(503, b"Service Unavailable", reached=True)
        passed = tuple((name, value) for name, value in response.headers.multi_items() if name.lower() not in _OWN)
        return Answer(response.status_code, response.content, passed, reached=True)


def _bearer(headers: Headers) -> str:
    """The token that Cloud Run looks at: of the preferred header if that is there, else of the plain one; empty if either came twice."""
    for header in (PREFERRED, PLAIN):
        values = [value for name, value in headers if name.lower() == header]
        if values:
            scheme, _, token = values[0].partition(" ")
            return token if len(values) == 1 and scheme.lower() == "bearer" else ""
    return ""


class InternalNetwork(httpx.AsyncBaseTransport):
    """How Cloud Tasks and Cloud Scheduler reach the services: by their names, from inside."""

    def __init__(self, fronts: Callable[[], Sequence[Front]]) -> None:
        self._fronts = fronts

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        front = next((one for one in self._fronts() if request.url.host in one.hosts), None)
        if front is None or request.url.scheme != "https":
            raise httpx.ConnectError(f"there is no service at {request.url.scheme}://{request.url.host}", request=request)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        body = await request.aread()
        answer = await front.answer(request.method, request.url.raw_path.decode("ascii"), headers, body, internal=True)
        return httpx.Response(answer.status, headers=list(answer.headers), content=answer.body)
