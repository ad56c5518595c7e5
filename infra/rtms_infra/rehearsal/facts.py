"""What is known of each resource type in use, as a table: what replaces, in which order, what a failure and a deletion leave behind.

The installed package does not say any of it. Source: hashicorp/terraform-provider-google, main at e03b7622a2 (21 August 2026, the
merge of the 8.0.0 branch, which pulumi-gcp 10 is built from): the provider's own constructors for the arguments, its create, update and
delete functions for the rest; pulumi-gcp's provider/resources.go for the order of replacement; Google's documentation for what it refuses
after a deletion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

DAY_S = 86400


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What Google does with the name of something deleted: it is refused from `refused_from_s` to `refused_until_s` after the deletion.

    `restored`: before that, creating it again restores it.
    """

    refused_from_s: float
    refused_until_s: float
    sentence: str
    restored: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """One resource type.

    `id`: the template of its name at Google, from its arguments; `{number}` is counted up by Google, so that two never clash.
    `grant_on`: for a grant, the argument that names what it is on; a grant is a member of a policy, shared with all that declare the same.
    `replaces`: arguments (dotted, without list indices) whose change replaces; one covers everything below it. `auto_named`: the argument
    which, when the program gives it, makes the bridge delete before it creates. `old_first`: the bridge always does.
    `if_exists`: what a creation finds when the name is taken. `deletion_policy`: the provider's default.
    `operation`: created and changed by an operation that builds, and may fail after the change was accepted.
    """

    replaces: frozenset[str]
    id: str = ""
    grant_on: str = ""
    auto_named: str = ""
    old_first: bool = False
    if_exists: Literal["refused", "adopted", "overwritten"] = "refused"
    tombstone: Tombstone | None = None
    deletion_policy: str = "DELETE"
    kept_after_failed_create: bool = False
    operation: bool = False


