"""Recall's HTTP API as an ASGI app: what stands before an operation, the operations, and the download host.

The order of judgement is Recall's as far as it is known (reference B): firewall, routing (an unrouted path is an HTML 404, key or
not), key (before the method), method, rate limit, Idempotency-Key, body. Each step is a pure module of this package.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from rtms_simulator.clock import Clock
from rtms_simulator.errors import CursorError, UnreadableBodyError, UnsupportedMediaTypeError
from rtms_simulator.faults.recall import FaultPlan, Step
from rtms_simulator.recall.http import firewall_and_auth as edge
from rtms_simulator.recall.http import request_body
from rtms_simulator.recall.http.downloads import EXPIRED, NO_SUCH_KEY, LinkRefusal, LinkSigner
from rtms_simulator.recall.http.idempotency import IdempotencyKeys, StoredAnswer, Verdict, scope
from rtms_simulator.recall.http.limits import SlidingWindows
from rtms_simulator.recall.http.openapi import document
from rtms_simulator.recall.http.operations import ROOT, Operation, Router, operations
from rtms_simulator.recall.http.render import PARTS_FILE, artifact_object, endpoint_object, mdc_object, parts_file, recording_object
from rtms_simulator.recall.http.request_schemas import create_body
from rtms_simulator.recall.http.schema import RequestContext, problems
from rtms_simulator.recall.records.lifecycle import Lifecycle
from rtms_simulator.recall.records.times import parse_time
from rtms_simulator.recall.records.workspace import Artifact, Mdc, RealtimeEndpoint, Recording, Workspace, page
from rtms_simulator.recall.switches import RecallSwitches
from rtms_simulator.serving.cuttable import Address, Connections

KEPT_HISTORY = 10_000
KEPT_BODY = 8 * 1024
IDEMPOTENT_METHODS = frozenset({"POST", "PUT", "PATCH"})
_GATEWAY_TEXTS = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Payload Too Large",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    507: "Insufficient Storage",
}
_FAULT_CODES = {
    402: ("insufficient_credit", "Insufficient credit. Add credit to the account to go on."),
    409: ("conflict", "Another request for this object is being performed. Try again."),
    429: ("throttled", "Request was throttled."),
    507: ("insufficient_capacity", "Out of ad-hoc capacity. Try again in 30 seconds."),
}


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request, read whole. `headers` by lower-case name."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    origin: str
    client: Address | None

    @property
    def parameters(self) -> dict[str, str]:
        """Query parameters by name; of a repeated one the last."""
        return dict(self.query)


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What to send. `file` is served with ranges; `truncate`: the connection is cut after so many bytes of the body."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None
    truncate: int | None = None

    @classmethod
    def json(cls, status: int, value: Any, **headers: str) -> ApiResponse:
        return cls(status, json.dumps(value, separators=(",", ":")).encode(), {"content-type": "application/json", **headers})

    @classmethod
    def html(cls, status: int, text: str, **headers: str) -> ApiResponse:
        return cls(status, text.encode(), {"content-type": "text/html; charset=utf-8", **headers})

    @classmethod
    def detail(cls, status: int, code: str, text: str, **headers: str) -> ApiResponse:
        return cls.json(status, {"code": code, "detail": text}, **headers)


NOT_FOUND = ApiResponse.detail(404, "not_found", "Not found.")
IN_FLIGHT = ApiResponse.detail(409, "conflict", "A request with this Idempotency-Key is still being performed.")


@dataclass(slots=True)
class RequestRecord:
    """One request of the history. The key is never kept, only whether there was one."""

    at: float
    method: str
    path: str
    query: str
    operation: str | None
    authorized: bool
    idempotency_key: str | None
    body: str
    status: int | None = None
    fault: str | None = None
    replayed: bool = False


class Api:
    """One workspace over HTTP. `switches` is asked anew for each request."""

    def __init__(
        self,
        clock: Clock,
        workspace: Workspace,
        life: Lifecycle,
        faults: FaultPlan,
        switches: Callable[[], RecallSwitches],
        signer: LinkSigner,
        rng: random.Random,
        connections: Connections,
        *,
        api_key: str,
        region: str,
        version: str,
        origin: Callable[[], str],
    ) -> None:
        self._clock = clock
        self._workspace = workspace
        self._lifecycle = life
        self._faults = faults
        self._switches = switches
        self._signer = signer
        self._rng = rng
        self._connections = connections
        self._api_key = api_key
        self._region = region
        self._version = version
        self._origin = origin
        self._windows = SlidingWindows()
        self._keys = IdempotencyKeys()
        self._routers: dict[tuple[bool, bool], Router] = {}
        self.history: deque[RequestRecord] = deque(maxlen=KEPT_HISTORY)

    def clear(self) -> None:
        """Forget keys, rate windows and the history."""
        self._keys.clear()
        self._windows.clear()
        self.history.clear()

    def openapi(self) -> dict[str, Any]:
        """The document of the operations as the switches have them."""
        return document(self._router().table, region=self._region, version=self._version)

    # ------------------------------------------------------------------------------------------ ASGI

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = await self._read(scope, receive)
        if asked is None:
            return
        self._lifecycle.timers.settle()
        exchange = RequestRecord(
            self._clock.now(),
            asked.method,
            asked.path,
            urlencode(asked.query),
            None,
            "authorization" in asked.headers,
            asked.headers.get("idempotency-key"),
            asked.body[:KEPT_BODY].decode("utf-8", "replace"),
        )
        self.history.append(exchange)
        answer = await self._answer(asked, exchange, receive)
        exchange.status = answer.status if answer is not None else None
        if answer is not None:
            await self._send(answer, asked, scope, receive, send)

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
        host = headers.get("host", "")
        origin = f"{scope.get('scheme', 'http')}://{host}" if host and not set(host) & set("/\\@?# ") else self._origin()
        client = scope.get("client")
        return ApiRequest(
            scope["method"],
            edge.path_of(scope["path"]),
            tuple(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            headers,
            bytes(body),
            origin,
            (client[0], client[1]) if client else None,
        )

    async def _send(self, answer: ApiResponse, asked: ApiRequest, scope: Scope, receive: Receive, send: Send) -> None:
        if answer.truncate is not None:
            send = self._truncated(send, answer.truncate, asked, receive)
        if answer.file is not None:
            # The ETag of an S3 object that was put in one piece is its MD5.
            etag = await asyncio.to_thread(_md5, answer.file)
            await FileResponse(answer.file, headers={"etag": f'"{etag}"', **answer.headers})(scope, receive, send)
            return
        headers = {"content-length": str(len(answer.body)), **answer.headers}
        if answer.status == 204:
            del headers["content-length"]
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if asked.method == "HEAD" else answer.body})

    def _truncated(self, send: Send, size: int, asked: ApiRequest, receive: Receive) -> Send:
        left = size

        async def sent(message: Message) -> None:
            nonlocal left
            if message["type"] == "http.response.body" and len(message.get("body", b"")) > left:
                await send({"type": "http.response.body", "body": message["body"][:left], "more_body": True})
                await self._cut(asked, receive, reset=False)
                return
            left -= len(message.get("body", b""))
            await send(message)

        return sent

    async def _answer(self, asked: ApiRequest, exchange: RequestRecord, receive: Receive) -> ApiResponse | None:
        """The answer, or None when the connection was cut instead."""
        if len(asked.body) > self._switches().max_body_bytes:
            return ApiResponse.detail(413, "request_too_large", "Request body exceeded settings.DATA_UPLOAD_MAX_MEMORY_SIZE.")
        if asked.path == "/openapi.json" and asked.method in ("GET", "HEAD"):
            return ApiResponse.json(200, self.openapi())
        if asked.path.startswith("/_workspace-"):
            return await self._download(asked, exchange, receive)
        if edge.blocked(asked.method, asked.headers.get("content-type"), asked.body, allow_local_urls=self._switches().allow_local_urls):
            return self._blocked()
        if asked.path.startswith(f"{ROOT}/download/"):
            return await self._download(asked, exchange, receive)
        routed = self._router().find(asked.path.removeprefix(ROOT)) if asked.path.startswith(f"{ROOT}/") else None
        if routed is None:
            return ApiResponse.html(404, edge.NOT_FOUND_HTML)
        methods, identity = routed
        refused = edge.refusal(asked.headers.get("authorization"), self._api_key)
        if refused is not None:
            return ApiResponse.json(401, refused, **{"www-authenticate": "Token"})
        operation = methods.get("GET" if asked.method == "HEAD" else asked.method)
        if operation is None:
            allowed = ", ".join([*sorted(methods), "HEAD", "OPTIONS"] if "GET" in methods else [*sorted(methods), "OPTIONS"])
            if asked.method == "OPTIONS":
                return ApiResponse(204, headers={"allow": allowed})
            return ApiResponse.detail(405, "method_not_allowed", f'Method "{asked.method}" not allowed.', allow=allowed)
        exchange.operation = operation.id
        fault = self._take(exchange, *operation.fault_targets)
        if fault.kind == "status" and not fault.performed and not fault.stored:
            return _scripted(fault)
        if fault.kind in ("reset", "hang"):
            return await self._silence(asked, receive, reset=fault.kind == "reset")
        limited = self._limited(operation, identity)
        if limited is not None:
            return limited
        answer = await self._perform_once(asked, operation, identity, fault, exchange)
        if fault.kind == "cut":
            return await self._cut(asked, receive, reset=False)
        return _scripted(fault) if fault.kind == "status" and fault.performed else answer

    def _router(self) -> Router:
        switches = self._switches()
        shape = (switches.signature_shape_check, switches.mdc_list == "cursor")
        if shape not in self._routers:
            self._routers[shape] = Router(operations(create_body(signature_shape=shape[0]), mdc_cursor=shape[1]))
        return self._routers[shape]

    def _blocked(self) -> ApiResponse:
        if self._switches().html_waf:
            return ApiResponse.html(403, edge.WAF_HTML)
        return ApiResponse.detail(403, "request_blocked", edge.WAF_DETAIL)

    def _take(self, exchange: RequestRecord, *targets: str) -> Step:
        fault = self._faults.take(*targets)
        if fault.kind != "ok":
            exchange.fault = fault.kind if fault.kind != "status" else str(fault.status)
        return fault

    def _limited(self, operation: Operation, identity: str | None) -> ApiResponse | None:
        limits = self._switches().limits
        # create_transcript is limited per recording, everything else per workspace and operation.
        key = f"{operation.id} {identity}" if operation.limit == "create_transcript" else operation.id
        wait = self._windows.admit(key, getattr(limits, operation.limit), self._clock.now())
        return None if wait is None else _throttled(wait)

    # ------------------------------------------------------------------------------------------ faults of the connection

    async def _cut(self, asked: ApiRequest, receive: Receive, *, reset: bool) -> None:
        self._connections.cut(asked.client, reset=reset)
        await _gone(receive)

    async def _silence(self, asked: ApiRequest, receive: Receive, *, reset: bool) -> None:
        if reset:
            return await self._cut(asked, receive, reset=True)
        return await _gone(receive)

    # ------------------------------------------------------------------------------------------ operations

    async def _perform_once(
        self, asked: ApiRequest, operation: Operation, identity: str | None, fault: Step, exchange: RequestRecord
    ) -> ApiResponse:
        """Perform the operation, under its Idempotency-Key if it has one."""
        key = asked.headers.get("idempotency-key")
        if not key or asked.method not in IDEMPOTENT_METHODS:
            return await self._perform(asked, operation, identity, fault)
        where = scope(self._api_key, asked.path, key)
        begun = self._keys.begin(where, self._clock.now())
        if isinstance(begun, StoredAnswer):
            exchange.replayed = True
            return ApiResponse(begun.status, begun.body, begun.headers)
        if begun is Verdict.IN_FLIGHT:
            return IN_FLIGHT
        kept = False
        try:
            answer = await self._perform(asked, operation, identity, fault)
            if self._switches().idempotency_stores == "all" or answer.status < 300:
                self._keys.complete(where, StoredAnswer(answer.status, answer.headers, answer.body), self._clock.now())
                kept = True
        finally:
            if not kept:
                self._keys.abandon(where)
        return answer

    async def _perform(self, asked: ApiRequest, operation: Operation, identity: str | None, fault: Step) -> ApiResponse:
        if fault.kind == "slow":
            await self._clock.sleep(fault.seconds)
            self._lifecycle.timers.settle()
        if fault.kind == "status" and fault.stored and not fault.performed:
            return _scripted(fault)
        value: Any = None
        if operation.body is not None:
            try:
                value = request_body.read(asked.headers.get("content-type"), asked.body)
            except UnsupportedMediaTypeError as unsupported:
                return ApiResponse.detail(415, "unsupported_media_type", f'Unsupported media type "{unsupported}" in request.')
            except UnreadableBodyError as unreadable:
                return ApiResponse.detail(400, "parse_error", str(unreadable))
        if operation.resource == "meeting_direct_connect":
            return self._on_mdc(asked, operation, identity, value)
        if operation.resource == "recording":
            return self._on_recording(asked, operation, identity, value)
        if operation.resource == "realtime_endpoint":
            return self._on_endpoint(asked, operation, identity, value)
        return self._on_artifact(asked, operation, identity, value)

    def _on_mdc(self, asked: ApiRequest, operation: Operation, identity: str | None, value: Any) -> ApiResponse:
        switches, link = self._switches(), self._linker(asked.origin)
        if operation.method == "POST":
            refused = self._refused(operation, value)
            if refused is not None:
                return refused
            return ApiResponse.json(201, mdc_object(self._lifecycle.create(value), link, switches))
        if identity is None:
            found = [mdc for mdc in self._workspace.mdcs.values() if self._mdc_matches(mdc, asked)]
            if switches.mdc_list == "bare_array":
                return ApiResponse.json(200, [mdc_object(mdc, link, switches) for mdc in reversed(found)])
            return self._listed(asked, operation, found, lambda mdc: mdc_object(mdc, link, switches))
        mdc = self._workspace.mdcs.get(identity)
        if mdc is None:
            return NOT_FOUND
        self._lifecycle.polled(mdc)
        return ApiResponse.json(200, mdc_object(mdc, link, switches))

    def _mdc_matches(self, mdc: Mdc, asked: ApiRequest) -> bool:
        return not self._switches().mdc_list_metadata_filter or _metadata_matches(mdc.body.get("metadata") or {}, asked)

    def _on_recording(self, asked: ApiRequest, operation: Operation, identity: str | None, value: Any) -> ApiResponse:
        link = self._linker(asked.origin)
        if identity is None:
            kept = filter(self._kept, self._workspace.recordings.values())
            ignored = self._switches().recording_list_filters == "ignored"
            found = [recording for recording in kept if ignored or _recording_matches(recording, asked)]
            return self._listed(asked, operation, found, lambda recording: recording_object(recording, link))
        recording = self._workspace.recordings.get(identity)
        if recording is None or not self._kept(recording):
            return NOT_FOUND
        if operation.method == "POST":
            return self._on_create_transcript(operation, recording, value, link)
        if operation.method == "DELETE":
            if recording.status.code in ("processing", "paused") and self._switches().delete_while_processing == "refuse":
                return ApiResponse.detail(400, "cannot_delete_unfinished_recording", "The recording is still being made.")
            self._lifecycle.delete_recording(recording)
            return ApiResponse(204)
        if operation.method == "PATCH":
            return self._patched(operation, recording, value) or ApiResponse.json(200, recording_object(recording, link))
        self._lifecycle.polled(self._workspace.mdcs[recording.mdc_id])
        return ApiResponse.json(200, recording_object(recording, link))

    def _kept(self, thing: Recording | Artifact) -> bool:
        """Whether it is still to be seen, as far as deletion goes."""
        return self._switches().shows(thing.status.code)

    def _on_create_transcript(self, operation: Operation, recording: Recording, value: Any, link: Any) -> ApiResponse:
        refused = self._refused(operation, value)
        if refused is not None:
            return refused
        if recording.status.code != "done":
            return ApiResponse.detail(
                400, "recording_not_done", f"The recording is {recording.status.code}; a transcript needs one that is done."
            )
        return ApiResponse.json(200, artifact_object(self._lifecycle.create_transcript(recording, value), recording, link))

    def _on_artifact(self, asked: ApiRequest, operation: Operation, identity: str | None, value: Any) -> ApiResponse:
        link, kind = self._linker(asked.origin), operation.resource
        recordings = self._workspace.recordings
        if identity is None:
            kept = filter(self._kept, self._workspace.artifacts.values())
            found = [thing for thing in kept if thing.kind == kind and _part_matches(thing, asked)]
            return self._listed(asked, operation, found, lambda thing: artifact_object(thing, recordings[thing.recording_id], link))
        artifact = self._workspace.artifacts.get(identity)
        if artifact is None or artifact.kind != kind or not self._kept(artifact):
            return NOT_FOUND
        if operation.method == "DELETE":
            self._lifecycle.delete_artifact(artifact)
            return ApiResponse(204)
        refused = self._patched(operation, artifact, value) if operation.method == "PATCH" else None
        return refused or ApiResponse.json(200, artifact_object(artifact, recordings[artifact.recording_id], link))

    def _on_endpoint(self, asked: ApiRequest, operation: Operation, identity: str | None, value: Any) -> ApiResponse:
        recordings = self._workspace.recordings
        if identity is None:
            kind = asked.parameters.get("type")
            found = [
                thing
                for thing in self._workspace.endpoints.values()
                if _part_matches(thing, asked) and (kind is None or thing.type == kind)
            ]
            return self._listed(asked, operation, found, lambda thing: endpoint_object(thing, recordings[thing.recording_id]))
        endpoint = self._workspace.endpoints.get(identity)
        if endpoint is None:
            return NOT_FOUND
        refused = self._patched(operation, endpoint, value) if operation.method == "PATCH" else None
        return refused or ApiResponse.json(200, endpoint_object(endpoint, recordings[endpoint.recording_id]))

    def _patched(self, operation: Operation, thing: Recording | Artifact | RealtimeEndpoint, value: Any) -> ApiResponse | None:
        refused = self._refused(operation, value)
        if refused is None and "metadata" in value:
            thing.metadata = dict(value["metadata"])
        return refused

    def _refused(self, operation: Operation, value: Any) -> ApiResponse | None:
        assert operation.body is not None
        found = problems(operation.body, value, RequestContext(operation.id, self._region))
        return None if found is None else ApiResponse.json(400, found)

    def _listed(self, asked: ApiRequest, operation: Operation, found: list[Any], show: Callable[[Any], Any]) -> ApiResponse:
        given = asked.parameters
        wrong = {
            one.name: [problem]
            for one in operation.filters
            if given.get(one.name) and (problem := one.problem(given[one.name])) is not None
        }
        if wrong:
            return ApiResponse.json(400, wrong)
        try:
            shown, further, back = page(found, given.get("cursor"), self._switches().page_size)
        except CursorError as error:
            return ApiResponse.detail(404, "not_found", str(error))

        def address(cursor: str | None) -> str | None:
            if cursor is None:
                return None
            kept = [(name, value) for name, value in asked.query if name != "cursor"]
            return f"{asked.origin}{ROOT}{operation.path}?{urlencode([*kept, ('cursor', cursor)])}"

        return ApiResponse.json(200, {"next": address(further), "previous": address(back), "results": [show(thing) for thing in shown]})

    # ------------------------------------------------------------------------------------------ downloads

    def _linker(self, origin: str) -> Callable[[Artifact, str], str]:
        switches = self._switches()
        expires = int(self._clock.now() + switches.link_s)

        def link(artifact: Artifact, name: str) -> str:
            path = f"/_workspace-{self._workspace.id}/recordings/{artifact.recording_id}/{artifact.kind}/{artifact.id}/{name}"
            token = self._rng.randbytes(12).hex()
            if switches.json_links == "api" and name.endswith(".json"):
                stem = name.removesuffix(".json")
                return f"{origin}{ROOT}/download/{stem}?token={self._signer.api_token(path, expires=expires, token=token)}"
            return self._signer.url(origin, path, expires=expires, token=token)

        return link

    async def _download(self, asked: ApiRequest, exchange: RequestRecord, receive: Receive) -> ApiResponse | None:
        exchange.operation = "download"
        fault = self._take(exchange, "recall.download")
        if fault.kind in ("reset", "hang"):
            return await self._silence(asked, receive, reset=fault.kind == "reset")
        if fault.kind == "slow":
            await self._clock.sleep(fault.seconds)
        path = self._opened(asked) if fault.kind != "expired" else EXPIRED
        if fault.kind == "status":
            return _scripted(fault)
        if isinstance(path, LinkRefusal):
            return ApiResponse(path.status, path.xml().encode(), {"content-type": "application/xml"})
        answer = self._stored(path, asked.origin)
        if fault.kind == "cut":
            return await self._cut(asked, receive, reset=False)
        return replace(answer, truncate=fault.size) if fault.kind == "truncate" else answer

    def _opened(self, asked: ApiRequest) -> str | LinkRefusal:
        now = self._clock.now()
        if not asked.path.startswith("/_workspace-"):
            return self._signer.judge_api_token(asked.parameters.get("token", ""), now=now)
        refused = self._signer.judge(asked.method, asked.path, asked.parameters, authorization=asked.headers.get("authorization"), now=now)
        return asked.path if refused is None else refused

    def _stored(self, path: str, origin: str) -> ApiResponse:
        """The file at a key of the bucket."""
        gone = ApiResponse(NO_SUCH_KEY.status, NO_SUCH_KEY.xml().encode(), {"content-type": "application/xml"})
        identity, _, name = path.rpartition("/")
        artifact = self._workspace.artifacts.get(identity.rpartition("/")[2])
        if artifact is None or artifact.status.code != "done":
            return gone
        if name == PARTS_FILE:
            return ApiResponse.json(200, parts_file(artifact, self._linker(origin)))
        file = artifact.files.get(name)
        return gone if file is None or not file.exists() else ApiResponse(200, file=file)


@functools.lru_cache(maxsize=256)
def _md5(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _scripted(fault: Step) -> ApiResponse:
    """The answer a script asks for, as the application (JSON) or as a load balancer (HTML) gives it."""
    headers = {"retry-after": str(fault.retry_after)} if fault.retry_after is not None else {}
    text = _GATEWAY_TEXTS[fault.status]
    if fault.html:
        page = f"<html><head><title>{fault.status} {text}</title></head><body><center><h1>{fault.status} {text}</h1></center></body></html>"
        return ApiResponse.html(fault.status, page, **headers)
    if fault.status == 429 and not headers:
        return _throttled(1)
    code, detail = _FAULT_CODES.get(fault.status, (text.lower().replace(" ", "_"), f"{text}."))
    return ApiResponse.detail(fault.status, code, detail, **headers)


def _throttled(wait: int) -> ApiResponse:
    text = f"Request was throttled. Expected available in {wait} second{'' if wait == 1 else 's'}."
    return ApiResponse.detail(429, "throttled", text, **{"retry-after": str(wait)})


async def _gone(receive: Receive) -> None:
    """Return once the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _metadata_matches(metadata: Mapping[str, str | None], asked: ApiRequest) -> bool:
    return all(metadata.get(name.removeprefix("metadata__")) == value for name, value in asked.query if name.startswith("metadata__"))


def _created_matches(created_at: float, given: Mapping[str, str]) -> bool:
    try:
        after, before = given.get("created_at_after"), given.get("created_at_before")
        return (not after or created_at >= parse_time(after)) and (not before or created_at <= parse_time(before))
    except (ValueError, OverflowError):
        return False  # The list's own validation answers 400.


def _recording_matches(recording: Recording, asked: ApiRequest) -> bool:
    given = asked.parameters
    # Made without a bot or an upload, so no id of one ever matches.
    return (
        not given.get("bot_id")
        and not given.get("desktop_sdk_upload_id")
        and given.get("status_code") in (None, "", recording.status.code)
        and _created_matches(recording.created_at, given)
        and _metadata_matches(recording.metadata, asked)
    )


def _part_matches(thing: Artifact | RealtimeEndpoint, asked: ApiRequest) -> bool:
    given = asked.parameters
    return (
        given.get("recording_id", "").lower() in ("", thing.recording_id)
        and given.get("status_code") in (None, "", thing.status.code)
        and _created_matches(thing.created_at, given)
    )
