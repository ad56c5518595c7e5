"""Recall's webhooks against a model of what Recall and Svix document, over histories of events, outages, rotations and repairs.

The model reads nothing but what the receiver saw and what was done. Sources: Recall's webhook pages (15 s, eight attempts, five days, 24 h
of a replaced secret) and Svix's "Retry Schedule" (each wait follows the failure before it; when the five days begin).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import random
from dataclasses import dataclass, field
from typing import Any

import httpx
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.unit.simulator.recall.workbench import EPOCH

from rtms_simulator.clock import Clock
from rtms_simulator.faults import FaultBook
from rtms_simulator.faults.recall import FAMILIES
from rtms_simulator.recall.webhooks.sender import SigningSecret, WebhookEndpoint, Webhooks
from rtms_simulator.recall.webhooks.signing import make_secret

HOUR, DAY = 3600.0, 86_400.0
WAITS = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 36_000.0)
"""After the failure of the first attempt, of the second, ... (docs.svix.com/retries)."""
SECRETS = [make_secret(b"secret number %d, 24 byte" % number) for number in range(4)]


@dataclass
class Attempt:
    """One request as the receiver saw it, and when and how it ended."""

    message: str
    at: float
    headers: dict[str, str]
    body: bytes
    rotations: int
    """How often the secret had been rotated before it."""
    ended: float | None = None
    status: int | None = None

    @property
    def good(self) -> bool:
        return self.status is not None and 200 <= self.status <= 299


@dataclass
class Receiver(httpx.AsyncBaseTransport):
    """Answers at once with `status`, or never when it is None: then the sender gives up."""

    clock: Clock
    status: int | None = 200
    seen: list[Attempt] = field(default_factory=list)
    rotations: list[tuple[float, str]] = field(default_factory=lambda: [(EPOCH, SECRETS[0])])
    ends: list[tuple[float, bool]] = field(default_factory=list)
    """When each attempt ended since somebody enabled the endpoint, and whether it was good."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        attempt = Attempt(
            request.headers["webhook-id"], self.clock.now(), dict(request.headers), await request.aread(), len(self.rotations)
        )
        self.seen.append(attempt)
        if self.status is None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self.end(attempt, None)
        assert self.status is not None
        self.end(attempt, self.status)
        return httpx.Response(self.status)

    def end(self, attempt: Attempt, status: int | None) -> None:
        attempt.ended, attempt.status = self.clock.now(), status
        self.ends.append((attempt.ended, attempt.good))


def disabled_at(ends: list[tuple[float, bool]]) -> float | None:
    """When an unbroken run of failures has disabled an endpoint, by the words of Svix's page.

    "If all attempts to a specific endpoint fail for a period of 5 days"; "the clock only starts after multiple deliveries failed within a
    24 hour span, with at least 12 hours difference between the first and the last failure".
    """
    run: list[float] = []
    begun: float | None = None
    for at, good in ends:
        if good:
            run, begun = [], None
            continue
        run.append(at)
        if begun is None and any(12 * HOUR <= at - earlier <= 24 * HOUR for earlier in run):
            begun = at
        elif begun is not None and at - begun >= 5 * DAY:
            return at
    return None


