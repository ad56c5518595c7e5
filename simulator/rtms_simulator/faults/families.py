"""Everything that can be made to go wrong: the tables of all vendors."""

from __future__ import annotations

from rtms_simulator.faults import cloud_tasks, recall, zoom
from rtms_simulator.faults.grammar import Family, Fault
from rtms_simulator.faults.parser import parse

FAMILIES: tuple[Family, ...] = (*zoom.FAMILIES, *recall.FAMILIES, *cloud_tasks.FAMILIES)


def parse_fault(text: str) -> Fault:
    """Read a fault of any vendor. Raises FaultError, which says what is wrong and what is allowed."""
    return parse(text, FAMILIES)
