"""`rtmskit up` before anything is started: what cannot be is explained. (tests/e2e/test_up.py starts it.)"""

import pytest

from rtms_simulator.kit.stack import Stack


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
        (["--state", "firestore://project/database"], "FIRESTORE_EMULATOR_HOST is not set"),
    ],
)
def test_what_cannot_be_started_is_explained_first(rtmskit, tmp_path, monkeypatch, arguments, says):
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    (tmp_path / "file").touch()
    done = rtmskit("up", *arguments)
    assert done.exit_code == 2
    assert says in done.stderr


def test_free_ports_may_be_asked_for_more_than_once(rtmskit):
    with pytest.raises(AssertionError, match="started"):
        rtmskit("up", "--webhook-port", 0, "--worker-port", 0)
