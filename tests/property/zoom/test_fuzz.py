"""100,000 arbitrary frames: nothing escapes, memory stays flat (issue 3, "Shown by")."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from random import Random
from typing import Any

from rtms_simulator.errors import UnreadableMessageError
from rtms_simulator.zoom.rtms.enums import MessageType
from rtms_simulator.zoom.rtms.handshake import HandshakeRequest, read_hello, read_message, sign
from rtms_simulator.zoom.rtms.protocol import StreamProtocol
from rtms_simulator.zoom.rtms.states import StreamIdentity

FRAMES = 100_000
KEYS = ["msg_type", "rtms_stream_id", "meeting_uuid", "signature"]
KEYS += ["media_type", "media_params", "events", "event_type", "subscribe", "user_id"]
PAGE_BYTES = 4096


def frames(random: Random, signature: str) -> Any:
    """Bytes, broken JSON, JSON of any shape, and messages that are nearly right."""

    def value(depth: int) -> Any:
        match random.randrange(9 if depth < 4 else 6):
            case 0:
                return random.choice([None, True, False])
            case 1:
                return random.choice([0, 1, 2, 3, 5, 7, 8, 13, 21, 28, 32, -1, 2**31, 2**63, 10**30])
            case 2:
                return random.uniform(-1e9, 1e9)
            case 3:
                return random.choice(["", "stream", "meeting", signature, "x" * random.randrange(200), "ë\u0000"])
            case 4 | 5:
                return random.randrange(40)
            case 6:
                return [value(depth + 1) for _ in range(random.randrange(4))]
            case _:
                return {random.choice(KEYS): value(depth + 1) for _ in range(random.randrange(4))}

    for _ in range(FRAMES):
        kind = random.randrange(10)
        if kind == 0:
            yield random.randbytes(random.randrange(64))
        elif kind == 1:
            text = json.dumps({"msg_type": random.randrange(30), "events": [value(0)]})
            yield text[: random.randrange(len(text))].encode()
        else:
            message = {key: value(0) for key in random.sample(KEYS, random.randrange(len(KEYS)))}
            message["msg_type"] = random.choice([*MessageType, value(0)])
            if random.random() < 0.4:
                message |= {"rtms_stream_id": "stream", "meeting_uuid": "meeting", "signature": signature}
            yield json.dumps(message).encode()


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def test_a_hundred_thousand_frames() -> None:
    random = Random(20261122)
    signature = sign("client", "secret", "meeting", "stream")
    conn = 0

    def fresh(now: float) -> StreamProtocol:
        """A stream that, more often than not, somebody has joined properly."""
        nonlocal conn
        urls = {"all": "ws://zoom/all", "audio": "ws://zoom/audio"}
        protocol = StreamProtocol(StreamIdentity("stream", "meeting", "client", "secret"), session_id="session", media_urls=urls, now=now)
        if random.random() < 0.8:
            for kind in (1, 3):
                conn += 1
                fields = {"msg_type": kind, "rtms_stream_id": "stream", "meeting_uuid": "meeting", "signature": signature, "media_type": 1}
                hello = read_hello(fields)
                assert isinstance(hello, HandshakeRequest)
                protocol.greet(conn, hello, now)
            protocol.receive(conn - 1, b'{"msg_type":7}', now)
        return protocol

    now = 0.0
    protocol, flowing, ended = fresh(now), 0, 0
    sizes: list[int] = []
    for number, raw in enumerate(frames(random, signature)):
        now += 0.01
        conn += 1
        try:
            hello = read_hello(read_message(raw))
        except UnreadableMessageError:
            hello = None
        if isinstance(hello, HandshakeRequest):
            protocol.greet(conn, hello, now)
        for there in protocol.connections:
            protocol.receive(there, raw, now)
        if random.random() < 0.001 and protocol.connections:
            protocol.lost(random.choice(protocol.connections), now)
        protocol.tick(now)
        flowing += protocol.flowing
        if protocol.stop_reason is not None:
            protocol, ended = fresh(now), ended + 1
        if number % 20_000 == 19_999:
            gc.collect()
            sizes.append(resident_bytes())
    assert flowing > FRAMES // 4
    assert ended > 10
    # Flat: after all of it the process is as large as after a fifth of it, give or take what the allocator keeps.
    assert sizes[-1] < sizes[0] + 4_000_000
