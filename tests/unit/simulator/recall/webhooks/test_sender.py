"""Webhooks out: signed in both families, tried again by the table, disabled, recovered, lost and late on request."""

import base64

import httpx
import pytest
import standardwebhooks
import svix.webhooks
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.simulator.recall.workbench import HOOK, Received, bench

from rtms_simulator.clock import Clock
from rtms_simulator.recall import RecallSwitches, WebhookEndpoint
from rtms_simulator.recall.webhooks.sender import ATTEMPT_AFTER_S, EVENTS, SigningSecret
from rtms_simulator.recall.webhooks.signing import make_secret, signature_headers

SECRET = make_secret(b"a secret of twenty-four.")
NEW = make_secret(b"another of as many bytes")
DONE_ONLY = frozenset({"recording.done"})


def verified_by_both(received: Received, secret: str, family: str) -> None:
    """Raises what the vendors' own code raises."""
    if family == "svix":
        svix.webhooks.Webhook(secret).verify(received.raw, received.headers)
        renamed = {name.replace("svix-", "webhook-"): value for name, value in received.headers.items()}
        standardwebhooks.Webhook(secret).verify(received.raw, renamed)
    else:
        svix.webhooks.Webhook(secret).verify(received.raw, received.headers)
        standardwebhooks.Webhook(secret).verify(received.raw, received.headers)


@pytest.mark.parametrize("family", ["webhook", "svix"])
async def test_both_header_families_verify_with_the_vendors_own_packages_also_during_rotation(tmp_path, family):
    # The packages ask the real clock, so this one runs.
    endpoint = WebhookEndpoint(HOOK, SECRET if family == "svix" else None, headers=family, events=DONE_ONLY)
    async with bench(tmp_path, clock=Clock(), webhooks=[endpoint], workspace_secret=SECRET) as b:
        await b.create()
        await b.recall.drained()
        (received,) = b.receiver.got
        assert {name for name in received.headers if name.startswith(("webhook-", "svix-"))} == {
            f"{family}-{part}" for part in ("id", "timestamp", "signature")
        }
        verified_by_both(received, SECRET, family)
        b.recall.webhooks.endpoints[0].secret.rotate(NEW, b.clock.now())
        await b.create()
        await b.recall.drained()
        for secret in (SECRET, NEW):
            verified_by_both(b.receiver.got[-1], secret, family)
        assert len(b.receiver.got[-1].headers[f"{family}-signature"].split()) == 2
        b.clock.advance(24 * 3600)
        assert b.recall.webhooks.endpoints[0].secret.valid(b.clock.now()) == [NEW]


@given(place=st.integers(0), bit=st.integers(0, 7), where=st.sampled_from(["body", "id", "timestamp", "signature"]))
def test_a_tampered_one_fails_in_both(place, bit, where):
    raw = '{"event":"recording.done","data":{"é":1}}'.encode()
    headers = signature_headers("webhook", [SECRET], "msg_1", Clock().now(), raw)
    name = f"webhook-{where}"
    genuine = raw if where == "body" else headers[name].encode()
    changed = bytearray(genuine)
    changed[place % len(changed)] ^= 1 << bit
    received = Received(HOOK, dict(headers), bytes(changed) if where == "body" else raw)
    if where != "body":
        received.headers[name] = changed.decode("latin-1")
    if where == "signature" and same_signature(genuine, bytes(changed)):
        return
    for verify in (svix.webhooks.Webhook(SECRET).verify, standardwebhooks.Webhook(SECRET).verify):
        with pytest.raises(Exception):  # noqa: B017, PT011 - any refusal will do, each package has its own
            verify(received.raw, received.headers)


def same_signature(one: bytes, other: bytes) -> bool:
    """Base64 has unused bits, and decoders skip what is not of its alphabet: not every changed text is another signature."""
    try:
        return other.startswith(b"v1,") and base64.b64decode(one[3:]) == base64.b64decode(other[3:])
    except ValueError:
        return False


async def test_a_failing_receiver_is_tried_eight_times_by_the_table_with_the_same_id(tmp_path):
    async with bench(tmp_path, webhooks=[WebhookEndpoint(HOOK, events=DONE_ONLY)]) as b:
        b.receiver.answer = lambda _: 500
        started = b.clock.now()
        await b.create()
        await b.pass_time(3 * 86_400)
        (message,) = b.recall.webhooks.messages
        assert message.state == "failed"
        waits = [attempt.at - started for attempt in message.attempts]
        assert waits == [sum(ATTEMPT_AFTER_S[: n + 1]) for n in range(8)]
        assert waits[3] == 35 * 60 + 5
        assert {received.headers["webhook-id"] for received in b.receiver.got} == {message.id}
        # Each attempt is stamped anew, or receivers would refuse it as too old.
        assert [int(received.headers["webhook-timestamp"]) for received in b.receiver.got] == [int(started + wait) for wait in waits]


