"""The deployed service as it runs locally: `webhook` and `worker`, two processes under the real functions-framework."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import LOCAL_QUEUES
from rtms_simulator.errors import ChildEndedError, FunctionSourceError
from rtms_simulator.serving.loopback import without_proxy
from rtms_simulator.serving.processes import Child, Port

KEPT_FROM_EACH = {
    "webhook": ("RECALL_API_KEY", "RECALL_RECORDING_CONFIG", "ZOOM_CLIENT_SECRET", "STATE_URL", "RUN_SECRET"),
    "worker": ("ZOOM_SECRET_TOKEN", "ZOOM_SECRET_TOKEN_PREVIOUS", "RECALL_WEBHOOK_SECRETS"),
}
"""What a role must never see, also when it stands in our own environment."""

WHERE_AND_HOW = ("FUNCTION_TARGET", "FUNCTION_SOURCE", "FUNCTION_SIGNATURE_TYPE", "FUNCTION_USE_ASGI", "HOST", "PORT", "DEBUG")
"""What would change where the functions are, and how they are served."""

KEPT_FROM_BOTH = ("RECALL_REGION", *WHERE_AND_HOW)
"""What would change that, or whose Recall they call."""


_LOOK_EVERY_S = 0.05


def source() -> Path:
    """The file that functions-framework loads: `function/main.py` of a checkout, or the copy in the wheel.

    Found without importing it: the two sides meet only over the wire.
    """
    relay = importlib.util.find_spec("rtms_relay")
    if relay is not None and relay.origin is not None:
        beside = Path(relay.origin).parent.parent / "main.py"
        if beside.is_file():
            return beside
    packed = importlib.util.find_spec("rtmskit_project")
    for place in (packed.submodule_search_locations or ()) if packed is not None else ():
        if (file := Path(place) / "function/main.py").is_file():
            return file
    raise FunctionSourceError("function/main.py is not there: install rtmskit whole, or run from a checkout")


@dataclass(frozen=True, slots=True)
class Wiring:
    """The settings of both functions, by the service's own names."""

    client_id: str
    client_secret: str
    secret_token: str
    recall_base_url: str
    recall_api_key: str
    recall_webhook_secret: str
    tasks_endpoint: str
    state_url: str
    queues: str = ",".join(LOCAL_QUEUES)
    """Four names, separated by commas: starts at home and in the second region, facts, retrievals."""
    run_secret: str = ""
    """What opens the worker; without it only Google's tokens do."""
    zoom_server_hosts: str = "localhost,127.0.0.1"
    recording_config: str = "{}"
    """JSON, as it is: the function judges it."""

    def environment(self, role: str, worker_url: str, inherited: Mapping[str, str]) -> dict[str, str]:
        """The environment of one role: what is inherited (tunables), then this, minus what the other role alone may hold."""
        settings = {
            "ZOOM_CLIENT_ID": self.client_id,
            "ZOOM_CLIENT_SECRET": self.client_secret,
            "ZOOM_SECRET_TOKEN": self.secret_token,
            "ZOOM_SECRET_TOKEN_PREVIOUS": "",
            "ZOOM_SERVER_HOSTS": self.zoom_server_hosts,
            "RECALL_BASE_URL": self.recall_base_url,
            "RECALL_API_KEY": self.recall_api_key,
            "RECALL_WEBHOOK_SECRETS": self.recall_webhook_secret,
            "RECALL_RECORDING_CONFIG": self.recording_config,
            "STATE_URL": self.state_url,
            "HANDOFF_QUEUES": self.queues.rsplit(",", 2)[0],
            "FACTS_QUEUE": self.queues.split(",")[-2],
            "RETRIEVAL_QUEUE": self.queues.split(",")[-1],
            "TASKS_ENDPOINT": self.tasks_endpoint,
            "TASKS_INVOKERS": "",
            "WORKER_URL": worker_url,
            "RUN_SECRET": self.run_secret,
            "PYTHONUNBUFFERED": "1",
        }
        variables = {**inherited, **settings, **without_proxy(inherited)}
        for name in (*KEPT_FROM_EACH[role], *KEPT_FROM_BOTH):
            variables.pop(name, None)
        return {name: value for name, value in variables.items() if value != ""}


class Wired(Protocol):
    """Gives the environment of a role."""

    def environment(self, role: str, worker_url: str, inherited: Mapping[str, str]) -> dict[str, str]: ...


class Function:
    """Both processes. `start` returns when each has answered its `/health`."""

    def __init__(self, wiring: Wired, webhook: Port, worker: Port, clock: Clock, on_line: Callable[[str, str], None] | None = None) -> None:
        """`clock` must run in real time. `on_line(role, line)` gets every line that a process writes."""
        self.wiring = wiring
        self.webhook_url = f"http://{webhook.host}:{webhook.number}"
        self.worker_url = f"http://{worker.host}:{worker.number}"
        self._clock = clock
        self._on_line = on_line
        self._ports = {"webhook": webhook, "worker": worker}
        self.children: dict[str, Child] = {}
        self._watched: set[str] = set()

    async def start(self) -> None:
        """Raises ChildEndedError (settings refused: code 2), TimeoutError or FunctionSourceError; `aclose` is due then, too."""
        outcomes = await asyncio.gather(*(self.start_one(role) for role in self._ports), return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        ends = [error for error in errors if isinstance(error, ChildEndedError)]
        if ends:
            ends[0].also = tuple(ends[1:])
            raise ends[0]
        for error in errors:
            raise error

    async def start_one(self, role: str) -> None:
        """Start one role, or start it again after its end."""
        self._watched.discard(role)
        if role in self.children:
            await self.children[role].stop()
        port = self._ports[role]
        child = self.children[role] = self._child(role)
        await child.start()
        self._watched.add(role)
        await child.answers(f"http://{port.host}:{port.number}/health")

    async def ended(self) -> ChildEndedError:
        """Wait until a process ends that nobody has stopped."""
        while True:
            for role in self._watched:
                if not self.children[role].alive:
                    return await self.children[role].ended()
            await self._clock.sleep(_LOOK_EVERY_S)

    async def aclose(self) -> None:
        """Stop both. The ports stay whose they were, so `start` may follow."""
        self._watched.clear()
        await asyncio.gather(*(child.stop() for child in self.children.values()))

    def _child(self, role: str) -> Child:
        port = self._ports[role]
        argv = [sys.executable, "-m", "functions_framework", "--source", str(source()), "--target", role]
        argv += ["--host", port.host, "--port", str(port.number)]
        return Child(role, argv, self.wiring.environment(role, self.worker_url, os.environ), self._clock, self._on_line)
