"""Realistic mistakes in the program, one line each, and the rule that catches each of them. The table in docs/infra-tests.md is
made of it.

A mistake is planted into a copy of the program (`file`: `old` becomes `new`), and the program runs with everything switched on. No golden
file is looked at: the rules alone must see it.
"""

# ruff: noqa: E501  # one mistake a line

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

EVERYTHING: dict[str, Any] = {
    "archive": True,
    "archiveDeleteAfterDays": 365,
    "workerCallers": ["group:recordings@example.com"],
    "alertEmails": ["oncall@example.com"],
    "alertPubsubTopics": ["projects/acme-rtms/topics/alerts"],
    "monthlyBudget": 50,
    "billingAccount": "012345-6789AB-CDEF01",
    "githubRepository": "acme/rtms",
    "githubOwnerId": "7",
    "recallRecordingConfig": '{"audio_mixed_raw": {}}',
    "redeploy": "1",
}
"""Every option that adds something, on."""


@dataclass(frozen=True)
class Mistake:
    kind: str
    what: str
    file: str
    old: str
    new: str
    rule: str


def _m(kind: str, what: str, file: str, old: str, new: str, rule: str) -> Mistake:
    return Mistake(kind, what, file, old, new, rule)


RIGHTS, CODE, ENV = "rights_are_what_the_code_needs", "custom_roles_hold_what_the_code_calls", "the_environment_names_the_right_resources"
ORDER, BUDGETS, SIZED = "everything_comes_after_what_it_needs", "queues_and_time_outs_fit_the_budgets", "functions_are_sized_as_configured"
CRON, FIELDS, KEPT = "the_schedule_calls_the_worker", "fields_fit_the_stores_queries", "state_is_kept"
INDEXES = "indexes_fit_the_stores_lists"
LINES, COUNTS, QUERIES = (
    "alerts_fire_on_the_lines_of_their_situation",
    "counters_count_what_they_name",
    "queries_ask_for_counters_that_exist",
)
REFUSED = "requests_without_an_instance_are_told"
WITNESS, METRICS, TOLD = "witnesses_are_there", "thresholds_watch_the_right_metric", "every_alert_reaches_somebody"
GITHUB, BOARD, CONDITION = (
    "github_is_held_to_one_repository_and_ref",
    "the_dashboard_is_inside_its_grid",
    "conditions_narrow_to_what_they_say",
)

