"""The fakes that a control plane is about, and how their ids hang together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import CloudTasks
from rtms_simulator.faults import FaultBook
from rtms_simulator.kit.control.links import Links
from rtms_simulator.recall import Recall
from rtms_simulator.zoom import Zoom


@dataclass(frozen=True, slots=True)
class Fakes:
    """All that runs. `reset` brings everything back to the start; `webhook_url` is the known receiver of Zoom's events, or empty."""

    clock: Clock
    zoom: Zoom
    recall: Recall
    tasks: CloudTasks
    faults: FaultBook
    seed: Callable[[], int]
    webhook_url: Callable[[], str]
    reset: Callable[[int | None], Any]
    uploads: Path

    def life(self) -> object:
        """A value that changes whenever Recall is asked or a task is delivered (see `zoom.unattended`)."""
        asked = self.recall.api.history[-1].id if self.recall.api.history else 0
        return asked, sum(len(task.attempts) for task in self.tasks.tasks())

    def links(self) -> Links:
        """How the ids hang together at this moment."""
        meetings = {stream.ids.stream_id: number for number, meeting in self.zoom.meetings.items() for stream in meeting.streams}
        space = self.recall.workspace
        streams = {mdc.id: mdc.stream_id for mdc in space.mdcs.values()}
        made = {recording.id: recording.mdc_id for recording in space.recordings.values()}
        return Links(meetings, streams, made)
