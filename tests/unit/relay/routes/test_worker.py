"""The worker over HTTP: who may call what, every kind of bad input, and every answer and line of the log to the letter."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.ports.bench import Bench
from tests.ports.events import ENVIRON, NOW, STREAM, started, stopped
from tests.unit.relay.routes.serving import CODE, EMAILS, JSON, KEY, NO_STORE, client, line, token, told

from rtms_relay import settings, wiring
from rtms_relay.adapters import identity
from rtms_relay.handoff.keys import stream_key
from rtms_relay.replies import Reply
from rtms_relay.routes.worker import WorkerRoutes


async def test_whatever_breaks_is_a_500_without_a_traceback_and_is_told() -> None:
    bench = Bench()

    async def broken(_: str) -> None:
        raise ZeroDivisionError("inside")

    bench.store.trouble = broken
    async with client(bench, "worker") as http:
        answer = await http.get("/recordings")
    assert (answer.status_code, answer.json()) == (500, {"error": "internal", "reason": "an unexpected error; see the log"})
    assert "ZeroDivisionError: inside at test_worker.py" in bench.log.of("error")[0]["what"]


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
