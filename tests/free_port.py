"""A port that stays free until a test's own process listens on it."""

from __future__ import annotations

import random
import socket
from pathlib import Path

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST = 20_000

# Each process draws its own: a seed shared by pytest's workers would give all of them the same ports.
_chance = random.SystemRandom()


def free_port() -> int:
    """A port on loopback below those that the system gives to connections and to servers that ask for any port.

    One of the system's own could be given to another test's connection before it is listened on, or while its server is started again.
    """
    highest = int(RANGE.read_text().split()[0]) if RANGE.exists() else 32_768
    for _ in range(100):
        port = _chance.randrange(LOWEST, highest)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no port from {LOWEST} to {highest} is free")
