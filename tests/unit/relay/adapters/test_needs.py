"""What each call needs from Google's IAM, as Google's pages say it. Grants and calls are held to the same table in tests/infra."""

from __future__ import annotations

from rtms_relay.adapters.needs import NEEDS, hint

GOOGLE = {
    # Cloud Tasks, "projects.locations.queues.tasks.create", and "Create HTTP target tasks" for the account that the token names.
    ("cloud_tasks", "create_task", "queue"): {"cloudtasks.tasks.create"},
    ("cloud_tasks", "create_task", "identity"): {"iam.serviceAccounts.actAs"},
    # Firestore, "Security for server client libraries": a write that may make or change a document needs both.
    ("firestore", "create", "database"): {"datastore.entities.create"},
    ("firestore", "update", "database"): {"datastore.entities.update"},
    ("firestore", "commit", "database"): {"datastore.entities.create", "datastore.entities.update"},
    ("firestore", "get", "database"): {"datastore.entities.get"},
    ("firestore", "where", "database"): {"datastore.entities.get", "datastore.entities.list"},
    # Cloud Storage, "IAM permissions for client library methods".
    ("archive_gcs", "exists", "archive"): {"storage.objects.get"},
    ("archive_gcs", "reload", "archive"): {"storage.objects.get"},
    ("archive_gcs", "open", "archive"): {"storage.objects.get"},
    ("archive_gcs", "upload_from_file", "archive"): {"storage.objects.create"},
    ("archive_gcs", "patch", "archive"): {"storage.objects.update"},
    ("archive_gcs", "list_blobs", "archive"): {"storage.objects.list"},
    ("archive_gcs", "delete_blob", "archive"): {"storage.objects.delete"},
}


def test_each_call_needs_what_google_says() -> None:
    told = {(need.adapter, need.call, need.where): set[str]() for need in NEEDS}
    for need in NEEDS:
        told[need.adapter, need.call, need.where].add(need.permission)
    assert told == GOOGLE


def test_the_public_function_may_enqueue_and_nothing_else() -> None:
    """It takes requests from anybody, so it touches neither the records nor the archive."""
    assert {need.adapter for need in NEEDS if "webhook" in need.roles} == {"cloud_tasks"}
    assert all("worker" in need.roles for need in NEEDS)
    assert {role for need in NEEDS for role in need.roles} == {"webhook", "worker"}


def test_the_hint_names_each_permission_once_and_in_order() -> None:
    where = " on the database"
    names = ", ".join(f"datastore.entities.{verb}{where}" for verb in ("create", "get", "list", "update"))
    assert hint("firestore") == f"grant the service account {names} (pulumi up does; docs/permissions.md)"
    assert hint("cloud_tasks") == (
        "grant the service account cloudtasks.tasks.create on the queue, iam.serviceAccounts.actAs on the identity"
        " (pulumi up does; docs/permissions.md)"
    )
