"""The endpoints that Recall sends its webhooks to, and their secrets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from rtms_simulator.control.answers import EndpointList, EndpointRow, NewEndpoint, NewSecret, Recovered, WorkspaceSecret
from rtms_simulator.control.operations import IMPOSSIBLE, NOT_FOUND, Call, ControlOperation, impossible, missing
from rtms_simulator.kit.control.fakes import Fakes
from rtms_simulator.recall import WebhookEndpoint
from rtms_simulator.recall.webhooks.sender import EndpointState
from rtms_simulator.recall.webhooks.signing import secret_bytes

Handler = Callable[[Call], Awaitable[Any]]


def endpoint_operations(fakes: Fakes) -> list[ControlOperation]:
    async def listed(_call: Call) -> EndpointList:
        return EndpointList(webhooks=[_row(fakes, one) for one in fakes.recall.webhooks.endpoints])

    async def added(call: Call) -> EndpointRow:
        new: NewEndpoint = call.body
        try:
            events = frozenset(new.events) if new.events is not None else None
            endpoint = WebhookEndpoint(new.url, new.secret, new.headers, events)
            return _row(fakes, fakes.recall.webhooks.add(endpoint))
        except ValueError as error:
            raise impossible(str(error)) from None

    async def removed(call: Call) -> EndpointList:
        fakes.recall.webhooks.remove(_endpoint(fakes, call))
        return await listed(call)

    async def enabled(call: Call) -> EndpointRow:
        endpoint = _endpoint(fakes, call)
        fakes.recall.webhooks.enable(endpoint)
        return _row(fakes, endpoint)

    async def recovered(call: Call) -> Recovered:
        return Recovered(messages=fakes.recall.webhooks.recover(_endpoint(fakes, call)))

    return [
        _operation("GET", "/webhooks", "Recall's endpoints with the secrets that sign now", listed, EndpointList),
        _operation("POST", "/webhooks", "add an endpoint", added, EndpointRow, NewEndpoint),
        _operation("DELETE", "/webhooks/{id}", "take an endpoint out", removed, EndpointList),
        _operation("POST", "/webhooks/{id}/enable", "switch a disabled endpoint on", enabled, EndpointRow),
        _operation("POST", "/webhooks/{id}/recover", "send again what failed for good", recovered, Recovered),
        *_rotations(fakes),
    ]


def _rotations(fakes: Fakes) -> list[ControlOperation]:
    async def rotated(call: Call) -> EndpointRow:
        endpoint = _endpoint(fakes, call)
        endpoint.secret.rotate(_secret(fakes, call.body), fakes.clock.now())
        return _row(fakes, endpoint)

    async def workspace(call: Call) -> WorkspaceSecret:
        fakes.recall.rotate_workspace_secret(_secret(fakes, call.body))
        return WorkspaceSecret(workspace_secret=fakes.recall.workspace_secret)

    return [
        _operation("POST", "/webhooks/{id}/rotate", "a new secret; the old one signs for 24 h more", rotated, EndpointRow, NewSecret),
        _operation("POST", "/workspace-secret/rotate", "a new secret of Recall's workspace", workspace, WorkspaceSecret, NewSecret),
    ]


def _operation(
    verb: str, path: str, says: str, handler: Callable[[Call], Awaitable[Any]], answer: type[Struct], body: type[Struct] | None = None
) -> ControlOperation:
    refuses = {**(NOT_FOUND if "{id}" in path else {}), **(IMPOSSIBLE if body else {})}
    return ControlOperation(verb, path, says, handler, answer, body=body, refuses=refuses)


def _row(fakes: Fakes, endpoint: EndpointState) -> EndpointRow:
    settings = endpoint.settings
    return EndpointRow(
        id=endpoint.id,
        url=settings.url,
        headers=settings.family,
        events=sorted(settings.events) if settings.events is not None else None,
        enabled=endpoint.enabled,
        secrets=list(endpoint.secret.valid(fakes.clock.now())),
    )


def _endpoint(fakes: Fakes, call: Call) -> EndpointState:
    for endpoint in fakes.recall.webhooks.endpoints:
        if endpoint.id == call.path["id"]:
            return endpoint
    known = ", ".join(endpoint.id for endpoint in fakes.recall.webhooks.endpoints) or "none"
    raise missing("endpoint", repr(call.path["id"]), f"there are {known}")


def _secret(fakes: Fakes, new: NewSecret) -> str:
    secret = new.secret or fakes.recall.webhooks.new_secret()
    try:
        secret_bytes(secret)
    except ValueError as error:
        raise impossible(str(error)) from None
    return secret
