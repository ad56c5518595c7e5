"""How many live audio streams one Zoom process sustains, and how its send loop compares with a bare one.

    python -m tests.benchmarks.rtms_streams [--seconds 4] [--most 1000]

Streams: N meetings in real time, one audio socket each (L16, a packet every 20 ms), read by another process on the same machine. It breaks
at the first N for which a packet arrives more than 100 ms after its moment, or not at all. The first half second after joining is not
counted: that is buffered sound. A third process does nothing but sleep and says how late this machine wakes it, so that a lateness that is
the machine's is not taken for the simulator's.

Frames: frames per CPU second of a meeting at `max` (generated, encoded, counted, hashed, sent), against `websockets`' own server sending
ready-made messages of the same size; interleaved, so that a noisy machine disturbs both.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.server import ServerConnection, serve

from rtms_simulator.clock import Clock
from rtms_simulator.scenario import Action, Person, Scenario
from rtms_simulator.zoom import Zoom, ZoomApp
from rtms_simulator.zoom.rtms.handshake import sign

LATE_MS = 100
SETTLED_MS = 500
TALKER = Person(1, "Ada")
APP = ZoomApp("id", "secret", "token")
HOOK = "http://receiver.test/"


def talk(seconds: float) -> Scenario:
    speech = Action(0.0, "speak", 1, {"until_s": seconds, "text": "One two three four five six seven."})
    return Scenario("bench", (TALKER,), (speech,), seconds)


# The reader: its own process, one line of JSON per stream to join, one line with what it saw at the end.


@dataclass(slots=True)
class Seen:
    lateness: list[int] = field(default_factory=list)
    streams: int = 0


class Reader(asyncio.Protocol):
    """Reads server frames of a WebSocket with as little work as possible; `on_message` gets each payload."""

    def __init__(self, path: str, on_message: Any) -> None:
        self.path = path
        self.on_message = on_message
        self.buffer = bytearray()
        self.upgraded = False
        self.closed = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        lines = [f"GET {self.path} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
        transport.write("\r\n".join(lines).encode())

    def say(self, message: dict[str, Any]) -> None:
        raw = json.dumps(message).encode()
        head = bytes((0x81, 0x80 | len(raw))) if len(raw) < 126 else b"\x81\xfe" + len(raw).to_bytes(2, "big")
        self.transport.write(head + b"\0\0\0\0" + raw)

    def data_received(self, data: bytes) -> None:
        buffer = self.buffer
        buffer += data
        if not self.upgraded:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            del buffer[: end + 4]
            self.upgraded = True
            self.on_message(self, None)
        while len(buffer) >= 2:
            size, at = buffer[1], 2
            if size == 126:
                size, at = int.from_bytes(buffer[2:4], "big"), 4
            elif size == 127:
                size, at = int.from_bytes(buffer[2:10], "big"), 10
            if len(buffer) < at + size:
                return
            opcode, payload = buffer[0] & 15, bytes(buffer[at : at + size])
            del buffer[: at + size]
            if opcode == 8:
                self.transport.close()
            elif opcode == 9:
                self.transport.write(b"\x8a\x80\0\0\0\0")
            else:
                self.on_message(self, payload)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()


async def read_stream(payload: dict[str, Any], seen: Seen) -> None:
    loop = asyncio.get_running_loop()
    entity, stream = payload["meeting_uuid"], payload["rtms_stream_id"]
    hello = {"protocol_version": 1, "meeting_uuid": entity, "rtms_stream_id": stream, "signature": sign("id", "secret", entity, stream)}
    joined: asyncio.Future[str] = loop.create_future()
    ready_ms = 0

    def on_signaling(reader: Reader, raw: bytes | None) -> None:
        if raw is None:
            reader.say({"msg_type": 1, **hello})
            return
        message = json.loads(raw)
        if message["msg_type"] == 2:
            joined.set_result(message["media_server"]["server_urls"]["audio"])
        elif message["msg_type"] == 12:
            reader.say({"msg_type": 13, "timestamp": message["timestamp"]})

    def on_media(reader: Reader, raw: bytes | None) -> None:
        nonlocal ready_ms
        if raw is None:
            reader.say({"msg_type": 3, "media_type": 1, **hello})
        elif raw.startswith(b'{"msg_type":14'):
            timestamp = int(raw[raw.rindex(b":") + 1 : -2])
            if timestamp >= ready_ms:
                seen.lateness.append(int(time.time() * 1000) - timestamp)
        elif b'"msg_type":4,' in raw:
            signaling.say({"msg_type": 7, "rtms_stream_id": stream})
            ready_ms = int(time.time() * 1000) + SETTLED_MS
        else:
            reader.say({"msg_type": 13, "timestamp": json.loads(raw)["timestamp"]})

    host, port, path = _split(payload["server_urls"])
    _, signaling = await loop.create_connection(lambda: Reader(path, on_signaling), host, port)
    host, port, path = _split(await joined)
    _, media = await loop.create_connection(lambda: Reader(path, on_media), host, port)
    seen.streams += 1
    await asyncio.gather(signaling.closed.wait(), media.closed.wait())


def _split(url: str) -> tuple[str, int, str]:
    host, _, path = url.removeprefix("ws://").partition("/")
    name, _, port = host.partition(":")
    return name, int(port), "/" + path


async def reader_process() -> None:
    seen = Seen()
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    tasks: list[asyncio.Task[None]] = []
    print("ready", flush=True)
    while line := await lines.readline():
        if line == b"end\n":
            break
        tasks.append(asyncio.create_task(read_stream(json.loads(line), seen)))
    await asyncio.gather(*tasks)
    print(json.dumps({"streams": seen.streams, "lateness": seen.lateness}))


def idle_process() -> None:
    """Sleeps 10 ms again and again until its input ends, and prints the worst oversleep in ms."""
    worst, ended = 0.0, threading.Event()
    threading.Thread(target=lambda: ended.set() if sys.stdin.read() == "" else None, daemon=True).start()
    while not ended.is_set():
        before = time.monotonic()
        time.sleep(0.01)
        worst = max(worst, time.monotonic() - before - 0.01)
    print(int(worst * 1000))


async def child(role: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.rtms_streams", role, stdin=pipe, stdout=pipe, limit=2**28
    )


# The streams


async def sustain(streams: int, seconds: float) -> tuple[int, int, int, int]:
    """Hold that many meetings at once: packets that came live, packets sent, the worst lateness and the idle process's, in ms."""
    reader, idle = await child("--reader"), await child("--idle")
    assert reader.stdin is not None
    assert reader.stdout is not None
    await reader.stdout.readline()
    to_reader = reader.stdin

    async def answer(request: httpx.Request) -> httpx.Response:
        event = json.loads(request.content)
        if event["event"].endswith("started"):
            to_reader.write(json.dumps(event["payload"]).encode() + b"\n")
        return httpx.Response(200)

    zoom = Zoom(Clock(), APP, transport=httpx.MockTransport(answer))
    await zoom.start()
    try:
        meetings = []
        scenario = talk(seconds + 1)
        for _ in range(streams):
            meetings.append(zoom.begin(scenario, HOOK))
            await asyncio.sleep(0.003)  # a thousand meetings do not begin in one instant
        reports = [await meeting.finished() for meeting in meetings]
        to_reader.write(b"end\n")
        out, _ = await reader.communicate()
        overslept, _ = await idle.communicate(b"")
    finally:
        await zoom.aclose()
    seen = json.loads(out)
    assert seen["streams"] == streams
    packets = sum(report.streams[0].sent["audio"]["packets"] for report in reports)
    return len(seen["lateness"]), packets, max(seen["lateness"]), int(overslept)


