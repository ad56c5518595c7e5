"""`rtmskit up`: everything answers, the others find it, and whatever ends it, nothing is left behind."""

import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
from pathlib import Path

import httpx
import msgspec
import pytest
from tests import golden_worker
from tests.e2e.processes import RTMSKIT, alive, descendants, environment, rtmskit, up

from rtms_simulator.control.descriptions import UpDescription

# One worker for this file: what all its tests share is made once.
pytestmark = pytest.mark.xdist_group("up")

KEYS = {
    "webhook_url",
    "recall_webhook_url",
    "worker_url",
    "worker_token",
    "zoom",
    "recall",
    "cloud_tasks",
    "control_url",
    "control_token",
    "state_url",
    "seed",
    "pid",
}


def functions_of(running) -> dict[str, set[int]]:
    """The processes of each role: the one that runs main.py, and its workers."""
    found: dict[str, set[int]] = {"webhook": set(), "worker": set()}
    for pid in descendants(running.process.pid):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        for role in found:
            if b"--target" in words and words[words.index(b"--target") + 1] == role.encode():
                found[role].add(pid)
    return found


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with up(tmp_path_factory.mktemp("up")) as one:
        yield one


@pytest.mark.parametrize("method_path", ["GET /recordings", "POST /events", "POST /retrieve", "POST /sweep"])
def test_the_worker_takes_nothing_from_a_caller_without_the_secret_of_the_run(running, method_path):
    method, path = method_path.split()
    worker, token = running.described["worker_url"], running.described["worker_token"]
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"X-CloudTasks-QueueName": "handoffs"}, {"Authorization": token}):
        refused = httpx.request(method, worker + path, headers=headers, json={} if method == "POST" else None)
        assert (refused.status_code, refused.json()["error"]) == (401, "not_authentic"), headers
    assert httpx.get(worker + "/recordings", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_it_prints_every_address_and_secret_and_all_of_them_answer(running):
    said = running.described
    assert set(said) == KEYS
    assert msgspec.convert(said, UpDescription).pid == running.process.pid
    assert httpx.get(said["webhook_url"].replace("/zoom-webhook", "/health")).status_code == 200
    assert httpx.get(said["worker_url"] + "/health").status_code == 200
    assert httpx.get(said["recall"]["base_url"] + "/meeting_direct_connect", headers={"Authorization": "Token wrong"}).status_code == 401
    listed = httpx.get(said["recall"]["base_url"] + "/meeting_direct_connect", headers={"Authorization": said["recall"]["api_key"]})
    assert listed.status_code == 200
    assert httpx.get(said["control_url"] + "/tasks").status_code == 401
    bearer = {"Authorization": f"Bearer {said['control_token']}"}
    assert httpx.get(said["control_url"] + "/tasks", headers=bearer).status_code == 200
    assert httpx.get(said["control_url"] + "/tasks", headers={**bearer, "Host": "evil.example"}).status_code == 403
    host, _, port = said["cloud_tasks"]["endpoint"].rpartition(":")
    socket.create_connection((host, int(port))).close()


def test_it_leaves_them_where_only_the_owner_reads_them(running):
    file = running.cwd / ".rtmskit/up.json"
    assert json.loads(file.read_text()) == running.described
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_everything_listens_on_loopback_only(running):
    pids = {running.process.pid, *descendants(running.process.pid)}
    inodes = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                inodes.update(re.findall(r"socket:\[(\d+)\]", str(descriptor.readlink())))
    loopback = ("0100007F:", "00000000000000000000000001000000:", "0000000000000000FFFF00000100007F:")
    rows = [row.split() for table in ("tcp", "tcp6") for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
    listening = {fields[1] for fields in rows if fields[3] == "0A" and fields[9] in inodes}
    assert {address for address in listening if not address.startswith(loopback)} == set()
    # Every port that it names was looked at.
    ports = {int(address.rpartition(":")[2], 16) for address in listening}
    assert {int(port) for port in re.findall(r"(?:127\.0\.0\.1|localhost):(\d+)", json.dumps(running.described))} <= ports
    assert len(ports) >= 5


def test_no_role_has_the_other_ones_secrets_in_its_environment(running):
    forbidden = {"webhook": (b"RECALL_API_KEY=", b"ZOOM_CLIENT_SECRET="), "worker": (b"ZOOM_SECRET_TOKEN=", b"RECALL_WEBHOOK_SECRETS=")}
    functions = functions_of(running)
    assert functions.keys() == forbidden.keys()
    assert all(functions.values())
    for role, pids in functions.items():
        for pid in pids:
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            assert not [variable for variable in variables if variable.startswith(forbidden[role])]


def test_a_second_one_in_the_same_place_is_refused(running):
    done = rtmskit("up", cwd=running.cwd)
    assert done.returncode == 2
    assert f"already runs here: {running.described['control_url']}, process {running.process.pid}" in done.stderr


def test_other_commands_find_it(running):
    done = rtmskit("recordings", "list", "--json", cwd=running.cwd)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"recordings": []})
    clock = json.loads(rtmskit("clock", "advance", "1h", "--json", cwd=running.cwd).stdout)
    assert clock["now"] > json.loads(rtmskit("clock", "show", "--json", cwd=running.cwd).stdout)["now"] - 60
    assert rtmskit("clock", "advance", "1d", cwd=running.cwd).returncode == 0
    assert rtmskit("reset", cwd=running.cwd).returncode == 0
    assert rtmskit("meeting", "play", "--speed", "max", cwd=running.cwd).returncode == 0


