"""A verdict that finds nothing is worth something only if it finds what is there."""

from types import SimpleNamespace

import pytest

from rtms_relay.handoff.keys import handoff_key
from rtms_simulator.clock import Clock
from rtms_simulator.recall import Recall, Story, scripted
from rtms_simulator.zoom.webhooks import events
from rtms_simulator.zoom.webhooks.events import StreamIds
from rtms_simulator.zoom.webhooks.sender import Delivery, WebhookAttempt
from tests.chaos.meetings import REVOKED, Sent
from tests.chaos.verdict import at_rest, verdict
from tests.security.leaks import leaks

KEY, STREAM, URLS, TS = "a" * 64, "stream", "wss://127.0.0.1:20000/rtms", 1_780_000_000_000


@pytest.fixture
async def recall(tmp_path):
    one = Recall(Clock(), api_key="key", data_dir=tmp_path, recorder_factory=scripted(Story()))
    yield one
    await one.aclose()


def sent(status=200, authentic=True):
    delivery = Delivery(1, events.started("meeting", StreamIds("uuid", STREAM), URLS, TS), "http://x", b"")
    delivery.attempts.append(WebhookAttempt(TS / 1000, {}, status))
    return Sent(delivery, authentic)


async def made(recall, key=KEY):
    rtms = {"meeting_uuid": "uuid", "rtms_stream_id": STREAM, "server_urls": URLS, "signature": "ab" * 32}
    metadata = {"rtmskit_handoff": key}
    mdc = recall.lifecycle.create({"zoom_rtms": rtms, "metadata": metadata, "recording_config": {"metadata": metadata}})
    await recall.drained()
    return mdc


def row(mdc, **changes):
    recordings = [{"id": mdc.recording.id, "status": "done"}]
    known = {"stream_id": STREAM, "server_urls": URLS, "state": "accepted", "reason": "", "event_ts": TS, "state_at": TS + 100}
    return {KEY: known | {"mdc_id": mdc.id, "retrieval": "done", "recordings": recordings} | changes}


async def test_a_good_run_breaks_nothing(recall):
    rows = row(await made(recall))
    found = verdict([sent()], recall, rows)
    assert (found.broken, found.starts, dict(found.outcomes)) == ([], 1, {"accepted": 1})
    assert at_rest(recall, rows)


@pytest.mark.parametrize(
    ("changes", "promise"),
    [
        ({"state": "pending"}, "G1"),
        ({"state": "expired", "reason": "late"}, "G1"),
        ({"state": "cancelled", "reason": "stopped"}, "G1"),
        ({"state": "failed", "reason": "refused"}, "G1"),
        ({"mdc_id": "another"}, "G1"),
        ({"recordings": []}, "retrieval"),
        ({"recordings": [{"id": "another", "status": "done"}]}, "retrieval"),
        ({"retrieval": "awaiting"}, "retrieval"),
        ({"retrieval": "forgotten"}, "retrieval"),
        ({"stream_id": "another"}, "G1"),
    ],
)
async def test_a_record_that_is_wrong_is_told(recall, changes, promise):
    found = verdict([sent()], recall, row(await made(recall), **changes))
    assert promise in {line.partition(":")[0] for line in found.broken}


@pytest.mark.parametrize(("after_ms", "lines"), [(56_999, 1), (57_000, 0)])
async def test_a_start_may_expire_when_its_last_try_has_failed_and_not_before(recall, after_ms, lines):
    """No try is planned in the last 3 s of Zoom's 60."""
    fields = {"stream_id": STREAM, "server_urls": URLS, "state": "expired", "reason": "late", "event_ts": TS, "state_at": TS + after_ms}
    broken = verdict([sent()], recall, {KEY: fields | {"mdc_id": None, "retrieval": "", "recordings": []}}).broken
    assert len([line for line in broken if "expired while another try" in line]) == lines


async def test_an_acknowledged_start_without_a_record_is_lost(recall):
    assert verdict([sent()], recall, {}).lost == 1
    assert verdict([sent(status=500)], recall, {}).lost == 0


async def test_two_mdcs_for_one_hand_off_are_doubled(recall):
    rows = row(await made(recall))
    await made(recall)
    assert verdict([sent()], recall, rows).doubled == 1


async def test_whoever_is_let_in_is_told(recall):
    rows = row(await made(recall))
    assert any(line.startswith("G5") for line in verdict([sent(authentic=False)], recall, rows).broken)
    assert any(line.startswith("G5") for line in verdict([sent(status=-7, authentic=False)], recall, rows).broken)


async def test_a_recording_of_no_record_keeps_the_run_from_rest(recall):
    await made(recall, key="b" * 64)
    assert not at_rest(recall, {})
    assert not at_rest(recall, {KEY: SimpleNamespace(state="pending").__dict__})


def test_a_piece_of_a_secret_is_a_leak_and_less_is_none():
    texts = ["nothing", "token=CDEFGHIJ.", "short: BCDEFGH", "ABCDEFGHIJKL"]
    assert leaks(texts, ["ABCDEFGHIJKL"]) == [texts[1], texts[3]]


@pytest.mark.parametrize("status", [200, -1])
async def test_a_revocation_is_heard_if_its_record_is_a_tombstone_and_then_everything_must_be_gone(recall, status):
    mdc = await made(recall, key=handoff_key("rtmskit", STREAM, URLS, TS))
    stop = Delivery(2, events.stopped("meeting", StreamIds("uuid", STREAM), REVOKED, TS + 5), "http://x", b"")
    stop.attempts.append(WebhookAttempt(TS / 1000 + 5, {}, status))
    [fields] = row(mdc, stream_id="", server_urls="", state="cancelled", reason="revoked", retrieval="forgotten", mdc_id=None).values()
    rows = {handoff_key("rtmskit", STREAM, URLS, TS): fields | {"recordings": []}}
    deliveries = [sent(), Sent(stop, True)]
    assert any(line.startswith("G8") for line in verdict(deliveries, recall, rows).broken)
    recall.lifecycle.delete_recording(mdc.recording)
    assert verdict(deliveries, recall, rows).broken == []
