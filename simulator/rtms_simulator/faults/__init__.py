"""Misbehaviour on purpose: one grammar, one book of armed faults, one table for each vendor."""

from rtms_simulator.errors import FaultError
from rtms_simulator.faults.book import NO_FAULT, ArmedFault, FaultBook
from rtms_simulator.faults.families import FAMILIES, parse_fault
from rtms_simulator.faults.grammar import FOREVER, OK, STATUS, Family, Fault, FaultWord, Occasion, Step

__all__ = [
    "FAMILIES",
    "FOREVER",
    "NO_FAULT",
    "OK",
    "STATUS",
    "ArmedFault",
    "Family",
    "Fault",
    "FaultBook",
    "FaultError",
    "FaultWord",
    "Occasion",
    "Step",
    "parse_fault",
]
