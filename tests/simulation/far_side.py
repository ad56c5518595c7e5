"""Zoom, Recall, Cloud Tasks and Cloud Scheduler as the simulated world knows them: small models, no sockets.

The full fakes (`rtms_simulator.zoom`, `.recall`, `.cloud_tasks`) speak the wire; here only what decides about losing and
doubling is kept, so that millions of deliveries can be played. Each model notes what really happened in the world's history,
which is all that the checker looks at.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtms_relay.errors import AlreadyArchived, AlreadyExists, RecallUnavailable, Stale, StoreUnavailable
from rtms_relay.ports import Answer, Archived, Collection, IndexedField, Stored, Write
from rtms_simulator.recall.http.limits import SlidingWindows
from tests.simulation.checker import ACK_LOST
from tests.simulation.fleet import Fleet
from tests.simulation.world import Crashed, Ground, Instance, outcome_of, pause, sleep

SECRET_TOKEN = "zoom-secret-token-of-the-world"
CLIENT_ID = "client-of-the-world"
CLIENT_SECRET = "client-secret-of-the-world"
RECALL_KEY = "recall-key-of-the-world"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"recall webhook secret of the world").decode()
STORE_TIMEOUT_MS = 2_000.0
"""How long an adapter waits for the database."""
FOREIGN = tuple({"id": f"foreign-{number}", "status": {"code": "done"}, "metadata": {"somebody": "else"}} for number in range(3))
"""Recordings of the same workspace that have nothing to do with this service."""
ZOOM_RETRIES_S = (300, 1200, 3600)
"""Zoom webhooks, retries: 5, then 20, then 60 minutes after the attempt before."""


class MemoryStore:
    """The Store port on a dict. Each call is one await before its effect; the answer may get lost after it."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.documents: dict[str, dict[str, tuple[int, Mapping[str, Any]]]] = {"handoffs": {}, "streams": {}, "unusable": {}, "marks": {}}
        self.down_until = 0
        self.hangs_until = 0

    async def create(self, collection: Collection, key: str, fields: Mapping[str, Any]) -> str:
        return (await self.commit([Write(collection, key, fields)]))[0]

    async def replace(self, collection: Collection, key: str, fields: Mapping[str, Any], version: str) -> str:
        return (await self.commit([Write(collection, key, fields, version)]))[0]

    async def commit(self, writes: Sequence[Write]) -> list[str]:
        await self._reach("store.commit")
        for write in writes:
            stored = self.documents[write.collection].get(write.key)
            if write.version is None and stored is not None:
                self.ground.heard("exists")
                raise AlreadyExists(f"{write.collection}/{write.key}")
            if write.version is not None and (stored is None or str(stored[0]) != write.version):
                self.ground.heard("stale")
                raise Stale(f"{write.collection}/{write.key}")
        versions = []
        for write in writes:
            number = 1 if write.version is None else int(write.version) + 1
            self.documents[write.collection][write.key] = (number, write.fields)
            versions.append(str(number))
        self._lose("store.commit")
        self.ground.heard("committed")
        return versions

    async def get(self, collection: Collection, key: str) -> Stored | None:
        await self._reach("store.get")
        found = self.documents[collection].get(key)
        self.ground.heard((key, found and found[0]))
        return None if found is None else Stored(key, found[1], str(found[0]))

    async def due(self, collection: Collection, before_ms: int, limit: int) -> list[Stored]:
        await self._reach("store.due")
        found = [
            (fields["due_at"], key, version, fields)
            for key, (version, fields) in self.documents[collection].items()
            if fields.get("due_at") is not None and fields["due_at"] <= before_ms
        ]
        found.sort(key=lambda row: row[:2])
        self.ground.heard(tuple(row[:3] for row in found))
        return [Stored(key, fields, str(version)) for _, key, version, fields in found[:limit]]

    async def newest(
        self,
        collection: Collection,
        limit: int,
        before_ms: int | None = None,
        *,
        since_ms: int | None = None,
        where: Mapping[IndexedField, str] | None = None,
    ) -> list[Stored]:
        await self._reach("store.newest")
        rows = sorted(self.documents[collection].items(), key=lambda row: -row[1][1].get("created_at", 0))
        found = [Stored(key, fields, str(version)) for key, (version, fields) in rows]
        found = [one for one in found if all(one.fields.get(name) == text for name, text in (where or {}).items())]
        bounds = (since_ms if since_ms is not None else -math.inf, before_ms if before_ms is not None else math.inf)
        return [one for one in found if bounds[0] <= one.fields.get("created_at", 0) < bounds[1]][:limit]

    async def with_prefix(self, collection: Collection, prefix: str, limit: int) -> list[Stored]:
        await self._reach("store.with_prefix")
        found = sorted((key, *row) for key, row in self.documents[collection].items() if key.startswith(prefix))
        return [Stored(key, fields, str(version)) for key, version, fields in found[:limit]]

    async def close(self) -> None:
        return None

    def due_now(self) -> bool:
        """Whether a sweep would find something: an idle sweep is skipped, it could not change anything."""
        return any(
            fields.get("due_at") is not None and fields["due_at"] <= self.ground.now_ms for _, fields in self.documents["handoffs"].values()
        )

    def next_due(self) -> int | None:
        """When a sweep will next find something."""
        due = (fields.get("due_at") for _, fields in self.documents["handoffs"].values())
        return min((at for at in due if at is not None), default=None)

    async def _reach(self, label: str) -> None:
        await pause(label)
        if self.ground.fault("store slow"):
            await sleep(self.ground.delay(500, 4000), "store slow")
        if self.ground.fault("store outage"):
            self.down_until = max(self.down_until, self.ground.now_ms + int(self.ground.delay(2_000, 120_000)))
        if self.ground.now_ms < self.hangs_until:
            await sleep(STORE_TIMEOUT_MS, "store hangs")
            raise StoreUnavailable(f"{label}: no answer within 2 s")
        if self.ground.now_ms < self.down_until or self.ground.fault("store unavailable"):
            raise StoreUnavailable(f"{label}: injected")

    def _lose(self, label: str) -> None:
        if self.ground.fault("store answer lost"):
            self.ground.heard("lost")
            raise StoreUnavailable(f"{label}: written, but the answer got lost")


