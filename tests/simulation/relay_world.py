"""The relay's real use cases among the models of the far side: one seed, one life of several streams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import msgspec

from rtms_relay.errors import RelayError
from rtms_relay.intake import Intake
from rtms_relay.ports import Job, QueueName
from rtms_relay.settings import Settings
from rtms_relay.worker import Worker
from rtms_simulator.kit.deployed import Deployed, deployed
from tests.simulation.checker import REVOKED, Verdict, judge, view
from tests.simulation.far_side import (
    CLIENT_ID,
    CLIENT_SECRET,
    RECALL_KEY,
    SECRET_TOKEN,
    WEBHOOK_SECRET,
    MemoryArchive,
    MemoryStore,
    RecallModel,
    ZoomEvent,
    ZoomModel,
)
from tests.simulation.fleet import Fleet, Pool
from tests.simulation.order import judge_order
from tests.simulation.promptness import judge_acks, judge_promptness
from tests.simulation.queues import Region, TaskQueue
from tests.simulation.weather import Outage, Weather, draw, schedule
from tests.simulation.world import Ground, Instance, Process, Trap, World, sleep

SECRETS = (SECRET_TOKEN, CLIENT_SECRET, RECALL_KEY, WEBHOOK_SECRET)
COPY_DEADLINE_S = 1800
"""How long `retrievals` waits for an answer: one may copy a long recording."""
HORIZON_MS = 20 * 86_400_000


def webhook_settings() -> Settings:
    return Settings(
        role="webhook",
        zoom_secret_token=SECRET_TOKEN,
        recall_webhook_secrets=(WEBHOOK_SECRET,),
        worker_url="https://worker.example",
    )


def worker_settings() -> Settings:
    return Settings(
        role="worker",
        zoom_client_id=CLIENT_ID,
        zoom_client_secret=CLIENT_SECRET,
        recall_api_key=RECALL_KEY,
        recall_base_url="https://us-east-1.recall.ai/api/v1",
        worker_url="https://worker.example",
    )


@dataclass(slots=True)
class InstanceClock:
    """The Clock port of one instance: the world's time, off by the instance's skew."""

    ground: Ground
    instance: Instance

    def now_ms(self) -> int:
        return self.ground.now_ms + self.instance.skew_ms

    def monotonic_ms(self) -> float:
        return float(self.ground.now_ms)

    async def sleep(self, seconds: float) -> None:
        await sleep(seconds * 1000)


@dataclass(slots=True)
class WorldJob:
    """A Job: a process of this world."""

    ground: Ground
    process: Process

    def done(self) -> bool:
        return self.process.outcome is not None

    def result(self) -> Any:
        assert self.process.outcome is not None
        kind, value = self.process.outcome
        if kind == "raised":
            raise value
        return value

    def cancel(self) -> None:
        self.ground.cancel(self.process)


@dataclass(slots=True)
class InstanceJobs:
    """The Jobs port of one instance: what it starts dies with it."""

    ground: Ground
    instance: Instance
    started: Counter[str] = field(default_factory=Counter)

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> WorldJob:
        self.started[name] += 1
        label = f"{self.instance.name} {name}#{self.started[name]}"
        return WorldJob(self.ground, self.ground.spawn(label, work, self.instance))

    async def any_done(self, jobs: Sequence[Job[Any]]) -> None:
        await Trap("jobs", any_of=tuple(job.process for job in jobs if isinstance(job, WorldJob)))


@dataclass(slots=True)
class Seeded:
    """The Randomness port."""

    random: Random

    def uniform(self, low: float, high: float) -> float:
        return self.random.uniform(low, high)


@dataclass(slots=True)
class Lines:
    """The Log port: lines are kept as they came, counted by event."""

    kept: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def __call__(self, severity: str, event: str, /, **fields: Any) -> None:
        self.counts[f"{severity} {event}"] += 1
        self.kept.append((severity, event, fields))


class RelayService:
    """The service under test: what functions-framework runs, less HTTP."""

    def __init__(self, ground: Ground, store: MemoryStore, randomness: Any, log: Any) -> None:
        self.ground = ground
        self.store = store
        self.randomness = randomness
        self.log = log
        self.queues: dict[QueueName, TaskQueue] = {}
        self.recall: RecallModel | None = None
        self.archive: MemoryArchive | None = None
        self._intakes: dict[str, Intake] = {}
        self._workers: dict[str, Worker] = {}

    def connect(self, fleet: Fleet, outside: Instance, max_attempts: int = -1, numbers: Deployed | None = None) -> None:
        """The four queues, which deliver to the fleet; with the deployed `numbers`, at their rates."""
        regions = {"home": Region("home"), "second": Region("second")}
        names: tuple[QueueName, ...] = ("handoffs", "handoffs-second", "facts", "retrievals")
        for name in names:
            region = regions["second" if name == "handoffs-second" else "home"]
            queue = self.queues[name] = TaskQueue(self.ground, fleet, outside, name, region=region, max_attempts=max_attempts)
            if numbers is not None:
                queue.numbers = numbers.queues[name]
                queue.deadline_ms = 1000 * (COPY_DEADLINE_S if name == "retrievals" else numbers.dispatch_deadline_s)

    async def webhook(self, instance: Instance, path: str, headers: Mapping[str, str], body: bytes) -> int:
        intake = self._intakes.get(instance.name)
        if intake is None:
            clock, jobs = InstanceClock(self.ground, instance), InstanceJobs(self.ground, instance)
            intake = Intake(webhook_settings(), self.queues, clock, jobs, self.log)
            self._intakes[instance.name] = intake
        try:
            await (intake.receive if path == "/zoom-webhook" else intake.observe)(headers.items(), body)
        except RelayError as error:
            return error.status
        return 200

    async def worker(self, instance: Instance, path: str, body: bytes) -> int:
        worker = self._workers.get(instance.name)
        if worker is None:
            assert self.recall is not None
            clock, jobs = InstanceClock(self.ground, instance), InstanceJobs(self.ground, instance)
            seams = (clock, jobs, self.randomness, self.log)
            worker = Worker(worker_settings(), self.store, self.queues, *seams, self.recall, self.archive)
            self._workers[instance.name] = worker
        try:
            await (worker.sweep() if path == "/sweep" else worker.receive(path, body))
        except RelayError as error:
            return error.status
        return 200


@dataclass(slots=True)
class Plan:
    """What happens at Zoom in one run, and when each stream's meeting ends (ms)."""

    events: list[ZoomEvent]
    ends: dict[str, int]


