"""Mistakes of behaviour in the Pulumi program, and the drill that each of them fails. The table in docs/rehearse.md is made of it."""

# ruff: noqa: E501  # one mistake a line

from __future__ import annotations

from typing import NamedTuple


class Planted(NamedTuple):
    """In `infra/rtms_infra/FILE`, `old` becomes `new`; the drill fails, and its report has `words`."""

    what: str
    file: str
    old: str
    new: str
    drill: str
    words: str


MISTAKES: tuple[Planted, ...] = (
    Planted("the queues take no task of the functions", "queues.py", "roles/cloudtasks.enqueuer", "roles/cloudtasks.viewer", "meeting", "lacks cloudtasks.tasks.create"),
    Planted("nobody may put the queues' identity on a task", "identity.py", 'role="roles/iam.serviceAccountUser"', 'role="roles/iam.serviceAccountViewer"', "meeting", "lacks iam.serviceAccounts.actAs"),
    Planted("the invoker of the first generation", "functions.py", "roles/run.invoker", "roles/cloudfunctions.invoker", "meeting", "without a token of Google's"),
    Planted("the worker may not change records", "identity.py", ', "datastore.entities.update"', "", "meeting", "lacks datastore.entities.update"),
    Planted("the right to records is for another database", "identity.py", "/databases/{place.name}\"'", "/databases/(default)\"'", "meeting", "lacks datastore.entities"),
    Planted("a secret is readable by another account", "secrets.py", "member=identity.member(READER[variable])", 'member=identity.member("build")', "meeting", "lacks secretmanager.versions.access"),
    Planted("the token of the webhook goes to the worker", "secrets.py", '"ZOOM_SECRET_TOKEN": "webhook"', '"ZOOM_SECRET_TOKEN": "worker"', "meeting", "ZOOM_SECRET_TOKEN is not set"),
    Planted("the webhook is closed to the internet", "functions.py", 'config.access.webhook_ingress if role == "webhook"', '"ALLOW_INTERNAL_ONLY" if role == "webhook"', "meeting", "closed to the internet"),
    Planted("the sweep's token is for another audience", "queues.py", '"audience": worker_url', '"audience": "https://worker.example.com"', "meeting", "a token for https://worker.example.com"),
    Planted("the sweep calls another path", "queues.py", '(worker_url, "/sweep")', '(worker_url, "/sweeps")', "meeting", "Cloud Scheduler has the worker swept"),
    Planted("the sweep comes once an hour", "numbers.py", 'SWEEP_CRON = "* * * * *"', 'SWEEP_CRON = "0 * * * *"', "meeting", "Cloud Scheduler has the worker swept"),
    Planted("the worker is told another address of its own", "stack.py", '"WORKER_URL": worker_url', '"WORKER_URL": "https://worker.example.com"', "meeting", "Recall accepts the hand-off"),
    Planted("a field that a query needs has no index", "state.py", 'UNINDEXED = ("body", "expires_at")', 'UNINDEXED = ("body", "expires_at", "due_at")', "meeting", "has no index"),
    Planted("a list of hand-offs has no index", "state.py", "for field in NARROWED:", "for field in NARROWED[1:]:", "meeting", "has no index"),
    Planted("a function that is not there", "functions.py", '"entry_point": role', '"entry_point": "webhook"', "meeting", "the deployment starts"),
    Planted("both queues of starts are the same", "config.py", "return self.place.region, self.place.second_region", "return self.place.region, self.place.region", "meeting", "already exists"),
    Planted("alerts are sent to nobody", "observability.py", "notification_channels=self.told", "notification_channels=[]", "recall-key-wrong", "every alert that fires is sent to somebody"),
    Planted("the alert watches the other function", "alerts.py", 'OnLine("worker", ("attempt", "retrieval"), "ALERT"', 'OnLine("webhook", ("attempt", "retrieval"), "ALERT"', "recall-key-wrong", "the alert recall-refuses fires"),
    Planted("seen and acknowledged exchanged", "alerts.py", 'series(place, "starts", "start_acked"), series(place, "starts", "start_seen")', 'series(place, "starts", "start_seen"), series(place, "starts", "start_acked")', "worker-forbidden", "the alert start-unseen fires"),
    Planted("a counter that is called otherwise", "alerts.py", 'logging_googleapis_com:user_{place.name}-{name}"', 'logging_googleapis_com:user_{place.name}-{name}s"', "worker-forbidden", "the alert start-unseen fires"),
    Planted("a query that is not read", "alerts.py", "(sum(increase({acked}[3m])) > 0) unless", "(sum(rate({acked}[3m])) > 0) unless", "meeting", "cannot read"),
    Planted("successes count as failures", "alerts.py", 'response_code != "200"', 'response_code = "200"', "worker-forbidden", "the alert tasks-failing fires"),
    Planted("the sweep's alert waits for a first sweep", "alerts.py", " or vector(0)) == bool 0) > 0", ") == bool 0) > 0", "scheduler-off", "the alert sweep-stopped fires"),
)  # fmt: skip
