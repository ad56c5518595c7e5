"""The webhook: what goes onto which queue, what is acknowledged, what is logged. It knows no database and no Recall."""

from __future__ import annotations

import hmac
import json
import subprocess
import sys
from typing import Any

import pytest
from tests.ports.bench import Bench, key_of
from tests.ports.events import ENVIRON, MEETING, NOW, STREAM, URLS_A, interrupted, signed, started, stopped, webhook_headers

from rtms_relay import budgets, intake, tasks
from rtms_relay.errors import NotAuthentic, QueueUnavailable
from rtms_relay.handoff.keys import stream_key
from rtms_relay.ports import QueueName
from rtms_relay.replies import Reply


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
    assert {(task.path, task.name) for task in (*bench.home.tasks, *bench.second.tasks)} == {("/events", "")}


async def test_everything_else_goes_onto_facts(bench: Bench) -> None:
    await bench.zoom(stopped(NOW + 5, 6))
    await bench.zoom(interrupted(NOW + 4))
    kinds = [(type(task), task.event) for task in messages(bench, "facts") if isinstance(task, (tasks.Stop, tasks.Interruption))]
    assert kinds == [(tasks.Stop, "meeting.rtms_stopped"), (tasks.Interruption, "meeting.rtms_interrupted")]
    await bench.zoom({"event": "meeting.rtms_started", "event_ts": NOW, "payload": {}})
    assert [task.path for task in bench.facts_queue.tasks] == ["/events"] * 3
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


@pytest.mark.parametrize(("ago_ms", "patience_ms"), [(0, 60_000), (12_345, 47_655), (3_600_000, 2_500), (-3_600_000, 1_800_000)])
async def test_a_start_is_insisted_on_for_as_long_as_its_stream_can_be_joined(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, ago_ms: int, patience_ms: int
) -> None:
    given: list[float] = []

    async def insist(*arguments: Any, **_: Any) -> None:
        given.append(arguments[4])

    monkeypatch.setattr(intake, "insist", insist)
    await bench.zoom(started(ts=NOW - ago_ms))
    assert given == [patience_ms] * 2


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


# Every answer, note and line of the log, whole


async def replied(bench: Bench, event: dict[str, Any]) -> Reply:
    body = json.dumps(event).encode()
    return await bench.clock.until_done(bench.intake.receive(signed(body, bench.clock.now), body))


def about_the_stream(name: str, latency_ms: int, **more: Any) -> dict[str, Any]:
    stream = {"stream": stream_key(STREAM), "entity_id": MEETING, "rtms_stream_id": STREAM}
    return {"name": name, "outcome": "enqueued", **stream, "latency_ms": latency_ms, **more}


async def test_what_is_said_of_a_start(bench: Bench) -> None:
    bench.clock.now += 250
    notes = about_the_stream("meeting.rtms_started", 250, queues=["handoffs", "handoffs-second"])
    assert await replied(bench, started()) == Reply({"status": "enqueued", "stream": stream_key(STREAM)}, notes)
    assert bench.log.lines == [{"severity": "NOTICE", "event": "start_acked", **notes}]


async def test_what_becomes_of_an_end_and_of_an_interruption(bench: Bench) -> None:
    bench.clock.now += 9
    common: dict[str, Any] = {"received_ms": NOW + 9, "product": "meeting", "stream_id": STREAM, "entity_id": MEETING, "event_ts": NOW}
    for event in (stopped(NOW, 6), interrupted(NOW)):
        assert await replied(bench, event) == Reply(
            {"status": "enqueued", "stream": stream_key(STREAM)}, about_the_stream(event["event"], 9)
        )
    assert messages(bench, "facts") == [
        tasks.Stop(**common, event="meeting.rtms_stopped", stop_reason=6),
        tasks.Interruption(**common, event="meeting.rtms_interrupted"),
    ]
    assert bench.log.lines == []
    await replied(bench, interrupted(NOW, URLS_A))
    assert messages(bench, "handoffs") == [tasks.Start(**common, event="meeting.rtms_interrupted", server_urls=URLS_A)]


@pytest.mark.parametrize(("wish", "severity"), [("audit", "NOTICE"), ("alert", "ALERT")])
async def test_what_is_said_when_the_app_was_removed(wish: str, severity: str) -> None:
    bench = Bench(ZOOM_ON_DEAUTHORIZED=wish)
    ids = {"account_id": "acc", "user_id": "ada", "client_id": "cid"}
    reply = await replied(bench, {"event": "app_deauthorized", "event_ts": NOW, "payload": ids})
    assert reply == Reply({"status": "noted"}, {"name": "app_deauthorized", "outcome": "noted"})
    assert bench.log.lines == [{"severity": severity, "event": "app_deauthorized", **ids}]


