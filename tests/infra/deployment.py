"""Running the program under the engine, and looking at what it registered."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import yaml

from rtms_infra.rehearsal import stack_file
from rtms_infra.rehearsal.session import EngineSession

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "infra"
STACKS = PROGRAM / "stacks"

SECRETS = {
    "rtmskit:zoomSecretToken": "zoom-secret-token-0",
    "rtmskit:zoomClientSecret": "zoom-client-secret-0",
    "rtmskit:recallApiKey": "recall-api-key-000",
    "rtmskit:recallWebhookSecrets": "whsec_cmVjYWxsLXdlYmhvb2s=",
}
REQUIRED = {
    "gcp:project": "acme-rtms",
    "rtmskit:recallRegion": "us-east-1",
    "rtmskit:region": "us-east4",
    "rtmskit:zoomClientId": "AbCdEfGhIj",
}
SECRET_NAMES = (
    *SECRETS,
    "rtmskit:zoomSecretTokenPrevious",
    "rtmskit:alertSlackToken",
    "rtmskit:alertPagerdutyKey",
    "rtmskit:alertWebhookUrl",
)


@dataclass(frozen=True)
class Resource:
    """One registration. Secrets in `inputs` are `{"$secret": value}`, assets `{"$asset": sha256}`.

    `depends_by`: input -> URNs that it is made from. `old_first`: the option deleteBeforeReplace; None leaves it to the provider.
    `aliases`: URNs that it may have had before.
    """

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    inputs: Mapping[str, Any]
    dependencies: list[str]
    protect: bool
    depends_by: Mapping[str, list[str]] = field(default_factory=dict)
    old_first: bool | None = None
    retain: bool = False
    deleted_with: str = ""
    aliases: list[str] = field(default_factory=list)

    @property
    def new_first(self) -> bool:
        """A replacement is made before the old one goes, whatever the provider thinks."""
        return self.old_first is False

    def __str__(self) -> str:
        return f"{self.name} ({self.type})"

    @property
    def kind(self) -> str:
        """The last part of the type: `Function`, `Bucket`, ..."""
        return self.type.rsplit(":", 1)[-1]

    def walk(self) -> Iterator[tuple[str, Any]]:
        """Every value of the inputs with its path; a secret is one value, mark included."""
        yield from _walk("", self.inputs)


def _walk(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and "$secret" not in value:
        for key, item in value.items():
            yield from _walk(f"{path}.{key}" if path else key, item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(f"{path}[{index}]", item)
    else:
        yield path, value


@dataclass(frozen=True)
class Deployment:
    """What one run of the program registered, or the error it ended with."""

    resources: tuple[Resource, ...]
    outputs: Mapping[str, Any]
    error: str
    config: Mapping[str, str] = field(repr=False)

    @cached_property
    def by_urn(self) -> dict[str, Resource]:
        return {resource.urn: resource for resource in self.resources}

    @property
    def custom(self) -> tuple[Resource, ...]:
        """All but components and the stack itself."""
        return tuple(resource for resource in self.resources if resource.custom)

    def of(self, kind: str) -> list[Resource]:
        """Custom resources by the last part of their type."""
        return [resource for resource in self.custom if resource.kind == kind]

    def named(self, name: str) -> Resource:
        found = [resource for resource in self.custom if resource.name == name]
        assert len(found) == 1, f"{len(found)} resources are named {name}: {[str(r) for r in found]}"
        return found[0]

    def needs(self, resource: Resource) -> set[str]:
        """URNs of everything that is created before it, near or far."""
        seen: set[str] = set()
        ahead = [*resource.dependencies]
        while ahead:
            urn = ahead.pop()
            if urn not in seen:
                seen.add(urn)
                ahead += self.by_urn[urn].dependencies
        return seen


@dataclass(frozen=True)
class Step:
    """What one command did to one resource (`rtms_infra.rehearsal.update.Step`)."""

    verb: str
    name: str
    type: str
    how: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class World:
    """A local cloud with Pulumi's state of it, after one command. `key` names it in the engine's process; "" is an empty cloud.

    `gaps`: (role, member) of grants that were taken away and given again during the command. `grants`: (on, role, member). `missing`:
    those that Pulumi believes to be there and that are not. `standing`: `rtms_infra.rehearsal.update.standing`, and the stack's outputs.
    """

    key: str = ""
    deployment: Deployment | None = None
    steps: tuple[Step, ...] = ()
    errors: tuple[str, ...] = ()
    gaps: tuple[tuple[str, str], ...] = ()
    grants: frozenset[tuple[str, str, str]] = frozenset()
    missing: frozenset[tuple[str, str, str]] = frozenset()
    resources: frozenset[str] = frozenset()
    standing: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def of(self, *verbs: str) -> set[str]:
        """Names of resources to which one of these happened."""
        return {step.name for step in self.steps if step.verb in verbs}

    @property
    def changed(self) -> set[str]:
        """Everything that was not left as it was."""
        return {step.name for step in self.steps if step.verb != "same"}


EMPTY = World()
"""A cloud in which nothing was deployed yet."""


class Runner:
    """The warm engine process. What the program itself registered for a configuration is remembered; `again` asks anew.

    It runs a copy of the program and the functions, made once, so that two answers never differ by an edit in between.
    """

    def __init__(self) -> None:
        self._session = EngineSession(ROOT)
        self._known: dict[str, Deployment] = {}
        self._copy: tempfile.TemporaryDirectory[str] | None = None

    def run(
        self,
        config: Mapping[str, str],
        *,
        secrets: tuple[str, ...] = SECRET_NAMES,
        stack: str = "prod",
        preview: bool = False,
        program: Path | None = None,
        again: bool = False,
    ) -> Deployment:
        """Run the program (or an altered copy of it) with this raw configuration (full names -> text)."""
        key = json.dumps([dict(config), secrets, stack, preview], sort_keys=True)
        if program is None and not again and key in self._known:
            return self._known[key]
        answer = self._ask({"config": dict(config), "secrets": list(secrets), "stack": stack, "preview": preview}, program)
        deployment = _deployment(answer, config)
        if program is None:
            self._known[key] = deployment
        return deployment

    def act(
        self,
        world: World,
        config: Mapping[str, str],
        action: Literal["preview", "up", "destroy", "refresh"] = "up",
        *,
        program: Path | None = None,
        failures: Sequence[Mapping[str, object]] = (),
        pass_time: float = 0,
        objects: Mapping[str, int] | None = None,
        metric_delay_s: float = 0,
        api_delay_s: float = 0,
    ) -> World:
        """One command of Pulumi's in a world; the answer is the world after it, the one before is left as it was.

        `failures`: what is set to fail, as keyword arguments of `rtms_infra.rehearsal.cloud.Failure`. `pass_time`: seconds that pass
        before. `objects`: bucket -> objects that are in it. `metric_delay_s`: how long alert policies are refused new counters.
        `api_delay_s`: how long an API that was just enabled is not in force.
        """
        changes = {
            "from": world.key,
            "failures": [dict(failure) for failure in failures],
            "pass_time": pass_time,
            "objects": dict(objects or {}),
            "metric_delay_s": metric_delay_s,
            "api_delay_s": api_delay_s,
        }
        request = {"config": dict(config), "secrets": list(SECRET_NAMES), "stack": "prod", "preview": action == "preview"}
        return _world(self._ask({**request, "world": changes, "action": action}, program), config)

    def replay(self, resources: Iterable[Resource], config: Mapping[str, str]) -> World:
        """A cloud in which exactly these registrations were carried out, without a program. Each must come after what it depends on."""
        request = {"config": dict(config), "secrets": list(SECRET_NAMES), "stack": "prod", "preview": False, "world": {}}
        return _world(self._ask({**request, "action": "replay", "registrations": [asdict(one) for one in resources]}, None), config)

    def start(self) -> None:
        """Start the engine's process, if there is none. A fixture of the session does, so that no test seems to have left it behind."""
        self._session.start()

    def _ask(self, request: dict[str, Any], program: Path | None) -> dict[str, Any]:
        if self._copy is None:
            self._copy = tempfile.TemporaryDirectory(prefix="rtmskit-infra-")
            copy_program(Path(self._copy.name))
        request["program"] = str(program or Path(self._copy.name) / "infra")
        return self._session.ask(request)

    def close(self) -> None:
        self._session.close()
        if self._copy is not None:
            self._copy.cleanup()
            self._copy = None


