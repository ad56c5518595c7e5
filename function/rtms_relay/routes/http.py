"""What both functions' HTTP surfaces share: a table of routes, limits, errors as JSON, one log line per request."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from rtms_relay import logs
from rtms_relay.errors import BadRequest, MethodNotAllowed, NotFound, RelayError, RequestRefused, TooLarge, TooSlow, UnsupportedContentType
from rtms_relay.ports import Clock, Log

MAX_BODY = 1_048_576
"""1 MiB. Zoom's and Recall's webhooks are a few kilobytes, tasks less."""

BODY_BUDGET_S = 10.0
"""How long a body may take to arrive. Vendors and queue send theirs at once; a sender that drips it cannot hold a connection for long."""

T = TypeVar("T")

Handler = Callable[[Request, dict[str, str]], Awaitable["Done"]]


class Done:
    """An answer, and what to note of it on the request's log line. `event` names the line; None: not worth one."""

    __slots__ = ("event", "notes", "response")

    def __init__(self, response: Response, event: str | None = "request", notes: Mapping[str, Any] | None = None) -> None:
        self.response = response
        self.event = event
        self.notes = dict(notes or {})


def as_json(body: Mapping[str, Any] | msgspec.Struct, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer that nobody keeps."""
    return Response(
        msgspec.json.encode(body), status, media_type="application/json", headers={"Cache-Control": "no-store", **(headers or {})}
    )


def refusal(error: RelayError, headers: Mapping[str, str] | None = None) -> Response:
    """``{"error": code, "reason": one line}`` with the error's status."""
    return as_json({"error": error.code, "reason": " ".join(str(error).split())}, error.status, headers)


class Surface:
    """Dispatches requests by a table of ``(method, path pattern, handler)``. Patterns are regular expressions with named groups."""

    def __init__(
        self,
        routes: list[tuple[str, str, Handler]],
        *,
        clock: Clock,
        log: Log,
        project: str,
        refused_event: str,
        refused_notes: Callable[[Request], dict[str, Any]] = lambda request: {},
    ) -> None:
        """`refused_event` names the line of a refused request, `refused_notes` are fields of that line."""
        self._routes = [(method, re.compile(pattern), handler) for method, pattern, handler in routes]
        self._clock = clock
        self._log = log
        self._project = project
        self._refused_event = refused_event
        self._refused_notes = refused_notes

    async def __call__(self, request: Request) -> Response:
        logs.begin(request.headers, self._project)
        began = int(self._clock.monotonic_ms())
        path, method = request.scope["path"], request.method
        line: dict[str, Any] = {"method": method, "path": path[:200]}
        try:
            handler, parts = self._find("GET" if method == "HEAD" else method, path)
            done = await handler(request, parts)
        except _WrongMethod as error:
            return self._refused(error, line | self._refused_notes(request), began, {"Allow": error.allowed})
        except RequestRefused as error:
            return self._refused(error, line | self._refused_notes(request), began)
        except RelayError as error:
            self._log(
                "ERROR",
                "error",
                where=path[:200],
                what=f"{error.code}: {error}",
                status=error.status,
                ms=int(self._clock.monotonic_ms()) - began,
            )
            return refusal(error)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as error:  # noqa: BLE001 - the edge of the process: whatever it is, answer 500 and log it, without a traceback to the caller
            self._log("ERROR", "error", where=path[:200], what=_describe(error), status=500, ms=int(self._clock.monotonic_ms()) - began)
            return refusal(RelayError("an unexpected error; see the log"))
        if done.event is not None:
            self._log(
                "INFO", done.event, status=done.response.status_code, ms=int(self._clock.monotonic_ms()) - began, **line, **done.notes
            )
        return done.response

    def _find(self, method: str, path: str) -> tuple[Handler, dict[str, str]]:
        matches = [(m, handler, match) for m, pattern, handler in self._routes if (match := pattern.fullmatch(path))]
        if not matches:
            raise NotFound("no such path")
        for known, handler, match in matches:
            if known == method:
                return handler, match.groupdict()
        raise _WrongMethod(", ".join(sorted({known for known, _, _ in matches})))

    def _refused(self, error: RequestRefused, line: dict[str, Any], began: int, headers: Mapping[str, str] | None = None) -> Response:
        took = int(self._clock.monotonic_ms()) - began
        hint = {"hint": error.hint} if error.hint else {}
        self._log("WARNING", self._refused_event, status=error.status, code=error.code, reason=str(error), **hint, ms=took, **line)
        return refusal(error, headers)


class _WrongMethod(MethodNotAllowed):
    def __init__(self, allowed: str) -> None:
        super().__init__(f"this path takes {allowed}")
        self.allowed = allowed


def _describe(error: BaseException) -> str:
    """Type, words and the innermost own frames; the log redacts secrets."""
    frames: list[str] = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return f"{type(error).__name__}: {error} at {' < '.join(reversed(frames[-6:]))}"


async def within(clock: Clock, seconds: float, work: Awaitable[T]) -> T:
    """Its result, or TimeoutError once `seconds` have passed; it is cancelled then."""
    task = asyncio.ensure_future(work)
    timer = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()
        timer.cancel()


async def read_json_body(request: Request, clock: Clock) -> bytes:
    """The raw bytes of a JSON request. Raises `UnsupportedContentType`, `TooLarge` (without reading on), `TooSlow`."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedContentType("content-type must be application/json")
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > MAX_BODY:
        raise TooLarge(f"the body is over {MAX_BODY} bytes")
    try:
        return await within(clock, BODY_BUDGET_S, _read(request))
    except TimeoutError:
        raise TooSlow(f"the body did not arrive within {BODY_BUDGET_S:g} s") from None


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise TooLarge(f"the body is over {MAX_BODY} bytes")
    return bytes(body)


def header_pairs(request: Request) -> list[tuple[str, str]]:
    """Every header as it came, repeated ones repeated."""
    return list(request.headers.items())


def one(values: list[str], name: str) -> str | None:
    """A query parameter that may come once. Raises `BadRequest`."""
    if len(values) > 1:
        raise BadRequest(f"{name} may come only once")
    return values[0] if values else None