@pytest.mark.parametrize("trouble", [None, httpx.ConnectError("refused"), 301, 404])
async def test_whatever_is_no_2xx_within_15_s_is_tried_again(tmp_path, trouble):
    async with bench(tmp_path, webhooks=[WebhookEndpoint(HOOK, events=DONE_ONLY)]) as b:
        b.receiver.answer = lambda _: trouble
        await b.create()
        await b.pass_time(14.9)
        assert len(b.receiver.got) == (1 if trouble is None else 2)
        b.receiver.answer = lambda _: 204
        await b.pass_time(300)
        (message,) = b.recall.webhooks.messages
        assert message.state == "delivered"
        if trouble is None:
            assert message.attempts[0].error == "no answer within 15 s"


async def test_a_slow_receiver_gets_the_next_message_only_when_it_has_answered_or_timed_out(tmp_path):
    async with bench(tmp_path) as b:
        b.receiver.answer = lambda received: None if received.event == "recording.processing" else 200
        await b.create()
        await b.settle()
        assert b.receiver.events == ["recording.processing"]
        await b.pass_time(15)
        assert b.receiver.events[-1] == "recording.done"


async def test_an_endpoint_gets_the_ticked_events_at_its_url_with_its_query(tmp_path):
    ticked = WebhookEndpoint(HOOK, events=frozenset({"video_mixed.done"}))
    async with bench(tmp_path, webhooks=[ticked, WebhookEndpoint("https://other.test/")]) as b:
        await b.create()
        await b.settle()
        assert [received.event for received in b.receiver.got if received.url == HOOK] == ["video_mixed.done"]
        assert len([received for received in b.receiver.got if received.url == "https://other.test/"]) == 8
        assert {received.headers["content-type"] for received in b.receiver.got} == {"application/json"}


async def test_an_endpoint_without_a_secret_is_signed_with_the_workspaces(tmp_path):
    async with bench(tmp_path, clock=Clock()) as b:
        await b.create()
        await b.recall.drained()
        standardwebhooks.Webhook(b.recall.workspace_secret).verify(b.receiver.got[0].raw, b.receiver.got[0].headers)


async def test_before_a_workspace_secret_exists_nothing_is_signed_but_endpoints_with_a_secret_of_their_own(tmp_path):
    older = WebhookEndpoint("https://older.test/", SECRET)
    switches = RecallSwitches(workspace_secret_exists=False)
    async with bench(tmp_path, clock=Clock(), webhooks=[WebhookEndpoint(HOOK), older], switches=switches) as b:
        await b.create()
        await b.recall.drained()
        for received in b.receiver.got:
            signed = [name for name in received.headers if name.startswith(("webhook-", "svix-"))]
            if received.url == HOOK:
                assert signed == []
            else:
                assert {name.partition("-")[0] for name in signed} == {"svix"}
                svix.webhooks.Webhook(SECRET).verify(received.raw, received.headers)
        b.recall.switches = RecallSwitches()
        await b.create()
        await b.recall.drained()
        verified_by_both([received for received in b.receiver.got if received.url == HOOK][-1], b.recall.workspace_secret, "webhook")


def test_a_secret_of_its_own_is_only_in_the_older_form():
    assert WebhookEndpoint(HOOK, SECRET).family == "svix"
    with pytest.raises(ValueError, match="workspace's one secret"):
        WebhookEndpoint(HOOK, SECRET, headers="webhook")


async def test_one_event_is_one_id_at_all_endpoints(tmp_path):
    endpoints = [WebhookEndpoint(HOOK), WebhookEndpoint("https://other.test/"), WebhookEndpoint("https://older.test/", SECRET)]
    async with bench(tmp_path, webhooks=endpoints) as b:
        b.receiver.answer = lambda received: 500 if received.url == HOOK else 200
        await b.create()
        await b.pass_time(6)
        ids: dict[str, set[str]] = {}
        for received in b.receiver.got:
            ids.setdefault(received.event, set()).add(received.headers.get("webhook-id") or received.headers["svix-id"])
        assert len(ids) == 8
        assert {len(of_event) for of_event in ids.values()} == {1}
        assert len(set.union(*ids.values())) == 8


