"""What a drill is, what it can do, and how it is judged."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from rtms_infra.rehearsal.monitoring import Page
from rtms_infra.rehearsal.registered import Channel, NotRegistered
from rtms_simulator.cli.rehearse.front import Answer
from rtms_simulator.cli.rehearse.local_cloud import LocalCloud, Vendors
from rtms_simulator.cli.rehearse.program import Carried, Program
from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import identity_token
from rtms_simulator.errors import WorkerError
from rtms_simulator.kit.rush import signed
from rtms_simulator.kit.scenarios import load_playable
from rtms_simulator.kit.worker_answers import HandOffRow
from rtms_simulator.kit.worker_client import Recordings
from rtms_simulator.zoom import MeetingReport
from rtms_simulator.zoom.webhooks.event import WebhookEvent

PATIENCE_S = 45.0
"""How long a drill waits for something, in real seconds."""

LOOK_EVERY_S = 0.1
SPEED = 1.0
"""Meetings in real time: what records them shares a process with the cloud here, and a faster one would hold it up."""
CALM_S = 180.0
"""How long, on Google's clock, no alert may fire after a drill in which none is expected."""

AT_ONCE_S, HALF_MINUTE_S, LOOKS = 2.0, 30.0, 4
SHOWN_LINES = 20

BUSY = frozenset({"store-away", "ack-latency", "queue-late", "queue-stalled", "webhook-errors", "worker-errors"})
"""Alerts that a machine with too much to do sets off as well: something took longer than it may. Such a drill is run once more."""


class Promise(msgspec.Struct, frozen=True):
    """One thing that must hold. `found`: what was found instead, or in proof."""

    what: str
    holds: bool
    found: str = ""


class DrillResult(msgspec.Struct, frozen=True, kw_only=True):
    """`expected`: alert -> seconds on Google's clock within which it must fire; `fired`: alert -> after how many it did. `dashboard`: the
    registered dashboards at the end, as lines of text. `busy`: all that went wrong is what a machine that is too busy does, too."""

    name: str
    happens: str
    ok: bool
    promises: list[Promise]
    expected: dict[str, float]
    fired: dict[str, float]
    pages: list[str]
    refused: list[str]
    lines: list[str]
    took_s: float
    dashboard: list[str] = []
    busy: bool = False


Run = Callable[["Scene"], Awaitable[None]]


@dataclass(frozen=True)
class Drill:
    """`happens`: what is done, in one sentence. `fires`: alert -> seconds on Google's clock within which it must; `may`: alerts that may
    fire as well. Any other alert fails the drill. `keys`: changes of the stack's settings, by short name. `vendors`: what Zoom and Recall
    know. `deployed`: without it no cloud is made for the drill, which is about the engine alone."""

    happens: str
    run: Run
    fires: Mapping[str, float] = field(default_factory=dict)
    may: frozenset[str] = frozenset()
    keys: Mapping[str, object] = field(default_factory=dict)
    vendors: Vendors = field(default_factory=Vendors)
    calm_s: float = CALM_S
    deployed: bool = True
    emulator: bool = False
    """It is about the Firestore emulator, and cannot be shown without one."""
    alone: bool = False
    """It measures how fast something is, and runs when no other drill does."""


def drills() -> dict[str, Drill]:
    """Every drill by its name, in the order in which they run."""
    from rtms_simulator.cli.rehearse import drills as package

    modules = {place.rpartition(".")[2].replace("_", "-"): f"{package.__name__}.{place}" for place in package.ORDER}
    return {name: importlib.import_module(module).DRILL for name, module in modules.items()}