def plan(random: Random, start_ms: int, streams: int) -> Plan:
    """Lives of streams: starts, fail-overs, interruptions, stops, revocations, forgeries; late, doubled and out of order."""
    events: list[ZoomEvent] = []
    ends: dict[str, int] = {}
    for number in range(streams):
        stream = f"{random.getrandbits(128):032x}"
        begin = start_ms + 1_000 + int(random.random() * 60_000) + number
        length = random.choice((20_000, 90_000, 600_000, 3_600_000))
        end = begin + length
        ends[stream] = end
        entity = "4444AAAiAAAA/AiAi+iiAii=="
        product = random.choice(("meeting", "meeting", "webinar", "session", "contact_center.voice", "phone"))
        id_field = {"meeting": "meeting_uuid", "webinar": "webinar_uuid", "session": "session_id", "phone": "call_id"}.get(
            product, "engagement_id"
        )

        def happen(name: str, at: int, urls: str | None = None, reason: int | None = None, *, authentic: bool = True) -> None:
            payload: dict[str, Any] = {id_field: entity, "rtms_stream_id": stream}  # noqa: B023 - called within this turn only
            if urls is not None:
                payload["server_urls"] = urls
            if reason is not None:
                payload["stop_reason"] = reason
            event = f"{product}.rtms_{name}" if product != "contact_center.voice" else f"contact_center.voice_rtms_{name}"  # noqa: B023
            body = msgspec.json.encode({"event": event, "event_ts": at, "payload": payload})
            copies = 1 + (random.random() < 0.3) + (random.random() < 0.2)
            late = random.random() ** 6 * random.choice((0, 1_000, 120_000, 7_200_000))
            replays, forgeries = (int(random.random() ** 2 * 24), int(random.random() ** 2 * 24)) if random.random() < 0.6 else (0, 0)
            events.append(
                ZoomEvent(event, at, stream, body, urls, reason, authentic, copies, late_ms=late, replays=replays, forgeries=forgeries)  # noqa: B023
            )

        servers = [f"wss://rtms-{random.getrandbits(32):08x}.zoom.us/{name}" for name in "abcd"]
        if random.random() < 0.15:  # what an earlier life of the stream left on its way
            happen("stopped", begin - 1 - int(random.random() * 600_000), reason=14)
        happen("started", begin, servers[0])
        moment = begin
        for server in servers[1:]:
            if random.random() > 0.25:
                break
            moment += 1 + int(random.random() ** 2 * 40_000)
            if moment >= end:
                break
            if random.random() < 0.5:
                happen("interrupted", moment - 1)
            happen("interrupted" if random.random() < 0.2 else "started", moment, server)
        if random.random() < 0.1:  # the same servers once more, while it records or after it
            happen("started", moment + 1 + int(random.random() * (end - moment)), servers[0])
        if random.random() < 0.9:
            happen("stopped", end, reason=REVOKED if random.random() < 0.1 else random.choice((1, 2, 6, 10, 19, 24)))
        if random.random() < 0.15:
            happen("started", begin, "wss://evil.zoom.us/", authentic=False)
    return Plan(events, ends)


