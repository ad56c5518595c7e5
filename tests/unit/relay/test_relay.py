"""The use cases, told as stories: what reaches Recall, what is recorded, what is logged."""

from __future__ import annotations

import json

import pytest
from tests.unit.relay.fakes import MEETING, NOW, STREAM, A, B, Bench, C, interrupted, signed, started, stopped

from rtms_relay import handoff as states
from rtms_relay.errors import NotAuthentic, QueueUnavailable, StoreUnavailable
from rtms_relay.handoff import handoff_key, stream_key
from rtms_relay.ports import Answer, Outcome

KEY_A, KEY_B = handoff_key(STREAM, A), handoff_key(STREAM, B)


async def test_a_start_is_recorded_enqueued_and_handed_on_once() -> None:
    bench = Bench()
    reply = await bench.zoom(started())
    assert reply == {"status": "created", "handoff": KEY_A, "state": "pending"}
    await bench.run()
    [(body, _)] = bench.recall.creates
    # Golden: what Zoom's own SDK signs for these ids (its native client, measured).
    assert body["zoom_rtms"] == {
        "meeting_uuid": MEETING,
        "rtms_stream_id": STREAM,
        "server_urls": A,
        "signature": "637f554532b97811d5387608349f4ddbc6ab4276c3f27c94ce19bded8c01ca68",
    }
    assert body["metadata"] == body["recording_config"]["metadata"] == {"rtmskit_handoff": KEY_A}
    record = bench.handoffs()[KEY_A]
    assert (record["state"], record["mdc_id"]) == ("accepted", "mdc-1")
    assert bench.log.of("handoff_accepted")[0]["severity"] == "NOTICE"


async def test_the_same_start_again_makes_nothing_new_but_is_enqueued_again_while_pending() -> None:
    bench = Bench()
    await bench.zoom(started())
    bench.queue.tasks.clear()  # the task was lost
    bench.clock.now += 10
    assert (await bench.zoom(started()))["status"] == "duplicate"
    await bench.run()
    await bench.zoom(started())
    await bench.run()
    assert len(bench.recall.creates) == 1
    assert not bench.queue.tasks


async def test_a_start_on_new_servers_is_handed_on_and_the_old_one_superseded() -> None:
    bench = Bench()
    await bench.zoom(started(A))
    await bench.run()
    await bench.zoom(started(B, NOW + 5000))
    await bench.run()
    assert (bench.state(KEY_A), bench.state(KEY_B)) == ("superseded", "accepted")
    assert bench.handoffs()[KEY_A]["mdc_id"] == "mdc-1"
    assert [body["zoom_rtms"]["server_urls"] for body, _ in bench.recall.creates] == [A, B]


async def test_an_older_start_that_comes_late_is_never_posted() -> None:
    bench = Bench()
    await bench.zoom(started(B, NOW + 5000))
    await bench.zoom(started(A, NOW))
    await bench.run()
    assert (bench.state(KEY_A), bench.state(KEY_B)) == ("superseded", "accepted")
    assert len(bench.recall.creates) == 1


async def test_servers_that_come_back_are_not_handed_on_twice() -> None:
    bench = Bench()
    for urls, ts in ((A, NOW), (B, NOW + 1000), (A, NOW + 2000)):
        await bench.zoom(started(urls, ts))
        await bench.run()
    assert (bench.state(KEY_A), bench.state(KEY_B)) == ("accepted", "superseded")
    assert len(bench.recall.creates) == 2


async def test_an_interruption_is_noted_and_is_a_fail_over_only_with_new_servers() -> None:
    bench = Bench()
    await bench.zoom(started(A))
    await bench.run()
    await bench.zoom(interrupted(NOW + 1000))
    await bench.zoom(interrupted(NOW + 1000, A))
    await bench.run()
    assert len(bench.recall.creates) == 1
    await bench.zoom(interrupted(NOW + 2000, B))
    await bench.run()
    assert (bench.state(KEY_A), bench.state(KEY_B)) == ("superseded", "accepted")


async def test_a_stop_that_comes_first_cancels_the_start() -> None:
    bench = Bench()
    await bench.zoom(stopped(NOW + 2000))
    assert (await bench.zoom(started()))["state"] == "cancelled"
    await bench.run()
    assert not bench.recall.creates
    assert "stop_reason 6" in bench.handoffs()[KEY_A]["reason"]


async def test_a_stop_older_than_the_start_cancels_nothing() -> None:
    bench = Bench()
    await bench.zoom(stopped(NOW - 2000))
    await bench.zoom(started())
    await bench.run()
    assert bench.state(KEY_A) == "accepted"


