"""The whole kit on one machine: every fake in this process on one clock, the two functions beside it, wired over the wire.

`rtmskit up` keeps a stack running, `rtmskit demo` plays one meeting in it; tests start their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets  # noqa: TID251  # the secret of the run must be unknown to everybody, also to who knows the seed
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import CloudTasks, Scheduler
from rtms_simulator.control.descriptions import UpDescription
from rtms_simulator.errors import ChildEndedError, StateUnusableError, WorkerError
from rtms_simulator.faults import FaultBook
from rtms_simulator.kit.control.all import control_server
from rtms_simulator.kit.control.fakes import Beginning, Fakes, Secrets, described
from rtms_simulator.kit.control.meetings import MeetingResource
from rtms_simulator.kit.control.switches import set_switches
from rtms_simulator.kit.deployed import deployed, local_queues
from rtms_simulator.kit.functions import Function, Wiring
from rtms_simulator.kit.worker_client import Recordings
from rtms_simulator.recall import Recall, WebhookEndpoint
from rtms_simulator.serving.authority import CertificateAuthority
from rtms_simulator.serving.processes import Port
from rtms_simulator.zoom import Tls, Zoom, ZoomApp

RECORDING_CONFIG: Mapping[str, Any] = {
    "video_mixed_mp4": {},
    "audio_mixed_raw": {},
    "transcript": {"provider": {"meeting_captions": {}}},
}
"""What is recorded unless a plan says otherwise: a film, every sample, and who said what."""


STORE_PATIENCE_S = 60.0
"""How long a Firestore emulator may take to start."""
_STORE_LOOK_EVERY_S = 2.0
_STORE_ANSWER_S = 20.0


def drawn_seed(clock: Clock) -> int:
    """A seed that no earlier start had: the clock's time in ms. Records outlive a run, and a stream id in them must not come again."""
    return clock.now_ms()


