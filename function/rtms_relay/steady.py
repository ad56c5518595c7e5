"""Time within one request."""

from __future__ import annotations

from rtms_relay.ports import Clock


class SteadyClock:
    """A `Clock` whose wall time does not jump: it is read once, and then advanced by what passed on the monotonic clock.

    A request that waits for its next try compares moments with it, so a machine whose clock is set meanwhile neither waits for ten minutes
    nor takes the window for over.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wall_ms = clock.now_ms()
        self._began_ms = clock.monotonic_ms()

    def now_ms(self) -> int:
        return self._wall_ms + int(self._clock.monotonic_ms() - self._began_ms)

    def monotonic_ms(self) -> float:
        return self._clock.monotonic_ms()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
