"""`rtms_simulator.kit.end_to_end`: what came home is only called equal when it is, and a meeting that got lost says where."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtms_simulator.clock import Clock
from rtms_simulator.control.run_summary import Comparison
from rtms_simulator.errors import RecordingLostError
from rtms_simulator.kit.end_to_end import _ended_without, compared, played
from rtms_simulator.kit.worker_answers import HandOffRow
from rtms_simulator.kit.worker_client import Downloaded, Recordings
from rtms_simulator.scenario import parse
from rtms_simulator.zoom.media import MediaSource
from rtms_simulator.zoom.meeting.report import MeetingReport, StreamReport
from rtms_simulator.zoom.webhooks.events import EVENTS
from rtms_simulator.zoom.webhooks.sender import Delivery, WebhookAttempt

SCENARIO = parse("""
duration_s = 0.5
people = [{ name = "Ada" }]
timeline = [{ at_s = 0.1, kind = "speak", who = "Ada", until_s = 0.4, text = "So  it is." }]
""")
SOURCE = MediaSource(SCENARIO)
SAMPLES = b"".join(part.astype("<i2").tobytes() for part in SOURCE.mixed_samples(16_000))
HEARD = [{"participant": {"name": "Ada"}, "words": [{"text": word} for word in ("So", "it", "is.")]}]


def came_home(folder: Path, samples: bytes = SAMPLES, heard: object = HEARD) -> Comparison:
    files = {}
    for name, content in (("audio_mixed", samples), ("transcript", json.dumps(heard).encode())):
        (folder / name).write_bytes(content)
        files[name] = Downloaded(folder / name, len(content), "", "", 0)
    return compared(SCENARIO, SOURCE, files)


def test_the_same_is_equal(tmp_path):
    found = came_home(tmp_path)
    assert found.ok is True
    assert found.samples.count == len(SAMPLES) // 2 == 8000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(at=st.integers(0, len(SAMPLES) - 1), bit=st.integers(0, 7))
def test_a_single_bit_is_noticed(tmp_path, at, bit):
    changed = bytearray(SAMPLES)
    changed[at] ^= 1 << bit
    found = came_home(tmp_path, bytes(changed))
    assert (found.ok, found.samples.equal, found.transcript.equal) == (False, False, True)


@pytest.mark.parametrize(
    "samples", [SAMPLES[:-2], SAMPLES + b"\0\0", b"", SAMPLES[2:] + SAMPLES[:2]], ids=["short", "long", "none", "shifted"]
)
def test_another_length_or_place_is_noticed(tmp_path, samples):
    assert came_home(tmp_path, samples).ok is False


@pytest.mark.parametrize(
    "heard",
    [[], HEARD * 2, [HEARD[0] | {"participant": {"name": "Eve"}}], [HEARD[0] | {"words": [{"text": "So"}]}]],
    ids=["nothing", "twice", "another speaker", "fewer words"],
)
def test_another_transcript_is_noticed(tmp_path, heard):
    found = came_home(tmp_path, heard=heard)
    assert (found.ok, found.samples.equal, found.transcript.equal) == (False, True, False)


def test_what_recall_did_not_deliver_is_named():
    with pytest.raises(RecordingLostError, match="did not deliver audio_mixed and transcript"):
        compared(SCENARIO, SOURCE, {})


def report(*, joined_ms: int | None = 3, streams: int = 1, outcome="delivered") -> MeetingReport:
    stream = StreamReport("s", "c", ("ws://x",), "TERMINATED", joined_ms, 9, 6, 0, 0, {})
    delivery = Delivery(1, EVENTS["meeting.rtms_started"], "http://x", b"", [WebhookAttempt(0.0, {}, 503)], outcome)
    return MeetingReport(1, "x", "meeting", "e", "m", 0, 1.0, 0, 9, (stream,) * streams, (delivery,), ())


@pytest.mark.parametrize(
    ("meeting", "says"),
    [
        (report(outcome="failed"), "meeting.rtms_started was not delivered: failed, status 503"),
        (report(joined_ms=None), "nobody joined stream s"),
        (report(streams=2), "the meeting had 2 streams"),
    ],
)
def test_a_meeting_that_got_lost_says_where(meeting, says):
    with pytest.raises(RecordingLostError, match=says):
        played(meeting)
    assert played(report()).stream_id == "s"


def test_nobody_joining_is_right_where_nobody_is_to_join_and_only_there():
    assert played(report(joined_ms=None), "not-joined").joined_ms is None
    with pytest.raises(RecordingLostError, match="stream s was joined after 3 ms, and nobody was to join it"):
        played(report(), "not-joined")
    with pytest.raises(RecordingLostError, match="nobody joined stream s"):
        played(report(joined_ms=None), "deleted")


class Answers(Recordings):
    """A worker's client whose list changes from look to look; the last one stays."""

    def __init__(self, *looks: list[HandOffRow]) -> None:
        self.looks = list(looks)

    async def every(self, filters: Mapping[str, str] | None = None) -> AsyncIterator[HandOffRow]:
        assert filters == {"stream": "s"}
        for row in self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]:
            yield row


def row(**fields: Any) -> HandOffRow:
    words: dict[str, Any] = dict.fromkeys(("product", "entity_id", "rtms_stream_id", "reason", "retrieval_reason"), "")
    words |= {"event_ts": 1, "created_at": 1, "accepted_at": 1, "ended_at": None, "mdc_id": "m"}
    words |= {"id": "k", "state": "accepted", "retrieval": "awaiting", "recordings": [], "archived": [], **fields}
    return HandOffRow(**words)


@pytest.mark.parametrize(
    ("expected", "looks"),
    [
        ("deleted", [[], [row()], [row(retrieval="forgetting")], [row(retrieval="forgotten")]]),
        ("not-joined", [[row()], [row(not_joined="nobody joined in time")]]),
        ("not-joined", [[row(state="pending")], [row(state="expired")]]),
    ],
)
async def test_an_end_without_a_recording_is_waited_for(expected, looks, monkeypatch):
    monkeypatch.setattr("rtms_simulator.kit.end_to_end._LOOK_EVERY_S", 0.0)
    stream = played(report(joined_ms=None if expected == "not-joined" else 3), expected)
    assert await _ended_without(Answers(*looks), stream, expected, Clock()) == looks[-1][0]


@pytest.mark.parametrize(
    ("expected", "last", "says"),
    [
        ("deleted", row(retrieval="done"), "the meeting was recorded, but it should end deleted"),
        ("deleted", row(retrieval="forgetting"), "within 0 s it did not: the hand-off is accepted, its recording forgetting"),
        ("not-joined", row(retrieval="forgotten"), "it did not: the hand-off is accepted, its recording forgotten"),
    ],
)
async def test_another_end_is_said(expected, last, says, monkeypatch):
    monkeypatch.setattr("rtms_simulator.kit.end_to_end.PATIENCE_S", 0.3)
    with pytest.raises(RecordingLostError, match=says):
        await _ended_without(Answers([last]), played(report()), expected, Clock())
