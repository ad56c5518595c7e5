"""`rtmskit handoffs` against the real worker: what an operator sees, and what every refusal means."""

from __future__ import annotations

import json
import re

import pytest
from tests.ports.events import MEETING, NOW, STREAM, URLS_B, started, stopped
from tests.unit.simulator.real_worker import RealWorker

from rtms_relay.handoff.keys import stream_key
from rtms_relay.ports import Answer
from rtms_simulator.cli.pages import RUNBOOK
from rtms_simulator.cli.records import filters, gcloud, handoffs, worker

SLASHES = "/q7/8x9Q+ab//cd=="


@pytest.fixture
def real():
    one = RealWorker()
    yield one
    one.close()


@pytest.fixture(autouse=True)
def no_gcloud(monkeypatch):
    monkeypatch.setattr(gcloud.shutil, "which", lambda _name: None)


def meeting_in(uuid: str, stream: str, ts: int = NOW) -> dict:
    event = started(stream=stream, ts=ts)
    event["payload"]["meeting_uuid"] = uuid
    return event


@pytest.fixture
def lived(real):
    """Three meetings: recorded, refused by Recall with 402, and given up."""
    real.play(started())
    real.do(real.bench.run(19))
    real.bench.recall.script = [Answer(402, b'{"detail":"Insufficient credit"}')]
    real.play(meeting_in(SLASHES, "stream-2", NOW + 20_000), seconds=10)
    real.bench.recall.script = [Answer(0, failure="unreachable")] * 100
    real.play(started(stream="stream-3", product="webinar", ts=NOW + 30_000), seconds=90)
    real.bench.recall.script = []
    return real


def asked(rtmskit, real, *argv, **kwargs):
    return rtmskit("handoffs", *argv, "--worker", real.url, **kwargs)


def rows(rtmskit, real, *argv) -> list[dict]:
    done = asked(rtmskit, real, "list", "--json", *argv)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)["handoffs"]


def test_the_list_has_time_product_state_and_reason_newest_first(rtmskit, lived):
    done = asked(rtmskit, lived, "list")
    heads, *lines = done.stdout.splitlines()
    assert heads.split() == ["id", "started", "product", "meeting", "hand-off", "recording", "reason"]
    assert [re.split(r" {2,}", line.strip())[2] for line in lines] == ["webinar", "meeting", "meeting"]
    assert "2026-11-22 09:00:20" in lines[1]
    assert SLASHES in lines[1]
    assert "Recall answered 402: the Recall account is out of credit" in lines[1]
    assert "not handed on within 60 s of its start" in lines[0]


@pytest.mark.parametrize(
    ("options", "streams"),
    [
        (["--state", "failed"], ["stream-2"]),
        (["--state", "expired"], ["stream-3"]),
        (["--recording", "awaiting"], [STREAM]),
        (["--product", "webinar"], ["stream-3"]),
        (["--meeting", SLASHES], ["stream-2"]),
        (["--stream", STREAM], [STREAM]),
        (["--mdc", "mdc-1"], [STREAM]),
        (["--reason", "OUT OF CREDIT"], ["stream-2"]),
        (["--since", "2026-11-22T09:00:15Z"], ["stream-3", "stream-2"]),
        (["--since", "2026-11-22T09:00:15Z", "--state", "failed"], ["stream-2"]),
        (["--limit", "1"], ["stream-3"]),
        (["--product", "meeting", "--limit", "1"], ["stream-2"]),
        (["--state", "cancelled"], []),
    ],
)
def test_every_filter_narrows_and_all_of_them_together(rtmskit, lived, options, streams):
    assert [row["rtms_stream_id"] for row in rows(rtmskit, lived, *options)] == streams


