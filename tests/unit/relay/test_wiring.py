"""The composition root: every setting, set to an odd value, shows in what the deployed function really does at its borders.

The function is loaded as functions-framework loads it. Its borders are watched: what it asks of Cloud Tasks, what it sends to Recall,
what is in its files, what it answers, what it logs. A setting without a row fails.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import logging
import sqlite3
import sys
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from functions_framework import aio
from tests.ports.events import ENVIRON, MEETING, STREAM, TOKEN, WHSEC, signed, webhook_headers

import rtms_relay
from rtms_relay import settings
from rtms_relay.adapters.sqlite import SqliteStore

MAIN = Path(rtms_relay.__file__).parents[1] / "main.py"
RUN = "secret-of-the-run"
HERE = "http://127.0.0.1:9"
JSON = {"content-type": "application/json"}
WORKER = {"WORKER_URL": HERE, "RUN_SECRET": RUN}
"""A worker on loopback, which the process that started it may call."""


def says(status: int, body: Any) -> httpx.Response:
    """An answer whose body is still to come, as from a socket."""
    return httpx.Response(status, stream=httpx.ByteStream(body if isinstance(body, bytes) else json.dumps(body).encode()))


@dataclass
class Border:
    """What the function did: (queue, task) at Cloud Tasks, the addresses dialed for it, requests to Recall and what stood in `file` then.

    `recall`: answers a request to Recall.
    """

    file: Path
    tasks: list[tuple[str, Any]] = field(default_factory=list)
    dialed: list[str] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    during: list[dict[str, Any]] = field(default_factory=list)
    recall: Callable[[httpx.Request], httpx.Response] = lambda _: says(201, {"id": "mdc-1"})

    async def answer(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        if self.file.exists():
            self.during += [found.fields async for found in self.records("handoffs")]
        return self.recall(request)

    async def records(self, collection: Any) -> AsyncGenerator[Any]:
        store = SqliteStore(str(self.file))
        try:
            for found in await store.newest(collection, 10):
                yield found
        finally:
            await store.close()

    def posted(self) -> dict[str, Any]:
        return json.loads(self.requests[0].content)


@pytest.fixture
def border(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Border]:
    seen = Border(tmp_path / "state.sqlite")

    class Client:
        def __init__(self, transport: object = None) -> None:
            self.transport = transport

        async def create_task(self, *, parent: str, task: Any, **_: object) -> None:
            seen.tasks.append((parent, task))

    def dial(target: str, **_: object) -> None:
        seen.dialed.append(target)

    monkeypatch.setattr("google.cloud.tasks_v2.CloudTasksAsyncClient", Client)
    monkeypatch.setattr("grpc.aio.insecure_channel", dial)
    monkeypatch.setattr("google.cloud.tasks_v2.services.cloud_tasks.transports.CloudTasksGrpcAsyncIOTransport", lambda *, channel: channel)
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", lambda _, request: seen.answer(request))
    root, hooks = logging.getLogger(), (sys.unraisablehook, threading.excepthook)
    handlers = list(root.handlers)
    yield seen
    # `logs.install` took the process over.
    root.handlers[:] = handlers
    logging.captureWarnings(False)
    sys.unraisablehook, threading.excepthook = hooks


@dataclass
class Made:
    """One function, loaded; its caller; its borders; the lines that it has logged."""

    http: httpx.AsyncClient
    border: Border
    lines: Callable[[], list[dict[str, Any]]]


@asynccontextmanager
async def loaded(
    role: settings.Role, environ: Mapping[str, str], border: Border, patch: pytest.MonkeyPatch, lines: Callable[[], list[dict[str, Any]]]
) -> AsyncGenerator[Made]:
    with patch.context() as inside:
        for name in (*(variable.name for variable in settings.VARIABLES), "FUNCTION_TARGET", "K_SERVICE"):
            inside.delenv(name, raising=False)
        for name, value in {**ENVIRON, "STATE_URL": f"sqlite://{border.file}", **environ}.items():
            inside.setenv(name, value)
        app = aio.create_asgi_app(role, str(MAIN))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://function") as http:
            try:
                yield Made(http, border, lines)
            finally:
                await close(sys.modules["main"], role)
        inside.delenv("FUNCTION_TARGET", raising=False)


async def close(main: Any, role: settings.Role) -> None:
    """Nothing closes a deployed function but the end of its process."""
    if role == "worker" and role in main._surfaces:
        worker = main._surfaces[role]._routes[0][2].__closure__
        served = next(cell.cell_contents for cell in worker if hasattr(cell.cell_contents, "_worker"))._worker
        await served._records._store.close()
        await served._recordings._api.close()


# What is seen from outside. Each is done to a function with the odd value and to one without it.


async def zoom(made: Made, event: Mapping[str, Any], *, token: str = TOKEN, age_s: float = 0.0) -> int:
    body = json.dumps(event).encode()
    headers = [*JSON.items(), *signed(body, int((time.time() - age_s) * 1000), token)]
    return (await made.http.post("/zoom-webhook", content=body, headers=headers)).status_code


def start(urls: str = "wss://rtms-a.zoom.us:443", *, age_s: float = 0.0) -> dict[str, Any]:
    payload = {"meeting_uuid": MEETING, "rtms_stream_id": STREAM, "server_urls": urls}
    return {"event": "meeting.rtms_started", "event_ts": int((time.time() - age_s) * 1000), "payload": payload}


STOP = {"event": "meeting.rtms_stopped", "event_ts": 1, "payload": {"rtms_stream_id": STREAM, "stop_reason": 6}}


async def recall(made: Made, secret: str = WHSEC) -> int:
    recording = {"id": "rec-1", "metadata": {"rtmskit_handoff": "a" * 64}}
    body = json.dumps({"event": "recording.done", "data": {"data": {"code": "done"}, "recording": recording}}).encode()
    headers = [*JSON.items(), *webhook_headers(body, int(time.time() * 1000), secret=secret)]
    return (await made.http.post("/recall-webhook", content=body, headers=headers)).status_code


async def task(made: Made, path: str, body: Mapping[str, Any] | bytes, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await made.http.post(path, content=content, headers={**JSON, "authorization": f"Bearer {RUN}", **headers})


def started(product: str = "meeting", urls: str = "wss://rtms-a.zoom.us:443", *, age_s: float = 0.0) -> dict[str, Any]:
    known = {"v": 2, "kind": "start", "event": f"{product}.rtms_started", "product": product, "stream_id": STREAM, "entity_id": MEETING}
    now = int(time.time() * 1000)
    return {**known, "received_ms": now, "server_urls": urls, "event_ts": now - int(age_s * 1000)}


async def handed_on(made: Made, **given: Any) -> dict[str, Any]:
    """What a start makes the worker POST."""
    assert (await task(made, "/events", started(**given))).status_code == 200
    return made.border.posted()


async def sent_to(made: Made) -> str:
    await handed_on(made)
    return str(made.border.requests[0].url)


async def key_of_the_call(made: Made) -> str:
    await handed_on(made)
    return made.border.requests[0].headers["authorization"]


async def signature(made: Made) -> str:
    return (await handed_on(made))["zoom_rtms"]["signature"]


async def queues_of(made: Made, event: Mapping[str, Any]) -> set[str]:
    await zoom(made, event)
    return {queue for queue, _ in made.border.tasks}


async def queue_of_a_look(made: Made) -> set[str]:
    await recall(made)
    return {queue for queue, _ in made.border.tasks}


async def probed(made: Made) -> list[str]:
    """The worker puts a probe on every queue."""
    await task(made, "/sweep", {"probe": True})
    return [queue for queue, _ in made.border.tasks]


async def deadlines(made: Made) -> set[float]:
    await zoom(made, start())
    return {one.dispatch_deadline.total_seconds() for _, one in made.border.tasks}


async def target(made: Made) -> str:
    await zoom(made, STOP)
    return made.border.tasks[0][1].http_request.url


async def probe_targets(made: Made) -> str:
    await probed(made)
    return made.border.tasks[0][1].http_request.url


async def dialed_by_the_webhook(made: Made) -> set[str]:
    await zoom(made, start())
    return set(made.border.dialed)


async def dialed_by_the_worker(made: Made) -> set[str]:
    await probed(made)
    return set(made.border.dialed)


async def tokens(made: Made) -> list[tuple[str, str]]:
    await zoom(made, STOP)
    await recall(made)
    found = [one.http_request.oidc_token for _, one in made.border.tasks]
    return [(token.service_account_email, token.audience) for token in found]


async def opened(made: Made) -> list[int]:
    """How the worker on Cloud Run answers one identity on the paths of tasks."""
    claims = {"email": "odd@p.example", "email_verified": True, "aud": "https://odd.example", "exp": time.time() + 60}
    bearer = f"Bearer e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.SIGNATURE_REMOVED_BY_GOOGLE"
    return [(await task(made, path, b"{}", authorization=bearer)).status_code for path in ("/events", "/sweep")]


async def deauthorized(made: Made) -> str:
    await zoom(made, {"event": "app_deauthorized", "payload": {"account_id": "a", "user_id": "u", "client_id": "c"}})
    return next(line["severity"] for line in made.lines() if line["event"] == "app_deauthorized")


async def health(made: Made) -> str:
    return (await made.http.get("/health")).json()["code"]


async def start_in_the_webhooks_log(made: Made) -> tuple[str, bool]:
    await zoom(made, start())
    return stream_in_the_log(made)


async def start_in_the_workers_log(made: Made) -> tuple[str, bool]:
    await task(made, "/events", started())
    return stream_in_the_log(made)


def stream_in_the_log(made: Made) -> tuple[str, bool]:
    """How the lines call the stream, and whether its raw id, or the meeting's, stands anywhere in them."""
    lines = made.lines()
    [shown] = {line["rtms_stream_id"] for line in lines if "rtms_stream_id" in line}
    told = json.dumps(lines)
    return shown, STREAM in told or MEETING in told


