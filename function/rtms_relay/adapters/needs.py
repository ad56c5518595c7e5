"""What each adapter needs from Google's IAM: call, permission, resource, and in which function it runs. One table.

The infrastructure's tests hold every grant of the deployment to exactly this (tests/infra/crosschecks.py), and this to the calls that the
adapters make (tests/infra/test_needs.py). Sources: Google's IAM pages of Cloud Tasks ("tasks.create", and `actAs` for a task's OIDC token),
Firestore ("permissions by method") and Cloud Storage ("IAM permissions for client library calls").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Where = Literal["queue", "identity", "database", "archive"]
"""`queue`: HANDOFF_QUEUES, FACTS_QUEUE, RETRIEVAL_QUEUE. `identity`: the accounts that tasks carry, of TASKS_INVOKERS.
`database`: STATE_URL. `archive`: ARCHIVE_URL."""


@dataclass(frozen=True, slots=True)
class Need:
    """`adapter` makes `call`, which Google allows to whom has `permission` on `where`; `roles` are the functions that run it."""

    adapter: str
    call: str
    permission: str
    where: Where
    roles: tuple[Literal["webhook", "worker"], ...]


_BOTH: tuple[Literal["webhook", "worker"], ...] = ("webhook", "worker")
_WORKER: tuple[Literal["webhook", "worker"], ...] = ("worker",)

NEEDS: tuple[Need, ...] = (
    Need("cloud_tasks", "create_task", "cloudtasks.tasks.create", "queue", _BOTH),
    Need("cloud_tasks", "create_task", "iam.serviceAccounts.actAs", "identity", _BOTH),
    Need("firestore", "create", "datastore.entities.create", "database", _WORKER),
    Need("firestore", "update", "datastore.entities.update", "database", _WORKER),
    Need("firestore", "commit", "datastore.entities.create", "database", _WORKER),
    Need("firestore", "commit", "datastore.entities.update", "database", _WORKER),
    Need("firestore", "get", "datastore.entities.get", "database", _WORKER),
    Need("firestore", "where", "datastore.entities.get", "database", _WORKER),
    Need("firestore", "where", "datastore.entities.list", "database", _WORKER),
    Need("archive_gcs", "exists", "storage.objects.get", "archive", _WORKER),
    Need("archive_gcs", "reload", "storage.objects.get", "archive", _WORKER),
    Need("archive_gcs", "open", "storage.objects.get", "archive", _WORKER),
    Need("archive_gcs", "upload_from_file", "storage.objects.create", "archive", _WORKER),
    Need("archive_gcs", "patch", "storage.objects.update", "archive", _WORKER),
    Need("archive_gcs", "list_blobs", "storage.objects.list", "archive", _WORKER),
    Need("archive_gcs", "delete_blob", "storage.objects.delete", "archive", _WORKER),
)


def hint(adapter: str) -> str:
    """For an error that says PermissionDenied: the permissions that the service account lacks, all of this adapter's."""
    permissions = sorted({f"{need.permission} on the {need.where}" for need in NEEDS if need.adapter == adapter})
    return f"grant the service account {', '.join(permissions)} (pulumi up does; docs/permissions.md)"
