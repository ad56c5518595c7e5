"""A Pulumi engine without Pulumi's command line: a resource monitor and an engine over gRPC that run a program unchanged.

It does what the program can notice of the real one: builds URNs, rejects duplicates, answers with the computed outputs that
Google would give, leaves them unknown in a preview. Nothing is created anywhere.

Runs as a process of its own (`python -m tests.infra.engine`), one JSON request per line on stdin and one answer per line on
stdout, because a program's modules, working folder and event loop belong to its process. It stays warm between programs.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import hashlib
import io
import json
import os
import runpy
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pulumi
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import engine_pb2_grpc, resource_pb2, resource_pb2_grpc

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
ASSET = "c44067f5952c0a294b673a41bacd8c17"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
PROJECT_NUMBER = "123456789012"
EMPTY = empty_pb2.Empty()  # ty: ignore[missing-attribute]  # protobuf makes its classes at import


def _account(p: str, i: Mapping[str, Any]) -> dict[str, Any]:
    email = f"{i['accountId']}@{p}.iam.gserviceaccount.com"
    name = f"projects/{p}/serviceAccounts/{email}"
    return {"id": name, "name": name, "email": email, "member": f"serviceAccount:{email}"}


def _function(p: str, i: Mapping[str, Any]) -> dict[str, Any]:
    place, name = i["location"], i["name"]
    service = {"service": f"projects/{p}/locations/{place}/services/{name}", "uri": f"https://{name}-abcdef-uk.a.run.app"}
    return {
        "id": f"projects/{p}/locations/{place}/functions/{name}",
        "url": f"https://{place}-{p}.cloudfunctions.net/{name}",
        "serviceConfig": {**i["serviceConfig"], **service},
    }


def _pool(p: str, i: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": f"projects/{PROJECT_NUMBER}/locations/global/workloadIdentityPools/{i['workloadIdentityPoolId']}"}


COMPUTED: dict[str, Callable[[str, Mapping[str, Any]], dict[str, Any]]] = {
    "gcp:artifactregistry/repository:Repository": lambda p, i: {
        "id": f"projects/{p}/locations/{i['location']}/repositories/{i['repositoryId']}",
        "name": i["repositoryId"],
    },
    "gcp:cloudfunctionsv2/function:Function": _function,
    "gcp:cloudtasks/queue:Queue": lambda p, i: {"id": f"projects/{p}/locations/{i['location']}/queues/{i['name']}"},
    "gcp:firestore/database:Database": lambda p, i: {"id": f"projects/{p}/databases/{i['name']}"},
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": _pool,
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": lambda p, i: {
        "name": f"{_pool(p, i)['name']}/providers/{i['workloadIdentityPoolProviderId']}"
    },
    "gcp:logging/metric:Metric": lambda p, i: {"id": i["name"]},
    "gcp:monitoring/dashboard:Dashboard": lambda p, i: {"id": f"projects/{PROJECT_NUMBER}/dashboards/00000000-dash"},
    "gcp:monitoring/notificationChannel:NotificationChannel": lambda p, i: {
        "name": f"projects/{p}/notificationChannels/{hashlib.sha256(i['displayName'].encode()).hexdigest()[:12]}"
    },
    "gcp:monitoring/uptimeCheckConfig:UptimeCheckConfig": lambda p, i: {"uptimeCheckId": "uptime-0123456789"},
    "gcp:projects/iAMCustomRole:IAMCustomRole": lambda p, i: {"name": f"projects/{p}/roles/{i['roleId']}"},
    "gcp:secretmanager/secret:Secret": lambda p, i: {
        "id": f"projects/{p}/secrets/{i['secretId']}",
        "name": f"projects/{PROJECT_NUMBER}/secrets/{i['secretId']}",
    },
    # Google counts versions up; a number that follows the content is as good, and needs no memory.
    "gcp:secretmanager/secretVersion:SecretVersion": lambda p, i: {
        "version": str(1 + int(hashlib.sha256(i["secretData"].encode()).hexdigest()[:4], 16))
    },
    "gcp:serviceaccount/account:Account": _account,
    "gcp:storage/bucket:Bucket": lambda p, i: {"id": i["name"], "url": f"gs://{i['name']}", "projectNumber": int(PROJECT_NUMBER)},
    "gcp:storage/bucketObject:BucketObject": lambda p, i: {"id": f"{i['bucket']}-{i['name']}", "generation": 1},
}
"""What Google computes, by type: (project, inputs) -> outputs besides the inputs; `id` is the resource's id."""