@dataclass(slots=True)
class Run:
    """A finished world and its verdict."""

    seed: int
    world: World
    weather: Weather
    verdict: Verdict
    store: MemoryStore
    lines: Lines
    deliveries: int
    simulated_ms: int

    def story(self) -> str:
        """Who did what when, one line an event."""
        return "\n".join(str(event) for event in self.world.history)


@dataclass(slots=True)
class Place:
    """All models of one world, wired to the service at the deployed numbers."""

    world: World
    store: MemoryStore
    lines: Lines
    service: RelayService
    fleet: Fleet
    recall: RecallModel
    zoom: ZoomModel
    scheduler_off_until: int = 0

    @classmethod
    def build(cls, world: World, *, archive: bool, warm: tuple[int, int]) -> Place:
        """`warm`: how many webhooks and workers there are at first."""
        numbers = deployed()
        store, lines, outside = MemoryStore(world), Lines(), Instance("world")
        service = RelayService(world, store, Seeded(world.random), lines)
        webhooks, workers = (
            Pool.deployed(world, role, numbers.functions[role], count, lambda: int(world.random.uniform(-2_000, 2_000)))
            for role, count in zip(("webhook", "worker"), warm, strict=True)
        )
        fleet = Fleet(world, service, webhooks, workers)
        service.connect(fleet, outside, numbers=numbers)
        service.recall = RecallModel(world, fleet, outside)
        service.archive = MemoryArchive(world) if archive else None
        return cls(world, store, lines, service, fleet, service.recall, ZoomModel(world, fleet, outside))

    def begin(self, outage: Outage, until: int) -> None:
        """One part is out from now on."""
        self.world.note("outage", outage.part, kind=outage.kind, queue=outage.queue, until=until)
        match outage.part:
            case "store":
                name = "down_until" if outage.kind == "away" else "hangs_until"
                setattr(self.store, name, max(getattr(self.store, name), until))
            case "home" | "second":
                self._begin_at_queues(outage, until)
            case "scheduler":
                self.scheduler_off_until = max(self.scheduler_off_until, until)
            case "recall":
                self.recall.out_kind, self.recall.out_until = outage.kind, until
            case "cloud run":
                self.fleet.refusal, self.fleet.refused_until = int(outage.kind), until
            case "worker" | "webhook":
                self.fleet.gone_until[outage.part] = max(self.fleet.gone_until.get(outage.part, 0), until)
                for instance in (self.fleet.workers if outage.part == "worker" else self.fleet.webhooks).instances:
                    self.world.crash(instance, "gone")

    def _begin_at_queues(self, outage: Outage, until: int) -> None:
        if outage.queue:
            queue = next(queue for name, queue in self.service.queues.items() if name == outage.queue)
            name = {"paused": "paused_until", "asleep": "asleep_until", "ramps up": "ramps_until"}[outage.kind]
            setattr(queue, name, max(getattr(queue, name), until))
            return
        region = self.service.queues["handoffs" if outage.part == "home" else "handoffs-second"].region
        name = f"{outage.kind}_until"
        setattr(region, name, max(getattr(region, name), until))

    def heal(self) -> None:
        """From now on nothing fails."""
        self.world.note("world", "healed")
        self.world.chances = replace(self.world.chances, faults={}, crash_rate=0.0)

    def play(self, start: int) -> None:
        """Until nothing moves and nothing is due; Cloud Scheduler sweeps every minute in which there is something to sweep."""
        every = int(deployed().sweep_every_s * 1000)
        world, store = self.world, self.store
        while world.now_ms - start < HORIZON_MS:
            ahead = [at for at in (world.next_at, store.next_due()) if at is not None]
            if not ahead:
                return
            tick = int(max(world.now_ms, min(ahead))) // every * every + every
            world.run(until_ms=tick)
            world.now_ms = max(world.now_ms, tick)
            if store.due_now() and tick >= self.scheduler_off_until:
                world.at(tick, lambda tick=tick: self.fleet.worker(f"at {tick}", "/sweep", b"{}"))


