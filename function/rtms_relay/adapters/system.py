"""The seams to the machine: its clock and its randomness. Nothing else in this package reads either."""

from __future__ import annotations

import asyncio
import random
import secrets
import time


class SystemClock:
    """`Clock` of the running machine."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SystemRandomness:
    """`Randomness` of the running machine."""

    def token(self) -> str:
        return secrets.token_hex(16)

    def uniform(self, low: float, high: float) -> float:
        return random.uniform(low, high)
