"""Zoom's and Recall's requests, signed, and an environment for both functions."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

NOW = 1_795_338_000_000
TOKEN = "hooksecret"
WHSEC = "whsec_" + base64.b64encode(b"a webhook secret").decode()
STREAM = "609340fb2a7946909659956c8aa9250c"
MEETING = "4444AAAiAAAAAiAiAiiAii=="
URLS_A, URLS_B, URLS_C = (f"wss://rtms-{name}.zoom.us:443" for name in "abc")

ENVIRON = {
    "ZOOM_SECRET_TOKEN": TOKEN,
    "ZOOM_CLIENT_ID": "cid_probe",
    "ZOOM_CLIENT_SECRET": "secret_probe",
    "RECALL_API_KEY": "0123456789abcdef0123456789abcdef01234567",
    "RECALL_WEBHOOK_SECRETS": WHSEC,
    "STATE_URL": "sqlite://",
    "HANDOFF_QUEUES": "projects/p/locations/l/queues/handoffs,projects/p/locations/m/queues/handoffs",
    "FACTS_QUEUE": "projects/p/locations/l/queues/facts",
    "RETRIEVAL_QUEUE": "projects/p/locations/l/queues/retrievals",
    "WORKER_URL": "https://worker.example",
}


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


def started(urls: Any = URLS_A, ts: int = NOW, stream: str = STREAM, product: str = "meeting", **more: Any) -> dict[str, Any]:
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
