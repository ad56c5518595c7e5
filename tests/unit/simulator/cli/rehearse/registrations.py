"""A few registered resources, written by hand: one service, its callers, one queue."""

from __future__ import annotations

from typing import Any

from rtms_infra.rehearsal.registered import Entry, Registered

PROJECT = "p-project"
PLACE = f"projects/{PROJECT}/locations/us-east4"
WORKER = "rtms-worker"
HOST = f"{WORKER}-123456789012.us-east4.run.app"
QUEUE = f"{PLACE}/queues/rtms-handoffs"


def email(role: str) -> str:
    return f"rtms-{role}@{PROJECT}.iam.gserviceaccount.com"


def grant(pulumi_name: str, kind: str, role: str, who: str, **where: Any) -> Entry:
    return resource(pulumi_name, kind, role=role, member=who, project=PROJECT, **where)


def resource(pulumi_name: str, kind: str, **inputs: Any) -> Entry:
    return Entry(urn=pulumi_name, type=kind, name=pulumi_name, custom=True, inputs=inputs)


def service(**config: Any) -> Entry:
    return resource(
        "worker",
        "gcp:cloudfunctionsv2/function:Function",
        name=WORKER,
        project=PROJECT,
        location="us-east4",
        buildConfig={"runtime": "python313", "entryPoint": "worker", "source": {"storageSource": {"bucket": "b", "object": "o.zip"}}},
        serviceConfig={"serviceAccountEmail": email("worker"), "maxInstanceCount": 1, "maxInstanceRequestConcurrency": 2, **config},
    )


def invoker(who: str = f"serviceAccount:{email('events')}") -> Entry:
    kind = "gcp:cloudrunv2/serviceIamMember:ServiceIamMember"
    return grant("worker-called-events", kind, "roles/run.invoker", who, name=WORKER, location="us-east4")


ENQUEUER = grant(
    "enqueue",
    "gcp:cloudtasks/queueIamMember:QueueIamMember",
    "roles/cloudtasks.enqueuer",
    f"serviceAccount:{email('webhook')}",
    name="rtms-handoffs",
    location="us-east4",
)
ACTING = grant(
    "act-as",
    "gcp:serviceaccount/iAMMember:IAMMember",
    "roles/iam.serviceAccountUser",
    f"serviceAccount:{email('webhook')}",
    serviceAccountId=f"projects/{PROJECT}/serviceAccounts/{email('events')}",
)
RECORDS = grant(
    "records",
    "gcp:projects/iAMMember:IAMMember",
    f"projects/{PROJECT}/roles/records",
    f"serviceAccount:{email('worker')}",
    condition={"expression": f'resource.name == "projects/{PROJECT}/databases/rtms"'},
)
ROLE = resource(
    "role",
    "gcp:projects/iAMCustomRole:IAMCustomRole",
    roleId="records",
    project=PROJECT,
    permissions=[f"datastore.entities.{verb}" for verb in ("create", "get", "list", "update")],
)


def registered(*entries: Entry) -> Registered:
    return Registered(entries, {}, PROJECT)