class WebhooksAgainstTheirDocuments(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = Clock(EPOCH, 0)
        self.receiver = Receiver(self.clock)
        self.workspace_secret = SigningSecret(SECRETS[0])
        self.enabled_after = 0
        self.resent: dict[str, int] = {}
        self.webhooks = self.runner.run(self.open())

    async def open(self) -> Webhooks:
        webhooks = Webhooks(self.clock, random.Random(0), FaultBook(FAMILIES), self.workspace_secret, transport=self.receiver)
        webhooks.add(WebhookEndpoint("https://receiver.test/"))
        return webhooks

    def teardown(self) -> None:
        self.runner.run(self.webhooks.aclose())
        self.runner.close()

    async def settle(self) -> None:
        """Return when nothing has happened for some turns of the loop."""
        quiet, before = 0, None
        while quiet < 15:
            await asyncio.sleep(0)
            state = len(self.receiver.seen), len(self.receiver.ends), self.clock.next_deadline
            quiet, before = (quiet + 1 if state == before else 0), state

    async def pass_time(self, seconds: float) -> None:
        until = self.clock.now() + seconds
        await self.settle()
        while (moment := self.clock.next_deadline) is not None and moment <= until:
            self.clock.advance(max(0.0, moment - self.clock.now()))
            await self.settle()
        self.clock.advance(max(0.0, until - self.clock.now()))
        await self.settle()

    @property
    def endpoint(self) -> Any:
        return self.webhooks.endpoints[0]

    @rule(count=st.integers(1, 3))
    def an_event(self, count):
        async def emitted() -> None:
            for number in range(count):
                self.webhooks.emit("recording.done", {"number": number})
            await self.settle()

        self.runner.run(emitted())

    @rule(status=st.sampled_from([200, 204, 301, 404, 500, None]))
    def the_receiver_changes(self, status):
        self.receiver.status = status

    @rule(seconds=st.sampled_from([1.0, 15.0, 301.0, HOUR, 11 * HOUR, DAY - 1, DAY, 2 * DAY, 5 * DAY]))
    def time_passes(self, seconds):
        self.runner.run(self.pass_time(seconds))

    @rule(days=st.sampled_from([3, 7]), status=st.sampled_from([500, None]))
    def days_of_failures(self, days, status):
        self.receiver.status = status
        for _ in range(days):
            self.an_event(1)
            self.runner.run(self.pass_time(DAY))

    @rule(number=st.integers(0, len(SECRETS) - 1))
    def the_secret_is_rotated(self, number):
        self.workspace_secret.rotate(SECRETS[number], self.clock.now())
        self.receiver.rotations.append((self.clock.now(), SECRETS[number]))

    @rule()
    def somebody_enables_it_again(self):
        self.webhooks.enable(self.endpoint)
        self.receiver.ends.clear()
        self.enabled_after = len(self.receiver.seen)

    @rule(data=st.data())
    def a_message_is_sent_again_by_hand(self, data):
        if not self.webhooks.messages:
            return
        message = data.draw(st.sampled_from(list(self.webhooks.messages)))

        async def sent() -> None:
            self.webhooks.resend(message)
            await self.settle()

        before, enabled = len(self.receiver.seen), self.endpoint.enabled  # the attempt itself may be the one that disables it
        if enabled:
            self.resent[message.id] = before
        self.runner.run(sent())
        assert enabled or len(self.receiver.seen) == before

    @invariant()
    def it_is_disabled_by_an_unbroken_run_of_failures_and_by_nothing_else(self):
        off = disabled_at(self.receiver.ends)
        assert self.endpoint.enabled == (off is None)
        if off is not None:
            # What was under way may end later; nothing begins.
            assert all(one.at <= off for one in self.receiver.seen[self.enabled_after :])

    @invariant()
    def what_was_delivered_is_sent_again_only_by_hand(self):
        for identity in {one.message for one in self.receiver.seen[-40:]} - self.resent.keys():
            ends = [one.good for one in self.receiver.seen if one.message == identity]
            assert True not in ends[:-1]

    @invariant()
    def each_attempt_follows_the_failure_before_it_by_the_table(self):
        for identity in {one.message for one in self.receiver.seen[-40:]} - self.resent.keys():
            attempts = [one for one in self.receiver.seen if one.message == identity]
            assert len(attempts) <= 8
            for wait, before, after in zip(WAITS, attempts, attempts[1:], strict=False):
                assert before.ended is not None
                assert abs(after.at - before.ended - wait) < 1e-3

    @invariant()
    def a_delivered_message_says_so(self):
        for message in self.webhooks.messages:
            since = self.resent.get(message.id, 0)
            good = any(one.message == message.id and one.good for one in self.receiver.seen[since:])
            assert (message.state == "delivered") == good

    @invariant()
    def it_is_signed_with_the_secret_and_with_those_replaced_less_than_24_hours_before(self):
        for one in self.receiver.seen[-3:]:
            past = self.receiver.rotations[: one.rotations]
            ends = [later for later, _ in past[1:]]
            valid = {past[-1][1]} | {secret for (_, secret), end in zip(past, ends, strict=False) if one.at - end < 24 * HOUR}
            entries = one.headers["webhook-signature"].split()
            assert sorted(entries) == sorted(signature(secret, one) for secret in valid)
            assert entries[0] == signature(past[-1][1], one)


def signature(secret: str, one: Attempt) -> str:
    signed = f"{one.message}.{int(one.at)}.".encode() + one.body
    return "v1," + base64.b64encode(hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()).decode()


# Not shrunk: that takes longer than the test's limit, and a story of 20 steps can be read.
STORIES = settings(max_examples=60, stateful_step_count=20, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
WebhooksAgainstTheirDocuments.TestCase.settings = STORIES
TestWebhooksAgainstTheirDocuments = WebhooksAgainstTheirDocuments.TestCase
