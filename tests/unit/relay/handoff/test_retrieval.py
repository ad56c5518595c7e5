"""The retrieval: its table, when to look next, when it is over, and how recordings merge."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import msgspec
import pytest
from msgspec.structs import replace

from rtms_relay import budgets
from rtms_relay.budgets import Rules
from rtms_relay.handoff import retrieval as retrievals
from rtms_relay.handoff.retrieval import LOSSES, TRANSITIONS, TRIGGERS, Retrieval, State, Trigger
from rtms_relay.ports import Artifact, Recording

NOW = 1_795_338_000_000
RULES = Rules()
AWAITING = Retrieval(state="awaiting", look_at=NOW)


def recording(status: str, *, artifacts: dict[str, str] | None = None, read: bool = True, **fields: Any) -> Recording:
    made = {name: Artifact(id=name, status=code, sub_code="why" if code == "failed" else None) for name, code in (artifacts or {}).items()}
    return Recording(id=fields.pop("id", "r"), status=status, artifacts=made, read=read, **fields)


def test_the_tables_name_every_state_and_trigger() -> None:
    assert {state for (before, _), after in TRANSITIONS.items() for state in (before, after)} == set(get_args(State))
    assert {trigger for _, trigger in TRANSITIONS} == set(get_args(Trigger)) == set(TRIGGERS)
    assert set(get_args(State)) >= LOSSES


@pytest.mark.parametrize(("before", "trigger"), list(TRANSITIONS))
def test_every_transition_takes_place(before: State, trigger: Trigger) -> None:
    moved = retrievals.move(Retrieval(state=before), trigger, "why")
    assert (moved.state, moved.reason) == (TRANSITIONS[before, trigger], "why")


@pytest.mark.parametrize(
    ("recordings", "early", "late"),
    [
        ([], None, "nothing_made"),
        ([recording("processing")], None, "all_failed"),
        ([recording("done")], "complete", "complete"),
        ([recording("done", read=False)], None, "incomplete"),
        ([recording("done", read=False), recording("done", id="q")], None, "incomplete"),
        ([recording("done", artifacts={"video_mixed": "done"})], "complete", "complete"),
        ([recording("done", artifacts={"video_mixed": "done", "transcript": "processing"})], None, "incomplete"),
        ([recording("done", artifacts={"video_mixed": "done", "transcript": "failed"})], "incomplete", "incomplete"),
        ([recording("done"), recording("failed", id="q")], "incomplete", "incomplete"),
        ([recording("failed", sub_code="bad")], "all_failed", "all_failed"),
        ([recording("deleted")], "complete", "complete"),
        ([recording("done"), recording("zzz", id="q")], None, "incomplete"),
    ],
)
def test_it_is_over_when_everything_is_final_or_was_waited_for(recordings: list[Recording], early: str | None, late: str) -> None:
    retrieval = replace(AWAITING, recordings=tuple(recordings))
    verdicts = [retrievals.judge(retrieval, late=is_late, cause="") for is_late in (False, True)]
    assert [verdict and verdict[0] for verdict in verdicts] == [early, late]


def test_only_what_is_awaited_is_judged() -> None:
    others = set(get_args(State)) - {"awaiting"}
    assert {state: retrievals.judge(Retrieval(state=state), late=True, cause="") for state in others} == dict.fromkeys(others)
    assert len(others) == len(get_args(State)) - 1 > 0


def test_a_loss_names_its_cause() -> None:
    def reason(retrieval: Retrieval, cause: str = "") -> str:
        verdict = retrievals.judge(retrieval, late=True, cause=cause)
        assert verdict is not None
        return verdict[1]

    assert reason(AWAITING) == "no recordings were made; does RECALL_RECORDING_CONFIG ask for one?"
    assert reason(replace(AWAITING, mdc_status="fatal (no_media)")).endswith("Recall's status of the MDC is fatal (no_media)")
    assert reason(AWAITING, "nobody joined") == "no recordings were made: nobody joined"
    assert reason(replace(AWAITING, not_joined="the signature was refused")) == "no recordings were made: the signature was refused"
    assert reason(replace(AWAITING, recordings=(recording("failed", sub_code="bad"),)), "x") == "the recording failed: bad; x"
    partial = replace(AWAITING, recordings=(recording("done", artifacts={"transcript": "failed"}),))
    assert reason(partial) == "transcript failed (why)"


def test_looks_are_rare_while_the_stream_runs_and_ever_rarer_after_it() -> None:
    running = retrievals.look_later(AWAITING, NOW, None, RULES)
    assert running.look_at == NOW + RULES.poll_ms
    ended = retrievals.end(Retrieval(), NOW, NOW)
    pauses, now = [], NOW
    for _ in range(9):
        assert ended.look_at is not None
        pauses.append(ended.look_at - now)
        now = ended.look_at
        ended = retrievals.look_later(ended, now, None, RULES)
    assert pauses == [20_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000, RULES.poll_ms]
    assert retrievals.look_later(ended, NOW, 7200.0, RULES).look_at == NOW + 7_200_000


def test_an_end_is_noted_once() -> None:
    ended = retrievals.end(Retrieval(), NOW - 5, NOW)
    assert (ended.state, ended.ended_at, ended.look_at) == ("awaiting", NOW - 5, NOW + budgets.FIRST_LOOK_MS)
    assert retrievals.end(ended, NOW, NOW) == ended


def test_it_is_waited_for_a_day_after_the_end_or_two_without_one() -> None:
    for ended_at, until in ((None, NOW + 2 * budgets.DAY_MS), (NOW, NOW + budgets.DAY_MS)):
        retrieval = replace(AWAITING, ended_at=ended_at)
        assert not retrievals.too_late(retrieval, NOW, None, until - 1, RULES)
        assert retrievals.too_late(retrieval, NOW, None, until, RULES)


def test_a_webhook_is_a_reason_to_look_and_its_repetition_none() -> None:
    once = retrievals.announced(Retrieval(state="done"), "msg_1", "rec", NOW)
    assert (once.state, once.look_at, [known.id for known in once.recordings]) == ("awaiting", NOW, ["rec"])
    assert not once.recordings[0].read
    assert once.seen == ("116b88f173007be5",)
    assert retrievals.announced(once, "msg_1", "other", NOW + 5) == once
    many = once
    for number in range(100):
        many = retrievals.announced(many, f"m{number}", None, NOW)
    assert len(many.seen) == retrievals.SEEN_LIMIT == 50


def test_recordings_merge_in_any_order_and_never_leave_a_final_status() -> None:
    stamps = ["2026-11-22T09:00:00Z", "2026-11-22T09:00:01+00:00", "", "odd"]
    seen = [Recording(id="r", status=code, updated_at=stamp) for code in ("processing", "done", "zzz") for stamp in stamps][::2]
    ends = set()
    for order in itertools.permutations(seen):
        known: tuple[Recording, ...] = ()
        for one in order:
            known = retrievals.merged(known, [one])
        ends.add((known[0].status, known[0].updated_at))
    assert len(ends) == 1
    done = Recording(id="r", status="done", updated_at="2026-11-22T09:00:00Z")
    for status, kept in (("processing", "done"), ("failed", "failed"), ("deleted", "deleted")):
        other = Recording(id="r", status=status, updated_at="2026-11-22T10:00:00Z")
        assert retrievals.merged([done], [other])[0].status == kept
    gone = Recording(id="r", status="deleted", updated_at="2026-11-22T08:00:00Z")
    for status in ("done", "failed", "processing"):
        later = Recording(id="r", status=status, updated_at="2026-11-22T10:00:00Z")
        assert retrievals.merged([gone], [later])[0].status == retrievals.merged([later], [gone])[0].status == "deleted"


def test_an_artifact_made_once_more_takes_the_place_of_the_old() -> None:
    old = recording("done", artifacts={"t": "failed"})
    new = replace(old, artifacts={"t": Artifact(id="t2", status="processing")})
    assert retrievals.merged([old], [new])[0].artifacts["t"].id == "t2"
    less = replace(old, artifacts={"t": Artifact(id="t", status="processing")})
    assert retrievals.merged([old], [less])[0].artifacts["t"].status == "failed"
    for first, then in (("processing", "zzz"), ("failed", "done")):
        read = [recording("done", artifacts={"t": status}) for status in (first, then)]
        assert retrievals.merged(read[:1], read[1:])[0].artifacts["t"].status == then  # what was read last holds


def test_the_archive_is_named_once() -> None:
    item = retrievals.ArchivedArtifact(name="n", size=1, sha256="s")
    over = retrievals.finish(replace(AWAITING, archived=(item,), archive_until=5), "complete", "", [item])
    assert (over.archived, over.archive_until, over.look_at, over.state) == ((item,), None, None, "done")


def test_a_new_retrieval_waits_for_nothing() -> None:
    assert msgspec.to_builtins(Retrieval()) == {
        "state": "none",
        "reason": "",
        "ended_at": None,
        "looks": 0,
        "look_at": None,
        "archive_until": None,
        "slow_copies": 0,
        "recordings": (),
        "archived": (),
        "seen": (),
        "mdc_status": "",
        "not_joined": "",
    }


def test_what_is_over_expects_nothing_more_and_the_earlier_of_two_looks_holds() -> None:
    done = Retrieval(state="done")
    assert retrievals.expect(done, NOW) == done
    assert retrievals.expect(Retrieval(), NOW) == Retrieval(state="awaiting", look_at=NOW)
    for look_at, kept in ((NOW - 1, NOW - 1), (NOW + 1, NOW)):
        assert retrievals.expect(AWAITING, look_at).look_at == kept


def test_a_look_keeps_the_last_status_that_was_told_and_plans_only_for_what_is_awaited() -> None:
    told = retrievals.after_look(AWAITING, [recording("processing")], "recording", NOW, RULES)
    assert (told.mdc_status, told.looks, told.look_at) == ("recording", 1, NOW + RULES.poll_ms)
    assert [known.id for known in told.recordings] == ["r"]
    assert retrievals.after_look(told, [], "", NOW, RULES).mdc_status == "recording"
    done = Retrieval(state="done")
    assert retrievals.after_look(done, [], "done", NOW, RULES) == replace(done, mdc_status="done")


def test_a_pause_is_never_shorter_than_recall_asks_for_and_does_not_grow_for_ever() -> None:
    ended = replace(AWAITING, ended_at=NOW, looks=1_000)
    assert retrievals.look_later(ended, NOW, None, RULES).look_at == NOW + RULES.poll_ms
    patient = Rules(poll_ms=10**12)
    assert retrievals.look_later(ended, NOW, None, patient).look_at == NOW + 20_000 * 2**16
    first = replace(ended, looks=0)
    for retry_after_s, pause in ((None, 20_000), (0.0, 20_000), (19.999, 20_000), (20.001, 20_001)):
        assert retrievals.look_later(first, NOW, retry_after_s, RULES).look_at == NOW + pause


def test_one_that_was_accepted_after_the_end_is_waited_for_from_then_on() -> None:
    ended = replace(AWAITING, ended_at=NOW)
    for accepted_at, since in ((NOW + 5, NOW + 5), (NOW - 5, NOW), (None, NOW)):
        over = [retrievals.too_late(ended, NOW - 9, accepted_at, since + RULES.give_up_ms + more, RULES) for more in (-1, 0)]
        assert over == [False, True]


def test_every_end_has_its_words() -> None:
    def words(*recordings: Recording, late: bool = True, cause: str = "") -> tuple[str, str] | None:
        return retrievals.judge(replace(AWAITING, recordings=recordings), late=late, cause=cause)

    assert words(recording("done", artifacts={"video_mixed": "done"}), late=False) == ("complete", "")
    assert words(recording("deleted"), late=False) == ("complete", "deleted at Recall")
    assert words(recording("processing")) == ("all_failed", "the recording never ended")
    assert words(recording("failed"), late=False) == ("all_failed", "the recording failed")
    failed = [recording("failed", id="a", sub_code="x"), recording("failed", id="b", sub_code="w"), recording("failed", id="c")]
    assert words(*failed, cause="nobody joined") == ("all_failed", "the recording failed: w, x; nobody joined")
    rest = recording("done", artifacts={"a": "failed", "b": "failed", "c": "processing"})
    assert words(rest, recording("failed", id="q")) == (
        "incomplete",
        "a failed (why); b failed (why); given up waiting for the rest; a recording failed",
    )
    plain = replace(rest, artifacts={"a": Artifact(id="a", status="failed")})
    assert words(plain) == ("incomplete", "a failed")
    # What a recording that is not done holds is nobody's loss.
    assert words(recording("deleted", artifacts={"a": "failed"}), late=False) == ("complete", "deleted at Recall")


def test_a_copy_that_failed_gives_back_its_own_lease_only_and_the_fifth_slow_one_is_the_last() -> None:
    held = replace(AWAITING, archive_until=7)
    item = retrievals.ArchivedArtifact(name="b", size=1, sha256="s")
    mine = retrievals.not_copied(held, 7, "n", [item], slow=True)
    assert (mine.archive_until, mine.slow_copies, mine.archived, mine.state) == (None, 1, (item,), "awaiting")
    anothers = retrievals.not_copied(held, 6, "n", [], slow=False)
    assert (anothers.archive_until, anothers.slow_copies) == (7, 0)
    fourth, fifth = (retrievals.not_copied(replace(held, slow_copies=before), 7, "n", [], slow=True) for before in (3, 4))
    assert (fourth.state, fifth.state) == ("awaiting", "partial")
    assert fifth.reason == "n could not be archived: 5 copies took longer than 25 minutes"
    assert (fifth.archive_until, fifth.look_at) == (None, None)
    more = retrievals.finish(
        replace(AWAITING, archived=(item,)), "complete", "", [retrievals.ArchivedArtifact(name="a", size=2, sha256="t")]
    )
    assert [kept.name for kept in more.archived] == ["a", "b"]


def test_of_two_readings_of_one_moment_the_same_holds_in_either_order() -> None:
    for one, other in (
        (recording("failed", sub_code="x"), recording("failed", sub_code="y")),
        (recording("failed"), recording("failed", sub_code="y")),
        (recording("failed"), recording("failed", sub_code="A")),
        (recording("aaa"), recording("zzz")),
        (recording("processing", updated_at="odd"), recording("processing", updated_at="2026-11-22T09:00:00Z")),
        (recording("processing", updated_at="0001-01-01T00:00:00"), recording("processing", updated_at="2026-11-22T09:00:00Z")),
    ):
        [first], [second] = retrievals.merged([one], [other]), retrievals.merged([other], [one])
        assert (first.status, first.sub_code, first.updated_at) == (second.status, second.sub_code, second.updated_at)
        assert (first.status, first.sub_code, first.updated_at) == (other.status, other.sub_code, other.updated_at)
    assert retrievals.merged([recording("done", read=False)], [recording("done")])[0].read
    assert retrievals.merged([recording("done")], [recording("done", read=False)])[0].read
    assert not retrievals.merged([recording("done", read=False)], [recording("done", read=False)])[0].read
    assert [known.id for known in retrievals.merged([recording("done", id="b")], [recording("done", id="a")])] == ["a", "b"]
