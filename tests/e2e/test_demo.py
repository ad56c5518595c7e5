"""`rtmskit demo`: one meeting's whole way through real processes, on both stores, and the recording equals what was played."""

import array
import hashlib
import json
import re
import sys
from pathlib import Path

import av
import msgspec
import pytest
from tests.e2e.processes import rtmskit

from rtms_relay.adapters.firestore import FirestoreStore
from rtms_simulator.control.run_summary import RunSummary, UnrecordedRun
from rtms_simulator.scenario import load
from rtms_simulator.zoom.media import MediaSource

# One worker for this file: what all its tests share is made once.
pytestmark = pytest.mark.xdist_group("demo")

README = Path(__file__).parents[2] / "README.md"

ORDERS = (("started", "acked"), ("started", "accepted", "downloaded"), ("started", "joined", "stopped", "recorded", "downloaded"))
"""What comes before what. Recall may join before the relay has noted that it was accepted, and the task may run before Zoom has the ack."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A demo's summary, its directory and what it said on stderr."""
    folder = tmp_path_factory.mktemp("demo")
    done = rtmskit("demo", "--json", "--keep", "--logs", "--speed", "max", cwd=folder, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout), folder, done.stderr


def check(summary):
    """What holds for every demo's summary, whatever the store."""
    assert summary["ok"] is True
    ids = summary["ids"]
    assert all(ids[name] for name in ("meeting_uuid", "rtms_stream_id", "handoff", "meeting_direct_connect", "recording"))
    assert set(ids["artifacts"]) >= {"video_mixed", "audio_mixed", "transcript", "participant_events"}
    for order in ORDERS:
        times = [summary["timeline_ms"][name] for name in order]
        assert times == sorted(times)
        assert times[0] == 0
    assert summary["timeline_ms"]["acked"] < 3000, "Zoom would have tried again"
    assert [row["status"] for row in summary["webhooks"]] == [200, 200]
    assert summary["posts"] == 1
    assert len(summary["recording"]["sha256"]) == 64
    assert summary["recording"]["duration_s"] == pytest.approx(12.0, abs=0.3)
    assert summary["samples"] == {
        "count": 192_000,
        "duration_s": 12.0,
        "played_sha256": summary["artifacts"]["audio_mixed"]["sha256"],
        "equal": True,
    }
    assert summary["transcript"] == {"utterances": 4, "equal": True}


def test_the_summary_carries_every_id_the_timeline_and_the_recording(kept):
    check(kept[0])
    assert msgspec.convert(kept[0], RunSummary).ok


def test_every_downloaded_sample_equals_the_played_one(kept):
    summary, folder, _ = kept
    recorded = array.array("h", (folder / summary["artifacts"]["audio_mixed"]["path"]).read_bytes())
    if sys.byteorder == "big":
        recorded.byteswap()
    played = array.array("h")
    for second in MediaSource(load("stand-up")).mixed_samples(16_000):
        played.extend(second.tolist())
    assert len(recorded) == len(played) == 192_000
    assert [at for at, (found, wanted) in enumerate(zip(recorded, played, strict=True)) if found != wanted] == []
    assert max(played) > 1000, "silence would prove nothing"


def test_the_film_decodes_from_end_to_end(kept):
    summary, folder, _ = kept
    file = folder / summary["recording"]["path"]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == summary["recording"]["sha256"]
    with av.open(str(file)) as film:
        assert {stream.type for stream in film.streams} == {"audio", "video"}
        assert sum(1 for _ in film.decode(video=0)) > 50


def test_it_went_through_both_functions_under_functions_framework(kept):
    _, folder, log = kept
    for line in ("webhook: NOTICE", "event=handoff_created", "worker: NOTICE", "event=handoff_accepted"):
        assert line in log
    # Whether the worker learns of the end by this webhook or by a look of the same half minute is a matter of moments.
    taken = [line for line in log.splitlines() if line.startswith("webhook:") and "name=recording.done" in line]
    assert taken
    assert all("outcome=enqueued" in line for line in taken)
    assert (folder / ".rtmskit/demo/state.sqlite").exists()


@pytest.mark.emulator
async def test_on_firestore_it_comes_out_the_same(tmp_path, firestore_emulator, new_firestore_project, kept, monkeypatch):
    project = new_firestore_project()
    url = f"firestore://{project}/demo"
    # An emulator that has just started takes seconds for its first write on a busy machine, and Zoom's 3 s are what is at stake here.
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_emulator)
    store = FirestoreStore(project, "warm", timeout_s=60)
    for number in range(5):
        await store.create("handoffs", f"warm{number}", {"created_at": number})
    await store.close()
    done = rtmskit(
        "demo", "--json", "--speed", "max", "--state", url, cwd=tmp_path, timeout=110, FIRESTORE_EMULATOR_HOST=firestore_emulator
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)
    check(summary)
    assert summary["state_url"] == url
    assert summary["samples"] == kept[0]["samples"]
    assert set(summary["ids"]["artifacts"]) == set(kept[0]["ids"]["artifacts"])


