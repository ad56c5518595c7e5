"""G10 at the deployed rates, instances and concurrency, on the virtual clock."""

import pytest

from tests.simulation.rush import rush


@pytest.mark.timeout(300)
def test_fifty_starts_among_two_thousand_ends_are_accepted_within_ten_seconds() -> None:
    rushed = rush()
    assert rushed.verdict.broken == []
    assert len(rushed.waits_ms) == 50
    assert rushed.waits_ms[-1] < 10_000
    assert rushed.deliveries >= 4_100
