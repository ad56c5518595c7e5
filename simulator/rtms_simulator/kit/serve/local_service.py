"""The real service on one machine: both functions, and in place of Google Cloud a file of records, a file of queues and its dispatcher.

What it keeps of a deployment's promises, and what not, stands in docs/serve.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets  # noqa: TID251  # the secret of the run must be unknown to everybody
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from rtms_simulator.clock import Clock
from rtms_simulator.control.descriptions import ServeDescription
from rtms_simulator.errors import ChildEndedError
from rtms_simulator.kit.deployed import deployed
from rtms_simulator.kit.functions import KEPT_FROM_EACH, WHERE_AND_HOW, Function, source
from rtms_simulator.serving.authority import CertificateAuthority
from rtms_simulator.serving.loopback import without_proxy
from rtms_simulator.serving.processes import Child, Port
from rtms_simulator.serving.tls_front import TlsFront

READY = "dispatching"
TLS_NAME = "localhost"
QUEUES = ("handoffs", "facts", "retrievals")
"""Those of a deployment, without the second region: there is one disk."""

_NOT_FOR_FUNCTIONS = ("NGROK_AUTHTOKEN", "NGROK_DOMAIN")
_CREDENTIALS = ("ZOOM_", "RECALL_", "NGROK_")
_LOOK_EVERY_S = 0.05
_START_WITHIN_S = 30.0
_AGAIN_S = 1.0


class DispatchRules(msgspec.Struct, frozen=True, kw_only=True):
    """One queue, as the dispatcher takes it (`rtms_relay.dispatching`)."""

    per_second: float
    concurrent: int
    min_backoff_s: float
    max_backoff_s: float
    max_doublings: int
    deadline_s: float


class DispatchOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What the dispatcher is to do."""

    file: str
    worker_url: str
    queues: dict[str, DispatchRules]
    sweep_every_s: float
    probe_every_s: float


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """`environment`: the service's settings, credentials included. `directory`: records and queues. `port`: the webhook's, which alone is
    meant for the tunnel; 0 is any free one. `authority`: with one, https is spoken there."""

    directory: Path
    environment: Mapping[str, str]
    port: int = 0
    authority: CertificateAuthority | None = None

    @property
    def state_file(self) -> Path:
        return self.directory.resolve() / "state.sqlite"

    @property
    def queue_file(self) -> Path:
        return self.directory.resolve() / "queue.sqlite"

    @property
    def connect_window_s(self) -> float:
        try:
            return float(self.environment.get("ZOOM_CONNECT_WINDOW_S") or deployed().connect_window_s)
        except ValueError:  # the functions say what is wrong with it
            return deployed().connect_window_s


@dataclass(frozen=True, slots=True)
class LocalWiring:
    """The environment of both functions."""

    plan: ServicePlan
    run_secret: str

    def environment(self, role: str, worker_url: str, inherited: Mapping[str, str]) -> dict[str, str]:
        queues = f"sqlite://{quote(str(self.plan.queue_file))}"
        settings = {
            "STATE_URL": f"sqlite://{quote(str(self.plan.state_file))}",
            "HANDOFF_QUEUES": queues,
            "FACTS_QUEUE": queues,
            "RETRIEVAL_QUEUE": queues,
            "TASKS_ENDPOINT": "",
            "TASKS_INVOKERS": "",
            "WORKER_URL": worker_url,
            "RUN_SECRET": self.run_secret,
            "PYTHONUNBUFFERED": "1",
        }
        variables = {**self.plan.environment, **settings, **without_proxy(self.plan.environment)}
        for name in (*KEPT_FROM_EACH[role], *WHERE_AND_HOW, *_NOT_FOR_FUNCTIONS):
            variables.pop(name, None)
        return {name: value for name, value in variables.items() if value != ""}