@dataclass(frozen=True, slots=True)
class Ports:
    """Where each part listens; 0 is any free port."""

    webhook: int = 0
    worker: int = 0
    zoom: int = 0
    recall: int = 0
    tasks: int = 0
    control: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to start. `directory` takes the fakes' files, and the records unless `state_url` names another store. `recording_config` is
    JSON, as the service takes it in RECALL_RECORDING_CONFIG.

    `local_endpoints`: Recall may send real-time events to this machine, which the real one refuses.
    Without `function` no functions are started: `webhook_url` and `recall_webhook_url` are then the receivers under test ("" = none).
    """

    directory: Path
    state_url: str = ""
    function: bool = True
    webhook_url: str = ""
    recall_webhook_url: str = ""
    worker_url: str = ""
    recording_config: str = msgspec.json.encode(RECORDING_CONFIG).decode()
    tls: bool = False
    local_endpoints: bool = False
    seed: int = 0
    control_token: str = ""
    """What callers of the control plane must know; empty for none."""
    ports: Ports = field(default_factory=Ports)
    switches: Mapping[str, Any] = field(default_factory=dict)
    """Those that are not at their defaults, by their names (`zoom.close_code`), with values as JSON has them."""
    faults: tuple[str, ...] = ()
    """Those that are armed once everything answers."""

    @property
    def own_state(self) -> bool:
        """Whether the records are ours to forget."""
        return not self.state_url

    @property
    def state_file(self) -> Path:
        return self.directory.resolve() / "state.sqlite"


class Stack:
    """Everything of a `Plan`. `start` returns when all of it answers; `aclose` stops it in the reverse order, also after a failed start."""

    def __init__(
        self, plan: Plan, *, on_line: Callable[[str, str], None] | None = None, on_wait: Callable[[str], None] = lambda _what: None
    ) -> None:
        """`on_line(role, line)` gets each line that the functions write; `on_wait(what)` hears what a long `start` waits for."""
        self.plan = plan
        self.secrets = Secrets.of_seed(plan.seed)
        self.control_token = plan.control_token
        self.run_secret = secrets.token_urlsafe(24) if plan.function else ""
        self.clock = Clock()
        self.function: Function | None = None
        self._real_time = Clock()  # for child processes and sockets, which know nothing of a scaled or frozen clock
        self._on_line = on_line
        self._on_wait = on_wait
        self._ports: dict[str, Port] = {}
        self._scheduler: Scheduler | None = None
        self._running = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Raises PortTakenError, ChildEndedError (a function refused its settings, or crashed), StateUnusableError or TimeoutError; before
        a function starts FaultError or SwitchError for what there is not.
        """
        plan, own, ports = self.plan, self.secrets, self.plan.ports
        for part in fields(ports):
            # A taken port is reported before anything has been started.
            Port(f"the {part.name} server", number=getattr(ports, part.name)).release()
        plan.directory.mkdir(parents=True, exist_ok=True)
        if plan.function:
            self._ports = {role: Port(f"the {role}", number=getattr(ports, role)) for role in ("webhook", "worker")}
            for port in self._ports.values():
                self._running.callback(port.release)
            if plan.own_state:
                self._remove_state()
        self.authority = CertificateAuthority.of_folder(plan.directory)
        self._tls = Tls(self.authority) if plan.tls else None
        app = ZoomApp(own.client_id, own.client_secret, own.secret_token)
        self.faults = FaultBook()
        self.zoom = Zoom(self.clock, app, seed=plan.seed, port=ports.zoom, tls=self._tls, faults=self.faults)
        await self._begin(self.zoom)
        self.tasks = self._make_tasks()
        await self._begin(self.tasks)
        self.recall = self._make_recall()
        await self._begin(self.recall)
        self.fakes = self._make_fakes()
        set_switches(self.fakes, plan.switches)
        faults = [self.faults.armable(fault) for fault in plan.faults]
        self._beginning = Beginning(self.fakes, faults)
        if plan.function:
            await self._start_function()
            self._scheduler = Scheduler(
                self.clock, f"{self.worker_url}/sweep", every_s=deployed().sweep_every_s, run_secret=self.run_secret
            )
            await self._begin(self._scheduler)
        self._beginning.arm()
        await self._begin_control()

    def _make_tasks(self) -> CloudTasks:
        plan = self.plan
        return CloudTasks(
            self.clock,
            port=plan.ports.tasks,
            queues=local_queues(),
            seed=plan.seed,
            faults=self.faults,
            run_secrets={self.worker_url: self.run_secret} if plan.function else {},
            callers_clock=self._real_time,
        )

    def _make_recall(self) -> Recall:
        plan, own = self.plan, self.secrets
        return Recall(
            self.clock,
            api_key=own.api_key,
            seed=plan.seed,
            port=plan.ports.recall,
            data_dir=Path(self._running.enter_context(TemporaryDirectory(prefix="recall-", dir=plan.directory))),
            webhooks=[WebhookEndpoint(self.recall_webhook_url)] if self.recall_webhook_url else [],
            workspace_secret=own.webhook_secret,
            faults=self.faults,
            zoom_client=(own.client_id, own.client_secret),
            allow_local_urls="all" if plan.local_endpoints else "server_urls",
            authority=self.authority,
            ssl=ssl.create_default_context(cafile=str(self._tls.ca_file)) if self._tls else None,
        )

    async def aclose(self) -> None:
        await self._running.aclose()

    def _make_fakes(self) -> Fakes:
        return Fakes(
            clock=self.clock,
            zoom=self.zoom,
            recall=self.recall,
            tasks=self.tasks,
            faults=self.faults,
            seed=lambda: self.zoom.seed,
            webhook_url=lambda: self.webhook_url,
            reset=self.forget,
            uploads=self.plan.directory.resolve() / "uploads",
        )

    async def _begin_control(self) -> None:
        meetings = MeetingResource(self.fakes)
        self._running.push_async_callback(meetings.aclose)
        self.control = control_server(self.fakes, meetings, token=self.control_token, port=self.plan.ports.control)
        await self._begin(self.control)

    async def broken(self) -> ChildEndedError:
        """Wait until a function process ends by itself. Never returns without functions."""
        if self.function is None:
            await asyncio.get_running_loop().create_future()
        assert self.function is not None
        return await self.function.ended()

    async def forget(self, seed: int | None = None) -> bool:
        """Everything as it was after `start`, in real time again. True if the records went too (they stay in a store that was named).

        `seed` makes the ids from now on; by default that of the plan.
        """
        if self._scheduler is not None:
            await self._scheduler.aclose()
        await self._beginning.restore(seed, records_stay=not self.plan.own_state)
        if self.function is not None and self.plan.own_state:
            await self.function.aclose()
            self._remove_state()
            await self.function.start()
        if self._scheduler is not None:
            await self._scheduler.start()
        self._beginning.arm()
        return self.plan.own_state

    @property
    def webhook_url(self) -> str:
        """Where Zoom's events go."""
        port = self._ports.get("webhook")
        return f"http://{port.host}:{port.number}/zoom-webhook" if port else self.plan.webhook_url

    @property
    def recall_webhook_url(self) -> str:
        port = self._ports.get("webhook")
        return f"http://{port.host}:{port.number}/recall-webhook" if port else self.plan.recall_webhook_url

    @property
    def worker_url(self) -> str:
        port = self._ports.get("worker")
        return f"http://{port.host}:{port.number}" if port else self.plan.worker_url

    @property
    def state_url(self) -> str:
        return self.plan.state_url or f"sqlite://{self.plan.state_file}"

    @property
    def queues(self) -> tuple[str, ...]:
        return self.tasks.initial_queues

    @property
    def ca_file(self) -> Path | None:
        return self._tls.ca_file if self._tls else None

    @property
    def seed(self) -> int:
        return self.plan.seed

    def described(self) -> UpDescription:
        """Every URL and secret: what `rtmskit up --json` prints."""
        return described(self)

    def _remove_state(self) -> None:
        for file in self.plan.directory.glob(f"{self.plan.state_file.name}*"):
            file.unlink()

    async def _begin(self, part: Any) -> None:
        self._running.push_async_callback(part.aclose)
        await part.start()

    async def _start_function(self) -> None:
        wiring = Wiring(
            client_id=self.secrets.client_id,
            client_secret=self.secrets.client_secret,
            secret_token=self.secrets.secret_token,
            recall_base_url=self.recall.base_url,
            recall_api_key=self.secrets.api_key,
            recall_webhook_secret=self.secrets.webhook_secret,
            tasks_endpoint=self.tasks.endpoint,
            queues=",".join(self.tasks.initial_queues),
            state_url=self.state_url,
            recording_config=self.plan.recording_config,
            run_secret=self.run_secret,
        )
        self.function = Function(wiring, self._ports["webhook"], self._ports["worker"], self._real_time, self._on_line)
        self._running.push_async_callback(self.function.aclose)
        await self.function.start()
        await self._look_into_records()

    async def _look_into_records(self) -> None:
        """A function opens its store at the first request, so its `/health` says nothing of it. An emulator may still be starting."""
        patience_s = STORE_PATIENCE_S if self.state_url.startswith("firestore://") else 0.0
        began = self._real_time.now()
        while (problem := await self._records_problem()) is not None:
            waited_s = self._real_time.now() - began
            if waited_s >= patience_s:
                waited = f" within {patience_s:.0f} s" if patience_s else ""
                raise StateUnusableError(f"the records at {self.state_url} cannot be used{waited}: {problem}")
            self._on_wait(f"Waiting for {self.state_url}, {waited_s:.0f} of at most {patience_s:.0f} s: {problem}")
            await self._real_time.sleep(_STORE_LOOK_EVERY_S)

    async def _records_problem(self) -> str | None:
        """Why the worker cannot read its records, or None."""
        records = Recordings(self.worker_url, self.run_secret)

        async def first_page() -> None:
            async for _ in records.every():
                break

        try:
            await self._real_time.wait_for(first_page(), _STORE_ANSWER_S)
        except WorkerError as error:
            return str(error)
        except TimeoutError:
            return f"no answer within {_STORE_ANSWER_S:.0f} s"
        finally:
            await records.aclose()
        return None
