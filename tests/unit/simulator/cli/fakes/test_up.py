"""`rtmskit up` before anything is started: what cannot be is explained. (tests/e2e/test_up.py starts it.)"""

import pytest
from tests.unit.simulator.descriptions import an_up

from rtms_simulator.cli.fakes import running
from rtms_simulator.kit.stack import Stack

START = Stack.start


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch):
    async def start(self):
        raise AssertionError("started")

    monkeypatch.setattr(Stack, "start", start)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--webhook-port", 4711, "--worker-port", 4711], "--webhook-port and --worker-port are both 4711"),
        (["--tasks-port", 4711, "--control-port", 4711], "--tasks-port and --control-port are both 4711"),
        (["--directory", "/proc/nope/files"], "--directory /proc/nope/files cannot be written"),
        (["--directory", "file/below"], "--directory file/below cannot be written"),
        (["--up", "/proc/nope/up.json"], "--up /proc/nope/up.json cannot be written"),
        (["--up", "file/up.json"], "--up file/up.json cannot be written"),
        (["--up", "."], "--up . is a directory"),
        (["--no-function", "--webhook", "notaurl"], "--webhook 'notaurl' is not a URL"),
        (["--no-function", "--worker", "ftp://x"], "--worker 'ftp://x' is not a URL"),
        (["--state", "foo"], "--state 'foo' is not a store"),
        (["--state", "sqlite://foo"], "--state 'sqlite://foo' is not a store"),
        (["--state", "sqlite:///"], "--state 'sqlite:///' is not a store"),
        (["--state", "firestore://foo"], "--state 'firestore://foo' is not a store"),
        (["--state", "firestore://project/database"], "FIRESTORE_EMULATOR_HOST is not set"),
    ],
)
def test_what_cannot_be_started_is_explained_first(rtmskit, tmp_path, monkeypatch, arguments, says):
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    (tmp_path / "file").touch()
    done = rtmskit("up", *arguments)
    assert done.exit_code == 2
    assert says in done.stderr


def test_what_a_crash_left_behind_is_no_running_up(rtmskit, tmp_path):
    """The id of its process is somebody else's now: here ours, and nobody listens at the address."""
    running.write(tmp_path / "up.json", an_up())
    with pytest.raises(AssertionError, match="started"):
        rtmskit("up", "--up", str(tmp_path / "up.json"), "--directory", str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--set", "zoom.closecode=1001"], "there is no switch zoom.closecode; did you mean zoom.close_code?"),
        (["--set", "zom.close_code=1001"], "there is no switch 'zom.close_code'; a name is zoom.NAME"),
        (["--set", "zoom.close_code=x"], "zoom.close_code cannot be 'x'"),
        (["--set", "zoom.close_code"], "'zoom.close_code' has no value"),
        (["--fault", "recall.creat: 503"], "did you mean create?"),
        (["--fault", "recall.create: slw"], "did you mean slow?"),
        (["--fault", "tasks.queue.handofs: stall"], "did you mean handoffs?"),
        (["--fault", "zoom.stream: drop-media"], "give it to `meeting play --fault`"),
    ],
)
def test_a_wrong_switch_or_fault_says_which_was_meant_and_starts_no_function(rtmskit, monkeypatch, arguments, says):
    async def never(self):
        raise AssertionError("started")

    monkeypatch.setattr(Stack, "start", START)
    monkeypatch.setattr(Stack, "_start_function", never)
    done = rtmskit("up", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert says in done.stderr
    assert "list` show" in done.stderr


def test_free_ports_may_be_asked_for_more_than_once(rtmskit):
    with pytest.raises(AssertionError, match="started"):
        rtmskit("up", "--webhook-port", 0, "--worker-port", 0)
