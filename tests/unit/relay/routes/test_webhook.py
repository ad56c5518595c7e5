"""The webhook over HTTP: every kind of bad input, and every answer and line of the log to the letter."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.ports.bench import Bench
from tests.ports.events import MEETING, NOW, STREAM, signed, stopped, webhook_headers
from tests.unit.relay.routes.serving import CODE, JSON, NO_STORE, START, chunks, client, encoded, line, of, told

from rtms_relay.errors import QueueUnavailable
from rtms_relay.handoff.keys import stream_key
from rtms_relay.routes import http as surface

NO_FIELDS = b'{"event":"meeting.rtms_started","event_ts":1,"payload":{}}'
ORACLE = encoded({"event": "endpoint.url_validation", "payload": {"plainToken": "v0:1:{}"}})
TEXT = {"content-type": "text/plain"}
BAD_INPUT = [
    ("unsigned", "POST", "/zoom-webhook", JSON, START, 401, "not_authentic"),
    ("unsigned and no JSON", "POST", "/zoom-webhook", JSON, b"{", 401, "not_authentic"),
    ("unsigned and empty", "POST", "/zoom-webhook", JSON, b"", 401, "not_authentic"),
    ("wrongly signed", "POST", "/zoom-webhook", JSON | dict(signed(START, NOW, "wrong")), START, 401, "not_authentic"),
    ("signed for another body", "POST", "/zoom-webhook", JSON | dict(signed(b"{}")), START, 401, "not_authentic"),
    ("stale", "POST", "/zoom-webhook", JSON | dict(signed(START, NOW - 5_702_000)), START, 401, "not_authentic"),
    ("over 1 MiB", "POST", "/zoom-webhook", JSON, b" " * (surface.MAX_BODY + 1), 413, "too_large"),
    ("over 1 MiB, chunked", "POST", "/zoom-webhook", JSON, None, 413, "too_large"),
    ("wrong content type", "POST", "/zoom-webhook", TEXT | dict(signed(START)), START, 415, "unsupported_content_type"),
    ("no content type", "POST", "/zoom-webhook", dict(signed(START)), START, 415, "unsupported_content_type"),
    ("wrong method", "GET", "/zoom-webhook", {}, b"", 405, "method_not_allowed"),
    ("wrong method", "PUT", "/zoom-webhook", JSON, START, 405, "method_not_allowed"),
    ("wrong path", "POST", "/zoom-webhook/", JSON | dict(signed(START)), START, 404, "not_found"),
    ("wrong path", "POST", "/", JSON | dict(signed(START)), START, 404, "not_found"),
    ("oracle", "POST", "/zoom-webhook", JSON, ORACLE, 400, "bad_request"),
    ("recall unsigned", "POST", "/recall-webhook", JSON, b"{}", 401, "not_authentic"),
    ("recall wrong type", "POST", "/recall-webhook", TEXT | dict(webhook_headers(b"{}")), b"{}", 415, "unsupported_content_type"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "method", "path", "headers", "body", "status", "code"), BAD_INPUT, ids=[row[0] for row in BAD_INPUT])
async def test_bad_input_has_its_answer_and_changes_nothing(
    kind: str, method: str, path: str, headers: dict[str, str], body: bytes | None, status: int, code: str
) -> None:
    bench = Bench()
    async with client(bench, "webhook") as http:
        answer = await http.request(method, path, headers=headers, content=chunks(2 * surface.MAX_BODY) if body is None else body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    said = answer.json()
    assert said["error"] == code
    assert said["reason"]
    assert "\n" not in said["reason"]
    assert bench.untouched
    signature = any(name.lower() == "x-zm-signature" for name in headers)
    assert [(line["status"], line["signed"]) for line in bench.log.of("delivery_refused")] == [(status, signature)]
    if status == 405:
        assert answer.headers["allow"] == "POST"


async def test_a_caller_that_is_refused_is_told_nothing_of_our_settings_and_the_log_is_told_what_to_look_at() -> None:
    bench = Bench()
    async with client(bench, "webhook") as http:
        said = [(await http.post("/zoom-webhook", headers=JSON | dict(signed(START, NOW, "another-token")), content=START)).text]
        said.append((await http.post("/zoom-webhook", headers=JSON | dict(signed(START, NOW - 5_702_000)), content=START)).text)
        said.append((await http.post("/recall-webhook", headers=JSON | dict(webhook_headers(b"{}", NOW)), content=b"[]")).text)
    for text in said:
        assert not any(name in text for name in ("ZOOM_", "RECALL_", "5700", "TOKEN", "SECRET"))
    assert [line["hint"] for line in bench.log.of("delivery_refused")] == [
        "is ZOOM_SECRET_TOKEN the app's?",
        "over 5700 s; is a clock wrong?",
        "is its secret in RECALL_WEBHOOK_SECRETS?",
    ]


@pytest.mark.parametrize("body", [b"{", b"[]", NO_FIELDS, b'{"event":[]}'])
async def test_a_signed_event_that_cannot_be_used_is_acknowledged_and_alarms(body: bytes) -> None:
    bench = Bench()
    async with client(bench, "webhook") as http:
        answer = await http.post("/zoom-webhook", headers=JSON | dict(signed(body)), content=body)
    assert (answer.status_code, answer.json()["status"]) == (200, "unusable")
    [line] = bench.log.of("event_unusable")
    assert (line["severity"], line["vendor"]) == ("ALERT", "zoom")


async def test_a_webhook_of_recalls_that_cannot_be_used_is_acknowledged_and_alarms() -> None:
    bench = Bench()
    async with client(bench, "webhook") as http:
        answer = await http.post("/recall-webhook", headers=JSON | dict(webhook_headers(b"{")), content=b"{")
    assert answer.status_code == 200
    assert [line["vendor"] for line in bench.log.of("event_unusable")] == ["recall"]


async def test_an_unknown_event_is_acknowledged() -> None:
    bench = Bench()
    body = encoded({"event": "meeting.created", "event_ts": NOW, "payload": {}})
    async with client(bench, "webhook") as http:
        answer = await http.post("/zoom-webhook", headers=JSON | dict(signed(body)), content=body)
    assert (answer.status_code, answer.json()) == (200, {"status": "ignored"})
    assert bench.untouched


async def test_a_repeated_header_is_refused_in_any_case_and_order() -> None:
    bench = Bench()
    stamp, signature = signed(START)
    async with client(bench, "webhook") as http:
        for extra in (("X-Zm-Signature", "v0=" + "0" * 64), ("X-ZM-REQUEST-TIMESTAMP", "1"), signature, stamp):
            for headers in ([extra, stamp, signature], [stamp, signature, extra]):
                answer = await http.post("/zoom-webhook", headers=[*JSON.items(), *headers], content=START)
                assert answer.status_code == 401
    assert bench.untouched


async def test_a_challenge_cannot_forge_a_start() -> None:
    """The attack: have the service sign `v0:<ts>:<start>` as a plainToken, and send the start with that signature."""
    bench = Bench()
    stamp = str(NOW // 1000)
    async with client(bench, "webhook") as http:
        for token in (f"v0:{stamp}:{START.decode()}", f"v0:{stamp}:", START.decode()):
            challenge = encoded({"event": "endpoint.url_validation", "event_ts": NOW, "payload": {"plainToken": token}})
            for headers in ({}, dict(signed(challenge))):
                answer = await http.post("/zoom-webhook", headers=JSON | headers, content=challenge)
                assert answer.status_code == 400
                assert "encryptedToken" not in answer.text
        good = encoded({"event": "endpoint.url_validation", "event_ts": NOW, "payload": {"plainToken": "abc"}})
        digest = (await http.post("/zoom-webhook", headers=JSON, content=good)).json()["encryptedToken"]
        forged = {"x-zm-request-timestamp": stamp, "x-zm-signature": f"v0={digest}"}
        assert (await http.post("/zoom-webhook", headers=JSON | forged, content=START)).status_code == 401
        assert (await http.post("/zoom-webhook", headers=JSON | forged, content=good)).status_code == 401
    assert bench.untouched


async def test_charset_and_typo_of_the_content_type_pass() -> None:
    bench = Bench()
    async with client(bench, "webhook") as http:
        for value in ("application/json; charset=utf-8", "application/json; charset-utf-8", "Application/JSON"):
            answer = await http.post("/zoom-webhook", headers={"content-type": value} | dict(signed(START)), content=START)
            assert answer.status_code == 200


async def test_a_queue_that_is_down_is_a_500_so_that_zoom_comes_again() -> None:
    bench = Bench()
    bench.facts_queue.down = True
    stop = encoded(stopped(NOW))
    async with client(bench, "webhook") as http:
        answer = await bench.clock.until_done(http.post("/zoom-webhook", headers=JSON | dict(signed(stop)), content=stop))
    assert (answer.status_code, answer.json()["error"]) == (500, QueueUnavailable.code)


async def test_a_body_that_drips_holds_no_connection_for_long() -> None:
    bench = Bench()

    async def drip() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with client(bench, "webhook") as http:
        answer = await bench.clock.until_done(http.post("/zoom-webhook", headers=JSON, content=drip()))
    assert (answer.status_code, answer.json()["error"]) == (408, "too_slow")


async def test_the_rest_of_the_public_surface() -> None:
    bench = Bench()
    async with client(bench, "webhook") as http:
        health = await http.get("/health")
        page = await http.get("/oauth-callback/zoom?code=c0de")
        head = await http.head("/health")
    assert (health.json()["role"], health.json()["code"]) == ("webhook", CODE)
    assert page.headers["content-type"].startswith("text/html")
    assert "c0de" not in page.text + json.dumps(bench.log.lines)
    assert head.status_code == 200


async def test_without_secrets_recalls_webhooks_are_refused() -> None:
    bench = Bench(RECALL_WEBHOOK_SECRETS="")
    async with client(bench, "webhook") as http:
        answer = await http.post("/recall-webhook", headers=JSON | dict(webhook_headers(b"{}")), content=b"{}")
    assert answer.status_code == 401
    assert "RECALL_WEBHOOK_SECRETS" in answer.json()["reason"]


ABOUT = {"stream": stream_key(STREAM), "entity_id": MEETING, "rtms_stream_id": STREAM}


async def test_a_delivery_of_zooms_is_one_line_with_what_became_of_it() -> None:
    bench = Bench()
    status, headers, text = await told(bench, "webhook", "POST", "/zoom-webhook", START, JSON | dict(signed(START)))
    assert (status, headers) == (200, NO_STORE)
    assert json.loads(text) == {"status": "enqueued", "stream": stream_key(STREAM)}
    notes: dict[str, Any] = {
        "name": "meeting.rtms_started",
        "outcome": "enqueued",
        **ABOUT,
        "latency_ms": 0,
        "queues": ["handoffs", "handoffs-second"],
    }
    assert of(bench, "delivery", "request") == [line("/zoom-webhook", "delivery", **notes, vendor="zoom")]


async def test_a_delivery_of_recalls_is_one_line_with_what_became_of_it() -> None:
    bench = Bench()
    data = {"data": {"code": "done", "sub_code": None, "updated_at": ""}, "recording": {"id": "rec-1", "metadata": {}}}
    body = encoded({"event": "recording.done", "data": data})
    status, headers, text = await told(bench, "webhook", "POST", "/recall-webhook", body, JSON | dict(webhook_headers(body)))
    assert (status, headers, json.loads(text)) == (200, NO_STORE, {"status": "ignored"})
    notes = {"name": "recording.done", "recording": "rec-1", "code": "done", "outcome": "ignored"}
    assert of(bench, "delivery", "request") == [line("/recall-webhook", "delivery", **notes, vendor="recall")]


def challenge(filled: int = 0) -> bytes:
    return encoded({"fill": "x" * filled, "event": "endpoint.url_validation", "event_ts": NOW, "payload": {"plainToken": "abc"}})


async def test_a_challenge_that_is_answered_and_one_that_is_refused_have_lines_of_their_own() -> None:
    bench = Bench()
    status, headers, text = await told(bench, "webhook", "POST", "/zoom-webhook", challenge(), JSON)
    assert (status, headers, sorted(json.loads(text))) == (200, NO_STORE, ["encryptedToken", "plainToken"])
    assert bench.log.lines == [line("/zoom-webhook", "challenge", name="endpoint.url_validation", outcome="challenge")]
    bench.log.lines.clear()
    wrongly = JSON | dict(signed(challenge(), NOW, "another-token"))
    status, _, text = await told(bench, "webhook", "POST", "/zoom-webhook", challenge(), wrongly)
    reason = json.loads(text)["reason"]
    assert (status, "signature" in reason) == (401, True)
    [refused, delivery] = bench.log.lines
    assert refused == {"severity": "ERROR", "event": "challenge_refused", "reason": reason}
    assert (delivery["event"], delivery["code"], delivery["signed"]) == ("delivery_refused", "not_authentic", True)


@pytest.mark.parametrize(("filled", "named"), [(4096 - len(b'{"fill":"","event":"endpoint.url_validation'), 1), (4096 - 42, 0)])
async def test_a_refused_challenge_is_known_by_its_first_four_kibibytes(filled: int, named: int) -> None:
    bench = Bench()
    body = challenge(filled)
    assert body[:4096].endswith(b"endpoint.url_validation") is bool(named)
    status, _, _ = await told(bench, "webhook", "POST", "/zoom-webhook", body, JSON | dict(signed(body, NOW, "another-token")))
    assert status == 401
    assert len(bench.log.of("challenge_refused")) == named


async def test_another_refused_delivery_is_no_refused_challenge_and_says_whether_it_was_signed() -> None:
    bench = Bench()
    for headers in ({}, {"X-Zm-Signature": "v0=x"}):
        assert (await told(bench, "webhook", "POST", "/zoom-webhook", START, JSON | headers))[0] == 401
    assert [(one["event"], one["severity"], one["signed"]) for one in bench.log.lines] == [
        ("delivery_refused", "WARNING", False),
        ("delivery_refused", "WARNING", True),
    ]


async def test_the_page_after_zooms_consent_loads_nothing_and_is_kept_by_nobody() -> None:
    bench = Bench()
    status, headers, text = await told(bench, "webhook", "GET", "/oauth-callback/zoom?code=c0de&state=x")
    assert (status, headers) == (
        200,
        {
            **NO_STORE,
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
        },
    )
    assert text.startswith("<!doctype html>")
    assert "<h1>The app is added.</h1>" in text
    assert bench.log.lines == [line("/oauth-callback/zoom", method="GET")]