@pytest.mark.parametrize(
    ("name", "severity"),
    [("rtms.concurrency_near_limit", "WARNING"), ("rtms.concurrency_limited", "ALERT"), ("rtms.start_failed", "ALERT")],
)
async def test_what_is_said_of_the_accounts_limits(bench: Bench, name: str, severity: str) -> None:
    reply = await replied(bench, {"event": name, "event_ts": NOW, "payload": {"concurrency_limit": 2000}})
    assert reply == Reply({"status": "noted"}, {"name": name, "outcome": "noted"})
    assert bench.log.lines == [{"severity": severity, "event": "concurrency", "name": name, "concurrency_limit": 2000}]


async def test_what_is_said_of_an_event_that_is_nothing_to_us(bench: Bench) -> None:
    reply = await replied(bench, {"event": "meeting.ended", "event_ts": NOW, "payload": {}})
    assert reply == Reply({"status": "ignored"}, {"name": "meeting.ended", "outcome": "ignored"})
    assert bench.log.lines == [{"severity": "INFO", "event": "event_ignored", "name": "meeting.ended", "vendor": "zoom"}]


async def test_what_is_said_of_a_challenge_and_how_long_an_unsigned_one_may_be(bench: Bench) -> None:
    challenge = {"event": "endpoint.url_validation", "event_ts": NOW, "payload": {"plainToken": "abc"}}
    reply = await replied(bench, challenge)
    assert reply.notes == {"name": "endpoint.url_validation", "outcome": "challenge"}
    for length, taken in ((4096, True), (4097, False)):
        unsigned = json.dumps(challenge).encode().ljust(length)
        if taken:
            assert await bench.intake.receive([], unsigned) == reply
        else:
            with pytest.raises(NotAuthentic, match=r"^the headers x-zm-signature and x-zm-request-timestamp are required$"):
                await bench.intake.receive([], unsigned)
    assert bench.log.lines == []


async def test_what_is_signed_with_the_former_secret_is_answered_with_it() -> None:
    bench = Bench(ZOOM_SECRET_TOKEN_PREVIOUS="theformerone")
    body = json.dumps({"event": "endpoint.url_validation", "event_ts": NOW, "payload": {"plainToken": "abc"}}).encode()
    former = await bench.intake.receive(signed(body, NOW, "theformerone"), body)
    assert former.body["encryptedToken"] == hmac.new(b"theformerone", b"abc", "sha256").hexdigest()
    assert (await bench.intake.receive(signed(body), body)).body["encryptedToken"] == hmac.new(b"hooksecret", b"abc", "sha256").hexdigest()


UNUSABLE = {"event": "meeting.rtms_started", "event_ts": NOW, "payload": {"rtms_stream_id": "s-1", "note": "x" * 20_000}}


@pytest.mark.parametrize("facts_down", [False, True])
async def test_what_becomes_of_an_event_that_cannot_be_used(bench: Bench, facts_down: bool) -> None:
    bench.facts_queue.down = facts_down
    reply = await replied(bench, UNUSABLE)
    [told, *further] = bench.log.lines
    why = told["reason"]
    assert reply == Reply({"status": "unusable", "reason": why}, {"name": "meeting.rtms_started", "outcome": "unusable"})
    about = {"name": "meeting.rtms_started", "reason": why, "keys": told["keys"], "ids": {"rtms_stream_id": "s-1"}}
    assert told == {"severity": "ALERT", "event": "event_unusable", "vendor": "zoom", **about}
    lost = {"severity": "ERROR", "event": "error", "where": "keep an unusable event", "what": "facts is down"}
    assert further == ([lost] if facts_down else [])
    copy = json.dumps(UNUSABLE)[: budgets.UNUSABLE_BYTES]
    kept = tasks.UnusableEvent(
        received_ms=NOW, vendor="zoom", reason=why, event="meeting.rtms_started", keys=tuple(told["keys"]), copy=copy
    )
    assert messages(bench, "facts") == ([] if facts_down else [kept])
    assert bench.clock.monotonic_ms() == (1_500 if facts_down else 0)  # a vendor waits no longer for its answer


