"""The local cloud as Pulumi's `gcp` provider: the gRPC service that a real engine is pointed at with `PULUMI_DEBUG_PROVIDERS=gcp:PORT`.

Only the wire is here. What a resource means (which argument replaces it, what Google refuses, keeps or forgets) is `provider.Provider`;
the in-process engine of the tests asks the same one. What the provider must know again travels in Pulumi's state, in the output
`__local`, as the real provider keeps its own data in `__meta`.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
import msgspec
from google.protobuf import any_pb2, empty_pb2, json_format, struct_pb2
from google.rpc import status_pb2
from grpc_status import rpc_status
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from rtms_infra.rehearsal.cloud import Cloud
from rtms_infra.rehearsal.engine import SECRET, SIGNATURE, plain
from rtms_infra.rehearsal.provider import Failed, Provider, ResourceState, bare

LOCAL = "__local"
"""The output that holds the provider's own state of a resource, as a secret JSON text."""

VERSION = "10.2.0"
"""The version of pulumi-gcp whose resource types the table of facts describes."""

Values = dict[str, Any]


class CloudProvider(provider_pb2_grpc.ResourceProviderServicer):
    """The ResourceProvider service over one local cloud. The cloud is asked by one call at a time."""

    def __init__(self, cloud: Cloud) -> None:
        self._provider = Provider(cloud)
        self._lock = threading.Lock()

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:
        return _empty()

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        return _empty()

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._provider.project = request.variables.get("gcp:config:project", "")
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        name = request.urn.rpartition("::")[2]
        problems = self._provider.check(_type(request), name, plain(_values(request.news)))
        return provider_pb2.CheckResponse(inputs=request.news, failures=[provider_pb2.CheckFailure(reason=each) for each in problems])

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        difference = self._provider.diff(_type(request), _state(request.id, request.olds), plain(_values(request.news)))
        kinds = provider_pb2.DiffResponse
        return provider_pb2.DiffResponse(
            changes=kinds.DIFF_SOME if difference.changed else kinds.DIFF_NONE,
            diffs=sorted({path.partition(".")[0] for path in difference.changed}),
            replaces=sorted(difference.replaces),
            deleteBeforeReplace=difference.old_first,
            detailedDiff={path: _property(replaces=path in difference.replaces) for path in sorted(difference.changed)},
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.preview:
            return provider_pb2.CreateResponse(properties=request.properties)
        inputs = _values(request.properties)
        try:
            with self._lock:
                state = self._provider.create(_type(request), plain(inputs))
        except Failed as error:
            _refuse(context, error, inputs)
        return provider_pb2.CreateResponse(id=state.id, properties=_struct(_outputs(inputs, state)))

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.preview:
            # What Google computed before stays, as in the bridge's plan; without it all that depends on it would seem to change, too.
            return provider_pb2.UpdateResponse(properties=_struct({**_values(request.olds), **_values(request.news)}))
        kind, inputs, state = _type(request), _values(request.news), _state(request.id, request.olds)
        changed = self._provider.diff(kind, state, plain(inputs)).changed
        try:
            with self._lock:
                state = self._provider.update(kind, state, plain(inputs), changed)
        except Failed as error:
            _refuse(context, error, inputs)
        return provider_pb2.UpdateResponse(properties=_struct(_outputs(inputs, state)))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        """What is at Google now. Arguments that Google changed appear in both the inputs and the outputs, so that a refresh shows them."""
        before = _state(request.id, request.properties)
        with self._lock:
            state = self._provider.read(_type(request), before)
        if state is None:
            return provider_pb2.ReadResponse()
        drift = {name: value for name, value in state.stored.items() if before.stored.get(name) != value}
        inputs = {**_values(request.inputs), **bare(drift)}
        outputs = {**_values(request.properties), **bare(drift), **state.outputs, LOCAL: _local(state)}
        return provider_pb2.ReadResponse(id=state.id, properties=_struct(outputs), inputs=_struct(inputs))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            with self._lock:
                self._provider.delete(_type(request), _state(request.id, request.properties))
        except Failed as error:
            _refuse(context, error, {})
        return _empty()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the program looks something up ({request.tok}); it should not need to")


def _type(request: Any) -> str:
    """The resource's type, from its URN: older engines send no `type`."""
    return request.urn.split("::")[2].rpartition("$")[2]


def _values(message: Any) -> Values:
    return json_format.MessageToDict(message)


def _struct(values: Mapping[str, Any]) -> Any:
    message = struct_pb2.Struct()  # ty: ignore[missing-attribute]  # protobuf makes its classes at import
    message.update(values)
    return message


def _local(state: ResourceState) -> Values:
    return {SIGNATURE: SECRET, "value": msgspec.json.encode(state, order="sorted").decode()}


def _outputs(inputs: Values, state: ResourceState) -> Values:
    """Inputs with their secret marks, what Google computed, and the provider's own state."""
    return {**inputs, **state.outputs, LOCAL: _local(state)}


def _state(id_: str, outputs: Any) -> ResourceState:
    """The provider's own state, from the outputs in Pulumi's. Raises ValueError for a resource that this provider did not make."""
    text = bare(plain(_values(outputs))).get(LOCAL)
    if text is None:
        raise ValueError(f"{id_}: its state was not written by the local cloud; use a state file of its own for a rehearsal")
    return msgspec.json.decode(text, type=ResourceState)


def _property(*, replaces: bool) -> Any:
    kinds = provider_pb2.PropertyDiff
    return provider_pb2.PropertyDiff(kind=kinds.UPDATE_REPLACE if replaces else kinds.UPDATE, inputDiff=True)


def _empty() -> Any:
    return empty_pb2.Empty()  # ty: ignore[missing-attribute]  # protobuf makes its classes at import


def _refuse(context: grpc.ServicerContext, error: Failed, inputs: Values) -> None:
    """Fail the call. A resource that exists in a failed state goes along, so that the engine keeps it (`ErrorResourceInitFailed`)."""
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=error.sentence)
    if error.state is not None:
        detail = provider_pb2.ErrorResourceInitFailed(
            id=error.state.id, properties=_struct(_outputs(inputs, error.state)), reasons=[error.sentence], inputs=_struct(inputs)
        )
        packed = any_pb2.Any()  # ty: ignore[missing-attribute]  # protobuf makes its classes at import
        packed.Pack(detail)
        status.details.append(packed)
    context.abort_with_status(rpc_status.to_status(status))


@contextmanager
def provider_service(cloud: Cloud) -> Generator[int]:
    """Serve the provider on a free loopback port, which is given."""
    with futures.ThreadPoolExecutor(16, thread_name_prefix="pulumi-provider") as pool:
        server = grpc.server(pool)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(CloudProvider(cloud), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield port
        finally:
            server.stop(None).wait()
