"""The processes under load: functions-framework with a function that does nothing, the real functions, and a socket that only answers."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import grpc.aio
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcAsyncIOTransport
from tests.e2e.processes import descendants

from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import CloudTasks
from rtms_simulator.kit.functions import Wiring, source
from rtms_simulator.serving.processes import Child, Port

RUN_SECRET = "benchmark-secret-of-the-run"
SECRET_TOKEN = "benchmark-secret-token"
NOWHERE = "http://127.0.0.1:9"
WEBHOOK_SECRET = "whsec_YmVuY2htYXJrLWJlbmNobWFyay1iZW5jaA=="

NOOP = '''"""functions-framework aio's own no-op."""

import functions_framework.aio
{imports}

@functions_framework.aio.http
async def noop(request):
    return "OK"
'''

ENQUEUER = '''"""The least that a function costs which enqueues before it answers, with Google's own client."""

import itertools

import functions_framework.aio
import grpc.aio
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcAsyncIOTransport

numbers = itertools.count()
clients = []


@functions_framework.aio.http
async def enqueuer(request):
    if not clients:
        channel = grpc.aio.insecure_channel({endpoint!r})
        clients.append(tasks_v2.CloudTasksAsyncClient(transport=CloudTasksGrpcAsyncIOTransport(channel=channel)))
    if request.method == "POST":
        call = tasks_v2.HttpRequest(url="http://127.0.0.1:9/handoff", body=b"{{}}")
        task = tasks_v2.Task(name={queue!r} + "/tasks/floor-" + str(next(numbers)), http_request=call)
        await clients[0].create_task(parent={queue!r}, task=task, retry=None, timeout=10)
    return "OK"
'''

BARE = """
import asyncio, sys

ANSWER = b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nOK"

class Answers(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(ANSWER)

async def main():
    server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()

asyncio.run(main())
"""


def framework(file: Path, target: str, port: Port) -> list[str]:
    """The command that serves a function as Cloud Functions does."""
    argv = [sys.executable, "-m", "functions_framework", "--source", str(file), "--target", target]
    return [*argv, "--host", port.host, "--port", str(port.number)]


def plain_environment() -> dict[str, str]:
    """Ours, without what would change where or how functions-framework serves."""
    kept_out = ("FUNCTION_", "ZOOM_", "RECALL_", "TASKS_", "RETRIEVAL_", "HANDOFF_", "FACTS_", "FIRESTORE_EMULATOR_HOST")
    other = {"HOST", "PORT", "DEBUG", "STATE_URL", "WORKER_URL", "ARCHIVE_URL", "WORKERS"}
    return {name: value for name, value in os.environ.items() if not name.startswith(kept_out) and name not in other}


def wiring(tasks: CloudTasks, state_url: str, recall_base_url: str = f"{NOWHERE}/api/v1") -> Wiring:
    """What the functions are told."""
    return Wiring(
        client_id="client",
        client_secret="client-secret",
        secret_token=SECRET_TOKEN,
        recall_base_url=recall_base_url,
        recall_api_key="recall-key",
        recall_webhook_secret=WEBHOOK_SECRET,
        tasks_endpoint=tasks.endpoint,
        queues=",".join(tasks.initial_queues),
        state_url=state_url,
        run_secret=RUN_SECRET,
    )


def framework_noop(directory: Path, port: Port, *imports: str) -> Child:
    """functions-framework aio with a function that does nothing, and imports that much first."""
    file = directory / f"noop_{'_'.join(imports).replace('.', '_')}.py"
    file.write_text(NOOP.format(imports="".join(f"import {name}  # noqa: F401\n" for name in imports)))
    return Child("noop", framework(file, "noop", port), plain_environment(), Clock())


def framework_enqueuer(directory: Path, port: Port, tasks: CloudTasks) -> Child:
    """functions-framework aio with a function that does nothing but enqueue a task."""
    file = directory / "enqueuer.py"
    file.write_text(ENQUEUER.format(endpoint=tasks.endpoint, queue=tasks.queue))
    return Child("enqueuer", framework(file, "enqueuer", port), plain_environment(), Clock())


def webhook(wired: Wiring, port: Port) -> Child:
    """The real webhook, alone: nobody serves its WORKER_URL."""
    return Child("webhook", framework(source(), "webhook", port), wired.environment("webhook", NOWHERE, plain_environment()), Clock())


def bare(port: Port) -> Child:
    """A socket that answers whatever it reads at once, without looking: what the load client can do when nothing holds it up."""
    return Child("bare", [sys.executable, "-c", BARE, str(port.number)], plain_environment(), Clock())


@contextlib.asynccontextmanager
async def served(child: Child, port: Port) -> AsyncGenerator[Child]:
    """A running server, from its first answer to the end of the block."""
    try:
        await child.start()
        await child.answers(f"http://{port.host}:{port.number}/health")
        yield child
    finally:
        await child.stop()


@contextlib.asynccontextmanager
async def held_tasks() -> AsyncGenerator[CloudTasks]:
    """A fake Cloud Tasks that takes tasks and delivers none: what is measured is the way to the ack."""
    async with CloudTasks(Clock()) as tasks:
        async with grpc.aio.insecure_channel(tasks.endpoint) as channel:
            client = tasks_v2.CloudTasksAsyncClient(transport=CloudTasksGrpcAsyncIOTransport(channel=channel))
            for name in tasks.initial_queues:
                await client.pause_queue(name=name)
        yield tasks


def cpu_s(child: Child) -> float:
    """What a server has spent so far, all its processes together."""
    ticks = 0
    for pid in {child.pid, *descendants(child.pid)}:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
