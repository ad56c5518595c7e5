"""The control plane of a running `up`: its tasks, its meetings, and a way back to the beginning; Zoom's own under `/zoom`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from rtms_simulator.clock import Clock
from rtms_simulator.faults import FaultError
from rtms_simulator.faults.book import shown_fault
from rtms_simulator.kit.play import Unplayable, perform, read

if TYPE_CHECKING:
    from rtms_simulator.kit.stack import Stack


class Asked(ValueError):
    """A request that cannot be met; the text says what is possible."""


def control_app(stack: Stack) -> Starlette:
    """`/_control/{reset,tasks,meetings}` as JSON. 400 with `{"error", "reason"}` for what cannot be."""
    real_time = Clock()

    async def reset(_request: Request) -> dict[str, Any]:
        return {"records": "forgotten" if await stack.forget() else "kept"}

    async def tasks(_request: Request) -> dict[str, Any]:
        return {"tasks": stack.tasks.tasks()}

    async def meetings(request: Request) -> dict[str, Any]:
        asked = await _object(request)
        url = asked.get("webhook_url") or stack.webhook_url
        if not isinstance(url, str) or not url:
            raise Asked("this `up` knows no webhook: send webhook_url")
        playing = asyncio.ensure_future(perform(stack.zoom, read(asked), url, real_time=real_time))
        try:
            # Who asked may go away (Ctrl-C in `rtmskit meeting play`); then nobody wants the meeting any more.
            while not playing.done() and not await request.is_disconnected():
                await asyncio.wait({playing}, timeout=0.2)
            return {"meetings": [report.as_dict() for report in await playing]} if playing.done() else {}
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)

    async def faults(_request: Request) -> dict[str, Any]:
        return {"armed": [shown_fault(armed) for armed in stack.faults.listed()]}

    async def add_fault(request: Request) -> dict[str, Any]:
        return shown_fault(stack.faults.add(str((await _object(request)).get("fault", ""))))

    async def clear_faults(request: Request) -> dict[str, Any]:
        return {"cleared": stack.faults.clear(request.path_params.get("id"))}

    return Starlette(
        routes=[
            Route("/_control", _answered(lambda _request: _described(stack))),
            Route("/_control/reset", _answered(reset), methods=["POST"]),
            Route("/_control/tasks", _answered(tasks)),
            Route("/_control/meetings", _answered(meetings), methods=["POST"]),
            Route("/_control/faults", _answered(faults)),
            Route("/_control/faults", _answered(add_fault), methods=["POST"]),
            Route("/_control/faults", _answered(clear_faults), methods=["DELETE"]),
            Route("/_control/faults/{id:int}", _answered(clear_faults), methods=["DELETE"]),
            Mount("/zoom", stack.zoom.control_app),
        ]
    )


async def _described(stack: Stack) -> dict[str, Any]:
    return stack.described()


def _answered(handler: Callable[[Request], Awaitable[dict[str, Any]]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return JSONResponse(await handler(request))
        except (Asked, Unplayable, FaultError) as error:
            return JSONResponse({"error": "bad_request", "reason": str(error)}, 400)

    return answer


async def _object(request: Request) -> dict[str, Any]:
    try:
        found = json.loads(await request.body())
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Asked("a JSON object was expected")
    return found
