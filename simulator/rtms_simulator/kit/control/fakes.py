"""The fakes that a control plane is about, how their ids hang together, and the running whole that they are a part of."""

from __future__ import annotations

import base64
import os
import random
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import CloudTasks
from rtms_simulator.control.descriptions import RecallAccess, TasksAccess, UpDescription, ZoomAccess
from rtms_simulator.control.operations import PREFIX
from rtms_simulator.errors import ChildEndedError
from rtms_simulator.faults import Fault, FaultBook
from rtms_simulator.kit.control.links import Links
from rtms_simulator.recall import Recall
from rtms_simulator.recall.reach import proxy_environment
from rtms_simulator.serving.authority import CertificateAuthority
from rtms_simulator.serving.http_server import HttpServer
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
        last_request_id = self.recall.api.history[-1].id if self.recall.api.history else 0
        return last_request_id, sum(len(task.attempts) for task in self.tasks.tasks())

    def links(self) -> Links:
        """How the ids hang together at this moment."""
        meetings = {stream.ids.stream_id: number for number, meeting in self.zoom.meetings.items() for stream in meeting.streams}
        space = self.recall.workspace
        streams = {mdc.id: mdc.stream_id for mdc in space.mdcs.values()}
        made = {recording.id: recording.mdc_id for recording in space.recordings.values()}
        return Links(meetings, streams, made)


class Beginning:
    """What the fakes of a `Place` begin with, and how they come back to it. Made once they have started and have their first switches."""

    def __init__(self, fakes: Fakes, faults: Iterable[Fault] = ()) -> None:
        """`faults`: those that `arm` arms."""
        self._clock, self._zoom, self._recall, self._tasks = fakes.clock, fakes.zoom, fakes.recall, fakes.tasks
        self._book, self._faults = fakes.faults, tuple(faults)
        self._seed, self._times = fakes.zoom.seed, 0
        self._switches = (fakes.zoom.switches, fakes.recall.switches, fakes.tasks.switches)

    def arm(self) -> None:
        """Arm the first faults, at the end of a start or a reset: those with a length count it from then on."""
        for fault in self._faults:
            self._book.add(fault)

    async def restore(self, seed: int | None, *, records_stay: bool) -> None:
        """No meetings, recordings, tasks or faults; the first switches; real time. `seed` makes the ids from now on, the first by default.

        `records_stay`: the service's records know the ids of before, so by default the ids that follow are others.
        """
        self._times += 1
        if seed is None:
            seed = self._seed + (self._times if records_stay else 0)
        await self._zoom.reset()
        self._zoom.seed = seed
        await self._recall.reset(seed=seed)
        # The queues count their rates on this clock, so it is put back first.
        self._clock.to_real_time()
        self._tasks.reset()
        self._zoom.switches, self._recall.switches, self._tasks.switches = self._switches


@dataclass(frozen=True, slots=True)
class Secrets:
    """Ids and secrets of the fakes, in the vendors' forms. Made from a seed: they guard nothing but a loopback port."""

    client_id: str
    client_secret: str
    secret_token: str
    api_key: str
    webhook_secret: str

    @classmethod
    def of_seed(cls, seed: int) -> Secrets:
        randomness = random.Random(f"rtmskit secrets {seed}")

        def word(length: int) -> str:
            return "".join(randomness.choices(string.ascii_letters + string.digits, k=length))

        key = base64.b64encode(randomness.randbytes(24)).decode()
        return cls(word(22), word(32), word(22), word(40), f"whsec_{key}")


class Place(Protocol):
    """A running whole: the kit's own `Stack`, or a rehearsed deployment. `run_secret`: what callers of the worker must know ("" = nothing);
    `ca_file`: of the authority that signs the RTMS servers' certificates, None without TLS."""

    secrets: Secrets
    clock: Clock
    zoom: Zoom
    recall: Recall
    tasks: CloudTasks
    fakes: Fakes
    authority: CertificateAuthority
    control: HttpServer
    control_token: str
    run_secret: str

    @property
    def webhook_url(self) -> str: ...
    @property
    def recall_webhook_url(self) -> str: ...
    @property
    def worker_url(self) -> str: ...
    @property
    def state_url(self) -> str: ...
    @property
    def queues(self) -> tuple[str, ...]: ...
    @property
    def ca_file(self) -> Path | None: ...
    @property
    def seed(self) -> int: ...

    async def broken(self) -> ChildEndedError:
        """Wait until a function's process ends by itself."""
        ...


def described(place: Place) -> UpDescription:
    """Every URL and secret: what `rtmskit up --json` prints."""
    own = place.secrets
    return UpDescription(
        webhook_url=place.webhook_url,
        recall_webhook_url=place.recall_webhook_url,
        worker_url=place.worker_url,
        worker_token=place.run_secret,
        zoom=ZoomAccess(
            server_url=place.zoom.server_urls()[0],
            rest_url=f"{place.control.url}/zoom",
            event_socket_url=place.zoom.event_socket_url(),
            client_id=own.client_id,
            client_secret=own.client_secret,
            secret_token=own.secret_token,
            ca_file=str(place.ca_file) if place.ca_file else None,
        ),
        recall=RecallAccess(
            base_url=place.recall.base_url,
            api_key=own.api_key,
            webhook_secret=own.webhook_secret,
            workspace_secret=own.webhook_secret,
            proxy_environment=proxy_environment(place.recall.origin, place.authority),
        ),
        cloud_tasks=TasksAccess(endpoint=place.tasks.endpoint, queues=list(place.queues)),
        control_url=place.control.url + PREFIX,
        control_token=place.control_token,
        state_url=place.state_url,
        seed=place.seed,
        pid=os.getpid(),
    )