async def streams(seconds: float, most: int) -> None:
    print(f"live audio streams in one process, {seconds:.0f} s each, broken by a packet more than {LATE_MS} ms late, twice in a row:")
    sustained = 0
    for count in (50, 100, 200, 300, 400, 500, 600, 800, 1000, 1500, 2000):
        if count > most:
            break
        if not await holds(count, seconds) and not await holds(count, seconds):
            print(f"breaks at {count}, sustains {sustained}")
            return
        sustained = count
    print(f"sustains {sustained}, the most that was asked for")


async def holds(count: int, seconds: float) -> bool:
    cpu = time.process_time()
    came, sent, worst, machine = await sustain(count, seconds)
    used = (time.process_time() - cpu) / (seconds + 1 + count * 0.003) * 100
    print(
        f"  {count:5} streams: {came:8,} live packets of {sent:9,} sent, worst {worst:4} ms late "
        f"(an idle process {machine:3} ms), {used:3.0f} % of one core"
    )
    return worst <= LATE_MS + machine


# Frames per CPU second


READER = """
import asyncio, sys
from tests.benchmarks.rtms_streams import bare_reader
asyncio.run(bare_reader(sys.argv[1]))
"""


async def bare_reader(url: str) -> None:
    """Reads and forgets."""
    host, port, path = _split(url)
    _, reader = await asyncio.get_running_loop().create_connection(lambda: Reader(path, lambda _reader, _raw: None), host, port)
    await reader.closed.wait()


