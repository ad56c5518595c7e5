"""How commands find the running `up`, and what they say when there is none."""

import json
import os
import socket
import stat
import subprocess
import sys

import msgspec
import pytest
from tests.unit.simulator.descriptions import a_serve, an_up

from rtms_simulator.cli.fakes import running
from rtms_simulator.cli.play.outcome import BadInput, Failed, Nobody
from rtms_simulator.control.answers import Cleared


@pytest.fixture
def file(tmp_path):
    return tmp_path / "deep/up.json"


def test_what_is_written_is_found_again_by_its_owner_only_and_taken_back(file):
    running.write(file, an_up(webhook_url="http://x"))
    assert running.find(file) == an_up(webhook_url="http://x")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["up.json"]
    running.remove(file)
    assert not file.exists()
    running.remove(file)


def test_one_that_has_ended_is_nobody(file):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    running.write(file, an_up(pid=gone.pid))
    with pytest.raises(Nobody, match="has ended"):
        running.find(file)


def test_whether_somebody_is_there_is_seen_by_a_connection():
    """After a crash, or a restart of the machine, a process id that was left behind may be another program's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert running.listens(f"{url}/_control")
    assert not running.listens(url)


def test_beside_a_serve_it_says_that_this_one_has_no_fakes_to_control(file):
    running.write(file.with_name("serve.json"), a_serve(pid=os.getpid()))
    with pytest.raises(Nobody, match="the `rtmskit serve` that is running here has no fakes") as raised:
        running.find(file)
    assert "`rtmskit handoffs` and `rtmskit recordings` work with it" in raised.value.do
    running.write(file.with_name("serve.json"), a_serve(pid=2**22 + 1))
    with pytest.raises(Nobody, match=r"no `rtmskit up` is running here: .*is not there"):
        running.find(file)


def test_anothers_file_is_not_taken_away(file):
    running.write(file, an_up(pid=os.getppid()))
    running.remove(file)
    assert file.exists()


ANOTHER_VERSION = msgspec.json.encode(msgspec.to_builtins(an_up()) | {"more": 1})
WITHOUT_URL = msgspec.json.encode({name: value for name, value in msgspec.to_builtins(an_up()).items() if name != "control_url"})


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"pid": "x"}', b"\x00", b"\xff", ANOTHER_VERSION, WITHOUT_URL, msgspec.json.encode(a_serve())]
)
def test_a_file_that_is_no_description_is_explained(file, content):
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(BadInput, match="is not what `rtmskit up` writes"):
        running.find(file)


def test_the_file_of_a_serve_is_read_strictly_and_its_errors_name_serve(file):
    with pytest.raises(Nobody, match="no `rtmskit serve` is running here"):
        running.find_serve(file)
    running.write(file, a_serve())
    assert running.find_serve(file) == a_serve()
    running.write(file, an_up())
    with pytest.raises(BadInput, match="is not what `rtmskit serve` writes"):
        running.find_serve(file)


def test_a_folder_whose_name_is_not_utf_8_is_escaped(file):
    running.write(file, an_up(state_url="sqlite:///\udcff"))
    assert running.find(file).state_url == "sqlite:///\udcff"
    running.remove(file)
    assert not file.exists()


@pytest.mark.parametrize(
    ("status", "answer", "kind", "says"),
    [
        (400, {"error": "x", "reason": "so it is"}, BadInput, "so it is"),
        (404, b"plain words", BadInput, "plain words"),
        (500, b"", Failed, "Internal Server Error"),
    ],
)
def test_a_refusal_is_told_with_its_reason(receiver, status, answer, kind, says):
    receiver.status, receiver.answer = status, lambda _body: answer
    with pytest.raises(kind, match=says):
        running.ask(an_up(control_url=receiver.url), "", Cleared, "POST", {})


def test_an_answer_is_decoded_strictly_and_the_token_goes_along(receiver):
    receiver.answer = lambda _body: {"cleared": 3}
    described = an_up(control_url=receiver.url, control_token="t")
    assert running.ask(described, "/faults", Cleared, "POST", {"a": 1}) == Cleared(cleared=3)
    _, path, headers, body = receiver.requests[0]
    assert (path, headers["authorization"], json.loads(body)) == ("/zoom-webhook/faults", "Bearer t", {"a": 1})
    for strange in ({}, {"cleared": "3"}, {"cleared": 3, "more": 1}, [], b"no JSON"):
        receiver.answer = lambda _body, strange=strange: strange
        with pytest.raises(Failed, match="does not know"):
            running.ask(described, "", Cleared, "POST", {})


def test_no_answer_is_nobody():
    with pytest.raises(Nobody, match="does not answer"):
        running.ask(an_up(), "/clock", Cleared)