class MemoryArchive:
    """The Archive port on a dict: write-once, nothing visible before it is whole."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.objects: dict[str, bytes] = {}

    async def put(self, name: str, chunks: AsyncIterator[bytes], *, content_type: str) -> Archived:
        parts = [chunk async for chunk in chunks]
        await pause("archive.put")
        if name in self.objects:
            raise AlreadyArchived(name)
        self.objects[name] = b"".join(parts)
        return self._object(name)

    async def find(self, name: str) -> Archived | None:
        await pause("archive.find")
        self.ground.heard(name in self.objects)
        return self._object(name) if name in self.objects else None

    async def delete(self, prefix: str) -> int:
        await pause("archive.delete")
        names = [name for name in self.objects if name.startswith(prefix)]
        for name in names:
            del self.objects[name]
        if names:
            self.ground.note("archive", "deleted", objects=len(names))
        return len(names)

    async def close(self) -> None:
        return None

    def _object(self, name: str) -> Archived:
        content = self.objects[name]
        return Archived(name, f"memory:{name}", len(content), hashlib.sha256(content).hexdigest())


@dataclass(slots=True)
class Mdc:
    """A Meeting Direct Connect that the model really made."""

    id: str
    handoff: str
    stream: str
    key: str
    made_ms: int
    recordings: list[dict[str, Any]] = field(default_factory=list)


class RecallModel:
    """Recall's create, idempotency, recordings and webhooks. The server goes on when its caller crashes or gives up."""

    def __init__(self, ground: Ground, fleet: Fleet, outside: Instance, timeout_ms: int = 15_000) -> None:
        self.ground = ground
        self.fleet = fleet
        self.outside = outside
        self.timeout_ms = timeout_ms
        self.mdcs: dict[str, Mdc] = {}
        self.deleted: set[str] = set()
        self.answers: dict[str, tuple[int, Answer]] = {}
        self.in_flight: set[str] = set()
        self.ends: dict[str, int] = {}
        self.calls: Counter[str] = Counter()
        self.webhooks = True
        self.records = True
        self.out_until = 0
        self.out_kind = ""
        self.creates_a_minute: int | None = None
        self._creates = SlidingWindows()

    async def create(self, body: bytes, idempotency_key: str) -> Answer:
        began = self.ground.now_ms
        answer = await self._call(f"recall.create {idempotency_key[-8:]}", self._create(body, idempotency_key))
        rtms = json.loads(body)["zoom_rtms"]
        facts = {"stream": rtms["rtms_stream_id"], "urls": rtms["server_urls"], "began": began}
        self.ground.note("recall", "tried", status=answer.status, failure=answer.failure, **facts)
        return answer

    async def retrieve(self, mdc_id: str) -> Answer:
        return await self._call(f"recall.retrieve {mdc_id}", self._retrieve(mdc_id))

    async def recording(self, recording_id: str) -> Answer:
        return await self._call(f"recall.recording {recording_id}", self._recording(recording_id))

    async def recordings_with_metadata(self, key: str, value: str, cursor: str | None = None) -> Answer:
        return await self._call(f"recall.recordings {value[:8]}", self._recordings(key, value))

    async def delete_recording(self, recording_id: str) -> Answer:
        return await self._call(f"recall.delete {recording_id}", self._delete(recording_id))

    async def download(self, url: str) -> AsyncIterator[bytes]:
        await pause("recall.download")
        yield b"media at "
        if self.ground.fault("download cut"):
            raise RecallUnavailable("injected: the download was cut")
        await pause("recall.download")
        yield url.partition("?")[0].encode()

    async def close(self) -> None:
        return None

    async def _call(self, label: str, work: Any) -> Answer:
        self.calls[label] += 1
        if self._out("unreachable") or self.ground.fault("recall unreachable"):
            work.close()
            await pause("recall unreachable")
            return Answer(0, failure="unreachable")
        serving = self.ground.spawn(f"{label}#{self.calls[label]}", work, self.outside)
        try:
            answer = await outcome_of(serving, self.timeout_ms)
        except TimeoutError:
            answer = Answer(0, failure="timeout")
        if not answer.failure and self.ground.fault("recall answer lost"):
            answer = Answer(0, failure="reset")
        self.ground.heard((answer.status, answer.failure, answer.body))
        return answer

    async def _create(self, body: bytes, key: str) -> Answer:
        await pause("recall.arrives")
        request = json.loads(body)
        handoff = (request.get("metadata") or {}).get("rtmskit_handoff", "?")
        if key in self.in_flight:
            self._note("refused", handoff, key, status=409)
            return Answer(409, b'{"code":"conflict"}')
        kept = self.answers.get(key)
        if kept is not None and self.ground.now_ms - kept[0] < 3_600_000:
            self._note("replayed", handoff, key, status=kept[1].status)
            return kept[1]
        self.in_flight.add(key)
        try:
            await pause("recall.works")
            if self.ground.fault("recall works long"):
                await sleep(self.ground.delay(8_000, 40_000), "recall works long")
            answer = self._refusal() or self._make(request, handoff, key)
        finally:
            self.in_flight.discard(key)
        if answer.status not in (429, 503):
            self.answers[key] = (self.ground.now_ms, answer)
        if answer.status != 201:
            self._note("refused", handoff, key, status=answer.status)
        if self.ground.fault("recall hangs"):
            await sleep(self.ground.delay(5_000, 40_000), "recall hangs")
        return answer

    def _out(self, kind: str) -> bool:
        return self.out_kind == kind and self.ground.now_ms < self.out_until

    def _refusal(self) -> Answer | None:
        if (wait := self._creates.admit("create", self.creates_a_minute, self.ground.now_ms / 1000)) is not None:
            return Answer(429, b"", retry_after_s=float(wait))
        if self._out("503") or self.ground.fault("recall 503"):
            return Answer(503, b"<html>busy</html>")
        if self._out("429") or self.ground.fault("recall 429"):
            return Answer(429, b"", retry_after_s=2.0)
        if self.ground.fault("recall 507"):
            return Answer(507, b'{"code":"out_of_bots"}')
        if self.ground.fault("recall 400"):
            return Answer(400, b'{"zoom_rtms":["no"]}')
        if self.ground.fault("recall 401"):
            return Answer(401, b'{"code":"authentication_failed","detail":"Invalid API token."}')
        return None

    def _make(self, request: Mapping[str, Any], handoff: str, key: str) -> Answer:
        number = len(self.mdcs) + 1
        mdc = Mdc(f"mdc-{number:06}", handoff, request["zoom_rtms"]["rtms_stream_id"], key, self.ground.now_ms)
        self.mdcs[mdc.id] = mdc
        urls = request["zoom_rtms"]["server_urls"]
        self.ground.note("recall", "made", handoff=handoff, mdc=mdc.id, key=key, stream=mdc.stream, urls=urls)
        if self.records:
            self.ground.spawn(f"life:{mdc.id}", self._live(mdc), self.outside)
        return Answer(201, json.dumps({"id": mdc.id, "status": {"code": "connecting"}, "recordings": []}).encode())

    def _note(self, what: str, handoff: str, key: str, **facts: Any) -> None:
        self.ground.note("recall", what, handoff=handoff, key=key, **facts)

    async def _live(self, mdc: Mdc) -> None:
        await sleep(self.ground.delay(500, 8_000), "recall joins")
        if self.ground.fault("nothing recorded"):
            return
        recording = {"id": f"rec-{mdc.id}", "status": {"code": "processing"}, "metadata": {"rtmskit_handoff": mdc.handoff}}
        mdc.recordings.append(recording)
        self.announce("recording.processing", recording)
        await sleep(max(1_000.0, self.ends.get(mdc.stream, 0) - self.ground.now_ms + self.ground.delay(1_000, 60_000)), "meeting goes on")
        if recording["status"]["code"] == "processing":
            recording["status"] = {"code": "done"}
            self.announce("recording.done", recording)

    def announce(self, event: str, recording: Mapping[str, Any]) -> None:
        """Send Recall's webhook about a recording, signed; lost, late or doubled as the faults say."""
        if not self.webhooks or self.ground.fault("recall webhook lost"):
            return
        body = json.dumps(
            {
                "event": event,
                "data": {
                    "data": {"code": event.partition(".")[2], "sub_code": None, "updated_at": "2026-11-22T10:00:00.000000+00:00"},
                    "recording": {"id": recording["id"], "metadata": recording["metadata"]},
                },
            }
        ).encode()
        times = 2 if self.ground.fault("recall webhook doubled") else 1
        for _ in range(times):
            self.ground.spawn(f"announce:{recording['id']}", self._deliver(f"msg_{event}_{recording['id']}", body), self.outside)

    async def _deliver(self, message_id: str, body: bytes) -> None:
        await pause("recall.webhook")
        for attempt, wait_s in enumerate((0, 0, 5, 300, 1800)):
            await sleep(wait_s * 1000, "recall webhook retry")
            timestamp = str(self.ground.now_ms // 1000)
            secret = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))
            signature = base64.b64encode(hmac.digest(secret, f"{message_id}.{timestamp}.".encode() + body, "sha256")).decode()
            headers = {
                "content-type": "application/json",
                "webhook-id": message_id,
                "webhook-timestamp": timestamp,
                "webhook-signature": f"v1,{signature}",
            }
            try:
                request = self.fleet.webhook(f"{message_id}.{attempt}", "/recall-webhook", headers, body)
                status = await outcome_of(request, 15_000)
            except (Crashed, TimeoutError):
                status = 599
            if 200 <= status < 300:
                return

    async def _retrieve(self, mdc_id: str) -> Answer:
        await pause("recall.reads")
        mdc = self.mdcs.get(mdc_id)
        if mdc is None:
            return Answer(404, b'{"code":"not_found"}')
        recordings = [self._shown(recording) for recording in mdc.recordings if recording["id"] not in self.deleted]
        return Answer(200, json.dumps({"id": mdc_id, "status": {"code": "zzz_unknown"}, "recordings": recordings}).encode())

    async def _recording(self, recording_id: str) -> Answer:
        await pause("recall.reads")
        for mdc in self.mdcs.values():
            for recording in mdc.recordings:
                if recording["id"] == recording_id and recording_id not in self.deleted:
                    return Answer(200, json.dumps(self._shown(recording)).encode())
        return Answer(404, b'{"code":"not_found"}')

    async def _recordings(self, key: str, value: str) -> Answer:
        await pause("recall.reads")
        ignored = self.ground.fault("filter ignored")
        found = [
            self._shown(recording)
            for mdc in self.mdcs.values()
            for recording in mdc.recordings
            if (ignored or recording["metadata"].get(key) == value) and recording["id"] not in self.deleted
        ]
        if ignored:
            found += [self._shown(recording) for recording in FOREIGN]
        return Answer(200, json.dumps({"next": None, "previous": None, "results": found}).encode())

    async def _delete(self, recording_id: str) -> Answer:
        await pause("recall.deletes")
        if any(recording["id"] == recording_id for recording in FOREIGN):
            self.ground.note("recall", "deleted foreign", recording=recording_id)
            return Answer(204)
        known = any(recording["id"] == recording_id for mdc in self.mdcs.values() for recording in mdc.recordings)
        if not known or recording_id in self.deleted:
            return Answer(404, b'{"code":"not_found"}')
        self.deleted.add(recording_id)
        self.ground.note("recall", "deleted", recording=recording_id)
        return Answer(204)

    @staticmethod
    def _shown(recording: Mapping[str, Any]) -> dict[str, Any]:
        done = recording["status"]["code"] == "done"
        url = f"https://media.example/{recording['id']}?Signature=x" if done else None
        shortcut = {
            "id": f"video-{recording['id']}",
            "status": {"code": "done" if done else "processing"},
            "format": "mp4",
            "data": {"download_url": url},
        }
        return {**recording, "media_shortcuts": {"video_mixed": shortcut}}


