"""Mistakes of behaviour in the Pulumi program, and the drill that each of them fails. The table in docs/rehearse.md is made of it.

Each is one of `tests.infra.planted`, whose rule finds it without running anything; here a drill shows what it does.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.infra.planted import MISTAKES as PLANTED
from tests.infra.planted import Mistake


class Seen(NamedTuple):
    """The planted mistake `what` of its `kind` fails the drill, and the report has `words`. `flags`: more of the command's."""

    kind: str
    what: str
    drill: str
    words: str
    flags: tuple[str, ...] = ()

    @property
    def planted(self) -> Mistake:
        [one] = [mistake for mistake in PLANTED if (mistake.kind, mistake.what) == (self.kind, self.what)]
        return one


MISTAKES: tuple[Seen, ...] = (
    Seen("secrets", "the key is read by the webhook", "callers", "RECALL_API_KEY"),
    Seen("rights", "a secret's grant for the other function", "callers", "lacks secretmanager.versions.access"),
    Seen("instances", "both functions run as the webhook", "callers", "lacks secretmanager.versions.access"),
    Seen("form", "a wrong entry point", "callers", "the deployment starts"),
    Seen("queues", "the second queue is at home, too", "callers", "already exists"),
    Seen("dashboard", "outside the grid", "callers", "reaches column 54"),
    Seen("dashboard", "a metric that does not exist", "callers", "which nothing counts"),
    Seen("alerts", "below instead of above", "callers", "COMPARISON_LT"),
    Seen("ingress", "callers cannot reach the worker", "callers", "the configured caller lists the hand-offs from the internet"),
    Seen("rights", "records cannot be listed", "callers", "lacks datastore.entities.list"),
    Seen("records", "the database is not protected", "destroy", "is refused"),
    Seen("environment", "the hash of nothing", "redeploy", "the new code runs"),
    Seen("order", "no wait for the fields", "callers", "lacks secretmanager.versions.access", ("--propagation", "60")),
    Seen("rights", "queues viewed instead of filled", "meeting", "lacks cloudtasks.tasks.create"),
    Seen("rights", "any token of the queues' accounts", "meeting", "lacks iam.serviceAccounts.actAs"),
    Seen("rights", "no actAs on the retrievals' account", "meeting", "lacks iam.serviceAccounts.actAs"),
    Seen("rights", "actAs on the worker itself", "meeting", "lacks iam.serviceAccounts.actAs"),
    Seen("rights", "the invoker role that second-generation functions ignore", "meeting", "without a token of Google's"),
    Seen("rights", "queues may call the webhook, not the worker", "meeting", "lacks run.routes.invoke"),
    Seen("rights", "all three paths with the grant of one account", "meeting", "lacks run.routes.invoke"),
    Seen("ingress", "the webhook is internal", "meeting", "closed to the internet"),
    Seen("environment", "no accounts for tasks (has a default)", "meeting", "TASKS_INVOKER"),
    Seen("environment", "the webhook's address as the worker's", "meeting", "Recall accepts the hand-off"),
    Seen("environment", "the Client Secret holds the Secret Token", "meeting", "Recall joins the stream"),
    Seen("environment", "the signature's window is the connect window", "meeting", "85 minutes ago"),
    Seen("outputs", "the endpoint's path at Zoom", "meeting", "URL validation"),
    Seen("records", "a field that a query needs has no index", "meeting", "has no index"),
    Seen("records", "a list has no index", "meeting", "has no index"),
    Seen("records", "an index in the wrong order", "meeting", "has no index"),
    Seen("records", "an index of another collection", "meeting", "has no index"),
    Seen("schedule", "once an hour", "meeting", "Cloud Scheduler has the worker swept"),
    Seen("schedule", "GET instead of POST", "meeting", "Cloud Scheduler has the worker swept"),
    Seen("schedule", "another path", "meeting", "Cloud Scheduler has the worker swept"),
    Seen("schedule", "the identity of the events", "meeting", "Cloud Scheduler has the worker swept"),
    Seen("alerts", "no severity: every look pages", "meeting", "recording-lost"),
    Seen("records", "no time to live", "records-expire", "none is left"),
    Seen("records", "one collection is forgotten", "records-expire", "none is left"),
    Seen("records", "a field that is misspelt", "records-expire", "none is left"),
    Seen("schedule", "the probe sends nothing", "records-expire", "the daily probe has come through every queue"),
    Seen("rights", "the worker cannot enqueue", "records-expire", "lacks cloudtasks.tasks.create"),
    Seen("counters", "only the webhook's lines", "scheduler-off", "which wakes nobody"),
    Seen("counters", "the sweep's event is called otherwise", "scheduler-off", "which wakes nobody"),
    Seen("uptime", "another path", "scheduler-off", "which wakes nobody"),
    Seen("uptime", "the worker's host", "scheduler-off", "which wakes nobody"),
    Seen("alerts", "waits for a first sweep before it misses one", "scheduler-off", "the alert sweep-stopped fires"),
    Seen("alerts", "nobody is told", "recall-key-wrong", "every alert that fires is sent to somebody"),
    Seen("alerts", "seen and acknowledged exchanged", "worker-forbidden", "the alert start-unseen fires"),
    Seen("alerts", "half an hour instead of two minutes", "worker-forbidden", "the alert start-unseen fires"),
    Seen("alerts", "a counter that is called otherwise", "worker-forbidden", "the alert start-unseen fires"),
    Seen("alerts", "successes count as failures", "worker-forbidden", "the alert tasks-failing fires"),
    Seen("counters", "labels from another field", "worker-forbidden", "the alert start-unseen fires"),
    Seen("queues", "tasks are given up", "worker-forbidden", "the start is still handed on"),
    Seen("alerts", "5xx is spelt otherwise", "worker-broken", "the alert worker-errors fires"),
    Seen("queues", "a start waits 300 s between attempts", "worker-broken", "the start is still handed on"),
    Seen("environment", "home twice instead of the second region", "queue-paused", "not two different ones"),
    Seen("rights", "anybody may call the worker", "strangers", "door is closed from inside the project without a token"),
    Seen("alerts", "anonymous noise counts as signed", "strangers", "signed-refused"),
    Seen("alerts", "a stranger pages somebody", "strangers", "a ticket at most"),
)
