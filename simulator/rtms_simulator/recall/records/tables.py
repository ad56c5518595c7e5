"""The lives of the fake's objects as tables (pure).

Each table maps (state, fact) to the next state; a pair that is not there changes nothing, because facts come late and twice.
What a fact means: docs/evidence/recall.md A3 (MDC), A4 (recording, artifact), C1 (real-time endpoint). MDC states are inferred: no list
of its status codes is public, so a client that decides on them is wrong, and `RecallSwitches.mdc_codes` can rename them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

Table = Mapping[tuple[str, str], str]

MDC: Table = MappingProxyType(
    {
        ("connecting", "joined"): "recording",
        ("connecting", "ended"): "done",
        ("connecting", "failed"): "failed",
        ("recording", "ended"): "done",
        ("recording", "failed"): "failed",
    }
)

RECORDING: Table = MappingProxyType(
    {
        ("processing", "paused"): "paused",
        ("paused", "resumed"): "processing",
        ("processing", "ended"): "done",
        ("paused", "ended"): "done",
        ("processing", "failed"): "failed",
        ("paused", "failed"): "failed",
        ("processing", "deleted"): "deleted",
        ("paused", "deleted"): "deleted",
        ("done", "deleted"): "deleted",
        ("failed", "deleted"): "deleted",
    }
)

ARTIFACT: Table = MappingProxyType(
    {
        ("processing", "ended"): "done",
        ("processing", "failed"): "failed",
        ("processing", "deleted"): "deleted",
        ("done", "deleted"): "deleted",
        ("failed", "deleted"): "deleted",
    }
)

REALTIME: Table = MappingProxyType({("running", "ended"): "done", ("running", "failed"): "failed"})

TABLES: Mapping[str, Table] = MappingProxyType({"mdc": MDC, "recording": RECORDING, "artifact": ARTIFACT, "realtime_endpoint": REALTIME})
INITIAL: Mapping[str, str] = MappingProxyType(
    {"mdc": "connecting", "recording": "processing", "artifact": "processing", "realtime_endpoint": "running"}
)

# Reasons that this fake gives. All inferred: no sub_codes for MDC or recording.failed are public (docs/evidence/recall.md A3, C2).
WRONG_SIGNATURE = "zoom_rtms_invalid_signature"
DISPLACED = "zoom_rtms_stream_taken_over"
DELETED_MEANWHILE = "recording_deleted"
NOTHING_RECEIVED = "zoom_rtms_no_media"
RECORDER_CRASHED = "internal_error"
NOT_WRITTEN = "artifact_not_written"
NO_TRANSCRIPT = "no_speech_recorded"

INVENTED_MDC_CODES: Mapping[str, str] = MappingProxyType(
    {"connecting": "zzz_warming_up", "recording": "zzz_unknown", "done": "zzz_put_away", "failed": "zzz_went_wrong"}
)


def step(kind: str, state: str, fact: str) -> str:
    """The state after `fact`; the same state when the table has no such row."""
    return TABLES[kind].get((state, fact), state)


def states(kind: str) -> tuple[str, ...]:
    """Every state of a kind, the initial one first."""
    names = dict.fromkeys((INITIAL[kind],))
    for (source, _), target in TABLES[kind].items():
        names.setdefault(source)
        names.setdefault(target)
    return tuple(names)
