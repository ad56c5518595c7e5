"""One chaos run: both functions as real processes, every other part a fake in this one, and a misbehaving proxy on every link."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from rtms_relay.ports import Store
from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import CloudTasks, Scheduler
from rtms_simulator.kit.control.fakes import Secrets
from rtms_simulator.kit.deployed import deployed, local_queues
from rtms_simulator.kit.functions import Wiring, source
from rtms_simulator.recall import Recall, WebhookEndpoint, scripted
from rtms_simulator.recall.switches import RateLimits, RecallSwitches
from rtms_simulator.serving.processes import Child, Port
from rtms_simulator.zoom.webhooks.sender import EventSubscription
from tests.chaos.meetings import Zoom, content
from tests.chaos.proxy import Proxy
from tests.chaos.verdict import Rows, at_rest, verdict
from tests.e2e.processes import descendants, environment
from tests.security.leaks import leaks
from tests.simulation.checker import Verdict, view

ROLES = ("webhook", "worker")
REST_S = 720.0
"""How long after the last kill and the last spell everything may take to come to rest; most runs need a minute or two. A task that failed
often waits that long at the deployed back-off, and the sweep comes once a minute. A look whose task was never made, because the worker was
killed before, is put on its queue by the first sweep that finds it ten minutes late."""

TUNABLES = {"RECALL_TIMEOUT_S": "3", "RETRIEVAL_POLL_S": "3"}
"""A lease of 8 s, and a look for an unannounced recording every 3 s: what takes half an hour by default must fit into a test. All
else is as deployed; the connect window is Zoom's 60 s of real time."""

RUN_SECRET = "chaos-secret-of-the-run"
RECALL_FAULTS = (
    "recall.create: 503 then ok",
    "recall.create: 503 done then ok",
    "recall.create: cut then ok",
    "recall.create: 429 retry-after=2 then ok",
    "recall.create: 502 html then ok",
    "recall.create: reset then ok",
    "recall.create: slow 1s then ok",
    "recall.create: hang then ok",
    "recall.retrieve: 503 then ok",
    "recall.webhook.recording.done: lost",
    "recall.webhook.recording.done: duplicate",
)
TASK_FAULTS = (
    "tasks.dispatch.*: duplicate",
    "tasks.dispatch.*: cut",
    "tasks.dispatch.*: late 1s",
)
"""None is lost: Cloud Tasks delays a task that it has taken, and does not lose it (docs/evidence/google.md A1). The sweep puts a look
that was lost all the same on its queue again after ten minutes, which the simulated world plays (tests/simulation)."""
EVENTS = frozenset({"recording.processing", "recording.done", "recording.failed", "recording.deleted"})


@dataclass(slots=True)
class Report:
    """What a run amounted to."""

    state: str
    seed: int
    meetings: int
    verdict: Verdict
    kills: Counter[str]
    spells: Counter[str]
    deliveries: int
    attempts: int
    acked: int
    mdcs: int
    replayed: int
    downloaded: int
    leaked: list[str]
    seconds: float
    calm_s: float

    @property
    def fine(self) -> bool:
        return not self.verdict.broken and not self.leaked

    def __str__(self) -> str:
        told = self.verdict
        outcomes = ", ".join(f"{count} {name}" for name, count in sorted(told.outcomes.items()))
        spells = ", ".join(f"{count} {name}" for name, count in sorted(self.spells.items()))
        kills = ", ".join(f"{count} {name}" for name, count in sorted(self.kills.items()))
        lines = [
            f"{self.state}, seed {self.seed}: {self.meetings} meetings in {self.seconds:.0f} s, the last {self.calm_s:.0f} of them calm",
            f"  SIGKILLs     {self.kills.total()} ({kills})",
            f"  network      {self.spells.total()} pieces or connections hit ({spells})",
            f"  deliveries   {self.deliveries} in {self.attempts} attempts, {self.acked} acknowledged",
            f"  hand-offs    {told.starts} acknowledged starts: {outcomes}",
            f"  Recall       {self.mdcs} MDCs, {self.replayed} repeated creates answered by their Idempotency-Key",
            f"  lost {told.lost}, doubled {told.doubled}, recordings downloaded {self.downloaded}, secrets leaked {len(self.leaked)}",
        ]
        return "\n".join(
            [*lines, *(f"  BROKEN {line}" for line in told.broken[:20]), *(f"  LEAKED {line[:200]}" for line in self.leaked[:5])]
        )