FACTS: Mapping[str, Facts] = {
    "gcp:artifactregistry/repository:Repository": Facts(
        id="projects/{project}/locations/{location}/repositories/{repositoryId}",
        replaces=frozenset(
            {
                "format",
                "kmsKeyName",
                "location",
                "mavenConfig.allowSnapshotOverwrites",
                "mavenConfig.versionPolicy",
                "mode",
                "project",
                "remoteRepositoryConfig",
                "repositoryId",
            }
        ),
        kept_after_failed_create=False,
    ),
    "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember": Facts(
        grant_on="repository",
        replaces=frozenset({"condition", "location", "member", "project", "repository", "role"}),
    ),
    "gcp:billing/budget:Budget": Facts(
        id="billingAccounts/{billingAccount}/budgets/{number}",
        replaces=frozenset({"billingAccount"}),
    ),
    "gcp:cloudfunctionsv2/function:Function": Facts(
        id="projects/{project}/locations/{location}/functions/{name}",
        replaces=frozenset({"buildConfig.source.repoSource.projectId", "location", "name", "project"}),
        auto_named="name",
        # The id is set before the operation is awaited, and not cleared when it fails: the resource stays in the state.
        kept_after_failed_create=True,
        operation=True,
    ),
    "gcp:cloudrunv2/serviceIamMember:ServiceIamMember": Facts(
        grant_on="name",
        replaces=frozenset({"condition", "location", "member", "name", "project", "role"}),
        auto_named="name",
    ),
    "gcp:cloudscheduler/job:Job": Facts(
        id="projects/{project}/locations/{region}/jobs/{name}",
        replaces=frozenset({"name", "project", "region"}),
        auto_named="name",
    ),
    "gcp:cloudtasks/queue:Queue": Facts(
        id="projects/{project}/locations/{location}/queues/{name}",
        replaces=frozenset({"location", "name", "project"}),
        auto_named="name",
        tombstone=Tombstone(0, 7 * DAY_S, "the name of a deleted queue is refused for about a week"),
    ),
    "gcp:cloudtasks/queueIamMember:QueueIamMember": Facts(
        grant_on="name",
        replaces=frozenset({"condition", "location", "member", "name", "project", "role"}),
        auto_named="name",
    ),
    "gcp:firestore/backupSchedule:BackupSchedule": Facts(
        id="projects/{project}/databases/{database}/backupSchedules/{recurrence}",
        replaces=frozenset({"dailyRecurrence", "database", "project", "weeklyRecurrence"}),
    ),
    "gcp:firestore/database:Database": Facts(
        id="projects/{project}/databases/{name}",
        replaces=frozenset(
            {
                "cmekConfig",
                "databaseEdition",
                "firestoreDataAccessMode",
                "locationId",
                "mongodbCompatibleDataAccessMode",
                "name",
                "project",
                "realtimeUpdatesMode",
                "tags",
            }
        ),
        auto_named="name",
        tombstone=Tombstone(0, 300, "the id of a deleted database is refused for some minutes"),
        deletion_policy="ABANDON",
        kept_after_failed_create=False,
    ),
    "gcp:firestore/field:Field": Facts(
        id="projects/{project}/databases/{database}/collectionGroups/{collection}/fields/{field}",
        replaces=frozenset({"collection", "database", "field", "project", "ttlConfig.expirationOffset"}),
        if_exists="adopted",
        kept_after_failed_create=False,
    ),
    "gcp:firestore/index:Index": Facts(
        id="projects/{project}/databases/{database}/collectionGroups/{collection}/indexes/{number}",
        replaces=frozenset({"apiScope", "collection", "database", "density", "fields", "multikey", "project", "queryScope", "unique"}),
        kept_after_failed_create=False,
    ),
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": Facts(
        id="projects/{project}/locations/global/workloadIdentityPools/{workloadIdentityPoolId}",
        replaces=frozenset({"project", "workloadIdentityPoolId"}),
        tombstone=Tombstone(0, 30 * DAY_S, "a deleted pool keeps its id for 30 days, and nothing undeletes it"),
        kept_after_failed_create=False,
    ),
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": Facts(
        id="projects/{project}/locations/global/workloadIdentityPools/{workloadIdentityPoolId}/providers/{workloadIdentityPoolProviderId}",
        replaces=frozenset({"project", "workloadIdentityPoolId", "workloadIdentityPoolProviderId"}),
        tombstone=Tombstone(0, 30 * DAY_S, "a deleted provider keeps its id for 30 days, and nothing undeletes it"),
        kept_after_failed_create=False,
    ),
    "gcp:logging/metric:Metric": Facts(
        id="projects/{project}/metrics/{name}",
        replaces=frozenset({"metricDescriptor.labels.key", "metricDescriptor.labels.valueType", "project"}),
        auto_named="name",
    ),
    "gcp:monitoring/alertPolicy:AlertPolicy": Facts(
        id="projects/{project}/alertPolicies/{number}",
        replaces=frozenset({"project"}),
    ),
    "gcp:monitoring/dashboard:Dashboard": Facts(
        id="projects/{project_number}/dashboards/{number}",
        replaces=frozenset({"project"}),
    ),
    "gcp:monitoring/notificationChannel:NotificationChannel": Facts(
        id="projects/{project}/notificationChannels/{number}",
        replaces=frozenset({"project"}),
    ),
    "gcp:monitoring/uptimeCheckConfig:UptimeCheckConfig": Facts(
        id="projects/{project}/uptimeCheckConfigs/{number}",
        replaces=frozenset(
            {
                "checkerType",
                "httpCheck.requestMethod",
                "monitoredResource",
                "project",
                "resourceGroup",
                "syntheticMonitor",
            }
        ),
    ),
    "gcp:projects/iAMCustomRole:IAMCustomRole": Facts(
        id="projects/{project}/roles/{roleId}",
        replaces=frozenset({"project", "roleId"}),
        auto_named="roleId",
        tombstone=Tombstone(
            7 * DAY_S, 37 * DAY_S, "a deleted role can be restored for 7 days; then its id is blocked for about 30", restored=True
        ),
    ),
    "gcp:projects/iAMMember:IAMMember": Facts(
        grant_on="project",
        replaces=frozenset({"condition", "member", "project", "role"}),
        old_first=True,
    ),
    "gcp:projects/service:Service": Facts(
        id="{project}/{service}",
        replaces=frozenset({"project", "service"}),
        if_exists="adopted",
    ),
    "gcp:secretmanager/secret:Secret": Facts(
        id="projects/{project}/secrets/{secretId}",
        replaces=frozenset({"project", "replication", "secretId", "tags"}),
        auto_named="secretId",
        old_first=True,
    ),
    "gcp:secretmanager/secretIamMember:SecretIamMember": Facts(
        grant_on="secretId",
        replaces=frozenset({"condition", "member", "project", "role", "secretId"}),
    ),
    "gcp:secretmanager/secretVersion:SecretVersion": Facts(
        id="{secret}/versions/{number}",
        replaces=frozenset({"isSecretDataBase64", "project", "secret", "secretData", "secretDataWoVersion"}),
    ),
    "gcp:serviceaccount/account:Account": Facts(
        id="projects/{project}/serviceAccounts/{accountId}@{project}.iam.gserviceaccount.com",
        replaces=frozenset({"accountId", "project"}),
        auto_named="accountId",
    ),
    "gcp:serviceaccount/iAMMember:IAMMember": Facts(
        grant_on="serviceAccountId",
        replaces=frozenset({"condition", "member", "role", "serviceAccountId"}),
    ),
    "gcp:storage/bucket:Bucket": Facts(
        id="{name}",
        replaces=frozenset(
            {"customPlacementConfig.dataLocations", "enableObjectRetention", "hierarchicalNamespace", "location", "name", "project"}
        ),
        auto_named="name",
    ),
    "gcp:storage/bucketIAMMember:BucketIAMMember": Facts(
        grant_on="bucket",
        replaces=frozenset({"bucket", "condition", "member", "role"}),
    ),
    "gcp:storage/bucketObject:BucketObject": Facts(
        id="{bucket}-{name}",
        replaces=frozenset(
            {
                "bucket",
                "cacheControl",
                "contentDisposition",
                "contentEncoding",
                "contentLanguage",
                "contentType",
                "customerEncryption.encryptionAlgorithm",
                "customerEncryption.encryptionKey",
                "forceEmptyContentType",
                "kmsKeyName",
                "metadata",
                "name",
                "source",
                "storageClass",
            }
        ),
        auto_named="name",
        if_exists="overwritten",
    ),
}
