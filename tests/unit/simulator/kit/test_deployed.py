"""kit/deployed: the numbers that the fakes take from the Pulumi program. That they are the program's: tests/infra/test_generated.py."""

from __future__ import annotations

import pytest

from rtms_simulator.kit.deployed import deployed

# docs/handoff.md states these; they stand here as literals so that a change of the program is noticed by a person.


def test_starts_have_a_queue_in_each_of_two_regions_and_are_never_given_up() -> None:
    queues = deployed().queues
    assert set(queues) == {"handoffs", "handoffs-second", "facts", "retrievals"}
    assert queues["handoffs"].location != queues["handoffs-second"].location
    for name in ("handoffs", "handoffs-second", "facts"):
        assert (queues[name].max_attempts, queues[name].max_retry_s) == (-1, 0)


@pytest.mark.parametrize(
    ("name", "least", "most"), [("handoffs", 1, 10), ("handoffs-second", 1, 10), ("facts", 1, 300), ("retrievals", 1, 300)]
)
def test_back_offs_are_the_documented_ones(name: str, least: float, most: float) -> None:
    queue = deployed().queues[name]
    assert (queue.min_backoff_s, queue.max_backoff_s) == (least, most)


def test_retrievals_stay_below_recalls_300_reads_a_minute() -> None:
    assert deployed().queues["retrievals"].per_second * 60 < 300


def test_dispatches_fit_into_what_the_workers_handle() -> None:
    numbers = deployed()
    slots = numbers.functions["worker"].slots
    assert numbers.queues["retrievals"].concurrent <= slots / 2
    assert sum(queue.concurrent for queue in numbers.queues.values()) < slots


def test_the_sweep_runs_each_minute_and_a_dispatch_outlives_the_window_by_30_seconds() -> None:
    numbers = deployed()
    assert numbers.sweep_every_s == 60
    assert numbers.connect_window_s == 60
    assert numbers.dispatch_deadline_s == 90
