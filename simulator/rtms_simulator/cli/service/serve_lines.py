"""The lines that `rtmskit serve --json` prints: one when all is there, then one for each thing that happens."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from rtms_simulator.cli.service.findings import Finding
from rtms_simulator.control.answers import Strict
from rtms_simulator.control.descriptions import ServeDescription
from rtms_simulator.kit.worker_answers import HandOffRow


class ServeStarted(ServeDescription, frozen=True, kw_only=True):
    """The first line. `endpoint`: where Zoom's events go; `checks`: what the doctor found there."""

    event: Literal["started"] = "started"
    endpoint: str
    checks: list[Finding]


class ServeEvent(Strict, frozen=True, kw_only=True):
    """A later line. `what` says it in words; the other fields are there as the kind of `event` has them.

    handoff: `row`. tunnel_*: `url`. child_ended: `name` of the process. stopped: `handoffs` (ids) and `tasks` (by queue), unfinished.
    """

    event: str
    what: str
    row: HandOffRow | UnsetType = UNSET
    url: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    handoffs: list[str] | UnsetType = UNSET
    tasks: dict[str, int] | UnsetType = UNSET