async def test_a_stop_cancels_what_is_not_posted_and_retrieves_what_is() -> None:
    bench = Bench()
    await bench.zoom(started())
    await bench.zoom(stopped(NOW + 1000))
    assert bench.state(KEY_A) == "cancelled"
    other = Bench()
    await other.zoom(started())
    await other.run()
    other.recall.record("mdc-1")
    await other.zoom(stopped(NOW + 1000))
    await other.run(NOW + 30_000)
    record = other.handoffs()[KEY_A]
    assert (record["state"], record["retrieval"], record["look_at"]) == ("accepted", "done", None)


async def test_a_start_past_its_window_expires_loudly() -> None:
    bench = Bench()
    reply = await bench.zoom(started(ts=NOW - 61_000))
    assert reply["state"] == "expired"
    await bench.run()
    assert not bench.recall.creates
    assert bench.log.of("handoff_expired")[0]["severity"] == "ALERT"


async def test_a_recall_that_is_down_is_tried_until_the_window_ends_with_one_key() -> None:
    bench = Bench()
    bench.recall.script = [Answer(503)] * 100
    await bench.zoom(started())
    await bench.live(120)
    record = bench.handoffs()[KEY_A]
    assert record["state"] == "expired"
    assert "503" in record["reason"]
    assert len({key for _, key in bench.recall.creates}) == 1
    assert 5 < len(bench.recall.creates) < 20
    assert record["state_at"] <= NOW + 61_000


@pytest.mark.parametrize("answer", [Answer(429, retry_after_s=7), Answer(503, retry_after_s=7)])
async def test_retry_after_is_waited_for(answer: Answer) -> None:
    bench = Bench()
    bench.recall.script = [answer]
    await bench.zoom(started())
    await bench.run()
    await bench.run(NOW + 6_900)
    assert len(bench.recall.creates) == 1
    await bench.run(NOW + 9_000)
    assert bench.state(KEY_A) == "accepted"
    assert bench.recall.creates[0][1] == bench.recall.creates[1][1]


async def test_no_capacity_takes_a_new_key_after_half_a_minute() -> None:
    bench = Bench()
    bench.recall.script = [Answer(507)]
    await bench.zoom(started())
    await bench.run(NOW + 29_000)
    assert len(bench.recall.creates) == 1
    await bench.run(NOW + 32_000)
    assert bench.state(KEY_A) == "accepted"
    assert bench.recall.creates[0][1] != bench.recall.creates[1][1]


@pytest.mark.parametrize(
    ("status", "severity", "word"),
    [
        (400, "ERROR", "cannot succeed"),
        (402, "ALERT", "credit"),
        (401, "ALERT", "region"),
        (403, "ALERT", "localhost"),
        (404, "ALERT", "BASE_URL"),
    ],
)
async def test_what_no_repetition_mends_fails_with_a_reason(status: int, severity: str, word: str) -> None:
    bench = Bench()
    bench.recall.script = [Answer(status, b'{"detail":"because"}')]
    await bench.zoom(started())
    await bench.live(90)
    record = bench.handoffs()[KEY_A]
    assert record["state"] == "failed"
    assert word in record["reason"]
    assert "because" in record["reason"]
    assert len(bench.recall.creates) == 1
    assert bench.log.of("handoff_failed")[0]["severity"] == severity


async def test_a_lost_201_is_repeated_with_its_key_and_makes_one_mdc() -> None:
    bench = Bench()
    bench.recall.script = [lambda: Answer(0, failure="reset")]
    await bench.zoom(started())
    await bench.run(NOW + 5000)
    assert bench.state(KEY_A) == "accepted"
    assert list(bench.recall.mdcs) == ["mdc-1"]


async def test_a_201_lost_at_the_end_of_the_window_is_found_by_its_metadata() -> None:
    bench = Bench()
    bench.recall.script = [lambda: Answer(0, failure="timeout")] * 50
    await bench.zoom(started())
    await bench.run(NOW + 60_000)
    assert bench.state(KEY_A) == "expired"
    assert [task[0] for task in bench.queue.tasks] == ["retrieve"]  # not left to the sweeper
    assert "looked for" in bench.handoffs()[KEY_A]["reason"]
    bench.recall.record("mdc-1")
    bench.recall.record("mdc-1", "rec-2")
    await bench.live(3600)
    record = bench.handoffs()[KEY_A]
    assert (record["state"], record["retrieval"]) == ("accepted", "done")
    assert [recording["id"] for recording in record["recordings"]] == ["rec-1", "rec-2"]


async def test_two_workers_on_one_hand_off_post_once() -> None:
    bench = Bench()
    await bench.zoom(started())

    async def second_worker() -> None:
        bench.recall.during_create = None
        assert (await bench.worker.attempt(KEY_A)).body == {"status": "waiting"}

    bench.recall.during_create = second_worker
    await bench.live(120)
    assert len(bench.recall.creates) == 1
    assert bench.state(KEY_A) == "accepted"