def run(seed: int, *, streams: int = 12, weather: Weather | None = None, plan_of: Plan | None = None, archive: bool = True) -> Run:
    """Play one seed to its rest and judge it. `weather`: instead of the seed's own."""
    weather = weather or draw(seed)
    world = World(seed, weather.chances)
    place = Place.build(world, archive=archive, warm=(world.random.randint(1, 3), world.random.randint(1, 3)))
    # A generator of its own, so that a story's shortened plan leaves the world's draws alone.
    script = plan_of or plan(Random(f"plan {seed}"), world.now_ms, streams)
    place.recall.ends = script.ends
    start = world.now_ms
    schedule(weather, start, world.at, place.begin)
    world.at(start + weather.heal_ms, place.heal)
    for event in script.events:
        place.zoom.happen(event)
    place.play(start)
    verdict = judged(place)
    judge_promptness(verdict, world.history)
    judge_order(verdict, world.history, {key: fields for key, (_, fields) in place.store.documents["streams"].items()})
    if weather.kind not in ("swarm", "webhook"):
        judge_acks(verdict, world.history)
    world.close()
    return Run(seed, world, weather, verdict, place.store, place.lines, place.zoom.deliveries, world.now_ms - start)


def judged(place: Place) -> Verdict:
    """The verdict on a world that has come to rest, but for its times."""
    archive = place.service.archive
    return judge(place.world.history, records(place.store), archive=archive.objects if archive else (), kept=_kept(place.recall))


def records(store: MemoryStore) -> dict[str, dict[str, Any]]:
    """What the checker reads of each hand-off, by key."""
    return {key: view(fields) for key, (_, fields) in store.documents["handoffs"].items()}


def _kept(recall: RecallModel) -> Sequence[str]:
    return [recording["id"] for mdc in recall.mdcs.values() for recording in mdc.recordings if recording["id"] not in recall.deleted]


def secrets_in(run: Run) -> list[str]:
    """Every log line, record and note of history that holds 8 or more characters in a row of a secret (G6)."""
    pieces = {secret[i : i + 8] for secret in SECRETS for i in range(len(secret) - 7)}
    texts = [repr(line) for line in run.lines.kept]
    texts += [repr(fields) for collection in run.store.documents.values() for _, fields in collection.values()]
    # Each piece is looked for once in everything: there are many texts, and as good as never one that holds any.
    everything = "\n".join(texts)
    found = [piece for piece in pieces if piece in everything]
    return [text for text in texts if any(piece in text for piece in found)]