async def bare_loop(frames: int, message: str) -> float:
    """CPU seconds of `websockets`' own asyncio server sending that many ready-made messages to another process."""
    used: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def send(socket: ServerConnection) -> None:
        before = time.process_time()
        for _ in range(frames):
            await socket.send(message)
        used.set_result(time.process_time() - before)

    async with serve(send, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", READER, f"ws://127.0.0.1:{port}/")
        took = await used
    await process.wait()
    return took


async def flow(frames: int) -> float:
    """CPU seconds of a whole meeting of that many packets at `max`: generated, encoded, counted, hashed and sent to another process."""
    reader = await child("--reader")
    assert reader.stdin is not None
    to_reader = reader.stdin

    async def answer(request: httpx.Request) -> httpx.Response:
        event = json.loads(request.content)
        if event["event"].endswith("started"):
            to_reader.write(json.dumps(event["payload"]).encode() + b"\nend\n")
        return httpx.Response(200)

    zoom = Zoom(Clock(), APP, transport=httpx.MockTransport(answer))
    await zoom.start()
    try:
        before = time.process_time()
        report = await zoom.play(talk(frames * 0.02), HOOK, speed="max")
        took = time.process_time() - before
        assert report.streams[0].sent["audio"]["packets"] == frames
        await reader.communicate()
    finally:
        await zoom.aclose()
    return took


async def frames(count: int, rounds: int) -> None:
    content = {"user_id": 0, "data": "A" * 856, "length": 640, "timestamp": 1795000000000}
    message = json.dumps({"msg_type": 14, "content": content}, separators=(",", ":"))
    ratios = []
    print(f"frames per CPU second, {count:,} L16 frames of {len(message)} bytes, interleaved:")
    for _ in range(rounds):
        bare, ours = count / await bare_loop(count, message), count / await flow(count)
        ratios.append(ours / bare)
        print(f"  bare websockets {bare:9,.0f}   a meeting's flow {ours:9,.0f}   ratio {ours / bare:.2f}")
    print(f"ratio {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f}; the budget is at least 0.70)")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--most", type=int, default=1000)
    parser.add_argument("--frames", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reader", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--idle", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    if asked.idle:
        idle_process()
        return
    if asked.reader:
        asyncio.run(reader_process())
        return
    asyncio.run(frames(asked.frames, asked.rounds))
    asyncio.run(streams(asked.seconds, asked.most))


if __name__ == "__main__":
    main()
