"""The check-up that `rtmskit doctor --worker` asks for: a task through each queue, a note in the store, a question to Recall."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ports.bench import Bench
from tests.ports.events import ENVIRON
from tests.unit.relay.test_handoffs import got
from tests.unit.relay.test_routes import client

from rtms_relay import budgets
from rtms_relay.errors import StoreUnavailable
from rtms_relay.ports import Answer

NAMES = ["facts", "handoffs", "handoffs-second", "retrievals"]


async def began(bench: Bench) -> dict[str, Any]:
    return await got(bench, "/handoffs/checkup", "POST")


async def shown(bench: Bench, number: str) -> dict[str, Any]:
    found = await got(bench, f"/handoffs/checkup/{number}")
    return {one["name"]: one["after_ms"] for one in found["queues"]}


async def test_a_harmless_task_goes_through_every_queue_and_it_is_said_after_how_long() -> None:
    bench = Bench()
    first = await began(bench)
    assert (first["store"], first["recall"], first["recall_status"]) == ("", "", 200)
    assert [(one["name"], one["problem"]) for one in first["queues"]] == [(name, "") for name in NAMES]
    await bench.run(1)
    came = await shown(bench, first["number"])
    assert list(came) == NAMES
    assert all(after_ms is not None and 0 <= after_ms < 2_000 for after_ms in came.values()), came
    assert bench.recall.creates == []
    assert [document for document in bench.store.documents if document[0] != "marks"] == []


async def test_a_queue_that_takes_nothing_or_delivers_nothing_is_named_and_wakes_nobody() -> None:
    bench = Bench()
    bench.second.stalled, bench.facts_queue.down = True, True
    first = await began(bench)
    assert {one["name"]: bool(one["problem"]) for one in first["queues"]} == {name: name == "facts" for name in NAMES}
    await bench.live(180)
    came = await shown(bench, first["number"])
    assert (came["handoffs-second"], came["facts"]) == (None, None)
    assert isinstance(came["handoffs"], int)
    assert isinstance(came["retrievals"], int)
    assert [line for line in bench.log.lines if line["severity"] in ("ALERT", "ERROR", "CRITICAL")] == []


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(401), "Recall answered 401: wrong RECALL_API_KEY, or a key of another region than RECALL_REGION"),
        (Answer(402), "Recall answered 402: the Recall account is out of credit"),
        (Answer(400), "Recall answered 400"),
        (Answer(0, failure="unreachable"), "no connection"),
        (Answer(0, failure="timeout"), "no answer in time"),
    ],
)
async def test_what_is_wrong_with_recalls_key_or_address_is_said(answer: Answer, says: str) -> None:
    bench = Bench()
    bench.recall.down = answer
    first = await began(bench)
    assert (first["recall"], first["recall_status"]) == (says, answer.status)
    assert ENVIRON["RECALL_API_KEY"] not in str(first)
    assert len(first["queues"]) == 4  # the rest is looked at all the same


async def test_without_a_store_no_task_is_sent_as_none_could_be_seen_to_arrive() -> None:
    bench = Bench()

    async def away(operation: str) -> None:
        raise StoreUnavailable("Firestore could not commit: PermissionDenied", permanent=True)

    bench.store.trouble = away
    first = await began(bench)
    assert "PermissionDenied" in first["store"]
    assert first["queues"] == []
    assert not any(queue.tasks for queue in bench.queues.values())


async def test_two_at_once_do_not_disturb_each_other_and_the_latest_are_kept() -> None:
    bench = Bench()
    numbers = []
    for _ in range(budgets.CHECKUPS_KEPT + 1):
        numbers.append((await began(bench))["number"])
        bench.clock.now += 1
    await bench.run(1)
    assert budgets.CHECKUPS_KEPT == 8
    for number in numbers[1:]:
        assert None not in (await shown(bench, number)).values()
    async with client(bench, "worker") as http:
        for unknown in (numbers[0], "checkup-1", "x"):
            answer = await bench.clock.until_done(http.get(f"/handoffs/checkup/{unknown}"))
            assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


async def test_the_daily_probe_goes_its_own_way() -> None:
    """A probe that is missing is an alert; a check-up beside it neither hides that nor causes it."""
    bench = Bench()
    bench.second.stalled = True
    await bench.clock.until_done(bench.worker.sweep(probe=True))
    first = await began(bench)
    await bench.live(300)
    assert [line["queues"] for line in bench.log.of("probe_missing", "ALERT")] == [["handoffs-second"]]
    assert (await shown(bench, first["number"]))["handoffs-second"] is None