@given(age=st.floats(0, 2 * 86_400, allow_nan=False), times=st.integers(1, 3))
def test_a_replaced_secret_signs_for_exactly_24_hours(age, times):
    secrets = [make_secret(b"secret number %d, 24 byte" % number) for number in range(times + 1)]
    secret = SigningSecret(secrets[0])
    for number in range(times):
        secret.rotate(secrets[number + 1], now=1000.0 + number * 3600)
    now = 1000.0 + times * 3600 + age
    replaced = [(1000.0 + number * 3600, secrets[number]) for number in range(times)]
    assert secret.valid(now) == [secrets[-1], *(old for at, old in reversed(replaced) if now - at < 24 * 3600)]


@pytest.mark.parametrize(("age", "signs"), [(86_399.999, True), (86_400.0, False)])
def test_the_24_hours_of_a_replaced_secret_end_on_the_second(age, signs):
    secret = SigningSecret(SECRET)
    secret.rotate(NEW, now=0.0)
    assert (SECRET in secret.valid(age)) == signs


def test_no_event_of_another_catalogue_can_be_ticked():
    with pytest.raises(ValueError, match=r"meeting_direct_connect\.done"):
        WebhookEndpoint(HOOK, events=frozenset({"meeting_direct_connect.done"}))
    assert len(EVENTS) == 5 + 7 * 4 + 3
    assert not [event for event in EVENTS if event.startswith("meeting_direct_connect")]


@pytest.mark.parametrize("secret", ["", "whsec_", "secret", "whsec_!!!", SECRET.removeprefix("whsec_")])
def test_a_secret_that_is_none_is_refused_without_being_shown(secret):
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        SigningSecret(secret)
    assert not secret.removeprefix("whsec_") or secret.removeprefix("whsec_") not in str(refused.value).removeprefix("a webhook secret ")


async def test_five_days_of_failure_disable_an_endpoint_and_recovering_sends_the_failed_again(tmp_path):
    async with bench(tmp_path, webhooks=[WebhookEndpoint(HOOK, events=DONE_ONLY)]) as b:
        b.receiver.answer = lambda _: 500
        for _ in range(6):
            await b.create()
            await b.pass_time(86_400)
        (endpoint,) = b.recall.webhooks.endpoints
        assert not endpoint.enabled
        so_far = len(b.receiver.got)
        await b.create()
        await b.pass_time(86_400)
        assert len(b.receiver.got) == so_far
        b.receiver.answer = lambda _: 200
        b.recall.webhooks.enable(endpoint)
        recovered = b.recall.webhooks.recover(endpoint)
        await b.settle()
        assert recovered == len({message.id for message in b.recall.webhooks.messages})
        assert {message.state for message in b.recall.webhooks.messages} == {"delivered"}
        assert len(b.receiver.got) == so_far + recovered


async def test_one_success_breaks_the_run_of_failures(tmp_path):
    async with bench(tmp_path, webhooks=[WebhookEndpoint(HOOK, events=DONE_ONLY)]) as b:
        for status in (500, 500, 500, 200, 500, 500, 500, 500):
            b.receiver.answer = lambda _, status=status: status
            await b.create()
            await b.pass_time(86_400)
        assert b.recall.webhooks.endpoints[0].enabled


async def test_a_failure_counts_when_it_ends(tmp_path):
    """It began before a success and ended after it: the run of failures begins with its end, and only from there count the 12 hours."""
    async with bench(tmp_path, webhooks=[WebhookEndpoint(HOOK, events=DONE_ONLY)]) as b:
        answers: dict[str, list[int | None]] = {}
        scripts: list[list[int | None]] = [[500, 200], [None]]

        def answer(received: Received) -> int | None:
            script = answers.setdefault(received.headers["webhook-id"], scripts.pop(0) if scripts else [])
            return script.pop(0) if script else 500

        b.receiver.answer = answer
        await b.create()  # fails at 0 s, arrives at 5 s
        await b.pass_time(1)
        await b.create()  # from 1 s to 16 s there is no answer
        await b.pass_time(43_206 - 1)
        await b.create()  # 12 hours after that attempt began, not after it ended
        await b.pass_time(475_210 - 43_206)
        await b.create()
        await b.settle()
        assert b.recall.webhooks.endpoints[0].enabled


