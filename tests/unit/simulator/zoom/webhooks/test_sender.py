"""Deliveries: headers, deadline, retries, header options, faults, validation (docs/evidence/zoom.md A), on a clock that the test moves."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import httpx
import pytest

from rtms_simulator.clock import Clock
from rtms_simulator.faults import FaultBook, parse_fault
from rtms_simulator.zoom.switches import ZoomSwitches
from rtms_simulator.zoom.webhooks import events
from rtms_simulator.zoom.webhooks.sender import (
    BasicAuthorization,
    CustomHeader,
    EventSubscription,
    OAuthToken,
    VerificationToken,
    WebhookSender,
    summary,
)

SECRET = "hooksecret"
HOOK = EventSubscription("https://receiver.test/zoom-webhook", SECRET, "client")
EVENT = events.stopped("meeting", events.StreamIds("uuid==", "stream"), 6, 1626230691572)
Answer = Callable[[httpx.Request], httpx.Response]


class Net:
    """The receiver's side: answers from a list (the last one for ever), or by a function."""

    def __init__(self, clock: Clock, *answers: Any) -> None:
        self.clock = clock
        self.answers = list(answers) or [200]
        self.requests: list[httpx.Request] = []
        self.at: list[float] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.at.append(self.clock.now())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        if answer == "hang":
            await asyncio.Event().wait()
        return answer if isinstance(answer, httpx.Response) else httpx.Response(answer)


@asynccontextmanager
async def sending(*answers: Any, faults: tuple[str, ...] = (), **switches: Any) -> AsyncGenerator[tuple[WebhookSender, Net, Clock]]:
    clock = Clock(epoch=1_626_230_691.0, rate=0)
    net = Net(clock, *answers)
    book = FaultBook(faults=(parse_fault(text) for text in faults))
    sender = WebhookSender(clock, Random(1), switches=ZoomSwitches(**switches), faults=book, transport=httpx.MockTransport(net))
    try:
        yield sender, net, clock
    finally:
        await sender.aclose()


async def pass_time(clock: Clock, seconds: float) -> None:
    """Step through every deadline on the way."""
    end = clock.now() + seconds
    for _ in range(1000):
        for _ in range(20):
            await asyncio.sleep(0)
        due = clock.next_deadline
        if due is None or due > end:
            break
        clock.advance(max(0.0, due - clock.now()))
    clock.advance(end - clock.now())
    for _ in range(20):
        await asyncio.sleep(0)


def genuine(request: httpx.Request) -> bool:
    timestamp = request.headers["x-zm-request-timestamp"]
    return request.headers["x-zm-signature"] == events.sign(SECRET, timestamp, request.content)


async def test_the_headers_of_a_delivery() -> None:
    async with sending() as (sender, net, _):
        delivery = await sender.deliver(EVENT, HOOK)
    [request] = net.requests
    assert genuine(request)
    assert request.content == events.body(EVENT)
    assert request.headers["user-agent"] == "Zoom Marketplace/1.0a"
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    assert request.headers["content-length"] == str(len(request.content))
    assert request.headers["x-zm-request-timestamp"] == "1626230691"
    assert request.headers["accept-encoding"] == "gzip"
    assert {"traceparent", "x-zm-request-id", "x-zm-trackingid"} <= request.headers.keys()
    assert delivery.outcome == "delivered"
    assert SECRET not in repr(delivery) + repr(HOOK) + json.dumps(summary((delivery,)))


@pytest.mark.parametrize("status", [200, 204])
async def test_200_and_204_are_delivered(status: int) -> None:
    async with sending(status) as (sender, net, clock):
        assert (await sender.deliver(EVENT, HOOK)).outcome == "delivered"
        await pass_time(clock, 10_000)
        assert len(net.requests) == 1


