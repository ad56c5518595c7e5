"""The private function's HTTP surface: tasks, the sweep, and for people the hand-offs and their recordings."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from rtms_relay import __version__
from rtms_relay.callers import Gate, admit
from rtms_relay.errors import BadRequest
from rtms_relay.listing import PARAMETERS, Query, parse
from rtms_relay.ports import Clock, Log
from rtms_relay.replies import Reply
from rtms_relay.routes.http import Done, Handler, Surface, as_json, header_pairs, one, read_json_body
from rtms_relay.worker import Worker

TASK_HEADERS = (("task", "x-cloudtasks-taskname"), ("queue", "x-cloudtasks-queuename"), ("retry", "x-cloudtasks-taskretrycount"))
"""What Cloud Tasks says of a dispatch. For the log only: such headers prove nothing."""


class _SweepRequest(msgspec.Struct):
    probe: bool = False


class WorkerRoutes:
    """`surface` answers the requests of one process.

    `gate` says who calls, and `invokers` (path -> e-mail) who may call the paths of tasks. Without a gate everybody who gets here may
    call everything: only for a worker on loopback.
    """

    def __init__(
        self,
        worker: Worker,
        clock: Clock,
        log: Log,
        project: str = "",
        code: str = "",
        *,
        gate: Gate | None = None,
        invokers: Mapping[str, str] | None = None,
    ) -> None:
        self._worker = worker
        self._clock = clock
        self._gate = gate
        self._invokers = invokers or {}
        self._code = code
        self.surface = Surface(
            [
                ("POST", "/(?P<path>events|handoff|retrieve)", self._admitted(self._task)),
                ("POST", "/sweep", self._admitted(self._sweep)),
                ("GET", "/handoffs", self._admitted(_with_parameters(self._handoffs, *PARAMETERS, "id"))),
                ("GET", "/handoffs/(?P<key>[^/]+)", self._admitted(_with_parameters(self._story))),
                ("POST", "/handoffs/checkup", self._admitted(_with_parameters(self._check_up))),
                ("GET", "/handoffs/checkup/(?P<key>[^/]+)", self._admitted(_with_parameters(self._checked))),
                ("POST", "/handoffs/(?P<key>[^/]+)/retry", self._admitted(_with_parameters(self._retry))),
                ("GET", "/recordings", self._admitted(_with_parameters(self._list, *PARAMETERS, "id"))),
                ("GET", "/recordings/(?P<key>[^/]+)", self._admitted(_with_parameters(self._show))),
                ("GET", "/recordings/(?P<key>[^/]+)/download", self._admitted(_with_parameters(self._download, "artifact", "recording"))),
                ("GET", "/health", self._health),
            ],
            clock=clock,
            log=log,
            project=project,
            refused_event="request",
        )

    def _admitted(self, handler: Handler) -> Handler:
        """The handler, for those who may call its path. Raises `NotAllowed` or `NotAuthentic` before anything is read."""

        async def guarded(request: Request, parts: dict[str, str]) -> Done:
            if self._gate is not None:
                admit(await self._gate.caller(header_pairs(request)), request.scope["path"], self._invokers)
            return await handler(request, parts)

        return guarded

    async def _task(self, request: Request, parts: dict[str, str]) -> Done:
        """One task. The first edition's tasks went to /handoff."""
        body = await read_json_body(request, self._clock)
        return _done(request, await self._worker.receive(f"/{parts['path']}", body, _due_ms(request)))

    async def _sweep(self, request: Request, _: dict[str, str]) -> Done:
        body = await request.body()
        try:
            sweep_request = msgspec.json.decode(body or b"{}", type=_SweepRequest)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise BadRequest('the body must be {} or {"probe": true}') from None
        return _done(request, await self._worker.sweep(probe=sweep_request.probe))

    async def _handoffs(self, request: Request, _: dict[str, str]) -> Done:
        return Done(as_json(await self._worker.inquiries.handoffs(_query(request))))

    async def _story(self, request: Request, parts: dict[str, str]) -> Done:
        return Done(as_json(await self._worker.inquiries.story(parts["key"])))

    async def _retry(self, request: Request, parts: dict[str, str]) -> Done:
        answer = await self._worker.retrying.retry(parts["key"])
        return Done(as_json(answer), notes={"handoff": answer.id, "outcome": answer.did})

    async def _check_up(self, request: Request, _: dict[str, str]) -> Done:
        return Done(as_json(await self._worker.checkup.begin()))

    async def _checked(self, request: Request, parts: dict[str, str]) -> Done:
        return Done(as_json(await self._worker.checkup.show(parts["key"])))

    async def _list(self, request: Request, _: dict[str, str]) -> Done:
        return Done(as_json(await self._worker.inquiries.recordings(_query(request))))

    async def _show(self, request: Request, parts: dict[str, str]) -> Done:
        return Done(as_json(await self._worker.inquiries.show(parts["key"])))

    async def _download(self, request: Request, parts: dict[str, str]) -> Done:
        artifact, recording = (one(request.query_params.getlist(name), name) for name in ("artifact", "recording"))
        link = await self._worker.inquiries.link(parts["key"], artifact, recording)
        # Fresh each time and dead in hours: nobody on the way may keep it, and the next host must not learn where it was.
        headers = {"Location": link.url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        return Done(Response(status_code=302, headers=headers))

    async def _health(self, request: Request, _: dict[str, str]) -> Done:
        return Done(as_json({"status": "ok", "role": "worker", "version": __version__, "code": self._code}), event=None)


def _with_parameters(handler: Handler, *known: str) -> Handler:
    """The handler for requests with these query parameters and no others, as an ignored filter gives a wrong answer. Raises BadRequest."""

    async def checked(request: Request, parts: dict[str, str]) -> Done:
        unknown = sorted(set(request.query_params.keys()) - set(known))
        if unknown:
            named = ", ".join(repr(name[:50]) for name in unknown[:5])
            raise BadRequest(f"unknown query parameter: {named}; allowed: {', '.join(known) or 'none'}")
        return await handler(request, parts)

    return checked


def _query(request: Request) -> Query:
    """The query of a list. Raises `BadRequest`."""
    values = {name: one(request.query_params.getlist(name), name) for name in request.query_params}
    return parse({name: value for name, value in values.items() if value is not None})


def _due_ms(request: Request) -> int | None:
    """When Cloud Tasks says that this task was due (X-CloudTasks-TaskETA, seconds since the epoch)."""
    eta = request.headers.get("x-cloudtasks-tasketa", "")
    try:
        return int(float(eta) * 1000)
    except (ValueError, OverflowError):
        return None


def _done(request: Request, reply: Reply) -> Done:
    notes = dict(reply.notes)
    for name, header in TASK_HEADERS:
        if header in request.headers:
            notes[name] = request.headers[header][:200]
    return Done(as_json(reply.body), notes=notes)
