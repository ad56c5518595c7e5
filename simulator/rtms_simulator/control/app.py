"""The control plane over HTTP: one port, one prefix, one form of requests, answers and errors.

Bodies are JSON and decoded strictly. Errors are `{"error": code, "reason": one line}`: 400 cannot be read, 401 no token, 403 another
site, 404 not there, 405 another method, 413 too large, 415 not JSON, 422 cannot be done.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Match, Route

from rtms_simulator.control import guard
from rtms_simulator.control.answers import RefusalAnswer
from rtms_simulator.control.openapi import document
from rtms_simulator.control.operations import PREFIX, Call, ControlOperation
from rtms_simulator.errors import ControlRefusedError, InputError

MOST_BODY = 1 << 20


def control_app(operations: Sequence[ControlOperation], *, version: str, token: str, more: Sequence[BaseRoute] = ()) -> Starlette:
    """The ASGI app. `token`: what callers must know; empty for none. `more`: routes that are no part of the control plane."""
    routes = [Route(PREFIX + one.path, _served(one, token), methods=[one.method], name=one.name) for one in operations]
    openapi = msgspec.json.encode(document(operations, version))

    async def described(request: Request) -> Response:
        return await _answered(request, token, lambda: _ready(Response(openapi, media_type=guard.JSON)))

    known = ", ".join(f"{one.method} {PREFIX}{one.path}" for one in operations)

    async def unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if request.scope.get("root_path"):  # below a mount of `more`, whose callers have no token of ours
            return _unknown(request, error, "nothing is at this path")
        problem = _unknown(request, error, f"known are {known}")
        return await _answered(request, token, lambda: _ready(problem))

    app = Starlette(
        routes=[Route(f"{PREFIX}/openapi.json", described), *routes, *more],
        exception_handlers={HTTPException: unknown},
    )
    # Starlette's redirect from `/state/` to `/state` would answer everybody.
    app.router.redirect_slashes = False
    return app


def _unknown(request: Request, error: HTTPException, known: str) -> Response:
    if error.status_code == 404:
        return _problem(404, "not_found", known, {})
    methods = ", ".join(_methods(request)) if error.status_code == 405 else ""
    code = "method_not_allowed" if methods else "refused"
    # Starlette has an Allow of its own, of the first route only.
    headers = {name: value for name, value in (error.headers or {}).items() if name.lower() != "allow"}
    return _problem(error.status_code, code, f"allowed: {methods}", {**headers, "allow": methods})


async def _ready(answer: Response) -> Response:
    return answer


def _served(operation: ControlOperation, token: str) -> Callable[[Request], Awaitable[Response]]:
    async def perform(request: Request) -> Response:
        call = Call(request, request.path_params, _query(operation, request), await _body(operation, request))
        answer = await operation.handler(call)
        if operation.stream:
            return StreamingResponse(_server_sent(answer), media_type="text/event-stream", headers={"cache-control": "no-store"})
        return Response(msgspec.json.encode(answer), media_type=guard.JSON, headers={"cache-control": "no-store"})

    async def serve(request: Request) -> Response:
        return await _answered(request, token, lambda: perform(request), token_in_query=operation.stream)

    return serve


async def _answered(request: Request, token: str, perform: Callable[[], Awaitable[Response]], *, token_in_query: bool = False) -> Response:
    server = request.scope.get("server") or (None, None)
    # A browser's EventSource cannot send headers, so a stream takes the token as a parameter, too.
    credential = guard.bearer(request.headers) or (request.query_params.get("token", "") if token_in_query else "")
    try:
        guard.check(request.headers, port=server[1], token=token, given=credential)
        return await perform()
    except ControlRefusedError as error:
        return _problem(error.status, error.error, str(error), {"www-authenticate": "Bearer"} if error.status == 401 else {})
    except InputError as error:
        return _problem(422, error.code, str(error), {})


def _problem(status: int, error: str, reason: str, headers: dict[str, str]) -> Response:
    content = msgspec.json.encode(RefusalAnswer(error=error, reason=reason))
    return Response(content, status, media_type=guard.JSON, headers=headers)


def _methods(request: Request) -> list[str]:
    """All that the path has; Starlette names those of the first route that fits only."""
    routes = [route for route in request.app.routes if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in routes for method in route.methods or ()})


def _query(operation: ControlOperation, request: Request) -> Any:
    pairs = [(name, value) for name, value in request.query_params.multi_items() if not (operation.stream and name == "token")]
    parameters = dict(pairs)
    _check_names(operation, parameters)
    if len(parameters) != len(pairs):
        raise ControlRefusedError(400, "parameter", "a parameter is given twice")
    if operation.query is None:
        return None
    try:
        query = msgspec.convert(parameters, operation.query, strict=False)
    except msgspec.ValidationError as error:
        raise ControlRefusedError(400, "parameter", str(error)) from None
    absent = next((name for name in parameters if getattr(query, name) is None), None)
    if absent is not None:  # msgspec takes the text "null" for the absence of a number
        raise ControlRefusedError(400, "parameter", f"{absent} is {parameters[absent]!r}: leave it out")
    return query


def _check_names(operation: ControlOperation, parameters: Mapping[str, str]) -> None:
    known = [one.name for one in msgspec.structs.fields(operation.query)] if operation.query is not None else []
    unknown = sorted(parameters.keys() - set(known))
    if unknown:
        raise ControlRefusedError(400, "parameter", f"unknown parameter {unknown[0]!r} (allowed: {', '.join(known) or 'none'})")


async def _body(operation: ControlOperation, request: Request) -> Any:
    if operation.upload:
        return None
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MOST_BODY:
            raise ControlRefusedError(413, "too_large", f"the body is larger than {MOST_BODY:,} bytes")
    if operation.body is None:
        if raw.strip() not in (b"", b"{}"):
            raise ControlRefusedError(400, "body", "no body was expected")
        return None
    guard.check_content_type(request.headers.get("content-type"))
    try:
        return _decoded(bytes(raw), operation.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ControlRefusedError(400, "body", f"the body cannot be read: {error}") from None
    except RecursionError:
        raise ControlRefusedError(400, "body", "the body cannot be read: it is nested too deeply") from None


def _decoded(raw: bytes, type_: type[Struct]) -> Any:
    """The body as its type. 5.0 is a whole number in JSON Schema and not for msgspec, so such numbers get a second look."""
    try:
        return msgspec.json.decode(raw, type=type_)
    except msgspec.ValidationError:
        return msgspec.convert(_whole_numbers(msgspec.json.decode(raw)), type_)


def _whole_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole_numbers(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


async def _server_sent(happenings: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    async for one in happenings:
        yield b"event: " + one.kind.encode() + b"\ndata: " + msgspec.json.encode(one) + b"\n\n"