@pytest.mark.parametrize("status", [201, 202, 301, 302, 307, 308, 400, 401, 404, 410, 429])
async def test_other_answers_below_500_are_neither_followed_nor_tried_again(status: int) -> None:
    async with sending(httpx.Response(status, headers={"location": "https://elsewhere.test/"})) as (sender, net, clock):
        assert (await sender.deliver(EVENT, HOOK)).outcome == "refused"
        await pass_time(clock, 10_000)
        assert len(net.requests) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [(500, 500), (503, 503), (599, 599), (httpx.ConnectError("refused"), -2), (httpx.ReadError("reset"), -7), ("hang", -1)],
)
async def test_what_zoom_tries_again_and_when(answer: Any, code: int) -> None:
    async with sending(answer) as (sender, net, clock):
        trying = asyncio.create_task(sender.deliver(EVENT, HOOK))
        await pass_time(clock, 3.0)
        delivery = await trying
        assert delivery.status == code
        await pass_time(clock, 6000)
        assert delivery.outcome == "failed"
        took = 3.0 if answer == "hang" else 0.0
        gaps = [round(later - earlier - took) for earlier, later in zip(net.at, net.at[1:], strict=False)]
        assert gaps == [300, 1200, 3600]
        assert len({(request.content, request.headers["x-zm-signature"]) for request in net.requests}) == 1


async def test_any_2xx_will_do_after_a_retry() -> None:
    async with sending(500, 202) as (sender, net, clock):
        delivery = await sender.deliver(EVENT, HOOK)
        await pass_time(clock, 301)
        assert delivery.outcome == "delivered"
        assert [attempt.status for attempt in delivery.attempts] == [500, 202]
        assert len(net.requests) == 2


async def test_a_retry_that_is_refused_ends_it() -> None:
    async with sending(500, 401) as (sender, net, clock):
        delivery = await sender.deliver(EVENT, HOOK)
        await pass_time(clock, 6000)
        assert delivery.outcome == "refused"
        assert len(net.requests) == 2


@pytest.mark.parametrize("restamp", [False, True])
async def test_whether_a_retry_is_stamped_again_is_a_switch(restamp: bool) -> None:
    async with sending(500, restamp=restamp) as (sender, net, clock):
        await sender.deliver(EVENT, HOOK)
        await pass_time(clock, 6000)
        stamps = {request.headers["x-zm-request-timestamp"] for request in net.requests}
        ids = {request.headers["x-zm-request-id"] for request in net.requests}
        assert len(stamps) == len(ids) == (4 if restamp else 1)
        assert all(genuine(request) for request in net.requests)


async def test_an_answer_after_three_seconds_is_too_late() -> None:
    async with sending("hang") as (sender, _, clock):
        trying = asyncio.create_task(sender.deliver(EVENT, HOOK))
        await pass_time(clock, 2.99)
        assert not trying.done()
        await pass_time(clock, 0.02)
        assert (await trying).attempts[0].problem.startswith("TimeoutError")


async def test_a_fast_clock_leaves_a_receiver_its_three_real_seconds() -> None:
    clock = Clock(rate=1000)

    async def slow(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.05)  # 50 s of that clock
        return httpx.Response(200)

    sender = WebhookSender(clock, Random(1), transport=httpx.MockTransport(slow))
    assert (await sender.deliver(EVENT, HOOK)).outcome == "delivered"
    await sender.aclose()


@pytest.mark.parametrize(
    ("option", "headers"),
    [
        (BasicAuthorization("user", "pass"), {"authorization": "Basic " + base64.b64encode(b"user:pass").decode(), "clientid": "client"}),
        (CustomHeader("x-mine", "value"), {"x-mine": "value"}),
        (VerificationToken("legacy"), {"authorization": "legacy"}),
    ],
)
async def test_header_options(option: Any, headers: dict[str, str]) -> None:
    async with sending() as (sender, net, _):
        await sender.deliver(EVENT, EventSubscription(HOOK.url, SECRET, "client", option))
    assert genuine(net.requests[0])
    assert {name: net.requests[0].headers[name] for name in headers} == headers
    assert "pass" not in repr(option).replace("Password", "")


