"""The whole deployment, top-down: from a checked `Config` to the stack's outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi

from rtms_infra.apis import Apis
from rtms_infra.config import Config, Place
from rtms_infra.deploys import Deploys
from rtms_infra.functions import Functions, Source, address
from rtms_infra.identity import Identity
from rtms_infra.observability import RUNBOOK, Observability, Spending
from rtms_infra.queues import Queues, Sweep
from rtms_infra.secrets import Secrets
from rtms_infra.state import Archive, State

OUTPUTS = {
    "webhookUrl": "Base URL of the webhook.",
    "workerUrl": "Base URL of the worker; needs a Google identity token.",
    "zoomEventUrl": 'At Zoom, Access, Event Subscription, "Event notification endpoint URL".',
    "zoomRedirectUrl": 'At Zoom, Basic Information, "OAuth Redirect URL".',
    "recallWebhookUrl": "At Recall, Webhooks, Add Endpoint; tick every recording.* event and each artifact's *.done and *.failed.",
    "nextSteps": "What to do now, in order.",
    "codeHash": "SHA-256 of the deployed code; both functions name it in /health, and `rtmskit doctor --code` compares.",
    "dashboardUrl": "The dashboard.",
    "queues": "The Cloud Tasks queues: starts at home, starts in the second region, facts, retrievals.",
    "stateUrl": "The database, as STATE_URL.",
    "archiveUrl": "The archive, as ARCHIVE_URL; empty when it is off.",
    "deployerAccount": "For GitHub Actions: the service account; empty when it is off.",
    "deployerProvider": "For GitHub Actions: the Workload Identity provider; empty when it is off.",
}
"""The stack's outputs and what they are for."""


NOBODY = (
    "Nobody is notified when a recording is lost: pulumi config set --path 'rtmskit:alertEmails[0]' you@example.com, then pulumi up "
    f"(other channels: {RUNBOOK})"
)
"""The first of the next steps, and a warning of every run, while there is no channel."""


def deploy(config: Config, source_folder: Path, build_folder: Path) -> dict[str, Any]:
    """Register every resource. Returns the stack's outputs, exactly those of `OUTPUTS`."""
    if not config.alerts.channels:
        pulumi.log.warn(NOBODY)
    place = config.place
    extra = (("sts",) if config.github else ()) + (("billingbudgets",) if config.budget else ())
    apis = Apis(place.project, extra)
    identity = Identity(place, apis)
    archive = Archive(place, config.archive, identity, apis)
    secrets = Secrets(config, identity, apis)
    # An archive that holds recordings refuses to move: it is asked before anything else that holds state is touched.
    queues = Queues(config, identity, archive.bucket, apis)
    source = Source(place, source_folder, build_folder, identity, apis)
    # No build may begin right after the grants it needs: the operations on the database's fields stand between them.
    state = State(place, config.backup_days, [*identity.build_grants, source.push, *secrets.all_grants], archive.bucket, apis)
    worker_url = address(place, "worker", source.bucket)
    environment = _environment(config, state, queues, archive, identity, worker_url=worker_url, code_hash=source.hash)
    needs: list[pulumi.Resource] = [state.ready, *queues.grants, *identity.record_grants, *identity.acting, *archive.grants]
    functions = Functions(config, source, secrets=secrets, identity=identity, environment=environment, needs=needs, apis=apis)
    Sweep(place, functions.urls["worker"], identity, [functions.called["sweep"]], apis)
    webhook_url = pulumi.Output.from_input(config.access.webhook_url or functions.urls["webhook"])
    webhook_host = webhook_url.apply(lambda url: url.removeprefix("https://"))
    observability = Observability(place, config.alerts, webhook_host, list(functions.functions.values()), apis)
    if config.budget:
        Spending(place, config.budget, source.bucket.project_number, observability, apis)
    deploys = Deploys(place, config.github, identity, source, apis) if config.github else None
    return {
        **_addresses(webhook_url),
        "workerUrl": functions.urls["worker"],
        "nextSteps": webhook_url.apply(lambda url: _next_steps(url, config, source.hash)),
        "dashboardUrl": _dashboard_url(place, observability),
        "codeHash": source.hash,
        "queues": [queues.path(short) for short in queues.queues],
        "stateUrl": state.url,
        "archiveUrl": archive.url if config.archive.on else "",
        "deployerAccount": deploys.account if deploys else "",
        "deployerProvider": deploys.provider if deploys else "",
    }