async def test_what_waits_in_line_when_an_endpoint_is_disabled_is_not_sent(tmp_path):
    async with bench(tmp_path, webhooks=[WebhookEndpoint(HOOK, events=DONE_ONLY)]) as b:
        b.receiver.answer = lambda _: 500
        await b.create()
        await b.pass_time(6 * 86_400)
        so_far = len(b.receiver.got)
        for number in range(3):
            b.recall.webhooks.emit("recording.done", {"number": number})
        await b.settle()
        assert not b.recall.webhooks.endpoints[0].enabled
        assert len(b.receiver.got) == so_far + 1
        assert [message.state for message in b.recall.webhooks.messages][-2:] == ["disabled", "disabled"]


async def test_a_removed_endpoint_is_not_tried_again(tmp_path):
    async with bench(tmp_path, webhooks=[WebhookEndpoint(HOOK, events=DONE_ONLY)]) as b:
        b.receiver.answer = lambda _: 500
        await b.create()
        await b.settle()
        b.recall.webhooks.remove(b.recall.webhooks.endpoints[0])
        await b.pass_time(86_400)
        assert len(b.receiver.got) == 1
        assert b.recall.webhooks.messages[0].state == "disabled"


async def test_webhooks_are_lost_late_doubled_and_swapped_by_script(tmp_path):
    faults = [
        "recall.webhook.video_mixed.processing: lost",
        "recall.webhook.recording.processing: late 30s",
        "recall.webhook.participant_events.done: duplicate",
    ]
    async with bench(tmp_path, faults=[*faults, "recall.webhook.meeting_metadata.done: reorder"]) as b:
        await b.create()
        await b.settle()
        assert b.receiver.events == [
            "participant_events.processing",
            "meeting_metadata.processing",
            "video_mixed.done",
            "participant_events.done",
            "participant_events.done",
            "recording.done",
            "meeting_metadata.done",
        ]
        doubled = [received.headers["webhook-id"] for received in b.receiver.got if received.event == "participant_events.done"]
        assert doubled[0] == doubled[1]
        await b.pass_time(30)
        assert b.receiver.events[-1] == "recording.processing"
        assert [message.state for message in b.recall.webhooks.messages].count("lost") == 1


async def test_a_swapped_message_after_which_none_comes_goes_out_all_the_same(tmp_path):
    async with bench(tmp_path, faults=["recall.webhook.recording.done: reorder"]) as b:
        await b.create()
        await b.settle()
        assert "recording.done" not in b.receiver.events
        await b.pass_time(60)
        assert b.receiver.events[-1] == "recording.done"


async def test_a_doubled_message_that_fails_is_retried_once_per_moment(tmp_path):
    endpoint = WebhookEndpoint(HOOK, events=DONE_ONLY)
    async with bench(tmp_path, webhooks=[endpoint], faults=["recall.webhook.recording.done: duplicate"]) as b:
        b.receiver.answer = lambda _: 503
        await b.create()
        await b.pass_time(5)
        assert len(b.receiver.got) == 3


async def test_a_message_that_was_sent_again_by_hand_and_arrived_is_not_retried(tmp_path):
    async with bench(tmp_path, webhooks=[WebhookEndpoint(HOOK, events=DONE_ONLY)]) as b:
        b.receiver.answer = lambda _: 500
        await b.create()
        await b.settle()
        (message,) = b.recall.webhooks.messages
        b.receiver.answer = lambda _: 200
        b.recall.webhooks.resend(message)
        await b.pass_time(sum(ATTEMPT_AFTER_S))
        assert (len(b.receiver.got), message.state) == (2, "delivered")


async def test_a_message_that_arrives_while_its_last_retry_hangs_is_delivered(tmp_path):
    async with bench(tmp_path, webhooks=[WebhookEndpoint(HOOK, events=DONE_ONLY)]) as b:
        b.receiver.answer = lambda _: 500
        await b.create()
        await b.pass_time(sum(ATTEMPT_AFTER_S) - 1)
        (message,) = b.recall.webhooks.messages
        b.receiver.answer = lambda _: None
        await b.pass_time(1)
        assert len(b.receiver.got) == len(ATTEMPT_AFTER_S)
        b.receiver.answer = lambda _: 200
        b.recall.webhooks.resend(message)
        await b.pass_time(60)
        assert (len(b.receiver.got), message.state) == (len(ATTEMPT_AFTER_S) + 1, "delivered")