def _deployment(answer: Mapping[str, Any], config: Mapping[str, str]) -> Deployment:
    resources = tuple(Resource(**entry) for entry in answer["resources"])
    return Deployment(resources, answer["outputs"], answer["error"], dict(config))


def _world(answer: Mapping[str, Any], config: Mapping[str, str]) -> World:
    steps = tuple(Step(step["verb"], step["name"], step["type"], step["how"], tuple(step["paths"])) for step in answer["steps"])
    gaps = tuple((gap["role"], gap["member"]) for gap in answer["gaps"])
    grants = frozenset((on, role, member) for on, role, member in answer["cloud"]["grants"])
    missing = frozenset((on, role, member) for on, role, member in answer["missing"])
    there = frozenset(answer["cloud"]["resources"])
    deployment, errors = _deployment(answer, config), tuple(answer["errors"])
    return World(answer["world"], deployment, steps, errors, gaps, grants, missing, there, answer["standing"])


def copy_program(into: Path) -> Path:
    """Copy the program and the functions that it deploys into a folder; returns the program's."""
    return stack_file.copy_project(ROOT, into)


@cache
def warm() -> Runner:
    """The one runner of this process: the pages' tests ask for what the program's tests have asked already."""
    return Runner()


def configured(**changes: object) -> dict[str, str]:
    """The least configuration, with changes by short name (None removes), as text the way Pulumi hands it over."""
    config = {**REQUIRED, **SECRETS}
    for short, value in changes.items():
        if value is None:
            config.pop(f"rtmskit:{short}", None)
        else:
            config[f"rtmskit:{short}"] = as_text(value)
    return config


