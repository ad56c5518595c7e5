"""How commands find the running `up`, and what they say when there is none."""

import json
import os
import stat
import subprocess
import sys

import pytest

from rtms_simulator.cli.fakes import running
from rtms_simulator.cli.play.outcome import BadInput, Failed, Nobody
from rtms_simulator.control.answers import Cleared


@pytest.fixture
def file(tmp_path):
    return tmp_path / "deep/up.json"


def test_what_is_written_is_found_again_by_its_owner_only_and_taken_back(file):
    running.write(file, {"pid": os.getpid(), "webhook_url": "http://x"})
    assert running.find(file)["webhook_url"] == "http://x"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["up.json"]
    running.remove(file)
    assert not file.exists()
    running.remove(file)


def test_one_that_has_ended_is_nobody(file):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    running.write(file, {"pid": gone.pid})
    with pytest.raises(Nobody, match="has ended"):
        running.find(file)


def test_anothers_file_is_not_taken_away(file):
    running.write(file, {"pid": os.getppid()})
    running.remove(file)
    assert file.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": "x"}', "\x00"])
def test_a_file_that_is_no_description_is_explained(file, text):
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(BadInput, match="is not what `rtmskit up` writes"):
        running.find(file)


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
        running.ask({"control_url": receiver.url}, "", Cleared, "POST", {})


def test_an_answer_is_decoded_strictly_and_the_token_goes_along(receiver):
    receiver.answer = lambda _body: {"cleared": 3}
    described = {"control_url": receiver.url, "control_token": "t"}
    assert running.ask(described, "/faults", Cleared, "POST", {"a": 1}) == Cleared(cleared=3)
    _, path, headers, body = receiver.requests[0]
    assert (path, headers["authorization"], json.loads(body)) == ("/zoom-webhook/faults", "Bearer t", {"a": 1})
    for strange in ({}, {"cleared": "3"}, {"cleared": 3, "more": 1}, [], b"no JSON"):
        receiver.answer = lambda _body, strange=strange: strange
        with pytest.raises(Failed, match="does not know"):
            running.ask(described, "", Cleared, "POST", {})


def test_no_answer_is_nobody():
    with pytest.raises(Nobody, match="does not answer"):
        running.ask({"control_url": "http://127.0.0.1:1/_control"}, "/clock", Cleared)
