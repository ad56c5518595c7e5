"""The judgement on a chaos run: the same checker as the simulated world's, and what only real processes can show."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rtms_relay.handoff.keys import handoff_key
from rtms_simulator.recall import Recall
from rtms_simulator.recall.records.workspace import Recording
from rtms_simulator.zoom.webhooks.events import WebhookEvent
from tests.chaos.meetings import REVOKED, Sent
from tests.simulation.checker import CONNECT_WINDOW_MS, FINAL, Verdict, judge
from tests.simulation.world import Event

Rows = Mapping[str, Mapping[str, Any]]


def history(sent: Iterable[Sent], recall: Recall, rows: Rows) -> list[Event]:
    """What Zoom and Recall saw, in the checker's words.

    A revocation whose every answer was lost may have been heard or not. If the stream's records are tombstones, it was, and then
    everything must be gone; they name no stream any more, so they are found by their keys.
    """
    sent = list(sent)
    forgotten = {key for key, fields in rows.items() if fields["retrieval"] in ("forgetting", "forgotten")}
    starts = [one.delivery.event for one in sent if "server_urls" in one.delivery.event.payload]
    heard = {start.payload["rtms_stream_id"] for start in starts if _key(start) in forgotten}
    told: list[Event] = []
    for one in sent:
        event, payload = one.delivery.event, one.delivery.event.payload
        facts = {
            "event": event.name,
            "stream": payload["rtms_stream_id"],
            "urls": payload.get("server_urls"),
            "reason": payload.get("stop_reason"),
            "ts": event.event_ts,
            "authentic": one.authentic,
        }
        for attempt in one.delivery.attempts:
            status = attempt.status or 0
            if one.authentic and facts["reason"] == REVOKED and facts["stream"] in heard:
                status = 200
            if one.authentic or status > 0:  # a forgery that got no answer proves nothing
                told.append(Event(int(attempt.at * 1000), "zoom", "answered", facts | {"status": status}))
    for mdc in recall.workspace.mdcs.values():
        facts = {"handoff": mdc.body["metadata"]["rtmskit_handoff"], "mdc": mdc.id, "stream": mdc.stream_id}
        told.append(Event(int(mdc.created_at * 1000), "recall", "made", facts))
    for exchange in recall.api.history:
        if exchange.method == "POST" and exchange.status is not None and 400 <= exchange.status < 500:
            facts = {"handoff": json.loads(exchange.body)["metadata"]["rtmskit_handoff"], "status": exchange.status}
            told.append(Event(int(exchange.at * 1000), "recall", "refused", facts))
    return sorted(told, key=lambda event: event.at_ms)


NO_TRY_MS = 3_000
"""In the last 3 s of the window no try is planned: what failed by then has expired."""


def verdict(sent: Iterable[Sent], recall: Recall, rows: Rows) -> Verdict:
    """Every promise that was broken: nothing lost, nothing doubled, nobody let in, every recording home, nothing expired early."""
    recordings = recall.workspace.recordings
    kept = [f"rec-{recording.mdc_id}" for recording in recordings.values() if recording.status.code != "deleted"]
    named = {key: _named_by_mdc(fields, recordings) for key, fields in rows.items()}
    found = judge(history(sent, recall, rows), named, kept=kept)
    for key, fields in rows.items():
        if fields["state"] == "expired" and fields["state_at"] < fields["event_ts"] + CONNECT_WINDOW_MS - NO_TRY_MS:
            found.breaks("G1", f"hand-off {key[:8]} expired while another try would have fitted into its window")
    for recording in recordings.values():
        if (reason := not_home(recording, rows)) is not None:
            found.breaks("retrieval", f"recording {recording.id[:8]} of hand-off {_handoff(recording)[:8]} {reason}")
    return found


def at_rest(recall: Recall, rows: Rows) -> bool:
    """Whether nothing is under way any more: every hand-off at an end, every recording known to its record."""
    return all(fields["state"] in FINAL for fields in rows.values()) and not any(
        not_home(recording, rows) for recording in recall.workspace.recordings.values()
    )


def not_home(recording: Recording, rows: Rows) -> str | None:
    """Why a recording that Recall holds has not come home to its record, or None if it has."""
    fields = rows.get(_handoff(recording))
    if fields is None:
        return "belongs to no record"
    if fields["retrieval"] in ("forgetting", "forgotten"):
        return None if recording.status.code == "deleted" else "was revoked, but is still there"
    known = {one["id"]: one["status"] for one in fields["recordings"]}
    if recording.id not in known:
        return "is not on its record"
    if recording.status.code in ("done", "failed") and (known[recording.id], fields["retrieval"]) != (recording.status.code,) * 2:
        return f"is {recording.status.code}, its record says {known[recording.id]}, retrieval {fields['retrieval']}"
    return None if recording.status.code in ("done", "failed", "deleted") else f"is still {recording.status.code}"


def _key(start: WebhookEvent) -> str:
    """The key of the hand-off that a start creates."""
    return handoff_key("rtmskit", start.payload["rtms_stream_id"], start.payload["server_urls"], start.event_ts)


def _handoff(recording: Recording) -> str:
    return recording.metadata.get("rtmskit_handoff") or ""


def _named_by_mdc(fields: Mapping[str, Any], recordings: Mapping[str, Recording]) -> dict[str, Any]:
    """The checker knows recordings as `rec-<mdc id>`, as the simulated Recall names them."""
    known = [recordings[one["id"]].mdc_id if one["id"] in recordings else one["id"] for one in fields["recordings"]]
    return {**fields, "recordings": [{"id": f"rec-{identity}"} for identity in known]}
