"""`meeting play` with an `up` that runs in another folder: whose file is played, where the progress goes, and what --webhook means."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.unit.simulator.descriptions import an_up

from rtms_simulator.cli.fakes import running
from rtms_simulator.testing.sandbox import WebhookSandbox

MEETING = 'name = "{name}"\nduration_s = 0.2\npeople = [{{ name = "Ada" }}]\n'


@pytest.fixture
def up(tmp_path, receiver, monkeypatch):
    """The file of an `up` that runs in the folder `there`, whose receiver refuses all; there lies another `mine.toml`."""
    receiver.status = 403
    there, here = tmp_path / "there", tmp_path / "here"
    for folder, name in ((there, "decoy"), (here, "mine-here")):
        folder.mkdir()
        (folder / "mine.toml").write_text(MEETING.format(name=name))
    monkeypatch.chdir(there)
    sandbox = WebhookSandbox(there / ".rtmskit")
    sandbox._plan = replace(sandbox._plan, webhook_url=receiver.url)
    sandbox.start()
    running.write(there / "up.json", sandbox.stack.described())
    yield there / "up.json"
    sandbox.close()


@pytest.fixture
def here(rtmskit, up, monkeypatch):
    """Run commands in another folder than the `up`'s."""
    monkeypatch.chdir(up.parent.parent / "here")
    return rtmskit


@pytest.mark.parametrize("named", ["mine.toml", "./mine.toml", "../here/mine.toml"])
def test_a_file_of_this_folder_is_played_by_an_up_of_another(here, up, named):
    done = here("meeting", "play", named, "--up", up, "--speed", "max", "--json")
    assert done.exit_code == 1, done.output  # its receiver refuses all
    [meeting] = json.loads(done.stdout)["meetings"]
    assert meeting["scenario"] == "mine-here"


def test_with_json_the_progress_is_on_stderr(here, up):
    done = here("meeting", "play", "mine.toml", "--up", up, "--speed", "max", "--json")
    assert len(done.stdout.splitlines()) == 1
    assert "meeting 1: meeting.rtms_started answered 403" in done.stderr


def test_a_webhook_of_ones_own_beside_an_up_says_that_its_fakes_are_not_used(here, up, receiver, tmp_path):
    words = ("--webhook", receiver.url, "--secret-token", "s", "--client-id", "i", "--client-secret", "c", "--speed", "max")
    done = here("meeting", "play", "mine.toml", "--up", up, *words)
    assert "A Zoom of its own plays this: the running `up` is not used with --webhook." in done.stderr
    running.write(tmp_path / "ended.json", an_up(pid=2**22 + 1))
    done = here("meeting", "play", "mine.toml", "--up", tmp_path / "ended.json", *words)
    assert "A Zoom of its own" not in done.stderr


def test_a_fault_without_an_end_is_shown_as_a_star(here, up):
    for fault in ("recall.list: 503 x*", "recall.create: 503 x3"):
        assert here("faults", "add", fault, "--up", up).exit_code == 0
    lines = here("faults", "list", "--up", up).stdout.splitlines()
    assert [line.split()[-2:] for line in lines if line.split()[:1] in (["1"], ["2"])] == [["*", "0"], ["3", "0"]]


@pytest.mark.parametrize(
    "words",
    ["events show 9999", "events show msg_x", "events replay 9999", "requests show 9999", "faults clear 9999"],
)
def test_an_id_that_nothing_has_is_exit_code_2(here, up, words):
    done = here(*words.split(), "--up", up)
    assert done.exit_code == 2
    assert done.stderr.startswith(("Error: there is no ", "Error: no fault 9999"))