def plain(value: Any) -> Any:
    """A wire value with secrets marked as `{"$secret": ...}` and assets as `{"$asset": sha256}`; numbers without a fraction as int."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return {"$secret": plain(value["value"])}
        if value.get(SIGNATURE) == ASSET:
            return {"$asset": hashlib.sha256(Path(value["path"]).read_bytes()).hexdigest()}
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def bare(value: Any) -> Any:
    """The same without the marks."""
    if isinstance(value, dict):
        return bare(value["$secret"]) if "$secret" in value else {key: bare(item) for key, item in value.items()}
    return [bare(item) for item in value] if isinstance(value, list) else value


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """Takes registrations. `resources` maps URN -> what was registered."""

    def __init__(self, project: str, stack: str, cloud_project: str, preview: bool) -> None:
        self.project, self.stack, self.cloud_project, self.preview = project, stack, cloud_project, preview
        self.resources: dict[str, dict[str, Any]] = {}
        self.outputs: dict[str, Any] = {}
        self._lock = threading.Lock()

    def GetDeploymentInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        kinds = resource_pb2.DESCRIPTOR.enum_types_by_name["ResourceMonitorFeature"]
        return resource_pb2.DeploymentInfo(supportedFeatures=[v.number for v in kinds.values if "OUTPUT_VALUES" not in v.name])

    def SupportsFeature(self, request: Any, context: grpc.ServicerContext) -> Any:
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id != "outputValues")

    def RegisterResource(self, request: Any, context: grpc.ServicerContext) -> Any:
        urn = self._urn(request)
        inputs = plain(json_format.MessageToDict(request.object))
        entry = {
            "urn": urn,
            "type": request.type,
            "name": request.name,
            "parent": request.parent,
            "custom": request.custom,
            "inputs": inputs,
            "dependencies": sorted({*request.dependencies, *(u for d in request.propertyDependencies.values() for u in d.urns)}),
            "protect": request.protect,
            "new_first": request.deleteBeforeReplaceDefined and not request.deleteBeforeReplace,
        }
        with self._lock:
            if urn in self.resources:
                context.abort(grpc.StatusCode.ALREADY_EXISTS, f"Duplicate resource URN '{urn}'; try giving it a unique name")
            for needed in entry["dependencies"]:
                if needed not in self.resources:
                    context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"'{urn}' depends on '{needed}', which is not registered")
            self.resources[urn] = entry
        answer = resource_pb2.RegisterResourceResponse(urn=urn)
        answer.object.CopyFrom(request.object)
        if request.custom and not self.preview:
            computed = COMPUTED.get(request.type, lambda p, i: {})(self.cloud_project, bare(inputs))
            answer.id = computed.pop("id", f"{request.name}-id")
            answer.object.update(computed)
        return answer

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


class Servers:
    """Both services on one port, with the monitor exchanged for each program."""

    def __init__(self) -> None:
        self._pool = futures.ThreadPoolExecutor(8)

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run one program. `request`: program, config, secrets, stack, preview. The answer: resources, outputs, error, log."""
        config = request["config"]
        monitor = Monitor("rtmskit", request["stack"], config.get("gcp:project", ""), request["preview"])
        engine = Engine()
        server = grpc.server(self._pool)
        resource_pb2_grpc.add_ResourceMonitorServicer_to_server(monitor, server)
        engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                error = contextvars.Context().run(self._program, request, address)
        finally:
            server.stop(None).wait()
        stack = next((o for urn, o in monitor.outputs.items() if "::pulumi:pulumi:Stack::" in urn), {})
        resources = [monitor.resources[urn] for urn in sorted(monitor.resources)]
        return {"resources": resources, "outputs": stack, "error": error, "log": engine.lines}

    def _program(self, request: dict[str, Any], address: str) -> str:
        for name in [name for name in sys.modules if name.partition(".")[0] == "rtms_infra"]:
            del sys.modules[name]
        program = Path(request["program"])
        # As the language host does: configuration through the environment, the program's folder first on the path.
        os.environ["PULUMI_CONFIG"] = json.dumps(request["config"])
        sys.path.insert(0, str(program))
        pulumi.runtime.set_all_config(request["config"], request["secrets"])
        pulumi.runtime.configure(
            pulumi.runtime.Settings(
                project="rtmskit",
                stack=request["stack"],
                monitor=address,
                engine=address,
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


def main() -> None:
    """Serve requests until stdin ends."""
    # Each of some 350 debug lines of a program would be a blocking call: half of its time, and nobody reads them.
    setattr(pulumi.log, "debug", lambda *_, **__: None)  # noqa: B010  # an assignment would promise the same signature
    servers = Servers()
    for line in sys.stdin:
        print(json.dumps(servers.run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
