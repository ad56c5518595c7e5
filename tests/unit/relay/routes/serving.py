"""The routes of both functions under the real functions-framework app, and what every test of them sends and compares."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import httpx
from functions_framework import aio
from starlette.requests import Request
from tests.ports.bench import Bench, key_of
from tests.ports.events import NOW, started

from rtms_relay.callers import Gate
from rtms_relay.routes.webhook import WebhookRoutes
from rtms_relay.routes.worker import WorkerRoutes

JSON = {"content-type": "application/json"}
KEY = key_of()
CODE = "c0de" * 16
NO_STORE = {"cache-control": "no-store"}


class RequestWithoutUrl(Request):
    """Its URL, which starlette makes of the Host header, is read by nobody: older versions let that header choose the path."""

    @property
    def url(self) -> NoReturn:
        raise AssertionError("the path of a request is request.scope['path']")


def client(bench: Bench, role: str, gate: Gate | None = None) -> httpx.AsyncClient:
    if role == "webhook":
        routes: WebhookRoutes | WorkerRoutes = WebhookRoutes(bench.intake, bench.clock, bench.log, code=CODE)
    else:
        routes = WorkerRoutes(bench.worker, bench.clock, bench.log, code=CODE, gate=gate, invokers=EMAILS if gate else None)

    async def function(request: Any) -> Any:
        return await routes.surface(RequestWithoutUrl(request.scope, request.receive))

    app = aio._create_asgi_app_with_function(function, "http", enable_id_logging=False)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://function")


def encoded(event: Any) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


START = encoded(started())


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 65536):
        yield b" " * 65536


EMAILS = {"/events": "events@p.example", "/retrieve": "retrieve@p.example", "/sweep": "sweep@p.example"}


def token(email: str, *, audience: str = "https://worker.example", expires: int = NOW // 1000 + 600) -> str:
    """An identity token as Cloud Run passes it on: without its signature."""
    claims = json.dumps({"email": email, "email_verified": True, "aud": audience, "exp": expires}).encode()
    return f"Bearer e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.SIGNATURE_REMOVED_BY_GOOGLE"


async def told(
    bench: Bench, role: str, method: str, path: str, content: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], str]:
    """Status, headers and text of an answer. Headers that every answer has (type of JSON, length) are left out."""
    async with client(bench, role) as http:
        answer = await bench.clock.until_done(http.request(method, path, content=content, headers=headers or {}))
    shown = {name: value for name, value in answer.headers.items() if name != "content-length"}
    if shown.get("content-type") == "application/json":
        del shown["content-type"]
    return answer.status_code, shown, answer.text


def line(path: str, event: str = "request", method: str = "POST", **notes: Any) -> dict[str, Any]:
    return {"severity": "INFO", "event": event, "status": 200, "ms": 0, "method": method, "path": path, **notes}


def of(bench: Bench, *events: str) -> list[dict[str, Any]]:
    return [one for one in bench.log.lines if one["event"] in events]
