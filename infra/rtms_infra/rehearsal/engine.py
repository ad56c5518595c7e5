"""A Pulumi engine without Pulumi's command line: a resource monitor and an engine that run a program unchanged.

It does what the program can notice of the real one: builds URNs, rejects duplicates, answers with the computed outputs that
Google would give, leaves them unknown in a preview. Nothing is created anywhere.

Runs as a process of its own (`python -m rtms_infra.rehearsal.engine`), one JSON request per line on stdin and one answer per line on
stdout, because a program's modules, working folder and event loop belong to its process. It stays warm between programs.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import dataclasses
import gc
import hashlib
import io
import logging
import os
import runpy
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import grpc
import msgspec
import pulumi
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import engine_pb2_grpc, resource_pb2, resource_pb2_grpc, source_pb2

from rtms_infra.rehearsal.aliases import aliases
from rtms_infra.rehearsal.cloud import PROJECT_NUMBER, Failure
from rtms_infra.rehearsal.facts import FACTS
from rtms_infra.rehearsal.outputs import COMPUTED
from rtms_infra.rehearsal.plan import Plan
from rtms_infra.rehearsal.provider import Failed, bare
from rtms_infra.rehearsal.update import Refused, Registration, Update, World, destroy, refresh, replay, standing

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
ASSET = "c44067f5952c0a294b673a41bacd8c17"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
EMPTY = empty_pb2.Empty()  # ty: ignore[missing-attribute]  # protobuf makes its classes at import


def plain(value: Any) -> Any:
    """A wire value with secrets marked as `{"$secret": ...}` and assets as `{"$asset": sha256}`; numbers without a fraction as int."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            # A state that is exported with its secrets has them as JSON text.
            return {"$secret": plain(value["value"] if "value" in value else msgspec.json.decode(value["plaintext"]))}
        if value.get(SIGNATURE) == ASSET:
            # Pulumi's own engine sends the hash, and in old values only that; the program sends the path.
            return {"$asset": value.get("hash") or hashlib.sha256(Path(value["path"]).read_bytes()).hexdigest()}
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def asset_paths(value: Any) -> Iterator[str]:
    """The paths of the files in a wire value."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == ASSET and value.get("path"):
            yield value["path"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from asset_paths(item)


def _id(kind: str, computed: dict[str, Any], inputs: dict[str, Any], project: str) -> str:
    """The id that the provider would give; grants are named by what they grant."""
    if "id" in computed:
        return str(computed["id"])
    facts = FACTS.get(kind)
    if facts is None or facts.grant_on:
        return ""
    known = {"project": project, "project_number": PROJECT_NUMBER, "number": "1", "recurrence": "daily", **bare(inputs)}
    return facts.id.format_map(known)


def registration(entry: Mapping[str, Any]) -> Registration:
    """What the monitor took (`Monitor.resources`), as the update takes it."""
    return Registration(
        entry["urn"],
        entry["type"],
        name=entry["name"],
        custom=entry["custom"],
        inputs=entry["inputs"],
        dependencies=tuple(entry["dependencies"]),
        depends_by={name: tuple(urns) for name, urns in entry["depends_by"].items()},
        protect=entry["protect"],
        retain=entry["retain"],
        deleted_with=entry["deleted_with"],
        old_first=entry["old_first"],
        aliases=tuple(entry["aliases"]),
    )


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """Takes registrations. `resources` maps URN -> what was registered. `update`: carries them out; None: only answers."""

    def __init__(self, project: str, stack: str, cloud_project: str, *, preview: bool, update: Update | None = None) -> None:
        self.project, self.stack, self.cloud_project, self.preview, self.update = project, stack, cloud_project, preview, update
        self.resources: dict[str, dict[str, Any]] = {}
        self.outputs: dict[str, Any] = {}
        self.assets: dict[str, str] = {}
        """SHA-256 of a file that was registered -> its path."""
        self._lock = threading.Lock()

    def GetDeploymentInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        kinds = resource_pb2.DESCRIPTOR.enum_types_by_name["ResourceMonitorFeature"]
        return resource_pb2.DeploymentInfo(supportedFeatures=[v.number for v in kinds.values if "OUTPUT_VALUES" not in v.name])

    def SupportsFeature(self, request: Any, context: grpc.ServicerContext) -> Any:
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id != "outputValues")

    def RegisterResource(self, request: Any, context: grpc.ServicerContext) -> Any:
        urn = self._urn(request)
        sent = json_format.MessageToDict(request.object)
        inputs = plain(sent)
        self.assets |= {hashlib.sha256(Path(path).read_bytes()).hexdigest(): path for path in asset_paths(sent)}
        entry = {
            "urn": urn,
            "type": request.type,
            "name": request.name,
            "parent": request.parent,
            "custom": request.custom,
            "inputs": inputs,
            "dependencies": sorted({*request.dependencies, *(u for d in request.propertyDependencies.values() for u in d.urns)}),
            "depends_by": {name: sorted(by.urns) for name, by in request.propertyDependencies.items() if by.urns},
            "protect": request.protect,
            "old_first": request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
            "retain": request.retainOnDelete,
            "deleted_with": request.deletedWith,
        }
        self._keep(request, entry, context)
        answer = resource_pb2.RegisterResourceResponse(urn=urn)
        answer.object.CopyFrom(request.object)
        if request.custom and (self.update is not None or not self.preview):
            computed = self._outputs(request, entry, context)
            answer.id = computed.pop("id", f"{request.name}-id")
            answer.object.update(computed)
        return answer

    def _keep(self, request: Any, entry: dict[str, Any], context: grpc.ServicerContext) -> None:
        """Remember a registration, which must be the first of its URN and come after what it depends on."""
        urn = entry["urn"]
        with self._lock:
            if urn in self.resources:
                context.abort(grpc.StatusCode.ALREADY_EXISTS, f"Duplicate resource URN '{urn}'; try giving it a unique name")
            for needed in entry["dependencies"]:
                if needed not in self.resources:
                    context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"'{urn}' depends on '{needed}', which is not registered")
            of_parent = self.resources.get(request.parent, {}).get("aliases", ())
            entry["aliases"] = aliases(urn, request.parent, request.aliases, of_parent)
            self.resources[urn] = entry

    def _outputs(self, request: Any, entry: dict[str, Any], context: grpc.ServicerContext) -> dict[str, Any]:
        """What Google computes: made up, or, in a world, what came of the step."""
        if self.update is None or not request.type.startswith("gcp:"):
            computed = COMPUTED.get(request.type, lambda p, i, n: {})(self.cloud_project, bare(entry["inputs"]), "1")
            name = _id(request.type, computed, entry["inputs"], self.cloud_project) or f"{request.name}-id"
            return {**computed, "id": name}
        with self._lock:
            try:
                state = self.update.register(registration(entry))
            except (Failed, Refused) as error:
                context.abort(grpc.StatusCode.UNKNOWN, str(error))
        return {"id": state.id, **state.outputs}

    def _urn(self, request: Any) -> str:
        kind = request.type
        if request.parent:
            above = request.parent.split("::")[2]
            if above != "pulumi:pulumi:Stack":
                kind = f"{above}${kind}"
        return f"urn:pulumi:{self.stack}::{self.project}::{kind}::{request.name}"

    def RegisterResourceOutputs(self, request: Any, context: grpc.ServicerContext) -> Any:
        with self._lock:
            self.outputs[request.urn] = plain(json_format.MessageToDict(request.outputs))
        return EMPTY

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the program looks something up ({request.tok}); it should not need to")

    def RegisterPackage(self, request: Any, context: grpc.ServicerContext) -> Any:
        return resource_pb2.RegisterPackageResponse(ref=f"{request.name}@{request.version}")

    def SignalAndWaitForShutdown(self, request: Any, context: grpc.ServicerContext) -> Any:
        return EMPTY


class Engine(engine_pb2_grpc.EngineServicer):
    """Takes log lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def Log(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.lines.append(request.message)
        return EMPTY


class CallRefused(grpc.RpcError):
    """What a service answered instead: `code` and `details` as a client of gRPC reads them."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details


class _Call:
    """As much of a `grpc.ServicerContext` as the services here use."""

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise CallRefused(code, details)


class Direct:
    """A client of a service in this process. Over a socket between two threads the calls were half of a program's time."""

    def __init__(self, service: Monitor | Engine) -> None:
        self._service = service

    def __getattr__(self, method: str) -> Callable[..., Any]:
        serve = getattr(self._service, method)
        return lambda request, **_options: serve(request, _Call())


class Servers:
    """Runs programs, one after the other, each with a monitor of its own."""

    def __init__(self) -> None:
        self._worlds: dict[str, World] = {}

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run one program. `request`: program, config, secrets, stack, preview. The answer: resources, outputs, error, log.

        With `world`, what the program registers is carried out in it (`_world`), and the answer has `world`, `steps` and `errors`. The
        action `replay` carries out `registrations` instead of a program: entries as in `resources`, each after what it depends on.
        """
        project = request["config"].get("gcp:project", "")
        world = self._world(request["world"]) if request.get("world") is not None else None
        action = request.get("action", "up")
        if world is not None and action in ("destroy", "refresh", "replay"):
            return self._without_program(world, action, project, request.get("registrations", ()))
        update = (Plan if action == "preview" else Update)(world, project) if world is not None else None
        answer = self._served(request, project, update)
        if update is None:
            return answer
        if update.errors:
            answer["error"] = "; ".join(update.errors)  # the program only fell over what failed here
        update.finish("" if update.errors else answer["error"])
        update.world.outputs = answer["outputs"] or update.world.outputs
        refused = any(step.verb == "refuse" for step in update.steps)
        if refused:
            # `pulumi up` plans first, and what is refused there changes nothing.
            world = self._world(request["world"])
        return {**answer, **self._kept(world, update)}

    def _world(self, wish: dict[str, Any]) -> World:
        """A copy of the world called `from` (empty: a new one), changed as `wish` says: seconds to pass, failures, objects in buckets."""
        world = self._worlds[wish["from"]].copy() if wish.get("from") else World()
        world.cloud.pass_time(wish.get("pass_time", 0))
        world.cloud.failures = [Failure(**failure) for failure in wish.get("failures", [])]
        world.cloud.metric_delay_s = wish.get("metric_delay_s", world.cloud.metric_delay_s)
        world.cloud.api_delay_s = wish.get("api_delay_s", world.cloud.api_delay_s)
        world.cloud.objects.update(wish.get("objects", {}))
        world.cloud.forget_gaps()
        return world

    def _kept(self, world: World | None, update: Update) -> dict[str, Any]:
        assert world is not None
        key = f"world-{len(self._worlds)}"
        self._worlds[key] = world
        gaps = [{"on": gap.on, "role": gap.role, "member": gap.member} for gap in update.world.cloud.gaps]
        grants = [[grant.on, grant.role, grant.member] for grant in sorted(world.cloud.grants, key=str)]
        return {
            "world": key,
            "steps": [dataclasses.asdict(step) for step in update.steps],
            "errors": update.errors,
            "gaps": gaps,
            "missing": sorted(grant.right for grant in update.missing()),
            "cloud": {"resources": sorted(world.cloud.resources), "grants": grants},
            "standing": {"resources": standing(world, update.provider.project), "outputs": world.outputs},
        }

    def _without_program(self, world: World, action: str, project: str, entries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        nothing: dict[str, Any] = {"resources": [], "outputs": {}, "error": "", "log": [], "assets": {}}
        if action == "destroy":
            return {**nothing, **self._kept(world, destroy(world, project))}
        if action == "replay":
            return {**nothing, **self._kept(world, replay(world, project, map(registration, entries)))}
        names = refresh(world, project)
        return {**nothing, **self._kept(world, Update(world, project)), "errors": names}

    def _served(self, request: dict[str, Any], project: str, update: Update | None) -> dict[str, Any]:
        monitor = Monitor("rtmskit", request["stack"], project, preview=request["preview"], update=update)
        engine = Engine()
        with contextlib.redirect_stdout(io.StringIO()):
            error = contextvars.Context().run(self._program, request, Direct(monitor), Direct(engine))
        stack = next((o for urn, o in monitor.outputs.items() if "::pulumi:pulumi:Stack::" in urn), {})
        resources = [monitor.resources[urn] for urn in sorted(monitor.resources)]
        return {"resources": resources, "outputs": stack, "error": error, "log": engine.lines, "assets": monitor.assets}

    def _program(self, request: dict[str, Any], monitor: Direct, engine: Direct) -> str:
        for name in [name for name in sys.modules if name.partition(".")[0] == "rtms_infra"]:
            del sys.modules[name]
        program = Path(request["program"])
        # As the language host does: configuration through the environment, the program's folder first on the path.
        os.environ["PULUMI_CONFIG"] = msgspec.json.encode(request["config"]).decode()
        sys.path.insert(0, str(program))
        pulumi.runtime.set_all_config(request["config"], request["secrets"])
        pulumi.runtime.configure(
            pulumi.runtime.Settings(
                project="rtmskit",
                stack=request["stack"],
                monitor=monitor,
                engine=engine,
                parallel=16,
                dry_run=request["preview"],
                organization="org",
                root_directory=str(program.parent),
            )
        )

        def program_itself() -> None:
            runpy.run_path(str(program), run_name="__main__")

        try:
            asyncio.run(pulumi.runtime.run_in_stack(program_itself))
        except pulumi.RunError as error:
            return str(error)
        except BaseException:  # noqa: BLE001  # whatever ends a program is its result
            return traceback.format_exc()
        finally:
            sys.path.remove(str(program))
        return ""


class _Asyncio:
    """`asyncio` for pulumi.runtime.stack: it waits for outputs one by one, and looks through all of them each time: half of a program's
    time. Here it waits until all are done, or one has failed; what is added meanwhile it takes up in its next round, as before."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    async def wait(tasks: list[asyncio.Task[Any]], return_when: str) -> Any:
        return await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)


def main() -> None:
    """Serve requests until stdin ends."""
    setattr(sys.modules["pulumi.runtime.stack"], "asyncio", _Asyncio())  # noqa: B010  # a module has no such type
    # Each of some 350 debug lines of a program would be a blocking call: half of its time, and nobody reads them.
    setattr(pulumi.log, "debug", lambda *_, **__: None)  # noqa: B010  # an assignment would promise the same signature
    # Where in the program each resource was made: a third of its time, and the monitor does not read it.
    setattr(sys.modules["pulumi.runtime.resource"], "_get_stack_trace", source_pb2.StackTrace)  # noqa: B010  # as above
    # What a failed step leaves waiting in a program is no news: the step itself is reported.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    # A program makes half a million objects and drops them together; looking for cycles among them all the time is a fifth of its time.
    gc.set_threshold(200_000, 20, 100)
    servers = Servers()
    for line in sys.stdin:
        print(msgspec.json.encode(servers.run(msgspec.json.decode(line))).decode(), flush=True)
    # Nothing is to be saved, and taking all of it apart takes seconds.
    os._exit(0)


if __name__ == "__main__":
    main()
