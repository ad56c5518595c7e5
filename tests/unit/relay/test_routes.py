"""The HTTP surface under the real functions-framework app: every kind of bad input, and what an answer says."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from functions_framework import aio
from tests.ports.bench import Bench, key_of
from tests.ports.events import ENVIRON, NOW, signed, started, stopped, webhook_headers

from rtms_relay import settings, wiring
from rtms_relay.adapters import identity
from rtms_relay.callers import Gate
from rtms_relay.errors import QueueUnavailable
from rtms_relay.routes import http as surface
from rtms_relay.routes.webhook import WebhookRoutes
from rtms_relay.routes.worker import WorkerRoutes

JSON = {"content-type": "application/json"}
KEY = key_of()
CODE = "c0de" * 16


def client(bench: Bench, role: str, gate: Gate | None = None) -> httpx.AsyncClient:
    if role == "webhook":
        routes: WebhookRoutes | WorkerRoutes = WebhookRoutes(bench.intake, bench.clock, bench.log, code=CODE)
    else:
        routes = WorkerRoutes(bench.worker, bench.clock, bench.log, code=CODE, gate=gate, invokers=EMAILS if gate else None)

    async def function(request: Any) -> Any:
        return await routes.surface(request)

    app = aio._create_asgi_app_with_function(function, "http", enable_id_logging=False)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://function")


def encoded(event: Any) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


START = encoded(started())
NO_FIELDS = b'{"event":"meeting.rtms_started","event_ts":1,"payload":{}}'
ORACLE = encoded({"event": "endpoint.url_validation", "payload": {"plainToken": "v0:1:{}"}})
TEXT = {"content-type": "text/plain"}


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 65536):
        yield b" " * 65536


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


async def test_whatever_breaks_is_a_500_without_a_traceback_and_is_told() -> None:
    bench = Bench()

    async def broken(_: str) -> None:
        raise ZeroDivisionError("inside")

    bench.store.trouble = broken
    async with client(bench, "worker") as http:
        answer = await http.get("/recordings")
    assert (answer.status_code, answer.json()) == (500, {"error": "internal", "reason": "an unexpected error; see the log"})
    assert "ZeroDivisionError: inside at test_routes.py" in bench.log.of("error")[0]["what"]


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


async def test_tasks_sweep_and_recordings_over_http() -> None:
    bench = Bench()
    bench.home.stalled = bench.second.stalled = True
    await bench.zoom(started())
    [task] = bench.home.tasks
    async with client(bench, "worker") as http:
        headers = JSON | {"X-CloudTasks-TaskName": "t1", "X-CloudTasks-TaskRetryCount": "0", "X-CloudTasks-QueueName": "q"}
        answer = await bench.clock.until_done(http.post("/events", content=task.body, headers=headers))
        assert answer.json() == {"status": "accepted"}
        assert [bench.log.of("request")[0][name] for name in ("task", "retry", "queue")] == ["t1", "0", "q"]
        bench.recall.record("mdc-1")
        bench.retrievals.down = True
        await bench.run(1_800)
        assert (await http.post("/sweep", content=b"{}", headers=JSON)).json() == {"due": 1, "handoffs": 0, "enqueued": 0, "looked": 1}
        assert (await http.post("/retrieve", json={"id": KEY})).json() == {"status": "done"}
        listed = (await http.get("/recordings?limit=1")).json()
        assert [row["id"] for row in listed["recordings"]] == [KEY]
        assert listed["next"] is None
        shown = (await http.get(f"/recordings/{KEY}")).json()
        moved = await http.get(f"/recordings/{KEY}/download?artifact=video_mixed")
    assert moved.status_code == 302
    assert moved.headers["location"] == shown["links"]["rec-1"]["video_mixed"]
    assert moved.headers["cache-control"] == "no-store"
    assert "s3cr3tlink" not in json.dumps(bench.log.lines)


async def test_a_task_that_this_release_cannot_read_comes_again_until_its_window_is_over() -> None:
    bench = Bench()
    body = b'{"v":9,"kind":"start","received_ms":%d}' % NOW
    async with client(bench, "worker") as http:
        early = await http.post("/events", content=body, headers=JSON)
        await bench.run(61)
        late = await http.post("/events", content=body, headers=JSON)
        dated = await http.post("/events", content=b"{", headers=JSON | {"X-CloudTasks-TaskETA": f"{bench.clock.now / 1000:.6f}"})
        undated = await http.post("/events", content=b"{", headers=JSON)
    assert [answer.status_code for answer in (early, late, dated, undated)] == [500, 200, 500, 200]
    assert early.json()["error"] == "task_unusable"
    assert "version 9" in late.json()["reason"]
    assert {line["severity"] for line in bench.log.of("task_unusable")} == {"ALERT"}
    assert len(bench.store.all("unusable")) == 2


EMAILS = {"/events": "events@p.example", "/retrieve": "retrieve@p.example", "/sweep": "sweep@p.example"}
PATHS = [
    ("POST", "/events"),
    ("POST", "/handoff"),
    ("POST", "/retrieve"),
    ("POST", "/sweep"),
    ("GET", "/recordings"),
    ("GET", f"/recordings/{KEY}"),
    ("GET", "/handoffs"),
    ("POST", f"/handoffs/{KEY}/retry"),
    ("POST", "/handoffs/checkup"),
    ("GET", "/handoffs/checkup/checkup-1"),
]


def token(email: str, *, audience: str = "https://worker.example", expires: int = NOW // 1000 + 600) -> str:
    """An identity token as Cloud Run passes it on: without its signature."""
    claims = json.dumps({"email": email, "email_verified": True, "aud": audience, "exp": expires}).encode()
    return f"Bearer e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.SIGNATURE_REMOVED_BY_GOOGLE"


def allowed(email: str, path: str) -> bool:
    """An own reading of who may call what."""
    own = {email: path for path, email in EMAILS.items()}.get(email)
    return path.startswith(("/recordings", "/handoffs")) if own is None else {"/handoff": "/events"}.get(path, path) == own


@pytest.mark.parametrize("email", [*EMAILS.values(), "ada@example.com"])
async def test_each_identity_calls_its_own_path_and_nothing_else(email: str) -> None:
    bench = Bench()
    clock = bench.clock
    platform = identity.gate(environ={"K_SERVICE": "worker"}, worker_url="https://worker.example", clock=clock)
    async with client(bench, "worker", gate=platform) as http:
        for method, path in PATHS:
            headers = JSON | {"Authorization": token(email)}
            answer = await clock.until_done(http.request(method, path, headers=headers, content=b"{}" if method == "POST" else b""))
            assert (answer.status_code != 403) == allowed(email, path), (email, path, answer.text)


async def test_a_token_that_says_nothing_clear_opens_no_path_of_tasks() -> None:
    bench = Bench()
    platform = identity.gate(environ={"K_SERVICE": "worker"}, worker_url="https://worker.example", clock=bench.clock)
    good = token(EMAILS["/events"])
    unclear = [
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": token(EMAILS["/events"], audience="https://other.example")},
        {"Authorization": token(EMAILS["/events"], expires=NOW // 1000 - 1)},
        {"Authorization": good, "X-Serverless-Authorization": token("ada@example.com")},
        {"X-CloudTasks-QueueName": "handoffs"},
    ]
    async with client(bench, "worker", gate=platform) as http:
        for headers in unclear:
            answer = await http.post("/events", headers=JSON | headers, content=b"{}")
            assert (answer.status_code, answer.json()["error"]) == (403, "not_allowed")
        health = await http.get("/health")
    assert (health.status_code, health.json()["role"], health.json()["code"]) == (200, "worker", CODE)
    assert bench.untouched


def test_a_worker_outside_cloud_run_is_open_to_nobody_without_a_token_or_the_secret_of_the_run() -> None:
    def kind(url: str, invokers: str = "", secret: str = "", **environ: str) -> object:
        told = ENVIRON | {"WORKER_URL": url, "TASKS_INVOKERS": invokers, "RUN_SECRET": secret}
        return type(wiring.gate(settings.load(told, "worker"), environ))

    names = ",".join(f"{path[1:]}={email}" for path, email in EMAILS.items())
    assert kind("http://127.0.0.1:8080") is kind("http://localhost:8080") is identity.TokenGate
    for loopback in ("http://127.0.0.1:8080", "http://localhost", "http://[::1]:9", "http://127.1.2.3:1"):
        assert kind(loopback, secret="s3cret-of-the-run") is kind(loopback, names, "s3cret-of-the-run") is identity.RunGate
        assert kind(loopback, secret="s3cret-of-the-run", K_SERVICE="w") is identity.PlatformGate
    assert kind("http://127.0.0.1:8080", names) is identity.TokenGate
    assert kind("https://worker.example") is kind("https://worker.example", names) is identity.TokenGate
    assert kind("https://worker.example", names, K_SERVICE="w") is kind("http://127.0.0.1:1", K_SERVICE="w") is identity.PlatformGate


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (
            "/recordings?stat=failed",
            "unknown query parameter: 'stat'; allowed: state, recording, since, stream, meeting, mdc, limit, cursor",
        ),
        ("/recordings?Limit=5&cursors=1", "unknown query parameter: 'Limit', 'cursors'; allowed: state"),
        (
            "/handoffs?reason=401",
            "unknown query parameter: 'reason'; allowed: state, recording, since, stream, meeting, mdc, limit, cursor",
        ),
        (f"/handoffs/{KEY}?x=1", "unknown query parameter: 'x'; allowed: none"),
        (f"/recordings/{KEY}?links=1", "unknown query parameter: 'links'; allowed: none"),
        (f"/recordings/{KEY}/download?artefact=video_mixed", "unknown query parameter: 'artefact'; allowed: artifact, recording"),
        ("/recordings?" + "x" * 5000, "unknown query parameter: '" + "x" * 50 + "'; allowed"),
        ("/recordings?%0a=1", "unknown query parameter"),
    ],
)
async def test_a_query_parameter_that_the_worker_does_not_know_is_refused_by_name(path: str, says: str) -> None:
    bench = Bench()
    async with client(bench, "worker") as http:
        answer = await http.get(path)
    assert (answer.status_code, says in answer.json()["reason"]) == (400, True), answer.text
    assert "\n" not in answer.json()["reason"]


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", "/sweep", b"[]", 400),
        ("POST", "/sweep", b'{"probe":1}', 400),
        ("GET", "/events", b"", 405),
        ("GET", "/sweep", b"", 405),
        ("POST", "/recordings", b"{}", 405),
        ("GET", "/recordings?limit=0", b"", 400),
        ("GET", "/recordings?limit=x", b"", 400),
        ("GET", "/recordings?limit=1&limit=2", b"", 400),
        ("GET", "/recordings?cursor=x", b"", 400),
        ("GET", "/recordings?cursor=1.99999999999999999999999", b"", 400),
        ("GET", "/recordings?cursor=1795338000000.9999999", b"", 400),
        ("GET", f"/recordings/{'f' * 64}", b"", 404),
        ("POST", "/handoffs", b"{}", 405),
        ("GET", "/handoffs?cursor=x", b"", 400),
        ("GET", "/handoffs?state=lost", b"", 400),
        ("GET", "/handoffs?state=failed&state=expired", b"", 400),
        ("GET", "/handoffs?since=now", b"", 400),
        ("GET", "/handoffs?id=xyz", b"", 400),
        ("GET", "/handoffs/nothing", b"", 400),
        ("GET", f"/handoffs/{KEY.upper()}", b"", 400),
        ("GET", f"/handoffs/{'f' * 64}", b"", 404),
        ("GET", f"/handoffs/{KEY}/retry", b"", 405),
        ("POST", "/handoffs/nothing/retry", b"", 400),
        ("POST", f"/handoffs/{'f' * 64}/retry", b"", 404),
        ("POST", f"/handoffs/{KEY}/retry?now=1", b"", 400),
        ("GET", "/recordings/nothing/download", b"", 404),
        ("GET", f"/recordings/{KEY}/download?artifact=zzz", b"", 400),
        ("GET", "/zoom-webhook", b"", 404),
    ],
)
async def test_bad_input_to_the_worker(method: str, path: str, content: bytes, status: int) -> None:
    bench = Bench()
    async with client(bench, "worker") as http:
        answer = await http.request(method, path, content=content, headers=JSON if method == "POST" else {})
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "reason"}