class LocalService:
    """Everything of a plan. `start` returns when all of it answers; what ends by itself afterwards is started again by `keep`."""

    def __init__(self, plan: ServicePlan, *, on_line: Callable[[str, str], None]) -> None:
        self.plan = plan
        self.run_secret = secrets.token_urlsafe(24)
        self._on_line = on_line
        self._clock = Clock()
        self._running = contextlib.AsyncExitStack()
        self._dispatcher: Child | None = None
        self.left: dict[str, int] = {}
        """After `aclose`: how many tasks wait, by queue."""

    async def start(self) -> None:
        """Raises PortTakenError, ChildEndedError (code 2: settings or a file cannot be used), FunctionSourceError or TimeoutError."""
        self._public, self._worker = Port("the webhook", number=self.plan.port), Port("the worker")
        self._webhook = self._public if self.plan.authority is None else Port("the webhook behind TLS")
        for port in (self._public, self._worker, self._webhook):
            self._running.callback(port.release)
        self.plan.directory.mkdir(parents=True, exist_ok=True)
        wiring = LocalWiring(self.plan, self.run_secret)
        self._function = Function(wiring, self._webhook, self._worker, self._clock, self._on_line)
        self._running.push_async_callback(self._function.aclose)
        self._running.push_async_callback(self._end_dispatcher)
        await self._function.start()
        await self._start_dispatcher()
        if self.plan.authority is not None:
            front = TlsFront(self._public, self._webhook, self.plan.authority.context_for(TLS_NAME, "127.0.0.1"))
            self._running.push_async_callback(front.aclose)
            await front.start()

    @property
    def port(self) -> int:
        return self._public.number

    @property
    def webhook_url(self) -> str:
        """The webhook on this machine, without a path."""
        return self._function.webhook_url if self.plan.authority is None else f"https://{TLS_NAME}:{self._public.number}"

    @property
    def worker_url(self) -> str:
        return self._function.worker_url

    async def keep(self, on_end: Callable[[ChildEndedError], None]) -> None:
        """Start again what ends. Never returns."""
        await asyncio.gather(self._keep_functions(on_end), self._keep_dispatcher(on_end))

    async def aclose(self) -> None:
        await self._running.aclose()

    def described(self) -> ServeDescription:
        """What `rtmskit recordings` and the other commands need to find it."""
        return ServeDescription(
            webhook_url=f"{self.webhook_url}/zoom-webhook",
            recall_webhook_url=f"{self.webhook_url}/recall-webhook",
            worker_url=self.worker_url,
            worker_token=self.run_secret,
            state_url=f"sqlite://{self.plan.state_file}",
            queue_file=str(self.plan.queue_file),
            ca_file=None if self.plan.authority is None else str(self.plan.authority.ca_file),
            pid=os.getpid(),
        )

    async def _keep_functions(self, on_end: Callable[[ChildEndedError], None]) -> None:
        while True:
            end = await self._function.ended()
            on_end(end)
            await self._again(lambda name=end.name: self._function.start_one(name), on_end)

    async def _keep_dispatcher(self, on_end: Callable[[ChildEndedError], None]) -> None:
        while True:
            assert self._dispatcher is not None
            on_end(await self._dispatcher.ended())
            await self._again(self._start_dispatcher, on_end)

    async def _again(self, start: Callable[[], Any], on_end: Callable[[ChildEndedError], None]) -> None:
        while True:
            await self._clock.sleep(_AGAIN_S)
            try:
                await start()
                return
            except ChildEndedError as end:
                on_end(end)
            except TimeoutError:
                continue  # a busy machine: it is stopped and started once more

    async def _start_dispatcher(self) -> None:
        path = os.pathsep.join((str(source().parent), *filter(None, [os.environ.get("PYTHONPATH", "")])))
        own = {name: value for name, value in os.environ.items() if not name.startswith(_CREDENTIALS)}
        environment = {**own, "PYTHONPATH": path, "RTMSKIT_DISPATCH": self._order(), "RUN_SECRET": self.run_secret}
        child = Child("dispatcher", [sys.executable, "-m", "rtms_relay.dispatching"], environment, self._clock, self._said)
        self._dispatcher = child
        await child.start()
        deadline = self._clock.now() + _START_WITHIN_S
        while READY not in child.lines:
            if not child.alive:
                raise await child.ended()
            if self._clock.now() > deadline:
                await child.stop()  # it may hold the queue file
                raise TimeoutError(f"the dispatcher did not start within {_START_WITHIN_S:.0f} s")
            await self._clock.sleep(_LOOK_EVERY_S)

    def _said(self, who: str, line: str) -> None:
        if line != READY and not line.startswith("waiting "):
            self._on_line(who, line)

    async def _end_dispatcher(self) -> None:
        if self._dispatcher is None:
            return
        await self._dispatcher.stop()
        waiting_lines = [line.removeprefix("waiting ") for line in self._dispatcher.lines if line.startswith("waiting ")]
        self.left = msgspec.json.decode(waiting_lines[-1], type=dict[str, int]) if waiting_lines else {}

    def _order(self) -> str:
        numbers = deployed()
        window_s = self.plan.connect_window_s + numbers.dispatch_deadline_s - numbers.connect_window_s
        rules = {
            name: DispatchRules(
                per_second=queue.per_second,
                concurrent=queue.concurrent,
                min_backoff_s=queue.min_backoff_s,
                max_backoff_s=queue.max_backoff_s,
                max_doublings=queue.max_doublings,
                deadline_s=numbers.functions["worker"].timeout_s if name == "retrievals" else window_s,
            )
            for name, queue in numbers.queues.items()
            if name in QUEUES
        }
        order = DispatchOrder(
            file=str(self.plan.queue_file),
            worker_url=self.worker_url,
            queues=rules,
            sweep_every_s=numbers.sweep_every_s,
            probe_every_s=numbers.probe_every_s,
        )
        return msgspec.json.encode(order).decode()
