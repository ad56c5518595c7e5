"""What the use cases answer, note and log, whole: operators read it, metrics and alerts count it, and other programs take it up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from tests.unit.relay.fakes import NOW, STREAM, A, B, Bench, interrupted, signed, started, stopped, webhook_headers

from rtms_relay.errors import NotAuthentic, QueueUnavailable, StoreUnavailable
from rtms_relay.handoff import HandOff, handoff_key, stream_key
from rtms_relay.logs import EVENTS
from rtms_relay.ports import Answer
from rtms_relay.relay import Reply

KEY_A, KEY_B, THE_STREAM = handoff_key(STREAM, A), handoff_key(STREAM, B), stream_key(STREAM)
ENDED = "the stream ended before it was handed on (stop_reason 6)"
SERVERS = "the stream started anew on other servers"


async def heard(bench: Bench, event: Mapping[str, Any]) -> Reply:
    body = json.dumps(event).encode()
    return await bench.intake.receive(signed(body, bench.clock.now), body)


async def announced(bench: Bench, whole: Mapping[str, Any], message: str = "msg_1") -> Reply:
    body = json.dumps(whole).encode()
    return await bench.intake.observe(webhook_headers(body, bench.clock.now, message), body)


def recordings_event(name: str, handoff: str | None = KEY_A, code: str | None = "done") -> dict[str, Any]:
    data = {"code": code, "sub_code": "why", "updated_at": "2026-11-22T09:00:00Z"}
    return {"event": name, "data": {"data": data, "recording": {"id": "rec-1", "metadata": {"rtmskit_handoff": handoff}}}}


def lines(bench: Bench) -> list[dict[str, Any]]:
    """What was logged since this was asked last. Everything logged is documented."""
    found, bench.log.lines = bench.log.lines, []
    assert {line["event"] for line in found} <= set(EVENTS)
    return found


def line(severity: str, event: str, **fields: Any) -> dict[str, Any]:
    return {"severity": severity, "event": event, **fields}


def about(key: str, state: str, reason: str = "") -> dict[str, Any]:
    return {"handoff": key, "stream": THE_STREAM, "product": "meeting", "state": state, "reason": reason}


def noted(name: str, latency_ms: int, outcome: str = "noted") -> dict[str, Any]:
    return {"name": name, "outcome": outcome, "latency_ms": latency_ms}


def skipped(why: str, severity: str = "INFO", key: str = KEY_A, **more: Any) -> dict[str, Any]:
    return line(severity, "attempt_skipped", handoff=key, why=why, **more)


# What Zoom says


async def test_a_start_is_told_once_and_its_repetition_only_answered() -> None:
    bench = Bench()
    bench.clock.now += 250
    for outcome in ("created", "duplicate"):
        assert await heard(bench, started()) == Reply(
            {"status": outcome, "handoff": KEY_A, "state": "pending"},
            noted("meeting.rtms_started", 250, outcome) | {"handoff": KEY_A, "state": "pending"},
        )
        created = line("NOTICE", "handoff_created", since_event_ms=250, **about(KEY_A, "pending"))
        assert lines(bench) == ([created] if outcome == "created" else [])
    # The same task twice would be merged by the queue, and the first may be lost.
    assert bench.queue.tasks == [("handoff", KEY_A, None, ""), ("handoff", KEY_A, None, f"again-{NOW + 250}")]


async def test_a_repetition_of_what_was_handed_on_enqueues_nothing() -> None:
    bench = Bench()
    await heard(bench, started())
    await bench.run()
    assert (await heard(bench, started())).body == {"status": "duplicate", "handoff": KEY_A, "state": "accepted"}
    assert bench.queue.tasks == []


async def test_a_stop_is_told_with_its_reason_and_what_it_cancels() -> None:
    bench = Bench()
    await heard(bench, started())
    lines(bench)
    bench.clock.now += 250
    assert await heard(bench, stopped(NOW + 200)) == Reply({"status": "noted"}, noted("meeting.rtms_stopped", 50) | {"stream": THE_STREAM})
    assert lines(bench) == [
        line("NOTICE", "stream_stopped", stream=THE_STREAM, stop_reason=6, handoffs=1),
        line("NOTICE", "handoff_changed", before="pending", **about(KEY_A, "cancelled", ENDED)),
    ]
    await heard(bench, stopped(NOW + 300, 8))
    assert lines(bench) == [line("NOTICE", "stream_revoked", stream=THE_STREAM, stop_reason=8, handoffs=1)]


async def test_an_interruption_is_noted_and_with_new_servers_a_start() -> None:
    bench = Bench()
    await heard(bench, started(A))
    await bench.run()
    lines(bench)
    bench.clock.now += 250
    noticed = Reply({"status": "noted"}, noted("meeting.rtms_interrupted", 50) | {"stream": THE_STREAM})
    assert await heard(bench, interrupted(NOW + 200)) == noticed
    assert lines(bench) == []
    assert await heard(bench, interrupted(NOW + 240, B)) == Reply(
        {"status": "created", "handoff": KEY_B, "state": "pending"},
        noted("meeting.rtms_interrupted", 10, "created") | {"handoff": KEY_B, "state": "pending"},
    )
    assert lines(bench) == [
        line("NOTICE", "handoff_created", since_event_ms=10, **about(KEY_B, "pending")),
        line("NOTICE", "handoff_changed", before="accepted", **about(KEY_A, "superseded", SERVERS)),
    ]
    assert bench.queue.tasks == [("handoff", KEY_B, None, ""), ("retrieve", KEY_A, NOW + 20_250, f"look-{NOW + 20_250}")]


async def test_a_start_too_late_is_told_with_how_late_it_is() -> None:
    bench = Bench()
    await heard(bench, started(ts=NOW - 61_000))
    late = "not handed on within 60 s of its start"
    assert lines(bench) == [
        line("NOTICE", "handoff_created", since_event_ms=61_000, **about(KEY_A, "pending")),
        line("ALERT", "handoff_expired", since_event_ms=61_000, **about(KEY_A, "expired", late)),
    ]


async def test_a_refused_host_is_told_as_an_error() -> None:
    bench = Bench()
    reply = await heard(bench, started("wss://evil.example"))
    reason = "server_urls names the host 'evil.example', which ZOOM_SERVER_HOSTS does not allow"
    assert reply.body["state"] == reply.notes["state"] == "failed"
    assert lines(bench) == [line("ERROR", "handoff_failed", **about(reply.body["handoff"], "failed", reason))]


ACCOUNT = {"account_id": "acc", "user_id": "u", "client_id": "c", "concurrency_limit": 2000, "percentage": 80}


@pytest.mark.parametrize(
    ("name", "severity", "fields", "outcome"),
    [
        ("app_deauthorized", "NOTICE", {"account_id": "acc", "user_id": "u", "client_id": "c"}, "noted"),
        ("rtms.concurrency_near_limit", "WARNING", {"concurrency_limit": 2000, "percentage": 80}, "noted"),
        ("rtms.concurrency_limited", "ERROR", {"concurrency_limit": 2000, "percentage": 80}, "noted"),
        ("rtms.start_failed", "ERROR", {"concurrency_limit": 2000, "percentage": 80}, "noted"),
        ("meeting.ended", "INFO", {"vendor": "zoom"}, "ignored"),
        ("z" * 200, "INFO", {"vendor": "zoom"}, "ignored"),
    ],
)
async def test_what_is_about_no_stream_is_logged_and_acknowledged(name: str, severity: str, fields: dict[str, Any], outcome: str) -> None:
    bench = Bench(ZOOM_ON_DEAUTHORIZED="audit")
    reply = await heard(bench, {"event": name, "event_ts": NOW, "payload": ACCOUNT})
    assert reply == Reply({"status": outcome}, {"name": name[:100], "outcome": outcome})
    event = "app_deauthorized" if name == "app_deauthorized" else "event_ignored" if outcome == "ignored" else "concurrency"
    named = {} if event == "app_deauthorized" else {"name": name[:100]}
    assert lines(bench) == [line(severity, event, **named, **fields)]


def challenge(size: int) -> bytes:
    return b'{"event":"endpoint.url_validation","payload":{"plainToken":"abc"}}'.ljust(size)


@pytest.mark.parametrize("headers", [False, True])
async def test_a_challenge_is_noted_as_one(headers: bool) -> None:
    bench = Bench()
    body = challenge(100)
    reply = await bench.intake.receive(signed(body) if headers else [], body)
    assert set(reply.body) == {"plainToken", "encryptedToken"}
    assert reply.notes == {"name": "endpoint.url_validation", "outcome": "challenge"}
    assert lines(bench) == []


async def test_a_challenge_without_a_signature_is_read_up_to_4096_bytes_and_nothing_else_is() -> None:
    bench = Bench()
    assert (await bench.intake.receive([], challenge(4096))).notes["outcome"] == "challenge"
    for body in (challenge(4097), json.dumps(started()).encode(), b"", b"<html>"):
        with pytest.raises(NotAuthentic, match=r"x-zm-signature and x-zm-request-timestamp are required"):
            await bench.intake.receive([], body)
    assert bench.store.writes == 0


# What Recall says


async def test_without_a_secret_no_webhook_of_recalls_is_taken() -> None:
    bench = Bench(RECALL_WEBHOOK_SECRETS="")
    with pytest.raises(NotAuthentic, match="RECALL_WEBHOOK_SECRETS is not set"):
        await announced(bench, recordings_event("recording.done"))


async def test_a_webhook_of_recalls_is_told_as_ours_as_unknown_or_as_anothers() -> None:
    bench = Bench()
    await heard(bench, started())
    await bench.run()
    lines(bench)
    name = "recording.done"
    assert await announced(bench, recordings_event(name, None)) == Reply({"status": "ignored"}, {"name": name, "outcome": "ignored"})
    assert lines(bench) == [line("INFO", "event_ignored", name=name, vendor="recall", recording="rec-1")]
    other = "f" * 64
    assert await announced(bench, recordings_event(name, other)) == Reply(
        {"status": "unknown"}, {"name": name, "outcome": "unknown", "handoff": other}
    )
    assert lines(bench) == [line("WARNING", "recall_event", name=name, known=False, handoff=other)]
    for outcome in ("noted", "duplicate"):
        assert await announced(bench, recordings_event(name)) == Reply(
            {"status": outcome}, {"name": name, "outcome": outcome, "handoff": KEY_A}
        )
        taken = line("INFO", "recall_event", name=name, known=True, handoff=KEY_A, code="done", recording="rec-1")
        assert lines(bench) == ([taken] if outcome == "noted" else [])
    [recording] = bench.handoffs()[KEY_A]["recordings"]
    assert recording == {
        "id": "rec-1",
        "status": "done",
        "sub_code": "why",
        "updated_at": "2026-11-22T09:00:00Z",
        "artifacts": {},
        "read": False,
    }


@pytest.mark.parametrize(
    ("name", "code", "status", "stamp"),
    [
        ("recording.processing", "processing", "processing", "2026-11-22T09:00:00Z"),
        ("recording.done", None, "processing", "2026-11-22T09:00:00Z"),
        ("video_mixed.done", "done", "processing", ""),  # the artifact's status, not the recording's
        ("transcript.failed", "failed", "processing", ""),
    ],
)
async def test_only_a_recordings_own_event_tells_its_status(name: str, code: str | None, status: str, stamp: str) -> None:
    bench = Bench()
    await heard(bench, started())
    await bench.run()
    await announced(bench, recordings_event(name, code=code))
    [recording] = bench.handoffs()[KEY_A]["recordings"]
    assert (recording["status"], recording["updated_at"]) == (status, stamp)


async def test_a_webhook_shows_that_a_lost_hand_off_was_accepted() -> None:
    bench = Bench()
    await heard(bench, started(ts=NOW - 61_000))
    lines(bench)
    bench.recall.by_key["k"] = "mdc-1"
    await announced(bench, recordings_event("recording.done"))
    found = "a recording of it was announced"
    assert lines(bench)[0] == line("NOTICE", "handoff_accepted", mdc_id=None, since_event_ms=61_000, **about(KEY_A, "accepted", found))


async def test_a_repeated_webhook_whose_look_is_not_due_enqueues_none() -> None:
    bench = Bench()
    await heard(bench, started())
    await bench.run()
    for _ in range(2):
        await announced(bench, recordings_event("recording.processing", code="processing"))
        assert bench.queue.tasks == []  # the look half an hour later is the sweeper's
    await announced(bench, recordings_event("recording.done"), "msg_2")
    bench.queue.tasks.clear()
    bench.clock.now -= 1  # clocks may differ
    assert (await announced(bench, recordings_event("recording.done"), "msg_2")).body == {"status": "duplicate"}
    assert bench.queue.tasks == []
    bench.clock.now += 1
    await announced(bench, recordings_event("recording.done"), "msg_2")
    assert bench.queue.tasks == [("retrieve", KEY_A, NOW, f"look-{NOW}")]


# What the worker does


async def test_an_attempt_is_told_with_its_number_its_answer_and_its_pause() -> None:
    bench = Bench()
    await heard(bench, started())
    lines(bench)
    bench.queue.tasks.clear()
    bench.clock.now += 250
    bench.recall.script = [Answer(503)]
    outcome: dict[str, Any] = {"outcome": "again", "handoff": KEY_A, "state": "pending"}
    assert await bench.worker.attempt(KEY_A) == Reply({"status": "pending"}, outcome)
    attempt = {"handoff": KEY_A, "stream": THE_STREAM}
    assert lines(bench) == [
        line("WARNING", "attempt", **attempt, number=1, status=503, outcome="again", reason="Recall answered 503", wait_s=0.5)
    ]
    again = ("handoff", KEY_A, NOW + 750, f"at-{NOW + 750}")
    assert bench.queue.tasks == [again]
    bench.clock.now += 100
    bench.queue.tasks.clear()
    assert await bench.worker.attempt(KEY_A) == Reply({"status": "waiting"}, {"outcome": "waiting", "handoff": KEY_A})
    assert lines(bench) == [skipped("a pause is on", wait_s=0.4)]
    assert bench.queue.tasks == [again]
    bench.queue.tasks.clear()
    bench.clock.now += 400
    assert await bench.worker.attempt(KEY_A) == Reply({"status": "accepted"}, outcome | {"outcome": "accepted", "state": "accepted"})
    assert lines(bench) == [
        line("INFO", "attempt", **attempt, number=2, status=201, outcome="accepted", reason="", wait_s=None),
        line("NOTICE", "handoff_accepted", mdc_id="mdc-1", since_event_ms=750, **about(KEY_A, "accepted")),
    ]
    assert bench.queue.tasks == []
    assert await bench.worker.attempt(KEY_A) == Reply({"status": "accepted"}, {"outcome": "accepted", "handoff": KEY_A})
    assert lines(bench) == [skipped("it is accepted", reason="")]


async def test_an_attempt_at_what_is_unknown_or_over_says_so() -> None:
    bench = Bench()
    unknown = Reply({"status": "unknown"}, {"outcome": "unknown"})
    assert await bench.worker.attempt("0" * 64) == await bench.worker.retrieve("0" * 64) == unknown
    assert lines(bench) == [skipped("no such hand-off", "WARNING", "0" * 64)]
    await heard(bench, started())
    lines(bench)
    bench.clock.now += 60_000
    late = "not handed on within 60 s of its start"
    assert await bench.worker.attempt(KEY_A) == Reply({"status": "expired"}, {"outcome": "expired", "handoff": KEY_A})
    assert lines(bench) == [
        line("ALERT", "handoff_expired", since_event_ms=60_000, **about(KEY_A, "expired", late)),
        skipped("it is expired", reason=late),
    ]


async def stop_noted_on_the_stream_only(bench: Bench) -> None:
    """A webhook that dies before it settles the hand-offs."""
    bench.store.failing = lambda _: (_ for _ in ()).throw(KeyboardInterrupt) if bench.log.of("stream_stopped") else None
    with pytest.raises(KeyboardInterrupt):
        await heard(bench, stopped(bench.clock.now + 1))
    bench.store.failing = lambda _: None


@pytest.mark.parametrize("doubt", [False, True])
async def test_a_stop_between_lease_and_post_is_not_overtaken(doubt: bool) -> None:
    bench = Bench()
    await heard(bench, started())
    bench.recall.script = [Answer(503)] * doubt
    if doubt:
        await bench.worker.attempt(KEY_A)
        bench.clock.now += 500
    creates = len(bench.recall.creates)
    bench.queue.tasks.clear()
    lines(bench)
    replaced = bench.store.replace

    async def stop_then_replace(*args: Any) -> str:
        version = await replaced(*args)
        bench.store.replace = replaced
        await stop_noted_on_the_stream_only(bench)
        return version

    bench.store.replace = stop_then_replace  # ty: ignore[invalid-assignment]
    assert await bench.worker.attempt(KEY_A) == Reply({"status": "cancelled"}, {"outcome": "cancelled", "handoff": KEY_A})
    assert len(bench.recall.creates) == creates
    assert lines(bench)[1:] == [
        line("NOTICE", "handoff_changed", before="pending", **about(KEY_A, "cancelled", ENDED)),
        skipped("it became cancelled"),
    ]
    record = bench.handoffs()[KEY_A]
    assert record["lease_until"] is None
    # What the attempt before may have made is looked for.
    look_at = bench.clock.now + 20_000 if doubt else None
    assert (record["retrieval"], record["look_at"]) == ("awaiting" if doubt else "none", look_at)
    assert bench.queue.tasks == ([("retrieve", KEY_A, look_at, f"look-{look_at}")] if doubt else [])


async def test_an_answer_is_settled_with_what_the_stream_did_meanwhile() -> None:
    bench = Bench()
    await heard(bench, started())
    bench.recall.during_create = lambda: stop_noted_on_the_stream_only(bench)
    bench.recall.script = [Answer(429)]
    assert (await bench.worker.attempt(KEY_A)).body == {"status": "cancelled"}
    assert bench.log.lines[-1] == line("NOTICE", "handoff_changed", before="pending", **about(KEY_A, "cancelled", ENDED))


async def test_a_crowd_at_one_record_is_left_to_the_queue() -> None:
    bench = Bench()
    await heard(bench, started())
    bench.queue.tasks.clear()
    lines(bench)
    tried = 0

    async def overtaken(record: HandOff, version: str) -> bool:
        nonlocal tried
        tried += 1
        return False

    bench.worker._records.replace_handoff = overtaken
    assert await bench.worker.attempt(KEY_A) == Reply({"status": "waiting"}, {"outcome": "contended", "handoff": KEY_A})
    assert tried == 10
    assert bench.queue.tasks == [("handoff", KEY_A, NOW + 1000, f"at-{NOW + 1000}")]
    assert bench.recall.creates == []


@pytest.mark.parametrize("when", ["before the post", "during the post"])
async def test_a_store_that_lost_a_record_leaves_nothing_to_do(when: str) -> None:
    """Nothing here ever deletes one, but an operator may."""
    bench = Bench()
    await heard(bench, started())
    lines(bench)
    replaced = bench.store.replace

    async def lose(*args: Any) -> str:
        version = await replaced(*args) if args else ""
        bench.store.documents["streams", THE_STREAM][1]["stopped_ts"] = NOW + 1
        bench.store.documents.pop(("handoffs", KEY_A), None)
        return version

    if when == "before the post":
        bench.store.replace = lose  # ty: ignore[invalid-assignment]
    else:
        bench.recall.during_create = lose
    assert await bench.worker.attempt(KEY_A) == Reply({"status": "unknown"}, {"outcome": "unknown"})
    assert bench.handoffs() == {}
    assert len(bench.recall.creates) == (1 if when == "during the post" else 0)
    assert lines(bench) == []


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405])
async def test_what_would_fail_every_other_hand_off_is_an_alert(status: int) -> None:
    bench = Bench()
    bench.recall.script = [Answer(status)]
    await heard(bench, started())
    await bench.run()
    [failed] = bench.log.of("handoff_failed")
    assert failed == line("ALERT", "handoff_failed", **about(KEY_A, "failed", bench.handoffs()[KEY_A]["reason"]))
    [attempt] = bench.log.of("attempt")
    assert (attempt["severity"], attempt["status"], attempt["outcome"], attempt["wait_s"]) == ("WARNING", status, "refused", None)


async def test_a_pause_of_what_is_no_longer_pending_is_none() -> None:
    bench = Bench()
    await heard(bench, started())

    async def stop() -> None:
        await heard(bench, stopped(NOW + 1))

    bench.recall.during_create = stop
    bench.recall.script = [Answer(503)]
    await bench.run()
    [attempt] = bench.log.of("attempt")
    assert (attempt["outcome"], attempt["wait_s"]) == ("again", None)
    assert [task[0] for task in bench.queue.tasks] == ["retrieve"]


async def test_a_second_mdc_is_an_alert_and_the_same_one_is_none() -> None:
    for named, doubled in (("mdc-1", False), ("mdc-2", True)):
        bench = Bench()
        await heard(bench, started())

        async def lease_runs_out(bench: Bench = bench) -> None:
            bench.recall.during_create = None
            bench.clock.now += 20_000
            await bench.worker.attempt(KEY_A)

        bench.recall.during_create = lease_runs_out
        bench.recall.script = [Answer(201, b'{"id":"mdc-1"}'), Answer(201, json.dumps({"id": named}).encode())]
        await bench.worker.attempt(KEY_A)
        told = line("ALERT", "handoff_doubled", handoff=KEY_A, mdc_id="mdc-1", other="mdc-2")
        assert bench.log.of("handoff_doubled") == ([told] if doubled else [])


async def test_a_retrieval_is_answered_with_where_it_stands_and_comes_again() -> None:
    bench = Bench()
    await heard(bench, started())
    await bench.run()
    await heard(bench, stopped(NOW + 1))
    bench.queue.tasks.clear()
    bench.clock.now += 20_000
    assert await bench.worker.retrieve(KEY_A) == Reply({"status": "awaiting"}, {"outcome": "awaiting", "handoff": KEY_A})
    assert bench.queue.tasks == [("retrieve", KEY_A, NOW + 40_000, f"look-{NOW + 40_000}")]
    bench.recall.record("mdc-1")
    bench.clock.now += 20_000
    assert (await bench.worker.retrieve(KEY_A)).body == {"status": "done"}


async def test_a_recording_found_of_what_had_expired_is_told() -> None:
    bench = Bench()
    bench.recall.script = [lambda: Answer(0, failure="timeout")] * 50
    await heard(bench, started())
    await bench.run(NOW + 60_000)
    lines(bench)
    bench.recall.record("mdc-1")
    bench.clock.now = bench.queue.tasks[0][2] or 0
    await bench.worker.retrieve(KEY_A)
    [told] = bench.log.of("handoff_accepted")
    assert told["reason"] == "a recording of it was found"


@pytest.mark.parametrize(("poll_s", "enqueued"), [("300", True), ("300.001", False)])
async def test_a_look_within_five_minutes_is_enqueued_and_a_later_one_left_to_the_sweeper(poll_s: str, enqueued: bool) -> None:
    bench = Bench(RETRIEVAL_POLL_S=poll_s)
    await heard(bench, started())
    await bench.run()
    assert [task[0] for task in bench.queue.tasks] == (["retrieve"] if enqueued else [])


async def test_a_look_that_cannot_be_enqueued_is_a_warning_and_the_answer_stands() -> None:
    bench = Bench(RETRIEVAL_POLL_S="60")
    await heard(bench, started())
    bench.queue.tasks.clear()
    bench.queue.down = True
    assert (await bench.worker.attempt(KEY_A)).body == {"status": "accepted"}
    assert bench.log.of("error") == [line("WARNING", "error", where="enqueue", what="the queue is down", handoff=KEY_A)]


async def test_a_start_is_enqueued_for_a_second_and_a_half_and_then_not_acknowledged() -> None:
    bench = Bench()
    moments: list[int] = []

    async def down(*_: object, **__: object) -> None:
        moments.append(bench.clock.now - NOW)
        raise QueueUnavailable("the queue is down")

    bench.queue.enqueue = down
    with pytest.raises(QueueUnavailable):
        await heard(bench, started())
    assert moments == [*range(0, 1501, 100)]


# The sweep


async def test_a_sweep_is_told_and_enqueues_what_is_overdue() -> None:
    bench = Bench()
    await heard(bench, started())
    bench.queue.tasks.clear()
    lines(bench)
    for later, due in ((4999, 0), (5000, 1)):
        bench.clock.now = NOW + later
        assert await bench.worker.sweep() == Reply({"due": due, "enqueued": due, "inline": 0}, {"outcome": "swept"})
        assert lines(bench) == [line("INFO", "sweep", due=due, enqueued=due, inline=0)]
    assert bench.queue.tasks == [("handoff", KEY_A, None, f"sweep-{NOW + 5000}")]


async def test_a_sweep_brings_what_is_due_for_both_reasons() -> None:
    """Pending again after it was looked for: a task for each, at the moment of each."""
    bench = Bench()
    await heard(bench, started())
    bench.queue.tasks.clear()
    version, fields = bench.store.documents["handoffs", KEY_A]
    for change, later, kinds in (
        ({"look_at": NOW + 5000}, 5000, ["handoff", "retrieve"]),
        ({"look_at": NOW + 5001}, 5000, ["handoff"]),
        ({"look_at": NOW + 4000, "lease_until": NOW + 1}, 5000, ["retrieve"]),
        ({"look_at": NOW + 4000, "attempt_at": None, "lease_until": NOW - 1}, 5000, ["handoff", "retrieve"]),
        ({"look_at": NOW + 4000, "state": "accepted"}, 5000, ["retrieve"]),
        ({"look_at": None, "attempt_at": None}, 0, ["handoff"]),
    ):
        bench.queue.tasks.clear()
        bench.store.documents["handoffs", KEY_A] = (version, fields | change | {"due_at": 1})
        bench.clock.now = NOW + later
        assert (await bench.worker.sweep()).body == {"due": 1, "enqueued": len(kinds), "inline": 0}
        assert [task[0] for task in bench.queue.tasks] == kinds


async def test_a_sweep_without_a_queue_does_twenty_itself_and_says_so() -> None:
    bench = Bench()
    for number in range(22):
        await heard(bench, started(stream=f"stream-{number}"))
    bench.queue.tasks.clear()
    lines(bench)
    bench.queue.down = True
    bench.clock.now += 20_000
    assert (await bench.worker.sweep()).body == {"due": 22, "enqueued": 0, "inline": 20}
    assert len(bench.recall.creates) == 20
    told = lines(bench)
    assert told[-1] == line("WARNING", "sweep", due=22, enqueued=0, inline=20)
    errors = [each for each in told if each["event"] == "error"]
    assert len(errors) == 22
    assert errors[0] == line("ERROR", "error", where="sweep", what="the queue is down", handoff=errors[0]["handoff"])


async def test_a_sweep_looks_for_recordings_itself_and_survives_what_fails() -> None:
    bench = Bench()
    await heard(bench, started())
    await bench.run()
    await heard(bench, stopped(NOW + 1))
    bench.recall.record("mdc-1")
    bench.queue.down = True
    bench.clock.now += 20_000
    lines(bench)

    def fail(name: str) -> None:
        if name == "replace":
            bench.clock.now += 1000
            raise StoreUnavailable("the store is down")

    bench.store.failing = fail
    assert (await bench.worker.sweep()).body == {"due": 1, "enqueued": 0, "inline": 1}
    assert lines(bench)[-2] == line("ERROR", "error", where="sweep retrieve", what="the store is down", handoff=KEY_A)
    bench.store.failing = lambda _: None
    await bench.worker.sweep()
    assert bench.handoffs()[KEY_A]["retrieval"] == "done"


async def test_a_sweep_takes_the_thousand_that_are_due_longest() -> None:
    bench = Bench()
    asked: list[tuple[str, int, int]] = []

    async def due(collection: str, before_ms: int, limit: int) -> list[Any]:
        asked.append((collection, before_ms, limit))
        return []

    bench.store.due = due
    await bench.worker.sweep()
    assert asked == [("handoffs", NOW, 1000)]


# What is written


@pytest.mark.parametrize(("keep", "days"), [({}, 400), ({"RECORDS_KEEP_DAYS": "30.5"}, 30.5)])
async def test_a_record_is_kept_for_as_long_as_is_set(keep: dict[str, Any], days: float) -> None:
    bench = Bench(**keep)
    await heard(bench, started("wss://evil.example"))
    [record] = bench.handoffs().values()
    assert record["expires_at"] == NOW + int(days * 86_400_000)


async def test_a_start_writes_two_records_and_a_known_stream_is_read_first() -> None:
    """The ack waits for each of these."""
    operations: list[str] = []
    bench = Bench()
    bench.store.failing = operations.append
    await heard(bench, started())
    assert operations == ["create", "create"]
    operations.clear()
    await heard(bench, interrupted(NOW + 1))
    assert operations == ["get", "replace"]
    operations.clear()
    await heard(bench, stopped(NOW + 1, stream="another"))
    assert operations == ["get", "create"]


async def test_an_attempt_reads_and_writes_no_more_than_it_must() -> None:
    """Zoom's minute is running. The hand-off, its stream, the lease, the stream once more; then, after the answer, the same again."""
    operations: list[str] = []
    bench = Bench()
    await heard(bench, started())
    bench.store.failing = operations.append
    await bench.worker.attempt(KEY_A)
    assert operations == ["get", "get", "replace", "get", "get", "get", "replace"]


async def test_the_streams_account_is_noted_with_its_start_only() -> None:
    bench = Bench()
    await heard(bench, stopped(NOW - 1) | {"payload": stopped(NOW - 1)["payload"] | {"account_id": "acc"}})
    assert bench.store.all("streams")[THE_STREAM]["account_id"] == ""
    other = Bench()
    await heard(other, started(account_id="acc"))
    for record in (other.store.all("streams")[THE_STREAM], other.handoffs()[KEY_A]):
        assert record["account_id"] == "acc"
