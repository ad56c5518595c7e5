"""A Python language host for Pulumi's engine, for machines where `pulumi-language-python` is missing.

Pulumi's own installation brings `pulumi-language-python`; an engine built from its Go module does not. The engine is pointed at
this one with `PULUMI_DEBUG_LANGUAGES=python:PORT` (pulumi/pulumi, `sdk/go/common/resource/plugin/langruntime_plugin.go`). Programs run
in a process of their own with this interpreter (program.py), so they need no environment besides the one it is called from.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import msgspec
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from rtms_infra.rehearsal.program import LOGGED_EXIT_CODE, Answer, Request


class Programs:
    """The process that runs programs (program.py), one at a time. It is started with the first program; `close` ends it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def run(self, request: Request) -> Answer:
        with self._lock:
            process = self._process = self._process or _start()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(msgspec.json.encode(request).decode() + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        if not line:
            return Answer(1, f"the process that runs programs ended with exit code {process.wait()}")
        return msgspec.json.decode(line, type=Answer)

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()


def _start() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rtms_infra.rehearsal.program"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own module


class PythonLanguage(language_pb2_grpc.LanguageRuntimeServicer):
    """The LanguageRuntime service for one program at a time."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._engine_address = ""

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._engine_address = request.engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=importlib.metadata.version("pulumi"))

    def GetRequiredPlugins(self, request: Any, context: grpc.ServicerContext) -> Any:
        """None: the providers are attached, so the engine must not look for them anywhere."""
        return language_pb2.GetRequiredPluginsResponse()

    def GetRequiredPackages(self, request: Any, context: grpc.ServicerContext) -> Any:
        return language_pb2.GetRequiredPackagesResponse()

    def RuntimeOptionsPrompts(self, request: Any, context: grpc.ServicerContext) -> Any:
        return language_pb2.RuntimeOptionsResponse()

    def InstallDependencies(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """Nothing to install: the program runs in this process's environment."""
        return iter(())

    def About(self, request: Any, context: grpc.ServicerContext) -> Any:
        return language_pb2.AboutResponse(executable=sys.executable, version=sys.version.split()[0])

    def GetProgramDependencies(self, request: Any, context: grpc.ServicerContext) -> Any:
        return language_pb2.GetProgramDependenciesResponse()

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        return empty_pb2.Empty()  # ty: ignore[missing-attribute]  # protobuf makes its classes at import

    def Run(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Run the program to its end. `bail`: it failed, and the reason is in the engine's log already."""
        answer = self._programs.run(_program(request, self._engine_address))
        if answer.exit_code == 0:
            return language_pb2.RunResponse()
        if answer.exit_code == LOGGED_EXIT_CODE:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(error=f"the program ended with exit code {answer.exit_code}: {answer.output}")


def _program(request: Any, engine_address: str) -> Request:
    directory = Path(request.info.program_directory or request.pwd)
    return Request(
        program=str(directory / (request.info.entry_point or request.program or ".")),
        root=request.info.root_directory or str(directory),
        project=request.project,
        stack=request.stack,
        organization=request.organization,
        monitor=request.monitor_address,
        engine=engine_address,
        parallel=request.parallel,
        preview=request.dryRun,
        config=dict(request.config),
        secret_keys=list(request.configSecretKeys),
    )


@contextmanager
def language_host() -> Generator[int]:
    """Serve the host on a free loopback port, which is given. At the end the server and the process of the programs are gone."""
    programs = Programs()
    with futures.ThreadPoolExecutor(4, thread_name_prefix="pulumi-language") as pool:
        server = grpc.server(pool)
        language_pb2_grpc.add_LanguageRuntimeServicer_to_server(PythonLanguage(programs), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield port
        finally:
            server.stop(None).wait()
            programs.close()