async def old_and_unreadable(made: Made) -> int:
    """A task that this release cannot read is repeated while its stream could be joined."""
    return (await task(made, "/events", b"{", **{"x-cloudtasks-tasketa": f"{time.time() - 40:.3f}"})).status_code


async def servers_posted(made: Made) -> list[str]:
    await task(made, "/events", started(urls="wss://a.odd.example"))
    return [json.loads(request.content)["zoom_rtms"]["server_urls"] for request in made.border.requests]


async def time_for_recall(made: Made) -> tuple[float, int]:
    """How long the client waits for an answer, s, and how long the lease of the attempt is, in tens of seconds."""
    await handed_on(made)
    attempt = made.border.during[0]["attempt"]
    return made.border.requests[0].extensions["timeout"]["read"], round((attempt["lease_until"] - time.time() * 1000) / 10_000)


def listed(code: str) -> Callable[[httpx.Request], httpx.Response]:
    """A Recall that accepts, and has one recording in this state."""
    link = {"download_url": "https://media.example/video?Signature=x"} if code == "done" else None
    shortcut = {"id": "v-1", "status": {"code": code}, "format": "mp4", "data": link}
    recording = {"id": "rec-1", "status": {"code": code}, "media_shortcuts": {"video_mixed": shortcut}}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return says(201, {"id": "mdc-1"})
        if request.url.host == "media.example":
            return says(200, b"the recording")
        return says(200, {"id": "mdc-1", "status": {"code": "done"}, "recordings": [recording] if code else []})

    return answer