def test_on_a_terminal_every_line_fits_80_columns_and_each_id_can_be_used(rtmskit, lived, monkeypatch):
    monkeypatch.setattr(handoffs, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    done = asked(rtmskit, lived, "list")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert f"  meeting {SLASHES}" in lines
    short = [line.split()[0] for line in lines if re.match(r"[0-9a-f]{12} ", line)]
    assert len(short) == 3
    for beginning in short:
        assert asked(rtmskit, lived, "show", beginning).exit_code == 0


def test_an_empty_list_says_so(rtmskit, real):
    assert asked(rtmskit, real, "list").stdout == "No hand-off is like that.\n"
    assert rows(rtmskit, real) == []


def test_the_story_of_a_recorded_meeting(rtmskit, real):
    real.bench.recall.script = [Answer(503)]
    real.play(started())
    real.do(real.bench.run(5))
    real.bench.recall.record("mdc-1")
    real.play(stopped(NOW + 50_000), seconds=120)
    done = asked(rtmskit, real, "show", MEETING)
    assert done.exit_code == 0
    text = done.stdout
    order = [
        "2026-11-22 09:00:00  Zoom began the stream",
        "the worker had it",
        "try 1: Recall answered 503: Recall failed",
        "try 2: accepted",
        "Recall accepted it as MDC mdc-1",
        "2026-11-22 09:00:50  the stream ended: stop_reason 6, the meeting ended",
        "It means: Everything was recorded.",
        "Next: `rtmskit recordings download",
        f"More: {RUNBOOK}#recording-done",
    ]
    places = [text.index(line) for line in order]
    assert places == sorted(places)
    assert f"log key      {stream_key(STREAM)}" in text


def test_the_story_of_a_refused_one_says_what_recall_said_and_what_to_do(rtmskit, lived):
    text = asked(rtmskit, lived, "show", "stream-2").stdout
    assert 'try 1: Recall answered 402: the Recall account is out of credit ({"detail":"Insufficient credit"})' in text
    assert "Reason: Recall answered 402" in text
    assert "ask the host to stop the app and start it again" in text
    assert f"More: {RUNBOOK}#state-failed" in text


def test_labels_stand_apart_from_their_values_and_a_reason_ends_with_one_mark(rtmskit, real):
    real.play(started())
    real.play(stopped(NOW + 5_000, 18), seconds=60)
    text = asked(rtmskit, real, "show", STREAM).stdout
    head = text.partition("\n\n")[0].splitlines()
    assert any(line.startswith("Recall says") for line in head)
    assert [line for line in head if not re.match(r"(Recall says|log key|hand-off|[\w]+) {2,}\S", line)] == []
    assert "are ZOOM_CLIENT_ID and ZOOM_CLIENT_SECRET this app's?\n" in text


def test_json_is_the_record(rtmskit, lived):
    record = json.loads(asked(rtmskit, lived, "show", "stream-2", "--json").stdout)
    assert (record["state"], record["entity_id"], record["attempts"]) == ("failed", SLASHES, 1)
    assert record["tries"][0]["at"] >= NOW


@pytest.mark.parametrize("written", [SLASHES, "%2Fq7%2F8x9Q%2Bab%2F%2Fcd%3D%3D", "%252Fq7%252F8x9Q%252Bab%252F%252Fcd%253D%253D"])
def test_find_takes_a_meeting_uuid_with_slashes_also_as_it_stands_in_a_url(rtmskit, lived, written):
    done = asked(rtmskit, lived, "find", written)
    assert done.exit_code == 0
    assert "stream       stream-2" in done.stdout


@pytest.mark.parametrize("text", [STREAM, MEETING, "mdc-1"])
def test_find_takes_a_stream_a_meeting_and_an_mdc(rtmskit, lived, text):
    found = json.loads(asked(rtmskit, lived, "find", text, "--json").stdout)
    assert STREAM in [row["rtms_stream_id"] for row in found["handoffs"]]


def test_find_shows_several_as_a_list(rtmskit, real):
    real.play(started(), started(URLS_B, NOW + 2_000))
    done = asked(rtmskit, real, "find", STREAM)
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 3
    assert "superseded" in done.stdout
    refused = asked(rtmskit, real, "show", STREAM)
    assert refused.exit_code == 2
    assert "means 2 hand-offs" in refused.stderr


def test_find_says_what_may_have_become_of_what_is_not_on_record(rtmskit, real):
    done = asked(rtmskit, real, "find", "--odd-stream-id")
    assert done.exit_code == 1
    for line in (
        "No hand-off is on record for '--odd-stream-id'",
        "start_acked and no start_seen",
        "delivery_refused",
        f'jsonPayload.stream="{stream_key("--odd-stream-id")}"',
        f"{RUNBOOK}#not-on-record",
    ):
        assert line in done.stdout
    real.play(stopped(NOW + 5_000))
    known = asked(rtmskit, real, "find", STREAM)
    assert known.exit_code == 1
    assert "its end came (stop_reason 6, the meeting ended)" in known.stdout


def test_an_empty_id_is_refused(rtmskit, real):
    done = asked(rtmskit, real, "find", " ")
    assert done.exit_code == 2
    assert "the id is empty" in done.stderr


def test_retry_in_its_window_posts_at_once(rtmskit, lived):
    lived.bench.recall.script = [Answer(402)]
    lived.play(meeting_in("new==", "stream-4", lived.bench.clock.now_ms()))
    done = asked(rtmskit, lived, "retry", "new==")
    assert (done.exit_code, done.stdout) == (0, "tried once more: its connect window is open.\nNow accepted, recording awaiting.\n")


def test_retry_that_is_refused_again_is_a_failure(rtmskit, lived):
    lived.bench.recall.script = [Answer(402), Answer(402)]
    lived.play(meeting_in("new==", "stream-4", lived.bench.clock.now_ms()))
    done = asked(rtmskit, lived, "retry", "new==")
    assert done.exit_code == 1
    assert "tried once more" in done.stderr
    assert "out of credit" in done.stderr


def test_retry_outside_its_window_says_why_not_and_what_remains(rtmskit, lived):
    posts = len(lived.bench.recall.creates)
    done = asked(rtmskit, lived, "retry", "stream-2")
    assert done.exit_code == 1
    assert "not tried: its connect window ended 2026-11-22 09:01:20 UTC" in done.stderr
    assert "Do: while the meeting runs, the host can stop the app and start it again" in done.stderr
    assert len(lived.bench.recall.creates) == posts


def test_retry_of_an_accepted_one_looks_for_its_recording(rtmskit, lived):
    lived.bench.recall.record("mdc-1")
    done = asked(rtmskit, lived, "retry", STREAM)
    assert done.exit_code == 0
    assert "looked again" in done.stdout
    assert "Now accepted, recording done" in done.stdout
    assert json.loads(asked(rtmskit, lived, "retry", STREAM, "--json").stdout)["did"] == "looked"


@pytest.mark.parametrize("command", ["show", "retry"])
def test_an_unknown_id_is_bad_input_and_says_where_to_look(rtmskit, lived, command):
    done = asked(rtmskit, lived, command, "abcdef")
    assert done.exit_code == 2
    assert "there is no hand-off 'abcdef'" in done.stderr
    assert "rtmskit handoffs find abcdef" in done.stderr
    whole = asked(rtmskit, lived, command, "f" * 64)
    assert whole.exit_code == 2
    assert "no hand-off" in whole.stderr


@pytest.mark.parametrize("since", ["yesterday", "5", "2026-13-01", "-3h", "9999999d", "999999w"])
def test_a_since_that_is_no_moment_is_refused_with_the_forms(rtmskit, real, since):
    done = asked(rtmskit, real, "list", f"--since={since}")
    assert done.exit_code == 2
    assert "write 30m, 6h or 2d" in done.stderr


PAGES = [
    (401, "Google did not accept the identity token", "gcloud auth login"),
    (403, "Google let nobody through to the worker", "workerCallers[0]"),
    (404, "Google has no service at this address", "takes internal traffic"),
    (503, "the worker did not start", "try again in a minute"),
]


@pytest.mark.parametrize(("status", "says", "do"), PAGES)
@pytest.mark.parametrize("command", [["handoffs", "list"], ["recordings", "list"]], ids=" ".join)
def test_a_page_of_googles_is_explained(rtmskit, real, command, status, says, do):
    real.instead = (
        status,
        "text/html; charset=UTF-8",
        f"<html><head><title>{status} Error</title></head><body>Your client ...</body></html>",
    )
    done = rtmskit(*command, "--worker", real.url)
    assert done.exit_code == 1
    assert says in done.stderr
    assert do in done.stderr
    assert "<html" not in done.stderr


def test_the_workers_own_refusal_is_not_taken_for_googles(rtmskit, real):
    real.instead = (403, "application/json", '{"error":"not_allowed","reason":"the identity of /events may call nothing else"}')
    done = asked(rtmskit, real, "list")
    assert done.exit_code == 1
    assert "the identity of /events may call nothing else (HTTP 403)" in done.stderr


def test_what_is_no_worker_at_all_is_said(rtmskit, real):
    real.instead = (200, "text/html", "<html>hello</html>")
    done = asked(rtmskit, real, "list")
    assert done.exit_code == 1
    assert "answered what this rtmskit does not know" in done.stderr


def test_a_token_is_sent_and_on_loopback_gcloud_is_not_asked(rtmskit, real, monkeypatch):
    monkeypatch.setattr(worker.gcloud, "identity_token", lambda: pytest.fail("asked"))
    asked(rtmskit, real, "list")
    asked(rtmskit, real, "list", "--token", "abc.def.ghi")
    assert [authorization for _, _, authorization in real.asked] == ["", "Bearer abc.def.ghi"]


def test_without_a_token_gcloud_gives_one_for_a_deployed_worker(monkeypatch, tmp_path):
    program = tmp_path / "gcloud"
    program.write_text('#!/bin/sh\n[ "$*" = "auth print-identity-token --quiet" ] && echo ey.to.ken\n')
    program.chmod(0o755)
    monkeypatch.setattr(gcloud.shutil, "which", lambda _name: str(program))
    given = worker.target("https://worker-abc.a.run.app", "", tmp_path / "up.json")
    assert (given.kind, given.token) == ("deployed", "ey.to.ken")
    program.write_text('#!/bin/sh\necho "ERROR: (gcloud.auth) You do not currently have an active account selected." >&2\nexit 1\n')
    with pytest.raises(worker.BadInput, match="You do not currently have an active account") as refused:
        worker.target("https://worker-abc.a.run.app", "", tmp_path / "up.json")
    assert "gcloud auth login" in refused.value.do


def test_since_is_local_time_unless_it_names_a_zone(monkeypatch):
    now = filters.datetime.fromtimestamp(NOW / 1000, filters.UTC)
    assert filters.since("2h", now) == now - filters.timedelta(hours=2)
    assert filters.since("2026-11-22T10:00+01:00", now) == now
    assert filters.since("2026-11-22", now).astimezone().hour == 0


def test_recordings_take_the_same_filters_and_ids(rtmskit, lived):
    done = rtmskit("recordings", "list", "--state", "failed", "--json", "--worker", lived.url)
    assert [row["rtms_stream_id"] for row in json.loads(done.stdout)["recordings"]] == ["stream-2"]
    shown = rtmskit("recordings", "show", SLASHES, "--worker", lived.url)
    assert json.loads(shown.stdout)["entity_id"] == SLASHES
    lived.bench.recall.record("mdc-1")
    assert "video_mixed" in rtmskit("recordings", "show", STREAM, "--worker", lived.url).stdout
