"""The faults that are armed."""

from __future__ import annotations

from rtms_simulator.control.answers import ArmedFaultRow, Cleared, FaultList, NewFault
from rtms_simulator.control.operations import IMPOSSIBLE, NOT_FOUND, Call, ControlOperation, missing
from rtms_simulator.faults import ArmedFault, FaultBook


def fault_row(armed: ArmedFault) -> ArmedFaultRow:
    return ArmedFaultRow(id=armed.id, fault=str(armed.fault), vendor=armed.fault.family.vendor, left=armed.steps_left, used=armed.used)


def fault_rows(book: FaultBook) -> list[ArmedFaultRow]:
    return [fault_row(armed) for armed in book.listed()]


def fault_operations(book: FaultBook) -> list[ControlOperation]:
    async def listed(_call: Call) -> FaultList:
        return FaultList(armed=fault_rows(book))

    async def added(call: Call) -> ArmedFaultRow:
        return fault_row(book.add(call.body.fault))

    async def cleared(_call: Call) -> Cleared:
        return Cleared(cleared=book.clear())

    async def cleared_one(call: Call) -> Cleared:
        number = next((armed.id for armed in book.listed() if str(armed.id) == call.path["id"]), None)
        if number is None:
            known = ", ".join(str(armed.id) for armed in book.listed())
            raise missing("fault", repr(call.path["id"]), f"armed are {known or 'none'}")
        return Cleared(cleared=book.clear(number))

    return [
        ControlOperation("GET", "/faults", "the faults that are armed", listed, FaultList),
        ControlOperation("POST", "/faults", "arm a fault", added, ArmedFaultRow, body=NewFault, refuses=IMPOSSIBLE),
        ControlOperation("DELETE", "/faults", "disarm all", cleared, Cleared),
        ControlOperation("DELETE", "/faults/{id}", "disarm one", cleared_one, Cleared, refuses=NOT_FOUND),
    ]
