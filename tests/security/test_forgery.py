"""Attacks on the signature that are not a flipped bit: extension, other secrets, other schemes, repetition."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from rtms_relay.errors import NotAuthentic
from tests.ports.bench import Bench
from tests.ports.events import ENVIRON, NOW, TOKEN, URLS_A, WHSEC, signed, started, webhook_headers
from tests.security.sha256 import extended, padding

BODY = json.dumps(started(), separators=(",", ":")).encode()
STAMP = str(NOW // 1000)
SUFFIX = json.dumps(started(urls="wss://evil.zoom.us"), separators=(",", ":")).encode()


async def refused(bench: Bench, headers: list[tuple[str, str]], body: bytes) -> None:
    with pytest.raises(NotAuthentic):
        await bench.intake.receive(headers, body)
    assert bench.untouched


def test_the_tool_does_extend_a_naive_signature() -> None:
    """Against sha256(secret + message) the attack below works; else it would prove nothing."""
    message = f"v0:{STAMP}:".encode() + BODY
    naive = hashlib.sha256(TOKEN.encode() + message).hexdigest()
    forged = message + padding(len(TOKEN) + len(message)) + SUFFIX
    assert extended(naive, len(TOKEN) + len(message), SUFFIX) == hashlib.sha256(TOKEN.encode() + forged).hexdigest()


@pytest.mark.parametrize("block", [0, 64], ids=["plain", "with the key's block"])
async def test_a_signature_cannot_be_extended(block: int) -> None:
    """For every length that a secret may have, also as HMAC's inner hash sees it."""
    bench = Bench()
    message = f"v0:{STAMP}:".encode() + BODY
    signature = dict(signed(BODY))["x-zm-signature"].removeprefix("v0=")
    for secret in range(65):
        length = block or secret
        glue = padding(length + len(message))
        forged = extended(signature, length + len(message), SUFFIX)
        await refused(bench, [("x-zm-request-timestamp", STAMP), ("x-zm-signature", f"v0={forged}")], BODY + glue + SUFFIX)


OTHER_SECRETS = ("", " ", TOKEN + " ", TOKEN.upper(), TOKEN[:-1], ENVIRON["ZOOM_CLIENT_SECRET"], ENVIRON["ZOOM_CLIENT_ID"], WHSEC)


@pytest.mark.parametrize("secret", OTHER_SECRETS)
async def test_no_other_secret_signs_for_zoom(secret: str) -> None:
    await refused(Bench(), signed(BODY, token=secret), BODY)


async def test_the_vendors_signatures_are_not_each_others() -> None:
    bench = Bench()
    crossed = "whsec_" + base64.b64encode(TOKEN.encode()).decode()
    for headers in (signed(BODY), webhook_headers(BODY, secret=crossed), [*signed(BODY), *webhook_headers(BODY, secret=crossed)]):
        with pytest.raises(NotAuthentic):
            await bench.intake.observe(headers, BODY)
    await refused(bench, webhook_headers(BODY), BODY)


def _mac(algorithm: str) -> str:
    return hmac.new(TOKEN.encode(), f"v0:{STAMP}:".encode() + BODY, algorithm).hexdigest()


GOOD = "v0=" + _mac("sha256")
WEAKER = {
    "no version": _mac("sha256"),
    "another version": "v1=" + _mac("sha256"),
    "an older version": "v=" + _mac("sha256"),
    "upper case": "v0=" + _mac("sha256").upper(),
    "upper case version": "V0=" + _mac("sha256"),
    "md5": "v0=" + _mac("md5"),
    "sha1": "v0=" + _mac("sha1"),
    "sha512, cut": "v0=" + _mac("sha512")[:64],
    "half of it": GOOD[:35],
    "nothing": "",
    "the version alone": "v0=",
    "none": "none",
    "base64": "v0=" + base64.b64encode(bytes.fromhex(_mac("sha256"))).decode(),
    "twice": f"{GOOD},{GOOD}",
    "twice, with a space": f"{GOOD} {GOOD}",
    "white space before": f" {GOOD}",
    "white space after": f"{GOOD}\t",
    "a null": f"{GOOD}\x00",
    "full-width digits": GOOD.translate({ord(str(d)): 0xFF10 + d for d in range(10)}),
    "without the timestamp": "v0=" + hmac.new(TOKEN.encode(), b"v0::" + BODY, "sha256").hexdigest(),
    "of the body alone": "v0=" + hmac.new(TOKEN.encode(), BODY, "sha256").hexdigest(),
}


@pytest.mark.parametrize("signature", WEAKER.values(), ids=list(WEAKER))
async def test_nothing_weaker_or_looser_is_taken(signature: str) -> None:
    assert signature != GOOD
    await refused(Bench(), [("x-zm-request-timestamp", STAMP), ("x-zm-signature", signature)], BODY)


async def test_a_replay_inside_the_window_changes_nothing_and_outside_it_is_refused() -> None:
    bench = Bench()
    headers = signed(BODY)
    await bench.intake.receive(headers, BODY)
    await bench.run(6)
    attempt = bench.handoff().attempt
    for _ in range(100):
        bench.clock.now += 50_000
        await bench.intake.receive(headers, BODY)
        await bench.run(6)
    assert len(bench.recall.creates) == len(bench.recall.mdcs) == 1
    assert bench.handoff().attempt == attempt
    assert (attempt.state, attempt.tries) == ("accepted", 1)
    bench.clock.now = NOW + 5_700_000 + 1000
    writes = bench.store.writes
    with pytest.raises(NotAuthentic):
        await bench.intake.receive(headers, BODY)
    assert bench.store.writes == writes


async def test_a_recalls_webhook_replayed_is_noted_once() -> None:
    bench = Bench()
    await bench.zoom(started(urls=URLS_A))
    await bench.run(6)
    [key] = bench.handoffs()
    bench.recall.record("mdc-1", code="processing")
    for _ in range(20):
        await bench.recall_says("recording.processing", "rec-1", key)
        await bench.run(6)
    retrieval = bench.handoff().retrieval
    assert (len(retrieval.seen), len(retrieval.recordings)) == (1, 1)