@dataclass(slots=True)
class Chaos:
    """Give it a store that is empty: `state_url` for the processes, `open_store` to read it from here in the end.

    `emulator` is `host:port` of a Firestore emulator; the processes reach it through a proxy, as they reach everything else.
    """

    directory: Path
    state_url: str
    open_store: Callable[[], Store]
    seed: int = 0
    emulator: str | None = None
    on_line: Callable[[str], None] = lambda line: None
    clock: Clock = field(default_factory=Clock)
    lines: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    _begun: int = 0
    _proxies: dict[str, Proxy] = field(default_factory=dict)
    _ports: dict[str, Port] = field(default_factory=dict)
    _children: dict[str, Child] = field(default_factory=dict)
    _environment: dict[str, dict[str, str]] = field(default_factory=dict)
    _recall: Recall = field(init=False)
    _tasks: CloudTasks = field(init=False)
    _zoom: Zoom = field(init=False)

    async def run(self, meetings: int, kills: int) -> Report:
        """`kills` are spread over both roles, and the meetings over the kills."""
        began = time.monotonic()
        async with contextlib.AsyncExitStack() as running:
            await self._start(running)
            for proxy in self._proxies.values():
                proxy.misbehave()
            trouble = asyncio.create_task(self._trouble())
            killing = [asyncio.create_task(self._kill(role, kills // 2 + (kills % 2 if role == "worker" else 0))) for role in ROLES]
            meeting = [asyncio.create_task(self._meet(number, number * kills // meetings)) for number in range(meetings)]
            await asyncio.gather(*killing)
            await asyncio.gather(*meeting)
            trouble.cancel()
            self._tasks.faults.clear()
            self._recall.faults.clear()
            for proxy in self._proxies.values():
                await proxy.calm()
            calm = time.monotonic()
            await self._zoom.settled()
            rows = await self._rest()
            return await self._report(meetings, rows, began, calm)

    async def _start(self, running: contextlib.AsyncExitStack) -> None:
        secrets = Secrets.of_seed(self.seed)
        for role in ROLES:
            port = self._ports[role] = Port(f"the {role}")
            running.callback(port.release)
        worker = self._ports["worker"]
        opens = {(await self._proxy(running, "Cloud Tasks to worker", (worker.host, worker.number))).url: RUN_SECRET}
        self._tasks = CloudTasks(self.clock, queues=local_queues(), seed=self.seed, run_secrets=opens)
        await self._begin(running, self._tasks)
        webhook = self._ports["webhook"]
        for link in ("Zoom to webhook", "Recall to webhook"):
            await self._proxy(running, link, (webhook.host, webhook.number))
        await self._proxy(running, "function to Cloud Tasks", _address(self._tasks.endpoint))
        if self.emulator is not None:
            await self._proxy(running, "function to Firestore", _address(self.emulator))
        endpoint = EventSubscription(f"{self._proxies['Zoom to webhook'].url}/zoom-webhook", secrets.secret_token, secrets.client_id)
        self._zoom = Zoom(self.clock, self.seed, endpoint)
        running.push_async_callback(self._zoom.aclose)
        self._recall = Recall(
            self.clock,
            api_key=secrets.api_key,
            seed=self.seed,
            data_dir=self.directory / "recall",
            webhooks=[WebhookEndpoint(f"{self._proxies['Recall to webhook'].url}/recall-webhook", events=EVENTS)],
            workspace_secret=secrets.webhook_secret,
            zoom_client=(secrets.client_id, secrets.client_secret),
            allow_local_urls=True,
            switches=RecallSwitches(limits=RateLimits.off()),
            recorder_factory=scripted(self._zoom.story),
        )
        await self._begin(running, self._recall)
        api = _address(self._recall.origin.removeprefix("http://"))
        worker_url = self._proxies["Cloud Tasks to worker"].url
        wiring = Wiring(
            client_id=secrets.client_id,
            client_secret=secrets.client_secret,
            secret_token=secrets.secret_token,
            recall_base_url=f"{(await self._proxy(running, 'worker to Recall', api)).url}/api/v1",
            recall_api_key=secrets.api_key,
            recall_webhook_secret=secrets.webhook_secret,
            tasks_endpoint=self._proxies["function to Cloud Tasks"].address,
            queues=",".join(self._tasks.initial_queues),
            state_url=self.state_url,
            recording_config='{"video_mixed_mp4": {}}',
            run_secret=RUN_SECRET,
        )
        inherited = environment(**TUNABLES)
        if self.emulator is not None:
            inherited["FIRESTORE_EMULATOR_HOST"] = self._proxies["function to Firestore"].address
        self._environment = {role: wiring.environment(role, worker_url, inherited) for role in ROLES}
        running.push_async_callback(self._stop)
        await asyncio.gather(*(self._start_one(role) for role in ROLES))
        await self._begin(running, Scheduler(self.clock, f"{worker_url}/sweep", every_s=deployed().sweep_every_s, run_secret=RUN_SECRET))

    async def _begin(self, running: contextlib.AsyncExitStack, part: Any) -> None:
        running.push_async_callback(part.aclose)
        await part.start()

    async def _proxy(self, running: contextlib.AsyncExitStack, name: str, target: tuple[str, int]) -> Proxy:
        proxy = self._proxies[name] = Proxy(name, target, random.Random(f"{name} {self.seed}"))
        await self._begin(running, proxy)
        return proxy

    async def _start_one(self, role: str) -> None:
        port = self._ports[role]
        argv = [sys.executable, "-m", "functions_framework", "--source", str(source()), "--target", role]
        argv += ["--host", port.host, "--port", str(port.number)]
        child = self._children[role] = Child(role, argv, self._environment[role], self.clock, lambda name, line: self.lines.append(line))
        await child.start()
        await child.answers(self._health(role))

    def _health(self, role: str) -> str:
        return f"http://{self._ports[role].host}:{self._ports[role].number}/health"

    async def _stop(self) -> None:
        await asyncio.gather(*(child.stop(grace_s=1.0) for child in self._children.values()))

    async def _kill(self, role: str, times: int) -> None:
        """SIGKILL, again and again, a moment after it came up: the whole service, or only the process that serves requests."""
        chance = random.Random(f"kill {role} {self.seed}")
        for _ in range(times):
            self._begun += 1
            await asyncio.sleep(chance.uniform(0.1, 1.4))
            child = self._children[role]
            if chance.random() < 0.6:
                for pid in descendants(child.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                self.kills[f"{role} instance"] += 1
                # The server puts another in its place; until it has, and now and then beyond, it is hit again.
                await asyncio.sleep(chance.uniform(0.1, 0.5))
                await child.answers(self._health(role))
            else:
                child.kill()
                assert (await child.ended()).exit_code == -signal.SIGKILL
                self.kills[f"{role} process"] += 1
                await self._start_one(role)
            self.on_line(f"kill {self.kills.total()}: {role}")

    async def _meet(self, number: int, after_kills: int) -> None:
        while self._begun < after_kills:  # noqa: ASYNC110 - a thousand meetings wait here, each for another number
            await asyncio.sleep(0.05)
        await asyncio.sleep(random.Random(f"late {self.seed} {number}").uniform(0.0, 1.0))
        await self._zoom.meet(number)

    async def _trouble(self) -> None:
        """Recall and Cloud Tasks misbehave, too."""
        chance = random.Random(f"trouble {self.seed}")
        while True:
            await asyncio.sleep(chance.uniform(0.2, 1.5))
            self._recall.faults.add(chance.choice(RECALL_FAULTS))
            self._tasks.faults.add(chance.choice(TASK_FAULTS))

    async def _rest(self) -> Rows:
        store = self.open_store()
        try:
            deadline = time.monotonic() + REST_S
            while True:
                rows = {stored.key: view(stored.fields) for stored in await store.newest("handoffs", 100_000)}
                if (not self._facts_under_way() and at_rest(self._recall, rows)) or time.monotonic() > deadline:
                    return rows
                await asyncio.sleep(0.5)
        finally:
            await store.close()

    def _facts_under_way(self) -> bool:
        """Whether a start, an end or a revocation that was acknowledged has not been worked off yet. Looks wait for hours, and may."""
        waiting = (task.name.split("/queues/")[1].split("/")[0] for task in self._tasks.tasks(live=True))
        return any(queue != "retrievals" for queue in waiting)

    async def _report(self, meetings: int, rows: Rows, began: float, calm: float) -> Report:
        found = verdict(self._zoom.sent, self._recall, rows)
        downloaded = await self._download(rows, found)
        attempts = [attempt for one in self._zoom.sent for attempt in one.delivery.attempts]
        let_out = [*self.lines, *(json.dumps(fields) for fields in rows.values())]
        let_out += [attempt.answer.decode(errors="replace") for attempt in attempts]
        return Report(
            state=self.state_url.partition(":")[0],
            seed=self.seed,
            meetings=meetings,
            verdict=found,
            kills=self.kills,
            spells=sum((proxy.acted for proxy in self._proxies.values()), Counter()),
            deliveries=len(self._zoom.sent),
            attempts=len(attempts),
            acked=sum(one.delivery.outcome == "delivered" for one in self._zoom.sent),
            mdcs=len(self._recall.workspace.mdcs),
            replayed=sum(exchange.replayed for exchange in self._recall.api.history),
            downloaded=downloaded,
            leaked=[*leaks(let_out, self._secrets()), *leaks(let_out, self._signatures(), size=20)],
            seconds=time.monotonic() - began,
            calm_s=time.monotonic() - calm,
        )

    def _secrets(self) -> list[str]:
        own = Secrets.of_seed(self.seed)
        return [own.client_secret, own.secret_token, own.api_key, own.webhook_secret.removeprefix("whsec_"), RUN_SECRET]

    def _signatures(self) -> list[str]:
        """With its signature anybody could join a stream."""
        return [mdc.body["zoom_rtms"]["signature"] for mdc in self._recall.workspace.mdcs.values()]

    async def _download(self, rows: Mapping[str, Mapping[str, Any]], found: Verdict) -> int:
        """Each finished recording by the link that the worker gives: its bytes must be its own stream's."""
        got = 0
        worker = self._ports["worker"]
        # A connection of its own for each: one that has been idle may be closed by the server at the very moment it is used again.
        alone = httpx.Limits(max_keepalive_connections=0)
        url = f"http://{worker.host}:{worker.number}"
        # Not the client's own header: the link's host must not get it.
        opens = {"Authorization": f"Bearer {RUN_SECRET}"}
        async with httpx.AsyncClient(base_url=url, follow_redirects=True, trust_env=False, limits=alone) as client:
            for key, fields in rows.items():
                if fields["retrieval"] != "done" or not any(one["status"] == "done" for one in fields["recordings"]):
                    continue
                answer = await client.get(f"/recordings/{key}/download", headers=opens, timeout=20)
                if answer.status_code == 200 and answer.content == content(fields["stream_id"]):
                    got += 1
                else:
                    found.breaks("retrieval", f"hand-off {key[:8]}: the download answered {answer.status_code}, {answer.content[:80]!r}")
        return got


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)
