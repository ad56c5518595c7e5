"""The door of a service lets in whom Cloud Run would, and hides the signature."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from tests.unit.simulator.cli.rehearse.registrations import HOST, email, invoker, registered, service

from rtms_infra.rehearsal.registered import Entry, Function
from rtms_infra.rehearsal.rights import Rights
from rtms_simulator.cli.rehearse.front import Front, InternalNetwork
from rtms_simulator.cli.rehearse.judges import Decisions
from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import identity_token
from rtms_simulator.serving.http_server import HttpServer

TARGET = f"https://{HOST}/events?x=1"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    request = Request(scope, receive)
    seen = {"path": request.url.path, "query": request.url.query, "headers": dict(request.headers), "body": (await request.body()).decode()}
    await JSONResponse(seen, 201, {"x-own": "1"})(scope, receive, send)


@asynccontextmanager
async def door(*entries: Entry, behind: Any = echo) -> AsyncGenerator[tuple[Front, list[tuple[int, float]], Decisions]]:
    whole, clock, answered = registered(*entries), Clock(), []
    decisions = Decisions(Rights(whole, clock.now))
    server = HttpServer(behind)
    await server.start()
    function = whole.of(Function)["worker"]
    front = Front(function, (HOST,), decisions, clock, lambda: server.url, lambda status, took: answered.append((status, took)))
    try:
        yield front, answered, decisions
    finally:
        await front.aclose()
        await server.aclose()


def token(who: str = "events", audience: str = f"https://{HOST}", at: float | None = None) -> dict[str, str]:
    return {"Authorization": f"Bearer {identity_token(email(who), audience, Clock().now() if at is None else at)}"}


async def inside(front: Front, headers: dict[str, str], body: bytes = b"") -> httpx.Response:
    async with httpx.AsyncClient(transport=InternalNetwork(lambda: (front,))) as client:
        return await client.post(TARGET, headers=headers, content=body)


async def test_a_caller_with_the_grant_comes_in_and_the_service_sees_no_signature() -> None:
    async with door(service(ingressSettings="ALLOW_INTERNAL_ONLY"), invoker()) as (front, answered, _):
        sent = token()
        answer = await inside(front, sent, b"task")
        assert (answer.status_code, answer.headers["x-own"]) == (201, "1")
        seen = answer.json()
        assert (seen["path"], seen["query"], seen["body"]) == ("/events", "x=1", "task")
        claims, _, signature = sent["Authorization"].rpartition(".")
        assert seen["headers"]["authorization"] == f"{claims}.SIGNATURE_REMOVED_BY_GOOGLE"
        assert signature not in str(seen)
        assert [status for status, _ in answered] == [201]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Authorization": "Bearer a.b.c"}, 401),
        (token("build"), 403),
        (token(audience="https://another.run.app"), 401),
        (token(audience=f"https://{HOST}.evil.test"), 401),
        (token(at=0.0), 401),  # expired
        (token(audience=f"https://{HOST}/events"), 201),
        ({"X-Serverless-Authorization": token()["Authorization"], "Authorization": "Bearer other"}, 201),
        ({"X-Serverless-Authorization": "Bearer a.b.c", **token()}, 401),
    ],
)
async def test_who_comes_in(headers: dict[str, str], status: int) -> None:
    async with door(service(), invoker()) as (front, answered, decisions):
        assert (await inside(front, headers)).status_code == status
        # What Cloud Run refuses never reaches the service, and is in none of its metrics.
        assert len(answered) == (status == 201)
        assert bool(decisions.refused) == (status != 201)


async def test_a_forged_signature_is_refused() -> None:
    async with door(service(), invoker()) as (front, *_):
        whole = token()["Authorization"]
        forged = whole.rpartition(".")[0] + "." + "A" * 43
        assert (await inside(front, {"Authorization": forged})).status_code == 401


async def test_a_service_for_everybody_needs_no_token() -> None:
    async with door(service(), invoker("allUsers")) as (front, *_):
        assert (await front.answer("POST", "/", [], b"", internal=False)).status == 201


async def test_an_internal_service_is_not_there_for_the_internet() -> None:
    async with door(service(ingressSettings="ALLOW_INTERNAL_ONLY"), invoker("allUsers")) as (front, answered, decisions):
        server = HttpServer(front)
        await server.start()
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.post(f"{server.url}/events", headers=token())).status_code == 404
        await server.aclose()
        assert answered == []
        assert any("closed to the internet" in what for what in decisions.refused)


async def test_more_requests_than_instances_take_are_refused() -> None:
    go, inner = asyncio.Event(), []

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        inner.append(1)
        await go.wait()
        await Response("done")(scope, receive, send)

    async with door(service(), invoker("allUsers"), behind=slow) as (front, *_):
        calls = [asyncio.create_task(front.answer("GET", "/", [], b"", internal=True)) for _ in range(3)]
        done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result().status for task in done] == [429]
        go.set()
        assert sorted([(await call).status for call in calls]) == [200, 200, 429]


async def test_a_service_that_takes_too_long_is_cut_off() -> None:
    async def never(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    async with door(service(timeoutSeconds=0), invoker("allUsers"), behind=never) as (front, *_):
        assert (await front.answer("GET", "/", [], b"", internal=True)).status == 504


async def test_without_a_running_process_the_answer_is_503() -> None:
    nobody: Callable[[], str | None] = lambda: None  # noqa: E731  # its type is what the door takes
    async with door(service(), invoker("allUsers")) as (front, *_):
        front.serve(front.function, front.hosts, nobody)
        assert (await front.answer("GET", "/", [], b"", internal=True)).status == 503


async def test_a_name_that_no_service_has_cannot_be_reached() -> None:
    async with door(service(), invoker()) as (front, *_), httpx.AsyncClient(transport=InternalNetwork(lambda: (front,))) as client:
        with pytest.raises(httpx.ConnectError, match="there is no service"):
            await client.post("https://another.run.app/events")
