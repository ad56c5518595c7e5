"""The deployed numbers: queue rates, retries, time-outs, instances, the sweep's interval.

`deployed.json` beside this file is generated from what the Pulumi program registers for the least configuration (`make docs`; a test
compares the two). The fakes of `up`, `demo` and `serve`, the simulation, chaos and the benchmarks read it, so that what is tried here has
the numbers of what is deployed.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import msgspec

from rtms_simulator.cloud_tasks import LOCAL_QUEUES, Limits, QueueNumbers, Retry


class DeployedQueue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One Cloud Tasks queue. Times are seconds; `max_attempts` -1 and `max_retry_s` 0: a task is never given up."""

    location: str
    per_second: float
    concurrent: int
    max_attempts: int
    max_retry_s: float
    min_backoff_s: float
    max_backoff_s: float
    max_doublings: int

    @property
    def numbers(self) -> QueueNumbers:
        """The same for the fake Cloud Tasks."""
        retry = Retry(self.max_attempts, self.max_retry_s, self.min_backoff_s, self.max_backoff_s, self.max_doublings)
        return QueueNumbers(retry, Limits(self.per_second, self.concurrent))


class DeployedFunction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One function: its time-out in seconds, its instances, and how many requests each handles at once."""

    timeout_s: float
    min_instances: int
    max_instances: int
    concurrency: int

    @property
    def slots(self) -> int:
        """Requests that all its instances handle at once."""
        return self.max_instances * self.concurrency


class Deployed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The numbers of one deployment.

    `queues`: handoffs, handoffs-second, facts, retrievals. `functions`: webhook, worker. `sweep_every_s`, `sweep_deadline_s`: how often
    Cloud Scheduler posts the sweep, and how long it waits for the answer.
    """

    queues: dict[str, DeployedQueue]
    functions: dict[str, DeployedFunction]
    sweep_every_s: float
    sweep_deadline_s: float
    probe_every_s: float
    connect_window_s: float
    second_region_delay_s: float
    dispatch_deadline_s: float


@cache
def deployed() -> Deployed:
    """The numbers of the least configuration."""
    return msgspec.json.decode(files("rtms_simulator").joinpath("kit/deployed.json").read_bytes(), type=Deployed)


def local_queues() -> dict[str, QueueNumbers]:
    """The queues of this machine (`LOCAL_QUEUES`), each with the numbers of the deployed one."""
    queues = deployed().queues
    names = ("handoffs", "handoffs-second", "facts", "retrievals")
    return {full: queues[name].numbers for full, name in zip(LOCAL_QUEUES, names, strict=True)}