async def looked(made: Made, code: str, *, stopped: bool = False, after_s: float = 0.0) -> dict[str, Any]:
    """The record of a hand-off after the first look for its recording. `after_s`: how long after its end that comes."""
    made.border.recall = listed(code)
    key = (await handed_on(made))["metadata"]["rtmskit_handoff"]
    if stopped:
        common = {"v": 2, "product": "meeting", "stream_id": STREAM, "entity_id": MEETING, "received_ms": 1}
        stop = {**common, "kind": "stop", "event": "meeting.rtms_stopped", "event_ts": int(time.time() * 1000), "stop_reason": 6}
        assert (await task(made, "/events", stop)).status_code == 200
    await asyncio.sleep(after_s)
    # A webhook's look is due at once.
    look = {"v": 2, "kind": "look", "received_ms": 1, "handoff": key, "message": "msg_1"}
    assert (await task(made, "/retrieve", look)).status_code == 200
    [record] = [found.fields async for found in made.border.records("handoffs")]
    return record


async def next_look(made: Made) -> int:
    """In how many tens of seconds."""
    record = await looked(made, "processing")
    return round((record["retrieval"]["look_at"] - time.time() * 1000) / 10_000)


async def given_up(made: Made) -> str:
    return (await looked(made, "", stopped=True, after_s=1.1))["retrieval"]["state"]


