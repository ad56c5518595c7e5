"""Every operation of the control plane, in the order of the document."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator

from starlette.routing import Mount

from rtms_simulator.clock import Clock
from rtms_simulator.control.answers import (
    ClockChange,
    ClockReading,
    FakesState,
    Happening,
    ResetDone,
    ResetRequest,
    SwitchChanges,
    SwitchList,
)
from rtms_simulator.control.app import control_app
from rtms_simulator.control.operations import IMPOSSIBLE, Call, ControlOperation, impossible
from rtms_simulator.kit.control.deliveries import delivery_operations
from rtms_simulator.kit.control.endpoints import endpoint_operations
from rtms_simulator.kit.control.fakes import Fakes
from rtms_simulator.kit.control.faults import fault_operations
from rtms_simulator.kit.control.happenings import happenings
from rtms_simulator.kit.control.meetings import MeetingResource
from rtms_simulator.kit.control.records import record_operations
from rtms_simulator.kit.control.switches import all_switches, set_switches
from rtms_simulator.packaging.version import __version__
from rtms_simulator.serving.http_server import HttpServer
from rtms_simulator.zoom.rest import rest_routes


def operations(fakes: Fakes, meetings: MeetingResource) -> list[ControlOperation]:
    """All of them. `meetings` must be closed by its owner."""
    return [
        *_whole(fakes),
        *_clock(fakes),
        *fault_operations(fakes.faults),
        *_switches(fakes),
        *meetings.operations(),
        *delivery_operations(fakes),
        *record_operations(fakes),
        *endpoint_operations(fakes),
    ]


def control_server(fakes: Fakes, meetings: MeetingResource, *, token: str = "", port: int = 0) -> HttpServer:
    """The control plane of these fakes, not started yet. `meetings` must be closed by its owner; `token` as in `Plan.control_token`."""
    rest = [Mount("/zoom", routes=rest_routes(fakes.zoom))]
    app = control_app(operations(fakes, meetings), version=__version__, token=token, more=rest)
    return HttpServer(app, port=port, purpose="the control server")


def reading(clock: Clock) -> ClockReading:
    return ClockReading(now=clock.now(), rate=clock.rate, next_deadline=clock.next_deadline)


def _clock(fakes: Fakes) -> list[ControlOperation]:
    async def clock(_call: Call) -> ClockReading:
        return reading(fakes.clock)

    one_at_a_time = asyncio.Lock()

    async def set_clock(call: Call) -> ClockReading:
        change: ClockChange = call.body
        if change.rate is None and change.advance is None:
            raise impossible("give rate, advance or both")
        try:
            async with one_at_a_time:
                await fakes.clock.turn_ahead(rate=change.rate, advance=change.advance)
        except ValueError as error:
            raise impossible(str(error)) from None
        return reading(fakes.clock)

    return [
        ControlOperation("GET", "/clock", "the fakes' time and its rate", clock, ClockReading),
        ControlOperation(
            "POST",
            "/clock",
            "set the rate and/or go forward, with a stop at each deadline on the way",
            set_clock,
            ClockReading,
            body=ClockChange,
            refuses=IMPOSSIBLE,
        ),
    ]


def _whole(fakes: Fakes) -> list[ControlOperation]:
    async def state(_call: Call) -> FakesState:
        return _state(fakes)

    one_at_a_time = asyncio.Lock()

    async def reset(call: Call) -> ResetDone:
        async with one_at_a_time:
            result = fakes.reset(call.body.seed)
            return ResetDone(records="forgotten" if (await result if inspect.isawaitable(result) else result) else "kept")

    async def events(_call: Call) -> AsyncIterator[Happening]:
        return happenings(fakes, Clock())

    return [
        ControlOperation("GET", "/state", "where everything stands, in numbers", state, FakesState),
        ControlOperation("POST", "/reset", "forget meetings, recordings, tasks, faults and switches", reset, ResetDone, body=ResetRequest),
        ControlOperation("GET", "/events", "server-sent events of all that happens", events, Happening, stream=True),
    ]


def _state(fakes: Fakes) -> FakesState:
    space = fakes.recall.workspace
    return FakesState(
        clock=reading(fakes.clock),
        seed=fakes.seed(),
        rtms_servers=list(fakes.zoom.server_urls()),
        recall_base_url=fakes.recall.base_url,
        queues=fakes.tasks.queues(),
        meetings=len(fakes.zoom.meetings),
        deliveries=len(fakes.zoom.webhooks.deliveries) + len(fakes.recall.webhooks.messages),
        requests=len(fakes.recall.api.history),
        tasks=len(fakes.tasks.tasks()),
        meeting_direct_connects=len(space.mdcs),
        recordings=len(space.recordings),
        recorders=fakes.recall.lifecycle.recording_now,
        faults=len(fakes.faults.listed()),
    )


def _switches(fakes: Fakes) -> list[ControlOperation]:
    async def listed(_call: Call) -> SwitchList:
        return SwitchList(switches=all_switches(fakes))

    async def set_(call: Call) -> SwitchList:
        set_switches(fakes, call.body.set)
        return SwitchList(switches=all_switches(fakes))

    return [
        ControlOperation("GET", "/switches", "what documentation leaves open", listed, SwitchList),
        ControlOperation(
            "PATCH",
            "/switches",
            "decide some of it otherwise: all that is given, or nothing",
            set_,
            SwitchList,
            body=SwitchChanges,
            refuses=IMPOSSIBLE,
        ),
    ]
