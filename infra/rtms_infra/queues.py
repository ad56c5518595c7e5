"""The ways from the webhook to the worker: four queues, and the schedule that calls the worker each minute."""

from __future__ import annotations

import base64
import json

import pulumi
from pulumi_gcp import cloudscheduler, cloudtasks

from rtms_infra.apis import Apis
from rtms_infra.config import Config, Place
from rtms_infra.identity import Identity
from rtms_infra.numbers import NO_DURATION, PROBE_CRON, QUEUES, SWEEP_CRON, SWEEP_DEADLINE_S, UNLIMITED, QueueNumbers, concurrent
from rtms_infra.protection import deletion_policy, settled

PRODUCERS = ("webhook", "worker")
"""Who adds tasks. The webhook: all of them. The worker: outcomes of hand-offs, looks, and the daily probe of every queue."""


class Queues(pulumi.ComponentResource):
    """The queues of tasks for the worker; numbers.py says how fast each of them is, and why.

    A start is put on two queues in two regions, so that an outage or a stall of Cloud Tasks in one of them loses nothing. No task of a
    start or a fact is given up while it lives (31 days).

    Creates:
        queue-handoffs: starts, in the home region; protected, because a deleted queue's name is blocked for days
        queue-handoffs-second: the same starts, in a second region of the same jurisdiction, due some seconds later
        queue-facts: everything else that Zoom says, and what came of hand-offs while the records were away
        queue-retrievals: looks for recordings at Recall, below its limits
        enqueue-*: lets a function add tasks to one queue

    Costs: 0.40 $ per million operations beyond the first million a month; a start makes four, any other event two.
    """

    def __init__(self, config: Config, identity: Identity, first: pulumi.Resource, apis: Apis) -> None:
        """`first`: what must have moved before a queue does, since it may refuse to."""
        super().__init__("rtmskit:infra:Queues", "queues")
        self._first = first
        self.queues: dict[str, cloudtasks.Queue] = {}
        self.grants: list[pulumi.Resource] = []
        for queue in QUEUES.values():
            for short, region in zip((queue.kind, f"{queue.kind}-second"), config.regions[: queue.regions], strict=False):
                self._queue(short, region, queue, config, identity, apis)
        self.handoffs = [self.path("handoffs"), self.path("handoffs-second")]
        self.register_outputs({})

    def _queue(self, short: str, region: str, numbers: QueueNumbers, config: Config, identity: Identity, apis: Apis) -> None:
        place = config.place
        self.queues[short] = queue = cloudtasks.Queue(
            f"queue-{short}",
            name=f"{place.name}-{numbers.kind}",
            project=place.project,
            location=region,
            rate_limits={
                "max_dispatches_per_second": numbers.per_second or config.retrievals_per_second,
                "max_concurrent_dispatches": concurrent(numbers.kind, config.worker.slots),
            },
            # Cloud Tasks gives up only when the attempts AND the duration are used up. Both are set, to "never".
            retry_config={
                "max_attempts": UNLIMITED,
                "max_retry_duration": NO_DURATION,
                "min_backoff": f"{numbers.min_backoff_s}s",
                "max_backoff": f"{numbers.max_backoff_s}s",
                "max_doublings": numbers.doublings,
            },
            stackdriver_logging_config={"sampling_ratio": 1.0},
            deletion_policy=deletion_policy(place),
            opts=pulumi.ResourceOptions(parent=self, protect=place.protect, depends_on=[self._first, *apis.before("cloudtasks")]),
        )
        self.grants += [
            cloudtasks.QueueIamMember(
                f"enqueue-{short}-{role}",
                name=settled(place, f"{place.name}-{numbers.kind}", queue.name),
                project=place.project,
                location=region,
                role="roles/cloudtasks.enqueuer",
                member=identity.member(role),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[queue]),
            )
            for role in PRODUCERS
        ]

    def path(self, short: str) -> pulumi.Output[str]:
        """`projects/P/locations/L/queues/Q`."""
        queue = self.queues[short]
        return pulumi.Output.concat("projects/", queue.project, "/locations/", queue.location, "/queues/", queue.name)


class Sweep(pulumi.ComponentResource):
    """The clock that calls the worker.

    Creates:
        sweep: Cloud Scheduler job, each minute: POST /sweep, with the token of the sweep's identity
        probe: Cloud Scheduler job, once a day: has the sweep send one harmless task through every queue

    Costs: 0.10 $ a month for each job beyond the first three of the billing account.
    """

    def __init__(self, place: Place, worker_url: pulumi.Output[str], identity: Identity, needs: list[pulumi.Resource], apis: Apis) -> None:
        super().__init__("rtmskit:infra:Sweep", "sweeping")
        jobs = {
            "sweep": (SWEEP_CRON, {}, "Hands on what the queues have not, and looks for recordings that no webhook announced"),
            "probe": (PROBE_CRON, {"probe": True}, "Sends one harmless task through every queue"),
        }
        for name, (cron, body, description) in jobs.items():
            cloudscheduler.Job(
                name,
                name=f"{place.name}-{name}",
                project=place.project,
                region=place.region,
                description=description,
                schedule=cron,
                time_zone="Etc/UTC",
                attempt_deadline=f"{SWEEP_DEADLINE_S}s",  # and no retries, the default: the next one comes within a minute anyway
                http_target={
                    "http_method": "POST",
                    "uri": pulumi.Output.concat(worker_url, "/sweep"),
                    "headers": {"Content-Type": "application/json"},
                    "body": base64.b64encode(json.dumps(body).encode()).decode(),
                    "oidc_token": {"service_account_email": identity.email("sweep"), "audience": worker_url},
                },
                opts=pulumi.ResourceOptions(parent=self, depends_on=[*apis.before("cloudscheduler"), *needs]),
            )
        self.register_outputs({})