def test_a_custom_header_must_start_with_x() -> None:
    with pytest.raises(ValueError, match="x-"):
        CustomHeader("authorization", "v")


async def test_the_token_option_fetches_one_first() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "token.test":
            return httpx.Response(200, json={"access_token": "abc", "token_type": "bearer", "expires_in": "3599"})
        return httpx.Response(200)

    async with sending(answer) as (sender, net, _):
        option = OAuthToken("https://token.test/oauth", "id", "secret")
        await sender.deliver(EVENT, EventSubscription(HOOK.url, SECRET, "client", option))
    fetch, delivery = net.requests
    assert fetch.url.params["grant_type"] == "client_credentials"
    assert fetch.headers["authorization"] == "Basic " + base64.b64encode(b"id:secret").decode()
    assert fetch.headers["content-type"] == "application/x-www-form-urlencoded"
    assert fetch.headers["content-length"] == "0"
    assert fetch.headers["user-agent"] == "Zoom Marketplace/1.0a"
    assert delivery.headers["authorization"] == "Bearer abc"


@pytest.mark.parametrize(
    "answer",
    [
        500,
        httpx.Response(200, text="no"),
        httpx.Response(200, json={}),
        httpx.ConnectError("x"),
        httpx.Response(401, json={"access_token": "x"}),
    ],
)
async def test_without_a_token_nothing_is_delivered_and_it_is_tried_again(answer: Any) -> None:
    async with sending(answer) as (sender, net, clock):
        option = OAuthToken("https://token.test/oauth", "id", "secret")
        delivery = await sender.deliver(EVENT, EventSubscription(HOOK.url, SECRET, "client", option))
        assert delivery.status == -14
        await pass_time(clock, 6000)
        assert len(delivery.attempts) == 4
        assert all(request.url.host == "token.test" for request in net.requests)


# Faults


async def test_late() -> None:
    async with sending(faults=("zoom.webhook.*: late 40s",)) as (sender, net, clock):
        await sender.deliver(EVENT, HOOK)
        await pass_time(clock, 39)
        assert net.requests == []
        await pass_time(clock, 2)
        assert net.requests[0].headers["x-zm-request-timestamp"] == "1626230691"


async def test_duplicate() -> None:
    async with sending(faults=("zoom.webhook.*: duplicate copies=2 after=7s",)) as (sender, net, clock):
        await sender.deliver(EVENT, HOOK)
        await pass_time(clock, 8)
        assert len(net.requests) == 3
        assert len({(request.content, tuple(request.headers.items())) for request in net.requests}) == 1


async def test_reorder() -> None:
    other = events.stopped("meeting", events.StreamIds("uuid==", "stream"), 7, 2)
    async with sending(faults=("zoom.webhook.*.rtms_stopped: reorder",)) as (sender, net, clock):
        await sender.deliver(EVENT, HOOK)
        await sender.deliver(other, HOOK)
        await pass_time(clock, 0.1)
        assert [json.loads(request.content)["event_ts"] for request in net.requests] == [2, EVENT.event_ts]


async def test_reorder_does_not_wait_for_ever() -> None:
    async with sending(faults=("zoom.webhook.*: reorder 5s",)) as (sender, net, clock):
        await sender.deliver(EVENT, HOOK)
        await pass_time(clock, 5.1)
        assert len(net.requests) == 1


@pytest.mark.parametrize("turns", range(6))
async def test_what_was_held_back_is_sent_though_it_is_overtaken_as_its_time_is_over(turns: int) -> None:
    async with sending(faults=("zoom.webhook.*: reorder 5s x1",)) as (sender, net, clock):
        held = await sender.deliver(EVENT, HOOK)
        for _ in range(6):
            await asyncio.sleep(0)
        assert clock.next_deadline is not None
        clock.advance(5)
        for _ in range(turns):
            await asyncio.sleep(0)
        while sender._held:  # as the first request of a later event ends
            sender._held.popleft().set()
        await sender.first_sent()
        assert (held.outcome, len(net.requests)) == ("delivered", 1)


