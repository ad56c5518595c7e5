"""Real-time endpoints: events of a running recording to a webhook or a WebSocket, in order (docs/evidence/recall.md C5).

A webhook event is tried again 60 times, one second apart; a WebSocket is reconnected 30 times, three seconds apart, per incident.
Then the endpoint is `failed` and gets nothing more. Requests and upgrades are signed with the workspace secret.
"""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from rtms_simulator.clock import Clock
from rtms_simulator.recall.recorder.values import (
    AudioChunk,
    Participant,
    ParticipantEvent,
    RecorderEvent,
    TranscriptUtterance,
    VideoImage,
    Word,
    timestamp_json,
)
from rtms_simulator.recall.records.workspace import RealtimeEndpoint, Recording
from rtms_simulator.recall.webhooks.bodies import as_sent, reference
from rtms_simulator.recall.webhooks.sender import TIMEOUT_S, Webhooks

WEBHOOK_RETRIES, WEBHOOK_EVERY_S = 60, 1.0
WEBSOCKET_RETRIES, WEBSOCKET_EVERY_S = 30, 3.0
# Events that can be asked for and are not sent by this fake, and why.
NEVER_SENT = {
    "participant_events.chat_message": "Meeting Direct Connect for Zoom RTMS gets no chat messages",
    "transcript.provider_data": "Recall does not say what it is for Zoom's own captions",
    "video_separate_h264.data": "the recorder passes Zoom's pictures on as PNG only",
}
NOT_REACHED = {
    "webhook": ("webhook_delivery_failed", f"no 2xx within {WEBHOOK_RETRIES} retries"),
    "websocket": ("websocket_connection_failed", f"no connection within {WEBSOCKET_RETRIES} retries"),
    "rtmp": ("rtmp_not_simulated", "this fake has no RTMP client"),
}


LiveParticipant = Callable[[Participant], dict[str, Any]]
"""The participant object of a real-time event."""


def live_participant(participant: Participant) -> dict[str, Any]:
    """As the page on real-time event payloads has it: `is_host` a boolean and `extra_data` an object, neither null.

    Inferred: false and an empty object, since RTMS says nothing of either.
    """
    return {**participant.as_json(), "is_host": False, "extra_data": {}}


def payloads(event: RecorderEvent, participant: LiveParticipant = live_participant) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What a recorder's event is to real-time endpoints: (event name, artifact kind it belongs to, inner data)."""
    if isinstance(event, ParticipantEvent):
        data = {"participant": participant(event.participant), "timestamp": timestamp_json(event.at, event.relative), "data": None}
        yield f"participant_events.{event.action}", "participant_events", data
    elif isinstance(event, TranscriptUtterance):
        # Zoom's transcript has no partial results; an utterance is announced word by word before it is said whole (inferred).
        for count in range(1, len(event.words)):
            yield "transcript.partial_data", "transcript", _utterance(event, event.words[:count], participant)
        yield "transcript.data", "transcript", _utterance(event, event.words, participant)
    elif isinstance(event, AudioChunk):
        data = {"buffer": base64.b64encode(event.data).decode(), "timestamp": timestamp_json(event.at, event.relative)}
        if event.participant is None:
            yield "audio_mixed_raw.data", "audio_mixed", data
        else:
            yield "audio_separate_raw.data", "audio_separate", {**data, "participant": participant(event.participant)}
    elif isinstance(event, VideoImage):
        data = {
            "buffer": base64.b64encode(event.png).decode(),
            "timestamp": timestamp_json(event.at, event.relative),
            "type": event.kind,
            "participant": participant(event.participant),
        }
        yield "video_separate_png.data", "video_separate", data


def _utterance(event: TranscriptUtterance, words: tuple[Word, ...], participant: LiveParticipant) -> dict[str, Any]:
    return {
        "words": [
            {
                "text": word.text,
                "start_timestamp": {"relative": round(word.start_relative, 6)},
                "end_timestamp": {"relative": round(word.end_relative, 6)},
            }
            for word in words
        ],
        "language_code": event.language_code,
        "participant": participant(event.participant),
    }