def as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def example(name: str) -> dict[str, str]:
    """An example stack's configuration (`infra/stacks/NAME.yaml`), with secrets added."""
    held = yaml.safe_load((STACKS / f"{name}.yaml").read_text())["config"]
    return {**SECRETS, **{key: as_text(value) for key, value in held.items()}}


EXAMPLES = tuple(sorted(path.stem for path in STACKS.glob("*.yaml")))


@dataclass(frozen=True)
class DeployedQueue:
    """One Cloud Tasks queue as it is deployed. Times are seconds; `max_attempts` -1 and `max_retry_s` 0 mean "never given up"."""

    path: str
    location: str
    per_second: float
    concurrent: int
    max_attempts: int
    max_retry_s: float
    min_backoff_s: float
    max_backoff_s: float
    max_doublings: int


@dataclass(frozen=True)
class DeployedFunction:
    """One function: time-out in seconds, instances, requests at once per instance, and its whole environment (secrets left out)."""

    timeout_s: float
    min_instances: int
    max_instances: int
    concurrency: int
    environment: Mapping[str, str]

    @property
    def slots(self) -> int:
        """Requests that all its instances together handle at once."""
        return self.max_instances * self.concurrency


@dataclass(frozen=True)
class DeployedNumbers:
    """The numbers of one deployment.

    `queues`: "handoffs", "handoffs-second", "facts", "retrievals". `functions`: "webhook", "worker". `sweep_every_s` and
    `sweep_deadline_s`: how often Cloud Scheduler posts /sweep, and how long it waits. `probe_every_s`: the same for the daily probe.
    `second_region_delay_s`, `dispatch_deadline_s`: constants of the tasks that the webhook makes (numbers.py).
    """

    queues: Mapping[str, DeployedQueue]
    functions: Mapping[str, DeployedFunction]
    sweep_every_s: float
    sweep_deadline_s: float
    probe_every_s: float
    connect_window_s: float
    second_region_delay_s: float
    dispatch_deadline_s: float


