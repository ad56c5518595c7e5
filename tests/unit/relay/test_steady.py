"""Within one request the wall clock does not jump."""

from __future__ import annotations

from tests.ports.events import NOW
from tests.ports.time import Time

from rtms_relay.steady import SteadyClock


async def test_a_clock_that_is_set_meanwhile_changes_nothing() -> None:
    time = Time(NOW)
    await time.run(7_000)
    steady = SteadyClock(time)
    assert (steady.now_ms(), steady.monotonic_ms()) == (NOW + 7_000, 7_000.0)
    time.now = NOW - 600_000
    await time.run(1_500)
    assert (steady.now_ms(), steady.monotonic_ms()) == (NOW + 8_500, 8_500.0)
    await time.until_done(steady.sleep(2))
    assert (steady.now_ms(), time.monotonic_ms()) == (NOW + 10_500, 10_500.0)
    # Another request sees the time that was set.
    assert SteadyClock(time).now_ms() == NOW - 600_000 + 3_500