def test_a_fault_and_a_switch_that_it_was_given_act_and_are_back_after_a_reset(tmp_path):
    with up(tmp_path, "--fault", "recall.create: 503", "--set", "recall.mdc_list=bare_array") as one:
        for _ in range(2):
            armed = json.loads(rtmskit("faults", "list", "--json", cwd=tmp_path).stdout)["armed"]
            assert [(row["fault"], row["used"]) for row in armed] == [("recall.create: 503", 0)]
            switches = json.loads(rtmskit("switches", "list", "recall", "--json", cwd=tmp_path).stdout)["switches"]
            assert [row["value"] for row in switches if row["name"] == "recall.mdc_list"] == ["bare_array"]
            played = rtmskit("meeting", "play", "--speed", "max", cwd=tmp_path)
            assert played.returncode == 0, played.stderr
            requests = json.loads(rtmskit("requests", "list", "--json", cwd=tmp_path).stdout)["requests"]
            assert [row["status"] for row in requests if row["method"] == "POST"] == [503, 201]
            key = {"Authorization": one.described["recall"]["api_key"]}
            listed = httpx.get(one.described["recall"]["base_url"] + "/meeting_direct_connect", headers=key).json()
            assert [type(listed), len(listed)] == [list, 1]
            assert rtmskit("reset", cwd=tmp_path).returncode == 0


def test_the_answers_that_other_tests_take_for_the_workers_have_its_fields(running):
    """`python -m tests.golden_worker` writes them anew."""
    assert rtmskit("reset", cwd=running.cwd).returncode == 0
    golden, real = json.loads(golden_worker.GOLDEN.read_text()), golden_worker.answers(running)
    assert golden_worker.fields(golden) == golden_worker.fields(real)
    assert golden["missing"]["status"] == real["missing"]["status"]
    assert rtmskit("reset", cwd=running.cwd).returncode == 0


def test_the_late_copy_of_a_start_is_late_also_when_the_clock_is_ahead_of_the_functions(running):
    assert rtmskit("reset", cwd=running.cwd).returncode == 0
    assert rtmskit("clock", "advance", "1h", cwd=running.cwd).returncode == 0
    assert rtmskit("meeting", "play", "--speed", "max", cwd=running.cwd).returncode == 0
    bearer = {"Authorization": f"Bearer {running.described['control_token']}"}
    tasks = httpx.get(running.described["control_url"] + "/tasks", headers=bearer).json()["tasks"]
    first, second = sorted(task["due_at"] - task["created_at"] for task in tasks if task["queue"] == "handoffs")
    assert first < 0.5
    assert 4.5 < second < 5.5
    assert rtmskit("reset", cwd=running.cwd).returncode == 0