class RealtimeSender:
    """Sends one endpoint what it asked for. `on_end(None)` when all was sent, `on_end((code, message))` when it was given up."""

    def __init__(
        self,
        clock: Clock,
        webhooks: Webhooks,
        recording: Recording,
        endpoint: RealtimeEndpoint,
        *,
        buffer: int,
        participant: LiveParticipant,
        on_end: Callable[[tuple[str, str] | None], None],
    ) -> None:
        self._clock = clock
        self._webhooks = webhooks
        self._recording = recording
        self._endpoint = endpoint
        self._participant = participant
        self._on_end = on_end
        self._waiting: deque[bytes] = deque(maxlen=buffer)
        self._news = asyncio.Event()
        self._closing = False
        self.sent = 0

    def offer(self, event: RecorderEvent) -> None:
        """Queue what the endpoint subscribed to; when it is too far behind, the oldest queued event is dropped."""
        if self._endpoint.status.code != "running" or self._closing:
            return
        for name, kind, inner in payloads(event, self._participant):
            if name in self._endpoint.events:
                self._queue(name, kind, inner)

    def _queue(self, name: str, kind: str, inner: dict[str, Any]) -> None:
        body = {
            "event": name,
            "data": {
                "data": inner,
                "realtime_endpoint": reference(self._endpoint),
                kind: self._resource(kind),
                "recording": reference(self._recording),
            },
        }
        self._waiting.append(as_sent(body))
        self._news.set()

    def _resource(self, kind: str) -> dict[str, Any]:
        """The resource that an event belongs to; documented for every event, so one that is not recorded has an id and no metadata.

        Inferred: such an id stays the same for the whole recording and can be retrieved nowhere.
        """
        artifact = next((one for one in self._recording.artifacts if one.kind == kind), None)
        if artifact is not None:
            return reference(artifact)
        return {"id": str(uuid.uuid5(uuid.UUID(self._recording.id), kind)), "metadata": {}}

    def finish(self) -> None:
        """Nothing more will be offered: send what is queued, then end."""
        self._closing = True
        self._news.set()

    async def run(self) -> None:
        """Send until the end. Cancel it to stop at once, telling nobody."""
        kind = self._endpoint.type
        through = {"webhook": self._over_webhook, "websocket": self._over_websocket, "rtmp": self._never}[kind]
        self._on_end(None if await through() else NOT_REACHED[kind])

    async def _next(self) -> bytes | None:
        """The oldest queued event, left in the queue until it has been sent; None at the end."""
        while not self._waiting:
            if self._closing:
                return None
            self._news.clear()
            await self._news.wait()
        return self._waiting[0]

    def _sent(self, event: bytes) -> None:
        # It may have been dropped from the full queue while it was on its way.
        if self._waiting and self._waiting[0] is event:
            self._waiting.popleft()
        self.sent += 1

    async def _never(self) -> bool:
        return False

    async def _over_webhook(self) -> bool:
        while (event := await self._next()) is not None:
            message_id = self._webhooks.message_id()
            for attempt in range(WEBHOOK_RETRIES + 1):
                if attempt:
                    await self._clock.sleep(WEBHOOK_EVERY_S)
                headers = {"content-type": "application/json", **self._webhooks.workspace_signature(message_id, event)}
                status, _ = await self._webhooks.post(self._endpoint.url, event, headers)
                if status is not None and 200 <= status < 300:
                    self._sent(event)
                    break
            else:
                return False
        return True

    async def _over_websocket(self) -> bool:
        while True:
            connection = await self._connected()
            if connection is None:
                return False
            try:
                while (event := await self._next()) is not None:
                    await connection.send(event.decode())
                    self._sent(event)
                await connection.close()
            except ConnectionClosed:
                continue
            finally:
                connection.transport.abort()
            return True

    async def _connected(self) -> ClientConnection | None:
        for attempt in range(WEBSOCKET_RETRIES + 1):
            if attempt:
                await self._clock.sleep(WEBSOCKET_EVERY_S)
            headers = self._webhooks.workspace_signature(self._webhooks.message_id(), b"")
            try:
                return await self._clock.wait_for(self._connect(headers), TIMEOUT_S)
            except (OSError, InvalidHandshake, InvalidURI, ValueError):
                # ValueError: a host name that no resolver takes, a port that cannot be.
                continue
        return None

    async def _connect(self, headers: dict[str, str]) -> ClientConnection:
        return await connect(self._endpoint.url, additional_headers=headers, open_timeout=None, ping_interval=None, proxy=None)
