"""The bodies of Recall's webhooks for recordings, artifacts and real-time endpoints (pure). Shapes: Recall's event catalogue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rtms_simulator.recall.records.times import webhook_time
from rtms_simulator.recall.records.workspace import Artifact, Mdc, RealtimeEndpoint, Recording, Status
from rtms_simulator.recall.switches import RecallSwitches


def as_sent(body: Mapping[str, Any]) -> bytes:
    """The bytes that are signed and sent."""
    # With the standard library, as `ApiResponse.json`: metadata may have lone surrogates.
    return json.dumps(body, separators=(",", ":")).encode()


def webhook_body(
    event: str,
    changed: Status,
    mdc: Mdc,
    recording: Recording,
    switches: RecallSwitches,
    *,
    about: Mapping[str, Artifact | RealtimeEndpoint] | None = None,
    error: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The body of a `recording.*`, artifact or `realtime_endpoint.*` event. `about`: the artifact or endpoint by its key."""
    data: dict[str, Any] = {"code": changed.code, "sub_code": changed.sub_code, "updated_at": webhook_time(changed.updated_at)}
    if error is not None:
        data["error"] = dict(error)
    body: dict[str, Any] = {"data": data, "recording": reference(recording)}
    for key, thing in (about or {}).items():
        body[key] = reference(thing)
    if switches.bot_key == "null":
        body["bot"] = None
    elif switches.bot_key == "object":
        # No bot made the recording, so the id is the MDC's.
        body["bot"] = {"id": mdc.id, "metadata": mdc.body.get("metadata") or {}}
    elif switches.bot_key == "meeting_direct_connect":
        body["meeting_direct_connect"] = {"id": mdc.id, "metadata": mdc.body.get("metadata") or {}}
    return {"event": event, "data": body}


def reference(thing: Recording | Artifact | RealtimeEndpoint) -> dict[str, Any]:
    """How an event or an object names another one."""
    return {"id": thing.id, "metadata": thing.metadata}
