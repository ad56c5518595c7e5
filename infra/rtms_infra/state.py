"""What must not be lost: the records of hand-offs and streams, and the archive of recordings."""

from __future__ import annotations

import pulumi
from pulumi_gcp import firestore, storage

from rtms_infra.apis import Apis
from rtms_infra.config import Archiving, Place
from rtms_infra.identity import Identity
from rtms_infra.protection import deletion_policy, settled

COLLECTIONS = ("handoffs", "streams", "unusable")
UNINDEXED = ("body", "expires_at")
"""Fields that no query uses. The body is large; timestamps that only ever rise would make one hot spot of the index."""
NARROWED = ("state", "recording", "stream", "meeting", "mdc")
"""Fields that the list of hand-offs can be narrowed by. Firestore merges their indexes for a query by several of them."""


class State(pulumi.ComponentResource):
    """The database of records.

    What orders by the field that it filters on (`due_at`, `created_at`) needs only the indexes that Firestore makes by itself. The list of
    hand-offs narrowed by a field, newest first, needs one of both. Until they are built, some minutes, only those lists are refused.

    Creates:
        database: Firestore in Native mode, a database of its own, protected, with point-in-time recovery
        field-*: per collection: no index on the record's body; removal of records whose `expires_at` has passed, without an index on it
        backups: one backup a day
        index-*: lists the hand-offs of one state, recording, stream, meeting or MDC, newest first

    Costs: per million meetings about 4 M writes and 2 M reads (costs.md); recovery and backups by the stored GiB.
    """

    def __init__(self, place: Place, backup_days: int, granted: list[pulumi.Resource], first: pulumi.Resource, apis: Apis) -> None:
        """`granted`: rights that Google needs minutes to make known; the field operations, a minute or more each, come after them.

        `first`: what must have moved before the database does, since it may refuse to.
        """
        super().__init__("rtmskit:infra:State", "state")
        self.database = firestore.Database(
            "database",
            project=place.project,
            name=place.name,
            location_id=place.database_location,
            type="FIRESTORE_NATIVE",
            database_edition="STANDARD",
            # Only single-document conditional writes are used, and they behave alike in both modes; this one takes no locks.
            concurrency_mode="OPTIMISTIC",
            point_in_time_recovery_enablement="POINT_IN_TIME_RECOVERY_ENABLED",
            delete_protection_state="DELETE_PROTECTION_ENABLED" if place.protect else "DELETE_PROTECTION_DISABLED",
            deletion_policy=deletion_policy(place),
            opts=pulumi.ResourceOptions(parent=self, protect=place.protect, depends_on=[first, *apis.before("firestore")]),
        )
        name = settled(place, place.name, self.database.name)
        previous = self._fields(place, name, granted)
        self.ready = previous
        """When this is there, so are the database and its fields."""
        if backup_days:
            previous = firestore.BackupSchedule(
                "backups",
                project=place.project,
                database=name,
                retention=f"{backup_days * 86400}s",
                daily_recurrence={},
                deletion_policy="DELETE",
                opts=pulumi.ResourceOptions(parent=self, depends_on=[previous]),
            )
        self._index(place, name, previous)
        self.url = pulumi.Output.concat("firestore://", place.project, "/", self.database.name)
        self.register_outputs({"url": self.url})

    def _fields(self, place: Place, database: pulumi.Input[str], granted: list[pulumi.Resource]) -> pulumi.Resource:
        """How fields are indexed, and what expires. Administrative operations on one database refuse each other (409) when they run side
        by side, so each comes after the one before; returns the last."""
        previous: pulumi.Resource = self.database
        for collection in COLLECTIONS:
            for field in UNINDEXED:
                previous = firestore.Field(
                    f"field-{collection}-{field}",
                    project=place.project,
                    database=database,
                    collection=collection,
                    field=field,
                    index_config={},
                    ttl_config={} if field == "expires_at" else None,
                    # Undone, it would be indexed again, for up to 20 minutes each, before the database goes.
                    deletion_policy="ABANDON",
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[previous, *granted], deleted_with=self.database),
                )
        return previous

    def _index(self, place: Place, database: pulumi.Input[str], previous: pulumi.Resource) -> None:
        """The indexes of narrowed lists, one after the other. Nothing waits until they are built."""
        for field in NARROWED:
            previous = firestore.Index(
                f"index-{field}",
                project=place.project,
                database=database,
                collection="handoffs",
                fields=[{"field_path": field, "order": "ASCENDING"}, {"field_path": "created_at", "order": "DESCENDING"}],
                skip_wait=True,
                deletion_policy="ABANDON",
                opts=pulumi.ResourceOptions(parent=self, depends_on=[previous], deleted_with=self.database),
            )


def archive_bucket_name(place: Place) -> str:
    return f"{place.project}-{place.name}-archive"


class Archive(pulumi.ComponentResource):
    """A bucket of your own for finished recordings.

    No versions and no soft delete, on purpose: when Zoom says that consent was revoked, `forget` must leave no content anywhere.

    Creates:
        archive: private, protected bucket; moves to Coldline, and expires if configured; stays, empty or not, while `archive` is off
        archive-objects: lets the worker write, read and delete recordings in it

    Costs: about 0.02 $ per GiB and month while Standard; at 100 MB per meeting this is the largest bill of all (costs.md).
    """

    def __init__(self, place: Place, config: Archiving, identity: Identity, apis: Apis) -> None:
        super().__init__("rtmskit:infra:Archive", "archiving")
        rules: list[storage.BucketLifecycleRuleArgsDict] = [
            {"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 1}},
        ]
        if config.cold_after_days:
            rules.append({"action": {"type": "SetStorageClass", "storage_class": "COLDLINE"}, "condition": {"age": config.cold_after_days}})
        if config.delete_after_days:
            rules.append({"action": {"type": "Delete"}, "condition": {"age": config.delete_after_days}})
        self.bucket = storage.Bucket(
            "archive",
            project=place.project,
            name=archive_bucket_name(place),
            location=place.region,
            labels=place.labels,
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            force_destroy=False,
            deletion_policy=deletion_policy(place),
            versioning={"enabled": False},
            soft_delete_policy={"retention_duration_seconds": 0},
            lifecycle_rules=rules,
            opts=pulumi.ResourceOptions(parent=self, protect=place.protect, depends_on=apis.before("storage")),
        )
        self.grants: list[pulumi.Resource] = []
        if config.on:
            self.grants.append(
                storage.BucketIAMMember(
                    "archive-objects",
                    bucket=settled(place, archive_bucket_name(place), self.bucket.name),
                    role="roles/storage.objectUser",
                    member=identity.member("worker"),
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[self.bucket]),
                )
            )
        self.url = pulumi.Output.concat("gs://", self.bucket.name)
        self.register_outputs({"url": self.url})