async def test_a_worker_that_died_is_replaced_when_its_lease_ends_with_the_same_key() -> None:
    bench = Bench()

    async def die() -> None:
        bench.recall.make(bench.recall.creates[0][0], bench.recall.creates[0][1])
        raise KeyboardInterrupt

    bench.recall.during_create = die
    await bench.zoom(started())
    with pytest.raises(KeyboardInterrupt):
        await bench.run()
    bench.recall.during_create = None
    await bench.live(60)
    assert bench.state(KEY_A) == "accepted"
    assert bench.recall.creates[0][1] == bench.recall.creates[1][1]
    assert list(bench.recall.mdcs) == ["mdc-1"]


async def test_an_id_is_kept_when_the_stream_ended_during_the_post() -> None:
    bench = Bench()

    async def stop() -> None:
        await bench.zoom(stopped(NOW + 100))
        assert bench.state(KEY_A) == "cancelled"

    bench.recall.during_create = stop
    await bench.zoom(started())
    await bench.run()
    record = bench.handoffs()[KEY_A]
    assert (record["state"], record["mdc_id"], record["retrieval"]) == ("accepted", "mdc-1", "awaiting")
    assert record["ended_at"] == NOW + 100


async def test_an_id_is_kept_when_a_fail_over_came_during_the_post() -> None:
    bench = Bench()

    async def fail_over() -> None:
        bench.recall.during_create = None
        await bench.zoom(started(B, NOW + 100))

    bench.recall.during_create = fail_over
    await bench.zoom(started(A))
    await bench.run()
    assert (bench.state(KEY_A), bench.state(KEY_B)) == ("superseded", "accepted")
    assert {bench.handoffs()[key]["mdc_id"] for key in (KEY_A, KEY_B)} == {"mdc-1", "mdc-2"}


async def test_a_refusal_of_a_cancelled_hand_off_leaves_nothing_to_look_for() -> None:
    bench = Bench()

    async def stop() -> None:
        await bench.zoom(stopped(NOW + 100))

    bench.recall.during_create = stop
    bench.recall.script = [Answer(400)]
    await bench.zoom(started())
    await bench.run()
    record = bench.handoffs()[KEY_A]
    assert (record["state"], record["retrieval"], record["due_at"]) == ("cancelled", "none_made", None)


async def test_a_queue_that_is_down_fails_the_ack_and_the_sweeper_still_finds_the_start() -> None:
    bench = Bench()
    bench.queue.down = True
    with pytest.raises(QueueUnavailable):
        await bench.zoom(started())
    assert bench.clock.now - NOW < 2500
    bench.queue.down = False
    bench.clock.now += 30_000
    await bench.worker.sweep()
    await bench.run()
    assert bench.state(KEY_A) == "accepted"


async def test_the_sweeper_works_without_the_queue() -> None:
    bench = Bench()
    await bench.zoom(started())
    bench.queue.tasks.clear()
    bench.queue.down = True
    bench.clock.now += 20_000
    assert (await bench.worker.sweep()).body == {"due": 1, "enqueued": 0, "inline": 1}
    assert bench.state(KEY_A) == "accepted"


@pytest.mark.parametrize("operation", ["create", "get", "replace"])
async def test_a_store_that_fails_fails_the_ack(operation: str) -> None:
    bench = Bench()
    await bench.zoom(started(A))

    def fail(name: str) -> None:
        if name == operation:
            bench.clock.now += 400
            raise StoreUnavailable("down")

    bench.store.failing = fail
    with pytest.raises(StoreUnavailable):
        await bench.zoom(started(B, NOW + 1))


async def test_a_start_whose_webhook_died_before_the_stream_was_noted_is_healed() -> None:
    bench = Bench()

    def die(name: str) -> None:
        if name == "create" and bench.store.all("handoffs"):
            raise KeyboardInterrupt

    bench.store.failing = die
    with pytest.raises(KeyboardInterrupt):
        await bench.zoom(started())
    bench.store.failing = lambda _: None
    assert not bench.store.all("streams")
    await bench.live(40)
    assert bench.state(KEY_A) == "accepted"
    assert bench.store.all("streams")[stream_key(STREAM)]["starts"] == {KEY_A: NOW}


async def test_another_host_fails_without_a_signature() -> None:
    bench = Bench()
    reply = await bench.zoom(started("wss://evil.example"))
    assert reply["state"] == "failed"
    await bench.run()
    assert not bench.recall.creates
    assert not bench.queue.tasks


