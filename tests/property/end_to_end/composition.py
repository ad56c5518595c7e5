"""Both sides in one process on one virtual clock: the function's real HTTP surfaces, the fake Recall, and what lies between them.

Only wires are replaced. A request to the function goes through functions-framework's own app, one to Recall through its ASGI app
with httpx's time-out kept on the clock, and one of Recall's webhooks through `Mail`, which loses, repeats and delays as it is told.
Nothing happens unless the test moves the clock or hands on a task.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import httpx
from functions_framework import aio
from tests.ports.plain import Middle
from tests.ports.stores import MemoryStore

from rtms_relay import logs, settings
from rtms_relay.adapters.recall_http import HttpRecall
from rtms_relay.adapters.system import AsyncioJobs
from rtms_relay.errors import QueueUnavailable, StoreUnavailable
from rtms_relay.intake import Intake
from rtms_relay.ports import Path, QueueName
from rtms_relay.routes.http import Surface
from rtms_relay.routes.webhook import WebhookRoutes
from rtms_relay.routes.worker import WorkerRoutes
from rtms_relay.worker import Worker
from rtms_simulator.clock import Clock
from rtms_simulator.recall import Recall, RecallSwitches, Story, WebhookEndpoint, scripted
from rtms_simulator.recall.recorder.values import StreamRequest

EPOCH = 1_795_338_000.0
SECRET_TOKEN = "zQ3vXk9LrT7mWp2Bn5Hd8A"
CLIENT_ID = "cidEndToEnd"
CLIENT_SECRET = "Gx6RfYu1JcVo4KsEw0NtPqLz8MbDhI2a"
API_KEY = "7f3c9a51d2e84b60c1f7a9380e5d4b2c6a19f038"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"\x9a\x01recall webhook key\xf3").decode()
SECRETS = (SECRET_TOKEN, CLIENT_SECRET, API_KEY, WEBHOOK_SECRET.removeprefix("whsec_"))

ENVIRON = {
    "ZOOM_SECRET_TOKEN": SECRET_TOKEN,
    "ZOOM_CLIENT_ID": CLIENT_ID,
    "ZOOM_CLIENT_SECRET": CLIENT_SECRET,
    "RECALL_API_KEY": API_KEY,
    "RECALL_BASE_URL": "https://us-east-1.recall.ai/api/v1",
    "RECALL_WEBHOOK_SECRETS": WEBHOOK_SECRET,
    "STATE_URL": "sqlite://",
    "HANDOFF_QUEUES": "projects/p/locations/l/queues/handoffs,projects/p/locations/m/queues/handoffs",
    "FACTS_QUEUE": "projects/p/locations/l/queues/facts",
    "RETRIEVAL_QUEUE": "projects/p/locations/l/queues/retrievals",
    "WORKER_URL": "https://worker.example",
}
JSON = [("content-type", "application/json; charset=utf-8")]
ZOOMS_PATIENCE_S = 3.0
TRANSIT_MS = 5
"""How long a task is on its way at least, and a webhook of Recall's. Nothing else here takes time of itself; if these did not either, a
webhook could set a look for the very millisecond whose task has just run, which on a real network only the sweeper would ever see."""
QUEUES_PAUSE_S = 10.0
"""Before a task that failed is delivered again, as the kit's queue does after a few tries."""

