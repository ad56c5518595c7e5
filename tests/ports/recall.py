"""A Recall in memory whose answers a test may script, and an archive."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from rtms_relay.errors import AlreadyArchived, RecallUnavailable
from rtms_relay.ports import Answer, Archived


class ScriptedRecall:
    """A Recall that makes MDCs, remembers keys, and answers a create with what `script` holds first.

    `stored`: statuses that, once answered to a key, are answered to it again. `ignores_filter`: the list of recordings is the whole
    workspace's. `copies_metadata` False: recordings do not show it. `foreign`: recordings of others, by id.
    """

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
        self.stored: dict[str, Answer] = {}
        self.stored_statuses = {507}
        self.ignores_filter = False
        self.copies_metadata = True
        self.foreign: dict[str, dict[str, Any]] = {}
        self.deleted: list[str] = []
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
        if idempotency_key in self.stored:
            return self.stored[idempotency_key]
        if self.script:
            step = self.script.pop(0)
            # What Recall itself answered to a key it answers again; only what stands before it may say something else.
            replayed = idempotency_key in self.by_key and isinstance(step, Answer) and step.status in (201, 400, 507)
            if isinstance(step, Answer) and step.status in self.stored_statuses:
                self.stored[idempotency_key] = step
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
            "metadata": self.mdcs[mdc_id]["recording_config"]["metadata"] if self.copies_metadata else {},
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
        found = self.recordings.get(recording_id) or self.foreign.get(recording_id)
        return Answer(404) if found is None else Answer(200, json.dumps(found).encode())

    async def recordings_with_metadata(self, key: str, value: str, cursor: str | None = None) -> Answer:
        self.reads.append(f"{key}={value}")
        if self.down:
            return self.down
        mine = [mdc_id for mdc_id, body in self.mdcs.items() if body["recording_config"]["metadata"][key] == value]
        found = [recording for mdc_id in mine for recording in self._of(mdc_id)] if self.copies_metadata else []
        if self.ignores_filter:
            found = [*self.recordings.values(), *self.foreign.values()]
        start = int(cursor or 0)
        following = f"https://x.recall.ai/api/v1/recording/?cursor={start + 50}" if start + 50 < len(found) else None
        return Answer(200, json.dumps({"next": following, "previous": None, "results": found[start : start + 50]}).encode())

    async def delete_recording(self, recording_id: str) -> Answer:
        if self.down:
            return self.down
        there = self.recordings.pop(recording_id, None) or self.foreign.pop(recording_id, None)
        if there is None:
            return Answer(404)
        self.deleted.append(recording_id)
        return Answer(204)

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
