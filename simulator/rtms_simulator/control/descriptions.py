"""What a running `up` or `serve` leaves for other commands (`.rtmskit/up.json`, `serve.json`) and prints with --json, as types.

The process that starts encodes these, and every other command decodes them strictly: a file of another version is refused, not half read.
"""

from __future__ import annotations

from msgspec import Struct

from rtms_simulator.control.answers import Strict


class WrittenBy(Struct, frozen=True):
    """The process that has written such a file, whatever else is in it."""

    pid: int


class ZoomAccess(Strict, frozen=True, kw_only=True):
    """Zoom's fake and the app at it. `ca_file`: what clients of RTMS must trust; null unless it is served over TLS."""

    server_url: str
    rest_url: str
    event_socket_url: str
    client_id: str
    client_secret: str
    secret_token: str
    ca_file: str | None


class RecallAccess(Strict, frozen=True, kw_only=True):
    """Recall's fake. `proxy_environment`: variables under which a program with a hard-coded Recall host reaches it."""

    base_url: str
    api_key: str
    webhook_secret: str
    workspace_secret: str
    proxy_environment: dict[str, str]


class TasksAccess(Strict, frozen=True, kw_only=True):
    """Cloud Tasks' fake: HOST:PORT of its gRPC service, and the full names of the queues."""

    endpoint: str
    queues: list[str]


class ServiceAccess(Strict, frozen=True, kw_only=True):
    """Where both functions are, or what stands in their place; an empty URL: there is none. `worker_token`: the secret of the run."""

    webhook_url: str
    recall_webhook_url: str
    worker_url: str
    worker_token: str
    state_url: str
    pid: int


class UpDescription(ServiceAccess, frozen=True, kw_only=True):
    """A running `rtmskit up`. `control_token` is empty where the control plane asks for none."""

    zoom: ZoomAccess
    recall: RecallAccess
    cloud_tasks: TasksAccess
    control_url: str
    control_token: str
    seed: int


class ServeDescription(ServiceAccess, frozen=True, kw_only=True):
    """A running `rtmskit serve`. `queue_file`: the SQLite file of its queues; `ca_file`: what callers of the webhook must trust, if any."""

    queue_file: str
    ca_file: str | None
