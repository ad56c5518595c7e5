"""Recall's HTTP API as an ASGI app: what stands before an operation, the operations, and the download host.

The order of judgement is Recall's as far as it is known: firewall, routing (an unrouted path is an HTML 404, key or not), key (before
the method), method, rate limit, Idempotency-Key, body. Each step is a pure module of this package.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import itertools
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from rtms_simulator.clock import Clock
from rtms_simulator.errors import UnreadableBodyError, UnsupportedMediaTypeError
from rtms_simulator.faults import OK, STATUS, FaultBook, Step
from rtms_simulator.faults.recall import REQUEST
from rtms_simulator.recall.http import idempotency
from rtms_simulator.recall.http.downloads import EXPIRED, LinkRefusal
from rtms_simulator.recall.http.exchange import IN_FLIGHT, ApiRequest, ApiResponse, RequestRecord, scripted, stored, throttled
from rtms_simulator.recall.http.front.download_host import API_DOWNLOADS, BUCKET, DownloadHost
from rtms_simulator.recall.http.front.firewall_and_auth import NOT_FOUND_HTML, WAF_DETAIL, WAF_HTML, blocked, refusal
from rtms_simulator.recall.http.idempotency import IdempotencyKeys, StoredAnswer, Verdict
from rtms_simulator.recall.http.limits import SlidingWindows
from rtms_simulator.recall.http.operations import ROOT, Operation, Router, operations
from rtms_simulator.recall.http.request_body import DecodedBody, decode
from rtms_simulator.recall.http.resources import Resources
from rtms_simulator.recall.http.schemas.openapi import document
from rtms_simulator.recall.http.schemas.request_schemas import create_body
from rtms_simulator.recall.switches import RecallSwitches
from rtms_simulator.recall.timers import Timers
from rtms_simulator.serving.cuttable import Connections

_log = logging.getLogger(__name__)
REASON_HEADER = "x-rtmskit-reason"
"""Says what this fake knows and Recall would not say."""
KEPT_HISTORY = 10_000
KEPT_BODY = 8 * 1024
IDEMPOTENT_METHODS = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True)
class ApiIdentity:
    """Who serves: the one key that is taken, the region of the texts, the version of the OpenAPI document."""

    api_key: str
    region: str
    version: str


class Api:
    """One workspace over HTTP. `switches` is asked for each request; `origin` is used when a request names no usable Host."""

    def __init__(
        self,
        clock: Clock,
        timers: Timers,
        resources: Resources,
        downloads: DownloadHost,
        *,
        identity: ApiIdentity,
        faults: FaultBook,
        switches: Callable[[], RecallSwitches],
        connections: Connections,
        origin: Callable[[], str],
    ) -> None:
        self._clock = clock
        self._timers = timers
        self._resources = resources
        self._downloads = downloads
        self._identity = identity
        self._faults = faults
        self._switches = switches
        self._connections = connections
        self._origin = origin
        self._windows = SlidingWindows()
        self._keys = IdempotencyKeys()
        self._routers: dict[tuple[bool, bool], Router] = {}
        self.history: deque[RequestRecord] = deque(maxlen=KEPT_HISTORY)
        self._numbers = itertools.count(1)

    def clear(self) -> None:
        """Forget keys, rate windows and the history."""
        self._keys.clear()
        self._windows.clear()
        self.history.clear()
        self._numbers = itertools.count(1)

    def openapi(self) -> dict[str, Any]:
        """The document of the operations as the switches have them."""
        limits = self._switches().limits
        return document(self._router().table, region=self._identity.region, version=self._identity.version, limits=limits)

    # ASGI

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = await self._read(scope, receive)
        if request is None:
            return
        self._timers.settle()
        record = RequestRecord(
            at=self._clock.now(),
            method=request.method,
            path=request.path,
            query=urlencode(request.query),
            operation=None,
            authorized="authorization" in request.headers,
            idempotency_key=request.headers.get("idempotency-key"),
            body=request.body[:KEPT_BODY].decode("utf-8", "replace"),
            id=next(self._numbers),
        )
        self.history.append(record)
        response = await self._answer(request, record, receive)
        record.status = response.status if response is not None else None
        if response is not None:
            record.answer = response.body[:KEPT_BODY].decode("utf-8", "replace")
            await self._send(response, request, scope, receive, send)

    async def _read(self, scope: Scope, receive: Receive) -> ApiRequest | None:
        limit = self._switches().max_body_bytes
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            # One byte too many is enough to know; the rest is read and dropped.
            body += message.get("body", b"")[: limit + 1 - len(body)]
            more = message.get("more_body", False)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        client = scope.get("client")
        return ApiRequest(
            method=scope["method"],
            path=scope["path"],
            query=tuple(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            headers=headers,
            body=bytes(body),
            decoded=decode(headers.get("content-type"), bytes(body)) if len(body) <= limit else DecodedBody(),
            origin=self._origin_of(scope, headers),
            client=(client[0], client[1]) if client else None,
        )

    def _origin_of(self, scope: Scope, headers: Mapping[str, str]) -> str:
        """Scheme and host by which the client calls us; links go there."""
        host = headers.get("host", "")
        return f"{scope.get('scheme', 'http')}://{host}" if host and not set(host) & set("/\\@?# ") else self._origin()

    async def _send(self, response: ApiResponse, request: ApiRequest, scope: Scope, receive: Receive, send: Send) -> None:
        if response.truncate is not None:
            send = self._truncated(send, response.truncate, request, receive)
        if response.file is not None:
            # The ETag of an S3 object that was put in one piece is its MD5.
            etag = await asyncio.to_thread(_md5, response.file)
            await FileResponse(response.file, headers={"etag": f'"{etag}"', **response.headers})(scope, receive, send)
            return
        headers = {"content-length": str(len(response.body)), **response.headers}
        if response.status == 204:
            del headers["content-length"]
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": response.status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else response.body})

    def _truncated(self, send: Send, size: int, request: ApiRequest, receive: Receive) -> Send:
        left = size

        async def sent(message: Message) -> None:
            nonlocal left
            if message["type"] == "http.response.body" and len(message.get("body", b"")) > left:
                await send({"type": "http.response.body", "body": message["body"][:left], "more_body": True})
                await self._cut(request, receive)
                return
            left -= len(message.get("body", b""))
            await send(message)

        return sent

    # The order of judgement

    async def _answer(self, request: ApiRequest, record: RequestRecord, receive: Receive) -> ApiResponse | None:
        """The answer, or None when the connection was cut instead."""
        switches = self._switches()
        if len(request.body) > switches.max_body_bytes:
            return ApiResponse.detail(413, "request_too_large", "Request body exceeded settings.DATA_UPLOAD_MAX_MEMORY_SIZE.")
        if request.path == "/openapi.json" and request.method in ("GET", "HEAD"):
            return ApiResponse.json(200, self.openapi())
        if request.path.startswith(BUCKET):
            return await self._download(request, record, receive)
        if (refused := self._firewall(request)) is not None:
            return refused
        if request.path.startswith(API_DOWNLOADS):
            return await self._download(request, record, receive)
        return await self._answer_routed(request, record, receive)

    def _firewall(self, request: ApiRequest) -> ApiResponse | None:
        """The 403 of a request that Recall's firewall would stop, or None."""
        switches = self._switches()
        reason = blocked(request.method, request.body, request.decoded, allow_local_urls=switches.allow_local_urls)
        if reason is not None:
            return _blocked(reason, html=switches.html_waf)
        if switches.allow_local_urls == "all" and request.path.startswith(ROOT):
            unreal = blocked(request.method, request.body, request.decoded, allow_local_urls="server_urls")
            if unreal is not None:
                _log.warning("accepted for a test only: %s", unreal)
        return None

    async def _answer_routed(self, request: ApiRequest, record: RequestRecord, receive: Receive) -> ApiResponse | None:
        """The answer of an operation of the API, to those with a key."""
        routed = self._router().find(request.path.removeprefix(ROOT)) if request.path.startswith(f"{ROOT}/") else None
        if routed is None:
            return ApiResponse.html(404, NOT_FOUND_HTML)
        methods, identity = routed
        unauthorized = refusal(request.headers.get("authorization"), self._identity.api_key)
        if unauthorized is not None:
            return ApiResponse.json(401, unauthorized, **{"www-authenticate": "Token"})
        operation = methods.get("GET" if request.method == "HEAD" else request.method)
        if operation is None:
            return _no_such_method(request.method, methods)
        record.operation = operation.id
        return await self._operate(request, operation, identity, record, receive)

    async def _operate(
        self, request: ApiRequest, operation: Operation, identity: str | None, record: RequestRecord, receive: Receive
    ) -> ApiResponse | None:
        """Perform an operation, unless a fault or the rate limit comes first."""
        fault = self._take(record, *operation.fault_names)
        if fault.word == STATUS and not fault.flag("done") and not stored(fault):
            return scripted(fault)
        if fault.word in ("reset", "hang"):
            return await self._silence(request, receive, fault)
        limited = self._limited(operation, identity)
        if limited is not None:
            return limited
        response = await self._perform_once(request, operation, identity, fault, record)
        if fault.word == "cut":
            return await self._cut(request, receive)
        return scripted(fault) if fault.word == STATUS and fault.flag("done") else response

    def _router(self) -> Router:
        switches = self._switches()
        shape = (switches.signature_shape_check, switches.mdc_list == "cursor")
        if shape not in self._routers:
            self._routers[shape] = Router(operations(create_body(signature_shape=shape[0]), mdc_cursor=shape[1]))
        return self._routers[shape]

    def _take(self, record: RequestRecord, *names: str) -> Step:
        fault = self._faults.take(REQUEST, *names)
        if fault.word != OK:
            record.fault = fault.word if fault.word != STATUS else fault.text("status")
        return fault

    def _limited(self, operation: Operation, identity: str | None) -> ApiResponse | None:
        limits = self._switches().limits
        # create_transcript is limited per recording, everything else per workspace and operation.
        key = f"{operation.id} {identity}" if operation.limit == "create_transcript" else operation.id
        wait = self._windows.admit(key, getattr(limits, operation.limit), self._clock.now())
        return None if wait is None else throttled(wait)

    async def _perform_once(
        self, request: ApiRequest, operation: Operation, identity: str | None, fault: Step, record: RequestRecord
    ) -> ApiResponse:
        """Perform the operation, under its Idempotency-Key if it has one."""
        key = request.headers.get("idempotency-key")
        if not key or request.method not in IDEMPOTENT_METHODS:
            return await self._perform(request, operation, identity, fault)
        scope = idempotency.scope(self._identity.api_key, request.path, key)
        verdict = self._keys.begin(scope, self._clock.now())
        if isinstance(verdict, StoredAnswer):
            record.replayed = True
            await self._held_back(fault)
            return ApiResponse(verdict.status, verdict.body, verdict.headers)
        if verdict is Verdict.IN_FLIGHT:
            return IN_FLIGHT
        complete = False
        try:
            response = await self._perform(request, operation, identity, fault)
            if self._switches().idempotency_stores == "all" or response.status < 300:
                self._keys.complete(scope, StoredAnswer(response.status, response.headers, response.body), self._clock.now())
                complete = True
        finally:
            if not complete:
                self._keys.abandon(scope)
        return response

    async def _perform(self, request: ApiRequest, operation: Operation, identity: str | None, fault: Step) -> ApiResponse:
        await self._held_back(fault)
        if fault.word == STATUS and stored(fault) and not fault.flag("done"):
            return scripted(fault)
        if operation.body is not None:
            match request.decoded.error:
                case UnsupportedMediaTypeError() as unsupported:
                    return ApiResponse.detail(415, "unsupported_media_type", f'Unsupported media type "{unsupported}" in request.')
                case UnreadableBodyError() as unreadable:
                    return ApiResponse.detail(400, "parse_error", str(unreadable))
        return self._resources.perform(request, operation, identity)

    async def _held_back(self, fault: Step) -> None:
        if fault.word == "slow":
            await self._clock.sleep(fault.number("seconds"))
            self._timers.settle()

    # Downloads

    async def _download(self, request: ApiRequest, record: RequestRecord, receive: Receive) -> ApiResponse | None:
        record.operation = "download"
        fault = self._take(record, "download")
        if fault.word in ("reset", "hang"):
            return await self._silence(request, receive, fault)
        if fault.word == "slow":
            await self._clock.sleep(fault.number("seconds"))
        path = self._downloads.opened(request) if fault.word != "expired" else EXPIRED
        if fault.word == STATUS:
            return scripted(fault)
        if isinstance(path, LinkRefusal):
            return ApiResponse.xml(path.status, path.xml())
        response = self._downloads.stored(path, request.origin)
        if fault.word == "cut":
            return await self._cut(request, receive)
        return replace(response, truncate=int(fault.number("size"))) if fault.word == "truncate" else response

    # Faults of the connection

    async def _cut(self, request: ApiRequest, receive: Receive) -> None:
        """Close the connection without an answer."""
        self._connections.cut(request.client, reset=False)
        await _disconnected(receive)

    async def _silence(self, request: ApiRequest, receive: Receive, fault: Step) -> None:
        """Reset the connection, or hang until the client gives up."""
        if fault.word == "reset":
            self._connections.cut(request.client, reset=True)
        await _disconnected(receive)


def _blocked(reason: str, *, html: bool) -> ApiResponse:
    """Recall's own words in the body, which name no cause; ours in a header and in the log."""
    _log.warning("403: %s", reason)
    headers = {REASON_HEADER: reason.encode("ascii", "replace").decode()}
    return ApiResponse.html(403, WAF_HTML, **headers) if html else ApiResponse.detail(403, "request_blocked", WAF_DETAIL, **headers)


def _no_such_method(method: str, methods: Mapping[str, Operation]) -> ApiResponse:
    allowed = ", ".join([*sorted(methods), "HEAD", "OPTIONS"] if "GET" in methods else [*sorted(methods), "OPTIONS"])
    if method == "OPTIONS":
        return ApiResponse(204, headers={"allow": allowed})
    return ApiResponse.detail(405, "method_not_allowed", f'Method "{method}" not allowed.', allow=allowed)


@functools.lru_cache(maxsize=256)
def _md5(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


async def _disconnected(receive: Receive) -> None:
    """Return once the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
