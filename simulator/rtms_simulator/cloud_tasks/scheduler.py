"""A Cloud Scheduler job that POSTs to one URL at a fixed interval."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks.dispatch import identity_token
from rtms_simulator.cloud_tasks.messages import moment

_DEADLINE_S = 180.0
"""Cloud Scheduler's default attempt_deadline for HTTP targets."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the job: when it was due (seconds since the epoch) and its outcome."""

    scheduled_at: float
    status: int | None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a job sends. `audience`: of its token, by default the URL. `deadline_s`: how long the answer may take."""

    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    audience: str = ""
    deadline_s: float = _DEADLINE_S


class Scheduler:
    """POSTs an empty body (or `request`) to `url` each `every_s` seconds of the clock, with Cloud Scheduler's headers.

    The scheduled times are `every_s` apart from `start` on, whatever a run takes. Two runs are never under way at once: "a scheduled start
    time will be delayed if the previous execution has not ended" (Job.schedule). Inferred: of several that are due meanwhile, one run is
    made, for the latest. While the job is paused its times pass by, and none is made up for (inferred, as the reference does not say).

    `invoker` adds a (fake) OIDC token for that account, with the URL as its audience; `run_secret` is what opens a
    worker on this machine in its place. `runs` keeps the latest ones.
    """

    def __init__(
        self,
        clock: Clock,
        url: str,
        every_s: float = 60.0,
        *,
        job: str = "projects/rtmskit-local/locations/local/jobs/sweep",
        invoker: str = "",
        run_secret: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
        history: int = 1000,
        request: JobRequest | None = None,
        first_after_s: float | None = None,
    ) -> None:
        """`first_after_s`: how long after `start` the first run is due; by default `every_s`."""
        if every_s <= 0:
            raise ValueError(f"every_s is positive, found {every_s}")
        self._clock = clock
        self._url = url
        self._every_s = every_s
        self._job = job
        self._invoker = invoker
        self._run_secret = run_secret
        self._transport = transport
        self._history = history
        self._request = request or JobRequest()
        self._first_after_s = every_s if first_after_s is None else first_after_s
        self._task: asyncio.Task[None] | None = None
        self.paused = False
        """Settable: PauseJob and ResumeJob. A run that is under way is not ended by a pause."""
        self.runs: list[Run] = []

    async def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(self._clock.now() + self._first_after_s - self._every_s))

    async def aclose(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self, began: float) -> None:
        number = 1
        async with httpx.AsyncClient(transport=self._transport, trust_env=False) as client:
            while True:
                due = began + number * self._every_s
                await self._clock.sleep_until(due, periodic=True)
                if not self.paused:
                    self.runs.append(await self._once(client, due))
                    del self.runs[: -self._history]
                # The latest time that has come: times that passed while a run was under way are one delayed run.
                latest = math.floor((self._clock.now() - began) / self._every_s)
                number = max(number + 1, latest)

    async def _once(self, client: httpx.AsyncClient, due: float) -> Run:
        own = self._request
        headers = {
            **own.headers,
            "User-Agent": "Google-Cloud-Scheduler",
            "X-CloudScheduler": "true",
            "X-CloudScheduler-JobName": self._job.rpartition("/")[2],
            "X-CloudScheduler-ScheduleTime": moment(due).isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        if self._invoker:
            headers["Authorization"] = f"Bearer {identity_token(self._invoker, own.audience or self._url, self._clock.now())}"
        elif self._run_secret:
            headers["Authorization"] = f"Bearer {self._run_secret}"
        call = client.request(own.method, self._url, headers=headers, content=own.body, timeout=None)  # the deadline is the clock's
        try:
            response = await self._clock.answer_of(call, own.deadline_s)
        except TimeoutError:
            return Run(due, None, f"no answer within {own.deadline_s:g} s")
        except httpx.HTTPError as error:
            return Run(due, None, f"{type(error).__name__}: {error}")
        return Run(due, response.status_code)
