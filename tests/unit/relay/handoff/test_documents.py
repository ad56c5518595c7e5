"""Records in the store: whole, tolerant of tomorrow's fields, and those of the first edition read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from rtms_relay.handoff import documents, record
from rtms_relay.handoff import facts as known
from rtms_relay.handoff.facts import Begun, Facts
from rtms_relay.handoff.keys import Keys, first_edition_key, stream_key
from rtms_relay.handoff.retrieval import ArchivedArtifact
from rtms_relay.ports import Artifact, Recording

NOW = 1_795_338_000_000
KEEP = 400 * 86_400_000
FACTS, RUN = known.with_start(
    Facts(key="s", stream_id="i", product="meeting", entity_id="e", created_at=NOW),
    Begun(stream_id="i", server_urls="wss://a", event_ts=NOW),
    "d",
)
HANDOFF = record.new(FACTS, RUN.key, "wss://a", NOW, NOW)


def test_a_record_survives_the_store_and_a_newer_release() -> None:
    recording = Recording(id="r", status="done", artifacts={"video_mixed": Artifact(id="v", status="done")})
    whole = replace(
        HANDOFF,
        attempt=replace(HANDOFF.attempt, history=("1: ok",), keys=Keys(number=2, doubtful=True)),
        retrieval=replace(
            HANDOFF.retrieval, recordings=(recording,), seen=("x",), archived=(ArchivedArtifact(name="n", size=1, sha256="s"),)
        ),
    )
    fields = documents.handoff_fields(whole, KEEP)
    assert documents.read_handoff({**fields, "field_of_tomorrow": 1}) == whole
    assert documents.read_facts({**documents.facts_fields(FACTS, KEEP), "field_of_tomorrow": 1}) == FACTS


def test_a_record_is_due_and_kept_until_nothing_is_left_to_do() -> None:
    fields = documents.handoff_fields(HANDOFF, KEEP)
    assert (fields["due_at"], fields["expires_at"], fields["created_at"]) == (NOW, None, NOW)
    over = record.refuse(HANDOFF, "no", NOW + 5)
    fields = documents.handoff_fields(over, KEEP)
    assert (fields["due_at"], fields["expires_at"]) == (None, NOW + 5 + KEEP)
    assert documents.facts_fields(known.with_stop(FACTS, NOW + 9, 6), KEEP)["expires_at"] == NOW + 9 + KEEP
    far = documents.facts_fields(known.with_stop(FACTS, 2**53 - 1, 6), KEEP)["expires_at"]
    assert datetime.fromtimestamp(far / 1000, UTC).year == 9999


OLD: dict[str, Any] = {
    "key": first_edition_key("stream", "wss://a"),
    "stream_key": stream_key("stream"),
    "product": "meeting",
    "entity_id": "e",
    "stream_id": "stream",
    "server_urls": "wss://a",
    "account_id": "acc",
    "event_ts": NOW,
    "created_at": NOW + 1,
    "state": "accepted",
    "state_at": NOW + 2,
    "reason": "",
    "idempotency_key": "0" * 32,
    "key_at": NOW + 1,
    "attempts": 1,
    "attempt_at": None,
    "lease_until": None,
    "unsure": False,
    "history": ["1: accepted"],
    "mdc_id": "mdc",
    "accepted_at": NOW + 2,
    "ended_at": NOW + 50,
    "retrieval": "awaiting",
    "retrieval_reason": "",
    "looks": 3,
    "look_at": NOW + 90,
    "archive_until": None,
    "slow_copies": 0,
    "recordings": [{"id": "r", "status": "processing", "artifacts": {}, "read": True}],
    "archived": [],
    "seen": ["x"],
    "due_at": NOW + 90,
    "expires_at": None,
}


def test_a_hand_off_of_the_first_edition_is_read() -> None:
    handoff = documents.read_handoff(OLD)
    assert (handoff.attempt.state, handoff.attempt.mdc_id, handoff.attempt.tries, handoff.attempt.unsure) == ("accepted", "mdc", 1, False)
    assert (handoff.retrieval.state, handoff.retrieval.looks, handoff.due_at) == ("awaiting", 3, NOW + 90)
    assert [recording.id for recording in handoff.retrieval.recordings] == ["r"]
    assert documents.read_handoff(documents.handoff_fields(handoff, KEEP)) == handoff


@pytest.mark.parametrize(("state", "retrieval"), [("pending", "none"), ("expired", "awaiting"), ("cancelled", "none"), ("failed", "none")])
def test_whatever_state_it_was_in(state: str, retrieval: str) -> None:
    handoff = documents.read_handoff({**OLD, "state": state, "retrieval": retrieval, "accepted_at": None, "mdc_id": None})
    assert (handoff.attempt.state, handoff.retrieval.state) == (state, retrieval)
    assert handoff.attempt.unsure  # its key was drawn by lot, so nobody can ask with it again


@pytest.mark.parametrize("retrieval", ["forgetting", "forgotten"])
def test_a_tombstone_of_the_first_edition_goes_on_being_erased(retrieval: str) -> None:
    handoff = documents.read_handoff({**OLD, "retrieval": retrieval, "look_at": NOW + 7})
    assert (handoff.erasure.state, handoff.erasure.at, handoff.look_at) == (retrieval, NOW + 7, NOW + 7)
    assert handoff.retrieval.look_at is None


def test_facts_of_the_first_edition_are_read() -> None:
    fields = {
        "key": stream_key("stream"),
        "stream_id": "stream",
        "product": "meeting",
        "entity_id": "e",
        "created_at": NOW,
        "starts": {OLD["key"]: NOW, "f" * 64: NOW + 5},
        "stopped_ts": NOW + 9,
        "stop_reason": 6,
    }
    facts = documents.read_facts(fields)
    assert {run.key: run.newest_ts for run in facts.runs} == {OLD["key"]: NOW, "f" * 64: NOW + 5}
    assert (facts.stopped_ts, facts.stop_reason) == (NOW + 9, 6)
    _, run = known.with_start(facts, Begun(stream_id="stream", server_urls="wss://a", event_ts=NOW), "d")
    assert run.key == OLD["key"]
