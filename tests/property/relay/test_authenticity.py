"""G5: an unauthenticated request changes nothing and triggers nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ports.bench import Bench
from tests.ports.events import ENVIRON, NOW, signed, started, stopped, webhook_headers
from tests.unit.relay.test_settings import BAD

from rtms_relay import settings
from rtms_relay.errors import NotAuthentic, SettingsError
from rtms_relay.settings import VARIABLES

BODIES = [json.dumps(event, separators=(",", ":")).encode() for event in (started(), stopped(NOW), {"event": "endpoint.url_validation"})]


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


async def refused(bench: Bench, headers: list[tuple[str, str]], body: bytes) -> None:
    with pytest.raises(NotAuthentic):
        await bench.intake.receive(headers, body)
    assert bench.untouched


@pytest.mark.parametrize("body", BODIES)
async def test_every_single_bit_of_body_timestamp_and_signature_counts(body: bytes) -> None:
    """Exhaustive: each bit of a real request, one at a time."""
    bench = Bench()
    (stamp_name, stamp), (signature_name, signature) = signed(body)
    assert body
    assert stamp
    assert signature
    for bit in range(len(body) * 8):
        await refused(bench, signed(body), flipped(body, bit))
    for bit in range(len(stamp) * 8):
        changed = flipped(stamp.encode(), bit).decode("latin-1")
        await refused(bench, [(stamp_name, changed), (signature_name, signature)], body)
    for bit in range(len(signature) * 8):
        changed = flipped(signature.encode(), bit).decode("latin-1")
        await refused(bench, [(stamp_name, stamp), (signature_name, changed)], body)


async def test_every_single_bit_of_recalls_webhook_counts() -> None:
    bench = Bench()
    body = b'{"event":"recording.done"}'
    headers = webhook_headers(body)
    assert len(headers) >= 2
    assert all(value for _, value in headers)
    for bit in range(len(body) * 8):
        with pytest.raises(NotAuthentic):
            await bench.intake.observe(headers, flipped(body, bit))
    for which in (0, 1):
        name, value = headers[which]
        for bit in range(len(value) * 8):
            changed = list(headers)
            changed[which] = (name, flipped(value.encode(), bit).decode("latin-1"))
            with pytest.raises(NotAuthentic):
                await bench.intake.observe(changed, body)


@given(body=st.binary(max_size=300), stamp=st.text(max_size=20), signature=st.text(max_size=80))
async def test_nothing_arbitrary_is_authentic(body: bytes, stamp: str, signature: str) -> None:
    bench = Bench()
    await refused(bench, [("x-zm-request-timestamp", stamp), ("x-zm-signature", signature)], body)
    await refused(bench, [("X-Zm-Signature", signature)], body)


@given(token=st.text(max_size=200))
async def test_no_signature_of_a_request_comes_out_of_a_challenge(token: str) -> None:
    """Whatever is answered is an HMAC of something that no signed request begins with: `v0:` has a colon."""
    bench = Bench()
    body = json.dumps({"event": "endpoint.url_validation", "payload": {"plainToken": token}}).encode()
    try:
        answered = (await bench.intake.receive([], body)).body["plainToken"]
    except Exception:  # noqa: BLE001 - refused in whichever way: no answer, no oracle
        return
    assert answered == token
    assert ":" not in token


@given(names=st.sets(st.sampled_from(sorted(BAD)), min_size=1), role=st.sampled_from(["webhook", "worker"]))
def test_settings_errors_name_every_bad_variable_and_no_other(names: set[str], role: settings.Role) -> None:
    found: list[str] = []
    try:
        settings.load(ENVIRON | {name: BAD[name] for name in names}, role)
    except SettingsError as error:
        found = [problem.split()[0] for problem in error.problems]
    assert found == [v.name for v in VARIABLES if v.name in names and role in v.roles]
