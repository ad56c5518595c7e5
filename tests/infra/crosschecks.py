"""Rules that compare one part of a deployment with another: rights with what the code calls, the environment with the resources, each
user with what it needs before. Written from what is promised and from the vendors' documents, not from the program: no golden file enters.

Each rule yields one sentence for each violation. `RULES` is all of them.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from rtms_infra.config import Config, parse
from rtms_infra.rehearsal.provider import bare
from rtms_relay.adapters.documents import INDEXED
from rtms_relay.adapters.needs import NEEDS
from tests.infra.deployment import SECRET_NAMES, Deployment, Resource, numbers_of

GRANTED_BY = {
    "cloudtasks.tasks.create": "roles/cloudtasks.enqueuer",
    "iam.serviceAccounts.actAs": "roles/iam.serviceAccountUser",
    "storage.objects.create": "roles/storage.objectUser",
    "storage.objects.delete": "roles/storage.objectUser",
    "storage.objects.get": "roles/storage.objectUser",
    "storage.objects.list": "roles/storage.objectUser",
    "storage.objects.update": "roles/storage.objectUser",
}
"""Permission -> the smallest predefined role that holds it (Google's IAM role reference). Firestore's are in a custom role."""

QUEUES = ("handoffs", "handoffs-second", "facts", "retrievals")
INVOKERS = ("events", "retrieve", "sweep")

Grant = tuple[str, str, str]
"""(member's short name, role, on)."""


@cache
def _parsed(raw: str, stack: str) -> Config:
    return parse(json.loads(raw), SECRET_NAMES, stack)


def config_of(deployment: Deployment) -> Config:
    """The configuration that was deployed; the stack's name is in every URN (`urn:pulumi:STACK::...`)."""
    return _parsed(json.dumps(dict(deployment.config)), deployment.resources[0].urn.split(":")[2])


def _member(deployment: Deployment, member: str) -> str:
    config = config_of(deployment)
    own = re.fullmatch(rf"serviceAccount:{config.place.name}-([a-z]+)@{config.place.project}\.iam\.gserviceaccount\.com", member)
    return own[1] if own else member


def _on(resource: Resource) -> str:
    i = resource.inputs
    match resource.kind:
        case "QueueIamMember":
            return f"queue {i['location']}/{i['name']}"
        case "ServiceIamMember":
            return f"service {i['location']}/{i['name']}"
        case "SecretIamMember":
            return f"secret {i['secretId']}"
        case "BucketIAMMember":
            return f"bucket {i['bucket']}"
        case "RepositoryIamMember":
            return f"images {i['location']}/{i['repository']}"
        case "IAMMember" if "serviceAccountId" in i:
            return f"account {str(i['serviceAccountId']).rsplit('/', 1)[-1].split('@')[0]}"
        case _:
            return f"project {i['project']}"


def grants(deployment: Deployment) -> set[Grant]:
    """Every grant, with what it is on."""
    return {(_member(deployment, r.inputs["member"]), r.inputs["role"], _on(r)) for r in deployment.custom if "member" in r.inputs}


def _queue_names(config: Config) -> Iterator[tuple[str, str]]:
    """(region, name) of the four queues."""
    place = config.place
    yield place.region, f"{place.name}-handoffs"
    yield place.second_region, f"{place.name}-handoffs"
    yield place.region, f"{place.name}-facts"
    yield place.region, f"{place.name}-retrievals"


def _expected_from_needs(config: Config) -> Iterator[Grant]:
    name, project = config.place.name, config.place.project
    for need in NEEDS:
        for role in need.roles:
            if need.where == "queue":
                yield from ((role, GRANTED_BY[need.permission], f"queue {region}/{queue}") for region, queue in _queue_names(config))
            elif need.where == "identity":
                yield from ((role, GRANTED_BY[need.permission], f"account {name}-{identity}") for identity in ("events", "retrieve"))
            elif need.where == "archive" and config.archive.on:
                yield role, GRANTED_BY[need.permission], f"bucket {project}-{name}-archive"
            elif need.where == "database":
                yield role, f"projects/{project}/roles/{name.replace('-', '_')}_{role}_records", f"project {project}"


def _expected_of_the_platform(deployment: Deployment, config: Config) -> Iterator[Grant]:
    """What Cloud Run, Cloud Build and the configured people need."""
    name, project, region = config.place.name, config.place.project, config.place.region
    for identity in INVOKERS:
        yield identity, "roles/run.invoker", f"service {region}/{name}-worker"
    for caller in config.access.worker_callers:
        yield caller, "roles/run.invoker", f"service {region}/{name}-worker"
    if config.access.public_webhook:
        yield "allUsers", "roles/run.invoker", f"service {region}/{name}-webhook"
    for function in deployment.of("Function"):
        for variable in function.inputs["serviceConfig"].get("secretEnvironmentVariables", []):
            yield function.name, "roles/secretmanager.secretAccessor", f"secret {variable['secret']}"
    yield "build", "roles/logging.logWriter", f"project {project}"
    yield "build", "roles/storage.objectViewer", f"project {project}"
    yield "build", "roles/artifactregistry.writer", f"images {region}/{name}-images"
    if config.github and config.github.deploys:
        yield "deployer", "roles/cloudfunctions.developer", f"project {project}"
        yield "deployer", "roles/storage.objectAdmin", f"bucket {project}-{name}-source"
        for role in ("webhook", "worker", "build"):
            yield "deployer", "roles/iam.serviceAccountUser", f"account {name}-{role}"


def rights_are_what_the_code_needs(deployment: Deployment) -> Iterator[str]:
    """Neither too little nor too much, on the right resource, for the right account."""
    config = config_of(deployment)
    expected = {*_expected_from_needs(config), *_expected_of_the_platform(deployment, config)}
    found = {grant for grant in grants(deployment) if grant[1] != "roles/iam.workloadIdentityUser"}
    for who, role, on in sorted(expected - found):
        yield f"{who} lacks {role} on {on}"
    for who, role, on in sorted(found - expected):
        yield f"{who} has {role} on {on}, which no code needs"
    every = [(r.inputs["member"], r.inputs["role"], _on(r)) for r in deployment.custom if "member" in r.inputs]
    for grant in {grant for grant in every if every.count(grant) > 1}:
        yield f"{grant} is granted twice"


def custom_roles_hold_what_the_code_calls(deployment: Deployment) -> Iterator[str]:
    expected: dict[str, set[str]] = {}
    for need in NEEDS:
        if need.where == "database":
            for role in need.roles:
                expected.setdefault(f"role-records-{role}", set()).add(need.permission)
    found = {resource.name: set(resource.inputs["permissions"]) for resource in deployment.of("IAMCustomRole")}
    for name in expected.keys() | found.keys():
        missing, spare = expected.get(name, set()) - found.get(name, set()), found.get(name, set()) - expected.get(name, set())
        if missing:
            yield f"{name} lacks {', '.join(sorted(missing))}"
        if spare:
            yield f"{name} holds {', '.join(sorted(spare))}, which no code calls"


def conditions_narrow_to_what_they_say(deployment: Deployment) -> Iterator[str]:
    config = config_of(deployment)
    project, name = config.place.project, config.place.name
    expected = {
        "records-worker": f'resource.name == "projects/{project}/databases/{name}"',
        "build-sources": 'resource.name.startsWith("projects/_/buckets/gcf-v2-sources-") || '
        f'resource.name.startsWith("projects/_/buckets/{project}-{name}-source")',
    }
    for resource in deployment.of("IAMMember"):
        expression = (resource.inputs.get("condition") or {}).get("expression")
        if expression != expected.get(resource.name):
            yield f"{resource} has the condition {expression!r}"


def _environment(deployment: Deployment, role: str) -> Mapping[str, Any]:
    return deployment.named(role).inputs["serviceConfig"]["environmentVariables"]


def worker_address(deployment: Deployment, role: str = "worker") -> str:
    """Cloud Run's deterministic address of a service."""
    place = config_of(deployment).place
    return f"https://{place.name}-{role}-123456789012.{place.region}.run.app"


def _expected_environment(deployment: Deployment, role: str) -> dict[str, str]:
    config = config_of(deployment)
    place = config.place
    paths = [f"projects/{place.project}/locations/{region}/queues/{name}" for region, name in _queue_names(config)]
    emails = {role: f"{place.name}-{role}@{place.project}.iam.gserviceaccount.com" for role in INVOKERS}
    archived = deployment.named("source-object").inputs["name"]
    both = {
        "CODE_HASH": str(archived).removeprefix("function-").removesuffix(".zip"),
        "FACTS_QUEUE": paths[2],
        "HANDOFF_QUEUES": f"{paths[0]},{paths[1]}",
        "LOG_IDS": config.log_ids,
        "RETRIEVAL_QUEUE": paths[3],
        "TASKS_INVOKERS": ",".join(f"{name}={email}" for name, email in emails.items()),
        "WORKER_URL": worker_address(deployment),
        "ZOOM_CONNECT_WINDOW_S": str(config.zoom.connect_window_s),
    }
    if role == "webhook":
        own = {
            "ZOOM_ON_DEAUTHORIZED": config.zoom.on_deauthorized,
            "ZOOM_SIGNATURE_WINDOW_S": str(config.zoom.signature_window_s),
        }
        return both | own
    own = {
        "DEPLOYMENT": f"{place.project}/{place.name}",
        "RECALL_ENTITY_FIELD": config.recall.entity_field,
        "RECALL_REGION": config.recall.region,
        "RECALL_TIMEOUT_S": str(config.recall.timeout_s),
        "RECORDS_KEEP_DAYS": str(config.records_keep_days),
        "RETRIEVAL_GIVE_UP_S": str(config.recall.give_up_s),
        "RETRIEVAL_POLL_S": str(config.recall.poll_s),
        "STATE_URL": f"firestore://{place.project}/{place.name}",
        "ZOOM_CLIENT_ID": config.zoom.client_id,
        "ZOOM_SERVER_HOSTS": config.zoom.server_hosts,
    }
    if config.recall.base_url:
        own["RECALL_BASE_URL"] = config.recall.base_url
    if config.recall.recording_config:
        own["RECALL_RECORDING_CONFIG"] = config.recall.recording_config
    if config.archive.on:
        own["ARCHIVE_URL"] = f"gs://{place.project}-{place.name}-archive"
    return both | own


def the_environment_names_the_right_resources(deployment: Deployment) -> Iterator[str]:
    """Each URL, queue, account, database, number is that of the right resource; nothing is left out because it has a default."""
    for role in ("webhook", "worker"):
        expected, found = _expected_environment(deployment, role), _environment(deployment, role)
        for name in sorted(expected.keys() | found.keys()):
            if expected.get(name) != found.get(name):
                yield f"{role}: {name} is {found.get(name)!r}, not {expected.get(name)!r}"


SECRET_OF = {
    "ZOOM_SECRET_TOKEN": ("webhook", lambda c: c.zoom.secret_token),
    "ZOOM_SECRET_TOKEN_PREVIOUS": ("webhook", lambda c: c.zoom.secret_token_previous),
    "RECALL_WEBHOOK_SECRETS": ("webhook", lambda c: c.recall.webhook_secrets),
    "ZOOM_CLIENT_SECRET": ("worker", lambda c: c.zoom.client_secret),
    "RECALL_API_KEY": ("worker", lambda c: c.recall.api_key),
}


def secrets_hold_their_own_values(deployment: Deployment) -> Iterator[str]:
    config = config_of(deployment)
    for variable, (role, value) in SECRET_OF.items():
        short = variable.lower().replace("_", "-")
        held = value(config)
        entries = [v for v in deployment.named(role).inputs["serviceConfig"].get("secretEnvironmentVariables", []) if v["key"] == variable]
        if held is None:
            if entries:
                yield f"{role} is given {variable}, which is not configured"
            continue
        if len(entries) != 1 or entries[0]["secret"] != f"{config.place.name}-{short}" or entries[0]["projectId"] != config.place.project:
            yield f"{role}: {variable} is not the secret {config.place.name}-{short}"
        version = deployment.named(f"version-{short}")
        if bare(version.inputs["secretData"]) != held.value:
            yield f"the secret {short} holds another value than its key"
        if version.inputs["secret"] != f"projects/{config.place.project}/secrets/{config.place.name}-{short}":
            yield f"{version} is a version of {version.inputs['secret']}"
        if deployment.named(f"secret-{short}").inputs.get("versionDestroyTtl") != "604800s":
            yield f"secret-{short}: a rotation cannot be taken back for a week"


def _urns(deployment: Deployment, *names: str) -> set[str]:
    return {resource.urn for resource in deployment.custom if any(re.fullmatch(name, resource.name) for name in names)}


def _order(deployment: Deployment) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Name -> patterns of what must be there before it."""
    own_secrets = {
        role: tuple(f"(access|version)-{v.lower().replace('_', '-')}" for v, (r, _) in SECRET_OF.items() if r == role)
        for role in ("webhook", "worker")
    }
    builds = ("build-.*", "source-object", "images", "field-.*", "api-(cloudbuild|run|artifactregistry|cloudfunctions)")
    queues = ("queue-.*",)
    yield "webhook", (*builds, *queues, "enqueue-.*-webhook", "act-as-.*-webhook", "account-webhook", *own_secrets["webhook"])
    yield (
        "worker",
        (
            *builds, *queues, "enqueue-.*-worker", "act-as-.*-worker", "account-worker", *own_secrets["worker"], "database",
            "records-worker", "archive-objects",
        ),
    )  # fmt: skip
    for job in ("sweep", "probe"):
        yield job, ("worker", "worker-called-sweep", "account-sweep")
    for alert in deployment.of("AlertPolicy"):
        yield alert.name, ("metric-.*", "webhook", "worker")
    yield "dashboard", ("metric-.*",)
    yield "records-worker", ("role-records-worker", "account-worker")
    for field in deployment.of("Field"):
        # No build may begin right after its grants: the fields' long operations stand between them.
        yield field.name, ("database", "build-.*", "access-.*")
    for grant in deployment.custom:
        if grant.kind == "QueueIamMember":
            yield grant.name, (grant.name.replace("enqueue-", "queue-").removesuffix("-webhook").removesuffix("-worker"),)
        if grant.kind == "ServiceIamMember":
            yield grant.name, ("webhook" if "webhook" in grant.name else "worker",)
    if any(resource.name == "uptime" for resource in deployment.custom):
        yield "uptime", ("webhook",)
    if any(resource.name == "deployer-github" for resource in deployment.custom):
        yield "deployer-github", ("provider", "pool", "account-deployer")


def everything_comes_after_what_it_needs(deployment: Deployment) -> Iterator[str]:
    for name, patterns in _order(deployment):
        resource = deployment.named(name)
        missing = _urns(deployment, *patterns) - deployment.needs(resource) - {resource.urn}
        if missing:
            yield f"{name} does not wait for {', '.join(sorted(urn.rsplit('::', 1)[-1] for urn in missing))}"


def _chain(deployment: Deployment) -> list[Resource]:
    return [*deployment.of("Field"), *deployment.of("BackupSchedule"), *deployment.of("Index")]


def work_on_the_database_is_serial(deployment: Deployment) -> Iterator[str]:
    """Administrative operations on one database refuse each other (409)."""
    chain = _chain(deployment)
    for index, one in enumerate(chain):
        for other in chain[index + 1 :]:
            if one.urn not in deployment.needs(other) and other.urn not in deployment.needs(one):
                yield f"{one} and {other} would run side by side"


def queues_and_time_outs_fit_the_budgets(deployment: Deployment) -> Iterator[str]:
    """The promised numbers of the queues, and the function's own table of budgets."""
    from rtms_relay import budgets

    config, numbers = config_of(deployment), numbers_of(deployment)
    worker, webhook = numbers.functions["worker"], numbers.functions["webhook"]
    for name in QUEUES:
        queue = numbers.queues[name]
        expected = {"handoffs": 10, "handoffs-second": 10, "facts": 300, "retrievals": 300}[name]
        if (queue.max_attempts, queue.max_retry_s) != (-1, 0):
            yield f"{name} gives tasks up"
        if (queue.min_backoff_s, queue.max_backoff_s) != (1, expected) or queue.max_doublings < 3:
            yield f"{name} waits {queue.min_backoff_s} to {queue.max_backoff_s} s between attempts, not 1 to {expected}"
        if name != "retrievals" and not 50 <= queue.per_second <= 500:
            yield f"{name} dispatches {queue.per_second} a second"
        if name != "retrievals" and queue.concurrent < min(worker.slots // 10, 50):
            yield f"{name} may have {queue.concurrent} tasks under way"
    if numbers.queues["retrievals"].per_second != config.retrievals_per_second:
        yield f"retrievals dispatches {numbers.queues['retrievals'].per_second} a second, not {config.retrievals_per_second}"
    if numbers.queues["retrievals"].concurrent * 2 > worker.slots:
        yield "retrievals may take more than half of the worker"
    if sum(numbers.queues[name].concurrent for name in QUEUES) >= worker.slots:
        yield "the queues together may take all of the worker"
    if (
        numbers.queues["handoffs"].location != config.place.region
        or numbers.queues["handoffs-second"].location != config.place.second_region
    ):
        yield "the hand-off queues are not in the two regions"
    deadline = config.zoom.connect_window_s + budgets.DISPATCH_MARGIN_MS / 1000
    if worker.timeout_s < min(1800, max(deadline, budgets.ARCHIVE_LEASE_MS / 1000)):
        yield f"the worker is cut off after {worker.timeout_s} s"
    if not config.zoom.connect_window_s < webhook.timeout_s <= config.zoom.connect_window_s + 60:
        yield f"the webhook is cut off after {webhook.timeout_s} s, the window is {config.zoom.connect_window_s} s"
    if numbers.second_region_delay_s * 1000 != budgets.SECOND_REGION_DELAY_MS:
        yield "the second region's delay is not the code's"
    if numbers.sweep_every_s * 1000 != budgets.SWEEP_MS or numbers.sweep_deadline_s * 1000 < budgets.SWEEP_BUDGET_MS:
        yield "the sweep's interval or deadline is not the code's"


def functions_are_sized_as_configured(deployment: Deployment) -> Iterator[str]:
    config = config_of(deployment)
    place = config.place
    for role, capacity in (("webhook", config.webhook), ("worker", config.worker)):
        function = deployment.named(role)
        service, build = function.inputs["serviceConfig"], function.inputs["buildConfig"]
        account = f"{place.name}-{role}@{place.project}.iam.gserviceaccount.com"
        callers = config.access.worker_callers
        ingress = config.access.webhook_ingress if role == "webhook" else "ALLOW_ALL" if callers else "ALLOW_INTERNAL_ONLY"
        expected = {
            "availableCpu": capacity.cpu, "availableMemory": capacity.memory, "minInstanceCount": capacity.minimum,
            "maxInstanceCount": capacity.maximum, "maxInstanceRequestConcurrency": capacity.concurrency, "ingressSettings": ingress,
            "serviceAccountEmail": account, "allTrafficOnLatestRevision": True,
        }  # fmt: skip
        for name, value in expected.items():
            if service.get(name) != value:
                yield f"{role}: {name} is {service.get(name)!r}, not {value!r}"
        images = f"projects/{place.project}/locations/{place.region}/repositories/{place.name}-images"
        source = {"bucket": f"{place.project}-{place.name}-source", "object": deployment.named("source-object").inputs["name"]}
        built = {
            "runtime": config.runtime, "entryPoint": role, "dockerRepository": images, "source": {"storageSource": source},
            "serviceAccount": f"projects/{place.project}/serviceAccounts/{place.name}-build@{place.project}.iam.gserviceaccount.com",
        }  # fmt: skip
        for name, value in built.items():
            if build.get(name) != value:
                yield f"{role}: {name} is {build.get(name)!r}, not {value!r}"
        if (build.get("environmentVariables") or {}) != ({"RTMSKIT_REDEPLOY": config.redeploy} if config.redeploy else {}):
            yield f"{role}: another text in `redeploy` does not build it again"
        if function.inputs["location"] != place.region or function.inputs["name"] != f"{place.name}-{role}":
            yield f"{role} is {function.inputs['location']}/{function.inputs['name']}"


def the_schedule_calls_the_worker(deployment: Deployment) -> Iterator[str]:
    place = config_of(deployment).place
    url = worker_address(deployment)
    expected = {"sweep": ("* * * * *", {}), "probe": (r"\d+ \d+ * * *", {"probe": True})}
    for name, (cron, body) in expected.items():
        job = deployment.named(name)
        target = job.inputs["httpTarget"]
        if not re.fullmatch(re.escape(cron).replace(r"\\d\+", r"\d+"), job.inputs["schedule"]):
            yield f"{name} runs at {job.inputs['schedule']!r}"
        if (job.inputs.get("timeZone"), job.inputs["region"]) != ("Etc/UTC", place.region):
            yield f"{name} runs in {job.inputs.get('timeZone')}, {job.inputs['region']}"
        if (target.get("httpMethod"), target.get("uri")) != ("POST", f"{url}/sweep"):
            yield f"{name} calls {target.get('httpMethod')} {target.get('uri')}"
        if json.loads(base64.b64decode(target.get("body", ""))) != body:
            yield f"{name} sends another body than {body}"
        token = target.get("oidcToken") or {}
        account = f"{place.name}-sweep@{place.project}.iam.gserviceaccount.com"
        if (token.get("serviceAccountEmail"), token.get("audience")) != (account, url):
            yield f"{name} shows {token}, which the worker does not accept"
        if job.inputs.get("paused") or (job.inputs.get("retryConfig") or {}).get("retryCount"):
            yield f"{name} is paused, or repeats itself"
        if (target.get("headers") or {}).get("Content-Type") != "application/json":
            yield f"{name} does not say that it sends JSON"


QUERIED = ("due_at", "created_at", *INDEXED)
"""Fields that the store's queries filter and order by (adapters/firestore.py)."""

COLLECTIONS = ("handoffs", "streams", "unusable")
"""Collections whose documents carry `expires_at` and a body."""


def fields_fit_the_stores_queries(deployment: Deployment) -> Iterator[str]:
    place = config_of(deployment).place
    found = {(field.inputs["collection"], field.inputs["field"]): field for field in deployment.of("Field")}
    for collection in COLLECTIONS:
        for name in ("body", "expires_at"):
            field = found.pop((collection, name), None)
            if field is None:
                yield f"{collection}.{name} is indexed, and {'never expires' if name == 'expires_at' else 'large'}"
                continue
            if field.inputs.get("indexConfig") != {}:
                yield f"{collection}.{name} keeps an index"
            if (field.inputs.get("ttlConfig") is not None) != (name == "expires_at"):
                yield f"{collection}.{name}: {'no' if name == 'expires_at' else 'a'} time to live"
            if field.inputs["database"] != place.name or field.inputs.get("deletionPolicy") != "ABANDON":
                yield f"{field} is of the database {field.inputs['database']}, deletion {field.inputs.get('deletionPolicy')}"
    for collection, name in found:
        yield f"{collection}.{name} is exempted, {'though a query uses it' if name in QUERIED else 'and nothing needs that'}"


def indexes_fit_the_stores_lists(deployment: Deployment) -> Iterator[str]:
    """Firestore refuses a query by one field that is ordered by another unless an index of both is there."""
    place = config_of(deployment).place
    indexes = [index.inputs for index in deployment.of("Index")]
    found = {tuple((field["fieldPath"], field.get("order")) for field in index["fields"]) for index in indexes}
    expected = {((name, "ASCENDING"), ("created_at", "DESCENDING")) for name in INDEXED}
    for pair in sorted(expected ^ found):
        yield f"the index {pair} {'is missing' if pair in expected else 'is of no use'}"
    for index in indexes:
        if (index["collection"], index["database"], index.get("queryScope", "COLLECTION")) != ("handoffs", place.name, "COLLECTION"):
            yield f"an index is of {index['database']}/{index['collection']}"
        if not index.get("skipWait") or index.get("deletionPolicy") != "ABANDON":
            yield "an index is waited for, or taken apart before its database"


def state_is_kept(deployment: Deployment) -> Iterator[str]:
    config = config_of(deployment)
    place = config.place
    database = deployment.named("database").inputs
    expected = {
        "name": place.name, "locationId": place.database_location, "type": "FIRESTORE_NATIVE", "databaseEdition": "STANDARD",
        "pointInTimeRecoveryEnablement": "POINT_IN_TIME_RECOVERY_ENABLED", "deletionPolicy": "PREVENT" if place.protect else "DELETE",
    }  # fmt: skip
    for name, value in expected.items():
        if database.get(name) != value:
            yield f"database: {name} is {database.get(name)!r}, not {value!r}"
    schedules = deployment.of("BackupSchedule")
    if len(schedules) != bool(config.backup_days):
        yield f"{len(schedules)} schedules of backups for {config.backup_days} days"
    for schedule in schedules:
        daily = schedule.inputs.get("dailyRecurrence") is not None
        if schedule.inputs["retention"] != f"{config.backup_days * 86400}s" or not daily or schedule.inputs["database"] != place.name:
            yield f"{schedule} keeps backups for {schedule.inputs['retention']}"
    for resource in [*deployment.of("Queue"), deployment.named("archive")]:
        if resource.inputs.get("deletionPolicy") != ("PREVENT" if place.protect else "DELETE"):
            yield f"{resource} has the deletion policy {resource.inputs.get('deletionPolicy')}"


def the_archive_ages_as_configured(deployment: Deployment) -> Iterator[str]:
    config = config_of(deployment).archive
    rules = [
        (rule["action"].get("storageClass") or rule["action"]["type"], rule["condition"].get("age"))
        for rule in deployment.named("archive").inputs["lifecycleRules"]
    ]
    expected = [("AbortIncompleteMultipartUpload", 1)]
    expected += [("COLDLINE", config.cold_after_days)] if config.cold_after_days else []
    expected += [("Delete", config.delete_after_days)] if config.delete_after_days else []
    if sorted(rules) != sorted(expected):
        yield f"the archive's rules are {rules}, not {expected}"


def everything_is_in_its_region(deployment: Deployment) -> Iterator[str]:
    config = config_of(deployment)
    for resource in deployment.custom:
        place = resource.inputs.get("location") or resource.inputs.get("region")
        second = "handoffs-second" in resource.name
        if place is not None and place != (config.place.second_region if second else config.place.region):
            yield f"{resource} is in {place}"


def images_clean_themselves_up(deployment: Deployment) -> Iterator[str]:
    images = deployment.named("images").inputs
    policies = {policy["id"]: policy for policy in images.get("cleanupPolicies", [])}
    keep = policies.get("keep-newest", {}).get("mostRecentVersions", {}).get("keepCount")
    old = policies.get("delete-old", {}).get("condition", {}).get("olderThan")
    if images.get("cleanupPolicyDryRun") is not False or keep != 5 or old != "2592000s" or images.get("format") != "DOCKER":
        yield f"images: cleanup keeps {keep}, deletes after {old}, dry run {images.get('cleanupPolicyDryRun')}"
    if policies.get("keep-newest", {}).get("action") != "KEEP" or policies.get("delete-old", {}).get("action") != "DELETE":
        yield "images: the actions of the cleanup are exchanged"


def github_is_held_to_one_repository_and_ref(deployment: Deployment) -> Iterator[str]:
    config = config_of(deployment).github
    if config is None:
        return
    provider = deployment.named("provider").inputs
    condition = provider.get("attributeCondition", "")
    claims = {"repository_owner_id": config.owner_id, "repository": config.repository, "ref": config.ref}
    parts = set(condition.split(" && "))
    if parts != {f"assertion.{claim} == '{value}'" for claim, value in claims.items()}:
        yield f"provider lets in {condition!r}"
    if provider.get("oidc", {}).get("issuerUri") != "https://token.actions.githubusercontent.com":
        yield f"provider trusts {provider.get('oidc')}"
    mapping = provider.get("attributeMapping", {})
    if mapping.get("google.subject") != "assertion.sub" or mapping.get("attribute.repository") != "assertion.repository":
        yield f"provider maps {mapping}"
    if provider.get("disabled", False) or deployment.named("pool").inputs.get("disabled", False) is not (not config.deploys):
        yield "pool and provider are not switched as configured"
    if not config.deploys:
        return
    grant = deployment.named("deployer-github").inputs
    pool = f"projects/123456789012/locations/global/workloadIdentityPools/{config_of(deployment).place.name}-{config.pool}"
    if grant["member"] != f"principalSet://iam.googleapis.com/{pool}/attribute.repository/{config.repository}":
        yield f"{grant['member']} may be the deployer"
    if grant["role"] != "roles/iam.workloadIdentityUser" or not grant["serviceAccountId"].split("@")[0].endswith("-deployer"):
        yield f"GitHub gets {grant['role']} on {grant['serviceAccountId']}"


def outputs_say_where_things_are(deployment: Deployment) -> Iterator[str]:
    config = config_of(deployment)
    webhook = config.access.webhook_url or worker_address(deployment, "webhook")
    expected = {
        "webhookUrl": webhook, "workerUrl": worker_address(deployment), "zoomEventUrl": f"{webhook}/zoom-webhook",
        "zoomRedirectUrl": f"{webhook}/oauth-callback/zoom", "recallWebhookUrl": f"{webhook}/recall-webhook",
        "stateUrl": f"firestore://{config.place.project}/{config.place.name}",
        "archiveUrl": f"gs://{config.place.project}-{config.place.name}-archive" if config.archive.on else "",
        "codeHash": _expected_environment(deployment, "webhook")["CODE_HASH"],
    }  # fmt: skip
    for name, value in expected.items():
        if deployment.outputs.get(name) != value:
            yield f"the output {name} is {deployment.outputs.get(name)!r}, not {value!r}"


Rule = Callable[[Deployment], Iterator[str]]

RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        rights_are_what_the_code_needs,
        custom_roles_hold_what_the_code_calls,
        conditions_narrow_to_what_they_say,
        the_environment_names_the_right_resources,
        secrets_hold_their_own_values,
        everything_comes_after_what_it_needs,
        work_on_the_database_is_serial,
        queues_and_time_outs_fit_the_budgets,
        functions_are_sized_as_configured,
        the_schedule_calls_the_worker,
        fields_fit_the_stores_queries,
        indexes_fit_the_stores_lists,
        state_is_kept,
        the_archive_ages_as_configured,
        everything_is_in_its_region,
        images_clean_themselves_up,
        github_is_held_to_one_repository_and_ref,
        outputs_say_where_things_are,
    )
}
