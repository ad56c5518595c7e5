"""A cloud on loopback, made of what the program registered, with both vendors beside it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import httpx

from rtms_infra.rehearsal.provider import bare
from rtms_infra.rehearsal.registered import (
    Bucket,
    Field,
    Function,
    Index,
    Job,
    NotRegistered,
    OidcToken,
    Queue,
    Registered,
    UptimeCheck,
    seconds,
)
from rtms_infra.rehearsal.rights import Rights
from rtms_simulator.cli.rehearse.api_guard import ApiGuard, Judge
from rtms_simulator.cli.rehearse.deployed import schedule
from rtms_simulator.cli.rehearse.deployed.services import FunctionProcess
from rtms_simulator.cli.rehearse.firestore.indexes import Indexes
from rtms_simulator.cli.rehearse.firestore.records import EmulatedRecords
from rtms_simulator.cli.rehearse.front import Front, InternalNetwork
from rtms_simulator.cli.rehearse.judges import Decisions, FirestoreJudge, TasksJudge
from rtms_simulator.cli.rehearse.program import MADE_UP, Loaded
from rtms_simulator.cli.rehearse.watch import Watch
from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import CloudTasks, Limits, Retry, Scheduler
from rtms_simulator.cloud_tasks.scheduler import JobRequest
from rtms_simulator.errors import WorkerError
from rtms_simulator.faults import FaultBook
from rtms_simulator.kit.rush import CONNECTIONS, Crowd, Recorders
from rtms_simulator.kit.worker_client import Recordings
from rtms_simulator.recall import Recall, WebhookEndpoint
from rtms_simulator.recall.switches import RateLimits, RecallSwitches
from rtms_simulator.serving.authority import CertificateAuthority
from rtms_simulator.serving.http_server import HttpServer
from rtms_simulator.zoom import Zoom, ZoomApp

LOOK_EVERY_S = 0.5
LOOKS = 10
TOLD = ("zoomEventUrl", "recallWebhookUrl")
"""The outputs that a person enters at Zoom and at Recall: without them no event arrives."""


@dataclass(frozen=True, slots=True)
class Vendors:
    """What Zoom and Recall know. The program's own secrets are the same unless a drill says otherwise. `crowd`: meetings have no media, and
    Recall's recorders end when they are told to (`kit.rush`); a rush hands on more than Recall's 60 a minute, so that one limit is off.
    `ticked`: the events of Recall's webhook endpoint; None for all."""

    secret_token: str = MADE_UP["zoomSecretToken"]
    client_secret: str = MADE_UP["zoomClientSecret"]
    api_key: str = MADE_UP["recallApiKey"]
    webhook_secret: str = MADE_UP["recallWebhookSecrets"]
    crowd: bool = False
    ticked: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a cloud is made with. `emulator`: `host:port` of a Firestore emulator, empty where there is none: then records are in SQLite,
    and no permission or index of theirs is checked. `propagation_s`: how long a grant takes to be in force."""

    folder: Path
    emulator: str = ""
    propagation_s: float = 0.0
    seed: int = 0
    vendors: Vendors = field(default_factory=Vendors)


class LocalCloud:
    """`start` returns when both functions answer. Two clocks: `clock` is Google's (queues, schedule, grants, monitoring) and can be moved
    ahead by `pass_time`; `vendors_clock` is Zoom's and Recall's and runs in real time, as the functions do."""

    def __init__(self, loaded: Loaded, around: Surroundings, on_line: Callable[[str, str], None] | None = None) -> None:
        self.loaded, self.around = loaded, around
        self.registered: Registered = loaded.registered
        self.clock, self.vendors_clock, self._real_time = Clock(), Clock(), Clock()
        self.rights = Rights(self.registered, self.clock.now, around.propagation_s)
        self.decisions = Decisions(self.rights)
        self.watch = Watch(self.registered, self.clock, self._uptime)
        self.faults = FaultBook()
        self.functions = self.registered.of(Function)
        self.services: dict[str, FunctionProcess] = {}
        self.fronts: dict[str, Front] = {}
        self.doors: dict[str, HttpServer] = {}
        self.guards: dict[tuple[str, str], ApiGuard] = {}
        self.schedulers: dict[str, Scheduler] = {}
        self._queues: dict[str, Queue] = {}
        self._jobs: dict[str, Job] = {}
        self.recorders = Recorders()
        self.records = EmulatedRecords(self.registered, around.emulator)
        self._on_line = on_line
        self._looking = asyncio.Lock()
        self._running = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Raises `NotDeployed`, `NotRegistered`, ChildEndedError or TimeoutError; `aclose` is due then, too."""
        self.around.folder.mkdir(parents=True, exist_ok=True)
        await self._begin_fronts()
        await self._begin_vendors()
        await self._begin_tasks()
        await self._begin_guards()
        # The functions end before what they talk to.
        self._running.push_async_callback(self._stop_services)
        await asyncio.gather(*(self.start_service(role) for role in self.services))
        # The drills begin when the last grant is in force.
        await self.clock.run_ahead(self.around.propagation_s)
        await self._look_into_records(self.services["worker"].url)
        await self._begin_schedules()
        looking = asyncio.create_task(self._look())
        self._running.push_async_callback(_cancelled, looking)

    async def aclose(self) -> None:
        await self._running.aclose()

    async def start_service(self, role: str) -> None:
        await self.services[role].start(self._local_variables(role, self.services[role].function, self.registered))

    async def _look_into_records(self, url: str) -> None:
        """The worker opens its store at the first request. An emulator's first answer takes longer than Firestore's ever does; on a busy
        machine longer than the worker waits, so that it is asked again."""
        problem = ""
        for _ in range(LOOKS):
            try:
                await self._newest_record(url)
            except WorkerError as error:
                problem = str(error)
                if "DeadlineExceeded" not in problem:
                    break
            else:
                return
        self.decisions.note(f"the worker cannot read its records: {problem}")

    async def _newest_record(self, url: str) -> None:
        records = Recordings(url)
        try:
            async for _ in records.every():
                break
        finally:
            await records.aclose()

    async def update(self, loaded: Loaded) -> None:
        """Be what Google has after an `up`, in its order: what is new or changed, the functions, what needs them, and the deletions.

        A function whose arguments are the same runs on; of the others the worker is first. Raises as `start`.
        """
        # An archive that was registered before may still be what a function is made from.
        loaded = replace(loaded, files={**self.loaded.files, **loaded.files})
        now, before = loaded.registered.given(), self.registered.given()
        same = {name for name in now if now[name] == before.get(name)}
        functions = loaded.registered.of(Function)
        self._be(loaded.registered.before_deletions(self.registered), functions, same)
        for role in ("worker", "webhook"):
            function = _function(functions, role)
            if role not in same:
                await self._update_function(role, function, loaded)
        self.loaded, self.registered, self.functions = loaded, loaded.registered, functions
        await self._update_schedules()
        self.watch.update(self.registered)
        self._be(self.registered, functions, same)
        await self.records.update(self.registered)

    def _be(self, registered: Registered, functions: Mapping[str, Function], same: Collection[str]) -> None:
        """What the functions meet: grants, queues, indexes."""
        self.rights.update(registered, same)
        self._update_queues(registered)
        # A function that changes its account is asked as the new one while its old instance still ends.
        for (api, role), judge in self._judges(registered, functions).items():
            self.guards[api, role].judge = judge

    async def _update_function(self, role: str, function: Function, loaded: Loaded) -> None:
        """The new instance answers before traffic moves to it, and the old one is asked to end afterwards."""
        then = Decisions(self.rights.when_created(role), self.decisions.refused)
        fresh = FunctionProcess(loaded, function, then, self.around.folder / "sources", self._line_of(function))
        self._running.push_async_callback(fresh.aclose)
        await fresh.start(self._local_variables(role, function, loaded.registered))
        if role == "worker":
            await self._look_into_records(fresh.url)
        former, self.services[role] = self.services[role], fresh
        self.fronts[role].serve(function, _hosts(role, function, loaded.registered), fresh.address)
        await former.stop()

    def _update_queues(self, registered: Registered) -> None:
        queues, former = _queues(registered), self._queues
        for path in former.keys() - queues.keys():
            self.tasks.delete_queue(path)
        for path, queue in queues.items():
            if path not in former:
                self.tasks.create_queue(path, retry=_retry(queue), limits=_limits(queue))
            elif queue != former[path]:
                self.tasks.change_queue(path, retry=_retry(queue), limits=_limits(queue))
        self._queues = queues

    async def _update_schedules(self) -> None:
        """A job that is changed stays paused if it was."""
        jobs = self.registered.of(Job)
        for name, job in list(self._jobs.items()):
            if jobs.get(name) != job:
                await self.schedulers[name].aclose()
        paused = {name for name, scheduler in self.schedulers.items() if scheduler.paused}
        self.schedulers = {name: one for name, one in self.schedulers.items() if jobs.get(name) == self._jobs[name]}
        await self._begin_schedules()
        for name in paused & self.schedulers.keys():
            self.schedulers[name].paused = True

    async def _stop_services(self) -> None:
        await asyncio.gather(*(service.stop() for service in self.services.values()))

    def role(self, role: str) -> Function:
        """Raises `NotRegistered`."""
        return _function(self.functions, role)

    def variable(self, role: str, name: str) -> str:
        """A registered variable of a function. Raises `NotRegistered`."""
        value = self.role(role).service_config.environment_variables.get(name)
        if value is None:
            raise NotRegistered(f"the function `{role}` has no variable `{name}`")
        return value

    @property
    def webhook_url(self) -> str:
        """Where Zoom sends its events: the door of the webhook, and the path that the stack's outputs name."""
        return self._told(TOLD[0])

    def _told(self, output: str) -> str:
        """What the stack says is to be entered at a vendor, at the address on this machine. Raises `NotRegistered`."""
        if output not in self.registered.outputs:
            raise NotRegistered(f"the stack has no output `{output}`, which is to be entered at a vendor")
        return f"{self.doors['webhook'].url}{urlsplit(str(bare(self.registered.outputs[output]))).path}"

    @property
    def recall_webhook_url(self) -> str:
        """Where Recall sends its events."""
        return self._told(TOLD[1])

    @property
    def state_url(self) -> str:
        """Where the worker keeps its records."""
        worker = self.role("worker")
        local = self._local_variables("worker", worker, self.registered)
        return local.get("STATE_URL") or worker.service_config.environment_variables.get("STATE_URL", "")

    async def pass_time(self, duration_s: float) -> None:
        """Let Google's clock run ahead, a minute at a time, with everything that is due on the way, and look at the alerts each minute."""
        left = duration_s
        while left > 0:
            step = min(left, 60.0)
            await self.clock.run_ahead(step)
            await self.look()
            left -= step

    async def leap(self, duration_s: float) -> None:
        """Set Google's clock ahead in one step, by days: what was due on the way comes now, once, and no alert is evaluated for it."""
        async with self._looking:
            self.clock.advance(duration_s)
            self.watch.skip()
        await self.look()

    async def look(self) -> None:
        async with self._looking:
            await self.watch.look(self.tasks.depths())
            await self.records.look(self.clock.now())

    @contextlib.asynccontextmanager
    async def crowd(self) -> AsyncGenerator[Crowd]:
        """Zoom's side of many meetings without media, of a cloud whose vendors are made for one."""
        assert self.around.vendors.crowd, "this drill's vendors are made for meetings with media"
        limits = httpx.Limits(max_connections=CONNECTIONS)
        async with httpx.AsyncClient(timeout=30, trust_env=False, limits=limits) as client:
            yield Crowd(self.webhook_url, self.around.vendors.secret_token, self.recall, self.recorders, client)

    # Parts

    async def _begin_fronts(self) -> None:
        unpacked = self.around.folder / "sources"
        for role in ("webhook", "worker"):
            function = self.role(role)
            # Its secrets are read while `up` runs: a grant that was made just before may not be in force.
            then = Decisions(self.rights.when_created(role), self.decisions.refused)
            service = FunctionProcess(self.loaded, function, then, unpacked, self._line_of(function))
            self._running.push_async_callback(service.aclose)
            self.services[role] = service
            front = Front(
                function, _hosts(role, function, self.registered), self.decisions, self.clock, service.address, self._answered(function)
            )
            front.on_refused = self._refused(function)
            self._running.push_async_callback(front.aclose)
            self.fronts[role] = front
            self.doors[role] = door = HttpServer(front, purpose=f"the {role}'s door")
            await self._begin(door)

    async def _begin_vendors(self) -> None:
        own = self.around.vendors
        for output in TOLD:
            self._told(output)
        worker = self.role("worker").service_config.environment_variables
        app = ZoomApp(worker.get("ZOOM_CLIENT_ID", ""), own.client_secret, own.secret_token)
        self.zoom = Zoom(self.vendors_clock, app, seed=self.around.seed, faults=self.faults)
        await self._begin(self.zoom)
        place = self._running.enter_context(TemporaryDirectory(prefix="recall-", dir=self.around.folder))
        self.recall = Recall(
            self.vendors_clock,
            api_key=own.api_key,
            region=worker.get("RECALL_REGION", "us-east-1"),
            seed=self.around.seed,
            data_dir=Path(place),
            webhooks=[WebhookEndpoint(self.recall_webhook_url, events=own.ticked)],
            workspace_secret=own.webhook_secret,
            faults=self.faults,
            zoom_client=None,
            recorder_factory=self.recorders if own.crowd else None,
            switches=RecallSwitches(limits=RateLimits(create=None)) if own.crowd else None,
            allow_local_urls="server_urls",
            authority=CertificateAuthority.of_folder(self.around.folder),
        )
        await self._begin(self.recall)

    async def _begin_tasks(self) -> None:
        network = InternalNetwork(lambda: tuple(self.fronts.values()))
        self.tasks = CloudTasks(
            self.clock,
            queues=(),
            seed=self.around.seed,
            faults=self.faults,
            transport=network,
            on_attempt=self.watch.attempt,
            callers_clock=self._real_time,
        )
        await self._begin(self.tasks)
        self.create_queues()

    def create_queues(self) -> None:
        """Those that are registered, at the start and after Cloud Tasks has forgotten everything."""
        self._queues = _queues(self.registered)
        for queue in self.registered.of(Queue).values():
            self.tasks.create_queue(queue.path, retry=_retry(queue), limits=_limits(queue))

    async def _begin_guards(self) -> None:
        targets = {"tasks": self.tasks.endpoint, "firestore": self.around.emulator}
        for (api, role), judge in self._judges(self.registered, self.functions).items():
            self.guards[api, role] = guard = ApiGuard(targets[api], judge)
            await self._begin(guard)

    def _judges(self, registered: Registered, functions: Mapping[str, Function]) -> dict[tuple[str, str], Judge]:
        """(API, role of the function that calls it) -> who decides."""
        indexes, judges = Indexes(tuple(registered.of(Field).values()), tuple(registered.of(Index).values())), {}
        for role, function in functions.items():
            account = function.service_config.service_account_email
            judges["tasks", role] = TasksJudge(account, self.decisions)
            if self.around.emulator:
                judges["firestore", role] = FirestoreJudge(account, self.decisions, indexes)
        return judges

    async def _begin_schedules(self) -> None:
        """Of the jobs that do not run yet."""
        network = InternalNetwork(lambda: tuple(self.fronts.values()))
        self._jobs = self.registered.of(Job)
        for name, job in self._jobs.items():
            if name in self.schedulers:
                continue
            target = job.http_target
            token = target.oidc_token or OidcToken(service_account_email="")
            period, first = schedule.every(job.schedule, job.time_zone, self.clock.now())
            self.schedulers[name] = scheduler = Scheduler(
                self.clock,
                target.uri,
                period,
                job=job.path,
                invoker=token.service_account_email,
                transport=network,
                first_after_s=first,
                request=JobRequest(
                    target.http_method,
                    target.headers,
                    base64.b64decode(target.body),
                    token.audience,
                    seconds(job.attempt_deadline),
                ),
            )
            await self._begin(scheduler)

    def _local_variables(self, role: str, function: Function, registered: Registered) -> dict[str, str]:
        """What must be another than registered, because it is on this machine: the only differences from the deployment. Raises
        `NotRegistered`."""
        local = {"TASKS_ENDPOINT": self.guards["tasks", role].endpoint, "ZOOM_SERVER_HOSTS": "localhost,127.0.0.1"}
        if role == "worker":
            local["RECALL_BASE_URL"] = self.recall.base_url
            if self.around.emulator:
                local["FIRESTORE_EMULATOR_HOST"] = self.guards["firestore", role].endpoint
            else:
                local["STATE_URL"] = f"sqlite://{(self.around.folder / 'state.sqlite').resolve()}"
            if bucket := function.archive_bucket:
                local["ARCHIVE_URL"] = f"file://{self._bucket(bucket, registered)}"
        return local

    def _bucket(self, name: str, registered: Registered) -> Path:
        """A folder in place of a registered bucket: Google's own must never be reached from here. Raises `NotRegistered`."""
        if name not in {bucket.name for bucket in registered.of(Bucket).values()}:
            raise NotRegistered(f"no bucket `{name}` is registered")
        folder = self.around.folder.resolve() / "buckets" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    async def clear_records(self) -> None:
        """Empty the registered databases of the emulator, so that one drill does not see the records of another."""
        await self.records.clear()

    def _line_of(self, function: Function) -> Callable[[str, str], None]:
        def heard(role: str, text: str) -> None:
            self.watch.line(function.name, text)
            if self._on_line is not None:
                self._on_line(role, text)

        return heard

    def _answered(self, function: Function) -> Callable[[int, float], None]:
        return lambda status, took_s: self.watch.request(function.name, status, took_s)

    def _refused(self, function: Function) -> Callable[[int], None]:
        return lambda status: self.watch.refused(function.name, status)

    async def _uptime(self, check: UptimeCheck) -> bool:
        """One uptime check. It comes from the internet, to the host that is registered."""
        host = check.monitored_resource.labels.get("host", "")
        front = next((one for one in self.fronts.values() if host in one.hosts), None)
        if front is None:
            return False
        try:
            call = front.answer("GET", check.http_check.path, [], b"", internal=False)
            answer = await self._real_time.wait_for(call, seconds(check.timeout))
        except TimeoutError:
            return False
        return 200 <= answer.status < 300

    async def _look(self) -> None:
        while True:
            await self._real_time.sleep(LOOK_EVERY_S)
            await self.look()

    async def _begin(self, part: Any) -> None:
        self._running.push_async_callback(part.aclose)
        await part.start()


