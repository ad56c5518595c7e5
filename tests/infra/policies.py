"""What must hold for every configuration. Each policy yields one sentence for each violation; `POLICIES` is all of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from rtms_infra.rehearsal import schema
from tests.infra.deployment import SECRETS, Deployment, Resource

PUBLIC = ("allUsers", "allAuthenticatedUsers")

API_OF = {
    "artifactregistry": "artifactregistry",
    "billing": "billingbudgets",
    "cloudfunctionsv2": "cloudfunctions",
    "cloudrunv2": "run",
    "cloudscheduler": "cloudscheduler",
    "cloudtasks": "cloudtasks",
    "firestore": "firestore",
    "iam": "iam",
    "logging": "logging",
    "monitoring": "monitoring",
    "secretmanager": "secretmanager",
    "serviceaccount": "iam",
    "storage": "storage",
}
"""Module of the resource type -> the API it is created through. `projects` is in `_api`, by type."""

STATEFUL = {"Database", "Queue"}
"""Types that are always state. A bucket is state unless it holds sources only."""

LABELS = ("labels", "userLabels")


def _module(resource: Resource) -> str:
    return resource.type.split(":")[1].split("/")[0]


def _api(resource: Resource) -> str | None:
    if resource.kind == "Service":
        return None
    if _module(resource) == "projects":
        return "iam" if resource.kind == "IAMCustomRole" else "cloudresourcemanager"
    return API_OF[_module(resource)]


def inputs_match_the_schema(deployment: Deployment) -> Iterator[str]:
    for resource in deployment.custom:
        yield from schema.check(resource.type, resource.name, resource.inputs)


def only_the_webhook_is_public(deployment: Deployment) -> Iterator[str]:
    for resource in deployment.custom:
        for path, value in resource.walk():
            if value in PUBLIC and not (resource.name == "webhook-public" and path == "member"):
                yield f"{resource} is open to {value}"
        if resource.name == "webhook-public" and not str(resource.inputs["name"]).endswith("-webhook"):
            yield f"{resource} opens {resource.inputs['name']}"
    callers = any(resource.name.startswith("worker-caller-") for resource in deployment.custom)
    ingress = deployment.named("worker").inputs["serviceConfig"].get("ingressSettings")
    if not callers and ingress == "ALLOW_ALL":
        yield "the worker can be reached from the internet, though nobody there may call it"
    for bucket in deployment.of("Bucket"):
        if bucket.inputs.get("publicAccessPrevention") != "enforced" or bucket.inputs.get("uniformBucketLevelAccess") is not True:
            yield f"{bucket} could be made public"


def no_secret_in_plain_sight(deployment: Deployment) -> Iterator[str]:
    values = [value for name, value in deployment.config.items() if name in SECRETS or name == "rtmskit:zoomSecretTokenPrevious"]
    for resource in deployment.custom:
        for path, value in resource.walk():
            marked = isinstance(value, dict) and "$secret" in value
            channel = resource.kind == "NotificationChannel" and path.partition(".")[0] in ("sensitiveLabels", "labels")
            if marked and not channel and not (resource.kind == "SecretVersion" and path == "secretData"):
                yield f"{resource} is given a secret as {path}"
            if not marked and isinstance(value, str) and any(secret in value for secret in values):
                yield f"{resource} shows a secret in {path}"
        if resource.kind == "SecretVersion" and "$secret" not in resource.inputs.get("secretData", {}):
            yield f"{resource} keeps its value as plain text in Pulumi's state"
    for name, value in deployment.outputs.items():
        if any(secret in json.dumps(value) for secret in values):
            yield f"the output {name} shows a secret"


def secrets_are_pinned(deployment: Deployment) -> Iterator[str]:
    for function in deployment.of("Function"):
        for variable in function.inputs["serviceConfig"].get("secretEnvironmentVariables", []):
            if not re.fullmatch(r"[1-9][0-9]*", str(variable.get("version"))):
                yield f"{function}: {variable['key']} is pinned to {variable.get('version')!r}, not to a numbered version"


def apis_come_before_their_users(deployment: Deployment) -> Iterator[str]:
    enabled = {r.inputs["service"]: r.urn for r in deployment.of("Service") if _module(r) == "projects"}
    for resource in deployment.custom:
        api = _api(resource)
        if api is None:
            continue
        service = f"{api}.googleapis.com"
        if service not in enabled:
            yield f"{resource} needs {service}, which nothing enables"
        elif enabled[service] not in deployment.needs(resource):
            yield f"{resource} does not wait for {service}"


def no_rights_across_the_project(deployment: Deployment) -> Iterator[str]:
    """Project-wide grants are few, known, and none of them reaches secrets; what can be narrowed by a condition is."""
    allowed = {"roles/logging.logWriter": False, "roles/storage.objectViewer": True, "roles/cloudfunctions.developer": False}
    for member in deployment.of("IAMMember"):
        if _module(member) != "projects":
            continue
        role = member.inputs["role"]
        needs_condition = True if "/roles/" in role else allowed.get(role)
        if needs_condition is None:
            yield f"{member} grants {role} on the whole project"
        elif needs_condition and not member.inputs.get("condition"):
            yield f"{member} grants {role} without a condition"
    for grant in deployment.custom:
        if "secretmanager" in str(grant.inputs.get("role", "")) and grant.kind != "SecretIamMember":
            yield f"{grant} reaches more than one secret"


READERS = {
    "zoom-secret-token": "webhook",
    "zoom-secret-token-previous": "webhook",
    "recall-webhook-secrets": "webhook",
    "zoom-client-secret": "worker",
    "recall-api-key": "worker",
}


def each_secret_has_one_reader(deployment: Deployment) -> Iterator[str]:
    found: dict[str, list[str]] = {}
    for grant in deployment.of("SecretIamMember"):
        short = next((s for s in sorted(READERS, key=len, reverse=True) if grant.inputs["secretId"].endswith(s)), "?")
        found.setdefault(short, []).append(grant.inputs["member"].split("@")[0].rsplit("-", 1)[-1])
        if grant.inputs["role"] != "roles/secretmanager.secretAccessor":
            yield f"{grant} grants {grant.inputs['role']}"
    for short, readers in found.items():
        if readers != [READERS.get(short)]:
            yield f"the secret {short} is readable by {readers}"
    for function in deployment.of("Function"):
        for variable in function.inputs["serviceConfig"].get("secretEnvironmentVariables", []):
            grant = f"access-{variable['key'].lower().replace('_', '-')}"
            if not any(deployment.by_urn[urn].name == grant for urn in deployment.needs(function)):
                yield f"{function} may start before it can read {variable['key']}"


def everything_is_labelled(deployment: Deployment) -> Iterator[str]:
    for resource in deployment.custom:
        properties = schema.resource_type(resource.type).properties
        # A notification channel's `labels` are its address; its labels are the user's.
        name = "userLabels" if "userLabels" in properties else "labels"
        if name in properties and not {"app", "environment", "managed-by"} <= set(resource.inputs.get(name, {})):
            yield f"{resource} has no labels"


def state_is_protected(deployment: Deployment) -> Iterator[str]:
    wanted = deployment.config.get("rtmskit:protect", "true") == "true"
    for resource in deployment.custom:
        stateful = resource.kind in STATEFUL or (resource.kind == "Bucket" and resource.name != "source")
        if stateful and resource.protect != wanted:
            yield f"{resource} is {'not ' if wanted else ''}protected"
        if not stateful and resource.protect:
            yield f"{resource} is protected, though it holds no state"
    for database in deployment.of("Database"):
        enabled = database.inputs.get("deleteProtectionState") == "DELETE_PROTECTION_ENABLED"
        if enabled != wanted:
            yield f"{database} has delete protection {'off' if wanted else 'on'}"
    for bucket in deployment.of("Bucket"):
        if bucket.name != "source" and bucket.inputs.get("forceDestroy"):
            yield f"{bucket} is emptied when it is destroyed"


def nothing_remains_after_forget(deployment: Deployment) -> Iterator[str]:
    """A revoked recording must be gone: no versions and no soft delete on the archive."""
    for bucket in deployment.of("Bucket"):
        if bucket.name == "archive":
            if bucket.inputs.get("versioning", {}).get("enabled") is not False:
                yield f"{bucket} keeps old versions"
            if bucket.inputs.get("softDeletePolicy", {}).get("retentionDurationSeconds") != 0:
                yield f"{bucket} keeps deleted objects"


def entry_points_exist(deployment: Deployment) -> Iterator[str]:
    for function in deployment.of("Function"):
        entry = function.inputs["buildConfig"].get("entryPoint")
        if entry != function.name or entry not in ("webhook", "worker"):
            yield f"{function} starts {entry!r}"


def functions_fit_their_duty(deployment: Deployment) -> Iterator[str]:
    """Fast starts for Zoom's 3 seconds, and worker calls that may last as long as Cloud Tasks waits."""
    for function in deployment.of("Function"):
        service = function.inputs["serviceConfig"]
        if float(service.get("availableCpu", "0")) < 1:
            yield f"{function} has less than one CPU"
        if not service.get("serviceAccountEmail"):
            yield f"{function} runs as the default service account"
        if function.name == "worker" and service.get("timeoutSeconds", 60) < 1800:
            yield f"{function} is cut off before Cloud Tasks gives up"
        if not function.inputs["buildConfig"].get("serviceAccount"):
            yield f"{function} is built by the default service account"