async def kept_days(made: Made) -> int:
    record = await looked(made, "done", stopped=True)
    return round((record["expires_at"] - time.time() * 1000) / 86_400_000)


async def archived(made: Made) -> list[bytes]:
    await looked(made, "done", stopped=True)
    return [file.read_bytes() for file in sorted(made.border.file.parent.glob("odd archive/**/*.mp4"))]


async def state_file(made: Made) -> list[str]:
    await handed_on(made)
    return sorted(file.name for file in made.border.file.parent.glob("*.sqlite"))


async def run_secret(made: Made) -> int:
    return (await made.http.get("/handoffs", headers={"authorization": "Bearer odd-secret-of-the-run"})).status_code


async def handoff_key(made: Made) -> str:
    made.border.recall = listed("")
    fixed = started()
    await task(made, "/events", fixed)
    posted = made.border.posted()["metadata"]["rtmskit_handoff"]
    parts = ("odd/deployment", STREAM, "wss://rtms-a.zoom.us:443", str(fixed["event_ts"]))
    return "odd" if posted == hashlib.sha256("".join(f"{len(text)}:{text}" for text in parts).encode()).hexdigest() else "another"


def hmac_of(client_id: str, secret: str) -> str:
    return hmac.new(secret.encode(), f"{client_id},{MEETING},{STREAM}".encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Row:
    """`value`: the odd one. `seen`: what `look` gives with it; `usual`: without it. `beside`: other settings of both."""

    name: str
    role: settings.Role
    value: str
    look: Callable[[Made], Awaitable[Any]]
    seen: Any
    usual: Any
    beside: Mapping[str, str] = field(default_factory=dict)


HASHED_STREAM = hashlib.sha256(STREAM.encode()).hexdigest()[:32]
P = "projects/odd/locations/x/queues"
Q = "projects/p/locations"
INVOKERS = "events=odd@p.example,retrieve=look@p.example,sweep=sweep@p.example"
ODD_WHSEC = "whsec_" + base64.b64encode(b"an odd secret").decode()
ON_CLOUD_RUN = {"K_SERVICE": "worker", "WORKER_URL": "https://odd.example"}
ROWS = (
    Row("ZOOM_SECRET_TOKEN", "webhook", "odd-token", lambda made: zoom(made, STOP, token="odd-token"), 200, 401),
    Row("ZOOM_SECRET_TOKEN_PREVIOUS", "webhook", "odd-token", lambda made: zoom(made, STOP, token="odd-token"), 200, 401),
    Row("ZOOM_SIGNATURE_WINDOW_S", "webhook", "37", lambda made: zoom(made, STOP, age_s=60), 401, 200),
    Row("ZOOM_CONNECT_WINDOW_S", "webhook", "33", deadlines, {63.0}, {90.0}),
    Row("ZOOM_ON_DEAUTHORIZED", "webhook", "alert", deauthorized, "ALERT", "NOTICE"),
    Row("RECALL_WEBHOOK_SECRETS", "webhook", ODD_WHSEC, lambda made: recall(made, ODD_WHSEC), 200, 401),
    Row(
        "HANDOFF_QUEUES",
        "webhook",
        f"{P}/h-1,{P}/h-2",
        lambda made: queues_of(made, start()),
        {f"{P}/h-1", f"{P}/h-2"},
        {f"{Q}/l/queues/handoffs", f"{Q}/m/queues/handoffs"},
    ),
    Row("FACTS_QUEUE", "webhook", f"{P}/f", lambda made: queues_of(made, STOP), {f"{P}/f"}, {f"{Q}/l/queues/facts"}),
    Row("RETRIEVAL_QUEUE", "webhook", f"{P}/r", queue_of_a_look, {f"{P}/r"}, {f"{Q}/l/queues/retrievals"}),
    Row("TASKS_ENDPOINT", "webhook", "127.0.0.1:4711", dialed_by_the_webhook, {"127.0.0.1:4711"}, set()),
    Row("WORKER_URL", "webhook", "https://odd.example/X/", target, "https://odd.example/X/events", "https://worker.example/events"),
    Row(
        "TASKS_INVOKERS",
        "webhook",
        INVOKERS,
        tokens,
        [("odd@p.example", "https://worker.example"), ("look@p.example", "https://worker.example")],
        [("", ""), ("", "")],
    ),
    Row("CODE_HASH", "webhook", "0d" * 32, health, "0d" * 32, ""),
    Row("LOG_IDS", "webhook", "hashed", start_in_the_webhooks_log, (HASHED_STREAM, False), (STREAM, True)),
    Row("ZOOM_CONNECT_WINDOW_S", "worker", "33", old_and_unreadable, 200, 500, WORKER),
    Row(
        "ZOOM_CLIENT_ID",
        "worker",
        "odd_client",
        signature,
        hmac_of("odd_client", "secret_probe"),
        hmac_of("cid_probe", "secret_probe"),
        WORKER,
    ),
    Row(
        "ZOOM_CLIENT_SECRET",
        "worker",
        "odd_secret",
        signature,
        hmac_of("cid_probe", "odd_secret"),
        hmac_of("cid_probe", "secret_probe"),
        WORKER,
    ),
    Row("ZOOM_SERVER_HOSTS", "worker", "*.odd.example", servers_posted, ["wss://a.odd.example"], [], WORKER),
    Row("RECALL_API_KEY", "worker", "odd-api-key", key_of_the_call, "Token odd-api-key", f"Token {ENVIRON['RECALL_API_KEY']}", WORKER),
    Row(
        "RECALL_REGION",
        "worker",
        "eu-central-1",
        sent_to,
        "https://eu-central-1.recall.ai/api/v1/meeting_direct_connect/",
        "https://us-east-1.recall.ai/api/v1/meeting_direct_connect/",
        WORKER,
    ),
    Row(
        "RECALL_BASE_URL",
        "worker",
        "https://odd.example:8443/root/",
        sent_to,
        "https://odd.example:8443/root/meeting_direct_connect/",
        "https://us-east-1.recall.ai/api/v1/meeting_direct_connect/",
        WORKER,
    ),
    Row(
        "RECALL_RECORDING_CONFIG",
        "worker",
        '{"audio_mixed_mp3":{}}',
        lambda made: part(handed_on(made), "recording_config"),
        {"audio_mixed_mp3"},
        {"video_mixed_mp4"},
        WORKER,
    ),
    Row(
        "RECALL_ENTITY_FIELD",
        "worker",
        "own",
        lambda made: part(handed_on(made, product="webinar"), "zoom_rtms"),
        {"webinar_uuid", "rtms_stream_id", "server_urls", "signature"},
        {"meeting_uuid", "rtms_stream_id", "server_urls", "signature"},
        WORKER,
    ),
    Row("RECALL_TIMEOUT_S", "worker", "43", time_for_recall, (43.0, 5), (15.0, 2), WORKER),
    Row("RETRIEVAL_POLL_S", "worker", "78", next_look, 8, 180, WORKER),
    Row("RETRIEVAL_GIVE_UP_S", "worker", "1", given_up, "none_made", "awaiting", WORKER),
    Row("RECORDS_KEEP_DAYS", "worker", "9", kept_days, 9, 400, WORKER),
    Row("STATE_URL", "worker", "sqlite://{tmp}/odd.sqlite", state_file, ["odd.sqlite"], ["state.sqlite"], WORKER),
    Row(
        "HANDOFF_QUEUES",
        "worker",
        f"{P}/h-1,{P}/h-2",
        lambda made: some(probed(made), "h-1", "h-2"),
        [f"{P}/h-1", f"{P}/h-2"],
        [],
        WORKER,
    ),
    Row("FACTS_QUEUE", "worker", f"{P}/odd-f", lambda made: some(probed(made), "odd-f"), [f"{P}/odd-f"], [], WORKER),
    Row("RETRIEVAL_QUEUE", "worker", f"{P}/odd-r", lambda made: some(probed(made), "odd-r"), [f"{P}/odd-r"], [], WORKER),
    Row("TASKS_ENDPOINT", "worker", "127.0.0.1:4711", dialed_by_the_worker, {"127.0.0.1:4711"}, set(), WORKER),
    Row("WORKER_URL", "worker", "http://127.0.0.1:8/base/", probe_targets, "http://127.0.0.1:8/base/events", f"{HERE}/events", WORKER),
    Row("TASKS_INVOKERS", "worker", INVOKERS, opened, [200, 403], [403, 403], ON_CLOUD_RUN),
    Row("RUN_SECRET", "worker", "odd-secret-of-the-run", run_secret, 200, 401, WORKER),
    Row("DEPLOYMENT", "worker", "odd/deployment", handoff_key, "odd", "another", WORKER),
    Row("ARCHIVE_URL", "worker", "file://{tmp}/odd%20archive", archived, [b"the recording"], [], WORKER),
    Row("CODE_HASH", "worker", "0d" * 32, health, "0d" * 32, "", WORKER),
    Row("LOG_IDS", "worker", "hashed", start_in_the_workers_log, (HASHED_STREAM, False), (STREAM, True), WORKER),
)


async def part(posted: Awaitable[dict[str, Any]], name: str) -> set[str]:
    return set((await posted)[name]) - {"metadata"}


async def some(found: Awaitable[list[str]], *ends: str) -> list[str]:
    return [queue for queue in await found if queue.endswith(ends)]


def test_every_setting_of_each_function_has_a_row() -> None:
    """Derived from the code: a new setting without a row fails here."""
    assert {(variable.name, role) for variable in settings.VARIABLES for role in variable.roles} == {(row.name, row.role) for row in ROWS}
    assert all(row.seen != row.usual for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.role}-{row.name}")
async def test_an_odd_value_shows_in_what_the_function_does(
    row: Row, border: Border, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    async with loaded(row.role, row.beside, border, monkeypatch, lines) as made:
        assert await row.look(made) == row.usual
    border.file.unlink(missing_ok=True)
    again = Border(border.file)
    for name in ("tasks", "dialed", "requests", "during"):
        setattr(border, name, getattr(again, name))
    border.recall = Border.recall
    value = row.value.replace("{tmp}", str(tmp_path))
    async with loaded(row.role, {**row.beside, row.name: value}, border, monkeypatch, lines) as made:
        assert await row.look(made) == row.seen


SECRETS = [variable for variable in settings.VARIABLES if variable.secret]


@pytest.mark.parametrize("variable", SECRETS, ids=lambda variable: variable.name)
async def test_a_secret_never_reaches_the_log_of_the_function_that_holds_it(
    variable: settings.Variable, border: Border, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = ODD_WHSEC if variable.name == "RECALL_WEBHOOK_SECRETS" else "odd-secret-value"
    [role] = variable.roles
    async with loaded(role, (WORKER if role == "worker" else {}) | {variable.name: odd}, border, monkeypatch, list) as made:
        await made.http.get(f"/nowhere/{odd}")
        logging.getLogger("of.a.library").warning("it was given %s", odd)
    written = capsys.readouterr().out.splitlines()
    assert len(written) == 2
    assert all("[redacted]" in line and odd.removeprefix("whsec_") not in line for line in written)


async def test_each_function_imports_what_it_uses_before_the_first_request(border: Border, monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []
    monkeypatch.setattr("rtms_relay.wiring.import_module", imported.append)
    async with loaded("webhook", {}, border, monkeypatch, list):
        assert imported == ["google.cloud.tasks_v2"]
    imported.clear()
    places = {"STATE_URL": "firestore://odd/base", "ARCHIVE_URL": "gs://odd-bucket"}
    async with loaded("worker", WORKER | places, border, monkeypatch, list):
        assert imported == ["google.cloud.tasks_v2", "google.cloud.firestore", "httpx", "google.cloud.storage"]
    imported.clear()
    queues = {"HANDOFF_QUEUES": "sqlite:///q", "FACTS_QUEUE": "sqlite:///q", "RETRIEVAL_QUEUE": "sqlite:///q"}
    async with loaded("worker", WORKER | queues, border, monkeypatch, list):
        assert imported == ["sqlite3", "sqlite3", "httpx"]
    imported.clear()
    async with loaded("webhook", {"FACTS_QUEUE": "sqlite:///q"}, border, monkeypatch, list):
        assert imported == ["google.cloud.tasks_v2", "sqlite3"]


@pytest.mark.parametrize("local", ["HANDOFF_QUEUES", "FACTS_QUEUE", "RETRIEVAL_QUEUE"])
async def test_a_queue_in_a_file_is_that_file_whatever_the_others_are(local: str, tmp_path: Path) -> None:
    from rtms_relay import wiring
    from rtms_relay.adapters.cloud_tasks import CloudTasksQueue
    from rtms_relay.adapters.local_queue import LocalQueue

    file = tmp_path / "queue.sqlite"
    known = settings.load(ENVIRON | WORKER | {local: f"sqlite://{file}"}, "worker")
    name = {"HANDOFF_QUEUES": "handoffs", "FACTS_QUEUE": "facts", "RETRIEVAL_QUEUE": "retrievals"}[local]
    made = wiring.queues(known)
    assert {other for other, queue in made.items() if isinstance(queue, CloudTasksQueue)} == set(made) - {name}
    queue = made[name]
    assert isinstance(queue, LocalQueue)
    assert await queue.enqueue("/events", b"{}")
    await queue.close()
    with contextlib.closing(sqlite3.connect(file)) as base:
        assert base.execute("SELECT queue, path FROM tasks").fetchall() == [(name, "/events")]


async def test_the_clients_of_google_are_made_for_the_database_and_the_bucket_that_are_named(
    border: Border, monkeypatch: pytest.MonkeyPatch
) -> None:
    from google.cloud import firestore, storage

    made: dict[str, Any] = {}

    def database(**given: Any) -> Any:
        made["firestore"] = given
        raise RuntimeError("it was asked for")

    class Client:
        def __init__(self, *_: object, **__: object) -> None: ...

        def close(self) -> None: ...

        def bucket(self, name: str, **_: object) -> Any:
            made["bucket"] = name
            raise RuntimeError("it was asked for")

    monkeypatch.setattr(firestore, "AsyncClient", database)
    monkeypatch.setattr(storage, "Client", Client)
    from rtms_relay import wiring

    environ = ENVIRON | WORKER | {"STATE_URL": "firestore://odd-project/odd-base", "ARCHIVE_URL": "gs://odd-bucket"}
    known = settings.load(environ, "worker")
    with pytest.raises(RuntimeError, match="asked for"):
        await wiring.store(known).get("handoffs", "k")
    archive = wiring.archive(known)
    assert archive is not None
    with pytest.raises(RuntimeError, match="asked for"):
        await archive.find("a/b")
    await archive.close()
    assert (made["firestore"]["project"], made["firestore"]["database"], made["bucket"]) == ("odd-project", "odd-base", "odd-bucket")


async def test_a_worker_that_nobody_can_ask_to_stop_goes_on(tmp_path: Path) -> None:
    from rtms_relay import logs, wiring

    known = settings.load(ENVIRON | WORKER | {"STATE_URL": f"sqlite://{tmp_path}/s"}, "worker")
    made = wiring.worker(known, logs.JsonLog())
    assert made._new_handing()._stopping() is False
    asked = wiring.worker(known, logs.JsonLog(), lambda: True)
    assert asked._new_handing()._stopping() is True