@pytest.mark.parametrize(
    ("scenario", "speed", "expected"),
    [
        ("revoked", "max", {"outcome": "deleted", "stop_reason": 8, "recording": "forgotten"}),
        ("never-joined", "1", {"outcome": "not-joined", "stop_reason": 11}),
        ("bad-signature", "max", {"outcome": "not-joined", "stop_reason": 18}),
    ],
)
def test_an_end_without_a_recording_is_well_where_the_scenario_says_so(tmp_path, scenario, speed, expected):
    done = rtmskit("demo", "--scenario", scenario, "--speed", speed, "--json", cwd=tmp_path, timeout=110)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert expected.items() <= summary.items()
    assert msgspec.convert(summary, UnrecordedRun).left_at_recall == []
    assert summary["ok"] is True
    assert (summary["timeline_ms"]["joined"] is None) == (scenario != "revoked")
    if scenario != "revoked":
        assert summary["reason"]


def test_another_end_than_the_expected_one_is_a_failure(tmp_path):
    done = rtmskit("demo", "--expect", "not-joined", "--speed", "max", cwd=tmp_path, timeout=110)
    assert done.returncode == 1
    assert "and nobody was to join it" in done.stderr


def test_a_fault_and_a_switch_that_it_is_given_act_on_its_meeting(tmp_path):
    """Two refusals of Recall, and only the artifacts that were asked for; a fault that never acts is named."""
    bitten = rtmskit(
        "demo", "--json", "--speed", "max", "--fault", "recall.create: 503 x2 then ok", "--set", "recall.defaults=only_asked", cwd=tmp_path
    )
    assert bitten.returncode == 0, bitten.stderr
    summary = json.loads(bitten.stdout)
    assert summary["posts"] == 3
    assert "video_mixed" in summary["artifacts"]
    assert "participant_events" not in summary["artifacts"]
    idle = rtmskit("demo", "--speed", "max", "--fault", "recall.webhook.recording.paused: lost", cwd=tmp_path)
    assert (idle.returncode, idle.stderr.count("the fault recall.webhook.recording.paused: lost never acted")) == (1, 1)


def test_for_people_it_shows_the_way_as_it_goes_a_table_at_the_end_and_leaves_nothing(tmp_path):
    done = rtmskit("demo", "--speed", "max", cwd=tmp_path, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "192,000 samples (12.0 s) played, recorded and compared: all equal. 4 sentences: all equal." in done.stdout
    assert "the worker had handed it on: Recall accepted" in done.stdout
    assert "meeting.rtms_started answered 200" in done.stderr
    assert list(tmp_path.iterdir()) == []


def kinds(text):
    """The lines of a run without what differs from run to run: ids, hashes, numbers and how wide the columns are."""
    plain = re.sub(r"[0-9a-f]{8,}[0-9a-f-]*|[\w+/]+==", "ID", text)
    return {" ".join(re.sub(r"[\d.,]*\d", "N", line).split()) for line in plain.splitlines()} - {""}


def test_it_works_in_a_network_with_a_proxy(tmp_path):
    """Nothing here is for the proxy; NO_PROXY is not set, as on a machine that nobody has prepared."""
    dead = "http://127.0.0.1:9"
    proxies = {name: dead for one in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY") for name in (one, one.lower())}
    done = rtmskit("demo", "--speed", "max", cwd=tmp_path, timeout=110, NO_PROXY="", no_proxy="", **proxies)
    assert done.returncode == 0, done.stderr
    assert "all equal" in done.stdout


def test_the_readme_shows_what_a_run_prints(tmp_path):
    [shown] = re.findall(r"^```text\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    done = rtmskit("demo", cwd=tmp_path, timeout=110)
    assert done.returncode == 0, done.stderr
    assert kinds(shown) - kinds(done.stderr + done.stdout) == set()
    assert kinds(done.stdout) - kinds(shown) == set()  # on stderr a slow machine says what it waits for, too


def test_a_state_url_that_the_functions_refuse_is_explained(tmp_path):
    done = rtmskit("demo", "--state", "mysql://x", cwd=tmp_path)
    assert done.returncode == 2
    assert "--state 'mysql://x' is not a store" in done.stderr
    assert "Traceback" not in done.stderr
