"""The commands that look at and change a running `up`, one after the other on one: play, look, break, replay, download, forget."""

import contextlib
import hashlib
import json
import shlex
import time
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from tests.e2e.processes import up

from rtms_simulator.cli import cli

# One worker for this file: what all its tests share is made once.
pytestmark = pytest.mark.xdist_group("commands")


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with up(tmp_path_factory.mktemp("up")) as one:
        yield one


def commands(running):
    """Call a command (in this process: starting Python for each would take longer than all they do), expecting an exit code."""

    def call(*argv: object, code: int = 0):
        with contextlib.chdir(running.cwd):
            done = CliRunner().invoke(cli, [str(part) for part in argv], catch_exceptions=False)
        assert done.exit_code == code, done.output
        return done

    return call


@pytest.fixture(scope="module")
def command(running):
    return commands(running)


def said(done):
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def played(command):
    """One meeting whose hand-off met two 503s first and whose end was told twice."""
    command("faults", "add", "recall.create: 503 retry-after=1 x2 then ok")
    command("faults", "add", "zoom.webhook.*.rtms_stopped: duplicate")
    assert [row["fault"] for row in said(command("faults", "list", "--json"))["armed"]] == [
        "recall.create: 503 retry-after=1 x2 then ok",
        "zoom.webhook.*.rtms_stopped: duplicate",
    ]
    [report] = said(command("meeting", "play", "--speed", "max", "--json"))["meetings"]
    return report


def home(command, running, stream_id):
    """The recording's row once it is done. Looks of one half minute are one task, so its end may be read only in the next one."""
    until = time.monotonic() + 75
    while time.monotonic() < until:
        [row] = [row for row in said(command("recordings", "list", "--json"))["recordings"] if row["rtms_stream_id"] == stream_id]
        if row["retrieval"] == "done":
            return row
        time.sleep(0.5)
    raise AssertionError("\n".join(running.log[-40:]))


def test_the_meeting_is_joined_although_recall_failed_twice(played, command, running):
    [stream] = played["streams"]
    assert stream["joined_ms"] is not None
    whole = said(command("recordings", "show", home(command, running, stream["stream_id"])["id"], "--json"))
    assert (whole["state"], whole["attempts"]) == ("accepted", 3)
    assert "no recording" not in command("recordings", "list").stdout