async def test_of_an_event_that_is_cut_within_a_letter_the_copy_is_text(bench: Bench) -> None:
    start = b'{"event":"meeting.rtms_started","payload":{"note":"'
    whole = start + b"x" * (budgets.UNUSABLE_BYTES - len(start) - 1) + "é".encode() + b'"}}'
    await bench.clock.until_done(bench.intake.receive(signed(whole), whole))
    [kept] = messages(bench, "facts")
    assert isinstance(kept, tasks.UnusableEvent)
    assert kept.copy == whole[: budgets.UNUSABLE_BYTES - 1].decode() + "\ufffd"


async def test_what_is_said_of_a_queue_that_did_not_take_its_copy(bench: Bench) -> None:
    bench.home.down = True
    reply = await replied(bench, started())
    assert reply.notes["queues"] == ["handoffs-second"]
    await bench.run(60)
    [line] = bench.log.of("error")
    assert line == {
        "severity": "ERROR", "event": "error", "where": "enqueue handoffs", "what": "handoffs is down", "stream": stream_key(STREAM)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("begun", "tried_ms"),
    [(-3_600_000, 1_500), (-57_000, 2_500), (0, 59_500), (36_000_000, 1_799_500)],
    ids=["long past", "three seconds left", "just now", "in ten hours"],
)
async def test_a_start_is_tried_as_long_as_its_stream_can_be_joined_but_half_an_hour_at_most(
    bench: Bench, begun: int, tried_ms: float
) -> None:
    bench.home.down = bench.second.down = True
    with pytest.raises(QueueUnavailable, match=r"^no hand-off queue took the start$"):
        await bench.zoom(started(ts=NOW + begun))
    assert bench.clock.monotonic_ms() == tried_ms


async def webhook(bench: Bench, event: Any) -> Reply:
    body = json.dumps(event).encode()
    return await bench.clock.until_done(bench.intake.observe(webhook_headers(body, bench.clock.now), body))


def recording_event(name: str, handoff: str | None) -> dict[str, Any]:
    metadata = {} if handoff is None else {"rtmskit_handoff": handoff}
    data = {"code": name.partition(".")[2], "sub_code": None, "updated_at": "2026-11-22T09:00:00+00:00"}
    return {"event": name, "data": {"data": data, "recording": {"id": "rec-1", "metadata": metadata}}}


@pytest.mark.parametrize(
    ("name", "due"),
    [
        ("recording.done", NOW + 14_000),
        ("recording.failed", NOW + 14_000),
        ("recording.deleted", NOW + 14_000),
        ("recording.processing", NOW + 30_000),
        ("video_mixed.processing", NOW + 30_000),
    ],
)
async def test_what_ends_is_looked_at_in_two_seconds_and_what_begins_with_the_next_half_minute(bench: Bench, name: str, due: int) -> None:
    bench.clock.now += 12_000
    assert NOW % 30_000 == 0
    code, handoff = name.partition(".")[2], key_of()
    notes = {"name": name, "recording": "rec-1", "code": code, "outcome": "enqueued", "handoff": handoff}
    assert await webhook(bench, recording_event(name, handoff)) == Reply({"status": "enqueued"}, notes)
    assert [task.due for task in bench.retrievals.tasks] == [due]
    assert messages(bench, "retrievals") == [tasks.Look(received_ms=NOW + 12_000, handoff=handoff, recording_id="rec-1", message="msg_1")]
    assert bench.log.lines == []


async def test_what_is_said_of_a_webhook_of_recalls_about_nothing_of_ours(bench: Bench) -> None:
    reply = await webhook(bench, recording_event("recording.done", None))
    notes = {"name": "recording.done", "recording": "rec-1", "code": "done", "outcome": "ignored"}
    assert reply == Reply({"status": "ignored"}, notes)
    assert bench.log.lines == [
        {"severity": "INFO", "event": "event_ignored", "name": "recording.done", "vendor": "recall", "recording": "rec-1"}
    ]


async def test_a_webhook_of_recalls_that_cannot_be_used_is_kept_as_recalls(bench: Bench) -> None:
    reply = await webhook(bench, [])
    assert reply.body["status"] == "unusable"
    assert [line["vendor"] for line in bench.log.of("event_unusable", "ALERT")] == ["recall"]
    assert [task.vendor for task in messages(bench, "facts") if isinstance(task, tasks.UnusableEvent)] == ["recall"]
