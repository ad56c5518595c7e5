"""What makes sure that nothing recorded is forgotten: the queue between webhook and worker, and the sweep."""

from __future__ import annotations

import base64

import pulumi
from pulumi_gcp import cloudscheduler, cloudtasks

from rtms_infra.apis import Apis
from rtms_infra.config import Place
from rtms_infra.identity import Identity


class Queue(pulumi.ComponentResource):
    """The queue of tasks for the worker.

    The limits fit Recall's: no more tasks per second than Recall takes requests. Tasks are tried often for two minutes (a stream can be
    joined for one) and then left to the sweep, which finds everything that is due in the records.

    Creates:
        queue: Cloud Tasks queue; protected, because a deleted queue's name is blocked for days
        enqueue-*: lets a function add tasks to this queue

    Costs: 0.40 $ per million operations beyond the first million a month.
    """

    def __init__(self, place: Place, dispatches_per_second: int, concurrent: int, identity: Identity, apis: Apis) -> None:
        super().__init__("rtmskit:infra:Queue", "queueing")
        self.queue = cloudtasks.Queue(
            "queue",
            name=f"{place.name}-tasks",
            location=place.region,
            rate_limits={"max_dispatches_per_second": dispatches_per_second, "max_concurrent_dispatches": concurrent},
            # Cloud Tasks gives up when the attempts AND the duration are used up, so both are set.
            retry_config={
                "max_attempts": 15,
                "max_retry_duration": "120s",
                "min_backoff": "1s",
                "max_backoff": "10s",
                "max_doublings": 3,
            },
            stackdriver_logging_config={"sampling_ratio": 1.0},
            opts=pulumi.ResourceOptions(parent=self, protect=place.protect, depends_on=apis.before("cloudtasks")),
        )
        self.grants: list[pulumi.Resource] = [
            cloudtasks.QueueIamMember(
                f"enqueue-{role}",
                name=self.queue.name,
                location=place.region,
                role="roles/cloudtasks.enqueuer",
                member=identity.member(role),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for role in ("webhook", "worker")
        ]
        self.path = pulumi.Output.concat("projects/", place.project, "/locations/", place.region, "/queues/", self.queue.name)
        self.register_outputs({"path": self.path})


class Sweep(pulumi.ComponentResource):
    """The clock that calls the worker each minute.

    Creates:
        sweep: Cloud Scheduler job: POST /sweep, with the invoker's token

    Costs: 0.10 $ a month beyond the first three jobs of the billing account.
    """

    def __init__(self, place: Place, worker_url: pulumi.Output[str], identity: Identity, needs: list[pulumi.Resource], apis: Apis) -> None:
        super().__init__("rtmskit:infra:Sweep", "sweeping")
        cloudscheduler.Job(
            "sweep",
            name=f"{place.name}-sweep",
            region=place.region,
            description="Enqueues what was recorded but not enqueued, retrieves what no webhook announced",
            schedule="* * * * *",
            time_zone="Etc/UTC",
            attempt_deadline="60s",  # and no retries, the default: the next one comes within a minute anyway
            http_target={
                "http_method": "POST",
                "uri": pulumi.Output.concat(worker_url, "/sweep"),
                "headers": {"Content-Type": "application/json"},
                "body": base64.b64encode(b"{}").decode(),
                "oidc_token": {"service_account_email": identity.email("invoker"), "audience": worker_url},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*apis.before("cloudscheduler"), *needs]),
        )
        self.register_outputs({})