def test_the_sound_comes_home_as_it_was_played(played, command, running, tmp_path):
    [stream] = played["streams"]
    row = home(command, running, stream["stream_id"])
    file = tmp_path / "sound.raw"
    done = said(command("recordings", "download", row["id"], "--artifact", "audio_mixed", "-o", file, "--json"))
    assert done["sha256"] == stream["sent"]["audio"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    named = said(command("recordings", "download", row["id"], "--json"))
    assert named["path"] == f"{row['id']}.mp4"


def test_every_delivery_can_be_listed_shown_and_sent_again(played, command, tmp_path):
    rows = said(command("events", "list", "--json"))["events"]
    assert {row["vendor"] for row in rows} == {"zoom", "recall"}
    [stopped] = [row for row in rows if row["event"] == "meeting.rtms_stopped"]
    assert [attempt["status"] for attempt in stopped["attempts"]] == [200, 200]
    assert json.loads(said(command("events", "show", str(stopped["id"]), "--json"))["body"])["event"] == "meeting.rtms_stopped"
    assert said(command("events", "replay", str(stopped["id"]), "--json"))["statuses"] == [200]
    saved = tmp_path / "stopped.json"
    saved.write_text(command("events", "show", str(stopped["id"]), "--json").stdout)
    assert said(command("events", "replay", saved, "--json"))["statuses"] == [200]
    saved.write_text("{}")
    command("events", "replay", saved, code=2)
    command("events", "replay", tmp_path / "nowhere.json", code=2)
    done = next(row for row in rows if row["event"] == "recording.done")
    assert json.loads(said(command("events", "show", done["id"], "--json"))["body"])["event"] == "recording.done"
    assert done["meeting"] == played["id"]
    command("events", "replay", done["id"])
    assert "recording.done" in command("events", "list").stdout
    assert len(said(command("recordings", "list", "--json"))["recordings"]) == 1
    command("events", "show", "msg_nothing", code=2)
    command("events", "show", "9999", code=2)


def test_what_is_sent_without_a_webhook_goes_to_the_running_one(command):
    assert json.loads(said(command("send", "rtms.concurrency_near_limit", "--json"))["answer"])
    refused = command("send", "meeting.rtms_started", "--fault", "zoom.webhook.*: wrong-signature")
    assert "Refused, as it must be" in refused.output


def test_faults_can_be_cleared_and_mistakes_are_explained(command):
    command("faults", "add", "zoom.webhook.*: late 4s")
    assert [row["fault"] for row in said(command("faults", "clear", "--json"))["cleared"]] == ["zoom.webhook.*: late 4s"]
    assert said(command("faults", "list", "--json"))["armed"] == []
    assert "(none)" in command("faults", "list").stdout
    assert "a fault is written `TARGET: STEP`" in command("faults", "add", "sometimes", code=2).stderr
    assert "allowed: 200 to 599" in command("faults", "add", "recall.create: 999", code=2).stderr


def test_links_die_with_the_clock_and_a_download_gets_a_fresh_one(played, command, running, tmp_path):
    row = home(command, running, played["streams"][0]["stream_id"])
    before = said(command("clock", "show", "--json"))["now"]
    advanced = command("clock", "advance", "7h", "--json")
    assert said(advanced)["now"] >= before + 7 * 3600
    assert "keep real time" in advanced.stderr
    command("recordings", "download", row["id"], "--artifact", "transcript", "-o", tmp_path / "t.json")
    assert said(command("clock", "freeze", "--json"))["rate"] == 0
    assert "frozen" in command("clock", "show").stdout
    command("clock", "freeze", "--rate", "1")
    command("clock", "advance", "soon", code=2)


def test_a_meeting_that_cannot_be_played_is_refused(command):
    assert "there is no scenario 'nope'" in command("meeting", "play", "nope", code=2).stderr
    assert "supported" in command("meeting", "play", "--media", "pyproject.toml", code=2).stderr


def test_reset_forgets_everything_and_the_functions_still_work_also_over_tls(tmp_path):
    with up(tmp_path, "--tls") as running:
        assert running.described["zoom"]["server_url"].startswith("wss://localhost:")
        command = commands(running)
        assert said(command("meeting", "play", "--speed", "max", "--json"))["meetings"][0]["joined"]
        assert said(command("reset", "--json")) == {"records": "forgotten"}
        assert said(command("recordings", "list", "--json")) == {"recordings": []}
        assert said(command("events", "list", "--json")) == {"events": []}
        [report] = said(command("meeting", "play", "--speed", "max", "--json"))["meetings"]
        assert report["joined"]


def control_tasks(running, queue):
    """The tasks of one queue, the first first, as the control plane shows them."""
    answer = httpx.get(
        running.described["control_url"] + "/tasks",
        params={"queue": queue},
        headers={"Authorization": f"Bearer {running.described['control_token']}"},
    )
    return sorted(answer.json()["tasks"], key=lambda task: task["due_at"])


def test_the_hand_offs_own_worst_cases_are_provoked_as_the_page_shows(tmp_path):
    page = (Path(__file__).parents[2] / "docs/faults.md").read_text()
    shown = page.split("## The worst cases for a hand-off")[1].split("```console\n")[1].split("```")[0].splitlines()
    with up(tmp_path) as running:
        command = commands(running)
        began = time.time()
        for line in shown:
            _, *argv = shlex.split(line)
            command(*argv)
        requests = said(command("requests", "list", "--operation", "create", "--json"))["requests"]
        assert requests[0]["status"] == 201
        assert requests[0]["fault"] == "201"
        assert {row["status"] for row in requests} == {201}
        assert "no recording" not in command("recordings", "list").stdout
        [row] = said(command("recordings", "list", "--json"))["recordings"]
        assert row["state"] == "accepted"
        rows = said(command("events", "list", "--event", "*.rtms_started", "--json"))["events"]
        assert [one["meeting"] for one in rows] == [1]
        home, second = control_tasks(running, "handoffs")
        assert home["attempts"][0]["dispatched_at"] > began + 3, "the queue stalled"
        assert [attempt["duplicate"] for attempt in home["attempts"]] == [False, True]
        assert second["attempts"][0]["status"] == 200
        assert len({request["idempotency_key"] for request in requests}) == 1, "asked again with the same key"
        tries = [one["answer"] for one in said(command("handoffs", "show", row["id"], "--json"))["tries"]]
        assert tries == ["Recall answered 201: an answer without an id", "accepted"]
