"""What an update would do: the difference between two runs of the program, by the provider's rules of replacement.

`IMMUTABLE` holds, for each type in use, the inputs whose change replaces the resource instead of updating it. The installed package
does not say (ForceNew is not in it), so the table is written by hand from the provider's definitions
(GoogleCloudPlatform/magic-modules, `mmv1/products/*`: `immutable: true`, and `url_param_only` fields), and from the
handwritten resources' documentation for IAM members, service accounts, projects.* and storage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.infra.deployment import Deployment, Resource

ALL = frozenset({"*"})

IMMUTABLE: Mapping[str, frozenset[str]] = {
    "gcp:artifactregistry/repository:Repository": frozenset({"location", "repositoryId", "format", "mode", "kmsKeyName", "project"}),
    "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember": ALL,
    "gcp:billing/budget:Budget": frozenset({"billingAccount"}),
    "gcp:cloudfunctionsv2/function:Function": frozenset({"name", "location", "project"}),
    "gcp:cloudrunv2/serviceIamMember:ServiceIamMember": ALL,
    "gcp:cloudscheduler/job:Job": frozenset({"name", "region", "project"}),
    "gcp:cloudtasks/queue:Queue": frozenset({"name", "location", "project"}),
    "gcp:cloudtasks/queueIamMember:QueueIamMember": ALL,
    "gcp:firestore/backupSchedule:BackupSchedule": frozenset({"database", "dailyRecurrence", "weeklyRecurrence", "project"}),
    "gcp:firestore/database:Database": frozenset({"name", "locationId", "databaseEdition", "cmekConfig", "project"}),
    "gcp:firestore/field:Field": frozenset({"database", "collection", "field", "project"}),
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": frozenset({"workloadIdentityPoolId", "project"}),
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": frozenset(
        {"workloadIdentityPoolId", "workloadIdentityPoolProviderId", "project"}
    ),
    "gcp:logging/metric:Metric": frozenset({"name", "project"}),
    "gcp:monitoring/alertPolicy:AlertPolicy": frozenset({"project"}),
    "gcp:monitoring/dashboard:Dashboard": frozenset({"project"}),
    "gcp:monitoring/notificationChannel:NotificationChannel": frozenset({"project"}),
    "gcp:monitoring/uptimeCheckConfig:UptimeCheckConfig": frozenset({"monitoredResource", "checkerType", "project"}),
    "gcp:projects/iAMCustomRole:IAMCustomRole": frozenset({"roleId", "project"}),
    "gcp:projects/iAMMember:IAMMember": ALL,
    "gcp:projects/service:Service": frozenset({"service", "project"}),
    "gcp:secretmanager/secret:Secret": frozenset({"secretId", "replication", "project"}),
    "gcp:secretmanager/secretIamMember:SecretIamMember": ALL,
    "gcp:secretmanager/secretVersion:SecretVersion": frozenset({"secret", "secretData", "project"}),
    "gcp:serviceaccount/account:Account": frozenset({"accountId", "project"}),
    "gcp:serviceaccount/iAMMember:IAMMember": ALL,
    "gcp:storage/bucket:Bucket": frozenset({"name", "location", "project", "hierarchicalNamespace", "customPlacementConfig"}),
    "gcp:storage/bucketIAMMember:BucketIAMMember": ALL,
    "gcp:storage/bucketObject:BucketObject": ALL,
}


@dataclass
class Plan:
    """Logical names by what would happen to them."""

    created: set[str] = field(default_factory=set)
    updated: set[str] = field(default_factory=set)
    replaced: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)

    @property
    def touched(self) -> set[str]:
        return self.created | self.updated | self.replaced | self.deleted


def plan(before: Deployment, after: Deployment) -> Plan:
    """What `pulumi up` from one to the other does."""
    old = {resource.urn: resource for resource in before.custom}
    new = {resource.urn: resource for resource in after.custom}
    result = Plan()
    result.created = {new[urn].name for urn in new.keys() - old.keys()}
    result.deleted = {old[urn].name for urn in old.keys() - new.keys()}
    for urn in old.keys() & new.keys():
        changed = _changed(old[urn], new[urn])
        fixed = IMMUTABLE[old[urn].type]
        if changed and (fixed == ALL or changed & fixed):
            result.replaced.add(old[urn].name)
        elif changed:
            result.updated.add(old[urn].name)
    return result


def _changed(old: Resource, new: Resource) -> set[str]:
    names: set[str] = {*old.inputs, *new.inputs}

    def value(resource: Resource, name: str) -> Any:
        return resource.inputs.get(name)

    return {name for name in names if value(old, name) != value(new, name)}