def names_are_not_taken_twice(deployment: Deployment) -> Iterator[str]:
    """The cloud's names, not the program's: two resources of a type must not fight over one."""
    seen: dict[tuple[str, str], Resource] = {}
    for resource in deployment.custom:
        for path in ("name", "secretId", "accountId", "repositoryId", "roleId", "service"):
            value = resource.inputs.get(path)
            if isinstance(value, str) and "Iam" not in resource.kind and "IAMMember" not in resource.kind:
                where = f"{resource.inputs.get('location', '')}/{value}"
                if (resource.type, where) in seen:
                    yield f"{resource} and {seen[resource.type, where]} are both {value}"
                seen[resource.type, where] = resource


def documented(deployment: Deployment) -> dict[str, tuple[str, re.Pattern[str]]]:
    """Logical name or pattern -> (component's type, the pattern) from the components' docstrings."""
    from tests.infra.purposes import purposes

    return {name: (component, re.compile(re.escape(name).replace(r"\*", ".+"))) for component, name, _ in purposes()}


def everything_has_a_purpose(deployment: Deployment) -> Iterator[str]:
    known = documented(deployment)
    for resource in deployment.custom:
        parent = deployment.by_urn[resource.parent].type
        if not any(parent == component and pattern.fullmatch(resource.name) for component, pattern in known.values()):
            yield f"{resource} is not in its component's docstring: nobody says what it is for"
        if resource.parent.split("::")[2] == "pulumi:pulumi:Stack":
            yield f"{resource} belongs to no component"


