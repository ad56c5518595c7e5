"""A gRPC server in front of another: each call goes on as it is, byte for byte, unless somebody refuses it first.

Who calls is known by the port: each function is given one of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
import grpc.aio

_OWN = ("grpc-", "user-agent", "content-type", "te", ":")
"""Metadata that belongs to one connection, by how it begins."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A gRPC status and its sentence."""

    status: grpc.StatusCode
    sentence: str


Judge = Callable[[str, bytes], Refusal | None]
"""(full method name, the first message as bytes) -> why the call is refused, or None."""


class ApiGuard:
    """Passes calls on to `target` (`host:port`, plain). `outage`: set, every call fails with it; `hanging`: no call is answered. `judge`
    can be replaced."""

    def __init__(self, target: str, judge: Judge) -> None:
        self._target, self.judge = target, judge
        self.outage: Refusal | None = None
        self.hanging = False
        self._port = 0
        self._server: grpc.aio.Server | None = None
        self._channel: grpc.aio.Channel | None = None

    @property
    def endpoint(self) -> str:
        """`host:port`, known after `start`."""
        return f"127.0.0.1:{self._port}"

    async def start(self) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
        self._channel = grpc.aio.insecure_channel(self._target, options=options)
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((_Every(self._pass),))
        self._port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        self._server = server

    async def aclose(self) -> None:
        """Cut what is under way. Repeatable."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(grace=None)
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def _pass(self, method: str, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        assert self._channel is not None
        first = await anext(requests, b"")
        if self.hanging:
            await asyncio.get_running_loop().create_future()
        refusal = self.outage or self.judge(method, first)
        if refusal is not None:
            await context.abort(refusal.status, refusal.sentence)
        metadata = [(name, value) for name, value in context.invocation_metadata() if not name.startswith(_OWN)]
        call = self._channel.stream_stream(method)(_with_first(first, requests), metadata=metadata, timeout=context.time_remaining())
        try:
            async for response in call:
                yield response
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details() or "", error.trailing_metadata() or ())
        finally:
            call.cancel()  # nothing of it may wait for a caller that has gone


async def _with_first(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for one in rest:
        yield one


class _Every(grpc.GenericRpcHandler):
    """Any method of any service, as a stream of bytes in both directions: on the wire a single message is the same."""

    def __init__(self, behaviour: Callable[..., AsyncIterator[bytes]]) -> None:
        self._behaviour = behaviour

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.stream_stream_rpc_method_handler(partial(self._behaviour, handler_call_details.method))
