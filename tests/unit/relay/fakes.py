"""What the relay's use cases need from the world, in a few lines each, so that a test owns every answer."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from rtms_relay import settings as configuration
from rtms_relay.errors import AlreadyArchived, AlreadyExists, QueueUnavailable, RecallUnavailable, Stale
from rtms_relay.ports import Answer, Archived, Collection, Stored, TaskKind
from rtms_relay.relay import Intake, Worker

NOW = 1_795_338_000_000
TOKEN = "hooksecret"
WHSEC = "whsec_" + base64.b64encode(b"a webhook secret").decode()
STREAM = "609340fb2a7946909659956c8aa9250c"
MEETING = "4444AAAiAAAAAiAiAiiAii=="
A, B, C = (f"wss://rtms-{name}.zoom.us:443" for name in "abc")

ENVIRON = {
    "ZOOM_SECRET_TOKEN": TOKEN,
    "ZOOM_CLIENT_ID": "cid_probe",
    "ZOOM_CLIENT_SECRET": "secret_probe",
    "RECALL_API_KEY": "0123456789abcdef0123456789abcdef01234567",
    "RECALL_WEBHOOK_SECRETS": WHSEC,
    "STATE_URL": "sqlite://",
    "TASKS_QUEUE": "projects/p/locations/l/queues/q",
    "WORKER_URL": "https://worker.example",
}


class Clock:
    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def now_ms(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += int(seconds * 1000) or 1


class Counting:
    """Randomness without chance: numbered tokens, the middle of every range."""

    def __init__(self) -> None:
        self.count = 0

    def token(self) -> str:
        self.count += 1
        return f"{self.count:032x}"

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


class Log:
    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def __call__(self, severity: str, event: str, /, **fields: Any) -> None:
        self.lines.append({"severity": severity, "event": event, **fields})

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]


class MemoryStore:
    """`failing`: called before each operation with its name; may raise."""

    def __init__(self) -> None:
        self.documents: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
        self.writes = 0
        self.failing: Callable[[str], None] = lambda _: None

    async def create(self, collection: Collection, key: str, fields: Mapping[str, Any]) -> str:
        self.failing("create")
        if (collection, key) in self.documents:
            raise AlreadyExists(key)
        self.writes += 1
        self.documents[collection, key] = (1, json.loads(json.dumps(fields)))
        return "1"

    async def get(self, collection: Collection, key: str) -> Stored | None:
        self.failing("get")
        found = self.documents.get((collection, key))
        return None if found is None else Stored(key, copy.deepcopy(found[1]), str(found[0]))

    async def replace(self, collection: Collection, key: str, fields: Mapping[str, Any], version: str) -> str:
        self.failing("replace")
        found = self.documents.get((collection, key))
        if found is None or str(found[0]) != version:
            raise Stale(key)
        self.writes += 1
        self.documents[collection, key] = (found[0] + 1, json.loads(json.dumps(fields)))
        return str(found[0] + 1)

    async def due(self, collection: Collection, before_ms: int, limit: int) -> list[Stored]:
        rows = [(f["due_at"], k, v, f) for (c, k), (v, f) in self.documents.items() if c == collection and f.get("due_at") is not None]
        return [Stored(k, copy.deepcopy(f), str(v)) for at, k, v, f in sorted(rows, key=lambda r: r[:2]) if at <= before_ms][:limit]

    async def newest(self, collection: Collection, limit: int, before_ms: int | None = None) -> list[Stored]:
        rows = [(f["created_at"], k, v, f) for (c, k), (v, f) in self.documents.items() if c == collection]
        rows.sort(key=lambda r: r[:2], reverse=True)
        return [Stored(k, copy.deepcopy(f), str(v)) for at, k, v, f in rows if before_ms is None or at < before_ms][:limit]

    async def close(self) -> None: ...

    def all(self, collection: str) -> dict[str, dict[str, Any]]:
        return {key: fields for (c, key), (_, fields) in self.documents.items() if c == collection}


class ListQueue:
    def __init__(self) -> None:
        self.tasks: list[tuple[TaskKind, str, int | None, str]] = []
        self.down = False

    async def enqueue(self, kind: TaskKind, key: str, *, not_before_ms: int | None = None, dedupe: str = "") -> None:
        if self.down:
            raise QueueUnavailable("the queue is down")
        task = (kind, key, not_before_ms, dedupe)
        if not any(t[0] == kind and t[1] == key and t[3] == dedupe for t in self.tasks):
            self.tasks.append(task)

    async def close(self) -> None: ...


class ScriptedRecall:
    """A Recall that makes MDCs, remembers keys, and answers a create with what `script` holds first. `hooks` run inside a create."""

    def __init__(self) -> None:
        self.script: list[Answer | Callable[[], Answer]] = []
        self.creates: list[tuple[dict[str, Any], str]] = []
        self.mdcs: dict[str, dict[str, Any]] = {}
        self.by_key: dict[str, str] = {}
        self.recordings: dict[str, dict[str, Any]] = {}
        self.owner: dict[str, str] = {}
        self.reads: list[str] = []
        self.down: Answer | None = None
        self.files: dict[str, bytes] = {}
        self.during_create: Callable[[], Any] | None = None
        self.during_download: Callable[[], Any] | None = None

    def make(self, body: dict[str, Any], key: str) -> str:
        if key not in self.by_key:
            mdc_id = f"mdc-{len(self.mdcs) + 1}"
            self.by_key[key] = mdc_id
            self.mdcs[mdc_id] = body
        return self.by_key[key]

    async def create(self, body: bytes, idempotency_key: str) -> Answer:
        whole = json.loads(body)
        self.creates.append((whole, idempotency_key))
        if self.during_create is not None:
            await self.during_create()
        if self.script:
            step = self.script.pop(0)
            # What Recall itself answered to a key it answers again; only what stands before it may say something else.
            replayed = idempotency_key in self.by_key and isinstance(step, Answer) and step.status in (201, 400, 507)
            if not isinstance(step, Answer):
                self.make(whole, idempotency_key)
                return step()
            if not replayed and not 200 <= step.status < 300:
                return step
            if not replayed and step.body:
                return step
        return Answer(201, json.dumps({"id": self.make(whole, idempotency_key), "status": {"code": "zzz"}, "recordings": []}).encode())

    def record(self, mdc_id: str, recording_id: str = "rec-1", code: str = "done", updated_at: str = "2026-11-22T09:00:00Z") -> None:
        done = code == "done"
        url = f"https://bucket.example/{recording_id}.mp4?Signature=s3cr3tlink"
        self.files[url] = b"mp4 of " + recording_id.encode()
        status = {"code": code, "sub_code": "bad_signature" if code == "failed" else None, "updated_at": updated_at}
        video = {"id": f"v-{recording_id}", "status": status, "format": "mp4", "data": {"download_url": url if done else None}}
        self.recordings[recording_id] = {
            "id": recording_id,
            "status": status,
            "media_shortcuts": {"video_mixed": video, "transcript": None},
        }
        self.owner[recording_id] = mdc_id

    def _of(self, mdc_id: str) -> list[dict[str, Any]]:
        return [recording for key, recording in self.recordings.items() if self.owner[key] == mdc_id]

    async def retrieve(self, mdc_id: str) -> Answer:
        self.reads.append(mdc_id)
        if self.down:
            return self.down
        if mdc_id not in self.mdcs:
            return Answer(404, b"{}")
        return Answer(200, json.dumps({"id": mdc_id, "status": {"code": "zzz"}, "recordings": self._of(mdc_id)}).encode())

    async def recording(self, recording_id: str) -> Answer:
        self.reads.append(recording_id)
        if self.down:
            return self.down
        found = self.recordings.get(recording_id)
        return Answer(404) if found is None else Answer(200, json.dumps(found).encode())

    async def recordings_with_metadata(self, key: str, value: str, cursor: str | None = None) -> Answer:
        self.reads.append(f"{key}={value}")
        if self.down:
            return self.down
        mine = [mdc_id for mdc_id, body in self.mdcs.items() if body["recording_config"]["metadata"][key] == value]
        found = [recording for mdc_id in mine for recording in self._of(mdc_id)]
        start = int(cursor or 0)
        following = f"https://x.recall.ai/api/v1/recording/?cursor={start + 1}" if start + 1 < len(found) else None
        return Answer(200, json.dumps({"next": following, "previous": None, "results": found[start : start + 1]}).encode())

    async def delete_recording(self, recording_id: str) -> Answer:
        if self.down:
            return self.down
        return Answer(404) if self.recordings.pop(recording_id, None) is None else Answer(204)

    async def download(self, url: str) -> AsyncIterator[bytes]:
        if url not in self.files:
            raise RecallUnavailable("the download answered 403")
        if self.during_download is not None:
            await self.during_download()
        yield self.files[url]

    async def close(self) -> None: ...


class MemoryArchive:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    async def put(self, name: str, chunks: AsyncIterator[bytes], *, content_type: str) -> Archived:
        data = b"".join([chunk async for chunk in chunks])
        if name in self.objects:
            raise AlreadyArchived(name)
        self.objects[name] = data
        return self._as(name)

    def _as(self, name: str) -> Archived:
        return Archived(name, f"mem://{name}", len(self.objects[name]), hashlib.sha256(self.objects[name]).hexdigest())

    async def find(self, name: str) -> Archived | None:
        return self._as(name) if name in self.objects else None

    async def delete(self, prefix: str) -> int:
        gone = [name for name in self.objects if name.startswith(prefix)]
        for name in gone:
            del self.objects[name]
        return len(gone)

    async def close(self) -> None: ...


class Bench:
    """Both sides of the relay on one set of fakes."""

    def __init__(self, *, archive: bool = False, **environ: str) -> None:
        self.clock, self.randomness, self.log = Clock(), Counting(), Log()
        self.store, self.queue, self.recall = MemoryStore(), ListQueue(), ScriptedRecall()
        self.archive = MemoryArchive() if archive else None
        env = ENVIRON | environ
        parts = (self.store, self.queue, self.clock, self.randomness, self.log)
        self.intake = Intake(configuration.load(env, "webhook"), *parts)
        self.worker = Worker(configuration.load(env, "worker"), *parts, self.recall, self.archive)

    async def zoom(self, body: bytes | Mapping[str, Any]) -> dict[str, Any]:
        body = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
        return (await self.intake.receive(signed(body, self.clock.now_ms()), body)).body

    async def recall_says(
        self, name: str, recording_id: str, handoff: str | None, *, code: str = "", message: str = "msg_1"
    ) -> dict[str, Any]:
        metadata = {} if handoff is None else {"rtmskit_handoff": handoff}
        whole = {
            "event": name,
            "data": {
                "data": {"code": code or name.split(".")[1], "sub_code": None, "updated_at": "2026-11-22T09:00:00+00:00"},
                "recording": {"id": recording_id, "metadata": metadata},
            },
        }
        body = json.dumps(whole).encode()
        return (await self.intake.observe(webhook_headers(body, self.clock.now_ms(), message), body)).body

    async def run(self, until: int | None = None) -> None:
        """Do the tasks whose moment has come, and what they enqueue, moving the clock to each until `until` (ms; default: now)."""
        until = self.clock.now if until is None else until
        while self.queue.tasks:
            task = min(self.queue.tasks, key=lambda t: t[2] or 0)
            if (task[2] or 0) > until:
                break
            self.queue.tasks.remove(task)
            self.clock.now = max(self.clock.now, task[2] or 0)
            try:
                await (self.worker.attempt(task[1]) if task[0] == "handoff" else self.worker.retrieve(task[1]))
            except BaseException:
                self.queue.tasks.append((task[0], task[1], self.clock.now + 1000, task[3]))  # as Cloud Tasks delivers it again
                raise
        self.clock.now = max(self.clock.now, until)

    async def live(self, seconds: float) -> None:
        """Let time pass, with a sweep on every minute on which one has anything to do."""
        end = self.clock.now + int(seconds * 1000)
        while self.clock.now < end:
            dues = [fields["due_at"] for fields in self.handoffs().values() if fields["due_at"] is not None]
            moments = dues + [task[2] or 0 for task in self.queue.tasks]
            soonest = max(self.clock.now, min(moments, default=end)) // 60_000 * 60_000
            await self.run(min(end, soonest + 60_000))
            await self.worker.sweep()
        await self.run()

    def handoffs(self) -> dict[str, dict[str, Any]]:
        return self.store.all("handoffs")

    def state(self, key: str) -> str:
        return self.handoffs()[key]["state"]


def signed(body: bytes, now_ms: int = NOW, token: str = TOKEN) -> list[tuple[str, str]]:
    stamp = str(now_ms // 1000)
    digest = hmac.new(token.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return [("x-zm-request-timestamp", stamp), ("x-zm-signature", "v0=" + digest)]


def webhook_headers(
    body: bytes, now_ms: int = NOW, message: str = "msg_1", secret: str = WHSEC, family: str = "webhook"
) -> list[tuple[str, str]]:
    stamp = str(now_ms // 1000)
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return [(f"{family}-id", message), (f"{family}-timestamp", stamp), (f"{family}-signature", "v1," + base64.b64encode(digest).decode())]


def started(urls: Any = A, ts: int = NOW, stream: str = STREAM, product: str = "meeting", **more: Any) -> dict[str, Any]:
    return {
        "event": f"{product}.rtms_started",
        "event_ts": ts,
        "payload": {"meeting_uuid": MEETING, "rtms_stream_id": stream, "server_urls": urls, **more},
    }


def stopped(ts: int, reason: int | None = 6, stream: str = STREAM) -> dict[str, Any]:
    return {
        "event": "meeting.rtms_stopped",
        "event_ts": ts,
        "payload": {"meeting_uuid": MEETING, "rtms_stream_id": stream, "stop_reason": reason},
    }


def interrupted(ts: int, urls: Any = None, stream: str = STREAM) -> dict[str, Any]:
    more = {} if urls is None else {"server_urls": urls}
    return {"event": "meeting.rtms_interrupted", "event_ts": ts, "payload": {"meeting_uuid": MEETING, "rtms_stream_id": stream, **more}}