def test_the_doctor_sends_a_task_through_every_queue_of_it(running):
    done = rtmskit("doctor", "--count", "1", "--json", cwd=running.cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {one["check"]: one for one in json.loads(done.stdout)["checks"]}
    queues = {check for check in found if check.startswith("queue ")}
    assert queues == {"queue facts", "queue handoffs", "queue handoffs-second", "queue retrievals"}
    for check in (*queues, "store", "recall key", "records", "worker without token", "worker, forged token", "worker clock"):
        assert found[check]["status"] == "ok", found[check]


def test_the_doctor_names_the_queue_that_is_paused_and_the_key_that_is_refused(running):
    assert rtmskit("faults", "add", "tasks.queue.facts: pause", cwd=running.cwd).returncode == 0
    assert rtmskit("faults", "add", "recall.*: 401 x*", cwd=running.cwd).returncode == 0
    done = rtmskit("doctor", "--count", "1", "--json", cwd=running.cwd, timeout=110)
    assert rtmskit("faults", "clear", cwd=running.cwd).returncode == 0
    found = {one["check"]: one for one in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1
    assert {check for check, one in found.items() if one["status"] == "fail"} == {"queue facts", "recall key"}
    assert "wrong RECALL_API_KEY" in found["recall key"]["found"]


def test_a_wrong_secret_given_to_the_doctor_alarms_nobody(running):
    before = len(running.log)
    done = rtmskit("doctor", "--secret-token", "not-the-one", "--count", "1", "--json", cwd=running.cwd)
    found = {one["check"]: one["status"] for one in json.loads(done.stdout)["checks"]}
    assert (done.returncode, found["challenge"], found["late retry"]) == (1, "fail", "skip")
    assert not [line for line in running.log[before:] if "challenge_refused" in line]


def test_ctrl_c_on_a_play_ends_the_meeting_here_too(running):
    before = set(_meetings(running))
    play = subprocess.Popen(
        [*RTMSKIT, "meeting", "play", "one-to-one"], cwd=running.cwd, env=environment(), stderr=subprocess.PIPE, text=True
    )
    assert play.stderr is not None
    while "joined" not in play.stderr.readline():
        assert play.poll() is None
    play.send_signal(signal.SIGINT)
    assert play.wait(60) == 130
    play.stderr.close()
    [number] = set(_meetings(running)) - before
    meeting = _meetings(running)[number]
    assert meeting["ended_ms"] is not None
    assert [stream["stop_reason"] for stream in meeting["streams"]] == [6]
    assert [one["event"] for one in meeting["deliveries"]][-1] == "meeting.rtms_stopped"


def _meetings(running):
    bearer = {"Authorization": f"Bearer {running.described['control_token']}"}
    return {one["id"]: one for one in httpx.get(f"{running.described['control_url']}/meetings", headers=bearer).json()["meetings"]}


@pytest.mark.parametrize(
    ("scenario", "speed", "code"),
    [("revoked", "max", 0), ("bad-signature", "max", 0), ("never-joined", "1", 0), ("one-to-one --expect not-joined", "max", 1)],
)
def test_a_play_ends_with_0_when_its_end_is_the_right_one(running, scenario, speed, code):
    done = rtmskit("meeting", "play", *scenario.split(), "--speed", speed, "--patience", "2", cwd=running.cwd, timeout=110)
    assert done.returncode == code, done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_all_of_it(tmp_path, number, code):
    with up(tmp_path) as running:
        pids = descendants(running.process.pid)
        assert len(pids) >= 2
        assert running.end(number) == code
        assert alive(pids) == set()
    assert not (tmp_path / ".rtmskit/up.json").exists()
    assert "Traceback" not in "\n".join(running.log)


def test_sigkill_leaves_no_orphans_either(tmp_path):
    with up(tmp_path) as running:
        pids = descendants(running.process.pid)
        running.end(signal.SIGKILL)
        assert alive(pids, within_s=15) == set()
    done = rtmskit("recordings", "list", cwd=tmp_path)
    assert done.returncode == 3
    assert "has ended" in done.stderr


def test_a_crashed_child_ends_all_of_it_with_the_reason(tmp_path):
    with up(tmp_path) as running:
        pids = descendants(running.process.pid)
        master = min(functions_of(running)["worker"])
        os.kill(master, signal.SIGKILL)
        assert running.wait() == 1
        assert alive(pids) == set()
    assert "Error: the worker process was killed by SIGKILL" in "\n".join(running.log)


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        done = rtmskit("up", "--webhook-port", str(number), cwd=tmp_path)
    assert done.returncode == 2
    assert f"port {number} on 127.0.0.1 is taken" in done.stderr
    assert "Do: leave the port out" in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_that_a_function_refuses_are_all_listed(tmp_path):
    done = rtmskit("up", cwd=tmp_path, ZOOM_CONNECT_WINDOW_S="soon", ZOOM_SIGNATURE_WINDOW_S="-1", ARCHIVE_URL="ftp://x")
    assert done.returncode == 2
    assert "refuse their settings" in done.stderr
    for name, role in (("ZOOM_CONNECT_WINDOW_S", "webhook"), ("ZOOM_SIGNATURE_WINDOW_S", "webhook"), ("ARCHIVE_URL", "worker")):
        assert re.search(rf"{role}[, a-z]*: .*{name}", done.stderr), name
        assert done.stderr.count(f"- {name} is") == 1, done.stderr
    assert "Traceback" not in done.stderr


def test_receivers_of_ones_own_need_no_function(tmp_path):
    done = rtmskit("up", "--webhook", "http://127.0.0.1:1/", cwd=tmp_path)
    assert done.returncode == 2
    assert "add --no-function" in done.stderr


def test_two_starts_on_kept_records_are_two_meetings(tmp_path):
    seeds = set()
    for count in (1, 2):
        with up(tmp_path, "--state", f"sqlite:///{tmp_path}/kept.sqlite") as running:
            seeds.add(running.described["seed"])
            played = rtmskit("meeting", "play", "--speed", "max", cwd=tmp_path)
            assert played.returncode == 0, played.stderr
            rows = json.loads(rtmskit("recordings", "list", "--json", cwd=tmp_path).stdout)["recordings"]
            assert [row["state"] for row in rows] == ["accepted"] * count
            assert len({row["mdc_id"] for row in rows} | {None}) == count + 1
    assert len(seeds) == 2


@pytest.mark.parametrize("command", ["up", "demo"])
@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("sqlite:////proc/nope/x.sqlite", "the SQLite file /proc/nope/x.sqlite cannot be used"),
        ("firestore://project/database", "FIRESTORE_EMULATOR_HOST is not set"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_before_anything_is_said_to_be_ready(tmp_path, command, state, says):
    done = rtmskit(command, "--state", state, "--json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
