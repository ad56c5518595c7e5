"""The fake Recall's control plane, `/_control/…`: what a test or a person may look at and change that no vendor would offer.

All bodies are JSON. A request that cannot be done gets 400 `{"error": code, "reason": one line}`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rtms_simulator.faults import FaultError
from rtms_simulator.faults.book import shown_fault
from rtms_simulator.recall.switches import RecallSwitches, switch_table
from rtms_simulator.recall.webhooks.sender import EndpointState, Message, WebhookEndpoint
from rtms_simulator.recall.webhooks.signing import secret_bytes

if TYPE_CHECKING:
    from rtms_simulator.recall.fake import Recall

Handler = Callable[["Recall", Request, dict[str, Any]], Awaitable[Any]]


class RefusedError(Exception):
    """A request that cannot be done. `str()` is the reason, `code` names it."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


async def _state(recall: Recall, request: Request, body: dict[str, Any]) -> Any:
    space = recall.workspace
    return {
        "base_url": recall.base_url,
        "now": recall.clock.now(),
        "seed": recall.seed,
        "recorders": recall.lifecycle.recording_now,
        "meeting_direct_connects": [{"id": mdc.id, "stream": mdc.stream_id, "status": mdc.status.code} for mdc in space.mdcs.values()],
        "recordings": [{"id": recording.id, "status": recording.status.code} for recording in space.recordings.values()],
        "workspace_secret": recall.workspace_secret,
    }


async def _reset(recall: Recall, request: Request, body: dict[str, Any]) -> Any:
    await recall.reset()
    return {"reset": True}


async def _seed(recall: Recall, request: Request, body: dict[str, Any]) -> Any:
    """Reset, with other ids from now on."""
    seed = body.get("seed")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise RefusedError("seed", "`seed` must be a whole number")
    await recall.reset(seed=seed)
    return {"seed": seed}


async def _switches(recall: Recall, request: Request, body: dict[str, Any]) -> Any:
    return {"switches": _shown_switches(recall.switches), "table": [{**row, "default": _plain(row["default"])} for row in switch_table()]}


async def _set_switches(recall: Recall, request: Request, body: dict[str, Any]) -> Any:
    now = _shown_switches(recall.switches)
    unknown = sorted(body.keys() - now.keys())
    if unknown:
        raise RefusedError("unknown_switch", f"no such switch: {', '.join(unknown)}; known are {', '.join(now)}")
    try:
        recall.switches = msgspec.convert({**now, **body}, RecallSwitches)
    except msgspec.ValidationError as error:
        raise RefusedError("switch_value", str(error)) from None
    return {"switches": _shown_switches(recall.switches)}


async def _faults(recall: Recall, request: Request, body: dict[str, Any]) -> Any:
    return {"armed": [shown_fault(armed) for armed in recall.faults.listed()]}


async def _add_fault(recall: Recall, request: Request, body: dict[str, Any]) -> Any:
    fault = body.get("fault")
    if not isinstance(fault, str):
        raise RefusedError("fault", "`fault` must be a text such as 'recall.create: 503 x2 then ok'")
    try:
        return shown_fault(recall.faults.add(fault))
    except FaultError as error:
        raise RefusedError("fault", str(error)) from None


async def _clear_faults(recall: Recall, request: Request, body: dict[str, Any]) -> Any:
    recall.faults.clear()
    return {"armed": []}


async def _history(recall: Recall, request: Request, body: dict[str, Any]) -> Any:
    return {"requests": [msgspec.to_builtins(exchange) for exchange in recall.api.history]}


async def _clock(recall: Recall, request: Request, body: dict[str, Any]) -> Any:
    return {"now": recall.clock.now(), "rate": recall.clock.rate, "next_deadline": recall.clock.next_deadline}


async def _set_clock(recall: Recall, request: Request, body: dict[str, Any]) -> Any:
    """`{"rate": r}` (0 freezes) and/or `{"advance": seconds}`, in that order."""
    try:
        recall.clock.turn(**body)
    except ValueError as error:
        raise RefusedError("clock", str(error)) from None
    return await _clock(recall, request, body)


async def _webhooks(recall: Recall, request: Request, body: dict[str, Any]) -> Any:
    return {"webhooks": [_shown_endpoint(recall, endpoint) for endpoint in recall.webhooks.endpoints]}


async def _add_webhook(recall: Recall, request: Request, body: dict[str, Any]) -> Any:
    try:
        return _shown_endpoint(recall, recall.webhooks.add(msgspec.convert(body, WebhookEndpoint)))
    except (msgspec.ValidationError, ValueError) as error:
        raise RefusedError("webhook", str(error)) from None


async def _remove_webhook(recall: Recall, request: Request, body: dict[str, Any]) -> Any:
    recall.webhooks.remove(_endpoint(recall, request))
    return await _webhooks(recall, request, body)


async def _rotate(recall: Recall, request: Request, body: dict[str, Any]) -> Any:
    """A new secret; for 24 h the old one signs too. `{"secret": …}` to choose it."""
    endpoint = _endpoint(recall, request)
    endpoint.secret.rotate(_new_secret(recall, body), recall.clock.now())
    return _shown_endpoint(recall, endpoint)


async def _rotate_workspace(recall: Recall, request: Request, body: dict[str, Any]) -> Any:
    recall.rotate_workspace_secret(_new_secret(recall, body))
    return {"workspace_secret": recall.workspace_secret}


async def _enable(recall: Recall, request: Request, body: dict[str, Any]) -> Any:
    endpoint = _endpoint(recall, request)
    recall.webhooks.enable(endpoint)
    return _shown_endpoint(recall, endpoint)


async def _recover(recall: Recall, request: Request, body: dict[str, Any]) -> Any:
    return {"messages": recall.webhooks.recover(_endpoint(recall, request))}