def _addresses(webhook_url: pulumi.Output[str]) -> dict[str, pulumi.Output[str]]:
    """The webhook's address, and those of it that Zoom and Recall are given."""
    return {
        "webhookUrl": webhook_url,
        "zoomEventUrl": pulumi.Output.concat(webhook_url, "/zoom-webhook"),
        "zoomRedirectUrl": pulumi.Output.concat(webhook_url, "/oauth-callback/zoom"),
        "recallWebhookUrl": pulumi.Output.concat(webhook_url, "/recall-webhook"),
    }


def _dashboard_url(place: Place, observability: Observability) -> pulumi.Output[str]:
    return observability.dashboard.id.apply(
        lambda path: f"https://console.cloud.google.com/monitoring/dashboards/builder/{path.split('/')[-1]}?project={place.project}"
    )


def _environment(
    config: Config, state: State, queues: Queues, archive: Archive, identity: Identity, worker_url: pulumi.Output[str], code_hash: str
) -> dict[str, dict[str, pulumi.Input[str]]]:
    """The plain variables of each function (the secret ones come from `Secrets`)."""
    both: dict[str, pulumi.Input[str]] = {
        "CODE_HASH": code_hash,
        "FACTS_QUEUE": queues.path("facts"),
        "HANDOFF_QUEUES": pulumi.Output.concat(queues.path("handoffs"), ",", queues.path("handoffs-second")),
        "LOG_IDS": config.log_ids,
        "RETRIEVAL_QUEUE": queues.path("retrievals"),
        "TASKS_INVOKERS": identity.invokers(),
        "WORKER_URL": worker_url,
        "ZOOM_CONNECT_WINDOW_S": str(config.zoom.connect_window_s),
    }
    webhook: dict[str, pulumi.Input[str]] = {
        "ZOOM_ON_DEAUTHORIZED": config.zoom.on_deauthorized,
        "ZOOM_SIGNATURE_WINDOW_S": str(config.zoom.signature_window_s),
    }
    worker: dict[str, pulumi.Input[str]] = {
        "DEPLOYMENT": f"{config.place.project}/{config.place.name}",
        "RECALL_ENTITY_FIELD": config.recall.entity_field,
        "RECALL_REGION": config.recall.region,
        "RECALL_TIMEOUT_S": str(config.recall.timeout_s),
        "RECORDS_KEEP_DAYS": str(config.records_keep_days),
        "RETRIEVAL_GIVE_UP_S": str(config.recall.give_up_s),
        "RETRIEVAL_POLL_S": str(config.recall.poll_s),
        "STATE_URL": state.url,
        "ZOOM_CLIENT_ID": config.zoom.client_id,
        "ZOOM_SERVER_HOSTS": config.zoom.server_hosts,
    }
    if config.recall.base_url:
        worker["RECALL_BASE_URL"] = config.recall.base_url
    if config.recall.recording_config:
        worker["RECALL_RECORDING_CONFIG"] = config.recall.recording_config
    if config.archive.on:
        worker["ARCHIVE_URL"] = archive.url
    return {"webhook": both | webhook, "worker": both | worker}


def _next_steps(url: str, config: Config, code: str) -> list[str]:
    steps = [] if config.alerts.channels else [NOBODY]
    steps += [
        f"rtmskit doctor {url} --code {code}",
        f"rtmskit zoom-app --webhook-url {url} (prints what to enter at Zoom)",
        f"At Recall, add the webhook endpoint {url}/recall-webhook and tick its recording events",
    ]
    if not config.recall.webhook_secrets:
        steps.append(
            "pulumi config set --secret rtmskit:recallWebhookSecrets, then pulumi up "
            "(without it Recall's webhooks are refused, and recordings are found by polling only)"
        )
    if not config.access.public_webhook:
        steps.append("Let Zoom and Recall reach the webhook: docs/org-policies.md")
    return steps
