"""The check-up that `rtmskit doctor --worker` asks for: a task through each queue, a note in the store, a question to Recall."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ports.bench import Bench
from tests.ports.events import ENVIRON, NOW
from tests.unit.relay.routes.serving import client
from tests.unit.relay.test_handoffs import got

from rtms_relay import budgets, tasks
from rtms_relay.errors import StoreUnavailable
from rtms_relay.handoff.answers import ANSWERS
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


def answered(number: str, at: int, *, recall_status: int = 200, after_ms: int | None = None, **more: Any) -> dict[str, Any]:
    """The whole answer when nothing is wrong, but for `more`."""
    queues = [{"name": name, "problem": "", "after_ms": after_ms} for name in NAMES]
    return {"number": number, "now": at, "store": "", "recall": "", "recall_status": recall_status, "queues": queues, **more}


async def test_what_a_check_up_sends_and_notes_and_tells_to_the_letter() -> None:
    bench = Bench()
    for queue in bench.queues.values():
        queue.stalled = True
    number = f"checkup-{NOW}"
    assert await began(bench) == answered(number, NOW)
    assert bench.recall.reads == ["rtmskit_handoff=" + "0" * 64], "the recordings of a hand-off that is nobody's"
    assert bench.store.all("marks") == {"checkup": {"created_at": NOW, "checkups": {number: {}}}}
    assert {name: [(task.path, task.body, task.name) for task in queue.tasks] for name, queue in bench.queues.items()} == {
        name: [
            (
                "/retrieve" if name == "retrievals" else "/events",
                tasks.encode(tasks.Probe(received_ms=NOW, queue=name, number=number)),
                "",
            )
        ]
        for name in bench.queues
    }
    await bench.run()
    for queue in bench.queues.values():
        queue.stalled = False
    await bench.run(1)  # when a queue that was stalled goes on
    assert await got(bench, f"/handoffs/checkup/{number}") == answered(number, NOW + 1_000, recall_status=0, after_ms=1_000)
    assert bench.store.all("marks") == {"checkup": {"created_at": NOW, "checkups": {number: dict.fromkeys(NAMES, 1_000)}}}
    [begun, *arrived] = [line for line in bench.log.lines if line["event"] in ("checkup", "probe_arrived")]
    assert begun == {"severity": "INFO", "event": "checkup", "number": number, "recall": 200, "refused": []}
    assert sorted(arrived, key=lambda line: line["queue"]) == [
        {"severity": "INFO", "event": "probe_arrived", "queue": name, "after_ms": 1_000} for name in NAMES
    ]


async def test_a_task_of_a_check_up_that_is_not_on_record_any_more_changes_nothing() -> None:
    bench = Bench()
    stray = tasks.encode(tasks.Probe(received_ms=NOW, queue="facts", number="checkup-1"))
    async with client(bench, "worker") as http:
        assert (await bench.clock.until_done(http.get("/handoffs/checkup/checkup-1"))).status_code == 404  # no check-up was ever made
    await bench.worker.receive("/events", stray)
    number = (await began(bench))["number"]
    await bench.run(1)
    before = bench.store.all("marks")
    await bench.worker.receive("/events", stray)
    assert bench.store.all("marks") == before
    assert None not in (await shown(bench, number)).values()


async def test_a_queue_that_takes_nothing_or_delivers_nothing_is_named_and_wakes_nobody() -> None:
    bench = Bench()
    bench.second.stalled, bench.facts_queue.down = True, True
    first = await began(bench)
    assert first["queues"] == [{"name": name, "problem": "facts is down" if name == "facts" else "", "after_ms": None} for name in NAMES]
    assert [line["refused"] for line in bench.log.of("checkup")] == [["facts"]]
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


async def test_a_cause_is_named_only_where_it_is_the_same_for_a_question_as_for_a_create() -> None:
    """A 403 of a create is about the addresses in its body, a 409 about its key, a 507 about capacity: a question has none of these."""
    bench, shared = Bench(), {401, 402, 404, 405, 408, 429, 500, 502, 503, 504}
    said: dict[int, tuple[str, int]] = {}
    for status in sorted({near for one in (400, 422, 507, *shared) for near in (one - 1, one, one + 1)}):
        bench.recall.down = Answer(status)
        answer = await bench.worker.checkup.begin()
        said[status] = answer.recall, answer.recall_status
    assert said == {
        status: (f"Recall answered {status}" + (f": {ANSWERS[status].cause}" if status in shared else ""), status) for status in said
    }


async def test_without_a_store_no_task_is_sent_as_none_could_be_seen_to_arrive() -> None:
    bench = Bench()

    async def away(operation: str) -> None:
        raise StoreUnavailable("Firestore could not commit: PermissionDenied", permanent=True)

    bench.store.trouble = away
    first = await began(bench)
    says = "Firestore could not commit: PermissionDenied"
    assert first == answered(f"checkup-{NOW}", NOW, store=says, queues=[])
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
