"""What the tests of a start on its way share: its ids, and what happens to it while it is POSTed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec.structs import replace
from tests.ports.bench import Bench, key_of
from tests.ports.events import MEETING, NOW, STREAM, URLS_A, URLS_B

from rtms_relay import tasks
from rtms_relay.errors import StoreUnavailable
from rtms_relay.handing import Handing
from rtms_relay.handoff import documents
from rtms_relay.handoff.keys import stream_key
from rtms_relay.handoff.record import HandOff

KEY_A, KEY_B = key_of(URLS_A), key_of(URLS_B, NOW + 5000)
NAMES = {"stream": stream_key(STREAM), "entity_id": MEETING, "rtms_stream_id": STREAM}
IDS = {"handoff": KEY_A, **NAMES}
During = Callable[[], Awaitable[None]]


def start_task(event_ts: int = NOW, *, copy: tasks.Copy = "home") -> tasks.Start:
    return tasks.Start(
        event="meeting.rtms_started",
        product="meeting",
        stream_id=STREAM,
        entity_id=MEETING,
        server_urls=URLS_A,
        event_ts=event_ts,
        copy=copy,
    )


def away(bench: Bench, *, permanent: bool = False) -> None:
    """The store does not answer from now on."""

    async def trouble(_: str) -> None:
        raise StoreUnavailable("the store is away", permanent=permanent)

    bench.store.trouble = trouble


def going_away(bench: Bench) -> During:
    """The store goes away during a POST."""

    async def go() -> None:
        bench.recall.during_create = None
        away(bench, permanent=True)

    return go


def meanwhile_accepted(bench: Bench, mdc_id: str) -> During:
    """During a POST its record gets this MDC, as by another worker's POST."""

    async def accepted() -> None:
        bench.recall.during_create = None
        handoff = bench.handoff()
        await stored(bench, replace(handoff, attempt=replace(handoff.attempt, mdc_id=mdc_id, accepted_at=NOW, state="accepted")))

    return accepted


def timed(bench: Bench, during: During | None = None) -> list[float]:
    """When each POST comes, ms; `during` happens in each."""
    moments: list[float] = []

    async def note() -> None:
        moments.append(bench.clock.monotonic_ms())
        if during is not None:
            await during()

    bench.recall.during_create = note
    return moments


async def stored(bench: Bench, handoff: HandOff) -> None:
    """Have this in the record."""
    found = await bench.store.get("handoffs", handoff.key)
    assert found is not None
    await bench.store.replace("handoffs", handoff.key, documents.handoff_fields(handoff, 86_400_000), found.version)


async def taken(bench: Bench) -> tuple[Handing, HandOff]:
    """The start that waits on the home queue, noted by a worker that holds its lease."""
    handing = bench.worker._new_handing()
    task = tasks.decode(bench.home.tasks[0].body, "/events")
    assert isinstance(task, tasks.Start)
    return handing, (await bench.clock.until_done(handing.note(task))).result.handoff
