"""What Google computes, by type: outputs besides the inputs. `id` is the resource's id in Pulumi's state."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from rtms_infra.rehearsal.cloud import PROJECT_NUMBER

Inputs = Mapping[str, Any]


def _account(p: str, i: Inputs, n: str) -> dict[str, Any]:
    email = f"{i['accountId']}@{p}.iam.gserviceaccount.com"
    name = f"projects/{p}/serviceAccounts/{email}"
    return {"id": name, "name": name, "email": email, "member": f"serviceAccount:{email}"}


def _function(p: str, i: Inputs, n: str) -> dict[str, Any]:
    place, name = i["location"], i["name"]
    service = {"service": f"projects/{p}/locations/{place}/services/{name}", "uri": f"https://{name}-abcdef-uk.a.run.app"}
    return {
        "id": f"projects/{p}/locations/{place}/functions/{name}",
        "url": f"https://{place}-{p}.cloudfunctions.net/{name}",
        "state": "ACTIVE",
        "serviceConfig": {**i["serviceConfig"], **service},
        "buildConfig": {**i["buildConfig"], "build": f"projects/{PROJECT_NUMBER}/locations/{place}/builds/build-{name}"},
    }


def _pool(p: str, i: Inputs, n: str) -> dict[str, Any]:
    return {"name": f"projects/{PROJECT_NUMBER}/locations/global/workloadIdentityPools/{i['workloadIdentityPoolId']}"}


def _version(p: str, i: Inputs, n: str) -> dict[str, Any]:
    # Google counts versions up; a number that follows the content is as good, and needs no memory.
    return {"version": str(1 + int(hashlib.sha256(i["secretData"].encode()).hexdigest()[:4], 16))}


def _named(p: str, i: Inputs, kind: str, label: str) -> str:
    return f"projects/{p}/{kind}/{hashlib.sha256(label.encode()).hexdigest()[:12]}"


COMPUTED: dict[str, Callable[[str, Inputs, str], dict[str, Any]]] = {
    "gcp:artifactregistry/repository:Repository": lambda p, i, n: {"name": i["repositoryId"]},
    "gcp:cloudfunctionsv2/function:Function": _function,
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": _pool,
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": lambda p, i, n: {
        "name": f"{_pool(p, i, n)['name']}/providers/{i['workloadIdentityPoolProviderId']}"
    },
    "gcp:logging/metric:Metric": lambda p, i, n: {"id": i["name"]},
    "gcp:monitoring/dashboard:Dashboard": lambda p, i, n: {"id": f"projects/{PROJECT_NUMBER}/dashboards/00000000-dash"},
    "gcp:monitoring/notificationChannel:NotificationChannel": lambda p, i, n: {
        "name": _named(p, i, "notificationChannels", i["displayName"])
    },
    "gcp:monitoring/uptimeCheckConfig:UptimeCheckConfig": lambda p, i, n: {"uptimeCheckId": "uptime-0123456789"},
    "gcp:projects/iAMCustomRole:IAMCustomRole": lambda p, i, n: {"name": f"projects/{p}/roles/{i['roleId']}"},
    "gcp:secretmanager/secret:Secret": lambda p, i, n: {"name": f"projects/{PROJECT_NUMBER}/secrets/{i['secretId']}"},
    "gcp:secretmanager/secretVersion:SecretVersion": _version,
    "gcp:serviceaccount/account:Account": _account,
    "gcp:storage/bucket:Bucket": lambda p, i, n: {"url": f"gs://{i['name']}", "projectNumber": int(PROJECT_NUMBER)},
    "gcp:storage/bucketObject:BucketObject": lambda p, i, n: {"generation": 1},
}
"""Type -> (project, plain inputs, Google's number) -> computed outputs."""