Role = Literal["webhook", "worker"]
Headers = Sequence[tuple[str, str | bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the function said to one request."""

    role: Role
    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Task:
    path: Path
    body: bytes
    not_before_ms: int


class TaskLine:
    """The queues between the functions, all four in one. A name once used is used up, as in Cloud Tasks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._names: set[str] = set()
        self.waiting: list[Task] = []
        self.enqueued = 0
        self.down = False

    async def enqueue(self, path: Path, body: bytes, *, not_before_ms: int | None = None, name: str = "") -> bool:
        if self.down:
            raise QueueUnavailable("the queue is down")
        if name and name in self._names:
            return False
        self._names.add(name)
        self.enqueued += 1
        self.waiting.append(Task(path, body, max(not_before_ms or 0, self._clock.now_ms() + TRANSIT_MS)))
        return True

    async def close(self) -> None: ...

    def due(self) -> list[Task]:
        return [task for task in self.waiting if task.not_before_ms <= self._clock.now_ms()]

    def again(self, task: Task) -> None:
        """After a failure, or after a worker died over it."""
        self.waiting.append(Task(task.path, task.body, self._clock.now_ms() + int(QUEUES_PAUSE_S * 1000)))


class RelayClock:
    """The simulator's clock as the relay's port."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def monotonic_ms(self) -> float:
        return self._clock.now() * 1000

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


class OnTheClock(httpx.AsyncBaseTransport):
    """An ASGI app as a server behind a wire: it goes on when its client has given up, which httpx's read time-out decides."""

    def __init__(self, clock: Clock, through: httpx.AsyncBaseTransport) -> None:
        self._clock = clock
        self._through = through
        self._serving: set[asyncio.Task[httpx.Response]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        serving = asyncio.ensure_future(self._through.handle_async_request(request))
        self._serving.add(serving)
        serving.add_done_callback(self._served)
        try:
            return await self._clock.wait_for(asyncio.shield(serving), request.extensions["timeout"]["read"])
        except TimeoutError:
            raise httpx.ReadTimeout("nothing came", request=request) from None

    def _served(self, serving: asyncio.Task[httpx.Response]) -> None:
        self._serving.discard(serving)
        if not serving.cancelled():
            serving.exception()  # whoever waited was told; nobody may be waiting any more

    async def aclose(self) -> None:
        for serving in list(self._serving):
            serving.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one attempt at a webhook: it arrives `arrives` times, `after_s` seconds late, and Recall hears of it or not.

    What is late was taken by something on the way, so that Recall believes it delivered; its signature is of the day it was sent.
    """

    arrives: int = 1
    heard: bool = True
    after_s: float = 0.0

    def __repr__(self) -> str:
        times = ("lost", "once", "twice")[self.arrives]
        return f"<{times}{f' after {self.after_s:g} s' if self.after_s else ''}{'' if self.heard else ', answer lost'}>"


ARRIVES = Fate()
LOST = Fate(arrives=0, heard=False)


@dataclass(frozen=True, slots=True)
class Letter:
    """One webhook as it left Recall."""

    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def event(self) -> str:
        return json.loads(self.body)["event"]

    @property
    def handoff(self) -> str | None:
        """The key that the relay planted in the recording."""
        return json.loads(self.body)["data"]["recording"]["metadata"].get("rtmskit_handoff")


class Mail(httpx.AsyncBaseTransport):
    """Carries Recall's webhooks to the function. `fates` are used up one by one; then everything arrives, unless it is `down`."""

    def __init__(self, world: World, fates: Iterable[Fate] = ()) -> None:
        self._world = world
        self.fates = list(fates)
        self.down = False
        self.sent: list[Letter] = []
        self.told: list[tuple[str, str | None, int]] = []
        """(event, hand-off key, status) of everything that arrived."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        letter = Letter(tuple(request.headers.multi_items()), await request.aread())
        self.sent.append(letter)
        fate = LOST if self.down else self.fates.pop(0) if self.fates else ARRIVES
        if fate.after_s:
            self._world.spawn(self._later(letter, fate))
            return httpx.Response(200)
        status = 0
        for _ in range(fate.arrives):
            status = await self.bring(letter)
        if not fate.heard:
            raise httpx.ReadError("the connection broke", request=request)
        return httpx.Response(status or 503)

    async def _later(self, letter: Letter, fate: Fate) -> None:
        await self._world.clock.sleep(fate.after_s)
        for _ in range(fate.arrives):
            await self.bring(letter)

    async def bring(self, letter: Letter) -> int:
        """Hand a letter in, however old it is. Returns the status."""
        await self._world.clock.sleep(TRANSIT_MS / 1000)
        answer = await self._world.ask("webhook", "POST", "/recall-webhook", letter.headers, letter.body)
        self.told.append((letter.event, letter.handoff, answer.status))
        return answer.status


class World:
    """The composition. `story`: how each stream's recording goes. `environ`: the function's settings, where they differ."""

    def __init__(
        self,
        *,
        story: Story | Callable[[StreamRequest], Story] | None = None,
        switches: RecallSwitches | None = None,
        fates: Iterable[Fate] = (),
        headers: Literal["webhook", "svix"] = "webhook",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.clock = Clock(EPOCH, 0)
        self.store = MemoryStore()
        self.store.trouble = self._trouble
        self.store_failures = 0
        self.tasks = TaskLine(self.clock)
        self.output = io.StringIO()
        self.answers: list[Answer] = []
        self.mail = Mail(self, fates)
        self.recall = Recall(
            self.clock,
            api_key=API_KEY,
            zoom_client=(CLIENT_ID, CLIENT_SECRET),
            webhooks=[WebhookEndpoint("https://function.example/recall-webhook", WEBHOOK_SECRET if headers == "svix" else None, headers)],
            workspace_secret=WEBHOOK_SECRET,
            recorder_factory=scripted(story or Story()),
            switches=switches,
            http_transport=self.mail,
        )
        self._environ = ENVIRON | dict(environ or {})
        self._jobs: dict[Role, AsyncioJobs] = {}
        self._running: dict[asyncio.Task[Any], Role] = {}
        self._swept_at = 0.0
        self._wire = OnTheClock(self.clock, self.recall.transport())
        self._apps: dict[Role, httpx.ASGITransport] = {}
        for role in ("webhook", "worker"):
            self._boot(role)

    async def _trouble(self, _: str) -> None:
        if self.store_failures:
            self.store_failures -= 1
            raise StoreUnavailable("the store is away")

    def _boot(self, role: Role) -> None:
        known = settings.load(self._environ, role)
        log = logs.JsonLog(known.secrets(), self.output)
        clock, jobs = RelayClock(self.clock), AsyncioJobs()
        self._jobs[role] = jobs
        names: tuple[QueueName, ...] = ("handoffs", "handoffs-second", "facts", "retrievals")
        queues = dict.fromkeys(names, self.tasks)
        if role == "webhook":
            surface = WebhookRoutes(Intake(known, queues, clock, jobs, log), clock, log).surface
        else:
            api = HttpRecall(known.recall_base_url, known.recall_api_key, clock, timeout_s=known.recall_timeout_s, transport=self._wire)
            worker = Worker(known, self.store, queues, clock, jobs, Middle(), log, api)
            surface = WorkerRoutes(worker, clock, log).surface
        self._apps[role] = httpx.ASGITransport(_framework(surface))

    async def restart(self, role: Role) -> int:
        """A process dies in the middle of what it does, and another takes its place. Returns how many requests died with it."""
        dying = [task for task, whose in self._running.items() if whose == role]
        dying += self._jobs[role]._running
        for task in dying:
            task.cancel()
        await asyncio.gather(*dying, return_exceptions=True)
        self._boot(role)
        return len(dying)

    async def aclose(self) -> None:
        for role in ("webhook", "worker"):
            await self.restart(role)
        await self.recall.aclose()
        await self._wire.aclose()

    # Requests

    async def ask(self, role: Role, method: str, path: str, headers: Headers = (), body: bytes = b"") -> Answer:
        """One request to the function, answered when it is answered."""
        raw = [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in headers]
        request = httpx.Request(method, f"https://function.example{path}", headers=raw, content=body)
        response = await self._apps[role].handle_async_request(request)
        answer = Answer(role, method, path, response.status_code, dict(response.headers), await response.aread())
        self.answers.append(answer)
        return answer

    async def zoom(self, headers: Headers, body: bytes) -> Answer:
        """A request to the Zoom webhook. Fails if it is not answered while Zoom waits, unless the queues are down: then a start goes on
        trying, and Zoom has no answer (599)."""
        work = self.spawn(self.ask("webhook", "POST", "/zoom-webhook", headers, body), "webhook")
        await self._until(work, ZOOMS_PATIENCE_S)
        assert work.done() or self.tasks.down, "Zoom waited 3 s for nothing"
        return work.result() if work.done() else Answer("webhook", "POST", "/zoom-webhook", 599, {}, b"")

    async def worker(self, method: str, path: str) -> Answer:
        work = self.spawn(self.ask("worker", method, path), "worker")
        await self._until(work, 60.0)
        return work.result()

    async def stranger(self, url: str) -> httpx.Response:
        """Open a link as somebody who has nothing but it."""
        async with httpx.AsyncClient(transport=self.recall.transport()) as client:
            return await client.get(url)

    async def at_recall(self, key: str) -> list[dict[str, Any]]:
        """The recordings of one hand-off as Recall's own API tells them to the account's owner."""
        async with httpx.AsyncClient(transport=self.recall.transport(), headers={"authorization": API_KEY}) as owner:
            answer = await owner.get(f"{ENVIRON['RECALL_BASE_URL']}/recording/", params={"metadata__rtmskit_handoff": key})
        assert answer.status_code == 200, answer.text
        return answer.json()["results"]

    # Tasks

    def dispatch(self, task: Task, *, once: bool = True) -> None:
        """Deliver a task; not `once`: it stays in line and comes again."""
        if once:
            self.tasks.waiting.remove(task)
        self.spawn(self._dispatch(task), "worker")

    async def _dispatch(self, task: Task) -> None:
        try:
            answer = await self.ask("worker", "POST", task.path, JSON, task.body)
        except asyncio.CancelledError:
            self.tasks.again(task)
            raise
        if not 200 <= answer.status < 300:
            self.tasks.again(task)

    # Time

    def spawn(self, work: Coroutine[Any, Any, Any], role: Role | None = None) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._running[task] = role or "webhook"
        task.add_done_callback(lambda done: self._running.pop(done, None))
        return task

    async def settle(self) -> None:
        """Let everything happen that needs no further time: until nothing is left that could run."""
        ready = asyncio.get_running_loop()._ready  # ty: ignore[missing-attribute]
        while True:
            await asyncio.sleep(0)
            if not ready:
                return

    async def _until(self, work: asyncio.Task[Any], seconds: float) -> None:
        """Let time pass, but only as far as somebody waits for it, until the work is done or `seconds` are over."""
        end = self.clock.now() + seconds
        await self.settle()
        while not work.done() and (moment := self.clock.next_deadline) is not None and moment <= end:
            await self._jump(moment)

    async def _jump(self, moment: float) -> None:
        self.clock.advance(max(0.0, moment - self.clock.now()))
        await self.settle()

    async def pass_time(self, seconds: float) -> None:
        """Go forward, stopping at every moment somebody waits for. No task is delivered and nothing is swept."""
        end = self.clock.now() + seconds
        await self.settle()
        while (moment := self.clock.next_deadline) is not None and moment <= end:
            await self._jump(moment)
        await self._jump(end)

    async def live(self, seconds: float, *, sweeps: bool = True) -> None:
        """Go forward with the queue at work and, if wished, the scheduler: a sweep on each minute on which there is anything to do."""
        end = self.clock.now() + seconds
        for _ in range(20_000):
            await self.settle()
            if due := self.tasks.due():
                for task in due:
                    self.dispatch(task)
                continue
            moments = [self.clock.next_deadline, *(_reached(task.not_before_ms) for task in self.tasks.waiting)]
            sweep = self._next_sweep() if sweeps else None
            moment = min((m for m in (*moments, sweep) if m is not None), default=None)
            if moment is None or moment > end:
                break
            await self._jump(moment)
            if sweep is not None and sweep <= self.clock.now():
                self._swept_at = self.clock.now()
                await self.worker("POST", "/sweep")
        else:
            raise AssertionError("the world does not come to rest")
        await self._jump(end)

    def _next_sweep(self) -> float | None:
        dues = [_reached(fields["due_at"]) for fields in self.handoffs.values() if fields["due_at"] is not None]
        if not dues:
            return None
        soonest = max(min(dues), self.clock.now())
        minute = -(-soonest // 60) * 60
        return minute if minute > self._swept_at else self._swept_at + 60

    # Records

    @property
    def handoffs(self) -> dict[str, dict[str, Any]]:
        """What these tests look at of each hand-off, by key."""
        return {key: _flat(fields) for key, fields in self.store.all("handoffs").items()}


def _flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    attempt, retrieval, erasure = fields["attempt"], fields["retrieval"], fields["erasure"]
    return {
        **{name: fields[name] for name in ("key", "stream_id", "entity_id", "server_urls", "epoch", "due_at")},
        **{name: attempt[name] for name in ("state", "reason", "mdc_id", "unsure", "accepted_at")},
        "recordings": retrieval["recordings"],
        "retrieval": erasure["state"] if erasure["state"] != "none" else retrieval["state"],
        "retrieval_reason": retrieval["reason"],
    }


def _reached(moment_ms: int) -> float:
    """When, in seconds, a clock that cuts off what is less than a millisecond has surely come to this moment."""
    return moment_ms / 1000 + 0.0005


def _framework(surface: Surface) -> Any:
    async def function(request: Any) -> Any:
        return await surface(request)

    return aio._create_asgi_app_with_function(function, "http", enable_id_logging=False)


@asynccontextmanager
async def world(**options: Any) -> AsyncGenerator[World]:
    made = World(**options)
    try:
        yield made
    finally:
        await made.aclose()
