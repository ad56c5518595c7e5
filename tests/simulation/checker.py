"""Judges a finished world by its history and what was left in the store. Knows the promises, not the implementation.

Of the service it uses only the states' names and four fields of a hand-off record: `state`, `reason`, `mdc_id` and the
stream's ids. Everything else comes from what Zoom and Recall saw.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.world import Event

FINAL = {"accepted", "cancelled", "superseded", "failed", "expired"}
CONNECT_WINDOW_MS = 60_000
REVOKED = 8
ACK_LOST = 597
"""The status by which the world notes that an answer that was no failure got lost on its way to Zoom."""


@dataclass(slots=True)
class Verdict:
    """What a run amounted to, and every promise it broke.

    `lost`: acknowledged starts without an end. `late`: not handed on in time, without an excuse. `doubled`: hand-offs with two MDCs that
    are not marked unsure. `foreign`: recordings of others that were deleted or adopted. `promptness`: acknowledged starts by their excuse.
    """

    broken: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    promptness: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    late: int = 0
    doubled: int = 0
    foreign: int = 0
    starts: int = 0

    def breaks(self, promise: str, what: str) -> None:
        self.broken.append(f"{promise}: {what}")


def view(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A stored hand-off as the checker reads it: all that it holds, with what its attempt and its retrieval say in front."""
    attempt, retrieval, erasure = fields["attempt"], fields["retrieval"], fields["erasure"]
    return {
        **fields,
        **{name: attempt[name] for name in ("state", "state_at", "reason", "mdc_id", "unsure", "tries")},
        "event_ts": attempt["start_ts"],
        "recordings": retrieval["recordings"],
        "retrieval": erasure["state"] if erasure["state"] != "none" else retrieval["state"],
    }


def judge(
    history: Sequence[Event], handoffs: Mapping[str, Mapping[str, Any]], *, archive: Iterable[str] = (), kept: Iterable[str] = ()
) -> Verdict:
    """Check G1, G2, G3, G5 and G8 on a world that has come to rest.

    `handoffs`: key -> fields of each hand-off record. `archive`: names of archived objects. `kept`: ids of the recordings that
    Recall still has, as `rec-<mdc id>`.
    """
    verdict = Verdict()
    acked: dict[tuple[str, str], list[Event]] = defaultdict(list)
    heard_stop: dict[str, int] = {}
    heard_start: dict[str, list[tuple[int, str, bool]]] = defaultdict(list)
    revoked: set[str] = set()
    perhaps_revoked: set[str] = set()
    genuine: set[tuple[str, str]] = set()
    for event in history:
        if event.who != "zoom" or event.what != "answered":
            continue
        facts = event.facts
        if not facts["authentic"]:
            if facts["status"] < 400:
                verdict.breaks("G5", f"a forged {facts['event']} was answered {facts['status']}")
            continue
        if _is_start(facts):
            genuine.add((facts["stream"], facts["urls"]))
            # A start may have had its effect though its answer got lost or late, so it counts as possibly heard.
            heard_start[facts["stream"]].append((facts["ts"], facts["urls"], 200 <= facts["status"] < 300))
            if 200 <= facts["status"] < 300:
                acked[(facts["stream"], facts["urls"])].append(event)
        elif facts["event"].endswith("rtms_stopped"):
            heard_stop[facts["stream"]] = max(heard_stop.get(facts["stream"], 0), facts["ts"])
            if facts["reason"] == REVOKED:
                perhaps_revoked.add(facts["stream"])
                if 200 <= facts["status"] < 300:
                    revoked.add(facts["stream"])

    by_stream_and_urls = {
        (fields["stream_id"], fields["server_urls"]): (key, fields)
        for key, fields in sorted(handoffs.items(), key=lambda item: item[1].get("epoch", 0))
        if fields.get("stream_id")
    }
    by_key = dict(handoffs)
    made: dict[str, list[Event]] = defaultdict(list)
    refused: dict[str, list[int]] = defaultdict(list)
    for event in history:
        if event.who == "recall" and event.what == "made":
            made[event.facts["handoff"]].append(event)
        elif event.who == "recall" and event.what == "refused":
            refused[event.facts["handoff"]].append(event.facts["status"])

    _nothing_lost(verdict, acked, by_stream_and_urls, perhaps_revoked)
    for key, events in made.items():
        if len(events) > 1 and not by_key.get(key, {}).get("unsure"):
            verdict.doubled += 1
            verdict.breaks("G2", f"hand-off {key[:8]} made {len(events)} MDCs: {[event.facts['mdc'] for event in events]}")
        if key not in by_key:
            verdict.breaks("G5", f"an MDC was made for {key[:8]}, which no record knows")
    for (stream, urls), (key, fields) in by_stream_and_urls.items():
        if (stream, urls) not in genuine:
            verdict.breaks("G5", f"hand-off {key[:8]} exists, but no authentic delivery asked for it")
        starts, stop = heard_start[stream], heard_stop.get(stream)
        _is_justified(verdict, key, fields, made.get(key, []), refused.get(key, []), starts, stop, perhaps_revoked)
    _nothing_left(verdict, revoked, made, archive, kept)
    _nothing_foreign(verdict, history, handoffs, made, archive)
    return verdict


def _is_start(facts: Mapping[str, Any]) -> bool:
    event = facts["event"]
    return event.endswith("rtms_started") or (event.endswith("rtms_interrupted") and facts["urls"] is not None)


