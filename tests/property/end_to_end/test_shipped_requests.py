"""What the shipped strategies make, on the function's own HTTP surface: authentic deliveries are taken, all else changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from tests.property.end_to_end.composition import EPOCH, SECRET_TOKEN, world

from rtms_simulator.testing import strategies
from rtms_simulator.testing.strategies import DAMAGES, FLAWS, Damage, Flaw, SignedRequest
from rtms_simulator.zoom.webhooks import events as zoom

START = zoom.EVENTS["meeting.rtms_started"]


@settings(max_examples=60)
@given(delivery=strategies.deliveries(SECRET_TOKEN, now=EPOCH))
async def test_whatever_zoom_may_send_is_taken(delivery: SignedRequest) -> None:
    async with world() as made:
        assert (await made.zoom(delivery.headers, delivery.body)).status == 200


@pytest.mark.parametrize("name", FLAWS)
async def test_every_flaw_is_refused_and_nothing_is_done(name: str) -> None:
    async with world() as made:
        for place in (0, 1, 2, 63, 300, 2000):
            forged = Flaw(name, place).apply(START, SECRET_TOKEN, EPOCH)
            answer = await made.zoom(forged.headers, forged.body)
            assert (answer.status, answer.json["error"]) == (401, "not_authentic")
        assert (made.store.writes, made.tasks.enqueued) == (0, 0)


@pytest.mark.parametrize("name", DAMAGES)
async def test_no_damage_is_our_fault(name: str) -> None:
    async with world() as made:
        for place in range(12):
            body = Damage(name, place).apply(START)
            answer = await made.zoom(strategies.sign(SECRET_TOKEN, int(EPOCH), body), body)
            assert answer.status == 200 or 400 <= answer.status < 500
