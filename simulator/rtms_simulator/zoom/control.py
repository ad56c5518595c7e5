"""Zoom's control plane, `/_control/...`, and the one REST call of Zoom's own that RTMS needs.

`ROUTES` is the table: it serves, and the documentation is made from it. Bodies are JSON; what cannot be done is answered with status 400
and `{"error", "reason"}`, what is not there with 404.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rtms_simulator.faults import FaultError, parse_fault
from rtms_simulator.faults.book import shown_fault
from rtms_simulator.scenario import Action, ScenarioError, load
from rtms_simulator.zoom.meeting.actions import ACTIONS
from rtms_simulator.zoom.meeting.meeting import Meeting
from rtms_simulator.zoom.rest import rest_routes
from rtms_simulator.zoom.webhooks import events
from rtms_simulator.zoom.webhooks.sender import Delivery, summary

if TYPE_CHECKING:
    from rtms_simulator.zoom.fake import Zoom


class NotDone(Exception):
    """A request that cannot be met: the HTTP status, a stable code, and why."""

    def __init__(self, status: int, error: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.error = error


Asked = Mapping[str, Any]
Handler = Callable[["Zoom", Request, Asked], Awaitable[Any]]


async def _state(zoom: Zoom, request: Request, asked: Asked) -> Any:
    return {
        "server_urls": zoom.server_urls(),
        "apps": [app.client_id for app in zoom.apps],
        "seed": zoom.seed,
        "now_ms": zoom.clock.now_ms(),
        "rate": zoom.clock.rate,
        "meetings": len(zoom.meetings),
        "event_socket_url": zoom.event_socket_url(),
        "ca_file": str(zoom.tls.ca_file) if zoom.tls else None,
    }


async def _meetings(zoom: Zoom, request: Request, asked: Asked) -> Any:
    return {"meetings": [meeting.report().as_dict() for meeting in zoom.meetings.values()]}


async def _meeting(zoom: Zoom, request: Request, asked: Asked) -> Any:
    return _find_meeting(zoom, request).report().as_dict()


async def _begin(zoom: Zoom, request: Request, asked: Asked) -> Any:
    try:
        scenarios = load(str(asked.get("scenario", "stand-up"))).each()
        faults = [parse_fault(text) for text in asked.get("faults", ())]
        url, speed, linger = _text(asked, "webhook_url"), asked.get("speed", 1.0), bool(asked.get("linger", False))
        begun = [zoom.begin(scenario, url, speed=speed, faults=faults, linger=linger).id for scenario in scenarios]
    except (ScenarioError, FaultError, ValueError, TypeError) as error:
        raise NotDone(400, "bad_request", str(error)) from None
    return {"meetings": begun}


async def _act(zoom: Zoom, request: Request, asked: Asked) -> Any:
    meeting = _find_meeting(zoom, request)
    kind = _text(asked, "kind")
    if kind not in ACTIONS:
        raise NotDone(400, "unknown_action", f"no action {kind!r} (allowed: {', '.join(ACTIONS)})")
    at_s = zoom.clock.now() - meeting.started_at
    try:
        await meeting.act(Action(at_s, kind, asked.get("who"), asked.get("data") or {}))
    except (KeyError, ValueError, AssertionError) as error:
        raise NotDone(400, "bad_action", f"{kind} cannot be done so: {error}") from None
    return meeting.report().as_dict()


async def _traffic(zoom: Zoom, request: Request, asked: Asked) -> Any:
    lines = [line for stream in _find_meeting(zoom, request).streams for line in stream.live.traffic]
    return {"traffic": [asdict(line) for line in lines]}


async def _deliveries(zoom: Zoom, request: Request, asked: Asked) -> Any:
    return {"deliveries": summary(tuple(zoom.webhooks.deliveries))}


async def _delivery(zoom: Zoom, request: Request, asked: Asked) -> Any:
    delivery = _find_delivery(zoom, request)
    attempts = [{"headers": dict(attempt.headers), "answer": attempt.answer.decode("utf-8", "replace")} for attempt in delivery.attempts]
    return summary((delivery,))[0] | {"body": delivery.body.decode("utf-8", "replace"), "requests": attempts}


async def _replay(zoom: Zoom, request: Request, asked: Asked) -> Any:
    delivery = _find_delivery(zoom, request)
    url = asked.get("webhook_url", delivery.url)
    return summary((await zoom.webhooks.replay(delivery.id, zoom.endpoint(str(url))),))[0]


async def _send(zoom: Zoom, request: Request, asked: Asked) -> Any:
    name = _text(asked, "event")
    example = events.EVENTS.get(name)
    payload = asked.get("payload", example.payload if example else {})
    if not isinstance(payload, dict):
        raise NotDone(400, "bad_request", "payload is not an object")
    style = events.STYLES.get(str(asked.get("style", "zoom")))
    if style is None:
        raise NotDone(400, "bad_request", f"no style {asked['style']!r} (allowed: {', '.join(events.STYLES)})")
    event = events.WebhookEvent(name, payload, int(asked.get("event_ts", zoom.clock.now_ms())))
    return summary((await zoom.deliver(event, zoom.endpoint(_text(asked, "webhook_url")), style=style),))[0]


async def _validate(zoom: Zoom, request: Request, asked: Asked) -> Any:
    url = _text(asked, "webhook_url")
    validation = await zoom.validate(url)
    standing = zoom.webhooks.standings[url]
    return {"ok": validation.ok, "problem": validation.problem, "disabled": standing.disabled, "mails": standing.mails}


async def _faults(zoom: Zoom, request: Request, asked: Asked) -> Any:
    return {"armed": [shown_fault(armed) for armed in zoom.faults.listed()]}


async def _add_fault(zoom: Zoom, request: Request, asked: Asked) -> Any:
    try:
        return shown_fault(zoom.faults.add(_text(asked, "fault")))
    except FaultError as error:
        raise NotDone(400, "bad_fault", str(error)) from None


async def _clear_faults(zoom: Zoom, request: Request, asked: Asked) -> Any:
    number = request.path_params.get("id")
    return {"cleared": zoom.faults.clear(number)}


async def _clock(zoom: Zoom, request: Request, asked: Asked) -> Any:
    return {"now_ms": zoom.clock.now_ms(), "rate": zoom.clock.rate, "next_deadline": zoom.clock.next_deadline}


async def _set_clock(zoom: Zoom, request: Request, asked: Asked) -> Any:
    try:
        zoom.clock.turn(**{"advance" if name == "advance_s" else name: value for name, value in asked.items()})
    except ValueError as error:
        raise NotDone(400, "bad_clock", str(error)) from None
    return await _clock(zoom, request, asked)


async def _reset(zoom: Zoom, request: Request, asked: Asked) -> Any:
    await zoom.reset()
    return {"reset": True}


ROUTES: tuple[tuple[str, str, Handler, str], ...] = (
    ("GET", "/state", _state, "RTMS servers, apps, seed and clock"),
    ("GET", "/meetings", _meetings, "every meeting's report"),
    ("POST", "/meetings", _begin, "begin a meeting: {scenario, webhook_url, speed, faults, linger}"),
    ("GET", "/meetings/{id:int}", _meeting, "one meeting's report"),
    ("POST", "/meetings/{id:int}/actions", _act, "do something unscripted: {kind, who, data}"),
    ("GET", "/meetings/{id:int}/traffic", _traffic, "control messages of its streams, media left out"),
    ("GET", "/deliveries", _deliveries, "webhooks and every attempt"),
    ("GET", "/deliveries/{id:int}", _delivery, "one webhook with its headers, body and answers"),
    ("POST", "/deliveries/{id:int}/replay", _replay, "send it again, freshly signed"),
    ("POST", "/events", _send, "send any event: {event, webhook_url, payload, event_ts, style}"),
    ("POST", "/validate", _validate, "challenge an endpoint: {webhook_url}"),
    ("GET", "/faults", _faults, "what can be made to go wrong, and what is armed"),
    ("POST", "/faults", _add_fault, "arm a fault: {fault}"),
    ("DELETE", "/faults", _clear_faults, "disarm all"),
    ("DELETE", "/faults/{id:int}", _clear_faults, "disarm one"),
    ("GET", "/clock", _clock, "the time, its rate, and the next moment something waits for"),
    ("POST", "/clock", _set_clock, "{rate} and/or {advance_s}"),
    ("POST", "/reset", _reset, "forget meetings, deliveries and faults"),
)


def control_app(zoom: Zoom) -> Starlette:
    """The ASGI app: `/_control/...` and Zoom's REST call."""
    routes = [Route(f"/_control{path}", _served(zoom, handler), methods=[method]) for method, path, handler, _says in ROUTES]
    return Starlette(routes=[*routes, *rest_routes(zoom)])


def _served(zoom: Zoom, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        try:
            answer = await handler(zoom, request, _json(await request.body()))
        except NotDone as error:
            return JSONResponse({"error": error.error, "reason": str(error)}, error.status)
        return Response(status_code=204) if answer is None else JSONResponse(answer)

    return serve


def _json(raw: bytes) -> Asked:
    if not raw:
        return {}
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotDone(400, "bad_json", f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise NotDone(400, "bad_json", "the body is not a JSON object")
    return found


def _text(asked: Asked, key: str) -> str:
    found = asked.get(key)
    if not isinstance(found, str) or not found:
        raise NotDone(400, "missing", f"{key} is missing, a text was expected")
    return found


def _find_meeting(zoom: Zoom, request: Request) -> Meeting:
    number = request.path_params["id"]
    if number not in zoom.meetings:
        raise NotDone(404, "no_meeting", f"no meeting {number} (there are {', '.join(map(str, zoom.meetings)) or 'none'})")
    return zoom.meetings[number]


def _find_delivery(zoom: Zoom, request: Request) -> Delivery:
    number = request.path_params["id"]
    for delivery in zoom.webhooks.deliveries:
        if delivery.id == number:
            return delivery
    raise NotDone(404, "no_delivery", f"no delivery {number}")
