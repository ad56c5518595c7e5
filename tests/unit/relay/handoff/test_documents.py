"""Records in the store: whole, tolerant of tomorrow's fields, and those of the first edition read."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from rtms_relay.handoff import documents, record
from rtms_relay.handoff import facts as known
from rtms_relay.handoff.attempt import Attempt
from rtms_relay.handoff.erasure import Erasure
from rtms_relay.handoff.facts import Begun, Facts, Run
from rtms_relay.handoff.keys import Keys, first_edition_key, stream_key
from rtms_relay.handoff.record import HandOff
from rtms_relay.handoff.retrieval import ArchivedArtifact, Retrieval
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


def of_first_edition(**more: Any) -> HandOff:
    """`OLD`, read, as it is to be: each part by its fields."""
    parts: dict[str, dict[str, Any]] = {
        "attempt": {
            "start_ts": NOW,
            "state": "accepted",
            "state_at": NOW + 2,
            "tries": 1,
            "history": ("1: accepted",),
            "mdc_id": "mdc",
            "accepted_at": NOW + 2,
        },
        "retrieval": {
            "state": "awaiting",
            "ended_at": NOW + 50,
            "looks": 3,
            "look_at": NOW + 90,
            "recordings": (Recording(id="r", status="processing", read=True),),
            "seen": ("x",),
        },
        "erasure": {},
    }
    attempt, retrieval, erasure = ({**fields, **more.pop(name, {})} for name, fields in parts.items())
    identity: dict[str, Any] = {
        "key": OLD["key"],
        "stream_key": stream_key("stream"),
        "product": "meeting",
        "entity_id": "e",
        "stream_id": "stream",
        "server_urls": "wss://a",
        "account_id": "acc",
        "epoch": NOW,
        "created_at": NOW + 1,
    }
    return HandOff(**{**identity, **more}, attempt=Attempt(**attempt), retrieval=Retrieval(**retrieval), erasure=Erasure(**erasure))


def test_nothing_of_a_hand_off_of_the_first_edition_is_lost() -> None:
    assert documents.read_handoff(OLD) == of_first_edition()
    archived = {"name": "a.mp4", "size": 7, "sha256": "ab"}
    told = {**OLD, "reason": "why", "retrieval_reason": "why not", "archive_until": NOW + 99, "archived": [archived], "accepted_at": None}
    assert documents.read_handoff({**told, "lease_until": NOW + 3, "attempt_at": NOW + 4}) == of_first_edition(
        attempt={"reason": "why", "lease_until": NOW + 3, "next_at": NOW + 4, "accepted_at": None, "unsure": True},
        retrieval={"reason": "why not", "archive_until": NOW + 99, "archived": (ArchivedArtifact(**archived),)},
    )


@pytest.mark.parametrize(
    ("attempts", "accepted_at", "unsure", "then"),
    [(0, None, False, False), (1, None, False, True), (1, NOW, False, False), (1, NOW, True, True), (0, None, True, True)],
)
def test_only_what_was_posted_without_an_answer_may_have_made_something(
    attempts: int, accepted_at: int | None, unsure: bool, then: bool
) -> None:
    read = documents.read_handoff({**OLD, "attempts": attempts, "accepted_at": accepted_at, "unsure": unsure})
    assert read.attempt.unsure is then


def test_a_revoked_one_of_the_first_edition_is_in_its_round_of_erasure_and_looked_for_no_more() -> None:
    erasure = {"state": "forgetting", "since": NOW + 2, "at": NOW + 90, "rounds": 3}
    retrieval = {"state": "none", "looks": 0, "look_at": None}
    assert documents.read_handoff({**OLD, "retrieval": "forgetting"}) == of_first_edition(retrieval=retrieval, erasure=erasure)


def test_the_fields_that_the_first_edition_left_out_mean_nothing_happened_yet() -> None:
    kept = ("key", "stream_key", "product", "entity_id", "stream_id", "server_urls", "event_ts", "created_at", "state_at")
    assert documents.read_handoff({name: OLD[name] for name in kept}) == HandOff(
        key=OLD["key"],
        stream_key=stream_key("stream"),
        product="meeting",
        entity_id="e",
        stream_id="stream",
        server_urls="wss://a",
        account_id="",
        epoch=NOW,
        created_at=NOW + 1,
        attempt=Attempt(start_ts=NOW, state="pending", state_at=NOW + 2, reason="", tries=0, unsure=False),
        retrieval=Retrieval(state="none", reason="", looks=0),
    )


def test_the_fields_that_a_store_finds_a_hand_off_by() -> None:
    def found_by(handoff: HandOff) -> dict[str, Any]:
        fields = documents.handoff_fields(handoff, KEEP)
        return {name: fields[name] for name in ("edition", "created_at", "state", "recording", "stream", "meeting", "mdc")}

    plain = {"edition": 2, "created_at": NOW + 1, "state": "accepted", "stream": stream_key("stream")}
    old = documents.read_handoff(OLD)
    assert found_by(old) == {
        **plain, "recording": "awaiting", "meeting": hashlib.sha256(b"e").hexdigest(), "mdc": hashlib.sha256(b"mdc").hexdigest()
    }  # fmt: skip
    revoked = documents.read_handoff({**OLD, "retrieval": "forgetting", "entity_id": "", "mdc_id": None})
    assert found_by(revoked) == {**plain, "recording": "forgetting", "meeting": None, "mdc": None}
    assert documents.facts_fields(FACTS, KEEP)["edition"] == 2


def test_an_id_that_is_no_text_has_a_hash_too() -> None:
    assert documents.hashed("\ud83d") == hashlib.sha256(b"\xed\xa0\xbd").hexdigest()
    assert len(documents.hashed("")) == 64


@pytest.mark.parametrize("which", ["created_at", "state_at", "start_ts", "ended_at", "none"])
def test_a_finished_record_is_kept_from_the_last_thing_that_happened(which: str) -> None:
    late = {name: NOW + (1_000 if name == which else 0) for name in ("created_at", "state_at", "start_ts", "ended_at")}
    over = replace(
        HANDOFF,
        created_at=late["created_at"],
        attempt=Attempt(state="expired", start_ts=late["start_ts"], state_at=late["state_at"]),
        retrieval=Retrieval(state="none_made", ended_at=None if which == "none" else late["ended_at"]),
    )
    assert documents.handoff_fields(over, KEEP)["expires_at"] == NOW + (0 if which == "none" else 1_000) + KEEP
    assert documents.handoff_fields(replace(over, created_at=2**53), KEEP)["expires_at"] == 253_402_300_799_000


def test_facts_of_the_first_edition_have_their_starts_in_order_and_nothing_else_is_lost() -> None:
    fields: dict[str, Any] = {
        "key": "k",
        "stream_id": "stream",
        "product": "webinar",
        "entity_id": "e",
        "created_at": NOW,
        "stopped_ts": NOW + 9,
    }
    read = documents.read_facts({**fields, "starts": {"f" * 64: NOW + 5, "a" * 64: NOW}})
    runs = (
        Run(key="a" * 64, server_urls="", epoch=NOW, newest_ts=NOW),
        Run(key="f" * 64, server_urls="", epoch=NOW + 5, newest_ts=NOW + 5),
    )
    assert read == Facts(**fields, runs=runs)
    assert documents.read_facts({**fields, "starts": {}}) == Facts(**fields)