async def test_drop() -> None:
    async with sending(faults=("zoom.webhook.*: lost",)) as (sender, net, _):
        assert (await sender.deliver(EVENT, HOOK)).outcome == "withheld"
        assert net.requests == []
        assert (await sender.deliver(EVENT, HOOK)).outcome == "delivered"


async def test_wrong_signature_and_unsigned_and_stale() -> None:
    async with sending(faults=("zoom.webhook.*: wrong-signature",)) as (sender, net, _):
        await sender.deliver(EVENT, HOOK)
        assert not genuine(net.requests[0])
        assert len(net.requests[0].headers["x-zm-signature"]) == 67
    async with sending(faults=("zoom.webhook.*: unsigned",)) as (sender, net, _):
        await sender.deliver(EVENT, HOOK)
        assert not any(name.startswith("x-zm-sig") for name in net.requests[0].headers)
    async with sending(faults=("zoom.webhook.*: stale 7200s",)) as (sender, net, _):
        await sender.deliver(EVENT, HOOK)
        assert genuine(net.requests[0])
        assert net.requests[0].headers["x-zm-request-timestamp"] == str(1626230691 - 7200)


async def test_style() -> None:
    async with sending(faults=("zoom.webhook.*: style spaced",)) as (sender, net, _):
        await sender.deliver(EVENT, HOOK)
        assert b'": ' in net.requests[0].content
        assert genuine(net.requests[0])


async def test_replay_sends_the_same_body_with_a_new_stamp() -> None:
    async with sending() as (sender, net, clock):
        delivery = await sender.deliver(EVENT, HOOK)
        clock.advance(100)
        await sender.replay(delivery.id, HOOK)
        first, second = net.requests
        assert first.content == second.content
        assert first.headers["x-zm-signature"] != second.headers["x-zm-signature"]
        assert genuine(second)
        with pytest.raises(KeyError):
            await sender.replay(99, HOOK)


# URL validation


def good(request: httpx.Request) -> httpx.Response:
    body = json.loads(request.content)
    if body["event"] != events.URL_VALIDATION:
        return httpx.Response(200)
    plain = body["payload"]["plainToken"]
    return httpx.Response(200, json={"plainToken": plain, "encryptedToken": events.encrypt_token(SECRET, plain)})


async def test_validation() -> None:
    async with sending(good) as (sender, net, _):
        validation = await sender.validate(HOOK)
        assert validation.ok
        assert genuine(net.requests[0])
        assert net.requests[0].content.startswith(b'{"payload":{"plainToken":"')


async def test_every_72_hours_and_off_after_six_failures_until_validated_by_hand() -> None:
    async with sending(good) as (sender, net, clock):
        await sender.validate(HOOK)
        sender.keep_validating(HOOK)
        standing = sender.standings[HOOK.url]
        await pass_time(clock, 2 * 72 * 3600)
        assert len(standing.validations) == 3
        net.answers = [404]
        for failures in range(1, 7):
            assert not standing.disabled
            await pass_time(clock, 72 * 3600)
            assert standing.failures == failures
        assert standing.disabled
        assert len(standing.mails) == 2
        assert (await sender.deliver(EVENT, HOOK)).outcome == "withheld"
        net.answers = [good]
        assert (await sender.validate(HOOK)).ok
        assert (await sender.deliver(EVENT, HOOK)).outcome == "delivered"


async def test_a_success_starts_the_count_again() -> None:
    async with sending(404) as (sender, net, _):
        for _ in range(5):
            await sender.validate(HOOK)
        net.answers = [good]
        await sender.validate(HOOK)
        assert sender.standings[HOOK.url].failures == 0
        assert not sender.standings[HOOK.url].disabled


async def test_a_validation_that_hangs_has_failed_after_three_seconds() -> None:
    async with sending("hang") as (sender, _, clock):
        trying = asyncio.create_task(sender.validate(HOOK))
        await pass_time(clock, 3.1)
        assert not (await trying).ok