MISTAKES: tuple[Mistake, ...] = (
    _m("form", "a nested key is misspelt", "functions.py", '"max_instance_count"', '"max_instance_cuont"', "inputs_match_the_schema"),
    _m("form", "a value that is no ingress", "functions.py", "else config.access.worker_ingress", 'else "ALLOW_EVERYTHING"', "inputs_match_the_schema"),
    _m("form", "a required field is missing", "queues.py", '                    "uri": pulumi.Output.concat(worker_url, "/sweep"),\n', "", "inputs_match_the_schema"),
    _m("secrets", "the key in the plain environment", "stack.py", '"ZOOM_CLIENT_ID": config.zoom.client_id', '"RECALL_API_KEY": config.recall.api_key.value', "no_secret_in_plain_sight"),
    _m("secrets", "the key as an output", "stack.py", '"stateUrl": state.url', '"stateUrl": config.recall.api_key.value', "no_secret_in_plain_sight"),
    _m("secrets", "the latest version instead of a number", "secrets.py", '"version": secret.version', '"version": "latest"', "secrets_are_pinned"),
    _m("secrets", "the key is read by the webhook", "secrets.py", '"RECALL_API_KEY": "worker",', '"RECALL_API_KEY": "webhook",', "each_secret_has_one_reader"),
    _m("rights", "anybody may call the worker", "functions.py", '"worker", identity.member(role)', '"worker", "allUsers"', "only_the_webhook_is_public"),
    _m("rights", "every secret of the project", "identity.py", "role=custom.name", 'role="roles/secretmanager.secretAccessor"', "no_rights_across_the_project"),
    _m("order", "the queues before their API", "queues.py", 'depends_on=[self._first, *apis.before("cloudtasks")]', "depends_on=[self._first]", "apis_come_before_their_users"),
    _m("records", "the database is not protected", "state.py", 'protect=place.protect, depends_on=[first, *apis.before("firestore")]', 'depends_on=[first, *apis.before("firestore")]', "state_is_protected"),
    _m("records", "the archive keeps old versions", "state.py", 'versioning={"enabled": False}', 'versioning={"enabled": True}', "nothing_remains_after_forget"),
    _m("form", "a wrong entry point", "functions.py", '"entry_point": role', '"entry_point": "main"', "entry_points_exist"),
    _m("form", "nobody says what it is for", "queues.py", 'f"enqueue-{short}-{role}"', 'f"add-{short}-{role}"', "everything_has_a_purpose"),
    _m("form", "half a CPU", "functions.py", '"available_cpu": capacity.cpu', '"available_cpu": "0.5"', "functions_fit_their_duty"),
    _m("form", "no labels", "functions.py", "            labels=place.labels,\n            uniform", "            uniform", "everything_is_labelled"),
    _m("form", "one name for all secrets", "secrets.py", 'f"{place.name}-{short}"', 'f"{place.name}-secret"', "names_are_not_taken_twice"),
    _m("rights", "queues viewed instead of filled", "queues.py", '"roles/cloudtasks.enqueuer"', '"roles/cloudtasks.viewer"', RIGHTS),
    _m("rights", "the worker cannot enqueue", "queues.py", 'PRODUCERS = ("webhook", "worker")', 'PRODUCERS = ("webhook",)', RIGHTS),
    _m("rights", "any token of the queues' accounts", "identity.py", 'role="roles/iam.serviceAccountUser"', 'role="roles/iam.serviceAccountTokenCreator"', RIGHTS),
    _m("rights", "no actAs on the retrievals' account", "identity.py", 'QUEUE_IDENTITIES = ("events", "retrieve")', 'QUEUE_IDENTITIES = ("events",)', RIGHTS),
    _m("rights", "actAs on the worker itself", "identity.py", "service_account_id=self.accounts[identity].name", 'service_account_id=self.accounts["worker"].name', RIGHTS),
    _m("rights", "the invoker role that second-generation functions ignore", "functions.py", 'role="roles/run.invoker"', 'role="roles/cloudfunctions.invoker"', RIGHTS),
    _m("rights", "queues may call the webhook, not the worker", "functions.py", 'self._may_call(f"worker-called-{role}", place, "worker"', 'self._may_call(f"worker-called-{role}", place, "webhook"', RIGHTS),
    _m("rights", "all three paths with the grant of one account", "functions.py", 'place, "worker", identity.member(role)', 'place, "worker", identity.member("events")', RIGHTS),
    _m("rights", "the archive can only be read", "state.py", '"roles/storage.objectUser"', '"roles/storage.objectViewer"', RIGHTS),
    _m("rights", "the webhook writes the archive", "state.py", 'member=identity.member("worker")', 'member=identity.member("webhook")', RIGHTS),
    _m("rights", "the archive's grant on the sources", "state.py", "bucket=settled(place, archive_bucket_name(place), self.bucket.name)", 'bucket=f"{place.project}-{place.name}-source"', RIGHTS),
    _m("rights", "the build pushes nothing", "functions.py", '"roles/artifactregistry.writer"', '"roles/artifactregistry.reader"', RIGHTS),
    _m("rights", "the build may not log", "identity.py", '"roles/logging.logWriter"', '"roles/logging.viewer"', RIGHTS),
    _m("rights", "all of Firestore for the worker", "identity.py", "role=custom.name", 'role="roles/datastore.user"', RIGHTS),
    _m("rights", "records cannot be listed", "identity.py", '"datastore.entities.list", ', "", CODE),
    _m("rights", "records may be deleted", "identity.py", '"datastore.entities.list", ', '"datastore.entities.list", "datastore.entities.delete", ', CODE),
    _m("rights", "records of every database", "identity.py", """"expression": f'resource.name == "projects""", """"expression": f'resource.name != "projects""", CONDITION),
    _m("rights", "the build reads every bucket", "identity.py", """'resource.name.startsWith("projects/_/buckets/gcf-v2-sources-") || '""", """'resource.name.startsWith("projects/_/buckets/") || '""", CONDITION),
    _m("rights", "a secret's grant for the other function", "secrets.py", "member=identity.member(READER[variable])", 'member=identity.member("webhook")', RIGHTS),
    _m("rights", "the deployer owns all buckets' objects", "deploys.py", 'role="roles/storage.objectAdmin"', 'role="roles/storage.admin"', RIGHTS),
    _m("rights", "the deployer acts as the retrievals' account, not the build's", "deploys.py", 'for role in ("webhook", "worker", "build")', 'for role in ("webhook", "worker", "retrieve")', RIGHTS),
    _m("environment", "home twice instead of the second region", "stack.py", 'queues.path("handoffs-second")', 'queues.path("handoffs")', ENV),
    _m("environment", "facts and retrievals exchanged", "stack.py", '"FACTS_QUEUE": queues.path("facts")', '"FACTS_QUEUE": queues.path("retrievals")', ENV),
    _m("environment", "accounts of two paths exchanged", "identity.py", '(f"{name}=", self.email(name), ",")', '(f"{name}=", self.email({"events": "retrieve", "retrieve": "events"}.get(name, name)), ",")', ENV),
    _m("environment", "no accounts for tasks (has a default)", "stack.py", '"TASKS_INVOKERS"', '"TASKS_INVOKER"', ENV),
    _m("environment", "the webhook's address as the worker's", "stack.py", 'address(place, "worker", source.bucket)', 'address(place, "webhook", source.bucket)', ENV),
    _m("environment", "server hosts left out (has a default)", "stack.py", '        "ZOOM_SERVER_HOSTS": config.zoom.server_hosts,\n', "", ENV),
    _m("environment", "the signature's window is the connect window", "stack.py", '"ZOOM_SIGNATURE_WINDOW_S": str(config.zoom.signature_window_s)', '"ZOOM_SIGNATURE_WINDOW_S": str(config.zoom.connect_window_s)', ENV),
    _m("environment", "Recall's region left out (has a default)", "stack.py", '        "RECALL_REGION": config.recall.region,\n', "", ENV),
    _m("environment", "one name for all deployments", "stack.py", '"DEPLOYMENT": f"{config.place.project}/{config.place.name}"', '"DEPLOYMENT": "rtmskit"', ENV),
    _m("environment", "the archive's address is the sources'", "stack.py", 'worker["ARCHIVE_URL"] = archive.url', 'worker["ARCHIVE_URL"] = "gs://acme-rtms-rtmskit-prod-source"', ENV),
    _m("environment", "the hash of nothing", "functions.py", 'self.hash = path.stem.removeprefix("function-")', 'self.hash = ""', ENV),
    _m("environment", "the Client Secret holds the Secret Token", "secrets.py", '"ZOOM_CLIENT_SECRET": config.zoom.client_secret', '"ZOOM_CLIENT_SECRET": config.zoom.secret_token', "secrets_hold_their_own_values"),
    _m("environment", "no way back from a rotation", "secrets.py", "GRACE_DAYS = 7", "GRACE_DAYS = 0", "secrets_hold_their_own_values"),
    _m("order", "no wait for the fields", "stack.py", "state.ready, ", "state.database, ", ORDER),
    _m("order", "the functions start before they may enqueue", "stack.py", "*queues.grants, ", "", ORDER),
    _m("order", "the functions start before they may read records", "stack.py", "*identity.record_grants, ", "", ORDER),
    _m("order", "the builds begin right after their grants", "stack.py", "[*identity.build_grants, source.push, *secrets.all_grants]", "[]", ORDER),
    _m("order", "the sweep is made before it may call", "stack.py", '[functions.called["sweep"]]', "[]", ORDER),
    _m("order", "alerts before their counters", "observability.py", '[*apis.before("monitoring"), *metrics, *needs]', '[*apis.before("monitoring"), *needs]', ORDER),
    _m("order", "accounts before their API", "identity.py", 'depends_on=apis.before("iam", "iamcredentials")', "depends_on=[]", "apis_come_before_their_users"),
    _m("order", "queue's grant before the queue", "queues.py", "opts=pulumi.ResourceOptions(parent=self, depends_on=[queue])", "opts=pulumi.ResourceOptions(parent=self)", ORDER),
    _m("order", "two operations on the database at once", "state.py", "depends_on=[previous, *granted]", "depends_on=[self.database, *granted]", "work_on_the_database_is_serial"),
    _m("queues", "starts at one a second", "numbers.py", '"handoffs", 2, per_second=100,', '"handoffs", 2, per_second=1,', BUDGETS),
    _m("queues", "retrievals at 100 a second", "numbers.py", '"retrievals", 1, per_second=0,', '"retrievals", 1, per_second=100,', BUDGETS),
    _m("queues", "tasks are given up", "numbers.py", "UNLIMITED = -1", "UNLIMITED = 15", BUDGETS),
    _m("queues", "tasks are given up after two minutes", "numbers.py", 'NO_DURATION = "0s"', 'NO_DURATION = "120s"', BUDGETS),
    _m("queues", "a start waits 300 s between attempts", "numbers.py", 'max_backoff_s=10,', 'max_backoff_s=300,', BUDGETS),
    _m("queues", "retrievals may take the whole worker", "numbers.py", 'share=0.3,', 'share=0.95,', BUDGETS),
    _m("queues", "the second queue is at home, too", "config.py", "return self.place.region, self.place.second_region", "return self.place.region, self.place.region", "names_are_not_taken_twice"),
    _m("time-outs", "the webhook gives up after 30 s", "numbers.py", "return min(3600, connect_window_s + WEBHOOK_GRACE_S)", "return 30", BUDGETS),
    _m("time-outs", "the worker is cut off after a minute", "numbers.py", "WORKER_TIMEOUT_S = 1800", "WORKER_TIMEOUT_S = 60", BUDGETS),
    _m("time-outs", "a sweep of ten seconds", "numbers.py", "SWEEP_DEADLINE_S = 60", "SWEEP_DEADLINE_S = 10", BUDGETS),
    _m("instances", "minimum and maximum exchanged", "functions.py", '"min_instance_count": capacity.minimum', '"min_instance_count": capacity.maximum', SIZED),
    _m("instances", "one request at a time", "functions.py", '"max_instance_request_concurrency": capacity.concurrency', '"max_instance_request_concurrency": 1', SIZED),
    _m("instances", "both functions run as the webhook", "functions.py", '"service_account_email": identity.email(role)', '"service_account_email": identity.email("webhook")', SIZED),
    _m("instances", "the webhook's capacity for both", "functions.py", 'capacity = config.webhook if role == "webhook" else config.worker', "capacity = config.webhook", SIZED),
    _m("ingress", "the webhook is internal", "functions.py", 'config.access.webhook_ingress if role == "webhook"', '"ALLOW_INTERNAL_ONLY" if role == "webhook"', SIZED),
    _m("ingress", "callers cannot reach the worker", "config.py", 'return "ALLOW_ALL" if self.worker_callers else', 'return "ALLOW_INTERNAL_ONLY" if self.worker_callers else', SIZED),
    _m("ingress", "another redeploy builds nothing", "functions.py", '{"RTMSKIT_REDEPLOY": config.redeploy} if config.redeploy else {}', "{}", SIZED),
    _m("schedule", "once an hour", "numbers.py", 'SWEEP_CRON = "* * * * *"', 'SWEEP_CRON = "0 * * * *"', CRON),
    _m("schedule", "GET instead of POST", "queues.py", '"http_method": "POST"', '"http_method": "GET"', CRON),
    _m("schedule", "another path", "queues.py", '(worker_url, "/sweep")', '(worker_url, "/sweeps")', CRON),
    _m("schedule", "an audience that the worker refuses", "queues.py", '"audience": worker_url', '"audience": pulumi.Output.concat(worker_url, "/sweep")', CRON),
    _m("schedule", "the identity of the events", "queues.py", 'identity.email("sweep")', 'identity.email("events")', CRON),
    _m("schedule", "the probe sends nothing", "queues.py", '{"probe": True}', "{}", CRON),
    _m("records", "no time to live", "state.py", 'ttl_config={} if field == "expires_at" else None', "ttl_config=None", FIELDS),
    _m("records", "the body expires, too", "state.py", 'ttl_config={} if field == "expires_at" else None', "ttl_config={}", FIELDS),
    _m("records", "a field that a query needs has no index", "state.py", 'UNINDEXED = ("body", "expires_at")', 'UNINDEXED = ("body", "expires_at", "due_at")', FIELDS),
    _m("records", "a list has no index", "state.py", '("state", "recording", "stream", "meeting", "mdc")', '("state", "recording", "stream", "meeting")', INDEXES),
    _m("records", "an index in the wrong order", "state.py", '"order": "DESCENDING"', '"order": "ASCENDING"', INDEXES),
    _m("records", "an index of another collection", "state.py", 'collection="handoffs",', 'collection="streams",', INDEXES),
    _m("records", "one collection is forgotten", "state.py", '("handoffs", "streams", "unusable")', '("handoffs", "streams")', FIELDS),
    _m("records", "a field that is misspelt", "state.py", 'UNINDEXED = ("body", "expires_at")', 'UNINDEXED = ("body", "expire_at")', FIELDS),
    _m("records", "no point-in-time recovery", "state.py", '"POINT_IN_TIME_RECOVERY_ENABLED"', '"POINT_IN_TIME_RECOVERY_DISABLED"', KEPT),
    _m("records", "backups kept for seconds", "state.py", "{backup_days * 86400}s", "{backup_days * 3600}s", KEPT),
    _m("records", "the database elsewhere", "state.py", "location_id=place.database_location", "location_id=place.second_region", KEPT),
    _m("records", "deleted although protected", "protection.py", '"PREVENT" if place.protect else "DELETE"', '"DELETE" if place.protect else "DELETE"', KEPT),
    _m("records", "Coldline and deletion exchanged", "state.py", '"condition": {"age": config.cold_after_days}', '"condition": {"age": config.delete_after_days}', "the_archive_ages_as_configured"),
    _m("region", "images in another region", "functions.py", 'repository_id=f"{place.name}-images",\n            location=place.region', 'repository_id=f"{place.name}-images",\n            location=place.second_region', "everything_is_in_its_region"),
    _m("images", "nothing is cleaned up", "functions.py", "cleanup_policy_dry_run=False", "cleanup_policy_dry_run=True", "images_clean_themselves_up"),
    _m("images", "keep and delete exchanged", "functions.py", '"action": "KEEP"', '"action": "DELETE"', "images_clean_themselves_up"),
    _m("GitHub", "any repository of the owner", "deploys.py", "f\"assertion.repository == '{config.repository}' && assertion.ref", 'f"assertion.ref', GITHUB),
    _m("GitHub", "one of the conditions is enough", "deploys.py", "owner_id}' && \"", "owner_id}' || \"", GITHUB),
    _m("GitHub", "another issuer", "deploys.py", "https://token.actions.githubusercontent.com", "https://token.actions.github.com", GITHUB),
    _m("GitHub", "every identity of the pool", "deploys.py", '"/attribute.repository/", config.repository', '"/*"', GITHUB),
    _m("alerts", "the event is misspelt", "alerts.py", '"handoff_failed", "handoff_expired", "handoff_doubled", "not_joined"), "ERROR"', '"handoff_failed", "handoff_expire", "handoff_doubled", "not_joined"), "ERROR"', LINES),
    _m("alerts", "it watches the other function", "alerts.py", 'OnLine("worker", ("not_forgotten",)', 'OnLine("webhook", ("not_forgotten",)', LINES),
    _m("alerts", "no severity: every look pages", "alerts.py", '("retrieval",), "ERROR", exactly=True', '("retrieval",)', LINES),
    _m("alerts", "the severity is too high to be met", "alerts.py", '("archive_failed",), labels', '("archive_failed",), "EMERGENCY", labels', LINES),
    _m("alerts", "an alert is left out", "alerts.py", '("home_stalled", "probe_missing"), "ALERT"', '("home_stalled",), "ALERT"', LINES),
    _m("alerts", "seen and acknowledged exchanged", "alerts.py", 'series(place, "starts", "start_acked"), series(place, "starts", "start_seen")', 'series(place, "starts", "start_seen"), series(place, "starts", "start_acked")', WITNESS),
    _m("alerts", "half an hour instead of two minutes", "alerts.py", "unless (sum(increase({seen_series}{window(unseen_s)})) > 0)\", unseen_s", "unless (sum(increase({seen_series}{window(unseen_s)})) > 0)\", 1800", WITNESS),
    _m("alerts", "no slack for a late evaluation", "alerts.py", "SLACK_S = 120", "SLACK_S = 60", WITNESS),
    _m("alerts", "waits for a first sweep before it misses one", "alerts.py", " or vector(0)) == bool 0) > 0", ") == bool 0) > 0", WITNESS),
    _m("alerts", "anonymous noise counts as signed", "alerts.py", """',signed="true"'""", '""', WITNESS),
    _m("alerts", "a counter that is called otherwise", "alerts.py", 'logging_googleapis_com:user_{place.name}-{name}"', 'logging_googleapis_com:user_{place.name}-{name}s"', QUERIES),
    _m("alerts", "refused until the counter exists", "alerts.py", '"disable_metric_validation": True', '"disable_metric_validation": False', QUERIES),
    _m("alerts", "503 instead of 429", "alerts.py", "OnRequest(role, 429)", "OnRequest(role, 503)", REFUSED),
    _m("alerts", "the functions' own log instead of Cloud Run's", "alerts.py", "run.googleapis.com%2Frequests", "run.googleapis.com%2Fstdout", REFUSED),
    _m("alerts", "below instead of above", "alerts.py", '"comparison": "COMPARISON_GT"', '"comparison": "COMPARISON_LT"', METRICS),
    _m("alerts", "late after ten hours", "alerts.py", "QUEUE_LATE_MS = 10_000", "QUEUE_LATE_MS = 36_000_000", METRICS),
    _m("alerts", "5xx is spelt otherwise", "alerts.py", 'response_code_class = "5xx"', 'response_code_class = "500"', METRICS),
    _m("alerts", "latency of the worker", "alerts.py", 'run_metric(place, "webhook", "request_latencies")', 'run_metric(place, "worker", "request_latencies")', METRICS),
    _m("alerts", "the depth of a queue that does not exist", "alerts.py", 'HANDOFF_QUEUES = ("handoffs",)', 'HANDOFF_QUEUES = ("tasks",)', METRICS),
    _m("alerts", "deltas of a gauge", "alerts.py", '"depth"), "ALIGN_MAX"', '"depth"), "ALIGN_DELTA"', METRICS),
    _m("alerts", "successes count as failures", "alerts.py", 'response_code != "200"', 'response_code = "200"', METRICS),
    _m("alerts", "nobody is told", "observability.py", "notification_channels=self.told", "notification_channels=[]", TOLD),
    _m("alerts", "existing and topic channels are forgotten", "observability.py", 'for topic in dict.fromkeys(config.topics)]', "for topic in dict.fromkeys(config.topics) if not topic]", TOLD),
    _m("alerts", "one notification a day", "alerts.py", "RATE_LIMIT_S = 300", "RATE_LIMIT_S = 86400", TOLD),
    _m("alerts", "a stranger pages somebody", "alerts.py", '"Zoom\'s URL validation fails",\n        "WARNING"', '"Zoom\'s URL validation fails",\n        "CRITICAL"', TOLD),
    _m("alerts", "no page of the runbook", "observability.py", "{RUNBOOK}#{policy.key}", "{RUNBOOK}", TOLD),
    _m("counters", "labels from another field", "observability.py", 'f"EXTRACT(jsonPayload.{label})"', 'f"EXTRACT(jsonPayload.{label}s)"', COUNTS),
    _m("counters", "only the webhook's lines", "alerts.py", 'for role in ("webhook", "worker"))\n    any_event', 'for role in ("webhook",))\n    any_event', COUNTS),
    _m("counters", "the sweep's event is called otherwise", "alerts.py", '"sweeps": (("sweep",)', '"sweeps": (("swept",)', COUNTS),
    _m("uptime", "another path", "observability.py", '"path": "/health"', '"path": "/healthz"', "the_webhook_is_checked_from_outside"),
    _m("uptime", "the worker's host", "stack.py", 'webhook_url.apply(lambda url: url.removeprefix("https://"))', 'functions.urls["worker"].apply(lambda url: url.removeprefix("https://"))', "the_webhook_is_checked_from_outside"),
    _m("dashboard", "outside the grid", "dashboard.py", '{"xPos": 24}', '{"xPos": 30}', BOARD),
    _m("dashboard", "zeros that the API drops", "dashboard.py", '{"xPos": 24} if index % 2 else {}', '{"xPos": 24 * (index % 2)}', BOARD),
    _m("dashboard", "a metric that does not exist", "dashboard.py", 'metric("handoffs")', 'metric("handovers")', BOARD),
    _m("budget", "a hundred times too much", "observability.py", '"units": str(config.units)', '"units": str(config.units * 100)', "the_budget_tells_in_time"),
    _m("outputs", "the endpoint's path at Zoom", "stack.py", '(webhook_url, "/zoom-webhook")', '(webhook_url, "/webhook")', "outputs_say_where_things_are"),
)  # fmt: skip