def _function(functions: Mapping[str, Function], role: str) -> Function:
    if role not in functions:
        raise NotRegistered(f"no function `{role}` is registered")
    return functions[role]


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _hosts(role: str, function: Function, registered: Registered) -> tuple[str, ...]:
    """The names of a service: Cloud Run's two forms of address."""
    numbers = [str(registered.computed(name)["projectNumber"]) for name in registered.of(Bucket)]
    number = next(iter(numbers), "123456789012")
    uri = registered.computed(role)["serviceConfig"]["uri"]
    return f"{function.name}-{number}.{function.location}.run.app", uri.removeprefix("https://")


def _queues(registered: Registered) -> dict[str, Queue]:
    """Full name -> queue."""
    return {queue.path: queue for queue in registered.of(Queue).values()}


def _retry(queue: Queue) -> Retry:
    config = queue.retry_config
    return Retry(
        max_attempts=config.max_attempts,
        max_duration_s=seconds(config.max_retry_duration),
        min_backoff_s=seconds(config.min_backoff),
        max_backoff_s=seconds(config.max_backoff),
        max_doublings=config.max_doublings,
    )


def _limits(queue: Queue) -> Limits:
    rates = queue.rate_limits
    return Limits(dispatches_per_s=rates.max_dispatches_per_second, concurrent=rates.max_concurrent_dispatches)
