"""What a running `up` and `serve` leave, for tests that need no running one."""

from __future__ import annotations

import os

import msgspec

from rtms_simulator.control.descriptions import RecallAccess, ServeDescription, TasksAccess, UpDescription, ZoomAccess

NOWHERE = "http://127.0.0.1:1"
ZOOM = ZoomAccess(
    server_url="ws://127.0.0.1:1",
    rest_url=f"{NOWHERE}/zoom",
    event_socket_url="ws://127.0.0.1:1/ws",
    client_id="i",
    client_secret="c",
    secret_token="s",
    ca_file=None,
)
RECALL = RecallAccess(
    base_url=f"{NOWHERE}/api/v1",
    api_key="k",
    webhook_secret="whsec_",
    workspace_secret="whsec_",
    proxy_environment={"HTTPS_PROXY": NOWHERE},
)
UP = UpDescription(
    webhook_url="",
    recall_webhook_url="",
    worker_url="",
    worker_token="",
    state_url="sqlite://",
    pid=os.getpid(),
    zoom=ZOOM,
    recall=RECALL,
    cloud_tasks=TasksAccess(endpoint="127.0.0.1:1", queues=[]),
    control_url=f"{NOWHERE}/_control",
    control_token="",
    seed=1,
)
SERVE = ServeDescription(
    webhook_url="",
    recall_webhook_url="",
    worker_url=NOWHERE,
    worker_token="",
    state_url="sqlite://",
    pid=os.getpid(),
    queue_file="/nowhere",
    ca_file=None,
)


def an_up(**changes: object) -> UpDescription:
    """Of this process unless it says otherwise, with no webhook, no worker, and a control plane where nobody listens."""
    return msgspec.structs.replace(UP, **({"pid": os.getpid()} | changes))


def a_serve(**changes: object) -> ServeDescription:
    return msgspec.structs.replace(SERVE, **({"pid": os.getpid()} | changes))
