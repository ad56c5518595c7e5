"""Everything that happens, as a stream: rows that are new or have changed since the last look."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

from rtms_simulator.clock import Clock
from rtms_simulator.control.answers import ClockChange, Happening
from rtms_simulator.kit.control import deliveries, records
from rtms_simulator.kit.control.fakes import Fakes
from rtms_simulator.kit.control.faults import fault_rows
from rtms_simulator.kit.rows import meeting_row

LOOK_EVERY_S = 0.1
Kind = Literal["meeting", "delivery", "request", "mdc", "task", "fault", "clock"]


async def happenings(fakes: Fakes, real_time: Clock) -> AsyncIterator[Happening]:
    """First everything there is, then what changes. It ends when the caller goes away."""
    last_rows: dict[tuple[Kind, str], Any] = {}
    while True:
        for kind, identity, row in _rows(fakes):
            if last_rows.get((kind, identity)) != row:
                last_rows[(kind, identity)] = row
                yield Happening(kind=kind, row=row)
        await real_time.sleep(LOOK_EVERY_S)


def _rows(fakes: Fakes) -> Iterator[tuple[Kind, str, Any]]:
    links = fakes.links()
    yield "clock", "", ClockChange(rate=fakes.clock.rate)
    for number, meeting in fakes.zoom.meetings.items():
        yield "meeting", str(number), meeting_row(meeting.report(), links)
    for row in deliveries.rows(fakes):
        yield "delivery", row.id + row.url, row
    for request in records.request_rows(fakes):
        yield "request", str(request.id), request
    for mdc in records.mdc_rows(fakes):
        yield "mdc", mdc.id, mdc
    for task, _ in records.task_rows(fakes):
        yield "task", task.name, task
    for fault in fault_rows(fakes.faults):
        yield "fault", str(fault.id), fault