Policy = Callable[[Deployment], Iterator[str]]

POLICIES: dict[str, Policy] = {
    policy.__name__: policy
    for policy in (
        inputs_match_the_schema,
        only_the_webhook_is_public,
        no_secret_in_plain_sight,
        secrets_are_pinned,
        apis_come_before_their_users,
        no_rights_across_the_project,
        each_secret_has_one_reader,
        everything_is_labelled,
        state_is_protected,
        nothing_remains_after_forget,
        entry_points_exist,
        functions_fit_their_duty,
        names_are_not_taken_twice,
        everything_has_a_purpose,
    )
}


def _checked(policy: Policy, deployment: Deployment) -> list[str]:
    """A rule that finds nothing where it looks has found a violation."""
    try:
        return list(policy(deployment))
    except Exception as error:  # noqa: BLE001  # whatever a broken deployment makes of it
        return [f"cannot be checked: {type(error).__name__}: {error}"]


def rules() -> dict[str, Policy]:
    """Every rule by its name: policies, cross-checks and what is watched."""
    from tests.infra.crosschecks import RULES
    from tests.infra.watchchecks import WATCH_RULES

    return {**POLICIES, **RULES, **WATCH_RULES}


def violations(deployment: Deployment, *, of: str = "") -> dict[str, list[str]]:
    """Rule -> what violates it; empty when all is well. `of`: this rule alone."""
    known = rules()
    found = {name: _checked(policy, deployment) for name, policy in ({of: known[of]} if of else known).items()}
    return {name: sentences for name, sentences in found.items() if sentences}
