"""The load: signed starts of new streams from a process of its own, over raw sockets, so that little is spent on sending them.

    async with Load() as load:
        result = await load.run(Job(port, "/zoom-webhook", SECRET, seconds=2, connections=16))

Every request is built and signed before the clock starts. With `per_s` requests go out by the clock, whatever becomes of those before
(an open loop: a queue is not hidden by waiting for it); without, each connection sends its next request when it has its answer.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rtms_simulator.zoom.webhooks import events
from rtms_simulator.zoom.webhooks.events import StreamIds

MOST_PER_S = 6000
"""As many requests are prepared for each second of a closed loop; `Result.exhausted` says that they were not enough."""

KNOCK_S = 0.003

SERVER_URL = "wss://127.0.0.1:9/rtms"


@dataclass(frozen=True, slots=True)
class Job:
    """One phase. `seed` keeps the streams of two phases apart."""

    port: int
    path: str
    secret_token: str
    seconds: float
    connections: int = 16
    per_s: float | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a job: answers by status, how long each 200 took in ms, and what this client itself spent."""

    statuses: dict[str, int]
    latencies_ms: list[float]
    wall_s: float
    cpu_s: float
    worst_send_delay_ms: float
    exhausted: bool

    @property
    def per_s(self) -> float:
        return len(self.latencies_ms) / self.wall_s

    @property
    def refused(self) -> int:
        """How many answers were none, or not 200: what is sent is always right, so the server was too slow to keep its promise."""
        return sum(self.statuses.values()) - len(self.latencies_ms)

    @property
    def busy(self) -> float:
        """The share of the time in which this client used a CPU."""
        return self.cpu_s / self.wall_s


class Load:
    """The process that sends; one job at a time."""

    async def __aenter__(self) -> Load:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(sys.executable, "-m", __name__, stdin=pipe, stdout=pipe, limit=2**26)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def run(self, job: Job) -> Result:
        """Raises RuntimeError if nothing was answered with 200."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(dataclasses.asdict(job)).encode() + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the load process ended")
        result = Result(**json.loads(line))
        if not result.latencies_ms:
            raise RuntimeError(f"port {job.port} answered {result.statuses}")
        return result


def starts(job: Job) -> Iterator[bytes]:
    """Requests with a signed `meeting.rtms_started` each, every one of a stream of its own."""
    chance = random.Random(job.seed)
    while True:
        ids = StreamIds(f"{chance.getrandbits(128):032x}", f"{chance.getrandbits(128):032x}")
        yield request(job, events.body(events.started("meeting", ids, SERVER_URL, int(time.time() * 1000))))


def request(job: Job, body: bytes) -> bytes:
    """A signed POST, as bytes."""
    stamp = str(int(time.time()))
    head = (
        f"POST {job.path} HTTP/1.1\r\nhost: 127.0.0.1:{job.port}\r\ncontent-type: application/json\r\n"
        f"x-zm-request-timestamp: {stamp}\r\nx-zm-signature: {events.sign(job.secret_token, stamp, body)}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Connection(asyncio.Protocol):
    """One HTTP/1.1 connection, one request at a time."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[int]:
        """Resolves to the status, 0 if the connection was lost."""
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport.is_closing():
            self._answer.set_result(0)
        else:
            self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        at = head.index(b"content-length:") + 15
        size = int(head[at:].split(b"\r\n", 1)[0])
        if len(self._buffer) < end + 4 + size:
            return
        self._buffer.clear()
        self._resolve(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        self._resolve(0)

    def close(self) -> None:
        self._transport.close()

    def _resolve(self, status: int) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(status)


async def first_answer(port: int, request: bytes, alive: Callable[[], bool]) -> int:
    """Knock until somebody listens, ask once, and return the status. Raises RuntimeError once nobody is `alive` to listen."""
    while alive():
        try:
            _, connection = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", port)
        except OSError:
            await asyncio.sleep(KNOCK_S)
            continue
        try:
            return await connection.ask(request)
        finally:
            connection.close()
    raise RuntimeError("the server ended before it answered")


async def _connect(job: Job) -> _Connection:
    _, connection = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", job.port)
    return connection


class _Tally:
    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.latencies_ms: list[float] = []
        self.worst_send_delay_s = 0.0
        self.exhausted = False

    async def ask(self, connection: _Connection, request: bytes, since: float | None = None) -> None:
        began = time.perf_counter() if since is None else since
        status = await connection.ask(request)
        self.statuses[str(status)] += 1
        if status == 200:
            self.latencies_ms.append((time.perf_counter() - began) * 1000)


async def closed_loop(job: Job, tally: _Tally, connections: list[_Connection], waiting: Iterator[bytes]) -> None:
    until = time.perf_counter() + job.seconds

    async def one_after_another(connection: _Connection) -> None:
        while time.perf_counter() < until:
            request = next(waiting, None)
            if request is None:
                tally.exhausted = True
                return
            await tally.ask(connection, request)

    await asyncio.gather(*map(one_after_another, connections))


async def open_loop(job: Job, tally: _Tally, connections: list[_Connection], waiting: Iterator[bytes]) -> None:
    """A latency counts from the moment at which the request was due, so that our own lateness is not hidden either."""
    assert job.per_s is not None
    idle, sending = list(connections), []

    async def send(request: bytes, due: float) -> None:
        if idle:
            connection = idle.pop()
        else:
            connections.append(connection := await _connect(job))
        await tally.ask(connection, request, due)
        idle.append(connection)

    began = time.perf_counter()
    for number in range(int(job.per_s * job.seconds)):
        due = began + number / job.per_s
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tally.worst_send_delay_s = max(tally.worst_send_delay_s, time.perf_counter() - due)
        sending.append(asyncio.create_task(send(next(waiting), due)))
    await asyncio.gather(*sending)


async def perform(job: Job) -> Result:
    source, tally = starts(job), _Tally()
    waiting = iter([next(source) for _ in range(int((job.per_s or MOST_PER_S) * job.seconds) + 1)])
    connections = [await _connect(job) for _ in range(job.connections)]
    gc.collect()
    cpu, began = time.process_time(), time.perf_counter()
    try:
        await (closed_loop if job.per_s is None else open_loop)(job, tally, connections, waiting)
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    finally:
        for connection in connections:
            connection.close()
    return Result(dict(tally.statuses), tally.latencies_ms, wall_s, cpu_s, tally.worst_send_delay_s * 1000, tally.exhausted)


def main() -> None:
    """Jobs on stdin, results on stdout, a line of JSON each; ends with its input."""
    for line in sys.stdin:
        print(json.dumps(dataclasses.asdict(asyncio.run(perform(Job(**json.loads(line)))))), flush=True)


if __name__ == "__main__":
    main()
