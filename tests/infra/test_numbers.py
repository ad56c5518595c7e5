"""The numbers of the deployment fit together: rates, shares, time-outs, deadlines, for every configuration."""

from __future__ import annotations

import pytest

from rtms_infra.numbers import QUEUES, SLOTS_MIN, check, concurrent
from tests.infra.deployment import EXAMPLES, DeployedNumbers, Runner, deployed_numbers, numbers_of
from tests.infra.space import chosen, covering

pytestmark = pytest.mark.xdist_group("infra")  # one engine, whose answers are remembered, serves them all

RECALL_RETRIEVALS_PER_SECOND = 300 / 60
"""Recall's documented limit for one workspace (reference/recall.md)."""


def fits(numbers: DeployedNumbers) -> None:
    """Every promise about a number of the queues."""
    worker, webhook = numbers.functions["worker"], numbers.functions["webhook"]
    assert set(numbers.queues) == {"handoffs", "handoffs-second", "facts", "retrievals"}
    for name in ("handoffs", "handoffs-second", "facts"):
        queue = numbers.queues[name]
        assert (queue.max_attempts, queue.max_retry_s) == (-1, 0), f"{name} gives tasks up"
    for name in ("handoffs", "handoffs-second"):
        queue = numbers.queues[name]
        assert (queue.min_backoff_s, queue.max_backoff_s) == (1, 10)
        assert queue.per_second * 5 >= 50, "50 starts at once must be dispatched well within 10 s"
    assert (numbers.queues["facts"].min_backoff_s, numbers.queues["facts"].max_backoff_s) == (1, 300)
    assert numbers.queues["handoffs"].location != numbers.queues["handoffs-second"].location
    shares = {name: queue.concurrent for name, queue in numbers.queues.items()}
    assert shares["retrievals"] * 2 <= worker.slots
    assert sum(shares.values()) < worker.slots, "something must be left for the sweep"
    # A hand-off is tried inside one request until its window ends; Cloud Tasks, the worker and the webhook must all wait that long.
    assert numbers.dispatch_deadline_s >= min(1800, numbers.connect_window_s + 30)
    assert worker.timeout_s >= numbers.dispatch_deadline_s
    assert webhook.timeout_s > numbers.connect_window_s
    assert numbers.sweep_every_s == 60
    assert numbers.sweep_deadline_s <= numbers.sweep_every_s
    assert numbers.probe_every_s == 86400


def test_every_configuration_fits(runner: Runner) -> None:
    choices = list(covering())
    assert len(choices) > 10
    for choice in choices:
        fits(numbers_of(runner.run(chosen(choice))))


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_fits(name: str) -> None:
    fits(deployed_numbers(name))


def test_the_defaults_stay_below_recalls_limit_and_keep_one_worker_warm() -> None:
    numbers = deployed_numbers()
    assert numbers.queues["retrievals"].per_second < RECALL_RETRIEVALS_PER_SECOND
    assert numbers.functions["worker"].min_instances == 1
    assert numbers.functions["webhook"].min_instances == 1


def test_a_change_of_a_key_is_seen_in_the_numbers() -> None:
    numbers = deployed_numbers(workerMaxInstances=2, workerConcurrency=10, retrievalsPerSecond=9, zoomConnectWindowSeconds=120)
    assert numbers.functions["worker"].slots == 20
    assert numbers.queues["retrievals"].concurrent == 6
    assert numbers.queues["retrievals"].per_second == 9
    assert numbers.functions["webhook"].timeout_s == 150
    assert numbers.dispatch_deadline_s == 150


@pytest.mark.parametrize("slots", [SLOTS_MIN, 11, 13, 17, 100, 400, 80_000, 1_000_000])
def test_the_shares_fit_from_the_smallest_worker_on(slots: int) -> None:
    assert list(check(slots)) == []
    assert all(1 <= concurrent(kind, slots) <= 5000 for kind in QUEUES)


def test_a_worker_that_is_too_small_is_reported() -> None:
    assert list(check(4)) != []
