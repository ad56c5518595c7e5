"""The webhook: what goes onto which queue, what is acknowledged, what is logged. It knows no database and no Recall."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from tests.ports.bench import Bench, key_of
from tests.ports.events import ENVIRON, NOW, STREAM, URLS_A, interrupted, signed, started, stopped, webhook_headers

from rtms_relay import budgets, tasks
from rtms_relay.errors import NotAuthentic, QueueUnavailable
from rtms_relay.handoff.keys import stream_key
from rtms_relay.ports import QueueName


def messages(bench: Bench, name: QueueName) -> list[tasks.Task]:
    queue = bench.queues[name]
    return [tasks.decode(task.body, task.path) for task in queue.tasks]


@pytest.fixture
def bench() -> Bench:
    """Nothing is dispatched: what was enqueued can be looked at."""
    bench = Bench()
    for queue in bench.queues.values():
        queue.stalled = True
    return bench


async def test_a_start_goes_onto_both_hand_off_queues_and_nowhere_else(bench: Bench) -> None:
    await bench.zoom(started(account_id="acc"))
    home, second = messages(bench, "handoffs"), messages(bench, "handoffs-second")
    assert home == [
        tasks.Start(
            received_ms=NOW,
            event="meeting.rtms_started",
            product="meeting",
            stream_id=STREAM,
            entity_id="4444AAAiAAAAAiAiAiiAii==",
            server_urls=URLS_A,
            event_ts=NOW,
            account_id="acc",
        )
    ]
    assert [task.copy for task in (*home, *second) if isinstance(task, tasks.Start)] == ["home", "second"]
    assert [task.due for task in bench.second.tasks] == [NOW + budgets.SECOND_REGION_DELAY_MS]
    assert not bench.facts_queue.tasks
    assert not bench.retrievals.tasks
    assert all(not task.name for task in (*bench.home.tasks, *bench.second.tasks))


async def test_everything_else_goes_onto_facts(bench: Bench) -> None:
    await bench.zoom(stopped(NOW + 5, 6))
    await bench.zoom(interrupted(NOW + 4))
    kinds = [(type(task), task.event) for task in messages(bench, "facts") if isinstance(task, (tasks.Stop, tasks.Interruption))]
    assert kinds == [(tasks.Stop, "meeting.rtms_stopped"), (tasks.Interruption, "meeting.rtms_interrupted")]
    assert not bench.home.tasks


async def test_an_interruption_that_names_servers_is_a_start(bench: Bench) -> None:
    await bench.zoom(interrupted(NOW + 4, URLS_A))
    [task] = messages(bench, "handoffs")
    assert isinstance(task, tasks.Start)
    assert task.event == "meeting.rtms_interrupted"


async def test_a_start_without_event_ts_gets_the_signed_time_and_says_so(bench: Bench) -> None:
    event = started()
    del event["event_ts"]
    await bench.zoom(event)
    [task] = messages(bench, "handoffs")
    assert isinstance(task, tasks.Start)
    assert (task.event_ts, task.dated) == (NOW // 1000 * 1000, False)


async def test_the_ack_names_the_streams_key(bench: Bench) -> None:
    assert await bench.zoom(started()) == {"status": "enqueued", "stream": stream_key(STREAM)}
    [line] = bench.log.of("start_acked")
    assert (line["stream"], line["rtms_stream_id"], line["queues"]) == (stream_key(STREAM), STREAM, ["handoffs", "handoffs-second"])


@pytest.mark.parametrize(("hangs_s", "at_most_ms"), [(0.0, 0), (0.2, 200), (1.5, 300), (30.0, 300)])
async def test_the_ack_waits_for_the_other_queue_for_300_ms_at_most(bench: Bench, hangs_s: float, at_most_ms: float) -> None:
    bench.second.hangs_s = hangs_s
    await bench.zoom(started())
    assert bench.clock.monotonic_ms() == at_most_ms
    await bench.run(5)
    assert len(bench.second.tasks) == (hangs_s < 2)


async def test_a_start_is_acked_once_any_queue_has_it_however_late(bench: Bench) -> None:
    bench.home.down = True
    bench.second.hangs_s = 1.9
    await bench.zoom(started())
    assert len(bench.second.tasks) == 1
    assert bench.log.of("start_acked")[0]["queues"] == ["handoffs-second"]


async def test_what_breaks_at_one_queue_does_not_keep_the_other_from_its_copy(bench: Bench) -> None:
    class Broken:
        async def enqueue(self, *_: object, **__: object) -> bool:
            raise ZeroDivisionError

        async def close(self) -> None: ...

    bench.queues["handoffs"] = Broken()  # ty: ignore[invalid-assignment]
    await bench.zoom(started())
    assert len(bench.second.tasks) == 1


async def test_a_start_long_past_is_not_tried_for_long(bench: Bench) -> None:
    bench.home.down = bench.second.down = True
    with pytest.raises(QueueUnavailable):
        await bench.zoom(started(ts=NOW - 3_600_000))
    assert bench.clock.monotonic_ms() < 5000


async def test_one_region_is_enough_for_a_start() -> None:
    bench = Bench(HANDOFF_QUEUES="projects/p/locations/l/queues/q")
    del bench.queues["handoffs-second"]
    await bench.zoom(started())
    await bench.run(1)
    assert bench.state() == "accepted"


async def test_a_webhook_of_recalls_becomes_a_look(bench: Bench) -> None:
    key = key_of()
    assert (await bench.recall_says("recording.done", "rec-1", key))["status"] == "enqueued"
    [look] = messages(bench, "retrievals")
    assert look == tasks.Look(received_ms=NOW, handoff=key, recording_id="rec-1", message="msg_1")
    assert bench.retrievals.tasks[0].due == NOW + budgets.LOOK_DELAY_MS


async def test_looks_of_one_half_minute_are_at_most_two_tasks(bench: Bench) -> None:
    for number in range(14):
        await bench.recall_says("video_mixed.done", "rec-1", key_of(), message=f"msg_{number}")
    assert len(bench.retrievals.tasks) == 2
    await bench.recall_says("recording.done", "rec-2", key_of(URLS_A, NOW + 1))
    assert len(bench.retrievals.tasks) == 3


@pytest.mark.parametrize("handoff", [None, "../../etc", "F" * 64])
async def test_a_webhook_without_our_key_is_acknowledged_and_enqueues_nothing(bench: Bench, handoff: str | None) -> None:
    assert (await bench.recall_says("recording.done", "rec-1", handoff))["status"] == "ignored"
    assert bench.untouched


async def test_without_a_secret_no_webhook_of_recalls_is_taken() -> None:
    bench = Bench(RECALL_WEBHOOK_SECRETS="")
    with pytest.raises(NotAuthentic, match="RECALL_WEBHOOK_SECRETS"):
        await bench.intake.observe(webhook_headers(b"{}"), b"{}")


async def test_an_event_that_cannot_be_used_alarms_and_a_copy_without_secrets_is_kept() -> None:
    bench = Bench()
    token = ENVIRON["ZOOM_SECRET_TOKEN"]
    body = json.dumps({"event": "meeting.rtms_started", "payload": {"note": token, "fill": "x" * 30_000}}).encode()
    assert (await bench.zoom(body))["status"] == "unusable"
    await bench.run(1)
    assert bench.log.of("event_unusable", "ALERT")
    [kept] = bench.store.all("unusable").values()
    assert (kept["vendor"], kept["event"]) == ("zoom", "meeting.rtms_started")
    assert token not in json.dumps(kept)
    assert len(kept["copy"]) <= budgets.UNUSABLE_BYTES
    assert kept["expires_at"] - kept["created_at"] == 30 * budgets.DAY_MS


async def test_challenge_is_answered_and_is_no_signing_oracle(bench: Bench) -> None:
    challenge = {"event": "endpoint.url_validation", "event_ts": NOW, "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}
    answer = {
        "plainToken": "qgg8vlvZRS6UYooatFL8Aw",
        "encryptedToken": "058b5e2b2e5a3463024fc46c0e212c92c4d55e6443dc414abd718f588d0223cc",
    }
    assert await bench.zoom(challenge) == answer
    unsigned = json.dumps(challenge).encode()
    assert (await bench.intake.receive([], unsigned)).body == answer
    # A signature that does not verify is never overlooked.
    with pytest.raises(NotAuthentic):
        await bench.intake.receive([("x-zm-signature", "v0=" + "0" * 64)], unsigned)
    assert bench.untouched


async def test_account_events_are_noted_and_change_nothing() -> None:
    bench = Bench(ZOOM_ON_DEAUTHORIZED="alert")
    for event in ("rtms.concurrency_near_limit", "rtms.concurrency_limited", "rtms.start_failed", "meeting.ended", "app_deauthorized"):
        await bench.zoom({"event": event, "event_ts": NOW, "payload": {"account_id": "acc", "concurrency_limit": 2000}})
    assert bench.untouched
    assert bench.log.of("app_deauthorized", "ALERT")
    assert [line["severity"] for line in bench.log.of("concurrency")] == ["WARNING", "ALERT", "ALERT"]


async def test_a_wrong_secret_changes_nothing(bench: Bench) -> None:
    body = b'{"event":"meeting.rtms_started"}'
    with pytest.raises(NotAuthentic):
        await bench.intake.receive(signed(body, NOW, "another"), body)
    assert bench.untouched


def test_the_webhook_imports_no_database_and_no_client_of_recalls() -> None:
    code = (
        "import sys\nfrom rtms_relay import logs, settings, wiring\n"
        f"known = settings.load({ENVIRON!r}, 'webhook')\n"
        "wiring.preload(known)\nwiring.intake(known, logs.JsonLog())\n"
        "print([name for name in sys.modules if name.startswith(('google.cloud.firestore', 'sqlite3', 'httpx'))])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
