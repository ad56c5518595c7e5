"""kit/deployed: the numbers that the fakes take from the Pulumi program. That they are the program's: tests/infra/test_generated.py."""

from __future__ import annotations

from pathlib import Path

import grpc.aio
import pytest
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcAsyncIOTransport

from rtms_simulator.kit.deployed import deployed
from rtms_simulator.kit.stack import Plan, Stack

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


DEPLOYED = {
    "local/queues/handoffs": (100, 80, 1, 10, 4),
    "second/queues/handoffs": (100, 80, 1, 10, 4),
    "local/queues/facts": (100, 60, 1, 300, 8),
    "local/queues/retrievals": (4, 120, 1, 300, 8),
}
"""Queue -> dispatches a second, at once, least and longest back-off in seconds, doublings."""


async def test_the_queues_of_up_have_the_deployed_rates_and_back_offs(tmp_path: Path) -> None:
    stack = Stack(Plan(tmp_path, function=False))
    await stack.start()
    try:
        for _ in ("after the start", "after a reset"):
            async with grpc.aio.insecure_channel(stack.tasks.endpoint) as channel:
                client = tasks_v2.CloudTasksAsyncClient(transport=CloudTasksGrpcAsyncIOTransport(channel=channel))
                queues = [await client.get_queue(name=name) for name in stack.tasks.initial_queues]
            assert {queue.name.partition("/locations/")[2]: numbers(queue) for queue in queues} == DEPLOYED
            await stack.forget()
    finally:
        await stack.aclose()


def numbers(queue: tasks_v2.Queue) -> tuple[float, ...]:
    rates, retry = queue.rate_limits, queue.retry_config
    assert retry.max_attempts == -1
    backoff = (retry.min_backoff.total_seconds(), retry.max_backoff.total_seconds(), retry.max_doublings)
    return (rates.max_dispatches_per_second, rates.max_concurrent_dispatches, *backoff)