def sign(body: bytes, timestamp_s: int, secret: str = SECRET_TOKEN) -> dict[str, str]:
    """Zoom's headers for a body (Zoom webhooks, signature)."""
    digest = hmac.digest(secret.encode(), b"v0:%d:" % timestamp_s + body, hashlib.sha256).hex()
    return {
        "content-type": "application/json; charset=utf-8",
        "x-zm-request-timestamp": str(timestamp_s),
        "x-zm-signature": f"v0={digest}",
    }


@dataclass(frozen=True, slots=True)
class ZoomEvent:
    """One happening at Zoom, and how its deliveries go wrong."""

    event: str
    event_ts: int
    stream: str
    body: bytes
    urls: str | None = None
    stop_reason: int | None = None
    authentic: bool = True
    copies: int = 1
    late_ms: float = 0.0
    replays: int = 0
    forgeries: int = 0


@dataclass(slots=True)
class ZoomModel:
    """Delivers events as Zoom does: 3 s deadline, retries after 5, 25 and 85 minutes on >= 500 and on no answer, then drops."""

    ground: Ground
    fleet: Fleet
    outside: Instance
    retries_s: tuple[int, ...] = ZOOM_RETRIES_S
    deadline_ms: int = 3_000
    deliveries: int = 0
    happened: int = 0

    def happen(self, event: ZoomEvent) -> None:
        """Schedule all deliveries of an event."""
        for copy in range(event.copies):
            self.happened += 1
            name = f"{event.event}:{event.stream[:6]}#{self.happened}"
            self.ground.spawn(f"zoom {name}", self._deliver(name, event, copy), self.outside)

        if event.replays or event.forgeries:
            self.ground.spawn(f"attacker {event.event}:{event.stream[:6]}#{self.happened}", self._attack(event), self.outside)

    async def _attack(self, event: ZoomEvent) -> None:
        """Somebody who saw the request on its way sends it again, unchanged or with a bit of it turned."""
        stamped = max(event.event_ts, self.ground.now_ms) // 1000
        headers = sign(event.body, stamped, SECRET_TOKEN if event.authentic else "not the secret")
        await sleep(max(0, event.event_ts - self.ground.now_ms) + self.ground.delay(100, 60_000), "attacker waits")
        for number in range(event.replays + event.forgeries):
            forged = number >= event.replays
            body = event.body
            if forged:
                place = number * 7919 % len(body)
                body = body[:place] + bytes([body[place] ^ (1 << number % 8)]) + body[place + 1 :]
            await sleep(self.ground.delay(1, 900_000), "attacker waits")
            self.deliveries += 1
            name = f"attack {event.event}:{event.stream[:6]}:{event.event_ts}#{number}"
            try:
                status = await outcome_of(self.fleet.webhook(name, "/zoom-webhook", headers, body), self.deadline_ms)
            except (Crashed, TimeoutError):
                status = 599
            self._note(event, status, authentic=event.authentic and not forged)

    async def _deliver(self, name: str, event: ZoomEvent, copy: int) -> None:
        wait_ms = event.event_ts - self.ground.now_ms + event.late_ms + (self.ground.delay(0, 30_000) if copy else 0)
        if wait_ms > 0:
            await sleep(wait_ms, "zoom sends")
        else:
            await pause("zoom sends")
        stamped = self.ground.now_ms // 1000
        for attempt, wait_s in enumerate((0, *self.retries_s)):
            if wait_s:
                await sleep(wait_s * 1000, "zoom retry")
                if self.ground.fault("retry re-stamped"):
                    stamped = self.ground.now_ms // 1000
            headers = sign(event.body, stamped, SECRET_TOKEN if event.authentic else "not the secret")
            self.deliveries += 1
            try:
                status = await outcome_of(self.fleet.webhook(f"{name}.{attempt}", "/zoom-webhook", headers, event.body), self.deadline_ms)
            except Crashed:
                status = 598
            except TimeoutError:
                status = 599
            self.ground.heard(status)
            lost = status < 500 and self.ground.fault("ack lost")
            self._note(event, ACK_LOST if lost else status, authentic=event.authentic)
            if status < 500 and not lost:
                return

    def _note(self, event: ZoomEvent, status: int, *, authentic: bool) -> None:
        self.ground.note(
            "zoom",
            "answered",
            event=event.event,
            stream=event.stream,
            ts=event.event_ts,
            urls=event.urls,
            reason=event.stop_reason,
            status=status,
            authentic=authentic,
        )