async def _deliveries(recall: Recall, request: Request, body: dict[str, Any]) -> Any:
    return {"deliveries": [_shown_message(message) for message in recall.webhooks.messages]}


async def _resend(recall: Recall, request: Request, body: dict[str, Any]) -> Any:
    identity, endpoint = request.path_params["id"], body.get("endpoint")
    messages = [one for one in recall.webhooks.messages if one.id == identity and endpoint in (None, one.endpoint.id)]
    if not messages:
        raise RefusedError("delivery", f"no message {identity}" + (f" to {endpoint}" if endpoint else ""))
    for message in messages:
        recall.webhooks.resend(message)
    return _shown_message(messages[0])


# Method, path and what it does; docs and tests read this table.
ROUTES: tuple[tuple[str, str, Handler, str], ...] = (
    ("GET", "/state", _state, "base URL, clock, MDCs and recordings with their states, how many recorders are at work"),
    ("POST", "/reset", _reset, "forget everything but endpoints and secrets; switches and ids start anew"),
    ("POST", "/seed", _seed, '`{"seed": 7}`: reset with the ids of another seed'),
    ("GET", "/switches", _switches, "the open questions, how they are decided now, and the table of them"),
    ("PATCH", "/switches", _set_switches, '`{"progression": {"kind": "polls", "polls": 3}}`: decide some of them otherwise'),
    ("GET", "/faults", _faults, "the faults that are armed, and how often they acted"),
    ("POST", "/faults", _add_fault, '`{"fault": "recall.create: 503 x2 then ok"}`'),
    ("DELETE", "/faults", _clear_faults, "no more faults"),
    ("GET", "/history", _history, "the last 10,000 requests, without keys"),
    ("GET", "/clock", _clock, "the clock and the next moment somebody waits for"),
    ("POST", "/clock", _set_clock, '`{"advance": 21600}` and/or `{"rate": 0}`'),
    ("GET", "/webhooks", _webhooks, "webhook endpoints with the secrets that sign now"),
    ("POST", "/webhooks", _add_webhook, '`{"url": …, "secret"?: …, "headers"?: "webhook" or "svix", "events"?: […]}`'),
    ("DELETE", "/webhooks/{id}", _remove_webhook, "take an endpoint out"),
    ("POST", "/webhooks/{id}/rotate", _rotate, "a new secret; the old one signs for 24 h more"),
    ("POST", "/webhooks/{id}/enable", _enable, "switch a disabled endpoint on again"),
    ("POST", "/webhooks/{id}/recover", _recover, "send again what failed for good"),
    ("POST", "/workspace-secret/rotate", _rotate_workspace, "a new workspace secret; the old one signs for 24 h more"),
    ("GET", "/deliveries", _deliveries, "webhook messages and every attempt"),
    (
        "POST",
        "/deliveries/{id}/resend",
        _resend,
        'send a message again, with its old id, to every endpoint that had it or to `{"endpoint": id}`',
    ),
)


def control_app(recall: Recall) -> Starlette:
    """The ASGI app; its routes begin with `/_control`."""
    return Starlette(
        routes=[Route(f"/_control{path}", _route(recall, handler), methods=[method]) for method, path, handler, _ in ROUTES],
        exception_handlers={RefusedError: _refused, HTTPException: _unknown},
    )


def _route(recall: Recall, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        return JSONResponse(await handler(recall, request, await _body(request)))

    return handle


async def _body(request: Request) -> dict[str, Any]:
    raw = await request.body()
    try:
        return msgspec.json.decode(raw, type=dict[str, Any]) if raw else {}
    except msgspec.DecodeError as error:
        raise RefusedError("body", f"the body must be a JSON object: {error}") from None


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return JSONResponse({"error": error.code, "reason": str(error)}, 400)


async def _unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = ", ".join(f"{method} /_control{path}" for method, path, _, _ in ROUTES)
    return JSONResponse({"error": "not_found", "reason": f"known are {known}"}, error.status_code)


def _endpoint(recall: Recall, request: Request) -> EndpointState:
    wanted = request.path_params["id"]
    found = next((endpoint for endpoint in recall.webhooks.endpoints if endpoint.id == wanted), None)
    if found is None:
        known = ", ".join(endpoint.id for endpoint in recall.webhooks.endpoints) or "none"
        raise RefusedError("webhook", f"no endpoint {wanted}; there are {known}")
    return found


def _new_secret(recall: Recall, body: dict[str, Any]) -> str:
    secret = body.get("secret") or recall.webhooks.new_secret()
    try:
        secret_bytes(msgspec.convert(secret, str))
    except (msgspec.ValidationError, ValueError) as error:
        raise RefusedError("secret", str(error)) from None
    return secret


def _shown_switches(switches: RecallSwitches) -> dict[str, Any]:
    return {row["name"]: _plain(getattr(switches, row["name"])) for row in switch_table()}


def _plain(value: Any) -> Any:
    return dict(value) if hasattr(value, "keys") else msgspec.to_builtins(value)


def _shown_endpoint(recall: Recall, endpoint: EndpointState) -> dict[str, Any]:
    settings = endpoint.settings
    return {
        "id": endpoint.id,
        "url": settings.url,
        "headers": settings.family,
        "events": sorted(settings.events) if settings.events is not None else None,
        "enabled": endpoint.enabled,
        "secrets": endpoint.secret.valid(recall.clock.now()),
    }


def _shown_message(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "event": message.event,
        "endpoint": message.endpoint.id,
        "created_at": message.created_at,
        "state": message.state,
        "body": msgspec.json.decode(message.body),
        "attempts": [msgspec.to_builtins(attempt) for attempt in message.attempts],
    }