async def test_the_worker_checks_the_host_too() -> None:
    bench = Bench()
    await bench.zoom(started())
    strict = Bench(ZOOM_SERVER_HOSTS="elsewhere.example")
    strict.store.documents = bench.store.documents
    await strict.worker.attempt(KEY_A)
    assert strict.state(KEY_A) == "failed"
    assert not strict.recall.creates


async def test_a_crowd_of_fail_overs_ends_with_the_newest() -> None:
    bench = Bench()
    for number, urls in enumerate((A, C, B, A, C)):
        await bench.zoom(started(urls, NOW + number))
    await bench.run()
    states_now = {fields["server_urls"]: fields["state"] for fields in bench.handoffs().values()}
    assert states_now == {A: "superseded", B: "superseded", C: "accepted"}


async def test_challenge_is_answered_and_is_no_signing_oracle() -> None:
    bench = Bench()
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


async def test_account_events_are_noted_and_change_nothing() -> None:
    bench = Bench(ZOOM_ON_DEAUTHORIZED="alert")
    for event in ("rtms.concurrency_near_limit", "rtms.concurrency_limited", "rtms.start_failed", "meeting.ended", "app_deauthorized"):
        await bench.zoom({"event": event, "event_ts": NOW, "payload": {"account_id": "acc", "concurrency_limit": 2000}})
    assert bench.store.writes == 0
    assert not bench.queue.tasks
    assert bench.log.of("app_deauthorized")[0] == {
        "severity": "ALERT",
        "event": "app_deauthorized",
        "account_id": "acc",
        "user_id": "",
        "client_id": "",
    }
    assert [line["severity"] for line in bench.log.of("concurrency")] == ["WARNING", "ERROR", "ERROR"]


@pytest.mark.parametrize(
    ("product", "event", "field"),
    [
        ("webinar", "webinar.rtms", "webinar_uuid"),
        ("session", "session.rtms", "session_id"),
        ("contact_center", "contact_center.voice_rtms", "engagement_id"),
        ("phone", "phone.rtms", "call_id"),
        ("phone", "phone.call_rtms", "call_id"),
    ],
)
async def test_every_product_is_handed_on(product: str, event: str, field: str) -> None:
    payload = {field: "the/id+=", "rtms_stream_id": "s", "server_urls": A}
    for setting, sent in (("meeting_uuid", "meeting_uuid"), ("own", field)):
        bench = Bench(RECALL_ENTITY_FIELD=setting)
        await bench.zoom({"event": f"{event}_started", "event_ts": NOW, "payload": payload})
        await bench.run()
        [(body, _)] = bench.recall.creates
        assert body["zoom_rtms"][sent] == "the/id+="
        [record] = bench.handoffs().values()
        assert record["product"] == product


async def test_a_replayed_task_of_an_unknown_hand_off_is_done() -> None:
    bench = Bench()
    assert (await bench.worker.attempt("0" * 64)).body == {"status": "unknown"}
    assert (await bench.worker.retrieve("0" * 64)).body == {"status": "unknown"}


async def test_a_second_mdc_for_one_hand_off_would_be_told() -> None:
    bench = Bench()
    bench.recall.script = [Answer(201, b'{"id":"mdc-9"}')]

    async def other() -> None:
        bench.recall.during_create = None
        first = Outcome("accepted", mdc_id="mdc-8")
        await bench.worker._records.change_handoff(
            KEY_A, lambda h: states.after_answer(h, first, states.Post(h, 1, ""), NOW, 0, states.Rules())
        )

    bench.recall.during_create = other
    await bench.zoom(started())
    await bench.run()
    assert bench.handoffs()[KEY_A]["mdc_id"] == "mdc-8"
    assert bench.log.of("handoff_doubled")[0]["other"] == "mdc-9"


async def test_a_wrong_secret_changes_nothing() -> None:
    bench = Bench()
    body = b'{"event":"meeting.rtms_started"}'
    with pytest.raises(NotAuthentic):
        await bench.intake.receive(signed(body, NOW, "another"), body)
    assert bench.store.writes == 0


async def test_a_fail_over_whose_webhook_died_late_still_supersedes() -> None:
    bench = Bench()
    await bench.zoom(started(A))
    await bench.run()
    replaces: list[str] = []

    def die(name: str) -> None:
        replaces.append(name)
        if replaces.count("replace") == 2:  # the first notes the start on the stream, the second would supersede
            raise KeyboardInterrupt

    bench.store.failing = die
    with pytest.raises(KeyboardInterrupt):
        await bench.zoom(started(B, NOW + 1))
    bench.store.failing = lambda _: None
    assert bench.state(KEY_A) == "accepted"
    await bench.run()
    assert (bench.state(KEY_A), bench.state(KEY_B)) == ("superseded", "accepted")
