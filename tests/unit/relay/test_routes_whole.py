"""Both functions' routes, to the letter: every answer with its headers, and the one line that the log has of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.ports.bench import Bench, key_of
from tests.ports.events import MEETING, NOW, STREAM, signed, started, stopped, webhook_headers
from tests.unit.relay.test_routes import CODE, EMAILS, JSON, START, client, encoded, token

from rtms_relay import __version__
from rtms_relay.adapters import identity
from rtms_relay.handoff.keys import stream_key
from rtms_relay.replies import Reply
from rtms_relay.routes.webhook import WebhookRoutes
from rtms_relay.routes.worker import WorkerRoutes

KEY = key_of()
NO_STORE = {"cache-control": "no-store"}


async def told(
    bench: Bench, role: str, method: str, path: str, content: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], str]:
    """Status, headers and text of an answer. Headers that every answer has (type of JSON, length) are left out."""
    async with client(bench, role) as http:
        answer = await bench.clock.until_done(http.request(method, path, content=content, headers=headers or {}))
    shown = {name: value for name, value in answer.headers.items() if name != "content-length"}
    if shown.get("content-type") == "application/json":
        del shown["content-type"]
    return answer.status_code, shown, answer.text


def line(path: str, event: str = "request", method: str = "POST", **notes: Any) -> dict[str, Any]:
    return {"severity": "INFO", "event": event, "status": 200, "ms": 0, "method": method, "path": path, **notes}


def of(bench: Bench, *events: str) -> list[dict[str, Any]]:
    return [one for one in bench.log.lines if one["event"] in events]


@pytest.mark.parametrize("role", ["webhook", "worker"])
async def test_health_says_what_runs_and_leaves_no_line(role: str) -> None:
    bench = Bench()
    status, headers, text = await told(bench, role, "GET", "/health")
    assert (status, headers) == (200, NO_STORE)
    assert json.loads(text) == {"status": "ok", "role": role, "version": __version__, "code": CODE}
    assert bench.log.lines == []


async def test_without_a_hash_of_the_code_health_says_none() -> None:
    bench = Bench()
    for routes in (WebhookRoutes(bench.intake, bench.clock, bench.log), WorkerRoutes(bench.worker, bench.clock, bench.log)):
        assert routes._code == ""
        assert routes.surface._project == ""


# The webhook

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


# The worker


async def with_a_recording() -> Bench:
    bench = Bench()
    await bench.zoom(started())
    await bench.run(1)
    bench.recall.record("mdc-1")
    bench.log.lines.clear()
    return bench


async def test_a_task_is_one_line_with_what_cloud_tasks_says_of_it() -> None:
    bench = Bench()
    bench.home.stalled = bench.second.stalled = True
    await bench.zoom(started())
    [task] = bench.home.tasks
    bench.log.lines.clear()
    said = {"X-CloudTasks-TaskName": "t" * 300, "X-CloudTasks-QueueName": "q", "X-CloudTasks-TaskRetryCount": "2"}
    status, headers, text = await told(bench, "worker", "POST", "/events", task.body, JSON | said)
    assert (status, headers, json.loads(text)) == (200, NO_STORE, {"status": "accepted"})
    [found] = bench.log.of("request")
    notes = {"name": "meeting.rtms_started", "outcome": "accepted", "stream": stream_key(STREAM), "rtms_stream_id": STREAM}
    assert found == line("/events", **notes, task="t" * 200, queue="q", retry="2")


@pytest.mark.parametrize(
    ("path", "given", "due"),
    [
        ("/events", None, None),
        ("/handoff", "1795338000.5", 1_795_338_000_500),
        ("/retrieve", "1795338000", 1_795_338_000_000),
        ("/events", "soon", None),
        ("/events", "inf", None),
        ("/events", "nan", None),
        ("/events", "", None),
    ],
)
async def test_a_task_goes_to_its_use_case_with_its_path_and_when_it_was_due(path: str, given: str | None, due: int | None) -> None:
    bench = Bench()
    received: list[Any] = []

    async def receive(path: str, body: bytes, due_ms: int | None) -> Reply:
        received.append((path, body, due_ms))
        return Reply({"status": "x"})

    bench.worker.receive = receive  # ty: ignore[invalid-assignment]
    headers = JSON if given is None else JSON | {"X-CloudTasks-TaskETA": given}
    assert (await told(bench, "worker", "POST", path, b"{}", headers))[0] == 200
    assert received == [(path, b"{}", due)]
    assert bench.log.lines == [line(path)]


@pytest.mark.parametrize(("content", "probes"), [(b"", 0), (b"{}", 0), (b'{"probe":false,"x":1}', 0), (b'{"probe":true}', 4)])
async def test_a_sweep_is_one_line_and_takes_no_body_or_a_wish_for_a_probe(content: bytes, probes: int) -> None:
    bench = Bench()
    counts = {"due": 0, "handoffs": 0, "enqueued": 0, "looked": 0}
    status, headers, text = await told(bench, "worker", "POST", "/sweep", content)
    assert (status, headers, json.loads(text)) == (200, NO_STORE, counts)
    assert bench.log.of("request") == [line("/sweep", outcome="swept")]
    assert sum(len(queue.tasks) + queue.dispatched for queue in bench.queues.values()) == probes


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"probe":1}', b"\xff", b"[" * 100_000])
async def test_a_sweep_with_another_body_is_refused(content: bytes) -> None:
    status, _, text = await told(Bench(), "worker", "POST", "/sweep", content)
    assert (status, json.loads(text)) == (400, {"error": "bad_request", "reason": 'the body must be {} or {"probe": true}'})


async def test_lists_stories_and_links_for_people_are_one_line_each() -> None:
    bench = await with_a_recording()
    for path, holds in (
        ("/handoffs", "handoffs"),
        ("/recordings", "recordings"),
        (f"/handoffs/{KEY}", "tries"),
        (f"/recordings/{KEY}", "links"),
    ):
        status, headers, text = await told(bench, "worker", "GET", path)
        assert (status, headers, holds in json.loads(text)) == (200, NO_STORE, True), path
    assert [one["path"] for one in bench.log.lines] == ["/handoffs", "/recordings", f"/handoffs/{KEY}", f"/recordings/{KEY}"]
    assert bench.log.lines[0] == line("/handoffs", method="GET")


async def test_a_retry_is_one_line_that_says_what_was_done() -> None:
    bench = await with_a_recording()
    await bench.zoom(stopped(NOW + 5_000))
    await bench.run(1)
    bench.log.lines.clear()
    status, headers, text = await told(bench, "worker", "POST", f"/handoffs/{KEY}/retry")
    assert (status, headers, json.loads(text)["did"]) == (200, NO_STORE, "looked")
    assert bench.log.of("request") == [line(f"/handoffs/{KEY}/retry", handoff=KEY, outcome="looked")]


async def test_a_check_up_and_what_came_of_it_are_one_line_each() -> None:
    bench = Bench()
    status, headers, text = await told(bench, "worker", "POST", "/handoffs/checkup")
    number = json.loads(text)["number"]
    assert (status, headers, number) == (200, NO_STORE, f"checkup-{NOW}")
    status, headers, text = await told(bench, "worker", "GET", f"/handoffs/checkup/{number}")
    assert (status, headers, json.loads(text)["number"]) == (200, NO_STORE, number)
    assert bench.log.of("request") == [line("/handoffs/checkup"), line(f"/handoffs/checkup/{number}", method="GET")]


async def test_a_download_is_a_redirect_that_nobody_keeps_and_that_tells_the_next_host_nothing() -> None:
    bench = await with_a_recording()
    link = "https://bucket.example/rec-1.mp4?Signature=s3cr3tlink"
    wanted = {**NO_STORE, "location": link, "referrer-policy": "no-referrer"}
    for query in ("", "?artifact=video_mixed", "?recording=rec-1", "?artifact=video_mixed&recording=rec-1"):
        assert await told(bench, "worker", "GET", f"/recordings/{KEY}/download{query}") == (302, wanted, ""), query
    assert bench.log.lines[0] == {**line(f"/recordings/{KEY}/download", method="GET"), "status": 302}
    for query, status, reason in (
        ("?recording=rec-2", 404, "no video_mixed or audio_mixed to download; recordings: done"),
        ("?artifact=audio_mixed", 404, "no audio_mixed to download; recordings: done"),
        ("?artifact=video_mixed&artifact=x", 400, "artifact may come only once"),
        ("?recording=rec-1&recording=rec-1", 400, "recording may come only once"),
    ):
        answer = await told(bench, "worker", "GET", f"/recordings/{KEY}/download{query}")
        assert (answer[0], json.loads(answer[2])["reason"]) == (status, reason), query


LISTED = "state, recording, since, stream, meeting, mdc, limit, cursor, id"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/handoffs?b=1&a=2", f"unknown query parameter: 'a', 'b'; allowed: {LISTED}"),
        ("/recordings?f&e&d&c&b&a", "unknown query parameter: 'a', 'b', 'c', 'd', 'e'; allowed: " + LISTED),
        ("/recordings?" + "x" * 51, "unknown query parameter: '" + "x" * 50 + "'; allowed: " + LISTED),
        (f"/recordings/{KEY}?id=1", "unknown query parameter: 'id'; allowed: none"),
        (f"/handoffs/{KEY}?id=1", "unknown query parameter: 'id'; allowed: none"),
        ("/handoffs/checkup/x?id=1", "unknown query parameter: 'id'; allowed: none"),
        (f"/recordings/{KEY}/download?id=1", "unknown query parameter: 'id'; allowed: artifact, recording"),
        ("/handoffs?limit=1&limit=1", "limit may come only once"),
    ],
)
async def test_every_path_for_people_names_the_parameters_that_it_takes(path: str, reason: str) -> None:
    bench = Bench()
    status, headers, text = await told(bench, "worker", "GET", path.replace("&", "=1&"))
    assert (status, headers, json.loads(text)) == (400, NO_STORE, {"error": "bad_request", "reason": reason})
    [found] = bench.log.lines
    assert (found["event"], found["severity"], "signed" in found) == ("request", "WARNING", False)


@pytest.mark.parametrize("path", ["/handoffs/checkup?id=1", f"/handoffs/{KEY}/retry?id=1"])
async def test_what_is_asked_to_be_done_takes_no_parameters(path: str) -> None:
    status, _, text = await told(Bench(), "worker", "POST", path)
    assert (status, json.loads(text)["reason"]) == (400, "unknown query parameter: 'id'; allowed: none")


async def test_a_caller_is_looked_at_before_a_task_is_read_and_without_invokers_nobody_is_one() -> None:
    bench = Bench()
    gate = identity.gate(environ={"K_SERVICE": "worker"}, worker_url="https://worker.example", clock=bench.clock)
    routes = WorkerRoutes(bench.worker, bench.clock, bench.log, gate=gate)
    assert routes._invokers == {}
    async with client(bench, "worker", gate=gate) as http:
        answer = await http.post("/events", content=b"{", headers={"Authorization": token("ada@example.com")})
    assert (answer.status_code, answer.json()) == (
        403,
        {"error": "not_allowed", "reason": "/events is called by its queue or Scheduler alone"},
    )
    async with client(bench, "worker", gate=gate) as http:
        answer = await http.post("/events", content=b"{", headers={"Authorization": token(EMAILS["/events"])})
    assert answer.json()["error"] == "unsupported_content_type"
