"""What a change of each key does, computed in the local cloud: the plan for one key at a time, on an example stack that is deployed.

docs/changes.md prints it for the `production` example; tests/infra/test_change_table.py holds it against each key's own description.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rtms_infra.keys import KEYS
from tests.infra.deployment import EMPTY, Runner, World, as_text, example

STATE = ("database", "queue-handoffs", "queue-handoffs-second", "queue-facts", "queue-retrievals", "archive")

OTHER: Mapping[str, object] = {
    "name": "another-name", "region": "europe-west4", "secondRegion": "europe-north1", "databaseLocation": "europe-west9", "protect": False,
    "zoomClientId": "ZyXwVuTsRqPo", "zoomSecretToken": "zoom-secret-token-9", "zoomSecretTokenPrevious": "zoom-secret-token-8",
    "zoomClientSecret": "zoom-client-secret-9", "zoomServerHosts": "*.zoomgov.com", "zoomSignatureWindowSeconds": 600,
    "zoomConnectWindowSeconds": 90, "zoomOnDeauthorized": "alert", "recallRegion": "us-east-1", "recallApiKey": "recall-api-key-999",
    "logIds": "hashed", "recallWebhookSecrets": None, "recallRecordingConfig": None, "recallEntityField": "own",
    "recallBaseUrl": "https://recall-proxy.example.com/api/v1", "recallTimeoutSeconds": 10, "retrievalPollSeconds": 600,
    "retrievalGiveUpSeconds": 7200, "runtime": "python312", "cpu": "2",
    "memory": "1Gi", "webhookMinInstances": 3, "webhookMaxInstances": 30, "webhookConcurrency": 50, "workerMinInstances": 2,
    "workerMaxInstances": 12, "workerConcurrency": 50, "redeploy": "again", "retrievalsPerSecond": 3, "recordsKeepDays": 30,
    "backupDays": 0, "archive": False, "archiveColdAfterDays": 10, "archiveDeleteAfterDays": 300, "publicWebhook": False,
    "webhookIngress": "ALLOW_INTERNAL_AND_GCLB", "webhookUrl": "https://rtms.example.com", "workerCallers": ["group:others@example.com"],
    "alertEmails": ["others@example.com"], "alertPubsubTopics": ["projects/acme-rtms/topics/alerts"], "alertSlackChannel": "#oncall",
    "alertSlackToken": "xoxb-1234567890", "alertPagerdutyKey": "0123456789abcdef0123456789abcdef",
    "alertWebhookUrl": "https://hooks.example.com/t", "alertChannels": ["projects/acme-rtms/notificationChannels/7"],
    "ackLatencyAlertMs": 1500, "uptimeCheck": False, "monthlyBudget": 300, "billingAccount": "ABCDEF-012345-6789AB",
    "budgetCurrency": "USD", "githubRepository": "acme/other", "githubDeploys": False, "githubPool": "github-2", "githubOwnerId": "99",
    "githubRef": "refs/heads/live",
}  # fmt: skip
"""Key -> another value; None removes it."""

TOGETHER: Mapping[str, dict[str, object]] = {
    "publicWebhook": {"uptimeCheck": False},
    "webhookIngress": {"webhookUrl": "https://rtms.example.com"},
    "alertSlackChannel": {"alertSlackToken": "xoxb-1234567890"},
    "alertSlackToken": {"alertSlackChannel": "#oncall"},
}
"""Keys that cannot change alone -> what changes with them."""

UNSET: Mapping[str, tuple[str, ...]] = {
    "githubRepository": ("githubRepository", "githubOwnerId"),
    "monthlyBudget": ("monthlyBudget", "billingAccount"),
    "zoomSecretTokenPrevious": ("zoomSecretTokenPrevious",),
}


@dataclass(frozen=True)
class Change:
    """What one change does. Names of resources; `replaced` maps a name to its order."""

    label: str
    updated: frozenset[str]
    created: frozenset[str]
    replaced: Mapping[str, str]
    deleted: frozenset[str]
    forgotten: frozenset[str]
    refused: frozenset[str]
    failed: tuple[str, ...]
    gaps: tuple[tuple[str, str], ...]

    @property
    def heavy(self) -> bool:
        """Whether it replaces, deletes or forgets state or a function, fails in the middle of that, or is refused."""
        moved = {*self.replaced, *self.deleted, *self.forgotten, *self.failed}
        return bool(moved & {*STATE, "webhook", "worker"}) or bool(self.refused)


def changed(config: Mapping[str, str], key: str) -> dict[str, str]:
    """The configuration with another value of one key."""
    after = dict(config)
    for name, value in {key: OTHER[key], **TOGETHER.get(key, {})}.items():
        if value is None:
            after.pop(f"rtmskit:{name}", None)
        else:
            after[f"rtmskit:{name}"] = as_text(value)
    return after


def change(runner: Runner, before: World, label: str, config: Mapping[str, str]) -> Change:
    world = runner.act(before, config)
    if world.of("refuse"):
        # What `up` refuses it refuses while it plans, all of it at once; carried out, it would end at the first, whichever came first.
        world = runner.act(before, config, "preview")
    return Change(
        label,
        frozenset(world.of("update")),
        frozenset(world.of("create")),
        {step.name: step.how for step in world.steps if step.verb == "replace"},
        frozenset(world.of("delete")),
        frozenset(world.of("forget")),
        frozenset(world.of("refuse")),
        tuple(step.name for step in world.steps if step.verb == "fail"),
        world.gaps,
    )


def changes(runner: Runner, name: str, keys: tuple[str, ...] = ()) -> dict[str, Change]:
    """Key -> what its change does on a deployed example; `gcp:project` and keys that are unset are rows of their own."""
    config = example(name)
    before = runner.act(EMPTY, config)
    assert before.errors == (), before.errors
    rows = {key.name: change(runner, before, key.name, changed(config, key.name)) for key in KEYS if not keys or key.name in keys}
    if not keys or "gcp:project" in keys:
        rows["gcp:project"] = change(runner, before, "gcp:project", {**config, "gcp:project": "another-project"})
    return rows


def _names(names: frozenset[str] | set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) if len(names) <= 4 else f"{len(names)} resources"


def cells(row: Change) -> tuple[str, ...]:
    """The row of the table: what is updated, created, replaced, deleted; what is refused."""
    if row.refused:
        return f"`{row.label}`", "", "", "", f"refused: {_names(row.refused)}"
    orders: dict[str, set[str]] = {}
    for name, how in row.replaced.items():
        orders.setdefault(how, set()).add(name)
    replaced = "; ".join(f"{how}: {_names(names)}" for how, names in sorted(orders.items()))
    kept = f"kept at Google: {_names(row.forgotten)}" if row.forgotten else ""
    gone = "; ".join(filter(None, (_names(row.deleted), kept)))
    notes = "a grant is missing for a moment" if row.gaps else ""
    return f"`{row.label}`", _names(row.updated | row.created), replaced, gone, notes