def _nothing_lost(
    verdict: Verdict,
    acked: Mapping[tuple[str, str], list[Event]],
    records: Mapping[tuple[str, str], tuple[str, Mapping[str, Any]]],
    revoked: set[str],
) -> None:
    """G1 and G3: each acknowledged start, the fail-overs among them, has a record of its own that came to an end with a reason."""
    for (stream, urls), events in acked.items():
        verdict.starts += 1
        found = records.get((stream, urls))
        if found is None:
            if stream in revoked:  # a tombstone has no ids any more
                verdict.outcomes["forgotten"] += 1
                continue
            verdict.lost += 1
            began = min(event.facts["ts"] for event in events)
            fails_over = any(
                other == stream and their != urls and each.facts["ts"] < began for (other, their), them in acked.items() for each in them
            )
            verdict.breaks("G3" if fails_over else "G1", f"acknowledged start of {stream[:8]} at {urls} has no record")
            continue
        key, fields = found
        state = fields["state"]
        verdict.outcomes[state] += 1
        if state not in FINAL:
            verdict.lost += 1
            verdict.breaks("G1", f"hand-off {key[:8]} came to rest as {state}")
        elif not fields.get("reason") and state != "accepted":
            verdict.breaks("G1", f"hand-off {key[:8]} is {state} without a reason")
        elif state == "accepted" and not (fields.get("mdc_id") or fields.get("recordings")):
            verdict.breaks("G1", f"hand-off {key[:8]} is accepted with neither an MDC nor a recording")


def _is_justified(
    verdict: Verdict,
    key: str,
    fields: Mapping[str, Any],
    made: Sequence[Event],
    refused: Sequence[int],
    starts: Sequence[tuple[int, str, bool]],
    stop: int | None,
    revoked: set[str],
) -> None:
    """An end must have its cause in what Zoom and Recall did: nobody may give up on a stream for no reason. `starts`: (event_ts, servers,
    whether it was acknowledged)."""
    state, urls = fields["state"], fields["server_urls"]
    own = _newest_for_certain([(ts, acked) for ts, their, acked in starts if their == urls])
    if state == "accepted" and not _claims(fields) <= {event.facts["mdc"] for event in made}:
        verdict.breaks("G1", f"hand-off {key[:8]} claims {_claims(fields)}, which Recall never made for it")
    elif state == "cancelled" and (stop is None or (own is not None and stop < own)) and fields["stream_id"] not in revoked:
        verdict.breaks("G1", f"hand-off {key[:8]} is cancelled, but nothing stopped its stream after {own}")
    elif state == "superseded" and not any(ts >= (own or 0) and their != urls for ts, their, _ in starts):
        verdict.breaks("G3", f"hand-off {key[:8]} is superseded, but no newer start named other servers")
    elif state == "failed" and not any(status in (400, 401, 402, 403, 404, 405) for status in refused):
        verdict.breaks("G1", f"hand-off {key[:8]} failed, but Recall never refused it for good ({fields.get('reason')})")
    elif state != "superseded" and own is not None and state not in ("cancelled", "failed", "expired"):
        newer = [ts for ts, their, _ in starts if ts > own and their != urls]
        if newer and state == "pending":
            verdict.breaks("G3", f"hand-off {key[:8]} is still {state} though the stream moved on")


def _newest_for_certain(starts: Sequence[tuple[int, bool]]) -> int | None:
    """The newest that was acknowledged; without any, the oldest: one that was not may never have been heard."""
    heard = [ts for ts, acked in starts if acked]
    return max(heard) if heard else min((ts for ts, _ in starts), default=None)


def _claims(fields: Mapping[str, Any]) -> set[str]:
    """The MDCs that a record speaks of: by id, or through a recording of which it was told after the answer got lost."""
    named = {fields["mdc_id"]} if fields.get("mdc_id") else set()
    return named | {recording["id"].removeprefix("rec-") for recording in fields.get("recordings", ())}


def _nothing_left(
    verdict: Verdict, revoked: set[str], made: Mapping[str, list[Event]], archive: Iterable[str], kept: Iterable[str]
) -> None:
    """G8: of a revoked stream no recording stays at Recall and no byte in the archive."""
    stream_of = {event.facts["mdc"]: event.facts["stream"] for events in made.values() for event in events}
    keys = {key for key, events in made.items() for event in events if event.facts["stream"] in revoked}
    for recording in kept:
        if stream_of.get(recording.removeprefix("rec-")) in revoked:
            verdict.breaks("G8", f"{recording} of a revoked stream is still at Recall")
    for name in archive:
        if name.partition("/")[0] in keys:
            verdict.breaks("G8", f"archived {name} of a revoked stream is still there")


def _nothing_foreign(
    verdict: Verdict,
    history: Sequence[Event],
    handoffs: Mapping[str, Mapping[str, Any]],
    made: Mapping[str, list[Event]],
    archive: Iterable[str],
) -> None:
    """G8: what is not ours is neither deleted, nor taken for a recording of a hand-off, nor copied."""
    for event in history:
        if event.who == "recall" and event.what == "deleted foreign":
            verdict.foreign += 1
            verdict.breaks("G8", f"{event.facts['recording']}, which is another's, was deleted")
    ours = {key: {f"rec-{event.facts['mdc']}" for event in events} for key, events in made.items()}
    for key, fields in handoffs.items():
        strange = {recording["id"] for recording in fields.get("recordings", ())} - ours.get(key, set())
        if strange:
            verdict.foreign += 1
            verdict.breaks("G8", f"hand-off {key[:8]} has taken {sorted(strange)} for its own")
    for name in archive:
        if name.partition("/")[0] not in made:
            verdict.foreign += 1
            verdict.breaks("G8", f"archived {name} belongs to no hand-off of ours")