class Scene:
    """What a drill does and looks at. `cloud` is None only for a drill without a deployment."""

    def __init__(
        self,
        cloud: LocalCloud | None,
        program: Program,
        patience_s: float = PATIENCE_S,
        propagation_s: float = 0.0,
        keys: Mapping[str, object] | None = None,
    ) -> None:
        """`patience_s`: how long something is waited for, in real seconds, unless a drill says otherwise; `propagation_s`: how long a new
        grant or API takes; `keys`: the drill's changes of the settings."""
        self.propagation_s = propagation_s
        self._keys, self._world = keys or {}, ""
        self._cloud, self.program, self._patience_s = cloud, program, patience_s
        self.promises: list[Promise] = []
        self.began = cloud.clock.now() if cloud else 0.0
        self.real_time = Clock()

    @property
    def cloud(self) -> LocalCloud:
        assert self._cloud is not None, "this drill has no deployment"
        return self._cloud

    # What happens

    async def meeting(self, scenario: str = "one-to-one", speed: float = SPEED) -> MeetingReport:
        """Hold one meeting to its end."""
        return await self.cloud.zoom.play(load_playable(scenario), self.cloud.webhook_url, speed=speed)

    def begin(self, scenario: str = "one-to-one", speed: float = 1.0) -> Any:
        """Let a meeting begin; it goes on beside the drill."""
        return self.cloud.zoom.begin(load_playable(scenario), self.cloud.webhook_url, speed=speed)

    async def acked(self) -> None:
        """Wait until the webhook has acknowledged a start: from then on the time of the alerts counts."""
        await self.soon("the start is acknowledged", lambda: self.events("start_acked"))
        self.began = self.cloud.clock.now()

    async def sent(self, event: WebhookEvent, age_s: float = 0.0) -> int:
        """Send one event past the fake Zoom, signed by it so long ago. Returns the status of the answer."""
        cloud = self.cloud
        body, headers = signed(event, cloud.around.vendors.secret_token, cloud.vendors_clock.now() - age_s)
        async with httpx.AsyncClient(trust_env=False, timeout=30.0) as client:
            return (await client.post(cloud.webhook_url, content=body, headers=headers)).status_code

    async def asked(self, role: str, method: str, path: str, account: str = "", *, internal: bool = False) -> Answer:
        """Ask at a function's door, with the token of a Google identity if one is given (an e-mail address).
        `internal`: from Cloud Tasks or Cloud Scheduler of the project, else from the internet."""
        front = self.cloud.fronts[role]
        token = identity_token(account, f"https://{front.hosts[0]}", self.cloud.clock.now()) if account else ""
        headers = [("authorization", f"Bearer {token}")] if token else []
        return await front.answer(method, path, headers, b"{}", internal=internal)

    def fault(self, text: str) -> None:
        """A fault of the fakes, in the grammar of `rtmskit faults add`."""
        self.cloud.faults.add(text)

    def take(self, *grants: str) -> None:
        """Take registered grants away, by their Pulumi names."""
        for grant in grants:
            self.cloud.rights.take(grant)

    @contextlib.contextmanager
    def new_code(self) -> Generator[None]:
        """While it lasts, the functions' source differs from what was deployed, by a comment."""
        file = self.program.folder / "function" / "main.py"
        text = file.read_text(encoding="utf-8")
        file.write_text(f"{text}\n# Other code, for a drill.\n", encoding="utf-8")
        try:
            yield
        finally:
            file.write_text(text, encoding="utf-8")

    async def up(self, *, failures: list[dict[str, Any]] | None = None, **changes: object) -> Carried:
        """`pulumi up` of the program as it is now, with these keys changed; then the cloud is what Google has. Pulumi's state is empty at
        first: an `up` before anything is changed lets it know what is deployed, and changes nothing here."""
        keys = {**self._keys, **changes}
        done = await self.program.carry("up", self._world, failures=failures, after_s=0.0, api_delay_s=0.0, **keys)
        self._world = done.world
        await self.cloud.update(done.deployed)
        return done

    async def update(self, **changes: object) -> None:
        """`up`, with the promise that it ends without an error."""
        done = await self.up(failures=None, **changes)
        self.holds("`up` ends without an error", not done.errors, "; ".join(done.errors))

    async def running_code(self) -> set[str]:
        """The hashes of the code that the functions themselves name."""
        async with httpx.AsyncClient(trust_env=False, timeout=30.0) as client:
            return {(await client.get(f"{service.url}/health")).json()["code"] for service in self.cloud.services.values()}

    def handoff_queues(self) -> tuple[str, str]:
        """How faults call the queues of starts: `NAME@REGION`, home and second. Raises `NotRegistered`."""
        home, second = (f"{path.split('/')[5]}@{path.split('/')[3]}" for path in self.handoff_paths())
        return home, second

    def handoff_paths(self) -> list[str]:
        """The queues of starts, home and second: projects/P/locations/L/queues/Q. Raises `NotRegistered`."""
        named = self.cloud.variable("webhook", "HANDOFF_QUEUES")
        paths = [path for path in named.split(",") if path.count("/") == 5]
        if len(paths) != 2:
            raise NotRegistered(f"a start needs a queue at home and one in a second region; the webhook's HANDOFF_QUEUES is {named!r}")
        return paths

    def code_hash(self) -> str:
        """Of the code that is deployed now."""
        return self.cloud.variable("worker", "CODE_HASH")

    async def pass_time(self, duration_s: float) -> None:
        await self.cloud.pass_time(duration_s)

    async def until_alerts(self, fires: Mapping[str, float]) -> None:
        """Let Google's clock run, a minute at a time, until these alerts have fired or are overdue."""
        await self.cloud.look()
        while not self._all_fired(fires):
            if self.cloud.clock.now() - self.began > max(fires.values()):
                return
            await self.pass_time(60.0)

    def _all_fired(self, fires: Mapping[str, float]) -> bool:
        return set(fires) <= set(self.pages())

    # What is seen

    def events(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """The functions' lines of one event with these fields."""
        all_fields = {"event": event, **fields}
        return [line for _, line in self.cloud.watch.lines if all(line.get(name) == value for name, value in all_fields.items())]

    def pages(self) -> list[str]:
        """The alerts that have fired so far."""
        return sorted({page.policy for page in self.cloud.watch.monitoring.pages})

    def accepted(self) -> int:
        """How many hand-offs Recall has accepted."""
        return len({line["handoff"] for line in self.events("attempt", outcome="accepted")})

    def done(self) -> set[str]:
        """The hand-offs whose recording the worker found done."""
        return {line["handoff"] for line in self.events("retrieval", state="done")}

    def recall_ended(self) -> bool:
        """Whether Recall has given up, or finished, every Meeting Direct Connect."""
        codes = [mdc.status.code for mdc in self.cloud.recall.workspace.mdcs.values()]
        return bool(codes) and set(codes) <= {"done", "failed"}

    async def until(self, condition: Callable[[], object], within_s: float | None = None) -> bool:
        """Wait, in real time, until something is so. False: it is not so in time."""
        end = self.real_time.now() + (self._patience_s if within_s is None else within_s)
        while self.real_time.now() < end:
            if condition():
                return True
            await self.real_time.sleep(LOOK_EVERY_S)
        return bool(condition())

    async def records(self, **filters: str) -> list[HandOffRow]:
        """What the worker has on record, asked behind its door; `filters` as of `GET /handoffs`."""
        client = Recordings(self.cloud.services["worker"].url)
        try:
            return [row async for row in client.every(filters)]
        finally:
            await client.aclose()

    # What must hold

    def holds(self, what: str, holds: object, evidence: object = "") -> bool:
        """State a promise and whether it holds."""
        self.promises.append(Promise(what, bool(holds), str(evidence)))
        return bool(holds)

    async def holds_code(self, what: str, hashes: set[str]) -> bool:
        """A promise of the hashes that the functions themselves name."""
        running_hashes = await self.running_code()
        return self.holds(what, running_hashes == hashes, ", ".join(sorted(running_hashes)))

    async def soon(self, what: str, condition: Callable[[], object], within_s: float | None = None) -> bool:
        """A promise that must come true within real seconds."""
        ok = await self.until(condition, within_s)
        return self.holds(what, ok, "" if ok else f"not within {self._patience_s if within_s is None else within_s:g} s")

    async def soon_as_due(self, what: str, condition: Callable[[], object]) -> bool:
        """As `soon`, of something that a queue or the schedule brings about: what is not so at once may be due only later on Google's
        clock, which is moved ahead then. (One look at a hand-off is queued in each half minute.)"""
        for _ in range(LOOKS):
            if await self.until(condition, AT_ONCE_S):
                break
            await self.pass_time(HALF_MINUTE_S)
        return await self.soon(what, condition)

    async def accepted_and_recorded(self, report: MeetingReport, count: int = 1) -> None:
        """The promise of every meeting: acknowledged, handed on (as number `count`), joined, recorded, and the worker knows it."""
        starts = [one for one in report.deliveries if one.event.name.endswith("rtms_started")]
        self.holds("Zoom's start is acknowledged with 200", starts and all(one.status == 200 for one in starts), _statuses(starts))
        if not await self.soon("Recall accepts the hand-off", lambda: self.accepted() >= count):
            return
        self.holds("Recall joins the stream", report.joined, "" if report.joined else "nobody joined it")
        await self.soon_as_due("the worker finds the recording done", lambda: len(self.done()) >= count)


def _statuses(deliveries: Iterable[Any]) -> str:
    return ", ".join(f"{one.event.name} {one.status}" for one in deliveries) or "no start was sent"


async def judged(name: str, drill: Drill, scene: Scene) -> DrillResult:
    """Run one drill, wait for its alerts on Google's clock, and say what came of it."""
    began = scene.real_time.now()
    try:
        await drill.run(scene)
    except WorkerError as error:
        scene.holds("the worker answers", False, error)
    dashboard = await _monitored(drill, scene) if drill.deployed else []
    pages = scene.cloud.watch.monitoring.pages if drill.deployed else []
    fired = {page.policy: round(page.at - scene.began, 1) for page in reversed(pages)}
    _state_alerts(drill, scene, fired, pages)
    promises_hold = all(promise.holds for promise in scene.promises)
    unexpected = set(fired) - set(drill.fires) - drill.may
    scene.holds("no other alert fires", not unexpected, ", ".join(sorted(unexpected)))
    ok = promises_hold and not unexpected
    return DrillResult(
        name=name,
        happens=drill.happens,
        ok=ok,
        promises=scene.promises,
        expected=dict(drill.fires),
        fired=dict(sorted(fired.items(), key=lambda one: one[1])),
        pages=_first_of_each(pages),
        refused=_refused(scene) if drill.deployed else [],
        lines=last_lines(scene.cloud) if drill.deployed and not ok else [],
        took_s=round(scene.real_time.now() - began, 1),
        dashboard=dashboard,
        busy=promises_hold and not ok and unexpected <= BUSY,
    )


def _state_alerts(drill: Drill, scene: Scene, fired: Mapping[str, float], pages: Iterable[Page]) -> None:
    """The promises about expected alerts: each fires in time, and is sent to somebody if any channel is registered."""
    for alert, within_s in drill.fires.items():
        at = fired.get(alert)
        scene.holds(f"the alert {alert} fires within {within_s:g} s", at is not None and at <= within_s, _when(at))
    if drill.deployed and scene.cloud.registered.of(Channel):
        untold = sorted({page.policy for page in pages if not page.told})
        scene.holds("every alert that fires is sent to somebody", not untold, ", ".join(untold))


async def _monitored(drill: Drill, scene: Scene) -> list[str]:
    """Wait for the alerts, and look at the dashboards, which are returned as text."""
    await _alerts(drill, scene)
    unseen = scene.cloud.watch.dashboard_problems()
    scene.holds("each chart of the dashboards has its place and its metric", not unseen, "; ".join(unseen))
    return scene.cloud.watch.dashboards()


async def _alerts(drill: Drill, scene: Scene) -> None:
    """Let Google's clock run until every expected alert has fired or is overdue; without one, for as long as it must be calm."""
    if drill.fires:
        await scene.until_alerts(drill.fires)
    else:
        await scene.pass_time(drill.calm_s)


def _when(at: float | None) -> str:
    return "it did not fire" if at is None else f"after {at:g} s"


def _first_of_each(pages: Iterable[Page]) -> list[str]:
    return [str(page) for page in {page.policy: page for page in reversed(list(pages))}.values()][::-1]


def _refused(scene: Scene) -> list[str]:
    return [f"{what} ({count} times)" if count > 1 else what for what, count in scene.cloud.decisions.refused.items()]


def last_lines(cloud: LocalCloud) -> list[str]:
    """The last lines of the functions, those of INFO left out unless there are few."""
    lines = [f"{service} {line.get('severity', '')} {line.get('message', '')}" for service, line in cloud.watch.lines]
    loud = [line for line in lines if " INFO " not in line and " DEBUG " not in line]
    plain = [f"{service} {text}" for service, text in cloud.watch.other_lines]
    return [*plain[-SHOWN_LINES:], *(loud or lines)[-SHOWN_LINES:]]