def deployed_numbers(stack: str = "", **changes: object) -> DeployedNumbers:
    """What `pulumi up` deploys: the program is run in the in-process engine, and the numbers are read from what it registers.

    `stack`: an example of infra/stacks ("minimal", "production", ...); empty: the least configuration. `changes`: Pulumi keys by short
    name, on top (``deployed_numbers(workerMaxInstances=2)``). Takes about 2 s at first; the answer for a configuration is remembered in
    the process. Raises AssertionError with the program's own message if the configuration is refused.

    Simulation, chaos, demo and benchmarks take rates, retries, time-outs, instances and the sweep's interval from here and nowhere else.
    """
    base = example(stack) if stack else configured()
    config = {**base, **{f"rtmskit:{short}": as_text(value) for short, value in changes.items()}}
    deployment = warm().run(config)
    assert not deployment.error, deployment.error
    return numbers_of(deployment)


def numbers_of(deployment: Deployment) -> DeployedNumbers:
    """The same for a deployment that was run already."""
    from rtms_infra.numbers import DISPATCH_GRACE_S, SECOND_REGION_DELAY_S, TASK_DEADLINE_MAX_S

    functions = {role: _function(deployment.named(role)) for role in ("webhook", "worker")}
    window = float(functions["webhook"].environment["ZOOM_CONNECT_WINDOW_S"])
    every = {name: _every(str(deployment.named(name).inputs["schedule"])) for name in ("sweep", "probe")}
    return DeployedNumbers(
        queues={queue.name.removeprefix("queue-"): _queue(queue) for queue in deployment.of("Queue")},
        functions=functions,
        sweep_every_s=every["sweep"],
        sweep_deadline_s=_seconds(deployment.named("sweep").inputs["attemptDeadline"]),
        probe_every_s=every["probe"],
        connect_window_s=window,
        second_region_delay_s=SECOND_REGION_DELAY_S,
        dispatch_deadline_s=min(TASK_DEADLINE_MAX_S, window + DISPATCH_GRACE_S),
    )


def _queue(resource: Resource) -> DeployedQueue:
    inputs = resource.inputs
    rates, retries = inputs["rateLimits"], inputs["retryConfig"]
    return DeployedQueue(
        path=f"projects/{inputs['project']}/locations/{inputs['location']}/queues/{inputs['name']}",
        location=inputs["location"],
        per_second=rates["maxDispatchesPerSecond"],
        concurrent=rates["maxConcurrentDispatches"],
        max_attempts=retries["maxAttempts"],
        max_retry_s=_seconds(retries["maxRetryDuration"]),
        min_backoff_s=_seconds(retries["minBackoff"]),
        max_backoff_s=_seconds(retries["maxBackoff"]),
        max_doublings=retries["maxDoublings"],
    )


def _function(resource: Resource) -> DeployedFunction:
    service = resource.inputs["serviceConfig"]
    return DeployedFunction(
        timeout_s=service["timeoutSeconds"],
        min_instances=service["minInstanceCount"],
        max_instances=service["maxInstanceCount"],
        concurrency=service["maxInstanceRequestConcurrency"],
        environment=dict(service["environmentVariables"]),
    )


def _seconds(text: str) -> float:
    """Google's `60s` or `0.5s` -> seconds."""
    return float(text.removesuffix("s"))


def _every(cron: str) -> float:
    """Seconds between two runs of a schedule: each minute, each N minutes, or at one time a day. Others raise ValueError."""
    minute, hour, *rest = cron.split()
    if rest == ["*", "*", "*"] and hour == "*" and minute == "*":
        return 60.0
    if rest == ["*", "*", "*"] and hour == "*" and minute.startswith("*/"):
        return 60.0 * int(minute[2:])
    if rest == ["*", "*", "*"] and minute.isdigit() and hour.isdigit():
        return 86400.0
    raise ValueError(f"{cron!r} is neither every minute nor once a day")
